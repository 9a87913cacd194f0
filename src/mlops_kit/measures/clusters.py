"""What chance does to a metric where rows come in groups, such as several rows of each customer.

Rows of one group are not independent: the same customer five times proves no more than once. The value is computed
again without each group, and the spread of these values is its variance (the delete-one-group jackknife; Efron and
Stein 1981), of which Student's distribution with one degree of freedom less than there are groups makes intervals and
tests. A percentile bootstrap over groups is too narrow for that, and is not used.

Imported only once predictions are at hand, so numpy and scipy may be imported at the top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from mlops_kit.measures.formulas import Formula, Smooth, Sums
from mlops_kit.measures.intervals import Interval, wilson
from mlops_kit.measures.metric import Metric
from mlops_kit.measures.predicted import Floats, Predicted

FEWEST = 10
"""With fewer groups nothing can be said."""

FEW = 50
"""With fewer groups what is said is rough."""

_CELLS = 200_000_000
_CHUNK = 1_000_000


@dataclass(frozen=True, slots=True)
class Spread:
    """How a value varies by which groups are there.

    Parameters
    ----------
    error : float
        The standard error.
    groups : int
        How many groups carry the value: of a recall, those with a positive row.
    """

    error: float
    groups: int

    def quantile(self, level: float) -> float:
        """Return how far out a level of Student's distribution is, in the unit of the metric."""
        return self.error * float(special.stdtrit(self.groups - 1, level))

    def share_beyond(self, gain: float, border: float, *, strict: bool) -> float:
        """Return the p-value of a gain that should be beyond a border; of equal groups, that of a sign test."""
        if self.error == 0:
            return 1.0 if gain < border or (strict and gain == border) else 0.5**self.groups
        return float(special.stdtr(self.groups - 1, (border - gain) / self.error))


def groups_of(chosen: Metric, given: Predicted) -> int:
    """Count the groups that carry a metric: those with rows that count, of each class if it needs several."""
    groups = given.groups
    if groups is None:
        raise AssertionError("groups are counted where there are some")
    counted = chosen.per_row(given)
    if counted is not None:
        return len(np.unique(groups[counted[1]]))
    strata = chosen.strata(given)
    parts = [groups] if strata is None else [groups[strata == number] for number in np.unique(strata)]
    return min(len(np.unique(part)) for part in parts)


def too_few(groups: int) -> str | None:
    """Return why so many groups say nothing; None if they do."""
    if groups >= FEWEST:
        return None
    return f"insufficient data: {groups} of the {FEWEST} groups that are needed"


def spread(chosen: Metric, models: tuple[Predicted, ...]) -> Spread | str:
    """Measure how a metric varies by groups: the value of one model, or the difference of the first and the second.

    Parameters
    ----------
    chosen : Metric
        What is computed.
    models : tuple of Predicted
        Predictions of one or two models for the same rows, with groups.

    Returns
    -------
    Spread or str
        The reason, in words, where it cannot be said.
    """
    number = min(groups_of(chosen, given) for given in models)
    if (why := too_few(number)) is not None:
        return why
    values = [without_each(chosen.on(given), given) for given in models]
    left_out = values[0] if len(values) == 1 else values[0] - values[1]
    if not np.all(np.isfinite(left_out)):
        return "insufficient data: without one of the groups there is no value"
    total = len(left_out)
    centred = left_out - left_out.mean()
    if float(np.ptp(left_out)) <= 1e-12 * max(1.0, float(np.abs(left_out).max())):
        return Spread(0.0, number)
    return Spread(math.sqrt(float(centred @ centred) * (total - 1) / total), number)


def without_each(formula: Formula, given: Predicted) -> Floats:
    """Compute a value without each of the groups in turn.

    Of very many rows and groups it follows from how the value moves as each row counts less, which differs by terms
    of the second order.

    Examples
    --------
    >>> from mlops_kit.measures.formulas import mean
    >>> given = Predicted.of([0, 1, 1, 1], [0, 1, 0, 1], groups=["a", "a", "b", "c"])
    >>> without_each(mean(np.array([1.0, 1.0, 0.0, 1.0])), given).round(3).tolist()
    [0.5, 1.0, 0.667]
    """
    if given.groups is None:
        raise AssertionError("groups are left out where there are some")
    groups, number = _numbered(given.groups)
    weights = np.ones(given.n) if given.weights is None else given.weights
    if isinstance(formula, Sums):
        member = sparse.csr_array((weights, (groups, np.arange(given.n))), shape=(number, given.n))
        sums = member @ formula.columns
        sums = np.asarray(sums.toarray() if sparse.issparse(sums) else sums)
        with np.errstate(divide="ignore", invalid="ignore"):
            return formula.combine(sums.sum(axis=0) - sums)
    if number * given.n > _CELLS and isinstance(formula, Smooth) and formula.smooth:
        value = float(formula(weights[None, :])[0])
        return np.asarray(value - np.bincount(groups, formula.influence(weights), minlength=number))
    made = []
    for begin in range(0, number, step := max(1, _CHUNK // given.n)):
        chosen = np.arange(begin, min(begin + step, number))
        made.append(formula(np.where(groups == chosen[:, None], 0.0, weights)))
    return np.concatenate(made)


def interval(chosen: Metric, given: Predicted, value: float, confidence: float) -> tuple[Interval | None, int]:
    """Bound a value, and count the groups that it rests on; no bound where these are too few.

    Where all groups say the same of a share, each counts as one trial of Wilson's interval.
    """
    number = groups_of(chosen, given)
    found = spread(chosen, (given,))
    if isinstance(found, str):
        return None, number
    low, high = chosen.bounds
    if found.error == 0 and (low, high) == (0.0, 1.0):
        return wilson(round(value * number), number, confidence), number
    half = found.quantile((1 + confidence) / 2)
    return (max(low, value - half), min(high, value + half)), number


def _numbered(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return a number for each row that has no gaps, and how many groups there are."""
    present, numbers = np.unique(groups, return_inverse=True)
    return numbers, len(present)
