"""Why a step ran: its result compared with the one that an earlier run of the pipeline had."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from mlops_kit.errors import InvalidInput, MlopsKitError, NotFound
from mlops_kit.masking import masked_text, quoted
from mlops_kit.pipelines.dependencies import SOURCE
from mlops_kit.records import codec
from mlops_kit.records.run import RunEnd, RunStart, StepCall
from mlops_kit.records.step import StepRecord
from mlops_kit.store.store import Store
from mlops_kit.tracking.listing import list_runs
from mlops_kit.tracking.run import Run
from mlops_kit.views.why import Change, Why, change_text

NEW = "no result for this code, these arguments and packages"
_LOOKED_BACK = 100
_LOOKED_BACK_AT_THE_END = 10
_EXPLAINED = 100


def why(run: Run, step: str) -> Why:
    """Explain the last call of a step in a run of a pipeline.

    Parameters
    ----------
    run : Run
        The run.
    step : str
        The step: its name, or ``"module:qualname"``.

    Returns
    -------
    Why
        Whether it ran, and what had changed since the run before.

    Raises
    ------
    InvalidInput
        The run has no call of such a step; the message names those it has.
    """
    store = run.store
    calls = [call for call in run.steps if step in {call.name, short(call.name)}]
    if not calls:
        names = sorted({short(call.name) for call in run.steps})
        has = f"It called {', '.join(names)}." if names else "It called no steps."
        raise InvalidInput(f"The run {run.id} called no step {quoted(step)}. {has}")
    call = next((call for call in reversed(calls) if not call.reused), calls[-1])
    place = calls.index(call)
    record = _record(store, call.key)
    opaque = tuple(_parts(store, record).get("opaque", ()))
    made = None if record is None or not call.reused else record.run
    told = Why(call.name, call.status, call.reused, call.why, run.id, made, opaque=opaque)
    if call.reused or record is None:
        return told
    for before, end in earlier(run, _LOOKED_BACK):
        former = _former(store, end, call.name, place)
        if former is not None and former.key != record.key:
            changes = differences(store, former, record)
            diff = _source_diff(Run(store, before.id), run, changes)
            return replace(told, before=before.id, changes=tuple(changes), diff=diff)
    return told


def explained(run: Run, calls: list[StepCall]) -> list[StepCall]:
    """Add to the calls that ran for want of a result what had changed since the run before, as far as that is cheap."""
    wanted = [index for index, call in enumerate(calls) if call.why == NEW and call.key is not None][:_EXPLAINED]
    if not wanted:
        return calls
    told = list(calls)
    ends = [end for _, end in earlier(run, _LOOKED_BACK_AT_THE_END)]
    for index in wanted:
        call = calls[index]
        place = sum(other.name == call.name for other in calls[:index])
        text = _change_since(run.store, ends, call, place)
        if text is not None:
            told[index] = replace(call, why=text)
    return told


def _change_since(store: Store, ends: list[RunEnd], call: StepCall, place: int) -> str | None:
    record = _record(store, call.key)
    former = next((one for end in ends if (one := _former(store, end, call.name, place)) is not None), None)
    if record is None or former is None or former.key == record.key:
        return None
    changes = differences(store, former, record)
    return masked_text("; ".join(map(change_text, changes))) if changes else None


def earlier(run: Run, limit: int) -> Iterator[tuple[RunStart, RunEnd]]:
    """Yield the runs of the same pipeline before a run, newest first, among the newest of the store."""
    store = run.store
    start = store.runs.start(run.id)
    yield from (
        (before, end)
        for before, end in _ended(store, limit)
        if before.at < start.at and before.function is not None and _is_same(before, start)
    )


def runs_of(store: Store, place: str) -> Iterator[Run]:
    """Yield the ended runs of a pipeline, ``"module:qualname"``, newest first."""
    for start, _ in _ended(store, _LOOKED_BACK):
        if start.function is not None and f"{start.function['module']}:{start.function['qualname']}" == place:
            yield Run(store, start.id)


def _ended(store: Store, limit: int) -> Iterator[tuple[RunStart, RunEnd]]:
    for each in islice(list_runs(limit=limit, store=store), limit):
        try:
            start, end = store.runs.records(each.id)
        except MlopsKitError:
            continue
        if end is not None and end.ends(start):
            yield start, end


def _is_same(one: RunStart, other: RunStart) -> bool:
    members = ("module", "qualname")
    return all((one.function or {}).get(member) == (other.function or {}).get(member) for member in members)


def differences(store: Store, left: StepRecord, right: StepRecord) -> list[Change]:
    """List in what two calls of a step differ."""
    changes = _code_changes(_parts(store, left), _parts(store, right)) if left.code != right.code else []
    if left.code != right.code and not changes and left.packages == right.packages and left.python == right.python:
        changes.append(Change("code", short(right.step)))
    for name in _differing(left.arguments, right.arguments):
        changes.append(Change("argument", name, left.shown.get(name), right.shown.get(name)))
    for section, before, after in (
        ("package", left.packages, right.packages),
        ("dependency", left.depends, right.depends),
        ("Python", {"": left.python}, {"": right.python}),
        ("version", {"": left.version or ""}, {"": right.version or ""}),
    ):
        for name in _differing(before, after):
            shown = section != "dependency" or name.startswith(f"{SOURCE} ")  # digests say nothing
            values = (before.get(name), after.get(name)) if shown else (None, None)
            changes.append(Change(section, name, *values))
    return changes


def _code_changes(left: dict[str, Any], right: dict[str, Any]) -> list[Change]:
    before, after = left.get("functions", {}), right.get("functions", {})
    return [
        Change("code", name, "there" if name in before else None, "there" if name in after else None)
        for name in _differing(before, after)
    ]


def _differing(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys([*left, *right]) if left.get(name) != right.get(name)]


def _former(store: Store, end: RunEnd, name: str, place: int) -> StepRecord | None:
    """Find the result that a step had in an earlier run: of the call in the same place, else of the last."""
    calls = [call for call in end.steps if call.name == name]
    if not calls:
        return None
    return _record(store, (calls[place] if place < len(calls) else calls[-1]).key)


def _record(store: Store, key: str | None) -> StepRecord | None:
    try:
        return None if key is None else store.results.read(key)
    except MlopsKitError:
        return None


def _parts(store: Store, record: StepRecord | None) -> dict[str, Any]:
    """Read the parts of the code of a step; nothing if they are lost."""
    if record is None or record.parts is None:
        return {}
    try:
        members = codec.unseal(store.objects.get(record.parts, what="parts of the code"), where="parts")
    except (MlopsKitError, NotFound):
        return {}
    return {name: codec.unplain(value) for name, value in members.items()}


def _source_diff(before: Run, after: Run, changes: list[Change]) -> str:
    """Show how the source of the functions and classes that changed differs, as far as both runs kept it."""
    names = [change.name for change in changes if change.section == "code"]
    if not names:
        return ""
    old, new = _texts(before), _texts(after)
    diffs = []
    for name in names:
        left, right = source_of(old, name), source_of(new, name)
        if left != right:
            lines = difflib.unified_diff(left.splitlines(), right.splitlines(), name, name, lineterm="")
            diffs.append("\n".join(lines))
    return masked_text("\n".join(diffs))


def _texts(run: Run) -> dict[str, str]:
    try:
        sources = run.code["sources"]
    except MlopsKitError:
        return {}
    return {name: text["text"] if isinstance(text, dict) else text for name, text in sources.items()}


def source_of(texts: dict[str, str], place: str) -> str:
    """Find the source of a function or class in the texts of modules, or in those of notebook cells.

    Examples
    --------
    >>> source_of({"app": "x = 1; f = len"}, "app:f"), source_of({"app": "def f(): return 1"}, "app:f")
    ('', 'def f(): return 1')
    """
    module, _, qualname = place.partition(":")
    names = [name for name in qualname.partition("#")[0].split(".") if name != "<locals>"]
    if qualname == "<module>":
        return texts.get(module, "")
    for text in [texts[module]] if module in texts else reversed(list(texts.values())):
        try:
            node: ast.AST | None = ast.parse(text)
        except (SyntaxError, ValueError):
            continue  # a cell with magics, a text that was cut
        for name in names:
            node = next((each for each in _definitions(node) if each.name == name), None)
        if node is not None:
            return ast.get_source_segment(text, node) or ""
    return ""


def _definitions(node: ast.AST | None) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for each in [] if node is None else ast.walk(node):
        if each is not node and isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each


def short(place: str) -> str:
    """Return the name of a step without its module and the functions that it stands in.

    Examples
    --------
    >>> short("app:make.<locals>.clean"), short("app:Trainer.fit")
    ('clean', 'Trainer.fit')
    """
    return place.rpartition(":")[2].rpartition("<locals>.")[2]
