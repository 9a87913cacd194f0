"""Verdicts from evidence: whether a stream has drifted, how far, and since when.

Evidence alone grows with the number of rows, so it can become overwhelming for a change that nobody cares about.
An alert therefore needs evidence *and* an effect that matters: |AUC − ½| of at least 0.03 for numbers, where AUC is
the probability that a new value exceeds one of the reference (a shift of 0.2 standard deviations is 0.056); a total
variation of at least 0.02 for categories and missing values.

References
----------
R. Wang and A. Ramdas (2022). False discovery rate control with e-values. JRSS B 84.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlops_kit.monitoring.bets import FIXED_WEIGHTS, Ints, fixed_bets, level_bets, level_weights
from mlops_kit.monitoring.blocks import Block, BlockState
from mlops_kit.monitoring.evidence import Plan, State
from mlops_kit.records.drift import DriftVerdict
from mlops_kit.records.profile import TableProfile

AUC_MATTERS, TV_MATTERS = 0.03, 0.02
"""The smallest effects that alert by default."""

_POWER = 0.84  # the normal quantile of a probability of 0.8
_SHIFT = 0.5


def judge(
    plan: Plan, state: State, *, min_effect: float | None = None, crossed: bool = False
) -> tuple[DriftVerdict, ...]:
    """Say of each stream whether it has drifted.

    Parameters
    ----------
    plan, state
        The epoch and its evidence.
    min_effect : float, optional
        The smallest effect that alerts; by default `AUC_MATTERS` for numbers and `TV_MATTERS` for the others.
    crossed : bool
        Only those whose evidence ever reached its limit.

    Returns
    -------
    tuple of DriftVerdict
        Worst first: those that have drifted before the others, then by evidence. Every stream whose evidence ever
        reached its limit has drifted: the probability that any of them is healthy is within the budget.
    """
    found = []
    for block, known in zip(plan.blocks, state.blocks, strict=True):
        for row, place in enumerate(block.places):
            if not crossed or known.crossed[row] >= 0:
                found.append(_judged(plan, state, block, known, row, place, min_effect))
    return tuple(sorted(found, key=lambda verdict: (not verdict.drifted, -verdict.evidence, verdict.name)))


def compare(
    reference: TableProfile,
    current: TableProfile,
    *,
    alpha: float = 0.05,
    min_effect: float | None = None,
    columns: tuple[str, ...] | None = None,
) -> tuple[DriftVerdict, ...]:
    """Compare one batch with a reference, once: no state, no budget for life.

    The batch is a single step: it, or the reference if that is smaller, is bet on as a sample without replacement of
    all rows together, so the probability of any false verdict is at most alpha.

    Parameters
    ----------
    reference : TableProfile
        The reference.
    current : TableProfile
        The batch, on the bins of the reference (``profile_table(batch, like=reference)``).
    alpha : float, default 0.05
        The probability with which a healthy batch may be found to have drifted, over all streams.
    min_effect : float, optional
        As of `judge`.
    columns : tuple of str, optional
        Only these columns of the reference; by default all.

    Returns
    -------
    tuple of DriftVerdict
        Worst first.
    """
    plan = Plan.of(reference, monitor="", alpha=alpha * math.pi**2 / 6, columns=columns)
    before, now = reference.by_name, current.by_name
    verdicts = []
    for stream in plan.streams:
        there, known = now.get(stream.column), before[stream.column]
        pool = np.array(stream.pool)
        if there is None or there.kind != known.kind or (there.grid, there.levels) != (known.grid, known.levels):
            counts = np.zeros_like(pool)
        elif stream.kind == "missing":
            counts = np.array([there.nulls, there.rows - there.nulls])
        elif stream.kind == "category":
            counts = np.bincount(stream.groups, there.counts, len(pool)).astype(np.int64)
        else:
            counts = np.array(there.counts)
        pooled = pool + counts
        # Either side is a sample of both together; the smaller one stands out more from the whole.
        drawn = counts if counts.sum() <= pool.sum() else pool
        bets = fixed_bets(drawn, pooled) if stream.kind == "number" else level_bets(drawn, pooled)
        weights = FIXED_WEIGHTS if stream.kind == "number" else level_weights(len(pool))
        if stream.kind != "number":
            bets = np.append(bets[: len(weights) - 3], bets[-3:])
        evidence = float(np.logaddexp.reduce(bets + np.log(weights)))
        number = int(counts.sum())
        effect = None if not number else _auc(counts, pool) if stream.kind == "number" else _variation(counts, pool)
        crossed = number if evidence >= plan.limit else None
        few = _too_few(len(plan.streams), alpha, number, int(pool.sum()))
        status = _status(stream.kind, effect, drifted=crossed is not None, few=few, min_effect=min_effect)
        name = "auc" if stream.kind == "number" else "tv"
        since = None if crossed is None else 0
        verdicts.append(
            DriftVerdict(
                stream.name,
                stream.column,
                stream.kind,
                status,
                evidence,
                plan.limit,
                effect,
                name,
                since,
                crossed,
                number,
            )
        )
    return tuple(sorted(verdicts, key=lambda verdict: (not verdict.drifted, -verdict.evidence, verdict.name)))


def mean_evidence(state: State) -> float:
    """Give the logarithm of the mean of M over streams.

    Held against log 1/α it tells whether anything has drifted, and is quicker than the union bound if many streams
    have; a secondary figure, whose guarantee needs one filtration for all streams.
    """
    every = np.concatenate([known.evidence for known in state.blocks]) if state.blocks else np.zeros(1)
    return float(np.logaddexp.reduce(every)) - math.log(len(every))


def joint_evidence(plan: Plan, state: State) -> float | None:
    """Tell `mean_evidence` as a share of its limit, up to a million; None with a budget per windows, or no stream."""
    if plan.steps_between is not None or not plan.streams:
        return None
    limit = plan.limit - math.log(len(plan.streams))
    return math.exp(min(mean_evidence(state) - limit, math.log(1e6)))


def e_bh(evidence: Sequence[float], alpha: float) -> tuple[int, ...]:
    """Choose streams so that at most a share α of those chosen is healthy, in the mean (e-BH).

    Parameters
    ----------
    evidence : sequence of float
        log M of each stream.
    alpha : float
        The share.

    Returns
    -------
    tuple of int
        The places of those chosen.

    References
    ----------
    R. Wang and A. Ramdas (2022). False discovery rate control with e-values. JRSS B 84.

    Examples
    --------
    >>> e_bh([9.0, 0.1, 4.5, -3.0], alpha=0.05)
    (0, 2)
    """
    order = sorted(range(len(evidence)), key=lambda place: -evidence[place])
    chosen = 0
    for rank, place in enumerate(order, 1):
        if evidence[place] >= math.log(len(order) / (alpha * rank)):
            chosen = rank
    return tuple(sorted(order[:chosen]))


def needed_rows(streams: int, alpha: float) -> int:
    """Say how many rows it takes to see a shift of half a standard deviation with a probability of 0.8.

    From log K/α plus the weight of a bet on location, met by nμ²/2 + z√nμ.

    Examples
    --------
    >>> needed_rows(20, 0.05)
    118
    """
    wanted = math.log(max(1, streams) / alpha) + math.log(8 / 0.35) + 1
    root = _POWER + math.sqrt(_POWER**2 + 2 * wanted)
    return math.ceil((root / _SHIFT) ** 2)


def _judged(
    plan: Plan, state: State, block: Block, known: BlockState, row: int, place: int, min_effect: float | None
) -> DriftVerdict:
    stream = plan.streams[place]
    crossed = int(known.crossed[row])
    since = int(known.start[row, np.argmax(known.won[row] + block.weights[row])]) if crossed >= 0 else None
    number, effect = _effect(state, block, known, row, since or 0)
    few = _too_few(len(plan.streams), plan.alpha, int(known.counted[-1, row]), int(block.reference[row].sum()))
    status = _status(stream.kind, effect, drifted=crossed >= 0, few=few, min_effect=min_effect)
    return DriftVerdict(
        stream.name,
        stream.column,
        stream.kind,
        status,
        float(known.peak[row]),
        plan.limit,
        effect,
        "auc" if stream.kind == "number" else "tv",
        since,
        crossed if crossed >= 0 else None,
        number,
    )


def _effect(state: State, block: Block, known: BlockState, row: int, since: int) -> tuple[int, float | None]:
    """Compare the rows after so many with the reference; where totals are forgotten, from a little later on."""
    rows = [after for _, after in state.trail]
    first = next((place for place, after in enumerate(rows) if after >= since), 0)
    if first == len(rows) - 1:
        first = max(0, first - 1)
    number = int(known.counted[-1, row] - known.counted[first, row])
    reference = block.reference[row]
    if not number or not reference.sum():
        return number, None
    if block.kind == "number":
        above = int(known.ranked[-1, row] - known.ranked[first, row])
        return number, abs(above / (2 * int(reference.sum()) * number) - 0.5)
    return number, _variation(known.levels[-1, row] - known.levels[first, row], reference)


def _auc(counts: Ints, reference: Ints) -> float:
    """Give |AUC − ½|, a tie counting half."""
    above = 2 * np.cumsum(reference) - reference
    return abs(float(counts @ above) / (2 * float(reference.sum()) * float(counts.sum())) - 0.5)


def _variation(counts: Ints, reference: Ints) -> float:
    """Give the total variation between two sets of shares."""
    return float(np.abs(counts / counts.sum() - reference / reference.sum()).sum() / 2)


def _too_few(streams: int, alpha: float, number: int, reference: int) -> bool:
    return min(number, reference) < needed_rows(streams, alpha)


def _status(kind: str, effect: float | None, *, drifted: bool, few: bool, min_effect: float | None) -> str:
    least = min_effect if min_effect is not None else AUC_MATTERS if kind == "number" else TV_MATTERS
    if drifted:
        return "alert" if effect is not None and effect >= least else "warning"
    return "insufficient data" if few else "ok"
