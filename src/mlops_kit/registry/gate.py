"""`Gate`: one decision, the same in CI, in retraining and by hand, with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import AliasNotFound, InvalidInput, ModelNotFound, VersionNotFound
from mlops_kit.masking import quoted
from mlops_kit.records.gate import ConditionResult, Contender
from mlops_kit.registry import inspections, limits
from mlops_kit.registry.condition import Condition
from mlops_kit.registry.recorded import RecordedModels
from mlops_kit.registry.report import GateReport
from mlops_kit.registry.saving import fingerprint_or_none
from mlops_kit.registry.version import ModelVersion

if TYPE_CHECKING:
    from mlops_kit.registry.case import Case, Judged
    from mlops_kit.store.store import StoreLike


class Gate:
    """Conditions that a model must meet before an alias may point to it.

    Parameters
    ----------
    *conditions : Condition or callable
        From `mlops_kit.conditions`, or functions of your own. These take the case, with ``.candidate.model``,
        ``.holdouts[name].table`` and ``.truth``, ``.champion(alias)`` and ``.predicted(holdout)``; they give True or
        False, or a pair of that and a message. What they raise becomes the message of a condition that fails.
    on : mapping, Dataset, str, table or tuple, optional
        The data to judge on, by name; one alone is called ``"holdout"``. A `Dataset`, its spec such as
        ``"holdout@latest"`` (looked up at each evaluation), a table, or ``(X, y)``.
    target : str, optional
        The column of the truth; by default that of the candidate's signature.
    positive : object, optional
        The class that is looked for, of two; by default the last one.
    weights : str, optional
        A column that tells how much each row counts.
    task : str, optional
        ``"binary"``, ``"multiclass"``, ``"regression"`` or ``"ranking"``, whatever the models say. By default what a
        model says of itself, else what its signature says, else what the metric is for.
    groups : str, optional
        A column whose equal values are one subject, such as a customer of whom there are several rows. Intervals and
        paired tests then count subjects, not rows; with fewer than 10 there are none. A model may take the column.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = pd.DataFrame({"x": [0, 1, 2, 3] * 25, "label": [0, 0, 1, 1] * 25})
    >>> models = mk.ModelStore("memory://gate-doc")
    >>> for strength in (1e-6, 1.0):
    ...     fitted = LogisticRegression(C=strength).fit(data[["x"]], data["label"])
    ...     version = models.register("risk", fitted, signature=(data[["x"]], data["label"]))
    >>> gate = mk.Gate(
    ...     mk.conditions.at_least("auc", 0.9),
    ...     mk.conditions.not_worse_than("champion", "accuracy", margin=0.05),
    ...     on={"holdout": data},
    ... )
    >>> print(models.promote("risk:2", gate=gate))
    risk@champion: nothing → 2
    >>> report = gate.evaluate("risk:1", store=models.store)
    >>> [(result.name, result.passed) for result in report.results][0]
    ('roc_auc >= 0.9 on holdout', True)
    """

    def __init__(
        self,
        *conditions: Condition | Callable[[Case], Any],
        on: Any = None,
        target: str | None = None,
        positive: Any = None,
        weights: str | None = None,
        task: str | None = None,
        groups: str | None = None,
    ) -> None:
        if not conditions:
            raise InvalidInput("A gate without conditions would let everything pass: give at least one.")
        for what, column in (("target", target), ("weights", weights), ("groups", groups)):
            if column is not None and not isinstance(column, str):
                raise InvalidInput(f"{what}={quoted(column)} is not the name of a column.")
        self.conditions = tuple(map(_condition, conditions))
        self.on = on
        self.target = target
        self.positive = positive
        self.weights = weights
        self.task = limits.task(task)
        self.groups = groups
        self._check_data()

    def evaluate(
        self,
        candidate: Any,
        *,
        champion: Any = None,
        store: StoreLike = None,
        alias: str | None = None,
        name: str | None = None,
    ) -> GateReport:
        """Judge a model.

        Parameters
        ----------
        candidate : str, ModelVersion or object
            The spec of a version, a version, or a model that is in no store.
        champion : str, ModelVersion or object, optional
            What to compare with, whatever alias the conditions name; by default what each alias points to.
        store : str, path or Store, optional
            Where the models and the data are; by default the store of the project.
        alias : str, optional
            Where the candidate is to be promoted to: a condition that names this alias before it points anywhere is
            then about the first promotion, and no slip.
        name : str, optional
            The model that the candidate is to become a version of, if it is in no store yet: the aliases in the
            conditions are those of this model.

        Returns
        -------
        GateReport
            The verdict. The same models and data give the same report, but for latencies: what is random is seeded
            by their fingerprints.

        Raises
        ------
        VersionNotFound
            The candidate does not exist, or was archived or deleted.
        NotFound
            There is no such model or dataset, or no such champion.
        InvalidInput
            The data lacks the target, or cannot be read.
        UntrustedArtifact
            A model would have to be unpickled from a store that is not trusted.
        """
        from mlops_kit.registry import case as made  # noqa: PLC0415 - loads pandas

        models = RecordedModels(store)
        judged = _judged(candidate, models, made.Judged, what="candidate")
        _refuse_archived(models, judged.version)
        target = self.target
        if target is None and judged.version is not None and judged.version.signature is not None:
            target = judged.version.signature.target
        holdouts = {} if self.on is None else made.holdouts(self.on, target, self.weights, models.store, self.groups)
        if name is None and judged.version is not None:
            name = judged.version.name
        find = partial(_champion, models, name, champion, made.Judged)
        case = made.Case(judged, holdouts, models.store, find, self.positive, alias, self.task)
        results = _told_apart(result for condition in self.conditions for result in _results(condition, case))
        contenders = tuple(other.contender for other in case.champions.values() if other is not None)
        return GateReport(judged.contender, contenders, tuple(part.judged for part in holdouts.values()), results)

    def _check_data(self) -> None:
        """Refuse conditions on data that the gate does not have, before anything is evaluated."""
        names = set(map(str, self.on)) if isinstance(self.on, dict) else {"holdout"} if self.on is not None else set()
        for condition in self.conditions:
            if condition.needs_data and (not names if condition.on is None else condition.on not in names):
                wanted = "data" if condition.on is None else f"the data {condition.on!r}"
                have = f"it has {', '.join(map(repr, sorted(names)))}" if names else "it has none"
                raise InvalidInput(f"The condition {condition.name!r} needs {wanted}, and {have}: Gate(…, on={{…}}).")

    def __repr__(self) -> str:
        return f"Gate({', '.join(condition.name for condition in self.conditions)})"


def _results(condition: Condition, case: Case) -> Sequence[ConditionResult]:
    silent = ConditionResult(condition.name, passed=False, message="nothing was judged: it gave no result")
    return condition.judge(case) or [silent]


def _told_apart(results: Iterable[ConditionResult]) -> tuple[ConditionResult, ...]:
    """Add a number to the second result of a name, such as where two functions are called alike."""
    made: list[ConditionResult] = []
    seen: Counter[str] = Counter()
    for result in results:
        seen[result.name] += 1
        number = seen[result.name]
        made.append(result if number == 1 else replace(result, name=f"{result.name} ({number})"))
    return tuple(made)


def _condition(given: Any) -> Condition:
    if isinstance(given, Condition):
        return given
    if not callable(given):
        raise InvalidInput(f"{given!r} is no condition: take one of mlops_kit.conditions, or a function of your own.")
    name = str(getattr(given, "__name__", type(given).__name__))
    judge = inspections.once(inspections.own(name, given))
    return Condition(name, judge, needs_data=False, stated={"condition": "function", "function": given})


def _judged(given: Any, models: RecordedModels, make: type[Judged], *, what: str, alias: str | None = None) -> Judged:
    if isinstance(given, str | ModelVersion):
        version = models.get(given if isinstance(given, str) else given.spec)
        contender = Contender(version.spec, version.digest, version.fingerprint, version.type, alias)
        return make(contender, partial(models.load, version.spec), version)
    if given is None:
        raise InvalidInput(f"There is no {what}: give the spec of a version, such as 'fraud:3', or a model.")
    kind = type(given)
    contender = Contender(None, None, fingerprint_or_none(given), f"{kind.__module__}.{kind.__qualname__}", alias)
    return make(contender, lambda: given)


def _champion(models: RecordedModels, name: str | None, given: Any, make: type[Judged], alias: str) -> Judged | None:
    if given is not None:
        return _judged(given, models, make, what="champion", alias=alias)
    if name is None:
        raise InvalidInput(f"The candidate is in no store, so nothing is its {alias!r}: give champion= or name=.")
    try:
        return _judged(f"{name}@{alias}", models, make, what="champion", alias=alias)
    except (AliasNotFound, ModelNotFound):
        return None


def _refuse_archived(models: RecordedModels, version: ModelVersion | None) -> None:
    if version is None:
        return
    if version.version not in {kept.version for kept in models.versions(version.name)}:
        raise VersionNotFound(
            f"The version {version.spec} was archived or deleted, and cannot be promoted: there is nothing to decide."
        )
