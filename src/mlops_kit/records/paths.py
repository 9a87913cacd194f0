"""Values inside of values, by path: ``model.max_depth``, ``layers.0``, ``options['a.b']``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_DESCRIBED = frozenset({"type", "params"})


def segments(keys: Sequence[Any]) -> list[str]:
    """Write the keys of one mapping as parts of a path, no two of them alike.

    Parameters
    ----------
    keys : sequence
        All keys of the mapping.

    Returns
    -------
    list of str
        Text and whole numbers as they are; keys of other types, and text that a path could not tell apart, in
        brackets.

    Examples
    --------
    >>> segments(["depth", "a.b", 3, None])
    ['depth', "['a.b']", '3', '[None]']
    """
    texts = {key for key in keys if type(key) is str}
    return [_segment(key, texts) for key in keys]


def _segment(key: Any, texts: set[str]) -> str:
    if type(key) is str and key and "." not in key and "[" not in key:
        return key
    if type(key) is int and str(key) not in texts:
        return str(key)
    return f"[{key!r}]"


def joined(path: str, segment: str) -> str:
    """Append a part to a path.

    Examples
    --------
    >>> joined("model", "depth"), joined("options", "['a.b']")
    ('model.depth', "options['a.b']")
    """
    return path + segment if segment.startswith("[") else f"{path}.{segment}"


def described(type_name: str, params: Any, fingerprint: str | None = None) -> dict[str, Any]:
    """Describe an object of a class by its type, its parameters, and the fingerprint of the whole.

    Examples
    --------
    >>> described("app.Config", {"depth": 3})
    {'type': 'app.Config', 'params': {'depth': 3}}
    """
    whole = {} if fingerprint is None else {"fingerprint": fingerprint}
    return {"type": type_name, "params": params, **whole}


def is_described(value: Any) -> bool:
    """Check whether a recorded value is what `described` makes."""
    return isinstance(value, dict) and _DESCRIBED <= value.keys() <= _DESCRIBED | {"fingerprint"}


def members(value: Any, path: str) -> list[tuple[str, Any]]:
    """List what a recorded mapping or described object holds, each with its path.

    Examples
    --------
    >>> members(described("app.Config", {"depth": 3}), "config")
    [('config.depth', 3)]
    """
    held = value["params"] if is_described(value) else value
    if not isinstance(held, dict):
        return []
    return [(joined(path, part), item) for part, item in zip(segments(list(held)), held.values(), strict=True)]


def flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """Write nested values as one level of paths.

    Parameters
    ----------
    params : mapping
        Recorded values by name.

    Returns
    -------
    dict
        Mappings are taken apart, a described object into its type and its parameters; lists are values. A path
        that is also the name of another parameter gets an apostrophe.

    Examples
    --------
    >>> flat({"lr": 0.1, "model": {"type": "sklearn.svm.SVC", "params": {"C": 1.0, "tags": []}}})
    {'lr': 0.1, 'model': 'sklearn.svm.SVC', 'model.C': 1.0, 'model.tags': []}
    """
    found: dict[str, Any] = {}
    for name, value in params.items():
        for path, leaf in _leaves(value, name):
            free = path
            while free != name and (free in params or free in found):
                free += "'"
            found[free] = leaf
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    inside = members(value, path)
    if is_described(value):
        yield path, value["type"]
    elif not inside:
        yield path, value
    for place, item in inside:
        yield from _leaves(item, place)
