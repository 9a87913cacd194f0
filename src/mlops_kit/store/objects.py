"""Immutable bytes, kept under their SHA-256 and verified at every read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable

from mlops_kit.errors import IntegrityError, ObjectNotFound, StoreError
from mlops_kit.records import bounds
from mlops_kit.store import keys
from mlops_kit.store.backend import (
    Backend,
    Bytes,
    Found,
    Judged,
    make_durable,
    read_at_most,
    read_judged,
    read_pieces,
    read_verified,
)
from mlops_kit.store.sweeps import Sweeps

_MAX_SLOTS = 256
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def digest_of(data: Bytes) -> str:
    """Digest bytes, as records name them.

    Examples
    --------
    >>> digest_of(b"")[:14]
    'sha256:e3b0c44'
    """
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Objects:
    """The objects of one store.

    Parameters
    ----------
    backend : Backend
        Where the bytes are.
    refresh_after : float
        Seconds after which a reused object is refreshed, so that a collection of garbage that began before
        does not take it.
    """

    def __init__(self, backend: Backend, refresh_after: float) -> None:
        self._backend = backend
        self.refresh_after = refresh_after
        self._sweeps = Sweeps(backend)
        self._seen: dict[str, float] = {}
        self._slots: dict[str, tuple[Hashable, str]] = {}

    def share(self, other: Objects) -> None:
        """Know what other objects of the same store know, and let them know what is put here."""
        self._seen, self._slots = other._seen, other._slots

    def part(self) -> None:
        """Keep to oneself from now on what is put here: it is put elsewhere."""
        self._seen = dict(self._seen)

    def put(self, data: Bytes) -> str:
        """Keep bytes durably, or find that they are kept already.

        Parameters
        ----------
        data : bytes-like
            Any size.

        Returns
        -------
        str
            ``sha256:<hex>``.
        """
        digest = digest_of(data)
        if self._is_fresh(digest):
            return digest
        self._seen[digest] = self._keep(digest, data)
        return digest

    def forget(self) -> None:
        """Look again at what was seen to be kept: some of it was found to be lost or damaged."""
        self._seen.clear()

    def without_sync(self) -> UnsyncedObjects:
        """Return the same objects, to which is written without waiting for the disk: what may get lost."""
        return UnsyncedObjects(self._backend, self.refresh_after)

    def _keep(self, digest: str, data: Bytes) -> float:
        """Write what is missing or damaged, refresh what is old, and see that no sweep takes it meanwhile."""
        key = keys.object_key(digest)
        closed: int | None = None
        changed = False
        while True:
            now = self._backend.now()
            found = self._backend.stat(key)
            sound = found is not None and self._is_sound(found, digest, data)
            young = found is not None and now - found.modified <= self.refresh_after
            if found is not None and sound and young and not changed:
                if make_durable(self._backend, key):  # who wrote it may have died before it was synced
                    return found.modified
                continue
            if closed is None:
                closed = self._sweeps.closed
                if sound:
                    continue  # what was seen before this was known may have been swept since
            if not sound:
                self._backend.put(key, data)  # what is there may be damaged, and is mended by what is at hand
            elif not young:
                self._refresh(key, data)
            changed = True
            if self._sweeps.spared(key, closed):
                return now
            closed = self._sweeps.closed

    def _is_sound(self, found: Found, digest: str, data: Bytes) -> bool:
        """Return whether the bytes that are kept under a digest are these."""
        size = memoryview(data).nbytes
        try:
            return found.size == size and digest_of(read_at_most(self._backend, found.key, size) or b"") == digest
        except IntegrityError:
            return False

    def _refresh(self, key: str, data: Bytes) -> None:
        try:
            self._backend.touch(key)
            refreshed = make_durable(self._backend, key)
        except StoreError:
            refreshed = False  # it was swept a moment ago, or may be written but not touched
        if not refreshed:
            self._backend.put(key, data)

    def put_once(self, slot: str, key: Hashable, make: Callable[[], bytes]) -> str:
        """Keep bytes that are costly to make and seldom change.

        Parameters
        ----------
        slot : str
            What they are, such as ``"environment"``; the last key of each slot is remembered.
        key : hashable
            Equal keys stand for equal bytes.
        make : callable
            Makes the bytes when the key is new here, or when the object needs refreshing.

        Returns
        -------
        str
            ``sha256:<hex>``.
        """
        known = self._slots.get(slot)
        if known is not None and known[0] == key and self._is_fresh(known[1]):
            return known[1]
        digest = self.put(make())
        if len(self._slots) >= _MAX_SLOTS:
            self._slots.clear()
        self._slots[slot] = (key, digest)
        return digest

    def _is_fresh(self, digest: str) -> bool:
        return self._backend.now() - self._seen.get(digest, 0.0) < self.refresh_after

    def get(self, digest: str, *, size: int | None = None, codec: str | None = None, what: str = "object") -> bytes:
        """Read bytes and verify them.

        Parameters
        ----------
        digest : str
            ``sha256:<hex>`` of the stored bytes.
        size : int, optional
            How many bytes the record says they are. An object whose size no record states is a record itself, and no
            longer than one may be.
        codec : str, optional
            What the record that names the object says: ``"zstd"`` if the content is compressed.
        what : str
            What the object is to the reader, for the message of an error.

        Returns
        -------
        bytes
            The content.

        Raises
        ------
        ObjectNotFound
            The store does not hold it.
        IntegrityError
            The stored bytes have another digest or size, or what names them is none.
        """
        key = self._key(digest, what)

        def verified(data: bytes) -> bytes:
            actual = digest_of(data)
            if actual != digest:
                raise IntegrityError(
                    f"The {what} at {key} in {self._backend.url} is damaged: expected {digest}, found {actual}. "
                    "Restore the file from a copy of the store; `Store.fsck()` lists all that is damaged."
                )
            if size is not None and len(data) != size:
                raise IntegrityError(
                    f"The {what} at {key} in {self._backend.url} has {len(data):,} bytes, and the record that names it "
                    f"says {size:,}: the record was changed. Restore it from a copy of the store."
                )
            return data

        data = read_verified(self._backend, key, verified, most=_most(size))
        if data is None:
            raise ObjectNotFound(
                f"The {what} {digest} is not in the store {self._backend.url}, though a record names it. "
                "Restore it from a copy of the store; `Store.fsck()` lists all that is missing."
            )
        if codec == "zstd" and data.startswith(_ZSTD_MAGIC):
            return _decompress(data)
        return data

    def get_judged(self, digest: str, *, size: int | None = None, what: str = "object") -> Judged:
        """Read bytes and verify them, with who else may have written them; see `get`."""
        found = read_judged(self._backend, self._key(digest, what), _most(size))
        wrong = found is None or digest_of(found.data) != digest or (size is not None and len(found.data) != size)
        if found is None or wrong:  # looks again, and says what is wrong
            return Judged(self.get(digest, size=size, what=what), None, "it changed while it was read")
        return found

    def _key(self, digest: str, what: str) -> str:
        if not keys.DIGEST.fullmatch(str(digest)):
            raise IntegrityError(f"A record names {digest!r} as the {what} in {self._backend.url}, which is no digest.")
        return keys.object_key(digest)


class UnsyncedObjects(Objects):
    """Objects that a power cut may take or tear: who names them can make them again."""

    def put(self, data: Bytes) -> str:
        """Keep bytes, or find that they are kept already; neither is made durable.

        Parameters
        ----------
        data : bytes-like
            Any size.

        Returns
        -------
        str
            ``sha256:<hex>``.
        """
        digest = digest_of(data)
        if self._is_fresh(digest):
            return digest
        key, now = keys.object_key(digest), self._backend.now()
        found = self._backend.stat(key)
        young = found is not None and now - found.modified <= self.refresh_after
        if found is None or not young or not self._is_sound(found, digest, data):
            self._backend.put(key, data, durable=False)
        self._seen[digest] = now
        return digest


def digest_at(backend: Backend, key: str) -> str:
    """Digest a value of any length without holding all of it."""
    digest = hashlib.sha256()
    for piece in read_pieces(backend, key):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _most(size: int | None) -> int:
    return bounds.MAX_BYTES if size is None else size


def _decompress(data: bytes) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only compressed objects need it

    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())
