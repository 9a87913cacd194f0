"""What a pipeline would do if it were called now: the calls of its last run, each looked up again; nothing runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from inspect import getattr_static
from typing import Any

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.errors import InvalidInput, MlopsKitError
from mlops_kit.fingerprints.code import code_fingerprint
from mlops_kit.fingerprints.dispatch import fingerprint
from mlops_kit.fingerprints.requirements import with_requirements
from mlops_kit.pipelines.dependencies import dependencies, moved
from mlops_kit.pipelines.keys import key_of, states
from mlops_kit.pipelines.reuse import stale
from mlops_kit.pipelines.step import Step
from mlops_kit.records.run import StepCall
from mlops_kit.records.step import StepRecord
from mlops_kit.store.store import Store
from mlops_kit.tracking.call import Form, bind
from mlops_kit.tracking.run import Run
from mlops_kit.views.plan import PlannedCall, plan_text

_DEPENDS_ON_MORE = "an earlier step runs, and what it returns is not known yet"


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What a pipeline would do.

    Parameters
    ----------
    run : str
        The run whose calls were looked up.
    calls : tuple of PlannedCall
        Each with ``name``, ``outcome`` (``"reused"``, ``"runs"`` or ``"may run"``) and ``why``.
    """

    run: str
    calls: tuple[PlannedCall, ...]

    def __repr__(self) -> str:
        return plan_text(self.run, self.calls)


def plan(function: Callable[..., Any], run: Run, args: tuple[Any, ...], kwargs: dict[str, Any], store: Store) -> Plan:
    """Look up the calls of a run again, in their order, until one would run.

    Parameters
    ----------
    function : callable
        The function of the pipeline.
    run : Run
        Its last run.
    args, kwargs : tuple and dict
        What it would be called with; nothing for what it was called with.
    store : Store
        Where results are kept.

    Returns
    -------
    Plan
        A line for each call.
    """
    reason = _changed(function, run, args, kwargs)
    calls: list[PlannedCall] = []
    for call in run.steps:
        if reason is not None:
            calls.append(PlannedCall(call.name, "may run", reason))
            continue
        why = _would_run(function, call, store)
        calls.append(PlannedCall(call.name, "reused" if why is None else "runs", why or "nothing has changed"))
        reason = None if why is None else _DEPENDS_ON_MORE
    return Plan(run.id, tuple(calls))


def _changed(function: Callable[..., Any], run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Return why not even the first call need be that of the run; None if it must be."""
    place = f"{function.__module__}:{function.__qualname__}"
    recorded = run.code.get("functions", {}).get(place)
    if recorded is not None and recorded != code_fingerprint(function).parts.get(place):
        return "the code of the pipeline itself changed"
    if not args and not kwargs:
        return None
    call = bind(Form(function), args, kwargs)
    given = {name: _content(value) for name, value in call.data.items()}
    before = {name: ref.fingerprint for name, ref in run.inputs.items() if name in given}
    same = all(run.params.get(name) == value for name, value in call.params.items())
    return None if same and given == before else "the arguments of the pipeline are others"


def _content(data: Any) -> str | None:
    try:
        return data.fingerprint if isinstance(data, Dataset) else fingerprint(data)
    except MlopsKitError:
        return None


def _would_run(function: Callable[..., Any], call: StepCall, store: Store) -> str | None:
    """Return why a call would run again; None if its result would be reused."""
    if call.key is None:
        return call.why if call.status == "finished" else f"it {call.status}, and there is no result"
    step = _found(function, call.name)
    if step is None:
        return "the step is not found under its name any more"
    try:
        record = store.results.read(call.key)
        return "its result is gone" if record is None else _outdated(step, record, store)
    except InvalidInput as error:
        return str(error)
    except MlopsKitError:
        return "its result is damaged or lost"


def _outdated(step: Step[..., Any], record: StepRecord, store: Store) -> str | None:
    """Return why a call with the arguments of a result would not find it; None if it would."""
    options = step.options
    declared = tuple(one for one in options.depends_on if not callable(one))
    depends = states(dependencies(replace(options, depends_on=declared), {}))
    others = sorted(record.depends.keys() - depends.keys())  # sources, and what functions returned
    if len(declared) < len(options.depends_on) and not others:
        return "it depends on what a function returns, which a plan does not call"
    for place in others:
        kind, _, name = place.partition(" ")
        why = moved({"kind": kind, "name": name, "state": record.depends[place]}, store)
        if why is not None:
            return why
        depends[place] = record.depends[place]
    code = code_fingerprint(step.__wrapped__, ignore=options.ignore)
    key = key_of(
        code=code.value,
        arguments=record.arguments,
        packages=with_requirements([*record.packages, *code.distributions]),
        version=options.version,
        depends=depends,
    )
    if key != record.key:
        return "its code changed" if code.value != record.code else "a package, dependency or version changed"
    return stale(record, store, fresh_for=options.fresh_for, now=datetime.now(UTC))


def _found(function: Callable[..., Any], place: str) -> Step[..., Any] | None:
    """Find a step by its place: in a module, or where the function of the pipeline reads it."""
    module, _, qualname = place.partition(":")
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr_static(found, name, None)
    found = found.__func__ if isinstance(found, classmethod | staticmethod) else found
    if isinstance(found, Step):
        return found
    return next((step for step in _read_by(function) if step.place == place), None)


def _read_by(function: Any) -> Iterator[Step[..., Any]]:
    """Yield the steps that stand in the closures and globals of a function, and of the steps found there."""
    waiting, met = [function], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in met or not hasattr(each, "__code__"):
            continue
        met.add(id(each))
        cells = [cell.cell_contents for cell in each.__closure__ or () if _is_filled(cell)]
        for value in [*cells, *(each.__globals__.get(name) for name in each.__code__.co_names)]:
            if isinstance(value, Step):
                yield value
                waiting.append(value.__wrapped__)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty one raises
    except ValueError:
        return False
    return True
