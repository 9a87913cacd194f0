"""The run at hand: started by hand, found from anywhere below, logged to without being passed around."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlops_kit.errors import NoActiveRun, RunClosed
from mlops_kit.store.active import active_run
from mlops_kit.store.store import StoreLike, open_store
from mlops_kit.tracking.begin import Plan, began, begin, checked_names
from mlops_kit.tracking.inputs import SNAPSHOT_BYTES
from mlops_kit.tracking.recorder import Recorder
from mlops_kit.tracking.run import Run

VARIABLE = "MLOPS_KIT_RUN_ID"


def start_run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    store: StoreLike = None,
    resume: str | None = None,
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
    if resume is not None:
        return _resumed(Run(opened, opened.runs.find(resume)), opened)
    checked_names("run" if name is None else name, experiment)
    return begin(opened, Plan(name or "run", experiment, tags, SNAPSHOT_BYTES, strict=False))


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
    active = active_run.get()
    if isinstance(active, Run):
        return active
    inherited = os.environ.get(VARIABLE)
    return _attached(inherited) if inherited else None


def log_param(key: str, value: Any) -> None:
    """Record a parameter of the current run; see `Run.log_param`."""
    _required("log_param").log_param(key, value)


def log_params(params: Mapping[str, Any]) -> None:
    """Record several parameters of the current run."""
    _required("log_params").log_params(params)


def log_metric(key: str, value: float, *, step: int | None = None) -> None:
    """Record a point of a metric of the current run; see `Run.log_metric`."""
    _required("log_metric").log_metric(key, value, step=step)


def log_metrics(metrics: Mapping[str, float], *, step: int | None = None) -> None:
    """Record a point of each of several metrics of the current run."""
    _required("log_metrics").log_metrics(metrics, step=step)


def log_artifact(path_or_bytes: str | Path | bytes, name: str | None = None) -> None:
    """Keep a file, a folder or bytes with the current run; see `Run.log_artifact`."""
    _required("log_artifact").log_artifact(path_or_bytes, name)


def log_figure(fig: Any, name: str) -> None:
    """Keep a figure with the current run; see `Run.log_figure`."""
    _required("log_figure").log_figure(fig, name)


def log_model(model: Any, name: str) -> None:
    """Keep a model with the current run; see `Run.log_model`."""
    _required("log_model").log_model(model, name)


def log_dataset(data: Any, name: str) -> None:
    """Record data as an input of the current run; see `Run.log_dataset`."""
    _required("log_dataset").log_dataset(data, name)


_attachments: dict[str, Run] = {}


def _attached(run_id: str) -> Run:
    known = _attachments.get(run_id)
    if known is None:
        store = open_store()
        known = _attachments[run_id] = Run(store, store.runs.find(run_id))
    return known


def _required(call: str) -> Run:
    run = current_run()
    if run is None:
        raise NoActiveRun(
            f"{call}() was called outside of a run. Call it in a function under @track or in a "
            "`with mlops_kit.start_run():` block."
        )
    return run


def _resumed(run: Run, store: Any) -> Run:
    start, end = store.runs.start(run.id), store.runs.end(run.id)
    if end is None and store.runs.is_alive(start):
        raise RunClosed(
            f"The run {run.id} is still running (process {start.pid} on {start.host}); it cannot be resumed."
        )
    recorder = Recorder(store, replace(start, pid=os.getpid(), at=start.at))
    if end is not None:
        recorder.params.update(end.params)
        recorder.tags.update(end.tags)
        recorder.inputs.extend(end.inputs)
        recorder.outputs.extend(end.outputs)
        recorder.artifacts.extend(end.artifacts)
        recorder.models.extend(end.models)
        recorder.metrics.resume(end.metrics, end.history)
    recorder.open()
    return began(Run(store, run.id, recorder))
