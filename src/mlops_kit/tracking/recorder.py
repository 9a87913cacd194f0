"""The writing side of a run: collects what is logged, keeps it, and never lets a failure reach the user's code."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import threading
import time
import traceback
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from mlops_kit.errors import MlopsKitError, RecordingWarning, RunClosed, UnsupportedData
from mlops_kit.masking import masked_text
from mlops_kit.records.metrics import Point
from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef, RunEnd, RunStart, StepCall
from mlops_kit.store import keys
from mlops_kit.store.active import Passed
from mlops_kit.store.clocks import AHEAD, lead, told
from mlops_kit.store.held import HeldFile
from mlops_kit.store.runs import EXPIRY_SECONDS
from mlops_kit.store.spooling import SpoolingStore
from mlops_kit.store.store import Store
from mlops_kit.tracking import heartbeat, saving
from mlops_kit.tracking.git import GitState
from mlops_kit.tracking.inputs import SNAPSHOT_BYTES
from mlops_kit.tracking.metrics import MetricLog, numbered, write_segment
from mlops_kit.tracking.remains import without_gone

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_MAX_TRACE = 20_000
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Recorder:
    """What a running run has collected, and how it is written.

    Parameters
    ----------
    store : Store
        Where it goes.
    name : str
        What the run is called in warnings.
    strict : bool
        Let a failing recording raise. Otherwise what the store cannot take goes to its spool.
    run_id : str, optional
        Which run; by default a new one.

    Attributes
    ----------
    run_id : str
        Which run.
    start : RunStart
        How it began, once it is open.
    final : RunEnd or None
        What it came to, once it is closed.
    segments : dict of int to int
        How many metric points each segment holds that is known to be written, by number.
    git : GitState or None
        The question to git that is still open.
    limit : int or None
        Tables up to so many bytes are kept; None for all.
    earlier : tuple of float
        Wall and CPU seconds that a resumed run had taken before.
    """

    start: RunStart

    def __init__(self, store: Store, name: str, *, strict: bool = False, run_id: str | None = None) -> None:
        self.run_id = run_id or keys.new_run_id()
        self.store = store if strict else SpoolingStore(store, self.run_id, self._spooled)
        self.name = name
        self.strict = strict
        self.limit: int | None = SNAPSHOT_BYTES
        self.git: GitState | None = None
        self.final: RunEnd | None = None
        self.closed = False
        self.params: dict[str, Any] = {}
        self.inputs: list[InputRef] = []
        self.outputs: list[OutputRef] = []
        self.artifacts: list[ArtifactRef] = []
        self.models: list[dict[str, Any]] = []
        self.steps: list[StepCall] = []
        self.tags: dict[str, str] = {}
        self.problems: list[str] = []
        self.passed: tuple[Passed, ...] = ()
        self.metrics = MetricLog(self._write_segment)
        self._pid = os.getpid()
        self._held = HeldFile(self.store.url, self.run_id)
        self.segments: dict[int, int] = {}
        self.earlier = 0.0, 0.0
        self._began = time.perf_counter(), time.process_time()
        self._opened = time.time()
        self._lives = self.store.lives
        self._used: tuple[float, float] | None = None
        self._lock = threading.RLock()

    def open(self, start: RunStart) -> None:
        """Record the start; if git has not answered yet, it is recorded again at the end."""
        self.start = start
        with self.guarded("The start of the run"):
            self.store.runs.write_start(start)
            off = lead(datetime.now(UTC), self.store.backend)
            if off > AHEAD:
                self.problem(f"{told(off)} ahead of that of the store {self.store.url}, and the run is dated by it.")
        with self.guarded("Signs of life"):
            heartbeat.begin(self.store.runs, start.id)
            saving.begin(start.id, self._save)
        self._began = time.perf_counter(), time.process_time()

    def adopt(self, parent: str) -> None:
        """Belong to the run around, unless there is one already."""
        if self.start.parent is None:
            self.start = replace(self.start, parent=parent)
            with self.guarded("The run around this one"):
                self.store.runs.write_start(self.start)

    @property
    def is_own(self) -> bool:
        """Whether this is the process that started the run, not a fork of it."""
        return os.getpid() == self._pid

    def log(self, points: list[Point]) -> bool:
        """Take metric points, or tell that the run has ended meanwhile."""
        with self._lock:
            if self.closed:
                return False
            with self.guarded("Metrics"):
                self.metrics.add(points)
        return True

    def keep(self, refs: str, ref: InputRef | OutputRef | ArtifactRef) -> None:
        """Add a reference to one of the lists, in the place of one with the same name."""
        with self._lock:
            kept = [one for one in getattr(self, refs) if one.name != ref.name]
            setattr(self, refs, [*kept, ref])

    def close(self, status: str, error: BaseException | None = None) -> None:
        """Record the end: the one write of a run that is durable before anybody is told."""
        with self._lock:
            if self.closed or not self.is_own:
                return
            self.stop()
            self.closed = True
            self.passed = ()  # the caller's data is not kept alive by a run that is over
            heartbeat.end(self.start.id)
            saving.end(self.start.id)
            if self.git is not None:
                with self.guarded("The state of the git repository"):
                    self.start = replace(self.start, git=self.git_state(self.git))
                    self.store.runs.write_start(self.start)
            with self.guarded("The end of the run"):
                self._merge_elsewhere()
                self.final = self.end(status, error)
                self._check_still_ours()
                self._keep_what_is_there()
                self.store.runs.write_end(self.start.id, self.final)
                self._held.remove()
            if isinstance(self.store, SpoolingStore):
                self.store.settle()

    def leave(self, error: BaseException | None) -> None:
        """Record the end as an exception left it, or as nothing did; the exception goes before a strict recording's."""
        self.strict = self.strict and error is None
        self.close(status_after(error), error)

    def end(self, status: str, error: BaseException | None) -> RunEnd:
        """Put together the end record."""
        history = self.metrics.close()
        return RunEnd(
            at=datetime.now(UTC),
            status=status,
            start=self.start,
            error=None if error is None else described(error),
            metrics=self.metrics.last,
            history=history,
            segments=self.segments,
            params=self.params,
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            artifacts=tuple(self.artifacts),
            models=tuple(self.models),
            steps=tuple(self.steps),
            tags=self.tags,
            resources=self._resources(),
            problems=tuple(self.problems),
        )

    def guarded(self, what: str) -> Guard:
        """Turn a failure of the recording into a problem and a warning, unless the run is strict."""
        return Guard(self, what)

    def git_state(self, git: GitState) -> dict[str, Any] | None:
        """Wait for git and return what it said; a refusal is a problem of the run."""
        state = git.result(self.store.objects.put)
        if state is not None and "refused" in state:
            self.problem(f"The state of the git repository could not be recorded; git said: {state['refused']}")
        return state

    def refused(self, message: str) -> None:
        """Note data that cannot be kept, or raise if the run is strict."""
        if self.strict:
            raise UnsupportedData(message)
        self.problem(message)

    def problem(self, message: str) -> None:
        """Note something that could not be recorded, and warn once."""
        message = masked_text(message)
        if message not in self.problems:
            self.problems.append(message)
            warn(f"{message} The code of the run {self.name!r} goes on; its result is not affected.")

    def _spooled(self, message: str) -> None:
        warn(f"{masked_text(message)} The code of the run {self.name!r} goes on, and nothing of it is lost.")

    def _save(self) -> None:
        self._held.save(self.metrics.pending, self.params, self.tags)

    def _write_segment(self, data: bytes) -> None:
        self.store.ensure()
        first = max(self.segments, default=0) + 1
        self.segments[write_segment(self.store.runs, self.start.id, data, first)] = data.count(b"\n")

    def _merge_elsewhere(self) -> None:
        """Read the points that other processes logged to this run, while the store can be read."""
        if self.store.failure is not None:
            return
        for number, points in list(numbered(self.store.runs, self.start.id, besides=self.segments)):
            self.metrics.merge(points)
            self.segments[number] = len(points)

    def _keep_what_is_there(self) -> None:
        """Name nothing that went when the store was removed, or removed and made anew, while the run went on."""
        if self.store.failure is None:
            self.store.ensure(now=True)
        if self.final is None or self.store.lives == self._lives:
            return
        self.final, gone = without_gone(self.final, self.start.id, self.store)
        self.start = self.final.start or self.start
        self.store.runs.write_start(self.start)  # what was written before may be gone, or name what is
        if gone:
            self.problem(
                f"The store {self.store.url} was removed or replaced while the run went on. What it had kept of the "
                f"run is gone: {', '.join(gone)}."
            )
            self.final = replace(self.final, problems=tuple(self.problems))

    def _check_still_ours(self) -> None:
        """Leave the end of a run to the process that has resumed it, having taken this one for dead."""
        silent = time.time() - self._opened > EXPIRY_SECONDS / 2
        if silent and self.store.failure is None and self.store.runs.is_taken_over(self.start):
            raise RunClosed(
                f"The run {self.start.id} was resumed by another process, which took this one for dead, and ends it."
            )

    def stop(self) -> None:
        """Stop the clock: what comes now is the recording's time, not the function's."""
        if self._used is None:
            wall, cpu = self._began
            self._used = time.perf_counter() - wall, time.process_time() - cpu

    def _resources(self) -> dict[str, float]:
        wall, cpu = self._used or (0.0, 0.0)
        used = {"seconds": wall + self.earlier[0], "cpu_seconds": cpu + self.earlier[1]}
        if resource is not None:
            unit = 1_000_000 if sys.platform == "darwin" else 1000  # bytes there, kilobytes elsewhere
            used["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return {name: round(value, 6) for name, value in used.items()}


class Guard:
    """A block whose failure is the recording's own affair."""

    __slots__ = ("_recorder", "_what")

    def __init__(self, recorder: Recorder, what: str) -> None:
        self._recorder = recorder
        self._what = what

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Note an error and swallow it; what is no `Exception`, such as an interrupt, goes on."""
        if not isinstance(error, Exception) or self._recorder.strict:
            return False
        self._recorder.problem(f"{self._what} could not be recorded: {_told(error)}")
        return True


def status_after(error: BaseException | None) -> str:
    """Say how a run ended that an exception left, or nothing did."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished"
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError":
        return "interrupted"
    return "failed"


def described(error: BaseException) -> dict[str, Any]:
    """Describe an exception: type, message and traceback, secrets masked, at most 20,000 characters each."""
    kind = type(error)
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception as other:  # noqa: BLE001 - an exception can be hostile too, and must not cost the run its end
        trace = f"(the traceback cannot be had: {type(other).__name__})"
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "message": _scrubbed(_message(error)),
        "traceback": _scrubbed(trace),
    }


def warn(message: str) -> None:
    """Warn at the line of the user's that led here, without ever raising where warnings are errors."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    try:
        warnings.warn(message, RecordingWarning, stacklevel=level)
    except Exception:  # noqa: BLE001 - a filter makes it an error, or what shows warnings is the user's and fails
        with contextlib.suppress(Exception):  # sys.stderr may be closed, or none at all
            sys.stderr.write(f"mlops_kit: {message}\n".encode("ascii", "backslashreplace").decode())


def _told(error: BaseException) -> str:
    if isinstance(error, MlopsKitError):
        return str(error)
    if isinstance(error, RecursionError):
        return f"Python's recursion limit of {sys.getrecursionlimit()} was reached."
    return f"{type(error).__name__}: {_message(error)}."


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything, and must not stop a recording
        return "(its text cannot be had)"


def _scrubbed(text: str) -> str:
    """Mask a text before it is cut, so that no secret loses the form by which it is known."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= _MAX_TRACE:
        return masked_text(text)
    head, tail = masked_text(text[:_MAX_TRACE]), masked_text(text[-_MAX_TRACE:])
    return head[: _MAX_TRACE // 2] + "\n…\n" + tail[-_MAX_TRACE // 2 :]
