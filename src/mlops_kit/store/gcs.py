"""Google Cloud Storage by its JSON interface; put-if-absent is ``ifGenerationMatch=0``.

The requests are few and plain, and each answer's status and ``Date`` are wanted, so they are sent directly with
google-auth: the client library would retry on its own and hide both.
"""

from __future__ import annotations

import functools
import os
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

import google.auth
import requests
from google.auth import exceptions as auth_failures
from google.auth.transport.requests import AuthorizedSession

from mlops_kit.store.backend import Found
from mlops_kit.store.drive import Page, Trouble, by_status, http_time
from mlops_kit.store.patience import answer_seconds, connect_seconds

EMULATOR = "STORAGE_EMULATOR_HOST"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_NOT_SO_LONG = 416
_UNLESS_THERE = {"ifGenerationMatch": "0"}
_ERRORS: dict[type[Exception], Trouble] = {
    auth_failures.DefaultCredentialsError: Trouble.CREDENTIALS,
    auth_failures.RefreshError: Trouble.EXPIRED,
    auth_failures.TransportError: Trouble.UNREACHABLE,
    auth_failures.GoogleAuthError: Trouble.CREDENTIALS,
    requests.ConnectTimeout: Trouble.UNREACHABLE,
    requests.exceptions.ChunkedEncodingError: Trouble.BUSY,
    requests.exceptions.JSONDecodeError: Trouble.BUSY,
    requests.Timeout: Trouble.BUSY,
    requests.ConnectionError: Trouble.UNREACHABLE,
}


class GCSDrive:
    """Objects below a prefix of a bucket.

    Credentials come from where Google's tools take them (application default credentials);
    ``STORAGE_EMULATOR_HOST`` names another endpoint, which is asked without credentials.

    Parameters
    ----------
    bucket : str
        Its name.
    root : str
        Empty, or a prefix that ends with ``/``.
    """

    means: ClassVar[str] = "generation-match"
    remedies: ClassVar[dict[Trouble, str]] = {
        Trouble.NO_PLACE: "Create the bucket, or correct the address.",
        Trouble.CREDENTIALS: "Run `gcloud auth application-default login`, or let GOOGLE_APPLICATION_CREDENTIALS "
        "name a key file.",
        Trouble.EXPIRED: "Renew them: `gcloud auth application-default login`.",
        Trouble.DENIED: "A store needs the role Storage Object User (roles/storage.objectUser) on the bucket.",
        Trouble.UNREACHABLE: f"Check the network, and {EMULATOR} if it is set.",
        Trouble.BUSY: "Try again later.",
    }

    def __init__(self, bucket: str, root: str) -> None:
        self._root = root
        host = os.environ.get(EMULATOR, "").rstrip("/")
        self._is_emulated = bool(host)
        self._host = (host if "://" in host else f"http://{host}") if host else "https://storage.googleapis.com"
        self._bucket = f"b/{quote(bucket, safe='')}"

    def read(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Read a value, or a part of it."""
        part = {} if end is None else {"Range": f"bytes={begin}-{end - 1}"}
        answer = self._request("GET", self._at(key), {"alt": "media"}, headers=part)
        if answer.status_code == _NOT_SO_LONG:
            return b""
        if not answer.ok:
            raise _refusal(answer)
        return bytes(answer.content)

    def write(self, key: str, data: bytes) -> None:
        """Write a value over what is there."""
        self._put(key, data, {})

    def write_new(self, key: str, data: bytes) -> None:
        """Write a value unless there is one."""
        self._put(key, data, _UNLESS_THERE)

    def remove(self, key: str) -> None:
        """Remove a value."""
        self._ask("DELETE", self._at(key))

    def look(self, key: str) -> Found:
        """Tell size and time of a value."""
        return self._found(self._ask("GET", self._at(key), {"fields": "name,size,updated"}).json())

    def refresh(self, key: str) -> None:
        """Rewrite a value onto itself, which gives it a new time; a large one takes several requests."""
        place = self._at(key)
        token: dict[str, str] = {}
        while True:
            answer = self._ask("POST", f"{place}/rewriteTo/{place}", token).json()
            if answer["done"]:
                return
            token = {"rewriteToken": answer["rewriteToken"]}

    def page(self, prefix: str, token: str | None, *, deep: bool) -> Page:
        """List a thousand objects, or folders."""
        start = self._root + prefix
        parameters = {"prefix": start, "fields": "nextPageToken,prefixes,items(name,size,updated)"}
        if not deep:
            parameters["delimiter"] = "/"
        if token is not None:
            parameters["pageToken"] = token
        answer = self._ask("GET", f"{self._bucket}/o", parameters).json()
        found = [self._found(one) for one in answer.get("items", ()) if not one["name"].endswith("/")]
        folders = [name.removeprefix(start).rstrip("/") for name in answer.get("prefixes", ())]
        return Page(found, folders, answer.get("nextPageToken"))

    def clock(self) -> float:
        """Read the time of an answer, whatever else it says."""
        answer = self._request("GET", self._at("store.json"), {"fields": "name"})
        if "Date" not in answer.headers:
            raise _refusal(answer)
        return http_time(answer.headers["Date"])

    def judge(self, error: Exception) -> Trouble:
        """Tell what an exception of requests or google-auth means."""
        if isinstance(error, requests.HTTPError) and error.response is not None:
            trouble = by_status(error.response.status_code)
            no_bucket = trouble is Trouble.ABSENT and "bucket does not exist" in str(error)
            return Trouble.NO_PLACE if no_bucket else trouble
        return next((trouble for kind, trouble in _ERRORS.items() if isinstance(error, kind)), Trouble.OTHER)

    def close(self) -> None:
        """Close the pooled connections."""
        if "_session" in self.__dict__:
            self._session.close()

    @functools.cached_property
    def _session(self) -> requests.Session:
        if self._is_emulated:
            return requests.Session()
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        session: requests.Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call] # google-auth's gap
        return session

    def _at(self, key: str) -> str:
        return f"{self._bucket}/o/{quote(self._root + key, safe='')}"

    def _put(self, key: str, data: bytes, condition: dict[str, str]) -> None:
        parameters = {"uploadType": "media", "name": self._root + key, **condition}
        self._ask("POST", f"{self._bucket}/o", parameters, data)

    def _ask(
        self, method: str, place: str, parameters: dict[str, str] | None = None, data: bytes | None = None
    ) -> requests.Response:
        answer = self._request(method, place, parameters, data)
        if not answer.ok:
            raise _refusal(answer)
        return answer

    def _request(
        self,
        method: str,
        place: str,
        parameters: dict[str, str] | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        answer = self._session.request(
            method,
            f"{self._host}{'' if data is None else '/upload'}/storage/v1/{place}",
            params=parameters,
            data=data,
            headers=headers if data is None else {"Content-Type": "application/octet-stream"},
            timeout=(connect_seconds(), answer_seconds()),
        )
        length = answer.headers.get("Content-Length")
        if length is not None and "Content-Encoding" not in answer.headers and len(answer.content) != int(length):
            raise requests.exceptions.ChunkedEncodingError(
                f"{len(answer.content)} of {length} bytes of the answer came"
            )
        return answer

    def _found(self, resource: dict[str, Any]) -> Found:
        updated = datetime.fromisoformat(resource["updated"])
        return Found(resource["name"].removeprefix(self._root), int(resource["size"]), updated.timestamp())


def _refusal(answer: requests.Response) -> requests.HTTPError:
    try:
        reason = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        reason = answer.text or answer.reason
    return requests.HTTPError(f"{answer.status_code} {reason}", response=answer)
