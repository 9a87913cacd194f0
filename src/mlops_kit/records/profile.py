"""What a table looks like: for each column its counts, its extremes, its moments and its distribution."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from mlops_kit.records import codec
from mlops_kit.records.shape import checked, reading

CELLS = 65_536
"""How many cells a grid has, beside the two outer ones."""
_REPR_COLUMNS = 20
_REPR_LEVELS = 5
_REPR_LEVEL = 40


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the bins of a numeric column are.

    The values from `low` to `high` fall into 65,536 cells of equal width, and into one outer cell on each side;
    a bin is a run of cells. The outer cells are bins of their own, the first and the last.

    Parameters
    ----------
    scale : str
        ``"linear"``: cells of equal width. ``"log"``: cells of equal width on the integers that order 64-bit
        floats, which is nearly a signed logarithm.
    low, high : float
        The ends.
    cuts : tuple of int
        The first cell of each bin but the first, increasing; cell 0 is the lower outer one.
    exponent : int
        Sums of values are kept in units of this power of two, about ten millionths of the range of the data.

    Examples
    --------
    >>> Grid("linear", 0.0, 1.0, (1, 32_769, 65_537), -20).edges
    (0.0, 0.5, 1.0)
    """

    scale: str
    low: float
    high: float
    cuts: tuple[int, ...]
    exponent: int

    @property
    def edges(self) -> tuple[float, ...]:
        """The values at which each bin but the first begins."""
        return tuple(self.value(cut - 1) for cut in self.cuts)

    def value(self, cells: float) -> float:
        """Give the value that lies so many cells above `low`."""
        share = cells / CELLS
        if self.scale == "linear":
            return self.low + share * (self.high - self.low)
        low, high = ordinal(self.low), ordinal(self.high)
        return from_ordinal(low + min(round(share * CELLS) << log_shift(low, high), high - low))


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What one column looks like.

    Parameters
    ----------
    name : str
        Its label as text.
    kind : str
        ``"number"``, ``"category"``, ``"moment"`` (a date or a time) or ``"other"``.
    type : str
        Its type, the same for all encodings of the same values, such as ``"float64"`` or ``"utf8"``.
    rows, nulls : int
        How many values there are, and how many of them are missing; NaN is missing.
    infinite : int
        How many are infinite; they count in `counts`, and nowhere else.
    low, high : float or int, optional
        The smallest and the largest finite value; microseconds since 1970 for moments.
    total, squares : int
        The sum of the values and of their squares, in units of ``2**grid.exponent`` above ``grid.low``: integers, so
        that sums are exact in any order. A value counts as at most 2³¹ units.
    grid : Grid, optional
        The bins of a number.
    levels : tuple of str
        The categories, most frequent first.
    counts : tuple of int
        How many values are in each bin, or of each level and, last, of none of these.
    spent : tuple of int
        How many of `counts` are rows that placed the bins and chose the levels; empty if none are. The others are
        as any other rows, and later data can be ranked among them.
    """

    name: str
    kind: str
    type: str
    rows: int
    nulls: int = 0
    infinite: int = 0
    low: float | int | None = None
    high: float | int | None = None
    total: int = 0
    squares: int = 0
    grid: Grid | None = None
    levels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    spent: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """Say what a reader asks first; `counts` and `grid` are for programs."""
        said = [f"{self.type}", f"{self.null_share:.2%} missing"]
        if self.low is not None:
            unit = " µs since 1970" if self.kind == "moment" else ""
            said.append(f"from {self.low!r} to {self.high!r}{unit}")
        if self.mean is not None and self.sd is not None:
            said.append(f"mean {self.mean!r}, sd {self.sd!r}")
        if self.levels:
            levels = [level if len(level) <= _REPR_LEVEL else level[: _REPR_LEVEL - 1] + "…" for level in self.levels]
            more = [f"… and {len(levels) - _REPR_LEVELS} more"] if len(levels) > _REPR_LEVELS else []
            said.append("levels " + ", ".join([*map(repr, levels[:_REPR_LEVELS]), *more]))
        return f"ColumnProfile({self.name!r}: {', '.join(said)})"

    @property
    def null_share(self) -> float:
        """The share of the values that are missing; 0 if there are none."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def pool(self) -> tuple[int, ...]:
        """The counts without the rows that placed the bins."""
        return tuple(map(int.__sub__, self.counts, self.spent)) if self.spent else self.counts

    @property
    def mean(self) -> float | None:
        """The mean of the finite values, to about a millionth of their range."""
        finite = self.rows - self.nulls - self.infinite
        if self.grid is None or not finite:
            return None
        return self._rounded(self.grid.low + math.ldexp(self.total / finite, self.grid.exponent))

    @property
    def sd(self) -> float | None:
        """The standard deviation of the finite values, the divisor being their number."""
        finite = self.rows - self.nulls - self.infinite
        if self.grid is None or not finite:
            return None
        scaled = finite * self.squares - self.total**2  # exact, and never negative
        return self._rounded(math.ldexp(math.sqrt(scaled) / finite, self.grid.exponent))

    def _rounded(self, value: float) -> float:
        """Leave out the digits that the units of the sums do not carry."""
        exponent = 0 if self.grid is None else self.grid.exponent
        return round(value, -1 - math.floor(exponent * math.log10(2)))

    def quantile(self, share: float) -> float | None:
        """Give a value below which about this share of the values lies, to the width of a bin."""
        if self.grid is None or not sum(self.counts) or self.low is None or self.high is None:
            return None
        wanted = share * sum(self.counts)
        below = [0, *accumulate(self.counts)]
        place = max(i for i in range(len(self.counts)) if below[i] <= wanted)
        edges = (float(self.low), *self.grid.edges, float(self.high))
        start, stop = edges[place], edges[place + 1]
        part = (wanted - below[place]) / self.counts[place] if self.counts[place] else 0.0
        return min(max(start + part * (stop - start), float(self.low)), float(self.high))


@dataclass(frozen=True, slots=True)
class TableProfile:
    """What a table looks like.

    Parameters
    ----------
    rows : int
        How many it has.
    columns : tuple of ColumnProfile
        In the order of the table.

    Examples
    --------
    >>> profile = TableProfile(3, (ColumnProfile("x", "other", "list<int64>", 3, nulls=1),))
    >>> TableProfile.decode(profile.encode(), where="a doctest") == profile
    True
    """

    rows: int
    columns: tuple[ColumnProfile, ...]

    def __repr__(self) -> str:
        """Say how large the table is and what its first columns are like, a line each."""
        lines = [f"TableProfile({self.rows:,} rows, {len(self.columns):,} columns)"]
        lines += [f"  {column!r}" for column in self.columns[:_REPR_COLUMNS]]
        more = len(self.columns) - _REPR_COLUMNS
        return "\n".join(lines + ([f"  … and {more:,} more in .columns"] if more > 0 else []))

    def __getitem__(self, name: str) -> ColumnProfile:
        """Give the profile of a column."""
        return self.by_name[name]

    @property
    def by_name(self) -> dict[str, ColumnProfile]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    def encode(self) -> bytes:
        """Write the record."""
        return encode_profile(self.rows, self.columns)

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> TableProfile:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="profile")
        with reading(where):
            return checked(cls(members["rows"], tuple(_column(column) for column in members["columns"])))


def encode_profile(rows: int, columns: Iterable[ColumnProfile]) -> bytes:
    """Write the record of a profile whose columns are made one after the other; see `TableProfile.encode`."""
    return codec.seal_list("profile", {"rows": rows}, "columns", map(_members, columns))


def ordinal(value: float) -> int:
    """Give a float its number among all 64-bit floats, in their order.

    Examples
    --------
    >>> ordinal(0.0), ordinal(5e-324), ordinal(-5e-324)
    (0, 1, -2)
    """
    bits = array("q", array("d", [value]).tobytes())[0]
    return bits if bits >= 0 else bits ^ 0x7FFF_FFFF_FFFF_FFFF


def from_ordinal(number: int) -> float:
    """Give the float of a number; see `ordinal`."""
    bits = number if number >= 0 else number ^ 0x7FFF_FFFF_FFFF_FFFF
    return array("d", array("q", [bits]).tobytes())[0]


def log_shift(low: int, high: int) -> int:
    """Say by how many bits ordinals are shifted so that the range fits into the cells."""
    return max(0, ((high - low) // CELLS).bit_length())


_PLAIN = ("name", "kind", "type", "rows")
_OPTIONAL = ("nulls", "infinite", "low", "high", "total", "squares")


def _members(column: ColumnProfile) -> dict[str, Any]:
    members = {name: getattr(column, name) for name in _PLAIN}
    members |= {name: codec.plain(value) for name in _OPTIONAL if (value := getattr(column, name)) not in (None, 0)}
    members |= {name: codec.plain(0) for name in ("low", "high") if getattr(column, name) == 0}
    if column.grid is not None:
        grid = column.grid
        members["grid"] = {
            "scale": grid.scale,
            "low": grid.low,
            "high": grid.high,
            "cuts": list(grid.cuts),
            "exponent": grid.exponent,
        }
    if column.levels:
        members["levels"] = [codec.plain(level) for level in column.levels]
    return members | {name: list(values) for name in ("counts", "spent") if (values := getattr(column, name))}


def _column(members: dict[str, Any]) -> ColumnProfile:
    column = ColumnProfile(*(members[name] for name in _PLAIN))
    given: dict[str, Any] = {name: codec.unplain(members[name]) for name in _OPTIONAL if name in members}
    if "grid" in members:
        grid = members["grid"]
        given["grid"] = Grid(grid["scale"], grid["low"], grid["high"], tuple(grid["cuts"]), grid["exponent"])
    given |= {"levels": tuple(map(codec.unplain, members["levels"]))} if "levels" in members else {}
    given |= {name: tuple(members[name]) for name in ("counts", "spent") if name in members}
    return replace(column, **given)
