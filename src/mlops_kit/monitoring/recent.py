"""The ids of the last predictions, by which one that is logged again is known."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Keys: TypeAlias = npt.NDArray[np.uint64]

_KEPT, _BYTES = 20_000, 8


def keys_of(ids: Iterable[str]) -> Keys:
    """Shorten ids to the first eight bytes of the SHA-256 of each.

    Examples
    --------
    >>> keys_of(["a", "b"]).tolist()
    [14608863320967583690, 5357375904281011006]
    """
    digests = (hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:_BYTES] for name in ids)
    return np.frombuffer(b"".join(digests), "<u8")


@dataclass(frozen=True, slots=True)
class RecentIds:
    """The ids of the last predictions, by which one that is logged again, as a retry does, is known.

    Parameters
    ----------
    digests : bytes
        The keys of the last 20,000, in order; see `keys_of`.
    repeated : int
        How many predictions were logged again.

    Examples
    --------
    >>> recent, fresh = RecentIds().after(keys_of(["a", "b", "b"]))
    >>> fresh.tolist(), recent.after(keys_of(["c", "a"]))[0].repeated
    ([True, True, False], 2)
    """

    digests: bytes = b""
    repeated: int = 0

    def after(self, keys: Keys) -> tuple[RecentIds, npt.NDArray[np.bool_]]:
        """Go on with more ids; return also which of them are new."""
        fresh = np.zeros(len(keys), bool)
        fresh[np.unique(keys, return_index=True)[1]] = True
        fresh &= ~np.isin(keys, np.frombuffer(self.digests, "<u8"))
        kept = (self.digests + keys[fresh].tobytes())[-_KEPT * _BYTES :]
        return RecentIds(kept, self.repeated + int((~fresh).sum())), fresh

    def plain(self) -> dict[str, Any]:
        """Return them as plain values."""
        return {"digests": base64.b64encode(self.digests).decode("ascii"), "repeated": self.repeated}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> RecentIds:
        """Read what `plain` wrote."""
        return cls(base64.b64decode(state["digests"]), state["repeated"])
