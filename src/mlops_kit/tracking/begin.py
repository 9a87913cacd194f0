"""The beginning of a run: what surrounds it is captured, what went in is kept, and the start is recorded."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from mlops_kit.errors import InvalidInput
from mlops_kit.fingerprints.code import code_fingerprint
from mlops_kit.masking import masked_text, quoted
from mlops_kit.records.names import check_name
from mlops_kit.records.run import InputRef, RunStart
from mlops_kit.records.secrets import masked
from mlops_kit.registry.saving import keep_environment
from mlops_kit.store import identity
from mlops_kit.store.active import Passed, active_block, active_run
from mlops_kit.store.store import Store, open_store
from mlops_kit.tracking import capture
from mlops_kit.tracking.call import Call
from mlops_kit.tracking.git import GitState
from mlops_kit.tracking.inputs import dataset_name, record_input
from mlops_kit.tracking.last_run import set_newest_run
from mlops_kit.tracking.recorder import Recorder
from mlops_kit.tracking.run import Run

DEFAULT_EXPERIMENT = "default"
RUN_VARIABLE = "MLOPS_KIT_RUN_ID"
_EXPERIMENT_VARIABLE = "MLOPS_KIT_EXPERIMENT"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is to be recorded.

    Parameters
    ----------
    name : str
        The run's name.
    experiment : str or None
        The experiment; None for that of the parent, or of the environment, or ``"default"``.
    tags : dict
        The tags it begins with, as text.
    limit : int or None
        Tables up to so many bytes are kept.
    strict : bool
        Let a failing recording raise.
    """

    name: str
    experiment: str | None
    tags: Mapping[str, str]
    limit: int | None
    strict: bool


def begin(
    store: Store,
    plan: Plan,
    function: Callable[..., Any] | None = None,
    call: Call | None = None,
    *,
    frame: FrameType | None = None,
    kind: type[Run] = Run,
) -> Run:
    """Begin a run.

    Parameters
    ----------
    store : Store
        Where it is recorded.
    plan : Plan
        How.
    function : callable, optional
        The function that is called.
    call : Call, optional
        What it is called with.
    frame : frame, optional
        Where a run without a function was started: its source is kept.
    kind : type
        The class of the run.

    Returns
    -------
    Run
        Running. What could not be recorded is noted as a problem, unless the plan is strict.
    """
    call = call or Call()
    recorder = Recorder(store, plan.name, strict=plan.strict)
    recorder.limit = plan.limit
    store = recorder.store
    parent: Run | None = None
    experiment = plan.experiment or DEFAULT_EXPERIMENT
    with recorder.guarded("The run around this one"):
        around_here = _around(store)
        experiment = _experiment(plan, around_here)
        # A run that is begun by hand is beside one that was begun so before, until a block shows that it is inside.
        is_beside = function is None and around_here is not None and active_run() is not active_block()
        parent = _within(store, active_block()) if is_beside else around_here
    captured: dict[str, Any] = {}
    with recorder.guarded("The store"):
        store.ensure()
    with recorder.guarded("The surroundings of the run"):
        captured.update(_surroundings(recorder, function, frame))
    if call.data:
        captured["inputs"] = _inputs(recorder, plan, function, call)
        recorder.passed = tuple(Passed(name, value, _labels(value)) for name, value in call.data.items())
    recorder.open(
        RunStart(
            id=recorder.run_id,
            name=plan.name,
            experiment=experiment,
            at=datetime.now(UTC),
            user=identity.author(),
            host=identity.host(),
            pid=os.getpid(),
            boot=identity.boot(),
            namespace=identity.namespace(),
            parent=None if parent is None else parent.id,
            params=call.params,
            tags=dict(plan.tags),
            **captured,
        )
    )
    return began(kind(store, recorder.start.id, recorder))


_folder = functools.lru_cache(maxsize=64)(os.path.dirname)


def began(run: Run) -> Run:
    """Remember a run as the latest of this process."""
    set_newest_run(run)
    return run


def around() -> Run | None:
    """Give the run that is active here, or the one that this process was told to be a part of."""
    active = active_run()
    if isinstance(active, Run):
        return active
    run_id = os.environ.get(RUN_VARIABLE)
    if not run_id:
        return None
    if run_id not in _attachments:
        store = open_store()
        _attachments[run_id] = Run(store, store.runs.find(run_id))
    return _attachments[run_id]


_attachments: dict[str, Run] = {}


def _around(store: Store) -> Run | None:
    """Return the run around, if it is recorded in the same store."""
    return _within(store, around())


def _within(store: Store, run: object) -> Run | None:
    return run if isinstance(run, Run) and run.store_url == store.url else None


def _experiment(plan: Plan, parent: Run | None) -> str:
    inherited = plan.experiment or (None if parent is None else parent.experiment)
    return inherited or os.environ.get(_EXPERIMENT_VARIABLE) or DEFAULT_EXPERIMENT


def _surroundings(recorder: Recorder, function: Callable[..., Any] | None, frame: FrameType | None) -> dict[str, Any]:
    objects = recorder.store.objects
    code = None if function is None else code_fingerprint(function)
    modules = code.modules if code is not None else capture.user_module(frame)
    files = capture.source_files(modules)
    git = GitState(_folder(next(iter(files.values()), "")) or identity.here(), tuple(files.values()))
    recorder.git = None if git.ready else git
    return {
        "function": None if function is None or code is None else capture.capture_function(objects, function, code),
        "environment": keep_environment(objects),
        "sources": capture.capture_sources(objects, capture.codes_of(function, code, frame), files),
        "git": recorder.git_state(git) if git.ready else None,
        "rng": capture.capture_rng(objects),
    }


def _inputs(recorder: Recorder, plan: Plan, function: Callable[..., Any] | None, call: Call) -> tuple[InputRef, ...]:
    base = plan.name if function is None else getattr(function, "__qualname__", plan.name)
    refs: list[InputRef] = []
    for name, value in call.data.items():
        with recorder.guarded(f"The data {name!r}"):
            dataset = dataset_name(base, name)
            note, limit = recorder.refused, plan.limit
            refs.append(record_input(recorder.store, name, value, dataset=dataset, limit=limit, note=note))
    return tuple(refs)


def _labels(value: Any) -> Any:
    """Hold on to the labels of a table: the function may take columns out of it in place."""
    return getattr(value, "columns", None) if hasattr(value, "columns") else getattr(value, "column_names", None)


def planned(
    name: object, experiment: str | None, tags: Mapping[str, object] | None, limit: int | None, *, strict: bool
) -> Plan:
    """Refuse names and tags that cannot be recorded before anything runs."""
    if not isinstance(name, str) or not name.strip() or any(_is_unwritable(char) for char in name):
        raise InvalidInput(
            f"{quoted(name, 100)} cannot name a run: a name is text without control characters and halves of "
            "surrogate pairs."
        )
    if experiment is not None:
        experiment = check_name(experiment, what="experiment")
    if tags is not None and not isinstance(tags, Mapping):
        raise InvalidInput(f"tags={tags!r} is not a mapping of names to text.")
    texts = {masked_text(str(key)): str(masked(str(key), str(value))) for key, value in dict(tags or {}).items()}
    return Plan(masked_text(name), experiment, texts, limit, strict)


def _is_unwritable(char: str) -> bool:
    return char < " " or "\ud800" <= char <= "\udfff"
