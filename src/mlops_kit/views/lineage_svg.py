"""The lineage of a version as a picture: data, run, model and where it is live, from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlops_kit.records.model import LineageRecord
from mlops_kit.views import html
from mlops_kit.views.values import plural

_WIDTH, _HEIGHT, _GAP, _STEP = 190, 44, 60, 58
_MOST = 6
_ROOM = html.Room(1, 26)


@dataclass(frozen=True, slots=True)
class _Box:
    head: str
    line: str


def lineage_svg(record: LineageRecord, aliases: Sequence[str] = ()) -> str:
    """Draw what made a version.

    Parameters
    ----------
    record : LineageRecord
        The version and what made it.
    aliases : sequence of str
        Where it is live.

    Returns
    -------
    str
        One ``svg`` element, with no reference to anything outside of it.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from mlops_kit.records.model import ModelRecord
    >>> model = ModelRecord("a<b", 3, "sha256:00", None, "cloudpickle", 1, "pkg.Forest", datetime.now(UTC), {})
    >>> "a&lt;b:3" in lineage_svg(LineageRecord(model, None, (), {}, {}, ()))
    True
    """
    columns = [column for column in (_data(record), _run(record), _model(record), _live(aliases)) if column]
    height = max(map(len, columns)) * _STEP + 8
    width = len(columns) * (_WIDTH + _GAP) - _GAP + 8
    places = [
        [(4 + x * (_WIDTH + _GAP), height / 2 + (y - (len(column) - 1) / 2) * _STEP) for y in range(len(column))]
        for x, column in enumerate(columns)
    ]
    lines = "".join(
        f'<path d="M{x + _WIDTH} {y:g}C{x + _WIDTH + _GAP / 2:g} {y:g} {u - _GAP / 2:g} {v:g} {u} {v:g}"/>'
        for left, right in pairwise(places)
        for x, y in left
        for u, v in right
    )
    boxes = "".join(
        _box(box, x, y)
        for column, spots in zip(columns, places, strict=True)
        for box, (x, y) in zip(column, spots, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="Lineage" '
        'font-family="system-ui,sans-serif" font-size="12" fill="currentColor">'
        f'<g fill="none" stroke="currentColor" opacity=".45">{lines}</g>{boxes}</svg>'
    )


def _box(box: _Box, x: float, y: float) -> str:
    top = y - _HEIGHT / 2
    return (
        f'<rect x="{x:g}" y="{top:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="none" stroke="currentColor"/>'
        f'<text x="{x + 10:g}" y="{top + 18:g}" font-weight="600">{html.text(box.head, _ROOM)}</text>'
        f'<text x="{x + 10:g}" y="{top + 34:g}" opacity=".75">{html.text(box.line, _ROOM)}</text>'
    )


def _data(record: LineageRecord) -> list[_Box]:
    refs = record.data
    shown = [_Box(ref.name if ref.dataset is None else f"{ref.dataset}:{ref.version}", _rows(ref.rows)) for ref in refs]
    if len(shown) > _MOST:
        return [*shown[: _MOST - 1], _Box(f"{len(shown) - _MOST + 1} more", "")]
    return shown or [_Box("data", "not known")]


def _run(record: LineageRecord) -> list[_Box]:
    run = record.run
    return [_Box("run", "not known") if run is None else _Box(f"run {run.get('name')}", str(run.get("id")))]


def _model(record: LineageRecord) -> list[_Box]:
    return [_Box(record.model.spec, record.model.type.rpartition(".")[2])]


def _live(aliases: Sequence[str]) -> list[_Box]:
    return [_Box(f"@{alias}", "live") for alias in aliases[:_MOST]]


def _rows(rows: int | None) -> str:
    return "" if rows is None else plural(rows, "row")
