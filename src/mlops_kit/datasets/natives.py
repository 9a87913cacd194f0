"""The kind of object that data was given as, and that object again: arrays, single columns, batches, dicts.

A frame or a table needs no note. Of anything else `noted` says what it was, in the header of the version, and `native`
makes it again. Imported only once data is at hand.
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from mlops_kit.datasets.conversions import to_array, to_polars
from mlops_kit.errors import UnsupportedData
from mlops_kit.records.codec import Repr, plain, unplain

Note: TypeAlias = dict[str, Any]

_MATRIX = 2
_WIDEST = 8  # bytes in the widest number of Arrow
_REMEDIES = {"pandas": "pandas.DataFrame(data)", "polars": "polars.DataFrame(data)", "numpy": "numpy.asarray(data)"}


def noted(data: Any) -> tuple[Any, Note | None]:
    """Return data as a table, and what it was if the table does not tell.

    Parameters
    ----------
    data : object
        Any data.

    Returns
    -------
    tuple
        Something that `to_arrow` takes, and plain JSON for `native`, or None.

    Raises
    ------
    UnsupportedData
        It is of a subclass, which could not be made again, or has no rows and columns.

    Examples
    --------
    >>> noted(np.array([1, 0], dtype="int8"))[1]
    {'kind': 'array', 'dimensions': 1}
    """
    if isinstance(data, np.ndarray):
        return _noted_array(data)
    if type(data) is dict:
        return data, {"kind": "dict", "values": [[plain(label), _form(values)] for label, values in data.items()]}
    for library, name, noted_as in _OTHERS:
        kind = getattr(sys.modules.get(library), name, None)
        if kind is not None and isinstance(data, kind):
            if library != "pyarrow":
                _refuse_subclass(data, library, kind)
            taken: tuple[Any, Note | None] = noted_as(data)
            return taken
    return data, None


def native(note: Note | None, container: str, frame: Any, table: pa.Table) -> Any:
    """Make the kind of object again that was given.

    Parameters
    ----------
    note : dict or None
        What `noted` said.
    container : str
        The library that the data was of.
    frame : pandas.DataFrame or None
        The data as the frame that it was given as, or was turned into to be kept.
    table : pyarrow.Table
        The data in Arrow.

    Returns
    -------
    object
        The data; what came as an Arrow stream of any other library is an Arrow table.

    Raises
    ------
    UnsupportedData
        A column of a dict was given in a form that cannot be made again.
    """
    kind = None if note is None else note["kind"]
    if container == "numpy":
        return to_array(table if frame is None else frame, note or {})
    if container == "pandas":
        return _series(frame, note) if note is not None else frame
    if container == "polars":
        made = to_polars(table)
        return made.to_series() if kind == "series" else made
    if note is not None and kind == "dict":
        return _dict(note, table)
    if kind in {"array", "chunked"}:
        column: Any = table.column(0)
        return column if kind == "chunked" else column.combine_chunks()
    return _batch(table) if kind == "batch" else table


def _noted_array(data: Any) -> tuple[Any, Note | None]:
    if data.ndim not in {1, _MATRIX}:
        raise UnsupportedData(
            f"An array of {data.ndim} dimensions is not a table. Keep `array.reshape(len(array), -1)`, or log it as an "
            "artifact."
        )
    if type(data) is not np.memmap and not isinstance(data, np.ma.MaskedArray):
        _refuse_subclass(data, "numpy", np.ndarray)
    note: Note = {"kind": "array", "dimensions": data.ndim}
    if data.dtype.kind == "T" and hasattr(data.dtype, "na_object"):
        raise UnsupportedData("An array of texts with a missing value of its own cannot be made again. Use objects.")
    if not _is_plain(data.dtype) or not data.size:
        note["dtype"] = "T" if data.dtype.kind == "T" else data.dtype.str
    table: Any = data if data.ndim == _MATRIX else {"0": data}
    if data.dtype.kind == "O":
        import pandas as pd  # noqa: PLC0415 - whose columns of objects are kept exactly

        matrix = data.reshape(len(data), -1) if data.size else data.reshape(len(data), *data.shape[1:] or (1,))
        columns = {str(i): pd.Series(matrix[:, i], dtype=object) for i in range(matrix.shape[1])}
        table = pd.DataFrame(columns, index=pd.RangeIndex(len(data)))
    return table, None if note == {"kind": "array", "dimensions": _MATRIX} else note


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Test whether the Arrow type alone tells this dtype."""
    return dtype.kind in "biuf" and dtype.isnative and dtype.itemsize <= _WIDEST


def _refuse_subclass(data: Any, library: str, kind: type) -> None:
    if type(data) is kind:
        return
    of = type(data)
    remedy = _REMEDIES[library] if not kind.__name__.endswith("Series") else f"{library}.Series(data)"
    raise UnsupportedData(
        f"A {of.__module__}.{of.__qualname__} is a {kind.__name__} of {library} with something of its own, which could "
        f"not be made again. Keep the plain data, `{remedy}`."
    )


def _form(values: Any) -> str | None:
    """Name what a column of a dict was, if it can be made again from Arrow: a list, a tuple or an array."""
    if type(values) is np.ndarray and values.ndim == 1 and values.dtype.kind not in "OTV":
        return str(values.dtype.str)
    if type(values) in {list, tuple}:
        kinds = set(map(type, values))
        lost = kinds == {float} and any(value != value for value in values)  # noqa: PLR0124 - NaN differs from itself
        if len(kinds) <= 1 and kinds <= {bool, int, float, str, bytes} and not lost:
            return type(values).__name__
    return None


def _dict(note: Note, table: pa.Table) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for (label, form), column in zip(note["values"], table.columns, strict=True):
        label = unplain(label)  # noqa: PLW2901 - as it was given
        if form is None:
            raise UnsupportedData(
                f"Column {label!r} of the dict was neither an array nor a list of values of one type, and cannot be "
                "made again. Use `to_arrow()` or `to_pandas()`."
            )
        if form in {"list", "tuple"}:
            values = column.to_pylist()
            made[label] = values if form == "list" else tuple(values)
        else:
            made[label] = column.to_numpy().astype(form)
    return made


def _series(frame: Any, note: Note) -> Any:
    series = frame.iloc[:, 0]
    name = unplain(note["name"])
    if not isinstance(name, Repr):  # a name of another type is the label that the frame keeps
        series.name = name
    series.attrs.update(frame.attrs)
    return series.set_flags(allows_duplicate_labels=frame.flags.allows_duplicate_labels)


def _batch(table: pa.Table) -> pa.RecordBatch:
    whole = table.combine_chunks().to_batches()
    if whole:
        return whole[0]
    empty: Any = [pa.array([], field.type) for field in table.schema]
    return pa.RecordBatch.from_arrays(empty, schema=table.schema)


def _noted_series(data: Any) -> tuple[Any, Note]:
    return data, {"kind": "series", "name": plain(data.name)}


_OTHERS: tuple[tuple[str, str, Any], ...] = (
    ("pandas", "DataFrame", lambda data: (data, None)),
    ("pandas", "Series", _noted_series),
    ("polars", "DataFrame", lambda data: (data, None)),
    ("polars", "Series", lambda data: (data.to_frame(), {"kind": "series"})),
    ("pyarrow", "RecordBatch", lambda data: (data, {"kind": "batch"})),
    ("pyarrow", "ChunkedArray", lambda data: (pa.table({"0": data}), {"kind": "chunked"})),
    ("pyarrow", "Array", lambda data: (pa.table({"0": data}), {"kind": "array"})),
)
