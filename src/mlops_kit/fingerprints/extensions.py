"""The parameters of Arrow's extension types, as they are written wherever the type is: in files, streams, memory.

Imported only once data is at hand.
"""

from __future__ import annotations

import ctypes
import struct

import pyarrow as pa


class _Schema(ctypes.Structure):
    """The beginning of the struct of Arrow's C data interface, https://arrow.apache.org/docs/format/CDataInterface.html."""

    _fields_ = (("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p))


def parameters_of(kind: pa.BaseExtensionType) -> bytes:
    r"""Serialize the parameters of a registered extension type, such as the frequency of pandas' periods.

    Parameters
    ----------
    kind : pyarrow.BaseExtensionType
        The type.

    Returns
    -------
    bytes
        What stands as ``ARROW:extension:metadata`` in the metadata of a field of this type.

    Examples
    --------
    >>> parameters_of(pa.opaque(pa.int32(), "point", "db")), parameters_of(pa.uuid())
    (b'{"type_name":"point","vendor_name":"db"}', b'')
    """
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = pa.field("", kind).__arrow_c_schema__()
    written = _Schema.from_address(pointer_of(capsule, b"arrow_schema")).metadata
    return _pairs(written).get(b"ARROW:extension:metadata", b"") if written else b""


def _pairs(address: int) -> dict[bytes, bytes]:
    """Read metadata: the number of pairs, then of each the lengths and the bytes of key and value."""
    at = address

    def number() -> int:
        nonlocal at
        (found,) = struct.unpack("=i", ctypes.string_at(at, 4))
        at += 4
        return int(found)

    def text() -> bytes:
        nonlocal at
        length = number()
        at += length
        return ctypes.string_at(at - length, length)

    return {text(): text() for _ in range(number())}
