"""What a monitor knows, told as a report: the verdict, and what limits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_kit.monitoring.alerts import FIRING, PENDING, Held
from mlops_kit.records.monitor import (
    ALERT,
    BLIND,
    INSUFFICIENT,
    OK,
    UNWATCHED,
    WARNING,
    Coverage,
    FeatureReport,
    MonitorRecord,
    RuleReport,
    VersionReport,
    Window,
)
from mlops_kit.views.values import plural

if TYPE_CHECKING:
    from mlops_kit.monitoring.judge import Performance
    from mlops_kit.monitoring.watch import Context, Watch

_DRIFT = "drift"

LEAST_ROWS = 100
"""Rows of the reference below which nothing is said to be in order."""
_NAMED, _LISTED = 5, 20
_SMALL = 1000
_CHANCE = 0.5
PICTURES = 12
"""Of how many columns the distributions are shown."""


def told(
    watch: Watch,
    context: Context,
    now: datetime,
    *,
    waiting: int = 0,
    features: Iterable[FeatureReport] | None = None,
) -> MonitorRecord:
    """Tell all that is known as a report.

    Parameters
    ----------
    watch : Watch
        What is known.
    context : Context
        What does not change.
    now : datetime
        When it is told.
    waiting : int
        Rows that wait for their window to be full.
    features : iterable of FeatureReport, optional
        How the columns stand; by default as the evidence for life says.

    Returns
    -------
    MonitorRecord
        The report.
    """
    from mlops_kit.monitoring.judge import measured, window_of  # noqa: PLC0415 - loads pandas and the metrics

    open_alerts = [held for held in watch.alerts.values() if held.state in {PENDING, FIRING} and not held.muted]
    performances = {name: one.performance for name, one in watch.versions.items() if one.performance is not None}
    losses = [report for name, one in watch.versions.items() for report in one.reports(name)]
    usual = next((one.usual for one in [watch.begun, *performances.values()] if one is not None), {})
    levels = {name: level for name, (level, _, _) in usual.items() if level is not None}
    bands = {name: (low, high) for name, (_, low, high) in usual.items() if low is not None and high is not None}
    windows: list[Window] = []
    for name, performance in performances.items():
        windows += [window_of(one, unusual=_unusual(one, bands), version=name) for one in performance.windows]
        if len(performance.open):
            rest = measured(performance.task, performance.open, context.measured(performance.task))
            windows.append(window_of(rest, partial=True, version=name))
    found = [*(_watched(watch, context) if features is None else features), *_unwatched(context)]
    shown = tuple(sorted(found, key=_worst_first))
    if context.baseline.estimator is not None:
        bands |= {name: (band.lower, band.upper) for name, band in context.baseline.estimator.bands.items()}
    return MonitorRecord(
        monitor=context.name,
        reference=context.baseline.told,
        epoch=context.epoch,
        at=now,
        status=_status(shown, open_alerts, context),
        rows=watch.rows,
        reference_rows=context.baseline.profile.rows,
        alpha=context.settings.spend(context.epoch),
        alerts=tuple(held.alert(context.name) for held in sorted(open_alerts, key=_urgency)),
        features=shown,
        quality=tuple(RuleReport(**rule) for rule in watch.quality),
        performance=tuple(sorted(losses, key=lambda report: -report.evidence)),
        windows=tuple(sorted(windows, key=lambda window: (window.partial, window.end))),
        estimate=tuple(
            window_of(one, unusual=_unusual(one, bands), version=one.get("version", "")) for one in watch.estimates
        ),
        bands=bands,
        levels=levels,
        joint=_joint(watch),
        coverage=Coverage(max(0, round(_logged(watch)) + waiting), **watch.labels.plain()),
        versions=tuple(_versions(watch)),
        notes=tuple(_notes(watch, shown, context, waiting, now)),
    )


def _logged(watch: Watch) -> float:
    return sum(one.logged for one in watch.versions.values())


def _versions(watch: Watch) -> Iterable[VersionReport]:
    """Return the versions that answered; rows that carry none are no version where there is no other."""
    for name, one in sorted(watch.versions.items(), key=lambda item: item[1].number):
        if name or len(watch.versions) > 1:
            yield VersionReport(name or "no version", one.number, round(one.logged), one.labelled, one.fraction)


def _worst_first(report: FeatureReport) -> tuple[bool, int, float, str]:
    healthy = report.status not in {ALERT, WARNING}
    last = healthy and ("(missing)" in report.name) + 2 * (report.status == UNWATCHED)
    return not report.drifted, last, -report.evidence, report.name


def _unusual(window: Mapping[str, Any], bands: Mapping[str, tuple[float, float]]) -> list[str]:
    from mlops_kit.monitoring.usual import worse  # noqa: PLC0415 - loads the metrics

    return [name for name, values in window["metrics"].items() if worse(name, values[0], bands.get(name))]


def _watched(watch: Watch, context: Context) -> list[FeatureReport]:
    from mlops_kit.monitoring.watch import reports  # noqa: PLC0415 - loads pandas, pyarrow and the statistics

    recent = context.settings.window
    return [
        report for name, one in watch.inputs.items() for report in reports(name, one, recent=recent, pictures=PICTURES)
    ]


def _status(features: Iterable[FeatureReport], alerts: list[Held], context: Context) -> str:
    firing = [held for held in alerts if held.state == FIRING]
    if any(held.severity == "alert" for held in firing):
        return ALERT
    if firing or any(feature.status == WARNING for feature in features):
        return WARNING
    seen = {feature.status for feature in features if feature.kind == _DRIFT} - {UNWATCHED}
    enough = context.baseline.profile.rows >= LEAST_ROWS and not seen <= {INSUFFICIENT}
    return OK if enough else INSUFFICIENT


def _notes(
    watch: Watch, features: Iterable[FeatureReport], context: Context, waiting: int, now: datetime
) -> Iterable[str]:
    yield from _notes_of_columns(watch, features, context)
    settings = context.settings
    if settings.groups is not None:
        yield (
            f"Of each value of groups={settings.groups!r} the first row is compared and judged, "
            f"{plural(watch.passed, 'further row')} not. That is sound where how often a value appears has nothing to "
            "do with what its rows hold."
        )
    if watch.latest is not None and now - watch.latest > timedelta(days=1):
        yield f"The last prediction was made on {watch.latest:%Y-%m-%d %H:%M}, {(now - watch.latest).days} days ago."
    yield from _notes_of_repeats(watch)
    if waiting:
        yield f"{waiting:,} rows wait until their window of {settings.window:,} is full."
    if watch.logged > watch.rows:
        told = f"{watch.logged:,.0f} predictions were sampled to {watch.rows:,} rows"
        yield f"{told}: the store was slower than they came."
    if skipped := _unmatched(watch):
        yield f"{skipped:,} rows have values of matched_on= that the reference has too seldom: they were not compared."
    if watch.estimates:
        yield f"Estimated metrics are {BLIND}."
    performances = [one.performance for one in watch.versions.values() if one.performance is not None]
    yield from dict.fromkeys(note for one in performances for note in _notes_of_performance(one))
    if any(not one.references for one in performances):
        whose = "the first ones of their version" if len(performances) > 1 else "the first ones logged"
        yield f"The reference holds no predictions with their truth, so losses are compared with {whose}."
    if performances and settings.maturity is None and watch.labels.joined < _logged(watch):
        yield "Predictions are judged when labels arrive, and early ones need not be like the rest; see maturity=."


def _notes_of_repeats(watch: Watch) -> Iterable[str]:
    if watch.labels.judged:
        yield (
            f"{plural(watch.labels.judged, 'label')} had been judged before a correction came: the evidence, metrics "
            "and alerts of then rest on what was known then."
        )
    if watch.repeated:
        again = plural(watch.repeated, "prediction")
        yield f"{again} came again under an id that was known: each id is judged and counted once."


def _notes_of_performance(performance: Performance) -> Iterable[str]:
    task, low = performance.task, performance.usual.get("roc_auc", [None])[0]
    if low is not None and low < _CHANCE and task.classes:
        yield (
            f"On the reference the scores rank worse than chance (ROC AUC {low:.3g}): they were taken for scores of "
            f"the class {task.classes[-1]!r}; if they are of another one, state it as positive=."
        )
    if task.kind == "ranking":
        yield "Predictions that are no probabilities are judged as a ranking, by pairs of rows; see task=."
    yield from (f"The metric {name} failed: {told}" for name, told in performance.failures.items())


def _notes_of_columns(watch: Watch, features: Iterable[FeatureReport], context: Context) -> Iterable[str]:
    baseline = context.baseline
    unsure = [feature.name for feature in features if feature.status == INSUFFICIENT]
    if watch.rows and unsure:
        named = ", ".join(unsure[:_NAMED]) + _and_more(unsure)
        yield f"Too few values to tell of {plural(len(unsure), 'column')}: {named}."
    if others := [f"{feature.name} ({feature.measure})" for feature in features if feature.status == UNWATCHED]:
        yield f"Not watched: {'; '.join(others[:_LISTED])}{_and_more(others, _LISTED)}."
    yield from baseline.view.notes
    if LEAST_ROWS <= baseline.profile.rows < _SMALL:
        yield f"The reference has {baseline.profile.rows:,} rows: insufficient data for small changes."
    if baseline.profile.rows < LEAST_ROWS:
        yield f"The reference has only {baseline.profile.rows} rows: too few to say that anything is in order."


def _unmatched(watch: Watch) -> int:
    """Count the rows that were compared in no context."""
    mine = [one for name, one in watch.inputs.items() if one.kind == _DRIFT and name != _DRIFT]
    return watch.rows - sum(one.seen for one in mine) if mine else 0


def _joint(watch: Watch) -> float | None:
    from mlops_kit.monitoring.drift import joint_evidence  # noqa: PLC0415 - loads the statistics

    found = [joint_evidence(one.plan, one.state) for one in watch.inputs.values() if one.kind == _DRIFT]
    return max((value for value in found if value is not None), default=None)


def _unwatched(context: Context) -> list[FeatureReport]:
    """Name the columns that are not compared, each with the reason in place of a measure."""
    from mlops_kit.monitoring.rows import unescaped  # noqa: PLC0415 - loads pandas and pyarrow

    reasons = dict.fromkeys(_unseen(context), "values of its kind are not compared") | context.baseline.view.unwatched
    reasons = {name: reason for name, reason in reasons.items() if name not in context.settings.matched_on}
    return [
        FeatureReport(unescaped(name), _DRIFT, UNWATCHED, 0.0, None, reason, 0, column=unescaped(name))
        for name, reason in reasons.items()
    ]


def _unseen(context: Context) -> list[str]:
    """Name the columns that are neither numbers nor categories, and of which no part is compared."""
    view, profile = context.baseline.view, context.baseline.profile.by_name
    return [
        name
        for name in context.baseline.features
        if profile[name].kind not in {"number", "category"} and name not in view.moments
    ]


def _and_more(names: list[str], shown: int = _NAMED) -> str:
    return f" and {len(names) - shown:,} more" if len(names) > shown else ""


def _urgency(held: Held) -> tuple[Any, ...]:
    return held.state != FIRING, held.muted, held.severity != "alert", -(held.evidence or 0), held.kind, held.subject
