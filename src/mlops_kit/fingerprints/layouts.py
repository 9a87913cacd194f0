"""The layouts in which Arrow keeps equal values, and the way from one to another, at any depth.

Imported only once data is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.errors import UnsupportedData

_PLAIN: dict[Any, Any] = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def with_children(kind: Any, change: Callable[[Any, str], Any]) -> Any:
    """Change the fields inside a nested or encoded type.

    Parameters
    ----------
    kind : pyarrow.DataType
        Any type.
    change : callable
        Takes a field, and what Arrow calls it by default: ``"item"``, ``"key"``, ``"value"``, or its own name in a
        struct. Of the values of a dictionary or of runs, only the type of what it returns is used.

    Returns
    -------
    pyarrow.DataType
        The type of the same nesting; the type itself if nothing is inside it. Extension types are left as they are.

    Examples
    --------
    >>> with_children(pa.list_(pa.int8()), lambda field, name: pa.field(name, pa.int64()))
    ListType(list<item: int64>)
    """
    if kind.num_fields or pa.types.is_dictionary(kind):
        for test, rebuilt in _REBUILT:
            if test(kind):
                return rebuilt(kind, change)
    return kind


def without_views(kind: Any) -> Any:
    """Return the type that holds the same texts and bytes in the older layout, which all of Arrow and parquet can use.

    Examples
    --------
    >>> without_views(pa.list_(pa.string_view()))
    ListType(list<item: large_string>)
    """
    if isinstance(kind, pa.BaseExtensionType):  # those of a user may have no hash
        return kind
    if kind in _PLAIN:
        return _PLAIN[kind]
    return with_children(kind, lambda field, _: field.with_type(without_views(field.type)))


def without_child_names(kind: Any) -> Any:
    """Return a type with one name for the child of every list and for those of every map: they mean nothing.

    Examples
    --------
    >>> without_child_names(pa.list_(pa.field("element", pa.int64())))
    ListType(list<item: int64>)
    """
    return with_children(kind, lambda field, name: field.with_name(name).with_type(without_child_names(field.type)))


def recast(array: Any, target: Any, dictionaries: Sequence[Any] | None = None) -> Any:
    """Convert an array to a type of the same values, of which only leaves, encodings and extensions differ.

    Parameters
    ----------
    array : pyarrow.Array or pyarrow.ChunkedArray
        The values.
    target : pyarrow.DataType
        The type wanted: nested as the array's own.
    dictionaries : sequence of pyarrow.Array, optional
        The values of each dictionary that `target` has and the array has not, from the outside in; by default those
        that occur, in the order in which they do.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray
        The array itself if it has the type already.

    Raises
    ------
    pyarrow.ArrowException
        There is no such conversion, or it would change a value.

    Examples
    --------
    >>> recast(pa.array([["a"]], pa.list_view(pa.string_view())), pa.list_view(pa.string())).type
    ListViewType(list_view<item: string>)
    """
    if array.type == target:
        return array
    if isinstance(array, pa.ChunkedArray):
        return pa.chunked_array([recast(chunk, target, dictionaries) for chunk in array.chunks], target)
    return _recast(array, target, iter(dictionaries or ()))


def _recast(  # noqa: PLR0911 - one for each encoding
    array: Any, target: Any, dictionaries: Iterator[Any]
) -> Any:
    kind = array.type
    if kind == target:
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return _recast(array.storage, target, dictionaries)
    if isinstance(target, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(target, _recast(array, target.storage_type, dictionaries))
    if pa.types.is_dictionary(kind):
        return _of_dictionary(array, target, dictionaries)
    if pa.types.is_dictionary(target):
        return _to_dictionary(array, target, next(dictionaries, None))
    if pa.types.is_run_end_encoded(kind) and not pa.types.is_run_end_encoded(target):
        plain = _recast(array, pa.run_end_encoded(kind.run_end_type, without_views(kind.value_type)), dictionaries)
        return _recast(pc.call_function("run_end_decode", [plain]), target, dictionaries)
    return _nested(array, target, dictionaries) if _same_nesting(kind, target) else array.cast(target)


def viewless(table: pa.Table) -> pa.Table:
    """Lay out the texts and bytes of a table in the older way, at any depth: Arrow looks up and takes no views."""
    for position, field in enumerate(table.schema):
        target = without_views(field.type)
        if target != field.type:
            with naming(field.name):
                column = recast(table.column(position), target)
            table = table.set_column(position, field.with_type(target), column)
    return table


@contextmanager
def naming(column: str) -> Iterator[None]:
    """Raise what Arrow raises about a column as an error that names the column.

    Raises
    ------
    UnsupportedData
        Arrow cannot do what was asked within the context.
    """
    try:
        yield
    except pa.ArrowException as error:
        raise UnsupportedData(
            f"Column {column!r} cannot be kept: Arrow has no way to convert it ({error}). "
            "Cast it to another type, or drop it."
        ) from error


def _of_dictionary(array: Any, target: Any, dictionaries: Iterator[Any]) -> Any:
    if pa.types.is_dictionary(target):
        values = _recast(array.dictionary, target.value_type, dictionaries)
        return pa.DictionaryArray.from_arrays(array.indices.cast(target.index_type), values, ordered=target.ordered)
    plain = _recast(array.dictionary, without_views(array.type.value_type), dictionaries)  # no view can be taken
    if isinstance(plain, pa.ExtensionArray):
        plain = plain.storage
    return _recast(plain.take(array.indices), target, dictionaries)


def _to_dictionary(array: Any, target: Any, dictionary: Any) -> Any:
    if dictionary is None:
        dictionary = _recast(array.unique().drop_null(), target.value_type, iter(()))
    storage = dictionary.storage if isinstance(dictionary, pa.ExtensionArray) else dictionary
    codes = pc.index_in(array, value_set=_recast(storage, array.type, iter(())), skip_nulls=True)
    return pa.DictionaryArray.from_arrays(codes.cast(target.index_type), dictionary, ordered=target.ordered)


def _nested(array: Any, target: Any, dictionaries: Iterator[Any]) -> Any:
    """Rebuild a nested array around its converted children, which for lists are shared by all slices of one array."""
    types = pa.types
    if types.is_struct(target):
        children = [_recast(array.field(i), target.field(i).type, dictionaries) for i in range(target.num_fields)]
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(children, fields=list(target), mask=mask)
    if types.is_map(target):
        fields = [target.key_field, target.item_field]
        parts = [
            _recast(part, field.type, dictionaries)
            for part, field in zip((array.keys, array.items), fields, strict=True)
        ]
        children, own = [pa.StructArray.from_arrays(parts, fields=fields)], 2
    elif types.is_run_end_encoded(target):
        values = _recast(array.values, target.value_type, dictionaries)
        children, own = [array.run_ends.cast(target.run_end_type), values], 1
    else:
        children = [_recast(array.values, target.value_type, dictionaries)]
        own = 1 if types.is_fixed_size_list(target) else 3 if _is_list_view(target) else 2
    return pa.Array.from_buffers(target, len(array), array.buffers()[:own], offset=array.offset, children=children)


def _is_list_view(kind: Any) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _value_type(kind: Any, change: Callable[[Any, str], Any]) -> Any:
    return change(pa.field("", kind.value_type), "").type


_make_map: Callable[..., Any] = pa.map_  # whose stub misspells the last parameter
_REBUILT: tuple[tuple[Callable[[Any], bool], Callable[[Any, Callable[[Any, str], Any]], Any]], ...] = (
    (pa.types.is_struct, lambda kind, change: pa.struct([change(field, field.name) for field in kind])),
    (pa.types.is_list, lambda kind, change: pa.list_(change(kind.value_field, "item"))),
    (pa.types.is_large_list, lambda kind, change: pa.large_list(change(kind.value_field, "item"))),
    (pa.types.is_list_view, lambda kind, change: pa.list_view(change(kind.value_field, "item"))),
    (pa.types.is_large_list_view, lambda kind, change: pa.large_list_view(change(kind.value_field, "item"))),
    (pa.types.is_fixed_size_list, lambda kind, change: pa.list_(change(kind.value_field, "item"), kind.list_size)),
    (
        pa.types.is_map,
        lambda kind, change: _make_map(
            change(kind.key_field, "key"), change(kind.item_field, "value"), keys_sorted=kind.keys_sorted
        ),
    ),
    (
        pa.types.is_run_end_encoded,
        lambda kind, change: pa.run_end_encoded(kind.run_end_type, _value_type(kind, change)),
    ),
    (
        pa.types.is_dictionary,
        lambda kind, change: pa.dictionary(kind.index_type, _value_type(kind, change), kind.ordered),
    ),
)


def _same_nesting(kind: Any, target: Any) -> bool:
    return kind.num_fields == target.num_fields and any(test(kind) and test(target) for test, _ in _REBUILT)
