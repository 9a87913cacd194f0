"""What an audit found: what is proved, what is wrong, and what nothing vouches for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from mlops_kit.errors import InvalidInput
from mlops_kit.records.check import Problem

Anchor: TypeAlias = "str | tuple[int, str]"

_ANCHOR = re.compile(r"([1-9][0-9]*):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class AuditedJournal:
    """What is known of one journal.

    Parameters
    ----------
    name : str
        The model, or ``datasets/name`` and the like for another kind; the folder in place of the name if the journal's
        first entry cannot be read.
    entries : int
        How many stand in an unbroken chain from the first.
    tip : str
        The digest of the last of them, in hex.
    signed : int
        How many of them carry a signature of a listed signer that counts.
    anchored : int
        The last entry that an anchor from elsewhere confirms; 0 if there is none.
    by : tuple of str
        Where the confirming anchors come from.
    """

    name: str
    entries: int
    tip: str
    signed: int
    anchored: int
    by: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """What to keep elsewhere, so that a later audit can hold the journal against it: ``N:TIP``."""
        return f"{self.entries}:{self.tip}"

    @property
    def unproved(self) -> str:
        """Say what nothing would show, in plain words; empty if there is nothing of the kind."""
        if self.anchored >= self.entries:
            return ""
        first = self.anchored + 1
        newer = f"entry {first} is" if first == self.entries else f"entries {first}–{self.entries} are"
        loose = newer if self.anchored else "its entries are"
        if self.signed == self.entries:
            return f"{self.name}: {loose} signed and not anchored: if the newest were removed, nothing would show it."
        return f"{self.name}: {loose} not anchored: if they were removed or rewritten, nothing would show it."


@dataclass(frozen=True, repr=False, slots=True)
class AuditReport:
    """Whether the journals of a store are what was written.

    Parameters
    ----------
    url : str
        The store.
    journals : tuple of AuditedJournal
        Those that were asked for, models first.
    problems : tuple of Problem
        All that is wrong; of a chain the first bad entry.
    notes : tuple of str
        What could not be checked, and why.

    Examples
    --------
    >>> AuditReport("memory://x", (AuditedJournal("fraud", 3, "ab" * 32, 0, 3, ("your settings",)),), ())
    AuditReport(memory://x: ok, 1 journal)
      fraud: 3 entries, 0 signed, anchored to 3 by your settings
      anchor fraud 3:abababababababababababababababababababababababababababababababab
    """

    url: str
    journals: tuple[AuditedJournal, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; what is not anchored is not known to be wrong, see `unproved`."""
        return not self.problems

    @property
    def unproved(self) -> tuple[str, ...]:
        """What nothing would show: the newest entries that no anchor confirms."""
        return tuple(filter(None, (journal.unproved for journal in self.journals)))

    def __repr__(self) -> str:
        count = f"{len(self.journals)} journal{'' if len(self.journals) == 1 else 's'}"
        lines = [f"AuditReport({self.url}: {'ok' if self.ok else 'NOT ok'}, {count})"]
        lines += [f"PROBLEM {problem}" for problem in self.problems]
        for journal in self.journals:
            by = f"anchored to {journal.anchored} by {', '.join(journal.by)}" if journal.anchored else "not anchored"
            lines.append(f"{journal.name}: {journal.entries} entries, {journal.signed} signed, {by}")
        lines += [*self.unproved, *self.notes]
        lines += [f"anchor {journal.name} {journal.anchor}" for journal in self.journals if journal.entries]
        return "\n  ".join(lines)


def read_anchor(anchor: Any) -> tuple[int, str]:
    """Read a size and a tip.

    Parameters
    ----------
    anchor : str or tuple
        ``"12:<64 hex>"``, or ``(12, "<64 hex>")``.

    Returns
    -------
    tuple of int and str
        The number of an entry and the digest of its bytes.

    Raises
    ------
    InvalidInput
        It is neither.

    Examples
    --------
    >>> read_anchor("12:" + "ab" * 32)[0]
    12
    """
    parts = [anchor] if isinstance(anchor, str) else anchor
    text = ":".join(map(str, parts)) if isinstance(parts, Iterable) else repr(anchor)
    found = _ANCHOR.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{anchor!r} is no anchor: one is the number of an entry and the 64 hex digits of its digest, such as "
            "'12:3f9a…', as an audit prints it."
        )
    return int(found[1]), found[2]
