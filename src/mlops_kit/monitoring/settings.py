"""How a monitor was told to watch: what it keeps in its journal, so that another process goes on the same way."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.records.durations import Duration, seconds_of
from mlops_kit.records.quality import Expectation

MATTERS = 0.015
"""The smallest effect of a change of a distribution that alerts by default."""
LIFETIME, PER_WINDOWS = "lifetime", "per_windows"
WINDOWS_PROMISED = 100
"""In how many windows ``"per_windows"`` accepts one false alarm."""
TASKS = ("binary", "multiclass", "regression", "ranking", "quantile(0.9)")
"""What a monitor judges; of a quantile with any level."""
_TAKEN = {"id", "at", "prediction", "label", "label_at", "weight"}
_LEAST_WINDOW = 20
_QUANTILE = re.compile(r"quantile\((0?\.\d+)\)")
_QUANTILE_LOSS = re.compile(r"quantile_loss\((0?\.\d+)\)")
_LONGEST = 100 * 365.25 * 86_400


@dataclass(frozen=True, slots=True)
class Settings:
    """How a monitor watches.

    Parameters
    ----------
    prediction, target : str or None
        The columns of the reference, and of frames that are checked, with what was predicted and what was true.
    task : str or None
        ``"binary"``, ``"multiclass"``, ``"regression"``, ``"ranking"``, or ``"quantile(0.9)"`` with the level of the
        forecast; by default taken from the data.
    positive : text, number or bool, or None
        Of two classes the one that is looked for; by default the last in sorted order.
    metrics : tuple of str
        What is measured in each window.
    segments : tuple of str
        The columns whose values are judged apart.
    cost : tuple or None
        ``cost[actual][predicted]``.
    matched_on : tuple of str
        The columns whose values must be the same for rows to be compared.
    columns : tuple of str or None
        The columns that are watched; None for all.
    exclude : tuple of str
        Those that are not.
    moments : tuple of str
        Columns of moments whose hour and weekday are compared.
    maturity : float or None
        Seconds after which a prediction is judged; None for when its label arrives.
    tolerance : float or None
        By how much a mean loss may exceed that of the reference.
    alpha : float
        The probability of any false alert in the life of the monitor.
    budget : str or int
        ``"lifetime"``, or the number of windows in which one false alarm is accepted; ``"per_windows"`` is read as 100.
    window : int
        Rows of a window.
    min_effect : float
        The effect below which a change is no alert.
    retention : float or None
        Seconds after which what was logged is deleted.
    groups : str or None
        The column of whose values only one row each is compared.

    Examples
    --------
    >>> Settings.of(segments="region", maturity="30d").maturity
    2592000.0
    """

    prediction: str | None = None
    target: str | None = None
    task: str | None = None
    positive: Any = None
    metrics: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    cost: tuple[tuple[float, ...], ...] | None = None
    matched_on: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    maturity: float | None = None
    tolerance: float | None = None
    alpha: float = 0.05
    budget: str | int = LIFETIME
    window: int = 500
    min_effect: float = MATTERS
    retention: float | None = None
    groups: str | None = None

    @classmethod
    def of(  # noqa: PLR0913 - as of a monitor
        cls,
        *,
        metrics: Iterable[str] | str | None = None,
        segments: Iterable[str] | str = (),
        cost: Any = None,
        matched_on: Iterable[str] | str = (),
        columns: Iterable[str] | str | None = None,
        exclude: Iterable[str] | str = (),
        moments: Iterable[str] | str = (),
        maturity: Duration | None = None,
        retention: Duration | None = None,
        budget: str | int = LIFETIME,
        min_effect: float | None = None,
        positive: Any = None,
        groups: str | None = None,
        **others: Any,
    ) -> Settings:
        """Read what a user passed, and refuse what cannot mean anything.

        Raises
        ------
        InvalidInput
            The argument is named.
        """
        made = cls(
            metrics=_names("metrics", metrics or ()),
            segments=_names("segments", segments),
            matched_on=_names("matched_on", matched_on),
            columns=None if columns is None else _names("columns", columns),
            exclude=_names("exclude", exclude),
            moments=_names("moments", moments),
            cost=None if cost is None else _matrix(cost),
            maturity=None if maturity is None else _span("maturity", maturity),
            retention=None if retention is None else _span("retention", retention),
            budget=WINDOWS_PROMISED if budget == PER_WINDOWS else budget,
            positive=_class("positive", positive),
            groups=_column("groups", groups),
            min_effect=MATTERS if min_effect is None else min_effect,
            **others,
        )
        if made.columns is not None and (both := {*made.columns} & {*made.exclude}):
            raise InvalidInput(f"columns= and exclude= both name {quoted(sorted(both), 200)}.")
        made = replace(made, task=_task(made.task, made.metrics))
        if taken := _TAKEN & {*made.segments}:
            raise InvalidInput(
                f"segments= cannot name {sorted(taken)}: so is something of the log called. Rename them."
            )
        _check_number("alpha", made.alpha, 0, 1)
        _check_number("tolerance", made.tolerance, -math.inf, sys.float_info.max, closed=True)
        _check_number("min_effect", made.min_effect, -math.inf, 1, closed=True)
        if not _is_whole(made.window) or made.window < _LEAST_WINDOW:
            raise InvalidInput(f"window={made.window!r} is not a number of rows of at least {_LEAST_WINDOW}.")
        if made.budget != LIFETIME and not (_is_whole(made.budget) and int(made.budget) > 0):
            raise InvalidInput(
                f"budget={made.budget!r} is neither 'lifetime', 'per_windows', nor the number of windows in which one "
                "false alarm is accepted, such as 100."
            )
        if made.retention is not None and made.retention < (made.maturity or 0):
            raise InvalidInput(
                "retention= is shorter than maturity=: predictions would be deleted before they are judged."
            )
        return made

    def plain(self) -> dict[str, Any]:
        """Give them as plain values, without what is at its default."""
        default = Settings()
        members = {name: value for name, value in asdict(self).items() if value != getattr(default, name)}
        return {name: _listed(value) for name, value in members.items()}

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Settings:
        """Read what `plain` gave."""
        known = dict(members)
        for name in ("metrics", "segments", "matched_on", "exclude", "moments"):
            known[name] = tuple(known.get(name, ()))
        if known.get("columns") is not None:
            known["columns"] = tuple(known["columns"])
        if "cost" in known:
            known["cost"] = tuple(tuple(row) for row in known["cost"])
        return cls(**known)

    def spend(self, epoch: int) -> float:
        """Give the part of the budget that an epoch may spend: 6α / (π² k²), which sums to α over all of them.

        Examples
        --------
        >>> round(sum(Settings().spend(epoch) for epoch in range(1, 10_000)), 4)
        0.05
        """
        return 6 * self.alpha / (math.pi * epoch) ** 2


def level_of(task: str | None) -> float | None:
    """Return the level of a quantile forecast; None for another task.

    Examples
    --------
    >>> level_of("quantile(0.9)"), level_of("regression")
    (0.9, None)
    """
    found = None if task is None else _QUANTILE.fullmatch(task)
    return float(found[1]) or None if found else None


def _task(stated: Any, metrics: tuple[str, ...]) -> str | None:
    """Read the task; a forecast whose only quantile loss is named is one of that quantile."""
    levels = {found[1] for name in metrics if (found := _QUANTILE_LOSS.fullmatch(name))}
    if stated in (None, "quantile") and len(levels) == 1:
        stated = f"quantile({levels.pop()})"
    if stated == "quantile":
        raise InvalidInput(
            "task='quantile' does not state the level of the forecast: write it as task='quantile(0.9)'. Several "
            "quantiles of one target are watched by a monitor each."
        )
    known = stated is None or (isinstance(stated, str) and (stated in TASKS or level_of(stated) is not None))
    if not known:
        raise InvalidInput(f"task={quoted(stated, 100)} is none that a monitor knows: {', '.join(TASKS)}.")
    return None if stated is None else str(stated)


def _listed(value: Any) -> Any:
    """Give tuples as the lists that a record makes of them."""
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def metrics_of(given: Any) -> tuple[Any, ...]:
    """Read what is to be measured: names of metrics, and functions.

    Raises
    ------
    InvalidInput
        There is no such metric; the message lists those there are.
    """
    found = _several("metrics", given)
    for one in found:
        if isinstance(one, str):
            from mlops_kit.measures.metrics import metric  # noqa: PLC0415 - loads numpy

            metric(one)
        elif not callable(one) and not hasattr(one, "tasks"):
            raise InvalidInput(
                f"metrics={quoted(given, 200)}: {quoted(one, 100)} is neither the name of a metric nor a function."
            )
    names = [one if isinstance(one, str) else getattr(one, "name", getattr(one, "__name__", "custom")) for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(
            f"Several metrics have one name, so that one would take the place of the other: "
            f"{', '.join(map(repr, twice[:20]))}. Give each function a name of its own."
        )
    return found


def expectations_of(given: Any) -> tuple[Expectation, ...]:
    """Read the rules that a user stated.

    Raises
    ------
    InvalidInput
        One of them is none.
    """
    found = _several("expectations", given)
    for one in found:
        if not isinstance(one, Expectation):
            raise InvalidInput(
                f"{quoted(one, 200)} is no expectation: make one with mlops_kit.expectations, such as "
                "expectations.in_range('age', 18, 120) or expectations.custom(function)."
            )
    return found


def _several(what: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str | Expectation) or callable(given):
        return (given,)
    if given is not None and not isinstance(given, Iterable):
        raise InvalidInput(f"{what}={quoted(given, 200)} is no sequence.")
    return tuple(given or ())


def _names(what: str, given: Any) -> tuple[str, ...]:
    names = _several(what, given)
    if not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"{what}={quoted(given, 200)} is neither a name nor a sequence of names.")
    return names


def _column(what: str, given: Any) -> str | None:
    if given is not None and not isinstance(given, str):
        raise InvalidInput(f"{what}={quoted(given)} is not the name of a column.")
    return given


def _matrix(given: Any) -> tuple[tuple[float, ...], ...]:
    try:
        rows = tuple(tuple(float(value) for value in row) for row in given)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"cost={quoted(given, 200)} is not a matrix of numbers: {error}.") from error
    if not rows or {len(row) for row in rows} != {len(rows)} or not all(math.isfinite(x) for row in rows for x in row):
        raise InvalidInput(
            f"cost={quoted(given, 200)} is not a square matrix of finite numbers: give a row for each actual "
            "class, and in "
            "it a number for each predicted one, such as [[0, 5], [100, 0]]."
        )
    return rows


def _class(what: str, given: Any) -> Any:
    value = given.item() if type(given).__module__ == "numpy" and hasattr(given, "item") else given
    if value is not None and not isinstance(value, str | int | float):
        raise InvalidInput(f"{what}={quoted(given, 200)} is no class: give a text, a number or a bool.")
    return value


def _span(what: str, given: Duration) -> float:
    seconds = seconds_of(given)
    if seconds > _LONGEST:
        raise InvalidInput(f"{what}={given!r} is longer than a hundred years.")
    return seconds


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_number(name: str, value: Any, low: float, high: float, *, closed: bool = False) -> None:
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (low < value < high or (closed and 0 <= value <= high)) or (closed and value < 0):
        raise InvalidInput(f"{name}={value!r} is not a number between {max(low, 0):g} and {high:g}.")
