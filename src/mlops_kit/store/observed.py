"""What a block of code reads in stores by names that may move, and which journals it adds to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Observed:
    """What was read and changed.

    Parameters
    ----------
    reads : list of dict
        ``kind``, ``name`` (the spec), ``state`` (what it meant), ``store`` and ``as_of`` of each, as read.
    changes : list of str
        The journals that were added to, such as ``"models/fraud"``.
    """

    reads: list[dict[str, Any]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


_observers: ContextVar[tuple[Observed, ...]] = ContextVar("mlops_kit_observers", default=())


@contextmanager
def observing(observed: Observed) -> Iterator[None]:
    """Note in `observed`, beside those around, what the block reads and changes."""
    token = _observers.set((*_observers.get(), observed))
    try:
        yield
    finally:
        _observers.reset(token)


def note_read(kind: str, name: str, state: str | None, *, store: str, as_of: str | None = None) -> None:
    """Note that a name that may move was read; `state` is what it meant, None if nothing."""
    for observed in _observers.get():
        read = {"kind": kind, "name": name, "state": state, "store": store, "as_of": as_of}
        kept = {member: value for member, value in read.items() if value is not None}
        if kept not in observed.reads:
            observed.reads.append(kept)


def note_change(place: str) -> None:
    """Note that a journal was added to."""
    for observed in _observers.get():
        if place not in observed.changes:
            observed.changes.append(place)
