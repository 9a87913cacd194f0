"""The names that Arrow gives to the children of lists and maps, which differ from writer to writer and mean nothing.

Imported only once data is at hand.
"""

from __future__ import annotations

from typing import Any

from mlops_kit.fingerprints.layouts import with_children


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
    >>> import pyarrow as pa
    >>> without_child_names(pa.list_(pa.field("element", pa.int64())))
    ListType(list<item: int64>)
    """
    return with_children(kind, lambda field, name: field.with_name(name).with_type(without_child_names(field.type)))
