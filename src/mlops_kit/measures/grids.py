"""Grids: where the bins of a numeric column are, and in which of them a value falls.

A value is found in two steps that cost a few nanoseconds: arithmetic gives its cell among 65,536 of equal width,
and a table gives the bin of the cell.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlops_kit.records.profile import CELLS, Grid, log_shift, ordinal

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.uint16]

MISSING = 65_535
"""The code of a missing value."""

BINS = 300
"""How many bins a grid has at most."""

_INSIDE = 255
_TRIM = 0.001
_PRECISION = 24
_LARGEST = float(np.finfo(np.float64).max)
_NARROW = 1e-290
_OUTSIDE = 8
_BETTER = 1.25
_FEW = 4096
_STEPS = np.arange(_OUTSIDE + 1.0)


def place_grid(sample: Floats, spread: float = 0.0) -> Grid | None:
    """Place a grid so that its bins hold about equally many of the values of a sample.

    A value that alone would fill a bin gets a bin to itself, so that rounded values are compared as what they are.

    Parameters
    ----------
    sample : array of float
        Some values; NaN and infinities are passed over.
    spread : float, default 0
        The range of all values, if the sample is not all there is.

    Returns
    -------
    Grid or None
        None if no finite value is left.

    Examples
    --------
    >>> import numpy as np
    >>> grid = place_grid(np.array([1.0, 2.0, 2.0, 2.0, 3.0]))
    >>> bins = find_bins(np.array([-9.0, 1.0, 2.0, 3.0, 9.0, np.nan]), grid)
    >>> len(set(bins.tolist())), bins[0], bins[-1]
    (6, np.uint16(0), np.uint16(65535))
    """
    finite = np.sort(sample)
    if len(finite) and not (math.isfinite(finite[0]) and math.isfinite(finite[-1])):  # NaN is sorted last
        finite = finite[np.isfinite(finite)]
    if not len(finite):
        return None
    first, last = float(finite[0]), float(finite[-1])
    tried = [_ends(first, last)]
    cut = int(_TRIM * len(finite))
    if cut:
        low, high = float(finite[cut]), float(finite[-1 - cut])
        tried.append(_ends(low, high))
    ends = [("linear", *pair) for pair in tried if pair is not None] + [("log", first, last)]
    width = max(min(last - first, _LARGEST), min(spread, _LARGEST), abs(first) * 1e-6)
    exponent = max(-1000, math.frexp(width)[1] - _PRECISION)
    grids = [Grid(*end, (1, CELLS + 1), exponent) for end in ends]
    best, most = (grids[0], _cells(finite, grids[0])), 0.0
    for grid in grids:
        if most * _BETTER >= len(finite) - 1:
            break  # no other can tell so many more apart
        cells = best[1] if grid is grids[0] else _cells(finite, grid)
        told_apart = float(np.count_nonzero(cells[1:] != cells[:-1]))
        if told_apart > most * _BETTER:
            best, most = (grid, cells), told_apart
    return replace(best[0], cuts=_cuts(best[1]))


def find_bins(values: Floats, grid: Grid, *, finite: bool = False) -> Codes:
    """Find the bin of each value.

    Parameters
    ----------
    values : array of float
        The values.
    grid : Grid
        The bins.
    finite : bool
        Whether all values are known to be finite.

    Returns
    -------
    array of uint16
        From 0, below the grid, to ``len(grid.cuts)``, above it; 65,535 for NaN.
    """
    if finite:
        return _bins(_cells(values, grid), grid.cuts)
    missing = np.isnan(values)
    some = bool(missing.any())
    codes = _bins(_cells(np.where(missing, grid.low, values) if some else values, grid), grid.cuts)
    if some:
        codes[missing] = MISSING
    return codes


def _ends(low: float, high: float) -> tuple[float, float] | None:
    """Give the ends of a linear grid, or None if its width would be no finite number."""
    if high - low < _NARROW:
        pad = max(abs(low) * 1e-6, _NARROW)
        low, high = max(low - pad, -_LARGEST), min(low + pad, _LARGEST)
    # Half as much again on each side: how far out a new value is tells more than that it is out.
    margin = min((high - low) / 2, _LARGEST)
    low, high = max(low - margin, -_LARGEST), min(high + margin, _LARGEST)
    return (low, high) if high - low <= _LARGEST else None


def _cells(values: Floats, grid: Grid) -> NDArray[np.int32]:
    """Give the cell of each value, none of which is NaN: 0 below the grid, 65,537 above it."""
    if grid.scale == "linear":
        with np.errstate(over="ignore"):
            places = values - grid.low
            places *= CELLS / (grid.high - grid.low)
        places += 1
        np.maximum(places, 0, out=places)
        cells: NDArray[np.int32] = np.minimum(places, CELLS + 1, out=places).astype(np.int32)
        return cells
    bits = (values + 0.0).view(np.int64)  # -0.0 becomes 0.0, as which it counts
    numbers = bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))
    low, high = ordinal(grid.low), ordinal(grid.high)
    inside = np.minimum(np.maximum(numbers, low), high)
    inside -= low  # may wrap beyond 2**63, which the unsigned shift takes back
    cells = (inside.view(np.uint64) >> np.uint64(log_shift(low, high))).astype(np.int32) + 1
    cells[numbers < low] = 0
    cells[numbers > high] = CELLS + 1
    return cells


def _cuts(cells: NDArray[np.int32]) -> tuple[int, ...]:
    """Cut sorted cells into bins of about equal numbers, and around each cell that alone would fill one.

    The bins at both ends are cut further: at every doubling of the distance from the end, and where the sample has no
    value at all, evenly.
    """
    target = max(1, min(_INSIDE, len(cells)))
    before = np.concatenate(([0], np.flatnonzero(cells[1:] != cells[:-1]) + 1))
    kept, counts = cells[before], np.append(before[1:], len(cells)) - before
    group = before * target // len(cells)
    heavy = counts * target >= len(cells)
    starts = np.flatnonzero((group[1:] > group[:-1]) | heavy[1:]) + 1
    # A bin begins at its first value, but right after a cell that has a bin to itself.
    inner = np.where(heavy[starts - 1], kept[starts - 1] + 1, kept[starts])
    depths = 2 ** np.arange(max(0, (len(cells) // target).bit_length() - 1))
    ends = np.concatenate([cells[depths - 1], cells[-depths] + 1])
    outside = [_even(1, int(cells[0])), _even(int(cells[-1]) + 1, CELLS + 1)]
    every = np.concatenate([inner, ends, *outside]).astype(np.int64)
    every = every[(every > 1) & (every <= CELLS)]
    return (1, *sorted(set(every.tolist())), CELLS + 1)


def _even(first: int, last: int) -> Floats:
    places: Floats = _STEPS * ((last - first) / _OUTSIDE)
    places += first
    places[-1] = last
    return places


def _bins(cells: NDArray[np.int32], cuts: tuple[int, ...]) -> Codes:
    """Find the bin of each cell: by halving for a few, else in a table of all cells, which takes longer to make."""
    if len(cells) < _FEW:
        return np.searchsorted(_array_of(cuts), cells, side="right").astype(np.uint16)
    return _bins_of_cells(cuts)[cells]


@lru_cache(maxsize=256)
def _array_of(cuts: tuple[int, ...]) -> NDArray[np.int32]:
    return np.array(cuts, np.int32)


@lru_cache(maxsize=256)
def _bins_of_cells(cuts: tuple[int, ...]) -> Codes:
    table = np.zeros(CELLS + 2, np.uint16)
    np.add.at(table, list(cuts), 1)
    codes: Codes = np.cumsum(table, dtype=np.uint16)
    codes.setflags(write=False)
    return codes
