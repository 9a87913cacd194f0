"""The last run of the process, and of a function, also where decorators that copied its attributes stand above it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

_MARK = "__mlops_kit_runs__"


_newest: list[Any] = []


def set_newest_run(run: Any) -> None:
    """Remember the run that has begun or ended just now in this process."""
    _newest[:] = [run]


def newest_run() -> Any:
    """Return the run that began or ended last in this process, or None."""
    return _newest[0] if _newest else None


class Mark:
    """What a tracked function carries among its attributes; `functools.wraps` copies it with them.

    More references to it than before mean more copies: then those who hold it are looked for, once.
    """

    __slots__ = ("_copies", "_seen")

    def __init__(self) -> None:
        self._copies: list[dict[str, Any]] = []
        self._seen: int | None = None

    def settle(self) -> None:
        """Count the references while there is no copy."""
        self._seen = sys.getrefcount(self)

    def copies(self) -> list[dict[str, Any]]:
        """Return the attributes of all functions that carry this."""
        if sys.getrefcount(self) != self._seen:
            self._copies = [one for one in gc.get_referrers(self) if type(one) is dict and one.get(_MARK) is self]
            self._seen = sys.getrefcount(self)
        return self._copies

    def __reduce__(self) -> tuple[type[Mark], tuple[()]]:
        return Mark, ()


def set_first(tracked: Any) -> None:
    """Report of a function that it has had no run."""
    mark = Mark()
    tracked.last_run = None
    setattr(tracked, _MARK, mark)
    mark.settle()


def set_last_run(tracked: Callable[..., Any], run: Any) -> None:
    """Remember the last run of a function, on it and on what copied its attributes."""
    tracked.last_run = run  # type: ignore[attr-defined]  # functions take attributes
    mark = tracked.__dict__.get(_MARK)
    if isinstance(mark, Mark):
        for attributes in mark.copies():
            attributes["last_run"] = run
