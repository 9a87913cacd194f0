"""What is expected of data, and what a check of it found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from mlops_kit.errors import InvalidInput
from mlops_kit.records import codec

NO_SUCH_COLUMN = "there is no such column"
"""How the message of a rule begins whose column a table lacks."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that must hold of a table; made by the functions of `mlops_kit.expectations`.

    Parameters
    ----------
    kind : str
        ``"schema"``, ``"nulls"``, ``"range"``, ``"categories"``, ``"duplicates"``, ``"constant"``, ``"freshness"``,
        ``"volume"``, ``"silence"`` or ``"custom"``.
    column : str, optional
        The column it is about; None for the whole table.
    limits : dict
        What is allowed, in plain values; which keys there are depends on the kind.
    inferred : bool
        Whether it was inferred from a reference, not stated by a person; such a one warns and never alerts.
    function : callable, optional
        The function of a custom expectation. It is not recorded; `limits` keeps its name.

    Examples
    --------
    >>> rule = Expectation("range", "age", {"low": 0, "high": 130})
    >>> Expectation.from_members(rule.members()) == rule
    True
    """

    kind: str
    column: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    inferred: bool = False
    function: Callable[[Any], Any] | None = field(default=None, compare=False)

    def members(self) -> dict[str, Any]:
        """Give the plain members, for a record."""
        members = {"kind": self.kind, "limits": codec.plain(_kept(self.limits))}
        return (
            members
            | ({} if self.column is None else {"column": self.column})
            | ({"inferred": True} if self.inferred else {})
        )

    @classmethod
    def from_members(cls, members: dict[str, Any]) -> Expectation:
        """Read the members of a record."""
        limits = _read(codec.unplain(members["limits"]))
        return cls(members["kind"], members.get("column"), limits, inferred=bool(members.get("inferred")))


@dataclass(frozen=True, slots=True)
class QualityResult:
    """What became of one expectation.

    Parameters
    ----------
    kind : str
        The kind of the expectation.
    column : str or None
        The column it is about; None for the whole table.
    passed : bool or None
        None if there were too few rows to say.
    value : object
        What was found: a share, a number, the worst value, the names.
    limit : object
        What was allowed.
    failing : int
        How many rows fail it; 0 where it is not a matter of rows.
    rows : tuple of int
        The first of them, from 0; at most 10.
    message : str
        The same in words.
    inferred : bool
        Whether the expectation was inferred.
    """

    kind: str
    column: str | None
    passed: bool | None
    value: Any
    limit: Any
    failing: int = 0
    rows: tuple[int, ...] = ()
    message: str = ""
    inferred: bool = False

    def __str__(self) -> str:
        verdict = {True: "ok", False: "FAILED", None: "too few rows"}[self.passed]
        return f"{verdict:12}  {self.kind}{'' if self.column is None else f' of {self.column}'}: {self.message}"


@dataclass(frozen=True, repr=False, slots=True)
class QualityReport:
    """What a check of a table against expectations found.

    Parameters
    ----------
    rows : int
        How many rows were checked.
    results : tuple of QualityResult
        One for each expectation, in their order.

    Examples
    --------
    >>> QualityReport(3, (QualityResult("volume", None, True, 3, {"at_least": 1}, message="3 rows"),))
    QualityReport(ok: 3 rows, 1 expectation)
      ok            volume: 3 rows
    """

    rows: int
    results: tuple[QualityResult, ...]

    @property
    def passed(self) -> bool:
        """Whether no expectation failed."""
        return not self.problems

    @property
    def status(self) -> str:
        """Give the verdict.

        ``"alert"`` if a stated expectation failed, ``"warning"`` if only inferred ones did, ``"insufficient data"`` if
        none could be judged, else ``"ok"``.
        """
        if self.problems:
            return "warning" if all(result.inferred for result in self.problems) else "alert"
        judged = any(result.passed is not None for result in self.results)
        return "ok" if judged else "insufficient data"

    @property
    def problems(self) -> tuple[QualityResult, ...]:
        """The results that failed."""
        return tuple(result for result in self.results if result.passed is False)

    def raise_if_failed(self) -> None:
        """Raise if an expectation failed.

        Raises
        ------
        InvalidInput
            The message names every failure.
        """
        if self.problems:
            raise InvalidInput("The data is not as expected.\n  " + "\n  ".join(map(str, self.problems)))

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain values, fit for JSON."""
        members = ("kind", "column", "passed", "value", "limit", "failing", "rows", "message", "inferred")
        results = [{name: _shown(getattr(result, name)) for name in members} for result in self.results]
        return {"rows": self.rows, "passed": self.passed, "status": self.status, "results": results}

    def __repr__(self) -> str:
        number = len(self.results)
        failed = f", {len(self.problems)} failed" if self.problems else ""
        counts = f"{self.rows:,} rows, {number:,} expectation{'' if number == 1 else 's'}{failed}"
        head = f"QualityReport({self.status}: {counts})"
        shown = [str(result) for result in self.problems] or [str(result) for result in self.results[:_SHOWN]]
        more = [f"… and {number - _SHOWN} more in .results"] if not self.problems and number > _SHOWN else []
        return "\n  ".join([head, *shown, *more])


def _kept(value: Any) -> Any:
    """Return limits as a record keeps them: a decimal as its text, under a name of its own."""
    if isinstance(value, dict):
        return {name: _kept(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(item) for item in value]
    return {"decimal": str(value)} if isinstance(value, Decimal) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return Decimal(value["decimal"]) if value.keys() == {"decimal"} else {n: _read(v) for n, v in value.items()}
    return [_read(item) for item in value] if isinstance(value, list) else value


def _shown(value: Any) -> Any:
    """Return a value as JSON has it: moments and decimals as text, numbers that JSON lacks as text too."""
    if isinstance(value, dict):
        return {str(name): _shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(item) for item in value]
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


_SHOWN = 20
