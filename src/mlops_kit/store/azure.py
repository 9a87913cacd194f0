"""Azure Blob Storage; put-if-absent is an upload that may not overwrite (``If-None-Match: *``)."""

from __future__ import annotations

import functools
import os
from typing import Any, ClassVar

from azure.core import exceptions as failures
from azure.storage.blob import BlobClient, BlobPrefix, BlobServiceClient, ContainerClient

from mlops_kit.store.backend import Found
from mlops_kit.store.drive import Page, Trouble, by_status, http_time
from mlops_kit.store.patience import answer_seconds, connect_seconds

CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
KEY = "AZURE_STORAGE_ACCOUNT_KEY"
SIGNATURE = "AZURE_STORAGE_SAS_TOKEN"
_PAGE = 1000
_NOT_SO_LONG = 416
_REFUSAL = 400
_CUT = (failures.ServiceResponseError, failures.IncompleteReadError, failures.DecodeError)
_CODES = {
    "ContainerNotFound": Trouble.NO_PLACE,
    "ContainerBeingDeleted": Trouble.NO_PLACE,
    "InvalidResourceName": Trouble.NO_PLACE,
    "ContainerDisabled": Trouble.NO_PLACE,
    "AuthenticationFailed": Trouble.CREDENTIALS,
    "InvalidAuthenticationInfo": Trouble.CREDENTIALS,
    "NoAuthenticationInformation": Trouble.CREDENTIALS,
}


class AzureDrive:
    """Blobs below a prefix of a container.

    Credentials come from the variables `AZURE_STORAGE_*`: a connection string, else the account's name with its
    key or a shared access signature, else whatever `azure.identity.DefaultAzureCredential` finds.

    Parameters
    ----------
    container : str
        Its name.
    root : str
        Empty, or a prefix that ends with ``/``.
    account : str, optional
        The host of the account's blobs, if the address names it.
    """

    means: ClassVar[str] = "if-none-match"
    remedies: ClassVar[dict[Trouble, str]] = {
        Trouble.NO_PLACE: "Create the container, or correct the address.",
        Trouble.CREDENTIALS: f"Set {CONNECTION}, or {ACCOUNT} with {KEY} or {SIGNATURE}, or run `az login`.",
        Trouble.EXPIRED: f"Renew the shared access signature in {SIGNATURE} or {CONNECTION}, or run `az login`.",
        Trouble.DENIED: "A store needs the role Storage Blob Data Contributor on the container, or a signature "
        "with the permissions read, add, create, write, delete and list.",
        Trouble.UNREACHABLE: f"Check the network, and the account in the address, {CONNECTION} or {ACCOUNT}.",
        Trouble.BUSY: "Try again later.",
    }

    def __init__(self, container: str, root: str, account: str | None = None) -> None:
        self._name = container
        self._root = root
        self._account = account

    def read(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Read a value, or a part of it."""
        length = None if end is None else end - begin
        try:
            return bytes(self._at(key).download_blob(None if end is None else begin, length).readall())
        except failures.HttpResponseError as error:
            if error.status_code != _NOT_SO_LONG:
                raise
            return b""

    def write(self, key: str, data: bytes) -> None:
        """Write a value over what is there."""
        self._at(key).upload_blob(data, overwrite=True)

    def write_new(self, key: str, data: bytes) -> None:
        """Write a value unless there is one."""
        self._at(key).upload_blob(data, overwrite=False)

    def remove(self, key: str) -> None:
        """Remove a value."""
        self._at(key).delete_blob()

    def look(self, key: str) -> Found:
        """Tell size and time of a value."""
        blob = self._at(key).get_blob_properties()
        return Found(key, blob.size, blob.last_modified.timestamp())

    def refresh(self, key: str) -> None:
        """Set a value's metadata to what they are, which gives it a new time."""
        blob = self._at(key)
        blob.set_blob_metadata(blob.get_blob_properties().metadata)

    def page(self, prefix: str, token: str | None, *, deep: bool) -> Page:
        """List a thousand blobs, or folders."""
        start = self._root + prefix
        options: dict[str, Any] = {"name_starts_with": start, "results_per_page": _PAGE}
        pages: Any  # iterators of two kinds, with a continuation token that their types do not tell
        if deep:
            pages = self._container.list_blobs(include=["metadata"], **options).by_page(token)
        else:
            pages = self._container.walk_blobs(delimiter="/", **options).by_page(token)
        listed = list(next(pages, ()))
        found = [
            Found(blob.name.removeprefix(self._root), blob.size, blob.last_modified.timestamp())
            for blob in listed
            if deep and "hdi_isfolder" not in (blob.metadata or {})  # folders are blobs in a hierarchical account
        ]
        folders = [blob.name.removeprefix(start).rstrip("/") for blob in listed if isinstance(blob, BlobPrefix)]
        return Page(found, folders, pages.continuation_token or None)

    def clock(self) -> float:
        """Read the time of an answer, whatever else it says."""
        dates: list[str] = []
        try:
            self._at("store.json").get_blob_properties(
                raw_response_hook=lambda answer: dates.append(answer.http_response.headers["Date"])
            )
        except failures.HttpResponseError as error:
            answer: Any = error.response
            if answer is None:
                raise
            dates.append(answer.headers["Date"])
        return http_time(dates[0])

    def judge(self, error: Exception) -> Trouble:
        """Tell what an exception of Azure's libraries means."""
        if isinstance(error, failures.ServiceRequestError):
            return Trouble.UNREACHABLE
        if isinstance(error, _CUT) or (isinstance(error, failures.HttpResponseError) and error.status_code is None):
            return Trouble.BUSY
        if isinstance(error, failures.HttpResponseError) and error.status_code is not None:
            named = getattr(error, "error_code", None)  # a member of an enumeration, or a string it does not list
            code = str(getattr(named, "value", named))
            if code == "AuthenticationFailed" and "not valid in the specified time frame" in str(error):
                return Trouble.EXPIRED
            return _CODES.get(code) or by_status(error.status_code)
        if isinstance(error, failures.ClientAuthenticationError | _NoAccount):
            return Trouble.CREDENTIALS
        return Trouble.OTHER

    def close(self) -> None:
        """Close the pooled connections."""
        if "_container" in self.__dict__:
            self._container.close()

    def _at(self, key: str) -> BlobClient:
        return self._container.get_blob_client(self._root + key)

    @functools.cached_property
    def _container(self) -> ContainerClient:
        return self._service().get_container_client(self._name)

    def _service(self) -> BlobServiceClient:
        connection, name = os.environ.get(CONNECTION), os.environ.get(ACCOUNT)
        if connection:
            return BlobServiceClient.from_connection_string(connection, **_options())
        host = self._account or (f"{name}.blob.core.windows.net" if name else None)
        if host is None:
            raise _NoAccount("neither the address nor the environment names a storage account")
        credential: Any = os.environ.get(KEY) or os.environ.get(SIGNATURE)
        if credential is None:
            from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - slow, and seldom needed

            credential = DefaultAzureCredential()
        return BlobServiceClient(f"https://{host}", credential, **_options())


def _options() -> dict[str, Any]:
    return {
        "retry_total": 0,
        "connection_timeout": connect_seconds(),
        "read_timeout": answer_seconds(),
        "raw_response_hook": _refuse_if_cut,
    }


def _refuse_if_cut(answer: Any) -> None:
    """Take a refusal for a failed request if a part of its body is missing; Azure's library looks at the others."""
    response = answer.http_response
    length = response.headers.get("Content-Length")
    if response.status_code < _REFUSAL or response.request.method == "HEAD" or length is None:
        return
    if len(response.body()) != int(length):
        raise failures.IncompleteReadError(f"{len(response.body())} of {length} bytes of the answer came")


class _NoAccount(Exception):
    """Nothing names the storage account."""
