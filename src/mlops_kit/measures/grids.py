"""Grids: where the bins of a numeric column are, and in which of them a value falls.

A value is found in two steps that cost a few nanoseconds: arithmetic gives its cell among 65,536 of equal width,
and a table gives the bin of the cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlops_kit.records.profile import CELLS, Grid, log_shift, ordinal

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.uint16]
_Ends: TypeAlias = tuple[str, float, float]

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
    return place_grids(finite[None], [spread])[0] if len(finite) else None


def place_grids(samples: Floats, spreads: Sequence[float]) -> list[Grid]:
    """Place a grid for each row of a matrix, as `place_grid` does.

    Parameters
    ----------
    samples : array of float, of two dimensions
        A sample in each row, sorted: at least one value, all of them finite.
    spreads : sequence of float
        The range of all values of each row.

    Returns
    -------
    list of Grid
        One for each row.
    """
    number = samples.shape[1]
    cut = int(_TRIM * number)
    ends, exponents = list[list[_Ends]](), list[int]()
    for first, last, low, high, spread in zip(*samples[:, [0, -1, cut, -1 - cut]].T.tolist(), spreads, strict=True):
        tried = [_ends(first, last), _ends(low, high) if cut else None]
        ends.append([*(("linear", *pair) for pair in tried if pair is not None), ("log", first, last)])
        width = max(min(last - first, _LARGEST), min(spread, _LARGEST), abs(first) * 1e-6)
        exponents.append(max(-1000, math.frexp(width)[1] - _PRECISION))
    best = [tried[0] for tried in ends]
    cells = _cells_of_rows(samples, best)
    most = _told_apart(cells)
    for row in np.flatnonzero(most * _BETTER < number - 1):
        for other in ends[row][1:]:
            if most[row] * _BETTER >= number - 1:
                break  # no other can tell so many more apart
            own = _cells(samples[row], *other)
            told_apart = _told_apart(own[None])[0]
            if told_apart > most[row] * _BETTER:
                best[row], cells[row], most[row] = other, own, told_apart
    return [Grid(*end, cuts, exponent) for end, cuts, exponent in zip(best, _cuts(cells), exponents, strict=True)]


def count_bins(values: Floats, grids: Sequence[Grid]) -> list[list[int]]:
    """Count the values of each row of a matrix, all of them finite, that fall into each bin of the row's grid."""
    cells = _cells_of_rows(values, [(grid.scale, grid.low, grid.high) for grid in grids])
    cells.sort(axis=1)
    rows, number = values.shape
    lengths = [len(grid.cuts) + 1 for grid in grids]
    starts = np.fromiter(chain.from_iterable((0, *grid.cuts) for grid in grids), np.int64, sum(lengths))
    # Each row gets a range of cells to itself, so that all rows together are one sorted row.
    apart = np.arange(rows) * (CELLS + 2)
    places = np.searchsorted((cells + apart[:, None]).ravel(), starts + np.repeat(apart, lengths))
    return _parted(np.diff(places, append=rows * number), lengths)


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
        return _bins(_cells(values, grid.scale, grid.low, grid.high), grid.cuts)
    missing = np.isnan(values)
    some = bool(missing.any())
    values = np.where(missing, grid.low, values) if some else values
    codes = _bins(_cells(values, grid.scale, grid.low, grid.high), grid.cuts)
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


def _cells_of_rows(values: Floats, ends: Sequence[_Ends]) -> NDArray[np.int32]:
    """Return the cell of each value of a matrix, whose rows have ends of their own."""
    low, high = np.array([pair if scale == "linear" else (0.0, 1.0) for scale, *pair in ends]).T[:, :, None]
    with np.errstate(over="ignore"):
        cells = _linear_cells(values, low, high)
    for row, (scale, *pair) in enumerate(ends):
        if scale != "linear":
            cells[row] = _cells(values[row], scale, *pair)
    return cells


def _cells(values: Floats, scale: str, low: float, high: float) -> NDArray[np.int32]:
    """Give the cell of each value, none of which is NaN: 0 below the grid, 65,537 above it."""
    if scale == "linear":
        with np.errstate(over="ignore"):
            cells: NDArray[np.int32] = _linear_cells(values, low, high)
        return cells
    bits = (values + 0.0).view(np.int64)  # -0.0 becomes 0.0, as which it counts
    numbers = bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))
    first, last = ordinal(low), ordinal(high)
    inside = np.minimum(np.maximum(numbers, first), last)
    inside -= first  # may wrap beyond 2**63, which the unsigned shift takes back
    cells = (inside.view(np.uint64) >> np.uint64(log_shift(first, last))).astype(np.int32) + 1
    cells[numbers < first] = 0
    cells[numbers > last] = CELLS + 1
    return cells


def _linear_cells(values: Floats, low: Any, high: Any) -> NDArray[np.int32]:
    places = values - low
    places *= CELLS / (high - low)
    places += 1
    np.maximum(places, 0, out=places)
    cells: NDArray[np.int32] = np.minimum(places, CELLS + 1, out=places).astype(np.int32)
    return cells


def _told_apart(cells: NDArray[np.int32]) -> Floats:
    """Count how often a cell differs from the one before it, in each row."""
    changes: Floats = np.count_nonzero(cells[:, 1:] != cells[:, :-1], axis=1).astype(np.float64)
    return changes


def _cuts(cells: NDArray[np.int32]) -> list[tuple[int, ...]]:
    """Cut each row of sorted cells into bins of about equal numbers, and around each cell that alone would fill one.

    The bins at both ends are cut further: at every doubling of the distance from the end, and where the sample has no
    value at all, evenly.
    """
    rows, number = cells.shape
    target = max(1, min(_INSIDE, number))
    first = np.ones(cells.shape, bool)
    first[:, 1:] = cells[:, 1:] != cells[:, :-1]
    places = np.flatnonzero(first)
    kept, counts = cells.ravel()[places], np.diff(places, append=cells.size)
    row, before = np.divmod(places, number)
    group = before * target // number
    heavy = counts * target >= number
    starts = np.flatnonzero(((group[1:] > group[:-1]) | heavy[1:]) & (before[1:] > 0)) + 1
    # A bin begins at its first value, but right after a cell that has a bin to itself.
    inner = np.where(heavy[starts - 1], kept[starts - 1] + 1, kept[starts])
    depths = 2 ** np.arange(max(0, (number // target).bit_length() - 1))
    outside = [
        np.ones(rows),
        *(cells[:, depth - 1] for depth in depths),
        *(cells[:, -depth] + 1 for depth in depths),
        *_even(np.ones(rows), cells[:, 0]),
        *_even(cells[:, -1] + 1, np.full(rows, CELLS + 1)),
        np.full(rows, CELLS + 1),
    ]
    every = np.concatenate([inner, *outside]).astype(np.int64)
    owner = np.concatenate([row[starts], np.tile(np.arange(rows), len(outside))])
    inside = (every >= 1) & (every <= CELLS + 1)
    keys = np.sort(owner[inside] * (CELLS + 2) + every[inside])
    owner, cuts = np.divmod(keys[np.diff(keys, prepend=-1) > 0], CELLS + 2)
    return list(map(tuple, _parted(cuts, np.bincount(owner).tolist())))


def _even(first: Any, last: Any) -> Floats:
    places: Floats = _STEPS[:, None] * ((last - first) / _OUTSIDE)
    places += first
    places[-1] = last
    return places


def _parted(values: NDArray[np.int64], lengths: Sequence[int]) -> list[list[int]]:
    """Cut an array into lists of some lengths."""
    ends = list(accumulate(lengths))
    every = values.tolist()
    return [every[end - length : end] for end, length in zip(ends, lengths, strict=True)]


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
