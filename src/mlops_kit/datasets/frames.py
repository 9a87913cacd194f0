"""Frames as stored: a plain table, and a header from which the very same frame is made again.

`pack` takes any table apart into columns that parquet keeps exactly and a JSON header that says the rest:
dtypes, categories, index, labels. `unpack_pandas` and `unpack_arrow` put it together. Between the two,
`write_parquet` and `read_parquet` carry the table. Imported only once data is at hand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.datasets.conversions import to_frame
from mlops_kit.datasets.natives import native, noted
from mlops_kit.datasets.parquet import (
    Promise,
    dictionary_types,
    from_storable,
    measure,
    read_parquet,
    schema_from_json,
    schema_to_json,
    storable,
    to_storable,
    values_to_json,
    write_parquet,
)
from mlops_kit.errors import InvalidInput, UnsupportedData
from mlops_kit.fingerprints.arrow import to_arrow
from mlops_kit.fingerprints.layouts import naming, viewless, without_child_names
from mlops_kit.fingerprints.tables import table_fingerprint
from mlops_kit.records.codec import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

__all__ = [
    "Packed",
    "arrow_schema",
    "identity",
    "measure",
    "pack",
    "promise",
    "read_parquet",
    "stored_columns",
    "unpack_arrow",
    "unpack_native",
    "unpack_pandas",
    "write_parquet",
]

Header: TypeAlias = dict[str, Any]
# The stubs of pyarrow tell arrays apart by their elements; here any will do.
Column: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Packed:
    """A frame taken apart.

    Attributes
    ----------
    table : pyarrow.Table
        Every value, in types that parquet keeps; index levels and notes on objects follow the columns.
    header : dict
        Plain JSON: what the table alone does not say.
    content : pyarrow.Table
        What a fingerprint and a profile are made of.
    """

    table: pa.Table
    header: Header
    content: pa.Table


def pack(data: object) -> Packed:
    """Take a frame apart into a table that can be stored and a header that says the rest.

    Parameters
    ----------
    data : object
        Anything that `to_arrow` accepts.

    Returns
    -------
    Packed
        The table and the header.

    Raises
    ------
    UnsupportedData
        A column cannot be kept exactly; it is named.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": pd.Categorical(["S", "L"], categories=["S", "M", "L"], ordered=True)})
    >>> packed = pack(frame)
    >>> read = read_parquet(write_parquet(packed.table))
    >>> unpack_pandas(read, packed.header)["size"].max()
    'L'
    """
    container = _container(data)
    tabular, note = noted(data)
    table = to_arrow(tabular, index="all")
    _refuse_unsound(table)
    header: Header = {"container": container, "rows": table.num_rows} | ({} if note is None else {"native": note})
    if _container(tabular) == "pandas":
        table, header["pandas"], names = _note(tabular, table)
        table = _unified(table)
        plain = viewless(table)
        content = plain.select(names)
    else:
        table = _unified(table)
        plain = viewless(table)
        content = to_arrow(plain)
    seen = set(content.column_names)
    header["extra"] = [name for name in table.column_names if name not in seen]
    header["categories"] = dict(_categories(table))
    header["types"] = [[field.name, str(field.type), field.nullable] for field in table.schema]
    header["schema"] = schema_to_json(table.schema)
    return Packed(_assembled([to_storable(plain[name], name) for name in plain.column_names], table), header, content)


def _refuse_unsound(table: pa.Table) -> None:
    """Refuse what other programs may pass as text or lists and nobody can read: bytes that are no UTF-8, false offsets.

    Raises
    ------
    UnsupportedData
        Naming the column.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_primitive(column.type):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise UnsupportedData(
                    f"Column {name!r} is no sound Arrow column: {error}. Repair it where it is made, or cast text that "
                    "is not valid Unicode to binary."
                ) from error


def unpack_pandas(table: pa.Table, header: Header, columns: Iterable[object] | None = None) -> pd.DataFrame:
    """Make the pandas frame again.

    Parameters
    ----------
    table : pyarrow.Table
        The stored table, or those of its columns that `stored_columns` names.
    header : dict
        Its header.
    columns : iterable of labels, optional
        The columns wanted, in order, by label or by the text of the label; all if not given.

    Returns
    -------
    pandas.DataFrame
        The frame as it was packed: dtypes, categories, index, labels, ``attrs`` and flags. Of something that was not
        pandas: a frame of the same values; see `mlops_kit.datasets.conversions.to_frame`.

    Raises
    ------
    InvalidInput
        There is no such column.
    """
    if "pandas" not in header:
        return to_frame(unpack_arrow(table, header, columns))
    import pandas as pd  # noqa: PLC0415 - not needed for data that never was pandas

    from mlops_kit.datasets import dtypes  # noqa: PLC0415 - likewise

    said = header["pandas"]
    schema = _schema(header)
    chosen = _chosen(header, columns)

    def restored(name: str, described: dict[str, Any]) -> Column:
        codes = said["details"].get(name)
        column = from_storable(table[name], schema.field(name).type, header["categories"].get(name))
        return dtypes.restore(column, described, None if codes is None else table[codes])

    index = said["index"]
    levels = [restored(*level) for level in zip(index["columns"], index.get("levels", ()), strict=False)]
    values = [restored(*said["columns"][position]) for position in chosen]
    rows = dtypes.restore_index(index, levels)
    frame = pd.DataFrame({i: column.set_axis(rows) for i, column in enumerate(values)}, index=rows, copy=False)
    labels = dtypes.labels_from_json(said["labels"])
    frame.columns = labels if columns is None else labels.take(chosen)
    frame.attrs.update(dtypes.attributes_from_json(said["attrs"]))
    return frame if said.get("duplicate_labels", True) else frame.set_flags(allows_duplicate_labels=False)


def unpack_native(table: pa.Table, header: Header) -> Any:
    """Make the kind of object again that was packed.

    Parameters
    ----------
    table : pyarrow.Table
        The stored table.
    header : dict
        Its header.

    Returns
    -------
    object
        A frame, Series or array of the library that the data was of; what came by an Arrow stream is an Arrow table.

    Examples
    --------
    >>> import numpy as np
    >>> packed = pack(np.array([1, 0], dtype="int8"))
    >>> unpack_native(packed.table, packed.header)
    array([1, 0], dtype=int8)
    """
    frame = unpack_pandas(table, header) if "pandas" in header else None
    return native(header.get("native"), header["container"], frame, unpack_arrow(table, header))


def unpack_arrow(table: pa.Table, header: Header, columns: Iterable[object] | None = None) -> pa.Table:
    """Make the Arrow table again.

    Parameters
    ----------
    table : pyarrow.Table
        The stored table, or those of its columns that `stored_columns` names.
    header : dict
        Its header.
    columns : iterable of labels, optional
        The columns wanted, in order; all if not given.

    Returns
    -------
    pyarrow.Table
        The table as it was packed, with all types and metadata. Of a pandas frame: its content, that is the
        columns and the index, unless that is unnamed integers.

    Raises
    ------
    InvalidInput
        There is no such column.
    """
    schema = arrow_schema(header)
    if columns is not None:
        chosen: list[Any] = [schema.field(position) for position in _positions(schema.names, columns)]
        schema = pa.schema(chosen, cast("Any", schema.metadata))
    names = schema.names
    arrays = [from_storable(table[name], schema.field(name).type, header["categories"].get(name)) for name in names]
    if not names:
        return pa.table({"": pa.nulls(header["rows"])}, metadata=cast("Any", schema.metadata)).select([])
    return pa.Table.from_arrays(arrays, schema=schema)


def arrow_schema(header: Header) -> pa.Schema:
    """Give the schema of `unpack_arrow` without any data.

    Parameters
    ----------
    header : dict
        The header of the frame.

    Returns
    -------
    pyarrow.Schema
        All fields, with metadata.

    Examples
    --------
    >>> arrow_schema(pack(pa.table({"x": [1]})).header).names
    ['x']
    """
    schema = _schema(header)
    if "pandas" not in header:
        return schema
    content: list[Any] = [field for field in schema if field.name not in header["extra"]]
    return pa.schema(content, cast("Any", schema.metadata))


def stored_columns(header: Header, columns: Iterable[object] | None = None) -> list[str] | None:
    """Name the stored columns that are needed to make some columns of a frame.

    Parameters
    ----------
    header : dict
        The header of the frame.
    columns : iterable of labels, optional
        The columns wanted.

    Returns
    -------
    list of str or None
        What to read; None for everything.

    Raises
    ------
    InvalidInput
        There is no such column.
    """
    if columns is None:
        return None
    if "pandas" not in header:
        names = _schema(header).names
        return [names[position] for position in _positions(names, columns)]
    noted = header["pandas"]
    names = [noted["columns"][position][0] for position in _chosen(header, columns)]
    names += [name for name in noted["index"]["columns"] if name not in names]
    return names + [noted["details"][name] for name in names if name in noted["details"]]


def promise(header: Header, rows: int, content: tuple[int, int] | None = None) -> Promise:
    """Return what the stored file of a frame must say of itself."""
    fields = [field.with_type(storable(field.type, field.name)).remove_metadata() for field in _schema(header)]
    return Promise(rows, pa.schema(fields), content)


def identity(header: Header, table: pa.Table) -> str:
    """Digest what makes two frames of one fingerprint two versions.

    Parameters
    ----------
    header : dict
        The header of the frame.
    table : pyarrow.Table
        Its stored table.

    Returns
    -------
    str
        SHA-256 in hex of the header, of the columns that are no content (unnamed integer indexes, notes on
        objects), and of where floats are null, which a fingerprint does not tell from NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> plain, categorical = pack(pd.DataFrame({"x": ["a"]})), pack(pd.DataFrame({"x": pd.Categorical(["a"])}))
    >>> identity(plain.header, plain.table) == identity(categorical.header, categorical.table)
    False
    """
    said = {key: value for key, value in header.items() if key != "schema"}
    said["types"] = [[field.name, str(without_child_names(field.type)), field.nullable] for field in _schema(header)]
    said["metadata"] = _metadata(_schema(header))
    unseen = {name: table[name] for name in header["extra"]}
    for name in table.column_names:
        for path, mask in _float_nulls(table[name], name):
            unseen[f"nulls of {path}"] = mask
    said["unseen"] = {name: table_fingerprint(pa.table({"": values})).value for name, values in unseen.items()}
    return hashlib.sha256(canonical(said)).hexdigest()


def _container(data: object) -> str:
    module = type(data).__module__.partition(".")[0]
    return {"pandas": "pandas", "pyarrow": "arrow", "polars": "polars", "numpy": "numpy", "builtins": "dict"}.get(
        module, module
    )


def _note(data: Any, table: pa.Table) -> tuple[pa.Table, Header, list[str]]:
    """Say what Arrow does not about a pandas frame; append the notes that are per row; name the content."""
    from mlops_kit.datasets import dtypes  # noqa: PLC0415 - pandas is loaded already in this case
    from mlops_kit.fingerprints.pandas_columns import index_levels  # noqa: PLC0415 - likewise

    frame = data if data.ndim == 2 else data.to_frame()  # noqa: PLR2004 - a frame has two dimensions
    labels = [str(label) for label in frame.columns]
    columns = {name: values for name, (_, values) in zip(labels, frame.items(), strict=True)}
    levels = index_levels(frame, keep_integers=True)
    details: dict[str, str] = {}
    for name, values in {**columns, **levels}.items():
        codes = dtypes.detail(values, table[name])
        if codes is not None:
            details[name] = f"__detail_{len(details)}__"
            if details[name] in table.column_names:
                raise UnsupportedData(f"The column name {details[name]!r} is needed for notes. Rename that column.")
            table = table.append_column(details[name], codes)
    noted = {
        "columns": [[name, dtypes.describe(values, name)] for name, values in columns.items()],
        "labels": dtypes.labels_to_json(frame.columns),
        "index": dtypes.describe_index(frame.index, list(levels)),
        "details": details,
        "attrs": dtypes.attributes_to_json(data.attrs),
    } | ({} if data.flags.allows_duplicate_labels else {"duplicate_labels": False})
    return table, noted, labels + list(index_levels(frame, keep_integers=False))


def _categories(table: pa.Table) -> Iterator[tuple[str, Any]]:
    for field in table.schema:
        of = dictionary_types(field.type)
        if not of:
            continue
        chunks: Column = table[field.name].chunks
        found = list(_dictionaries(chunks[0])) if chunks else [pa.array([], type=kind) for kind in of]
        listed = [_listed(values, field.name) for values in found]
        yield field.name, listed[0] if pa.types.is_dictionary(field.type) else listed


def _dictionaries(array: Column) -> Iterator[Column]:
    """Iterate over the values of each dictionary in an array, in the order of `dictionary_types`."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        yield array.dictionary
    elif not dictionary_types(kind):
        return
    elif isinstance(array, pa.ExtensionArray):
        yield from _dictionaries(array.storage)
    elif pa.types.is_map(kind):
        yield from _dictionaries(array.keys)
        yield from _dictionaries(array.items)
    elif pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _dictionaries(array.field(i))
    else:
        yield from _dictionaries(array.values)


def _listed(values: Column, name: str) -> Any:
    listed = values_to_json(values, name)
    if values.null_count or len(set(_entries(listed))) < len(values):
        raise UnsupportedData(
            f"Column {name!r} is a dictionary in which a value is null or stands twice, so its codes cannot "
            "be made again. Decode it, or encode it anew with `dictionary_encode()`."
        )
    return listed


def _entries(listed: Any) -> Iterator[bytes]:
    """Iterate over the values of a dictionary in a comparable form; those of a struct are listed field by field."""
    if isinstance(listed, dict):
        return map(b"\0".join, zip(*map(_entries, listed.values()), strict=True))
    return map(canonical, listed)


def _unified(table: pa.Table) -> pa.Table:
    """Give all chunks of a column one dictionary."""
    for position, field in enumerate(table.schema):
        column = table.column(position)
        if column.num_chunks > 1 and dictionary_types(field.type):
            with naming(field.name):
                try:
                    table = table.set_column(position, field, column.unify_dictionaries())
                except pa.ArrowNotImplementedError:
                    table = table.set_column(position, field, pa.chunked_array([column.combine_chunks()]))
    return table


def _assembled(arrays: list[Column], table: pa.Table) -> pa.Table:
    if not arrays:
        return table.replace_schema_metadata(None)
    fields = [
        pa.field(field.name, array.type, field.nullable) for field, array in zip(table.schema, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _schema(header: Header) -> pa.Schema:
    if "pandas" in header:
        import pandas as pd  # noqa: PLC0415 - not needed for data that never was pandas

        pa.array(pd.Series([], dtype="period[D]"))  # the first conversion makes pandas register its types with Arrow
    return schema_from_json(header["schema"])


def _chosen(header: Header, columns: Iterable[object] | None) -> list[int]:
    names = [name for name, _ in header["pandas"]["columns"]]
    return list(range(len(names))) if columns is None else _positions(names, columns)


def _positions(names: list[str], columns: Iterable[object]) -> list[int]:
    wanted = [str(label) for label in columns]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise InvalidInput(f"There is no column {', '.join(map(repr, unknown))}. Columns: {', '.join(names)}.")
    return [names.index(name) for name in wanted]


def _metadata(schema: pa.Schema) -> list[Any]:
    def text(metadata: dict[bytes, bytes] | None) -> list[list[str]]:
        return sorted([key.hex(), value.hex()] for key, value in (metadata or {}).items())

    return [text(schema.metadata), *(text(field.metadata) for field in schema)]


def _float_nulls(column: Column, path: str) -> Iterator[tuple[str, Column]]:
    kind = column.type
    if pa.types.is_floating(kind):
        if column.null_count:
            yield path, column.is_null()
    elif pa.types.is_struct(kind):
        for i, child in enumerate(column.flatten()):
            yield from _float_nulls(child, f"{path}.{i}")
    elif pa.types.is_map(kind):
        entry = pa.struct([pa.field("key", kind.key_type), pa.field("value", kind.item_type)])
        yield from _float_nulls(column.cast(pa.list_(entry)), path)
    elif pa.types.is_nested(kind):
        yield from _float_nulls(pc.list_flatten(column), f"{path}[]")
