"""A check of one table against a reference, once: every column compared in a single step, nothing kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops_kit.measures.profile import profile_table
from mlops_kit.monitoring import signals
from mlops_kit.monitoring.alerts import Policy, advance
from mlops_kit.monitoring.baseline import contexts
from mlops_kit.monitoring.drift import compare
from mlops_kit.monitoring.inputs import feature_report, shape_of
from mlops_kit.monitoring.judge import Performance
from mlops_kit.monitoring.labels import LabelCounts
from mlops_kit.monitoring.rows import escaped, firsts_of, moments_of, table_of, unescaped, values_of
from mlops_kit.monitoring.segments import AT, LABEL, PREDICTION
from mlops_kit.monitoring.telling import told
from mlops_kit.monitoring.versions import UNNAMED, Version, estimated
from mlops_kit.monitoring.watch import (
    Context,
    Watch,
    answered,
    broken_columns,
    groups,
    hold,
    named,
    see_labels,
)
from mlops_kit.records.monitor import FeatureReport, MonitorRecord
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import QualityResult

_SEED = 20_260_501


def check_once(data: Any, context: Context, performance: Performance | None, now: datetime) -> MonitorRecord:
    """Hold a table against a reference.

    Parameters
    ----------
    data : table
        Features, and perhaps the columns with predictions and the truth.
    context : Context
        What it is held against, and how.
    performance : Performance or None
        The losses of the reference.
    now : datetime
        The time of the check.

    Returns
    -------
    MonitorRecord
        The report. Losses are taken in a random order, since a table may be sorted by its values; rules need no second
        window.
    """
    context = replace(context, policy=Policy(looks=(1, 1)))
    settings, baseline = context.settings, context.baseline
    table = table_of(data, [unescaped(name) for name in baseline.features])
    total = table.num_rows
    if settings.groups in table.column_names:
        table = table.take(firsts_of(table.column(settings.groups)))
    own = {PREDICTION: settings.prediction, LABEL: baseline.target}
    there = {kept: values_of(table.column(name)) for kept, name in own.items() if name in table.column_names}
    features = table.drop_columns(
        [name for name in own.values() if name in table.column_names and name not in baseline.features]
    )
    features = baseline.view.of(escaped(features))
    watch = Watch(versions={UNNAMED: Version(performance=performance)})
    reports: list[FeatureReport] = []
    if table.num_rows:
        watch, reports = _seen(features, there, context, watch.versions[UNNAMED], now)
    if len(there) == len(own):
        rows = _judged(features, there, settings.segments, now)
        watch, _ = see_labels(watch, rows, context, now)
        watch = replace(watch, labels=watch.labels + LabelCounts(joined=len(rows)))
    return told(replace(watch, passed=total - table.num_rows), context, now, features=reports)


def _seen(
    features: pa.Table, there: dict[str, Any], context: Context, version: Version, now: datetime
) -> tuple[Watch, list[FeatureReport]]:
    """Compare columns, and hold the table against the rules."""
    baseline, least = context.baseline, context.settings.min_effect
    every = features
    for kept, values in there.items():
        every = every.append_column(kept, values)
    current = profile_table(every, like=baseline.profile)
    plain = features.drop_columns([name for name in baseline.view.parts if name in features.column_names])
    quality = hold(plain, context.rules, now)
    if PREDICTION in there:
        quality = replace(quality, results=(*quality.results, *answered(every, baseline.profile)))
    elif context.settings.prediction is not None:
        told_of = f"there is no column {context.settings.prediction!r}, which prediction= names"
        lost = QualityResult("schema", "prediction", passed=False, value=None, limit=None, message=told_of)
        quality = replace(quality, results=(*quality.results, lost))
    reports = []
    for name, kind, profile, columns, holes, alpha in groups(baseline, context.settings):
        place = name.removeprefix(kind).strip()
        mine = _of_context(every, place, profile, context) if place else current
        verdicts = compare(profile, mine, alpha=alpha, min_effect=least, columns=tuple(columns), missing=tuple(holes))
        before, after = profile.by_name, mine.by_name
        for verdict in verdicts:
            column = after.get(verdict.column)
            shape = None if column is None or verdict.kind == "missing" else shape_of(before[verdict.column], column)
            missing = None if column is None or not column.rows else column.null_share
            reports.append(named(feature_report(verdict, kind, since=None, missing=missing, shape=shape), place))
    found = list(signals.of_quality(quality, broken_columns(features, baseline), context.policy.looks))
    rows = every.append_column(AT, moments_of(now, every.num_rows, now))
    version, more, estimates = estimated(
        rows, version, UNNAMED, baseline.estimator, context.settings.window, context.policy.looks, at_once=True
    )
    found += [*more, *signals.of_features(reports)]
    alerts, _ = advance({}, found, now, context.policy)
    watch = Watch(
        rows=every.num_rows,
        logged=every.num_rows,
        versions={UNNAMED: replace(version, logged=every.num_rows if PREDICTION in there else 0)},
        estimates=tuple(estimates),
        quality=tuple(signals.failed(quality)),
        alerts=alerts,
        last=now,
    )
    return watch, reports


def _of_context(table: pa.Table, place: str, profile: TableProfile, context: Context) -> TableProfile:
    rows = contexts(table, context.settings.matched_on).get(place, np.empty(0, np.int64))
    return profile_table(table.take(rows), like=profile)


def _judged(features: pa.Table, there: dict[str, Any], segments: tuple[str, ...], now: datetime) -> pd.DataFrame:
    """Give the rows whose truth is known, in a random order."""
    rows = pd.DataFrame(
        {"prediction": there[PREDICTION].to_pandas(), "label": there[LABEL].to_pandas(), "at": pd.Timestamp(now)}
    )
    for column in segments:
        if column in features.column_names:
            rows[column] = features.column(column).to_pandas()
    order = np.random.default_rng([_SEED, len(rows)]).permutation(len(rows))
    return rows.iloc[order].dropna(subset=["prediction", "label"]).reset_index(drop=True)
