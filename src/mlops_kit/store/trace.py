"""What a store still needs: every object and pack that its records name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from mlops_kit.errors import IntegrityError, NewerFormat, NotFound
from mlops_kit.masking import excerpt, quoted
from mlops_kit.records import codec, step
from mlops_kit.records.check import Problem
from mlops_kit.records.dataset import Manifest
from mlops_kit.records.entry import FIRST_PREV, Entry, tip
from mlops_kit.records.references import references
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.records.shape import reading
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, Found, read_pieces
from mlops_kit.store.objects import Objects

_LONGEST_NAME = len("sha256:") + 64 - 1
_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})")
_ENTRY = re.compile(r"(journals/.+/)(\d{12})\.json")
_KNOWN = re.compile(
    r"objects/|packs/|tmp/|index/|gc/|journals/.+/(?:\d{12}|head|fold)\.json$|store\.json$|\.gitignore$"
    r"|runs/[^/]+/[0-9a-f]{8}-[0-9a-f]{12}\.(?:start|end|lease|metrics-\d{6,})\.jsonl?$"
    r"|monitors/[^/]+/[^/]+/[^/]+\.(?:parquet|json)$|steps/[0-9a-f]{64}\.json$"
)
"""What this release writes, and what of it names objects has been read."""
_RUN = re.compile(r"runs/[^/]+/([0-9a-f]{8}-[0-9a-f]{12})\.(start|end|lease)\.json")


def named_bytes(backend: Backend) -> list[Found]:
    """List the objects and packs of a store: all that goes when nothing names it."""
    return [found for prefix in ("objects/", "packs/") for found in backend.walk(prefix) if digest_in(found.key)]


def digest_in(key: str) -> str | None:
    """Give the hex digest that an object or pack has for a name; None for any other key.

    Examples
    --------
    >>> digest_in("packs/" + "ab" * 32) == digest_in("objects/ab/" + "ab" * 32) == "ab" * 32
    True
    >>> digest_in("objects/ab/notes.txt")
    """
    folder, _, name = key.rpartition("/")
    own = re.fullmatch(r"[0-9a-f]{64}", name) and folder in {f"objects/{name[:2]}", "packs"}
    return name if own else None


@dataclass(frozen=True, slots=True)
class Live:
    """What may not go.

    Parameters
    ----------
    digests : frozenset of str
        Every digest in a record, in hex.
    pinned_since : float or None
        What is younger belongs to a run that has not ended, and may yet be named.
    """

    digests: frozenset[str]
    pinned_since: float | None = None

    def holds(self, found: Found) -> bool:
        """Tell whether an object or pack may not go."""
        pinned = self.pinned_since is not None and found.modified >= self.pinned_since
        return pinned or digest_in(found.key) in self.digests


@dataclass(slots=True)
class _Run:
    """What the files of one run tell about it."""

    began: float = float("inf")
    sign: float = 0.0
    resumed: int = 0
    ended: int = -1
    retold: bool = False
    damage: list[Problem] = field(default_factory=list)

    def started_by(self, record: dict[str, Any], found: Found) -> None:
        start = RunStart.of(record)
        self.resumed = max(self.resumed, start.resumed or 0)
        self.began = min(found.modified, start.at.timestamp())

    def ended_by(self, record: dict[str, Any], _found: Found) -> None:
        end = RunEnd.of(record)
        self.retold |= end.start is not None
        self.ended = (end.start and end.start.resumed) or 0


@dataclass(slots=True)
class _Tracer:
    backend: Backend
    digests: set[str] = field(default_factory=set)
    manifests: set[str] = field(default_factory=set)
    runs: dict[str, _Run] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def note(self, data: bytes, record: dict[str, Any]) -> None:
        """Take every digest for a name, whichever member it stands in: to keep too much is no loss."""
        self.digests.update(match.decode() for match in _DIGEST.findall(data))
        self.manifests.update(digest for what, digest in references(record) if what == "manifest")

    def journals(self) -> None:
        last: dict[str, tuple[int, str | None]] = {}
        for found in self.backend.walk("journals/"):
            match = _ENTRY.fullmatch(found.key)
            if match is None:
                continue
            before, expected = last.get(match[1], (0, FIRST_PREV))
            number = int(match[2])
            if number != before + 1:
                self.problems.append(Problem("missing", found.key, "an entry is missing before it"))
                expected = None
            last[match[1]] = number, None
            with self.noting(found.key):
                data = self.backend.get(found.key) or b""
                record = codec.unseal(data, where=found.key, kind="entry")
                entry = Entry.of(record, where=found.key)
                self.note(data, record)
                last[match[1]] = number, tip(data)
                if entry.seq != number:
                    raise IntegrityError(f"It carries the number {excerpt(entry.seq, 20)}: it was moved here.")
                if expected is not None and entry.prev != expected:
                    raise IntegrityError("It does not follow the entry before it: one of the two was replaced.")

    def of_runs(self) -> None:
        for found in self.backend.walk("runs/"):
            match = _RUN.fullmatch(found.key)
            if match is None:
                continue
            run = self.runs.setdefault(match[1], _Run())
            run.sign = max(run.sign, found.modified)
            before = len(self.problems)
            with self.noting(found.key):
                data = self.backend.get(found.key) if match[2] != "lease" else None
                if not data:  # a start is not synced: after a power cut it may be empty, and names nothing
                    continue
                record = codec.unseal(data, where=found.key, kind=f"run-{match[2]}")
                own = record.get("start") if match[2] == "end" else record
                if own is not None and own["id"] != match[1]:
                    raise IntegrityError(f"It is of the run {quoted(own['id'], 40)}: it was moved here.")
                (run.ended_by if match[2] == "end" else run.started_by)(record, found)
                self.note(data, record)
            if match[2] == "start":
                run.damage, self.problems[before:] = self.problems[before:], []
        for run in self.runs.values():
            if not run.retold:  # else the end tells all that the start did
                self.problems += run.damage

    def results(self, expired: Collection[str]) -> None:
        """Note what results of steps name; one that cannot be read is computed again, and names nothing."""
        for found in self.backend.walk(keys.STEPS):
            if found.key in expired:
                continue
            with suppress(IntegrityError, NotFound, NewerFormat), reading(found.key):
                data = self.backend.get(found.key) or b""
                record = codec.unseal(data, where=found.key, kind=step.KIND)
                self.digests.update(match.decode() for match in _DIGEST.findall(data))
                for what, digest in references(record):
                    if what == "manifest":
                        self.digests.update(_parts(self.backend, digest))

    def others(self) -> None:
        """Note what files of kinds name that this release does not know: a later one may need it."""
        for found in self.backend.walk(""):
            if not _KNOWN.match(found.key):
                before = b""
                for piece in read_pieces(self.backend, found.key):
                    self.digests.update(match.decode() for match in _DIGEST.findall(before + piece))
                    before = piece[-_LONGEST_NAME:]

    def contents(self) -> None:
        objects = Objects(self.backend, 0)
        for digest in sorted(self.manifests):
            key = keys.object_key(digest)
            with self.noting(key):
                data = objects.get(digest, what="manifest of a dataset")
                record = codec.unseal(data, where=key, kind="manifest")
                Manifest.of(record)
                self.note(data, record)

    @contextmanager
    def noting(self, key: str) -> Iterator[None]:
        """Note what cannot be read and go on, for all of it is to be reported."""
        try:
            with reading(key):
                yield
        except (IntegrityError, NotFound) as error:
            self.problems.append(Problem(error.kind, key, str(error)))


def _parts(backend: Backend, manifest: str) -> list[str]:
    """Name, in hex, the objects of a manifest of a step's result, which may be lost or torn; nothing then."""
    key = keys.object_key(manifest)
    record = codec.unseal(backend.get(key) or b"", where=key, kind="manifest")
    return [digest.removeprefix("sha256:") for _, digest in references(record)]


def trace(backend: Backend, grace: float, expired: Collection[str] = ()) -> Live:
    """Read every journal, run and manifest, and tell what they need.

    Parameters
    ----------
    backend : Backend
        The store.
    grace : float
        Seconds. A run without an end counts as going on until its last sign of life is as old as this, and
        nothing that was made or reused since it began may go.
    expired : collection of str
        Records of results of steps that are about to go, and need nothing any more.

    Returns
    -------
    Live
        What may not go.

    Raises
    ------
    IntegrityError
        Records that may name something cannot be read, or manifests are missing; its `problems` has them all.
    """
    tracer = _Tracer(backend)
    tracer.journals()
    tracer.of_runs()
    tracer.results(expired)
    tracer.others()
    tracer.contents()
    if tracer.problems:
        error = IntegrityError("; ".join(f"{problem.key} ({problem.kind})" for problem in tracer.problems))
        error.problems = tuple(tracer.problems)
        raise error
    now = backend.now()
    begun = [run.began for run in tracer.runs.values() if run.ended < run.resumed and now - run.sign < grace]
    return Live(frozenset(tracer.digests), min(begun) - grace / 2 if begun else None)
