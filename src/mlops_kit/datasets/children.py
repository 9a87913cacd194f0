"""The names that Arrow gives to the children of lists and maps, which differ from writer to writer and mean nothing.

Imported only once data is at hand.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def without_child_names(kind: Any) -> Any:
    """Give a type with one name for the child of every list, and for those of every map.

    Parameters
    ----------
    kind : pyarrow.DataType
        Any type.

    Returns
    -------
    pyarrow.DataType
        The type itself if its children are named so already.

    Examples
    --------
    >>> without_child_names(pa.list_(pa.field("element", pa.int64())))
    ListType(list<item: int64>)
    """
    if pa.types.is_map(kind):
        key, item = kind.key_field, kind.item_field
        return pa.map_(_renamed(key, "key"), _renamed(item, "value"), kind.keys_sorted)
    if pa.types.is_struct(kind):
        return pa.struct([_renamed(kind.field(i), kind.field(i).name) for i in range(kind.num_fields)])
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, without_child_names(kind.value_type), kind.ordered)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_renamed(kind.value_field, "item"), kind.list_size)
    for test, make in (
        (pa.types.is_list, pa.list_),
        (pa.types.is_large_list, pa.large_list),
        (pa.types.is_list_view, pa.list_view),
        (pa.types.is_large_list_view, pa.large_list_view),
    ):
        if test(kind):
            return make(_renamed(kind.value_field, "item"))
    return kind


def _renamed(field: Any, name: str) -> Any:
    return field.with_name(name).with_type(without_child_names(field.type))
