"""What a collection of garbage writes down: marks, which begin the grace, and sweeps, which end it."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit.records import codec
from mlops_kit.records.shape import Number, checked, reading


@dataclass(frozen=True, slots=True)
class Mark:
    """The keys that nothing named when the mark was made; the age of its file is how long that has been so.

    Parameters
    ----------
    seq : int
        Its number.
    keys : tuple of str
        The keys.

    Examples
    --------
    >>> mark = Mark(1, ("packs/ab",))
    >>> Mark.decode(mark.encode(), where="doctest") == mark
    True
    """

    seq: Number
    keys: tuple[str, ...]

    def encode(self) -> bytes:
        """Write the record."""
        return codec.seal("gc-mark", {"seq": self.seq, "keys": list(self.keys)})

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Mark:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="gc-mark")
        with reading(where):
            return checked(cls(members["seq"], tuple(members["keys"])))


@dataclass(frozen=True, slots=True)
class Sweep:
    """The keys that somebody is about to delete, until it has ended.

    Parameters
    ----------
    seq : int
        Its number: sweeps follow one another, and only the last can be open.
    nonce : str
        Random, so that a sweeper recognises its own list after a lost acknowledgement.
    keys : tuple of str
        What may go; empty once it has ended.
    ended : bool
        Whether nothing more will be deleted because of it.

    Examples
    --------
    >>> sweep = Sweep(1, "00", ("packs/ab",))
    >>> Sweep.decode(sweep.encode(), where="doctest") == sweep
    True
    """

    seq: Number
    nonce: str
    keys: tuple[str, ...]
    ended: bool = False

    def encode(self) -> bytes:
        """Write the record."""
        members = {"seq": self.seq, "nonce": self.nonce, "keys": list(self.keys), "ended": self.ended}
        return codec.seal("gc-sweep", members)

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Sweep:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="gc-sweep")
        with reading(where):
            return checked(cls(members["seq"], members["nonce"], tuple(members["keys"]), members["ended"]))
