"""What is usual of a metric: its value on the reference, and between which values it lies on parts of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.metrics import metric
from mlops_kit.monitoring.estimate import Band
from mlops_kit.monitoring.judge import defaults, metric_value
from mlops_kit.monitoring.task import Task

_MOST_PARTS = 20

Usual = dict[str, list[float | None]]
"""For each metric its value, and the lower and upper end of what is usual; None where too little is known."""


def usual_of(task: Task, rows: pd.DataFrame, metrics: Sequence[Any], window: int) -> Usual:
    """Measure the reference as a whole, and in parts of the size of a window.

    Parameters
    ----------
    task : Task
        What the predictions are.
    rows : DataFrame
        The reference: ``prediction`` and ``label``.
    metrics : sequence
        Names, or functions of truth and prediction.
    window : int
        Rows of a window.

    Returns
    -------
    dict of str to list
        By name. The band is the mean of the parts less and plus three standard deviations, as for estimates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> label = rng.integers(0, 2, 5000)
    >>> rows = pd.DataFrame({"label": label, "prediction": np.where(rng.random(5000) < 0.1, 1 - label, label)})
    >>> value, low, high = usual_of(Task("binary", (0, 1)), rows, ["accuracy"], 500)["accuracy"]
    >>> round(value, 1), 0.84 < low < value < high < 0.96
    (0.9, True)
    """
    count = len(rows) // window
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_PARTS)).round().astype(int)) if count else ()
    parts = [rows.iloc[part * window : (part + 1) * window] for part in chosen]
    made: Usual = {}
    for one in metrics:
        name, value = metric_value(task, rows, one)
        if value is None:
            continue
        found = [metric_value(task, part, one)[1] for part in parts]
        known = None if name == "cost" or not isinstance(one, str) else _known(one)
        bounds = (-math.inf, math.inf) if known is None else known.bounds
        band = Band.over([part for part in found if part is not None], bounds=bounds)
        made[name] = [value, None, None] if band is None else [value, band.lower, band.upper]
    return made


def recorded_metrics(task: Task, recorded: Mapping[str, float]) -> tuple[str, ...]:
    """Name what the training measured and a monitor can measure again, beside what suits the task anyway.

    Examples
    --------
    >>> recorded_metrics(Task("regression"), {"mae": 1.0, "mape": 0.2, "epochs": 12.0, "auc": 0.9})
    ('mape',)
    """
    known = [one for name in recorded if (one := _known(name)) is not None and task.kind in one.tasks]
    return tuple(dict.fromkeys(one.name for one in known if one.name not in defaults(task)))


def recorded_levels(recorded: Mapping[str, float]) -> Usual:
    """Take from the record of a training what it measured, by the names that windows have."""
    finite = {name: value for name, value in recorded.items() if math.isfinite(value)}
    return {one.name: [value, None, None] for name, value in finite.items() if (one := _known(name)) is not None}


def worse(name: str, value: float | None, band: tuple[float, float] | None) -> bool:
    """Tell whether a metric is on the bad side of what is usual; of a function of the user's nobody knows which.

    Examples
    --------
    >>> worse("accuracy", 0.7, (0.8, 0.9)), worse("mae", 0.7, (0.8, 0.9)), worse("cost", 2.0, (0.5, 1.5))
    (True, False, True)
    """
    if value is None or band is None:
        return False
    known = _known(name)
    if known is None:
        return name == "cost" and value > band[1]
    return value < band[0] if known.greater_is_better else value > band[1]


def _known(name: str) -> Any:
    try:
        return metric(name)
    except InvalidInput:
        return None
