"""How conditions about metrics judge rows: thresholds, paired comparisons, calibration, slices.

What reads arrays is imported inside the functions, so that making a condition of another kind loads none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops_kit.errors import InvalidInput
from mlops_kit.records.gate import ConditionResult
from mlops_kit.records.measurement import Comparison, Measurement
from mlops_kit.registry import limits

if TYPE_CHECKING:
    from mlops_kit.measures.metric import Metric
    from mlops_kit.measures.predicted import Predicted
    from mlops_kit.registry.case import Case, Holdout

_SHOWN = 3
_FEWEST_GROUPS, _FEW_GROUPS = 10, 50  # as in mlops_kit.measures.clusters, which loads numpy


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be judged.

    Parameters
    ----------
    candidate : Predicted
        The candidate's predictions.
    champion : Predicted or None
        Those of the model it is compared with, for the same rows.
    table : pandas.DataFrame
        All columns of the rows but the target.
    seed : int
        Of what is random.
    """

    candidate: Predicted
    champion: Predicted | None
    table: Any
    seed: int


JudgeRows: TypeAlias = Callable[[Question], ConditionResult]


@dataclass(frozen=True, slots=True)
class Rows:
    """How some rows are judged.

    Parameters
    ----------
    name : str
        What must hold.
    judge : callable
        Takes a `Question` and gives the result.
    alias : str or None
        The alias of the model that is compared with.
    absent : bool or None
        What holds while the alias points nowhere; None for True, unless other aliases point somewhere.
    tasks : tuple of str
        The tasks that the metric is for.
    """

    name: str
    judge: JudgeRows
    alias: str | None = None
    absent: bool | None = None
    tasks: tuple[str, ...] = ()


def on_rows(rows: Rows, on: str | None) -> Callable[[Case], list[ConditionResult]]:
    """Judge the rows of each of the data, or of those of one name."""

    def judge(case: Case) -> list[ConditionResult]:
        return [_on(rows, case, holdout) for name, holdout in case.holdouts.items() if on in {None, name}]

    return judge


def _on(rows: Rows, case: Case, holdout: Holdout) -> ConditionResult:
    name = f"{rows.name} on {holdout.name}"
    told = case.predicted(holdout, tasks=rows.tasks)
    if isinstance(told, str):
        return ConditionResult(name, passed=False, message=told)
    if rows.alias is None:
        return replace(rows.judge(Question(told, None, holdout.table, case.seed(holdout))), name=name)
    champion = case.champion(rows.alias)
    if champion is None:
        return nothing_there(name, case, rows.alias, absent=rows.absent)
    before = case.predicted(holdout, champion, tasks=rows.tasks)
    if isinstance(before, str):
        return ConditionResult(name, passed=False, message=before)
    return replace(rows.judge(Question(told, before, holdout.table, case.seed(holdout, champion))), name=name)


def nothing_there(name: str, case: Case, alias: str, *, absent: bool | None) -> ConditionResult:
    """Judge an alias that points nowhere: a first promotion passes, what looks like a slip does not."""
    others = case.others(alias) if absent is None else ""
    if not others:
        message = f"no model is {alias}: there is nothing to compare with"
        return ConditionResult(name, passed=absent is not False, message=message, evidence={"absent": alias})
    message = (
        f"no model is or ever was {alias!r}, while there is {others}: is it misspelt? A promotion to {alias} itself "
        "passes, and so does absent='pass'"
    )
    return ConditionResult(name, passed=False, message=message)


def threshold(
    metric: str | Metric | Callable[..., Any], value: float, *, at_least: bool, confidence: float | None
) -> Rows:
    """Hold a metric, or an end of its interval, against a value."""
    from mlops_kit.measures import metrics  # noqa: PLC0415 - loads numpy

    chosen = metrics.metric(metric)
    limit = limits.value(value, chosen)
    confidence = None if confidence is None else limits.confidence(confidence)
    sure = "" if confidence is None else f" with {100 * confidence:.4g} % confidence"
    name = f"{chosen.name} {'>=' if at_least else '<='} {limit:g}{sure}"

    def judge(question: Question) -> ConditionResult:
        measured = metrics.measure(chosen, question.candidate, confidence=confidence or 0.95, seed=question.seed)
        end = measured.value if confidence is None else (measured.low if at_least else measured.high)
        if measured.undefined is not None or end is None:
            why = measured.undefined or _no_interval(measured)
            return ConditionResult(name, False, None, limit, f"undefined: {why}", _told(measured))
        passed = end >= limit if at_least else end <= limit
        return ConditionResult(name, bool(passed), measured.value, limit, _measured(measured), _told(measured))

    return Rows(name, judge, tasks=chosen.tasks)


def comparison(
    alias: str, metric: str | Metric | Callable[..., Any], margin: float, confidence: float, *, better: bool
) -> Rows:
    """Compare two models on the same rows."""
    from mlops_kit.measures import comparisons, metrics  # noqa: PLC0415 - loads numpy

    chosen, alias = metrics.metric(metric), limits.alias(alias)
    margin, confidence = limits.margin(margin, chosen), limits.number(confidence, "confidence")
    comparisons.check_levels(margin, confidence)
    by = f" by {margin:g}" if margin else ""
    name = f"{chosen.name} {'' if better else 'not '}{'better' if better else 'worse'} than {alias}{by}"
    name += f" with {100 * confidence:.4g} % confidence"
    ask = comparisons.superiority if better else comparisons.non_inferiority

    def judge(question: Question) -> ConditionResult:
        if question.champion is None:
            raise AssertionError("a comparison is asked for where there is a champion")
        try:
            made = ask(
                chosen, question.candidate, question.champion, margin=margin, confidence=confidence, seed=question.seed
            )
        except InvalidInput as error:
            return ConditionResult(name, passed=False, message=str(error))
        limit = _limit(chosen, margin, better=better)
        if made.undefined is not None:
            return ConditionResult(name, False, None, limit, f"undefined: {made.undefined}", _told(made))
        return ConditionResult(name, made.holds, made.difference, limit, _compared(made), _told(made))

    return Rows(name, judge, alias, tasks=chosen.tasks)


def calibration(max_error: float) -> Rows:
    """Hold the calibration error against a value, with the bins as evidence."""
    from mlops_kit.measures.slices import calibration_bins  # noqa: PLC0415 - loads numpy

    plain = threshold("calibration_error", max_error, at_least=False, confidence=None)

    def judge(question: Question) -> ConditionResult:
        result = plain.judge(question)
        bins = [] if result.value is None else calibration_bins(question.candidate)
        return replace(result, evidence={**result.evidence, "bins": bins})

    return Rows(plain.name, judge, tasks=plain.tasks)


def sliced(column: str, rows: Rows, bins: int, min_rows: int) -> Rows:
    """Judge each part of the rows; all must pass."""
    from mlops_kit.measures.slices import parts  # noqa: PLC0415 - loads numpy

    name = f"{rows.name} in each part by {column}"

    def judge(question: Question) -> ConditionResult:
        label = next((label for label in question.table.columns if str(label) == column), None)
        if label is None:
            return ConditionResult(name, passed=False, message=f"the data has no column {column!r}")
        found, small = [], []
        for part, mask in parts(question.table[label], bins=bins):
            if mask.sum() < min_rows or _in_few_groups(question.candidate, mask):
                small.append({"part": part, "rows": int(mask.sum())})
                continue
            before = None if question.champion is None else question.champion.take(mask)
            asked = replace(
                question, candidate=question.candidate.take(mask), champion=before, table=question.table[mask]
            )
            found.append((part, int(mask.sum()), rows.judge(asked)))
        grouped = "" if question.candidate.groups is None else f" or {_FEWEST_GROUPS} groups"
        return _of_parts(name, found, small, f"{min_rows} rows{grouped}")

    return Rows(name, judge, rows.alias, rows.absent, rows.tasks)


def _in_few_groups(given: Predicted, rows: Any) -> bool:
    return given.groups is not None and len(set(given.groups[rows].tolist())) < _FEWEST_GROUPS


def _of_parts(
    name: str, found: Sequence[tuple[str, int, ConditionResult]], small: list[dict[str, Any]], least: str
) -> ConditionResult:
    told = [
        {"part": part, "rows": rows, "passed": result.passed, "value": result.value, **result.evidence}
        for part, rows, result in found
    ]
    evidence = {"parts": told, "too_small": small}
    if not found:
        return ConditionResult(name, passed=False, message=f"no part has {least}", evidence=evidence)
    bad = [(part, rows, result) for part, rows, result in found if not result.passed]
    few = f"; {len(small)} with fewer than {least} not judged" if small else ""
    if not bad:
        limit = found[0][2].limit
        return ConditionResult(name, True, None, limit, f"holds in all {len(found)} parts{few}", evidence)
    listed = "; ".join(f"{part} ({rows} rows): {result.message}" for part, rows, result in bad[:_SHOWN])
    more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    message = f"fails in {len(bad)} of {len(found)} parts: {listed}{more}{few}"
    return ConditionResult(name, False, bad[0][2].value, bad[0][2].limit, message, evidence)


def _limit(metric: Metric, margin: float, *, better: bool) -> float:
    """Give the difference, candidate less champion, that the bound must be beyond."""
    sign = 1 if metric.greater_is_better == better else -1
    return sign * margin if margin else 0.0


def _measured(measured: Measurement) -> str:
    interval = ""
    if measured.low is not None and measured.high is not None:
        interval = f" [{measured.low:.4g}, {measured.high:.4g}]"
    return f"{measured.value:.5g}{interval}, {measured.n:,} rows{_groups(measured)}"


def _compared(made: Comparison) -> str:
    counted = "" if made.wins is None else f", {made.wins} rows won and {made.losses} lost"
    bound = "" if made.bound is None else f" (bound {made.bound:+.4g})"
    values = f"{made.candidate:.5g} against {made.champion:.5g}: {made.difference:+.4g}{bound}"
    return f"{values}, p = {made.p_value:.3g}{counted}, {made.n:,} rows{_groups(made)}, {made.method}"


def _groups(made: Measurement | Comparison) -> str:
    """Describe on how many groups a finding rests, and that few make it rough."""
    if made.groups is None:
        return ""
    rough = "" if made.groups >= _FEW_GROUPS else f" (rough: fewer than {_FEW_GROUPS})"
    return f" in {made.groups:,} groups{rough}"


def _no_interval(measured: Measurement) -> str:
    if measured.groups is None:
        return "too few rows for an interval"
    return f"insufficient data for an interval: {measured.groups} of the {_FEWEST_GROUPS} groups that are needed"


def _told(made: Measurement | Comparison) -> dict[str, Any]:
    return {name: value for name, value in asdict(made).items() if value is not None}
