"""Data at hand as the columns of a signature: names, types, missing values, levels. Loads pyarrow when it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.errors import MlopsKitError, UnsupportedData
from mlops_kit.fingerprints.arrow import is_tabular, to_arrow
from mlops_kit.records.signature import ColumnSpec

MAX_LEVELS = 100
"""A column with more different values than this has no levels."""

_LOOKED_AT = 10_000
_MATRIX = 2


class Schema(Protocol):
    """Data, seen as columns."""

    rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """The labels of the columns, as text; none of an array."""
        ...

    def columns(self, *, levels: Callable[[str], bool]) -> tuple[ColumnSpec, ...]:
        """Describe the columns; `levels` tells of which the different values are wanted, however many."""
        ...

    def survives(self, name: str, kind: str) -> bool:
        """Tell whether a type holds every value of a column."""
        ...

    def few_levels(self, name: str) -> tuple[Any, ...] | None:
        """Give the different values of a column of text or truth values that has few; None of any other."""
        ...

    def first_values(self, name: str) -> tuple[Any, ...]:
        """Give the different values among the first rows of a column, of any type."""
        ...


def schema_of(data: Any) -> Schema:
    """See data as columns.

    Parameters
    ----------
    data : table, array, sparse matrix, list of rows or Dataset
        The data; index levels are no columns.

    Returns
    -------
    Schema
        What it holds.

    Raises
    ------
    UnsupportedData
        It is no data, or has a column that has no type.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [31, 47], "plan": ["basic", "pro"]})
    >>> [(column.name, column.type) for column in schema_of(frame).columns(levels=lambda name: False)]
    [('age', 'int64'), ('plan', 'utf8')]
    """
    if isinstance(data, Dataset):
        return _Table(data.to_arrow())
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _Table(to_arrow(data.reset_index(drop=True)))
    if pandas is not None and isinstance(data, pandas.Series | pandas.Index):
        column = pandas.Series(data, name=None).reset_index(drop=True)
        return _Table(to_arrow(column.to_frame(name="" if data.name is None else str(data.name))))
    if polars is not None and isinstance(data, polars.Series):
        return _Table(to_arrow(data.to_frame()))
    if is_tabular(data):
        if not hasattr(type(data), "__len__"):
            raise UnsupportedData("The data is a stream, which reading would use up: pass a table.")
        return _Table(to_arrow(data))
    return _Array(data)


class _Table:
    """A table with named columns."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.rows: int = table.num_rows

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._table.column_names)

    def columns(self, *, levels: Callable[[str], bool]) -> tuple[ColumnSpec, ...]:
        return tuple(
            ColumnSpec(
                name,
                self._type(name),
                nullable=self._has_nulls(name),
                categories=self._levels(self._table[name]) if levels(name) else None,
            )
            for name in self.names
        )

    def survives(self, name: str, kind: str) -> bool:
        import pyarrow as pa  # noqa: PLC0415 - loaded once data is at hand
        import pyarrow.compute as pc  # noqa: PLC0415 - likewise

        own = self._type(name)
        if not (_is_number(own) and _is_number(kind)):
            return False
        column = self._decoded(name).drop_null()
        if own.startswith("float"):
            column = column.filter(pc.invert(pc.is_nan(column)))
        try:
            turned = column.cast(kind)
            return bool(turned.cast(column.type).equals(column))
        except pa.ArrowException:
            return False

    def few_levels(self, name: str) -> tuple[Any, ...] | None:
        import pyarrow as pa  # noqa: PLC0415 - loaded once data is at hand

        column = self._table[name]
        of_kind = pa.types.is_dictionary(column.type) or self._type(name) in {"utf8", "bool"}
        if not of_kind or len(column.slice(0, _LOOKED_AT).unique()) > MAX_LEVELS:
            return None
        found = self._levels(column)
        ids = self._type(name) == "utf8" and len(found) == self.rows > 1  # every value once: names, not levels
        return None if len(found) > MAX_LEVELS or ids else found

    def first_values(self, name: str) -> tuple[Any, ...]:
        return self._levels(self._table[name].slice(0, _LOOKED_AT))

    def _levels(self, column: Any) -> tuple[Any, ...]:
        values = column.unique().drop_null().to_pylist()
        plain = [value for value in values if isinstance(value, str | int | float | bool)]
        return tuple(sorted(plain, key=lambda value: (str(type(value)), value)))

    def _type(self, name: str) -> str:
        from mlops_kit.fingerprints.leaves import type_name  # noqa: PLC0415 - loads pyarrow

        return type_name(self._table.schema.field(name))

    def _has_nulls(self, name: str) -> bool:
        import pyarrow as pa  # noqa: PLC0415 - loaded once data is at hand
        import pyarrow.compute as pc  # noqa: PLC0415 - likewise

        column = self._table[name]
        if column.null_count:
            return True
        return bool(pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py())

    def _decoded(self, name: str) -> Any:
        import pyarrow as pa  # noqa: PLC0415 - loaded once data is at hand

        column = self._table[name]
        return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


class _Array:
    """An array, or a matrix; its columns have places and no names."""

    def __init__(self, data: Any) -> None:
        import numpy as np  # noqa: PLC0415 - loaded once data is at hand

        sparse = hasattr(data, "tocsr")
        try:
            self._array = data if sparse else np.asarray(data)
        except (TypeError, ValueError) as error:
            raise UnsupportedData(f"A {type(data).__name__} is no table and no array: {error}.") from error
        if not self._array.shape:
            raise UnsupportedData(f"A {type(data).__name__} is no table and no array of rows.")
        self.rows: int = int(self._array.shape[0])
        self._values = data.tocsr().data if sparse else self._array

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def columns(self, *, levels: Callable[[str], bool]) -> tuple[ColumnSpec, ...]:
        kind = self._type()
        shape = (None, *map(int, self._array.shape[1:]))
        found = self._levels() if levels("") else None
        return (ColumnSpec("", kind, nullable=self._has_nulls(), categories=found, shape=shape),)

    def survives(self, name: str, kind: str) -> bool:
        import numpy as np  # noqa: PLC0415 - loaded once data is at hand

        del name
        own = self._type()
        if not (_is_number(own) and _is_number(kind)):
            return False
        values = self._values[~np.isnan(self._values)] if self._values.dtype.kind == "f" else self._values
        with np.errstate(all="ignore"):
            turned = values.astype(kind)
            return bool((turned.astype(values.dtype) == values).all())

    def few_levels(self, name: str) -> tuple[Any, ...] | None:
        del name
        return None

    def first_values(self, name: str) -> tuple[Any, ...]:
        import numpy as np  # noqa: PLC0415 - loaded once data is at hand

        del name
        return tuple(np.unique(self._values[:_LOOKED_AT]).tolist())

    def _levels(self) -> tuple[Any, ...]:
        import numpy as np  # noqa: PLC0415 - loaded once data is at hand

        return tuple(np.unique(self._values).tolist())

    def _type(self) -> str | None:
        kind = self._array.dtype
        if kind.kind in "biuf":
            return str(kind.name)
        return "utf8" if kind.kind in "UT" else None

    def _has_nulls(self) -> bool:
        import numpy as np  # noqa: PLC0415 - loaded once data is at hand

        return bool(self._values.dtype.kind == "f" and np.isnan(self._values).any())


def schema_or_none(data: Any) -> Schema | None:
    """See data as columns, or give None if it cannot be seen so."""
    try:
        return schema_of(data)
    except MlopsKitError:
        return None


def _is_number(kind: str | None) -> bool:
    return kind is not None and kind.startswith(("int", "uint", "float"))
