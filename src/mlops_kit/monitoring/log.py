"""The log of a live model: an append in the path of a prediction, everything else later and elsewhere."""

from __future__ import annotations

import atexit
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_kit.errors import InvalidInput
from mlops_kit.monitoring.ids import PredictionIds
from mlops_kit.monitoring.parts import Batch, Part, groups_of, parts_of
from mlops_kit.monitoring.segments import LABELS, PREDICTIONS, REPLACE, Segment, Segments

SEGMENT_ROWS = 20_000
INTERVAL_SECONDS = 30.0
_CHILD_SECONDS = 0.5
LIMIT_ROWS = 1_000_000
_LEAST_SHARE = 2.0**-10
_END_SECONDS = 60.0
_OWN_LOG = "mlops_kit.monitoring"


@dataclass(slots=True)
class _Buffer:
    batches: list[Batch] = field(default_factory=list)
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
    process ends; a process that is killed loses what was not written. A child of `multiprocessing`, which a pool ends
    without asking, writes twice a second. When the store is too slow, new rows are
    sampled, and those kept carry as their weight how many they stand for.

    Parameters
    ----------
    segments : Segments
        Where to write.
    names : sequence of str
        What the columns of an array are called.
    version : str, optional
        Which version of a model makes the predictions, where a call does not tell.
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
        version: str | None = None,
        limit: int = LIMIT_ROWS,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._segments = segments
        self._names, self._version = tuple(names), version
        self._limit, self._interval = limit, interval
        self._begin()
        _logs.add(self)

    def _begin(self) -> None:
        self.writer = os.urandom(6).hex()
        self._buffer = _Buffer()
        self._parts: list[Part] = []
        self._corrections: list[Segment] = []
        self._seq, self._count = 0, 0
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._full = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_ending = False
        self.failure: str | None = None

    def add(
        self, data: Any, predictions: Any, *, ids: Any = None, at: Any = None, version: str | None = None
    ) -> Sequence[str]:
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
        version : str, optional
            Of the model that made them.

        Returns
        -------
        sequence of str
            The ids.

        Raises
        ------
        InvalidInput
            The numbers of rows, predictions and ids differ, or something is not what it should be.
        """
        from mlops_kit.monitoring.rows import held, moments_of, row_count, value_count  # noqa: PLC0415 - loads pandas

        rows, given = value_count(predictions, "Predictions"), row_count(data)
        if rows != given or (ids is not None and value_count(ids, "ids=") != rows):
            told = "" if ids is None else f" and {len(ids)} ids"
            raise InvalidInput(f"{given} rows came with {rows} predictions{told}: give one of each for every row.")
        now = datetime.now(UTC)
        moment = now if at is None else moments_of(at, rows, now)
        batch = Batch(PREDICTIONS, rows, held(predictions), held(data), None if ids is None else held(ids), moment)
        batch.version = version or self._version
        with self._lock:
            batch.first = self._count
            self._count += rows
            batch.share = share_kept(self._buffer.rows, self._limit)
            self._append(batch)
        return PredictionIds(self.writer, range(batch.first, batch.first + rows)) if ids is None else ids

    def add_labels(self, ids: Any, labels: Any, *, at: Any = None, replace: bool = False) -> None:
        """Log labels; they are never sampled. See `Monitor.log_labels`."""
        from mlops_kit.monitoring.calls import single  # noqa: PLC0415 - only those who log labels need it
        from mlops_kit.monitoring.rows import held, moments_of, value_count  # noqa: PLC0415 - loads pandas and pyarrow

        if isinstance(ids, str):
            ids, labels = [ids], [labels]
        labels = single(labels)
        rows = value_count(ids, "The ids of labels")
        if rows != value_count(labels, "Labels"):
            raise InvalidInput(f"{rows} ids came with {len(labels)} labels: give one label for each id.")
        kept = ids if isinstance(ids, PredictionIds) else held(ids)
        now = datetime.now(UTC)
        batch = Batch(LABELS, rows, held(labels), ids=kept, at=now if at is None else moments_of(at, rows, now))
        batch.replace = replace
        with self._lock:
            self._append(batch)
            waiting = self._buffer.rows
        if waiting > 2 * self._limit:
            self.flush()

    def _append(self, batch: Batch) -> None:
        """Add to the buffer, under the lock, and see that somebody will write it."""
        if not batch.rows:
            return
        if batch.share == 0.0:
            self._buffer.lost += batch.rows
            return
        self._buffer.batches.append(batch)
        self._buffer.rows += batch.kept
        if self._thread is None:
            _unwritten.add(self)
            _flush_at_end()
            self._full.clear()
            self._thread = threading.Thread(target=self._run, name="mlops_kit-monitor", daemon=True)
            self._thread.start()
        if self._buffer.rows >= SEGMENT_ROWS:
            self._full.set()

    def _run(self) -> None:
        """Write until nothing waits; then the thread ends, and the next append starts another."""
        interval = min(self._interval, _CHILD_SECONDS) if _is_child() else self._interval
        pause = interval
        while True:
            self._full.wait(pause)
            self._full.clear()
            try:
                self.flush()
                pause = interval
            except Exception as error:  # noqa: BLE001 - whatever it is, this thread is the only one that will try again
                pause = min(2 * pause, 600.0)
                logging.getLogger(_OWN_LOG).warning("predictions wait to be written: %s", error)
                time.sleep(0.0 if self._is_ending else min(1.0, self._interval))
            with self._lock:
                if self._is_ending or (not self._buffer.batches and not self._parts):
                    self._thread = None
                    _unwritten.discard(self)
                    return

    def end(self) -> None:
        """Write all that waits, and wait for the thread to end.

        A thread that is still in the code of Arrow when the interpreter ends may take the process down: C++ cannot be
        left in the way in which Python makes a thread leave then.
        """
        thread, self._is_ending = self._thread, True
        self._full.set()
        if thread is not None:
            thread.join(_END_SECONDS)
        self._is_ending = False
        self.flush()

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
            if buffer.lost:
                logging.getLogger(_OWN_LOG).warning(
                    "%d predictions were not logged: the store is too slow, and the buffer is full", buffer.lost
                )
            left = list(groups_of(sorted(buffer.batches, key=lambda batch: batch.kind == LABELS)))
            try:
                self._write_parts()
                while left:
                    self._parts.extend(parts_of(left[0], self._names))
                    del left[0]
                    self._write_parts()
            except BaseException as error:
                self.failure = str(error)
                self._wait_on([batch for group in left for batch in group])
                raise
            self.failure = None

    def corrections(self) -> list[Segment]:
        """Return the files of labels that replace others which were written since this was last asked."""
        with self._writing:
            written, self._corrections = self._corrections, []
        return written

    def _write_parts(self) -> None:
        """Write tables in order; one that fails is written again as it was, so that it is never there twice."""
        while self._parts:
            part = self._parts[0]
            seq = self._seq + 1
            written = self._segments.write(part.table, kind=part.kind, writer=self.writer, seq=seq, first=part.first)
            self._seq = seq
            if REPLACE in part.table.column_names:
                self._corrections.append(written)
            del self._parts[0]

    def _wait_on(self, batches: list[Batch]) -> None:
        """Put back what could not be written, before what came meanwhile."""
        with self._lock:
            self._buffer.batches[:0] = batches
            self._buffer.rows += sum(batch.kept for batch in batches)
            self._buffer.rows += sum(part.table.num_rows for part in self._parts)

    def __reduce__(self) -> Any:
        raise TypeError("a prediction log holds threads and does not pickle")


_logs: weakref.WeakSet[PredictionLog] = weakref.WeakSet()
_unwritten: set[PredictionLog] = set()
_ends_in: int | None = None


@atexit.register
def _flush_all() -> None:
    for log in list(_unwritten):
        try:
            log.end()
        except Exception:
            logging.getLogger(_OWN_LOG).exception("predictions were lost at exit")


def _is_child() -> bool:
    """Return whether this is a child of `multiprocessing`, which a pool may end at any time."""
    process = sys.modules.get("multiprocessing.process")  # which such a child has loaded
    return process is not None and process.parent_process() is not None


def _flush_at_end() -> None:
    """See that a child of `multiprocessing`, which ends without `atexit`, writes what it has."""
    global _ends_in  # noqa: PLW0603 - once for each process
    if _is_child() and _ends_in != os.getpid():
        from multiprocessing import util  # noqa: PLC0415 - only its own children need it

        util.Finalize(None, _flush_all, exitpriority=100)
        _ends_in = os.getpid()


def _begin_again() -> None:
    """Leave to the parent of a fork what it has not written; threads and locks do not survive one."""
    _unwritten.clear()
    for log in list(_logs):
        log._begin()  # noqa: SLF001 - a log's own affair, done from outside because fork calls functions


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
