"""`Trust`: what the present user trusts in a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

from mlops_kit.errors import IntegrityError, InvalidInput
from mlops_kit.records import codec
from mlops_kit.records.moments import AsOf, as_of_moment
from mlops_kit.records.trust import Signer, StoreTrust, covers
from mlops_kit.store import signing, trusted
from mlops_kit.store.chain import HINTS, walk_all
from mlops_kit.store.store import StoreLike, open_store


class Trust:
    """What you trust in a store, and in the stores below its address.

    It is kept in your own settings, never in the store: ``mlops_kit/trust.json`` in ``~/.config``, in
    ``~/Library/Application Support`` on macOS and in ``%APPDATA%`` on Windows, or in the folder that
    ``MLOPS_KIT_CONFIG`` names. If others may write that file, nothing is read from it.

    Parameters
    ----------
    store : str, path or Store, optional
        The store; by default that of the project (see `Store`).

    Attributes
    ----------
    url : str
        Its address.
    code : bool
        Whether pickles from it may run code because its address, or one above it, is listed here.
    types : list of str
        What its files of ``format="skops"`` may hold besides what they may hold everywhere.
    signers : dict
        Whose signatures count, by name.
    signatures_required : bool
        Whether you demand that every entry of its journals is signed by one of them.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> trust = mk.Trust("memory://trust-doc")
    >>> trust.code
    False
    >>> trust.add()
    >>> trust
    Trust('memory://trust-doc': code)
    >>> trust.remove()
    >>> mk.Trust.list()
    []
    """

    def __init__(self, store: StoreLike = None) -> None:
        self.url = open_store(store).url
        if not covers(self.url, self.url):
            raise InvalidInput(f"{self.url!r} cannot be trusted by name: give the address of one store.")

    @property
    def code(self) -> bool:
        """Whether pickles from the store may run code."""
        return self._now.code

    def add(self) -> None:
        """Let pickles from this store run code, whoever wrote them."""
        trusted.edit(self.url, lambda said: replace(said, code=True))

    @property
    def types(self) -> list[str]:
        """What files of ``format="skops"`` may hold here besides the list."""
        return sorted(self._now.types)

    def allow_types(self, *names: str) -> None:
        """Let files of ``format="skops"`` in this store hold more than they may everywhere.

        Parameters
        ----------
        *names : str
            Dotted names of classes or functions, as the refusal names them. Their modules are imported when a file
            names them, and objects of them get the state that stands in the file.

        Raises
        ------
        InvalidInput
            It is no dotted name.
        """
        for name in names:
            if "." not in name or not all(part.isidentifier() for part in name.split(".")):
                raise InvalidInput(f"{name!r} is no dotted name of a class or function, such as 'pkg.module.Class'.")
        trusted.edit(self.url, lambda said: replace(said, types=said.types | frozenset(names)))

    @property
    def signers(self) -> dict[str, Signer]:
        """Whose signatures count here, by name: each with ``key`` and, if its key was revoked, ``revoked``."""
        return {signer.name: signer for signer in self._now.signers}

    @property
    def signatures_required(self) -> bool:
        """Whether you demand that every entry of this store's journals is signed by one of the signers."""
        return self._now.required

    def add_signer(self, name: str, key: str) -> None:
        """Count the signatures of somebody in this store: models that they registered may run code here.

        Parameters
        ----------
        name : str
            Whose key it is, in your words.
        key : str
            ``ed25519:<hex>``: their `SigningKey.public`. Get it from them, not from the store.

        Raises
        ------
        InvalidInput
            It is no key, or the name stands for another one.
        """
        if not signing.PUBLIC.fullmatch(key):
            raise InvalidInput(f"{key!r} is no public key: one reads 'ed25519:' and 64 hex digits.")
        if not name.strip():
            raise InvalidInput("A signer needs a name.")

        def added(said: StoreTrust) -> StoreTrust:
            for signer in said.signers:
                if (signer.name == name) != (signer.key == key) or (signer.key == key and signer.revoked is not None):
                    raise InvalidInput(
                        f"{signer.name!r} is listed with the key {signer.key}"
                        + ("." if signer.revoked is None else f", which was revoked as of {signer.revoked}.")
                        + " Give the new key a name of its own."
                    )
            kept = tuple(signer for signer in said.signers if signer.key != key)
            return replace(said, signers=(*kept, Signer(name, key)))

        trusted.edit(self.url, added)

    def revoke_signer(self, name: str, *, since: AsOf | None = None) -> None:
        """Count the signatures of somebody no longer.

        Which entries were there before is decided now, from the journals as they stand, and pinned in your settings:
        times in an entry are what its writer says, and whoever has a stolen key can write old ones.

        Parameters
        ----------
        name : str
            Who was listed.
        since : str, date or datetime, optional
            Entries from then on do not count either; a bare date means the beginning of that day in UTC. By
            default, all that stand in the journals now still do.

        Raises
        ------
        InvalidInput
            Nobody of this name is listed for this very address.
        IntegrityError
            A journal is broken, so that nobody can tell what was before what.
        """
        if all(signer.name != name for signer in trusted.listed().get(self.url, StoreTrust()).signers):
            raise InvalidInput(
                f"No signer {name!r} is listed for {self.url}. Listed: {', '.join(self.signers) or 'none'}."
            )
        moment = datetime.now(UTC) if since is None else _beginning(since)
        until = self._standing(None if since is None else moment)

        def revoked(said: StoreTrust) -> StoreTrust:
            signers = tuple(
                replace(signer, revoked=codec.timestamp(moment), until=until) if signer.name == name else signer
                for signer in said.signers
            )
            return replace(said, signers=signers)

        trusted.edit(self.url, revoked)

    def require_signatures(self, required: bool = True) -> None:  # noqa: FBT001, FBT002 - the word that it is about
        """Demand that every entry in this store's journals is signed by one of the signers, or no longer demand it.

        What stands there now is pinned in your settings and stays valid; look at it first, with
        `ModelStore.audit`. From now on an entry that is not signed is an error for whoever reads or writes here.

        Parameters
        ----------
        required : bool
            Whether to demand it.

        Raises
        ------
        InvalidInput
            Nobody is listed whose signature would count.
        IntegrityError
            A journal is broken: it would be pinned so.
        """
        if not required:
            trusted.edit(self.url, lambda said: replace(said, required=False, pinned={}))
            return
        if not self.signers:
            raise InvalidInput(f"Nobody's signature counts in {self.url} yet: list a signer first, perhaps yourself.")
        if self._now.required:
            return
        pinned = self._standing(None)
        trusted.edit(self.url, lambda said: replace(said, required=True, pinned=pinned))

    def _standing(self, before: datetime | None) -> dict[str, tuple[int, str]]:
        """Find the last entry of each journal, or the last that says it is from before a moment."""
        found = {}
        for chain in walk_all(open_store(self.url).backend):
            if any(problem.kind not in HINTS for problem in chain.problems):
                raise IntegrityError(f"{chain.journal} in {self.url} is broken: {chain.problems[0]}")
            last = sum(before is None or entry.at < before for entry in chain.entries)
            if last:
                found[chain.journal] = last, chain.tips[last - 1]
        return found

    def remove(self) -> None:
        """Trust nothing in this store any more; what is listed of addresses above it still holds."""
        trusted.edit(self.url, lambda _said: StoreTrust())

    @classmethod
    def list(cls) -> list[Trust]:
        """List the stores in which you trust something.

        Returns
        -------
        list of Trust
            Sorted by address.
        """
        made = []
        for url in sorted(trusted.listed()):
            made.append(cls.__new__(cls))
            made[-1].url = url  # without opening it: its extra need not be installed here
        return made

    @property
    def _now(self) -> StoreTrust:
        return trusted.trusted_of(self.url)

    def __repr__(self) -> str:
        now = self._now
        told = ["code"] if now.code else []
        told += [f"type {name}" for name in sorted(now.types)]
        told += [f"{'signer' if signer.revoked is None else 'revoked'} {signer.name}" for signer in now.signers]
        told += ["signatures required"] if now.required else []
        return f"Trust({self.url!r}: {', '.join(told) or 'nothing'})"


def _beginning(since: AsOf) -> datetime:
    """Read a moment, where a bare date means its first and not its last."""
    moment = as_of_moment(since)
    bare = not isinstance(since, datetime) and ("T" not in str(since) and " " not in str(since))
    return datetime.combine(moment.date(), time(), UTC) if bare else moment
