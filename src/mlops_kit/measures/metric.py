"""`Metric`: a number that tells how good predictions are, what it needs, and which way is better.

Imported only once predictions are at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_kit.measures import formulas
from mlops_kit.measures.formulas import Formula
from mlops_kit.measures.predicted import BINARY, MULTICLASS, Floats, Predicted
from mlops_kit.records.signature import listed

LABELS, SCORES, PROBABILITIES = "labels", "scores", "probabilities"
_OWN_SAMPLES = 500
CLASSIFICATION = (BINARY, MULTICLASS)

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
    check : callable, optional
        Takes predictions and returns why there is no value on these rows, beyond what the other members say.
    own : callable, optional
        The user's function or scorer that the metric was made of.
    stated : object
        What else it was made of, as plain values, such as the matrix of a business value.

    Examples
    --------
    >>> from mlops_kit.measures.metrics import metric
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
    check: Callable[[Predicted], str | None] | None = None
    own: Callable[..., Any] | None = None
    stated: Any = None

    def undefined(self, given: Predicted) -> str | None:
        """Return in words why there is no value on these rows; None if there is one."""
        if given.task not in self.tasks:
            return f"{self.name} is for {' and '.join(self.tasks)} tasks, and this is a {given.task} one"
        if not given.n:
            return given.flaw
        lacking = given.labels is None if self.needs == LABELS else given.scores is None
        lacking = lacking and (self.own is None or given.scores is None)  # a function takes what there is
        if lacking or (self.needs == PROBABILITIES and not given.calibrated):
            return f"{self.name} needs {self.needs}, and the model gave none"
        if (strange := next((label for label in self.named if label not in given.classes), None)) is not None:
            return f"{self.name} names the class {strange!r}, and there are {listed(given.classes)}"
        flaw = given.flaw or (_outside(given) if self.needs == PROBABILITIES else None) or _lacks(given, self.requires)
        return flaw or (None if self.check is None else self.check(given))

    def per_row(self, given: Predicted) -> Rows | None:
        """Return what each row contributes and which rows count; None for a metric that is no mean over rows."""
        return None if self.rows is None else self.rows(given)

    def on(self, given: Predicted) -> Formula:
        """Return the formula on these rows, where the metric is defined."""
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

    @property
    def samples(self) -> int | None:
        """How many samples a bootstrap draws; None for as many as suit the rows."""
        return None if self.own is None else _OWN_SAMPLES

    def strata(self, given: Predicted) -> NDArray[np.int64] | None:
        """Return how a bootstrap must be stratified so that each sample has what the truth must hold."""
        return given.truth if self.requires in {"positive", "negative", "classes"} else None


def _outside(given: Predicted) -> str | None:
    """Check whether some probabilities are none."""
    beyond = 0 if given.scores is None else int(np.sum((given.scores < 0) | (given.scores > 1)))
    return f"{beyond} probabilities are below 0 or above 1" if beyond else None


def _lacks(given: Predicted, requires: str) -> str | None:
    """Return what the rows lack that a metric requires."""
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
