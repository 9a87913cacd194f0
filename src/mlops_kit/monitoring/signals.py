"""From what was measured to what alerts are raised on: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlops_kit.monitoring.alerts import Signal
from mlops_kit.records.monitor import BLIND, FeatureReport, LossReport
from mlops_kit.records.quality import QualityReport

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
        yield Signal(
            kind="performance",
            subject=report.name,
            active=report.harmed,
            message=f"{now:.3g}{since}{was}: it became worse "
            f"(evidence {_times(report.evidence)} its limit, {report.n:,} rows{labelled})",
            evidence=report.evidence,
            effect=worse,
        )


def of_estimates(
    warned: Iterable[str], estimated: Mapping[str, float], limits: Mapping[str, float], looks: tuple[int, int]
) -> Iterator[Signal]:
    """Give a signal for each estimated metric; estimates warn and never alert."""
    bad = set(warned)
    for name, value in estimated.items():
        if name in limits:
            yield Signal(
                kind="estimate",
                subject=name,
                active=name in bad,
                message=f"estimated at {value:.4g}, usually at least {limits[name]:.4g} ({BLIND})",
                effect=value - limits[name],
                severity="warning",
                needed=looks[0],
                among=looks[1],
            )


def _times(evidence: float) -> str:
    return f"over {_MOST:,.0f} times" if evidence > _MOST * 0.999 else f"{evidence:.3g} times"
