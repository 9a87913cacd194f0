"""A check of one table against a reference, once: the same machine as for life, begun for it and thrown away."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from mlops_kit.monitoring.alerts import Policy
from mlops_kit.monitoring.epoch import first_watch
from mlops_kit.monitoring.reference import Reference
from mlops_kit.monitoring.rows import moments_of, table_of, values_of
from mlops_kit.monitoring.segments import AT, PREDICTION
from mlops_kit.monitoring.telling import told
from mlops_kit.monitoring.watch import Context, see_labels, see_window
from mlops_kit.records.monitor import MonitorRecord

_SEED = 20_260_501


def check_once(data: Any, reference: Reference, context: Context, now: datetime) -> MonitorRecord:
    """Hold a table against a reference.

    Parameters
    ----------
    data : table
        Features, and perhaps the columns with predictions and the truth.
    reference : Reference
        What it is held against.
    context : Context
        How.
    now : datetime
        The time of the check.

    Returns
    -------
    MonitorRecord
        The report. Rows are taken in a random order, since a table may be sorted by its values; rules need no second
        window.
    """
    table = table_of(data, context.baseline.features)
    context = replace(context, settings=replace(context.settings, alpha=context.settings.alpha * np.pi**2 / 6))
    order = np.random.default_rng([_SEED, table.num_rows]).permutation(table.num_rows)
    table = table.take(order)
    settings = context.settings
    features, prediction = table, None
    truth = table.column(context.baseline.target) if context.baseline.target in table.column_names else None
    if settings.prediction in table.column_names:
        prediction = values_of(table.column(settings.prediction))
    apart = [settings.prediction, context.baseline.target]
    own = [name for name in apart if name in table.column_names and name not in context.baseline.features]
    features = table.drop_columns(own)
    watch = first_watch(reference, context)
    rows = features.append_column(AT, moments_of(now, table.num_rows, now))
    if prediction is not None:
        rows = rows.append_column(PREDICTION, prediction)
    if table.num_rows:
        watch, _ = see_window(watch, rows, replace(context, policy=Policy(looks=(1, 1))), now)
    if prediction is not None and truth is not None:
        columns = {"prediction": prediction.to_pandas(), "label": values_of(truth).to_pandas(), "at": pd.Timestamp(now)}
        judged = pd.DataFrame(columns)
        for column in settings.segments:
            if column in features.column_names:
                judged[column] = features.column(column).to_pandas()
        judged = judged.dropna(subset=["prediction", "label"])
        watch, _ = see_labels(watch, judged, context, now)
        watch = replace(watch, labels=replace(watch.labels, joined=len(judged)))
    return told(watch, context, now)
