"""Any other file system that fsspec knows, for one writer at a time.

fsspec's ``mode="create"`` is not relied on: most implementations look first and write then.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from fsspec.core import url_to_fs
from fsspec.spec import AbstractFileSystem

from mlops_kit.store.backend import Found
from mlops_kit.store.drive import SINGLE_WRITER, Page, Trouble, by_status

_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "created", "modify")


class GenericDrive:
    """Files below a folder of a file system of fsspec.

    Parameters
    ----------
    url : str
        As fsspec takes it, without a slash at its end. Options come from fsspec's configuration.
    """

    means: ClassVar[str] = SINGLE_WRITER
    remedies: ClassVar[dict[Trouble, str]] = {
        Trouble.UNREACHABLE: "Check the network and the address.",
        Trouble.DENIED: "Check who may write there, and the options in fsspec's configuration.",
    }

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Read a value, or a part of it."""
        part = {} if end is None else {"start": begin, "end": end}
        return self._system.cat_file(self._at(key), **part)

    def write(self, key: str, data: bytes) -> None:
        """Write a value over what is there, as whole as the file system does it."""
        path = self._at(key)
        try:
            self._system.pipe_file(path, data)
        except FileNotFoundError:
            self._system.makedirs(os.path.dirname(path), exist_ok=True)
            self._system.pipe_file(path, data)

    def write_new(self, key: str, data: bytes) -> None:
        """Refuse: there is no way that excludes a second writer."""
        raise NotImplementedError(f"no put-if-absent for {key}")

    def remove(self, key: str) -> None:
        """Remove a value."""
        self._system.rm_file(self._at(key))

    def look(self, key: str) -> Found:
        """Tell size and time of a value."""
        info = self._system.info(self._at(key))
        if info["type"] != "file":
            raise FileNotFoundError(key)
        return _found(key, info)

    def refresh(self, key: str) -> None:
        """Write a value again."""
        self.write(key, self.read(key))

    def page(self, prefix: str, token: str | None, *, deep: bool) -> Page:  # noqa: ARG002 - one page holds all
        """List everything."""
        folder = self._at(prefix).rstrip("/")
        if deep:
            listed = self._system.find(folder, detail=True)
            below = len(self._at(""))
            return Page([_found(path[below:], info) for path, info in listed.items() if path != folder], [], None)
        folders = (one["name"] for one in self._system.ls(folder, detail=True) if one["type"] == "directory")
        return Page([], [os.path.basename(name.rstrip("/")) for name in folders], None)

    def clock(self) -> float:
        """Tell the time of this machine: not every file system dates its files."""
        return time.time()

    def judge(self, error: Exception) -> Trouble:
        """Tell what an exception means, as far as the builtin errors say it."""
        status = getattr(error, "status", None)
        if isinstance(status, int):
            return by_status(status)
        return next((trouble for kind, trouble in _ERRORS if isinstance(error, kind)), Trouble.OTHER)

    def close(self) -> None:
        """Nothing: fsspec closes its sessions itself."""

    @functools.cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        return url_to_fs(self._url, use_listings_cache=False, skip_instance_cache=True)

    @property
    def _system(self) -> AbstractFileSystem:
        return self._opened[0]

    def _at(self, key: str) -> str:
        return f"{self._opened[1].rstrip('/')}/{key}"


_ERRORS: tuple[tuple[type[Exception], Trouble], ...] = (
    (FileNotFoundError, Trouble.ABSENT),
    (NotADirectoryError, Trouble.ABSENT),
    (FileExistsError, Trouble.TAKEN),
    (PermissionError, Trouble.DENIED),
    (ConnectionRefusedError, Trouble.UNREACHABLE),
    (ConnectionError, Trouble.BUSY),
    (TimeoutError, Trouble.BUSY),
    (EOFError, Trouble.BUSY),
    (NotImplementedError, Trouble.UNSUPPORTED),
)


def _found(key: str, info: Mapping[str, Any]) -> Found:
    modified = next((_seconds(info[name]) for name in _TIMES if info.get(name)), 0.0)
    return Found(key, int(info.get("size") or 0), modified)


def _seconds(moment: Any) -> float:
    """Read the time of a file in one of the forms that file systems give it: seconds, datetime, ISO 8601."""
    if isinstance(moment, int | float):
        return float(moment)
    if not isinstance(moment, datetime):
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(str(moment))
    if not isinstance(moment, datetime):
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
