"""A store in this process's memory, for tests, examples and embedding: ``memory://name``."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

from mlops_kit.records import bounds
from mlops_kit.store.backend import Bytes, Found, Judged

_spaces: dict[str, dict[str, tuple[bytes, float]]] = {}
_lock = threading.Lock()


def forget(name: str) -> None:
    """Drop what is kept under a name; whoever holds a backend of that name keeps it."""
    with _lock:
        _spaces.pop(name, None)


class MemoryBackend:
    """Values in a dictionary shared by all stores of one name in one process.

    Parameters
    ----------
    name : str
        The part after ``memory://``.

    Examples
    --------
    >>> backend = MemoryBackend("doc")
    >>> backend.create("a", b"1"), backend.create("a", b"2"), backend.get("a")
    (True, False, b'1')
    """

    def __init__(self, name: str) -> None:
        self.url = f"memory://{name}"
        with _lock:
            self._values = _spaces.setdefault(name, {})

    def get(self, key: str) -> bytes | None:
        """Read a whole value, or None where there is none."""
        found = self._values.get(key)
        return None if found is None else found[0]

    def put(self, key: str, data: Bytes, *, durable: bool = True) -> None:  # noqa: ARG002 - the protocol's argument
        """Write a value over what is there; it lasts as long as the process."""
        self._values[key] = (bytes(data), time.time())

    def create(self, key: str, data: Bytes) -> bool:
        """Write a value if the key is absent."""
        value = (bytes(data), time.time())
        return self._values.setdefault(key, value) is value

    def delete(self, key: str) -> None:
        """Remove a value; an absent one is fine."""
        self._values.pop(key, None)

    def stat(self, key: str) -> Found | None:
        """Look at a value without reading it."""
        found = self._values.get(key)
        return None if found is None else Found(key, len(found[0]), found[1])

    def touch(self, key: str) -> None:
        """Set the modification time of a value to now."""
        found = self._values.get(key)
        if found is not None:
            self._values[key] = (found[0], time.time())

    def walk(self, prefix: str) -> Iterator[Found]:
        """List the values below a folder, sorted by key."""
        below = [(key, value) for key, value in self._values.copy().items() if key.startswith(prefix)]
        for key, (data, modified) in sorted(below):
            yield Found(key, len(data), modified)

    def folders(self, prefix: str) -> list[str]:
        """Name the folders directly below a folder, sorted."""
        below = (key[len(prefix) :] for key in self._values.copy() if key.startswith(prefix))
        return sorted({rest.split("/")[0] for rest in below if "/" in rest})

    def now(self) -> float:
        """Tell the time in Unix seconds."""
        return time.time()

    def read_judged(self, key: str, most: int | None = None) -> Judged | None:
        """Read a value, which only this process can have written here."""
        data = self.get(key)
        bounds.check_size(0 if data is None else len(data), key, most)
        return None if data is None else Judged(data)

    def capabilities(self) -> dict[str, str]:
        """Name the means of put-if-absent."""
        return {"create": "dictionary"}


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - a lock held by another thread at the fork would never be released in the child
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
