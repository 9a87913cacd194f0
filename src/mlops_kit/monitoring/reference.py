"""What a monitor compares with: the training data of a model, a dataset, or a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.errors import DatasetNotFound, InvalidInput, InvalidSpec, MlopsKitError, ModelNotFound
from mlops_kit.monitoring.book import KIND
from mlops_kit.records.model import ModelRecord
from mlops_kit.records.names import parse_spec
from mlops_kit.registry.store import ModelStore
from mlops_kit.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Reference:
    """What a monitor compares with, read once when it begins.

    Parameters
    ----------
    told : str
        What it is, in words.
    identity : str
        What must be the same for a monitor to go on where it was.
    features : pyarrow.Table
        The columns that are watched.
    prediction, target : array or None
        What was predicted on its rows, and what was true.
    target_name : str or None
        The column that is predicted.
    task : str or None
        The task, where the record of the model tells.
    spec : str or None
        The version of the model, where it is one.
    metrics : mapping of str to float
        What its training measured.
    categories : tuple of str
        The features that are declared as categories though their values are numbers.
    lacking : tuple of str
        The inputs of the model that its recorded training data has no columns for.
    """

    told: str
    identity: str
    features: pa.Table
    prediction: Any = None
    target: Any = None
    target_name: str | None = None
    task: str | None = None
    spec: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def default_name(given: object) -> str | None:
    """Name a monitor by what it watches: ``"fraud@champion"`` by ``fraud.champion``; a frame by nothing.

    Examples
    --------
    >>> default_name("fraud@champion"), default_name("fraud:3")
    ('fraud.champion', 'fraud.3')
    """
    if isinstance(given, Dataset):
        return f"{given.name}.{given.version}"
    if not isinstance(given, str) or given.startswith("fp1:"):
        return None
    parse_spec(given, what="model")  # refuses what is none, and shows no password in it
    return given.replace("@", ".").replace(":", ".")


def follows_alias(given: object) -> bool:
    """Tell whether a reference is a name that moves, so that another version behind it is no mistake."""
    return isinstance(given, str) and "@" in given


def version_of(given: object, store: Store) -> str | None:
    """Return the version of a model that a reference means now; None where it is none, or nobody can tell yet."""
    if not isinstance(given, str) or given.startswith("fp1:"):
        return None
    try:
        found = _found(given, store)
    except MlopsKitError:
        return None
    return found.spec if isinstance(found, ModelRecord) else None


def identity_of(given: object, store: Store) -> str:
    """Tell what a reference is without reading its rows.

    Parameters
    ----------
    given : str, Dataset or table
        As the user passed it.
    store : Store
        Where specs are looked up.

    Returns
    -------
    str
        Equal for equal references.

    Raises
    ------
    NotFound
        A spec names neither a model nor a dataset.
    """
    if isinstance(given, str):
        found = _found(given, store)
        return f"{'dataset' if isinstance(found, Dataset) else 'model'} {found.spec}"
    if isinstance(given, Dataset):
        return f"dataset {given.spec}"
    from mlops_kit.fingerprints.tables import table_fingerprint  # noqa: PLC0415 - loads pyarrow
    from mlops_kit.monitoring.rows import table_of  # noqa: PLC0415 - likewise

    return table_fingerprint(table_of(given)).value


def read_reference(
    given: object, store: Store, *, prediction: str | None, target: str | None, groups: str | None = None
) -> Reference:
    """Read what a monitor compares with.

    Parameters
    ----------
    given : str, Dataset or table
        A model (``"fraud@champion"``), a dataset (``"customers:3"``), or a frame.
    store : Store
        Where specs are looked up.
    prediction, target : str, optional
        The columns that hold what was predicted and what was true.
    groups : str, optional
        The column of whose values only the first row each counts.

    Returns
    -------
    Reference
        Features apart from predictions and truth.

    Raises
    ------
    InvalidInput
        A column that was named is not there, or the reference has no rows.
    DatasetNotFound
        The training data of a model was not kept.
    """
    identity = identity_of(given, store)
    found: Any = _found(given, store) if isinstance(given, str) else given
    data: Any
    spec = task = None
    features: Iterable[str] = ()
    if isinstance(found, Dataset):
        data, told = found, found.spec
    elif isinstance(found, ModelRecord):
        lineage = ModelStore(store).lineage(found.spec)
        signature = found.signature
        data, told, spec = _training(lineage, store), found.spec, found.spec
        if signature is not None:
            target, task, features = target or signature.target, _task(signature.kind), signature.features
    else:
        data, told = found, f"a frame of {len(found):,} rows" if hasattr(found, "__len__") else "a frame"
    from mlops_kit.monitoring.rows import coded_columns, escaped, firsts_of, table_of, values_of  # noqa: PLC0415 - pandas

    rows = data.to_arrow() if isinstance(data, Dataset) else data
    table = table_of(rows)
    if not table.num_rows:
        raise InvalidInput(f"The reference {told} has no rows: there is nothing to compare with.")
    for what, column in (("prediction", prediction), ("target", target), ("groups", groups)):
        if column is not None and column not in table.column_names:
            if what == "target" and spec is not None:
                target = None  # the labels were another input of the run
                continue
            raise InvalidInput(f"The reference has no column {column!r} for {what}=. Columns: {table.column_names}.")
    coded = coded_columns(rows)
    known = [name for name in features if name in table.column_names]
    rest = known or [name for name in table.column_names if name not in {prediction, target}]
    if groups is not None:
        table = table.take(firsts_of(table.column(groups)))
        rest = rest if groups in rest else [*rest, groups]
    return Reference(
        told=told,
        identity=identity,
        features=escaped(table.select(rest)),
        prediction=None if prediction is None else values_of(table.column(prediction)),
        target=None if target is None else values_of(table.column(target)),
        target_name=target,
        task=task,
        spec=spec,
        metrics=found.metrics if isinstance(found, ModelRecord) else {},
        lacking=tuple(name for name in features if name not in table.column_names),
        categories=tuple(escaped(table.select([name for name in rest if name in coded])).column_names),
    )


def _found(spec: str, store: Store) -> Any:
    """Find the model, or else the dataset, that a spec names."""
    if spec.startswith("fp1:"):
        return Dataset.load(spec, store=store)
    name = parse_spec(spec, what="model").name
    models, datasets = ModelStore(store).names(), Dataset.names(store=store)
    if name in models:
        return ModelStore(store).get(spec)
    if name in datasets:
        return Dataset.load(spec, store=store)
    begun = ""
    if name in store.journal_names(KIND):
        begun = f" There is a monitor {name!r}: open it with what it compares with, Monitor(reference, name={name!r})."
    raise ModelNotFound(
        f"There is neither a model nor a dataset {name!r} in {store.url}. "
        f"Models: {', '.join(models[:12]) or 'none'}; datasets: {', '.join(datasets[:12]) or 'none'}.{begun}"
    )


def _training(lineage: Any, store: Store) -> Dataset:
    """Find the data that a model was trained on."""
    ref = lineage.training
    if ref is None or ref.spec is None:
        kept = [one for one in lineage.data if one.spec is not None]
        ref = kept[0] if ref is None and len(kept) == 1 else None
    if ref is None:
        raise DatasetNotFound(
            f"The training data of {lineage.model.spec} was not kept, or nothing tells which of its data it was: "
            "pass a frame or a dataset as the reference, such as Monitor(frame, name=...)."
        )
    try:
        return Dataset.load(str(ref.spec), store=store)
    except InvalidSpec as error:
        raise DatasetNotFound(f"The training data of {lineage.model.spec} cannot be found: {error}") from error


def _task(kind: str | None) -> str | None:
    return kind if kind in {"binary", "multiclass", "regression"} else None
