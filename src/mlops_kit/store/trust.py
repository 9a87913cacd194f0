"""Whose bytes may run as code here.

Unpickling runs code, so who wrote an object matters more than its hash. Trusted is what this very process
pickled, and what lies in a local store that belongs to this user and that nobody else may write. Any other store
is trusted by name, in the user's settings or in ``MLOPS_KIT_TRUST``, or one object by its digest in
``allow_code=``, or by the signature of somebody whom the user lists.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection
from typing import Any

from mlops_kit.errors import UntrustedArtifact
from mlops_kit.records.entry import tip
from mlops_kit.records.trust import covers
from mlops_kit.store import keys, serializers, trusted
from mlops_kit.store.backend import Backend
from mlops_kit.store.journal import Journal
from mlops_kit.store.serializers import serializer
from mlops_kit.store.signers import judge

VARIABLE = "MLOPS_KIT_TRUST"


def require_trust(
    backend: Backend,
    digest: str,
    *,
    what: str,
    why: str,
    allow_code: str | None = None,
    named_in: Collection[str] = (),
    doubt: Callable[[], str | None] = lambda: "",
) -> None:
    """Pass if an object may run code in this process.

    Parameters
    ----------
    backend : Backend
        The store that holds it.
    digest : str
        ``sha256:<hex>`` of its bytes.
    what : str
        What it is, for the message.
    why : str
        What of it would run code, for the message.
    allow_code : str, optional
        The digest that the caller has decided to trust.
    named_in : collection of str
        Keys of the records that name the object: who may write them can have any object loaded.
    doubt : callable, optional
        Says why no listed signer vouches for the object, in a sentence or not at all; None if one does.

    Raises
    ------
    UntrustedArtifact
        Nobody vouches for it; the message holds the exact line that would.
    """
    if digest in serializers.pickled or allow_code == digest or trusted_by_name(backend.url):
        return
    key = keys.object_key(digest)
    if all(map(backend.is_private, (key, *named_in))):
        return
    if trusted.trusted_of(backend.url).code:
        return
    unsigned = doubt()
    if unsigned is None:
        return
    raise UntrustedArtifact(
        f"The {what} {why}, and this user does not own {key} in {backend.url} alone: somebody else could have "
        f"written it. If you trust everybody who may write to the store, run: "
        f"mlops-kit trust {shlex.quote(backend.url)} (or set {VARIABLE}='{backend.url}' in the environment). If you "
        f"trust this one object, pass allow_code='{digest}'. {unsigned}".rstrip()
    )


def load_trusted(
    backend: Backend,
    data: bytes,
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
    backend : Backend
        The store that holds it.
    data : bytes
        Its bytes.
    digest : str
        Of the bytes.
    format : str
        How they are read, as the record says; no other format is tried.
    what : str
        What it is, for messages.
    allow_code, named_in, doubt : optional
        As for `require_trust`.

    Returns
    -------
    object
        The object.

    Raises
    ------
    UntrustedArtifact
        Reading it would run code, and nobody vouches for it.
    """
    form = serializer(format)
    why = form.code_in(data, what=what, url=backend.url)
    if why is not None:
        require_trust(backend, digest, what=what, why=why, allow_code=allow_code, named_in=named_in, doubt=doubt)
    return form.load(data, what=what)


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
