"""What was logged, as tables that are ready to be written, and are the same however often that takes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlops_kit.monitoring.ids import PredictionIds
from mlops_kit.monitoring.segments import AT, ID, LABEL, NUMBER, PREDICTION, PREDICTIONS, REPLACE, VERSION, WEIGHT

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_ROWS = 100_000
_OWN_LOG = "mlops_kit.monitoring"


@dataclass(slots=True)
class Batch:
    """Rows as they were passed; `share` of them is kept when they are written."""

    kind: str
    rows: int
    values: Any
    data: Any = None
    ids: Any = None
    at: Any = None
    first: int = 0
    share: float = 1.0
    version: str | None = None
    replace: bool = False

    @property
    def kept(self) -> int:
        """About how many of the rows are kept."""
        return max(1, round(self.rows * self.share))


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one segment; `first` is the number of the first of them."""

    kind: str
    table: pa.Table
    first: int


def groups_of(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Put batches together until they make a large segment; kinds do not mix, nor do given and made ids."""
    group: list[Batch] = []
    rows = 0
    for batch in batches:
        alike = not group or _sort(batch) == _sort(group[-1])
        if group and (not alike or rows + batch.rows > _MOST_ROWS):
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch.rows
    if group:
        yield group


def _sort(batch: Batch) -> tuple[str, bool, bool, bool]:
    return batch.kind, batch.ids is None, batch.version is None, batch.replace


def parts_of(group: Sequence[Batch], names: Sequence[str]) -> list[Part]:
    """Turn the batches of a group into tables, each of them one segment.

    Parameters
    ----------
    group : sequence of Batch
        As of `groups_of`.
    names : sequence of str
        What the columns of an array are called.

    Returns
    -------
    list of Part
        In order. A batch of which no table can be made is lost, and the log says so: it must not hold up the rest.
    """
    tables = []
    for batch in group:
        try:
            tables.append(_predictions(batch, names) if batch.kind == PREDICTIONS else _labels(batch))
        except Exception:
            logging.getLogger(_OWN_LOG).exception(
                "%d %s were lost: nothing can be made of them", batch.rows, batch.kind
            )
    return [
        Part(group[0].kind, piece, piece.column(NUMBER)[0].as_py() if NUMBER in piece.column_names else group[0].first)
        for table in joined(tables)
        for piece in (table.slice(begin, _MOST_ROWS) for begin in range(0, table.num_rows, _MOST_ROWS))
    ]


def joined(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join tables of the same columns; integers and floats meet as floats, what does not meet stays apart."""
    alike: list[pa.Table] = []
    schema = None
    for table in tables:
        met = table.schema if schema is None else meeting(schema, table.schema)
        if met is None:
            yield from _concatenated(alike)
            alike, met = [], table.schema
        alike.append(table)
        schema = met
    yield from _concatenated(alike)


def _concatenated(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """Join tables whose columns meet; those of values that do not, such as huge integers and floats, stay apart."""
    whole = together(tables) if tables else None
    if whole is not None:
        yield whole
    else:
        yield from tables


def meeting(first: pa.Schema, second: pa.Schema) -> pa.Schema | None:
    """Give the schema that the rows of two tables have together; None if the columns differ, or do not meet.

    It is compared with all tables before, and not with the last: a column of nulls meets numbers and text.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if first.equals(second):
        return first
    if set(first.names) != set(second.names):
        return None
    try:
        return pa.unify_schemas([first, second], promote_options="permissive")
    except pa.ArrowException:
        return None


def together(tables: Sequence[pa.Table]) -> pa.Table | None:
    """Join tables; None if a value of one does not fit into the type that all of them have together."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        return None


def _predictions(batch: Batch, names: Sequence[str]) -> pa.Table:
    import numpy as np  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy

    from mlops_kit.monitoring.rows import escaped, moments_of, table_of, texts_of, values_of  # noqa: PLC0415 - likewise

    table = escaped(table_of(batch.data, names))
    own = {
        AT: moments_of(batch.at, batch.rows, datetime.now(UTC)),
        WEIGHT: pa.array(np.full(batch.rows, 1 / batch.share)),
        **({} if batch.version is None else {VERSION: pa.array([batch.version] * batch.rows, pa.string())}),
        PREDICTION: values_of(batch.values),
    }
    if batch.ids is None:
        own = {NUMBER: pa.array(np.arange(batch.first, batch.first + batch.rows)), **own}
    else:
        own = {ID: texts_of(batch.ids), **own}
    for name, column in reversed(own.items()):
        table = table.add_column(0, name, column) if table.num_columns else pa.table({name: column})
    if batch.share == 1.0:
        return table
    return table.filter(pa.array(np.random.default_rng().random(batch.rows) < batch.share))


def _labels(batch: Batch) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    from mlops_kit.monitoring.rows import moments_of, texts_of, values_of  # noqa: PLC0415 - loads pandas and pyarrow

    ids = texts_of(list(batch.ids) if isinstance(batch.ids, PredictionIds) else batch.ids)
    at = moments_of(batch.at, batch.rows, datetime.now(UTC))
    own = {REPLACE: pa.array([True] * batch.rows)} if batch.replace else {}
    return pa.table({ID: ids, AT: at, LABEL: values_of(batch.values), **own})
