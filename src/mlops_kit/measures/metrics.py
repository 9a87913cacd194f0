"""Metrics by the names the field uses, each with what it needs, which way is better, and its interval.

Classification, of two classes or more: accuracy, balanced_accuracy, precision, recall, specificity (two classes), f1,
f2 and any other F-beta, mcc, cohen_kappa from labels; roc_auc (auc, roc_auc_ovr), roc_auc_ovr_weighted,
average_precision (pr_auc) from scores; log_loss, brier, calibration_error (ece) from probabilities. Of two classes,
precision, recall and F-beta are those of the positive one; of more, the mean over the classes, which ``…_macro`` asks
for in both cases; ``…_micro`` counts all classes together, and ``…_weighted`` weighs each by its true rows.
Regression: mae, median_absolute_error, mse, rmse, msle, r2, mape, smape, quantile_loss(q). Of ranked rows: ndcg,
ndcg(k), precision_at(k), recall_at(k). Functions of the user's own, and scorers of scikit-learn, see `own_metrics`.

Nothing here raises because of what data is like: a value that is not defined on some rows is NaN, with the reason.

Imported only once predictions are at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count
from numbers import Real
from typing import Any

import numpy as np

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.measures import clusters, formulas, jackknife, ranked
from mlops_kit.measures.formulas import Formula
from mlops_kit.measures.intervals import (
    PROPORTIONS,
    auc_interval,
    bootstrap_interval,
    percentiles,
    replicated,
    smallest,
)
from mlops_kit.measures.metric import CLASSIFICATION, LABELS, PROBABILITIES, SCORES, Metric, Rows
from mlops_kit.measures.predicted import BINARY, RANKING, REGRESSION, Floats, Predicted
from mlops_kit.records.measurement import Measurement


def measure(
    name: str | Metric | Callable[..., Any],
    given: Predicted,
    *,
    confidence: float | None = 0.95,
    method: str = "wilson",
    seed: int = 0,
) -> Measurement:
    """Measure predictions by a metric, with its confidence interval.

    Parameters
    ----------
    name : str, Metric or callable
        By what; see `metric`.
    given : Predicted
        The predictions beside the truth.
    confidence : float or None
        Of the two-sided interval; None for no interval.
    method : str
        For metrics that are proportions: ``"wilson"`` or ``"clopper-pearson"``. The area under the ROC of two
        classes has DeLong's interval; all else, and all that is weighted, a bootstrap of 2000 samples, or with over
        50,000 rows what that comes to; see `mlops_kit.measures.jackknife`. Rows in groups have that of
        `mlops_kit.measures.clusters`.
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
    if given.groups is not None:
        ends, groups = clusters.interval(chosen, given, value, confidence)
        low, high = ends or (None, None)
        method = "cluster-jackknife" if ends else ""
        return Measurement(chosen.name, value, low, high, confidence, n, method, groups=groups)
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
    if _has_delong(chosen, given):
        return _delong(given, confidence)
    formula = chosen.on(given)
    made = jackknife.interval(formula, given.n, confidence=confidence, weights=given.weights, strata=strata)
    if made is not None:
        return made, "jackknife"
    made = bootstrap_interval(
        formula,
        given.n,
        confidence=confidence,
        weights=given.weights,
        seed=seed,
        strata=strata,
        replicates=chosen.samples,
    )
    return _reflected(chosen, given, made), "bootstrap"


def _has_delong(chosen: Metric, given: Predicted) -> bool:
    return given.weights is None and chosen.name == "roc_auc" and given.task == BINARY and given.scores is not None


def _delong(given: Predicted, confidence: float) -> tuple[tuple[float, float] | None, str]:
    positive = given.truth == 1
    if given.scores is not None and min(positive.sum(), (~positive).sum()) > 1:
        return auc_interval(positive, given.scores, confidence)
    return None, ""


def _reflected(chosen: Metric, given: Predicted, ends: tuple[float, float] | None) -> tuple[float, float] | None:
    """Reflect an interval of a value that chance pushes to one side."""
    if ends is None or not chosen.biased:
        return ends
    value = chosen.value(given)
    return max(0.0, 2 * value - ends[1]), max(0.0, 2 * value - ends[0])


def measure_together(
    chosen: Sequence[Metric], given: Predicted, *, confidence: float = 0.95
) -> tuple[Measurement, ...]:
    """Measure the rows of a window by several metrics, with intervals that cost little.

    Parameters
    ----------
    chosen : sequence of Metric
        By what.
    given : Predicted
        The predictions beside the truth, without weights and groups.
    confidence : float
        Of the two-sided intervals.

    Returns
    -------
    tuple of Measurement
        In their order. A bootstrap is drawn only of values on which a few rows have most of the influence, and once
        for all of these. Functions of the user's have no interval.

    Examples
    --------
    >>> given = Predicted.of(np.tile([0, 0, 1, 1], 50), probabilities=np.tile([0.1, 0.6, 0.7, 0.9], 50))
    >>> for one in measure_together(metrics(["f1", "brier"]), given):
    ...     print(one)
    f1 0.8 [0.7684, 0.8316], n=200
    brier 0.1175 [0.0974, 0.1376], n=200
    """
    found = [measure(one, given, confidence=None) for one in chosen]
    left: dict[bool, list[int]] = {}
    for place, one in enumerate(chosen):
        if found[place].undefined is not None or one.own is not None:
            continue
        counted = one.per_row(given)
        if (one.proportion and counted is not None) or _has_delong(one, given):
            ends, how = _interval(one, given, counted, confidence, "wilson", 0)
        else:
            strata = one.strata(given)
            ends, how = (
                jackknife.rough_interval(one.on(given), given.n, confidence=confidence, strata=strata),
                "jackknife",
            )
            if ends is None and smallest(given.n, strata) > 1:
                left.setdefault(strata is not None, []).append(place)
                continue
            ends = _reflected(one, given, ends)
        found[place] = _bounded(found[place], one, ends, confidence, how)
    for stratified, places in left.items():
        strata = given.truth if stratified else None
        drawn = replicated([chosen[place].on(given) for place in places], given.n, strata=strata)
        for place, values in zip(places, drawn, strict=True):
            ends = percentiles(values, smallest(given.n, strata), confidence)
            ends = _reflected(chosen[place], given, ends)
            found[place] = _bounded(found[place], chosen[place], ends, confidence, "bootstrap")
    return tuple(found)


def _bounded(
    one: Measurement, chosen: Metric, ends: tuple[float, float] | None, confidence: float, how: str
) -> Measurement:
    if ends is None:
        return one
    low, high = chosen.bounds
    return replace(one, low=max(low, ends[0]), high=min(high, ends[1]), confidence=confidence, method=how)


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


def _smape(given: Predicted) -> Floats:
    size = np.abs(given.truth) + np.abs(np.asarray(given.labels))
    return np.asarray(2 * formulas.absolute_errors(given) / np.where(size > 0, size, 1.0))


def _log_errors(given: Predicted) -> Floats:
    return np.asarray((np.log1p(given.truth) - np.log1p(np.asarray(given.labels))) ** 2)


def _below_zero(given: Predicted) -> str | None:
    below = int(np.sum((given.truth < 0) | (np.asarray(given.labels) < 0)))
    return f"{below} rows have a value below 0" if below else None


def _f_beta(given: Predicted, beta: float) -> Formula:
    return formulas.f_beta(given, beta) if given.task == BINARY else formulas.averaged(given, "f", "macro", beta)


def _good(name: str, needs: str = LABELS, **members: Any) -> Metric:
    members = {"tasks": CLASSIFICATION, "bounds": (0.0, 1.0), **members}
    return Metric(name=name, needs=needs, greater_is_better=True, **members)


def _loss(name: str, of: Callable[[Predicted], Floats], needs: str = LABELS, **members: Any) -> Metric:
    members = {"tasks": (REGRESSION,), "bounds": (0.0, math.inf), **members}
    return Metric(name=name, needs=needs, greater_is_better=False, rows=partial(_every, of), **members)


def f_beta(beta: float, average: str | None = None) -> Metric:
    """Make the metric that weighs recall ``beta`` times as much as precision (van Rijsbergen 1979).

    Parameters
    ----------
    beta : float
        Above 0; of 1 both weigh the same.
    average : str, optional
        ``"macro"``, ``"micro"`` or ``"weighted"``; by default the positive class of two, and the mean over more.

    Returns
    -------
    Metric
        Its name is ``"f2"``, ``"f0.5_weighted"`` and the like.

    Examples
    --------
    >>> f_beta(2).value(Predicted.of([0, 1, 1, 1], [0, 1, 0, 0]))
    0.38461538461538464
    """
    if not 0 < beta < math.inf:
        raise InvalidInput(f"beta={beta!r} must be a number above 0.")
    if average is None:
        return _good(f"f{beta:g}", formula=partial(_f_beta, beta=beta), requires="positive")
    return _good(f"f{beta:g}_{average}", formula=partial(formulas.averaged, of="f", how=average, beta=beta))


def _averaged(of: str, how: str) -> Metric:
    return _good(f"{of}_{how}", formula=partial(formulas.averaged, of=of, how=how))


def _ndcg(k: int | None = None) -> Metric:
    return Metric(
        *("ndcg" if k is None else f"ndcg({k})", (BINARY, RANKING), SCORES),
        greater_is_better=True,
        formula=partial(ranked.ndcg, k=k),
        bounds=(0.0, 1.0),
        check=ranked.no_gain,
    )


def _at(of: str, k: int) -> Metric:
    recall = of == "recall"
    return Metric(
        *(f"{of}_at({k})", (BINARY, RANKING), SCORES),
        greater_is_better=True,
        formula=partial(ranked.top_rows, k=k, recall=recall),
        bounds=(0.0, 1.0),
        check=partial(ranked.too_few, k=k, relevant=recall),
    )


_KNOWN = (
    _good("accuracy", rows=_correct, proportion=True),
    _good("balanced_accuracy", formula=formulas.balanced_accuracy, requires="classes"),
    _good(
        "precision",
        rows=_precise,
        formula=partial(formulas.averaged, of="precision", how="macro"),
        proportion=True,
        requires="predicted",
    ),
    _good(
        "recall",
        rows=_recalled,
        formula=partial(formulas.averaged, of="recall", how="macro"),
        proportion=True,
        requires="positive",
    ),
    f_beta(1),
    *(_averaged(of, how) for how in formulas.AVERAGES for of in ("precision", "recall")),
    *(f_beta(1, how) for how in formulas.AVERAGES),
    _good("specificity", tasks=(BINARY,), rows=partial(_recalled, number=0), proportion=True, requires="negative"),
    _good("mcc", formula=formulas.mcc, requires="classes", bounds=(-1.0, 1.0)),
    _good("cohen_kappa", formula=formulas.cohen_kappa, requires="classes", bounds=(-1.0, 1.0)),
    _good("roc_auc", SCORES, formula=formulas.roc_auc, requires="classes"),
    _good("roc_auc_ovr_weighted", SCORES, formula=formulas.roc_auc_weighted, requires="classes"),
    _good("average_precision", SCORES, formula=formulas.average_precision, requires="classes"),
    _loss("log_loss", formulas.log_losses, PROBABILITIES, tasks=CLASSIFICATION),
    _loss("brier", formulas.brier_losses, PROBABILITIES, tasks=CLASSIFICATION, bounds=(0.0, 2.0)),
    Metric(
        *("calibration_error", CLASSIFICATION, PROBABILITIES),
        greater_is_better=False,
        formula=formulas.calibration_error,
        biased=True,
        bounds=(0.0, 1.0),
    ),
    _loss("mae", formulas.absolute_errors),
    _loss("mse", formulas.squared_errors),
    _loss("msle", _log_errors, check=_below_zero),
    _loss("mape", _relative, requires="nonzero"),
    _loss("smape", _smape, bounds=(0.0, 2.0)),
    Metric(*("rmse", (REGRESSION,), LABELS), greater_is_better=False, formula=formulas.rmse, bounds=(0.0, math.inf)),
    Metric(
        *("median_absolute_error", (REGRESSION,), LABELS),
        greater_is_better=False,
        formula=ranked.median_error,
        bounds=(0.0, math.inf),
    ),
    _good("r2", tasks=(REGRESSION,), formula=formulas.r2, requires="spread", bounds=(-math.inf, 1.0)),
    _ndcg(),
)
_METRICS = {known.name: known for known in _KNOWN}
_ALIASES = {
    "auc": "roc_auc",
    "ece": "calibration_error",
    "kappa": "cohen_kappa",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "mean_squared_log_error": "msle",
    "median_ae": "median_absolute_error",
    "pr_auc": "average_precision",
    "roc_auc_ovr": "roc_auc",
}
_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], Metric]], ...] = (
    (r"quantile_loss\((0?\.\d+)\)", lambda match: quantile_loss(float(match[1]))),
    (r"f(?:beta)?\(?(\d+|\d*\.\d+)\)?(?:_(macro|micro|weighted))?", lambda match: f_beta(float(match[1]), match[2])),
    (r"ndcg[@(]([1-9]\d*)\)?", lambda match: _ndcg(int(match[1]))),
    (r"(precision|recall)(?:_at)?[@(]([1-9]\d*)\)?", lambda match: _at(match[1], int(match[2]))),
)


def metric(given: str | Metric | Callable[..., Any]) -> Metric:
    """Read what is given as a metric: the one way in, for gates and monitors alike.

    Parameters
    ----------
    given : str, Metric or callable
        A name such as ``"accuracy"``, ``"auc"``, ``"f2_weighted"``, ``"quantile_loss(0.9)"`` or ``"ndcg(10)"``; that
        of a scorer of scikit-learn, such as ``"jaccard"``; a metric, which is given back; a scorer; or a function of
        truth and prediction, see `mlops_kit.measures.own_metrics.own_metric`.

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
    >>> metric("pr_auc").name, metric("f0.5").name, metric("precision_at(20)").name, metric(max).name
    ('average_precision', 'f0.5', 'precision_at(20)', 'max')
    """
    if isinstance(given, Metric):
        return given
    if not isinstance(given, str):
        from mlops_kit.measures.own_metrics import own_metric  # noqa: PLC0415 - loads scikit-learn

        return own_metric(given)
    spelled = _ALIASES.get(given, given)
    if spelled in _METRICS:
        return _METRICS[spelled]
    for pattern, make in _PATTERNS:
        if match := re.fullmatch(pattern, spelled):
            return make(match)
    return _scorer(given)


def metrics(given: Iterable[str | Metric | Callable[..., Any]]) -> tuple[Metric, ...]:
    """Read several metrics; two different ones of one name are told apart by a number.

    Parameters
    ----------
    given : iterable
        What `metric` takes.

    Returns
    -------
    tuple of Metric
        In their order, each name once: the same metric given twice is one.

    Examples
    --------
    >>> [one.name for one in metrics(["auc", "roc_auc", lambda truth, told: 0.0, lambda truth, told: 1.0])]
    ['roc_auc', '<lambda>', '<lambda> 2']
    """
    different: list[Metric] = []
    for one in map(metric, given):
        if not any(one is other or (one.own is not None and one.own is other.own) for other in different):
            different.append(one)
    made: dict[str, Metric] = {}
    for one in different:
        names = chain([one.name], (f"{one.name} {number}" for number in count(2)))
        name = next(name for name in names if name not in made)
        made[name] = replace(one, name=name)
    return tuple(made.values())


def _scorer(name: str) -> Metric:
    import difflib  # noqa: PLC0415 - only an error needs it

    from sklearn.metrics import get_scorer, get_scorer_names  # noqa: PLC0415 - heavy, and few names are its

    if name in get_scorer_names():
        from mlops_kit.measures.own_metrics import own_metric  # noqa: PLC0415 - loads scikit-learn

        return own_metric(get_scorer(name), name=name)
    close = difflib.get_close_matches(name, dict.fromkeys([*_METRICS, *_ALIASES, *get_scorer_names()]), 3)
    meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    patterns = ["f2", "quantile_loss(0.9)", "ndcg(10)", "precision_at(10)", "recall_at(10)"]
    raise InvalidInput(
        f"There is no metric {quoted(name)}.{meant} Metrics: {', '.join([*_METRICS, *_ALIASES, *patterns])}; "
        "the scorers "
        "of scikit-learn; and functions of truth and prediction."
    )


def metrics_for(task: str) -> tuple[str, ...]:
    """Name the metrics of a task.

    Examples
    --------
    >>> metrics_for("regression")
    ('mae', 'mse', 'msle', 'mape', 'smape', 'rmse', 'median_absolute_error', 'r2')
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
    return _good(name, rows=partial(_every, brings), named=named, bounds=ends, stated=list(values.items()))
