"""Sheets and tables as a fragment of HTML for a notebook: no script, every text escaped, bounded in size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from mlops_kit.views.sheet import Item, Row, Sheet
from mlops_kit.views.values import clip

LIMIT = 30_000
"""The most bytes that a fragment may have."""

# Colours are taken from the notebook where possible: its theme need not be that of the browser.
_STYLE = """\
.mlk{font:13px/1.5 system-ui,sans-serif;color:inherit;max-width:72em;--mlk-line:#8884;--mlk-soft:#6b7280}
.mlk table{border-collapse:collapse;margin:0;font:inherit;color:inherit}
.mlk th,.mlk td{text-align:left;vertical-align:top;padding:2px 12px 2px 0;border:0;background:none;\
overflow-wrap:anywhere}
.mlk th{font-weight:500;color:var(--mlk-soft);white-space:nowrap}
.mlk .t{font-weight:600;margin:0 0 4px;overflow-wrap:anywhere}
.mlk .p{display:inline-block;margin-right:14px}
.mlk .k{color:var(--mlk-soft)}
.mlk .v,.mlk td.v{font-family:ui-monospace,monospace;font-size:12px}
.mlk .g td,.mlk .g th{border-bottom:1px solid var(--mlk-line);white-space:nowrap}
.mlk td.r,.mlk th.r{text-align:right}
.mlk .f{display:flex;flex-wrap:wrap;align-items:center;gap:10px}
.mlk .b{border:1px solid var(--mlk-line);border-radius:6px;padding:8px 12px;max-width:34em}
.mlk .a{font-size:18px;color:var(--mlk-soft)}
.mlk .n{color:var(--mlk-soft);margin-top:4px}
@media (prefers-color-scheme:dark){.mlk{--mlk-soft:#9ca3af}}"""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a thing is shown.

    Parameters
    ----------
    items : int
        Of each list.
    characters : int
        Of each text.
    """

    items: int
    characters: int


_ROOMS = (
    *(Room(100, 400), Room(70, 300), Room(50, 240), Room(35, 200), Room(24, 160), Room(16, 120)),
    *(Room(8, 100), Room(4, 80), Room(2, 60), Room(1, 30)),
)


def fragment(body: Callable[[Room], str]) -> str:
    """Make a fragment of HTML of bounded size, showing as much as fits.

    Parameters
    ----------
    body : callable
        Takes how much room there is and gives HTML; in the least room, of less than 25,000 bytes.

    Returns
    -------
    str
        One ``div`` of class ``mlk`` with its own style, at most `LIMIT` bytes.

    Examples
    --------
    >>> fragment(lambda room: f"<p>{text('a < b', room)}</p>").endswith("<p>a &lt; b</p></div>")
    True
    """
    made = ""
    for room in _ROOMS:
        made = f'<div class="mlk"><style>{_STYLE}</style>{body(room)}</div>'
        if len(made.encode()) <= LIMIT:
            break
    return made


def text(value: object, room: Room) -> str:
    """Escape a text, without control characters and cut to the room there is.

    Parameters
    ----------
    value : object
        Any text.
    room : Room
        How much of it is shown.

    Returns
    -------
    str
        Safe inside elements and attributes.

    Examples
    --------
    >>> text("<script>", Room(1, 30))
    '&lt;script&gt;'
    """
    return escape(clip(value, room.characters))


def sheet(shown: Sheet, room: Room) -> str:
    """Make the HTML of a sheet.

    Parameters
    ----------
    shown : Sheet
        What to show.
    room : Room
        How much of it.

    Returns
    -------
    str
        Its title, if it has one, and a table with a row for each row.

    Examples
    --------
    >>> sheet(Sheet("Run 1", (Row("by", ("ann",)),)), Room(1, 30))
    '<div class="t">Run 1</div><table><tr><th>by</th><td>ann</td></tr></table>'
    """
    rows = "".join(f"<tr><th>{text(row.label, room)}</th><td>{_items(row, room)}</td></tr>" for row in shown.filled)
    title = f'<div class="t">{text(shown.title, room)}</div>' if shown.title else ""
    return title + (f"<table>{rows}</table>" if rows else "")


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], room: Room, *, right: frozenset[int] = frozenset()
) -> str:
    """Make the HTML of a table.

    Parameters
    ----------
    head : sequence of str
        The names of the columns.
    rows : sequence of sequences of str
        The cells.
    room : Room
        How many rows and characters are shown.
    right : frozenset of int
        The columns whose cells are aligned to the right.

    Returns
    -------
    str
        A table, and a line that counts the rows left out.

    Examples
    --------
    >>> print(table(["name"], [["a"], ["b"]], Room(1, 30)))
    <table class="g"><tr><th>name</th></tr><tr><td>a</td></tr></table><div class="n">… and 1 more</div>
    """
    heads = "".join(f"<th{_right(i, right)}>{text(name, room)}</th>" for i, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{_right(i, right)}>{text(cell, room)}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows[: room.items]
    )
    return f'<table class="g"><tr>{heads}</tr>{body}</table>' + note(more(len(rows) - room.items))


def note(line: str, room: Room | None = None) -> str:
    """Make the HTML of a remark; nothing of an empty one.

    Parameters
    ----------
    line : str
        The remark.
    room : Room, optional
        How much of it is shown.

    Returns
    -------
    str
        A quiet line.
    """
    return f'<div class="n">{text(line, room or _ROOMS[0])}</div>' if line else ""


def more(hidden: int) -> str:
    """Say how many were left out, if any.

    Parameters
    ----------
    hidden : int
        How many; none if it is not positive.

    Returns
    -------
    str
        Such as ``"… and 3 more"``, or nothing.
    """
    return f"… and {hidden:,} more" if hidden > 0 else ""


def _right(column: int, right: frozenset[int]) -> str:
    return ' class="r"' if column in right else ""


def _items(row: Row, room: Room) -> str:
    made = [_item(item, room) for item in row.items[: room.items]]
    if left_out := more(len(row.items) - room.items):
        made.append(f'<span class="k">{left_out}</span>')
    if row.flowing:
        return "".join(f'<span class="p">{item}</span>' for item in made) if len(made) > 1 else "".join(made)
    return "<br>".join(made)


def _item(item: Item, room: Room) -> str:
    if isinstance(item, str):
        return text(item, room)
    name, value = item
    return f'<span class="k">{text(name, room)}</span> <span class="v">{text(value, room)}</span>'
