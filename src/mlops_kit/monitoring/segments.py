"""What was logged to a monitor, as it lies in the store: parquet files with one writer each.

The name of a segment says all that is needed to find it: the day it was written on, by whom, which in the row of
that writer's, what is in it, how many rows, and the SHA-256 of its bytes. So many processes log at once without
asking each other, a reader tells what is new from the list alone, and every read is verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import IntegrityError, StoreError
from mlops_kit.records.names import folder
from mlops_kit.store import keys
from mlops_kit.store.backend import read_verified
from mlops_kit.store.footers import read_footer
from mlops_kit.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

PREDICTIONS, LABELS, JOINED, STATE = "predictions", "labels", "joined", "state"
PLACES, IDS, LABELLED, GROUPS = "places", "ids", "labelled", "groups"
LOGGED = frozenset({PREDICTIONS, LABELS})
"""The kinds that are logged; the others are written by checks."""
ID, NUMBER, AT, WEIGHT, PREDICTION, LABEL = "#id", "#n", "#at", "#weight", "#prediction", "#label"
VERSION, REPLACE, KNOWN = "#version", "#replace", "#known"
OWN = (ID, NUMBER, AT, WEIGHT, VERSION, KNOWN, PREDICTION, LABEL)
"""The columns of a segment that are the log's own; `KNOWN` is added when rows are read."""
_NAME = re.compile(
    r"([0-9a-f]{12})-(\d{6,})\."
    r"(predictions|labels|joined|state|places|ids|labelled|groups)\.(\d+)-(\d+)\.([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of a monitor's log.

    Parameters
    ----------
    day : str
        The UTC day on which it was written, by the clock of the store.
    writer : str
        12 hex digits.
    seq : int
        Its number among those of the writer, from 1.
    kind : str
        ``"predictions"`` or ``"labels"``, which are logged; or ``"joined"``, ``"state"``, ``"places"``, ``"ids"``,
        ``"labelled"`` or ``"groups"``, which checks write.
    first, rows : int
        The number of its first row among those of the writer, and how many rows it has.
    digest : str
        SHA-256 of its bytes, in hex.
    """

    day: str
    writer: str
    seq: int
    kind: str
    first: int
    rows: int
    digest: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"{self.writer}-{self.seq:06d}.{self.kind}.{self.first}-{self.rows}.{self.digest}"

    @property
    def mark(self) -> str:
        """What tells it from any other, in few letters."""
        return f"{self.writer}-{self.seq}-{self.digest[:12]}"

    def key(self, where: str) -> str:
        """Locate it in the store; `where` is the folder of the monitor."""
        return f"{keys.monitor_prefix(where)}{self.day}/{self.name}.{'json' if self.kind == STATE else 'parquet'}"

    @classmethod
    def of(cls, day: str, name: str) -> Segment | None:
        """Read the name of a file; None if it is none of a segment.

        Examples
        --------
        >>> Segment.of("2026-05-01", "0123456789ab-000001.labels.0-3." + "0" * 64 + ".parquet").rows
        3
        """
        match = _NAME.fullmatch(name.removesuffix(".json" if ".state." in name else ".parquet"))
        if match is None:
            return None
        return cls(day, match[1], int(match[2]), match[3], int(match[4]), int(match[5]), match[6])


class Segments:
    """The segments of one monitor.

    Parameters
    ----------
    store : Store
        Where they are.
    monitor : str
        The name of the monitor.
    """

    def __init__(self, store: Store, monitor: str) -> None:
        self._store = store
        self._folder = folder(monitor)
        self._held: dict[Segment, pa.Table] = {}

    def write(self, table: pa.Table, *, kind: str, writer: str, seq: int, first: int = 0) -> Segment:
        """Keep rows, durably.

        Parameters
        ----------
        table : pyarrow.Table
            Storable columns.
        kind, writer, seq, first : str and int
            As of `Segment`.

        Returns
        -------
        Segment
            The segment; writing the same rows again changes nothing.

        Raises
        ------
        StoreError
            They could not be written.
        """
        from mlops_kit.datasets.parquet import write_parquet  # noqa: PLC0415 - loads pyarrow

        return self._keep(write_parquet(table), kind, writer, seq, first, table.num_rows)

    def write_state(self, data: bytes, *, writer: str, seq: int) -> Segment:
        """Keep what a check leaves for the next."""
        return self._keep(data, STATE, writer, seq, 0, 0)

    def _keep(self, data: bytes, kind: str, writer: str, seq: int, first: int, rows: int) -> Segment:
        self._store.ensure()
        digest = hashlib.sha256(data).hexdigest()
        day = keys.segment_day(self._store.backend.now())
        segment = Segment(day, writer, seq, kind, first, rows, digest)
        self._store.backend.create(segment.key(self._folder), data)
        return segment

    def read(self, segment: Segment, columns: Iterable[str] | None = None) -> pa.Table:
        """Read rows, verified; what was read last is held until `forget`.

        Parameters
        ----------
        segment : Segment
            Which.
        columns : iterable of str, optional
            Only these, as far as they exist.

        Returns
        -------
        pyarrow.Table
            As written.

        Raises
        ------
        IntegrityError
            The file is gone, or is not what was written.
        """
        from mlops_kit.datasets.parquet import read_parquet  # noqa: PLC0415 - loads pyarrow

        table = self._held.pop(segment, None)
        if table is None:
            data = self.read_bytes(segment)
            self._check_rows(segment, data)
            table = read_parquet(data)
        self._held[segment] = table
        while sum(one.rows for one in self._held) > _MOST_HELD:
            del self._held[next(iter(self._held))]
        return table if columns is None else table.select([name for name in columns if name in table.column_names])

    def _check_rows(self, segment: Segment, data: bytes) -> None:
        """Compare the rows of a file with those that its name says, before any is read."""
        rows = read_footer(lambda begin, end: data[begin:end], len(data)).rows
        if rows != segment.rows:
            raise IntegrityError(
                f"The segment {segment.key(self._folder)} in {self._store.url} has {rows:,} rows, and its name says "
                f"{segment.rows:,}: it was not read. Restore the file from a copy of the store."
            )

    def forget(self) -> None:
        """Drop the rows that are held."""
        self._held.clear()

    def read_bytes(self, segment: Segment) -> bytes:
        """Read a file, verified; see `read`."""
        key = segment.key(self._folder)

        def verified(data: bytes) -> bytes:
            actual = hashlib.sha256(data).hexdigest()
            if actual != segment.digest:
                raise IntegrityError(
                    f"The segment {key} in {self._store.url} is damaged: its name says sha256:{segment.digest}, its "
                    f"bytes give sha256:{actual}. Restore the file from a copy of the store."
                )
            return data

        data = read_verified(self._store.backend, key, verified)
        if data is None:
            raise IntegrityError(f"The segment {key} of a monitor is no longer in {self._store.url}.")
        return data

    def days(self) -> list[str]:
        """Name the days on which something was written, oldest first."""
        return [day for day in self._store.backend.folders(keys.monitor_prefix(self._folder)) if len(day) == _DAY]

    def listed(self, since: str = "") -> Iterator[Segment]:
        """List the segments written on a day and later: by day, then by writer, then by number."""
        for day in self.days():
            if day >= since:
                yield from sorted(filter(None, (self._named(day, key) for key in self._of_day(day))))

    def delete(self, segment: Segment) -> None:
        """Remove one that nothing names any more; if it is gone that is fine, and if it stays it does no harm."""
        with contextlib.suppress(StoreError):
            self._store.backend.delete(segment.key(self._folder))

    def _of_day(self, day: str) -> Iterator[str]:
        for found in self._store.backend.walk(f"{keys.monitor_prefix(self._folder)}{day}/"):
            yield found.key

    @staticmethod
    def _named(day: str, key: str) -> Segment | None:
        return Segment.of(day, key.rpartition("/")[2])


_DAY = len("2026-05-01")
_MOST_HELD = 200_000


def fresh(segments: Iterable[Segment], marks: Mapping[str, int]) -> list[Segment]:
    """Choose the segments that come after what was read before.

    Parameters
    ----------
    segments : iterable of Segment
        In order.
    marks : mapping of str to int
        For each writer, the number of the last segment that was read.

    Returns
    -------
    list of Segment
        What is new. A writer numbers its segments without a gap and writes one after the other.
    """
    return [segment for segment in segments if segment.kind in LOGGED and segment.seq > marks.get(segment.writer, 0)]


def has_gap(segments: Iterable[Segment], marks: Mapping[str, int]) -> bool:
    """Tell whether a list lacks segments that must be there, as it may if it was made while they were written.

    A writer writes one segment after the other, so what comes before one that is listed is listed the next time.

    Examples
    --------
    >>> third = Segment("2026-05-01", "0123456789ab", 3, "labels", 0, 1, "00")
    >>> has_gap([third], {"0123456789ab": 2}), has_gap([third], {"0123456789ab": 1})
    (False, True)
    """
    seen: dict[str, list[int]] = {}
    for segment in fresh(segments, marks):
        seen.setdefault(segment.writer, []).append(segment.seq)
    return any(max(found) - marks.get(writer, 0) != len(set(found)) for writer, found in seen.items())


def marked(segments: Iterable[Segment], marks: Mapping[str, int]) -> dict[str, int]:
    """Give the marks after segments were read; writers of which nothing is listed any more are forgotten."""
    after: dict[str, Any] = {}
    for segment in segments:
        if segment.kind in LOGGED:
            after[segment.writer] = max(segment.seq, marks.get(segment.writer, 0), after.get(segment.writer, 0))
    return after
