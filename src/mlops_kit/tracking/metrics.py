"""The metric points of a run: bounded in memory, written in numbered segments."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping

from mlops_kit.errors import IntegrityError
from mlops_kit.records.metrics import Point, read_lines, write_lines
from mlops_kit.records.run import History
from mlops_kit.store.runs import Runs

INLINE_POINTS = 1000
"""So many points travel in the end record itself; more go to segments."""
SEGMENT_POINTS = 10_000
FLUSH_SECONDS = 10.0


class MetricLog:
    """The metrics of a run while it is written.

    Parameters
    ----------
    write : callable
        Takes the bytes of a segment and keeps them under the next free number.
    eager : bool
        Write each call at once: for processes that have no end of their own to write at.
    """

    def __init__(self, write: Callable[[bytes], None], *, eager: bool = False) -> None:
        self._write = write
        self._eager = eager
        self._points: list[Point] = []
        self._flushed_at = time.monotonic()
        self._failing = False  # after a failure the next attempt waits, and the points are kept
        self.last: dict[str, float] = {}
        self._last_at: dict[str, float] = {}

    def add(self, points: list[Point]) -> None:
        """Take points; write those held when there are many or the last writing was long ago."""
        self._points.extend(points)
        for name, value, _step, at in points:
            self.last[name] = value
            self._last_at[name] = at
        full = self._eager or len(self._points) >= SEGMENT_POINTS
        if (full and not self._failing) or time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def resume(self, last: dict[str, float], history: History) -> None:
        """Go on from the metrics of a run that had ended."""
        self.last.update(last)
        self._last_at.update(dict.fromkeys(last, time.time()))
        self._points[:0] = [(name, *point) for name, points in history.items() for point in points]

    def merge(self, points: list[Point]) -> None:
        """Let points that are written elsewhere count for the last values."""
        for name, value, _step, at in points:
            if at >= self._last_at.get(name, at):
                self.last[name] = value
                self._last_at[name] = at

    def flush(self) -> None:
        """Write the points held as a segment."""
        if self._points:
            self._flushed_at = time.monotonic()
            self._failing = True
            self._write(write_lines(self._points))
            self._points, self._failing = [], False

    def close(self) -> History:
        """Give the points that go into the end record, having written the rest."""
        if len(self._points) > INLINE_POINTS:
            self.flush()
        return grouped(self._points)

    @property
    def pending(self) -> list[Point]:
        """The very list of the points that are not in a segment yet; after a segment is written, another one."""
        return self._points

    @property
    def held(self) -> History:
        """The points that are not in a segment yet."""
        return grouped(self._points)


def grouped(points: list[Point]) -> History:
    """Sort points by name, in the order they were logged."""
    history: History = {}
    for name, value, step, at in points:
        history.setdefault(name, []).append((value, step, at))
    return history


def segments(runs: Runs, run_id: str, lines: Mapping[int, int] | None = None) -> list[Point]:
    """Read the points of all segments of a run, in the order they were written.

    Parameters
    ----------
    runs : Runs
        Where they are.
    run_id : str
        The run.
    lines : mapping, optional
        How many points each segment holds at least, as the end of the run says.

    Returns
    -------
    list of tuple
        The points.

    Raises
    ------
    IntegrityError
        A segment is damaged, missing, or shorter than it was.
    """
    expected = dict(lines or {})
    points: list[Point] = []
    for number, found in numbered(runs, run_id, until=max(expected, default=0)):
        if len(found) < expected.get(number, 0):
            raise IntegrityError(
                f"Segment {number} of the metrics of the run {run_id} holds {len(found)} points, and its end counted "
                f"{expected[number]}. Restore the file from a copy of the store; `Store.fsck()` names it."
            )
        points.extend(found)
    return points


def numbered(
    runs: Runs, run_id: str, *, besides: Collection[int] = (), until: int = 0
) -> Iterator[tuple[int, list[Point]]]:
    """Read the segments of a run but some, by number; what is missing up to `until` is an empty one."""
    number = 0
    while True:
        number += 1
        if number in besides:
            continue
        data = runs.metrics(run_id, number)
        if data is not None:
            yield number, read_lines(data, where=f"segment {number} of the run {run_id}")
        elif number > until:
            return
        else:
            yield number, []


def write_segment(runs: Runs, run_id: str, data: bytes, first: int = 1) -> int:
    """Write a segment under the next free number, which many writers may be looking for, and give the number."""
    number = first
    while not runs.write_metrics(run_id, number, data):
        number += 1
    return number
