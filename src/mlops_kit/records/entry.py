"""One entry of a journal: who decided what, when, after which entry."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from mlops_kit.records import codec
from mlops_kit.records.bounds import parse
from mlops_kit.records.shape import Count, Members, Number, check_members, checked, reading
from mlops_kit.safe_text import clean

FIRST_PREV = "0" * 64
UNREADABLE = "unreadable"
"""The kind of what stands in a history for an entry that cannot be read; no entry that is written has it."""
_CHECK = Annotated[dict[str, Any], Members({"state": list[str], "marks": dict[str, Count], "day": str}, {"at": str})]
BODIES = {
    "create": Members({"name": str}, {}),
    "register": Members(
        {"version": Number},
        {
            "object": str,
            "format": str,
            "size": Count,
            "type": str,
            "fingerprint": str,
            "python": str,
            "code": dict[str, str],
            "run": str,
            "metrics": dict[str, float],
            "environment": str,
            "description": str,
            "card": dict[str, Any],
            "signature": dict[str, Any],
            "source": str,
        },
    ),
    "snapshot": Members(
        {"version": Number}, {"manifest": str, "fingerprint": str, "identity": str, "source": str, "run": str}
    ),
    "promote": Members(
        {"version": Number, "alias": str}, {"previous": Number, "reason": str, "evidence": str, "gate": str}
    ),
    "rollback": Members({"version": Number, "alias": str}, {"previous": Number, "reason": str}),
    "retire": Members({"alias": str}, {"previous": Number, "reason": str}),
    "require": Members({"alias": str}, {"gate": dict[str, Any], "owners": list[str], "reason": str}),
    "approve": Members({"version": Number}, {"reason": str}),
    "reject": Members({"version": Number}, {"reason": str}),
    "tag": Members({"version": Number, "tags": dict[str, Any]}, {}),
    "describe": Members({"version": Number}, {"description": str, "card": dict[str, Any]}),
    "archive": Members({"version": Number}, {"reason": str}),
    "delete": Members({"version": Number}, {"reason": str}),
    "begin": Members(
        {
            "epoch": Number,
            "reference": str,
            "identity": str,
            "baseline": str,
            "profiles": dict[str, str],
            "settings": dict[str, Any],
            "rules": list[dict[str, Any]],
            "check": _CHECK,
            "alerts": list[dict[str, Any]],
        },
        {"spec": str, "tell": list[dict[str, Any]]},
    ),
    "check": Members({"check": _CHECK, "alerts": list[dict[str, Any]]}, {"tell": list[dict[str, Any]]}),
    "freeze": Members({"frozen": bool}, {"reason": str}),
}
"""What the entries that this release understands must say; of other kinds nothing is asked."""
_TOLD = ("problem", "name", "version", "alias", "previous", "reason", "tags", "description", "frozen", "rows", "run")


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
    clock : datetime or None
        When it was really written, where `at` follows an entry that is far ahead of its time.
    clocks : int or None
        With a clock, the number of the first of the unbroken row of entries that have one; without, that of the last
        entry before that has one.
    signature : dict or None
        ``key``, the public key of the signer, and ``value``, the signature in hex, over its `statement`.

    Examples
    --------
    >>> from datetime import UTC
    >>> entry = Entry(1, FIRST_PREV, datetime(2026, 1, 1, tzinfo=UTC), {"actor": "ann"}, "00", "create", {"name": "x"})
    >>> Entry.decode(entry.encode(), where="doctest") == entry
    True
    """

    seq: Number
    prev: str
    at: datetime
    by: dict[str, str]
    nonce: str
    kind: str
    body: dict[str, Any]
    signature: dict[str, str] | None = None
    clock: datetime | None = None
    clocks: Number | None = None

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.body.items() if name in _TOLD)
        return clean(
            f"Entry({self.seq}: {self.kind} {told} by {self.by.get('actor')} at {self.at:%Y-%m-%d %H:%M:%S} UTC)"
        )

    def encode(self) -> bytes:
        """Write the entry as a record.

        Returns
        -------
        bytes
            The record; its SHA-256 is the next entry's ``prev``.
        """
        signature = {} if self.signature is None else {"signature": self.signature}
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
                **({} if self.clock is None else {"clock": codec.timestamp(self.clock)}),
                **({} if self.clocks is None else {"clocks": self.clocks}),
                **signature,
            },
        )

    def signed(self, signature: dict[str, str]) -> Entry:
        """Give the entry with a signature."""
        return replace(self, signature=signature)

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
        return cls.of(codec.unseal(data, where=where, kind="entry"), where=where)

    @classmethod
    def read(cls, data: bytes, *, where: str) -> Entry:
        """Read again an entry that was verified before."""
        return cls.of(json.loads(data), where=where)

    @classmethod
    def of(cls, members: dict[str, Any], *, where: str) -> Entry:
        """Read it from plain JSON members."""
        with reading(where):
            entry = checked(
                cls(
                    seq=members["seq"],
                    prev=members["prev"],
                    at=codec.moment(members["at"]),
                    by=members["by"],
                    nonce=members["nonce"],
                    kind=members["kind"],
                    body=codec.unplain(members["body"]),
                    signature=members.get("signature"),
                    clock=None if members.get("clock") is None else codec.moment(members["clock"]),
                    clocks=members.get("clocks"),
                )
            )
            expected = BODIES.get(entry.kind)
            if expected is not None:
                check_members(expected, entry.body)
        return entry


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


def statement(data: bytes, journal: str) -> bytes:
    """Give what a signature of an entry is made over: all of it, and where it stands.

    Parameters
    ----------
    data : bytes
        The whole record, signed or not.
    journal : str
        ``models/<folder>`` or ``datasets/<folder>``, so that an entry cannot be moved to another.

    Returns
    -------
    bytes
        A line that says what this is, a line with the journal, and the canonical JSON of the record without
        ``signature`` and ``sum``.
    """
    members = parse(data, where=journal)
    signed = codec.canonical({name: members[name] for name in members if name not in {"signature", "sum"}})
    return b"mlops-kit entry 1\n" + journal.encode() + b"\n" + signed
