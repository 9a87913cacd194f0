"""Segments as rows: in windows for those who look at features, joined with their labels for those who judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.monitoring.labels import LabelCounts, corrected, distinct, without_known
from mlops_kit.monitoring.parts import together
from mlops_kit.monitoring.places import Places
from mlops_kit.monitoring.segments import (
    AT,
    ID,
    KNOWN,
    LABEL,
    LABELS,
    NUMBER,
    PREDICTION,
    PREDICTIONS,
    REPLACE,
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
        Where they begin, among those that count.
    passed : tuple of int
        Rows of the segment that do not count: predictions that were logged before, and further ones of a group.
    known : tuple of int
        Rows that count for their version only: the inputs of their group were compared before.
    """

    segment: Segment
    offset: int
    passed: tuple[int, ...] = ()
    known: tuple[int, ...] = ()

    def plain(self) -> list[Any]:
        """Return it as plain values."""
        rows = [list(self.passed), list(self.known)] if self.passed or self.known else []
        return [self.segment.day, self.segment.name, self.offset, *rows]

    @classmethod
    def of(cls, given: Sequence[Any]) -> Rest:
        """Read what `plain` returned."""
        segment = Segment.of(str(given[0]), str(given[1]))
        if segment is None:
            raise AssertionError("a rest names a segment")
        return cls(segment, int(given[2]), *map(tuple, given[3:]))

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return self.segment.rows - len(self.passed) - self.offset

    def rows_of(self, table: pa.Table) -> pa.Table:
        """Return the rows that wait, of all rows of the segment; `KNOWN` tells those that count for their version."""
        table = versioned(table)
        known = np.zeros(len(table), bool)
        known[list(self.known)] = True
        table = table.add_column(0, KNOWN, pa.array(known))
        kept = np.ones(len(table), bool)
        kept[list(self.passed)] = False
        return mixed(table.filter(pa.array(kept)) if self.passed else table).slice(self.offset)


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
            table = part.rows_of(self._segments.read(part.segment))
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
                kept.append((replace(part, offset=part.offset + gone), table.slice(gone)))
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
        ``id``, ``label``, ``label_at``, ``at``, ``prediction``, ``weight``, `VERSION`, `SEGMENT` (the number of that of
        the prediction, see `Places`), `REPLACE` (whether the prediction had another label) and the columns of the
        segments.
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
    places: Places,
    *,
    labels: Iterable[Segment],
    waiting: pd.DataFrame,
    new: int = 0,
    oldest: str = "",
    columns: Sequence[str] = (),
) -> Joined:
    """Join labels that are new, or that wait, with their predictions, and take note of that in the places.

    Parameters
    ----------
    segments : Segments
        Where to read.
    places : Places
        Where predictions are, and which of them have a label.
    labels : iterable of Segment
        The new labels.
    waiting : DataFrame
        Labels that found no prediction before: ``id``, ``label`` and ``label_at``.
    new : int
        From which number on segments of predictions were not there before; labels that wait can be only in these.
    oldest : str
        The day before which predictions were logged that are too old for a label.
    columns : sequence of str
        What else of a prediction is wanted.

    Returns
    -------
    Joined
        In the order in which the labels arrived, those that waited first.
    """
    fresh, counts = distinct(_labels(segments, labels))
    if len(waiting) and len(fresh):
        waiting, fresh, more = corrected(waiting, fresh)
        fresh, others = without_known(fresh, waiting)
        counts += more + others
    numbers = [places.find(waiting["id"].tolist(), since=new), places.find(fresh["id"].tolist())]
    waits = waiting.assign(**{REPLACE: False})
    every = pd.concat([part for part in (waits, fresh) if len(part)] or [fresh], ignore_index=True)
    every[SEGMENT] = np.concatenate(numbers)
    there = every[every[SEGMENT] >= 0]
    old = {number: places.segment(number).day < oldest for number in there[SEGMENT].unique().tolist()}
    late = there[SEGMENT].map(old).to_numpy(bool)
    known, same = places.labelled(there["id"].tolist(), there["label"].tolist(), there[SEGMENT].to_numpy())
    replaced = known & ~same & there[REPLACE].eq(True).to_numpy(bool)
    rows = _found(segments, places, there[~late & (~known | replaced)], columns)
    rows[REPLACE] = np.isin(rows.index, there.index[replaced])
    places.add_labels(rows["id"].tolist(), rows["label"].tolist(), rows[SEGMENT].to_numpy(np.int64))
    left = every.drop(index=there.index[late | known].union(rows.index))
    counts += LabelCounts(
        joined=int((~rows[REPLACE]).sum()),
        duplicate=int((same & ~late).sum()),
        conflicting=int((known & ~same & ~late & ~replaced).sum()),
        corrected=int(rows[REPLACE].sum()),
        unknown=len(left) - len(waiting),
        late=int(late.sum()),
    )
    left = left.iloc[-_MOST_WAITING:].drop(columns=[SEGMENT, REPLACE]).reset_index(drop=True)
    return Joined(rows.reset_index(drop=True), left, counts)


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
        return empty.assign(label_at=pd.Series(dtype="datetime64[us, UTC]"), **{REPLACE: pd.Series(dtype=bool)})
    parts = [part.astype({LABEL: object}).assign(**{REPLACE: REPLACE in part}) for part in parts]
    every = pd.concat(parts, ignore_index=True).rename(columns={ID: "id", LABEL: "label", AT: "label_at"})
    return every[["id", "label", "label_at", REPLACE]]


def _found(segments: Segments, places: Places, labels: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Put labels beside their predictions, in their order and under their index."""
    numbers = labels[SEGMENT].unique().tolist()
    parts = [_beside(segments, places.segment(one), labels[labels[SEGMENT] == one], columns) for one in numbers]
    if not parts:
        return labels.assign(**{name: [] for name in ("at", "prediction", "weight", VERSION)})
    return pd.concat(parts).sort_index()


def _beside(segments: Segments, segment: Segment, labels: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Put labels beside their predictions of one segment; of several of one id the first counts."""
    table = versioned(segments.read(segment, [ID, NUMBER, AT, PREDICTION, WEIGHT, VERSION, *columns]))
    if NUMBER in table.column_names:
        own = labels["id"].str.slice(len(segment.writer) + 1).astype("int64")
        rows = pc.index_in(pa.array(own), value_set=table.column(NUMBER))
    else:
        rows = pc.index_in(pa.array(labels["id"].tolist(), pa.string()), value_set=table.column(ID))
    kept = labels[np.asarray(rows.is_valid())]
    names = {AT: "at", PREDICTION: "prediction", WEIGHT: "weight"}
    found = table.take(rows.drop_null()).select(
        [*names, VERSION, *(name for name in columns if name in table.column_names)]
    )
    return kept.join(found.to_pandas().rename(columns=names).set_index(kept.index))


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
