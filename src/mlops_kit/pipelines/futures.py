"""`StepFuture`: the result of a call that was submitted, before it is there."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future
from typing import Any, Generic, NoReturn, TypeVar

from mlops_kit.errors import NotYet

R = TypeVar("R")
_DEPTH = 20


class StepFuture(Generic[R]):
    """The result of a call of a step that was submitted.

    Passed to a step, also inside of lists, tuples, dicts and dataclasses, it stands for its result. Used as a value in
    any other way it raises `NotYet`.

    Parameters
    ----------
    name : str
        The step, as ``"module:qualname"``.
    future : concurrent.futures.Future
        What it waits for.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.step
    ... def double(x):
    ...     return 2 * x
    >>> double.submit(4).result()
    8
    """

    __slots__ = ("_future", "_read", "name")

    def __init__(self, name: str, future: Future[R]) -> None:
        self.name = name
        self._future = future
        self._read = False

    def result(self, timeout: float | None = None) -> R:
        """Return the value, or raise what the step raised, when it is there.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        object
            What the step returned.

        Raises
        ------
        TimeoutError
            It is not there yet.
        """
        value = self._future.exception(timeout)
        self._read = True
        if value is not None:
            raise value
        return self._future.result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the step raised, when it is over; None if it returned.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        BaseException or None
            The exception.
        """
        error = self._future.exception(timeout)
        self._read = True
        return error

    def done(self) -> bool:
        """Check whether the call is over.

        Returns
        -------
        bool
            True if it returned, failed or was cancelled.
        """
        return self._future.done()

    def cancel(self) -> bool:
        """Cancel the call if it has not begun.

        Returns
        -------
        bool
            Whether it was cancelled.
        """
        self._read = cancelled = self._future.cancel()
        return cancelled

    @property
    def unread_failure(self) -> BaseException | None:
        """What the step raised, if nobody asked for it; waits for the end of the call."""
        return None if self._read or self._future.cancelled() else self._future.exception()

    def _not_yet(self, *_: object) -> NoReturn:
        raise NotYet(
            f"This is a future of the step {self.name}, not its value: call .result() on it, or pass it to a step, "
            "which gets the value."
        )

    __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = _not_yet
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _not_yet
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _not_yet
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _not_yet
    __neg__ = __pos__ = __abs__ = __int__ = __float__ = __index__ = _not_yet
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        state = "done" if self._future.done() else "running" if self._future.running() else "waiting"
        return f"<future of {self.name}: {state}>"


def resolved(value: Any) -> Any:
    """Put results in the place of futures, also inside of lists, tuples, dicts and dataclasses; wait for them."""
    return _resolved(value, 0) if _holds_future(value, 0) else value


def _parts(value: Any) -> Any:
    kind = type(value)
    if kind in {list, tuple} or (isinstance(value, tuple) and hasattr(kind, "_fields")):
        return value
    if kind is dict:
        return value.values()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return ()


def _holds_future(value: Any, depth: int) -> bool:
    if isinstance(value, StepFuture):
        return True
    return depth < _DEPTH and any(_holds_future(part, depth + 1) for part in _parts(value))


def _resolved(value: Any, depth: int) -> Any:
    if isinstance(value, StepFuture):
        return value.result()
    kind = type(value)
    if depth < _DEPTH and kind in {list, tuple}:
        return kind(_resolved(part, depth + 1) for part in value)
    if depth < _DEPTH and kind is dict:
        return {key: _resolved(part, depth + 1) for key, part in value.items()}
    return _resolved_fields(value, depth) if depth < _DEPTH else value


def _resolved_fields(value: Any, depth: int) -> Any:
    """Put results in the fields of a named tuple or a dataclass."""
    if isinstance(value, tuple) and hasattr(type(value), "_fields"):
        return type(value)(*(_resolved(part, depth + 1) for part in value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: _resolved(getattr(value, name), depth + 1) for name in made})
    return value


def called(name: str, call: Any) -> StepFuture[Any]:
    """Call at once, and keep what is raised until it is asked for; an interrupt is raised at once."""
    future: Future[Any] = Future()
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's to ask for
        future.set_exception(error)
    return StepFuture(name, future)
