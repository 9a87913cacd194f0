"""What a user trusts in a store, as the user's own settings say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Signer:
    """A key whose signatures count in a store.

    Parameters
    ----------
    name : str
        Whose it is, in the user's words.
    key : str
        ``ed25519:<64 hex>``.
    revoked : str or None
        As of when its signatures no longer count.
    until : dict
        For each journal, the number and digest of its last entry when the key was revoked: up to there they do.
    """

    name: str
    key: str
    revoked: str | None = None
    until: dict[str, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Signer:
        """Read it from plain JSON."""
        revoked = members.get("revoked")
        until = _pins(members.get("until", {}))
        return cls(str(members["name"]), str(members["key"]), None if revoked is None else str(revoked), until)

    def members(self) -> dict[str, Any]:
        """Write it as plain JSON."""
        known = {"name": self.name, "key": self.key}
        gone = {} if self.revoked is None else {"revoked": self.revoked, "until": _listed(self.until)}
        return {**known, **gone}


@dataclass(frozen=True, slots=True)
class StoreTrust:
    """What is trusted in one store, and in those below it.

    Parameters
    ----------
    code : bool
        Pickles in it may run code.
    types : frozenset of str
        Dotted names that its files of ``format="skops"`` may hold besides the list.
    signers : tuple of Signer
        Whose signatures count.
    required : bool
        Every entry of a journal must be signed by one of them.
    pinned : dict
        For each journal, the number and digest of its last entry when that was first demanded: up to there it
        need not be signed, and must be what it was.

    Examples
    --------
    >>> StoreTrust.read(StoreTrust(code=True).members()).code
    True
    """

    code: bool = False
    types: frozenset[str] = frozenset()
    signers: tuple[Signer, ...] = ()
    required: bool = False
    pinned: dict[str, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> StoreTrust:
        """Read it from plain JSON; what is left out is not trusted."""
        demand = members.get("signatures")
        return cls(
            code=members.get("code") is True,
            types=frozenset(map(str, members.get("types", ()))),
            signers=tuple(map(Signer.read, members.get("signers", ()))),
            required=demand is not None,
            pinned={} if demand is None else _pins(demand["pinned"]),
        )

    def members(self) -> dict[str, Any]:
        """Write it as plain JSON, without what is not trusted."""
        said = {
            "code": self.code,
            "types": sorted(self.types),
            "signers": [signer.members() for signer in self.signers],
            "signatures": {"pinned": _listed(self.pinned)} if self.required else None,
        }
        return {name: value for name, value in said.items() if value}

    def joined(self, other: StoreTrust) -> StoreTrust:
        """Trust what either of two trusts, and demand what either demands."""
        return StoreTrust(
            code=self.code or other.code,
            types=self.types | other.types,
            signers=self.signers + other.signers,
            required=self.required or other.required,
            pinned={**self.pinned, **other.pinned},
        )

    def below(self) -> StoreTrust:
        """Give what holds for another store below this address: what was pinned here is not there."""
        return replace(self, pinned={}, signers=tuple(replace(signer, until={}) for signer in self.signers))


def _pins(members: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    return {str(journal): (int(number), str(tip)) for journal, (number, tip) in members.items()}


def _listed(pins: Mapping[str, tuple[int, str]]) -> dict[str, list[Any]]:
    return {journal: list(pins[journal]) for journal in sorted(pins)}


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
            found = found.joined(trust if prefix == url else trust.below())
    return found
