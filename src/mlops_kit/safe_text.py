"""Text that may be shown: what comes from a store, a file system or a user may hold whatever a terminal obeys."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"
_BREAKS = "\n\t"


def clean(text: object) -> str:
    r"""Replace what could move a cursor, break an encoding or reverse a line by its escape.

    Parameters
    ----------
    text : object
        Any text.

    Returns
    -------
    str
        One line of printable characters.

    Examples
    --------
    >>> clean("red\x1b[31m\nline")
    'red\\x1b[31m\\nline'
    """
    return _escaped(str(text), _JOINERS)


def clean_lines(text: object) -> str:
    r"""Clean a text as `clean` does, but leave its lines and tabs.

    Examples
    --------
    >>> clean_lines("red\x1b[31m\nline")
    'red\\x1b[31m\nline'
    """
    return _escaped(str(text), _JOINERS + _BREAKS)


def _escaped(raw: str, left: str) -> str:
    if raw.isprintable():
        return raw
    return "".join(
        char if char.isprintable() or char in left else char.encode("unicode_escape").decode("ascii") for char in raw
    )
