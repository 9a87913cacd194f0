"""Fingerprints of numpy arrays and scipy sparse matrices: the values in C order, whatever the memory layout.

Imported only once an array is at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.hashing import canonical_floats, hashed
from mlops_kit.records.codec import canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DOMAIN = b"mlk-fp1-array"
_STRETCH_BYTES = 1 << 20
_DOUBLE_BYTES = 8
_X87_MANTISSA_BITS = 63
_X87_BYTES = 10


def array_fingerprint(array: NDArray[Any] | np.generic) -> str:
    """Fingerprint an array of any dimension by its dtype, shape and values.

    Memory order, byte order, strides and read-only flags do not count; ``-0.0`` and ``0.0`` differ, every NaN
    is the same one, in the real and the imaginary part separately. A structured array is hashed field by
    field, so the padding between fields does not count; its dtype enters as nested ``[name, dtype]`` pairs.

    Parameters
    ----------
    array : numpy.ndarray
        Booleans, numbers, complex numbers, datetimes, fixed-width text or bytes, raw void, or a structure of
        these.

    Returns
    -------
    str
        ``"fp1:"`` and 64 hex digits.

    Raises
    ------
    UnsupportedData
        The array holds Python objects; `mlops_kit.fingerprints.fingerprint` takes such arrays as values.

    Examples
    --------
    >>> array_fingerprint(np.asfortranarray([[1, 2], [3, 4]])) == array_fingerprint(np.array([[1, 2], [3, 4]]))
    True
    """
    array = np.asarray(array)
    if array.dtype.hasobject:
        raise UnsupportedData(
            f"An array of dtype {array.dtype} holds Python objects, which have no bytes of their own to hash. "
            "Fingerprint it with `mlops_kit.fingerprint`, which hashes it item by item as a value."
        )
    hasher = hashlib.sha256(_DOMAIN)
    hasher.update(b"[%b,%b]" % (_dtype_json(array.dtype), _shape_json(array.shape)))
    return f"fp1:{hashed(hasher, _parts(array)).hexdigest()}"


def bits_fingerprint(name: str, shape: tuple[int, ...], bits: NDArray[Any]) -> str:
    """Fingerprint an array of a dtype that numpy lacks, such as ``bfloat16``, by the bits of its values.

    Parameters
    ----------
    name : str
        The name of the dtype.
    shape : tuple of int
        The shape of the array.
    bits : numpy.ndarray
        The values in C order, as integers of their width, with one NaN; complex ones as pairs of floats.

    Returns
    -------
    str
        ``"fp1:"`` and 64 hex digits.
    """
    hasher = hashlib.sha256(_DOMAIN)
    hasher.update(b"[%b,%b]" % (canonical(name), _shape_json(shape)))
    return f"fp1:{hashed(hasher, _parts(bits)).hexdigest()}"


def sparse_fingerprint(matrix: Any) -> str:
    """Fingerprint a scipy sparse matrix or array by its canonical CSR triple.

    Canonical means: duplicate entries summed, column indices sorted within each row, stored zeros dropped, and
    indices of 64 bits. So equal matrices agree whatever their format and index width, sparse *matrix* or
    *array*; an array of more than two dimensions enters with its leading axes folded into rows, under its own
    shape. The hash is over ``["csr", dtype, shape]``, then the row pointers, column indices and values. The
    matrix given is not touched.

    Parameters
    ----------
    matrix : scipy.sparse.sparray or scipy.sparse.spmatrix
        Of any format.

    Returns
    -------
    str
        ``"fp1:"`` and 64 hex digits; never that of the dense array.

    Examples
    --------
    >>> from scipy import sparse
    >>> coo = sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 3))
    >>> sparse_fingerprint(coo) == sparse_fingerprint(sparse.csc_array([[0.0, 3.0, 0.0]]))
    True
    """
    csr = _canonical_csr(matrix)
    hasher = hashlib.sha256(_DOMAIN)
    hasher.update(b'["csr",%b,%b]' % (_dtype_json(csr.dtype), _shape_json(matrix.shape)))
    for array in (csr.indptr.astype(np.int64, copy=False), csr.indices.astype(np.int64, copy=False), csr.data):
        hasher = hashed(hasher, _parts(array))
    return f"fp1:{hasher.hexdigest()}"


@lru_cache(maxsize=1024)
def _dtype_json(dtype: np.dtype[Any]) -> bytes:
    return canonical(_dtype_name(dtype))


def _shape_json(shape: tuple[int, ...]) -> bytes:
    return f"[{','.join(map(str, shape))}]".encode()


def _dtype_name(dtype: np.dtype[Any]) -> Any:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [_dtype_name(base), list(shape)]
    if dtype.names is not None and dtype.fields is not None:
        return [[name, _dtype_name(dtype.fields[name][0])] for name in dtype.names]
    return dtype.newbyteorder("<").str


def _parts(array: NDArray[Any]) -> Iterator[Any]:
    """Yield the values in C order, little-endian, as buffers of about a mebibyte."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            yield from _parts(array[name])
    elif not array.nbytes:
        return
    elif array.nbytes <= _STRETCH_BYTES:
        yield _bytes(np.ascontiguousarray(array))
    else:
        rows = array.reshape(-1) if array.flags.c_contiguous else array
        step = max(1, _STRETCH_BYTES * len(rows) // rows.nbytes)
        for start in range(0, len(rows), step):
            yield _bytes(np.ascontiguousarray(rows[start : start + step]))


def _bytes(values: NDArray[Any]) -> Any:
    kind = values.dtype.kind
    if not values.dtype.isnative or sys.byteorder == "big":
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    if kind in "biu":
        return values
    values = values.reshape(-1)
    if kind not in "cf":
        return values.view(np.uint8)
    if kind == "c":
        values = values.view(values.real.dtype)
    if (
        values.itemsize > _DOUBLE_BYTES and np.finfo(values.dtype).nmant == _X87_MANTISSA_BITS
    ):  # 80 bits; what pads them to 16 bytes is arbitrary
        octets = canonical_floats(values).view(np.uint8).reshape(len(values), -1).copy()
        octets[:, _X87_BYTES:] = 0
        return octets.reshape(-1)
    return values


def _canonical_csr(matrix: Any) -> Any:
    from scipy import sparse  # noqa: PLC0415 - a matrix of scipy's is at hand, so it is loaded already

    if matrix.ndim != 2:  # noqa: PLR2004 - rows and columns
        width = matrix.shape[-1]
        matrix = sparse.coo_array(matrix).reshape((math.prod(matrix.shape[:-1]), width))
    csr = matrix.tocsr()
    # A fresh view of the same buffers: scipy caches "is canonical" on the caller's object, where it may be stale.
    view = sparse.csr_array((csr.data, csr.indices, csr.indptr), shape=csr.shape)
    if not view.has_canonical_format or not view.data.all():
        view = view.copy()
        view.sum_duplicates()
        view.eliminate_zeros()
    return view
