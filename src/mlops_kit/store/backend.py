"""The protocol of a backend: a dozen small operations on keys, one of them atomic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from mlops_kit.errors import IntegrityError
from mlops_kit.records import bounds
from mlops_kit.store.folders import ForeignFile

T = TypeVar("T")
PIECE = 2**26
"""The bytes that are read at once of a value that may be of any length."""
Bytes: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Found:
    """A stored key.

    Parameters
    ----------
    key : str
        Relative to the store.
    size : int
        In bytes.
    modified : float
        Unix seconds, by the backend's clock.
    """

    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A value, and who else may have written it.

    Parameters
    ----------
    data : bytes
        The value.
    root : str or None
        The real path of the store's folder, which counts only if the user's settings say that the user made the store
        there; None for a place that nobody can bring in from elsewhere.
    exposed : str or None
        Who else may have written the value; None if nobody.
    """

    data: bytes
    root: str | None = None
    exposed: str | None = None


@runtime_checkable
class Backend(Protocol):
    """What a place must be able to do to hold a store.

    Keys are relative, ASCII, ``/``-separated. An implementation subclasses nothing; it passes
    `mlops_kit.testing.BackendContract`. Every failure that is not "absent" is a `StoreError`.

    A place where others may have left a value unsynced has ``sync(key)`` besides: it makes the value as durable as
    if it had been put, and returns whether it is there. `make_durable` calls it.

    A place that can tell who may write to it has ``read_judged(key, most=None)`` besides, which returns a `Judged`, or
    None where there is no value: what is unpickled without being trusted by name is read so. It raises an
    `IntegrityError`, and reads nothing, where the value is longer than `most` bytes.

    A place from which a part of a value can be read has ``read_part(key, begin, end)`` besides, which returns the bytes
    from `begin` to before `end`, as far as there are any, or None where there is no value. So nobody can fill the
    memory of a reader with a value that is longer than what names it says.
    """

    @property
    def url(self) -> str:
        """The address under which another process finds the same bytes."""
        ...

    def get(self, key: str) -> bytes | None:
        """Read a whole value, or None where there is none."""
        ...

    def put(self, key: str, data: Bytes, *, durable: bool = True) -> None:
        """Write a value whole or not at all, over what is there; `durable` survives a power cut."""
        ...

    def create(self, key: str, data: Bytes) -> bool:
        """Write a durable value if the key is absent: True for exactly one of any number of writers."""
        ...

    def delete(self, key: str) -> None:
        """Remove a value; an absent one is fine."""
        ...

    def stat(self, key: str) -> Found | None:
        """Look at a value without reading it."""
        ...

    def touch(self, key: str) -> None:
        """Set the modification time of a value to now, durably or not."""
        ...

    def walk(self, prefix: str) -> Iterator[Found]:
        """List the values below a folder (a prefix that is empty or ends with ``/``), sorted by key."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """Name the folders directly below a folder, sorted, without listing what is in them."""
        ...

    def now(self) -> float:
        """Tell the time in Unix seconds by the clock that dates the values."""
        ...

    def capabilities(self) -> dict[str, str]:
        """Probe what this place can promise; written to ``store.json`` when a store is created."""
        ...


def names_in(backend: Backend, folder: str) -> list[str]:
    """Return the names of the values directly in a folder, without looking at each where the backend can do that.

    A backend may have a method ``names(folder)`` for it, which gives them in any order; else they are listed.
    """
    names: Callable[[str], list[str]] | None = getattr(backend, "names", None)
    if names is not None:
        return names(folder)
    below = (found.key.removeprefix(folder) for found in backend.walk(folder))
    return [name for name in below if "/" not in name]


def make_durable(backend: Backend, key: str) -> bool:
    """Make durable what another writer may have left unsynced, before it is built upon; False if it is not there."""
    sync = getattr(backend, "sync", None)
    return True if sync is None else bool(sync(key))


def read_at_most(backend: Backend, key: str, most: int | None) -> bytes | None:
    """Read a value of at most so many bytes, or, for None, of as many as its kind has at most.

    Raises
    ------
    IntegrityError
        It is longer, and was not read.
    """
    read: Callable[[str, int, int], bytes | None] | None = getattr(backend, "read_part", None)
    data = backend.get(key) if most is None or read is None else read(key, 0, most + 1)
    if data is not None:
        bounds.check_size(len(data), key, most)
    return data


def read_part(backend: Backend, key: str, begin: int, end: int) -> bytes | None:
    """Read the bytes of a value from `begin` to before `end`, as far as there are any; None where there is no value."""
    read: Callable[[str, int, int], bytes | None] | None = getattr(backend, "read_part", None)
    if read is not None:
        return read(key, begin, end)
    data = backend.get(key)
    return None if data is None else data[begin:end]


def read_pieces(backend: Backend, key: str) -> Iterator[bytes]:
    """Read a value of any length, piece by piece; nothing where there is no value."""
    begin = 0
    while piece := read_part(backend, key, begin, begin + PIECE):
        yield piece
        begin += len(piece)
        if len(piece) != PIECE:
            break


def read_verified(backend: Backend, key: str, verify: Callable[[bytes], T], *, most: int | None = None) -> T | None:
    """Read a value and verify it; before it is called damaged, it is read once more: the answer may have been cut.

    Parameters
    ----------
    backend : Backend
        Where it is.
    key : str
        The value.
    verify : callable
        Takes the bytes, and gives what they mean or raises `IntegrityError`.
    most : int, optional
        How many bytes it may have; by default as many as any of its kind.

    Returns
    -------
    object or None
        What they mean; None where there is no value.

    Raises
    ------
    IntegrityError
        As `verify` raises it, twice; or it is too long.
    """
    data = read_at_most(backend, key, most)
    if data is None:
        return None
    try:
        return verify(data)
    except IntegrityError:
        again = read_at_most(backend, key, most)
        if again is None or again == data:
            raise
        return verify(again)


def foreign_files(backend: Backend) -> list[ForeignFile]:
    """List what lies in a store's folder and is neither a regular file nor a folder.

    Parameters
    ----------
    backend : Backend
        The store. A place that can hold such things has a method ``foreign()`` that yields them.

    Returns
    -------
    list of ForeignFile
        Each with its ``path`` and ``kind``.
    """
    look = getattr(backend, "foreign", None)
    return [] if look is None else list(look())


def read_judged(backend: Backend, key: str, most: int | None = None) -> Judged | None:
    """Read a value with who else may have written it, which of most places cannot be seen from outside."""
    read: Callable[[str, int | None], Judged | None] | None = getattr(backend, "read_judged", None)
    if read is not None:
        return read(key, most)
    data = read_at_most(backend, key, most)
    return None if data is None else Judged(data, None, "who may write to it cannot be seen from here")
