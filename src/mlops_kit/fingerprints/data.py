"""Which objects are data with a fingerprint of their own: tables, single columns, arrays, sparse matrices.

No library is imported to find out: an object of a library that is not loaded cannot be at hand.
"""

from __future__ import annotations

import sys
from typing import Any

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.arrow import is_tabular, to_arrow
from mlops_kit.fingerprints.tensors import is_tensor, tensor_content

_COLUMNS = {"pandas": ("Series", "Index"), "polars": ("Series",), "pyarrow": ("Array", "ChunkedArray")}


def data_fingerprint(obj: object) -> tuple[str, str] | None:
    """Fingerprint an object if it is data.

    Parameters
    ----------
    obj : object
        Any object.

    Returns
    -------
    tuple of str, or None
        The kind of data (``"table"``, ``"column"``, ``"array"`` or ``"sparse"``) and the fingerprint; None for
        all other objects, among them arrays of Python objects, masked arrays and numpy scalars, which are
        values. A column, such as a pandas Series, has the fingerprint of the table that holds only it.

    Raises
    ------
    UnsupportedData
        The data cannot be kept exactly, or is a stream that reading would use up.

    Examples
    --------
    >>> data_fingerprint([1, 2]) is None
    True
    """
    if _is(obj, "numpy", "ndarray"):
        return _array(obj)
    if _is(obj, "pyarrow", "RecordBatchReader"):
        raise UnsupportedData(
            "A RecordBatchReader can be read once, and a fingerprint would use it up. "
            "Fingerprint the table it gives: `table = reader.read_all()`."
        )
    if is_tabular(obj):
        return "table", _table(obj)
    column = _as_table(obj)
    if column is not None:
        return "column", _table(column)
    if _is_sparse(obj):
        from mlops_kit.fingerprints.arrays import sparse_fingerprint  # noqa: PLC0415 - loads numpy

        return "sparse", sparse_fingerprint(obj)
    return _tensor(obj) if is_tensor(obj) else None


def is_data(obj: object) -> bool:
    """Tell whether an object is of a kind that `data_fingerprint` looks into, as all objects of its type are.

    Parameters
    ----------
    obj : object
        Any object.

    Returns
    -------
    bool
        True for tables, streams of them, columns, sparse matrices, tensors, and arrays of any content.

    Examples
    --------
    >>> is_data([1, 2])
    False
    """
    return (
        is_tabular(obj)
        or any(_is(obj, library, *names) for library, names in _COLUMNS.items())
        or _is(obj, "numpy", "ndarray")
        or _is_sparse(obj)
        or is_tensor(obj)
    )


def _is_sparse(obj: object) -> bool:
    return "scipy.sparse" in sys.modules and bool(sys.modules["scipy.sparse"].issparse(obj))


def _is(obj: object, library: str, *names: str) -> bool:
    module = sys.modules.get(library)
    kinds = tuple(getattr(module, name) for name in names if hasattr(module, name))
    return isinstance(obj, kinds)


def _table(obj: object) -> str:
    from mlops_kit.fingerprints.tables import table_fingerprint  # noqa: PLC0415 - loads pyarrow

    return table_fingerprint(to_arrow(obj)).value


def _as_table(obj: Any) -> object:
    if _is(obj, "pandas", "Index"):
        return obj.to_frame(index=False)
    if _is(obj, "pandas", "Series") or _is(obj, "polars", "Series"):
        return obj.to_frame()
    if _is(obj, "pyarrow", "Array", "ChunkedArray"):
        return sys.modules["pyarrow"].table([obj], names=["0"])
    return None


def _array(obj: Any) -> tuple[str, str] | None:
    numpy = sys.modules["numpy"]
    if obj.dtype.hasobject or isinstance(obj, numpy.ma.MaskedArray):
        return None
    from mlops_kit.fingerprints.arrays import array_fingerprint  # noqa: PLC0415 - loads numpy

    return "array", array_fingerprint(obj)


def _tensor(obj: object) -> tuple[str, str] | None:
    content = tensor_content(obj)
    if content is None:
        return None
    from mlops_kit.fingerprints.arrays import array_fingerprint, bits_fingerprint  # noqa: PLC0415 - loads numpy

    name, values = content
    return "array", array_fingerprint(values) if name is None else bits_fingerprint(name, obj.shape, values)  # type: ignore[attr-defined]  # torch's
