"""Columns and index levels of pandas and numpy as Arrow arrays, each exactly or not at all."""

from __future__ import annotations

from datetime import timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.labels import refuse_duplicates, refuse_taken
from mlops_kit.fingerprints.object_columns import Column, object_array

_DAYS = np.dtype("M8[D]")
_FAILURES = (pa.ArrowException, OverflowError, TypeError, ValueError)


def frame_table(frame: pd.DataFrame, *, keep_integers: bool) -> pa.Table:
    """Turn a pandas frame into an Arrow table.

    Parameters
    ----------
    frame : pandas.DataFrame
        The frame; it is not changed.
    keep_integers : bool
        Keep an unnamed integer index, unless it is a ``RangeIndex``.

    Returns
    -------
    pyarrow.Table
        The columns, then the index levels.

    Raises
    ------
    UnsupportedData
        A column cannot be held exactly, or two have the same name.
    """
    names = [str(label) for label in frame.columns]
    refuse_duplicates(names)
    columns = {name: column(values, name) for name, (_, values) in zip(names, frame.items(), strict=True)}
    levels = index_levels(frame, keep_integers=keep_integers)
    refuse_taken(list(columns), list(levels))
    for name, level in levels.items():
        columns[name] = column(level, name)
    return table(columns, len(frame))


def index_levels(frame: pd.DataFrame, *, keep_integers: bool) -> dict[str, pd.Series]:
    """List the index levels that become columns, under Arrow's names.

    Parameters
    ----------
    frame : pandas.DataFrame
        The frame.
    keep_integers : bool
        Keep an unnamed integer index, unless it is a ``RangeIndex``.

    Returns
    -------
    dict of str to pandas.Series
        The levels, outermost first. A level without a name, or whose name is taken by a column or by an
        outer level, is ``__index_level_<n>__``.
    """
    index = frame.index
    unnamed = not isinstance(index, pd.MultiIndex) and index.name is None
    if unnamed and (
        isinstance(index, pd.RangeIndex) or (not keep_integers and pd.api.types.is_integer_dtype(index.dtype))
    ):
        return {}
    taken = {str(label) for label in frame.columns}
    levels: dict[str, pd.Series] = {}
    for position, label in enumerate(index.names):
        name = f"__index_level_{position}__" if label is None or str(label) in taken else str(label)
        taken.add(name)
        levels[name] = pd.Series(index.get_level_values(position), copy=False)
    return levels


def table(columns: dict[str, Column], rows: int) -> pa.Table:
    """Put columns together, keeping the number of rows where there is none.

    Parameters
    ----------
    columns : dict of str to pyarrow array
        The columns by name.
    rows : int
        The number of rows.

    Returns
    -------
    pyarrow.Table
        The table.
    """
    if not columns:
        return pa.table({"": pa.nulls(rows)}).select([])
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def column(values: Any, name: str) -> Column:
    """Turn one column into an Arrow array.

    Parameters
    ----------
    values : array-like
        A pandas Series, an Arrow array, a one-dimensional numpy array or a list.
    name : str
        The name of the column, for the messages.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray
        The same values.

    Raises
    ------
    UnsupportedData
        Arrow has no exact form of these values.
    """
    try:
        name.encode()
        return _column(values, name)
    except UnsupportedData:
        raise
    except UnicodeEncodeError as error:
        raise UnsupportedData(
            f"Column {name!a} holds text that is not valid Unicode ({error.reason}). "
            "Repair the text, for example with .str.encode('utf-8', 'replace').str.decode('utf-8')."
        ) from error
    except _FAILURES as error:
        raise UnsupportedData(
            f"Column {name!r} cannot become an Arrow column: {error}. Convert it to another type, or drop it."
        ) from error


def _column(values: Any, name: str) -> Column:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, np.ma.MaskedArray):
        raise UnsupportedData(f"Column {name!r} is a masked array. Fill it, for example with `.filled(np.nan)`.")
    if isinstance(values, np.ndarray):
        return _numpy(values, name)
    if isinstance(values, pd.Index):
        values = values.to_series()
    if isinstance(values, pd.Series):
        return _series(values, name)
    if isinstance(values, (list, tuple)):
        return _objects(values, name)
    if hasattr(type(values), "__arrow_c_stream__"):
        return pa.chunked_array(values)
    if hasattr(type(values), "__array__"):
        return _numpy(np.asarray(values), name)
    kind = type(values)
    raise UnsupportedData(
        f"Column {name!r} is a {kind.__module__}.{kind.__qualname__}. Give it as a one-dimensional array."
    )


def _objects(values: list[object] | tuple[object, ...], name: str) -> Column:
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return object_array(objects, name)


def _series(values: pd.Series, name: str) -> Column:
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return _numpy(values.to_numpy(), name)
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(values, name)
    if isinstance(dtype, pd.SparseDtype):
        return _series(pd.Series(np.asarray(values.array)), name)
    if isinstance(dtype, pd.DatetimeTZDtype):
        _refuse_nameless_zone(dtype, name)
    elif not hasattr(values.array, "__arrow_array__"):
        raise UnsupportedData(
            f"Column {name!r} has the extension type {dtype}, which has no Arrow form. "
            "Convert it with .astype(...) to a type of numpy, pandas or Arrow, or drop it."
        )
    return pa.array(values)


def _numpy(values: np.ndarray, name: str) -> Column:
    if values.ndim != 1:
        raise UnsupportedData(
            f"Column {name!r} has the shape {values.shape}. A column has one dimension: "
            "split it into several columns, or make it a list per row."
        )
    if values.dtype.kind == "O":
        return object_array(values, name)
    if values.dtype.kind == "c":
        raise UnsupportedData(
            f"Column {name!r} holds complex numbers, which Arrow does not have. "
            "Split it into two columns, of `.real` and `.imag`."
        )
    if values.dtype.kind == "T":
        return object_array(values.astype(object), name)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype == _DAYS and len(values):
        days = values.view(np.int64)[~np.isnat(values)]
        if np.any(days != days.astype(np.int32)):
            raise UnsupportedData(
                f"Column {name!r} holds a day more than 2**31 days from 1970, which no date of Arrow can hold. "
                "Correct or drop it; it is often a sentinel for a missing date."
            )
    if values.dtype.kind in "US":  # of bytes, Arrow would read no further than the first zero
        return pa.array(values.tolist(), pa.string() if values.dtype.kind == "U" else pa.binary())
    return pa.array(values)


def _categorical(values: pd.Series, name: str) -> Column:
    codes = values.cat.codes.to_numpy()
    categories = column(pd.Series(values.cat.categories, copy=False), f"{name} (categories)")
    if isinstance(categories, pa.ChunkedArray):
        categories = categories.combine_chunks()
    indices: Column = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, categories, ordered=bool(values.cat.ordered))


def _refuse_nameless_zone(dtype: pd.DatetimeTZDtype, name: str) -> None:
    """Refuse zones that Arrow would reduce to the offset of one moment, such as those of dateutil."""
    zone: object = dtype.tz
    named = (isinstance(zone, ZoneInfo) and zone.key is not None) or hasattr(zone, "zone")
    if not named and not isinstance(zone, timezone):
        raise UnsupportedData(
            f"Column {name!r} has the time zone {zone!r}, which has no name that Arrow knows. "
            "Use a named zone, for example .dt.tz_convert('Europe/Paris')."
        )
