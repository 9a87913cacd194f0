"""Where predictions are, and which of them have a label: sorted runs that grow by merging; a check reads few."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_kit.monitoring.labels import label_text
from mlops_kit.monitoring.segments import GROUPS, ID, IDS, JOINED, LABEL, LABELLED, PLACES, Segment, Segments

Keys: TypeAlias = npt.NDArray[np.uint64]
Columns: TypeAlias = dict[str, npt.NDArray[Any]]
Numbers: TypeAlias = npt.NDArray[np.int64]

REMEMBERED = 1_000_000
"""How many ids, or groups, that come again are known as such, at least."""
_BYTES = 8
HORIZON_DAYS = 400
"""How many days after a prediction was logged its label may be: one that comes later is counted as late."""
_MOST = 1 << 18
_MADE = re.compile(r"([0-9a-f]{12})-(0|[1-9][0-9]{0,17})")
_KEY, _NUMBER, _WRITER, _FIRST, _NAME, _LABEL = "#key", "#segment", "#writer", "#first", "#name", "#label"
_ORDER = {PLACES: (_NUMBER,), IDS: (_NUMBER, _KEY), LABELLED: (_KEY,), GROUPS: (_KEY,)}
"""By what the rows of each kind are sorted, the most important last."""


def keys_of(texts: Iterable[str]) -> Keys:
    """Shorten texts to the first eight bytes of the SHA-256 of each.

    Examples
    --------
    >>> keys_of(["a", "b"]).tolist()
    [14608863320967583690, 5357375904281011006]
    """
    digests = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_BYTES] for text in texts)
    return np.frombuffer(b"".join(digests), "<u8")


@dataclass(frozen=True, slots=True)
class Run:
    """Sorted rows about predictions.

    Parameters
    ----------
    kind : str
        ``"places"``, ``"ids"``, ``"labelled"`` or ``"groups"``.
    low, high : int
        The least and the greatest number of the segments of predictions that they are about.
    day : str
        On which the last of these was written.
    segment : Segment or None
        Where it is kept.
    columns : dict of str to array or None
        The rows, of a run that is not written yet.
    """

    kind: str
    low: int
    high: int
    day: str
    segment: Segment | None = None
    columns: Columns | None = None

    @property
    def rows(self) -> int:
        """How many."""
        return self.segment.rows if self.segment is not None else len(next(iter((self.columns or {}).values()), ()))

    def plain(self) -> list[str | int]:
        """Return a run that is written as plain values."""
        if self.segment is None:
            raise AssertionError("a run is written before it is named")
        return [self.segment.day, self.segment.name, self.low, self.high, self.day]

    @classmethod
    def of(cls, given: Sequence[Any]) -> Run:
        """Read what `plain` returned."""
        segment = Segment.of(str(given[0]), str(given[1]))
        if segment is None:
            raise AssertionError("a run names a segment")
        return cls(segment.kind, int(given[2]), int(given[3]), str(given[4]), segment)


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of all predictions.

    Parameters
    ----------
    count : int
        How many segments of predictions checks have read: they are numbered in that order.
    runs : tuple of Run
        Oldest first.
    """

    count: int = 0
    runs: tuple[Run, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"count": self.count, "runs": [run.plain() for run in self.runs]}

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Index:
        """Read what `plain` returned."""
        return cls(members["count"], tuple(map(Run.of, members["runs"])))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Where the runs are kept."""
        return tuple(run.segment for run in self.runs if run.segment is not None)


class Places:
    """Finds predictions by their ids, and takes note of new ones and of labels.

    Parameters
    ----------
    segments : Segments
        Where runs and predictions are read from.
    index : Index
        What is known.
    """

    def __init__(self, segments: Segments, index: Index) -> None:
        self._segments, self._index = segments, index
        self._added: list[Run] = []
        self._places: dict[int, Segment] = {}

    @property
    def count(self) -> int:
        """The number of the next segment of predictions."""
        return self._index.count

    def add(self, segment: Segment, keys: Keys | None) -> None:
        """Take note of a segment of predictions, and of the keys of the ids that these were given."""
        number = self._index.count
        self._index = replace(self._index, count=number + 1)
        place = {
            _NUMBER: np.array([number], np.int64),
            _WRITER: np.array([int(segment.writer, 16)], np.uint64),
            _FIRST: np.array([segment.first], np.int64),
            _NAME: np.array([f"{segment.day}/{segment.name}"], object),
        }
        self._added.append(Run(PLACES, number, number, segment.day, columns=place))
        if keys is not None and len(keys):
            ids = {_KEY: keys, _NUMBER: np.full(len(keys), number, np.int64)}
            self._added.append(Run(IDS, number, number, segment.day, columns=_sorted(IDS, ids)))

    def are_new(self, kind: str, keys: Keys) -> npt.NDArray[np.bool_]:
        """Find which keys come for the first time, as far as the last million of them tells."""
        new, read = np.zeros(len(keys), bool), 0
        new[np.unique(keys, return_index=True)[1]] = True
        for columns in self._read(kind) if len(keys) else ():
            known, left = columns[_KEY], np.flatnonzero(new)
            rows = np.minimum(np.searchsorted(known, keys[left]), len(known) - 1)
            new[left[known[rows] == keys[left]]] = False
            read += len(known)
            if read >= REMEMBERED:
                break
        return new

    def take_groups(self, keys: Keys, day: str) -> npt.NDArray[np.bool_]:
        """Return which groups come for the first time, and take note of them as seen on a day."""
        new, number = self.are_new(GROUPS, keys), self._index.count
        if new.any():
            self._added.append(Run(GROUPS, number, number, day, columns={_KEY: np.sort(keys[new])}))
        return new

    def add_labels(self, ids: Sequence[str], labels: Sequence[Any], numbers: Numbers) -> None:
        """Take note of the labels of predictions that are in segments of these numbers."""
        if len(ids):
            columns = {_KEY: keys_of(ids), _LABEL: _texts(labels)}
            last = int(numbers.max())
            day = self.segment(last).day
            run = Run(LABELLED, int(numbers.min()), last, day, columns=_sorted(LABELLED, columns))
            self._added.append(run)

    def add_known(self, segment: Segment) -> None:
        """Take note of labels of any predictions so far, as joined rows or a run of another index tell them."""
        last = self._index.count - 1
        run = Run(LABELLED, 0, last, self.segment(last).day, segment)
        if segment.kind == JOINED:
            rows = self._segments.read(segment, [ID, LABEL]).to_pydict()
            columns = {_KEY: keys_of(rows[ID]), _LABEL: _texts(rows[LABEL])}
            run = replace(run, segment=None, columns=_sorted(LABELLED, columns))
        self._added.append(run)

    def segment(self, number: int) -> Segment:
        """Return the segment of predictions of a number."""
        if number not in self._places:
            for columns in self._read(PLACES, number, number):
                (row,) = np.flatnonzero(columns[_NUMBER] == number)[:1]
                day, _, name = str(columns[_NAME][row]).partition("/")
                found = Segment.of(day, name)
                if found is None:
                    raise AssertionError("a place names a segment")
                self._places[number] = found
        return self._places[number]

    def find(self, ids: Sequence[str], *, since: int = 0) -> Numbers:
        """Find in which segments predictions are, by number; -1 where there is none.

        Parameters
        ----------
        ids : sequence of str
            As they were given, or made by the log.
        since : int
            Look only in segments from this number on.
        """
        found = np.full(len(ids), -1, np.int64)
        given, made = None, _made(ids)
        for columns in self._read(IDS, since):
            left = np.flatnonzero(found < 0)
            if not len(left):
                break
            given = keys_of(ids) if given is None else given
            rows = np.searchsorted(columns[_KEY], given[left], "right") - 1
            hit = (rows >= 0) & (columns[_KEY][rows] == given[left])
            found[left[hit]] = columns[_NUMBER][rows[hit]]
        lacking = {writer: [one for one in rows if found[one[0]] < 0] for writer, rows in made.items()}
        for columns in self._read(PLACES, since) if any(lacking.values()) else ():
            for writer, wanted in lacking.items():
                own = np.flatnonzero(columns[_WRITER] == writer)
                last = np.searchsorted(columns[_FIRST][own], [number for _, number in wanted], "right") - 1
                for (place, _), row in zip(wanted, last.tolist(), strict=True):
                    found[place] = columns[_NUMBER][own[row]] if row >= 0 else -1
                lacking[writer] = [one for one, row in zip(wanted, last.tolist(), strict=True) if row < 0]
            if not any(lacking.values()):
                break
        return np.where(found >= since, found, -1)

    def labelled(self, ids: Sequence[str], labels: Sequence[Any], numbers: Numbers) -> tuple[Any, Any]:
        """Return which of the predictions that were found have a label, and whether it is the same as that given."""
        keys, told = keys_of(ids), _texts(labels)
        known, same = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
        if len(keys):
            for columns in self._read(LABELLED, int(numbers.min()), int(numbers.max())):
                rows = np.maximum(0, np.searchsorted(columns[_KEY], keys, "right") - 1)  # of several labels the last
                hit = ~known & (columns[_KEY][rows] == keys)
                same |= hit & (columns[_LABEL][rows] == told)
                known |= hit
        return known, same

    def written(self, write: Callable[[pa.Table, str], Segment], oldest: str) -> Index:
        """Write what was added, and return the index with it.

        Parameters
        ----------
        write : callable
            Keeps rows of a kind.
        oldest : str
            The day before which predictions are too old to be found.
        """
        runs = [run for run in self._index.runs if run.day >= oldest]
        for kind in _ORDER:
            fresh = [run for run in self._added if run.kind == kind]
            if not fresh:
                continue
            mine = [run for run in runs if run.kind == kind]
            rows = sum(run.rows for run in fresh)
            while mine and mine[-1].rows <= 2 * rows and mine[-1].rows + rows <= _MOST:
                rows += mine[-1].rows
                runs.remove(mine[-1])
                fresh.insert(0, mine.pop())
            whole = {name: np.concatenate([self._columns(run)[name] for run in fresh]) for name in _names(fresh[0])}
            whole = _sorted(kind, whole)
            low, high = min(run.low for run in fresh), max(run.high for run in fresh)
            segment = write(pa.table({name: pa.array(values) for name, values in whole.items()}), kind)
            runs.append(Run(kind, low, high, max(run.day for run in fresh), segment))
        self._added.clear()
        self._index = replace(self._index, runs=tuple(runs))
        return self._index

    def _read(self, kind: str, low: int = 0, high: int | None = None) -> Iterator[Columns]:
        """Read the runs of a kind about segments of such numbers, the latest first."""
        for run in reversed([*self._index.runs, *self._added]):
            if run.kind == kind and run.high >= low and (high is None or run.low <= high):
                yield self._columns(run)

    def _columns(self, run: Run) -> Columns:
        if run.columns is not None:
            return run.columns
        if run.segment is None:
            raise AssertionError("a run is in memory, or written")
        table = self._segments.read(run.segment)
        return {name: table.column(name).to_numpy() for name in table.column_names}


def _names(run: Run) -> tuple[str, ...]:
    return {PLACES: (_NUMBER, _WRITER, _FIRST, _NAME), IDS: (_KEY, _NUMBER), LABELLED: (_KEY, _LABEL), GROUPS: (_KEY,)}[
        run.kind
    ]


def _sorted(kind: str, columns: Columns) -> Columns:
    order = np.lexsort([columns[name] for name in _ORDER[kind]])
    return {name: values[order] for name, values in columns.items()}


def _texts(labels: Sequence[Any]) -> Keys:
    """Shorten labels as ids are; there are few different ones."""
    names, places = np.unique([label_text(label) for label in labels], return_inverse=True)
    return keys_of(names.tolist())[places]


def _made(ids: Iterable[str]) -> dict[int, list[tuple[int, int]]]:
    """Take apart the ids that the log made: by writer, the place of each and the number of its prediction."""
    found: dict[int, list[tuple[int, int]]] = {}
    for place, name in enumerate(ids):
        if match := _MADE.fullmatch(name):
            found.setdefault(int(match[1], 16), []).append((place, int(match[2])))
    return found
