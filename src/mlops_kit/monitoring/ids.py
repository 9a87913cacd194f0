"""Ids of predictions that were logged without any."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

_KEPT, _BYTES = 20_000, 8


class PredictionIds(Sequence[str]):
    """The ids of predictions that were logged without any: made when they are looked at.

    Parameters
    ----------
    writer : str
        Who logged them.
    numbers : range
        Their numbers.

    Examples
    --------
    >>> ids = PredictionIds("0123456789ab", range(10, 13))
    >>> ids[0], len(ids), list(ids[1:])
    ('0123456789ab-10', 3, ['0123456789ab-11', '0123456789ab-12'])
    """

    __slots__ = ("_numbers", "_writer")

    def __init__(self, writer: str, numbers: range) -> None:
        self._writer, self._numbers = writer, numbers

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> PredictionIds: ...
    def __getitem__(self, index: int | slice) -> str | PredictionIds:
        if isinstance(index, slice):
            return PredictionIds(self._writer, self._numbers[index])
        return f"{self._writer}-{self._numbers[index]}"

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return (f"{self._writer}-{number}" for number in self._numbers)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) and not isinstance(other, str) else False

    def __hash__(self) -> int:
        return hash((self._writer, self._numbers))

    def __repr__(self) -> str:
        return f"PredictionIds({len(self)}: {self[0]} … {self[-1]})" if self._numbers else "PredictionIds(0)"


@dataclass(frozen=True, slots=True)
class RecentIds:
    """The ids of the last predictions, by which one that is logged again, as a retry does, is known.

    Parameters
    ----------
    digests : tuple of bytes
        Eight bytes of the SHA-256 of each of the last 20,000, in order.
    repeated : int
        How many predictions were logged again.

    Examples
    --------
    >>> RecentIds().after(["a", "b"]).after(["b", "c", "c"]).repeated
    2
    """

    digests: tuple[bytes, ...] = ()
    repeated: int = 0

    def again(self, ids: Sequence[str | None]) -> list[bool]:
        """Return which of some ids came before, among these or those that are known."""
        known, found = set(self.digests), list[bool]()
        for name in ids:
            digest = b"" if name is None else _digest(name)
            found.append(digest in known)
            known |= {digest} - {b""}
        return found

    def after(self, ids: Iterable[str | None]) -> RecentIds:
        """Go on with more ids."""
        known, fresh, repeated = set(self.digests), list[bytes](), self.repeated
        for name in ids:
            if name is None:
                continue
            digest = _digest(name)
            if digest in known:
                repeated += 1
            else:
                known.add(digest)
                fresh.append(digest)
        return RecentIds((*self.digests, *fresh)[-_KEPT:], repeated)

    def plain(self) -> dict[str, Any]:
        """Return them as plain values."""
        return {"digests": base64.b64encode(b"".join(self.digests)).decode("ascii"), "repeated": self.repeated}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> RecentIds:
        """Read what `plain` wrote."""
        data = base64.b64decode(state["digests"])
        return cls(tuple(data[i : i + _BYTES] for i in range(0, len(data), _BYTES)), state["repeated"])


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:_BYTES]
