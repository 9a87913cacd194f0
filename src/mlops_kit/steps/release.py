"""`gate`, `register` and `promote`: the steps that look at what is live, or change it, and so run every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import AliasNotFound, ModelNotFound
from mlops_kit.pipelines.step import step
from mlops_kit.records.model import Promotion
from mlops_kit.registry.inference import inferred
from mlops_kit.registry.report import GateReport
from mlops_kit.registry.saving import Saved, save
from mlops_kit.registry.store import ModelStore
from mlops_kit.registry.version import ModelVersion
from mlops_kit.tracking.current import current_run
from mlops_kit.tracking.recorded import recorder_of
from mlops_kit.tracking.results import logged_signature

if TYPE_CHECKING:
    from mlops_kit.registry.gate import Gate


@step(cache=False)
def gate(candidate: Any, gate: Gate, *, name: str | None = None, alias: str = "champion") -> GateReport:
    """Judge a model before it is registered or promoted.

    Parameters
    ----------
    candidate : object, ModelVersion or str
        A model, or a version of one.
    gate : Gate
        The conditions. For a model that is no version yet, with ``target=``.
    name : str, optional
        The model that the candidate is to become a version of: conditions compare with what the alias of this one
        points to.
    alias : str
        The alias that it is to be promoted to.

    Returns
    -------
    GateReport
        The verdict: ``report.passed``, and why. The pipeline decides what follows.

    Raises
    ------
    InvalidInput
        The data lacks the target, or a condition compares with an alias and no name was given.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> import pandas as pd
    >>> data = pd.DataFrame({"x": [0, 1, 2, 3] * 25, "late": [0, 0, 1, 1] * 25})
    >>> limits = mk.Gate(mk.conditions.at_least("accuracy", 0.9), on=data, target="late")
    >>> mk.steps.gate(lambda X: (X["x"] > 1).astype(int), limits).passed
    True
    """
    run = current_run()
    return gate.evaluate(candidate, name=name, alias=alias, store=None if run is None else run.store)


@step(cache=False)
def register(
    model: Any,
    name: str,
    *,
    format: str = "cloudpickle",  # noqa: A002 - the field's word
    description: str | None = None,
    card: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Register a model as the next version of a name, unless the newest version is this very model.

    Parameters
    ----------
    model : object
        The model.
    name : str
        Letters, digits, ``_``, ``-`` and ``.``.
    format : str
        As for `ModelStore.register`.
    description : str, optional
        What a reader should know of it.
    card : mapping, optional
        For its model card.

    Returns
    -------
    ModelVersion
        The version, with the run, its metrics, and the signature of the data that `train` fitted the model on. A
        pipeline that runs again on the same data gives the version that it gave before.

    Raises
    ------
    InvalidName
        The name cannot be one.
    NotSerializable
        The model cannot be saved.
    StoreError
        The store cannot be written.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.pipeline(store="memory://register-step-doc")
    ... def road(threshold):
    ...     return mk.steps.register({"threshold": threshold}, "rule").spec
    >>> road(0.5), road(0.5), road(0.7)
    ('rule:1', 'rule:1', 'rule:2')
    """
    run = current_run()
    models = ModelStore(None if run is None else run.store)
    saved = save(models.store, model, format=format, what=name)
    version = _newest(models, name, saved)
    if version is None:
        signature = None if run is None else logged_signature(list(run.outputs.values()), model, saved)
        passed = () if run is None else run.passed
        version = models.register_saved(
            name, saved, run=run, signature=signature or inferred(model, passed), description=description, card=card
        )
    recorder = None if run is None else recorder_of(run)
    if recorder is not None:
        recorder.models.append({"name": version.name, "version": version.version})
    return version


def _newest(models: ModelStore, name: str, saved: Saved) -> ModelVersion | None:
    """Return the newest version of a name if it is this very model."""
    try:
        versions = models.versions(name)
    except ModelNotFound:
        return None
    if not versions:
        return None
    newest = versions[-1]
    same = newest.digest == saved.object or (newest.fingerprint is not None and newest.fingerprint == saved.fingerprint)
    return newest if same and newest.format == saved.format else None


@step(cache=False)
def promote(
    version: ModelVersion | str, alias: str = "champion", *, gate: Gate | None = None, reason: str | None = None
) -> Promotion | None:
    """Point an alias at a version, unless it points there.

    Parameters
    ----------
    version : ModelVersion or str
        The version, or its spec.
    alias : str
        The alias.
    gate : Gate, optional
        What the version must pass; the report is kept as evidence. See `ModelStore.promote`.
    reason : str, optional
        Why; kept in the journal.

    Returns
    -------
    Promotion or None
        The decision, durable; None if the alias points to this version, and nothing was to be decided. After a rollback
        by hand it points elsewhere, and the next run promotes again.

    Raises
    ------
    GateFailed
        The gate refused.
    MlopsKitError
        What else `ModelStore.promote` raises.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.pipeline(store="memory://promote-step-doc")
    ... def road(threshold):
    ...     return str(mk.steps.promote(mk.steps.register({"threshold": threshold}, "rule")))
    >>> road(0.5), road(0.5)
    ('rule@champion: nothing → 1', 'None')
    """
    run = current_run()
    models = ModelStore(None if run is None else run.store)
    chosen = models.get(version if isinstance(version, str) else version.spec)
    try:
        live = models.get(f"{chosen.name}@{alias}").version
    except AliasNotFound:
        live = None
    return None if live == chosen.version else models.promote(chosen.spec, alias, gate=gate, reason=reason)
