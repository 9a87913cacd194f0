"""Metrics by the names the field uses, each with what it needs, which way is better, and its interval.

Classification, of two classes or more: accuracy, balanced_accuracy, precision, recall, specificity (two classes), f1,
mcc from labels; roc_auc (auc), average_precision (pr_auc) from scores; log_loss, brier, calibration_error (ece) from
probabilities. Of two classes, precision, recall and f1 are those of the positive one; of more, the mean over the
classes, which ``…_macro`` asks for in both cases. Regression: mae, mse, rmse, r2, mape, quantile_loss(q).

Nothing here raises because of what data is like: a value that is not defined on some rows is NaN, with the reason.

Imported only once predictions are at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_kit.errors import InvalidInput
from mlops_kit.measures import formulas, jackknife
from mlops_kit.measures.formulas import Formula
from mlops_kit.measures.intervals import PROPORTIONS, auc_interval, bootstrap_interval
from mlops_kit.measures.predicted import BINARY, MULTICLASS, REGRESSION, Floats, Predicted
from mlops_kit.records.measurement import Measurement

LABELS, SCORES, PROBABILITIES = "labels", "scores", "probabilities"
_CLASSIFICATION = (BINARY, MULTICLASS)

Rows = tuple[Floats, NDArray[np.bool_]]
"""What each row contributes to a mean, and which rows count."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that tells how good predictions are.

    Parameters
    ----------
    name : str
        Its name.
    tasks : tuple of str
        The tasks it is for.
    needs : str
        ``"labels"`` (of a regression, the predicted values), ``"scores"`` or ``"probabilities"``.
    greater_is_better : bool
        Which way is better.
    rows : callable, optional
        Gives what each row contributes and which rows count, if the metric is a mean over rows; None if it is none
        for the task at hand.
    formula : callable, optional
        Gives the formula of a metric that is no mean over rows.
    proportion : bool
        Whether each row contributes 0 or 1.
    biased : bool
        Whether chance pushes it to one side, and a bootstrap pushes as far again: its interval is then reflected.
    requires : str
        What the truth must hold for a value: ``""`` anything, ``"positive"`` a positive row (of more than two
        classes, two of them), ``"negative"`` a negative one, ``"classes"`` two classes, ``"spread"`` two different
        values, ``"nonzero"`` no 0, ``"predicted"`` a row predicted to be positive.
    named : tuple
        The classes that it names; without one of them there is no value.
    bounds : tuple of float
        The least and the greatest value it may have, of any data.

    Examples
    --------
    >>> metric("auc").name, metric("auc").greater_is_better, metric("auc").needs
    ('roc_auc', True, 'scores')
    >>> metric("accuracy").value(Predicted.of([0, 1, 1, 1], [0, 1, 1, 0]))
    0.75
    """

    name: str
    tasks: tuple[str, ...]
    needs: str
    greater_is_better: bool
    rows: Callable[[Predicted], Rows | None] | None = None
    formula: Callable[[Predicted], Formula] | None = None
    proportion: bool = False
    biased: bool = False
    requires: str = ""
    named: tuple[Any, ...] = ()
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def undefined(self, given: Predicted) -> str | None:
        """Tell in words why there is no value on these rows; None if there is one."""
        if given.task not in self.tasks:
            return f"{self.name} is for {' and '.join(self.tasks)} tasks, and this is a {given.task} one"
        if not given.n:
            return given.flaw
        lacking = given.labels is None if self.needs == LABELS else given.scores is None
        if lacking or (self.needs == PROBABILITIES and not given.calibrated):
            return f"{self.name} needs {self.needs}, and the model gave none"
        if (strange := next((label for label in self.named if label not in given.classes), None)) is not None:
            return f"{self.name} names the class {strange!r}, and there are {', '.join(map(repr, given.classes))}"
        return given.flaw or (_outside(given) if self.needs == PROBABILITIES else None) or _lacks(given, self.requires)

    def per_row(self, given: Predicted) -> Rows | None:
        """Give what each row contributes and which rows count; None for a metric that is no mean over rows."""
        return None if self.rows is None else self.rows(given)

    def on(self, given: Predicted) -> Formula:
        """Give the formula on these rows, where the metric is defined."""
        if (rows := self.per_row(given)) is not None:
            return formulas.mean(*rows)
        if self.formula is None:
            raise AssertionError("a metric has rows or a formula")
        return self.formula(given)

    def value(self, given: Predicted) -> float:
        """Compute it; NaN where it is not defined."""
        if self.undefined(given) is not None:
            return float("nan")
        weights = np.ones(given.n) if given.weights is None else given.weights
        return float(self.on(given)(weights[None, :])[0])

    def strata(self, given: Predicted) -> NDArray[np.int64] | None:
        """Tell how a bootstrap must be stratified so that each sample has what the truth must hold."""
        return given.truth if self.requires in {"positive", "negative", "classes"} else None


def measure(
    name: str | Metric,
    given: Predicted,
    *,
    confidence: float | None = 0.95,
    method: str = "wilson",
    seed: int = 0,
) -> Measurement:
    """Measure predictions by a metric, with its confidence interval.

    Parameters
    ----------
    name : str or Metric
        By what.
    given : Predicted
        The predictions beside the truth.
    confidence : float or None
        Of the two-sided interval; None for no interval.
    method : str
        For metrics that are proportions: ``"wilson"`` or ``"clopper-pearson"``. The area under the ROC of two
        classes has DeLong's interval; all else, and all that is weighted, a bootstrap of 2000 samples, or with over
        50,000 rows what that comes to; see `mlops_kit.measures.jackknife`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Measurement
        The value, or the reason why there is none.

    Raises
    ------
    InvalidInput
        There is no such metric or method.

    Examples
    --------
    >>> given = Predicted.of([0, 0, 1, 1], probabilities=[0.1, 0.6, 0.7, 0.9])
    >>> print(measure("accuracy", given))
    accuracy 0.75 [0.3006, 0.9544], n=4
    >>> print(measure("roc_auc", Predicted.of([1, 1], probabilities=[0.5, 0.9])))
    roc_auc undefined: all rows are of one class
    """
    chosen = metric(name)
    if method not in PROPORTIONS:
        raise InvalidInput(f"There is no interval {method!r} for a proportion. There are: {', '.join(PROPORTIONS)}.")
    if confidence is not None and not 0 < confidence < 1:
        raise InvalidInput(f"confidence={confidence!r} must be between 0 and 1.")
    if (why := chosen.undefined(given)) is not None:
        return Measurement(chosen.name, float("nan"), None, None, confidence or 0.0, given.n, undefined=why)
    counted = chosen.per_row(given)
    n = given.n if counted is None else int(counted[1].sum())
    value = chosen.value(given)
    if confidence is None:
        return Measurement(chosen.name, value, None, None, 0.0, n)
    ends, how = _interval(chosen, given, counted, confidence, method, seed)
    low, high = ends or (None, None)
    return Measurement(chosen.name, value, low, high, confidence, n, how if ends else "")


def _interval(
    chosen: Metric, given: Predicted, counted: Rows | None, confidence: float, method: str, seed: int
) -> tuple[tuple[float, float] | None, str]:
    if given.weights is None and chosen.proportion and counted is not None:
        hits, rows = counted
        return PROPORTIONS[method](float(hits[rows].sum()), float(rows.sum()), confidence), method
    strata = chosen.strata(given)
    if given.weights is None and chosen.name == "roc_auc" and given.task == BINARY and given.scores is not None:
        positive = given.truth == 1
        if min(positive.sum(), (~positive).sum()) > 1:
            return auc_interval(positive, given.scores, confidence)
        return None, ""
    formula = chosen.on(given)
    made = jackknife.interval(formula, given.n, confidence=confidence, weights=given.weights, strata=strata)
    if made is not None:
        return made, "jackknife"
    made = bootstrap_interval(formula, given.n, confidence=confidence, weights=given.weights, seed=seed, strata=strata)
    if made is not None and chosen.biased:
        value = chosen.value(given)
        made = max(0.0, 2 * value - made[1]), max(0.0, 2 * value - made[0])
    return made, "bootstrap"


def _outside(given: Predicted) -> str | None:
    """Tell whether some probabilities are none."""
    beyond = 0 if given.scores is None else int(np.sum((given.scores < 0) | (given.scores > 1)))
    return f"{beyond} probabilities are below 0 or above 1" if beyond else None


def _lacks(given: Predicted, requires: str) -> str | None:
    """Tell what the rows lack that a metric requires."""
    if requires == "spread" and (given.n < 2 or np.ptp(given.truth) == 0):  # noqa: PLR2004 - one value has no spread
        return "all true values are equal"
    if requires == "nonzero" and bool(np.any(given.truth == 0)):
        return f"{int(np.sum(given.truth == 0))} true values are 0"
    if requires == "predicted" and given.labels is not None and given.task == BINARY and not np.any(given.labels == 1):
        return "no row is predicted to be positive"
    one_class = bool(np.all(given.truth == given.truth[0]))
    if requires == "classes" and one_class:
        return "all rows are of one class"
    for wanted, number in (("positive", 1), ("negative", 0)):
        if requires == wanted and given.task == BINARY and not np.any(given.truth == number):
            return f"no row is truly {wanted}"
    return None


def _correct(given: Predicted) -> Rows:
    return formulas.hits(given), np.ones(given.n, dtype=np.bool_)


def _recalled(given: Predicted, number: int = 1) -> Rows | None:
    return (formulas.hits(given), np.asarray(given.truth == number)) if given.task == BINARY else None


def _precise(given: Predicted) -> Rows | None:
    return (formulas.hits(given), np.asarray(given.labels == 1)) if given.task == BINARY else None


def _every(loss: Callable[[Predicted], Floats], given: Predicted) -> Rows:
    return loss(given), np.ones(given.n, dtype=np.bool_)


def _relative(given: Predicted) -> Floats:
    return np.asarray(formulas.absolute_errors(given) / np.abs(given.truth))


def _f1(given: Predicted) -> Formula:
    return formulas.f1(given) if given.task == BINARY else formulas.macro(given, "f1")


def _good(name: str, needs: str = LABELS, **members: Any) -> Metric:
    members = {"tasks": _CLASSIFICATION, "bounds": (0.0, 1.0), **members}
    return Metric(name=name, needs=needs, greater_is_better=True, **members)


def _loss(name: str, of: Callable[[Predicted], Floats], needs: str = LABELS, **members: Any) -> Metric:
    members = {"tasks": (REGRESSION,), "bounds": (0.0, math.inf), **members}
    return Metric(name=name, needs=needs, greater_is_better=False, rows=partial(_every, of), **members)


def _macro(name: str) -> Callable[[Predicted], Formula]:
    return partial(formulas.macro, of=name)


_KNOWN = (
    _good("accuracy", rows=_correct, proportion=True),
    _good("balanced_accuracy", formula=formulas.balanced_accuracy, requires="classes"),
    _good("precision", rows=_precise, formula=_macro("precision"), proportion=True, requires="predicted"),
    _good("recall", rows=_recalled, formula=_macro("recall"), proportion=True, requires="positive"),
    _good("f1", formula=_f1, requires="positive"),
    _good("precision_macro", formula=_macro("precision")),
    _good("recall_macro", formula=_macro("recall")),
    _good("f1_macro", formula=_macro("f1")),
    _good("specificity", tasks=(BINARY,), rows=partial(_recalled, number=0), proportion=True, requires="negative"),
    _good("mcc", formula=formulas.mcc, requires="classes", bounds=(-1.0, 1.0)),
    _good("roc_auc", SCORES, formula=formulas.roc_auc, requires="classes"),
    _good("average_precision", SCORES, formula=formulas.average_precision, requires="classes"),
    _loss("log_loss", formulas.log_losses, PROBABILITIES, tasks=_CLASSIFICATION),
    _loss("brier", formulas.brier_losses, PROBABILITIES, tasks=_CLASSIFICATION, bounds=(0.0, 2.0)),
    Metric(
        *("calibration_error", _CLASSIFICATION, PROBABILITIES),
        greater_is_better=False,
        formula=formulas.calibration_error,
        biased=True,
        bounds=(0.0, 1.0),
    ),
    _loss("mae", formulas.absolute_errors),
    _loss("mse", formulas.squared_errors),
    _loss("mape", _relative, requires="nonzero"),
    Metric(*("rmse", (REGRESSION,), LABELS), greater_is_better=False, formula=formulas.rmse, bounds=(0.0, math.inf)),
    _good("r2", tasks=(REGRESSION,), formula=formulas.r2, requires="spread", bounds=(-math.inf, 1.0)),
)
_METRICS = {known.name: known for known in _KNOWN}
_ALIASES = {"auc": "roc_auc", "pr_auc": "average_precision", "ece": "calibration_error"}
_QUANTILE = re.compile(r"quantile_loss\((0?\.\d+)\)")


def metric(name: str | Metric) -> Metric:
    """Find a metric by its name.

    Parameters
    ----------
    name : str or Metric
        Such as ``"accuracy"``, ``"auc"`` or ``"quantile_loss(0.9)"``; a metric is given back.

    Returns
    -------
    Metric
        The metric.

    Raises
    ------
    InvalidInput
        There is none of this name; the message lists those there are.

    Examples
    --------
    >>> metric("pr_auc").name
    'average_precision'
    """
    if isinstance(name, Metric):
        return name
    spelled = _ALIASES.get(str(name), str(name))
    if spelled in _METRICS:
        return _METRICS[spelled]
    if match := _QUANTILE.fullmatch(spelled):
        return quantile_loss(float(match[1]))
    listed = ", ".join([*_METRICS, *_ALIASES, "quantile_loss(0.9)"])
    raise InvalidInput(f"There is no metric {name!r}. Metrics: {listed}.")


def metrics_for(task: str) -> tuple[str, ...]:
    """Name the metrics of a task.

    Examples
    --------
    >>> metrics_for("regression")
    ('mae', 'mse', 'mape', 'rmse', 'r2')
    """
    return tuple(known.name for known in _KNOWN if task in known.tasks)


def quantile_loss(quantile: float) -> Metric:
    """Make the metric of predictions that are to be a quantile: the pinball loss.

    Parameters
    ----------
    quantile : float
        Between 0 and 1.

    Returns
    -------
    Metric
        Its name is ``"quantile_loss(0.9)"``.

    Examples
    --------
    >>> quantile_loss(0.9).value(Predicted.of([10.0, 10.5], [9.0, 11.5], task="regression"))
    0.5
    """
    if not 0 < quantile < 1:
        raise InvalidInput(f"quantile={quantile!r} must be between 0 and 1.")
    return _loss(f"quantile_loss({quantile:g})", partial(formulas.pinball_losses, quantile=quantile))


def business_value(values: Mapping[tuple[Any, Any], float], *, name: str = "business_value") -> Metric:
    """Make the metric of what a decision brings, from a matrix of values.

    Parameters
    ----------
    values : mapping
        What a row brings, by its true and its predicted class; a cost is below 0, and a pair that is not there is 0.
        A class that neither the model nor the data knows leaves the metric without a value.
    name : str
        What to call it.

    Returns
    -------
    Metric
        The mean over the rows, in the unit of the values; more is better.

    Raises
    ------
    InvalidInput
        There are no values, or one is no finite number by a pair of classes.

    Examples
    --------
    >>> caught = business_value({("fraud", "fraud"): 90, ("fraud", "ok"): -100, ("ok", "fraud"): -10})
    >>> caught.value(Predicted.of(["ok", "ok", "fraud", "fraud"], ["ok", "fraud", "fraud", "fraud"]))
    42.5
    """
    given_pairs: Any = values
    if not isinstance(given_pairs, Mapping) or not given_pairs:
        raise InvalidInput("A business value needs values, such as {('fraud', 'fraud'): 90, ('ok', 'fraud'): -10}.")
    for pair, value in given_pairs.items():
        if not (isinstance(pair, tuple) and len(pair) == 2):  # noqa: PLR2004 - a pair
            raise InvalidInput(f"{pair!r} is no pair (true class, predicted class), such as ('ok', 'fraud').")
        if not isinstance(value, Real) or not math.isfinite(value):
            raise InvalidInput(f"What {pair!r} brings must be a finite number, and is {value!r}.")

    def brings(given: Predicted) -> Floats:
        numbers = {label: number for number, label in enumerate(given.classes)}
        matrix = np.zeros((len(numbers), len(numbers)))
        for (true, told), value in values.items():
            matrix[numbers[true], numbers[told]] = value
        return np.asarray(matrix[given.truth, given.labels])

    named = tuple(dict.fromkeys(label for pair in values for label in pair))
    ends = min(0.0, *map(float, values.values())), max(0.0, *map(float, values.values()))
    return _good(name, rows=partial(_every, brings), named=named, bounds=ends)
