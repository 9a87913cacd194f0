"""What of each column is watched: its values, parts of it that say more, or nothing but that it is missing.

Numbers and categories are compared as they are. Of text, and of categories with many values, parts are compared that
are columns of their own: whether it is empty, how long it is, and whether a value or a character was never seen in a
fixed random half of the reference. Given that half, each of the last two is one coin a row, whatever the distribution
of the values is; measured against all of the reference, or a set that grows, a healthy column would alarm always. Ids,
columns that only grow, lists and moments are named as not watched.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.measures.columns import kind_of, texts
from mlops_kit.measures.profile import LEVELS

EMPTY, LENGTH, UNSEEN, LETTERS, HOUR, WEEKDAY = (
    "empty",
    "length",
    "never seen",
    "unknown characters",
    "hour",
    "weekday",
)
_SEED = 20_261_129
_MOST_SEEN = 100_000
_LEAST_ROWS = 50
_OWN_LEVELS = 31
_REPEATS = 10
_GROUPED, _ERRORS = 0.05, 4
_LONGEST_ID = 64
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class TextPart:
    """What is known of the values of a column of text.

    Parameters
    ----------
    seen : array of uint32
        The CRC-32 of each value in half of the reference, sorted; empty where that is not compared.
    letters : str
        Every character in it.
    text : bool
        Whether its values are too rare to be compared as categories.
    """

    seen: npt.NDArray[np.uint32]
    letters: str
    text: bool

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        packed = zlib.compress(np.ascontiguousarray(self.seen, "<u4").tobytes())
        return {"seen": base64.b64encode(packed).decode("ascii"), "letters": self.letters, "text": self.text}

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> TextPart:
        """Read what `plain` wrote."""
        seen = np.frombuffer(zlib.decompress(base64.b64decode(members["seen"])), "<u4")
        return cls(seen.astype(np.uint32), members["letters"], members["text"])


@dataclass(frozen=True, slots=True)
class View:
    """How the columns of a reference are looked at.

    Parameters
    ----------
    categories : tuple of str
        Numbers that are declared as categories.
    texts : dict of str to TextPart
        Columns of which parts are compared.
    moments : tuple of str
        Moments whose hour and weekday are compared.
    unwatched : dict of str to str
        Columns whose values are not compared, and why.
    left_out : tuple of str
        Columns of which not even the missing values are, because the user said so.
    notes : tuple of str
        What else limits the verdict.
    taken : tuple of str
        Columns of the user's that have the name of a part: the part gets a quote behind it.
    """

    categories: tuple[str, ...] = ()
    texts: dict[str, TextPart] = field(default_factory=dict)
    moments: tuple[str, ...] = ()
    unwatched: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, str]:
        """The columns that are derived, and from which each is."""
        found: dict[str, str] = {}
        for name, text in self.texts.items():
            kinds = [EMPTY, LENGTH, LETTERS] if text.text else []
            kinds += [UNSEEN] if len(text.seen) else []
            found |= {part_name(name, kind, self.taken): name for kind in kinds}
        return found | {part_name(name, kind, self.taken): name for name in self.moments for kind in (HOUR, WEEKDAY)}

    def watched(self, columns: Collection[str]) -> list[str]:
        """Name the columns of a table whose values are compared, derived ones among them."""
        texts = {name for name, part in self.texts.items() if part.text}
        passed = texts | {*self.moments, *self.unwatched, *self.left_out}
        return [name for name in columns if name not in passed]

    def missing(self, columns: Collection[str]) -> list[str]:
        """Name the columns whose missing values are watched."""
        passed = {*self.parts, *self.left_out}
        return [name for name in columns if name not in passed]

    def of(self, table: pa.Table, *, spent: npt.NDArray[np.bool_] | None = None) -> pa.Table:
        """Return a table with its categories as text, and with the derived columns.

        Parameters
        ----------
        table : pyarrow.Table
            Rows.
        spent : array of bool, optional
            The rows that the sets of values come from: what is never seen says nothing of them.
        """
        for name in self.categories:
            if name in table.column_names:
                place = table.column_names.index(name)
                table = table.set_column(place, name, codes_as_text(table.column(name)))
        for name, kind in ((name, kind) for name in self.texts for kind in (EMPTY, LENGTH, LETTERS, UNSEEN)):
            made = part_name(name, kind, self.taken)
            if made in self.parts and name in table.column_names:
                table = _with(table, made, _part(table.column(name), kind, self.texts[name], spent))
        for name in self.moments:
            if name in table.column_names and kind_of(table.column(name).type) == "moment":
                for kind in (HOUR, WEEKDAY):
                    made = part_name(name, kind, self.taken)
                    table = _with(table, made, _of_moment(table.column(name), kind))
        return table

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        texts = {name: part.plain() for name, part in self.texts.items()}
        lists = {name: list(getattr(self, name)) for name in ("categories", "moments", "left_out", "notes")}
        taken = {"taken": list(self.taken)} if self.taken else {}
        return {"texts": texts, "unwatched": dict(self.unwatched), **lists, **taken}

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> View:
        """Read what `plain` wrote."""
        lists = {name: tuple(members[name]) for name in ("categories", "moments", "left_out", "notes")}
        texts = {name: TextPart.of(part) for name, part in members["texts"].items()}
        taken = tuple(members.get("taken", ()))
        return cls(texts=texts, unwatched=dict(members["unwatched"]), taken=taken, **lists)


def part_name(name: str, kind: str, taken: Collection[str]) -> str:
    """Return the name of a part of a column; where a column has that name, with a quote behind it.

    Examples
    --------
    >>> part_name("note", "length", []), part_name("note", "length", ["note (length)"])
    ('note (length)', "note (length)'")
    """
    made = f"{name} ({kind})"
    while made in taken:
        made += "'"
    return made


def half_of(rows: int) -> npt.NDArray[np.bool_]:
    """Choose the rows that the sets of values come from: half of a reference, but at most 100,000 rows, at random."""
    chosen = np.zeros(rows, bool)
    number = min(rows // 2, _MOST_SEEN)
    chosen[np.random.default_rng([_SEED, rows]).choice(rows, number, replace=False, shuffle=False)] = True
    return chosen


def view_of(
    table: pa.Table,
    *,
    categories: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    moments: Sequence[str] = (),
) -> View:
    """Decide how the columns of a reference are looked at.

    Parameters
    ----------
    table : pyarrow.Table
        The features of the reference.
    categories : sequence of str
        Numbers that are declared as categories.
    columns, exclude : sequence of str
        Which columns the user wants watched, and which not. What is named in `columns` is no id.
    moments : sequence of str
        Moments whose hour and weekday are compared.

    Returns
    -------
    View
        How each column is looked at.
    """
    texts: dict[str, TextPart] = {}
    unwatched: dict[str, str] = {}
    notes: list[str] = []
    left_out = [name for name in table.column_names if name in exclude or (columns is not None and name not in columns)]
    half = half_of(table.num_rows)
    for name in table.column_names:
        column = table.column(name)
        kind = "category" if name in categories else kind_of(column.type)
        reason = (
            "left out by columns= or exclude=" if name in left_out else _reason(column, kind, asked=name in moments)
        )
        reason = reason or (None if columns is not None else _identity(column, kind))
        if reason is not None:
            unwatched[name] = reason
        elif kind == "category" and name not in categories:
            part, grouped = _text_part(column, half)
            if part is not None:
                texts[name] = part
            if grouped:
                notes.append(f"{name}: values come in groups or sorted, so new ones are not told from chance.")
    named = tuple(name for name in moments if name in table.column_names and name not in left_out)
    view = View(tuple(categories), texts, named, unwatched, tuple(left_out), tuple(notes))
    return replace(view, taken=tuple(name for name in table.column_names if name.rstrip("'") in view.parts))


def _reason(column: Any, kind: str, *, asked: bool) -> str | None:
    """Return why the values of a column cannot be compared; None if they can."""
    if column.null_count == len(column):
        return "the reference has no value of it"
    if kind == "moment" and not asked:
        return "moments are compared by hour and weekday, if moments= names them"
    return f"values of type {_short(column.type)} are not compared" if kind == "other" else None


def codes_as_text(column: Any) -> Any:
    """Return a column of codes as text: a code is the same whether it came as 7, 7.0 or "7"."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
        whole = pc.all(pc.equal(column, pc.round(column))).as_py()
        column = column.cast(pa.int64(), safe=False) if whole in (True, None) else column
    return column.cast(pa.string())


def _short(kind: Any) -> str:
    named = str(kind)
    return named if len(named) <= _LONGEST_ID else f"{named[: _LONGEST_ID - 1]}…"


def _with(table: pa.Table, made: str, values: Any) -> pa.Table:
    if made in table.column_names:
        return table.set_column(table.column_names.index(made), made, values)
    return table.append_column(made, values)


def _whole(column: Any) -> Any:
    """Return a column in one piece, as text that is in no dictionary."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.cast(pa.large_string())


def _part(column: Any, kind: str, part: TextPart, spent: npt.NDArray[np.bool_] | None) -> Any:
    if kind_of(column.type) != "category":
        return pa.nulls(len(column), pa.bool_())
    coded: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    coded = coded if pa.types.is_dictionary(coded.type) else coded.cast(pa.large_string()).dictionary_encode()
    values: Any = coded.dictionary.cast(pa.large_string())
    found: Any
    if kind == EMPTY:
        found = pc.equal(pc.utf8_length(values), pa.scalar(0))
    elif kind == LENGTH:
        found = pc.utf8_length(values).cast(pa.float64())
    elif kind == UNSEEN:
        found = pa.array(~np.isin(_digests(values), part.seen))
    else:
        letters = frozenset(part.letters)
        found = pa.array([not letters.issuperset(value) for value in values.to_pylist()], pa.bool_())
    made = found.take(coded.indices)
    if spent is None or kind not in {UNSEEN, LETTERS}:
        return made
    return pc.if_else(pa.array(spent), pa.scalar(None, made.type), made)


def _of_moment(column: Any, kind: str) -> Any:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if kind == HOUR:
        return pc.hour(column).cast(pa.string())
    return pa.chunked_array([pa.array(_DAYS).take(pc.day_of_week(column).combine_chunks())])


def _digests(values: Any) -> npt.NDArray[np.uint32]:
    texts = values.to_pylist()
    return np.fromiter((zlib.crc32(text.encode()) for text in texts if text is not None), np.uint32)


def _text_part(column: Any, half: npt.NDArray[np.bool_]) -> tuple[TextPart | None, bool]:
    """Describe a column of text; None if its categories say all. And whether its values come in groups."""
    values = _whole(texts(column))
    counts = np.sort(pc.value_counts(values.drop_null()).field(1).to_numpy())
    if len(counts) <= LEVELS:
        return None, False
    text = bool(2 * counts[-_OWN_LEVELS:].sum() < counts.sum())
    mine = values.filter(pa.array(half)).drop_null()
    seen = np.unique(_digests(pc.unique(mine)))
    letters = "".join(sorted(frozenset().union(*(pc.unique(mine).to_pylist() or [""]))))
    grouped = _come_in_groups(values, half, seen)
    return TextPart(np.empty(0, np.uint32) if grouped else seen, letters, text), grouped


def _come_in_groups(values: Any, half: npt.NDArray[np.bool_], seen: npt.NDArray[np.uint32]) -> bool:
    """Check whether a later half of the rows holds more values that an earlier one lacks than random halves do."""
    digests = np.zeros(len(values), np.uint32)
    there = ~pc.is_null(values).to_numpy(zero_copy_only=False)
    digests[there] = _digests(values)
    other = digests[there & ~half]
    middle = len(values) // 2
    first, second = digests[:middle][there[:middle]], digests[middle:][there[middle:]]
    if not len(other) or not len(first) or not len(second):
        return False
    shares = [float(np.mean(~np.isin(other, seen))), float(np.mean(~np.isin(second, first)))]
    error = sum(share * (1 - share) / len(rows) for share, rows in zip(shares, (other, second), strict=True)) ** 0.5
    return bool(abs(shares[0] - shares[1]) > max(_GROUPED, _ERRORS * error))


def _identity(column: Any, kind: str) -> str | None:
    """Return why a column looks like an id, or like one that only grows; None if it does not."""
    known = column.drop_null()
    if len(known) < _LEAST_ROWS or pa.types.is_boolean(known.type):
        return None
    if kind == "number" and not (pa.types.is_duration(known.type) or pa.types.is_time(known.type)):
        return _number_identity(known.cast(pa.float64(), safe=False).to_numpy())
    if kind != "category" or _has_words(known.cast(pa.large_string())):
        return None
    return "each row has another value, as an id has"


def _number_identity(given: npt.NDArray[np.float64]) -> str | None:
    values = given[np.isfinite(given)]
    distinct = len(np.unique(values))
    if len(values) < _LEAST_ROWS:
        return None
    steps = np.diff(values)
    if ((steps >= 0).all() or (steps <= 0).all()) and 2 * distinct > len(values):
        return "it only grows or falls in the order of the rows, as a counter does"
    span = float(values.max() - values.min()) + 1
    # Numbers drawn at random from so short a span would repeat.
    if (
        distinct == len(values)
        and len(values) ** 2 / (2 * span) >= _REPEATS
        and np.array_equal(values, np.rint(values))
    ):
        return "each row has another whole number, as an id has"
    return None


def _has_words(texts: Any) -> bool:
    """Check whether texts repeat, or hold spaces, or are long: then they are no ids."""
    if pc.count_distinct(texts).as_py() < len(texts) or pc.max(pc.utf8_length(texts)).as_py() > _LONGEST_ID:
        return True
    return bool(pc.any(pc.match_substring_regex(texts, r"\s")).as_py())
