"""Conditions of a gate about metrics: thresholds, comparisons with a champion, calibration, parts of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import InvalidInput
from mlops_kit.registry import judgements, limits
from mlops_kit.registry.condition import Condition, stated

if TYPE_CHECKING:
    from mlops_kit.measures.metric import Metric


@stated
def at_least(
    metric: str | Metric | Callable[..., Any], value: float, *, confidence: float | None = None, on: str | None = None
) -> Condition:
    """Ask that a metric reaches a value.

    Parameters
    ----------
    metric : str, Metric or callable
        A name such as ``"accuracy"``, ``"auc"`` or ``"r2"``, a function of truth and prediction, or a scorer of
        scikit-learn; see `mlops_kit.measures.metrics` and `metric`.
    value : float
        The least it may be.
    confidence : float, optional
        Ask it of the lower end of the interval of this (two-sided) confidence, not of the value itself.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`.

    Raises
    ------
    InvalidInput
        There is no such metric, or it never has such a value.

    Examples
    --------
    >>> at_least("accuracy", 0.9, confidence=0.95)
    Condition(accuracy >= 0.9 with 95 % confidence)
    """
    return _of_metric(judgements.threshold(metric, value, at_least=True, confidence=confidence), on)


@stated
def at_most(
    metric: str | Metric | Callable[..., Any], value: float, *, confidence: float | None = None, on: str | None = None
) -> Condition:
    """Ask that a metric stays below a value.

    Parameters
    ----------
    metric : str, Metric or callable
        Such as ``"log_loss"``, ``"mae"`` or ``"calibration_error"``.
    value : float
        The most it may be.
    confidence : float, optional
        Ask it of the upper end of the interval of this (two-sided) confidence, not of the value itself.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`.

    Examples
    --------
    >>> at_most("mae", 2.5)
    Condition(mae <= 2.5)
    """
    return _of_metric(judgements.threshold(metric, value, at_least=False, confidence=confidence), on)


@stated
def better_than(
    alias: str,
    metric: str | Metric | Callable[..., Any],
    *,
    margin: float = 0.0,
    confidence: float = 0.95,
    absent: str | None = None,
    on: str | None = None,
) -> Condition:
    """Ask that the candidate is better than the model an alias points to, by a paired test on the same rows.

    Parameters
    ----------
    alias : str
        The alias, such as ``"champion"``.
    metric : str, Metric or callable
        By what.
    margin : float
        By how much it must be better, in the unit of the metric.
    confidence : float
        One-sided: a model that is not better passes in at most ``1 - confidence`` of all samples.
    absent : str, optional
        ``"pass"`` or ``"fail"``: what holds while the alias points nowhere. By default it passes, unless other
        aliases of the model point somewhere: then the name is taken for a slip and does not pass, except in a
        promotion to this very alias.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`. Accuracy, recall and specificity are tested by exact McNemar (with a margin, by
        Tango's score), all other metrics by a paired bootstrap.

    Examples
    --------
    >>> better_than("champion", "auc")
    Condition(roc_auc better than champion with 95 % confidence)
    """
    compared = judgements.comparison(alias, metric, margin, confidence, better=True)
    return _against(compared, alias, absent, on)


@stated
def not_worse_than(
    alias: str,
    metric: str | Metric | Callable[..., Any],
    *,
    margin: float,
    confidence: float = 0.95,
    absent: str | None = None,
    on: str | None = None,
) -> Condition:
    """Ask that the candidate is not worse than the model an alias points to by a margin or more.

    Parameters
    ----------
    alias : str
        The alias, such as ``"champion"``.
    metric : str, Metric or callable
        By what.
    margin : float
        The loss that would not matter, in the unit of the metric.
    confidence : float
        One-sided: a model that is worse by the margin passes in at most ``1 - confidence`` of all samples.
    absent : str, optional
        ``"pass"`` or ``"fail"``: what holds while the alias points nowhere. By default it passes, unless other
        aliases of the model point somewhere: then the name is taken for a slip and does not pass, except in a
        promotion to this very alias.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`.

    Examples
    --------
    >>> not_worse_than("champion", "recall", margin=0.02)
    Condition(recall not worse than champion by 0.02 with 95 % confidence)
    """
    compared = judgements.comparison(alias, metric, margin, confidence, better=False)
    return _against(compared, alias, absent, on)


@stated
def on_slices(column: str, condition: Condition, *, bins: int = 5, min_rows: int = 30) -> Condition:
    """Ask a condition of each part of the rows: by the values of a column, or ranges of its numbers.

    Parameters
    ----------
    column : str
        A column of the data; the model need not take it.
    condition : Condition
        One about a metric: `at_least`, `at_most`, `calibration`, `better_than` or `not_worse_than`.
    bins : int
        How many ranges of about equal size more than ten different numbers make.
    min_rows : int
        Parts with fewer rows are listed and not judged. If none has as many, the condition does not hold.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`. It holds if it holds in each part; for that, no correction for many tests is due.

    Raises
    ------
    InvalidInput
        The condition is not about a metric.

    Examples
    --------
    >>> on_slices("region", at_least("recall", 0.7))
    Condition(recall >= 0.7 in each part by region)
    """
    rows = getattr(condition, "rows", None)
    if not isinstance(rows, judgements.Rows):
        raise InvalidInput(f"{condition!r} is not about a metric, and cannot be asked of parts of the rows.")
    bins, min_rows = limits.count(bins, "bins"), limits.count(min_rows, "min_rows")
    sliced = judgements.sliced(limits.text(column, "column"), rows, bins, min_rows)
    made = _of_metric(sliced, condition.on)
    return replace(made, alias=condition.alias)


@stated
def calibration(max_error: float = 0.05, *, on: str | None = None) -> Condition:
    """Ask that probabilities mean what they say: the expected calibration error over ten bins stays below a value.

    Parameters
    ----------
    max_error : float
        The most that mean probability and share may differ, on average. Chance alone makes about 0.05 of 300 rows.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`; its evidence holds the table of bins.

    Examples
    --------
    >>> calibration()
    Condition(calibration_error <= 0.05)
    """
    return _of_metric(judgements.calibration(max_error), on)


def business_value(values: dict[tuple[Any, Any], float], *, name: str = "business_value") -> Metric:
    """Make a metric of what decisions bring; see `mlops_kit.measures.metrics.business_value`.

    Parameters
    ----------
    values : dict
        What a row brings, by its true and its predicted class; a cost is below 0, and a pair that is not there is 0.
        What names a class that neither the model nor the data knows does not hold.
    name : str
        What to call it.

    Returns
    -------
    Metric
        For `at_least`, `better_than` and the others.

    Raises
    ------
    InvalidInput
        There are no values, or one is no finite number by a pair of classes.

    Examples
    --------
    >>> at_least(business_value({("fraud", "fraud"): 90, ("ok", "fraud"): -10}, name="savings"), 2)
    Condition(savings >= 2)
    """
    from mlops_kit.measures import metrics  # noqa: PLC0415 - loads numpy

    return metrics.business_value(values, name=name)


def metric(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    greater_is_better: bool | None = None,
    needs: str = "labels",
) -> Metric:
    """Make a metric of a function, and say what its name does not; see `mlops_kit.measures.own_metrics.own_metric`.

    Parameters
    ----------
    function : callable
        Takes truth and prediction and returns a number; or a scorer of scikit-learn.
    name : str, optional
        What to call it; by default the name of the function.
    greater_is_better : bool, optional
        Which way is better; by default higher, unless the name says error, loss, deviance or cost.
    needs : str
        What it takes as prediction: ``"labels"``, ``"scores"`` or ``"probabilities"``.

    Returns
    -------
    Metric
        For `at_least`, `better_than` and the others.

    Raises
    ------
    InvalidInput
        It is no function.

    Examples
    --------
    >>> at_least(metric(lambda truth, told: (truth == told).mean(), name="hits"), 0.9)
    Condition(hits >= 0.9)
    """
    from mlops_kit.measures.own_metrics import own_metric  # noqa: PLC0415 - loads numpy

    return own_metric(function, name=name, greater_is_better=greater_is_better, needs=needs)


def _of_metric(rows: judgements.Rows, on: str | None) -> Condition:
    return Condition(rows.name, judgements.on_rows(rows, limits.data(on)), on, rows=rows)


def _against(rows: judgements.Rows, alias: str, absent: str | None, on: str | None) -> Condition:
    return replace(_of_metric(replace(rows, alias=alias, absent=limits.absent(absent)), on), alias=alias)
