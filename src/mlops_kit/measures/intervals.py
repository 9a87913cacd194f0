"""Confidence intervals: exact and score ones for proportions, DeLong's for the area under the ROC, bootstrap for all.

Imported only once predictions are at hand, so numpy and scipy may be imported at the top.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from mlops_kit.measures.formulas import Formula
from mlops_kit.measures.predicted import Floats

REPLICATES = 2000
_FEWEST_REPLICATES = 500
_DRAWS = 1_000_000_000
_CHUNK = 100_000  # counts that stay in the processor's cache while they are worked on

Interval = tuple[float, float]


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Bound a proportion by the score interval (Wilson 1927): right on average, also near 0 and 1.

    Parameters
    ----------
    successes, trials : int
        How many of how many.
    confidence : float
        Two-sided.

    Returns
    -------
    tuple of float
        The lower and the upper end.

    Examples
    --------
    >>> low, high = wilson(81, 263)
    >>> round(low, 4), round(high, 4)
    (0.2553, 0.3662)
    """
    share, z = int(successes) / int(trials), float(special.ndtri((1 + confidence) / 2))
    centre, size = 2 * int(successes) + z * z, 2 * (int(trials) + z * z)
    half = z * math.sqrt(z * z + 4 * int(successes) * (1 - share))
    return max(0.0, (centre - half) / size), min(1.0, (centre + half) / size)


def clopper_pearson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Bound a proportion by inverting the binomial test (Clopper and Pearson 1934): never less sure than stated.

    Parameters
    ----------
    successes, trials : int
        How many of how many.
    confidence : float
        Two-sided.

    Returns
    -------
    tuple of float
        The lower and the upper end.

    Examples
    --------
    >>> low, high = clopper_pearson(81, 263)
    >>> round(low, 4), round(high, 4)
    (0.2527, 0.3676)
    """
    made = stats.binomtest(int(successes), int(trials)).proportion_ci(confidence, method="exact")
    return float(made.low), float(made.high)


def delong_covariance(positive: NDArray[np.bool_], scores: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Estimate areas under the ROC of several models on the same rows, and their covariance.

    After DeLong, DeLong and Clarke-Pearson (1988), computed from mid-ranks (Sun and Xu 2014).

    Parameters
    ----------
    positive : array of bool
        Which rows are positive; at least two are, and at least two are not.
    scores : sequence of arrays
        For each model a score a row.

    Returns
    -------
    areas : array
        One for each model.
    covariance : array
        Square.

    Examples
    --------
    >>> areas, covariance = delong_covariance(np.array([1, 1, 0, 0], bool), [np.array([3.0, 1.5, 2.0, 1.0])])
    >>> areas.tolist(), covariance.tolist()
    ([0.75], [[0.125]])
    """
    m, n = int(positive.sum()), int((~positive).sum())
    of_positive, of_negative = np.empty((len(scores), m)), np.empty((len(scores), n))
    for index, given in enumerate(scores):
        among_all = stats.rankdata(given)
        of_positive[index] = (among_all[positive] - stats.rankdata(given[positive])) / n
        of_negative[index] = 1 - (among_all[~positive] - stats.rankdata(given[~positive])) / m
    covariance = np.atleast_2d(np.cov(of_positive)) / m + np.atleast_2d(np.cov(of_negative)) / n
    return of_positive.mean(axis=1), covariance


def auc_interval(positive: NDArray[np.bool_], scores: Floats, confidence: float = 0.95) -> tuple[Interval, str]:
    """Bound the area under the ROC by DeLong's standard error, or by Newcombe's interval where that error is 0.

    Parameters
    ----------
    positive : array of bool
        Which rows are positive; at least two are, and at least two are not.
    scores : array
        A score a row.
    confidence : float
        Two-sided.

    Returns
    -------
    interval : tuple of float
        The lower and the upper end, within 0 and 1.
    method : str
        ``"delong"`` or ``"newcombe"``.

    Examples
    --------
    >>> truth = np.repeat([False, True], 20)
    >>> (low, high), method = auc_interval(truth, np.arange(40.0))
    >>> round(low, 3), high, method
    (0.899, 1.0, 'newcombe')
    """
    areas, covariance = delong_covariance(positive, [scores])
    area, variance = float(areas[0]), float(covariance[0, 0])
    z = float(special.ndtri((1 + confidence) / 2))
    if variance > 0:
        half = z * math.sqrt(variance)
        return (max(0.0, area - half), min(1.0, area + half)), "delong"
    return _newcombe(area, int(positive.sum()), int((~positive).sum()), z), "newcombe"


def _newcombe(area: float, m: int, n: int, z: float) -> Interval:
    """Bound an area by the score interval with Hanley and McNeil's variance (Newcombe 2006, part 2, method 5)."""
    size = (m + n) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta)
        return (theta - area) ** 2 - z * z * theta * (1 - theta) * spread / (m * n)

    tiny = 1e-12
    low = 0.0 if area <= tiny else float(optimize.brentq(excess, tiny, area - tiny))
    high = 1.0 if area >= 1 - tiny else float(optimize.brentq(excess, area + tiny, 1 - tiny))
    return low, high


def drawn(
    rows: int, *, replicates: int = REPLICATES, seed: int = 0, strata: NDArray[np.int64] | None = None
) -> Iterator[Floats]:
    """Draw bootstrap samples, as how often each row is in them.

    Parameters
    ----------
    rows : int
        How many there are.
    replicates : int
        How many samples.
    seed : int
        Equal seeds draw equal samples.
    strata : array of int, optional
        A group for each row; every sample then keeps the size of each group.

    Yields
    ------
    array of shape (m, rows)
        The counts of m samples, until there are `replicates`.

    Examples
    --------
    >>> [counts.sum(axis=1).tolist() for counts in drawn(3, replicates=2)]
    [[3.0, 3.0]]
    """
    random = np.random.default_rng(seed)
    groups = [np.arange(rows)] if strata is None else [np.flatnonzero(strata == group) for group in np.unique(strata)]
    step = max(1, _CHUNK // max(rows, 1))
    for begin in range(0, replicates, step):
        samples = min(step, replicates - begin)
        counts = np.empty((samples, rows))
        for group in groups:
            size = len(group)
            cells = random.integers(0, size, (samples, size)) + size * np.arange(samples)[:, None]
            counts[:, group] = np.bincount(cells.ravel(), minlength=samples * size).reshape(samples, size)
        yield counts


def replicated(
    formulas: Sequence[Formula],
    rows: int,
    *,
    weights: Floats | None = None,
    replicates: int | None = None,
    seed: int = 0,
    strata: NDArray[np.int64] | None = None,
) -> Floats:
    """Give the values of several formulas, each on the same bootstrap samples of the same rows.

    Parameters
    ----------
    formulas : sequence of Formula
        What is computed.
    rows : int
        How many there are.
    weights : array, optional
        How much each row counts.
    replicates : int, optional
        How many samples: by default 2000, of more than 500,000 rows fewer, and 500 at least.
    seed : int
        Equal seeds draw equal samples.
    strata : array of int, optional
        A group for each row; every sample keeps the size of each group.

    Returns
    -------
    array of shape (formulas, replicates)
        Values; NaN where one is not defined.
    """
    number = replicates or replicates_for(rows)
    parts = []
    for counts in drawn(rows, replicates=number, seed=seed, strata=strata):
        weighted = counts if weights is None else counts * weights
        parts.append([formula(weighted) for formula in formulas])
    return np.concatenate([np.asarray(part) for part in parts], axis=1)


def replicates_for(rows: int) -> int:
    """Tell how many bootstrap samples are drawn of so many rows."""
    return int(np.clip(_DRAWS // max(rows, 1), _FEWEST_REPLICATES, REPLICATES))


def expanded(level: float, rows: int) -> float:
    """Correct a level of a percentile bootstrap for few rows (Hesterberg 2015, the expanded percentile interval).

    A bootstrap distribution is too narrow by the root of ``(rows - 1) / rows``, and has no heavier tails for a
    spread that is itself estimated; a percentile further out makes up for both.

    Parameters
    ----------
    level : float
        Below one half: the share of samples that should lie outside on one side.
    rows : int
        How many rows were drawn from, at least 2.

    Returns
    -------
    float
        The percentile to take.

    Examples
    --------
    >>> round(expanded(0.05, 10), 4), round(expanded(0.05, 1000), 4)
    (0.0267, 0.0498)
    """
    return float(special.ndtr(math.sqrt(rows / (rows - 1)) * special.stdtrit(rows - 1, level)))


def bootstrap_interval(
    formula: Formula,
    rows: int,
    *,
    confidence: float = 0.95,
    weights: Floats | None = None,
    seed: int = 0,
    strata: NDArray[np.int64] | None = None,
    replicates: int | None = None,
) -> Interval | None:
    """Bound a value by expanded percentiles of the bootstrap.

    Parameters
    ----------
    formula : Formula
        What is computed.
    rows : int
        How many there are.
    confidence : float
        Two-sided.
    weights, seed, strata, replicates
        As for `replicated`.

    Returns
    -------
    tuple of float or None
        The lower and the upper end; None of fewer than two rows in a stratum, or if no sample has a value.
    """
    fewest = smallest(rows, strata)
    if fewest < 2:  # noqa: PLR2004 - nothing varies in a single row
        return None
    values = replicated([formula], rows, weights=weights, seed=seed, strata=strata, replicates=replicates)[0]
    return percentiles(values, fewest, confidence)


def percentiles(values: Floats, rows: int, confidence: float) -> Interval | None:
    """Bound a value by expanded percentiles of its values on samples of so many rows; None if no sample has one."""
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    level = expanded((1 - confidence) / 2, rows)
    low, high = np.quantile(values, [level, 1 - level])
    return float(low), float(high)


def smallest(rows: int, strata: NDArray[np.int64] | None) -> int:
    """Count the rows of the smallest stratum."""
    return rows if strata is None or not rows else int(np.unique(strata, return_counts=True)[1].min())


Bound = Callable[[float, float, float], Interval]
PROPORTIONS: dict[str, Bound] = {"wilson": wilson, "clopper-pearson": clopper_pearson}
