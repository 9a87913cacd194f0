"""A store: one place that holds objects, journals and runs."""

from __future__ import annotations

import contextlib
import copy
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from mlops_kit.errors import IntegrityError, InvalidInput, StoreError
from mlops_kit.records import codec
from mlops_kit.records.check import DoctorReport, FsckReport, GcReport, Listing, Problem, SyncReport, passing_over
from mlops_kit.records.durations import Duration, seconds_of
from mlops_kit.records.entry import Entry
from mlops_kit.records.names import folder, unfolded
from mlops_kit.records.pending import Pending
from mlops_kit.store import check, doctor, gc, identity, keys, made
from mlops_kit.store.backend import Backend, names_in, read_verified
from mlops_kit.store.journal import Fold, Journal
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.locate import address_of, backend_for, locate
from mlops_kit.store.objects import Objects
from mlops_kit.store.repair import mend
from mlops_kit.store.results import Results
from mlops_kit.store.runs import Runs
from mlops_kit.store.signers import Guard
from mlops_kit.store.sync import deliver

GRACE_SECONDS = 1_209_600
_LOOK_SECONDS = 60.0
_MAX_ANCHORS = 8

StoreLike: TypeAlias = "str | os.PathLike[str] | Store | None"


class Store:
    """A place that keeps runs, datasets and models: a folder, or ``memory://name``.

    Opening a store reads and writes nothing. It comes into being with the first thing recorded in it, and can
    be copied, moved or synchronised as plain files. A pickled store is only its address.

    Parameters
    ----------
    url : str or path, optional
        A folder, ``file://`` or ``memory://`` address. By default ``MLOPS_KIT_STORE``, else
        ``[tool.mlops_kit] store`` in the nearest pyproject.toml, else ``.mlops`` in the project root.

    Attributes
    ----------
    url : str
        The address, absolute.
    lives : int
        How often it was found to be another store than before, of the same address.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> store = mk.Store("memory://store-doc")
    >>> store.url
    'memory://store-doc'
    >>> store.fsck().ok
    True
    """

    lives: int = 0

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        self._attach(backend_for(locate() if url is None else url))

    @classmethod
    def on(cls, backend: Backend) -> Store:
        """Make a store on a backend of your own.

        Parameters
        ----------
        backend : Backend
            An implementation that passes `mlops_kit.testing.BackendContract`.

        Returns
        -------
        Store
            The store; it does not pickle to another process unless its address can be opened there.
        """
        self = cls.__new__(cls)
        self._attach(backend)
        return self

    def _attach(self, backend: Backend) -> None:
        self.backend = backend
        self.objects = Objects(backend, GRACE_SECONDS / 4)
        self.runs = Runs(backend)
        self.results = Results(backend)
        self.unsynced: Store | None = None  # see `without_sync`
        self._journals: dict[tuple[str, str], Journal] = {}
        self._lock = threading.Lock()
        self._record: dict[str, Any] | None = None
        self._made: float | None = None
        self._looked = 0.0

    @property
    def url(self) -> str:
        """The address of the store."""
        return self.backend.url

    def describe(self) -> dict[str, Any] | None:
        """Read the store's own record.

        Returns
        -------
        dict or None
            ``id``, ``created``, ``grace_seconds`` and ``capabilities``; None if nothing was ever recorded here.

        Raises
        ------
        NewerFormat
            The store was made by a newer release, which says that this one may not read it.
        """
        if self._record is None:
            record = read_verified(
                self.backend, keys.STORE, lambda data: codec.unseal(data, where=keys.STORE, kind="store")
            )
            if record is not None:
                self._adopt(record)
        return self._record

    def look(self, *, now: bool = False) -> None:
        """Forget what is known of the store if it was removed, or removed and made anew, since the last look.

        Parameters
        ----------
        now : bool
            Look however lately that was done; else what is not a local folder is looked at once a minute, and only
            by who writes there.
        """
        clock = time.monotonic()
        idle = self._made is None or clock - self._looked < _LOOK_SECONDS
        if not now and idle and not isinstance(self.backend, LocalBackend):
            return
        found = self.backend.stat(keys.STORE)
        made = None if found is None else found.modified
        if self._made is not None and made != self._made:
            self._attach(self.backend)
            self.lives += 1
        self._made, self._looked = made, clock

    def ensure(self, *, now: bool = False) -> None:
        """Make the store if it does not exist yet; called before everything that is written.

        Parameters
        ----------
        now : bool
            As for `look`.
        """
        self.look(now=now or self._made is None)
        if self._record is not None or self.describe() is not None:
            return
        new = isinstance(self.backend, LocalBackend) and keys.KEPT.isdisjoint(self.backend.folders(""))
        record = {
            "id": secrets.token_hex(16),
            "created": codec.timestamp(datetime.now(UTC)),
            "grace_seconds": GRACE_SECONDS,
            "capabilities": self.backend.capabilities(),
        }
        if new:  # what was there before it had a record came from elsewhere
            made.note(str(record["id"]), self.url)
        if self.backend.create(keys.STORE, codec.seal("store", record)) and isinstance(self.backend, LocalBackend):
            with contextlib.suppress(StoreError):  # the store is made
                self.backend.put(".gitignore", b"*\n", durable=False)  # models are not for the code's repository
        self.describe()
        self.look(now=True)

    def journal(self, kind: str, name: str, fold: Fold) -> Journal:
        """Open the journal of a name.

        Parameters
        ----------
        kind : str
            ``"models"`` or ``"datasets"``.
        name : str
            A checked name.
        fold : callable
            What the entries mean; see `Journal`.

        Returns
        -------
        Journal
            The same object for the same name, so that what was read once is not read again.
        """
        where = (kind, folder(name))
        with self._lock:
            journal = self._journals.get(where)
            if journal is None:
                guard = Guard(self.url, "/".join(where))
                journal = self._journals[where] = Journal(self.backend, *where, fold, identity.author, guard)
        return journal

    def anchors(self, besides: Journal) -> dict[str, list[Any]]:
        """Say how far other journals have come, as far as this process knows without reading anything.

        Parameters
        ----------
        besides : Journal
            The one in which it will be said.

        Returns
        -------
        dict
            ``[number, digest]`` of an entry, by journal: the eight that moved last.
        """
        with self._lock:
            others = [journal for journal in self._journals.values() if journal is not besides]
        known = [(standing, journal.place) for journal in others if (standing := journal.standing) is not None]
        return {place: [seq, tip] for (_, seq, tip), place in sorted(known)[-_MAX_ANCHORS:]}

    def journal_names(self, kind: str) -> Listing[str]:
        """Name all that has a journal, sorted.

        Parameters
        ----------
        kind : str
            ``"models"`` or ``"datasets"``.

        Returns
        -------
        Listing of str
            As spelled when each was created, or in lower case where that cannot be read; such journals are named in
            ``problems``.
        """
        names: list[str] = []
        problems: list[Problem] = []
        for where in self.backend.folders(f"journals/{kind}/"):
            key = keys.entry_key(kind, where, 1)
            name = unfolded(where)
            with passing_over(problems, key):
                data = self.backend.get(key)
                if data is None and not any(map(keys.number_in, self._files(key))):
                    continue
                if data is None:
                    raise IntegrityError(f"The entry {key} in {self.url} is missing, though later ones are there.")
                first = Entry.decode(data, where=key)
                if first.kind != "create" or first.seq != 1 or folder(first.body["name"]) != where:
                    raise IntegrityError(
                        f"The entry at {key} in {self.url} does not begin a journal: it was moved there. "
                        "Compare with a copy of the store."
                    )
                name = first.body["name"]
            if name is not None:
                names.append(name)
        return Listing(sorted(names), problems)

    def _files(self, key: str) -> list[str]:
        """List what lies in the folder of a key."""
        prefix = f"{key.rpartition('/')[0]}/"
        return [f"{prefix}{name}" for name in names_in(self.backend, prefix)]

    def fsck(self, repair: bool = False) -> FsckReport:  # noqa: FBT001, FBT002 - the name that it is called by
        """Check everything in the store: digests, checksums, chains, references.

        Parameters
        ----------
        repair : bool
            Put right what follows from the rest: hints (``head.json``) that are stale or damaged, a missing
            ``store.json``, what dead writers left in ``tmp/``. Objects, entries and records are never touched.

        Returns
        -------
        FsckReport
            ``.ok`` and ``.problems``, each with its key and what is wrong; ``.repaired`` with what was done.

        Examples
        --------
        >>> Store("memory://fsck-doc").fsck()
        FsckReport(memory://fsck-doc: ok, 0 files, 0 problems)
        """
        report = check.fsck(self.backend)
        if not repair:
            return report
        done = mend(self.backend, report, remake=self._remake)
        found = check.fsck(self.backend) if done else report
        return replace(found, repaired=done)

    def gc(
        self,
        grace: Duration | None = None,
        dry_run: bool = True,  # noqa: FBT001, FBT002 - the name that it is called by
        exclusive: bool = False,  # noqa: FBT001, FBT002 - likewise
        *,
        results: Duration | None = None,
    ) -> GcReport:
        """Delete objects that nothing names: what crashed runs and failed writes left behind.

        What nothing names is marked first, and deleted by a later call, when the grace is over and still nothing
        names it and nobody has used it. Writers may go on meanwhile. It never happens by itself.

        Parameters
        ----------
        grace : float, timedelta or str, optional
            Seconds, or text such as ``"30d"``: longer than the grace in ``store.json`` (two weeks), which is the
            default.
        dry_run : bool
            Only tell what would be done. By default True.
        exclusive : bool
            Nobody else is writing to this store, so a shorter grace is safe. With ``grace=0`` all that nothing
            names goes at once.
        results : float, timedelta or str, optional
            Results of steps that are older than this go too, such as ``"30d"``, and their objects with them. What a run
            returned or logged, and versions, stay. Such a step runs again when it is called.

        Returns
        -------
        GcReport
            ``.marked``, ``.deleted``, ``.kept`` and ``.freed_bytes``.

        Raises
        ------
        InvalidInput
            The grace is shorter than that of the store, and others may be writing.
        IntegrityError
            A record cannot be read, so nobody knows what it names; nothing was deleted.

        Examples
        --------
        >>> store = Store("memory://gc-doc")
        >>> store.ensure()
        >>> digest = store.objects.put(b"named by nothing")
        >>> store.gc(grace=0, dry_run=False, exclusive=True)
        GcReport(memory://gc-doc: 1 file went, 16 bytes; 0 objects are needed)
        """
        own = float((self.describe() or {}).get("grace_seconds", GRACE_SECONDS))
        seconds = own if grace is None else seconds_of(grace)
        if seconds < own and not exclusive:
            raise InvalidInput(
                f"A grace of {seconds:g} seconds is shorter than the {own:g} that {self.url} promises to its "
                "writers: one of them could lose what it is about to name. If nobody else is writing, pass "
                "exclusive=True."
            )
        older = None if results is None else seconds_of(results)
        return gc.collect(self.backend, grace=seconds, dry_run=dry_run, results=older)

    def doctor(self) -> DoctorReport:
        """Try out what this place can promise: races, visibility, clocks, speed.

        Returns
        -------
        DoctorReport
            ``.ok``, ``.problems`` and ``.findings``, in plain words. Nothing is left behind.

        Examples
        --------
        >>> Store("memory://doctor-doc").doctor().ok
        True
        """
        return doctor.examine(self.backend, self.describe)

    def _remake(self) -> None:
        self._record = None
        self.ensure()

    def sync(self) -> SyncReport:
        """Deliver what this user's runs left in the spool while the store could not be written.

        What is delivered leaves the spool. Doing it twice, at once from several processes, or again after a crash
        delivers everything once.

        Returns
        -------
        SyncReport
            What was delivered, and in ``.problems`` what stays in the spool, and why.

        Raises
        ------
        StoreError
            The store can still not be written. Nothing is lost; try again later.

        Examples
        --------
        >>> Store("memory://sync-doc").sync()
        SyncReport(memory://sync-doc: nothing to deliver)
        """
        return deliver(self)

    @property
    def failure(self) -> StoreError | None:
        """Why what is written here goes to the spool; None as long as it goes to the store."""
        return None

    def postpone(self, error: StoreError, pending: Callable[[str], Pending]) -> None:
        """Leave in the spool a version that could not be made; only the store of a run does that.

        Parameters
        ----------
        error : StoreError
            Why it could not be made.
        pending : callable
            Takes the id of the run and gives the version.
        """

    def _adopt(self, record: dict[str, Any]) -> None:
        self._record = record
        self.objects.refresh_after = float(record["grace_seconds"]) / 4
        choose = getattr(self.backend, "choose", None)
        if choose is not None:
            choose(record.get("capabilities", {}))

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.url,)

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)


_opened: dict[str, Store] = {}


def open_store(store: StoreLike = None) -> Store:
    """Give the store that an argument means.

    Parameters
    ----------
    store : str, path, Store or None
        As users pass it.

    Returns
    -------
    Store
        One object per address and process, so that what it has read is not read again.

    Examples
    --------
    >>> open_store("memory://same") is open_store("memory://same")
    True
    """
    if isinstance(store, Store):
        return store
    address = address_of(locate() if store is None else store)
    known = _opened.get(address)  # never a relative path: what it means changes with the current folder
    if known is None:
        made = Store(address)
        known = _opened.setdefault(made.url, made)
        if os.path.isabs(address) or "://" in address:
            _opened[address] = known
    return known


def without_sync(store: Store) -> Store:
    """Return the same store, whose objects are written without waiting for the disk: what may get lost."""
    if store.unsynced is None:
        store.unsynced = copy.copy(store)
        store.unsynced.objects = store.objects.without_sync()
    return store.unsynced


def _forget_opened() -> None:
    """Drop what a fork inherited: another thread of the parent may have held a lock of it."""
    _opened.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_opened)
