"""Rows as a user passes them, as an Arrow table that parquet keeps: what cannot be kept exactly is kept as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlops_kit.datasets.parquet import to_storable
from mlops_kit.errors import InvalidInput, UnsupportedData
from mlops_kit.fingerprints.arrow import is_tabular, to_arrow
from mlops_kit.masking import excerpt
from mlops_kit.monitoring.segments import OWN

MOMENT = pa.timestamp("us", tz="UTC")
_LONGEST = 300
_UNKEPT = (UnsupportedData, UnicodeEncodeError, pa.ArrowNotImplementedError)


def row_count(data: Any) -> int:
    """Count the rows of a table, an array or a mapping of columns.

    Raises
    ------
    InvalidInput
        It is none of these, or its columns differ in length.

    Examples
    --------
    >>> row_count({"x": [1, 2]}), row_count(np.zeros((3, 4)))
    (2, 3)
    """
    if isinstance(data, dict):
        sizes = {name: value_count(values, f"The column {name!r}") for name, values in data.items()}
        if len(set(sizes.values())) > 1:
            raise InvalidInput(f"The columns of the rows differ in length: {excerpt(sizes, _LONGEST)}.")
        return next(iter(sizes.values()), 0)
    rows = getattr(data, "num_rows", None)
    _check_rows(data)
    return int(rows) if rows is not None else value_count(data, "The table")


def value_count(values: Any, what: str) -> int:
    """Count the values of a column; text, and what has no order, is none.

    Examples
    --------
    >>> value_count(range(3), "Labels")
    3
    """
    if not isinstance(values, str | bytes | Mapping | AbstractSet):
        try:
            return len(values)
        except TypeError:
            pass
    raise InvalidInput(
        f"{what} must have a value for each row, as a list, an array or a series, not be of type "
        f"{type(values).__name__}."
    )


def held(data: Any) -> Any:
    """Hold on to rows that their owner may change: cheap, for it happens while somebody waits for a prediction."""
    if isinstance(data, pd.DataFrame | pd.Series):
        return data.copy(deep=False)  # pandas copies on write
    if isinstance(data, np.ndarray):
        return data.copy()
    if isinstance(data, dict):
        return {name: held(values) for name, values in data.items()}
    return list(data) if isinstance(data, list) else data


def table_of(data: Any, names: Sequence[str] = ()) -> pa.Table:
    """Turn rows into a table of storable columns.

    Parameters
    ----------
    data : table, array, mapping of columns, or list of mappings
        What a model was asked about.
    names : sequence of str
        What the columns of an array are called.

    Returns
    -------
    pyarrow.Table
        Columns that Arrow or parquet cannot keep exactly are kept as text.

    Raises
    ------
    InvalidInput
        It is none of these.

    Examples
    --------
    >>> table_of(np.array([[1.0, 2.0]]), ["a", "b"]).column_names
    ['a', 'b']
    >>> table_of(pd.DataFrame({"mixed": [1, "one"]})).column("mixed").to_pylist()
    ['1', 'one']
    """
    _check_rows(data)
    if isinstance(data, dict):
        row_count(data)
    if isinstance(data, list):
        data = pd.DataFrame(data)
    if isinstance(data, np.ndarray):
        known = names if len(names) == data.shape[1] else [str(i) for i in range(data.shape[1])]
        data = {name: data[:, i] for i, name in enumerate(known)}
    try:
        table = to_arrow(data)
        columns = {name: to_storable(_plain(table.column(name)), name) for name in table.column_names}
    except _UNKEPT:
        columns = _one_by_one(data)
    return pa.table(columns) if columns else pa.table({}).select([])


def coded_columns(data: Any) -> frozenset[str]:
    """Name the columns that are declared as categories though their values are numbers."""
    try:
        table = to_arrow(data) if is_tabular(data) else pa.table({})
    except (UnsupportedData, UnicodeEncodeError):
        return frozenset()
    coded = (field for field in table.schema if pa.types.is_dictionary(field.type))
    numbers = (
        one for one in coded if pa.types.is_integer(one.type.value_type) or pa.types.is_floating(one.type.value_type)
    )
    return frozenset(one.name for one in numbers)


def escaped(table: pa.Table) -> pa.Table:
    """Return a table in which no column has a name of the log's own: one that would gets a quote behind it.

    Examples
    --------
    >>> escaped(pa.table({"#at": [1], "#at'": [2], "x": [3]})).column_names
    ["#at'", "#at''", 'x']
    """
    return table.rename_columns([escaped_name(name) for name in table.column_names])


def escaped_name(name: str) -> str:
    """Return the name that a column of the user's has in the log."""
    return f"{name}'" if name.rstrip("'") in OWN else name


def unescaped(name: str) -> str:
    """Return the name that a column had before `escaped`, also where it begins a longer name."""
    own, quote, rest = name.partition("'")
    return own + rest if quote and own in OWN else name


def values_of(values: Any) -> Any:
    """Turn a column of predictions, labels or ids into an Arrow array; what has no one type becomes text."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf":
        return pa.array(values.astype(float) if values.dtype == np.float16 else values, from_pandas=True)
    made: Any = values
    if not isinstance(values, pa.ChunkedArray | pa.Array):
        given = values if isinstance(values, pd.Series) else _series(values)
        try:
            made = pa.Array.from_pandas(given)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            made = _texts(given)
    made = _plain(pa.chunked_array([made]) if isinstance(made, pa.Array) else made).combine_chunks()
    if pa.types.is_nested(made.type) or isinstance(made.type, pa.BaseExtensionType):
        return _texts(made.to_pylist())
    return made.cast(pa.float64()) if pa.types.is_decimal(made.type) or pa.types.is_float16(made.type) else made


def firsts_of(column: Any) -> npt.NDArray[np.int64]:
    """Return the place of the first row of each value; missing ones are one value.

    Examples
    --------
    >>> firsts_of(pa.chunked_array([["b", "a", None, "b", None]])).tolist()
    [0, 1, 2]
    """
    return np.flatnonzero(~column.to_pandas().duplicated().to_numpy())


def texts_of(values: Any) -> Any:
    """Turn a column of ids into text, so that equal ids are equal whatever else was logged with them.

    Examples
    --------
    >>> texts_of([7, 8]).to_pylist(), texts_of([2**70, b"id"]).to_pylist()
    (['7', '8'], ['1180591620717411303424', 'id'])
    """
    made = values_of(values)
    if pa.types.is_binary(made.type):
        return _texts(made.to_pylist())
    return made if pa.types.is_string(made.type) else made.cast(pa.string())


def moments_of(at: Any, rows: int, now: datetime) -> Any:
    """Give the moment of each row: now, one for all, or one for each; a naive one is UTC."""
    if isinstance(at, pa.Array):
        return at
    if at is None or (isinstance(at, datetime) and at is not pd.NaT):
        moment: datetime = at or now
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return pa.array(np.full(rows, np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "us")), MOMENT)
    try:
        given = at if isinstance(at, pd.Series) else list(np.ravel(np.asarray(at)))
        stamps = pd.to_datetime(pd.Series(given), utc=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"at= is neither a moment nor a column of moments: {error}.") from error
    if len(stamps) == 1 and rows != 1 and stamps.notna().all():
        return moments_of(stamps[0].to_pydatetime(), rows, now)
    if len(stamps) != rows or stamps.isna().any():
        raise InvalidInput(f"at= has {stamps.notna().sum()} moments for {rows} rows: give one, or one for each row.")
    return pa.array(stamps.dt.tz_localize(None).to_numpy().astype("datetime64[us]"), MOMENT)


def _check_rows(data: Any) -> None:
    listed = isinstance(data, list) and all(isinstance(row, dict) for row in data)
    array = isinstance(data, np.ndarray) and data.ndim == 2  # noqa: PLR2004 - rows and columns
    if not (isinstance(data, dict) or listed or array or is_tabular(data)):
        raise InvalidInput(
            f"Rows to monitor come as a data frame, an Arrow or polars table, a two-dimensional array or a dict of "
            f"columns, not as a {type(data).__name__}."
        )
    labels = list(data.columns if isinstance(data, pd.DataFrame) else getattr(data, "column_names", ()))
    if len(set(labels)) < len(labels):
        twice = sorted({str(label) for label in labels if labels.count(label) > 1})
        raise InvalidInput(
            f"Several columns have one name, so that they cannot be told apart: {', '.join(map(repr, twice[:20]))}. "
            "Rename them."
        )


def _plain(column: Any) -> Any:
    """Take a column out of its dictionary, and out of types that not every function of Arrow, or no file, knows."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    known: Any = views.get(column.type, column.type)
    if getattr(known, "unit", None) == "s":  # a file would keep seconds as bare numbers
        stamp, span = pa.types.is_timestamp(known), pa.types.is_duration(known)
        known = pa.timestamp("ms", tz=known.tz) if stamp else pa.duration("ms") if span else pa.time32("ms")
    return column if known == column.type else column.cast(known, safe=False)


def _one_by_one(data: Any) -> dict[str, Any]:
    """Convert what can be converted column by column, and the rest by way of its text."""
    if not isinstance(data, pd.DataFrame | dict):
        data = data.to_pandas() if hasattr(data, "to_pandas") else pd.DataFrame(data)
    named = data if isinstance(data, dict) else {label: data.iloc[:, i] for i, label in enumerate(data.columns)}
    columns: dict[str, Any] = {}
    for label, values in named.items():
        name = _said(label)
        while name in columns:
            name += "'"
        try:
            column = _plain(to_arrow({name: values}).column(0))
            columns[name] = to_storable(column, name)
        except _UNKEPT:
            columns[name] = _texts(values)
    return columns


def _series(values: Any) -> pd.Series[Any]:
    try:
        given = np.asarray(values).tolist()
    except ValueError:  # lists of different lengths are no array
        given = list(values)
    try:
        return pd.Series(given)
    except UnicodeEncodeError:  # pandas keeps text as UTF-8, which lone surrogates are not
        return pd.Series(given, dtype=object)


def _texts(values: Any) -> Any:
    return pa.array([None if _missing(value) else _said(value) for value in values], pa.string())


def _said(value: object) -> str:
    """Give a value as text that UTF-8 can keep."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value).encode("utf-8", "backslashreplace").decode()


def _missing(value: object) -> bool:
    found = pd.isna(value) if np.ndim(value) == 0 else False  # type: ignore[call-overload,arg-type] # the stubs list every scalar type by name
    return bool(found)
