"""Evidence of drift in what goes into a model and comes out of it, row by row, and pictures of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_kit.measures.profile import encode_table
from mlops_kit.monitoring.drift import judge
from mlops_kit.monitoring.effect import MATTERS
from mlops_kit.monitoring.evidence import Plan, State, advance, begin, steps_between, whole_steps
from mlops_kit.records.drift import DriftVerdict
from mlops_kit.records.monitor import FeatureReport, Shape
from mlops_kit.records.profile import ColumnProfile, TableProfile

Codes: TypeAlias = dict[str, npt.NDArray[np.uint16]]
Picture: TypeAlias = tuple[tuple[str, ...], npt.NDArray[np.uint8]]

BARS = 20
_RECENT = 10
_MOMENTS = 400
_MEASURE = "total variation"
_LATELY = 1000
_MOST_EVIDENCE = math.log(1e6)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of the distribution of some columns.

    Parameters
    ----------
    kind : str
        ``"drift"``, ``"prediction"`` or ``"labels"``: what an alert about it is.
    profile : TableProfile
        Of the reference.
    plan, state : Plan and State
        The test, and how far it has come.
    left : dict of str to array
        Codes of the rows that do not make a whole step yet.
    recent : tuple of dict
        For the last windows, how many values fell into each bar of each column.
    moments : tuple of (int, str)
        After how many rows it was when, ever more rarely of long ago.
    pictures : dict of str to tuple
        For each column the names of its bars, and into which of them each bin or level goes.

    Examples
    --------
    >>> from mlops_kit.measures.profile import profile_table
    >>> rng = np.random.default_rng(0)
    >>> reference = pa.table({"amount": rng.normal(size=5000), "age": rng.normal(size=5000)})
    >>> inputs = Inputs.begin("drift", profile_table(reference), monitor="doc", alpha=0.025)
    >>> shifted = pa.table({"amount": rng.normal(0.5, 1, 2000), "age": rng.normal(size=2000)})
    >>> after = inputs.after(shifted, datetime(2026, 5, 1))
    >>> [report.name for report in after.reports() if report.drifted]
    ['amount']
    """

    kind: str
    profile: TableProfile
    plan: Plan
    state: State
    left: Codes = field(default_factory=dict)
    recent: tuple[dict[str, list[int]], ...] = ()
    moments: tuple[tuple[int, str], ...] = ()
    pictures: dict[str, Picture] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def begin(
        cls,
        kind: str,
        profile: TableProfile,
        *,
        monitor: str,
        alpha: float,
        epoch: int = 1,
        columns: Sequence[str] | None = None,
        missing: Sequence[str] | None = None,
        windows_between: int | None = None,
        window: int = 500,
        min_effect: float = MATTERS,
    ) -> Inputs:
        """Begin before the first row.

        Parameters
        ----------
        kind, profile
            As of the class.
        monitor, alpha, epoch
            As of `Plan`; the seed of the draws is taken from the first and the last.
        columns, missing : sequence of str, optional
            Whose values are watched, and of which it is whether they are missing; by default all.
        windows_between : int, optional
            The number of windows in which one false alarm is accepted; None for a budget for life.
        window : int
            Rows of a window.
        min_effect : float
            The effect below which a change is no alert.

        Returns
        -------
        Inputs
            Ready for rows.
        """
        chosen = None if columns is None else tuple(columns)
        between = None if windows_between is None else steps_between(windows_between, window, profile)
        plan = Plan.of(
            profile,
            monitor=monitor,
            epoch=epoch,
            alpha=alpha,
            columns=chosen,
            missing=None if missing is None else tuple(missing),
            steps_between=between,
            min_effect=min_effect,
        )
        watched = {stream.column for stream in plan.streams}
        known = profile.by_name
        return cls(kind, profile, plan, begin(plan), pictures={name: _places(known[name]) for name in watched})

    def after(self, table: pa.Table, at: datetime) -> Inputs:
        """Go on with rows.

        Parameters
        ----------
        table : pyarrow.Table
            In an order that does not depend on their values.
        at : datetime
            When the last of them was.

        Returns
        -------
        Inputs
            What is known then; the last few rows wait for a whole step.
        """
        watched = {stream.column for stream in self.plan.streams}
        codes = {name: values for name, values in encode_table(table, self.profile).items() if name in watched}
        if not codes:
            return self
        bars = {name: _bars(values, self.pictures[name]) for name, values in codes.items()}
        if self.left:
            codes = {name: np.concatenate([self.left[name], codes[name]]) for name in codes.keys() & self.left.keys()}
        rows = len(next(iter(codes.values()), ()))
        whole = whole_steps(self.plan, self.state, rows)
        state = (
            advance(self.plan, self.state, {name: values[:whole] for name, values in codes.items()})
            if whole
            else self.state
        )
        moments = (*self.moments, (state.rows, at.isoformat()))
        if len(moments) > _MOMENTS:
            moments = (*moments[: _MOMENTS // 2 : 2], *moments[_MOMENTS // 2 :])
        left = {name: values[whole:] for name, values in codes.items()} if whole < rows else {}
        return replace(self, state=state, left=left, recent=(*self.recent, bars)[-_RECENT:], moments=moments)

    def reports(self, *, recent: int = _LATELY, pictures: int = 0, crossed: bool = False) -> tuple[FeatureReport, ...]:
        """Tell how each column stands, worst first.

        Parameters
        ----------
        recent : int
            Of how many of the last rows the effect is told beside.
        pictures : int
            For how many of the worst the distributions are given.
        crossed : bool
            Only those whose evidence ever reached its limit.

        Returns
        -------
        tuple of FeatureReport
            One for each stream: whether values are missing is one of its own.
        """
        if not self.plan.streams:
            return ()
        verdicts = judge(self.plan, self.state, recent=max(recent, _LATELY), crossed=crossed)
        return tuple(self._report(verdict, picture=place < pictures) for place, verdict in enumerate(verdicts))

    @property
    def rows(self) -> int:
        """How many rows are in the evidence."""
        return self.state.rows

    @property
    def seen(self) -> int:
        """How many rows there were, those that wait for a whole step included."""
        return self.rows + max((len(values) for values in self.left.values()), default=0)

    def plain(self, *, with_profile: bool = False) -> dict[str, Any]:
        """Give it as plain values; the profile only where it is not kept elsewhere."""
        made = {
            "kind": self.kind,
            "state": self.state.members(self.plan),
            "left": {name: values.tolist() for name, values in self.left.items()},
            "recent": list(self.recent),
            "moments": [list(point) for point in self.moments],
        }
        return {**made, "profile": self.profile.encode().decode()} if with_profile else made

    @classmethod
    def of(cls, members: Mapping[str, Any], begun: Inputs) -> Inputs:
        """Read what `plain` gave, for the same reference and settings as those of what had begun."""
        left = {name: np.array(values, np.uint16) for name, values in members["left"].items()}
        moments = tuple((int(rows), str(at)) for rows, at in members["moments"])
        state = State.from_members(begun.plan, members["state"])
        return replace(begun, state=state, left=left, recent=tuple(members["recent"]), moments=moments)

    def _report(self, verdict: DriftVerdict, *, picture: bool) -> FeatureReport:
        since = None if verdict.since is None else self._moment(verdict.since)
        shape = self._shape(verdict.column) if picture and verdict.kind != "missing" else None
        return feature_report(verdict, self.kind, since=since, missing=self._missing(verdict.column), shape=shape)

    def _moment(self, row: int) -> datetime | None:
        """Tell when a row was."""
        return next((datetime.fromisoformat(at) for rows, at in self.moments if rows > row), None)

    def _counts(self, column: str) -> npt.NDArray[np.int64]:
        counts = [window[column] for window in self.recent if column in window]
        return np.sum(counts, axis=0) if counts else np.zeros(0, np.int64)

    def _missing(self, column: str) -> float | None:
        windows = [window[column] for window in self.recent if column in window]
        rows = sum(map(sum, windows))
        return sum(window[-1] for window in windows) / rows if rows else None

    def _shape(self, column: str) -> Shape | None:
        labels, places = self.pictures[column]
        return _overlaid(
            labels, np.bincount(places, self.profile[column].counts, len(labels)), self._counts(column)[:-1]
        )


def feature_report(
    verdict: DriftVerdict, kind: str, *, since: datetime | None, missing: float | None, shape: Shape | None
) -> FeatureReport:
    """Tell a verdict as users see it."""
    return FeatureReport(
        name=verdict.name,
        kind=kind,
        status=verdict.status,
        evidence=math.exp(min(_MOST_EVIDENCE, verdict.evidence - verdict.limit)),
        effect=verdict.effect,
        measure=_MEASURE,
        n=verdict.n,
        since=since,
        missing=missing,
        shape=shape,
        column=verdict.column,
        lately=verdict.lately,
    )


def shape_of(reference: ColumnProfile, current: ColumnProfile) -> Shape | None:
    """Give the distributions of a column in two tables; None if one of them has no value of it."""
    if len(reference.counts) != len(current.counts) or not reference.counts:
        return None
    labels, places = _places(reference)
    before, now = (np.bincount(places, one.counts, len(labels)) for one in (reference, current))
    return _overlaid(labels, before, now)


def _overlaid(labels: tuple[str, ...], before: npt.NDArray[Any], now: npt.NDArray[Any]) -> Shape | None:
    if not before.sum() or not now.sum():
        return None
    if labels[-1] == "other" and not before[-1] and not now[-1]:
        labels, before, now = labels[:-1], before[:-1], now[:-1]
    return Shape(labels, *(tuple((values / values.sum()).round(5).tolist()) for values in (before, now)))


def _places(profile: ColumnProfile) -> Picture:
    """Say into which bar of a picture each bin or level goes, and what the bars are called."""
    size = len(profile.counts)
    if profile.grid is None:
        names = [*profile.levels, *[""] * (size - len(profile.levels))]
        order = np.argsort(-np.array(profile.counts), kind="stable")
        kept = [int(place) for place in order if names[place]][: BARS - 1]
        places = np.full(max(1, size), len(kept), np.uint8)
        places[kept] = np.arange(len(kept))
        return (*(names[place] for place in kept), "other"), places
    edges = np.array(profile.grid.edges)
    low, high = (profile.quantile(share) for share in (0.005, 0.995))
    if low is None or high is None or not high > low:
        low, high = float(edges[0]), float(edges[-1])
    middles = np.concatenate([[-np.inf], (edges[:-1] + edges[1:]) / 2, [np.inf]])
    bounds = np.linspace(low, high, BARS + 1)[1:-1]
    nothing = (high - low) / 1000  # zeros of a column lie in a bin of tiny numbers
    labels = [f"{0.0 if abs(value) < nothing else value:.3g}" for value in np.linspace(low, high, BARS + 1)[:-1]]
    return tuple(labels), np.searchsorted(bounds, middles)[:size].astype(np.uint8)


def _bars(codes: npt.NDArray[np.uint16], picture: Picture) -> list[int]:
    """Count the values of each bar, and last those that are missing."""
    labels, places = picture
    there = codes[codes < len(places)]
    counts = np.bincount(places[there], minlength=len(labels))
    return [*counts.tolist(), len(codes) - len(there)]
