"""The run that is active here, as the floors below tracking may know it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


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


active_run: ContextVar[ActiveRun | None] = ContextVar("mlops_kit_active_run", default=None)
