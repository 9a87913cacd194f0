"""Columns of Python objects as Arrow arrays: one kind of value per column, nothing changed on the way."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops_kit.errors import UnsupportedData

if TYPE_CHECKING:
    from collections.abc import Callable

# The stubs of pyarrow tell arrays apart by their elements; here any will do.
Column: TypeAlias = Any

# Exact types only: a subclass would come back as its base.
_KINDS: dict[type, str] = {
    **dict.fromkeys((str, np.str_), "str"),
    **dict.fromkeys((bool, np.bool_), "bool"),
    **dict.fromkeys((int, np.int8, np.int16, np.int32, np.int64), "int"),
    **dict.fromkeys((np.uint8, np.uint16, np.uint32, np.uint64), "int"),
    **dict.fromkeys((float, np.float64), "float"),
    **dict.fromkeys((bytes, np.bytes_), "bytes"),
    **{kind: kind.__name__ for kind in (Decimal, date, datetime, time, timedelta, list, tuple, dict)},
    np.ndarray: "array",
}
_WIDEST = 8  # bytes in the widest number of Arrow
_MISSING = (type(None), float, np.floating, type(pd.NA), type(pd.NaT))
_REMEDIES = {
    "Timestamp": "Use pandas.to_datetime.",
    "Timedelta": "Use pandas.to_timedelta.",
    "Period": "Use .astype('period[...]').",
    "Interval": "Use pandas.arrays.IntervalArray.",
    "UUID": "Use .astype(str).",
    "set": "Use sorted lists.",
    "complex": "Split it into two columns, of the real and the imaginary parts.",
}


def object_array(values: np.ndarray, name: str) -> Column:
    """Turn a column of Python objects into an Arrow array.

    Parameters
    ----------
    values : numpy.ndarray
        One dimension, of dtype object. None, NaN, ``pandas.NA`` and ``pandas.NaT`` are missing values.
    name : str
        The name of the column, for the messages.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray
        The same values, null where they are missing; of type null if all are.

    Raises
    ------
    UnsupportedData
        The values are of several kinds, or of one that Arrow would not give back as it was; the first row
        where that shows is named.

    Examples
    --------
    >>> object_array(np.array(["a", None], dtype=object), "x").type
    DataType(string)
    """
    missing = pd.isna(values)
    kind = object_kind(values, name)
    if kind is None:
        return pa.nulls(len(values))
    convert: Callable[[np.ndarray, np.ndarray, str], Any] = _CONVERT.get(kind, _plain)
    return convert(values, missing, name)


def object_kind(values: np.ndarray, name: str) -> str | None:
    """Name the one kind of value that a column of objects holds.

    Parameters
    ----------
    values : numpy.ndarray
        One dimension, of dtype object.
    name : str
        The name of the column, for the messages.

    Returns
    -------
    str or None
        The kind, such as ``"str"``, ``"int"`` or ``"list"``; None if every value is missing.

    Raises
    ------
    UnsupportedData
        The values are of several kinds, or of an unsupported one.

    Examples
    --------
    >>> object_kind(np.array([1, None], dtype=object), "x")
    'int'
    """
    missing = pd.isna(values)
    odd = next((kind for kind in set(map(type, values[missing])) if not issubclass(kind, _MISSING)), None)
    if odd is not None:
        row = next(i for i in np.flatnonzero(missing) if type(values[i]) is odd)
        what = f"which is another kind of missing value ({odd.__name__})"
        raise _refusal(name, row, values[row], what, "Use None in its place.")
    rows = np.flatnonzero(~missing)
    types = set(map(type, values[rows]))
    if not types:
        return None
    kinds = {_KINDS.get(kind) for kind in types}
    if len(kinds) == 1 and None not in kinds:
        return kinds.pop()
    first = type(values[rows[0]])
    row = next(i for i in rows if type(values[i]) not in _KINDS or _KINDS[type(values[i])] != _KINDS.get(first))
    if type(values[row]) not in _KINDS:
        kind = type(values[row]).__name__
        remedy = _REMEDIES.get(kind, "Turn the values into text or numbers, or drop the column.")
        raise _refusal(name, row, values[row], "which Arrow cannot hold exactly", remedy)
    raise _refusal(
        name,
        row,
        values[row],
        f"where the values before are of type {first.__name__}",
        "Give the column one type, for example with .astype(str) or pandas.to_numeric, or drop it.",
    )


def _plain(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    del missing, name
    return pa.array(values, from_pandas=True)


def _text(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    del missing, name
    return pa.array(values, pa.string(), from_pandas=True)


def _integers(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    present = values[~missing]
    low, high = int(min(present)), int(max(present))
    if low >= -(2**63) and high < 2**63:
        return pa.array(values, pa.int64(), from_pandas=True)
    if low >= 0 and high < 2**64:
        return pa.array(values, pa.uint64(), from_pandas=True)
    first, last = (-(2**63), 2**63) if low < 0 else (0, 2**64)
    row = next(i for i in np.flatnonzero(~missing) if not first <= values[i] < last)
    raise _refusal(name, row, values[row], "beyond 64 bits", "Use decimal.Decimal or text for such numbers.")


def _moments(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    rows = np.flatnonzero(~missing)
    zone = values[rows[0]].tzinfo
    for row in rows:
        if values[row].tzinfo != zone or not isinstance(zone, (type(None), timezone, ZoneInfo)):
            what = f"with the time zone {values[row].tzinfo!r}, where a column has one named zone or none"
            raise _refusal(name, row, values[row], what, "Use pandas.to_datetime(…, utc=True).")
        if zone is not None and values[row].astimezone(UTC).astimezone(zone).replace(tzinfo=None) != values[
            row
        ].replace(tzinfo=None):
            what = "that its time zone skips, when the clocks are put forward"
            raise _refusal(name, row, values[row], what, "Correct it, or use UTC.")
        if values[row].fold:
            raise _refusal(
                name, row, values[row], "with fold=1, which Arrow does not have", "Use .replace(fold=0) or UTC."
            )
    return pa.array(values, from_pandas=True)


def _times(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    for row in np.flatnonzero(~missing):
        if values[row].tzinfo is not None or values[row].fold:
            remedy = "Remove them with .replace(tzinfo=None, fold=0)."
            raise _refusal(name, row, values[row], "with a time zone or fold, which Arrow does not have", remedy)
    return pa.array(values, from_pandas=True)


def _decimals(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    for row in np.flatnonzero(~missing):
        value = values[row]
        if not value.is_finite() or (value.is_zero() and value.is_signed()):
            raise _refusal(
                name, row, value, f"{value}, which Arrow does not have", "Use None or 0, or a column of floats."
            )
    return pa.array(values, from_pandas=True)


def _nested(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    items = [None if gone else value for value, gone in zip(values, missing, strict=True)]
    remedy = "Give all rows the same structure and value types, or store the values as JSON text."
    try:
        array = pa.array(items)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        row = _first_unlike(items)
        raise _refusal(name, row, items[row], f"that does not fit the rows before: {error}", remedy) from error
    for row, (value, kept) in enumerate(zip(items, array.to_pylist(), strict=True)):
        if not _same(tuple(kept) if type(value) is tuple else kept, value):
            raise _refusal(name, row, value, "that Arrow would change inside", remedy)
    return array


def _first_unlike(items: list[Any]) -> int:
    """Find the row with which conversion first fails, by halving."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        try:
            pa.array(items[: middle + 1])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            high = middle
        else:
            low = middle + 1
    return min(low, len(items) - 1)


def _same(kept: object, value: object) -> bool:
    if type(kept) is not type(value):
        return False
    if isinstance(kept, dict) and isinstance(value, dict):
        return list(kept) == list(value) and all(_same(kept[key], value[key]) for key in value)
    if isinstance(kept, (list, tuple)) and isinstance(value, (list, tuple)):
        return len(kept) == len(value) and all(map(_same, kept, value))
    return bool(kept == value) or (kept != kept and value != value)  # noqa: PLR0124 - NaN is what differs from itself


def _arrays(values: np.ndarray, missing: np.ndarray, name: str) -> Column:
    rows = np.flatnonzero(~missing)
    dtype = values[rows[0]].dtype
    for row in rows:
        item = values[row]
        if item.ndim != 1 or item.dtype != dtype or dtype.kind not in "biuf" or dtype.itemsize > _WIDEST:
            remedy = f"Give all rows one-dimensional numeric arrays of one dtype (the first is {dtype})."
            raise _refusal(name, row, item, f"of dtype {item.dtype} and shape {item.shape}", remedy)
    lengths = np.zeros(len(values) + 1, dtype=np.int64)
    lengths[rows + 1] = [len(values[row]) for row in rows]
    flat = np.concatenate([values[row] for row in rows])
    child = pa.array(flat.astype(flat.dtype.newbyteorder("=")))
    offsets: Column = pa.array(np.cumsum(lengths))
    return pa.LargeListArray.from_arrays(offsets, child, mask=pa.array(missing))


_CONVERT: dict[str, Callable[[np.ndarray, np.ndarray, str], Any]] = {
    "str": _text,
    "int": _integers,
    "datetime": _moments,
    "time": _times,
    "Decimal": _decimals,
    "list": _nested,
    "tuple": _nested,
    "dict": _nested,
    "array": _arrays,
}


def _refusal(name: str, row: SupportsIndex, value: object, what: str, remedy: str) -> UnsupportedData:
    return UnsupportedData(
        f"Column {name!r} cannot be kept exactly: row {int(row)} holds a {type(value).__name__} {what}. {remedy}"
    )
