"""Segments as rows: in windows for those who look at features, joined with their labels for those who judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.monitoring.labels import LabelCounts, distinct, joined, without_known
from mlops_kit.monitoring.parts import together
from mlops_kit.monitoring.segments import (
    AT,
    ID,
    JOINED,
    LABEL,
    LABELS,
    NUMBER,
    PREDICTION,
    PREDICTIONS,
    VERSION,
    WEIGHT,
    Segment,
    Segments,
)

LABEL_AT, SEGMENT = "#label_at", "#segment"
_MOST_WAITING = 10_000
_PORTION = 100_000


@dataclass(frozen=True, slots=True)
class Rest:
    """Rows at the end of a segment that wait for their window to be full.

    Parameters
    ----------
    segment : Segment
        Which.
    offset : int
        Where they begin.
    """

    segment: Segment
    offset: int

    def plain(self) -> list[str | int]:
        """Give it as plain values."""
        return [self.segment.day, self.segment.name, self.offset]

    @classmethod
    def of(cls, given: Sequence[str | int]) -> Rest:
        """Read what `plain` gave."""
        segment = Segment.of(str(given[0]), str(given[1]))
        if segment is None:
            raise AssertionError("a rest names a segment")
        return cls(segment, int(given[2]))


class Windows:
    """Rows of segments, cut into windows of a size; a change of columns ends a window early.

    Parameters
    ----------
    segments : Segments
        Where they are read from.
    parts : iterable of Rest
        Which rows, in order.
    size : int
        Rows of a window.

    Attributes
    ----------
    rest : tuple of Rest
        What is left when all windows were given.
    waiting : int
        How many rows these are.
    """

    def __init__(self, segments: Segments, parts: Iterable[Rest], size: int) -> None:
        self._segments, self._parts, self._size = segments, parts, size
        self._held: list[tuple[Rest, pa.Table]] = []

    def __iter__(self) -> Iterator[pa.Table]:
        for part in self._parts:
            table = versioned(mixed(self._segments.read(part.segment)).slice(part.offset))
            held = [known for _, known in self._held]
            whole = _whole([*held, table])
            if whole is None:
                yield pa.concat_tables(held, promote_options="permissive")
                self._held, whole = [], table
            self._held.append((part, table))
            begin = 0
            while self.waiting >= self._size:
                yield whole.slice(begin, self._size)
                self._drop(self._size)
                begin += self._size

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return sum(table.num_rows for _, table in self._held)

    @property
    def rest(self) -> tuple[Rest, ...]:
        """Where they are."""
        return tuple(part for part, _ in self._held)

    def _drop(self, rows: int) -> None:
        kept = []
        for part, table in self._held:
            gone = min(rows, table.num_rows)
            rows -= gone
            if gone < table.num_rows:
                kept.append((Rest(part.segment, part.offset + gone), table.slice(gone)))
        self._held = kept


def _whole(tables: Sequence[pa.Table]) -> pa.Table | None:
    """Put tables together; None if they differ in columns, or in types that do not meet."""
    alike = all(set(table.column_names) == set(tables[0].column_names) for table in tables)
    return together(tables) if alike else None


def versioned(table: pa.Table) -> pa.Table:
    """Return rows with the column of versions, which is empty where they were logged without any."""
    return table if VERSION in table.column_names else table.add_column(0, VERSION, pa.nulls(len(table), pa.string()))


def mixed(table: pa.Table) -> pa.Table:
    """Mix the rows of each moment: a table that is logged at once may be sorted by its values.

    The order depends on the moment and on the place of a row alone, so it is the same however rows lie in segments.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of the log.

    Returns
    -------
    pyarrow.Table
        The same rows, those of one moment among each other in another order.
    """
    at = table.column(AT).cast(pa.int64()).to_numpy()
    begins = np.flatnonzero(np.diff(at, prepend=at[:1] - 1 if len(at) else 0))
    if len(begins) == len(at):
        return table
    moments = np.cumsum(np.bincount(begins, minlength=len(at)))
    places = np.arange(len(at)) - begins[moments - 1]
    order = np.lexsort((_scrambled(at.astype(np.uint64) * _ODD + places.astype(np.uint64)), moments))
    return table.take(order)


_ODD = np.uint64(0x9E3779B97F4A7C15)


def _scrambled(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble numbers into others that look random: the finalizer of SplitMix64 (Steele, Lea & Flood, 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(numbers ^ (numbers >> np.uint64(31)))


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of labels.

    Parameters
    ----------
    rows : DataFrame
        ``id``, ``label``, ``label_at``, ``at``, ``prediction``, ``weight``, `VERSION`, `SEGMENT` (the name of that of
        the prediction) and the columns of the segments.
    waiting : DataFrame
        Labels without a prediction, so far.
    counts : LabelCounts
        Of the labels that were new.
    """

    rows: pd.DataFrame
    waiting: pd.DataFrame
    counts: LabelCounts


def join_labels(
    segments: Segments,
    *,
    labels: Iterable[Segment],
    waiting: pd.DataFrame,
    new: Sequence[Segment],
    everything: Sequence[Segment],
    columns: Sequence[str] = (),
) -> Joined:
    """Join labels that are new, or that wait, with their predictions.

    Parameters
    ----------
    segments : Segments
        Where to read.
    labels : iterable of Segment
        The new labels.
    waiting : DataFrame
        Labels that found no prediction before: ``id``, ``label`` and ``label_at``.
    new : sequence of Segment
        Predictions that were not there before; for labels that wait, only these are read.
    everything : sequence of Segment
        All there is.
    columns : sequence of str
        What else of a prediction is wanted.

    Returns
    -------
    Joined
        In the order in which the labels arrived, those that waited first.
    """
    fresh, counts = distinct(_labels(segments, labels))
    for one in everything:
        if one.kind == JOINED and len(fresh):
            fresh, more = without_known(fresh, _ids(segments, one))
            counts += more
    if len(waiting) and len(fresh):
        fresh, more = without_known(fresh, waiting)
        counts += more
    old, left = joined(waiting, (_predictions(segments, one, columns) for one in new))
    wanted = _holding(fresh, everything)
    found, unknown = joined(fresh, (_predictions(segments, one, columns) for one in wanted))
    rows = (
        pd.concat([part for part in (old, found) if len(part)], ignore_index=True) if len(old) + len(found) else found
    )
    left = (
        pd.concat([part for part in (left, unknown) if len(part)], ignore_index=True)
        if len(left) + len(unknown)
        else unknown
    )
    kept = left.iloc[-_MOST_WAITING:].reset_index(drop=True)
    counts += LabelCounts(joined=len(rows), unknown=len(unknown) - len(old))
    return Joined(rows, kept, counts)


def portions(labels: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Cut segments of labels into portions that are joined one after the other, so that memory stays bounded."""
    portion: list[Segment] = []
    for segment in labels:
        if portion and sum(one.rows for one in portion) + segment.rows > _PORTION:
            yield portion
            portion = []
        portion.append(segment)
    if portion:
        yield portion


def joined_table(rows: pd.DataFrame, columns: Sequence[str]) -> pa.Table:
    """Give joined rows the form in which they are kept."""
    names = {"id": ID, "at": AT, "label_at": LABEL_AT, "prediction": PREDICTION, "label": LABEL, "weight": WEIGHT}
    made = {}
    for name, kept in names.items():
        made[kept] = pa.Array.from_pandas(rows[name])
    if rows[VERSION].notna().any():
        made[VERSION] = pa.Array.from_pandas(rows[VERSION], type=pa.string())
    for column in columns:
        if column in rows:
            made[column] = pa.Array.from_pandas(
                rows[column].astype(str).where(rows[column].notna(), None), type=pa.string()
            )
    return pa.table(made)


def read_joined(segments: Segments, segment: Segment) -> pd.DataFrame:
    """Read what `joined_table` made."""
    names = {ID: "id", AT: "at", LABEL_AT: "label_at", PREDICTION: "prediction", LABEL: "label", WEIGHT: "weight"}
    return versioned(segments.read(segment)).to_pandas().rename(columns=names)


def ripe(
    rows: pd.DataFrame, *, after: datetime | None, until: datetime, maturity: timedelta
) -> tuple[pd.DataFrame, int]:
    """Choose what is judged now that predictions up to a moment are old enough.

    Parameters
    ----------
    rows : DataFrame
        Joined rows that were not judged.
    after, until : datetime
        Predictions made after the one and up to the other.
    maturity : timedelta
        How long a label may take; one that took longer came too late, for its like were judged without it.

    Returns
    -------
    DataFrame and int
        The rows in the order of the predictions, and how many labels came too late.
    """
    due = rows[(rows["at"] <= until) & (rows["at"] > after if after is not None else True)]
    late = due["label_at"] > due["at"] + maturity
    return due[~late].sort_values(["at", "id"], kind="stable").reset_index(drop=True), int(late.sum())


def _labels(segments: Segments, labels: Iterable[Segment]) -> pd.DataFrame:
    parts = [segments.read(one).to_pandas() for one in labels]
    empty = pd.DataFrame({"id": pd.Series(dtype=str), "label": pd.Series(dtype=object)})
    if not parts:
        return empty.assign(label_at=pd.Series(dtype="datetime64[us, UTC]"))
    parts = [part.astype({LABEL: object}) for part in parts]
    every = pd.concat(parts, ignore_index=True).rename(columns={ID: "id", LABEL: "label", AT: "label_at"})
    return every[["id", "label", "label_at"]]


def _ids(segments: Segments, segment: Segment) -> pd.DataFrame:
    return segments.read(segment, [ID, LABEL]).to_pandas().rename(columns={ID: "id", LABEL: "label"})


def _predictions(segments: Segments, segment: Segment, columns: Sequence[str]) -> pd.DataFrame:
    table = versioned(segments.read(segment, [ID, NUMBER, AT, PREDICTION, WEIGHT, VERSION, *columns]))
    names = {AT: "at", PREDICTION: "prediction", WEIGHT: "weight", ID: "id"}
    rows = table.to_pandas().rename(columns=names)
    if NUMBER in rows:
        rows["id"] = f"{segment.writer}-" + rows.pop(NUMBER).astype(str)
    return rows.assign(**{SEGMENT: segment.name})


def _holding(labels: pd.DataFrame, everything: Sequence[Segment]) -> list[Segment]:
    """Choose the segments in which the predictions of labels can be: those of an id that we made are known."""
    predictions = [one for one in everything if one.kind == PREDICTIONS]
    parts = labels["id"].str.extract(r"^([0-9a-f]{12})-(\d+)$") if len(labels) else None
    if parts is None or parts[0].isna().any() or not set(parts[0]) <= {one.writer for one in predictions}:
        return predictions
    wanted = []
    for writer, numbers in parts[1].astype("int64").groupby(parts[0]):
        own = sorted((one for one in predictions if one.writer == writer), key=lambda one: (one.first, one.seq))
        for place, one in enumerate(own):
            end = next((later.first for later in own[place + 1 :] if later.first > one.first), None)
            if ((numbers >= one.first) & (numbers < end if end is not None else True)).any():
                wanted.append(one)
    return wanted


def read_predictions(segments: Segments, since: datetime | None) -> pd.DataFrame:
    """Read what was logged, with the truth where it is known; see `Monitor.predictions`."""
    parts, truths = [], []
    for segment in segments.listed():
        if segment.kind == PREDICTIONS:
            table = segments.read(segment)
            if since is not None:
                table = table.filter(pc.greater_equal(table.column(AT), pa.scalar(since)))
            if table.num_rows:
                parts.append(_shown(segment, table))
        elif segment.kind == LABELS:
            truths.append(segment)
    if not parts:
        names = ("id", "at", "prediction", "label", "label_at", "weight", "version")
        return pd.DataFrame({name: [] for name in names})
    rows = pd.concat(parts, ignore_index=True)
    labels, _ = distinct(_labels(segments, truths))
    places = pd.Series(np.arange(len(labels)), index=labels["id"].to_numpy()).reindex(rows["id"]).to_numpy()
    found = labels.reindex(places)  # of a prediction without a label the place is not a number, and so is what is there
    rows.insert(3, "label", found["label"].to_numpy())
    rows.insert(4, "label_at", found["label_at"].array)
    return rows.sort_values("at", kind="stable", ignore_index=True)


def _shown(segment: Segment, table: pa.Table) -> pd.DataFrame:
    """Give rows the names that users see; a feature of such a name gets a quote behind it."""
    from mlops_kit.monitoring.rows import unescaped  # noqa: PLC0415 - only those who look at rows need it

    frame = versioned(table).to_pandas()
    own = {"id": ID, "at": AT, "prediction": PREDICTION, "weight": WEIGHT, "version": VERSION}
    ids = f"{segment.writer}-" + frame[NUMBER].astype(str) if NUMBER in frame else frame[ID]
    first = pd.DataFrame({"id": ids, **{name: frame[kept] for name, kept in own.items() if name != "id"}})
    rest = frame.drop(columns=[name for name in (*own.values(), NUMBER) if name in frame])
    rest.columns = [unescaped(name) for name in rest.columns]
    taken = {*own, "label", "label_at"}
    return pd.concat([first, rest.rename(columns={name: f"{name}'" for name in rest if name in taken})], axis=1)
