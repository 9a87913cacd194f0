"""The formulas of the metrics, for many weightings of the same rows at once.

A formula takes weights of shape ``(m, n)`` — m weightings of n rows — and gives m values, NaN where one is not
defined. The plain value is the weighting by ones, a weighted value that by the user's weights, and a bootstrap that
by how often each row was drawn; so there is one formula for all three, and it takes no loop over the samples.

Imported only once predictions are at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mlops_kit.measures.predicted import BINARY, Floats, Predicted

AVERAGES = ("macro", "micro", "weighted")
_BINS = 10
_STEP = 1e-5


class Formula(Protocol):
    """Gives the value of a metric for each of many weightings of its rows."""

    def __call__(self, weights: Floats) -> Floats:
        """Take weights of shape (m, n), give m values."""


@runtime_checkable
class Smooth(Formula, Protocol):
    """A formula that can tell how its value moves as each row counts a little more."""

    @property
    def smooth(self) -> bool:
        """Whether it moves evenly, so that this tells what chance does to it."""

    def influence(self, weights: Floats) -> Floats:
        """Take weights of shape (n,), give n derivatives by how often each row is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """A metric that is a function of weighted sums over the rows, and so can be added up in parts.

    Parameters
    ----------
    columns : array or sparse matrix of shape (n, k)
        What is summed.
    combine : callable
        Takes sums of shape (m, k) and gives m values.
    smooth : bool
        Whether `combine` has no corners.

    Examples
    --------
    >>> half = mean(np.array([1.0, 0.0]))
    >>> half(np.array([[1.0, 1.0], [3.0, 1.0]])).tolist()
    [0.5, 0.75]
    """

    columns: Floats | sparse.csr_array
    combine: Callable[[Floats], Floats]
    smooth: bool = True

    def __call__(self, weights: Floats) -> Floats:
        """Sum by each weighting, and combine."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.combine(weights @ self.columns)

    def influence(self, weights: Floats) -> Floats:
        """Move each sum a little, and give each row its part in it."""
        sizes: Any = abs(self.columns)
        sums, steps = weights @ self.columns, _STEP * (weights @ sizes)
        moved = np.concatenate([sums + np.diag(steps), sums - np.diag(steps)])
        with np.errstate(divide="ignore", invalid="ignore"):
            up, down = np.split(self.combine(moved), 2)
            slopes = np.where(steps > 0, (up - down) / (2 * steps), 0.0)
        return np.asarray(weights * (self.columns @ slopes))


class Concordance:
    """How often a positive row scores above a negative one, ties counting half: the area under the ROC.

    Parameters
    ----------
    positive : array of bool
        Which rows are positive.
    scores : array
        Higher where positive is more likely.

    Examples
    --------
    >>> area = Concordance(np.array([False, True, True]), np.array([0.2, 0.1, 0.2]))
    >>> area(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])).tolist()
    [0.25, 0.5]
    """

    smooth: ClassVar[bool] = True

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        order = np.argsort(scores, kind="stable")
        self._positives, self._negatives = order[positive[order]], order[~positive[order]]
        self._scores = scores
        self._below, self._not_above = self._places(self._negatives, self._positives)

    def __call__(self, weights: Floats) -> Floats:
        """Count the weighted pairs that are in order, among all."""
        positives, negatives = weights[:, self._positives], weights[:, self._negatives]
        up_to = np.zeros((len(weights), negatives.shape[1] + 1))
        np.cumsum(negatives, axis=1, out=up_to[:, 1:])
        below = up_to[:, self._below]
        if np.any(self._below != self._not_above):
            below = (below + up_to[:, self._not_above]) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.einsum("ij,ij->i", positives, below) / (positives.sum(axis=1) * up_to[:, -1]))

    def influence(self, weights: Floats) -> Floats:
        """Give each row how it stands against the rows of the other class: what DeLong calls structural components."""
        positives, negatives = weights[self._positives], weights[self._negatives]
        below = _up_to(negatives, self._below, self._not_above) / negatives.sum()
        above = 1 - _up_to(positives, *self._places(self._positives, self._negatives)) / positives.sum()
        area = float(positives @ below / positives.sum())
        made = np.empty(len(weights))
        made[self._positives] = positives * (below - area) / positives.sum()
        made[self._negatives] = negatives * (above - area) / negatives.sum()
        return made

    def _places(self, among: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Count how many of some rows score below each of others, and how many not above; both in ascending order."""
        ascending, given = self._scores[among], self._scores[rows]
        return np.searchsorted(ascending, given, "left"), np.searchsorted(ascending, given, "right")


def _up_to(weights: Floats, below: NDArray[np.int64], not_above: NDArray[np.int64]) -> Floats:
    """Sum the weights below a place, and half of those at it."""
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    return np.asarray((sums[below] + sums[not_above]) / 2)


class StepArea:
    """The precision averaged over the recalled positive rows: the area under steps, not interpolated.

    Parameters
    ----------
    positive : array of bool
        Which rows are positive.
    scores : array
        Higher where positive is more likely.

    Examples
    --------
    >>> area = StepArea(np.array([False, True, True]), np.array([0.2, 0.1, 0.3]))
    >>> area(np.array([[1.0, 1.0, 1.0]])).round(3).tolist()
    [0.833]
    """

    smooth: ClassVar[bool] = True

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._positive = positive[self._order]
        descending = scores[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], descending[1:] != descending[:-1]]))

    def __call__(self, weights: Floats) -> Floats:
        """Add up precision times the gain in recall, from the highest score down."""
        ranked = weights[:, self._order]
        found = np.where(self._positive, ranked, 0.0)
        if len(self._starts) < len(self._order):
            found, ranked = (np.add.reduceat(part, self._starts, axis=1) for part in (found, ranked))
        so_far = np.cumsum(found, axis=1)
        precision = so_far / np.maximum(np.cumsum(ranked, axis=1), np.finfo(np.float64).tiny)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((found * precision).sum(axis=1) / so_far[:, -1])

    def influence(self, weights: Floats) -> Floats:
        """Give each row its part in the precision at its own score and at all scores below."""
        ranked, step = weights[self._order], np.zeros(len(weights), dtype=np.int64)
        step[self._starts[1:]] = 1
        step = np.cumsum(step)
        found = np.bincount(step, np.where(self._positive, ranked, 0.0))
        so_far, counted = np.cumsum(found), np.cumsum(np.bincount(step, ranked))
        counted = np.where(counted > 0, counted, 1.0)
        gained = np.cumsum((found / counted)[::-1])[::-1]
        lost = np.cumsum((found * so_far / counted**2)[::-1])[::-1]
        own = so_far / counted + gained - float(found @ (so_far / counted)) / so_far[-1]
        made = np.empty(len(weights))
        made[self._order] = ranked * (np.where(self._positive, own[step], 0.0) - lost[step]) / so_far[-1]
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """The mean of several values of the same rows.

    Parameters
    ----------
    parts : sequence of Concordance or StepArea
        The formulas.
    """

    parts: Sequence[Concordance | StepArea]
    smooth: ClassVar[bool] = True

    def __call__(self, weights: Floats) -> Floats:
        """Compute all, and average."""
        return np.asarray(np.mean([part(weights) for part in self.parts], axis=0))

    def influence(self, weights: Floats) -> Floats:
        """Average the influences."""
        return np.asarray(np.mean([part.influence(weights) for part in self.parts], axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class WeightedAverage:
    """The mean of a value of each class, each weighed by the rows that are truly of it.

    Parameters
    ----------
    parts : dict of int to formula
        The formula of each class.
    truth : array of int
        The class of each row.
    """

    parts: Mapping[int, Concordance | StepArea]
    truth: NDArray[Any]
    smooth: ClassVar[bool] = True

    def __call__(self, weights: Floats) -> Floats:
        """Compute all, and average by the weight of the classes."""
        values = np.array([part(weights) for part in self.parts.values()])
        sizes = np.array([weights[:, self.truth == number].sum(axis=1) for number in self.parts])
        return np.asarray((values * sizes).sum(axis=0) / sizes.sum(axis=0))

    def influence(self, weights: Floats) -> Floats:
        """Add the influence on each value and that on the weight of its class."""
        every = weights * np.isin(self.truth, list(self.parts))
        whole = float(self(weights[None, :])[0])
        made = np.zeros(len(weights))
        for number, part in self.parts.items():
            own = weights * (self.truth == number)
            made += own.sum() * part.influence(weights) + own * (float(part(weights[None, :])[0]) - whole)
        return np.asarray(made / every.sum())


def mean(values: Floats, counted: NDArray[np.bool_] | None = None) -> Sums:
    """Average a value over the rows, or over those that count."""
    ones = np.ones(len(values)) if counted is None else counted.astype(np.float64)
    return ratio(values * ones, ones)


def ratio(above: Floats, below: Floats) -> Sums:
    """Divide one sum by another."""
    return Sums(np.column_stack([above, below]), lambda sums: sums[:, 0] / sums[:, 1])


def hits(given: Predicted) -> Floats:
    """Tell for each row, by 1 and 0, whether the predicted class is the true one."""
    return np.asarray(given.labels == given.truth, dtype=np.float64)


def _columns(width: int, *cells: tuple[Floats, NDArray[np.int64]]) -> sparse.csr_array:
    """Lay out columns to be summed, from a value for each row and the column that it stands in, several times."""
    values, places = (np.concatenate(part) for part in zip(*cells, strict=True))
    rows = np.arange(len(values)) % len(cells[0][0])
    return sparse.csr_array((values, (rows, places)), shape=(len(cells[0][0]), width))


def _class_sums(given: Predicted, combine: Callable[[Floats, Floats, Floats, Floats], Floats]) -> Sums:
    """Sum for each class its hits, its true rows and its predicted rows; combine them with the sum of all rows."""
    k, ones, told = len(given.classes), np.ones(given.n), np.asarray(given.labels)
    cells = ((hits(given), given.truth), (ones, given.truth + k), (ones, told + 2 * k), (ones, np.full(given.n, 3 * k)))
    columns = _columns(3 * k + 1, *cells)
    return Sums(columns, lambda sums: combine(sums[:, :k], sums[:, k : 2 * k], sums[:, 2 * k : 3 * k], sums[:, -1]))


def _average(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Average in each line the values that count."""
    return np.asarray(np.where(counted, values, 0.0).sum(axis=1) / counted.sum(axis=1))


def balanced_accuracy(given: Predicted) -> Sums:
    """Average the recall of the classes that occur."""
    return _class_sums(given, lambda hit, true, _told, _all: _average(hit / true, true > 0))


def averaged(given: Predicted, of: str, how: str, beta: float = 1.0) -> Sums:
    """Average precision, recall or F-beta over the classes that occur or are predicted; 0 where one is 0/0.

    Macro counts each class alike, weighted by its true rows; micro counts the rows of all classes together.
    """

    def combine(hit: Floats, true: Floats, told: Floats, _all: Floats) -> Floats:
        if how == "micro":
            hit, true, told = (part.sum(axis=1, keepdims=True) for part in (hit, true, told))
        below = {"precision": told, "recall": true, "f": (beta**2 * true + told) / (1 + beta**2)}[of]
        each = np.where(below > 0, hit / below, 0.0)
        if how == "weighted":
            each, counted = each * true, true.sum(axis=1)
            return np.asarray(each.sum(axis=1) / counted)
        return _average(each, np.asarray((true > 0) | (told > 0)))

    return _class_sums(given, combine)


def cohen_kappa(given: Predicted) -> Sums:
    """Cohen's kappa (1960): agreement beyond that of chance, as a share of what chance leaves."""

    def combine(hit: Floats, true: Floats, told: Floats, everything: Floats) -> Floats:
        chance = (true * told).sum(axis=1) / everything**2
        return np.where(
            chance < 1, (hit.sum(axis=1) / everything - chance) / np.where(chance < 1, 1 - chance, 1.0), np.nan
        )

    return _class_sums(given, combine)


def mcc(given: Predicted) -> Sums:
    """Matthews' correlation coefficient, of any number of classes (Gorodkin 2004); 0 if a side has one class only."""

    def combine(hit: Floats, true: Floats, told: Floats, everything: Floats) -> Floats:
        covariance = hit.sum(axis=1) * everything - (true * told).sum(axis=1)
        spread = (everything**2 - (true**2).sum(axis=1)) * (everything**2 - (told**2).sum(axis=1))
        return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)

    return _class_sums(given, combine)


def f_beta(given: Predicted, beta: float) -> Sums:
    """F-beta of the positive class: hits over a weighted mean of the positive and the predicted positive rows."""
    positive, told = given.truth == 1, given.labels == 1
    return ratio((1 + beta**2) * (positive & told), np.asarray(beta**2 * positive + told, dtype=np.float64))


def roc_auc(given: Predicted) -> Formula:
    """Measure how often a positive row scores above a negative one, ties counting half (Mann and Whitney)."""
    return _one_against_rest(given, Concordance)


def roc_auc_weighted(given: Predicted) -> Formula:
    """Average the areas of more than two classes, each weighed by its true rows."""
    if given.scores is None or given.scores.ndim == 1:
        return roc_auc(given)
    return WeightedAverage(_areas(given, given.scores, Concordance), given.truth)


def average_precision(given: Predicted) -> Formula:
    """Average the precision over the recalled positive rows: the area under steps, not interpolated."""
    return _one_against_rest(given, StepArea)


def _one_against_rest(given: Predicted, area: type[Concordance | StepArea]) -> Formula:
    """Take the area of two classes; of more, the mean over those that occur, each against all others."""
    if given.scores is None:
        raise AssertionError("a metric of scores is asked for where there are some")
    if given.scores.ndim == 1:
        return area(given.truth == 1, given.scores)
    return Average(list(_areas(given, given.scores, area).values()))


def _areas(given: Predicted, scores: Floats, area: type[Concordance | StepArea]) -> dict[int, Concordance | StepArea]:
    """Make the area of each class that occurs, against all others."""
    present = (number for number in range(len(given.classes)) if 0 < int((given.truth == number).sum()) < given.n)
    return {number: area(given.truth == number, scores[:, number]) for number in present}


def probabilities(given: Predicted) -> Floats:
    """Give a column of probabilities for each class, also for two."""
    if given.scores is None:
        raise AssertionError("a metric of probabilities is asked for where there are some")
    return given.scores if given.scores.ndim == 2 else np.column_stack([1 - given.scores, given.scores])  # noqa: PLR2004


def log_losses(given: Predicted) -> Floats:
    """Give the negative log-likelihood of each row, no probability being below the least float above 0 (2.2e-16)."""
    tiny = np.finfo(np.float64).eps
    told = np.clip(probabilities(given), tiny, 1 - tiny)
    told = told / told.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(told[np.arange(given.n), given.truth]))


def brier_losses(given: Predicted) -> Floats:
    """Give the squared distance of the probabilities from the truth: of the positive class, of more than two of all."""
    if given.task == BINARY:
        return np.asarray((probabilities(given)[:, 1] - given.truth) ** 2)
    return np.asarray(((probabilities(given) - np.eye(len(given.classes))[given.truth]) ** 2).sum(axis=1))


def confidences(given: Predicted) -> tuple[Floats, Floats]:
    """Give what calibration compares: a probability for each row, and whether what it speaks of is so.

    Of two classes it is the probability of the positive one; of more, that of the most probable.
    """
    told = probabilities(given)
    if given.task == BINARY:
        return told[:, 1], given.truth.astype(np.float64)
    chosen = told.argmax(axis=1)
    return told[np.arange(given.n), chosen], (chosen == given.truth).astype(np.float64)


def calibration_error(given: Predicted, bins: int = _BINS) -> Sums:
    """Average over bins of equal width how far the mean probability is from the share that is so (Naeini et al. 2015).

    It is above 0 also for a perfect model: by chance, about as much as a share of ``n / bins`` rows varies.
    """
    told, so = confidences(given)
    place = np.minimum((told * bins).astype(np.int64), bins - 1)
    columns = _columns(bins + 1, (told - so, place), (np.ones(given.n), np.full(given.n, bins)))
    return Sums(columns, lambda sums: np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1], smooth=False)


def r2(given: Predicted) -> Sums:
    """One less the squared error, relative to that of the mean of the rows."""
    truth = given.truth - given.truth.mean()
    columns = np.column_stack([(given.truth - given.labels) ** 2, truth, truth**2, np.ones(given.n)])

    def combine(sums: Floats) -> Floats:
        spread = sums[:, 2] - sums[:, 1] ** 2 / sums[:, 3]
        return np.where(spread > 0, 1 - sums[:, 0] / np.where(spread > 0, spread, 1.0), np.nan)

    return Sums(columns, combine)


def rmse(given: Predicted) -> Sums:
    """Take the root of the mean squared error."""
    squares = mean(squared_errors(given))
    return Sums(squares.columns, lambda sums: np.sqrt(squares.combine(sums)))


def squared_errors(given: Predicted) -> Floats:
    """Give the squared error of each row."""
    return np.asarray((given.truth - given.labels) ** 2)


def absolute_errors(given: Predicted) -> Floats:
    """Give the absolute error of each row."""
    return np.asarray(np.abs(given.truth - given.labels))


def pinball_losses(given: Predicted, quantile: float) -> Floats:
    """Give the loss of each row whose mean the stated quantile makes least (Koenker and Bassett 1978)."""
    short = given.truth - given.labels
    return np.asarray(np.maximum(quantile * short, (quantile - 1) * short))
