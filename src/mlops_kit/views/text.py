"""Sheets and tables as aligned text, by the width that characters take on a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from mlops_kit.views.sheet import Item, Row, Sheet
from mlops_kit.views.values import clip

_WIDTH = 88
_FLOWING_ITEMS = 20
_OWN_LINES = 8
_NAME = 40
_NO_WIDTH = frozenset({"Mn", "Me", "Cf"})


def sheet_text(sheet: Sheet) -> str:
    """Write a sheet: its title, then a line or more for each row, indented and aligned.

    Parameters
    ----------
    sheet : Sheet
        What to show.

    Returns
    -------
    str
        Lines without a newline at the end.

    Examples
    --------
    >>> print(sheet_text(Sheet("Run 1", (Row("params", (("depth", "3"), ("rate", "0.1"))), Row("by", ("ann",))))))
    Run 1
      params  depth=3, rate=0.1
      by      ann
    """
    return "\n".join([clip(sheet.title, 2 * _WIDTH), *(f"  {line}" for line in row_lines(sheet.filled))])


def row_lines(rows: Sequence[Row]) -> list[str]:
    """Write rows, the labels in one column and what they label in the next.

    Parameters
    ----------
    rows : sequence of Row
        Rows with at least one item each.

    Returns
    -------
    list of str
        Lines without indentation.

    Examples
    --------
    >>> row_lines([Row("a", ("x",)), Row("long", ("y", "z"), flowing=False)])
    ['a     x', 'long  y', '      z']
    """
    margin = max((width(row.label) for row in rows), default=0) + 2
    lines = []
    for row in rows:
        for index, line in enumerate(_item_lines(row, _WIDTH - margin)):
            lines.append(padded(row.label if index == 0 else "", margin) + line)
    return lines


def aligned(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Align cells in columns, two spaces apart.

    Parameters
    ----------
    rows : sequence of sequences of str
        Cells of one line each; rows of equal length.
    right : frozenset of int
        The columns whose cells are aligned to the right.

    Returns
    -------
    list of str
        A line for each row, without spaces at its end.

    Examples
    --------
    >>> aligned([("auc", "0.9"), ("f1", "0.75")], right=frozenset({1}))
    ['auc   0.9', 'f1   0.75']
    """
    widths = [max(map(width, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(padded(cell, widths[i], right=i in right) for i, cell in enumerate(row)).rstrip() for row in rows]


def width(text: str) -> int:
    """Count the columns that a text takes on a terminal.

    Parameters
    ----------
    text : str
        Printable text.

    Returns
    -------
    int
        Two for wide characters, none for combining ones.

    Examples
    --------
    >>> width("abc"), width("模型"), width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(char) in _NO_WIDTH else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Fill a text with spaces up to a width on a terminal.

    Parameters
    ----------
    text : str
        Printable text.
    columns : int
        The width.
    right : bool
        Whether the spaces come first.

    Returns
    -------
    str
        A text of at least this width.

    Examples
    --------
    >>> padded("模", 4) + "|", padded("7", 3, right=True)
    ('模  |', '  7')
    """
    spaces = " " * (columns - width(text))
    return spaces + text if right else text + spaces


def flowed(texts: Sequence[str], columns: int) -> list[str]:
    """Put texts behind each other, separated by commas, in lines of a width.

    Parameters
    ----------
    texts : sequence of str
        Printable texts; none is broken.
    columns : int
        The width; only a text wider than this exceeds it.

    Returns
    -------
    list of str
        Lines.

    Examples
    --------
    >>> flowed(["one", "two", "three"], 9)
    ['one, two,', 'three']
    """
    lines: list[str] = []
    for index, text in enumerate(texts):
        piece = text if index == len(texts) - 1 else f"{text},"
        if lines and width(lines[-1]) + 1 + width(piece) <= columns:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def _item_lines(row: Row, columns: int) -> list[str]:
    limit = _FLOWING_ITEMS if row.flowing else _OWN_LINES
    chosen = row.items[:limit]
    hidden = len(row.items) - len(chosen)
    more = [f"… and {hidden:,} more"] if hidden else []
    if row.lines > 1:
        return [line for item in chosen for line in _wrapped(item, columns, row.lines)] + more
    texts = [_item(item, columns) for item in chosen]
    return flowed([*texts, *more], columns) if row.flowing else [*texts, *more]


def _wrapped(item: Item, columns: int, most: int) -> list[str]:
    """Break an item between words; what goes on is indented."""
    lines: list[str] = []
    for word in _item(item, columns * most).split():
        if lines and width(lines[-1]) + 1 + width(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}" if lines else word)
    lines = [clip(line, columns) for line in lines]  # a word may be too long
    return lines if len(lines) <= most else [*lines[: most - 1], clip(f"{lines[most - 1]} …", columns)]


def _item(item: Item, limit: int) -> str:
    if isinstance(item, str):
        return clip(item, limit)
    name, value = item
    return clip(f"{clip(name, _NAME)}={value}", limit)
