"""Try out a place, and say in plain words what a store there can promise."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from mlops_kit.errors import MlopsKitError
from mlops_kit.records.check import DoctorReport, Finding
from mlops_kit.store import keys, trusted
from mlops_kit.store.backend import Backend, read_judged
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.trust import trusted_by_name, unmade_in

_WRITERS = 4
_RACES = 5
_TIMED = 5
_SKEW_SECONDS = 60.0
_OLD, _NEW = b"old" * 20_000, b"new" * 15_000
_SINGLE_WRITER = "single-writer"
_PRIVATE = "Models load from here without further ado: nobody else may write here."
_TRUSTED = "Models load from here: you trust everybody who may write here."
_SHARED = "Pickles from here are not loaded, for {why}. If you trust all who may write: `mlops-kit trust add {url}`."

_Probe: TypeAlias = Callable[[Backend, str], Finding]


def examine(backend: Backend, describe: Callable[[], dict[str, Any] | None]) -> DoctorReport:
    """Try out a place.

    Parameters
    ----------
    backend : Backend
        The place. What is written goes to ``tmp/``, and is removed.
    describe : callable
        Reads the store's own record; None if there is no store yet.

    Returns
    -------
    DoctorReport
        One finding for each probe, and what follows.
    """
    prefix = f"tmp/doctor-{secrets.token_hex(8)}"
    with _without_trace(backend, prefix):
        record, stored = _stored(describe)
        findings = [stored, *(_tried(probe, name, backend, prefix) for name, probe in _PROBES.items())]
        refusal = _refusal(backend, f"{prefix}-judged", exists=record is not None)
    alone = (record or {}).get("capabilities", {}).get("create") == _SINGLE_WRITER
    alone = alone or getattr(backend, "single_writer", False)
    if alone:
        text = "one writer at a time: this place has no put-if-absent, and the store says so"
        findings = [Finding(found.probe, True, text) if found.probe == _RACE else found for found in findings]
    whose = _PRIVATE if refusal is None else _TRUSTED if _is_trusted(backend.url) else _SHARED
    loading = whose.format(url=shlex.quote(backend.url), why=refusal)
    return DoctorReport(backend.url, tuple(findings), promises(findings, alone=alone, loading=loading))


def promises(findings: list[Finding], *, alone: bool, loading: str) -> tuple[str, ...]:
    """Say what follows from the findings.

    Parameters
    ----------
    findings : list of Finding
        What the probes found.
    alone : bool
        The store is for one writer at a time.
    loading : str
        What lets models load from here.

    Returns
    -------
    tuple of str
        Sentences.

    Examples
    --------
    >>> promises([Finding("overwrite", False, "")], alone=False, loading="Models load.")
    ('Do not keep a store here: overwrite failed.',)
    """
    failed = [found.probe for found in findings if not found.ok]
    if failed:
        return (f"Do not keep a store here: {', '.join(failed)} failed.",)
    many = "One writer at a time may use this store." if alone else "Many writers at once may use this store."
    return many, loading


def _is_trusted(url: str) -> bool:
    return trusted_by_name(url) or trusted.trusted_of(url).code


def _stored(describe: Callable[[], dict[str, Any] | None]) -> tuple[dict[str, Any] | None, Finding]:
    try:
        record = describe()
    except MlopsKitError as error:
        return None, Finding("store.json", False, str(error))
    if record is None:
        return None, Finding("store.json", True, "there is no store here yet")
    able = ", ".join(f"{name}: {means}" for name, means in sorted(record["capabilities"].items()))
    return record, Finding("store.json", True, f"made {record['created'][:10]}; {able}")


def _tried(probe: _Probe, name: str, backend: Backend, prefix: str) -> Finding:
    try:
        return probe(backend, f"{prefix}-{name.replace(' ', '-')}")
    except MlopsKitError as error:
        return Finding(name, False, str(error))


def _create_race(backend: Backend, prefix: str) -> Finding:
    """Let several threads create the same keys at once."""
    winners: list[list[bytes]] = [[] for _ in range(_RACES)]
    errors: list[MlopsKitError] = []
    gate = threading.Barrier(_WRITERS)

    def write(own: bytes) -> None:
        for race, won in enumerate(winners):
            gate.wait()
            try:
                if backend.create(f"{prefix}-{race}", own):
                    won.append(own)
            except MlopsKitError as error:
                errors.append(error)

    threads = [threading.Thread(target=write, args=(b"writer %d" % number,)) for number in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    kept = [backend.get(f"{prefix}-{race}") for race in range(_RACES)]
    bad = sum(won != [value] for won, value in zip(winners, kept, strict=True))
    if bad:
        return Finding(_RACE, False, f"{bad} of {_RACES} keys had several winners, none, or another's value")
    return Finding(_RACE, True, f"{_WRITERS} writers, {_RACES} keys: exactly one winner each")


def _read_after_write(backend: Backend, key: str) -> Finding:
    backend.put(key, b"1")
    seen = backend.get(key) == b"1" and backend.stat(key) is not None
    backend.delete(key)
    gone = backend.get(key) is None
    message = "what was written or deleted is seen at once" if seen and gone else "an old state was seen"
    return Finding("read after write", seen and gone, message)


def _listing(backend: Backend, key: str) -> Finding:
    backend.put(key, b"1")
    seen = key in {found.key for found in backend.walk("tmp/")}
    backend.delete(key)
    gone = key not in {found.key for found in backend.walk("tmp/")}
    message = "lists show what was written at once" if seen and gone else "a list showed an old state"
    return Finding("listing", seen and gone, message)


def _overwrite(backend: Backend, key: str) -> Finding:
    backend.put(key, _OLD)
    backend.put(key, _NEW)
    ok = backend.get(key) == _NEW
    return Finding("overwrite", ok, "the new value counts" if ok else "the old value came back")


def _whole(backend: Backend, key: str) -> Finding:
    """Replace a value again and again while another thread reads it."""
    backend.put(key, _OLD)
    seen: set[bytes | None] = set()
    errors: list[MlopsKitError] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                seen.add(backend.get(key))
        except MlopsKitError as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(_TIMED):
            backend.put(key, _OLD if number % 2 else _NEW, durable=False)
    finally:
        done.set()
        reader.join()
    if errors:
        raise errors[0]
    ok = seen <= {_OLD, _NEW}
    message = "a reader sees old or new, never a part" if ok else "a reader saw a part of a value, or none"
    return Finding("whole values", ok, message)


def _clock(backend: Backend, key: str) -> Finding:
    before = time.time()
    backend.put(key, b"1")
    found, after = backend.stat(key), time.time()
    skew = backend.now() - time.time()
    if found is None:
        return Finding("clock", False, "a value that was just written is not there")
    dated = max(before - found.modified, found.modified - after, 0.0)
    ok = max(abs(skew), dated) <= _SKEW_SECONDS
    return Finding("clock", ok, f"{abs(skew):.1f} s from ours; new files are dated {dated:.1f} s off")


def _latency(backend: Backend, key: str) -> Finding:
    writes = [_timed(lambda: backend.put(key, b"1")) for _ in range(_TIMED)]
    reads = [_timed(lambda: backend.get(key)) for _ in range(_TIMED)]
    middle = f"{statistics.median(reads):.1f} ms to read, {statistics.median(writes):.1f} ms to write a small file"
    return Finding("latency", True, middle)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


_RACE = "create race"
_PROBES: dict[str, _Probe] = {
    _RACE: _create_race,
    "read after write": _read_after_write,
    "listing": _listing,
    "overwrite": _overwrite,
    "whole values": _whole,
    "clock": _clock,
    "latency": _latency,
}


def _refusal(backend: Backend, key: str, *, exists: bool) -> str | None:
    """Return why a pickle from here is not loaded without being trusted by name; None if it is."""
    try:
        if not exists:
            backend.put(key, b"1")
        found = read_judged(backend, keys.STORE if exists else key)
        if found is None:
            return "what was written is not there"
        if found.exposed is not None or found.root is None or not exists:
            return found.exposed
        return unmade_in(backend, found.root)
    except MlopsKitError as error:
        return str(error)


@contextlib.contextmanager
def _without_trace(backend: Backend, prefix: str) -> Iterator[None]:
    """Remove all that was written, on a disk also the folders that were made for it."""
    root = backend.root if isinstance(backend, LocalBackend) else None
    missing = [] if root is None else [path for path in (root / "tmp", root, *root.parents) if not path.exists()]
    try:
        yield
    finally:
        with contextlib.suppress(MlopsKitError):
            for found in list(backend.walk("tmp/")):
                if found.key.startswith(prefix):
                    backend.delete(found.key)
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
