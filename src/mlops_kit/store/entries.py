"""The entries of one journal by number: read from the store, verified, and remembered within a budget."""

from __future__ import annotations

import threading

from mlops_kit.errors import IntegrityError
from mlops_kit.masking import excerpt
from mlops_kit.records.entry import Entry
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, read_verified

MOST_BYTES = 2**26
"""So much is remembered of one journal: some hundred thousand entries."""


class Entries:
    """The entries of a journal.

    Parameters
    ----------
    backend : Backend
        Where they are.
    kind, folder : str
        Of which journal.
    """

    def __init__(self, backend: Backend, kind: str, folder: str) -> None:
        self._backend = backend
        self._kind = kind
        self._folder = folder
        self._lock = threading.Lock()
        self.clear()

    def key(self, seq: int) -> str:
        """Locate an entry."""
        return keys.entry_key(self._kind, self._folder, seq)

    def load(self, seq: int) -> tuple[Entry, bytes] | None:
        """Read an entry from the store, with its bytes, or None where there is none."""
        key = self.key(seq)

        def verified(data: bytes) -> tuple[Entry, bytes]:
            entry = Entry.decode(data, where=key)
            if entry.seq != seq:
                raise IntegrityError(
                    f"The entry at {key} in {self._backend.url} carries the number {excerpt(entry.seq, 20)}: "
                    "it was moved "
                    "there. Compare with a copy of the store."
                )
            return entry, data

        found = read_verified(self._backend, key, verified)
        if found is not None:
            self.remember(seq, found[1])
        return found

    def at(self, seq: int) -> Entry:
        """Read an entry that is known to exist, from memory if it was verified before.

        Raises
        ------
        IntegrityError
            It is missing or damaged.
        """
        known = self._data.get(seq)
        if known is not None:
            return Entry.read(known, where=self.key(seq))
        found = self.load(seq)
        if found is None:
            raise IntegrityError(
                f"Entry {seq} of the journal {keys.journal_prefix(self._kind, self._folder)} in {self._backend.url} is "
                "missing, though later entries exist. Restore it from a copy of the store; `Store.fsck()` lists all "
                "that is missing."
            )
        return found[0]

    def remember(self, seq: int, data: bytes) -> None:
        """Remember the bytes of an entry that was verified; when there are too many, those of the oldest go.

        So a reader that goes from the first to the last again and again finds the newest every time.
        """
        with self._lock:
            self._size += len(data) - len(self._data.get(seq, b""))
            self._data[seq] = data
            if self._size > MOST_BYTES and not self.all_kept:
                for old in sorted(self._data)[: 1 + len(self._data) // 4]:
                    self._size -= len(self._data.pop(old))

    def clear(self, *, all_kept: bool = False) -> None:
        """Forget all of them; and from now on, if asked, none that was admitted by the user's rules."""
        self._data: dict[int, bytes] = {}
        self._size = 0
        self.all_kept = all_kept
