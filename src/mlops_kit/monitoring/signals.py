"""From what was measured to what alerts are raised on: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_kit.monitoring.alerts import Signal
from mlops_kit.monitoring.keys import RecentKeys
from mlops_kit.records.monitor import BLIND, FeatureReport, LossReport
from mlops_kit.records.quality import Expectation, QualityReport

_PERIODS = 1000
_MOST = 1e6  # evidence is told up to a million times its limit


def of_quality(report: QualityReport, broken: Iterable[str], looks: tuple[int, int]) -> Iterator[Signal]:
    """Give a signal for each rule: a broken schema fires at once and mutes its columns, all else needs more windows.

    Parameters
    ----------
    report : QualityReport
        Of one window.
    broken : iterable of str
        The columns that are missing or of another kind.
    looks : tuple of int
        In how many of how many windows a rule must have failed.
    """
    columns = tuple(broken)
    seen: set[str] = set()
    for result in report.results:
        if result.passed is None:
            continue
        subject = result.kind if result.column is None else f"{result.kind} of {result.column}"
        subject = f"{subject}: {result.limit}" if result.kind == "custom" else subject
        while subject in seen:
            subject += "'"
        seen.add(subject)
        schema = result.kind == "schema"
        needed, among = (1, 1) if schema else looks
        yield Signal(
            kind="quality",
            subject=subject,
            active=not result.passed,
            message=result.message,
            severity="warning" if result.inferred and not schema else "alert",
            needed=needed,
            among=among,
            columns=() if result.column is None or schema else (result.column,),
            mutes=columns if schema else (),
        )


def of_period(rule: Expectation, counts: Mapping[str, int], now: datetime) -> Signal | None:
    """Return a signal for the periods that are over, the first of all passed over; None if there are none."""
    seconds = rule.limits["seconds"]
    last = math.floor(now.timestamp() / seconds) - 1
    known = sorted(map(int, counts))
    if not known or last <= known[0]:
        return None
    least, most = rule.limits.get("at_least") or 0, rule.limits.get("at_most")
    rows = {period: counts.get(str(period), 0) for period in range(max(known[0] + 1, last - _PERIODS), last + 1)}
    wrong = [period for period, number in rows.items() if number < least or (most is not None and number > most)]
    shown = wrong[-1] if wrong else last
    start = datetime.fromtimestamp(shown * seconds, UTC)
    bounds = f"at least {least:,}" if most is None else f"{least:,} to {most:,}"
    return Signal(
        kind="quality",
        subject=f"volume per {_span(seconds)}",
        active=bool(wrong),
        message=f"{rows[shown]:,} rows in {_span(seconds)} from {start:%Y-%m-%d %H:%M}, expected {bounds}",
    )


def of_keys(rule: Expectation, keys: RecentKeys) -> Signal:
    """Return a signal about keys that came again since the last look."""
    names, span = ", ".join(rule.limits["columns"]), _span(rule.limits["seconds"])
    return Signal(
        kind="quality",
        subject=f"repeated {names}",
        active=keys.repeated > rule.limits["max_share"] * keys.rows,
        message=f"{keys.repeated:,} of {keys.rows:,} rows have a key that had come within {span}, the last of them "
        f"{keys.example}",
    )


def unjudged(counts: Mapping[str, int], seconds: float, now: datetime) -> dict[str, int]:
    """Return the counts of the periods that are not over, and of the last that is: from it on all are known."""
    last = math.floor(now.timestamp() / seconds) - 1
    if not counts or last <= min(map(int, counts)):
        return dict(counts)
    kept = {period: rows for period, rows in counts.items() if int(period) > last}
    return {str(last): counts.get(str(last), 0), **kept}


def of_silence(rule: Expectation, latest: datetime, now: datetime) -> Signal:
    """Return a signal about how old the last prediction is."""
    seconds = rule.limits["seconds"]
    return Signal(
        kind="quality",
        subject="silence",
        active=now - latest > timedelta(seconds=seconds),
        message=f"the last prediction is of {latest:%Y-%m-%d %H:%M}, older than {_span(seconds)}",
    )


def _span(seconds: float) -> str:
    """Return a length of time in the largest unit that it is a multiple of."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            return f"{seconds / size:g} {unit}{'' if seconds == size else 's'}"
    return f"{seconds:g} seconds"


def failed(report: QualityReport) -> Iterator[dict[str, Any]]:
    """Give the rules that failed, as plain values."""
    for one in report.problems:
        yield {"kind": one.kind, "column": one.column, "message": one.message, "inferred": one.inferred}


def of_features(reports: Iterable[FeatureReport]) -> Iterator[Signal]:
    """Give a signal for each column: evidence that holds for life needs one crossing."""
    for report in reports:
        effect = "" if report.effect is None else f"{report.measure} {report.effect:.3g}"
        since = "" if report.since is None else f" since {report.since:%Y-%m-%d %H:%M}"
        yield Signal(
            kind=report.kind,
            subject=report.name,
            active=report.drifted,
            message=f"{effect}{since}: no longer distributed as in the reference "
            f"(evidence {_times(report.evidence)} its limit, {report.n:,} rows)",
            evidence=report.evidence,
            effect=report.effect,
            columns=(report.column,),
        )


def of_losses(reports: Iterable[LossReport], known: Mapping[str, int], share: float | None = None) -> Iterator[Signal]:
    """Give a signal for each stream of losses that had rows.

    Parameters
    ----------
    reports : iterable of LossReport
        How each stands.
    known : mapping of str to int
        How many rows it had before.
    share : float, optional
        Of how many predictions the truth is known.
    """
    labelled = "" if share is None else f", labels of {share:.1%} of the predictions"
    for report in reports:
        if report.n <= known.get(report.name, 0):
            continue
        now = report.current if report.lately is None else report.lately
        was = "" if report.reference is None else f", {report.reference:.3g} on the reference"
        worse = None if report.reference is None or now is None else now - report.reference
        since = "" if report.since is None else f" since {report.since:%Y-%m-%d %H:%M}"
        over = report.below is not None and not report.harmed
        told = f"it became worse{_lately(report)}"
        told += f" (evidence {_times(report.evidence)} its limit, {report.n:,} rows{labelled})"
        if over and report.now is not None and report.until is not None:
            told = f"until {report.until:%Y-%m-%d %H:%M}; since then {report.now:.3g}, "
            told += f"shown to be below {report.below:.3g}"
        yield Signal(
            kind="performance",
            subject=report.name,
            active=report.harmed,
            over=over,
            message=f"{now:.3g}{since}{was}: {told}",
            evidence=report.evidence,
            effect=worse,
        )


def _lately(report: LossReport) -> str:
    """Return how the loss is now, where that is not what the evidence rests on."""
    if report.now is None or report.until is None or report.lately is None:
        return ""
    return f" until {report.until:%Y-%m-%d %H:%M}; the last losses have a mean of {report.now:.3g}"


def of_estimates(
    warned: Iterable[str],
    estimated: Mapping[str, float],
    limits: Mapping[str, float],
    looks: tuple[int, int],
    *,
    version: str = "",
) -> Iterator[Signal]:
    """Give a signal for each estimated metric; estimates warn and never alert."""
    bad = set(warned)
    for name, value in estimated.items():
        if name in limits:
            yield Signal(
                kind="estimate",
                subject=f"{name}, {version}" if version else name,
                active=name in bad,
                message=f"estimated at {value:.4g}, usually at least {limits[name]:.4g} ({BLIND})",
                effect=value - limits[name],
                severity="warning",
                needed=looks[0],
                among=looks[1],
            )


def _times(evidence: float) -> str:
    return f"over {_MOST:,.0f} times" if evidence > _MOST * 0.999 else f"{evidence:.3g} times"
