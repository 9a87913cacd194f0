"""What a function returned, sorted into metrics, models, tables and values, and registered where that is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from mlops_kit.errors import NotSerializable, Postponed
from mlops_kit.records.run import OutputRef
from mlops_kit.registry.inference import inferred, suits
from mlops_kit.registry.saving import Saved
from mlops_kit.registry.signature import Signature
from mlops_kit.registry.store import ModelStore
from mlops_kit.tracking.call import as_number, metrics_in, parts_of
from mlops_kit.tracking.outputs import record_output
from mlops_kit.tracking.params import is_model, type_name
from mlops_kit.tracking.recorded import recorder_of
from mlops_kit.tracking.run import Run


def record_result(run: Run, result: Any, *, register: str | None) -> None:
    """Record what a function returned.

    Parameters
    ----------
    run : Run
        The run of the call, still open.
    result : object
        What was returned.
    register : str, optional
        The model of which the model in it becomes the next version.
    """
    recorder = recorder_of(run)
    if recorder is None or (result is None and register is None):
        return
    parts: list[tuple[str, Any]] = []
    with recorder.guarded("What the function returned"):
        parts = parts_of(result)
    refs: dict[str, OutputRef] = {}
    for name, value in parts:
        with recorder.guarded(f"The metrics in {name!r}"):
            for key, number in _metrics(name, value).items():
                run.log_metric(key, number)
        with recorder.guarded(f"The output {name!r}"):
            refs[name] = _kept(run, name, value)
    recorder.outputs.extend(refs.values())
    if register is not None:
        with recorder.guarded(f"The version of the model {register!r}"), contextlib.suppress(Postponed):
            name = _the_model(parts, register)
            _register(run, register, dict(parts)[name], refs.get(name))


def _kept(run: Run, name: str, value: Any) -> OutputRef:
    recorder = recorder_of(run)
    try:
        return record_output(run.store, name, value)
    except NotSerializable as error:
        if recorder is None or recorder.strict:
            raise
        recorder.problem(f"The output {name!r} was not kept: {error}")
        return OutputRef(name, "none", "none", type=type_name(value))


def _metrics(name: str, value: Any) -> dict[str, float]:
    """Read numbers as metrics: a mapping by its keys, a field of a dataclass by its name."""
    found = metrics_in(value)
    if found is not None:
        return found
    field = name.removeprefix("return.")
    number = None if field == name or field.isdigit() else as_number(value)
    return {} if number is None else {field: number}


def _the_model(parts: list[tuple[str, Any]], register: str) -> str:
    """Find which part of the result is to be registered."""
    models = [name for name, value in parts if is_model(value)]
    if len(models) == 1:
        return models[0]
    if not models and len(parts) == 1 and metrics_in(parts[0][1]) is None:
        return parts[0][0]
    found = f"{len(models)} models ({', '.join(models)})" if models else "no model"
    raise NotSerializable(
        f"register={register!r} takes the model that the function returns, and it returned {found}. Return one model, "
        f"or call ModelStore().register({register!r}, model) inside."
    )


def _register(run: Run, register: str, value: Any, ref: OutputRef | None) -> None:
    recorder = recorder_of(run)
    if recorder is None or ref is None or ref.kind == "none":
        return  # what kept it from being saved has been noted
    models = ModelStore(run.store)
    signature = None
    with recorder.guarded(f"The signature of the model {register!r}"):
        signature = logged_signature(recorder.outputs, value, ref) or inferred(value, run.passed)
    saved = Saved.of(ref)
    if saved is None:
        version = models.register(register, ref.value, run=run.id, metrics=run.metrics, signature=signature)
    else:
        version = models.register_saved(register, saved, run=run.id, metrics=run.metrics, signature=signature)
    recorder.models.append({"name": version.name, "version": version.version})


def logged_signature(outputs: Sequence[OutputRef], model: Any, saved: OutputRef | Saved) -> Signature | None:
    """Find the signature that was logged with a model: with this very one, or the only one, if it suits."""
    logged = [ref for ref in outputs if ref.signature is not None]
    content = {saved.object, saved.fingerprint} - {None}
    same = [ref for ref in logged if content & {ref.object, ref.fingerprint}]
    for ref in reversed(same or logged[:1] * (len(logged) == 1)):
        signature = Signature.decode(ref.signature or {})
        if suits(model, signature):
            return signature
    return None
