"""The case that a gate judges: the models and the data, each predicted once, and what else conditions may ask.

Imported only once a gate is evaluated, so pandas may be imported at the top.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.errors import InvalidInput, MlopsKitError, NotFound
from mlops_kit.fingerprints.dispatch import fingerprint
from mlops_kit.masking import excerpt
from mlops_kit.measures.metric import CLASSIFICATION as CLASSES
from mlops_kit.measures.predicted import BINARY, MULTICLASS, RANKING, REGRESSION, TASKS, Predicted
from mlops_kit.records import codec
from mlops_kit.records.gate import Contender, JudgedOn
from mlops_kit.registry.estimators import facts_of
from mlops_kit.registry.lineage import Lineage, lineage_of
from mlops_kit.registry.recorded import RecordedModels
from mlops_kit.registry.version import ModelVersion

if TYPE_CHECKING:
    from mlops_kit.store.store import Store

_SHOWN = 5
_MESSAGE = 400
_TWO = 2
CLASSIFICATION = "classification"
"""What is asked for by a metric of classes, whether two or more."""


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """Data with its truth.

    Parameters
    ----------
    judged : JudgedOn
        What it is, for the record.
    table : pandas.DataFrame
        All columns but the target.
    truth : pandas.Series or None
        The target; None if the data has none.
    weights : pandas.Series or None
        How much each row counts; a column of the table too, which a model may take.
    groups : pandas.Series or None
        Whose each row is; likewise.
    """

    judged: JudgedOn
    table: pd.DataFrame
    truth: pd.Series[Any] | None
    weights: pd.Series[Any] | None
    groups: pd.Series[Any] | None = None

    @property
    def name(self) -> str:
        """As the gate calls it."""
        return self.judged.name

    @property
    def whole(self) -> pd.DataFrame:
        """All columns, the target too, under their names as text."""
        table = self.table.rename(columns=str)
        return table if self.truth is None else table.assign(**{str(self.judged.target): self.truth.to_numpy()})


@dataclass(frozen=True, eq=False)
class Judged:
    """A model of the case, and what is known of it.

    Parameters
    ----------
    contender : Contender
        What it is, for the record.
    load : callable
        Gives the model; it is called once, when predictions are asked for.
    version : ModelVersion or None
        Its version, if it is in a store.
    """

    contender: Contender
    load: Callable[[], Any]
    version: ModelVersion | None = None

    @functools.cached_property
    def model(self) -> Any:
        """The model itself."""
        return self.load()

    def takes(self, holdout: Holdout) -> Any:
        """Give what the model's methods take: its own columns, or an array if it was fitted on one.

        A model that names no columns is given all but the weights and the groups. It is a copy for each call: a model
        that changes what it is given must not change what others are judged on.
        """
        signature = self.version.signature if self.version is not None else None
        facts, table = facts_of(self.model), holdout.table
        named = {str(label): label for label in table.columns}
        wanted = facts.names or (signature.features if signature is not None else ())
        missing = [name for name in wanted if name not in named]
        if missing:
            raise InvalidInput(f"the data lacks the columns {', '.join(map(repr, missing))}")
        others = table.drop(columns=[part.name for part in (holdout.weights, holdout.groups) if part is not None])
        chosen = table[[named[name] for name in wanted]] if wanted else others
        return chosen.to_numpy(copy=True) if facts.names is None and facts.width is not None else chosen.copy()


@dataclass(eq=False)
class Case:
    """What conditions are told: the candidate, the champions, the data; and the predictions of each, made once.

    Attributes
    ----------
    candidate : Judged
        The model to decide on.
    holdouts : dict of str to Holdout
        The data by name.
    store : Store
        Where the models are.
    alias : str or None
        The alias that the candidate is to be promoted to, if it is.
    task : str or None
        What the gate says it is about, whatever the models say.
    champions : dict of str to Judged or None
        By alias, as far as they were asked for; None where an alias points nowhere.
    """

    candidate: Judged
    holdouts: dict[str, Holdout]
    store: Store
    find: Callable[[str], Judged | None]
    positive: Any = None
    alias: str | None = None
    task: str | None = None
    champions: dict[str, Judged | None] = field(default_factory=dict)
    _predicted: dict[tuple[int, str, str | None], Predicted | str] = field(default_factory=dict)

    def champion(self, alias: str) -> Judged | None:
        """Find the model that an alias points to; None if it points nowhere."""
        if alias not in self.champions:
            self.champions[alias] = self.find(alias)
        return self.champions[alias]

    def others(self, alias: str) -> str:
        """List the aliases there are, if one that points nowhere looks misspelt beside them; else give nothing."""
        if self.candidate.version is None or alias == self.alias:
            return ""
        standing = RecordedModels(self.store).aliases(self.candidate.version.name)
        return "" if alias in standing else ", ".join(f"{name} → {version}" for name, version in standing.items())

    def predicted(
        self, holdout: Holdout, by: Judged | None = None, *, tasks: Collection[str] = TASKS
    ) -> Predicted | str:
        """Give a model's predictions for some data; or the reason, in words, why there are none.

        Parameters
        ----------
        holdout : Holdout
            The data.
        by : Judged, optional
            The model; by default the candidate.
        tasks : collection of str, optional
            The tasks of the metric that asks. They decide where neither the gate nor the model says what it is.

        Returns
        -------
        Predicted or str
            Made once and remembered, so that all conditions judge the same predictions.
        """
        judged = by or self.candidate
        task = self.task or (REGRESSION if set(tasks) == {REGRESSION} else None)
        task = task or (CLASSIFICATION if REGRESSION not in tasks else None)
        key = id(judged), holdout.name, task
        if key not in self._predicted:
            self._predicted[key] = _predicted(judged, holdout, self.positive, task, stated=self.task is not None)
        return self._predicted[key]

    def seed(self, holdout: Holdout, by: Judged | None = None) -> int:
        """Make the seed of what is random in judging: it depends on the models and the data only."""
        others = by.contender if by is not None else None
        names = (self.candidate.contender.fingerprint, others and others.fingerprint, holdout.judged.fingerprint)
        return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:6])

    def latencies(self, holdout: Holdout, rows: int, repeats: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Time the candidate's predictions of a few rows at a time, in milliseconds."""
        given = self.candidate.takes(holdout)
        predict = _method(self.candidate.model)
        starts = np.linspace(0, max(len(given) - rows, 0), repeats).astype(int)
        parts = [given.iloc[at : at + rows] if hasattr(given, "iloc") else given[at : at + rows] for at in starts]
        predict(parts[0])  # the first call may compile or import
        times = []
        for part in parts:
            begun = time.perf_counter()
            predict(part)
            times.append((time.perf_counter() - begun) * 1000)
        return np.array(times)

    def lineage(self) -> Lineage | None:
        """Tell what made the candidate; None of a model that is in no store."""
        version = self.candidate.version
        return None if version is None else lineage_of(self.store, version)

    def dataset(self, spec: str) -> Dataset | None:
        """Find a dataset of the store; None if it is not there."""
        try:
            return Dataset.load(spec, store=self.store)
        except NotFound:
            return None

    def environment(self, judged: Judged) -> dict[str, Any]:
        """Read the environment that a model was made in; empty if it is not known."""
        digest = judged.version.environment if judged.version is not None else None
        if digest is None:
            return {}
        members = codec.unseal(self.store.objects.get(digest, what="environment"), where="environment")
        return {name: codec.unplain(value) for name, value in members.items()}


def holdouts(
    on: Any, target: str | None, weights: str | None, store: Store, groups: str | None = None
) -> dict[str, Holdout]:
    """Read the data that a gate is to judge on.

    Parameters
    ----------
    on : mapping, Dataset, str, table or tuple
        The data by name, or one that is called ``"holdout"``: a `Dataset`, its spec, a table, or ``(X, y)``.
    target, weights : str, optional
        The columns of the truth and of the weights of rows.
    store : Store
        Where specs are looked up.
    groups : str, optional
        The column that says whose each row is.

    Returns
    -------
    dict of str to Holdout
        By name.

    Raises
    ------
    InvalidInput
        Something is no data, or lacks a column that is named.
    DatasetNotFound
        There is no such dataset.
    """
    given = on if isinstance(on, dict) else {"holdout": on}
    if len(set(map(str, given))) < len(given):
        raise InvalidInput(f"Two of the data have the same name as text: {', '.join(map(repr, given))}.")
    return {str(name): _holdout(str(name), data, target, weights, store, groups) for name, data in given.items()}


def _holdout(
    name: str, data: Any, target: str | None, weights: str | None, store: Store, groups: str | None
) -> Holdout:
    found = Dataset.load(data, store=store) if isinstance(data, str) else data
    dataset = found if isinstance(found, Dataset) else None
    if isinstance(found, tuple):
        if len(found) != 2:  # noqa: PLR2004 - X and y
            raise InvalidInput(f"The data {name!r} is a tuple of {len(found)}: give (X, y).")
        table, truth = _frame(found[0], name), _truth(found[1], name)
        if len(truth) != len(table):
            raise InvalidInput(f"The data {name!r} has {len(table)} rows and {len(truth)} values of truth.")
        content: Any = table.assign(**{target or "target": truth.to_numpy()})
        target = target or "target"
    else:
        table = dataset.to_pandas() if dataset is not None else _frame(found, name)
        content, truth = table, None
        if target is not None:
            truth = _column(table, target, name)
            table = table.drop(columns=truth.name)
            if target in map(str, table.index.names):
                table = table.reset_index(drop=True)  # predictions are not to be made with the truth at hand
    counted = None
    if weights is not None:
        counted = _column(table, weights, name)
    identity = dataset.fingerprint if dataset is not None else fingerprint(content)
    whose = None if groups is None else _column(table, groups, name)
    judged = JudgedOn(
        *(name, identity, len(table), target, dataset.spec if dataset is not None else None),
        groups=None if whose is None else int(whose.nunique()),
        repeated=_repeated(table, truth) or None,
    )
    return Holdout(judged, table, truth, counted, whose)


def _repeated(table: pd.DataFrame, truth: pd.Series[Any] | None) -> int:
    """Count the rows that are equal to an earlier one, their truth too."""
    if not len(table.columns):
        return 0
    keys = pd.DataFrame({"row": row_keys(table.set_axis(range(table.shape[1]), axis=1), range(table.shape[1]))})
    if truth is not None:
        keys["truth"] = row_keys(pd.DataFrame({0: truth.to_numpy()}), [0]).to_numpy()
    return int(keys.duplicated().sum())


def _frame(data: Any, name: str) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if hasattr(data, "to_pandas"):
        made: pd.DataFrame = data.to_pandas()
        return made
    try:
        return pd.DataFrame(data)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The data {name!r} is no table: {error}.") from error


def _truth(given: Any, name: str) -> pd.Series[Any]:
    shape = np.shape(given)
    if len(shape) == 2 and shape[1] == 1:  # noqa: PLR2004 - a table of one column is a column
        given = given.iloc[:, 0] if hasattr(given, "iloc") else np.asarray(given)[:, 0]
    elif len(shape) > 1:
        raise InvalidInput(f"The truth of the data {name!r} must be one column; its shape is {shape}.")
    return pd.Series(given).reset_index(drop=True)


def _column(table: pd.DataFrame, wanted: str, name: str) -> pd.Series[Any]:
    labels = [label for label in table.columns if str(label) == wanted]
    if not labels:
        listed = ", ".join(str(label) for label in table.columns[:20])
        raise InvalidInput(f"The data {name!r} has no column {wanted!r}. Columns: {listed}.")
    if len(labels) > 1:
        raise InvalidInput(f"The data {name!r} has {len(labels)} columns {wanted!r}: rename or drop all but one.")
    return table[labels[0]]


def _predicted(judged: Judged, holdout: Holdout, positive: Any, task: str | None, *, stated: bool) -> Predicted | str:
    if holdout.truth is None:
        return f"the data {holdout.name!r} has no target: name it with target="
    model = judged.model  # a model that cannot be loaded is no verdict, but an error
    try:
        return _asked(judged, model, holdout, positive, task, stated=stated)
    except MlopsKitError as error:
        return f"{judged.contender} cannot be judged on {holdout.name!r}: {excerpt(error, _MESSAGE)}"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything, or end; it does not pass
        return f"{judged.contender} fails on {holdout.name!r}: {type(error).__name__}: {excerpt(error, 300)}"


def _asked(
    judged: Judged, model: Any, holdout: Holdout, positive: Any, wanted: str | None, *, stated: bool
) -> Predicted:
    signature = judged.version.signature if judged.version is not None else None
    facts = facts_of(model)
    kind, classes = facts.kind, facts.classes
    if kind is None and signature is not None:
        kind, classes = signature.kind, classes or signature.classes
    task = wanted if stated else kind if kind in {BINARY, MULTICLASS, REGRESSION} else None
    beside: dict[str, Any] = {"weights": holdout.weights, "groups": holdout.groups}
    if not len(holdout.table):
        task = task or BINARY
        return Predicted.of([], [], task=task, classes=classes if task in CLASSES else None)
    given = functools.partial(judged.takes, holdout)
    if task == RANKING:
        return Predicted.of(holdout.truth, _ranking(model, given, classes, positive), task=task, **beside)
    if task == REGRESSION or (kind is None and classes is None and wanted == REGRESSION):
        return Predicted.of(holdout.truth, _method(model)(given()), task=REGRESSION, **beside)
    beside |= {"task": task, "classes": classes, "positive": positive}
    if kind == "score":
        scores = -model.decision_function(given())
        return Predicted.of(holdout.truth, scores=scores, **{**beside, "task": BINARY, "classes": None})
    labels = _method(model)(given())
    if classes is None:
        read = _as_classes(holdout.truth, labels, type(model)) if wanted is not None or kind is not None else {}
        beside |= {**read, "task": task or read.get("task")}
        return Predicted.of(holdout.truth, **{"labels": labels, **beside})
    _check_classes(holdout.truth, classes)
    return Predicted.of(holdout.truth, labels, **_scores(model, given, len(classes)), **beside)


def _scores(model: Any, given: Callable[[], Any], classes: int) -> dict[str, Any]:
    """Query a classifier for probabilities, or else for scores."""
    if callable(getattr(model, "predict_proba", None)):
        return {"probabilities": model.predict_proba(given())}
    if callable(getattr(model, "decision_function", None)):
        scores = model.decision_function(given())
        if scores.ndim == 1 or scores.shape[1] == classes:  # not the one-against-one votes of some
            return {"scores": scores}
    return {}


def _ranking(model: Any, given: Callable[[], Any], classes: Sequence[Any] | None, positive: Any) -> Any:
    """Compute the numbers that a model ranks by: of a classifier of two classes, how likely the positive one is."""
    scored = _scores(model, given, len(classes)) if classes is not None and len(classes) == _TWO else {}
    of_first = positive is not None and classes is not None and positive == classes[0]
    if "probabilities" in scored:
        return scored["probabilities"][:, 0 if of_first else 1]
    if "scores" in scored and scored["scores"].ndim == 1:
        return -scored["scores"] if of_first else scored["scores"]
    return _method(model)(given())


def _as_classes(truth: Any, told: Any, kind: type) -> dict[str, Any]:
    """Read what a model that says nothing of itself gives where classes are asked for: these, or scores of one."""
    values, classes = np.asarray(told), set(pd.Series(truth).dropna().unique().tolist())
    if values.dtype.kind != "f" or np.array_equal(values, np.round(values), equal_nan=True):
        classes |= set(pd.Series(values.ravel()).dropna().unique().tolist())
        return {"task": BINARY if len(classes) <= _TWO else MULTICLASS}
    if len(classes) > _TWO or values.ndim > 1:
        raise InvalidInput(
            f"predict of the {kind.__name__} gives numbers such as {values.ravel()[0]:.4g}, and the truth has "
            f"{len(classes)} classes: give a model with predict_proba and classes_, or state task='regression'"
        )
    probable = bool(((values >= 0) & (values <= 1)).all())
    return {"task": BINARY, "labels": None, "probabilities" if probable else "scores": values}


def _check_classes(truth: Any, classes: Sequence[Any]) -> None:
    """Refuse a model that means other things than the data: it would lose every comparison, and prove nothing."""
    present = pd.Series(truth).dropna().unique().tolist()
    if present and not set(present) & set(classes):
        knows, holds = (", ".join(map(repr, list(some)[:_SHOWN])) for some in (classes, present))
        raise InvalidInput(f"it knows none of the classes of the data: it gives {knows}, and the truth is {holds}")


def _method(model: Any) -> Callable[[Any], Any]:
    predict = getattr(model, "predict", model)
    if not callable(predict):
        raise InvalidInput(f"a {type(model).__name__} has no predict, and cannot be called")
    made: Callable[[Any], Any] = predict
    return made


def row_keys(table: pd.DataFrame, columns: Iterable[Any]) -> pd.Series[Any]:
    """Give each row a 64-bit key of its values, equal for equal values whatever the width of numbers."""
    chosen = table[list(columns)]
    plain = {
        label: column.astype("float64")
        if pd.api.types.is_numeric_dtype(column) and not column.isna().any()
        else column.astype(object).map(str)
        for label, column in chosen.items()
    }
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False)
