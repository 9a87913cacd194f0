"""The gate through which tables of every make enter: anything tabular, as one Arrow table.

Nothing heavy is imported until data is at hand; `is_tabular` never imports anything.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.labels import refuse_duplicates

if TYPE_CHECKING:
    import pyarrow as pa

_ACCEPTED = (
    "a pandas, polars or Arrow table, anything with `__arrow_c_stream__`, a two-dimensional array, "
    "or a dict of one-dimensional arrays"
)
_TABLES = {
    "pandas": ("DataFrame",),
    "polars": ("DataFrame",),
    "pyarrow": ("Table", "RecordBatch", "RecordBatchReader"),
}
_COLUMNS = {"pandas": ("Series",), "polars": ("Series",), "pyarrow": ("ChunkedArray", "Array")}
_INDEX_LEVEL = re.compile(r"__index_level_\d+__")


def is_tabular(obj: object) -> bool:
    """Say whether an object is a table with named columns, without importing any library.

    Parameters
    ----------
    obj : object
        Any object.

    Returns
    -------
    bool
        True for data frames and Arrow tables, batches and streams of them; False for arrays and single columns.

    Examples
    --------
    >>> import pandas as pd
    >>> is_tabular(pd.DataFrame({"x": [1]})), is_tabular(pd.Series([1]))
    (True, False)
    """
    if _belongs(obj, _TABLES):
        return True
    return hasattr(type(obj), "__arrow_c_stream__") and not _belongs(obj, _COLUMNS)


def to_arrow(data: object, *, index: Literal["content", "all"] = "content") -> pa.Table:
    """Turn tabular data into an Arrow table that says the same, or refuse.

    Parameters
    ----------
    data : object
        A pandas DataFrame or Series, an Arrow table, record batch or stream, a polars DataFrame, anything
        else with ``__arrow_c_stream__``, a two-dimensional array (its columns are named ``"0"``, ``"1"``, …),
        or a dict of one-dimensional arrays. A stream, such as a ``RecordBatchReader``, is consumed;
        everything else is left as it was.
    index : {"content", "all"}
        Which levels of a pandas index follow the columns: all but an unnamed integer index, which is no
        content, or all but an unnamed ``RangeIndex``.

    Returns
    -------
    pyarrow.Table
        The columns under ``str(label)``, then the index levels under Arrow's names. With ``"content"`` the
        schema carries no metadata.

    Raises
    ------
    UnsupportedData
        The data is no table, two labels are the same text, or Arrow cannot hold a column exactly as it is;
        the column, and the row where that shows, are named.

    Examples
    --------
    >>> import pandas as pd
    >>> to_arrow(pd.DataFrame({"x": [1]}, index=pd.Index(["a"], name="key"))).column_names
    ['x', 'key']
    """
    table = _table(data, keep_integers=index == "all")
    refuse_duplicates(table.column_names)
    if index == "all":
        return table
    from mlops_kit.fingerprints.layouts import viewless  # noqa: PLC0415 - loads pyarrow

    return viewless(_content(table))


def _table(data: Any, *, keep_integers: bool) -> pa.Table:
    import numpy as np  # noqa: PLC0415 - loaded once data is at hand
    import pyarrow as pa  # noqa: PLC0415 - likewise

    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if _belongs(data, {"pandas": ("DataFrame", "Series")}):
        from mlops_kit.fingerprints import pandas_columns  # noqa: PLC0415 - pandas is loaded already in this case

        frame = data if data.ndim == 2 else data.to_frame()  # noqa: PLR2004 - a frame has two dimensions
        return pandas_columns.frame_table(frame, keep_integers=keep_integers)
    if isinstance(data, np.ndarray):
        return _matrix(data)
    if isinstance(data, Mapping):
        return _columns(data)
    if hasattr(type(data), "__arrow_c_stream__"):
        return _stream(data)
    raise UnsupportedData(_no_table(data))


def _stream(data: Any) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - loaded once data is at hand

    if _belongs(data, _COLUMNS):
        raise UnsupportedData(
            f"A {_type_name(data)} is a single column, not a table. Name it: wrap it as {{'name': column}}."
        )
    if _belongs(data, {"polars": ("DataFrame",)}):
        for name, dtype in data.schema.items():
            # polars would export the addresses of the objects, and call them bytes
            if dtype == sys.modules["polars"].Object:
                raise UnsupportedData(
                    f"Column {name!r} has the polars type Object: Python objects without an Arrow type. "
                    "Cast it to a typed column or drop it."
                )
    try:
        return pa.RecordBatchReader.from_stream(data).read_all()
    except (pa.ArrowException, TypeError, ValueError) as error:
        odd = _odd_column(data) if _belongs(data, {"polars": ("DataFrame",)}) else None
        what = f"of a {_type_name(data)}" if odd is None else f"of column {odd!r}"
        raise UnsupportedData(f"The Arrow stream {what} cannot be read as a table: {error}.") from error


def _odd_column(frame: Any) -> str | None:
    """Name the first column of a polars frame that Arrow cannot read."""
    import pyarrow as pa  # noqa: PLC0415 - loaded once data is at hand

    for name in frame.columns:
        try:
            pa.RecordBatchReader.from_stream(frame.select(name)).read_all()
        except (pa.ArrowException, TypeError, ValueError):
            return str(name)
    return None


def _matrix(data: Any) -> pa.Table:
    if data.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise UnsupportedData(
            f"An array of shape {data.shape} is not a table: a table has two dimensions, rows and columns. "
            "Use `array.reshape(-1, 1)` for one column, or a dict of one-dimensional arrays."
        )
    return _assemble({str(i): data[:, i] for i in range(data.shape[1])}, rows=data.shape[0])


def _columns(data: Mapping[Any, Any]) -> pa.Table:
    refuse_duplicates([str(label) for label in data])
    sized = {str(label): values for label, values in data.items()}
    for name, values in sized.items():
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
            raise UnsupportedData(
                f"Column {name!r} is a {_type_name(values)}, not a one-dimensional array. "
                "Give each column as an array or a list of values."
            )
    lengths = {name: len(values) for name, values in sized.items()}
    if len(set(lengths.values())) > 1:
        raise UnsupportedData(f"The columns differ in length: {lengths}. A table needs as many values in each.")
    return _assemble(sized, rows=next(iter(lengths.values()), 0))


def _assemble(columns: dict[str, Any], *, rows: int) -> pa.Table:
    from mlops_kit.fingerprints import pandas_columns  # noqa: PLC0415 - loaded once data is at hand

    return pandas_columns.table({name: pandas_columns.column(values, name) for name, values in columns.items()}, rows)


def _content(table: pa.Table) -> pa.Table:
    """Drop the index that pandas metadata marks as unnamed integers; write out a named range kept there."""
    import pyarrow as pa  # noqa: PLC0415 - loaded once data is at hand

    try:
        metadata = table.schema.pandas_metadata or {}
    except ValueError:  # some other program's idea of that key
        metadata = {}
    if not table.num_columns:  # replacing its metadata would lose the number of rows
        return pa.table({"": pa.nulls(table.num_rows)}).select([])
    table = table.replace_schema_metadata(None)
    match metadata.get("index_columns"):
        case [str(name)] if _INDEX_LEVEL.fullmatch(name) and name in table.column_names:
            named = any(
                described.get("field_name") == name and described.get("name") is not None
                for described in metadata.get("columns", ())
            )
            if not named and pa.types.is_integer(table.schema.field(name).type):
                return table.drop_columns(name)
        case [{"kind": "range", "name": str(name), "start": int(start), "stop": int(stop), "step": int(step)}]:
            values = range(start, stop, step or 1)
            # A table cut since then says nothing reliable about its range any more.
            if len(values) == table.num_rows and name not in table.column_names:
                return table.append_column(name, pa.array(values, pa.int64()))
        case _:
            pass
    return table


def _no_table(data: object) -> str:
    if isinstance(data, Iterator):
        return (
            f"A {_type_name(data)} can be read only once, and reading it here would leave nothing for its owner. "
            f"Materialise it first, as {_ACCEPTED}."
        )
    if _belongs(data, {"polars": ("LazyFrame",)}):
        return "A polars LazyFrame is a plan, not data. Call `.collect()` on it."
    if _belongs(data, {"scipy.sparse": ("sparray", "spmatrix")}):
        return (
            "A scipy sparse matrix has no columns with names. Use `pandas.DataFrame.sparse.from_spmatrix(matrix)`, "
            "or `matrix.toarray()` where that fits into memory."
        )
    return f"A {_type_name(data)} is not a table. Give {_ACCEPTED}."


def _belongs(obj: object, classes: dict[str, tuple[str, ...]]) -> bool:
    """Test membership of classes by name, in modules only if they are loaded: if not, nobody can hold an instance."""
    for module_name, names in classes.items():
        module = sys.modules.get(module_name)
        if module is not None and any(isinstance(obj, getattr(module, name, ())) for name in names):
            return True
    return False


def _type_name(obj: object) -> str:
    kind = type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
