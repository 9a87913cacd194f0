"""What a user trusts in a store, as the user's own settings say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StoreTrust:
    """What is trusted in one store, and in those below it.

    Parameters
    ----------
    code : bool
        Pickles in it may run code.
    types : frozenset of str
        Dotted names that its files of ``format="skops"`` may hold besides the list.

    Examples
    --------
    >>> StoreTrust.read(StoreTrust(code=True).members()).code
    True
    """

    code: bool = False
    types: frozenset[str] = frozenset()

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> StoreTrust:
        """Read it from plain JSON; what is left out is not trusted."""
        return cls(code=members.get("code") is True, types=frozenset(map(str, members.get("types", ()))))

    def members(self) -> dict[str, Any]:
        """Write it as plain JSON, without what is not trusted."""
        said = {"code": self.code, "types": sorted(self.types)}
        return {name: value for name, value in said.items() if value}

    def joined(self, other: StoreTrust) -> StoreTrust:
        """Trust what either of two trusts."""
        return StoreTrust(code=self.code or other.code, types=self.types | other.types)


def covers(prefix: str, url: str) -> bool:
    """Tell whether what is said of one address holds for another: the same, or one below it.

    Parameters
    ----------
    prefix, url : str
        Addresses of stores.

    Returns
    -------
    bool
        True if `prefix` ends at a path boundary of `url`; False if `url` climbs, since it may end elsewhere.

    Examples
    --------
    >>> covers("s3://team/models", "s3://team/models/fraud"), covers("s3://team/models", "s3://team/models-evil")
    (True, False)
    """
    stem = prefix.rstrip("/")
    return bool(stem) and ".." not in url.split("/") and (url == stem or url.startswith(stem + "/"))


def trusted_in(stores: Iterable[tuple[str, StoreTrust]], url: str) -> StoreTrust:
    """Join what is said of a store and of the folders above it."""
    found = StoreTrust()
    for prefix, trust in stores:
        if covers(prefix, url):
            found = found.joined(trust)
    return found
