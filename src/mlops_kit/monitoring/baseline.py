"""What a monitor keeps of its reference: the profile, the rules, the calibration. Small, and read at every check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.expectations import infer
from mlops_kit.measures.profile import profile_table
from mlops_kit.monitoring.derived import View, half_of, view_of
from mlops_kit.monitoring.estimate import Estimator
from mlops_kit.monitoring.judge import frequent
from mlops_kit.monitoring.reference import Reference
from mlops_kit.monitoring.rows import escaped_name
from mlops_kit.monitoring.segments import LABEL, PREDICTION
from mlops_kit.monitoring.settings import Settings
from mlops_kit.monitoring.task import Task
from mlops_kit.records import codec
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import Expectation

_SAMPLE = 1000
_MOST_CONTEXTS = 50
_LEAST_ROWS = 50
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is kept of a reference.

    Parameters
    ----------
    told, identity : str
        As of `Reference`.
    profiles : dict of str to TableProfile
        Of the features, with the predictions and the truth as further columns where they are known: of all rows under
        ``""``, and of the rows of each context that rows are matched on.
    rules : tuple of Expectation
        Inferred from the profile.
    task : str or None
        The task, where the record of the model or the user named it.
    target : str or None
        The column that is predicted.
    truth : tuple
        Some of its values, from which the classes are told.
    recorded : dict of str to float
        What the training of the model measured.
    estimator : Estimator or None
        What estimates need; None without predictions, or without the truth about them.
    segments : dict of str to tuple of str
        For each column whose values are judged apart, these values.
    view : View
        How the columns are looked at.
    """

    told: str
    identity: str
    profiles: dict[str, TableProfile]
    rules: tuple[Expectation, ...]
    task: str | None = None
    target: str | None = None
    truth: tuple[Any, ...] = ()
    recorded: dict[str, float] = field(default_factory=dict)
    estimator: Estimator | None = None
    segments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    view: View = field(default_factory=View)

    @classmethod
    def of(cls, reference: Reference, settings: Settings) -> Baseline:
        """Take from a reference what a monitor needs.

        Raises
        ------
        InvalidInput
            A column that was named is not among the features.
        """
        table = reference.features
        asked = {name: getattr(settings, name) or () for name in ("columns", "exclude", "moments")}
        for what, named in (("segments", settings.segments), ("matched_on", settings.matched_on), *asked.items()):
            if unknown := [name for name in named if name not in table.column_names]:
                raise InvalidInput(
                    f"{what}={list(named)!r}: {reference.told} has no feature {', '.join(map(repr, unknown))}, so rows "
                    f"cannot be told apart by it. Features: {', '.join(table.column_names[:_LISTED])}."
                )
        grouped = () if settings.groups is None else (escaped_name(settings.groups),)
        view = view_of(
            table,
            categories=reference.categories,
            columns=settings.columns,
            exclude=(*settings.exclude, *grouped),
            moments=settings.moments,
        )
        lacking = dict.fromkeys(reference.lacking, "an input of the model that the recorded training data lacks")
        firsts = dict.fromkeys(grouped, "of each of its values the first row is compared")
        view = replace(view, unwatched=view.unwatched | lacking | firsts)
        table = view.of(table, spent=half_of(table.num_rows))
        for name, values in ((PREDICTION, reference.prediction), (LABEL, reference.target)):
            if values is not None:
                table = table.append_column(name, values)
        profiles = {"": profile_table(table)}
        for context, rows in contexts(table, settings.matched_on).items():
            if len(profiles) <= _MOST_CONTEXTS and len(rows) >= _LEAST_ROWS:
                profiles[context] = profile_table(table.take(rows))
        truth: tuple[Any, ...] = ()
        if reference.target is not None:
            values = reference.target.to_pandas().dropna()
            truth = tuple(dict.fromkeys(values.tolist()))[:_SAMPLE]
        return cls(
            told=reference.told,
            identity=reference.identity,
            profiles=profiles,
            rules=tuple(
                rule
                for rule in infer(
                    profiles[""],
                    columns=[name for name in reference.features.column_names if name not in view.left_out],
                    rows=settings.window,
                )
                if rule.kind != "constant" or rule.column not in settings.matched_on
            ),
            task=settings.task or reference.task,
            target=reference.target_name,
            truth=truth,
            recorded=dict(reference.metrics),
            estimator=_estimator(reference, settings),
            segments={name: frequent(reference.features.column(name).to_pandas()) for name in settings.segments},
            view=view,
        )

    def task_of(self, predictions: Iterable[Any], labels: Iterable[Any], settings: Settings) -> Task:
        """Tell the task, from what the reference knows of the truth and from predictions and labels."""
        known = [*labels, *self.truth]  # labels first: they stand beside the predictions
        given = pd.Series(known, dtype=None if known else float)
        return Task.infer(given, list(predictions), kind=self.task, cost=settings.cost, positive=settings.positive)

    @property
    def profile(self) -> TableProfile:
        """The profile of all rows."""
        return self.profiles[""]

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that go into the model."""
        own = {PREDICTION, LABEL, *self.view.parts}
        return tuple(name for name in self.profile.by_name if name not in own)

    def encode(self) -> bytes:
        """Write the record, all but the profiles, which are records of their own."""
        members = {
            "told": self.told,
            "identity": self.identity,
            "rules": [rule.members() for rule in self.rules],
            "task": self.task,
            "target": self.target,
            "truth": [codec.plain(value) for value in self.truth],
            "recorded": {name: codec.plain(value) for name, value in self.recorded.items()} or None,
            "estimator": None if self.estimator is None else self.estimator.plain(),
            "segments": {name: list(values) for name, values in self.segments.items()},
            "view": None if self.view == View() else codec.plain(self.view.plain()),
        }
        return codec.seal("monitor-baseline", {name: value for name, value in members.items() if value is not None})

    @classmethod
    def decode(cls, data: bytes, profiles: Mapping[str, bytes], *, where: str) -> Baseline:
        """Read and verify the record, and those of the profiles."""
        members = codec.unseal(data, where=where, kind="monitor-baseline")
        estimator = members.get("estimator")
        return cls(
            told=members["told"],
            identity=members["identity"],
            profiles={context: TableProfile.decode(one, where=where) for context, one in profiles.items()},
            rules=tuple(Expectation.from_members(rule) for rule in members["rules"]),
            task=members.get("task"),
            target=members.get("target"),
            truth=tuple(codec.unplain(value) for value in members["truth"]),
            recorded={name: codec.unplain(value) for name, value in members.get("recorded", {}).items()},
            estimator=None if estimator is None else Estimator.of(estimator),
            segments={name: tuple(values) for name, values in members["segments"].items()},
            view=View.read(codec.unplain(members["view"])) if "view" in members else View(),
        )


def contexts(table: pa.Table, columns: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Tell which rows have which values in the columns that rows are matched on.

    Examples
    --------
    >>> made = contexts(pa.table({"day": ["Mon", "Tue", "Mon"]}), ["day"])
    >>> {name: rows.tolist() for name, rows in made.items()}
    {'day=Mon': [0, 2], 'day=Tue': [1]}
    """
    there = [name for name in columns if name in table.column_names]
    if not there or len(there) < len(columns):
        return {}
    columns_there = {name: table.column(name).to_pandas() for name in there}
    texts = [
        f"{name}=" + values.astype(str).astype(object).where(values.notna(), "missing")
        for name, values in columns_there.items()
    ]
    keys = texts[0]
    for text in texts[1:]:
        keys = keys + ", " + text
    codes, names = pd.factorize(keys)
    return {str(name): np.flatnonzero(codes == code) for code, name in enumerate(names)}


def labelled(reference: Reference, segments: Iterable[str] = ()) -> pd.DataFrame:
    """Give the rows of a reference whose prediction and truth are both known, as `judge` takes them."""
    if reference.prediction is None or reference.target is None:
        return pd.DataFrame({"prediction": [], "label": []})
    rows = pd.DataFrame({"prediction": reference.prediction.to_pandas(), "label": reference.target.to_pandas()})
    for column in segments:
        if column in reference.features.column_names:
            rows[column] = reference.features.column(column).to_pandas()
    return rows.dropna(subset=["prediction", "label"]).reset_index(drop=True)


def _estimator(reference: Reference, settings: Settings) -> Estimator | None:
    rows = labelled(reference)
    if rows.empty:
        return None
    kind = settings.task or reference.task
    task = Task.infer(rows["label"], rows["prediction"], kind=kind, positive=settings.positive)
    if task.kind != "binary" or not task.scores:
        return None
    scores = rows["prediction"].to_numpy(dtype=float)
    return Estimator.fit(scores, task.positive(rows["label"]), chunk=settings.window) if np.ptp(scores) > 0 else None
