"""Whose bytes may run as code here.

Unpickling runs code, so who wrote an object matters more than its hash. Trusted is what this very process
pickled, and what lies in a local store that this user made there and that nobody else may write. Any other store
is trusted by name, in the user's settings or in ``MLOPS_KIT_TRUST``, or one object by its digest in
``allow_code=``, or by the signature of somebody whom the user lists.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import UntrustedArtifact
from mlops_kit.records import codec
from mlops_kit.records.entry import tip
from mlops_kit.records.trust import covers
from mlops_kit.store import keys, made, serializers, trusted
from mlops_kit.store.backend import Backend, Judged, read_judged
from mlops_kit.store.journal import Journal
from mlops_kit.store.signers import judge
from mlops_kit.store.verdict import Facts, decide

if TYPE_CHECKING:
    from mlops_kit.store.store import Store

VARIABLE = "MLOPS_KIT_TRUST"


def load_trusted(
    store: Store,
    found: Judged,
    *,
    digest: str,
    format: str,  # noqa: A002 - the field's word
    what: str,
    allow_code: str | None = None,
    named_in: Collection[str] = (),
    doubt: Callable[[], str | None] = lambda: "",
) -> Any:
    """Read an object from bytes that were verified, if nothing of it runs here without trust.

    Parameters
    ----------
    store : Store
        The store that holds it.
    found : Judged
        Its bytes, as `Objects.get_judged` returns them: read through the file and folders that were judged.
    digest : str
        ``sha256:<hex>`` of the bytes.
    format : str
        How they are read, as the record says; no other format is tried.
    what : str
        What it is, for messages.
    allow_code : str, optional
        The digest that the caller has decided to trust.
    named_in : collection of str
        Keys of the records that name the object: who may write them can have any object loaded.
    doubt : callable, optional
        Says why no listed signer vouches for the object, in a sentence or not at all; None if one does.

    Returns
    -------
    object
        The object.

    Raises
    ------
    UntrustedArtifact
        Reading it would run code, and nobody vouches for it; the message holds the exact line that would.
    """
    form = serializers.serializer(format)
    why = form.code_in(found.data, what=what, url=store.url)
    if why is not None:
        verdict = decide(_facts(store, found, digest, allow_code, named_in))
        if not verdict.trusted:
            _require_vouching(doubt(), f"The {what} {why}, and {verdict.why}", digest, store.url)
    return form.load(found.data, what=what)


def _facts(store: Store, found: Judged, digest: str, allow_code: str | None, named_in: Collection[str]) -> Facts:
    """Collect what is known, and read nothing where the first of it decides."""
    first = Facts(
        pickled_here=digest in serializers.pickled,
        allowed=allow_code == digest,
        listed=trusted_by_name(store.url) or trusted.trusted_of(store.url).code,
    )
    if decide(replace(first, exposed="")).trusted:
        return first
    if found.exposed is not None:
        return replace(first, exposed=found.exposed)
    records = [judged for key in dict.fromkeys(named_in) if (judged := read_judged(store.backend, key)) is not None]
    exposed = next((each.exposed for each in records if each.exposed is not None), None)
    if exposed is None and records and not any(digest.encode() in each.data for each in records):
        exposed = "the record that named it is another now"
    unmade = None if exposed is not None or found.root is None else unmade_in(store.backend, found.root)
    return replace(first, exposed=exposed, unmade=unmade)


def unmade_in(backend: Backend, root: str) -> str | None:
    """Return why a store is not known as one that this user made at its root; None if it is."""
    record = read_judged(backend, keys.STORE)
    if record is None:
        return made.why_not(None, root)
    if record.exposed is not None:
        return f"somebody else could have written {keys.STORE}: {record.exposed}"
    return made.why_not(str(codec.unseal(record.data, where=keys.STORE, kind="store").get("id")), root)


def _require_vouching(unsigned: str | None, begin: str, digest: str, url: str) -> None:
    """Refuse what no listed signer vouches for."""
    if unsigned is None:
        return
    raise UntrustedArtifact(
        f"{begin}. If you trust everybody who may write to the store, run: mlops-kit trust add {shlex.quote(url)} (or "
        f"set {VARIABLE}='{url}' in the environment). If you trust this one object, pass allow_code='{digest}'. "
        f"{unsigned}".rstrip()
    )


def doubt_of(journal: Journal, seq: int, digest: str, *, url: str) -> str | None:
    """Say why no signer that the user lists vouches for an object.

    Parameters
    ----------
    journal : Journal
        Where the object is named.
    seq : int
        The entry that names it.
    digest : str
        Of the object.
    url : str
        The store.

    Returns
    -------
    str or None
        None if one does; empty if none is listed.
    """
    signers = trusted.trusted_of(url).signers
    if not signers:
        return ""
    entry, data = journal.record(seq)
    verdict = judge(entry, data, journal.place, signers, where=url)
    if verdict.signer is None or verdict.error is not None:
        return str(verdict.error)
    if entry.body.get("object") != digest:
        return f"Entry {seq} of {journal.place} names another object."
    if verdict.signer.revoked is not None and not _leads_to(journal, seq, *verdict.signer.until[journal.place]):
        return f"The entries of {verdict.signer.name} are no longer those that stood there when the key was revoked."
    return None


def trusted_by_name(url: str) -> bool:
    """Tell whether ``MLOPS_KIT_TRUST`` lists a store, or a folder above it.

    Parameters
    ----------
    url : str
        The store's address.

    Returns
    -------
    bool
        True if one of the whitespace-separated prefixes ends at a path boundary of `url`.

    Examples
    --------
    >>> os.environ[VARIABLE] = "s3://team/models /srv/mlops"
    >>> trusted_by_name("s3://team/models/fraud"), trusted_by_name("s3://team/models-evil")
    (True, False)
    >>> del os.environ[VARIABLE]
    """
    listed = os.environ.get(VARIABLE, "").strip()
    # the whole of it too: a folder may have spaces in its name
    return any(covers(prefix, url) for prefix in (listed, *listed.split()))


def _leads_to(journal: Journal, start: int, stop: int, digest: str) -> bool:
    """Return whether an entry is followed, without a break, by one of a certain digest."""
    expected = None
    for seq in range(start, stop + 1):
        entry, data = journal.record(seq)
        if expected is not None and entry.prev != expected:
            return False
        expected = tip(data)
    return expected == digest
