"""Whose signature an entry carries, and whether that counts in a store."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from mlops_kit.errors import (
    IntegrityError,
    SignatureError,
    SignatureInvalid,
    SignatureMissing,
    SignerRevoked,
    SignerUnknown,
)
from mlops_kit.records.entry import Entry, statement, tip
from mlops_kit.records.trust import Signer, StoreTrust
from mlops_kit.store import signing, trusted


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the signature of an entry is worth.

    Parameters
    ----------
    signer : Signer or None
        Who signed it, if it is one of those listed.
    error : SignatureError or None
        Why it does not count; None if it does.
    """

    signer: Signer | None = None
    error: SignatureError | None = None


def judge(entry: Entry, data: bytes, journal: str, signers: tuple[Signer, ...], *, where: str) -> Verdict:
    """Tell what the signature of an entry is worth.

    Parameters
    ----------
    entry : Entry
        The entry.
    data : bytes
        Its bytes.
    journal : str
        Which journal it stands in: ``models/<folder>``.
    signers : tuple of Signer
        Those who are listed.
    where : str
        The store, for messages.

    Returns
    -------
    Verdict
        A signature of a revoked signer counts up to the entry that was the last when it was revoked.
    """
    what = f"Entry {entry.seq} ({entry.kind}) of {journal} in {where}"
    if entry.signature is None:
        return Verdict(None, SignatureMissing(f"{what} is not signed, by {entry.by.get('actor')} as it says."))
    key, value = (str(entry.signature.get(part)) for part in ("key", "value"))
    if not signing.verified(key, value, statement(data, journal)):
        return Verdict(None, SignatureInvalid(f"{what} carries a signature of {key} that is not over this entry."))
    listed = sorted((signer for signer in signers if signer.key == key), key=lambda signer: signer.revoked is None)
    if not listed:
        names = ", ".join(signer.name for signer in signers) or "nobody"
        return Verdict(
            None,
            SignerUnknown(
                f"{what} is signed by {key}, which is not listed for this store; listed: {names}. If it is a "
                f"colleague's, ask them, then run: mlops-kit trust add {shlex.quote(where)} --signer NAME={key}"
            ),
        )
    for signer in listed:  # where one address lists a key and another has revoked it, the revocation counts
        if signer.revoked is not None and entry.seq > signer.until.get(journal, (0, ""))[0]:
            error = f"{what} is signed by {signer.name}, whose key was revoked as of {signer.revoked}."
            return Verdict(signer, SignerRevoked(error))
    return Verdict(listed[0])


@dataclass(frozen=True, slots=True)
class Rule:
    """That every entry of a journal must be signed, as the user demands of a store.

    Parameters
    ----------
    url : str
        The store.
    journal : str
        Which journal: ``models/<folder>``.
    trust : StoreTrust
        What the user trusts in the store.
    """

    url: str
    journal: str
    trust: StoreTrust

    def admit(self, entry: Entry, data: bytes) -> None:
        """Pass an entry, read in order from the first, or say why it does not count.

        Raises
        ------
        SignatureError
            It is not signed as it must be.
        IntegrityError
            It is not the entry that was pinned.
        """
        last, _ = self.trust.pinned.get(self.journal, (0, ""))
        for number, known in self._pins():
            if entry.seq == number and tip(data) != known:
                raise IntegrityError(
                    f"Entry {number} of {self.journal} in {self.url} is not the one that your settings pinned: the "
                    "journal was rewritten. Compare with a copy of the store."
                )
        if entry.seq > last:
            error = judge(entry, data, self.journal, self.trust.signers, where=self.url).error
            if error is not None:
                ask = "See mlops-kit audit; how to go on is in the how-to 'Trust, sign and audit'."
                raise type(error)(f"{error} {ask}")

    def conclude(self, last: int) -> None:
        """Say that a journal ends before an entry that was pinned.

        Raises
        ------
        IntegrityError
            It does.
        """
        longest = max((number for number, _ in self._pins()), default=0)
        if last < longest:
            raise IntegrityError(
                f"{self.journal} in {self.url} ends at entry {last}, and your settings pinned entry {longest}: "
                "the newest entries were removed. Restore them from a copy of the store."
            )

    def _pins(self) -> list[tuple[int, str]]:
        own = self.trust.pinned.get(self.journal)
        kept = [signer.until[self.journal] for signer in self.trust.signers if self.journal in signer.until]
        return kept if own is None else [own, *kept]


class Guard:
    """Signs what this user writes to a journal, and tells what they demand of it.

    Parameters
    ----------
    url : str
        The store.
    journal : str
        Which journal: ``models/<folder>``.
    """

    def __init__(self, url: str, journal: str) -> None:
        self._url = url
        self._journal = journal

    def rule(self) -> Rule | None:
        """Give what must hold of the journal; None if the user demands nothing."""
        trust = trusted.trusted_of(self._url)
        return Rule(self._url, self._journal, trust) if trust.required else None

    def signed(self, entry: Entry) -> Entry:
        """Sign an entry with the user's key, if there is one.

        Raises
        ------
        SignatureError
            The user demands signatures of this store, and has no key, or one that is not listed.
        """
        key = signing.SigningKey.current()
        if key is not None:
            entry = entry.signed(key.sign(statement(entry.encode(), self._journal)))
        rule = self.rule()
        if rule is None:
            return entry
        if key is None:
            raise SignatureMissing(
                f"Nothing unsigned may be written to {self._url}, and you have no signing key. Make one, and list it: "
                "mlops-kit trust key --new"
            )
        error = judge(entry, entry.encode(), self._journal, rule.trust.signers, where=self._url).error
        if error is not None:
            raise error
        return entry
