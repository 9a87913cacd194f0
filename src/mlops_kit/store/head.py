"""How far a journal has been read and what it says there, and the hint that tells it to the next reader."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlops_kit.errors import MlopsKitError
from mlops_kit.records import codec
from mlops_kit.records.entry import FIRST_PREV


@dataclass(slots=True)
class Head:
    """How far a journal has been read, and what it says there.

    Parameters
    ----------
    seq : int
        The number of the last entry that was read; 0 for none.
    tip : str
        The digest of its bytes.
    at : datetime or None
        When it was written, if known.
    state : dict
        The fold of the entries so far.
    seen : float or None
        When that entry was last seen to have that digest, by the monotonic clock; None for a hint.
    """

    seq: int = 0
    tip: str = FIRST_PREV
    at: datetime | None = None
    state: dict[str, Any] = field(default_factory=dict)
    seen: float | None = field(default_factory=time.monotonic)

    @classmethod
    def hinted(cls, data: bytes | None) -> Head:
        """Read a hint; one that is missing or damaged says nothing.

        Examples
        --------
        >>> Head.hinted(Head(2, "00", state={"n": 2}).hint()).state, Head.hinted(b"?").seq
        ({'n': 2}, 0)
        """
        if data is None:
            return cls()
        try:
            hint = codec.unseal(data, where="a hint", kind="head")
            return cls(int(hint["seq"]), str(hint["tip"]), None, dict(hint["fold"]), seen=None)
        except (MlopsKitError, KeyError, TypeError, ValueError):
            return cls()

    def hint(self) -> bytes:
        """Write it down for the next reader."""
        return codec.seal("head", {"seq": self.seq, "tip": self.tip, "fold": self.state})
