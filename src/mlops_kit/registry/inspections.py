"""How conditions that are not about a metric judge a case: latency, size, signature, leaks, environment, approvals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import MlopsKitError
from mlops_kit.fingerprints.environment import environment as present
from mlops_kit.masking import excerpt, quoted
from mlops_kit.measures.expectations import check
from mlops_kit.records.gate import ConditionResult
from mlops_kit.records.quality import Expectation
from mlops_kit.registry.judgements import nothing_there

if TYPE_CHECKING:
    from mlops_kit.records.run import InputRef
    from mlops_kit.registry.case import Case, Holdout

_MILLION = 1_000_000
_SHOWN = 5
_MODELLING = (
    *("scikit-learn", "numpy", "scipy", "pandas", "xgboost", "lightgbm", "catboost"),
    *("torch", "tensorflow", "jax"),
)


def once(inspect: Callable[[Case], ConditionResult]) -> Callable[[Case], list[ConditionResult]]:
    """Judge a case by one result."""
    return lambda case: [inspect(case)]


def on_each(
    on: str | None, inspect: Callable[[Case, Holdout], ConditionResult]
) -> Callable[[Case], list[ConditionResult]]:
    """Judge each of the data, or those of one name, by one result."""
    return lambda case: [inspect(case, holdout) for name, holdout in case.holdouts.items() if on in {None, name}]


def latency(name: str, limit: float, rows: int, repeats: int) -> Callable[[Case, Holdout], ConditionResult]:
    """Time predictions."""

    def inspect(case: Case, holdout: Holdout) -> ConditionResult:
        import numpy as np  # noqa: PLC0415 - heavy, and only this needs it

        if len(holdout.table) < rows:
            message = f"{len(holdout.table)} rows, and {rows} are to be predicted at a time"
            return ConditionResult(name, passed=False, limit=limit, message=message)
        _ = case.candidate.model  # a model that cannot be loaded is no verdict, but an error
        try:
            times = case.latencies(holdout, rows, repeats)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything, or end; it does not pass
            return ConditionResult(
                name, passed=False, limit=limit, message=f"{type(error).__name__}: {excerpt(error, 300)}"
            )
        p50, p99 = (float(value) for value in np.quantile(times, [0.5, 0.99], method="higher"))
        message = f"p99 {p99:.3g} ms, median {p50:.3g} ms, {repeats} calls; {limit:g} ms allowed"
        return ConditionResult(
            name, p99 <= limit, p99, limit, message, {"p50_ms": p50, "p99_ms": p99, "calls": repeats}
        )

    return inspect


def size(name: str, limit: float) -> Callable[[Case], ConditionResult]:
    """Look at the size of the stored model."""

    def inspect(case: Case) -> ConditionResult:
        version = case.candidate.version
        if version is None:
            return ConditionResult(name, passed=False, limit=limit, message="the model is in no store: register it")
        found = version.size / _MILLION
        return ConditionResult(name, found <= limit, found, limit, f"{found:.3g} MB; {limit:g} MB allowed")

    return inspect


def signature(name: str, alias: str, *, absent: bool | None = None) -> Callable[[Case], ConditionResult]:
    """Hold the signature of the candidate against that of the champion, and the data against it."""

    def inspect(case: Case) -> ConditionResult:
        version = case.candidate.version
        own = version.signature if version is not None else None
        if own is None:
            message = "the model has no signature: register it with signature=(X, y), or in a tracked run"
            return ConditionResult(name, passed=False, message=message)
        champion = case.champion(alias)
        if champion is None and not (there := nothing_there(name, case, alias, absent=absent)).passed:
            return there
        before = champion.version.signature if champion is not None and champion.version is not None else None
        problems = [str(problem) for problem in own.compare(before) if problem.structural] if before is not None else []
        for holdout in case.holdouts.values():
            try:
                takes = holdout.table[[label for label in holdout.table.columns if str(label) in own.features]]
                found = own.check(takes if own.features else holdout.table)
            except MlopsKitError as error:
                problems.append(f"{holdout.name}: {error}")
                continue
            problems += [
                f"{holdout.name}: {problem}" for problem in found if problem.kind in {"missing", "type", "shape"}
            ]
        if not problems:
            held = (
                "no signature to compare with"
                if before is None
                else f"compatible with {champion and champion.contender}"
            )
            nobody = {"absent": alias} if champion is None else {}
            return ConditionResult(name, passed=True, value=0.0, limit=0.0, message=held, evidence=nobody)
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        message = "; ".join(problems[:_SHOWN]) + more
        return ConditionResult(name, False, float(len(problems)), 0.0, message, {"problems": problems})

    return inspect


def quality(name: str, rules: Sequence[Expectation]) -> Callable[[Case, Holdout], ConditionResult]:
    """Hold the data against expectations."""

    def inspect(_case: Case, holdout: Holdout) -> ConditionResult:
        import pyarrow as pa  # noqa: PLC0415 - heavy, and only this needs it

        full = f"{name} in {holdout.name}"
        report = check(pa.Table.from_pandas(holdout.whole, preserve_index=False), rules)
        bad = [result for result in report.results if result.passed is not True]
        message = "; ".join(map(str, bad[:_SHOWN])) or f"{len(rules)} expectations hold"
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        told = [
            {
                "kind": one.kind,
                "column": one.column,
                "failing": one.failing,
                "rows": list(one.rows),
                "message": one.message,
            }
            for one in bad
        ]
        return ConditionResult(full, not bad, float(len(bad)), 0.0, message + more, {"failed": told})

    return inspect


def leak(name: str, max_share: float) -> Callable[[Case, Holdout], ConditionResult]:
    """Look for rows of the data in the training data."""

    def inspect(case: Case, holdout: Holdout) -> ConditionResult:
        full = f"{name} in {holdout.name}"
        lineage = case.lineage()
        if lineage is None or not lineage.data:
            return ConditionResult(full, passed=False, limit=max_share, message="the training data is not known")
        refs = (lineage.training,) if lineage.training is not None else lineage.data
        same = [ref.name for ref in refs if ref.fingerprint == holdout.judged.fingerprint]
        if same:
            message = f"the data is the training data: the input {same[0]!r} has the same fingerprint"
            return ConditionResult(full, False, 1.0, max_share, message, {"rows": holdout.judged.rows})
        return _overlap(full, max_share, case, holdout, refs)

    return inspect


def _overlap(name: str, max_share: float, case: Case, holdout: Holdout, refs: Sequence[InputRef]) -> ConditionResult:
    import numpy as np  # noqa: PLC0415 - heavy, and only this needs it

    from mlops_kit.registry.case import row_keys  # noqa: PLC0415 - loads pandas

    seen = np.zeros(len(holdout.table), dtype=bool)
    own = holdout.whole
    compared = 0
    used: list[str] = []
    for ref in refs:
        dataset = case.dataset(f"{ref.dataset}:{ref.version}") if ref.dataset is not None else None
        if dataset is None:
            continue
        table = dataset.to_pandas().rename(columns=str)
        shared = [column for column in own.columns if column in table.columns]
        if not shared:
            continue
        seen |= row_keys(own, shared).isin(row_keys(table, shared)).to_numpy()
        compared, used = max(compared, len(shared)), [*used, dataset.spec]
    if not used:
        message = "the training data was not kept, so its rows cannot be compared"
        return ConditionResult(name, passed=False, limit=max_share, message=message)
    share = float(seen.mean()) if len(seen) else math.nan
    rows = np.flatnonzero(seen)
    evidence = {
        "rows": [int(row) for row in rows[:100]],
        "overlapping": len(rows),
        "training": used,
        "columns": compared,
    }
    which = f", such as row {', '.join(str(row) for row in rows[:_SHOWN])}" if len(rows) else ""
    message = f"{len(rows):,} of {len(seen):,} rows are in {', '.join(used)} by {compared} columns{which}"
    return ConditionResult(name, bool(share <= max_share), share, max_share, message, evidence)


def environment(name: str, packages: Sequence[str]) -> Callable[[Case], ConditionResult]:
    """Compare the environment that the model was made in with that of this place."""

    def inspect(case: Case) -> ConditionResult:
        made = case.environment(case.candidate)
        if not made:
            return ConditionResult(
                name, passed=False, message="the environment that the model was made in is not known"
            )
        here = present()
        then, now = made.get("packages") or {}, here.get("packages") or {}
        asked = packages or [package for package in _MODELLING if package in then]
        pairs = {package: (then.get(package), now.get(package)) for package in asked}
        pairs["python"] = _minor(made), _minor(here)
        drift = {package: list(pair) for package, pair in pairs.items() if pair[0] != pair[1]}
        told = "; ".join(f"{package} {pair[0]} then, {pair[1]} here" for package, pair in sorted(drift.items()))
        message = told or f"the same Python and {len(asked)} packages"
        return ConditionResult(name, not drift, float(len(drift)), 0.0, message, {"drift": drift})

    return inspect


def _minor(environment: dict[str, Any]) -> str:
    return ".".join(str(environment.get("python", "")).split(".")[:2])


def approved(name: str, n: int) -> Callable[[Case], ConditionResult]:
    """Count the approvals of people other than the one who registered the version."""

    def inspect(case: Case) -> ConditionResult:
        version = case.candidate.version
        if version is None:
            return ConditionResult(name, passed=False, limit=float(n), message="the model is in no store: register it")
        people, against = list(version.approved_by), [word.actor for word in version.rejections]
        message = f"approved by {', '.join(people) or 'nobody else'}; {n} needed"
        if against:
            message += f"; rejected by {', '.join(against)}"
        evidence = {"approved_by": people, "rejected_by": against}
        return ConditionResult(name, len(people) >= n and not against, float(len(people)), float(n), message, evidence)

    return inspect


def own(name: str, function: Callable[[Case], Any]) -> Callable[[Case], ConditionResult]:
    """Ask a function of the user's."""

    def inspect(case: Case) -> ConditionResult:
        try:
            said = function(case)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's function may raise anything, and fails then
            return ConditionResult(name, passed=False, message=f"{type(error).__name__}: {excerpt(error, 300)}")
        told = said if isinstance(said, ConditionResult) else None
        if told is not None:
            said = told.passed, told.message
        verdict, message = said if isinstance(said, tuple) and len(said) == 2 else (said, "")  # noqa: PLR2004 - a pair
        if type(verdict) is not bool and type(verdict).__name__ not in {"bool", "bool_"}:
            message = f"it gave {quoted(verdict, 100)}, and neither True nor False"
            return ConditionResult(name, passed=False, message=message)
        if told is not None:
            return replace(told, passed=bool(verdict))
        return ConditionResult(name, bool(verdict), message=str(message) or ("holds" if verdict else "does not hold"))

    return inspect
