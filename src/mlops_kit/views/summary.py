"""What the terminal says after a tracked run."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_kit.views.sheet import Row
from mlops_kit.views.text import row_lines
from mlops_kit.views.values import change, clip, duration, number

_METRICS = 6
_DATA = 2


@dataclass(frozen=True, slots=True)
class Summary:
    """What is said of a run that has just ended.

    Parameters
    ----------
    run_id, run_name, status : str
        Which run, and how it ended.
    seconds : float or None
        How long it took.
    data : tuple of str
        The data that went in, such as ``"data → train.data:3, 569 rows"``.
    metrics : dict
        Its metrics.
    champion : str or None
        The version the metrics are compared with, such as ``"fraud:2"``.
    champion_metrics : dict
        The metrics of that version.
    model : str or None
        The version it registered, such as ``"fraud:3"``.
    problems : tuple of str
        What could not be recorded.
    error : str or None
        The exception that ended it.
    next : str
        What to type next.
    steps : tuple of str
        How many calls of steps ran, and were reused.
    """

    run_id: str
    run_name: str
    status: str
    seconds: float | None = None
    data: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    champion: str | None = None
    champion_metrics: dict[str, float] = field(default_factory=dict)
    model: str | None = None
    problems: tuple[str, ...] = ()
    error: str | None = None
    next: str = ""
    steps: tuple[str, ...] = ()


def summary_text(summary: Summary) -> str:
    """Say in a few lines what a run came to.

    Parameters
    ----------
    summary : Summary
        The run.

    Returns
    -------
    str
        Aligned lines without colour and without a newline at the end.

    Examples
    --------
    >>> summary = Summary("6921b1aa-0123456789ab", "train", "finished", 1.24, ("data → train.data:3, 569 rows",),
    ...                   {"auc": 0.9931}, "fraud:2", {"auc": 0.991}, "fraud:3", next="models.promote('fraud:3')")
    >>> print(summary_text(summary))
    train finished in 1.24 s
      run      6921b1aa-0123456789ab
      data     data → train.data:3, 569 rows
      metrics  auc 0.9931 (+0.0021 vs fraud:2)
      model    fraud:3
      next     models.promote('fraud:3')
    """
    took = "" if summary.seconds is None else f" in {duration(summary.seconds)}"
    rows = (
        Row("run", (summary.run_id,)),
        Row("error", (summary.error,) if summary.error else ()),
        Row("steps", summary.steps),
        Row("data", _first(summary.data, _DATA), flowing=False),
        Row("metrics", _first(tuple(_metric(summary, name) for name in summary.metrics), _METRICS)),
        Row("model", (summary.model,) if summary.model else ()),
        Row("problems", _first(summary.problems, 1)),
        Row("next", (summary.next,) if summary.next else ()),
    )
    title = f"{clip(summary.run_name, 120)} {clip(summary.status, 40)}{took}"
    return "\n".join([title, *(f"  {line}" for line in row_lines([row for row in rows if row.items]))])


def _metric(summary: Summary, name: str) -> str:
    value = summary.metrics[name]
    said = f"{clip(name, 40)} {number(value)}"
    if summary.champion is None or name not in summary.champion_metrics:
        return said
    before = summary.champion_metrics[name]
    difference = change(before, value)
    if difference is None:
        return f"{said} ({number(before)} in {summary.champion})"
    if difference == "+0":
        return f"{said} (same as {summary.champion})"
    return f"{said} ({difference} vs {summary.champion})"


def _first(items: tuple[str, ...], limit: int) -> tuple[str, ...]:
    hidden = len(items) - limit
    return items if hidden <= 0 else (*items[:limit], f"… and {hidden:,} more")
