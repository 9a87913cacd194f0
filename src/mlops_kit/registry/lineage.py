"""Everything that made a version: its run, its data, its code, its environment."""

from __future__ import annotations

from typing import Any

from mlops_kit.errors import ObjectNotFound, RunNotFound
from mlops_kit.records import codec
from mlops_kit.records.model import LineageRecord, ModelRecord
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.records.schemes import comparable
from mlops_kit.store.runs import status_of
from mlops_kit.store.store import Store
from mlops_kit.views.model import lineage_html, lineage_text


class Lineage(LineageRecord):
    """Exactly which data, code and environment made a version of a model; see `ModelStore.lineage`.

    Attributes
    ----------
    model : ModelVersion
        The version.
    run : dict or None
        ``id``, ``name``, ``experiment``, ``status``, ``started``, ``by``, ``params`` and ``metrics`` of the run.
    data : tuple of InputRef
        The data that went in, with dataset versions where it was kept.
    code : dict
        ``function``, ``fingerprint``, ``parts``, ``commit``, ``branch`` and ``dirty``, as far as known.
    environment : dict
        As `Run.environment`.
    unknown : tuple of str
        What is not known, and why.
    training, labels : InputRef or None
        Which of ``data`` hold the features and the target of the model's signature.

    Notes
    -----
    A reference for watching the model is all here: ``model.signature`` has the schema (``inputs``), the ``target``
    and the ``kind`` of prediction, ``model.metrics`` what it reached, ``run["id"]`` the run, and ``training`` the
    data, which ``Dataset.load(f"{ref.dataset}:{ref.version}", store=...)`` gives back where ``ref.dataset`` is
    not None. ``labels`` is the same input if the target is one of its columns.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> models = mk.ModelStore("memory://lineage-doc")
    >>> version = models.register("constant", 42)
    >>> models.lineage("constant:1").unknown
    ('The model was registered outside of a run: its data and code were not recorded.',)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return lineage_text(self)

    def _repr_html_(self) -> str:
        return lineage_html(self)


def lineage_of(store: Store, model: ModelRecord) -> Lineage:
    """Follow a version back to what made it.

    Parameters
    ----------
    store : Store
        Where it is kept.
    model : ModelRecord
        The version.

    Returns
    -------
    Lineage
        What is known, and what is not.
    """
    unknown: list[str] = []
    start, end = _run_records(store, model, unknown)
    digest = (start.environment if start else None) or model.environment
    environment = _object(store, digest, "environment", unknown)
    if start is None:
        return Lineage(model, None, (), {}, environment, tuple(unknown))
    if end is not None and not _made(end, model):
        printed = [ref.fingerprint for ref in end.outputs if ref.fingerprint and ref.kind == "model"]
        unclear = model.fingerprint is not None and not all(comparable(model.fingerprint, each) for each in printed)
        unknown.append(
            f"Whether an output of the run {start.id} equals this model is not known: releases with other rules made "
            "their fingerprints, which cannot be compared."
            if unclear
            else f"No output of the run {start.id} equals this model: the link was given by hand."
        )
    inputs = (*start.inputs, *(end.inputs if end else ()))
    unknown.extend(
        f"The data {ref.name!r} was not kept, only its fingerprint." for ref in inputs if ref.dataset is None
    )
    return Lineage(model, _run(store, start, end), inputs, _code(store, start, unknown), environment, tuple(unknown))


def _made(end: RunEnd, model: ModelRecord) -> bool:
    """Tell whether a run made this model: it was registered before the run ended, or equals an output of it."""
    registered = model.created <= end.at
    equal = {model.digest, model.fingerprint or model.digest}
    return registered or any(equal & {ref.object, ref.fingerprint} for ref in end.outputs)


def _run_records(store: Store, model: ModelRecord, unknown: list[str]) -> tuple[RunStart | None, RunEnd | None]:
    if model.run_id is None:
        unknown.append("The model was registered outside of a run: its data and code were not recorded.")
        return None, None
    try:
        return store.runs.records(model.run_id)
    except RunNotFound:
        unknown.append(f"The run {model.run_id} is not in this store: its data and code are not known here.")
        return None, None


def _run(store: Store, start: RunStart, end: RunEnd | None) -> dict[str, Any]:
    return {
        "id": start.id,
        "name": start.name,
        "experiment": start.experiment,
        "status": status_of(store.runs, start, end),
        "started": start.at,
        "by": start.user,
        "params": {**start.params, **(end.params if end else {})},
        "metrics": end.metrics if end else {},
    }


def _code(store: Store, start: RunStart, unknown: list[str]) -> dict[str, Any]:
    function, git = start.function or {}, start.git or {}
    if not function:
        unknown.append("The run was a block of code, not a tracked function: its code has no fingerprint.")
    if git.get("commit") is None and "refused" in git:
        unknown.append(f"The commit of the code is not known; git said: {git['refused']}")
    elif git.get("commit") is None:
        unknown.append("The code was not in a git repository with a commit.")
    parts = _object(store, function.get("parts"), "parts of the code", unknown)
    return {
        "function": f"{function['module']}.{function['qualname']}" if function else None,
        "fingerprint": function.get("code"),
        "parts": parts.get("functions", {}),
        "commit": git.get("commit"),
        "branch": git.get("branch"),
        "dirty": git.get("dirty"),
    }


def _object(store: Store, digest: str | None, what: str, unknown: list[str]) -> dict[str, Any]:
    if digest is None:
        unknown.append(f"The {what} was not recorded.") if what == "environment" else None
        return {}
    try:
        members = codec.unseal(store.objects.get(digest, what=what), where=what)
    except ObjectNotFound:
        unknown.append(f"The {what} was recorded, and is no longer in the store.")
        return {}
    return {name: codec.unplain(value) for name, value in members.items() if name not in {"format", "record"}}
