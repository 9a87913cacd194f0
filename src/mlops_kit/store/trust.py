"""Whose bytes may run as code here.

Unpickling runs code, so who wrote an object matters more than its hash. Trusted is what this very process
wrote, and what lies in a local store that belongs to this user and that nobody else may write. Any other store
is trusted by name, in the user's settings or in ``MLOPS_KIT_TRUST``, or one object by its digest in
``allow_code=``.
"""

from __future__ import annotations

import os
import shlex
from typing import Any

from mlops_kit.errors import UntrustedArtifact
from mlops_kit.records.trust import covers
from mlops_kit.store import keys, objects, trusted
from mlops_kit.store.backend import Backend
from mlops_kit.store.serializers import serializer

VARIABLE = "MLOPS_KIT_TRUST"


def require_trust(
    backend: Backend, digest: str, *, what: str, why: str, allow_code: str | None = None, named_in: str | None = None
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
    named_in : str, optional
        The folder of the records that name the object: who may write there can have any object loaded.

    Raises
    ------
    UntrustedArtifact
        Nobody vouches for it; the message holds the exact line that would.
    """
    if digest in objects.written or allow_code == digest or trusted_by_name(backend.url):
        return
    key = keys.object_key(digest)
    if backend.is_private(key) and (named_in is None or backend.is_private(named_in)):
        return
    if trusted.trusted_of(backend.url).code:
        return
    raise UntrustedArtifact(
        f"The {what} {why}, and this user does not own {key} in {backend.url} alone: somebody else could have "
        f"written it. If you trust everybody who may write to the store, run: "
        f"mlops-kit trust {shlex.quote(backend.url)} (or set {VARIABLE}='{backend.url}' in the environment). If you "
        f"trust this one object, pass allow_code='{digest}'."
    )


def load_trusted(
    backend: Backend,
    data: bytes,
    *,
    digest: str,
    format: str,  # noqa: A002 - the field's word
    what: str,
    allow_code: str | None = None,
    named_in: str | None = None,
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
    allow_code, named_in : str, optional
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
        require_trust(backend, digest, what=what, why=why, allow_code=allow_code, named_in=named_in)
    return form.load(data, what=what)


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
