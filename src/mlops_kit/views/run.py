"""Runs shown: what went in, what ran, what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef, StepCall
from mlops_kit.views import html
from mlops_kit.views.sheet import Item, Row, Sheet
from mlops_kit.views.text import sheet_text
from mlops_kit.views.values import clip, duration, number, plural, short, shown, size, when

_NAME = 100
_LONGEST = 400
_FEW_STEPS = 12


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is shown of a run.

    Parameters
    ----------
    id, name, experiment, status : str
        Which run, and how it stands.
    started : datetime
        When it began.
    seconds : float or None
        How long it took, if it has ended.
    by : dict
        ``actor`` and ``source``: who ran it.
    params, metrics : dict
        Values by name.
    inputs, outputs, artifacts : tuple of InputRef, OutputRef, ArtifactRef
        What went in and what came out.
    models : tuple of str
        The model versions it registered, as ``name:version``.
    git : dict or None
        ``commit``, ``branch`` and ``dirty``, as far as known.
    code : str or None
        Fingerprint of the function.
    error : dict or None
        ``type`` and ``message`` of the exception that ended it.
    problems : tuple of str
        What could not be recorded.
    steps : tuple of StepCall
        The calls of steps, if it is the run of a pipeline.
    """

    id: str
    name: str
    experiment: str
    status: str
    started: datetime
    seconds: float | None
    by: dict[str, str]
    params: dict[str, Any]
    metrics: dict[str, float]
    inputs: tuple[InputRef, ...]
    outputs: tuple[OutputRef, ...]
    artifacts: tuple[ArtifactRef, ...]
    models: tuple[str, ...]
    git: dict[str, Any] | None
    code: str | None
    error: dict[str, Any] | None
    problems: tuple[str, ...]
    steps: tuple[StepCall, ...] = ()


def run_text(facts: RunFacts) -> str:
    """Show a run as text.

    Parameters
    ----------
    facts : RunFacts
        The run.

    Returns
    -------
    str
        Its identity and outcome in one line, then the details.

    Examples
    --------
    >>> from datetime import UTC
    >>> start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> facts = RunFacts("6921b1aa-0123456789ab", "train", "default", "finished", start, 1.24, {"actor": "ann"},
    ...                  {"depth": 3}, {"auc": 0.9931}, (), (), (), ("fraud:3",), None, None, None, ())
    >>> print(run_text(facts))
    Run 6921b1aa-0123456789ab train: finished in 1.24 s
      started     2026-11-22 10:00:00 UTC by ann
      experiment  default
      params      depth=3
      metrics     auc=0.9931
      models      fraud:3
    """
    return sheet_text(_sheet(facts))


def run_html(facts: RunFacts) -> str:
    """Show a run in a notebook.

    Parameters
    ----------
    facts : RunFacts
        The run.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> from datetime import UTC
    >>> start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> facts = RunFacts("6921b1aa-0123456789ab", "<b>", "default", "running", start, None, {}, {}, {}, (), (), (), (),
    ...                  None, None, None, ())
    >>> "&lt;b&gt;: running" in run_html(facts)
    True
    """
    return html.fragment(partial(html.sheet, _sheet(facts)))


def input_text(ref: InputRef, *, fingerprint: bool = True) -> str:
    """Say which data went in.

    Parameters
    ----------
    ref : InputRef
        The data.
    fingerprint : bool
        Whether to say its fingerprint where the data was kept; where it was not, that is said in any case.

    Returns
    -------
    str
        Such as ``"data → train.data:3, 569 rows"``.

    Examples
    --------
    >>> input_text(InputRef("data", "table", "fp1:1a2b3c4d5e", 569, "train.data", 3))
    'data → train.data:3, 569 rows, fp1:1a2b3c4d…'
    >>> input_text(InputRef("X", "array", "fp1:1a2b3c4d5e", 569))
    'X, 569 rows, fingerprint only: fp1:1a2b3c4d…'
    """
    known = [ref.name if ref.spec is None else f"{ref.name} → {ref.spec}"]
    if isinstance(ref.rows, int):
        known.append(plural(ref.rows, "row"))
    if not ref.fingerprint:
        known.append("no fingerprint")
    elif ref.spec is None:
        known.append(f"fingerprint only: {short(ref.fingerprint)}")
    elif fingerprint:
        known.append(short(ref.fingerprint))
    return clip(", ".join(known), _LONGEST)


def commit_text(git: Mapping[str, Any]) -> str:
    """Say which commit ran, and whether it was changed.

    Parameters
    ----------
    git : mapping
        ``commit``, ``branch`` and ``dirty``, as far as known.

    Returns
    -------
    str
        Such as ``"1a2b3c4d5e on main, with uncommitted changes"``; nothing if no commit is known.

    Examples
    --------
    >>> commit_text({"commit": "1a2b3c4d5e6f7a8b", "branch": "main", "dirty": True})
    '1a2b3c4d5e on main, with uncommitted changes'
    """
    if not git.get("commit"):
        return ""
    branch = f" on {clip(git['branch'], _NAME)}" if git.get("branch") else ""
    changed = ", with uncommitted changes" if git.get("dirty") else ""
    return f"{clip(git['commit'], 11)[:10]}{branch}{changed}"


def by_text(by: Mapping[str, str]) -> str:
    """Say who did something, as the end of a phrase.

    Parameters
    ----------
    by : mapping
        ``actor`` and ``source``.

    Returns
    -------
    str
        Such as ``" by ann"``, or nothing.

    Examples
    --------
    >>> by_text({"actor": "ann", "source": "git"})
    ' by ann'
    """
    return f" by {clip(by['actor'], _NAME)}" if by.get("actor") else ""


def values(params: Mapping[str, Any]) -> tuple[Item, ...]:
    """Write parameters as pairs of name and value.

    Parameters
    ----------
    params : mapping
        Values by name.

    Returns
    -------
    tuple of pairs
        In the same order.

    Examples
    --------
    >>> values({"depth": 3, "kernel": "rbf"})
    (('depth', '3'), ('kernel', "'rbf'"))
    """
    return tuple((clip(name, _NAME), shown(value, limit=_LONGEST)) for name, value in params.items())


def numbers(metrics: Mapping[str, float]) -> tuple[Item, ...]:
    """Write metrics as pairs of name and number.

    Parameters
    ----------
    metrics : mapping
        Numbers by name.

    Returns
    -------
    tuple of pairs
        In the same order.

    Examples
    --------
    >>> numbers({"auc": 2 / 3})
    (('auc', '0.66667'),)
    """
    return tuple((clip(name, _NAME), number(value)) for name, value in metrics.items())


def _sheet(facts: RunFacts) -> Sheet:
    took = "" if facts.seconds is None else f" in {duration(facts.seconds)}"
    rows = (
        Row("started", (f"{when(facts.started)}{by_text(facts.by)}",)),
        Row("experiment", (facts.experiment,)),
        Row("error", _error(facts.error)),
        Row("steps", steps_text(facts.steps), flowing=False),
        Row("params", values(facts.params)),
        Row("metrics", _metrics(facts.metrics, facts.steps)),
        Row("data", tuple(input_text(ref) for ref in facts.inputs), flowing=False),
        Row("outputs", tuple(_output(ref) for ref in facts.outputs), flowing=False),
        Row("models", facts.models),
        Row("artifacts", tuple(f"{ref.name} ({size(ref.size)})" for ref in facts.artifacts)),
        Row("code", _code(facts)),
        Row("problems", facts.problems, flowing=False),
    )
    return Sheet(f"Run {facts.id} {facts.name}: {facts.status}{took}", rows)


def steps_text(steps: Sequence[StepCall]) -> tuple[str, ...]:
    """Describe what became of the calls of steps: one by one if they are few, else counted by step.

    Parameters
    ----------
    steps : sequence of StepCall
        The calls.

    Returns
    -------
    tuple of str
        A line each.

    Examples
    --------
    >>> steps_text([StepCall("app:clean", "finished", "the same code", 0.01, reused=True)])
    ('clean reused in 10 ms: the same code',)
    >>> steps_text([StepCall("app:clean", "finished", "new", 0.01)] * 20)
    ('clean: 20 ran in 200 ms',)
    """
    if len(steps) <= _FEW_STEPS:
        return tuple(clip(f"{_step(call)}: {call.why}", _LONGEST) for call in steps)
    by_name: dict[str, list[StepCall]] = {}
    for call in steps:
        by_name.setdefault(call.name, []).append(call)
    took = {name: duration(sum(call.seconds for call in calls)) for name, calls in by_name.items()}
    return tuple(
        f"{_step_name(name)}: {', '.join(step_counts(calls))} in {took[name]}" for name, calls in by_name.items()
    )


def step_counts(steps: Sequence[StepCall]) -> tuple[str, ...]:
    """Count what became of the calls of steps.

    Parameters
    ----------
    steps : sequence of StepCall
        The calls.

    Returns
    -------
    tuple of str
        Such as ``("3 ran", "200 reused")``.

    Examples
    --------
    >>> step_counts([StepCall("app:clean", "failed", "new", 0.01)])
    ('1 failed',)
    """
    return tuple(f"{count:,} {outcome}" for outcome, count in Counter(map(_outcome, steps)).items())


def step_line(call: StepCall) -> str:
    """Describe in one line what became of a call, and why.

    Examples
    --------
    >>> step_line(StepCall("app:clean", "finished", "argument drop: 0 → 1", 0.01))
    'clean ran: argument drop: 0 → 1'
    """
    return f"{_step_name(call.name)} {_outcome(call)}: {call.why}"


def _step(call: StepCall) -> str:
    return f"{_step_name(call.name)} {_outcome(call)} in {duration(call.seconds)}"


def _outcome(call: StepCall) -> str:
    return call.status if call.status != "finished" else "reused" if call.reused else "ran"


def _step_name(place: str) -> str:
    return clip(place.rpartition(":")[2].rpartition("<locals>.")[2], _NAME)


def _metrics(metrics: Mapping[str, float], steps: Sequence[StepCall]) -> tuple[Item, ...]:
    """Write metrics, and mark those that no step of this run has logged, but one whose result was reused."""
    reused = {name for call in steps if call.reused for name in call.logged}
    reused -= {name for call in steps if not call.reused for name in call.logged}
    marks = [" (reused)" if f"metrics.{name}" in reused else "" for name in metrics]
    return tuple(
        (clip(name, _NAME), number(value) + mark) for (name, value), mark in zip(metrics.items(), marks, strict=True)
    )


def _error(error: dict[str, Any] | None) -> tuple[str, ...]:
    if not error:
        return ()
    kind = str(error.get("type") or "error").removeprefix("builtins.")
    return (f"{kind}: {error['message']}" if error.get("message") else kind,)


def _output(ref: OutputRef) -> str:
    if ref.format == "json":
        return f"{ref.name}: {shown(ref.value)}"
    type_name = f" {ref.type.rpartition('.')[2]}" if ref.type else ""
    kept = "not kept" if ref.kind == "none" else size(ref.size) if ref.size is not None else ""
    return f"{ref.name}: {ref.kind if ref.kind != 'none' else 'value'}{type_name}" + (f", {kept}" if kept else "")


def _code(facts: RunFacts) -> tuple[str, ...]:
    commit = commit_text(facts.git or {})
    found = (short(facts.code) if facts.code else "", f"commit {commit}" if commit else "")
    return tuple(part for part in found if part)
