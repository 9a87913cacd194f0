"""A metric on parts of the rows: by the values of a column, or by ranges of its numbers.

Imported only once predictions are at hand, so numpy and pandas may be imported at the top.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.formulas import confidences
from mlops_kit.measures.metric import Metric
from mlops_kit.measures.metrics import measure, metric
from mlops_kit.measures.predicted import Predicted
from mlops_kit.records.measurement import Slice

_FEW_VALUES = 10
_MOST_VALUES = 1000


def parts(values: Any, *, bins: int = 5) -> list[tuple[str, NDArray[np.bool_]]]:
    """Split rows by a column: by its values, or by quantiles if it holds more than ten different numbers.

    Parameters
    ----------
    values : array-like
        The column.
    bins : int
        How many ranges of about equal size numbers make.

    Returns
    -------
    list of (str, array of bool)
        A label and the rows of each part; every row is in one, missing values make a part of their own.

    Raises
    ------
    InvalidInput
        There are over a thousand different values that are no numbers.

    Examples
    --------
    >>> [(label, int(rows.sum())) for label, rows in parts(["a", "b", None, "a"])]
    [('a', 2), ('b', 1), ('missing', 1)]
    >>> [(label, int(rows.sum())) for label, rows in parts(range(100), bins=2)]
    [('[0, 50)', 50), ('[50, 99]', 50)]
    """
    column = pd.Series(values).reset_index(drop=True)
    missing = column.isna().to_numpy()
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    present = column[~missing]
    if numeric and present.nunique() > _FEW_VALUES:
        made = _ranges(column.to_numpy(dtype="float64", na_value=np.nan), bins)
    else:
        try:
            codes, uniques = pd.factorize(column)
        except TypeError as error:
            raise InvalidInput(f"The column cannot be split into parts by its values: {error}.") from error
        if len(uniques) > _MOST_VALUES:
            raise InvalidInput(
                f"The column has {len(uniques):,} different values: slices need at most {_MOST_VALUES:,}."
            )
        named = [(str(value), np.asarray(codes == code)) for code, value in enumerate(uniques)]
        made = sorted(named, key=lambda part: _order(part[0]))
    return [*made, ("missing", missing)] if missing.any() else made


def measure_slices(
    name: str | Metric,
    given: Predicted,
    values: Any,
    *,
    column: str = "column",
    bins: int = 5,
    confidence: float | None = 0.95,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """Measure a metric on each part of the rows.

    Parameters
    ----------
    name : str or Metric
        What.
    given : Predicted
        The predictions beside the truth.
    values : array-like
        The column that the rows are split by.
    column : str
        Its name.
    bins : int
        How many ranges of about equal size numbers make.
    confidence : float or None
        Of each interval, on its own; None for none.
    seed : int
        Of bootstraps.

    Returns
    -------
    tuple of Slice
        The worst first, then those without a value.

    Examples
    --------
    >>> given = Predicted.of([0, 1, 1, 0], [0, 1, 0, 0])
    >>> for part in measure_slices("accuracy", given, ["x", "x", "y", "y"], column="shop"):
    ...     print(part.column, part.label, part.measurement)
    shop y accuracy 0.5 [0.09453, 0.9055], n=2
    shop x accuracy 1 [0.3424, 1], n=2
    """
    split = parts(values, bins=bins)
    if split and len(split[0][1]) != given.n:
        raise InvalidInput(f"The column {column!r} has {len(split[0][1])} values for {given.n} rows.")
    made = [
        Slice(column, label, int(rows.sum()), measure(name, given.take(rows), confidence=confidence, seed=seed))
        for label, rows in split
    ]
    sign = 1.0 if metric(name).greater_is_better else -1.0
    return tuple(sorted(made, key=lambda part: (bool(np.isnan(part.measurement.value)), sign * part.measurement.value)))


def calibration_bins(given: Predicted, bins: int = 10) -> list[dict[str, float]]:
    """Tabulate what the calibration error averages: by range of probability, how often it was so.

    Parameters
    ----------
    given : Predicted
        Predictions with probabilities.
    bins : int
        Of equal width.

    Returns
    -------
    list of dict
        ``low``, ``high``, ``rows``, ``mean`` (the mean probability) and ``share`` (of rows where it was so) of each
        bin that has rows.

    Examples
    --------
    >>> for row in calibration_bins(Predicted.of([0, 1, 1], probabilities=[0.25, 0.25, 0.9]), bins=2):
    ...     print(row)
    {'low': 0.0, 'high': 0.5, 'rows': 2, 'mean': 0.25, 'share': 0.5}
    {'low': 0.5, 'high': 1.0, 'rows': 1, 'mean': 0.9, 'share': 1.0}
    """
    told, so = confidences(given)
    place = np.minimum((told * bins).astype(np.int64), bins - 1)
    made = []
    for number in np.unique(place).tolist():
        rows = place == number
        ends = {"low": number / bins, "high": (number + 1) / bins, "rows": int(rows.sum())}
        made.append({**ends, "mean": float(told[rows].mean()), "share": float(so[rows].mean())})
    return made


def _ranges(numbers: NDArray[np.float64], bins: int) -> list[tuple[str, NDArray[np.bool_]]]:
    present = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1), method="higher"))
    made = []
    for index, (low, high) in enumerate(pairwise(edges)):
        last = index == len(edges) - 2
        rows = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
        made.append((f"[{low:.6g}, {high:.6g}{']' if last else ')'}", np.asarray(rows)))
    return made


def _order(label: str) -> tuple[int, float, str]:
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
