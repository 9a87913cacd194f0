"""What a bootstrap comes to with very many rows, without drawing samples: the infinitesimal jackknife (Jaeckel 1972).

How a value moves as each row counts a little more is its influence; the sum of their squares, about the mean of each
stratum, is the variance that a bootstrap of those strata has in its limit (Efron 1982). Of the area under the ROC it
is that of DeLong, DeLong and Clarke-Pearson (1988).

It stands for the bootstrap where there are so many rows that drawing them takes minutes, and where the influences are
so even that the bootstrap's distribution could not be told from a normal one; see `standard_error`.

Imported only once predictions are at hand, so numpy and scipy may be imported at the top.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from mlops_kit.measures.formulas import Formula, Smooth, Sums
from mlops_kit.measures.intervals import REPLICATES, Interval, expanded, percentiles, smallest
from mlops_kit.measures.predicted import Floats

MANY = 50_000
_UNEVEN = 0.05
_FEW, _ROUGHLY_UNEVEN = 30, 0.3


def influence(
    formula: Formula, rows: int, weights: Floats | None = None, *, fewest: int | None = None
) -> Floats | None:
    """Tell how a value moves as each row counts more.

    Parameters
    ----------
    formula : Formula
        What is computed.
    rows : int
        How many there are.
    weights : array, optional
        How much each row counts.
    fewest : int
        Of how many rows it tells what a bootstrap would; by default 50,000.

    Returns
    -------
    array or None
        The derivative by how often a row is drawn; None of few rows, or of a formula that has none.

    Examples
    --------
    >>> from mlops_kit.measures.formulas import mean
    >>> influence(mean(np.array([0.0, 1.0])), 2) is None
    True
    """
    if rows < (MANY if fewest is None else fewest) or not isinstance(formula, Smooth) or not formula.smooth:
        return None
    return formula.influence(np.ones(rows) if weights is None else weights)


def standard_error(
    influences: Floats, strata: NDArray[np.int64] | None = None, *, uneven: float = _UNEVEN
) -> float | None:
    """Give the standard error of a value from the influences of its rows, where chance makes it normal.

    Parameters
    ----------
    influences : array
        One a row.
    strata : array of int, optional
        A group for each row; samples keep the size of each.
    uneven : float
        The most that a few rows may have of the influence: the sum of the third powers, over that of the error.

    Returns
    -------
    float or None
        0 if no row has any influence. None if a few rows have most of it. Up to 0.05, the first term of Edgeworth's
        series, for an error that is itself estimated, moves a level of 5 % by at most 0.55 %: less than the bootstrap
        keeps clear of it.

    Examples
    --------
    >>> even = standard_error(np.tile([-1.0, 1.0], 5000))
    >>> even, standard_error(np.array([1.0, *[0.0] * 9999]))
    (100.0, None)
    """
    if not influences.any():
        return 0.0
    if strata is None:
        centred = influences - influences.mean()
    else:
        centred = influences - (np.bincount(strata, influences) / np.maximum(np.bincount(strata), 1))[strata]
    error = math.sqrt(float(centred @ centred))
    if not error > 0 or float(np.sum(np.abs(centred / error) ** 3)) > uneven:
        return None
    return error


def rough_interval(
    formula: Formula, rows: int, *, confidence: float = 0.95, strata: NDArray[np.int64] | None = None
) -> Interval | None:
    """Bound a value of a few hundred rows about where a bootstrap would; None where that cannot be told.

    Parameters
    ----------
    formula, rows, confidence, strata
        As for `interval`.

    Returns
    -------
    tuple of float or None
        The lower and the upper end. Where no row has more than its part of the influence they are within a few
        hundredths of the width of those of the bootstrap; of a formula with corners, of sums that are drawn from the
        normal distribution that those of its samples have in the limit.
    """
    if isinstance(formula, Sums) and not formula.smooth and strata is None:
        columns = np.asarray(formula.columns.todense() if hasattr(formula.columns, "todense") else formula.columns)
        sums = columns.sum(axis=0)
        spread, axes = np.linalg.eigh(np.cov(columns.T, bias=True) * rows)
        normal = np.random.default_rng(0).normal(size=(REPLICATES, len(sums)))
        values = formula.combine(sums + normal @ (axes * np.sqrt(np.maximum(spread, 0.0))).T)
        return percentiles(values, rows, confidence)
    given = influence(formula, rows, fewest=0) if smallest(rows, strata) >= _FEW else None
    error = None if given is None else standard_error(given, strata, uneven=_ROUGHLY_UNEVEN)
    if error is None:
        return None
    value = float(formula(np.ones((1, rows)))[0])
    half = -error * float(special.ndtri(expanded((1 - confidence) / 2, rows)))
    return value - half, value + half


def interval(
    formula: Formula,
    rows: int,
    *,
    confidence: float = 0.95,
    weights: Floats | None = None,
    strata: NDArray[np.int64] | None = None,
) -> Interval | None:
    """Bound a value where a bootstrap would in its limit; None where that limit is not reached.

    Parameters
    ----------
    formula, rows, confidence, weights, strata
        As for `mlops_kit.measures.intervals.bootstrap_interval`.

    Returns
    -------
    tuple of float or None
        The lower and the upper end.
    """
    given = influence(formula, rows, weights)
    error = None if given is None else standard_error(given, strata)
    if error is None:
        return None
    value = float(formula((np.ones(rows) if weights is None else weights)[None, :])[0])
    half = -error * float(special.ndtri(expanded((1 - confidence) / 2, rows)))
    return value - half, value + half


def share_short(confidence: float, rows: int) -> float | None:
    """Tell in what share of a bootstrap's samples a candidate may fall short, as `comparisons.bootstrap_p` counts it.

    Parameters
    ----------
    confidence : float
        Of the bound on one side.
    rows : int
        Of the smallest stratum.

    Returns
    -------
    float or None
        The share; None if no share is small enough.

    Examples
    --------
    >>> round(share_short(0.95, 100_000), 4), share_short(0.9999, 100_000)
    (0.0419, None)
    """
    level = expanded(1 - confidence, rows)

    def excess(short: float) -> float:
        return float(special.betainc(short + 1, REPLICATES - short, level)) - 0.95

    return None if excess(0.0) <= 0 else float(optimize.brentq(excess, 0.0, REPLICATES - 1.0)) / REPLICATES
