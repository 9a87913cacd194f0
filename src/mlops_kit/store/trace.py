"""What a store still needs: every object and pack that its records name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mlops_kit.errors import IntegrityError
from mlops_kit.records import codec
from mlops_kit.records.references import references
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, Found
from mlops_kit.store.objects import Objects

_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})")
_ENTRY = re.compile(r"(journals/.+/)(\d{12})\.json")
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
    damage: IntegrityError | None = None


@dataclass(slots=True)
class _Tracer:
    backend: Backend
    digests: set[str] = field(default_factory=set)
    manifests: set[str] = field(default_factory=set)
    runs: dict[str, _Run] = field(default_factory=dict)

    def note(self, data: bytes, record: dict[str, Any]) -> None:
        """Take every digest for a name, whichever member it stands in: to keep too much is no loss."""
        self.digests.update(match.decode() for match in _DIGEST.findall(data))
        self.manifests.update(digest for what, digest in references(record) if what == "manifest")

    def journals(self) -> None:
        last: dict[str, int] = {}
        for found in self.backend.walk("journals/"):
            match = _ENTRY.fullmatch(found.key)
            data = self.backend.get(found.key) if match else None
            if match is None or data is None:
                continue
            if int(match[2]) != last.get(match[1], 0) + 1:
                raise IntegrityError(f"an entry is missing before {found.key}")
            last[match[1]] = int(match[2])
            self.note(data, codec.unseal(data, where=found.key, kind="entry"))

    def of_runs(self) -> None:
        for found in self.backend.walk("runs/"):
            match = _RUN.fullmatch(found.key)
            if match is None:
                continue
            run = self.runs.setdefault(match[1], _Run())
            run.sign = max(run.sign, found.modified)
            data = self.backend.get(found.key) if match[2] != "lease" else None
            if not data:  # a start is not synced: after a power cut it may be empty, and names nothing
                continue
            try:
                record = codec.unseal(data, where=found.key, kind=f"run-{match[2]}")
            except IntegrityError as error:
                if match[2] == "end":
                    raise
                run.damage = error
                continue
            self.note(data, record)
            run.retold |= "start" in record
            if match[2] == "end":
                run.ended = record.get("start", {}).get("resumed", 0)
            else:
                run.resumed = max(run.resumed, record.get("resumed", 0))
            if match[2] == "start":
                run.began = min(found.modified, codec.moment(record["at"]).timestamp())
        for run in self.runs.values():
            if run.damage is not None and not run.retold:  # else the end tells all that the start did
                raise run.damage

    def contents(self) -> None:
        objects = Objects(self.backend, 0)
        for digest in sorted(self.manifests):
            data = objects.get(digest, what="manifest of a dataset")
            self.note(data, codec.unseal(data, where=keys.object_key(digest), kind="manifest"))


def trace(backend: Backend, grace: float) -> Live:
    """Read every journal, run and manifest, and tell what they need.

    Parameters
    ----------
    backend : Backend
        The store.
    grace : float
        Seconds. A run without an end counts as going on until its last sign of life is as old as this, and
        nothing that was made or reused since it began may go.

    Returns
    -------
    Live
        What may not go.

    Raises
    ------
    IntegrityError
        A record that may name something cannot be read.
    NotFound
        A manifest is missing.
    """
    tracer = _Tracer(backend)
    tracer.journals()
    tracer.of_runs()
    tracer.contents()
    now = backend.now()
    begun = [run.began for run in tracer.runs.values() if run.ended < run.resumed and now - run.sign < grace]
    return Live(frozenset(tracer.digests), min(begun) - grace / 2 if begun else None)
