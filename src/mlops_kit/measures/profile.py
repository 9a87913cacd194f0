"""Profiles of tables: made in one pass, block by block if need be, and put together exactly.

A first profile places the bins of each number, and chooses the levels that matter, on a small random part of the rows;
these rows are counted apart (`ColumnProfile.spent`). Every later profile is made on the bins of the first. Profiles on
the same bins hold only integers and extremes, so the profile of two tables together is the two profiles merged, to
the last bit, in any order: that is what lets blocks, partitions and processes work apart.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_kit.errors import InvalidInput
from mlops_kit.measures import columns as read
from mlops_kit.measures.grids import MISSING, Codes, Floats, count_bins, find_bins, place_grid, place_grids
from mlops_kit.records.profile import ColumnProfile, Grid, TableProfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEVELS = 256
"""How many categories of a column are counted apart; the others are counted together."""

_SHARE, _MOST = 5, 20_000
_BLOCK = 1 << 14
_FEW = 4096
_BLOCK_OF_COLUMNS = 1 << 16
_CLIP = 2.0**31
_WORD, _HALF = 63, 32
_SEED = 20_260_501

Rows: TypeAlias = NDArray[np.int64]


def profile_table(table: pa.Table, like: TableProfile | None = None) -> TableProfile:
    """Describe a table.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    like : TableProfile, optional
        A profile whose bins and levels are used, so that the two can be compared and merged. Columns it does not have,
        or has with another kind, are described by themselves.

    Returns
    -------
    TableProfile
        Its columns in the order of the table.

    Examples
    --------
    >>> table = pa.table({"age": [31.0, 47.0, None], "plan": ["basic", "pro", "basic"]})
    >>> profile = profile_table(table)
    >>> profile["age"].mean, profile["age"].null_share, profile["plan"].levels
    (39.0, 0.3333333333333333, ('basic', 'pro'))
    >>> merge(profile, profile_table(table, like=profile)) == merge(profile_table(table, like=profile), profile)
    True
    """
    return TableProfile(table.num_rows, tuple(profile_columns(table, like)))


def profile_columns(table: pa.Table, like: TableProfile | None = None) -> Iterator[ColumnProfile]:
    """Describe the columns of a table one after the other; see `profile_table`."""
    spent = spend(table.num_rows)
    known = {} if like is None else like.by_name
    columns = zip(table.column_names, table.itercolumns(), strict=True)
    step = max(1, _BLOCK_OF_COLUMNS // max(1, table.num_rows))
    while chosen := list(islice(columns, step)):
        yield from _of_columns(chosen, known, spent)


def merge(*profiles: TableProfile) -> TableProfile:
    """Put together the profiles of parts of a table.

    Parameters
    ----------
    *profiles : TableProfile
        At least one, on the same bins and levels.

    Returns
    -------
    TableProfile
        The profile of all the rows; in any order of the parts the same, but that the columns stand as in the first.

    Raises
    ------
    InvalidInput
        Two have other columns, bins or levels.
    """
    whole, *others = profiles
    for other in others:
        mine, theirs = whole.by_name, other.by_name
        if mine.keys() != theirs.keys():
            raise InvalidInput(
                f"Profiles of other columns cannot be merged: {sorted(mine.keys() ^ theirs.keys())} are in one only."
            )
        merged = tuple(_merged(column, theirs[column.name]) for column in whole.columns)
        whole = TableProfile(whole.rows + other.rows, merged)
    return whole


def encode_column(column: Any, profile: ColumnProfile) -> Codes:
    """Give each value's bin or level.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array
        The values, of the kind that the profile has.
    profile : ColumnProfile
        The profile whose bins or levels are meant.

    Returns
    -------
    array of uint16
        Places in `ColumnProfile.counts`; 65,535 for missing values. Empty if the profile has no bins.
    """
    if profile.kind == "number" and profile.grid is not None:
        return find_bins(read.numbers(column), profile.grid)
    if profile.kind == "category" and profile.levels:
        codes: Codes = read.find_levels(column, profile.levels).astype(np.uint16)  # -1 becomes 65,535
        return codes
    return np.empty(0, np.uint16)


def encode_table(table: pa.Table, profile: TableProfile) -> dict[str, Codes]:
    """Give the codes of each column that the table has in the kind, and the profile with bins or levels.

    Parameters
    ----------
    table : pyarrow.Table
        Rows to be compared with the profile.
    profile : TableProfile
        The reference.

    Returns
    -------
    dict of str to array of uint16
        By name; see `encode_column`. A column in which everything is missing has no kind of its own, and is there. Of
        one without bins or levels the code is 0, or 65,535 for missing values.
    """
    codes, by_name = {}, profile.by_name
    for name, column in zip(table.column_names, table.columns, strict=True):
        known = by_name.get(name)
        if known is None:
            continue
        if not known.counts and (known.nulls == known.rows or known.kind == read.kind_of(column.type)):
            codes[name] = np.where(read.is_missing(column), np.uint16(MISSING), np.uint16(0))
        elif pa.types.is_null(column.type):
            codes[name] = np.full(len(column), MISSING, np.uint16)
        elif known.counts and known.kind == read.kind_of(column.type):
            codes[name] = encode_column(column, known)
    return codes


def spend(rows: int) -> Rows:
    """Choose the rows of a table that place its bins: a fifth, but at most 20,000, at random.

    The choice depends on the number of rows alone, never on what is in them.
    """
    number = min(max(rows // _SHARE, 1 if rows else 0), _MOST)
    return np.sort(np.random.default_rng([_SEED, rows]).choice(rows, number, replace=False, shuffle=False))


def _of_columns(
    columns: list[tuple[str, Any]], known: dict[str, ColumnProfile], spent: Rows
) -> Iterator[ColumnProfile]:
    """Describe some columns in order; of the numbers, those that are finite and few are described in one go."""
    plain = [ColumnProfile(name, read.kind_of(of.type), read.type_of(of.type), len(of)) for name, of in columns]
    given = [_like(column, known) for column in plain]
    values = {place: read.numbers(columns[place][1]) for place, of in enumerate(plain) if of.kind == "number"}
    together = {place: of for place, of in values.items() if 0 < len(of) <= _FEW and np.isfinite(of).all()}
    described: dict[int, ColumnProfile] = {}
    if together:
        grids = [None if (like := given[place]) is None else like.grid for place in together]
        rows = _of_rows([plain[place] for place in together], np.array(list(together.values())), grids, spent)
        described = dict(zip(together, rows, strict=True))
    for place, (_, column) in enumerate(columns):
        if place in described:
            yield described[place]
        elif (like := given[place]) is None:
            yield _first(plain[place], column, values.get(place), spent)
        elif place in values:
            yield _of_numbers(plain[place], values[place], like.grid, np.empty(0, np.int64))
        else:
            yield _of_levels(replace(plain[place], levels=like.levels), column)


def _like(plain: ColumnProfile, known: dict[str, ColumnProfile]) -> ColumnProfile | None:
    """Find the profile on whose bins or levels a column is described."""
    like = known.get(plain.name)
    return like if like is not None and like.kind == plain.kind and (like.grid or like.levels) else None


def _of_rows(
    plain: list[ColumnProfile], values: Floats, grids: list[Grid | None], spent: Rows
) -> Iterator[ColumnProfile]:
    """Describe the rows of a matrix of finite numbers, on grids that are given or placed now."""
    lows, highs = values.min(axis=1).tolist(), values.max(axis=1).tolist()
    fresh = np.flatnonzero([grid is None for grid in grids])
    samples = np.sort(values[np.ix_(fresh, spent)], axis=1)
    placed = place_grids(samples, [highs[row] - lows[row] for row in fresh]) if len(fresh) else []
    chosen = dict(zip(fresh.tolist(), count_bins(samples, placed), strict=True)) if placed else {}
    left = iter(placed)
    every = [next(left) if grid is None else grid for grid in grids]
    found = zip(plain, lows, highs, _sums(values, every), every, count_bins(values, every), strict=True)
    for row, (column, low, high, (total, squares), grid, counts) in enumerate(found):
        yield replace(
            column,
            low=low,
            high=high,
            total=total,
            squares=squares,
            grid=grid,
            counts=tuple(counts),
            spent=tuple(chosen.get(row, ())),
        )


def _first(plain: ColumnProfile, column: Any, values: Floats | None, spent: Rows) -> ColumnProfile:
    if values is not None:
        grid = place_grid(values[spent], _spread(values))
        if grid is None:  # nothing in the sample: perhaps there is something elsewhere
            grid, spent = place_grid(values), spent[:0]
        return _of_numbers(plain, values, grid, spent)
    if plain.kind == "category":
        return _first_of_levels(plain, column, spent)
    return _of_moments(plain, column) if plain.kind == "moment" else replace(plain, nulls=column.null_count)


def _first_of_levels(plain: ColumnProfile, column: Any, spent: Rows) -> ColumnProfile:
    sample = _taken(column, spent)
    levels = read.commonest(sample, LEVELS + 1)
    if len(levels) <= LEVELS:
        every = read.commonest(column, LEVELS + 1)
        # Chosen among all rows, levels would be those that chance made frequent there.
        levels = every if len(every) <= LEVELS else levels or every
    described = _of_levels(replace(plain, levels=levels[:LEVELS]), column)
    return replace(described, spent=_counted(read.find_levels(sample, levels[:LEVELS]), len(levels[:LEVELS]) + 1))


def _taken(column: Any, rows: Rows) -> Any:
    """Take some rows, in order, chunk by chunk: Arrow would first make one piece of all chunks."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    ends = np.cumsum([len(chunk) for chunk in chunks])
    pieces = np.split(rows, np.searchsorted(rows, ends[:-1])) if chunks else []
    taken = [
        read.texts(chunk).take(pa.array(piece - (end - len(chunk))))
        for chunk, piece, end in zip(chunks, pieces, ends, strict=True)
    ]
    return pa.chunked_array(taken, taken[0].type if taken else pa.large_string())


def _spread(values: Floats) -> float:
    if len(values) and not (math.isfinite(values.min()) and math.isfinite(values.max())):  # NaN spreads to both
        values = values[np.isfinite(values)]
    return float(values.max()) - float(values.min()) if len(values) else 0.0


def _of_numbers(plain: ColumnProfile, values: Floats, grid: Grid | None, spent: Rows) -> ColumnProfile:
    if grid is None:
        return replace(plain, nulls=int(np.isnan(values).sum()), infinite=int(np.isinf(values).sum()))
    bins = len(grid.cuts) + 1
    counts = np.zeros(bins, np.int64)
    chosen = np.zeros(bins, np.int64)
    nulls = infinite = total = squares = 0
    lows, highs = [], []
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        own = spent
        if len(block) < len(values):
            own = spent[np.searchsorted(spent, start) : np.searchsorted(spent, start + len(block))] - start
        low, high = float(block.min()), float(block.max())
        finite = math.isfinite(low) and math.isfinite(high)
        codes = find_bins(block, grid, finite=finite)
        if finite:
            counts += np.bincount(codes, minlength=bins)
            chosen += np.bincount(codes[own], minlength=bins)
        else:  # NaN spreads to both
            counts += np.bincount(codes[codes != MISSING], minlength=bins)
            chosen += np.bincount(codes[own][codes[own] != MISSING], minlength=bins)
            nulls += int(np.isnan(block).sum())
            infinite += int(np.isinf(block).sum())
            block = block[np.isfinite(block)]
            if not len(block):
                continue
            low, high = float(block.min()), float(block.max())
        lows.append(low)
        highs.append(high)
        ((more, more_squares),) = _sums(block[None], [grid])
        total, squares = total + more, squares + more_squares
    return replace(
        plain,
        nulls=nulls,
        infinite=infinite,
        low=min(lows, default=None),
        high=max(highs, default=None),
        total=total,
        squares=squares,
        grid=grid,
        counts=tuple(counts.tolist()),
        spent=tuple(chosen.tolist()) if len(spent) else (),
    )


def _sums(values: Floats, grids: Sequence[Grid]) -> list[tuple[int, int]]:
    """Add up the values of each row, and their squares, as integers, which are the same in any order."""
    with np.errstate(over="ignore"):
        units = values - np.array([grid.low for grid in grids])[:, None]
        units *= np.array([2.0**-grid.exponent for grid in grids])[:, None]
    np.maximum(units, 1 - _CLIP, out=units)
    np.minimum(units, _CLIP - 1, out=units)
    whole = np.rint(units, out=units).astype(np.int64)
    totals = whole.sum(axis=1).tolist()
    large = max(abs(int(whole.min())), abs(int(whole.max()))) ** 2 * whole.shape[1] >= 2**_WORD
    whole *= whole
    if not large:
        return list(zip(totals, whole.sum(axis=1).tolist(), strict=True))
    upper, lower = (whole >> _HALF).sum(axis=1).tolist(), (whole & (2**_HALF - 1)).sum(axis=1).tolist()
    return [(total, (high << _HALF) + low) for total, high, low in zip(totals, upper, lower, strict=True)]


def _of_levels(plain: ColumnProfile, column: Any) -> ColumnProfile:
    counts = np.zeros(len(plain.levels) + 2, np.int64)
    for start in range(0, len(column), _BLOCK):
        places = read.find_levels(column.slice(start, _BLOCK), plain.levels)
        counts += np.bincount(places + 1, minlength=len(counts))
    return replace(plain, nulls=int(counts[0]), counts=tuple(counts[1:].tolist()))


def _counted(places: Any, number: int) -> tuple[int, ...]:
    # One more in front takes what is missing.
    return tuple(np.bincount(places + 1, minlength=number + 1)[1:].tolist())


def _of_moments(plain: ColumnProfile, column: Any) -> ColumnProfile:
    values = read.moments(column)
    return replace(plain, nulls=column.null_count, low=pc.min(values).as_py(), high=pc.max(values).as_py())


def _merged(a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    if (a.kind, a.grid, a.levels) != (b.kind, b.grid, b.levels):
        raise InvalidInput(
            f"The profiles of column {a.name!r} are on other bins or levels, and cannot be merged. "
            "Make the second with `like=` the first."
        )
    return replace(
        a,
        rows=a.rows + b.rows,
        nulls=a.nulls + b.nulls,
        infinite=a.infinite + b.infinite,
        low=_extreme(min, a.low, b.low),
        high=_extreme(max, a.high, b.high),
        total=a.total + b.total,
        squares=a.squares + b.squares,
        counts=_added(a.counts, b.counts),
        spent=_added(a.spent, b.spent),
    )


def _extreme(choose: Any, a: float | None, b: float | None) -> Any:
    return choose(value for value in (a, b) if value is not None) if (a, b) != (None, None) else None


def _added(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(int.__add__, a, b)) if a and b else tuple(a or b)
