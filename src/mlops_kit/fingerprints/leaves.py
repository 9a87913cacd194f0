"""The bytes of one block of one Arrow column, and the name of its logical type (``docs/format.md``).

A block is given as the slices that make it, so that it need not be one piece in memory; the values are hashed
from Arrow's own buffers wherever those already hold the bytes of the format.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.extensions import parameters_of
from mlops_kit.fingerprints.hashing import canonical_floats, hashed
from mlops_kit.fingerprints.layouts import with_children

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NULLS, _REMAINDERS = 1, 2
_DAY_MS = 86_400_000
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NARROW_DECIMAL = 38
_IN_NAMES, _IN_ZONES = re.compile(r"[\\,:<>\[\]]"), re.compile(r"[\\\]]")


def type_name(field: pa.Field[Any]) -> str:
    """Name the logical type of a column.

    Parameters
    ----------
    field : pyarrow.Field
        The column's field; an extension type that this process has not registered is known by its metadata.

    Returns
    -------
    str
        The same for all encodings of the same values.

    Raises
    ------
    UnsupportedData
        The format has no such type; the column is named.

    Examples
    --------
    >>> type_name(pa.field("tags", pa.large_list(pa.dictionary(pa.int8(), pa.string()))))
    'list<utf8>'
    """
    return _type_name(field.type, field.metadata, field.name)


def leaf_digest(*pieces: pa.Array[Any], column: str = "") -> bytes:
    """Digest one block of a column.

    Parameters
    ----------
    *pieces : pyarrow.Array
        The arrays of one type that make up the block, in order; where the cuts are does not count.
    column : str, optional
        The column's name, for the message of an error.

    Returns
    -------
    bytes
        The 32 bytes of a SHA-256.

    Raises
    ------
    UnsupportedData
        A value cannot be held exactly, such as a time that overflows microseconds.

    Examples
    --------
    >>> leaf_digest(pa.array(["a", "b"])) == leaf_digest(pa.array(["a"]), pa.array(["b"]))
    True
    """
    plain = _without_extensions(pieces[0].type)
    if plain != pieces[0].type:  # of extension types Arrow can neither cut nor flatten all that it can of their storage
        pieces = tuple(piece.view(plain) for piece in pieces)
    return hashed(hashlib.sha256(), _parts(pieces, column)).digest()


def _without_extensions(kind: Any) -> Any:
    """Return the type of the same buffers without extension types, of which not all have a hash, at any depth."""
    if isinstance(kind, pa.BaseExtensionType):
        return _without_extensions(kind.storage_type)
    return with_children(kind, lambda field, _: field.with_type(_without_extensions(field.type)))


def _type_name(kind: Any, metadata: Any, column: str) -> str:
    if isinstance(kind, pa.BaseExtensionType):
        return _name_extension(kind.extension_name, parameters_of(kind), _type_name(kind.storage_type, None, column))
    if metadata and b"ARROW:extension:name" in metadata:
        parameters = metadata.get(b"ARROW:extension:metadata", b"")
        return _name_extension(metadata[b"ARROW:extension:name"].decode(), parameters, _type_name(kind, None, column))
    for test, name in _NAMES:
        if test(kind):
            return name if isinstance(name, str) else name(kind, lambda part: _part_name(part, column))
    raise UnsupportedData(
        f"Column {column!r} has the Arrow type {kind}, which fingerprints do not know. "
        "Cast it first, for example to a string, a struct or a number."
    )


def _name_extension(name: str, parameters: bytes, storage: str) -> str:
    """Name an extension type, with its parameters if it has any: the same numbers are other days, or other months."""
    said = f"[{hashlib.sha256(parameters).hexdigest()}]" if parameters else ""
    return f"ext:{_escaped(name)}{said}:{storage}"


def _escaped(name: str, *, in_zone: bool = False) -> str:
    """Mark the characters of a name that would read as a part of the type around it."""
    return (_IN_ZONES if in_zone else _IN_NAMES).sub(r"\\\g<0>", name)


def _part_name(part: Any, column: str) -> str:
    """Name the type of a field of a nested type, or of the values of an encoded one."""
    if isinstance(part, pa.DataType):
        return _type_name(part, None, column)
    return _type_name(part.type, part.metadata, column)


def _name_struct(kind: Any, name: Callable[[Any], str]) -> str:
    fields = [kind.field(i) for i in range(kind.num_fields)]
    return f"struct<{','.join(f'{_escaped(field.name)}:{name(field)}' for field in fields)}>"


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_variable_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_other_decimal(kind: Any) -> bool:
    """Test for a decimal that its precision would let Arrow keep in 16 bytes, and that is not so kept."""
    narrow = pa.types.is_decimal(kind) and kind.precision <= _NARROW_DECIMAL
    return bool(narrow and not pa.types.is_decimal128(kind))


def _is_list(kind: Any) -> bool:
    types = pa.types
    plain = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(plain or types.is_list_view(kind) or types.is_large_list_view(kind))


_NAMES: tuple[tuple[Callable[[Any], bool], str | Callable[[Any, Callable[[Any], str]], str]], ...] = (
    (pa.types.is_boolean, "bool"),
    (pa.types.is_integer, lambda kind, _: np.dtype(kind.to_pandas_dtype()).name),
    (pa.types.is_floating, lambda kind, _: np.dtype(kind.to_pandas_dtype()).name),
    (_is_text, "utf8"),
    (_is_variable_binary, "binary"),
    (pa.types.is_fixed_size_binary, "binary"),
    (pa.types.is_date, "date32"),
    (pa.types.is_time, "time64"),
    (pa.types.is_timestamp, lambda kind, _: f"timestamp[{_escaped(kind.tz or '', in_zone=True)}]"),
    (pa.types.is_duration, "duration"),
    (pa.types.is_decimal, lambda kind, _: f"decimal({kind.precision},{kind.scale})"),
    (pa.types.is_null, "null"),
    (pa.types.is_dictionary, lambda kind, name: name(kind.value_type)),
    (pa.types.is_run_end_encoded, lambda kind, name: name(kind.value_type)),
    (pa.types.is_map, lambda kind, name: f"list<struct<key:{name(kind.key_field)},value:{name(kind.item_field)}>>"),
    (_is_list, lambda kind, name: f"list<{name(kind.value_field)}>"),
    (pa.types.is_struct, _name_struct),
)


def _parts(pieces: Sequence[Any], column: str) -> Iterator[Any]:
    """Yield the header, the validity and the parts of one leaf."""
    while (decode := _decoder(pieces[0].type)) is not None:
        pieces = [decode(piece) for piece in pieces]
    kind = pieces[0].type
    rows = sum(len(piece) for piece in pieces)
    write = _writer(kind)
    flags = _NULLS if write not in _WITHOUT_VALIDITY and any(piece.null_count for piece in pieces) else 0
    parts: Iterable[Any]
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        parts, remainders = _micros(pieces, kind.unit, column)
        if remainders is not None:
            flags |= _REMAINDERS
            parts = [*parts, remainders]
    else:
        parts = write(pieces, column)
    yield struct.pack("<QB", rows, flags)
    if flags & _NULLS:
        yield _bits([_valid(piece) for piece in pieces])
    yield from parts


@cache
def _decoder(kind: Any) -> Callable[[Any], Any] | None:
    """Find what strips an encoding that is not content; None for a type with parts of its own."""
    if isinstance(kind, pa.BaseExtensionType):
        return _storage
    for test, decode in (
        (pa.types.is_dictionary, _decoded),
        (pa.types.is_run_end_encoded, _run_ends_decoded),
        (pa.types.is_map, _entries),
        (pa.types.is_string_view, methodcaller("cast", pa.large_string())),
        (pa.types.is_binary_view, methodcaller("cast", pa.large_binary())),
        (_is_other_decimal, _wide_decimals),
    ):
        if test(kind):
            return decode
    return None


def _storage(piece: Any) -> Any:
    return piece.storage


def _decoded(piece: Any) -> Any:
    """Look up the values of a dictionary; Arrow cannot, if they are views, such as polars makes of categoricals."""
    values = piece.dictionary
    plain = (
        _decoder(values.type) if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type) else None
    )
    if plain is None:
        return piece.dictionary_decode()
    return pa.DictionaryArray.from_arrays(piece.indices, plain(values)).dictionary_decode()


def _run_ends_decoded(piece: Any) -> Any:
    return pc.call_function("run_end_decode", [piece])


def _wide_decimals(piece: Any) -> Any:
    return piece.cast(pa.decimal128(piece.type.precision, piece.type.scale))


def _entries(piece: Any) -> Any:
    """Turn a map into the list of structs that it is; Arrow flattens only lists."""
    entries = pa.StructArray.from_arrays([piece.keys, piece.items], ["key", "value"])
    buffers, offset = piece.buffers()[:2], piece.offset
    return pa.Array.from_buffers(pa.list_(entries.type), len(piece), buffers, offset=offset, children=[entries])


@cache
def _writer(kind: Any) -> Callable[[Sequence[Any], str], Iterable[Any]]:
    types = pa.types
    for write, test in (
        (_null, types.is_null),
        (_floats, types.is_floating),
        (_structs, types.is_struct),
        (_lists, _is_list),
        (_bools, types.is_boolean),
        (_fixed_binaries, types.is_fixed_size_binary),
        (_binaries, lambda kind: _is_text(kind) or _is_variable_binary(kind)),
        (_decimals, types.is_decimal),
        (_dates64, types.is_date64),
        (_times, types.is_time),
    ):
        if test(kind):
            return write
    return _numbers


def _null(_pieces: Sequence[Any], _column: str) -> Iterable[Any]:
    return ()


def _floats(pieces: Sequence[Any], _column: str) -> Iterator[Any]:
    dtype = pieces[0].type.to_pandas_dtype()
    for piece in pieces:
        values = _values(piece, dtype)
        yield canonical_floats(values, ~_valid(piece)) if piece.null_count else values


def _structs(pieces: Sequence[Any], column: str) -> Iterator[Any]:
    for child in zip(*(piece.flatten() for piece in pieces), strict=True):  # flatten lays the struct's nulls over them
        yield from _parts(child, column)


def _lists(pieces: Sequence[Any], column: str) -> Iterator[Any]:
    for piece in pieces:
        yield _int32(pc.fill_null(pc.list_value_length(piece), 0).to_numpy(zero_copy_only=False), column)
    yield from _parts([piece.flatten() for piece in pieces], column)


def _bools(pieces: Sequence[Any], _column: str) -> Iterator[Any]:
    yield _bits([_bitmap(piece, 1) & _valid(piece) for piece in pieces])


def _fixed_binaries(pieces: Sequence[Any], _column: str) -> Iterator[Any]:
    width = pieces[0].type.byte_width
    for piece in pieces:
        yield np.where(_valid(piece), np.int32(width), np.int32(0))
    for piece in pieces:
        yield _rows(piece.drop_null(), width)


def _binaries(pieces: Sequence[Any], column: str) -> Iterator[Any]:
    contents = []
    for piece in pieces:
        lengths = _int32(np.diff(_offsets(piece)), column)
        if piece.null_count:
            valid = _valid(piece)
            hidden = lengths[~valid].any()
            lengths = lengths * valid
            piece = piece.drop_null() if hidden else piece  # noqa: PLW2901 - only the valid bytes are content
        contents.append(piece)
        yield lengths
    for piece in contents:
        offsets = _offsets(piece)
        yield memoryview(piece.buffers()[2] or b"")[int(offsets[0]) : int(offsets[-1])]


def _decimals(pieces: Sequence[Any], _column: str) -> Iterator[Any]:
    for piece in pieces:
        rows = _rows(piece, piece.type.byte_width)
        yield rows * _valid(piece)[:, None] if piece.null_count else rows


def _dates64(pieces: Sequence[Any], column: str) -> Iterator[Any]:
    for piece in pieces:
        days, rest = np.divmod(_zeroed(piece, np.int64), _DAY_MS)
        if rest.any():
            raise UnsupportedData(
                f"Column {column!r} is date64 with times of day in it, which a date cannot hold. "
                "Cast it to a timestamp."
            )
        yield _int32(days, column)


def _times(pieces: Sequence[Any], column: str) -> Iterator[Any]:
    for piece in pieces:
        ticks = _zeroed(piece, f"i{piece.type.bit_width // 8}").astype(np.int64, copy=False)
        yield _scaled(ticks, _PER_SECOND["ns"] // _PER_SECOND[piece.type.unit], column)


def _numbers(pieces: Sequence[Any], _column: str) -> Iterator[Any]:
    kind = pieces[0].type
    dtype = np.int32 if pa.types.is_date32(kind) else kind.to_pandas_dtype()
    for piece in pieces:
        yield _zeroed(piece, dtype)


_WITHOUT_VALIDITY = (_null, _floats)


def _micros(pieces: Sequence[Any], unit: str, column: str) -> tuple[list[NDArray[Any]], NDArray[Any] | None]:
    """Give whole microseconds, floored, and the nanoseconds beyond them if there are any."""
    ticks = [_zeroed(piece, np.int64) for piece in pieces]
    if unit != "ns":
        scale = _PER_SECOND["us"] // _PER_SECOND[unit]
        return [_scaled(piece, scale, column) for piece in ticks], None
    micros = [np.floor_divide(piece, 1000) for piece in ticks]
    remainders = np.concatenate([piece - whole * 1000 for piece, whole in zip(ticks, micros, strict=True)])
    return micros, remainders.astype("<i2") if remainders.any() else None


def _scaled(ticks: NDArray[Any], scale: int, column: str) -> NDArray[Any]:
    if scale == 1 or not ticks.size:
        return ticks
    limit = (2**63 - 1) // scale
    if ticks.max() > limit or ticks.min() < -limit:
        raise UnsupportedData(
            f"Column {column!r} holds a time too far from 1970 to be counted in 64 bits at the precision that "
            "fingerprints keep. Correct or drop such values; they are often sentinels for a missing date."
        )
    return ticks * scale


def _int32(values: NDArray[Any], column: str) -> NDArray[Any]:
    if values.dtype.itemsize > np.dtype(np.int32).itemsize and values.size:
        bounds = np.iinfo(np.int32)
        if values.max() > bounds.max or values.min() < bounds.min:
            raise UnsupportedData(
                f"Column {column!r} holds a value whose length, or number of days, needs more than 32 bits. "
                "Split texts, bytes and lists of 2 GiB and more; correct or drop such dates."
            )
    return values.astype("<i4", copy=False)


def _zeroed(piece: Any, dtype: Any) -> NDArray[Any]:
    """Give a fixed-width array's values, 0 for null."""
    values = _values(piece, dtype)
    return values * _valid(piece) if piece.null_count else values


def _values(piece: Any, dtype: Any) -> NDArray[Any]:
    """View a fixed-width array's values where they lie."""
    dtype = np.dtype(dtype)
    if not len(piece):
        return np.empty(0, dtype)
    values = np.frombuffer(piece.buffers()[1], dtype, len(piece), piece.offset * dtype.itemsize)
    return values.astype(dtype.newbyteorder("<"), copy=False)


def _rows(piece: Any, width: int) -> NDArray[np.uint8]:
    """View the values of a fixed number of bytes as a matrix of bytes."""
    if not len(piece) or not width:
        return np.empty((len(piece), width), np.uint8)
    octets = np.frombuffer(piece.buffers()[1], np.uint8, len(piece) * width, piece.offset * width)
    return octets.reshape(len(piece), width)


def _offsets(piece: Any) -> NDArray[Any]:
    large = pa.types.is_large_string(piece.type) or pa.types.is_large_binary(piece.type)
    dtype = np.dtype(np.int64 if large else np.int32)
    if not len(piece):  # Arrow lets an empty array do without offsets
        return np.zeros(1, dtype)
    return np.frombuffer(piece.buffers()[1], dtype, len(piece) + 1, piece.offset * dtype.itemsize)


def _valid(piece: Any) -> NDArray[np.bool_]:
    return _bitmap(piece, 0) if piece.null_count else np.ones(len(piece), np.bool_)


def _bitmap(piece: Any, buffer: int) -> NDArray[np.bool_]:
    if not len(piece):
        return np.empty(0, np.bool_)
    first, skip = divmod(piece.offset, 8)
    octets = np.frombuffer(piece.buffers()[buffer], np.uint8, offset=first)
    return np.unpackbits(octets, count=skip + len(piece), bitorder="little")[skip:].view(np.bool_)


def _bits(pieces: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    return np.packbits(np.concatenate(pieces), bitorder="little")
