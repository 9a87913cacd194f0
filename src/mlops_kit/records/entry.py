"""One entry of a journal: who decided what, when, after which entry."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlops_kit.records import codec

FIRST_PREV = "0" * 64
_TOLD = ("name", "version", "alias", "previous", "reason", "rows", "run")


@dataclass(frozen=True, repr=False, slots=True)
class Entry:
    """A journal entry.

    Parameters
    ----------
    seq : int
        Its number in the journal, from 1.
    prev : str
        SHA-256 of the bytes of the entry before it; 64 zeros for the first.
    at : datetime
        When it was written, never before the entry it follows.
    by : dict
        ``actor`` and ``source``: who wrote it, and how we know the name.
    nonce : str
        Random, so that a writer recognises its own entry after a lost acknowledgement.
    kind : str
        What was decided, such as ``"promote"``.
    body : dict
        The particulars.

    Examples
    --------
    >>> from datetime import UTC
    >>> entry = Entry(1, FIRST_PREV, datetime(2026, 1, 1, tzinfo=UTC), {"actor": "ann"}, "00", "create", {"name": "x"})
    >>> Entry.decode(entry.encode(), where="doctest") == entry
    True
    """

    seq: int
    prev: str
    at: datetime
    by: dict[str, str]
    nonce: str
    kind: str
    body: dict[str, Any]

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.body.items() if name in _TOLD)
        return f"Entry({self.seq}: {self.kind} {told} by {self.by.get('actor')} at {self.at:%Y-%m-%d %H:%M:%S} UTC)"

    def encode(self) -> bytes:
        """Write the entry as a record.

        Returns
        -------
        bytes
            The record; its SHA-256 is the next entry's ``prev``.
        """
        return codec.seal(
            "entry",
            {
                "seq": self.seq,
                "prev": self.prev,
                "at": codec.timestamp(self.at),
                "by": self.by,
                "nonce": self.nonce,
                "kind": self.kind,
                "body": codec.plain(self.body),
            },
        )

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Entry:
        """Read and verify an entry.

        Parameters
        ----------
        data : bytes
            The record as stored.
        where : str
            Its key.

        Returns
        -------
        Entry
            The entry.
        """
        members = codec.unseal(data, where=where, kind="entry")
        return cls(
            seq=members["seq"],
            prev=members["prev"],
            at=codec.moment(members["at"]),
            by=members["by"],
            nonce=members["nonce"],
            kind=members["kind"],
            body=codec.unplain(members["body"]),
        )


def tip(data: bytes) -> str:
    """Digest an entry's bytes, as the next entry names them.

    Parameters
    ----------
    data : bytes
        The whole record.

    Returns
    -------
    str
        64 hex digits.
    """
    return hashlib.sha256(data).hexdigest()
