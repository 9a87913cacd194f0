"""The records of runs: written by the run itself, read by everybody."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from mlops_kit.errors import IntegrityError, InvalidInput, RunNotFound
from mlops_kit.masking import quoted
from mlops_kit.records import codec
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.store import identity, keys
from mlops_kit.store.backend import Backend, names_in, read_verified

LEASE_SECONDS = 60.0
"""How often a running run renews its lease."""
EXPIRY_SECONDS = 180.0
"""How old the last lease of a run may be before the run counts as interrupted."""

_PART = re.compile(r"\.(start|end|resume-\d{6})\.json")
_SECOND = 8
_ID_LENGTH = 21
_SHORTEST = 4
_TELLING = 8
"""So many of the last characters of an id, which are random, are taken to tell a run from all others."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What the names of its files tell of a run.

    Parameters
    ----------
    id : str
        The run.
    resumed : int
        How often it was resumed.
    """

    id: str
    resumed: int


class Runs:
    """The runs of one store.

    Parameters
    ----------
    backend : Backend
        Where the records are.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def write_start(self, start: RunStart) -> None:
        """Record that a run began; not synced, for the run may yet come to nothing."""
        self._backend.put(keys.run_key(start.id, "start"), start.encode(), durable=False)

    def write_end(self, run_id: str, end: RunEnd) -> None:
        """Record what a run came to, durably."""
        self._backend.put(keys.run_key(run_id, "end"), end.encode())

    def renew_lease(self, run_id: str) -> None:
        """Record that a run is alive; the age of the file is what counts."""
        self._backend.put(keys.run_key(run_id, "lease"), codec.seal("run-lease", {"id": run_id}), durable=False)

    def start(self, run_id: str) -> RunStart:
        """Read the start of a run.

        Raises
        ------
        RunNotFound
            There is no such run.
        """
        key = keys.run_key(run_id, "start")
        start = read_verified(self._backend, key, lambda data: RunStart.decode(data, where=key) if data else None)
        if start is None:  # the start is not synced: a power cut may have taken it, or its bytes
            end = self.end(run_id)
            if end is not None and end.start is not None:
                return end.start
        if start is None:
            raise RunNotFound(f"There is no run {run_id} in {self._backend.url}. `list_runs()` shows those there are.")
        self._check_place(start, run_id, key)
        return start

    def _check_place(self, start: RunStart, run_id: str, key: str) -> None:
        if start.id != run_id:
            raise IntegrityError(
                f"The record at {key} in {self._backend.url} is one of the run {start.id}: it was copied there. "
                "Restore the file from a copy of the store."
            )

    def end(self, run_id: str) -> RunEnd | None:
        """Read the end of a run, or None if it has not ended."""
        key = keys.run_key(run_id, "end")
        end = read_verified(self._backend, key, lambda data: RunEnd.decode(data, where=key))
        if end is not None and end.start is not None:
            self._check_place(end.start, run_id, key)
        return end

    def claim(self, start: RunStart, last: int) -> RunStart | None:
        """Make this process the one that goes on with a run that is over.

        Parameters
        ----------
        start : RunStart
            How it goes on: where, and by which process.
        last : int
            How often it is known to have been resumed.

        Returns
        -------
        RunStart or None
            With the number that nobody else has, or None if another process took one and is still there.
        """
        number = last + 1
        while True:
            mine = replace(start, resumed=number)
            key = keys.resume_key(start.id, number)
            if self._backend.create(key, mine.encode()):
                return mine
            data = self._backend.get(key)
            if data is not None and self.is_alive(RunStart.decode(data, where=key), key):
                return None
            number += 1

    def is_taken_over(self, start: RunStart) -> bool:
        """Tell whether another process has resumed a run since it began or was resumed as `start` says."""
        return self._backend.stat(keys.resume_key(start.id, (start.resumed or 0) + 1)) is not None

    def is_alive(self, start: RunStart, key: str | None = None) -> bool:
        """Tell whether a run without an end may still be running.

        Parameters
        ----------
        start : RunStart
            Its start.
        key : str, optional
            Where that was written, if not at its own place.

        Returns
        -------
        bool
            False at once if its process is gone where process ids mean the same as here, and else when its last
            sign of life is more than 180 seconds old by the clock of the backend.
        """
        begun = self._backend.stat(key or keys.run_key(start.id, "start"))  # written again by who resumes the run
        if _is_here(start):
            since = start.at.timestamp()
            return _process_lives(start.pid, since if begun is None else max(since, begun.modified))
        signs = [sign.modified for sign in (begun, self._backend.stat(keys.run_key(start.id, "lease"))) if sign]
        return bool(signs) and self._backend.now() - max(signs) <= EXPIRY_SECONDS

    def records(self, run_id: str, resumed: int | None = None) -> tuple[RunStart, RunEnd | None]:
        """Read the records of a run: one that has ended, from its end alone.

        Parameters
        ----------
        run_id : str
            The run.
        resumed : int, optional
            How often it was resumed, if that is known from a list of its files.

        Raises
        ------
        RunNotFound
            There is no such run.
        """
        end = self.end(run_id)
        if end is not None and end.start is not None:
            told = end.start.resumed or 0
            if not self.is_taken_over(end.start) if resumed is None else resumed <= told:
                return end.start, end
        return self.start(run_id), end

    def found(self) -> Iterator[RunFiles]:
        """Yield the files of all runs, newest first, listing a day's folder only when it is reached."""
        for day in reversed(self._backend.folders("runs/")):
            yield from self._found_on(day)

    def _found_on(self, day: str) -> Iterator[RunFiles]:
        names = sorted(names_in(self._backend, f"runs/{day}/"), reverse=True)
        for run_id, group in groupby(names, key=lambda name: name[:_ID_LENGTH]):
            parts = [match[1] for name in group if (match := _PART.fullmatch(name, _ID_LENGTH))]
            if keys.RUN_ID.fullmatch(run_id) and parts:
                resumed = max((int(part[len("resume-") :]) for part in parts if part.startswith("resume-")), default=0)
                yield RunFiles(run_id, resumed)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs, newest first."""
        return (files.id for files in self.found())

    def find(self, part: str) -> str:
        """Complete a run id.

        Parameters
        ----------
        part : str
            An id, or its first or last characters, at least 4. What begins the id of a run is taken as that; the
            days it can be of are searched. What ends one is searched from the newest day back: of 8 characters or
            more up to the day where it is found, of fewer through all days.

        Returns
        -------
        str
            The whole id.

        Raises
        ------
        RunNotFound
            No run, or more than one, is meant; the message lists some that are.
        InvalidInput
            It cannot be a part of an id.
        """
        given: object = part
        if not isinstance(given, str) or not re.fullmatch(r"[0-9a-f-]{4,21}", given):
            raise InvalidInput(
                f"{quoted(part, 200)} is not a run id: give the id, or at least {_SHORTEST} of its first or "
                "last characters "
                "(digits, a-f and '-')."
            )
        if keys.RUN_ID.fullmatch(part):
            if self._backend.stat(keys.run_key(part, "start")) or self._backend.stat(keys.run_key(part, "end")):
                return part
            matches = []
        else:
            matches = self._beginning(part) or self._ending(part)
        if len(matches) == 1:
            return matches[0]
        if matches:
            shown = ", ".join(matches[:_SHOWN]) + (", …" if len(matches) > _SHOWN else "")
            raise RunNotFound(
                f"{len(matches)} runs in {self._backend.url} match {part!r}: {shown}. Give more of the id."
            )
        newest = [run_id for run_id, _ in zip(self.ids(), range(_SHOWN), strict=False)]
        exist = f"The newest are {', '.join(newest)}" if newest else "It holds no runs"
        raise RunNotFound(f"No run in {self._backend.url} matches {part!r}. {exist}; `list_runs()` shows all.")

    def _beginning(self, part: str) -> list[str]:
        """List the runs whose ids begin so, newest first; they are all of one day or two."""
        second = part.partition("-")[0]
        if len(second) > _SECOND or ("-" in part and len(second) < _SECOND):
            return []
        days = {keys.run_day(f"{second:{digit}<{_SECOND}}-") for digit in "f0"}
        return [
            files.id for day in sorted(days, reverse=True) for files in self._found_on(day) if files.id.startswith(part)
        ]

    def _ending(self, part: str) -> list[str]:
        """List the runs whose ids end so, newest first."""
        matches: list[str] = []
        for day in reversed(self._backend.folders("runs/")):
            names = names_in(self._backend, f"runs/{day}/")
            ending = [name for name in names if name[_ID_LENGTH - len(part) : _ID_LENGTH] == part]
            ids = {name[:_ID_LENGTH] for name in ending if _PART.fullmatch(name, _ID_LENGTH)}
            matches += sorted(filter(keys.RUN_ID.fullmatch, ids), reverse=True)
            if matches and len(part) >= _TELLING:
                break
        return matches

    def write_metrics(self, run_id: str, segment: int, data: bytes) -> bool:
        """Write a segment of metric points unless another writer took its number."""
        return self._backend.create(keys.metrics_key(run_id, segment), data)

    def metrics(self, run_id: str, segment: int) -> bytes | None:
        """Read a segment of metric points, or None past the last."""
        return self._backend.get(keys.metrics_key(run_id, segment))


def status_of(runs: Runs, start: RunStart, end: RunEnd | None) -> str:
    """Say how a run stands.

    Parameters
    ----------
    runs : Runs
        The runs of the store.
    start, end : RunStart and RunEnd
        Its records.

    Returns
    -------
    str
        ``"running"``, ``"finished"``, ``"failed"`` or ``"interrupted"``.
    """
    if end is not None and end.ends(start):
        return end.status
    return "running" if runs.is_alive(start) else "interrupted"


def _is_here(start: RunStart) -> bool:
    """Tell whether a process id of a run's means here what it meant there."""
    there = (start.host, start.boot, start.namespace)
    return None not in there and there == (identity.host(), identity.boot(), identity.namespace())


def _process_lives(pid: int, since: float) -> bool:
    """Tell whether the process that started a run at `since` is still there, and not another of its number."""
    try:
        os.kill(pid, 0) if os.name != "nt" else None
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it exists and belongs to somebody else
    born = _born(pid)
    return born is None or born <= since + 1


def _born(pid: int) -> float | None:
    """Tell when a process started, in Unix seconds, where /proc says so."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/stat", encoding="ascii") as file:
            booted = next(int(line.split()[1]) for line in file if line.startswith("btime "))
        return booted + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, StopIteration, IndexError):
        return None
