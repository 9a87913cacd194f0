"""Columns of Arrow tables, as the measures read them: a kind, a type, and values in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from mlops_kit.measures.grids import Floats


def kind_of(kind: Any) -> str:
    """Say what a column of this Arrow type holds.

    Returns
    -------
    str
        ``"number"``, ``"category"``, ``"moment"`` or ``"other"``.

    Examples
    --------
    >>> kind_of(pa.int8()), kind_of(pa.dictionary(pa.int8(), pa.string())), kind_of(pa.date32())
    ('number', 'category', 'moment')
    """
    types = pa.types
    if types.is_dictionary(kind):
        return "category" if kind_of(kind.value_type) in {"category", "number"} else "other"
    if types.is_boolean(kind) or _is_text(kind):
        return "category"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_duration(kind) or types.is_time(kind):
        return "number"
    return "moment" if types.is_timestamp(kind) or types.is_date(kind) else "other"


def type_of(kind: Any) -> str:
    """Name an Arrow type, alike for all encodings of the same values.

    Examples
    --------
    >>> type_of(pa.large_string()), type_of(pa.dictionary(pa.int8(), pa.string())), type_of(pa.float64())
    ('utf8', 'utf8', 'float64')
    """
    if pa.types.is_dictionary(kind):
        return type_of(kind.value_type)
    if _is_text(kind):
        return "utf8"
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return names.get(str(kind), str(kind))


def numbers(column: Any) -> Floats:
    """Give a column of numbers, durations or times of day as 64-bit floats; what is missing is NaN.

    Durations and times of day are in microseconds.
    """
    kind = column.type
    if pa.types.is_duration(kind):
        column = pc.cast(column, pa.duration("us"), safe=False).cast(pa.int64())
    elif pa.types.is_time(kind):
        column = pc.cast(column, pa.time64("us"), safe=False).cast(pa.int64())
    elif pa.types.is_decimal(kind):
        column = pc.cast(column, pa.float64())
    values = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values, dtype=np.float64)


def is_missing(column: Any) -> Any:
    """Return which values are missing, NaN among them, as an array of bool."""
    if pa.types.is_floating(column.type):
        return np.isnan(numbers(column))
    found = pc.is_null(column)
    return found.to_numpy() if isinstance(found, pa.ChunkedArray) else found.to_numpy(zero_copy_only=False)


def moments(column: Any) -> Any:
    """Give a column of dates or times as microseconds since 1970, in Arrow; without a zone, in UTC."""
    kind = column.type
    zone = kind.tz if pa.types.is_timestamp(kind) else None
    return pc.cast(column, pa.timestamp("us", tz=zone), safe=False).cast(pa.int64())


def texts(column: Any) -> Any:
    """Give a column of categories as text, in Arrow, dictionaries kept as dictionaries of text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _each(column, lambda chunk: pa.DictionaryArray.from_arrays(chunk.indices, _text(chunk.dictionary)))
    return _text(column)


def commonest(column: Any, number: int) -> tuple[str, ...]:
    """Name the most frequent categories, ties in the order of their text.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array
        A column of categories.
    number : int
        How many are named at most.

    Returns
    -------
    tuple of str
        The most frequent first.

    Examples
    --------
    >>> commonest(pa.array(["b", "a", "c", "c", None]), 2)
    ('c', 'a')
    """
    values, counts = pc.value_counts(texts(column)).flatten()
    if pa.types.is_dictionary(values.type):
        values = values.cast(pa.large_string())
    found: Any = pa.table({"value": values, "count": counts}).filter(pc.is_valid(values))
    if pa.types.is_dictionary(column.type):  # two keys of a dictionary may be the same text
        found = found.group_by("value", use_threads=False).aggregate([("count", "sum")])
    values, counts = found.column(0), found.column(1).to_numpy()
    if len(counts) > number:
        # Arrow finds the least of the texts that occur equally often without listing them.
        floor = np.partition(counts, -number)[-number]
        often = pa.array(np.flatnonzero(counts > floor))
        rest = values.filter(pa.array(counts == floor))
        rest = rest.take(pc.select_k_unstable(rest, number - len(often), [("", "ascending")]))
        values = pa.chunked_array([*values.take(often).chunks, *rest.chunks])
        counts = np.append(counts[often.to_numpy()], np.full(len(rest), floor))
    ranked = sorted(zip((-counts).tolist(), values.to_pylist(), strict=True))
    return tuple(value for _, value in ranked)


def find_levels(column: Any, levels: tuple[str, ...]) -> Any:
    """Give the place of each category among these levels: their number if it is none of them, -1 if it is missing."""
    known = pa.array(levels, pa.large_string())
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    places = [_places(texts(chunk), known) for chunk in chunks]
    return np.concatenate(places) if places else np.empty(0, np.int32)


def _places(chunk: Any, known: Any) -> Any:
    if pa.types.is_dictionary(chunk.type):
        table = np.append(_places(chunk.dictionary, known), -1)
        indices = pc.fill_null(chunk.indices.cast(pa.int64()), len(table) - 1).to_numpy(zero_copy_only=False)
        return table[indices].astype(np.int32)
    found = pc.fill_null(pc.index_in(chunk, value_set=known), len(known)).to_numpy(zero_copy_only=False)
    found = found.astype(np.int32)
    if chunk.null_count:
        found[pc.is_null(chunk).to_numpy(zero_copy_only=False)] = -1
    return found


def _text(column: Any) -> Any:
    return pc.cast(column, pa.large_string())


def _each(column: Any, act: Callable[[Any], Any]) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        return act(column)
    made = [act(chunk) for chunk in column.chunks]
    kind: Any = pa.dictionary(column.type.index_type, pa.large_string())
    return pa.chunked_array(made, kind)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
