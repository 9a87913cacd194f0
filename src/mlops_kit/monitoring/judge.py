"""Performance by what came true: losses into the tests for harm, metrics window by window."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops_kit.masking import excerpt, quoted
from mlops_kit.measures.metrics import measure, measure_together, metric
from mlops_kit.measures.predicted import Predicted
from mlops_kit.monitoring.ending import ENOUGH, Run
from mlops_kit.monitoring.performance import RARE_STEP, Harm, Summary
from mlops_kit.monitoring.task import Task, Unpaired
from mlops_kit.records.monitor import LossReport, Window

Judged = pd.DataFrame
"""Rows whose truth is known: ``prediction``, ``label``, ``at``, and the columns of the segments."""

KEPT_WINDOWS = 200
_MOST_VALUES = 20
_PORTION = 250
_LATEST = 500
_MOST_DAYS = 400
_MOST_DATES = 40
_METRICS = {
    "binary": ("accuracy", "recall", "precision", "f1"),
    "multiclass": ("accuracy", "f1", "balanced_accuracy"),
    "regression": ("mae", "rmse", "r2"),
    "ranking": (),
}
_SCORE_METRICS = ("roc_auc", "average_precision", "log_loss", "brier", "calibration_error")


@dataclass(frozen=True, slots=True)
class Performance:
    """Everything that is known of the performance of a model so far.

    Parameters
    ----------
    task : Task
        What its predictions are.
    harms : dict of str to Harm
        The tests, by stream; a stream of a segment is ``"error, region=north"``.
    references : dict of str to float
        The mean loss on the reference, by stream.
    windows : tuple of dict
        The metrics of complete windows, oldest first.
    open : DataFrame
        The rows of the window that is not complete.
    moments : dict of str to list
        For each stream up to which number of losses the first was at which moment, so that an onset can be dated.
    usual : dict of str to list
        For each metric its value on the reference, and the ends of what is usual there.
    parts : tuple of (str, str)
        The columns and values of the segments.
    found : dict of str to list
        For each stream that became worse its evidence, the moment since which and the mean loss since then, as they
        were when the evidence was strongest: a rise that ended long ago keeps its date.

    failures : dict of str to str
        For each metric of the user's that failed in the last window, how.
    latest : dict of str to list
        For each stream the last losses, at most 500.
    runs : dict of str to Run
        For each stream the test that runs, and the end of the alarm before it.
    labelled : dict of str to int
        By day of prediction, how many rows were judged.
    options : dict
        The tolerance, and whether labels are judged by days.
    unpaired : dict of str to list
        For each stream of a ranking the target and score of rows that have no partner yet.
    flashes : tuple of LossReport
        The alarms that came and ended among the rows that were judged last.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def rows(n, wrong):
    ...     label = rng.integers(0, 2, n)
    ...     prediction = np.where(rng.random(n) < wrong, 1 - label, label)
    ...     return pd.DataFrame({"prediction": prediction, "label": label, "at": pd.Timestamp("2026-05-01", tz="UTC")})
    >>> begun = Performance.begin(Task("binary", (0, 1)), rows(5000, 0.1), share=0.02)
    >>> after = begun.after(rows(4000, 0.2), window=500)
    >>> [report.name for report in after.reports() if report.harmed]
    ['error', 'misses', 'false alarms']
    >>> len(after.windows), after.windows[0]["metrics"]["accuracy"][0] < 0.9
    (8, True)
    """

    task: Task
    harms: dict[str, Harm]
    references: dict[str, float]
    windows: tuple[dict[str, Any], ...] = ()
    open: Judged = field(default_factory=pd.DataFrame)
    moments: dict[str, list[list[Any]]] = field(default_factory=dict)
    usual: dict[str, list[float | None]] = field(default_factory=dict)
    parts: tuple[tuple[str, str], ...] = ()
    found: dict[str, list[Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    latest: dict[str, list[float]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    labelled: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    unpaired: dict[str, Unpaired] = field(default_factory=dict)
    flashes: tuple[LossReport, ...] = field(default=(), compare=False)

    @classmethod
    def begin(
        cls,
        task: Task,
        reference: Judged,
        *,
        share: float,
        segments: Mapping[str, Sequence[str]] | None = None,
        tolerance: float | None = None,
        by_day: bool = False,
    ) -> Performance:
        """Begin with the losses of the reference.

        Parameters
        ----------
        task : Task
            What the predictions are.
        reference : DataFrame
            Rows whose truth is known; none if the reference holds no predictions.
        share : float
            What all tests together may spend of the probability of a false alarm.
        segments : mapping of str to sequence of str, optional
            The columns whose values are judged apart, and these values; see `frequent`.
        tolerance : float, optional
            By how much a mean loss may exceed that of the reference.
        by_day : bool
            Whether labels are judged in another order than that of the predictions.

        Returns
        -------
        Performance
            Half of the share goes to all rows together, the other half to the segments, if there are any.
        """
        steps = {stream.name: stream.step for stream in task.streams(np.array([]), np.array([]))}
        weights = task.weights(tuple(steps))
        if len(reference):
            reference = task.usable(reference).dropna(subset=["prediction", "label"])
        parts = [(column, value) for column, values in (segments or {}).items() for value in values]
        harms, references, runs = {}, {}, {}
        for part in [None, *parts]:
            rows = reference[_among(reference, part)]
            of_part = share if not parts else share / 2 if part is None else share / 2 / len(parts)
            streams = task.streams(rows["label"], rows["prediction"]) if len(rows) else ()
            summaries = {stream.name: Summary.of(stream.losses) for stream in streams}
            for name, step in steps.items():
                summary = summaries.get(name, Summary())
                whole = _stream_name(name, part)
                share_of = of_part * weights[name]
                allowed = None if tolerance is None else tolerance / task.unit
                runs[whole] = Run(summary, share_of, step)
                harms[whole] = runs[whole].begin(allowed, by_day=by_day)
                if summary.n:
                    references[whole] = summary.mean
        options = {"tolerance": None if tolerance is None else tolerance / task.unit, "by_day": by_day}
        return cls(task, harms, references, parts=tuple(parts), runs=runs, options=options)

    def after(
        self,
        rows: Judged,
        *,
        window: int,
        metrics: Sequence[Any] = (),
        predicted: Mapping[str, int] | None = None,
    ) -> Performance:
        """Go on with rows whose truth became known, in an order that does not depend on it.

        Parameters
        ----------
        rows : DataFrame
            ``prediction``, ``label``, ``at`` and the columns of the segments; nulls are left out.
        window : int
            Rows of a window.
        metrics : sequence
            What is measured beside the losses; by default what suits the task.
        predicted : mapping of str to int, optional
            By day how many predictions there were; without it no alarm ends by labels that come as they arrive.

        Returns
        -------
        Performance
            The tests and windows after these rows.
        """
        rows = self.task.usable(rows)
        rows = rows[rows["prediction"].notna() & rows["label"].notna()]
        if rows.empty:
            return self
        harms, moments, found = dict(self.harms), dict(self.moments), dict(self.found)
        latest, runs = dict(self.latest), dict(self.runs)
        flashes: list[LossReport] = []
        labelled = by_day(self.labelled, rows["at"])
        complete = functools.partial(_is_complete, labelled, predicted or {})
        unpaired = dict(self.unpaired)
        for name, losses, at in _split(self.task, rows, self.parts, unpaired):
            moments[name] = _thinned([*moments.get(name, []), *_dates(harms[name].current.n, at)])
            days = at.dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)
            for first in range(0, len(losses), _PORTION):  # what was worst is noted when it was, not at the end
                portion = slice(first, first + _PORTION)
                run = runs.get(name)
                if run is not None and run.ending is not None:
                    when = days[portion] if self.options["by_day"] else None
                    ending = run.ending.after(losses[portion], when, complete)
                    run = runs[name] = replace(run, ending=ending)
                    if ending.ended:
                        flashes.append(self._report(name, harms[name], found[name], latest.get(name, [])))
                        runs[name] = run.over(harms[name], found.pop(name))
                        harms[name] = runs[name].begin(self.options["tolerance"], by_day=self.options["by_day"])
                        moments[name] = _dates(0, at.iloc[first + _PORTION :])
                        continue
                harms[name] = harms[name].after(losses[portion], days[portion])
                if harms[name].crossed is not None and (name not in found or found[name][0] < harms[name].margin):
                    until = at.iloc[min(first + _PORTION, len(losses)) - 1].isoformat()
                    since = _since(harms[name], moments[name])
                    found[name] = [max(0.0, harms[name].margin), since, _number(harms[name].lately), until]
                if run is not None and run.ending is None and harms[name].crossed is not None:
                    day = int(days[portion].max()) if self.options["by_day"] else None
                    runs[name] = run.alarmed(harms[name], day)
            latest[name] = _last_losses(latest.get(name, []), losses)
        waiting = pd.concat([self.open, rows], ignore_index=True) if len(self.open) else rows.reset_index(drop=True)
        windows = list(self.windows)
        full = len(waiting) // window
        for number in range(full):
            part = waiting.iloc[number * window : (number + 1) * window]
            windows.append(measured(self.task, part, metrics, self.parts))
        kept = waiting.iloc[full * window :].reset_index(drop=True)
        failures = failures_of(waiting.iloc[max(0, full - 1) * window :], metrics)
        last = tuple(windows[-KEPT_WINDOWS:])
        return replace(
            self,
            harms=harms,
            windows=last,
            open=kept,
            moments=moments,
            found=found,
            failures=failures,
            latest=latest,
            runs=runs,
            labelled=labelled,
            unpaired=unpaired,
            flashes=tuple(flashes),
        )

    def begun(self, fraction: float = 1.0) -> Performance:
        """Return the tests before the first loss, with a part of what they may spend."""
        runs = {name: Run(run.reference, run.share * fraction, run.step) for name, run in self.runs.items()}
        tolerance, days = self.options.get("tolerance"), self.options.get("by_day", False)
        harms = {name: run.begin(tolerance, by_day=days) for name, run in runs.items()}
        known: Any = {"usual": self.usual, "parts": self.parts, "options": self.options}
        return Performance(self.task, harms, self.references, runs=runs, **known)

    def spending(self, fraction: float) -> Performance:
        """Return the tests as far as they have come, with a part of what they may spend."""
        runs = {name: replace(run, share=run.share * fraction) for name, run in self.runs.items()}
        harms = {name: replace(harm, share=harm.share * fraction) for name, harm in self.harms.items()}
        return replace(self, runs=runs, harms=harms)

    def reports(self) -> tuple[LossReport, ...]:
        """Tell how each stream stands, worst first; streams of segments without a row are left out."""
        made = []
        for name, harm in self.harms.items():
            if ", " in name and not harm.current.n and not self._before(name):
                continue
            made.append(self._report(name, harm, self.found.get(name), self.latest.get(name, [])))
        return tuple(sorted(made, key=lambda report: -report.evidence))

    def _before(self, name: str) -> int:
        """Count the losses of a stream that earlier runs of its test were on."""
        return self.runs[name].seen if name in self.runs else 0

    def _report(self, name: str, harm: Harm, found: list[Any] | None, last: list[float]) -> LossReport:
        margin, since, lately, *end = found or (harm.margin, None, None)
        past = self.runs[name].past if name in self.runs and found is None else None
        below = mean = None
        if past is not None:
            since, until, lately, mean, below = past
            end = [until]
        unit = self.task.unit_of(name)
        return LossReport(
            name=name,
            harmed=found is not None or harm.crossed is not None,
            evidence=_ratio(margin),
            reference=_times(unit, self.references.get(name)),
            current=_times(unit, harm.current.mean if harm.current.n else None),
            allowed=_times(unit, harm.allowed),
            n=harm.current.n + self._before(name),
            since=None if since is None else datetime.fromisoformat(since),
            lately=_times(unit, lately),
            until=datetime.fromisoformat(end[0]) if end else None,
            now=_times(unit, mean if past is not None else float(np.mean(last)) if last else None),
            below=_times(unit, below),
        )

    def plain(self) -> dict[str, Any]:
        """Give it as plain values."""
        at = [] if self.open.empty else [moment.isoformat() for moment in self.open["at"]]
        columns = {name: self.open[name].tolist() for name in self.open.columns if name != "at"}
        return {
            "task": self.task.plain(),
            "harms": {name: harm.plain() for name, harm in self.harms.items()},
            "references": self.references,
            "windows": list(self.windows),
            "open": {**columns, "at": at},
            "moments": self.moments,
            "usual": self.usual,
            "parts": [list(part) for part in self.parts],
            "found": self.found,
            "failures": self.failures,
            "latest": self.latest,
            "runs": {name: run.plain() for name, run in self.runs.items()},
            "labelled": self.labelled,
            "options": self.options,
            "unpaired": {name: [list(pair) for pair in pairs] for name, pairs in self.unpaired.items()},
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Performance:
        """Read what `plain` gave."""
        rows = pd.DataFrame({name: values for name, values in state["open"].items() if name != "at"})
        if len(state["open"]["at"]):
            rows["at"] = pd.to_datetime(state["open"]["at"], utc=True, format="ISO8601")
        harms = {name: Harm.of(harm) for name, harm in state["harms"].items()}
        task, windows = Task.of(state["task"]), tuple(state["windows"])
        known = (dict(state["references"]), windows, rows, dict(state["moments"]), dict(state["usual"]))
        parts = tuple((column, value) for column, value in state["parts"])
        later: Any = {
            name: dict(state.get(name, {})) for name in ("failures", "latest", "labelled", "options", "unpaired")
        }
        runs = {name: Run.of(run) for name, run in state.get("runs", {}).items()}
        return cls(task, harms, *known, parts, dict(state["found"]), runs=runs, **later)


def measured(
    task: Task, rows: Judged, metrics: Sequence[Any], segments: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Measure one window.

    Parameters
    ----------
    task : Task
        What the predictions are.
    rows : DataFrame
        The rows of the window.
    metrics : sequence
        Names of metrics, or functions of truth and prediction.
    segments : sequence of tuple of str
        Columns and their values that are measured apart.

    Returns
    -------
    dict
        ``start``, ``end``, ``rows`` and ``metrics``, in plain values.
    """
    found: dict[str, list[float | None]] = {}
    for part in (None, *segments):
        chosen = rows[_among(rows, part)]
        if part is not None and chosen.empty:
            continue
        for name, values in _measure(task, chosen, metrics).items():
            found[_stream_name(name, part)] = values
    return {
        "start": rows["at"].min().isoformat(),
        "end": rows["at"].max().isoformat(),
        "rows": len(rows),
        "metrics": found,
    }


def window_of(
    members: Mapping[str, Any], *, unusual: Sequence[str] = (), partial: bool = False, version: str = ""
) -> Window:
    """Show a window as users see it; `unusual` names the metrics that are worse than usual."""
    metrics = {name: (values[0], values[1], values[2]) for name, values in members["metrics"].items()}
    start, end = (datetime.fromisoformat(members[name]).astimezone(UTC) for name in ("start", "end"))
    return Window(start, end, members["rows"], metrics, tuple(unusual), partial, version or None)


def _measure(task: Task, rows: Judged, metrics: Sequence[Any]) -> dict[str, list[float | None]]:
    given = predicted(task, rows)
    chosen = tuple(metrics) or defaults(task)
    found: dict[str, list[float | None]] = {}
    together = iter(measure_together([metric(name) for name in chosen if not _is_own(name)], given))
    for name in chosen:
        if _is_own(name):
            found[_own_name(name)] = [_own(name, rows), None, None]
            continue
        one = next(together)
        found[one.metric] = [_number(one.value), _number(one.low), _number(one.high)]
    if task.cost is not None and len(rows):
        paid = task.paid(rows["label"], task.decided(rows["prediction"]))
        found["cost"] = [float(paid.mean()), None, None]
    return found


def defaults(task: Task) -> tuple[str, ...]:
    """Name what is measured of a task if nobody says."""
    if task.level is not None:
        return (f"quantile_loss({task.level:g})",)
    ranked = ("roc_auc",) if task.kind == "ranking" and not task.graded else ()
    return (*_METRICS[task.kind], *ranked, *(_SCORE_METRICS if task.scores else ()))


def metric_value(task: Task, rows: Judged, name: Any) -> tuple[str, float | None]:
    """Give the name of a metric and its value on rows, without an interval."""
    if name == "cost":
        return name, float(task.paid(rows["label"], task.decided(rows["prediction"])).mean()) if len(rows) else None
    if _is_own(name):
        return _own_name(name), _own(name, rows)
    one = measure(name, predicted(task, rows), confidence=None)
    return one.metric, _number(one.value)


def _is_own(name: object) -> TypeGuard[Callable[[Any, Any], Any]]:
    return callable(name) and not hasattr(name, "tasks")


def _own_name(metric: Any) -> str:
    return str(getattr(metric, "__name__", "custom"))


def predicted(task: Task, rows: Judged) -> Predicted:
    """Give rows to the metrics."""
    truth, told = rows["label"].to_numpy(), rows["prediction"].to_numpy()
    if task.kind == "regression":
        return Predicted.of(truth, told, task=task.kind)
    if task.kind == "ranking":
        margins = told.astype(float)
        if task.graded:
            return Predicted.of(truth, scores=margins, task="ranking")
        return Predicted.of(truth, scores=margins, task="binary", classes=list(task.classes))
    classes = list(task.classes) + sorted({*truth.tolist()} - {*task.classes}, key=str)
    labels = task.decided(told)
    classes += sorted({*np.asarray(labels).tolist()} - {*classes}, key=str)
    kind = task.kind if len(classes) == 2 or task.kind != "binary" else "multiclass"  # noqa: PLR2004 - a third class appeared
    scores = told.astype(float) if task.scores and kind == "binary" else None
    return Predicted.of(truth, labels, probabilities=scores, task=kind, classes=classes)


def _own(metric: Callable[[Any, Any], Any], rows: Judged) -> float | None:
    return _tried(metric, rows)[0]


def _tried(metric: Callable[[Any, Any], Any], rows: Judged) -> tuple[float | None, str | None]:
    """Return what a function of the user's gives, or how it fails."""
    try:
        value = metric(rows["label"].to_numpy(), rows["prediction"].to_numpy())
    except Exception as error:  # noqa: BLE001 - it may fail in any way, on a window that its author did not foresee
        return None, f"{type(error).__name__}: {excerpt(error)}"
    try:
        return _number(float(value)), None
    except (TypeError, ValueError):
        return None, f"it gave {quoted(value)}, which is no number"


def failures_of(rows: Judged, metrics: Sequence[Any]) -> dict[str, str]:
    """Return how the functions among the metrics fail on rows."""
    tried = {_own_name(metric): _tried(metric, rows)[1] for metric in metrics if _is_own(metric)}
    return {name: failure for name, failure in tried.items() if failure is not None}


def _times(unit: float, value: float | None) -> float | None:
    return None if value is None else unit * value


def by_day(before: Mapping[str, int], at: pd.Series[Any]) -> dict[str, int]:
    """Add up rows by day since 1970, of the last days only."""
    days = pd.to_datetime(at, utc=True).dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)
    found = dict(before)
    for day, rows in zip(*(values.tolist() for values in np.unique(days, return_counts=True)), strict=True):
        found[str(day)] = found.get(str(day), 0) + rows
    return {day: found[day] for day in sorted(found, key=int)[-_MOST_DAYS:]}


def _is_complete(labelled: Mapping[str, int], predicted: Mapping[str, int], day: int) -> bool:
    """Check whether nearly all predictions of a day are labelled, and there were later ones."""
    rows = predicted.get(str(day), 0)
    return rows > 0 and labelled.get(str(day), 0) >= ENOUGH * rows and day < max(map(int, predicted))


def _last_losses(before: list[float], losses: npt.NDArray[np.float64]) -> list[float]:
    return [*before, *losses[-_LATEST:].round(6).tolist()][-_LATEST:]


def _since(harm: Harm, moments: list[list[Any]]) -> str | None:
    """Tell when the predictions began whose losses are higher."""
    if harm.day is not None:
        return datetime.fromtimestamp(harm.day * 86_400, UTC).isoformat()
    return next((moment for n, moment in moments if n > harm.onset), None)


def _dates(before: int, at: pd.Series[Any]) -> list[list[Any]]:
    """Date losses that come after so many others, in at most so many parts: its end, and the moment of its first."""
    size = max(RARE_STEP, -(-len(at) // _MOST_DATES))
    starts = range(0, len(at), size)
    return [[before + min(start + size, len(at)), at.iloc[start].isoformat()] for start in starts]


def _thinned(dates: list[list[Any]]) -> list[list[Any]]:
    """Keep dates ever more rarely of long ago."""
    while len(dates) > KEPT_WINDOWS:
        half = len(dates) // 2
        dates = [*dates[1:half:2], *dates[half:]]
    return dates


def _split(
    task: Task, rows: Judged, parts: Sequence[tuple[str, str]], unpaired: dict[str, Unpaired]
) -> Iterator[tuple[str, npt.NDArray[np.float64], pd.Series[Any]]]:
    """Yield the losses of each stream, and when each of them was predicted; rows that wait are brought up to date."""
    at = pd.to_datetime(rows["at"], utc=True)
    streams = () if task.kind == "ranking" else task.streams(rows["label"], rows["prediction"])
    for part in (None, *parts):
        chosen = _among(rows, part)
        if task.kind == "ranking":  # both rows of a pair are of one segment
            name, mine = _stream_name(task.names()[0], part), rows[chosen]
            pairs, unpaired[name] = task.paired(mine["label"], mine["prediction"], unpaired.get(name, ()))
            if len(pairs.losses):
                yield name, pairs.losses, at[chosen][pairs.rows]
        for stream in streams:
            losses = stream.losses[chosen[stream.rows]]
            if len(losses):
                yield _stream_name(stream.name, part), losses, at[stream.rows & chosen]


def _among(rows: Judged, part: tuple[str, str] | None) -> npt.NDArray[np.bool_]:
    """Tell which rows belong to a segment; all do to none."""
    if part is None or part[0] not in rows:
        return np.full(len(rows), part is None)
    return np.asarray(_text(rows[part[0]]) == part[1], dtype=bool)


def frequent(column: pd.Series[Any] | None) -> tuple[str, ...]:
    """Give the most frequent values of a column, at most twenty, as segments are called by them.

    Examples
    --------
    >>> frequent(pd.Series(["north", "south", None, "north"]))
    ('north', 'south', 'missing')
    """
    if column is None:
        return ()
    return tuple(str(value) for value in _text(column).value_counts().index[:_MOST_VALUES])


def _text(column: pd.Series[Any]) -> pd.Series[str]:
    return column.map(lambda value: "missing" if value is None or value != value else str(value)).astype(object)  # noqa: PLR0124 - NaN


def _stream_name(name: str, part: tuple[str, str] | None) -> str:
    return name if part is None else f"{name}, {part[0]}={part[1]}"


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _ratio(margin: float) -> float:
    """Tell evidence as a share of its limit, on a logarithmic scale that ends at a million times the limit."""
    return float(math.exp(min(margin, math.log(1e6)))) if math.isfinite(margin) else 0.0
