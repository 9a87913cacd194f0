"""Check a store from its bytes alone: every digest, checksum, chain and reference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from mlops_kit.errors import IntegrityError, MlopsKitError, NewerFormat, OtherRelease
from mlops_kit.masking import excerpt, quoted
from mlops_kit.records import bounds, codec, versions
from mlops_kit.records.check import FsckReport, Problem
from mlops_kit.records.dataset import Manifest
from mlops_kit.records.entry import FIRST_PREV, Entry, tip
from mlops_kit.records.garbage import Mark, Sweep
from mlops_kit.records.metrics import read_lines
from mlops_kit.records.monitor import check_state
from mlops_kit.records.names import folder
from mlops_kit.records.references import references, stated_sizes
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.records.shape import ODD, reading
from mlops_kit.records.step import KIND, StepRecord
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, Found, foreign_files, read_at_most, read_part
from mlops_kit.store.clocks import is_ahead
from mlops_kit.store.folders import ForeignFile, foreign_message
from mlops_kit.store.footers import read_footer
from mlops_kit.store.head import is_true
from mlops_kit.store.kinds import kind_of
from mlops_kit.store.objects import digest_at, digest_of

_OBJECT = re.compile(r"objects/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_ENTRY = re.compile(r"(journals/[a-z]{1,40}/[a-z0-9._%~A-F-]+/)(\d{12})\.json")
_HEAD = re.compile(r"(journals/[a-z]{1,40}/[a-z0-9._%~A-F-]+/)(?:head|fold)\.json")
_RUN = re.compile(r"runs/\d{4}-\d\d-\d\d/([0-9a-f]{8}-[0-9a-f]{12})\.(start|end|lease|resume-\d{6})\.json")
_METRICS = re.compile(r"runs/\d{4}-\d\d-\d\d/([0-9a-f]{8}-[0-9a-f]{12})\.metrics-(\d{6,})\.jsonl")
_SEGMENT = re.compile(
    r"monitors/[a-z0-9._%~A-F-]+/\d{4}-\d\d-\d\d/[0-9a-f]{12}-\d{6,}\."
    r"(?:(?:predictions|labels|joined|places|ids|labelled|groups)\.\d+-\d+\.([0-9a-f]{64})\.parquet"
    r"|state\.0-0\.([0-9a-f]{64})\.json)"
)
_STEP = re.compile(r"steps/([0-9a-f]{64})\.json")
_GARBAGE = re.compile(r"gc/(mark|sweep)s/\d{12}\.json")
_MANIFEST_START = b'{"'
_JOURNAL_DEPTH = 3
_RUN_DEPTH = 2


def fsck(backend: Backend) -> FsckReport:
    """Read everything in a store and report what is wrong.

    Parameters
    ----------
    backend : Backend
        The store. Nothing is changed.

    Returns
    -------
    FsckReport
        The problems, sorted by key.

    Examples
    --------
    >>> from mlops_kit.store.memory import MemoryBackend
    >>> fsck(MemoryBackend("fsck-doc")).ok
    True
    """
    checker = _checked(backend, [""])
    problems = checker.problems
    if problems:  # others may have written while this was read: what is wrong is so at a second look
        suspects = {*(problem.key for problem in problems), *checker.sources, keys.STORE}
        still = set(
            _checked(backend, sorted({unit for key in suspects for unit in _units(key)}), checker.files).problems
        )
        problems = [problem for problem in problems if problem in still]
    ordered = tuple(sorted(problems, key=lambda problem: problem.key))
    return FsckReport(backend.url, checker.files, ordered, notes=tuple(checker.notes))


def _checked(backend: Backend, places: Iterable[str], files: int = 0) -> _Checker:
    """Check files and folders, and what connects them; a folder is empty or ends with a slash."""
    checker = _Checker(backend)
    checker.files = files
    beyond = []
    for foreign in foreign_files(backend):
        checker.meet(foreign)
        beyond.append(f"{foreign.path}/")
    for place in places:
        if place.startswith(tuple(beyond)):
            continue
        found = backend.walk(place) if place.endswith("/") or not place else checker.looked(place)
        for one in found:
            checker.look_at(one)
    checker.conclude()
    return checker


def _units(key: str) -> list[str]:
    """Name what must be read to judge one file: its journal, and what that keeps beside it; its day of runs; itself."""
    parts = key.split("/")
    if parts[0] == "journals" and len(parts) > _JOURNAL_DEPTH:
        return [f"journals/{parts[1]}/{parts[2]}/", f"{parts[1]}/{parts[2]}/"]
    if kind_of(parts[0]) is not None and len(parts) > _JOURNAL_DEPTH:
        return [f"journals/{parts[0]}/{parts[1]}/", f"{parts[0]}/{parts[1]}/"]
    return [f"runs/{parts[1]}/"] if parts[0] == "runs" and len(parts) > _RUN_DEPTH else [key]


class _Checker:
    """Collects what was seen while reading key by key, and the questions that only the whole can answer."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.files = 0
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.sources: set[str] = set()
        self._objects: dict[str, int] = {}
        self._long: list[Found] = []
        self._stated: dict[str, dict[int, str]] = {}
        self._parts: list[tuple[str, Manifest]] = []
        self._needed: dict[str, tuple[str, str]] = {}
        self._chains: dict[str, dict[int, tuple[Entry, str]]] = {}
        self._heads: list[tuple[str, str, dict[str, Any]]] = []
        self._started: set[str] = set()
        self._ended: dict[str, str] = {}
        self._points: dict[str, dict[int, int]] = {}
        self._promised: dict[str, dict[int, int]] = {}
        self._segments: set[str] = set()
        self._states: dict[str, tuple[int, str]] = {}
        self._results: dict[str, list[str]] = {}
        self._has_store = False

    def meet(self, foreign: ForeignFile) -> None:
        """Report what is neither a regular file nor a folder."""
        self._report("foreign-file", foreign.path, foreign_message(foreign))

    def look_at(self, found: Found) -> None:
        """Read one file and check all that can be told from it alone."""
        key = found.key
        if keys.is_temporary(key) or key.startswith("index/") or key == ".gitignore":
            return
        if found.size > bounds.MAX_BYTES and (match := _OBJECT.fullmatch(key)):
            self.files += 1
            self._objects[f"sha256:{match[2]}"] = found.size
            self._long.append(found)  # what may be that long is known when all records are read
            return
        if found.size > bounds.MAX_BYTES and (match := _SEGMENT.fullmatch(key)):
            self.files += 1
            self._segments.add(key)
            with self._reporting(key):
                bounds.check_size(found.size, key)
                _check_digest(digest_at(self._backend, key), match[1] or match[2])
            return
        try:
            data = self._read(key)
        except MlopsKitError as error:
            self._refuse(key, error)
            return
        if data is None:
            return
        self.files += 1
        with self._reporting(key):
            self._check(key, data)

    def looked(self, key: str) -> list[Found]:
        """Look at one file; report what cannot be looked at."""
        try:
            found = self._backend.stat(key)
        except MlopsKitError as error:
            self._refuse(key, error)
            return []
        return [] if found is None else [found]

    def _refuse(self, key: str, error: MlopsKitError) -> None:
        self._has_store |= key == keys.STORE
        self._report("damaged" if isinstance(error, IntegrityError) else "unreadable", key, str(error))

    def _read(self, key: str) -> bytes | None:
        """Read a file as far as it says something; of any other, which may be of any length, nothing."""
        known = (_OBJECT, _ENTRY, _HEAD, _RUN, _METRICS, _SEGMENT, _STEP, _GARBAGE)
        if key != keys.STORE and not any(pattern.fullmatch(key) for pattern in known):
            return read_part(self._backend, key, 0, 0)
        return read_at_most(self._backend, key, bounds.MAX_BYTES if _OBJECT.fullmatch(key) else None)

    @contextmanager
    def _reporting(self, key: str) -> Iterator[None]:
        """Report what cannot be read and go on with the next file."""
        try:
            with reading(key):
                yield
        except NewerFormat as error:
            self._report("newer-format", key, str(error))
        except OtherRelease as error:
            self._report(error.kind, key, str(error))
        except MlopsKitError as error:
            self._refuse(key, error)

    def conclude(self) -> None:
        """Check what connects the files: chains, hints, references."""
        if self.files and not self._has_store:
            self._report("missing", keys.STORE, "the store's own record is not there")
        for prefix, chain in self._chains.items():
            self._check_chain(prefix, chain)
        for key, prefix, hint in self._heads:
            with self._reporting(key):
                self._check_hint(key, prefix, hint)
        for run_id, key in self._ended.items():
            if run_id not in self._started:
                self._report("missing", keys.run_key(run_id, "start"), f"{key} ends a run whose start is not there")
        for run_id in {**self._points, **self._promised}:
            self._check_segments(run_id)
        self._check_states()
        self._check_results()
        self._check_contents()
        for digest, (by, what) in self._needed.items():
            if digest not in self._objects and self._is_absent(keys.object_key(digest)):
                self.sources.add(by)
                self._report("missing", keys.object_key(digest), f"{by} names it as its {what}")

    def _check_contents(self) -> None:
        """Check objects that are too long for a record, sizes, and what manifests say of their parts."""
        for long in self._long:
            with self._reporting(long.key):
                self._check_long(long)
        for digest, sizes in self._stated.items():
            self._check_size(digest, sizes)
        for key, manifest in self._parts:
            with self._reporting(key):
                self._check_parts(key, manifest)

    def _is_absent(self, key: str) -> bool:
        """Look again for what the walk has not shown; what cannot be looked at was reported as such."""
        try:
            return self._backend.stat(key) is None
        except MlopsKitError:
            return False

    def _check(self, key: str, data: bytes) -> None:
        if match := _OBJECT.fullmatch(key):
            self._check_object(key, data, match[2])
        elif match := _ENTRY.fullmatch(key):
            record = codec.unseal(data, where=key, kind="entry")
            entry = Entry.of(record, where=key)
            if entry.seq != int(match[2]):
                raise IntegrityError(f"It carries the number {excerpt(entry.seq, 20)}: it was moved here.")
            if entry.kind == "create" and not match[1].endswith(f"/{folder(entry.body['name'])}/"):
                raise IntegrityError(f"It begins the journal of {quoted(entry.body['name'], 200)}: it was moved here.")
            self._chains.setdefault(match[1], {})[entry.seq] = (entry, tip(data))
            if entry.clock is None:
                self._check_time(key, entry.at)
            if match[1].startswith("journals/monitors/") and "check" in entry.body:
                named = (entry.seq, _state_of(record, match[1]))
                self._states[match[1]] = max(named, self._states.get(match[1], named))
            self._need(key, record)
        elif match := _HEAD.fullmatch(key):
            self._heads.append((key, match[1], codec.unseal(data, where=key, kind="head")))
        elif match := _RUN.fullmatch(key):
            self._check_run(key, data, run_id=match[1], part=match[2])
        elif match := _METRICS.fullmatch(key):
            segments = self._points.setdefault(match[1], {})
            segments[int(match[2])] = 0  # it is there, whatever is wrong with it
            segments[int(match[2])] = len(read_lines(data, where=key))
        else:
            self._check_other(key, data)

    def _check_other(self, key: str, data: bytes) -> None:
        if match := _SEGMENT.fullmatch(key):
            self._segments.add(key)
            _check_digest(digest_of(data), match[1] or match[2])
            if match[2]:
                check_state(codec.unseal(data, where=key, kind="monitor-state"), where=key)
        elif match := _STEP.fullmatch(key):
            self._check_result(key, data, match[1])
        elif match := _GARBAGE.fullmatch(key):
            (Mark if match[1] == "mark" else Sweep).decode(data, where=key)
        elif key == keys.STORE:
            self._has_store = True
            codec.unseal(data, where=key, kind="store")
        else:
            self._report("unknown-file", key, "no part of a store has such a name")

    def _check_result(self, key: str, data: bytes, name: str) -> None:
        """Read the result of a step; it is not synced, and what was lost of it is computed again."""
        try:
            record = codec.unseal(data, where=key, kind=KIND)
            with reading(key):
                own = StepRecord.of(record).key
        except IntegrityError as error:
            self._report("stale-result", key, f"{error} The step runs again when it is called.")
            return
        if own != name:
            self._report("stale-result", key, f"It is the result of the key {quoted(own, 80)}: it was moved here.")
        self._results[key] = [digest for _, digest in references(record)]

    def _check_results(self) -> None:
        for key, digests in self._results.items():
            lost = [digest for digest in digests if digest not in self._objects]
            if any(self._is_absent(keys.object_key(digest)) for digest in lost):
                self._report("stale-result", key, "it names objects that are not there; its step runs again")

    def _check_object(self, key: str, data: bytes, hexes: str) -> None:
        self._objects[f"sha256:{hexes}"] = len(data)
        _check_digest(digest_of(data), hexes)
        if data.startswith(_MANIFEST_START) and b'"record":"manifest"' in data:
            record = codec.unseal(data, where=key, kind="manifest")
            self._need(key, record)
            self._parts.append((key, Manifest.of(record)))

    def _check_run(self, key: str, data: bytes, *, run_id: str, part: str) -> None:
        if part == "start":
            self._started.add(run_id)
        resume = part.startswith("resume")
        record = codec.unseal(data, where=key, kind="run-start" if resume else f"run-{part}")
        own = record.get("start", {"id": run_id}) if part == "end" else record
        if own["id"] != run_id or keys.run_key(run_id, part) != key:
            raise IntegrityError(f"It belongs at {keys.run_key(own['id'], part)}: it was moved here.")
        self._need(key, record)
        if part == "end":
            end = RunEnd.of(record)
            self._check_time(key, end.at)
            self._promised[run_id] = end.segments
            if end.start is None:
                self._ended[run_id] = key
        elif part != "lease":
            self._check_time(key, RunStart.of(record).at)

    def _check_time(self, key: str, at: datetime) -> None:
        if is_ahead(at, self._backend.now()):
            self.notes.append(f"{key} is dated {codec.timestamp(at)}, which is yet to come: look at the clock there")

    def _need(self, key: str, record: dict[str, Any]) -> None:
        for what, digest in references(record):
            self._needed.setdefault(digest, (key, what))
        for digest, size in stated_sizes(record):
            self._stated.setdefault(digest, {}).setdefault(size, key)

    def _check_long(self, found: Found) -> None:
        """Digest an object that is too long for a record, unless what names it says that it is of another length."""
        digest = f"sha256:{found.key.rpartition('/')[2]}"
        stated, by = self._stated.get(digest, {}), self._needed.get(digest, ("", ""))[0]
        if found.size > bounds.MAX_OBJECT or (by and found.size not in stated):
            self.sources.update(filter(None, [by, *stated.values()]))
            said = " or ".join(f"{size:,}" for size in stated)
            expected = f", and {by} names {said} bytes" if said else ", which is longer than any of its kind"
            raise IntegrityError(f"It has {found.size:,} bytes{expected}: it was not read.")
        _check_digest(digest_at(self._backend, found.key), digest.removeprefix("sha256:"))

    def _check_size(self, digest: str, sizes: dict[int, str]) -> None:
        """Report the records that say another size of an object than it has, unless it is damaged itself."""
        key = keys.object_key(digest)
        if any(problem.key == key for problem in self.problems):
            return
        actual = self._objects.get(digest)
        if actual is None:
            actual = self._length(key)
        for size, by in sizes.items():
            if actual is not None and size != actual:
                self.sources.add(key)
                self._report("damaged", by, f"it says that {key} has {size:,} bytes, and it has {actual:,}")

    def _length(self, key: str) -> int | None:
        """Return how many bytes a value has; what cannot be looked at was reported as such."""
        try:
            found = self._backend.stat(key)
        except MlopsKitError:
            return None
        return None if found is None else found.size

    def _part(self, key: str, begin: int, end: int) -> bytes:
        return read_part(self._backend, key, begin, end) or b""

    def _check_parts(self, key: str, manifest: Manifest) -> None:
        """Compare what a manifest says of its parts with their footers."""
        rows = sum(part.rows for part in manifest.parts)
        if not rows == manifest.rows == manifest.header.get("rows", rows):
            raise IntegrityError(f"It says that its parts have {rows:,} rows, and that they are {manifest.rows:,}.")
        for part in manifest.parts:
            place = keys.object_key(part.object)
            if part.kind != "parquet" or any(problem.key in {place, key} for problem in self.problems):
                continue
            length = self._length(place)
            if length is None:
                continue
            footer = read_footer(partial(self._part, place), length)
            said = {"rows": part.rows if manifest.columns else None, "unpacked": part.unpacked, "values": part.values}
            wrong = [name for name, value in said.items() if value not in {None, getattr(footer, name)}]
            if wrong:
                told = ", ".join(f"{said[name]:,} ({name})" for name in wrong)
                actual = ", ".join(f"{getattr(footer, name):,}" for name in wrong)
                self.sources.add(place)
                raise IntegrityError(f"It says {told} of {place}, whose footer says {actual}.")

    def _check_chain(self, prefix: str, chain: dict[int, tuple[Entry, str]]) -> None:
        previous = FIRST_PREV
        for seq in keys.counted(chain):
            key = f"{prefix}{seq:012d}.json"
            if seq not in chain:
                if not any(problem.key == key for problem in self.problems):
                    self._report("missing", key, "later entries of the journal exist")
                previous = ""
                continue
            entry, own = chain[seq]
            if previous and entry.prev != previous:
                message = f"it follows an entry {entry.prev}, and the one before it is {previous}"
                self._report("broken-chain", key, message)
            previous = own

    def _check_states(self) -> None:
        """Check that monitors can go on; of a journal that is damaged, nobody knows which state is the present one."""
        for prefix, (seq, key) in self._states.items():
            known = any(problem.key == key or problem.key.startswith(prefix) for problem in self.problems)
            if key not in self._segments and not known:
                self._report("missing", key, f"entry {seq} of {prefix} names it as the state of the monitor")

    def _check_hint(self, key: str, prefix: str, hint: dict[str, Any]) -> None:
        chain, seq = self._chains.get(prefix, {}), int(hint["seq"])
        known = {problem.key for problem in self.problems}
        if f"{prefix}{seq:012d}.json" not in known and (seq not in chain or chain[seq][1] != hint["tip"]):
            message = f"it names entry {seq} as {hint['tip']}, which is not there; it is only a hint"
            self._report("stale-hint", key, message)
        elif not any(problem.startswith(prefix) for problem in known) and not self._is_true(prefix, hint):
            message = f"it says other than the entries up to {seq} do; it is only a hint"
            self._report("stale-hint", key, message)

    def _is_true(self, prefix: str, hint: dict[str, Any]) -> bool:
        if not keys.has_versions(prefix):
            return True
        chain = [self._chains[prefix][seq] for seq in range(1, hint["seq"] + 1)]
        state: dict[str, Any] = {}
        try:
            for entry, _ in chain:
                versions.fold(state, entry)
        except ODD as error:
            key = f"{prefix}{entry.seq:012d}.json"
            self._report("damaged", key, f"it cannot follow the entries before it ({type(error).__name__}: {error})")
            return True
        return is_true(hint, [entry for entry, _ in chain], [own for _, own in chain])

    def _check_segments(self, run_id: str) -> None:
        found = self._points.get(run_id, {})
        promised = self._promised.get(run_id, {})
        known = {problem.key for problem in self.problems}
        for number in keys.counted({*found, *promised}):
            key, lines = keys.metrics_key(run_id, number), promised.get(number, 0)
            if number not in found and key not in known:
                why = f"the end of the run counts {lines} points in it" if lines else "later segments of the run exist"
                self._report("missing", key, why)
            elif number in found and found[number] < lines and key not in known:
                self._report("damaged", key, f"it holds {found[number]} points, and the end of the run counts {lines}")

    def _report(self, kind: str, key: str, message: str) -> None:
        self.problems.append(Problem(kind, key, message))


def _check_digest(actual: str, hexes: str) -> None:
    if actual != f"sha256:{hexes}":
        raise IntegrityError(f"Its name says sha256:{hexes}, its bytes give {actual}.")


def _state_of(record: dict[str, Any], prefix: str) -> str:
    """Locate the state of a monitor that an entry names."""
    day, name = record["body"]["check"]["state"]
    return f"{keys.monitor_prefix(prefix.split('/')[2])}{day}/{name}.json"
