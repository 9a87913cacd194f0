"""The run that is active here, as the floors below tracking may know it."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Passed:
    """Data that a tracked function was called with.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        The data, which the function may have changed since.
    labels : iterable or None
        The labels of its columns as they were at the call; None if it has none.
    """

    name: str
    value: Any
    labels: Any = None


class ActiveRun(Protocol):
    """What a dataset or a model version asks of the run that made it."""

    @property
    def id(self) -> str:
        """The run's id."""
        ...

    @property
    def store_url(self) -> str:
        """The store it is recorded in."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether it has ended in this process."""
        ...

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric logged so far."""
        ...

    @property
    def passed(self) -> tuple[Passed, ...]:
        """The data that the tracked function was called with, while it runs."""
        ...


@dataclass(slots=True, eq=False)
class Activation:
    """A stretch of the program in which a run is the active one.

    Parameters
    ----------
    run : ActiveRun
        The run.
    outer : Activation or None
        The stretch around this one.
    ends_with_run : bool
        The stretch is over when the run is.
    is_block : bool
        It is a block or a call, which what begins inside belongs to.
    """

    run: ActiveRun
    outer: Activation | None
    ends_with_run: bool
    is_block: bool
    left: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing belongs to it any longer."""
        return self.left or (self.ends_with_run and self.run.is_over)


_innermost: ContextVar[Activation | None] = ContextVar("mlops_kit_active_run", default=None)
_opened: list[tuple[int, ActiveRun]] = []
"""The runs that were begun without a block, with the thread that began each, oldest first."""


def activate(run: ActiveRun, *, ends_with_run: bool = True) -> Activation:
    """Make a run the active one of a block until `deactivate`, or until it ends."""
    return _push(Activation(run, _around(), ends_with_run, is_block=True))


def activate_without_block(run: ActiveRun) -> Activation:
    """Make a run the active one until it ends: here, and where a thread of this process has none of its own."""
    _opened[:] = [(thread, one) for thread, one in _opened if not one.is_over]
    _opened.append((threading.get_ident(), run))
    return _push(Activation(run, _around(), ends_with_run=True, is_block=False))


def deactivate(activation: Activation) -> None:
    """End the stretch of a run; those around and inside, which may end in any order, are not touched."""
    activation.left = True
    if not activation.is_block:
        _opened[:] = [(thread, run) for thread, run in _opened if run is not activation.run]
    if _innermost.get() is activation:
        _innermost.set(_around())


def active_run() -> ActiveRun | None:
    """Return the run of the innermost stretch that is not over, or the last that this or the main thread opened."""
    around = _around()
    if around is not None:
        return around.run
    if not _opened:
        return None
    for thread in (threading.get_ident(), threading.main_thread().ident):
        for opener, run in reversed(_opened):
            if opener == thread and not run.is_over:
                return run
    return None


def active_block() -> ActiveRun | None:
    """Return the run of the innermost block or call that is not over."""
    around = _around()
    while around is not None and (around.is_over or not around.is_block):
        around = around.outer
    return None if around is None else around.run


def _push(activation: Activation) -> Activation:
    _innermost.set(activation)
    return activation


def _around() -> Activation | None:
    around = _innermost.get()
    while around is not None and around.is_over:
        around = around.outer
    return around
