"""Put right what follows from the rest of a store; what was recorded is never touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_kit.errors import IntegrityError, StoreError
from mlops_kit.records import versions
from mlops_kit.records.check import FsckReport, Problem
from mlops_kit.records.entry import Entry, tip
from mlops_kit.records.shape import ODD
from mlops_kit.store import gc, keys
from mlops_kit.store.backend import Backend
from mlops_kit.store.head import Head

_HEAD, _FOLD = "head.json", "fold.json"


def mend(backend: Backend, report: FsckReport, *, remake: Callable[[], None]) -> tuple[str, ...]:
    """Repair what a check has found, as far as the truth is there.

    Parameters
    ----------
    backend : Backend
        The store.
    report : FsckReport
        What the check found.
    remake : callable
        Makes ``store.json``.

    Returns
    -------
    tuple of str
        What was done, a sentence each.
    """
    done = [line for problem in report.problems if (line := _mended(backend, report, problem, remake))]
    linked = any(problem.key == "tmp" for problem in report.problems)  # then what lies there is not the store's
    for left in gc.leftovers(() if linked else backend.walk("tmp/"), now=backend.now()):
        backend.delete(left.key)
        done.append(f"{left.key}: removed; a writer that is gone left it behind")
    return tuple(done)


def _mended(backend: Backend, report: FsckReport, problem: Problem, remake: Callable[[], None]) -> str:
    folder, _, name = problem.key.rpartition("/")
    if problem.key == keys.STORE and problem.kind == "missing":
        remake()
        return f"{problem.key}: made anew, with another id"
    if problem.kind == "damaged" and f"{folder}/" == keys.MARKS:
        backend.delete(problem.key)
        return f"{problem.key}: removed; the next gc marks again"
    if problem.kind == "stale-result":
        backend.delete(problem.key)
        return f"{problem.key}: removed; the step runs again when it is called"
    if problem.kind in {"damaged", "stale-hint"} and folder.startswith("journals/") and name in {_HEAD, _FOLD}:
        hints = {f"{folder}/{_HEAD}", f"{folder}/{_FOLD}"}
        sound = not any(p.key.startswith(f"{folder}/") and p.key not in hints for p in report.problems)
        head = _head(backend, f"{folder}/") if sound and name == _HEAD else None
        if head is None:
            backend.delete(problem.key)
            return f"{problem.key}: removed; it was only a hint"
        for key, data in head.hints(*folder.split("/")[1:]):
            backend.put(key, data)
        return f"{problem.key}: written again from the entries of the journal"
    return ""


def _head(backend: Backend, prefix: str) -> Head | None:
    """Fold a journal from its first entry; None if it has none, or one that does not follow."""
    if not keys.has_versions(prefix):
        return None  # what its entries mean is known above: the next writer there makes the hint anew
    state: dict[str, Any] = {}
    head = Head(state=state, steps=None)
    while True:
        try:
            data = backend.get(f"{prefix}{head.seq + 1:012d}.json")
            if data is None:
                break
            entry = Entry.decode(data, where=prefix)
            if entry.prev != head.tip:
                return None
            versions.fold(state, entry)
        except (IntegrityError, StoreError, *ODD):
            return None
        head.seq, head.tip = head.seq + 1, tip(data)
    return head if head.seq else None
