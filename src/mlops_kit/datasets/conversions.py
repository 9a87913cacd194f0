"""Arrow tables as pandas frames, polars frames and arrays, no value changed on the way.

Imported only once data is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.layouts import viewless

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_NO_POLARS = "to_polars() needs a package that is not installed: pip install polars"
_MATRIX = 2
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert a table to pandas.

    Parameters
    ----------
    table : pyarrow.Table
        Any table; the index and dtypes that pandas noted in its metadata are made again.

    Returns
    -------
    pandas.DataFrame
        Integers and booleans with missing values in pandas' nullable dtypes; what no dtype of numpy or pandas holds
        exactly, such as decimals, structs and lists of texts, as ``ArrowDtype``.

    Raises
    ------
    UnsupportedData
        A column has a type that pandas cannot hold; it is named.

    Examples
    --------
    >>> to_frame(pa.table({"id": [2**60 + 1, None]}))["id"].tolist()
    [1152921504606846977, <NA>]
    """
    import pandas as pd  # noqa: PLC0415 - not needed until a frame is asked for

    table = viewless(table)
    index, noted = _index_columns(table), _noted_by_pandas(table)
    made = {name: _series(table[name], name) for name in table.column_names if name not in noted}
    own = {name: series for name, series in made.items() if series is not None}
    if not own:
        return _by_arrow(table)
    if index & own.keys():
        table, index = table.replace_schema_metadata(None), set()
    others = table.drop_columns(list(own))
    rest = _by_arrow(others) if others.num_columns else pd.DataFrame(index=pd.RangeIndex(table.num_rows))
    kept = iter(rest.items())
    labelled = [
        (name, own[name].set_axis(rest.index)) if name in own else next(kept)
        for name in table.column_names
        if name not in index
    ]
    frame = pd.DataFrame({i: values for i, (_, values) in enumerate(labelled)}, index=rest.index, copy=False)
    frame.columns = pd.Index([label for label, _ in labelled])
    return frame


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Convert a table to polars.

    Raises
    ------
    UnsupportedData
        polars is not installed, or has no type for a column, which is named.
    """
    try:
        import polars as pl  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise UnsupportedData(_NO_POLARS) from error
    if not table.num_columns:
        return pl.DataFrame(height=table.num_rows)
    try:
        made = pl.from_arrow(table)
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of Rust is no Exception
        raise UnsupportedData(_without_polars(pl, table) or f"polars cannot hold the table: {error}.") from error
    assert isinstance(made, pl.DataFrame)  # noqa: S101 - for the type checker: a table gives a frame
    made.columns = table.column_names  # an empty name would be replaced
    return made


def to_array(data: Any, note: Mapping[str, Any]) -> Any:
    """Make the array again that was kept, from its table, or from a frame if it held objects."""
    dtype = None if "dtype" not in note else _dtype(note["dtype"])
    if not isinstance(data, pa.Table):
        columns = [values.to_numpy() for _, values in data.items()]
    else:
        columns = [_values(column, dtype) for column in data.columns]
    rows = len(data) if not isinstance(data, pa.Table) else data.num_rows
    if note.get("dimensions", _MATRIX) == 1:
        return columns[0]
    made = np.empty((rows, len(columns)), dtype or columns[0].dtype)
    for i, column in enumerate(columns):
        made[:, i] = column
    return made


def to_matrix(frame: pd.DataFrame) -> Any:
    """Convert a frame to a matrix of one dtype that holds every value exactly.

    Raises
    ------
    UnsupportedData
        No dtype holds the values of all columns; one that would be changed is named.
    """
    import pandas as pd  # noqa: PLC0415 - whose frame it is

    columns: list[Any] = []
    for label, values in frame.items():
        dtype = values.dtype
        if isinstance(dtype, np.dtype):
            columns.append(values.to_numpy())
        elif pd.api.types.is_string_dtype(dtype):
            columns.append(values.to_numpy(dtype=object))
        elif values.isna().any() or not (pd.api.types.is_numeric_dtype(dtype) and hasattr(dtype, "numpy_dtype")):
            raise UnsupportedData(
                f"Column {label!r} has the dtype {dtype}, which no array holds exactly with its missing values, or not "
                "at all. Use `to_pandas()`, and fill or convert it."
            )
        else:
            columns.append(values.to_numpy(dtype=dtype.numpy_dtype))
    if not columns:
        return np.empty((len(frame), 0))
    dtype = columns[0].dtype if len({column.dtype for column in columns}) == 1 else _common(columns)
    made = np.empty((len(frame), len(columns)), dtype)
    for i, column in enumerate(columns):
        if column.dtype.kind in "iu" and dtype.kind == "f" and len(column):
            limit = 2 ** (np.finfo(dtype).nmant + 1)
            if column.max() > limit or column.min() < -limit:
                raise UnsupportedData(
                    f"Column {frame.columns[i]!r} of {column.dtype} would be rounded in an array of {dtype}, which the "
                    "other columns need. Use `to_pandas()`."
                )
        made[:, i] = column
    return made


def _common(columns: list[Any]) -> Any:
    kinds = {column.dtype.kind for column in columns}
    return np.result_type(*columns) if kinds <= set("iuf") else np.dtype(object)


def _by_arrow(table: pa.Table) -> pd.DataFrame:
    try:
        return table.to_pandas()
    except (pa.ArrowException, NotImplementedError, TypeError, ValueError, KeyError) as error:
        odd = next((name for name in table.column_names if not _is_taken_by_pandas(table.select([name]))), "")
        raise UnsupportedData(
            f"Column {odd!r} has the type {table.schema.field(odd).type if odd else table.schema}, which pandas cannot "
            f"hold: {error}. Use `to_arrow()`."
        ) from error


def _is_taken_by_pandas(table: pa.Table) -> bool:
    try:
        table.replace_schema_metadata(None).to_pandas()
    except (pa.ArrowException, NotImplementedError, TypeError, ValueError, KeyError):
        return False
    return True


def _dtype(text: str) -> Any:
    return np.dtypes.StringDType() if text == "T" else np.dtype(text)


def _values(column: Any, dtype: Any) -> Any:
    values = column.to_numpy()
    return values if dtype is None or values.dtype == dtype else values.astype(dtype)


def _noted_by_pandas(table: pa.Table) -> set[str]:
    """Name the columns for which pandas noted an extension dtype, as which Arrow makes them again."""
    try:
        noted = (table.schema.pandas_metadata or {}).get("columns", ())
    except ValueError:  # some other program's idea of that key
        return set()
    return {
        str(column.get("field_name"))
        for column in noted
        if str(column.get("numpy_type", "object"))[:1].isupper() or column.get("numpy_type") in {"boolean", "string"}
    }


def _index_columns(table: pa.Table) -> set[str]:
    try:
        return {name for name in (table.schema.pandas_metadata or {}).get("index_columns", ()) if isinstance(name, str)}
    except ValueError:
        return set()


def _series(column: Any, name: str) -> Any:
    """Convert a column that `Table.to_pandas` would change or lose the type of; None for any other."""
    import pandas as pd  # noqa: PLC0415 - not needed until a frame is asked for

    kind = column.type
    if column.null_count and pa.types.is_integer(kind):
        dtype: Any = pd.api.types.pandas_dtype(str(kind).replace("int", "Int").replace("uI", "UI"))
        return pd.Series(dtype.__from_arrow__(column), dtype=dtype)
    if column.null_count and pa.types.is_boolean(kind) and column.null_count < len(column):
        nullable: Any = pd.BooleanDtype()
        return pd.Series(nullable.__from_arrow__(column), dtype=nullable)
    if _is_exact(column):
        return None
    if isinstance(kind, pa.BaseExtensionType) and hasattr(kind, "to_pandas_dtype"):
        try:
            own: Any = kind.to_pandas_dtype()
            if hasattr(own, "__from_arrow__"):
                return None  # pandas' own, such as periods
        except NotImplementedError:
            pass
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        column = column.cast(pa.large_list(kind.value_field))
    try:
        return pd.Series(pd.arrays.ArrowExtensionArray(column))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedData(
            f"Column {name!r} has the type {kind}, which pandas cannot hold: {error}. Use `to_arrow()`."
        ) from error


def _is_exact(column: Any) -> bool:
    """Test whether numpy or Python objects hold the values of a column, and tell its type."""
    kind, types = column.type, pa.types
    if _has_dtype(kind) or types.is_null(kind) or types.is_timestamp(kind) or types.is_duration(kind):
        return True
    if column.null_count == len(column):
        return False  # objects and categories that are all missing have no type
    if types.is_dictionary(kind):
        return _has_dtype(kind.value_type) or bool(types.is_boolean(kind.value_type))
    for test, holds in _OBJECTS:
        if test(kind):
            return holds(column)
    return False


def _has_dtype(kind: Any) -> bool:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_of_python(column: Any) -> bool:
    """Test whether dates lie in the years from 1 to 9999."""
    days = column.cast(pa.int32())
    return bool(pc.min(days).as_py() >= _FIRST_DAY and pc.max(days).as_py() <= _LAST_DAY)


def _has_micros(column: Any) -> bool:
    """Test whether times of day are whole microseconds, which Python's are."""
    return column.type != pa.time64("ns") or not pc.any(pc.not_equal(pc.nanosecond(column), pa.scalar(0))).as_py()


def _is_of_numbers(column: Any) -> bool:
    inner: Any = pc.list_flatten(column)
    return not inner.null_count and bool(pa.types.is_integer(inner.type) or pa.types.is_floating(inner.type))


_OBJECTS: tuple[tuple[Callable[[Any], bool], Callable[[Any], bool]], ...] = (
    (pa.types.is_boolean, lambda _: True),
    (pa.types.is_binary, lambda _: True),
    (pa.types.is_large_binary, lambda _: True),
    (pa.types.is_date32, _is_of_python),
    (pa.types.is_time, _has_micros),
    (pa.types.is_list, _is_of_numbers),
    (pa.types.is_large_list, _is_of_numbers),
)


def _without_polars(pl: Any, table: pa.Table) -> str | None:
    for name in table.column_names:
        try:
            pl.from_arrow(table.select([name]))
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - as above
            return f"Column {name!r} has the type {table.schema.field(name).type}, which polars cannot hold: {error}."
    return None
