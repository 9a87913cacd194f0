"""Put right what follows from the rest of a store; what was recorded is never touched."""

from __future__ import annotations

from collections.abc import Callable

from mlops_kit.errors import IntegrityError
from mlops_kit.records import codec, versions
from mlops_kit.records.check import FsckReport, Problem
from mlops_kit.records.entry import FIRST_PREV, Entry, tip
from mlops_kit.store import gc, keys
from mlops_kit.store.backend import Backend

_HEAD = "head.json"


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
    for left in gc.leftovers(backend.walk("tmp/"), now=backend.now()):
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
    if problem.kind in {"damaged", "stale-hint"} and folder.startswith("journals/") and name == _HEAD:
        sound = not any(p.key.startswith(f"{folder}/") and p.key != problem.key for p in report.problems)
        hint = _hint(backend, f"{folder}/") if sound else None
        if hint is None:
            backend.delete(problem.key)
            return f"{problem.key}: removed; it was only a hint"
        backend.put(problem.key, hint)
        return f"{problem.key}: written again from the entries of the journal"
    return ""


def _hint(backend: Backend, prefix: str) -> bytes | None:
    """Fold a journal from its first entry; None if it has none, or one that does not follow."""
    if not keys.has_versions(prefix):
        return None  # what its entries mean is known above: the next writer there makes the hint anew
    seq, last, state = 0, FIRST_PREV, dict[str, object]()
    while (data := backend.get(f"{prefix}{seq + 1:012d}.json")) is not None:
        try:
            entry = Entry.decode(data, where=prefix)
            if entry.prev != last:
                return None
            versions.fold(state, entry)
        except (IntegrityError, LookupError, TypeError):
            return None
        seq, last = seq + 1, tip(data)
    return codec.seal("head", {"seq": seq, "tip": last, "fold": state}) if seq else None
