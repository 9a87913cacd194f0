"""A version that is still to be made: decided while the store could not be written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlops_kit.records import codec
from mlops_kit.records.shape import checked, reading


@dataclass(frozen=True, slots=True)
class Pending:
    """A version of a model or dataset that waits in a spool for its number.

    Parameters
    ----------
    nonce : str
        Random; the journal entry that makes the version carries it, so that there is never a second one.
    at : datetime
        When it was decided.
    by : dict
        Who decided it: ``actor`` and ``source``.
    journal : str
        ``"models"`` or ``"datasets"``.
    name : str
        The model or dataset.
    kind : str
        The kind of the entry: ``"register"`` or ``"snapshot"``.
    body : dict
        The body of the entry, but for the version.
    run : str
        The run whose records name the version.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> pending = Pending("00", at, {"actor": "ann"}, "models", "fraud", "register", {}, "6921b1aa-0123456789ab")
    >>> Pending.decode(pending.encode(), where="doctest") == pending
    True
    """

    nonce: str
    at: datetime
    by: dict[str, str]
    journal: str
    name: str
    kind: str
    body: dict[str, Any]
    run: str

    def encode(self) -> bytes:
        """Write the record."""
        members = {name: getattr(self, name) for name in ("nonce", "by", "journal", "name", "kind", "run")}
        return codec.seal("pending", {**members, "at": codec.timestamp(self.at), "body": codec.plain(self.body)})

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Pending:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="pending")
        names = ("nonce", "by", "journal", "name", "kind", "run")
        with reading(where):
            known = {name: members[name] for name in names}
            return checked(cls(**known, at=codec.moment(members["at"]), body=codec.unplain(members["body"])))
