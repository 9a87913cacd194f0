"""From a remote address to its backend, importing a provider's library only when the first request is made."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from mlops_kit.errors import InvalidInput, StoreError
from mlops_kit.store.drive import SINGLE_WRITER, Drive
from mlops_kit.store.remote import RemoteBackend

_EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), ("s3", "botocore")),
    **dict.fromkeys(("gs", "gcs"), ("gcs", "google.auth")),
    **dict.fromkeys(("abfs", "abfss", "az"), ("azure", "azure.storage.blob")),
    "sftp": ("sftp", "paramiko"),
}
_MEANS = {"s3": "if-none-match", "gcs": "generation-match", "azure": "if-none-match", "sftp": "rename"}
_PASSWORD = re.compile(r"(://[^/@\s:]*):[^/\s]*@")
_QUERY = re.compile(r"[?#].*")


def remote(url: str) -> RemoteBackend:
    """Make the backend for an address with a remote scheme.

    Parameters
    ----------
    url : str
        ``s3://bucket/folder``, ``gs://bucket/folder``, ``az://container/folder``,
        ``abfs://container@account.dfs.core.windows.net/folder``, ``sftp://user@host/folder``, or any other scheme
        that fsspec knows, for one writer at a time.

    Returns
    -------
    RemoteBackend
        Nothing is read or written yet.

    Raises
    ------
    InvalidInput
        The address is incomplete, holds a password, or has an unknown scheme.
    StoreError
        The extra that the scheme needs is not installed.

    Examples
    --------
    >>> remote("s3://:secret@bucket")
    Traceback (most recent call last):
    ...
    mlops_kit.errors.InvalidInput: 's3://********@bucket' holds a password, and addresses are written to records and \
messages. Give it to the provider's own configuration instead.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{_shown(url)!r} is not the address of a store: {error}.") from error
    if parts.password is not None or parts.query or parts.fragment:
        what = "a password" if parts.password is not None else "a query or fragment"
        raise InvalidInput(
            f"{_shown(url)!r} holds {what}, and addresses are written to records and messages. "
            "Give it to the provider's own configuration instead."
        )
    if parts.scheme not in _EXTRAS:
        return _generic(url, parts.scheme)
    extra, library = _EXTRAS[parts.scheme]
    if not parts.hostname:
        raise InvalidInput(f"{url!r} names no bucket, container or host: write {parts.scheme}://name/folder.")
    if not _is_installed(library):
        raise StoreError(
            f"The store {url} needs a library that is not installed ({library}). "
            f"Install it: pip install 'mlops-kit[{extra}]'"
        )
    path = "/".join(name for name in parts.path.split("/") if name)
    clean = f"{parts.scheme}://{parts.netloc}{'/' if path else ''}{path}"
    return RemoteBackend(clean, _drive(extra, parts, f"{path}/" if path else "", port), _MEANS[extra])


def _drive(extra: str, parts: SplitResult, root: str, port: int | None) -> Callable[[], Drive]:
    """Choose how to connect; each provider's module is imported by the one who uses it."""
    host = parts.netloc.rpartition("@")[2]

    def s3() -> Drive:
        from mlops_kit.store.s3 import S3Drive  # noqa: PLC0415

        return S3Drive(host, root)

    def gcs() -> Drive:
        from mlops_kit.store.gcs import GCSDrive  # noqa: PLC0415

        return GCSDrive(host, root)

    def azure() -> Drive:
        from mlops_kit.store.azure import AzureDrive  # noqa: PLC0415

        if parts.username:
            return AzureDrive(parts.username, root, host.replace(".dfs.", ".blob."))
        return AzureDrive(host, root)

    def sftp() -> Drive:
        from mlops_kit.store.sftp import SFTPDrive  # noqa: PLC0415

        return SFTPDrive(parts.hostname or host, f"/{root}", parts.username, port)

    return {"s3": s3, "gcs": gcs, "azure": azure, "sftp": sftp}[extra]


def _generic(url: str, scheme: str) -> RemoteBackend:
    from fsspec import available_protocols  # noqa: PLC0415 - only addresses of an unusual kind need the list

    if scheme not in available_protocols():
        raise InvalidInput(
            f"{url!r} has the unknown scheme {scheme!r}. Stores live in a folder, in memory://name, s3://, gs://, "
            "az://, abfs://, sftp://, or another file system that fsspec knows, for one writer at a time."
        )

    def generic() -> Drive:
        from mlops_kit.store.generic import GenericDrive  # noqa: PLC0415

        return GenericDrive(url.rstrip("/"))

    return RemoteBackend(url.rstrip("/"), generic, SINGLE_WRITER)


def _is_installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except ModuleNotFoundError:
        return False


def _shown(url: str) -> str:
    return _QUERY.sub("?…", _PASSWORD.sub(r"\1:…@", url))
