"""Many runs shown side by side, the columns that tell them apart first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from mlops_kit.records.check import Problem, unread
from mlops_kit.safe_text import clean
from mlops_kit.views import html
from mlops_kit.views.text import aligned, width
from mlops_kit.views.values import clip, duration, number, plural, shown, when

_ID = 8
_VALUES = 6
_CELL = 24
_INDENT = 2
_GAP = 2
_WIDE = 120
_CONSIDERED = 60
_NONE = "–"
_FIRST = frozenset({"id", "name", "status"})
_TELLING_FIRST = 3


@dataclass(frozen=True, slots=True)
class RunRow:
    """What is shown of one run among others.

    Parameters
    ----------
    id, name, experiment, status : str
        Which run, and how it stands.
    started : datetime
        When it began.
    seconds : float or None
        How long it took, if it has ended.
    params, metrics : dict
        Values by name.
    models : tuple of str
        The model versions it registered.
    by : str
        Who ran it.
    """

    id: str
    name: str
    experiment: str
    status: str
    started: datetime
    seconds: float | None
    params: dict[str, Any]
    metrics: dict[str, float]
    models: tuple[str, ...]
    by: str


def runs_text(
    rows: Sequence[RunRow], *, more: bool = False, problems: Sequence[Problem] = (), terminal: int | None = None
) -> str:
    """Show runs as a table for a terminal.

    Parameters
    ----------
    rows : sequence of RunRow
        In the order to be shown.
    more : bool
        Whether there are others, which are older.
    problems : sequence of Problem
        The records that could not be read.
    terminal : int, optional
        The width to fit in; by default that of the terminal. Columns that do not fit are left out, those that
        tell the least first, and a last line says how many.

    Returns
    -------
    str
        A line that counts them, the head, and a line for each run. An id is given by its last eight digits,
        which find it.

    Examples
    --------
    >>> from datetime import UTC
    >>> start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> row = RunRow("6921b1aa-0123456789ab", "train", "default", "finished", start, 1.24, {"depth": 3}, {"auc": 0.9},
    ...              ("fraud:3",), "ann")
    >>> print(runs_text([row], more=True, terminal=80))
    The newest run; there are more
      id        name   status    started             time  models   auc  depth
      456789ab  train  finished  2026-11-22 10:00  1.24 s  fraud:3  0.9      3
    """
    if not rows:
        return "\n  ".join(filter(None, ["No runs", clean(unread(problems))]))
    identifying, telling = _identifying(rows), _telling(rows)
    kept = _fitting(identifying, telling[:_VALUES], (_terminal() if terminal is None else terminal) - _INDENT)
    cells = zip(*((column.head, *column.cells) for column in kept), strict=True)
    hidden = _hidden(_count(rows) + len(identifying) - len(kept))
    lines = [_title(len(rows), more=more), *aligned([*cells], right=_right(kept)), hidden, clean(unread(problems))]
    return "\n  ".join(line for line in lines if line)


def runs_html(rows: Sequence[RunRow], *, more: bool = False, problems: Sequence[Problem] = ()) -> str:
    """Show runs as a table in a notebook.

    Parameters
    ----------
    rows : sequence of RunRow
        In the order to be shown.
    more : bool
        Whether there are others, which are older.
    problems : sequence of Problem
        The records that could not be read.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> "No runs" in runs_html([])
    True
    """
    identifying, telling = (_identifying(rows), _telling(rows)) if rows else ([], [])
    count = len(identifying) + _count(rows)

    def body(room: html.Room) -> str:
        kept = [*identifying, *telling[: min(2 * _VALUES, room.items)]]
        cells = [*zip(*(column.cells for column in kept), strict=True)]
        table = html.table([column.head for column in kept], cells, room, right=_right(kept)) if rows else ""
        hidden = _hidden(count - len(kept))
        title = _title(len(rows), more=more)
        return f'<div class="t">{title}</div>{table}{html.note(hidden)}{html.note(unread(problems))}'

    return html.fragment(body)


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    cells: tuple[str, ...]
    right: bool = False

    @property
    def varies(self) -> bool:
        return len(set(self.cells)) > 1

    @property
    def width(self) -> int:
        return max(width(text) for text in (self.head, *self.cells))


def _identifying(rows: Sequence[RunRow]) -> list[_Column]:
    """Make the columns that say which run it is and how it went."""
    experiment = _Column("experiment", tuple(_cell(row.experiment) for row in rows))
    models = _Column("models", tuple(_cell(", ".join(row.models)) for row in rows))
    return [
        _Column("id", tuple(_cell(row.id[-_ID:]) for row in rows)),
        _Column("name", tuple(_cell(row.name) for row in rows)),
        *([experiment] if experiment.varies else []),
        _Column("status", tuple(_cell(row.status) for row in rows)),
        _Column("started", tuple(when(row.started, seconds=False) for row in rows)),
        _Column("time", tuple(_NONE if row.seconds is None else duration(row.seconds) for row in rows), right=True),
        *([models] if any(row.models for row in rows) else []),
    ]


def _telling(rows: Sequence[RunRow]) -> list[_Column]:
    """Make a column for each of the first metrics and parameters, those that differ between the runs first."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))[:_CONSIDERED]
    params = list(dict.fromkeys(name for row in rows for name in row.params))[:_CONSIDERED]
    found = []
    for name in metrics:
        cells = tuple(_cell(number(row.metrics[name])) if name in row.metrics else _NONE for row in rows)
        found.append(_Column(_cell(f"metrics.{name}" if name in params else name), cells, right=True))
    for name in params:
        cells = tuple(_cell(_param(row.params[name])) if name in row.params else _NONE for row in rows)
        numeric = all(isinstance(row.params.get(name, 0), int | float) for row in rows)
        found.append(_Column(_cell(f"params.{name}" if name in metrics else name), cells, right=numeric))
    by = _Column("by", tuple(_cell(row.by) for row in rows))
    return sorted([*found, *([by] if by.varies else [])], key=lambda column: not column.varies)


def _fitting(identifying: Sequence[_Column], telling: Sequence[_Column], room: int) -> list[_Column]:
    """Keep the columns that fit, the id in any case; what tells runs apart goes before when and how long."""
    named = [column for column in identifying if column.head in _FIRST]
    others = [column for column in identifying if column.head not in _FIRST]
    ranked = [*named, *telling[:_TELLING_FIRST], *others, *telling[_TELLING_FIRST:]]
    ends = accumulate(column.width + _GAP for column in ranked)
    kept = [column for column, end in zip(ranked, ends, strict=True) if end - _GAP <= room] or ranked[:1]
    return [column for column in (*identifying, *telling) if column in kept]


def _title(count: int, *, more: bool) -> str:
    if not count:
        return "No runs"
    newest = "The newest run" if count == 1 else f"The newest {plural(count, 'run')}"
    return f"{newest}; there are more" if more else plural(count, "run")


def _count(rows: Sequence[RunRow]) -> int:
    """Count the columns that `_telling` would make of all metrics and parameters."""
    metrics = {name for row in rows for name in row.metrics}
    params = {name for row in rows for name in row.params}
    return len(metrics) + len(params) + (len({row.by for row in rows}) > 1)


def _hidden(count: int) -> str:
    return f"… and {plural(count, 'more column')}" if count > 0 else ""


def _right(found: Sequence[_Column]) -> frozenset[int]:
    return frozenset(index for index, column in enumerate(found) if column.right)


def _param(value: object) -> str:
    return value if type(value) is str else shown(value)


def _cell(text: object) -> str:
    return clip(text, _CELL)


def _terminal() -> int:
    """Measure the terminal; where there is none, as in a file or a notebook, assume a wide one."""
    try:
        return os.get_terminal_size().columns or _WIDE
    except (OSError, ValueError):
        return _WIDE
