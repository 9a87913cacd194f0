"""Which part of an object it is that does not pickle, and the way to it."""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Iterator
from typing import Any

_MAX_VISITED = 200_000
_REMEMBERED = 1000
_LONGEST_PATH = 300


def culprit(value: Any, part: Any = None) -> tuple[str, Any]:
    """Find the part of an object at which its pickling fails.

    Parameters
    ----------
    value : object
        An object that does not pickle.
    part : object, optional
        The part, if it is known; by default it is looked for.

    Returns
    -------
    str and object
        The path to the part, such as ``".parts['lock']"``, and the part. Empty, and the object itself, where it
        cannot be told.

    Examples
    --------
    >>> import threading
    >>> culprit({"parts": [1, threading.Lock()]})[0]
    "['parts'][1]"
    """
    wanted = _visited(value) if part is None else [part]
    known: dict[int, tuple[Any, int, str]] = {id(value): (value, 0, "")}
    waiting = deque([value])
    while waiting and len(known) <= _MAX_VISITED:
        parent = waiting.popleft()
        for step, child in _children(parent):
            if id(child) not in known:
                known[id(child)] = (child, id(parent), step)
                waiting.append(child)
    found = next((part for part in wanted if id(part) in known), value)
    return _path(known, found), found


def _visited(value: Any) -> list[Any]:
    """Pickle an object, and give what was looked at before it failed, the last first."""
    import cloudpickle  # noqa: PLC0415 - importing mlops_kit stays light

    seen: deque[Any] = deque(maxlen=_REMEMBERED)

    class Watched(cloudpickle.Pickler):
        def persistent_id(self, part: Any) -> None:
            seen.append(part)

    try:
        Watched(io.BytesIO(), protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # noqa: BLE001 - whatever a __reduce__ raises, this is what failed
        return list(reversed(seen))
    return []


def _path(known: dict[int, tuple[Any, int, str]], part: Any) -> str:
    steps = []
    _, parent, step = known[id(part)]
    while step:
        steps.append(step)
        _, parent, step = known[parent]
    path = "".join(reversed(steps))
    half = _LONGEST_PATH // 2
    return path if len(path) <= _LONGEST_PATH else f"{path[:half]} … {path[-half:]}"


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{_short(key)}]", child) for key, child in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{position}]", child) for position, child in enumerate(value))
    elif callable(value) and getattr(value, "__closure__", None):
        names = value.__code__.co_freevars
        yield from (
            (f".<closure {name}>", cell.cell_contents) for name, cell in zip(names, value.__closure__, strict=True)
        )
    else:
        slots = {name: getattr(value, name, None) for base in type(value).__mro__ for name in _slots(base)}
        yield from ((f".{name}", child) for name, child in {**slots, **getattr(value, "__dict__", {})}.items())


def _short(key: object) -> str:
    text = repr(key)
    return text if len(text) <= _LONGEST_PATH else f"{text[:_LONGEST_PATH]}…"


def _slots(kind: type) -> tuple[str, ...]:
    names = kind.__dict__.get("__slots__", ())
    return (names,) if isinstance(names, str) else tuple(names)
