"""The states of the random number generators a training may draw from, so that even an unseeded run can be rerun."""

from __future__ import annotations

import base64
import random
import struct
import sys
from typing import Any, TypeAlias

State: TypeAlias = tuple[Any, ...]


def rng_state() -> State:
    """Read the states of `random`, numpy's global generator and torch's, those that are loaded.

    Returns
    -------
    tuple
        Hashable; equal states are equal tuples.

    Examples
    --------
    >>> before = rng_state()
    >>> random.random() < 1.0, rng_state() == before
    (True, False)
    """
    numpy = sys.modules.get("numpy.random")
    torch = sys.modules.get("torch")
    return (
        _python_state(*random.getstate()),
        None if numpy is None else _numpy_state(numpy.get_state()),
        None if torch is None or not hasattr(torch, "get_rng_state") else bytes(torch.get_rng_state().numpy()),
    )


def rng_members(state: State) -> dict[str, Any]:
    """Write a state as the members of a record."""
    python, numpy, torch = state
    version, words, gauss = python
    members: dict[str, Any] = {"python": {"version": version, "words": _text(words), "gauss": gauss}}
    if numpy is not None:
        name, keys, position, has_gauss, cached = numpy
        members["numpy"] = {
            "generator": name,
            "words": _text(keys),
            "position": position,
            "has_gauss": has_gauss,
            "gauss": cached,
        }
    if torch is not None:
        members["torch"] = {"state": _text(torch)}
    return members


def _python_state(version: int, words: tuple[int, ...], gauss: float | None) -> State:
    return version, struct.pack(f"<{len(words)}I", *words), gauss


def _numpy_state(state: Any) -> State | None:
    if not isinstance(state, tuple):
        return None  # the user put another generator in the place of numpy's own
    name, keys, position, has_gauss, cached = state
    return str(name), keys.astype("<u4").tobytes(), int(position), int(has_gauss), float(cached)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
