"""The pipeline that runs here, as far as a step must know it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol


class Runner(Protocol):
    """What runs the calls of steps, or finds their results."""

    def call(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call or reuse its result."""
        ...

    async def call_async(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call of an async function or reuse its result."""
        ...

    def submit(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call or reuse its result, here or where the pipeline was put, and return a future."""
        ...


runner: ContextVar[Runner | None] = ContextVar("mlops_kit_pipeline", default=None)
