"""Two runs shown side by side, as far as they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from mlops_kit.records.codec import Repr
from mlops_kit.views import html
from mlops_kit.views.text import aligned
from mlops_kit.views.values import change, clip, plural, short, shown

_SECTIONS = ("params", "metrics", "data", "code", "git", "environment", "tags")
_QUOTED = frozenset({"params"})
LINE = 40
"""So many characters of a value are shown."""

_LEAD = 8
_PER_SECTION = 40


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "–"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
"""Stands on the side that has no such thing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in two runs.

    Parameters
    ----------
    section : str
        ``"params"``, ``"metrics"``, ``"data"``, ``"code"``, ``"git"``, ``"environment"`` or ``"tags"``.
    name : str
        Which one.
    left, right : object
        Its value on either side, or `MISSING`.
    """

    section: str
    name: str
    left: object
    right: object


def diff_text(left: str, right: str, differences: Sequence[Difference], not_compared: Sequence[str] = ()) -> str:
    """Show how two runs differ, as text.

    Parameters
    ----------
    left, right : str
        What the runs are called.
    differences : sequence of Difference
        All that is not the same.
    not_compared : sequence of str
        What may differ, though its records are equal.

    Returns
    -------
    str
        A line that counts them, then the two sides by section.

    Examples
    --------
    >>> print(diff_text("old", "new", [Difference("params", "depth", 3, 5), Difference("metrics", "auc", 0.5, 0.75),
    ...                                Difference("tags", "team", MISSING, "risk")]))
    old → new: 3 differences
               old  new
      params
        depth  3    5
      metrics
        auc    0.5  0.75  +0.25
      tags
        team   –    risk
    >>> print(diff_text("old", "new", []))
    old → new: identical in params, metrics, data, code, git, environment and tags
    """
    title = _title(left, right, differences, not_compared)
    if not differences:
        return "\n  ".join([title, *_unclear(not_compared)])
    cells: list[tuple[str, str, str, str]] = [("", clip(left, LINE), clip(right, LINE), "")]
    for section, found in _sections(differences):
        cells.append((clip(section, LINE), "", "", ""))
        cells += [(f"  {name}", one, other, delta) for name, one, other, delta in map(_sides, found[:_PER_SECTION])]
        if hidden := html.more(len(found) - _PER_SECTION):
            cells.append((f"  {hidden}", "", "", ""))
    return "\n  ".join([title, *aligned(cells), *_unclear(not_compared)])


def diff_html(left: str, right: str, differences: Sequence[Difference], not_compared: Sequence[str] = ()) -> str:
    """Show how two runs differ, in a notebook.

    Parameters
    ----------
    left, right : str
        What the runs are called.
    differences : sequence of Difference
        All that is not the same.
    not_compared : sequence of str
        What may differ, though its records are equal.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> "identical" in diff_html("old", "new", [])
    True
    """
    sections = _sections(differences)
    head = ("", clip(left, LINE), clip(right, LINE), "")

    def body(room: html.Room) -> str:
        parts = [f'<div class="t">{html.text(_title(left, right, differences, not_compared), room)}</div>']
        for section, found in sections[: room.items + len(_SECTIONS)]:
            cells = [_sides(difference) for difference in found[: room.items]]
            parts.append(html.table((section, *head[1:]), cells, room))
            parts.append(html.note(html.more(len(found) - room.items)))
        parts.append(html.note(html.more(len(sections) - room.items - len(_SECTIONS))))
        parts += [html.note(line) for line in _unclear(not_compared)]
        return "".join(parts)

    return html.fragment(body)


def _title(left: str, right: str, differences: Sequence[Difference], not_compared: Sequence[str]) -> str:
    pair = f"{clip(left, 60)} → {clip(right, 60)}"
    if not differences and not_compared:
        return f"{pair}: no difference found, {plural(len(not_compared), 'value')} not compared"
    if not differences:
        return f"{pair}: identical in {', '.join(_SECTIONS[:-1])} and {_SECTIONS[-1]}"
    return f"{pair}: {plural(len(differences), 'difference')}"


def _unclear(not_compared: Sequence[str]) -> list[str]:
    if not not_compared:
        return []
    names = ", ".join(clip(name, LINE) for name in not_compared[:_PER_SECTION])
    more = html.more(len(not_compared) - _PER_SECTION)
    return [f"not compared, as the record does not show the whole value: {names}{f' {more}' if more else ''}"]


def _sections(differences: Sequence[Difference]) -> list[tuple[str, list[Difference]]]:
    found: dict[str, list[Difference]] = {section: [] for section in _SECTIONS}
    for difference in differences:
        found.setdefault(difference.section, []).append(difference)
    return [(section, items) for section, items in found.items() if items]


def _sides(difference: Difference) -> tuple[str, str, str, str]:
    left, right = (_side(difference, value) for value in (difference.left, difference.right))
    if left == right:
        left, right = (_with_fingerprint(value, left) for value in (difference.left, difference.right))
    start = _first_difference(left, right)
    numeric = difference.section == "metrics"
    delta = change(difference.left, difference.right) if numeric else None
    return clip(difference.name, LINE), _window(left, start), _window(right, start), delta or ""


def _side(difference: Difference, value: object) -> str:
    if value is MISSING:
        return str(MISSING.value)
    if isinstance(value, str) and difference.section not in _QUOTED:
        return clip(value, 1000)
    return shown(value, limit=1000)


def _with_fingerprint(value: object, text: str) -> str:
    """Show by their fingerprints that two values differ whose texts are equal."""
    return f"{clip(text, LINE // 2)} {short(value.fingerprint)}" if isinstance(value, Repr) else text


def _first_difference(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))


def _window(text: str, start: int) -> str:
    """Show the part of a long text in which it differs from the other."""
    if len(text) <= LINE or start < LINE - 1:
        return clip(text, LINE)
    return "…" + clip(text[start - _LEAD :], LINE - 1)
