"""One call of a step that runs: what it logs, reads and changes, as far as that belongs to its result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from mlops_kit.records.metrics import Point
from mlops_kit.records.step import Logged
from mlops_kit.store.observed import Observed, observing
from mlops_kit.tracking.metrics import grouped

_OUTSIDE = frozenset({"models", "monitors"})
"""Kinds of journals whose change is an act on the world, not a part of a result."""
_NOTHING = Logged()


class RunningCall:
    """A call that is under way.

    Attributes
    ----------
    at : datetime
        When it began.
    observed : Observed
        The movable names that it read, and the journals that it added to.
    changed_argument : str or None
        What it changed in place in another process.
    expires : datetime or None
        When a result that it took from another step is no longer fresh.
    """

    def __init__(self) -> None:
        self.at = datetime.now(UTC)
        self.began = time.perf_counter()
        self.expires: datetime | None = None
        self.changed_argument: str | None = None
        self._unrepeatable: list[str] = []
        self._is_apart = False
        self.forget()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.began

    def forget(self) -> None:
        """Forget what an attempt that failed has logged and read."""
        self.observed = Observed()
        self._points: list[Point] = []
        self._params: dict[str, Any] = {}
        self._tags: dict[str, str] = {}
        self._refs: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}, "artifacts": {}}

    def hear(self, kind: str, logged: Any) -> None:
        """Collect what was logged to the run."""
        if kind == "metrics":
            self._points.extend(logged)
        elif kind == "params":
            self._params.update([logged])
        elif kind == "tags":
            self._tags.update([logged])
        else:
            self._refs[kind].pop(logged.name, None)
            self._refs[kind][logged.name] = logged

    @property
    def logged(self) -> Logged:
        """What it has logged so far."""
        if not (self._points or self._params or self._tags or any(self._refs.values())):
            return _NOTHING
        return Logged(
            metrics=grouped(self._points),
            params=self._params,
            tags=self._tags,
            inputs=tuple(self._refs["inputs"].values()),
            outputs=tuple(self._refs["outputs"].values()),
            artifacts=tuple(self._refs["artifacts"].values()),
        )

    def cannot_be_repeated(self, why: str) -> None:
        """Note why the result of the call may not stand for another call."""
        self._unrepeatable.append(why)

    def ends_by(self, moment: datetime | None) -> None:
        """Note until when something in the result is fresh."""
        if moment is not None:
            self.expires = moment if self.expires is None else min(self.expires, moment)

    @property
    def changed_outside(self) -> str | None:
        """What it has changed that is no part of a result, as a reason not to reuse one; None if nothing."""
        changed = [place for place in self.observed.changes if place.partition("/")[0] in _OUTSIDE]
        return f"it changed {', '.join(changed)}, and what changes something is never reused" if changed else None

    @property
    def unrepeatable(self) -> str | None:
        """Why what it called may not stand for another call; None if it may."""
        return self._unrepeatable[0] if self._unrepeatable else None

    def absorb(self, logged: Logged) -> None:
        """Collect what a call inside of this one has logged, when it is over."""
        if logged is _NOTHING or self._is_apart:
            return
        self._points.extend((name, *point) for name, points in logged.metrics.items() for point in points)
        self._params.update(logged.params)
        self._tags.update(logged.tags)
        for kind in self._refs:
            for ref in getattr(logged, kind):
                self.hear(kind, ref)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count what happens in the block as part of this call, in place of what an earlier attempt has left."""
        self.forget()
        with self._innermost():
            yield
        outer = _innermost.get()
        if outer is not None:
            outer.absorb(self.logged)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Leave what is logged in the block to another run; what it depends on, the call around depends on too."""
        outer = _innermost.get()
        self._is_apart = True
        with self._innermost():
            yield
        if outer is not None:
            outer.ends_by(self.expires)
            for why in self._unrepeatable:
                outer.cannot_be_repeated(why)

    @contextmanager
    def _innermost(self) -> Iterator[None]:
        token = _innermost.set(self)
        try:
            with observing(self.observed):
                yield
        finally:
            _innermost.reset(token)


_innermost: ContextVar[RunningCall | None] = ContextVar("mlops_kit_step", default=None)


def running_call() -> RunningCall | None:
    """Return the innermost call of a step that is under way here."""
    return _innermost.get()


def hear(kind: str, logged: Any) -> None:
    """Collect for the innermost call what was logged to the run."""
    call = _innermost.get()
    if call is not None:
        call.hear(kind, logged)
