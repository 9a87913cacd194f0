"""Where a run is kept while its store cannot be written: a folder of the user's own, laid out as a store."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mlops_kit.errors import StoreError
from mlops_kit.records import codec
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, Bytes, Found, Judged, make_durable, read_judged, read_part
from mlops_kit.store.home import expanded
from mlops_kit.store.local import LocalBackend

VARIABLE = "MLOPS_KIT_SPOOL"

_T = TypeVar("_T")


def spool_of(url: str) -> LocalBackend:
    """Find the spool of a store.

    Parameters
    ----------
    url : str
        The address of the store.

    Returns
    -------
    LocalBackend
        A folder named by the digest of the address, below ``MLOPS_KIT_SPOOL`` or the user's data directory.
        Nothing is read or written yet.

    Raises
    ------
    StoreError
        The user has no home folder, and ``MLOPS_KIT_SPOOL`` names no other.

    Examples
    --------
    >>> spool_of("s3://team/models").root == spool_of("s3://team/other").root
    False
    """
    folder = expanded(os.environ.get(VARIABLE) or os.path.join(_data_folder(), "mlops_kit", "spool"))
    if folder is None:
        raise StoreError(f"There is no place for a spool, as this user has no home folder. {VARIABLE} names one.")
    return LocalBackend(Path(os.path.abspath(folder), hashlib.sha256(url.encode()).hexdigest()[:32]))


def _data_folder() -> str:
    if os.name == "nt":
        return os.environ.get("LOCALAPPDATA") or os.path.join("~", "AppData", "Local")
    if sys.platform == "darwin" and "XDG_DATA_HOME" not in os.environ:
        return os.path.join("~", "Library", "Application Support")
    return os.environ.get("XDG_DATA_HOME") or os.path.join("~", ".local", "share")


_COLLECTING = "gc/"
"""What collections of garbage write: none ever touches a spool, so there is nothing to see of them in one."""


class FallbackBackend:
    """A backend that writes to another place once the first has failed, and from then on.

    One run has one of these. Were it to return to the first place by itself, a record there could name an object
    that only the spool holds.

    Parameters
    ----------
    primary : Backend
        Where everything goes as long as it works.
    failed : callable
        Told once, when it no longer does.

    Attributes
    ----------
    failure : StoreError or None
        Why the spool is used.
    spool : LocalBackend
        Where everything goes after a failure.
    """

    def __init__(self, primary: Backend, failed: Callable[[], None]) -> None:
        self.url = primary.url
        self.failure: StoreError | None = None
        self._primary = primary
        self._failed = failed
        self._settled = False
        self._lock = threading.Lock()

    @property
    def spool(self) -> LocalBackend:
        """The spool of the store."""
        return spool_of(self.url)

    def settle(self) -> None:
        """Use the spool no more if it is not in use yet: nothing is written here any longer."""
        self._settled = True

    def fail(self, error: StoreError, seconds: float = 0.0) -> None:
        """Turn to the spool.

        Parameters
        ----------
        error : StoreError
            Why.
        seconds : float
            How long the failure took; if it was long, no other run asks this store again for as long.

        Raises
        ------
        StoreError
            The spool cannot be written either.
        """
        with self._lock:
            if self.failure is not None:
                return
            self.failure = error
        if seconds >= _LONG_SECONDS:
            _silent[self.url] = (time.monotonic() + seconds, error)
        try:
            os.makedirs(self.spool.root, mode=0o700, exist_ok=True)
            self.spool.put(keys.SPOOL, codec.seal("spool", {"url": self.url}))
        except (OSError, StoreError) as second:
            raise StoreError(f"{error} Its spool cannot be written either: {second}") from second
        self._failed()

    def get(self, key: str) -> bytes | None:
        """Read a value: from the spool first, if it is in use."""
        return self._first(key, lambda backend: backend.get(key))

    def read_part(self, key: str, begin: int, end: int) -> bytes | None:
        """Read a part of a value: from the spool first, if it is in use."""
        return self._first(key, lambda backend: read_part(backend, key, begin, end))

    def _first(self, key: str, read: Callable[[Backend], bytes | None]) -> bytes | None:
        if self.failure is None:
            return self._either(read)
        data = read(self.spool)
        return read(self._primary) if data is None and not key.startswith(_COLLECTING) else data

    def put(self, key: str, data: Bytes, *, durable: bool = True) -> None:
        """Write a value; a sign of life is worth nothing elsewhere, and fails where the store does."""
        if keys.is_lease(key):
            self._primary.put(key, data, durable=durable)
        else:
            self._either(lambda backend: backend.put(key, data, durable=durable))

    def create(self, key: str, data: Bytes) -> bool:
        """Write a value if the key is absent."""
        return self._either(lambda backend: backend.create(key, data))

    def delete(self, key: str) -> None:
        """Remove a value from the store."""
        self._primary.delete(key)

    def stat(self, key: str) -> Found | None:
        """Look at a value where writing goes to."""
        return self._either(lambda backend: backend.stat(key))

    def touch(self, key: str) -> None:
        """Refresh a value where writing goes to."""
        self._either(lambda backend: backend.touch(key))

    def sync(self, key: str) -> bool:
        """Make a value durable where writing goes to."""
        return self._either(lambda backend: make_durable(backend, key))

    def walk(self, prefix: str) -> Iterator[Found]:
        """List the values of the store."""
        if prefix.startswith(_COLLECTING):
            return iter(self._either(lambda backend: list(backend.walk(prefix))))
        return self._primary.walk(prefix)

    def folders(self, prefix: str) -> list[str]:
        """Name the folders of the store."""
        return self._primary.folders(prefix)

    def now(self) -> float:
        """Tell the time where writing goes to."""
        if self.failure is None:
            try:
                return self._primary.now()
            except StoreError as error:
                self.fail(error)
        return self.spool.now()

    def read_judged(self, key: str, most: int | None = None) -> Judged | None:
        """Read a value as `get` does, with who else may have written it."""
        found = None if self.failure is None else self.spool.read_judged(key, most)
        if found is None:
            return read_judged(self._primary, key, most)
        return replace(found, root=None)  # a spool is the user's own by its place

    def capabilities(self) -> dict[str, str]:
        """Probe the store."""
        return self._primary.capabilities()

    def attempt(self, act: Callable[[], _T], otherwise: Callable[[], _T]) -> _T:
        """Do something in the store, or something else once it has failed."""
        return self._either(lambda backend: act() if backend is self._primary else otherwise())

    def _either(self, act: Callable[[Backend], _T]) -> _T:
        if self.failure is None and not self._is_silent():
            began = time.monotonic()
            try:
                return act(self._primary)
            except StoreError as error:
                if self._settled:
                    raise
                self.fail(error, time.monotonic() - began)
        return act(self.spool)

    def _is_silent(self) -> bool:
        """Turn to the spool at once if the store took long to fail a moment ago."""
        known = _silent.get(self.url)
        if known is None or self._settled:
            return False
        left = known[0] - time.monotonic()
        if left > 0:
            self.fail(known[1], left)
        return left > 0


_LONG_SECONDS = 1.0
"""A store that fails sooner is asked again by the next run: it may have been a single error."""

_silent: dict[str, tuple[float, StoreError]] = {}
"""Stores that took long to fail, until when they are not asked again: a loop of runs waits for one time-out only."""
