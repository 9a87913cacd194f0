"""What can be asked of the calls of a step, checked before anything runs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, TypeAlias

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.pipelines.source import Source
from mlops_kit.records.durations import seconds_of

RetryOn: TypeAlias = "type[BaseException] | tuple[type[BaseException], ...]"
Backoff: TypeAlias = "float | Callable[[int], float] | None"
Dependency: TypeAlias = "str | os.PathLike[str] | Source | Callable[..., object]"


@dataclass(frozen=True, slots=True)
class StepOptions:
    """The options of a step, as `mlops_kit.step` explains them."""

    cache: bool = True
    retries: int = 0
    retry_on: RetryOn = Exception
    backoff: Backoff = None
    timeout: float | None = None
    depends_on: tuple[Dependency, ...] = ()
    version: str | None = None
    ignore: tuple[str, ...] = ()
    fresh_for: float | None = None
    refresh: bool = False

    def changed(self, given: dict[str, Any]) -> StepOptions:
        """Return them with some changed, each checked.

        Raises
        ------
        InvalidInput
            There is no such option, or its value cannot mean anything.
        """
        names = [item.name for item in fields(self)]
        unknown = sorted(given.keys() - set(names))
        if unknown:
            raise InvalidInput(f"A step has no option {quoted(unknown[0])}. Options: {', '.join(names)}.")
        return replace(self, **{name: _CHECKS[name](value) for name, value in given.items()})

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after the attempt of this number, from 1, has failed."""
        if callable(self.backoff):
            return float(self.backoff(attempt))
        return 0.0 if self.backoff is None else float(self.backoff) * 2 ** (attempt - 1)


def _flag(name: str) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise InvalidInput(f"{name}={quoted(value)} is neither True nor False.")
        return value

    return check


def _retries(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidInput(f"retries={quoted(value)} is no number of retries: 0, 1, 2, ….")
    return value


def _retry_on(value: Any) -> RetryOn:
    kinds = value if isinstance(value, tuple) else (value,)
    if not kinds or not all(inspect.isclass(kind) and issubclass(kind, BaseException) for kind in kinds):
        raise InvalidInput(f"retry_on={quoted(value)} is neither a class of exceptions nor a tuple of such.")
    return kinds


def _backoff(value: Any) -> Backoff:
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]  # whatever it gives is read as seconds
    return seconds_of(value)


def _depends_on(value: Any) -> tuple[Dependency, ...]:
    found = (value,) if _is_dependency(value) else tuple(value) if isinstance(value, Iterable) else None
    if found is None or not all(map(_is_dependency, found)):
        raise InvalidInput(
            f"depends_on={quoted(value)} is no dependency: name files or folders, environment variables as '$NAME', "
            "sources, or functions of parameters of the step; several in a list."
        )
    return found


def _is_dependency(value: Any) -> bool:
    return isinstance(value, str | os.PathLike | Source) or callable(value)


def _version(value: object) -> str | None:
    if value is not None and (not isinstance(value, str | int) or isinstance(value, bool)):
        raise InvalidInput(f"version={quoted(value)} is neither text nor a number.")
    return None if value is None else str(value)


def _ignore(value: Any) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(isinstance(name, str) for name in found):
        raise InvalidInput(f"ignore={quoted(value)} is no list of names of parameters or of globals.")
    return tuple(sorted(set(found)))


def _span(name: str) -> Callable[[Any], float | None]:
    def check(value: Any) -> float | None:
        if value is None:
            return None
        seconds = value.total_seconds() if isinstance(value, timedelta) else seconds_of(value)
        if seconds <= 0:
            raise InvalidInput(f"{name}={quoted(value)} is no span of time above 0.")
        return seconds

    return check


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "cache": _flag("cache"),
    "retries": _retries,
    "retry_on": _retry_on,
    "backoff": _backoff,
    "timeout": _span("timeout"),
    "depends_on": _depends_on,
    "version": _version,
    "ignore": _ignore,
    "fresh_for": _span("fresh_for"),
    "refresh": _flag("refresh"),
}
