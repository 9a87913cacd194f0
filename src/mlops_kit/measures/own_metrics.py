"""Metrics of the user's own: functions of truth and prediction, and scorers of scikit-learn.

Imported only once predictions are at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import excerpt, quoted
from mlops_kit.measures.metric import LABELS, PROBABILITIES, SCORES, Metric
from mlops_kit.measures.predicted import BINARY, REGRESSION, TASKS, Floats, Predicted

_NEEDS = (LABELS, SCORES, PROBABILITIES)
_LOSS = re.compile(r"(^|_)(error|errors|loss|deviance|cost|costs)($|_)")
_OPTIONS = ("response_method=", "greater_is_better=", "needs_")
_SCORER_ARGUMENTS = 3
_SHOWN = 200

Ask = Callable[[Predicted, NDArray[np.int64], Floats | None], Any]
"""Takes predictions, rows of them, and the weights of these; returns the value."""


def own_metric(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    greater_is_better: bool | None = None,
    needs: str = LABELS,
) -> Metric:
    """Make a metric of a function or of a scorer of scikit-learn.

    Parameters
    ----------
    function : callable
        Takes truth and prediction, as arrays, and returns a number: classes as the data has them. With three
        arguments it is a scorer, as `sklearn.metrics.make_scorer` makes them. Of rows with weights it is given
        ``sample_weight=``.
    name : str, optional
        What to call it; by default the name of the function.
    greater_is_better : bool, optional
        Which way is better. By default higher, unless the name says error, loss, deviance or cost; of a scorer always
        higher, as scikit-learn has it.
    needs : str
        What it takes as prediction: ``"labels"`` (of a regression, the predicted values), ``"scores"`` or
        ``"probabilities"``. A scorer asks for what it needs.

    Returns
    -------
    Metric
        Its interval and its paired tests are bootstraps of 500 samples.

    Raises
    ------
    InvalidInput
        It cannot be called, or `needs` is none of the three.

    Examples
    --------
    >>> def share_of_ones(truth, predicted):
    ...     return (predicted == 1).mean()
    >>> chosen = own_metric(share_of_ones)
    >>> chosen.name, chosen.greater_is_better, chosen.value(Predicted.of([0, 1, 1, 1], [0, 1, 1, 0]))
    ('share_of_ones', True, 0.5)
    """
    if not callable(function):
        raise InvalidInput(
            f"{quoted(function)} is neither the name of a metric nor a function of truth and prediction."
        )
    if needs not in _NEEDS:
        raise InvalidInput(f"needs={quoted(needs)} is none of {', '.join(_NEEDS)}.")
    scorer = _is_scorer(function)
    called = name or (_scorer_name(function) if scorer else _name(function))
    if not called.strip():
        raise InvalidInput(f"name={quoted(name)} is not the name of a metric.")
    better = (scorer or not _LOSS.search(called)) if greater_is_better is None else bool(greater_is_better)
    ask: Ask = partial(_score, function) if scorer else partial(_call, function, needs)
    return Metric(
        *(called, TASKS, LABELS if scorer else needs),
        greater_is_better=better,
        formula=partial(_Called, ask),
        check=partial(_failure, called, ask),
        own=function,
    )


@dataclass(frozen=True, slots=True)
class _Called:
    """The formula of a metric that can only be asked for one sample of rows at a time."""

    ask: Ask
    given: Predicted

    def __call__(self, weights: Floats) -> Floats:
        """Call for each weighting; NaN where the function fails."""
        return np.array([self._one(row) for row in weights])

    def _one(self, row: Floats) -> float:
        rows = np.flatnonzero(row > 0)
        weighted = self.given.weights is not None
        if not weighted:
            rows = np.repeat(rows, row[rows].astype(np.int64))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a sample may well lack a class
                return float(self.ask(self.given, rows, row[rows] if weighted else None))
        except Exception:  # noqa: BLE001 - a user's function may fail on a sample that its author did not foresee
            return float("nan")


def _failure(name: str, ask: Ask, given: Predicted) -> str | None:
    """Call the function on all rows, and return why it gives no number."""
    try:
        value = ask(given, np.arange(given.n), given.weights)
        number = float(value)
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        return f"{name} raises {type(error).__name__}: {excerpt(error, _SHOWN)}"
    return None if math.isfinite(number) else f"{name} gives {number}"


def _call(
    function: Callable[..., Any], needs: str, given: Predicted, rows: NDArray[np.int64], weights: Floats | None
) -> Any:
    part = given.take(rows)
    told = part.named(part.labels) if needs == LABELS and part.labels is not None else part.scores
    if weights is None:
        return function(part.named(part.truth), told)
    return function(part.named(part.truth), told, sample_weight=weights)


def _score(scorer: Callable[..., Any], given: Predicted, rows: NDArray[np.int64], weights: Floats | None) -> Any:
    plain = given.task != BINARY or "pos_label=" in repr(scorer) or not repr(scorer).startswith("make_scorer(")
    told = _answers(given, plain=plain)
    truth = given.named(given.truth)[rows] if plain else given.truth[rows]
    if weights is None:
        return scorer(told, rows[:, None], truth)
    return scorer(told, rows[:, None], truth, sample_weight=weights)


class _Regressor(RegressorMixin, BaseEstimator):
    """Predictions that were made, in the form of the estimator that a scorer asks; its X is the numbers of rows."""

    def __init__(self, given: Any = None) -> None:
        self.given = given

    def predict(self, X: Any) -> Any:  # noqa: N803 - the field's name for data
        return self.given.labels[X[:, 0]]


class _Classifier(ClassifierMixin, BaseEstimator):
    """Likewise of classes: as the data has them, in the order of scikit-learn; or of two, as 0 and 1."""

    def __init__(self, given: Any = None, *, plain: bool = False) -> None:
        self.given, self.plain = given, plain
        names = np.array(given.classes) if plain else np.arange(len(given.classes))
        self.order = np.argsort(names, kind="stable")
        self.classes_ = names[self.order]

    def predict(self, X: Any) -> Any:  # noqa: N803 - the field's name for data
        labels = self.given.labels
        if labels is None:
            raise ValueError("the model gave scores and no classes")
        return (self.given.named(labels) if self.plain else labels)[X[:, 0]]


class _Probable(_Classifier):
    """Likewise with probabilities."""

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - the field's name for data
        told = self.given.scores[X[:, 0]]
        return (told if told.ndim > 1 else np.column_stack([1 - told, told]))[:, self.order]


class _Scored(_Classifier):
    """Likewise with scores that are no probabilities."""

    def decision_function(self, X: Any) -> Any:  # noqa: N803 - the field's name for data
        told = self.given.scores[X[:, 0]]
        if told.ndim > 1:
            return told[:, self.order]
        return told if self.order[-1] == len(self.order) - 1 else -told


def _answers(given: Predicted, *, plain: bool) -> BaseEstimator:
    if given.task == REGRESSION:
        return _Regressor(given)
    if given.scores is None:
        return _Classifier(given, plain=plain)
    return (_Probable if given.calibrated else _Scored)(given, plain=plain)


def _is_scorer(function: Callable[..., Any]) -> bool:
    """Return whether a callable takes an estimator, X and y: three arguments that must be given by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters if one.kind in positional and one.default is one.empty]
    return len(needed) == _SCORER_ARGUMENTS


def _scorer_name(scorer: Callable[..., Any]) -> str:
    """Read the name from the text of a scorer, such as ``make_scorer(fbeta_score, beta=2)``."""
    inside = re.fullmatch(r"make_scorer\((.*)\)", re.sub(r"\s*\n\s*", " ", repr(scorer)))
    if inside is None:
        return _name(scorer)
    text = re.sub(r", response_method=(\([^)]*\)|[^,)]*)", "", inside[1])
    first, *options = text.split(", ")
    negated = "greater_is_better=False" in options
    rest = ", ".join(option for option in options if not option.startswith(_OPTIONS))
    return f"{'neg_' if negated else ''}{first}{f'({rest})' if rest else ''}"[:_SHOWN]


def _name(function: Callable[..., Any]) -> str:
    if isinstance(function, partial):
        options = ", ".join(f"{key}={quoted(value, 40)}" for key, value in function.keywords.items())
        return f"{_name(function.func)}{f'({options})' if options else ''}"
    return str(getattr(function, "__name__", type(function).__name__))
