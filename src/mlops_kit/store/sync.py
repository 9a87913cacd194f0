"""From a spool to its store: objects, beginnings, versions, ends, each as often as one likes and there once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_kit.errors import ExposedFile, IntegrityError, MlopsKitError, RunNotFound, StoreError
from mlops_kit.masking import quoted
from mlops_kit.records import codec, versions
from mlops_kit.records.check import Problem, SyncReport
from mlops_kit.records.pending import Pending
from mlops_kit.records.references import references
from mlops_kit.records.run import InputRef, RunEnd, RunStart
from mlops_kit.store import gc, keys, trusted
from mlops_kit.store import held as held_files
from mlops_kit.store.backend import make_durable
from mlops_kit.store.kinds import kind_of
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.numbering import Attempt, add_version
from mlops_kit.store.objects import digest_of
from mlops_kit.store.spool import spool_of
from mlops_kit.store.trust import trusted_by_name

if TYPE_CHECKING:
    from mlops_kit.store.store import Store

_START = re.compile(r"runs/[0-9-]+/([0-9a-f]{8}-[0-9a-f]{12})\.start\.json")
_END = re.compile(r"runs/[0-9-]+/([0-9a-f]{8}-[0-9a-f]{12})\.end\.json")
_SEGMENT = re.compile(r"runs/[0-9-]+/([0-9a-f]{8}-[0-9a-f]{12})\.metrics-(\d{6})\.jsonl")

_LEAVING = ("runs", "pending", "objects")


def deliver(store: Store) -> SyncReport:
    """Deliver what is in the spool of a store; see `Store.sync`."""
    spool = spool_of(store.url)
    # Records are listed before objects: a run that goes on writes its objects first, so none that is needed is missed.
    held = [found.key for folder in ("pending/", "runs/") for found in spool.walk(folder)]
    held += [found.key for found in spool.walk("objects/")]
    for left in gc.leftovers(spool.walk("tmp/"), now=spool.now()):
        spool.delete(left.key)
    recovered = held_files.recover_all(store.url, store.runs)
    if not held:
        return SyncReport(store.url, tuple(recovered))
    _require_own(spool, held)
    store.ensure()
    delivery = _Delivery(store, spool, held)
    delivery.run()
    _clear(spool, delivery.done)
    return SyncReport(
        store.url,
        tuple(sorted({*delivery.runs, *recovered})),
        tuple(f"{pending.name}:{version}" for pending, version in delivery.numbered),
        delivery.objects,
        tuple(delivery.problems),
    )


def _require_own(spool: LocalBackend, held: Iterable[str]) -> None:
    """Refuse what somebody else may have put into a spool: in a store of the user's it would be trusted."""
    if trusted_by_name(spool.url) or trusted.trusted_of(spool.url).code:
        return
    for key in held:
        why = spool.exposure(key)
        if why is not None:
            raise ExposedFile(
                f"Nothing in the spool {spool.url} is delivered, for {why}: somebody else could have written {key}. If "
                f"all is yours, change that mode, or run: mlops-kit trust add {shlex.quote(spool.url)}"
            )


class _Delivery:
    """One pass over what a spool held when it began."""

    def __init__(self, store: Store, spool: LocalBackend, held: list[str]) -> None:
        self._store = store
        self._spool = spool
        self._held = held
        self._moved: dict[tuple[str, int], int] = {}
        self.numbered: list[tuple[Pending, int]] = []
        self.done: list[tuple[str, bytes | None]] = []
        self.runs: set[str] = set()
        self.objects = 0
        self.problems: list[Problem] = []

    def run(self) -> None:
        """Deliver all; what is not delivered is a problem, and stays."""
        objects = [key for key in self._held if key.startswith("objects/")]
        looked = {key: _names_others(self._read_object(key)) for key in objects}  # all before one is delivered
        for key in sorted(objects, key=looked.__getitem__):  # what names others comes last, after what it names
            self._object(key)
        starts, ends, segments = (self._matching(pattern) for pattern in (_START, _END, _SEGMENT))
        for key, match in starts:
            self._start(key, match[1])
        for key, match in segments:
            self._segment(key, match[1], int(match[2]))
        for pending in sorted(self._pending(), key=lambda pending: pending.at):
            self._version(pending)
        for key, match in ends:
            self._end(key, match[1])
        for key, match in starts:
            self._name_inputs(key, match[1])
        # What an end names or counts stays until it is delivered: it must learn the numbers that this has got.
        told = [(key, match[1]) for key, match in segments]
        told += [(keys.pending_key(pending.nonce), pending.run) for pending, _ in self.numbered]
        self.done += [(key, None) for key, run_id in told if self._is_over(run_id)]
        # Records of runs first: were the versions gone, an end that is still in the spool could not name them.
        self.done.sort(key=lambda item: _LEAVING.index(item[0].partition("/")[0]))

    def _matching(self, pattern: re.Pattern[str]) -> list[tuple[str, re.Match[str]]]:
        return [(key, match) for key in self._held if (match := pattern.fullmatch(key))]

    def _read_object(self, key: str) -> bytes | None:
        data = self._spool.get(key)
        if data is not None and keys.object_key(digest_of(data)) != key:
            raise IntegrityError(
                f"The object {key} in the spool {self._spool.url} is damaged, so nothing is delivered that may name "
                "it. Restore the file from a copy, or remove the records that need it."
            )
        return data

    def _object(self, key: str) -> None:
        data = self._read_object(key)
        if data is None:
            return  # another sync was faster
        backend = self._store.backend
        found = backend.stat(key)
        if found is not None and found.size == len(data):
            backend.touch(key)  # a collection of garbage that began before must not take it
            make_durable(backend, key)
        else:
            backend.put(key, data)
            self.objects += 1
        self.done.append((key, None))

    def _start(self, key: str, run_id: str) -> None:
        """Deliver how a run began, so that what is delivered next belongs to a run that is there."""
        data = self._spool.get(key)
        if not data:  # it is not synced: a power cut may have taken its bytes, and the end tells them again
            self.done += [] if data is None else [(key, data)]
            return
        start = RunStart.decode(data, where=key)
        self.runs.add(run_id)
        if self._store.runs.end(run_id) is None:
            self._write(key, start.encode())
        self.done.append((key, data))

    def _segment(self, key: str, run_id: str, number: int) -> None:
        """Deliver metric points under the next number that no other process of the run has taken."""
        data = self._spool.get(key)
        if data is None:
            return
        self.runs.add(run_id)
        runs, before = self._store.runs, number
        while not runs.write_metrics(run_id, number, data) and runs.metrics(run_id, number) != data:
            number += 1
        make_durable(self._store.backend, keys.metrics_key(run_id, number))
        self._moved[run_id, before] = number

    def _pending(self) -> Iterator[Pending]:
        for key in self._held:
            data = self._spool.get(key) if key.startswith("pending/") else None
            if data is not None:
                yield Pending.decode(data, where=key)

    def _version(self, pending: Pending) -> None:
        """Make a version, unless an earlier delivery, or the attempt that seemed to fail, has made it."""
        kind = kind_of(pending.journal)
        if kind is None or not kind.delivered:
            message = f"It is one of {quoted(pending.journal)}, which this release does not deliver: use a newer one."
            self.problems.append(Problem("refused", keys.pending_key(pending.nonce), message))
            return
        try:
            entry = add_version(
                self._store.journal(pending.journal, pending.name, versions.fold),
                pending.name,
                pending.kind,
                lambda _number: pending.body,
                what=f"{kind.what} in {self._store.url}",
                attempt=Attempt(pending.nonce, pending.by, pending.at),
                same=pending.body.get("identity"),
                again=True,
            )
        except StoreError:
            raise
        except MlopsKitError as error:  # such as a name that somebody has spelled otherwise since
            self.problems.append(Problem("refused", keys.pending_key(pending.nonce), str(error)))
        else:
            self.numbered.append((pending, entry.body["version"]))

    def _end(self, key: str, run_id: str) -> None:
        """Deliver what a run came to, with the numbers that its versions have got, unless it has a newer end."""
        data = self._spool.get(key)
        if data is None:
            return
        end = self._filled(run_id, RunEnd.decode(data, where=key))
        self.runs.add(run_id)
        known = self._store.runs.end(run_id)
        if known is not None and known.at == end.at:  # delivered before: its segments may have left the spool since
            end = replace(end, segments=known.segments)
        if known is None or known.at <= end.at:
            if end.start is not None:
                self._write(keys.run_key(run_id, "start"), end.start.encode())
            self._write(key, end.encode())
        self.done.append((key, data))

    def _name_inputs(self, key: str, run_id: str) -> None:
        """Write again the beginning of a run that has not ended, now that its data has numbers."""
        if self._store.runs.end(run_id) is None and self._store.backend.get(key):
            start = self._store.runs.start(run_id)
            self._write(key, replace(start, inputs=self._named(run_id, start.inputs)).encode())

    def _filled(self, run_id: str, end: RunEnd) -> RunEnd:
        mine = ((pending, number) for pending, number in self.numbered if pending.run == run_id)
        made = [{"name": pending.name, "version": number} for pending, number in mine if pending.journal == "models"]
        start = end.start and replace(end.start, inputs=self._named(run_id, end.start.inputs))
        models = (*end.models, *(model for model in made if model not in end.models))
        segments = {self._moved.get((run_id, number), number): lines for number, lines in end.segments.items()}
        return replace(end, start=start, inputs=self._named(run_id, end.inputs), models=models, segments=segments)

    def _named(self, run_id: str, inputs: tuple[InputRef, ...]) -> tuple[InputRef, ...]:
        numbers = {
            pending.name: number
            for pending, number in self.numbered
            if pending.run == run_id and pending.journal == "datasets"
        }
        return tuple(
            replace(ref, version=numbers[ref.dataset]) if ref.version is None and ref.dataset in numbers else ref
            for ref in inputs
        )

    def _write(self, key: str, data: bytes) -> None:
        """Write durably: what is delivered leaves the spool."""
        if self._store.backend.get(key) != data or not make_durable(self._store.backend, key):
            self._store.backend.put(key, data)

    def _is_over(self, run_id: str) -> bool:
        """Tell whether no end of a run can come any more that would have to name its versions."""
        runs = self._store.runs
        try:
            return runs.end(run_id) is not None or not runs.is_alive(runs.start(run_id))
        except RunNotFound:
            return True


def _names_others(data: bytes | None) -> bool:
    """Tell whether an object is a record that names other objects."""
    if data is None or not data.startswith(b"{"):
        return False
    try:
        return any(references(codec.unseal(data, where="the spool")))
    except MlopsKitError:
        return False


def _clear(spool: LocalBackend, done: Iterable[tuple[str, bytes | None]]) -> None:
    """Remove what was delivered, but not what a run that goes on has written anew since.

    Folders stay, and so does ``spool.json``: a run may be about to use them.
    """
    for key, data in done:
        if data is None:
            spool.delete(key)
        else:
            spool.delete_if(key, data)
