"""Checks of monitors shown: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mlops_kit.records.alert import Alert
from mlops_kit.records.monitor import (
    ALERT,
    BLIND,
    INSUFFICIENT,
    OK,
    WARNING,
    FeatureReport,
    LossReport,
    MonitorRecord,
    Window,
)
from mlops_kit.records.quality import NO_SUCH_COLUMN
from mlops_kit.views import charts, html
from mlops_kit.views.sheet import Row, Sheet
from mlops_kit.views.text import aligned, sheet_text
from mlops_kit.views.values import clip, plural, when

_SHOWN = 8
_WINDOWS = 40
_METRICS = 6
_VERSIONS = 3
_COLOURS = {OK: "#2e9e5b", WARNING: "#d08a1e", ALERT: "#d03b3b", INSUFFICIENT: "#8889"}
_MEASURED, _ESTIMATED = "measured", f"estimated ({BLIND.partition(': ')[2]})"


def monitor_text(record: MonitorRecord) -> str:
    """Show a check as text.

    Parameters
    ----------
    record : MonitorRecord
        What was found.

    Returns
    -------
    str
        The verdict in one line, then alerts, the worst columns, the losses, and what limits the verdict.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 5, 1, tzinfo=UTC)
    >>> print(monitor_text(MonitorRecord("fraud", "fraud:3", 1, at, "ok", 5000, 10_000, 0.03)))
    MonitorReport fraud: ok
      compared  5,000 rows with fraud:3 (10,000 rows), epoch 1
      budget    0.03 for any false alert in this epoch
      checked   2026-05-01 00:00:00 UTC
    """
    parts = [sheet_text(_sheet(record))]
    if record.features:
        parts.append("\n".join(f"  {line}" for line in aligned(_features(record.features[:_SHOWN]), right=_RIGHT)))
        if len(record.features) > _SHOWN:
            parts.append(f"  … and {len(record.features) - _SHOWN:,} more in .features")
    losses = [loss for loss in record.performance if loss.n]
    if losses:
        parts.append(
            "\n".join(f"  {line}" for line in aligned(_losses(losses[:_SHOWN]), right=frozenset({1, 2, 3, 4})))
        )
    return "\n".join(parts)


def monitor_html(record: MonitorRecord) -> str:
    """Show a check in a notebook.

    Parameters
    ----------
    record : MonitorRecord
        What was found.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes, without script: distributions over each other, metrics by window,
        evidence against its limit.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> record = MonitorRecord("fraud", "fraud:3", 1, datetime.now(UTC), "ok", 5000, 10_000, 0.03)
    >>> "MonitorReport fraud: ok" in monitor_html(record)
    True
    """

    def body(room: html.Room) -> str:
        sheet = _sheet(record)
        title = f'<div class="t">{_dot(record.status)} {html.text(sheet.title, room)}</div>'
        parts = [title, html.sheet(replace(sheet, title=""), room), _feature_table(record.features, room)]
        losses = [loss for loss in record.performance if loss.n]
        if losses:
            head, *rows = _losses(losses)
            parts.append(html.table(head, rows, room, right=frozenset({1, 2, 3, 4})))
        for title, windows in ((_MEASURED, record.windows), (_ESTIMATED, record.estimate)):
            for version in [*dict.fromkeys(window.version for window in reversed(windows))][:_VERSIONS]:
                mine = [window for window in windows if window.version == version]
                parts.append(_courses(title, mine, record, room, version))
        return "".join(parts)

    return html.fragment(body)


def alerts_text(alerts: Sequence[Alert]) -> str:
    """List alerts as text, a line each."""
    head = ("state", "kind", "subject", "since", "fingerprint", "message")
    rows = [
        (
            _state(alert),
            alert.kind,
            clip(alert.subject, 30),
            when(alert.since),
            alert.fingerprint,
            clip(alert.message, 60),
        )
        for alert in alerts
    ]
    return "\n".join(aligned([head, *rows])) if rows else "There are no alerts."


_RIGHT = frozenset({2, 3, 4, 5})


def _sheet(record: MonitorRecord) -> Sheet:
    coverage = record.coverage
    labels = ""
    if coverage.predictions:
        share = f"{coverage.joined:,} of {coverage.predictions:,} predictions ({coverage.share or 0:.1%})"
        wrong = [f"{getattr(coverage, name):,} {name}" for name in _COUNTED if getattr(coverage, name)]
        labels = "; ".join([share, *wrong])
    rows = (
        Row("alerts", tuple(_alert(alert) for alert in record.alerts), flowing=False, lines=4),
        Row("quality", tuple(_quality(record)), flowing=False, lines=2),
        Row("compared", (f"{record.rows:,} rows with {_reference(record)}, epoch {record.epoch}",)),
        Row("together", _joint(record)),
        Row("versions", tuple(_versions(record)), flowing=False, lines=4),
        Row("truth", (labels,) if labels else ()),
        Row("budget", (f"{record.alpha:.2g} for any false alert in this epoch",)),
        Row("checked", (when(record.at),)),
        Row("notes", record.notes, flowing=False, lines=4),
    )
    return Sheet(f"MonitorReport {record.monitor}: {record.status}", rows)


_COUNTED = ("duplicate", "conflicting", "corrected", "unknown", "late", "empty")


def _versions(record: MonitorRecord) -> Iterator[str]:
    """Describe which versions answered, the latest first."""
    for one in reversed(record.versions):
        yield f"{one.name}: {one.predictions:,} predictions, {one.labelled:,} with their truth"


def _joint(record: MonitorRecord) -> tuple[str, ...]:
    """Say what all columns together show where that is more than the columns by themselves do."""
    if record.joint is None or record.joint < 1 or any(feature.evidence >= 1 for feature in record.features):
        return ()
    return (f"evidence of drift {record.joint:.3g} times its limit over all columns, though of none by itself",)


def _reference(record: MonitorRecord) -> str:
    rows = f"{record.reference_rows:,} rows"
    return record.reference if record.reference.endswith(rows) else f"{record.reference} ({rows})"


def _alert(alert: Alert) -> str:
    seen = "" if " since " in alert.message else f", since {when(alert.since)}"  # most say when it began
    return f"{_state(alert)}: {alert.kind} of {alert.subject}{seen}: {alert.message}"


def _state(alert: Alert) -> str:
    notes = [alert.severity] if alert.severity == "warning" else []
    notes += [word for word, told in (("muted", alert.muted), ("acknowledged", alert.acknowledged)) if told]
    return f"{alert.state} ({', '.join(notes)})" if notes else alert.state


def _quality(record: MonitorRecord) -> Iterator[str]:
    """Say which rules failed; that a column is missing is said once, by the schema."""
    schema = any(rule.kind == "schema" for rule in record.quality)
    for rule in record.quality:
        if not (schema and rule.inferred and rule.message.startswith(NO_SUCH_COLUMN)):
            yield f"{rule.kind}{'' if rule.column is None else f' of {rule.column}'}: {rule.message}"


def _features(features: Sequence[FeatureReport]) -> list[tuple[str, ...]]:
    head = ("column", "status", "evidence", "effect", "rows", "missing", "measure")
    return [
        head,
        *(
            (
                clip(feature.name, 40),
                feature.status,
                f"{feature.evidence:.3g}",
                _number(feature.effect),
                f"{feature.n:,}",
                "" if feature.missing is None else f"{feature.missing:.1%}",
                feature.measure,
            )
            for feature in features
        ),
    ]


def _losses(losses: Sequence[LossReport]) -> list[tuple[str, ...]]:
    head = ("loss", "reference", "now", "evidence", "rows", "worse", "since")
    return [
        head,
        *(
            (
                clip(loss.name, 40),
                _number(loss.reference),
                _number(loss.current if loss.lately is None else loss.lately),
                f"{loss.evidence:.3g}",
                f"{loss.n:,}",
                "yes" if loss.harmed else "no",
                "" if loss.since is None else when(loss.since),
            )
            for loss in losses
        ),
    ]


def _feature_table(features: Sequence[FeatureReport], room: html.Room) -> str:
    """Show the columns as a table with pictures: fewer pictures than rows, for they take room."""
    if not features:
        return ""
    shown = features[: min(room.items, 40)]
    pictures = max(1, min(_SHOWN, room.items // 4))
    rows = []
    for place, feature in enumerate(shown):
        shape = feature.shape
        picture = ""
        if shape is not None and place < pictures:
            picture = charts.histogram(shape.labels, shape.reference, shape.current)
        name, status, _, *rest, _ = _features([feature])[1]
        marked = f"{html.text(name, room)}</td><td>{_dot(feature.status)} {html.text(status, room)}"
        texts = "".join(f"<td>{cell}</td>" for cell in (marked, *(html.text(cell, room) for cell in rest)))
        evidence = charts.bars(feature.evidence, over=feature.drifted)
        rows.append(f"<tr>{texts}<td>{evidence}</td><td>{picture}</td></tr>")
    names = ("column", "status", "effect", "rows", "missing", "evidence | limit", "reference ▒ now ―")
    head = "".join(f"<th>{name}</th>" for name in names)
    left_out = html.note(html.more(len(features) - len(shown)))
    return f'<table class="g"><tr>{head}</tr>{"".join(rows)}</table>{left_out}'


def _courses(title: str, windows: Sequence[Window], record: MonitorRecord, room: html.Room, version: str | None) -> str:
    """Show the metrics of a version window by window."""
    shown = windows[-_WINDOWS:]
    if not shown:
        return ""
    names = [name for name in shown[-1].metrics if ", " not in name][: min(_METRICS, max(1, room.items // 8))]
    begins = _begins(shown, record, version) if title == _MEASURED else None
    drawn = []
    for name in names:
        values = [window.metrics.get(name, (None, None, None)) for window in shown]
        if all(value[0] is None for value in values):
            continue  # such as roc_auc of predictions that are classes
        band, level = (record.bands or {}).get(name), (record.levels or {}).get(name)
        alarms = [name in window.unusual for window in shown]
        picture = charts.course(values, band=band, level=level, alarms=alarms, begins=begins)
        last = next((value[0] for value in reversed(values) if value[0] is not None), None)
        was = "" if level is None else f", reference {_number(level)}"
        label = f"{html.text(name, room)} <b>{_number(last)}</b>{was}"
        drawn.append(f'<div><span class="k">{label}</span><br>{picture}</div>')
    span = f"{plural(len(shown), 'window')}, {when(shown[0].start)} to {when(shown[-1].end)}"
    began = "" if begins is None else "; red line: an alert's change began"
    usual = "grey: usual on the reference, left of the divider; red: worse than usual" if record.bands else ""
    told = f"{usual}{began}" if usual else began.removeprefix("; ")
    key = f'<div class="n">{told}</div>' if told else ""
    whose = title if version is None else f"{title}, {html.text(version, room)}"
    return f'<div class="n"><b>{whose}</b>: {span}</div><div class="f">{"".join(drawn)}</div>{key}'


def _begins(windows: Sequence[Window], record: MonitorRecord, version: str | None) -> int | None:
    """Find the window in which the losses began to rise that an alert is about."""
    mine = [loss for loss in record.performance if loss.harmed and loss.version == version]
    whole = [loss for loss in mine if ", " not in loss.stream]
    since = min((loss.since for loss in whole if loss.since is not None), default=None)
    return next((place for place, window in enumerate(windows) if since is not None and window.end >= since), None)


def _dot(status: str) -> str:
    return f'<span style="color:{_COLOURS[status]}">●</span>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
