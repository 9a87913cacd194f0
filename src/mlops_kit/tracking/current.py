"""The run at hand: started by hand, found from anywhere below, logged to without being passed around."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlops_kit.errors import NoActiveRun, RunClosed
from mlops_kit.store import identity
from mlops_kit.store.held import recover
from mlops_kit.store.runs import status_of
from mlops_kit.store.store import StoreLike, open_store
from mlops_kit.tracking import heartbeat
from mlops_kit.tracking.begin import around, began, begin, planned
from mlops_kit.tracking.inputs import SNAPSHOT_BYTES
from mlops_kit.tracking.program import end_with_program
from mlops_kit.tracking.recorder import Recorder
from mlops_kit.tracking.run import Run


def start_run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    store: StoreLike = None,
    resume: str | Run | None = None,
    tags: Mapping[str, object] | None = None,
) -> Run:
    """Start a run for a block of code.

    Parameters
    ----------
    name : str, optional
        Its name; by default ``"run"``.
    experiment : str, optional
        The experiment it belongs to; by default that of the run around it, else ``MLOPS_KIT_EXPERIMENT``, else
        ``"default"``.
    store : str, path or Store, optional
        Where to record; by default the store of the project.
    resume : str, optional
        The id, or the first or last characters of it, of a run to go on with: what is logged is added.
    tags : dict, optional
        Its tags.

    Returns
    -------
    Run
        Running. Use it as a context manager, or end it with `Run.finish`.

    Raises
    ------
    RunClosed
        The run to resume is still running.
    RunNotFound
        There is no such run.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run("sweep", store="memory://start-doc") as run:
    ...     for step in range(3):
    ...         mk.log_metric("loss", 1 / (step + 1), step=step)
    >>> [value for value, step, _ in run.metric_history("loss")]
    [1.0, 0.5, 0.3333333333333333]
    """
    opened = open_store(store)
    here = inspect.currentframe()
    frame = None if here is None else here.f_back
    if resume is not None:
        run = Run(opened, opened.runs.find(resume.id if isinstance(resume, Run) else resume))
        return end_with_program(_resumed(run, opened), frame)
    plan = planned("run" if name is None else name, experiment, tags, SNAPSHOT_BYTES, strict=False)
    return end_with_program(begin(opened, plan, frame=frame), frame)


def current_run() -> Run | None:
    """Give the run that is active here.

    Returns
    -------
    Run or None
        That of the nearest tracked function or ``with`` block around, else the one that ``MLOPS_KIT_RUN_ID``
        names, for processes started from a run; None if there is neither.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> mk.current_run() is None
    True
    """
    return around()


def log_param(key: str, value: Any) -> None:
    """Record a parameter of the current run; logged again, the last value counts.

    Parameters
    ----------
    key : str
        Its name; a name that ends like a secret (``password``, ``api_key``) has its value masked.
    value : object
        Plain values are kept exactly; anything else becomes the start of its ``repr``.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://log-param-doc") as run:
    ...     mk.log_param("depth", 3)
    >>> run.params
    {'depth': 3}
    """
    _required("log_param").log_param(key, value)


def log_params(params: Mapping[str, Any]) -> None:
    """Record several parameters of the current run.

    Parameters
    ----------
    params : mapping
        Values by name, each as in `log_param`.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://log-params-doc") as run:
    ...     mk.log_params({"depth": 3, "api_key": "sesame"})
    >>> run.params
    {'depth': 3, 'api_key': '********'}
    """
    _required("log_params").log_params(params)


def log_metric(key: str, value: float, step: int | None = None) -> None:
    """Record a point of a metric of the current run.

    Parameters
    ----------
    key : str
        Its name.
    value : number
        Of Python, numpy or torch, alone or as an array of one element; NaN and infinities are kept. Anything else is a
        problem of the run, or an error if it is strict.
    step : int, optional
        The epoch or iteration.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://log-metric-doc") as run:
    ...     mk.log_metric("loss", 0.5, step=1)
    ...     mk.log_metric("loss", 0.25, step=2)
    >>> run.metrics
    {'loss': 0.25}
    """
    _required("log_metric").log_metric(key, value, step=step)


def log_metrics(metrics: Mapping[str, float], *, step: int | None = None) -> None:
    """Record a point of each of several metrics of the current run.

    Parameters
    ----------
    metrics : mapping
        Numbers by name.
    step : int, optional
        The epoch or iteration, of all of them.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://log-metrics-doc") as run:
    ...     mk.log_metrics({"auc": 0.91, "recall": 0.8})
    >>> run.metrics
    {'auc': 0.91, 'recall': 0.8}
    """
    _required("log_metrics").log_metrics(metrics, step=step)


def log_artifact(path_or_bytes: str | Path | bytes, name: str | None = None) -> None:
    """Keep a file, a folder with all that is in it, or bytes with the current run; see `Run.log_artifact`.

    Parameters
    ----------
    path_or_bytes : str, path or bytes
        What to keep; bytes need a name.
    name : str, optional
        What to call it; by default the file's own name.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://log-artifact-doc") as run:
    ...     mk.log_artifact(b"<h1>done</h1>", "report.html")
    >>> run.load("report.html")
    b'<h1>done</h1>'
    """
    _required("log_artifact").log_artifact(path_or_bytes, name)


def log_figure(fig: Any, name: str) -> None:
    """Keep a figure with the current run, of matplotlib (as PNG, or what the name ends in) or plotly.

    Parameters
    ----------
    fig : figure
        Anything with ``savefig`` or ``to_html``.
    name : str
        What to call it; without an ending, ``.png`` or ``.html`` is added.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> from matplotlib.figure import Figure
    >>> with mk.start_run(store="memory://log-figure-doc") as run:
    ...     mk.log_figure(Figure(), "roc")
    >>> list(run.artifacts)
    ['roc.png']
    """
    _required("log_figure").log_figure(fig, name)


def log_model(model: Any, name: str, *, signature: Any = None) -> None:
    """Keep a model with the current run, to be had again with ``run.load(name)``.

    Parameters
    ----------
    model : object
        Any object that can be saved; `ModelStore.register` makes a numbered version of it instead.
    name : str
        What to call it.
    signature : tuple, table or Signature, optional
        The data that it was really fitted on, ``(X, y)``, where the function made it; see `Run.log_model`.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> from sklearn.dummy import DummyRegressor
    >>> with mk.start_run(store="memory://log-model-doc") as run:
    ...     mk.log_model(DummyRegressor(strategy="median"), "baseline")
    >>> run.load("baseline").strategy
    'median'
    """
    _required("log_model").log_model(model, name, signature=signature)


def log_dataset(data: Any, name: str) -> None:
    """Record data as an input of the current run, and keep it as a version of the dataset `name` up to 256 MB.

    Parameters
    ----------
    data : table, array or Dataset
        The data.
    name : str
        The input, and the dataset.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> import pandas as pd
    >>> with mk.start_run(store="memory://log-dataset-doc") as run:
    ...     mk.log_dataset(pd.DataFrame({"x": [1, 2]}), "points")
    >>> run.dataset("points").spec
    'points:1'
    """
    _required("log_dataset").log_dataset(data, name)


def set_tag(key: str, value: object) -> None:
    """Tag the current run.

    Parameters
    ----------
    key : str
        The tag; set again, the last value counts.
    value : object
        Kept as text.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://set-tag-doc") as run:
    ...     mk.set_tag("team", "risk")
    >>> run.tags
    {'team': 'risk'}
    """
    _required("set_tag").set_tag(key, value)


def set_tags(tags: Mapping[str, object]) -> None:
    """Set several tags of the current run.

    Parameters
    ----------
    tags : mapping
        Values by tag, each as in `set_tag`.

    Raises
    ------
    NoActiveRun
        No run is active here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://set-tags-doc") as run:
    ...     mk.set_tags({"team": "risk", "ticket": 4711})
    >>> run.tags
    {'team': 'risk', 'ticket': '4711'}
    """
    _required("set_tags").set_tags(tags)


def _required(call: str) -> Run:
    run = current_run()
    if run is None:
        raise NoActiveRun(
            f"{call}() was called outside of a run. Call it in a function under @track or in a "
            "`with mlops_kit.start_run():` block, or begin the run of a script with mlops_kit.start_run()."
        )
    return run


def _resumed(run: Run, store: Any) -> Run:
    start, end = store.runs.start(run.id), store.runs.end(run.id)
    if heartbeat.holds(run.id) or status_of(store.runs, start, end) == "running":
        raise RunClosed(
            f"The run {run.id} is still running (process {start.pid} on {start.host}); it cannot be resumed."
        )
    if recover(store.url, store.runs, run.id):
        start, run = store.runs.start(run.id), Run(store, run.id)
    here = replace(start, pid=os.getpid(), host=identity.host(), boot=identity.boot(), namespace=identity.namespace())
    mine = store.runs.claim(here, start.resumed or 0)
    if mine is None:
        raise RunClosed(f"Another process has resumed the run {run.id} a moment ago; only one at a time can.")
    recorder = Recorder(store, start.name, run_id=run.id)
    if end is not None:
        recorder.params.update(end.params)
        recorder.tags.update(end.tags)
        recorder.inputs.extend(end.inputs)
        recorder.outputs.extend(end.outputs)
        recorder.artifacts.extend(end.artifacts)
        recorder.models.extend(end.models)
        recorder.steps.extend(end.steps)
        recorder.problems.extend(end.problems)
        recorder.segments.update(end.segments)
        recorder.earlier = end.resources.get("seconds", 0.0), end.resources.get("cpu_seconds", 0.0)
    recorder.metrics.resume(run.metrics, {} if end is None else end.history)
    recorder.open(mine)
    return began(Run(recorder.store, run.id, recorder))
