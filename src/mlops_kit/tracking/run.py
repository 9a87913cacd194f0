"""`Run`: one execution, while it is recorded and ever after."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar

from mlops_kit.errors import InvalidInput, RunClosed
from mlops_kit.masking import masked_text, quoted
from mlops_kit.records.metrics import Point
from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef
from mlops_kit.records.secrets import masked
from mlops_kit.registry.inference import declared
from mlops_kit.registry.saving import save
from mlops_kit.registry.signature import Signature
from mlops_kit.store.active import Activation, activate, activate_without_block, active_run, deactivate
from mlops_kit.store.runs import Runs
from mlops_kit.store.store import Store
from mlops_kit.tracking import artifacts
from mlops_kit.tracking.call import as_number
from mlops_kit.tracking.inputs import SNAPSHOT_BYTES, dataset_name, fitted_on, record_input
from mlops_kit.tracking.last_run import set_newest_run
from mlops_kit.tracking.metrics import MetricLog, write_segment
from mlops_kit.tracking.named import named_values
from mlops_kit.tracking.params import is_data, recordable
from mlops_kit.tracking.recorded import RecordedRun
from mlops_kit.tracking.recorder import Recorder, warn

Listener: TypeAlias = Callable[[str, Any], None]
"""Takes the kind of what was logged, and it: metric points, a pair of name and value, or a reference."""

P = ParamSpec("P")
R = TypeVar("R")


def _noted(log: Callable[Concatenate[Run, P], R]) -> Callable[Concatenate[Run, P], R | None]:
    """Make arguments without meaning a problem of the run: an exception in a training would cost more than they do."""

    @functools.wraps(log)
    def wrapper(self: Run, /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return log(self, *args, **kwargs)
        except InvalidInput as error:
            self._refuse(error)
        return None

    return wrapper


class Run(RecordedRun):
    """One execution: what went in, what ran, what came out.

    Made by `mlops_kit.track`, `mlops_kit.start_run` and `mlops_kit.get_run`, never by calling the class. Used as
    a context manager, a started run is the current one inside the block and ends with it. A pickled run is its
    store's address and its id; in another process it takes metrics while the run is running. What is logged with a name
    or a value that means nothing is a problem of the run and a `RecordingWarning`, or an error if the run is strict.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run("by hand", store="memory://run-doc") as run:
    ...     run.log_param("depth", 3)
    ...     run.log_metric("auc", 0.91)
    >>> again = mk.get_run(run.id, store="memory://run-doc")
    >>> again.status, again.params, again.metrics
    ('finished', {'depth': 3}, {'auc': 0.91})
    """

    def __init__(
        self, store: Store, run_id: str, recorder: Recorder | None = None, *, listener: Listener | None = None
    ) -> None:
        super().__init__(store, run_id, recorder)
        self._listener = listener
        self._remote: MetricLog | None = None
        self._activations: list[Activation] = []
        self._opened: Activation | None = None
        self._in_block: Callable[[], None] = _nothing

    @_noted
    def log_param(self, key: str, value: Any) -> None:
        """Record a parameter; logged again, the last value counts.

        Parameters
        ----------
        key : str
            Its name; a name that ends like a secret (``password``, ``api_key``) has its value masked.
        value : object
            Plain values are kept exactly; anything else becomes the start of its ``repr``.
        """
        name = masked_text(_key("param", key))
        kept = self._writable("params").params[name] = masked(name, recordable(value))
        self._heard("params", (name, kept))

    @_noted
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record several parameters.

        Parameters
        ----------
        params : mapping, namespace or dataclass
            Values by name, each as in `log_param`; what ``argparse`` gives is fine.

        """
        for key, value in named_values("params", params).items():
            self.log_param(key, value)

    def log_metric(self, key: str, value: float, step: int | None = None) -> None:
        """Record a point of a metric.

        Parameters
        ----------
        key : str
            Its name.
        value : number
            Of Python, numpy or torch, alone or as an array of one element; NaN and infinities are kept. Anything else
            is a problem of the run, or an error if it is strict.
        step : int, optional
            The epoch or iteration.
        """
        point = self._point(key, value, step, time.time())
        if point is not None:
            self._log_points([point])

    @_noted
    def log_metrics(self, metrics: Mapping[str, float], *, step: int | None = None) -> None:
        """Record a point of each of several metrics.

        Parameters
        ----------
        metrics : mapping
            Numbers by name, each as in `log_metric`.
        step : int, optional
            The epoch or iteration, of all of them.
        """
        now = time.time()
        named = named_values("metrics", metrics)
        points = [self._point(key, value, step, now) for key, value in named.items()]
        self._log_points([point for point in points if point is not None])

    @_noted
    def set_tag(self, key: str, value: object) -> None:
        """Tag the run.

        Parameters
        ----------
        key : str
            The tag; set again, the last value counts.
        value : object
            Kept as text.
        """
        name = masked_text(_key("tag", key))
        kept = self._writable("tags").tags[name] = str(masked(name, str(value)))
        self._heard("tags", (name, kept))

    @_noted
    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags.

        Parameters
        ----------
        tags : mapping
            Values by tag, each as in `set_tag`.
        """
        for key, value in named_values("tags", tags).items():
            self.set_tag(key, value)

    @_noted
    def log_artifact(self, path_or_bytes: str | Path | bytes, name: str | None = None) -> None:
        """Keep a file, a folder with all that is in it, or bytes.

        Links are followed. What cannot be kept of a folder (a pipe, a link that leads nowhere or around it) is a
        problem of the run. ``run.load(name)`` gives a folder back as one, in which programs may be run as before.

        Parameters
        ----------
        path_or_bytes : str, path or bytes
            What to keep; bytes need a name.
        name : str, optional
            What to call it; by default the file's own name.
        """
        recorder = self._writable("artifacts")
        for item, data, executable in artifacts.read(path_or_bytes, name, recorder.refused, store=self.store_url):
            with recorder.guarded(f"The artifact {item!r}"):
                self._store.ensure()
                ref = ArtifactRef(item, self._store.objects.put(data), len(data), executable)
                self._keep(recorder, "artifacts", ref)

    @_noted
    def log_figure(self, fig: Any, name: str) -> None:
        """Keep a figure of matplotlib (as PNG, or what the name ends in) or plotly (as HTML or JSON).

        Parameters
        ----------
        fig : figure
            Anything with ``savefig`` or ``to_html``.
        name : str
            What to call it; without an ending, ``.png`` or ``.html`` is added.
        """
        data, full = artifacts.figure(fig, name)
        self.log_artifact(data, full)

    @_noted
    def log_model(self, model: Any, name: str, *, signature: Any = None) -> None:
        """Keep a model with the run, to be had again with ``run.load(name)``.

        Parameters
        ----------
        model : object
            Any object that can be saved; `ModelStore.register` makes a numbered version of it instead.
        name : str
            What to call it.
        signature : tuple, table or Signature, optional
            What the model was really fitted on, ``(X, y)`` or X alone, where it was made inside of the function:
            it becomes an input of the run, and the version that ``@track(register=...)`` makes of this model takes its
            signature, so that a monitor watches this table.
        """
        recorder = self._writable("models")
        name = _key("model", name)
        members: dict[str, Any] | None = None
        if signature is not None:
            with recorder.guarded(f"The signature of the model {name!r}"):
                members = self._fitted_on(recorder, name, signature, declared(model, signature)).members()
        with recorder.guarded(f"The model {name!r}"):
            saved = save(self._store, model, what=name)
            ref = OutputRef(name, "model", **saved.members(), signature=members)
            self._keep(recorder, "outputs", ref)

    @_noted
    def log_dataset(self, data: Any, name: str) -> None:
        """Record data as an input of the run, and keep it as a version of the dataset `name` up to 256 MB.

        Parameters
        ----------
        data : table, array or Dataset
            The data.
        name : str
            The input, and the dataset.
        """
        recorder = self._writable("datasets")
        if not is_data(data):
            raise InvalidInput(
                f"A {type(data).__name__} is not a table, an array or a Dataset. Read it into one first."
            )
        name = _key("dataset", name)
        with recorder.guarded(f"The data {name!r}"):
            dataset = dataset_name("", name)
            limit = SNAPSHOT_BYTES
            ref = record_input(self._store, name, data, dataset=dataset, limit=limit, note=recorder.refused)
            self._keep(recorder, "inputs", ref)

    def finish(self, status: str = "finished") -> None:
        """End a run that was started without a ``with`` block.

        Parameters
        ----------
        status : str
            ``"finished"``, ``"failed"`` or ``"interrupted"``.
        """
        if status not in ("finished", "failed", "interrupted"):
            raise InvalidInput(f"A run ends 'finished', 'failed' or 'interrupted', not {quoted(status, 100)}.")
        if self._live is None:
            raise RunClosed(f"The run {self._id} is not running in this process.")
        self._live.close(status)
        set_newest_run(self)
        if self._opened is not None:
            deactivate(self._opened)
            self._in_block()

    def attach(self) -> AbstractContextManager[Run]:
        """Make this the current run of a block, in a thread or process that did not start it.

        Returns
        -------
        context manager
            Inside, `mlops_kit.current_run` is this run, and tracked functions become its children. Leaving the
            block does not end the run.
        """
        return _attached(self)

    def __enter__(self) -> Self:
        if self._live is None:
            raise RunClosed(f"The run {self._id} is not running here: to log beside it, use `with run.attach():`.")
        if self._opened is not None:
            deactivate(self._opened)
            self._opened = None
            self._in_block()
            around = active_run()
            if isinstance(around, Run) and around.store_url == self.store_url:
                self._live.adopt(around.id)
        self._activations.append(activate(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deactivate(self._activations.pop())
        if self._live is not None:
            self._live.leave(error)
            set_newest_run(self)

    def _writable(self, what: str) -> Recorder:
        live = self._live
        if live is None:
            start, end = self._load()
            state = "has ended" if end is not None and end.ends(start) else "is running in another process"
            raise RunClosed(
                f"The run {self._id} {state} and takes no {what}. Log them where it runs; to go on with a run that "
                "is over, use start_run(resume=...)."
            )
        return live

    def _log_points(self, points: list[Point]) -> None:
        live = self._live
        if live is not None and live.log(points):
            self._heard("metrics", points)
            return
        start, end = self._load()
        if end is not None and end.ends(start):
            raise RunClosed(f"The run {self._id} has ended and takes no metrics. Start another run.")
        if self._remote is None:
            runs = self._store.runs
            self._remote = MetricLog(lambda data: _write(runs, self._id, data), eager=True)
        self._remote.add(points)

    @_noted
    def _point(self, key: str, value: object, step: int | None, at: float) -> Point | None:
        number = _number(value)
        if type(key) is not str or key not in _metric_keys:
            _new_metric_key(key)
        if step is not None and type(step) is not int:
            step = self._whole(key, step)
        if number is None:
            shown = quoted(str(recordable(value)))
            self._refuse(InvalidInput(f"The metric {key!r} is not a number: {type(value).__name__} {shown}."))
            return None
        return key, number, step, at

    def _whole(self, key: str, step: object) -> int | None:
        """Read a step; a point whose step is none is kept without it."""
        number = None if isinstance(step, bool) else _number(step)
        if number is not None and number == number // 1:
            return int(number)
        shown = quoted(str(recordable(step)))
        self._refuse(InvalidInput(f"The step of the metric {key!r} is not a whole number: {shown}."))
        return None

    def _refuse(self, error: InvalidInput) -> None:
        """Note what cannot be logged, or raise if the run is strict."""
        live = self._live
        if live is None:
            warn(str(error))
        elif live.strict:
            raise error
        else:
            live.problem(str(error))

    def _fitted_on(self, recorder: Recorder, model: str, given: Any, signature: Signature) -> Signature:
        """Keep what a model was fitted on as inputs of the run, and name them in its signature."""
        names: list[str | None] = [None, None]
        for place, (part, data) in enumerate(fitted_on(given, signature.target)):
            ref = record_input(
                self._store,
                f"{model}.{part}",
                data,
                dataset=dataset_name(self.name, f"{model}.{part}"),
                limit=recorder.limit,
                note=recorder.refused,
            )
            self._keep(recorder, "inputs", ref)
            names[place] = ref.name
        target_source = names[1] or (names[0] if signature.target is not None else None)
        return replace(signature, source=names[0], target_source=target_source)

    def _keep(self, recorder: Recorder, kind: str, ref: InputRef | OutputRef | ArtifactRef) -> None:
        recorder.keep(kind, ref)
        self._heard(kind, ref)

    def _heard(self, kind: str, logged: Any) -> None:
        if self._listener is not None:
            self._listener(kind, logged)


@contextmanager
def _attached(run: Run) -> Iterator[Run]:
    activation = activate(run, ends_with_run=False)
    try:
        yield run
    finally:
        deactivate(activation)


def _nothing() -> None:
    """Do nothing: a run that was not begun here leaves nothing to forget."""


def open_run(run: Run, in_block: Callable[[], None]) -> Run:
    """Make a run the active one until it ends, and call `in_block` when a block or `Run.finish` takes that over."""
    run._opened, run._in_block = activate_without_block(run), in_block  # noqa: SLF001 - no business of its users
    return run


_metric_keys: set[str] = set()
"""Names that have been found to be good, at most so many that they cost nothing."""
_MAX_KEYS = 4096


def _new_metric_key(key: str) -> None:
    if len(_metric_keys) >= _MAX_KEYS:
        _metric_keys.clear()
    _metric_keys.add(_key("metric", key))


def _number(value: Any) -> float | None:
    """Read one number, truth values and arrays of one element included, or None, whatever its own methods do."""
    if isinstance(value, bool):
        return int(value)
    number = as_number(value)
    if number is not None or isinstance(value, str | bytes):
        return number
    try:
        item = value.item()
    except Exception:  # noqa: BLE001 - whatever a foreign object raises, it is no number
        return None
    return int(item) if isinstance(item, bool) else as_number(item)


def _write(runs: Runs, run_id: str, data: bytes) -> None:
    write_segment(runs, run_id, data)


def _key(what: str, key: object) -> str:
    if not isinstance(key, str) or not key.strip():
        raise InvalidInput(f"{key!r} cannot name a {what}: a name is text.")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{key!r} cannot name a {what}: it holds half of a surrogate pair.") from error
    return key
