"""Bets on how a step differs from the pool: e-values, whose mean is at most 1 while nothing has changed.

Numbers are bet on through their ranks u, which are uniform while nothing has changed, and z = Φ⁻¹(u): a shift
of location, of scale, of the tails and of the shape. Categories, and spikes in a single bin of numbers, are bet on
through their shares, the pool's share including the step at hand: then the step is a sample without replacement of the
pool, and by Hoeffding (1963, Theorem 4) a product over such a sample has a mean no greater than one over a sample with
replacement, which is 1.

All functions give logarithms of e-values; the last axis is the bets, in the order of their weights.

References
----------
W. Hoeffding (1963). Probability inequalities for sums of bounded random variables. JASA 58. Theorem 4.
A. Podkopaev and A. Ramdas (2022). Tracking the risk of a deployed model and detecting harmful distribution shifts.
arXiv:2110.06177.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
_Float = TypeVar("_Float", np.float32, np.float64)

LOCATIONS = np.array([0.1, -0.1, 0.2, -0.2, 0.4, -0.4, 0.8, -0.8])
SCALES = np.array([0.65, 0.87, 1.15, 1.5])
TAILS = np.array([0.01, 0.05])
RATIOS = np.array([2.0, 4.0])
SHAPE_CELLS = 16
SPIKE_RATIOS = np.array([4.0, 16.0])
CONCENTRATIONS = np.array([20.0, 200.0, 2000.0])
LEVEL_RATIOS = np.array([0.25, 0.5, 0.75, 1.33, 2.0, 4.0])

_FADING = 0.9
_PRIOR = 10.0


def _shared(*groups: tuple[float, int]) -> Floats:
    weights: Floats = np.concatenate([np.full(number, weight / number) for weight, number in groups])
    return weights


NUMBER_WEIGHTS = _shared((0.30, 8), (0.35, 4), (0.15, 8), (0.10, 1), (0.05, 3))
"""The weight of each bet on a number: location, scale, tails, shape, Dirichlet. The bets on spikes have the rest."""

SPIKE_WEIGHT = 0.05
"""The weight of all bets on spikes together: one on each bin of the pool, with each ratio.

Ranks of equal values are drawn from the whole of their bin, so cells of ranks would cut a spike in two, and dilute it:
3 % of rows at one value are found in 800 rows by bin and in 1,300 by 256 cells of ranks.
"""

SPIKE_BET = "spike in a bin"
"""What the bets on spikes are called where their state is kept."""

NUMBER_BETS = (
    *(f"location {value:g}" for value in LOCATIONS),
    *(f"scale {value:g}" for value in SCALES),
    *(f"{side} {q:g} x {ratio:g}" for side in ("above", "below") for q in TAILS for ratio in RATIOS),
    "shape",
    *(f"dirichlet {value:g}" for value in CONCENTRATIONS),
)
"""What each bet on a number is called where its state is kept, so that a set with other bets can be read."""

FIRST_NUMBER_BETS = (
    *NUMBER_BETS[:12],
    *(f"{side} {q:g} x {ratio:g}" for side in ("above", "below") for q in (0.002, 0.01, 0.05) for ratio in RATIOS),
    *NUMBER_BETS[-4:],
)
"""The bets of states that do not name them."""


@cache
def fixed_weights(bins: int) -> Floats:
    """Return the weights of the bets on a single step in so many bins, which has no past for the shape."""
    return _shared((0.30, 8), (0.35, 4), (0.15, 8), (0.15, 3), (SPIKE_WEIGHT, len(SPIKE_RATIOS) * bins))


@cache
def level_weights(levels: int) -> Floats:
    """Give the weight of each bet on a column of so many levels: shares of levels, then Dirichlet."""
    bet_on = 1 if levels == 2 else levels  # noqa: PLR2004 - of two levels, one says all
    return _shared((0.7, 6 * bet_on), (0.1, 1), (0.1, 1), (0.1, 1))


def number_bets(draws: Floats, numbers: Ints, shape: Floats) -> Floats:
    """Bet on the ranks of numbers.

    Parameters
    ----------
    draws : array of shape (streams, steps, width)
        The ranks, 0.5 where there is no value.
    numbers : array of shape (streams, steps)
        How many values each step has.
    shape : array of shape (streams, 16)
        The fading histogram of earlier ranks, brought up to date in place.

    Returns
    -------
    array of shape (streams, steps, 24)
        Logarithms of e-values, in the order of `NUMBER_BETS`.
    """
    z = ndtri(draws)
    sums = z.sum(axis=2)
    z *= z
    squares = z.sum(axis=2)
    upper = [np.count_nonzero(draws > 1 - q, axis=2) for q in TAILS]
    below = [np.count_nonzero(draws < q, axis=2) for q in TAILS]
    cells = _cells(draws, numbers)
    tails = np.stack([*upper, *below], axis=2)
    found = [location(sums, numbers), scale(squares, numbers), tail(tails, numbers)]
    found += [_shape(cells, shape)[:, :, None], _even_dirichlet(cells, numbers)]
    return np.concatenate(found, axis=2)


def location(sums: Floats, numbers: Ints) -> Floats:
    """Bet that z is centred at μ: Σ log φ(z−μ)/φ(z) = μΣz − nμ²/2."""
    won: Floats = sums[..., None] * LOCATIONS - numbers[..., None] * (LOCATIONS**2 / 2)
    return won


def scale(squares: Floats, numbers: Ints) -> Floats:
    """Bet that z has the standard deviation σ: −½Σz²(σ⁻² − 1) − n log σ."""
    won: Floats = squares[..., None] * (-(SCALES**-2 - 1) / 2) - numbers[..., None] * np.log(SCALES)
    return won


def tail(counts: Ints, numbers: Ints) -> Floats:
    """Bet that a tail of probability q is r times as full: k log r − n log(1 + q(r − 1)).

    The last axis of `counts` is the upper tails, then the lower ones, each in the order of `TAILS`.
    """
    shares = np.concatenate([TAILS, TAILS])
    won = counts[..., None] * np.log(RATIOS) - numbers[..., None, None] * np.log1p(shares[:, None] * (RATIOS - 1))
    bets: Floats = won.reshape(*numbers.shape, -1)
    return bets


def spike(counts: Ints, numbers: Ints, shares: NDArray[_Float]) -> NDArray[_Float]:
    """Bet that a bin of probability q is r times as full: k log r − n log(1 + q(r − 1)); the last axis but one is r.

    It is as exact as the type of the shares.
    """
    kind = shares.dtype
    ratios = SPIKE_RATIOS[:, None]
    lost = shares[..., None, :] * (ratios - 1).astype(kind)
    np.log1p(lost, out=lost)
    won: NDArray[_Float] = counts[..., None, :].astype(kind) * np.log(ratios).astype(kind)
    won -= lost * numbers[..., None, :].astype(kind)
    return won


def level_bets(counts: Ints, pooled: Ints) -> Floats:
    """Bet on the shares of levels.

    Parameters
    ----------
    counts, pooled : array of shape (..., levels)
        How many values of the step have each level, and how many of the pool, the step included.

    Returns
    -------
    array of shape (..., bets)
        Logarithms of e-values: six for each level, then three of all levels.
    """
    numbers, totals = counts.sum(axis=-1), pooled.sum(axis=-1)
    shares = pooled / np.maximum(totals, 1)[..., None]
    won = counts[..., None] * np.log(LEVEL_RATIOS)
    won = won - numbers[..., None, None] * np.log1p(shares[..., None] * (LEVEL_RATIOS - 1))
    return np.concatenate([won.reshape(*numbers.shape, -1), dirichlet(counts, shares)], axis=-1)


def dirichlet(counts: Ints, shares: Floats) -> Floats:
    """Bet on any other shares, drawn around those of the pool, with each of three concentrations c.

    lnΓ(c) − lnΓ(c+n) + Σ [lnΓ(a+n_k) − lnΓ(a) − n_k ln p_k], where a = c·p_k.
    """
    numbers = counts.sum(axis=-1)[..., None]
    some = counts > 0
    safe = np.where(some, shares, 1.0)[..., None]
    centre = CONCENTRATIONS * safe
    terms = gammaln(centre + counts[..., None]) - gammaln(centre) - counts[..., None] * np.log(safe)
    whole = np.where(some[..., None], terms, 0.0).sum(axis=-2)
    won: Floats = gammaln(CONCENTRATIONS) - gammaln(CONCENTRATIONS + numbers) + whole
    return won


def _cells(draws: Floats, numbers: Ints) -> Ints:
    """Count the ranks in 16 cells of equal probability."""
    streams, steps, width = draws.shape
    place = (draws * SHAPE_CELLS).astype(np.intp)
    place += (np.arange(streams * steps) * SHAPE_CELLS).reshape(streams, steps, 1)
    cells = np.bincount(place.ravel(), minlength=streams * steps * SHAPE_CELLS).reshape(streams, steps, SHAPE_CELLS)
    cells[:, :, SHAPE_CELLS // 2] -= width - numbers  # where there is no value stands 0.5
    return cells


def _shape(cells: Ints, shape: Floats) -> Floats:
    """Bet that the ranks are spread as the last ones were: Σ c_b log(16 q_b), where q_b ∝ h_b + 10."""
    past = np.empty(cells.shape)
    for step in range(cells.shape[1]):
        past[:, step] = shape
        shape *= _FADING
        shape += cells[:, step]
    past += _PRIOR
    past *= SHAPE_CELLS / past.sum(axis=2, keepdims=True)
    won: Floats = (cells * np.log(past)).sum(axis=2)
    return won


@cache
def _even_terms() -> Floats:
    """Tabulate lnΓ(a+n) − lnΓ(a) + n ln 16 for n up to a step's rows, where a = c/16."""
    numbers = np.arange(129)[:, None]
    centre = CONCENTRATIONS / SHAPE_CELLS
    terms: Floats = gammaln(centre + numbers) - gammaln(centre) + numbers * np.log(SHAPE_CELLS)
    return terms


def _even_dirichlet(cells: Ints, numbers: Ints) -> Floats:
    whole: Floats = _even_terms()[cells].sum(axis=2)
    won: Floats = gammaln(CONCENTRATIONS) - gammaln(CONCENTRATIONS + numbers[..., None]) + whole
    return won


def fixed_bets(counts: Ints, pooled: Ints) -> Floats:
    """Bet on the bins of one step, all at once and without chance.

    A bet gives each bin a factor, by where the bin lies in the pool, whose mean over the pool, the step included, is 1;
    the step is a sample without replacement of it.

    Parameters
    ----------
    counts, pooled : array of shape (bins,)
        How many values of the step are in each bin, and how many of the pool.

    Returns
    -------
    array of shape (bets,)
        Logarithms of e-values, in the order of `fixed_weights`.
    """
    total, number = max(1, int(pooled.sum())), int(counts.sum())
    shares = pooled / total
    upper = np.cumsum(shares)
    z = ndtri(np.clip(upper - shares / 2, 1e-12, 1 - 1e-12))[:, None]
    tilts = [z * LOCATIONS, -(z**2) * (SCALES**-2 - 1) / 2]
    for side in (upper, 1 - upper + shares):
        for q in TAILS:
            # The share of the bin that lies in the tail: the upper one from 1 - q on, the lower one mirrored.
            inside = np.clip(side - (1 - q), 0, shares) / np.where(shares > 0, shares, 1)
            tilts.append(np.log1p(inside[:, None] * (RATIOS - 1)))
    tilt = np.concatenate(tilts, axis=1)
    with np.errstate(divide="ignore"):
        mean = np.logaddexp.reduce(tilt + np.log(shares)[:, None], axis=0)
    won = counts @ tilt - number * mean
    groups = np.minimum((upper - shares / 2) * SHAPE_CELLS, SHAPE_CELLS - 1).astype(np.intp)
    grouped = np.bincount(groups, counts, SHAPE_CELLS).astype(np.int64)
    parts: Floats = np.bincount(groups, shares, SHAPE_CELLS).astype(np.float64)
    spikes = spike(counts, np.array([number]), shares)
    return np.concatenate([won, dirichlet(grouped, parts), spikes.ravel()])
