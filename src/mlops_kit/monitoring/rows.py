"""Rows as a user passes them, as an Arrow table that parquet keeps: what cannot be kept exactly is kept as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops_kit.datasets.parquet import to_storable
from mlops_kit.errors import InvalidInput, UnsupportedData
from mlops_kit.fingerprints.arrow import is_tabular, to_arrow

MOMENT = pa.timestamp("us", tz="UTC")


def row_count(data: Any) -> int:
    """Count the rows of a table, an array or a mapping of columns.

    Examples
    --------
    >>> row_count({"x": [1, 2]}), row_count(np.zeros((3, 4)))
    (2, 3)
    """
    if isinstance(data, dict):
        return len(next(iter(data.values()), ()))
    rows = getattr(data, "num_rows", None)
    return int(rows) if rows is not None else len(data)


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
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        data = pd.DataFrame(data)
    if isinstance(data, np.ndarray) and data.ndim == 2:  # noqa: PLR2004 - rows and columns
        known = names if len(names) == data.shape[1] else [str(i) for i in range(data.shape[1])]
        data = {name: data[:, i] for i, name in enumerate(known)}
    if not is_tabular(data) and not isinstance(data, dict):
        raise InvalidInput(
            f"Rows to monitor come as a data frame, an Arrow or polars table, a two-dimensional array or a dict of "
            f"columns, not as a {type(data).__name__}."
        )
    try:
        table = to_arrow(data)
        columns = {name: to_storable(_plain(table.column(name)), name) for name in table.column_names}
    except UnsupportedData:
        columns = _one_by_one(data)
    return pa.table(columns) if columns else pa.table({}).select([])


def values_of(values: Any) -> Any:
    """Turn a column of predictions, labels or ids into an Arrow array; what has no one type becomes text."""
    if isinstance(values, pa.ChunkedArray):
        return _plain(values).combine_chunks()
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf":
        return pa.array(values.astype(float) if values.dtype == np.float16 else values, from_pandas=True)
    given = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values).tolist())
    try:
        made: Any = pa.Array.from_pandas(given)
    except (pa.ArrowException, TypeError, ValueError):
        made = pa.array([None if value is None or value != value else str(value) for value in given])  # noqa: PLR0124 - NaN
    made = _plain(pa.chunked_array([made]) if isinstance(made, pa.Array) else made).combine_chunks()
    return made.cast(pa.float64()) if pa.types.is_decimal(made.type) or pa.types.is_float16(made.type) else made


def moments_of(at: Any, rows: int, now: datetime) -> Any:
    """Give the moment of each row: now, one for all, or one for each; a naive one is UTC."""
    if at is None or isinstance(at, datetime):
        moment: datetime = at or now
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return pa.array(np.full(rows, np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "us")), MOMENT)
    try:
        given = at if isinstance(at, pd.Series) else list(np.ravel(np.asarray(at)))
        stamps = pd.to_datetime(pd.Series(given), utc=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"at= is neither a moment nor a column of moments: {error}.") from error
    if len(stamps) == 1 and rows != 1:
        return moments_of(stamps[0].to_pydatetime(), rows, now)
    if len(stamps) != rows or stamps.isna().any():
        raise InvalidInput(f"at= has {stamps.notna().sum()} moments for {rows} rows: give one, or one for each row.")
    return pa.array(stamps.dt.tz_localize(None).to_numpy().astype("datetime64[us]"), MOMENT)


def _plain(column: Any) -> Any:
    """Take a column out of its dictionary."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _one_by_one(data: Any) -> dict[str, Any]:
    """Convert what can be converted column by column, and the rest by way of its text."""
    if not isinstance(data, pd.DataFrame | dict):
        data = data.to_pandas() if hasattr(data, "to_pandas") else pd.DataFrame(data)
    named = data if isinstance(data, dict) else {label: data.iloc[:, i] for i, label in enumerate(data.columns)}
    columns: dict[str, Any] = {}
    for label, values in named.items():
        name = str(label)
        while name in columns:
            name += "'"
        try:
            column = _plain(to_arrow({name: values}).column(0))
            columns[name] = to_storable(column, name)
        except UnsupportedData:
            columns[name] = pa.array([None if _missing(value) else str(value) for value in values], pa.string())
    return columns


def _missing(value: object) -> bool:
    found = pd.isna(value) if np.ndim(value) == 0 else False  # type: ignore[call-overload,arg-type] # the stubs list every scalar type by name
    return bool(found)
