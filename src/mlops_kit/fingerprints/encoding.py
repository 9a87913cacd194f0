"""The bytes of plain values: a tag, a length, a content; what a value holds enters as the digest of its parts.

Every encoding says where it ends, so a sequence of encodings can be read in one way only.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import EllipsisType, NoneType, NotImplementedType
from typing import Any

_SHORT = 40
_NAN = bytes.fromhex("000000000000f87f")


def atom(tag: str, content: bytes = b"") -> bytes:
    """Encode a value that holds no others.

    Parameters
    ----------
    tag : str
        The kind of value.
    content : bytes, optional
        What distinguishes it from others of its kind.

    Returns
    -------
    bytes
        The encoding.

    Examples
    --------
    >>> atom("int", b"1") + atom("int", b"2") != atom("int", b"12")
    True
    """
    return _head(tag, len(content)) + content


@lru_cache(maxsize=4096)
def _head(tag: str, length: int) -> bytes:
    name = tag.encode()
    return struct.pack("<BQ", len(name), length) + name


def node(tag: str, parts: Iterable[bytes]) -> bytes:
    """Encode a value that holds others.

    Parameters
    ----------
    tag : str
        The kind of value, of no atom.
    parts : iterable of bytes
        The encodings of what it holds, in an order that its value determines.

    Returns
    -------
    bytes
        The encoding, of a fixed length however large the value.
    """
    return atom(tag, hashlib.sha256(b"".join(parts)).digest())


def encode_int(value: int) -> bytes:
    """Encode an integer of any size.

    Parameters
    ----------
    value : int
        The integer.

    Returns
    -------
    bytes
        The encoding.
    """
    return atom("int", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def encode_str(value: str) -> bytes:
    """Encode a string, lone surrogates included.

    Parameters
    ----------
    value : str
        The string.

    Returns
    -------
    bytes
        The encoding.
    """
    return _short_str(value) if len(value) <= _SHORT else atom("str", value.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=4096)
def _short_str(value: str) -> bytes:
    """Encode what is likely the name of an attribute, which comes again with each object of its class."""
    return atom("str", value.encode("utf-8", "surrogatepass"))


def _float_bits(value: float) -> bytes:
    return struct.pack("<d", value) if value == value else _NAN  # noqa: PLR0124 - false for NaN only


ATOMS: dict[type, Callable[[Any], bytes]] = {
    NoneType: lambda _: atom("none"),
    EllipsisType: lambda _: atom("ellipsis"),
    NotImplementedType: lambda _: atom("not implemented"),
    bool: lambda value: atom("bool", b"\1" if value else b"\0"),
    int: encode_int,
    float: lambda value: atom("float", _float_bits(value)),
    complex: lambda value: atom("complex", _float_bits(value.real) + _float_bits(value.imag)),
    str: encode_str,
    bytes: lambda value: atom("bytes", value),
    bytearray: lambda value: atom("bytearray", bytes(value)),
}
