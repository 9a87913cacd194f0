"""The run that is active here, as the floors below tracking may know it."""

from __future__ import annotations

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
    def metrics(self) -> dict[str, float]:
        """The last value of each metric logged so far."""
        ...

    @property
    def passed(self) -> tuple[Passed, ...]:
        """The data that the tracked function was called with, while it runs."""
        ...


active_run: ContextVar[ActiveRun | None] = ContextVar("mlops_kit_active_run", default=None)
