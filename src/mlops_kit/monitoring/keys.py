"""Keys of the last rows, so that one that comes again within a period is found, also over days."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlops_kit.masking import quoted

KEPT = 100_000
"""How many keys are remembered: the latest, 12 bytes each."""

_ENTRY = struct.Struct("<8sI")


@dataclass(frozen=True, slots=True)
class RecentKeys:
    """The keys of the last rows, and what came again since the last look.

    Parameters
    ----------
    seen : mapping of bytes to int
        By eight bytes of the SHA-256 of a key, the second since 1970 when it came last, in that order.
    rows, repeated : int
        Rows since the last look, and how many of them have a key that had come within the period.
    example : str
        The last of these keys, and when it had come before.

    Examples
    --------
    >>> keys = RecentKeys().after([("a", 1), ("b", 1)], [0, 0], 60).after([("a", 1.0)], [30], 60)
    >>> keys.rows, keys.repeated, keys.example
    (3, 1, "'a', 1.0 of 1970-01-01 00:00")
    >>> keys.after([("b", 1)], [90], 60).repeated
    1
    """

    seen: Mapping[bytes, int] = field(default_factory=dict)
    rows: int = 0
    repeated: int = 0
    example: str = ""

    def after(self, keys: Iterable[Sequence[Any]], seconds: Iterable[float], period: float) -> RecentKeys:
        """Go on with more rows; one in whose key a value is missing is passed over."""
        seen, repeated, example, rows = dict(self.seen), self.repeated, self.example, self.rows
        for key, moment in zip(keys, seconds, strict=True):
            rows += 1
            if any(value is None or value != value for value in key):  # noqa: PLR0124 - NaN
                continue
            digest = hashlib.sha256(repr(tuple(map(_plain, key))).encode("utf-8", "surrogatepass")).digest()[:8]
            before = seen.pop(digest, None)
            now = min(max(0, math.floor(moment)), 2**32 - 1)
            if before is not None and abs(now - before) <= period:
                repeated += 1
                shown = ", ".join(quoted(value) for value in key)
                example = f"{shown} of {datetime.fromtimestamp(before, UTC):%Y-%m-%d %H:%M}"
            seen[digest] = now
        latest = max(seen.values(), default=0)
        kept = [(digest, second) for digest, second in seen.items() if latest - second <= period][-KEPT:]
        return RecentKeys(dict(kept), rows, repeated, example)

    def looked(self) -> RecentKeys:
        """Begin to count again."""
        return replace(self, rows=0, repeated=0, example="")

    def plain(self) -> dict[str, Any]:
        """Return them as plain values."""
        packed = b"".join(_ENTRY.pack(*entry) for entry in self.seen.items())
        counts = {"rows": self.rows, "repeated": self.repeated, "example": self.example}
        return {"seen": base64.b64encode(packed).decode("ascii"), **counts}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> RecentKeys:
        """Read what `plain` wrote."""
        seen = dict(_ENTRY.iter_unpack(base64.b64decode(state["seen"])))
        return cls(seen, state["rows"], state["repeated"], state["example"])


def _plain(value: Any) -> Any:
    """Return a value as all equal ones are: 1 is 1.0, and is neither "1" nor True."""
    if isinstance(value, float | Decimal):
        return int(value) if math.isfinite(value) and value == int(value) else float(value)
    if isinstance(value, datetime):
        return ("moment", (value.replace(tzinfo=UTC) if value.tzinfo is None else value).astimezone(UTC).isoformat())
    return ("day", value.isoformat()) if isinstance(value, date) else value
