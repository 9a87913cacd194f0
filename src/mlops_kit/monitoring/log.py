"""The log of a live model: an append in the path of a prediction, everything else later and elsewhere."""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

from mlops_kit.errors import InvalidInput, MlopsKitError
from mlops_kit.monitoring.segments import LABELS, PREDICTIONS, Segments

if TYPE_CHECKING:
    import pyarrow as pa

ID, NUMBER, AT, WEIGHT, PREDICTION, LABEL = "#id", "#n", "#at", "#weight", "#prediction", "#label"
OWN = (ID, NUMBER, AT, WEIGHT, PREDICTION, LABEL)

SEGMENT_ROWS = 20_000
INTERVAL_SECONDS = 30.0
LIMIT_ROWS = 1_000_000
_SEGMENT_MOST = 100_000
_LEAST_SHARE = 2.0**-10
_OWN_LOG = "mlops_kit.monitoring"


class PredictionIds(Sequence[str]):
    """The ids of predictions that were logged without any: made when they are looked at.

    Parameters
    ----------
    writer : str
        Who logged them.
    numbers : range
        Their numbers.

    Examples
    --------
    >>> ids = PredictionIds("0123456789ab", range(10, 13))
    >>> ids[0], len(ids), list(ids[1:])
    ('0123456789ab-10', 3, ['0123456789ab-11', '0123456789ab-12'])
    """

    __slots__ = ("_numbers", "_writer")

    def __init__(self, writer: str, numbers: range) -> None:
        self._writer, self._numbers = writer, numbers

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> PredictionIds: ...
    def __getitem__(self, index: int | slice) -> str | PredictionIds:
        if isinstance(index, slice):
            return PredictionIds(self._writer, self._numbers[index])
        return f"{self._writer}-{self._numbers[index]}"

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return (f"{self._writer}-{number}" for number in self._numbers)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) and not isinstance(other, str) else False

    def __hash__(self) -> int:
        return hash((self._writer, self._numbers))

    def __repr__(self) -> str:
        return f"PredictionIds({len(self)}: {self[0]} … {self[-1]})" if self._numbers else "PredictionIds(0)"


@dataclass(slots=True)
class _Batch:
    """Rows as they were passed; `share` of them is kept when they are written."""

    kind: str
    rows: int
    values: Any
    data: Any = None
    ids: Any = None
    at: Any = None
    first: int = 0
    share: float = 1.0


@dataclass(slots=True)
class _Buffer:
    batches: list[_Batch] = field(default_factory=list)
    rows: int = 0
    lost: int = 0


def share_kept(buffered: int, limit: int) -> float:
    """Tell which share of new rows is kept, so that a full buffer thins what comes instead of growing.

    Parameters
    ----------
    buffered, limit : int
        Rows that wait, and that may wait.

    Returns
    -------
    float
        1 up to half of the limit, then half as much for each half of what is left; at last 0.

    Examples
    --------
    >>> [share_kept(rows, 1000) for rows in (0, 500, 600, 760, 900, 999, 1000)]
    [1.0, 1.0, 0.5, 0.25, 0.125, 0.001953125, 0.0]
    """
    if buffered >= limit:
        return 0.0
    free = 1 - buffered / limit
    return max(_LEAST_SHARE, 2.0 ** min(0, math.floor(math.log2(2 * free)))) if free < 0.5 else 1.0  # noqa: PLR2004 - half


class PredictionLog:
    """Collects predictions and labels in memory and writes them to segments from a thread of its own.

    Rows are written when there are 20,000 of them or half a minute is over, when `flush` is called, and when the
    process ends; a process that is killed loses what was not written. When the store is too slow, new rows are
    sampled, and those kept carry as their weight how many they stand for.

    Parameters
    ----------
    segments : Segments
        Where to write.
    names : sequence of str
        What the columns of an array are called.
    limit : int
        Rows that may wait.
    interval : float
        Seconds after which what waits is written.
    """

    def __init__(
        self,
        segments: Segments,
        *,
        names: Sequence[str] = (),
        limit: int = LIMIT_ROWS,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._segments = segments
        self._names = tuple(names)
        self._limit, self._interval = limit, interval
        self._begin()
        _logs.add(self)

    def _begin(self) -> None:
        self.writer = os.urandom(6).hex()
        self._buffer = _Buffer()
        self._seq, self._count = 0, 0
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._full = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: str | None = None

    def add(self, data: Any, predictions: Any, *, ids: Any = None, at: Any = None) -> Sequence[str]:
        """Log predictions: an append; see `Monitor.log`.

        Parameters
        ----------
        data : table or array
            What was predicted on.
        predictions : array-like
            One for each row.
        ids : sequence, optional
            One for each row.
        at : datetime or array-like, optional
            When.

        Returns
        -------
        sequence of str
            The ids.

        Raises
        ------
        InvalidInput
            The numbers of rows, predictions and ids differ.
        """
        from mlops_kit.monitoring.rows import held, row_count  # noqa: PLC0415 - loads pandas and pyarrow

        rows = len(predictions)
        given = row_count(data)
        if rows != given or (ids is not None and len(ids) != rows):
            told = "" if ids is None else f" and {len(ids)} ids"
            raise InvalidInput(f"{given} rows came with {rows} predictions{told}: give one of each for every row.")
        batch = _Batch(PREDICTIONS, rows, held(predictions), held(data), None if ids is None else held(ids), at)
        if at is None:
            batch.at = datetime.now(UTC)
        with self._lock:
            batch.first = self._count
            self._count += rows
            batch.share = share_kept(self._buffer.rows, self._limit)
            self._append(batch)
        return PredictionIds(self.writer, range(batch.first, batch.first + rows)) if ids is None else ids

    def add_labels(self, ids: Any, labels: Any, *, at: Any = None) -> None:
        """Log labels; they are never sampled. See `Monitor.log_labels`."""
        from mlops_kit.monitoring.rows import held  # noqa: PLC0415 - loads pandas and pyarrow

        if isinstance(ids, str):
            ids, labels = [ids], [labels]
        if len(ids) != len(labels):
            raise InvalidInput(f"{len(ids)} ids came with {len(labels)} labels: give one label for each id.")
        kept = ids if isinstance(ids, PredictionIds) else held(ids)
        batch = _Batch(LABELS, len(ids), held(labels), ids=kept, at=datetime.now(UTC) if at is None else at)
        with self._lock:
            self._append(batch)
            waiting = self._buffer.rows
        if waiting > 2 * self._limit:
            self.flush()

    def _append(self, batch: _Batch) -> None:
        """Add to the buffer, under the lock, and see that somebody will write it."""
        if not batch.rows:
            return
        if batch.share == 0.0:
            self._buffer.lost += batch.rows
            return
        self._buffer.batches.append(batch)
        self._buffer.rows += max(1, round(batch.rows * batch.share))
        if self._thread is None:
            _unwritten.add(self)
            self._full.clear()
            self._thread = threading.Thread(target=self._run, name="mlops_kit-monitor", daemon=True)
            self._thread.start()
        if self._buffer.rows >= SEGMENT_ROWS:
            self._full.set()

    def _run(self) -> None:
        """Write until nothing waits; then the thread ends, and the next append starts another."""
        pause = self._interval
        while True:
            self._full.wait(pause)
            self._full.clear()
            try:
                self.flush()
                pause = self._interval
            except MlopsKitError as error:
                pause = min(2 * pause, 600.0)
                logging.getLogger(_OWN_LOG).warning("predictions wait to be written: %s", error)
                time.sleep(min(1.0, self._interval))
            with self._lock:
                if not self._buffer.batches:
                    self._thread = None
                    _unwritten.discard(self)
                    return

    def flush(self) -> None:
        """Write all that waits.

        Raises
        ------
        StoreError
            It could not be written, and waits on.
        """
        with self._writing:
            with self._lock:
                buffer, self._buffer = self._buffer, _Buffer()
            written = 0
            try:
                for kind in (PREDICTIONS, LABELS):
                    for group in _groups([batch for batch in buffer.batches if batch.kind == kind]):
                        self._write(kind, group)
                        written += len(group)
                        for batch in group:
                            batch.rows = 0
                if buffer.lost:
                    logging.getLogger(_OWN_LOG).warning(
                        "%d predictions were not logged: the store is too slow, and the buffer is full", buffer.lost
                    )
            except MlopsKitError as error:
                self.failure = str(error)
                with self._lock:
                    left = [batch for batch in buffer.batches if batch.rows]
                    self._buffer.batches[:0] = left
                    self._buffer.rows += sum(max(1, round(batch.rows * batch.share)) for batch in left)
                raise
            self.failure = None

    def _write(self, kind: str, group: list[_Batch]) -> None:
        make: Callable[[_Batch], pa.Table] = self._predictions if kind == PREDICTIONS else _labels
        for table in _joined([make(batch) for batch in group]):
            self._seq += 1
            try:
                self._segments.write(table, kind=kind, writer=self.writer, seq=self._seq, first=group[0].first)
            except MlopsKitError:
                self._seq -= 1
                raise

    def _predictions(self, batch: _Batch) -> pa.Table:
        import numpy as np  # noqa: PLC0415 - heavy
        import pyarrow as pa  # noqa: PLC0415 - heavy

        from mlops_kit.monitoring.rows import moments_of, table_of, values_of  # noqa: PLC0415 - likewise

        table = table_of(batch.data, self._names)
        clash = {name: f"{name}'" for name in table.column_names if name in OWN}
        table = table.rename_columns([clash.get(name, name) for name in table.column_names])
        own = {
            AT: moments_of(batch.at, batch.rows, datetime.now(UTC)),
            WEIGHT: pa.array(np.full(batch.rows, 1 / batch.share)),
            PREDICTION: values_of(batch.values),
        }
        if batch.ids is None:
            own = {NUMBER: pa.array(np.arange(batch.first, batch.first + batch.rows)), **own}
        else:
            own = {ID: _text(values_of(batch.ids)), **own}
        for name, column in reversed(own.items()):
            table = table.add_column(0, name, column) if table.num_columns else pa.table({name: column})
        if batch.share == 1.0:
            return table
        return table.filter(pa.array(np.random.default_rng().random(batch.rows) < batch.share))

    def __reduce__(self) -> Any:
        raise TypeError("a prediction log holds threads and does not pickle")


def _labels(batch: _Batch) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    from mlops_kit.monitoring.rows import moments_of, values_of  # noqa: PLC0415 - loads pandas and pyarrow

    ids = _text(values_of(list(batch.ids) if isinstance(batch.ids, PredictionIds) else batch.ids))
    at = moments_of(batch.at, batch.rows, datetime.now(UTC))
    return pa.table({ID: ids, AT: at, LABEL: values_of(batch.values)})


def _text(ids: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    return ids if pa.types.is_string(ids.type) else ids.cast(pa.string())


def _groups(batches: list[_Batch]) -> Iterator[list[_Batch]]:
    """Put batches together until they make a large segment; given and made ids do not mix."""
    group: list[_Batch] = []
    rows = 0
    for batch in batches:
        if group and (rows + batch.rows > _SEGMENT_MOST or (batch.ids is None) != (group[-1].ids is None)):
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch.rows
    if group:
        yield group


def _joined(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """Join tables of the same columns; integers and floats meet as floats, what does not meet stays apart."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    together: list[pa.Table] = []
    for table in tables:
        if together and set(table.column_names) == set(together[0].column_names):
            try:
                pa.concat_tables([together[-1].slice(0, 0), table.slice(0, 0)], promote_options="permissive")
            except pa.ArrowException:
                pass
            else:
                together.append(table)
                continue
        if together:
            yield pa.concat_tables(together, promote_options="permissive")
        together = [table]
    if together:
        yield pa.concat_tables(together, promote_options="permissive")


_logs: weakref.WeakSet[PredictionLog] = weakref.WeakSet()
_unwritten: set[PredictionLog] = set()


@atexit.register
def _flush_all() -> None:
    for log in list(_unwritten):
        try:
            log.flush()
        except Exception:
            logging.getLogger(_OWN_LOG).exception("predictions were lost at exit")


def _begin_again() -> None:
    """Leave to the parent of a fork what it has not written; threads and locks do not survive one."""
    _unwritten.clear()
    for log in list(_logs):
        log._begin()  # noqa: SLF001 - a log's own affair, done from outside because fork calls functions


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
