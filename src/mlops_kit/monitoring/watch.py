"""What a monitor knows, and how it goes on when rows, labels and time come in: no store, no threads, no clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.measures.columns import kind_of
from mlops_kit.measures.expectations import check
from mlops_kit.measures.glance import glance
from mlops_kit.measures.profile import profile_table
from mlops_kit.monitoring import signals
from mlops_kit.monitoring.alerts import Alerts, Change, Held, Policy, Signal, advance, remind, settle
from mlops_kit.monitoring.answers import check_answers
from mlops_kit.monitoring.baseline import Baseline, contexts, labelled
from mlops_kit.monitoring.counted import Counted
from mlops_kit.monitoring.inputs import Inputs
from mlops_kit.monitoring.judge import KEPT_WINDOWS, Performance, by_day, defaults
from mlops_kit.monitoring.keys import RecentKeys
from mlops_kit.monitoring.labels import LabelCounts
from mlops_kit.monitoring.reference import Reference
from mlops_kit.monitoring.rows import escaped_name, unescaped
from mlops_kit.monitoring.segments import AT, KNOWN, LABEL, OWN, PREDICTION, VERSION, WEIGHT
from mlops_kit.monitoring.settings import LIFETIME, Settings, level_of
from mlops_kit.monitoring.task import Task
from mlops_kit.monitoring.usual import recorded_levels, recorded_metrics, usual_of
from mlops_kit.monitoring.versions import (
    UNNAMED,
    Version,
    before_versions,
    by_version,
    estimated,
    logged_in_all,
    loss_of,
    numbered,
    trimmed,
)
from mlops_kit.records import codec
from mlops_kit.records.monitor import (
    FeatureReport,
)
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import Expectation, QualityReport, QualityResult

DRIFT, PREDICTED, LABELS = "drift", "prediction", "labels"
_OF_VERSIONS = frozenset({PREDICTED, "performance"})
_GROUPS = 3
WARM_ROWS = 1000
"""Predictions after which they are compared with the first ones, where the reference holds none."""


@dataclass(frozen=True, slots=True)
class Context:
    """What does not change while a monitor watches.

    Parameters
    ----------
    name : str
        Of the monitor.
    epoch : int
        How often it began, from 1.
    settings : Settings
        How it watches.
    baseline : Baseline
        What it compares with.
    expectations : tuple of Expectation
        The rules that the user stated.
    metrics : tuple
        What is measured: names, or functions.
    policy : Policy
        When people are told.
    begun : dict
        What was begun before: every check begins anew, and then reads how far it has come.
    """

    name: str
    epoch: int
    settings: Settings
    baseline: Baseline
    expectations: tuple[Expectation, ...] = ()
    metrics: tuple[Any, ...] = ()
    policy: Policy = field(default_factory=Policy)
    begun: dict[tuple[str, float, int], Inputs] = field(default_factory=dict, compare=False, repr=False)

    def measured(self, task: Task) -> tuple[Any, ...]:
        """Name what is measured: what the user stated, or what suits the task and what the training measured."""
        return self.metrics or (*defaults(task), *recorded_metrics(task, self.baseline.recorded))

    @property
    def shape(self) -> tuple[str | None, tuple[Any, ...], Any]:
        """The task, the classes and the positive class, as far as the reference tells them."""
        baseline, positive = self.baseline, self.settings.positive
        if not baseline.truth:
            return baseline.task if level_of(baseline.task) is None else "regression", (), positive
        task = Task.infer(pd.Series(list(baseline.truth)), [], kind=baseline.task)
        few = len(baseline.truth) < len(task.classes) or task.kind in {"regression", "ranking"}
        return task.kind, () if few else task.classes, positive

    @property
    def groups(self) -> str | None:
        """The column of the log of whose values the first row each counts."""
        return None if self.settings.groups is None else escaped_name(self.settings.groups)

    @property
    def predictions(self) -> TableProfile | None:
        """The profile of the predictions of the reference; None if it holds none."""
        profile = self.baseline.profile
        known = profile.by_name.get(PREDICTION)
        return None if known is None else replace(profile, columns=(known,))

    @property
    def rules(self) -> tuple[Expectation, ...]:
        """What must hold: what was inferred, but where the user stated something of that kind about the column.

        Columns have the names that the user knows.
        """
        stated = {(rule.kind, rule.column) for rule in self.expectations if rule.kind != "custom"}
        inferred = (rule for rule in map(_unescaped, self.baseline.rules) if (rule.kind, rule.column) not in stated)
        return (*inferred, *self.expectations)

    @property
    def key_rules(self) -> dict[str, Expectation]:
        """The rules that a key comes once within a period, by what their state is called."""
        rules = [rule for rule in self.expectations if rule.kind == "duplicates" and "seconds" in rule.limits]
        return {json.dumps([*rule.limits["columns"], rule.limits["seconds"]]): rule for rule in rules}


@dataclass(frozen=True, slots=True)
class Watch:
    """What a monitor knows.

    Parameters
    ----------
    rows : int
        Rows that were compared.
    logged : float
        Predictions that these stand for.
    inputs : mapping of str to Inputs
        The evidence of drift: of the features under ``"drift"``, or under ``"drift day=Mon"`` for each context; of the
        predictions under ``"prediction"``, or ``"prediction fraud:3"`` for each version; of the truth under
        ``"labels"``.
    era : int
        The epoch in which predictions and losses began: another reference begins an epoch of the inputs alone.
    begun : Performance or None
        The tests that the performance of a version begins with; None if the reference tells nothing of them.
    versions : mapping of str to Version
        What is known of each version.
    estimates : tuple of dict
        Estimated metrics, window by window.
    quality : tuple of dict
        The rules that failed in the last window.
    labels : LabelCounts
        What became of the labels.
    alerts : mapping
        Every alert there ever was.
    last : datetime or None
        When it last went on.
    latest : datetime or None
        The moment of the latest prediction.
    repeated : int
        How many predictions were logged again under their id.
    passed : int
        Rows that were passed over, because they were further ones of their group.
    periods : mapping of str to dict
        For each length of a period, in seconds, how many predictions each period has that is not judged yet.
    keys : mapping of str to RecentKeys
        By `Context.key_rules`, the last keys.

    Notes
    -----
    It is a value: going on gives another, and the same rows give the same, whoever computes them.
    """

    rows: int = 0
    logged: float = 0.0
    inputs: Mapping[str, Inputs] = field(default_factory=dict)
    era: int = 1
    begun: Performance | None = None
    versions: Mapping[str, Version] = field(default_factory=dict)
    estimates: tuple[dict[str, Any], ...] = ()
    quality: tuple[dict[str, Any], ...] = ()
    labels: LabelCounts = field(default_factory=LabelCounts)
    alerts: Alerts = field(default_factory=dict)
    last: datetime | None = None
    latest: datetime | None = None
    passed: int = 0
    periods: Mapping[str, dict[str, int]] = field(default_factory=dict)
    repeated: int = 0
    keys: Mapping[str, RecentKeys] = field(default_factory=dict)

    def plain(self, context: Context) -> dict[str, Any]:
        """Return it as plain values, all but the alerts, and profiles that the reference has."""
        return {
            "rows": self.rows,
            "logged": self.logged,
            "inputs": {
                name: one.plain(with_profile=one.kind == PREDICTED and one.profile != context.predictions)
                for name, one in self.inputs.items()
            },
            "era": self.era,
            "begun": None if self.begun is None else codec.plain(self.begun.plain()),
            "versions": {name: one.plain() for name, one in self.versions.items()},
            "estimates": list(self.estimates),
            "quality": list(self.quality),
            "labels": self.labels.plain(),
            **({"passed": self.passed} if self.passed else {}),
            "last": None if self.last is None else codec.timestamp(self.last),
            **({} if self.latest is None else {"latest": codec.timestamp(self.latest)}),
            **({"repeated": self.repeated} if self.repeated else {}),
            **({"keys": {name: keys.plain() for name, keys in self.keys.items()}} if self.keys else {}),
            **({"periods": {name: dict(counts) for name, counts in self.periods.items()}} if self.periods else {}),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any], alerts: Iterable[Mapping[str, Any]], context: Context) -> Watch:
        """Read what `plain` gave, and the alerts of the journal."""
        first = begin_inputs(context)
        if "versions" in state:
            begun = None if state["begun"] is None else Performance.of(codec.unplain(state["begun"]))
            versions = {name: Version.of(one) for name, one in state["versions"].items()}
        else:
            begun, versions = before_versions(state)
        if "ids" in state:  # of a release that compared predictions that were logged again, and told how many
            again = state["ids"]["repeated"]
            versions = {
                name: replace(one, logged=one.logged - again) if one.number == 1 else one
                for name, one in versions.items()
            }
        era, inputs = state.get("era", context.epoch), {}
        for name, members in state["inputs"].items():
            if members["kind"] == PREDICTED:
                kept = members.get("profile")
                profile = context.predictions if kept is None else TableProfile.decode(kept.encode(), where=name)
                if profile is None:
                    raise KeyError(name)
                first[name] = _of_version(name, versions.get(_version_in(name), Version(1)), profile, context, era)
            inputs[name] = Inputs.of(members, first[name])
        last = state["last"]
        held = [Held.of(one) for one in alerts]
        return cls(
            rows=state["rows"],
            logged=state["logged"],
            inputs=inputs,
            era=era,
            begun=begun,
            versions=versions,
            estimates=tuple(state["estimates"]),
            quality=tuple(state["quality"]),
            labels=LabelCounts(**state["labels"]),
            passed=state.get("passed", 0),
            alerts={(one.kind, one.subject): one for one in held},
            last=None if last is None else codec.moment(last),
            latest=codec.moment(state["latest"]) if "latest" in state else None,
            repeated=state["ids"]["repeated"] if "ids" in state else state.get("repeated", 0),
            periods={name: dict(counts) for name, counts in state.get("periods", {}).items()},
            keys={name: RecentKeys.of(keys) for name, keys in state.get("keys", {}).items()},
        )


def see_window(watch: Watch, table: pa.Table, context: Context, now: datetime) -> tuple[Watch, list[Change]]:
    """Go on with a window of predictions.

    Parameters
    ----------
    watch : Watch
        What is known.
    table : pyarrow.Table
        Rows of the log: the columns of a segment of predictions.
    context : Context
        What does not change.
    now : datetime
        When they are looked at.

    Returns
    -------
    Watch and list of Change
        What is known then, and how alerts changed.
    """
    there = set(table.column_names)
    features = context.baseline.view.of(table.drop_columns([name for name in OWN if name in there]))
    plain = features.drop_columns([name for name in context.baseline.view.parts if name in features.column_names])
    rules = [rule for rule in context.rules if rule not in context.key_rules.values()]
    report = hold(plain, rules, now)
    found, estimates = [], list[dict[str, Any]]()
    at = _last(table, now)
    firsts = {name: table.column(AT)[0].as_py() for name, _ in by_version(table)} if AT in there else {}
    watch = replace(watch, versions=numbered(watch.versions, firsts))
    new = features.filter(pc.invert(table.column(KNOWN))) if KNOWN in there else features
    watch = replace(watch, inputs=_seen(watch, new, context, at))
    for name, mine in by_version(table):
        watch, results, more, measured = _answers(watch, name, mine, context, at)
        report = replace(report, results=(*report.results, *results))
        found += more
        estimates += measured
    inputs = watch.inputs
    found += signals.of_quality(report, broken_columns(features, context.baseline), context.policy.looks)
    found += signals.of_features(
        report for name, one in inputs.items() if name != LABELS for report in reports(name, one, crossed=True)
    )
    alerts, changes = advance(watch.alerts, found, now, context.policy)
    logged = table.column(WEIGHT).to_numpy().sum() if WEIGHT in there else table.num_rows
    after = replace(
        watch,
        rows=watch.rows + table.num_rows,
        logged=watch.logged + float(logged),
        estimates=(*watch.estimates, *estimates)[-KEPT_WINDOWS:],
        quality=tuple(signals.failed(report)),
        alerts=alerts,
        last=now,
    )
    return after, changes


def hold(plain: pa.Table, rules: Iterable[Expectation], now: datetime) -> QualityReport:
    """Check features against rules, by the names that the user knows."""
    table = plain.rename_columns([unescaped(name) for name in plain.column_names])
    return check(table, rules, now=now, profile=glance(table))


def _unescaped(rule: Expectation) -> Expectation:
    column = None if rule.column is None else unescaped(rule.column)
    if rule.kind != "schema":
        return replace(rule, column=column)
    columns = {unescaped(name): kind for name, kind in rule.limits["columns"].items()}
    return replace(rule, limits={**rule.limits, "columns": columns})


def begin_inputs(context: Context) -> dict[str, Inputs]:
    """Begin to watch the columns of the reference, each group of them with its part of half of the budget."""
    begun = {}
    for name, kind, profile, columns, missing, share in groups(context.baseline, context.settings):
        if kind == PREDICTED:
            continue  # each version begins its own
        begun[name] = _begun(kind, profile, (columns, missing), share, context, name)
    return begun


def groups(
    baseline: Baseline, settings: Settings
) -> Iterator[tuple[str, str, TableProfile, list[str], list[str], float]]:
    """Share half of the budget out over groups of columns.

    Of each the name, the kind, the profile, the columns whose values are watched, those of which it is whether they are
    missing, and its part.
    """
    features = [name for name in baseline.features if name not in settings.matched_on]
    view = baseline.view
    columns = view.watched([*features, *view.parts])
    profiles = {name: one for name, one in baseline.profiles.items() if name or len(baseline.profiles) == 1}
    share = settings.alpha / 2 / (len(features) + 2)
    for name, profile in profiles.items():
        part = share * max(1, len(features)) / len(profiles)
        yield f"{DRIFT} {name}".rstrip(), DRIFT, profile, columns, view.missing(features), part
    for kind, column in ((PREDICTED, PREDICTION), (LABELS, LABEL)):
        if column in baseline.profile.by_name and (kind == PREDICTED or settings.maturity is not None):
            yield kind, kind, baseline.profile, [column], [column], share


def _begun(
    kind: str,
    profile: TableProfile,
    columns: tuple[list[str], list[str]],
    alpha: float,
    context: Context,
    key: str,
    era: int | None = None,
) -> Inputs:
    budget = context.settings.budget
    between = None if budget == LIFETIME else _GROUPS * int(budget)  # each keeps what all together promise
    epoch = context.epoch if era is None else era
    made = context.begun.get((key, alpha, epoch))
    if made is not None and made.profile == profile:
        return made
    made = context.begun[key, alpha, epoch] = Inputs.begin(
        kind,
        profile,
        monitor=f"{context.name} {key}",
        alpha=alpha,
        epoch=epoch,
        columns=columns[0],
        missing=columns[1],
        windows_between=between,
        window=context.settings.window,
        min_effect=context.settings.min_effect,
    )
    return made


def _of_version(key: str, version: Version, profile: TableProfile, context: Context, era: int) -> Inputs:
    """Begin to watch the predictions of a version, with its part of what is for predictions."""
    share = version.fraction * context.settings.alpha / 2 / (len(context.baseline.features) + 2)
    return _begun(PREDICTED, profile, ([PREDICTION], [PREDICTION]), share, context, key, era)


def _key_of(version: str) -> str:
    return f"{PREDICTED} {version}".rstrip()


def _version_in(key: str) -> str:
    return key.removeprefix(PREDICTED).strip()


def answered(table: pa.Table, profile: TableProfile | None, version: str = UNNAMED) -> tuple[QualityResult, ...]:
    """Compare the predictions of a version with those of the reference, if it holds any."""
    known = None if profile is None else profile.by_name.get(PREDICTION)
    alone = None if profile is None or known is None else replace(profile, columns=(known,))
    results = check_answers(table.select([PREDICTION]), alone)
    return tuple(replace(one, column=f"{one.column}, {version}") for one in results) if version else results


def _seen(watch: Watch, features: pa.Table, context: Context, at: datetime) -> dict[str, Inputs]:
    """Go on with the evidence of drift of the features."""
    inputs = dict(watch.inputs)
    matched = contexts(features, context.settings.matched_on) if len(context.baseline.profiles) > 1 else {}
    for name, one in watch.inputs.items():
        if name == DRIFT:
            inputs[name] = one.after(features, at)
        elif one.kind == DRIFT and name.removeprefix(f"{DRIFT} ") in matched:
            inputs[name] = one.after(features.take(matched[name.removeprefix(f"{DRIFT} ")]), at)
    return inputs


def _answers(
    watch: Watch, name: str, table: pa.Table, context: Context, at: datetime
) -> tuple[Watch, tuple[QualityResult, ...], list[Signal], list[dict[str, Any]]]:
    """Go on with what one version answered in a window."""
    version, key = watch.versions.get(name, Version()), _key_of(name)
    stood_for = table.column(WEIGHT).to_numpy().sum() if WEIGHT in table.column_names else table.num_rows
    version = replace(version, logged=version.logged + float(stood_for))
    inputs, results = dict(watch.inputs), tuple[QualityResult, ...]()
    if PREDICTION in table.column_names:
        known = inputs[key].profile if key in inputs else context.predictions
        results = answered(table, known, name)
        if key not in inputs and known is not None:
            inputs[key] = _of_version(key, version, known, context, watch.era)
        if key in inputs:
            inputs[key] = inputs[key].after(table.select([PREDICTION]), at)
        elif len(warm := (*version.warm, *table.column(PREDICTION).to_pylist())) < WARM_ROWS:
            version = replace(version, warm=warm)
        else:
            first = profile_table(pa.table({PREDICTION: pa.array(warm)}))
            inputs[key] = _of_version(key, version, first, context, watch.era)
            version = replace(version, warm=())
    estimator, looks = context.baseline.estimator, context.policy.looks
    version, found, estimates = estimated(table, version, name, estimator, context.settings.window, looks)
    return replace(watch, inputs=inputs, versions={**watch.versions, name: version}), results, found, estimates


def reports(
    name: str, inputs: Inputs, *, recent: int = 0, pictures: int = 0, crossed: bool = False
) -> list[FeatureReport]:
    """Tell how the columns stand that are watched under a name."""
    context = name.removeprefix(inputs.kind).strip()
    found = inputs.reports(recent=recent, pictures=pictures, crossed=crossed)
    return [named(report, context) for report in found]


def named(report: FeatureReport, context: str) -> FeatureReport:
    """Name a column of a context by it, and what the log calls its own by what it is."""
    own = {PREDICTION: "prediction", LABEL: "label"}.get(report.column, unescaped(report.column))
    told = report.name.replace(report.column, own, 1)
    version = context or None if report.kind == PREDICTED else None
    return replace(report, name=f"{told}, {context}" if context else told, column=own, version=version)


def _last(table: pa.Table, now: datetime) -> datetime:
    """Tell when the last row was predicted."""
    if AT not in table.column_names or not table.num_rows:
        return now
    moment: datetime = table.column(AT)[table.num_rows - 1].as_py()
    return moment


def see_labels(watch: Watch, rows: pd.DataFrame, context: Context, now: datetime) -> tuple[Watch, list[Change]]:
    """Go on with predictions whose truth became known.

    Parameters
    ----------
    watch : Watch
        What is known.
    rows : DataFrame
        ``prediction``, ``label``, ``at`` and the columns of the segments, in an order that does not depend on the
        truth.
    context : Context
        What does not change.
    now : datetime
        When they are looked at.

    Returns
    -------
    Watch and list of Change
        What is known then, and how alerts changed.
    """
    if rows.empty:
        return watch, []
    settings = context.settings
    names = rows[VERSION].fillna(UNNAMED) if VERSION in rows else pd.Series(UNNAMED, rows.index)
    versions = numbered(watch.versions, _first_moments(rows["at"], names))
    predictions = logged_in_all(versions.values())
    share = min(1.0, watch.labels.joined / predictions) if predictions and watch.labels.joined else None
    held, earlier, found, nothing = dict(watch.alerts), list[Change](), list[Signal](), 0
    for name in sorted(set(names), key=lambda name: versions[name].number):
        version = versions[name]
        mine = rows[names == name].drop(columns=VERSION, errors="ignore").reset_index(drop=True)
        performance = version.performance or _first_of(watch, version, mine, context)
        known = {loss_of(report, name).name: report.n for report in performance.reports()}
        empty = int((performance.task.usable(mine)["label"].isna() & mine["label"].notna()).sum())
        measured = context.measured(performance.task)
        after = performance.after(mine, window=settings.window, metrics=measured, predicted=version.days)
        if after.flashes:  # what came and ended among these rows is told all the same
            flashes = [loss_of(report, name) for report in after.flashes]
            held, changes = advance(held, signals.of_losses(flashes, {}, share), now, context.policy)
            earlier += changes
        labelled = version.labelled + len(mine) - empty
        versions[name] = replace(version, performance=replace(after, flashes=()), labelled=labelled)
        found += signals.of_losses(versions[name].reports(name), known, share)
        nothing += empty
    labels = watch.labels + LabelCounts(joined=-nothing, empty=nothing)
    inputs = dict(watch.inputs)
    if LABELS in inputs:
        inputs[LABELS] = inputs[LABELS].after(pa.table({LABEL: pa.Array.from_pandas(rows["label"])}), now)
        found += signals.of_features(reports(LABELS, inputs[LABELS], crossed=True))
    alerts, changes = advance(held, found, now, context.policy)
    went_on = replace(watch, versions=trimmed(versions), inputs=inputs, labels=labels, alerts=alerts, last=now)
    return went_on, [*earlier, *changes]


def _first_of(watch: Watch, version: Version, rows: pd.DataFrame, context: Context) -> Performance:
    """Begin to judge a version: with the losses of the reference, or with its first ones."""
    if watch.begun is not None:
        return watch.begun.begun(version.fraction)
    task = context.baseline.task_of(rows["prediction"].dropna(), rows["label"].dropna(), context.settings)
    nothing = pd.DataFrame({"prediction": [], "label": []})
    return begin_performance(task, nothing, context, watch.era).begun(version.fraction)


def see_time(watch: Watch, context: Context, now: datetime) -> tuple[Watch, list[Change]]:
    """Go on with nothing but time: periods that are over are judged, and what fires for long is told again."""
    found: list[Signal] = []
    periods = dict(watch.periods)
    for rule in context.rules:
        if rule.kind == "silence" and watch.latest is not None:
            found.append(signals.of_silence(rule, watch.latest, now))
        if rule.kind == "volume" and "seconds" in rule.limits:
            name = _period(rule)
            signal = signals.of_period(rule, watch.periods.get(name, {}), now)
            found += [] if signal is None else [signal]
            periods[name] = signals.unjudged(periods.get(name, {}), rule.limits["seconds"], now)
    keys = {name: known for name, known in watch.keys.items() if name in context.key_rules}
    found += [signals.of_keys(context.key_rules[name], known) for name, known in keys.items() if known.rows]
    alerts, changes = advance(watch.alerts, found, now, context.policy) if found else (dict(watch.alerts), [])
    alerts, more = remind(alerts, now, context.policy)
    looked = {name: known.looked() for name, known in keys.items()}
    return replace(watch, alerts=alerts, periods=periods, keys=looked), [*changes, *more]


def see_moments(watch: Watch, rows: pd.DataFrame, context: Context) -> Watch:
    """Count predictions in their periods, as soon as they are logged: `AT` and `VERSION` of each."""
    if rows.empty:
        return watch
    moments, names = rows[AT], rows[VERSION].fillna(UNNAMED)
    periods = {name: dict(counts) for name, counts in watch.periods.items()}
    for rule in context.rules:
        if rule.kind == "volume" and "seconds" in rule.limits:
            counts = periods.setdefault(_period(rule), {})
            number = (moments.dt.tz_localize(None) - pd.Timestamp(0)) // pd.Timedelta(seconds=rule.limits["seconds"])
            for period, found in number.value_counts().items():
                counts[str(period)] = counts.get(str(period), 0) + int(found)
    latest = moments.max().to_pydatetime()
    latest = latest if watch.latest is None else max(latest, watch.latest)
    versions = numbered(watch.versions, _first_moments(moments, names))
    for name in set(names):
        versions[name] = replace(versions[name], days=by_day(versions[name].days, moments[names == name]))
    return replace(watch, latest=latest, periods=periods, versions=versions)


def _first_moments(moments: pd.Series[Any], names: pd.Series[Any]) -> dict[str, datetime]:
    return {str(name): at for name, at in moments.groupby(names).min().items()}


def see_repeated(watch: Watch, counted: Counted) -> Watch:
    """Count predictions that were logged again, and further ones of a group."""
    repeated, passed = int((~counted.new).sum()), int((counted.new & ~counted.first).sum())
    return replace(watch, repeated=watch.repeated + repeated, passed=watch.passed + passed)


def see_keys(watch: Watch, table: pa.Table, context: Context) -> Watch:
    """Take note of the keys of predictions, all of which are new."""
    keys = dict(watch.keys)
    there = {unescaped(name): name for name in table.column_names if name not in OWN}
    for name, rule in context.key_rules.items():
        if not there.keys() >= {*rule.limits["columns"]}:
            continue  # the schema tells of it
        seconds = table.column(AT).cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.int64()).to_numpy().tolist()
        values = zip(*(table.column(there[column]).to_pylist() for column in rule.limits["columns"]), strict=True)
        keys[name] = keys.get(name, RecentKeys()).after(values, seconds, rule.limits["seconds"])
    return replace(watch, keys=keys)


def _period(rule: Expectation) -> str:
    return f"{rule.limits['seconds']:.17g}"


def with_other_inputs(watch: Watch, context: Context, now: datetime) -> tuple[Watch, list[Change]]:
    """Begin to compare the inputs with another reference; what is known of the versions, and their alerts, go on."""
    mine = {key: held for key, held in watch.alerts.items() if held.kind in _OF_VERSIONS}
    ended, changes = settle({key: held for key, held in watch.alerts.items() if key not in mine}, now)
    answers = {name: one for name, one in watch.inputs.items() if one.kind == PREDICTED}
    after = Watch(
        inputs={**begin_inputs(context), **answers},
        era=watch.era,
        begun=watch.begun,
        versions={name: replace(one, scores=()) for name, one in watch.versions.items()},
        labels=watch.labels,
        passed=watch.passed,
        alerts={**ended, **mine},
        last=watch.last,
        latest=watch.latest,
        periods=watch.periods,
        repeated=watch.repeated,
    )
    return after, changes


def first_performance(reference: Reference, context: Context, era: int) -> Performance | None:
    """Begin with the losses of the reference; None where it does not hold predictions and the truth about them."""
    rows = labelled(reference, context.settings.segments)
    if rows.empty:
        return None
    task = context.baseline.task_of(rows["prediction"], rows["label"], context.settings)
    return begin_performance(task, rows, context, era)


def begin_performance(task: Any, reference: pd.DataFrame, context: Context, era: int) -> Performance:
    """Begin with half of the budget of an epoch, of which each version has a fraction."""
    settings, metrics = context.settings, context.measured(task)
    share = settings.spend(era) / 2
    begun = Performance.begin(
        task,
        reference,
        share=share,
        segments={name: context.baseline.segments.get(name, ()) for name in settings.segments},
        tolerance=settings.tolerance,
        by_day=settings.maturity is None,
    )
    usual = recorded_levels(context.baseline.recorded)
    if len(reference):
        usual |= usual_of(task, reference, [*metrics, *(["cost"] if task.cost else [])], settings.window)
    return replace(begun, usual=usual)


def broken_columns(table: pa.Table, baseline: Baseline) -> list[str]:
    """Name the columns of the reference that are missing, or hold another kind of thing."""
    there, known = set(table.column_names), baseline.profile.by_name
    return [
        unescaped(name)
        for name in baseline.features
        if name not in there or _kind(table, name) not in {known[name].kind, None}
    ]


def _kind(table: pa.Table, name: str) -> str | None:
    """Give the kind of a column; None if all of it is missing."""
    column = table.column(name)
    return None if column.null_count == len(column) else kind_of(column.type)
