"""Arrow tables as parquet bytes and back: compressed, with page checksums, the same bytes for the same table.

Parquet does not know every Arrow type. `storable` says in which type a column is kept; `to_storable` and
`from_storable` go there and back without loss.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops_kit.errors import IntegrityError, UnsupportedData
from mlops_kit.fingerprints.layouts import naming, recast, with_children, without_views
from mlops_kit.fingerprints.leaves import type_name
from mlops_kit.records.codec import plain, unplain
from mlops_kit.store.footers import Footer

# The stubs of pyarrow tell types and arrays apart by their elements; here any will do.
Type: TypeAlias = Any
Column: TypeAlias = Any

_SAMPLE = 250
"""Rows whose values say whether a dictionary is worth its while."""


def write_parquet(table: pa.Table) -> bytes:
    """Write a table of storable types as parquet.

    Parameters
    ----------
    table : pyarrow.Table
        A table as `pack` makes it, or rows of one.

    Returns
    -------
    bytes
        The file, compressed with zstd, every page with its checksum; without time or place in it, so equal
        for equal tables under one release of pyarrow.

    Raises
    ------
    UnsupportedData
        A column has a type that parquet would change.

    Examples
    --------
    >>> read_parquet(write_parquet(pa.table({"x": [1, 2]}))).num_rows
    2
    """
    for field in table.schema:
        kept = storable(field.type, field.name)
        if kept != field.type:
            raise UnsupportedData(
                f"Column {field.name!r} has the type {field.type}, which parquet keeps as {kept}. Use `pack` first."
            )
    repetitive: Any = _repetitive(table)  # the stubs of pyarrow know no list here
    sink = io.BytesIO()  # grows in place, and gives its bytes without a copy
    pq.write_table(
        table.replace_schema_metadata(None),
        sink,
        compression="zstd",
        use_dictionary=repetitive,
        write_page_checksum=True,
        version="2.6",
    )
    return sink.getvalue()


def _repetitive(table: pa.Table) -> list[str] | bool:
    """Name the columns that a dictionary may shorten; of numbers that differ it makes a longer file in thrice the time.

    Nested columns would have to be named by their leaves: a table with any is left to the writer's own judgement.
    """
    if any(pa.types.is_nested(field.type) for field in table.schema):
        return True
    head = table.slice(0, _SAMPLE)
    names = [name for name, column in zip(head.column_names, head.columns, strict=True) if not _is_various(column)]
    return names or False


def _is_various(column: Column) -> bool:
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return 2 * len(np.unique(column.to_numpy())) > len(column)
    return bool(pa.types.is_temporal(kind)) and 2 * int(pc.count_distinct(column).as_py()) > len(column)


@dataclass(frozen=True, slots=True)
class Promise:
    """What a record says of a parquet file, held against the file's own footer before any row is read.

    Parameters
    ----------
    rows : int
        How many rows it has.
    schema : pyarrow.Schema
        Its columns, in the types in which they are stored.
    content : list of int, optional
        The bytes of its pages before compression, and its values, at any depth; see `measure`.
    """

    rows: int
    schema: pa.Schema
    content: tuple[int, int] | None = None


def measure(source: bytes | pa.Buffer) -> tuple[int, int]:
    """Read from the footer of a parquet file the bytes of its pages before compression, and the number of its values.

    Examples
    --------
    >>> measure(write_parquet(pa.table({"x": [[1, 2], [3]]})))[1]
    3
    """
    return _content(pq.read_metadata(pa.BufferReader(source)))


def read_parquet(
    source: bytes | pa.Buffer, columns: Sequence[str] | None = None, promise: Promise | None = None
) -> pa.Table:
    """Read a parquet file and verify the checksums of its pages.

    Parameters
    ----------
    source : bytes or pyarrow.Buffer
        The file.
    columns : sequence of str, optional
        The columns wanted, in order; all if not given.
    promise : Promise, optional
        What the file must say of itself.

    Returns
    -------
    pyarrow.Table
        The table, in the types in which it was written.

    Raises
    ------
    IntegrityError
        The bytes are no parquet file, a page is not what was written, or the file says other than was promised; then
        no row was read.
    """
    wanted = None if columns is None else list(columns)
    try:
        file = pq.ParquetFile(pa.BufferReader(source), page_checksum_verification=True)
        broken = None if promise is None else _broken(promise, file)
        if broken is None:
            table = file.read(columns=wanted)
            return table if wanted is None else table.select(wanted)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise IntegrityError(
            f"A stored parquet file cannot be read: {error}. Restore the object from a copy of the store."
        ) from error
    raise IntegrityError(
        f"A stored parquet file is not the one that was kept, and was not read: {broken}. "
        "Restore the records and the object from a copy of the store."
    )


def _broken(promise: Promise, file: pq.ParquetFile) -> str | None:
    """Return in what a file says other than was promised, or None."""
    footer = file.metadata
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    rows = sum(group.num_rows for group in groups)
    if promise.schema.names and not footer.num_rows == rows == promise.rows:  # a file without columns counts no rows
        return f"it has {max(footer.num_rows, rows):,} rows, and {promise.rows:,} were kept"
    held, kept = (
        [(field.name, type_name(field)) for field in schema] for schema in (file.schema_arrow, promise.schema)
    )
    if held != kept:
        odd = next((pair for pair in zip(held, kept, strict=False) if pair[0] != pair[1]), None)
        return (
            f"it has {len(held)} columns, and {len(kept)} were kept"
            if odd is None
            else f"it has {odd[0]}, not {odd[1]}"
        )
    content = _content(footer)
    if promise.content is not None and content != promise.content:
        return f"its pages hold {content[0]:,} bytes and {content[1]:,} values, and {promise.content} were kept"
    if not any(pa.types.is_nested(field.type) for field in promise.schema) and content[1] != rows * len(kept):
        return f"its pages hold {content[1]:,} values, and {rows * len(kept):,} were kept"
    return None


def _content(metadata: pq.FileMetaData) -> tuple[int, int]:
    footer = Footer.of(metadata)
    return footer.unpacked, footer.values


def storable(kind: Type, name: str, *, top: bool = True) -> Type:
    """Say in which type parquet keeps a column without loss.

    Parameters
    ----------
    kind : pyarrow.DataType
        The column's type.
    name : str
        The column's name, for the message of an error.
    top : bool
        Whether this is the type of the column itself, not of something inside it.

    Returns
    -------
    pyarrow.DataType
        The same type, if parquet has it.

    Raises
    ------
    UnsupportedData
        Parquet has no such type, and no other holds its values.

    Examples
    --------
    >>> storable(pa.timestamp("s"), "t"), storable(pa.timestamp("ns"), "t")
    (DataType(int64), TimestampType(timestamp[ns]))
    """
    if isinstance(kind, pa.BaseExtensionType):
        return storable(kind.storage_type, name, top=top)
    if kind in _AS_INTEGERS or (pa.types.is_timestamp(kind) and kind.unit == "s"):
        return _AS_INTEGERS.get(kind, pa.int64())
    if top and pa.types.is_dictionary(kind) and _is_coded(kind):
        return kind.index_type
    if _is_lost(kind) or (not top and _is_lost_inside(kind)):
        raise UnsupportedData(
            f"Column {name!r} has {'the type' if top else 'inside it'} {kind}, which parquet cannot keep exactly. "
            f"{_remedy(kind)}"
        )
    if pa.types.is_dictionary(kind):
        return storable(kind.value_type, name, top=top)
    if pa.types.is_nested(kind):
        return with_children(kind, lambda field, _: field.with_type(storable(field.type, name, top=False)))
    return without_views(kind)


def to_storable(column: Column, name: str) -> Column:
    """Convert a column to its storable type.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Any column.
    name : str
        Its name, for the message of an error.

    Returns
    -------
    pyarrow.ChunkedArray
        The same values: of a dictionary the values, of an extension the storage.

    Raises
    ------
    UnsupportedData
        There is no storable type for it.
    """
    target = storable(column.type, name)
    if pa.types.is_dictionary(column.type) and _is_coded(column.type):
        return pa.chunked_array([chunk.indices for chunk in column.chunks], target)
    with naming(name):
        return recast(column, target)


def from_storable(column: Column, kind: Type, categories: Any = None) -> Column:
    """Convert a stored column back to its own type.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        The column as `to_storable` left it.
    kind : pyarrow.DataType
        Its own type.
    categories : JSON value, optional
        The values of a dictionary type in order, as `values_to_json` wrote them.

    Returns
    -------
    pyarrow.ChunkedArray
        The column as it was.

    Examples
    --------
    >>> column = pa.chunked_array([["b", None]])
    >>> from_storable(column, pa.dictionary(pa.int8(), pa.string()), ["a", "b"]).chunk(0).indices.to_pylist()
    [1, None]
    """
    listed = [categories] if pa.types.is_dictionary(kind) else categories or ()
    dictionaries = [values_from_json(values, of) for values, of in zip(listed, dictionary_types(kind), strict=True)]
    if pa.types.is_dictionary(kind) and _is_coded(kind):
        pieces = column.chunks or [pa.array([], kind.index_type)]
        return pa.chunked_array(
            [pa.DictionaryArray.from_arrays(piece, dictionaries[0], ordered=kind.ordered) for piece in pieces]
        )
    if pa.types.is_dictionary(kind) and not column.num_chunks:
        column = pa.chunked_array([pa.array([], column.type)])
    return recast(column, kind, dictionaries)


def dictionary_types(kind: Type) -> list[Type]:
    """List the types of the values of each dictionary in a type, from the outside in, from the first field on.

    Examples
    --------
    >>> dictionary_types(pa.list_(pa.dictionary(pa.int8(), pa.string())))
    [DataType(string)]
    """
    if pa.types.is_dictionary(kind):
        return [kind.value_type]
    if isinstance(kind, pa.BaseExtensionType):
        return dictionary_types(kind.storage_type)
    return [of for i in range(kind.num_fields) for of in dictionary_types(kind.field(i).type)]


def values_to_json(values: Column, name: str) -> Any:
    """Write the values of a dictionary as a JSON value, readable and exact.

    Parameters
    ----------
    values : pyarrow.Array
        The values.
    name : str
        The column's name, for the message of an error.

    Returns
    -------
    JSON value
        A list of numbers or texts; moments as integers of their unit, decimals as text; for a struct, such as
        an interval, a list for each of its fields.

    Examples
    --------
    >>> values_to_json(pa.array([Decimal("1.50")]), "x")
    ['1.50']
    """
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return values_to_json(values.storage, name)
    if pa.types.is_struct(kind) and not values.null_count:
        return {field.name: values_to_json(values.field(i), name) for i, field in enumerate(kind)}
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
        raise UnsupportedData(
            f"Column {name!r} has categories of the type {kind}, which cannot be listed. "
            "Use text or numbers as categories."
        )
    if pa.types.is_decimal(kind):
        return [None if value is None else str(value) for value in values.to_pylist()]
    if pa.types.is_temporal(kind):
        values = values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())  # noqa: PLR2004 - bits
    return [plain(value) for value in values.to_pylist()]


def values_from_json(values: Any, kind: Type) -> Column:
    """Read what `values_to_json` wrote.

    Parameters
    ----------
    values : JSON value
        The values.
    kind : pyarrow.DataType
        Their type.

    Returns
    -------
    pyarrow.Array
        The values.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, values_from_json(values, kind.storage_type))
    if pa.types.is_struct(kind):
        children = [values_from_json(values[field.name], field.type) for field in kind]
        return pa.StructArray.from_arrays(children, fields=list(kind))
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else Decimal(value) for value in values], kind)
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)  # noqa: PLR2004 - bits
    return pa.array([unplain(value) for value in values], kind)


def schema_to_json(schema: pa.Schema) -> Any:
    """Write a schema with all its metadata as a JSON value.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema.

    Returns
    -------
    JSON value
        Its Arrow IPC message in base64. Where the values of a dictionary are of an extension type, which such
        a message loses, that type is listed by the position of the field.

    Examples
    --------
    >>> schema = pa.schema({"x": pa.uint8()})
    >>> schema_from_json(schema_to_json(schema)) == schema
    True
    """
    extensions = {}
    for position, field in enumerate(schema):
        kind = field.type
        if pa.types.is_dictionary(kind) and isinstance(kind.value_type, pa.BaseExtensionType):
            extensions[str(position)] = _message(pa.schema([pa.field("", kind.value_type)]))
            storage: Type = kind.value_type.storage_type
            bare = pa.dictionary(kind.index_type, storage, kind.ordered)
            schema = schema.set(position, field.with_type(bare))
    return {"ipc": _message(schema), "extensions": extensions}


def schema_from_json(written: Any) -> pa.Schema:
    """Read a schema written by `schema_to_json`.

    Parameters
    ----------
    written : JSON value
        The schema.

    Returns
    -------
    pyarrow.Schema
        The schema.
    """
    schema = _read_message(written["ipc"])
    for position, text in written["extensions"].items():
        field: Any = schema.field(int(position))
        kind = pa.dictionary(field.type.index_type, _read_message(text).field(0).type, field.type.ordered)
        schema = schema.set(int(position), field.with_type(kind))
    return schema


_AS_INTEGERS: dict[Any, Any] = {pa.time32("s"): pa.int32(), pa.date64(): pa.int64()}


def _is_lost(kind: Type) -> bool:
    return (
        pa.types.is_union(kind)
        or pa.types.is_interval(kind)
        or pa.types.is_run_end_encoded(kind)
        or (pa.types.is_struct(kind) and not kind.num_fields)
        or (pa.types.is_decimal(kind) and not 0 <= kind.scale <= kind.precision)
    )


def _is_lost_inside(kind: Type) -> bool:
    if not pa.types.is_dictionary(kind):
        return False
    return isinstance(kind.value_type, pa.BaseExtensionType) or _is_coded(kind)


def _remedy(kind: Type) -> str:
    if pa.types.is_struct(kind):
        return "A struct without fields says nothing: drop it."
    if pa.types.is_decimal(kind):
        return "Cast it to a decimal type with a scale between 0 and its precision."
    if pa.types.is_interval(kind):
        return "Split it into columns of months, days and nanoseconds."
    return "Cast it to the type of its values."


def _is_coded(kind: Type) -> bool:
    """Test whether of a dictionary the codes are stored: Arrow cannot look up structs, such as intervals."""
    values = kind.value_type
    return bool(pa.types.is_struct(values.storage_type if isinstance(values, pa.BaseExtensionType) else values))


def _message(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def _read_message(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
