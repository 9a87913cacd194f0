"""Delete what nothing names: mark, wait out the grace, trace again, sweep in public.

Age alone does not tell garbage: a writer may be about to name an old object that it found in the store. So what
goes has been unnamed at two looks a grace apart, nobody has used it for as long, and every writer could see that
it was about to go; see `mlops_kit.store.sweeps`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mlops_kit.errors import IntegrityError
from mlops_kit.records.check import GcReport
from mlops_kit.records.garbage import Mark
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, Found, foreign_files
from mlops_kit.store.folders import foreign_message
from mlops_kit.store.sweeps import Sweeps
from mlops_kit.store.trace import Live, named_bytes, trace

LEFTOVER_SECONDS = 86_400.0
"""The age from which a file in tmp/ was left behind by a writer that is gone."""
_BATCH = 500


def collect(backend: Backend, *, grace: float, dry_run: bool, results: float | None = None) -> GcReport:
    """Mark what nothing names, and delete what was marked a grace ago.

    Parameters
    ----------
    backend : Backend
        The store.
    grace : float
        In seconds.
    dry_run : bool
        Only tell what would be done.
    results : float, optional
        Delete results of steps that are older than so many seconds too.

    Returns
    -------
    GcReport
        What is kept, marked and deleted.

    Raises
    ------
    IntegrityError
        A record cannot be read, so nobody knows what it names, and nothing was done.
    """
    _refuse_foreign(backend)
    now = backend.now()  # before the look at what is named: however long this takes, ages count from here
    expired = [] if results is None else _older(backend.walk(keys.STEPS), now - results)
    found = named_bytes(backend)
    live = _trace(backend, grace, {one.key for one in expired})
    unnamed = {one.key: one for one in found if not live.holds(one)}
    marks = _marks(backend)
    before = earliest(marks, unnamed)
    marked = dict.fromkeys(unnamed, now) | before
    doomed = ripe(unnamed.values(), marked, now=now, grace=grace)
    left = leftovers(backend.walk("tmp/"), now=now)
    if dry_run:
        gone = doomed
    else:
        marks = _add_mark(backend, marks, unnamed.keys() - before.keys(), now)
        gone = _sweep(backend, doomed, now - grace)
        waiting = unnamed.keys() - {one.key for one in gone}
        for mark in marks:
            if waiting.isdisjoint(mark.keys):
                backend.delete(mark.key)
        for one in (*left, *expired):
            backend.delete(one.key)
    removed = {one.key for one in gone}
    return GcReport(
        url=backend.url,
        grace=grace,
        dry_run=dry_run,
        kept=len(found) - len(unnamed),
        marked=tuple(sorted(unnamed.keys() - removed)),
        deleted=tuple(sorted([*removed, *(one.key for one in (*left, *expired))])),
        freed_bytes=sum(one.size for one in (*gone, *left, *expired)),
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A mark as it stands in the store; one that cannot be read marks nothing."""

    key: str
    made: float
    keys: tuple[str, ...]


def earliest(marks: Iterable[_Made], unnamed: Iterable[str]) -> dict[str, float]:
    """Tell when each unnamed key was first marked."""
    wanted = set(unnamed)
    times: dict[str, float] = {}
    for mark in marks:
        for key in wanted.intersection(mark.keys):
            times[key] = min(mark.made, times.get(key, mark.made))
    return times


def ripe(unnamed: Iterable[Found], marked: Mapping[str, float], *, now: float, grace: float) -> list[Found]:
    """Choose what was marked a grace ago, and has not been written or refreshed for as long.

    Parameters
    ----------
    unnamed : iterable of Found
        What nothing names now.
    marked : mapping
        When each key was marked, by the clock of the place.
    now, grace : float
        Seconds.

    Returns
    -------
    list of Found
        What may go.

    Examples
    --------
    >>> [one.key for one in ripe([Found("a", 1, 0), Found("b", 1, 50)], {"a": 10, "b": 10}, now=100, grace=60)]
    ['a']
    """
    return [one for one in unnamed if now - marked[one.key] >= grace and now - one.modified >= grace]


def _older(found: Iterable[Found], moment: float) -> list[Found]:
    """Choose the results of steps that were written before a moment; files of other names are not ours."""
    return [one for one in found if keys.is_result(one.key) and one.modified < moment]


def leftovers(found: Iterable[Found], *, now: float) -> list[Found]:
    """Choose the temporary files that no writer can still be using; files of other names are not ours."""
    return [one for one in found if keys.is_temporary(one.key) and now - one.modified >= LEFTOVER_SECONDS]


def _refuse_foreign(backend: Backend) -> None:
    """Refuse to go on where a link hides what records may name."""
    foreign = foreign_files(backend)
    if foreign:
        more = f" {len(foreign) - 1} more are like it; `Store.fsck()` lists them." if len(foreign) > 1 else ""
        raise IntegrityError(f"Nothing was collected in {backend.url}: {foreign_message(foreign[0])}{more}")


def _trace(backend: Backend, grace: float, expired: Collection[str]) -> Live:
    try:
        return trace(backend, grace, expired)
    except IntegrityError as error:
        refusal = IntegrityError(
            f"Nothing was collected in {backend.url}, for {len(error.problems):,} of its records cannot be read, and "
            f"what they name would be lost: {error}. Restore these files from a copy of the store; `Store.fsck()` "
            "lists all that is wrong."
        )
        refusal.problems = error.problems
        raise refusal from error


def _marks(backend: Backend) -> list[_Made]:
    marks = []
    for found in backend.walk(keys.MARKS):
        data = backend.get(found.key)
        if data is not None and keys.number_in(found.key):
            try:
                listed = Mark.decode(data, where=found.key).keys
            except IntegrityError:
                listed = ()
            marks.append(_Made(found.key, found.modified, listed))
    return marks


def _add_mark(backend: Backend, marks: list[_Made], listed: Collection[str], now: float) -> list[_Made]:
    """Mark what was not marked before; older marks stand until all that they name is dealt with."""
    seq = max((keys.number_in(mark.key) for mark in marks), default=0)
    while listed:
        seq += 1
        mark = Mark(seq, tuple(sorted(listed)))
        key = keys.mark_key(seq)
        if backend.create(key, mark.encode()):
            return [*marks, _Made(key, now, mark.keys)]
    return marks


def _sweep(backend: Backend, doomed: list[Found], latest: float) -> list[Found]:
    """Delete what was not used after the latest moment, in sweeps short enough for others to wait for."""
    sweeps = Sweeps(backend)
    gone: list[Found] = []
    waiting = list(doomed)
    while waiting:
        batch, rest = waiting[:_BATCH], waiting[_BATCH:]
        sweep, deadline = sweeps.begin(tuple(one.key for one in batch))
        done = 0
        for one in batch:
            again = backend.stat(one.key)
            old = again is not None and again.modified <= latest
            if deadline.passed:
                break
            if old:
                backend.delete(one.key)
                gone.append(one)
            done += 1
        sweeps.end(sweep)
        if not done:
            break
        waiting = batch[done:] + rest
    return gone
