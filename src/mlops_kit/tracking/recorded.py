"""What is known of a run: read from its records, or from memory while it runs in this process."""

from __future__ import annotations

import functools
from contextlib import suppress
from datetime import datetime
from os import PathLike
from typing import Any, Self

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.errors import InvalidInput, MlopsKitError, OutputNotFound, RunNotFound
from mlops_kit.records import codec
from mlops_kit.records.check import Listing, Problem, passing_over
from mlops_kit.records.metrics import Point
from mlops_kit.records.run import ArtifactRef, History, InputRef, OutputRef, RunEnd, RunStart, StepCall
from mlops_kit.registry.unpickling import python_of
from mlops_kit.store import keys
from mlops_kit.store.active import Passed
from mlops_kit.store.held import Held, flat, held_of, without
from mlops_kit.store.runs import status_of
from mlops_kit.store.store import Store, open_store
from mlops_kit.tracking.artifacts import write
from mlops_kit.tracking.diff import RunDiff, diff
from mlops_kit.tracking.metrics import grouped, segments
from mlops_kit.tracking.outputs import load_output
from mlops_kit.tracking.recorder import Recorder
from mlops_kit.views.run import RunFacts, run_html, run_text

_PARTS = "return."
_CLOCKS_DIFFER = 600
"""So many seconds before its parent a run may seem to begin, by the clock of another machine."""


class RecordedRun:
    """The reading side of a run; see `mlops_kit.Run`."""

    def __init__(self, store: Store, run_id: str, recorder: Recorder | None = None) -> None:
        self._store = store
        self._id = run_id
        self._recorder = recorder
        self._records: tuple[RunStart, RunEnd | None] | None = None

    @property
    def id(self) -> str:
        """The id: 8 hex digits of the second it began, 12 random ones."""
        return self._id

    @property
    def store(self) -> Store:
        """The store that keeps it."""
        return self._store

    @property
    def passed(self) -> tuple[Passed, ...]:
        """The data that the tracked function was called with, while it runs in this process."""
        return self._live.passed if self._live else ()

    @property
    def is_over(self) -> bool:
        """Whether it has ended in this process."""
        return self._recorder is not None and self._recorder.closed

    @property
    def store_url(self) -> str:
        """The address of the store that keeps it."""
        return self._store.url

    @property
    def name(self) -> str:
        """The name of the run; by default that of the function."""
        return self._start.name

    @property
    def experiment(self) -> str:
        """The experiment it belongs to."""
        return self._start.experiment

    @property
    def status(self) -> str:
        """``"running"``, ``"finished"``, ``"failed"`` or ``"interrupted"``."""
        if self._live:
            return "running"
        if self._recorder is None:
            self._records = None  # another process may have resumed it
        return status_of(self._store.runs, *self._load())

    @property
    def started(self) -> datetime:
        """When it began, in UTC."""
        return self._start.at

    @property
    def ended(self) -> datetime | None:
        """When it ended, in UTC; None while it runs and if it was interrupted."""
        end = self._end
        return None if end is None or not end.ends(self._start) else end.at

    @property
    def by(self) -> dict[str, str]:
        """Who ran it: ``actor`` and ``source``."""
        return self._start.user

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, defaults included, in the order of the call."""
        return {**self._start.params, **self._held.params, **(self._live or self._ending).params}

    @property
    def tags(self) -> dict[str, str]:
        """The tags."""
        return {**self._start.tags, **self._held.tags, **(self._live or self._ending).tags}

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric."""
        if self._live:
            return dict(self._live.metrics.last)
        if self._end is not None and self._end.ends(self._start):
            return dict(self._end.metrics)
        written = {name: points[-1][0] for name, points in grouped(self._written).items()}
        return {**self._ending.metrics, **written}

    def metric_history(self, key: str) -> list[tuple[float, int | None, float]]:
        """Read all points of a metric.

        Parameters
        ----------
        key : str
            The metric.

        Returns
        -------
        list of tuple
            Value, step or None, Unix seconds, in the order they were logged.

        Raises
        ------
        OutputNotFound
            There is no such metric; the message lists those there are.
        IntegrityError
            Some of the points that were written are missing or damaged.
        """
        written = grouped(self._written)
        held: History = self._live.metrics.held if self._live else self._ending.history
        _check_name("metric", key)
        points = written.get(key, []) + held.get(key, [])
        if not points:
            raise OutputNotFound(_absent("metric", key, self._id, [*written, *held]))
        if self._end is not None and not self._end.ends(self._start):
            points.sort(key=lambda point: point[2])  # resumed and killed: what its end holds came first
        return points

    @property
    def inputs(self) -> dict[str, InputRef]:
        """The data that went in, by parameter."""
        added = self._live.inputs if self._live else self._ending.inputs
        return {ref.name: ref for ref in (*self._start.inputs, *added)}

    @property
    def outputs(self) -> dict[str, OutputRef]:
        """What it made, by name; ``"return"`` is what the function returned."""
        return {ref.name: ref for ref in (self._live.outputs if self._live else self._ending.outputs)}

    @property
    def artifacts(self) -> dict[str, ArtifactRef]:
        """The files it kept, by name."""
        return {ref.name: ref for ref in (self._live.artifacts if self._live else self._ending.artifacts)}

    @property
    def models(self) -> list[str]:
        """The model versions it registered, as ``name:version``."""
        made = self._live.models if self._live else self._ending.models
        return [f"{model['name']}:{model['version']}" for model in made]

    @property
    def steps(self) -> tuple[StepCall, ...]:
        """The calls of steps, if it is the run of a pipeline, in the order in which they ended."""
        return tuple(self._live.steps if self._live else self._ending.steps)

    @property
    def code(self) -> dict[str, Any]:
        """The code, as far as it was recorded.

        ``function``, ``fingerprint``, ``functions`` (the SHA-256 of each that is reached), ``modules``,
        ``distributions``, ``opaque`` (what could not be looked into), ``sources`` and ``git``.
        """
        start = self._start
        function = start.function or {}
        sources = self._object(start.sources, "sources")
        return {
            "function": f"{function['module']}.{function['qualname']}" if function else None,
            "fingerprint": function.get("code"),
            **self._object(function.get("parts"), "parts of the code"),
            "sources": {**sources.get("modules", {}), **sources.get("cells", {})},
            "git": self._git(start),
        }

    @property
    def environment(self) -> dict[str, Any]:
        """The environment: ``python``, ``platform``, ``packages``, ``variables`` and more."""
        return self._object(self._start.environment, "environment")

    @property
    def rng(self) -> dict[str, Any]:
        """The states of the random number generators at the start."""
        return self._object(self._start.rng, "states of the generators")

    @property
    def resources(self) -> dict[str, float]:
        """Wall and CPU seconds, and the peak memory of the process in MB."""
        return dict(self._ending.resources)

    @property
    def error(self) -> dict[str, Any] | None:
        """The exception of a failed run: ``type``, ``message``, ``traceback``, secrets masked."""
        return self._ending.error

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be recorded, and why."""
        return tuple(self._recorder.problems) if self._recorder is not None else self._ending.problems

    @property
    def parent(self) -> Self | None:
        """The run inside which this one began."""
        parent = self._start.parent
        return None if parent is None else type(self)(self._store, parent)

    @property
    def children(self) -> Listing[Self]:
        """The runs that began inside this one, oldest first, and in ``problems`` what could not be read."""
        found: list[Self] = []
        problems: list[Problem] = []
        earliest = int(self._id[:8], 16) - _CLOCKS_DIFFER
        for run_id in self._store.runs.ids():
            if int(run_id[:8], 16) < earliest:
                break
            with passing_over(problems, keys.run_key(run_id, "start")), suppress(RunNotFound):
                if self._store.runs.start(run_id).parent == self._id:
                    found.append(type(self)(self._store, run_id))
        return Listing(sorted(found, key=lambda run: run.started), problems)

    def load(
        self, output: str = "return", *, allow_code: str | None = None, to: str | PathLike[str] | None = None
    ) -> Any:
        """Give back what the run made.

        Parameters
        ----------
        output : str
            ``"return"`` for what the function returned, the name of another output or model, or of an
            artifact: a file comes as bytes, a folder as the path of one.
        allow_code : str, optional
            The digest of an object that may run code here though its store is not trusted.
        to : str or path, optional
            A new or empty folder to write a folder of artifacts to; by default a temporary one, which is removed when
            the program ends.

        Returns
        -------
        object
            An equal object of the same type. A tuple that was returned is put together again, and a dataclass
            or named tuple comes as a dict by field.

        Raises
        ------
        OutputNotFound
            There is none of this name; the message lists those there are.
        IntegrityError
            The stored bytes are not what was written.
        UntrustedArtifact
            Reading it would run code from bytes that somebody else could have written.
        """
        _check_name("output", output)
        outputs, files = self.outputs, self.artifacts
        if output in outputs:
            what = f"output {output!r} of the run {self._id}"
            said = () if self._live else (keys.run_key(self._id, "end"),)
            return load_output(
                self._store,
                outputs[output],
                what=what,
                allow_code=allow_code,
                named_in=said,
                python=lambda: python_of(self._store.objects, self._start.environment),
            )
        if output in files:
            return self._store.objects.get(
                files[output].object, size=files[output].size, what=f"artifact {output!r} of the run {self._id}"
            )
        within = [name for name in files if name.startswith(f"{output}/")]
        if within:
            below = {name.removeprefix(f"{output}/"): functools.partial(self.load, name) for name in within}
            programs = {name.removeprefix(f"{output}/") for name in within if files[name].executable}
            return write({name: content for name, content in below.items() if name}, to, programs)
        parts = [name for name in outputs if output == "return" and name.startswith(_PARTS)]
        if not parts:
            raise OutputNotFound(_absent("output", output, self._id, [*outputs, *files]))
        found = {name.removeprefix(_PARTS): self.load(name, allow_code=allow_code) for name in parts}
        return tuple(found.values()) if all(name.isdigit() for name in found) else found

    def dataset(self, input: str) -> Dataset:  # noqa: A002 - the field's word
        """Give the dataset version that went in as a parameter.

        Parameters
        ----------
        input : str
            The parameter.

        Returns
        -------
        Dataset
            The very version.

        Raises
        ------
        OutputNotFound
            No data went in under this name, or only its fingerprint was recorded.
        """
        _check_name("input", input)
        ref = self.inputs.get(input)
        if ref is None:
            raise OutputNotFound(_absent("input", input, self._id, list(self.inputs)))
        if ref.spec is None:
            raise OutputNotFound(
                f"The input {input!r} of the run {self._id} was not kept, only its fingerprint {ref.fingerprint}. "
                "Track with snapshot=True to keep data of any size."
            )
        return Dataset.load(ref.spec, store=self._store)

    def diff(self, other: RecordedRun | str) -> RunDiff:
        """Compare with another run.

        Parameters
        ----------
        other : Run or str
            The other run, which may be in another store, or the id of one in the same.

        Returns
        -------
        RunDiff
            In what parameters, data, code, environment and metrics they differ.
        """
        if isinstance(other, str):
            other = type(self)(self._store, self._store.runs.find(other))
        if not isinstance(other, RecordedRun):
            raise InvalidInput(f"{other!r} is no run to compare with: pass a Run or the id of one.")
        return diff(self, other)

    @property
    def _live(self) -> Recorder | None:
        recorder = self._recorder
        return recorder if recorder is not None and not recorder.closed and recorder.is_own else None

    @property
    def _start(self) -> RunStart:
        return self._recorder.start if self._recorder is not None else self._load()[0]

    @property
    def _end(self) -> RunEnd | None:
        return None if self._live else self._load()[1]

    @property
    def _written(self) -> list[Point]:
        """The points in segments."""
        lines = self._live.segments if self._live else self._ending.segments
        written = segments(self._store.runs, self._id, lines)
        held = self._held.points
        return written + without(held, [*written, *flat(self._ending.history)]) if held else written

    @property
    def _held(self) -> Held:
        """What a run without an end holds in memory, or held when it was killed, as far as it is on this machine."""
        if self._recorder is not None:
            return Held()
        start, end = self._load()
        return Held() if end is not None and end.ends(start) else held_of(self._store.url, self._id)

    @property
    def _ending(self) -> RunEnd:
        """The end record, or what stands for it while there is none."""
        end = self._end
        return RunEnd(self._start.at, "running") if end is None else end

    def _load(self) -> tuple[RunStart, RunEnd | None]:
        """Read the records; once a run has ended, they do not change."""
        if self._recorder is not None and self._recorder.final is not None:
            return self._recorder.start, self._recorder.final
        if self._records is None or self._records[1] is None:
            self._records = self._store.runs.records(self._id)
        return self._records

    def _git(self, start: RunStart) -> dict[str, Any] | None:
        """Give the state of the repository with the text of the uncommitted changes instead of its digest."""
        if start.git is not None and "refused" in start.git:
            return {"commit": None, **start.git}
        if start.git is None or "diff" not in start.git:
            return start.git
        text = self._store.objects.get(start.git["diff"], what="uncommitted changes").decode("utf-8", "replace")
        return {**start.git, "diff": text}

    def _object(self, digest: str | None, what: str) -> dict[str, Any]:
        if digest is None:
            return {}
        members = codec.unseal(self._store.objects.get(digest, what=what), where=what)
        return {name: codec.unplain(value) for name, value in members.items() if name not in {"format", "record"}}

    def _facts(self) -> RunFacts:
        return RunFacts(
            id=self._id,
            name=self.name,
            experiment=self.experiment,
            status=self.status,
            started=self.started,
            seconds=self._ending.resources.get("seconds"),
            by=self.by,
            params=self.params,
            metrics=self.metrics,
            inputs=tuple(self.inputs.values()),
            outputs=tuple(self.outputs.values()),
            artifacts=tuple(self.artifacts.values()),
            models=tuple(self.models),
            git=self._start.git,
            code=(self._start.function or {}).get("code"),
            error=self.error,
            problems=self.problems,
            steps=self.steps,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordedRun) and (self._store.url, self._id) == (other._store.url, other._id)

    def __hash__(self) -> int:
        return hash((self._store.url, self._id))

    def __reduce__(self) -> tuple[Any, tuple[type, str, str]]:
        return _reopened, (type(self), self._store.url, self._id)

    def __repr__(self) -> str:
        try:
            return run_text(self._facts())
        except MlopsKitError as error:
            return f"Run({self._id}: {error})"

    def _repr_html_(self) -> str:
        return run_html(self._facts())


def recorder_of(run: RecordedRun) -> Recorder | None:
    """Give what writes a run, while it runs in this process."""
    return run._live  # noqa: SLF001 - how a run is written is no business of its users, and is that of its neighbours


def _reopened(kind: type[RecordedRun], url: str, run_id: str) -> RecordedRun:
    return kind(open_store(url), run_id)


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str):
        raise InvalidInput(f"{name!r} cannot name an {what}: a name is text.".replace("an metric", "a metric"))


def _absent(what: str, name: str, run_id: str, exist: list[str]) -> str:
    names = ", ".join(sorted(set(exist))) or "none"
    return f"The run {run_id} has no {what} {name!r}. There are: {names}."
