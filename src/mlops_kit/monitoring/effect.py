"""How far two distributions are apart: total variation, freed of what chance alone would make of it.

The total variation of two samples is above 0 also where nothing has changed: with p̂ the share of a bin in both
together, it is about b = ½√(2/π) Σ√(p̂(1−p̂)(1/m + 1/n)). What is left in quadrature, √(TV² − b²), is a lower bound of
the share of rows that are different, and sees every kind of change: of place, spread, tails, shape, and single values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlops_kit.monitoring.bets import Ints
from mlops_kit.monitoring.settings import MATTERS

__all__ = ["MATTERS", "bins_of", "effect_of"]

_EQUAL = 32
_TAILS = (0.001, 0.005, 0.995, 0.999)
_HEAVY = 0.02


def bins_of(spent: Sequence[int]) -> tuple[int, ...]:
    """Choose the bins in which an effect is measured, from rows that are counted in none of them.

    Parameters
    ----------
    spent : sequence of int
        How many of the rows that may choose are in each fine bin.

    Returns
    -------
    tuple of int
        The fine bin before which each bin ends: at most 32 of equal mass, four more in the tails, and one of its own
        for each fine bin that holds more than 2 % of the rows. What none of these rows has is counted apart.

    Examples
    --------
    >>> bins_of([0, 5, 90, 5, 0])
    (2, 3, 5)
    """
    counts = np.asarray(spent, np.int64)
    below = np.concatenate([[0], np.cumsum(counts)])
    total = int(below[-1])
    shares = np.sort([*(np.arange(1, _EQUAL) / _EQUAL), *_TAILS])
    ends = np.searchsorted(below[1:], shares * total) + 1
    heavy = np.flatnonzero(counts > _HEAVY * total)
    found = sorted({*ends.tolist(), *heavy.tolist(), *(heavy + 1).tolist()} - {0})
    starts = [0, *found[:-1]]
    inner = [end for start, end in zip(starts, found, strict=True) if below[start] < below[end] < total]
    return (*inner, len(counts))


def effect_of(before: Ints, after: Ints) -> float | None:
    """Measure how far the rows of one sample are from those of another.

    Parameters
    ----------
    before, after : array of shape (bins,)
        How many rows of each are in each bin.

    Returns
    -------
    float or None
        From 0 to 1; None if one of them has no rows.

    Examples
    --------
    >>> effect_of(np.array([500, 500]), np.array([400, 600])), effect_of(np.array([500, 500]), np.array([510, 490]))
    (0.098..., 0.0)
    """
    m, n = int(before.sum()), int(after.sum())
    if not m or not n:
        return None
    variation = float(np.abs(after / n - before / m).sum()) / 2
    pooled = (before + after) / (m + n)
    chance = math.sqrt(2 / math.pi) / 2 * float(np.sqrt(pooled * (1 - pooled)).sum()) * math.sqrt(1 / m + 1 / n)
    return math.sqrt(max(0.0, variation**2 - chance**2))
