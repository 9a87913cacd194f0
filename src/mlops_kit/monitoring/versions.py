"""The versions of a model that answer: each is judged by its own predictions, with its own part of the budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.monitoring import signals
from mlops_kit.monitoring.alerts import Signal
from mlops_kit.monitoring.estimate import Estimator
from mlops_kit.monitoring.judge import KEPT_WINDOWS, Performance
from mlops_kit.monitoring.segments import AT, PREDICTION, VERSION
from mlops_kit.records import codec
from mlops_kit.records.monitor import LossReport

UNNAMED = ""
"""In place of a version: predictions that were logged without one."""


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of one version by its predictions.

    Parameters
    ----------
    number : int
        The order of its first row in the monitor, from 1; 0 for the only one of a check that keeps nothing.
    logged : float
        Predictions that its compared rows stand for.
    labelled : int
        How many of its predictions were judged.
    warm : tuple
        Its first predictions, where the reference holds none: a thousand of them become the reference.
    scores : tuple of (str, float or None)
        The moments and scores that wait until there are enough for an estimate.
    days : mapping of str to int
        By day since 1970, how many predictions there were, of the last days.
    performance : Performance or None
        How it performs; None before its first prediction with a label.
    """

    number: int = 0
    logged: float = 0.0
    labelled: int = 0
    warm: tuple[Any, ...] = ()
    scores: tuple[tuple[str, float | None], ...] = ()
    days: Mapping[str, int] = field(default_factory=dict)
    performance: Performance | None = None

    @property
    def fraction(self) -> float:
        """Its part of what is for predictions and performance, for life: 6/(π²v²), which sums to 1.

        Examples
        --------
        >>> round(sum(Version(number).fraction for number in range(1, 10_000)), 3)
        1.0
        """
        return 6 / (math.pi * self.number) ** 2 if self.number else 1.0

    def reports(self, name: str) -> tuple[LossReport, ...]:
        """Return how its losses stand, each named with the version."""
        made = () if self.performance is None else self.performance.reports()
        return tuple(loss_of(report, name) for report in made)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "number": self.number,
            "logged": self.logged,
            "labelled": self.labelled,
            "warm": [codec.plain(value) for value in self.warm],
            "scores": [list(one) for one in self.scores],
            "days": dict(self.days),
            "performance": None if self.performance is None else codec.plain(self.performance.plain()),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Version:
        """Read what `plain` wrote."""
        performance = state["performance"]
        return cls(
            number=state["number"],
            logged=state["logged"],
            labelled=state["labelled"],
            warm=tuple(codec.unplain(value) for value in state["warm"]),
            scores=tuple((at, score) for at, score in state["scores"]),
            days=dict(state["days"]),
            performance=None if performance is None else Performance.of(codec.unplain(performance)),
        )


def before_versions(state: Mapping[str, Any]) -> tuple[Performance | None, dict[str, Version]]:
    """Read a state of a release that told no versions apart: all that was logged is of the first.

    Returns
    -------
    Performance or None, and dict of str to Version
        The tests that a version begins with, and what is known of the first, which may spend the part of a first one.
    """
    known = state["performance"]
    performance = None if known is None else Performance.of(codec.unplain(known))
    begun = None if performance is None or not performance.runs else performance.begun()
    if "latest" not in state and not state["rows"]:
        return begun, {}
    first = Version(number=1)
    if performance is not None:
        performance = performance.spending(first.fraction)
    first = replace(
        first,
        logged=state["logged"],
        labelled=state["labels"]["joined"],
        warm=tuple(codec.unplain(value) for value in state["warm"]),
        days=dict(state.get("days", {})),
        performance=performance,
    )
    return begun, {UNNAMED: first}


def numbered(versions: Mapping[str, Version], firsts: Mapping[str, datetime]) -> dict[str, Version]:
    """Return all versions, those that are new numbered in the order of their first rows.

    Examples
    --------
    >>> made = numbered({"fraud:1": Version(1)}, {"fraud:3": datetime(2026, 5, 2), "fraud:2": datetime(2026, 5, 1)})
    >>> {name: version.number for name, version in made.items()}
    {'fraud:1': 1, 'fraud:2': 2, 'fraud:3': 3}
    """
    made = dict(versions)
    for _, name in sorted((at, name) for name, at in firsts.items() if name not in made):
        made[name] = Version(number=max((one.number for one in made.values()), default=0) + 1)
    return made


def by_version(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each version, those without one under an empty name."""
    if VERSION not in table.column_names:
        yield UNNAMED, table
        return
    given: Any = table.column(VERSION)
    column: Any = pc.fill_null(given, UNNAMED)
    for name in sorted(column.unique().to_pylist()):
        yield name, table.filter(pc.equal(column, name))


def loss_of(report: LossReport, version: str) -> LossReport:
    """Name the loss of a version by both."""
    return replace(report, name=f"{report.name}, {version}", version=version) if version else report


def trimmed(versions: Mapping[str, Version]) -> dict[str, Version]:
    """Keep the windows of metrics that are the latest of all versions."""
    ends = sorted(
        window["end"] for one in versions.values() if one.performance is not None for window in one.performance.windows
    )
    if len(ends) <= KEPT_WINDOWS:
        return dict(versions)
    first = ends[-KEPT_WINDOWS]
    return {name: _since(one, first) for name, one in versions.items()}


def _since(version: Version, first: str) -> Version:
    if version.performance is None:
        return version
    windows = tuple(window for window in version.performance.windows if window["end"] >= first)
    return replace(version, performance=replace(version.performance, windows=windows))


def logged_in_all(versions: Iterable[Version]) -> float:
    """Return how many predictions of all versions were compared."""
    return sum(one.logged for one in versions)


def _scores(table: pa.Table) -> list[float | None]:
    """Return the scores of a window, None for what is none."""
    column = table.column(PREDICTION)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return [None] * table.num_rows
    values = column.to_pandas().astype(float)
    return [score if 0 <= score <= 1 else None for score in values.tolist()]


def estimated(
    table: pa.Table,
    version: Version,
    name: str,
    estimator: Estimator | None,
    window: int,
    looks: tuple[int, int],
    *,
    at_once: bool = False,
) -> tuple[Version, list[Signal], list[dict[str, Any]]]:
    """Estimate the metrics of a version from its scores, where the reference allows; it warns as `signals` says.

    The bands are of windows, and metrics of fewer rows spread further: scores wait for their window, unless all are to
    be taken `at_once`.
    """
    if estimator is None or PREDICTION not in table.column_names:
        return version, [], []
    moments = table.column(AT).to_pandas()
    waiting = [*version.scores, *zip(moments.tolist(), _scores(table), strict=True)]
    size = max(1, len(waiting)) if at_once else window
    limits = {metric: band.lower for metric, band in estimator.bands.items()}
    found, made = list[Signal](), list[dict[str, Any]]()
    for start in range(0, len(waiting) - size + 1, size):
        part = waiting[start : start + size]
        scores = np.array([score for _, score in part if score is not None])
        if not len(scores):
            continue
        values = estimator.estimate(scores)
        if len(part) >= window:
            warned = estimator.warnings(values)
            found += signals.of_estimates(warned, values, limits, looks, version=name)
        metrics = {metric: [_finite(value), None, None] for metric, value in values.items()}
        ends = sorted(datetime.fromisoformat(_iso(at)).astimezone(UTC).isoformat() for at, _ in (part[0], part[-1]))
        named = {"version": name} if name else {}
        made.append({"start": ends[0], "end": ends[1], "rows": len(part), "metrics": metrics, **named})
    rest = () if at_once else tuple((_iso(at), score) for at, score in waiting[len(waiting) // size * size :])
    return replace(version, scores=rest), found, made


def _iso(moment: Any) -> str:
    return moment if isinstance(moment, str) else str(moment.isoformat())


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
