"""The writing side of a run: collects what is logged, keeps it, and never lets a failure reach the user's code."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mlops_kit.errors import MlopsKitError, RecordingWarning
from mlops_kit.records.metrics import Point
from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef, RunEnd, RunStart
from mlops_kit.store.store import Store
from mlops_kit.tracking import heartbeat
from mlops_kit.tracking.git import GitState
from mlops_kit.tracking.metrics import MetricLog, write_segment
from mlops_kit.tracking.secrets import masked_text

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_MAX_TRACE = 20_000


@dataclass(slots=True)
class Recorder:
    """What a running run has collected, and how it is written.

    Parameters
    ----------
    store : Store
        Where it goes.
    start : RunStart
        How it began.
    strict : bool
        Let a failing recording raise.
    git : GitState or None
        The question to git that is still open.
    """

    store: Store
    start: RunStart
    strict: bool = False
    git: GitState | None = None
    params: dict[str, Any] = field(default_factory=dict)
    inputs: list[InputRef] = field(default_factory=list)
    outputs: list[OutputRef] = field(default_factory=list)
    artifacts: list[ArtifactRef] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    metrics: MetricLog = field(init=False)
    pid: int = field(default_factory=os.getpid)
    closed: bool = False
    final: RunEnd | None = None
    _segment: int = 1
    _began: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.metrics = MetricLog(self._write_segment)

    def open(self) -> None:
        """Record the start, and again once git has answered."""
        with self.guarded("The start of the run"):
            self.store.ensure()
            self.settle_git(wait=False)
            self.store.runs.write_start(self.start)
        heartbeat.begin(self.store.runs, self.start.id)

    def settle_git(self, *, wait: bool) -> bool:
        """Take git's answer into the start record; tell whether it had been missing."""
        if self.git is None or not (wait or self.git.ready):
            return False
        late = not self.git.ready
        self.start = replace(self.start, git=self.git.result(self.store.objects.put))
        self.git = None
        return late

    @property
    def is_own(self) -> bool:
        """Whether this is the process that started the run, not a fork of it."""
        return os.getpid() == self.pid

    def amend(self, **members: Any) -> None:
        """Complete the start record before it is written."""
        self.start = replace(self.start, **members)

    def log(self, points: list[Point]) -> None:
        """Take metric points."""
        with self._lock, self.guarded("Metrics"):
            self.metrics.add(points)

    def close(self, status: str, error: BaseException | None = None) -> None:
        """Record the end: the one write of a run that is durable before anybody is told."""
        with self._lock:
            if self.closed or not self.is_own:
                return
            self.closed = True
            heartbeat.end(self.start.id)
            with self.guarded("The end of the run"):
                self.store.ensure()
                if self.settle_git(wait=True):
                    self.store.runs.write_start(self.start)
            with self.guarded("The end of the run"):
                self.final = self.end(status, error)
                self.store.runs.write_end(self.start.id, self.final)

    def end(self, status: str, error: BaseException | None) -> RunEnd:
        """Put together the end record."""
        history = self.metrics.close()
        return RunEnd(
            at=datetime.now(UTC),
            status=status,
            error=None if error is None else described(error),
            metrics=self.metrics.last,
            history=history,
            params=self.params,
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            artifacts=tuple(self.artifacts),
            models=tuple(self.models),
            tags=self.tags,
            resources=self._resources(),
            problems=tuple(self.problems),
        )

    @contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Turn a failure of the recording into a problem and a warning, unless the run is strict."""
        try:
            yield
        except Exception as error:
            if self.strict:
                raise
            self.problem(f"{what} could not be recorded: {_told(error)}")

    def problem(self, message: str) -> None:
        """Note something that could not be recorded, and warn once."""
        message = masked_text(message)
        if message not in self.problems:
            self.problems.append(message)
            warn(f"{message} The code of the run {self.start.name!r} goes on; its result is not affected.")

    def _write_segment(self, data: bytes) -> None:
        self.store.ensure()
        self._segment = write_segment(self.store.runs, self.start.id, data, self._segment) + 1

    def _resources(self) -> dict[str, float]:
        wall, cpu = self._began
        used = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        if resource is not None:
            unit = 1_000_000 if sys.platform == "darwin" else 1000  # bytes there, kilobytes elsewhere
            used["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return {name: round(value, 6) for name, value in used.items()}


def described(error: BaseException) -> dict[str, Any]:
    """Describe an exception: type, message and traceback, secrets masked, at most 20,000 characters."""
    trace = "".join(traceback.format_exception(error))
    if len(trace) > _MAX_TRACE:
        trace = trace[: _MAX_TRACE // 2] + "\n…\n" + trace[-_MAX_TRACE // 2 :]
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "message": _clean(masked_text(_message(error)))[:_MAX_TRACE],
        "traceback": _clean(masked_text(trace)),
    }


def warn(message: str) -> None:
    """Warn, also where warnings are errors: a recording may not raise into the user's code."""
    try:
        warnings.warn(message, RecordingWarning, stacklevel=4)
    except RecordingWarning:
        os.write(2, f"mlops_kit: {message}\n".encode("utf-8", "backslashreplace"))


def _told(error: BaseException) -> str:
    if isinstance(error, MlopsKitError):
        return str(error)
    return f"{type(error).__name__}: {_message(error)}."


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything, and must not stop a recording
        return "(its text cannot be had)"


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
