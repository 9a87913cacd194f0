"""A sheet: what is shown of one thing, before it becomes text or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Item: TypeAlias = str | tuple[str, str]
"""A text, or a name and its value."""


@dataclass(frozen=True, slots=True)
class Row:
    """A label and what it labels.

    Parameters
    ----------
    label : str
        In one word.
    items : tuple of str or pair
        Texts, or names with their values.
    flowing : bool
        Whether the items follow each other on a line; otherwise each has its own.
    lines : int
        Over how many lines an item with its own may go on, as text, before it is cut.
    """

    label: str
    items: tuple[Item, ...]
    flowing: bool = True
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is shown of one thing.

    Parameters
    ----------
    title : str
        Its identity in one line.
    rows : tuple of Row
        The details; rows without items are not shown.
    """

    title: str
    rows: tuple[Row, ...]

    @property
    def filled(self) -> tuple[Row, ...]:
        """The rows that have something to show."""
        return tuple(row for row in self.rows if row.items)
