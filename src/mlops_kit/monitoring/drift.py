"""Verdicts from evidence: whether a stream has drifted, how far, and since when.

Evidence alone grows with the number of rows, so it can become overwhelming for a change that nobody cares about. An
alert therefore needs evidence *and* an effect that matters (`mlops_kit.monitoring.effect`): the total variation between
the rows before the change, those of the reference among them, and the rows from then on to where the evidence is
highest.

References
----------
R. Wang and A. Ramdas (2022). False discovery rate control with e-values. JRSS B 84.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlops_kit.monitoring.bets import Ints, fixed_bets, fixed_weights, level_bets, level_weights
from mlops_kit.monitoring.blocks import Block, BlockState
from mlops_kit.monitoring.effect import MATTERS, effect_of
from mlops_kit.monitoring.evidence import Plan, State, Stream
from mlops_kit.records.drift import DriftVerdict
from mlops_kit.records.profile import ColumnProfile, TableProfile

_POWER = 0.84  # the normal quantile of a probability of 0.8
_SHIFT = 0.5


def judge(plan: Plan, state: State, *, recent: int = 1000, crossed: bool = False) -> tuple[DriftVerdict, ...]:
    """Say of each stream whether it has drifted.

    Parameters
    ----------
    plan, state
        The epoch and its evidence.
    recent : int
        Of how many of the last rows the effect is told beside.
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
                found.append(_judged(plan, state, block, known, row, place, recent))
    return tuple(sorted(found, key=_worst_first))


def compare(
    reference: TableProfile,
    current: TableProfile,
    *,
    alpha: float = 0.05,
    min_effect: float = MATTERS,
    columns: tuple[str, ...] | None = None,
    missing: tuple[str, ...] | None = None,
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
    min_effect : float
        The smallest effect that alerts.
    columns, missing : tuple of str, optional
        Columns of the reference whose values are watched, and of which it is whether they are missing; by default all.

    Returns
    -------
    tuple of DriftVerdict
        Worst first.
    """
    spend = alpha * math.pi**2 / 6
    plan = Plan.of(reference, monitor="", alpha=spend, columns=columns, missing=missing, min_effect=min_effect)
    before, now = reference.by_name, current.by_name
    verdicts = []
    for block in plan.blocks:
        for row, place in enumerate(block.places):
            stream = plan.streams[place]
            counts = _batch_counts(stream, before[stream.column], now.get(stream.column))
            verdicts.append(_compared(plan, block, row, stream, counts, alpha))
    return tuple(sorted(verdicts, key=_worst_first))


def _batch_counts(stream: Stream, known: ColumnProfile, there: ColumnProfile | None) -> Ints:
    """Count the rows of a batch in the cells of a stream; none of a column that is not there, or is of another kind."""
    nothing = np.zeros(len(stream.pool), np.int64)
    if there is None:
        return nothing
    if stream.kind == "missing":
        same = there.kind == known.kind or there.nulls == there.rows or known.nulls == known.rows
        return np.array([there.nulls, there.rows - there.nulls]) if same else nothing
    if there.kind != known.kind or (there.grid, there.levels) != (known.grid, known.levels):
        return nothing
    if stream.kind == "category":
        return np.bincount(stream.groups, there.counts, len(stream.pool)).astype(np.int64)
    return np.array(there.counts)


def _compared(plan: Plan, block: Block, row: int, stream: Stream, counts: Ints, alpha: float) -> DriftVerdict:
    """Compare the rows of a batch with the pool of a stream, as a single step."""
    pool = np.array(stream.pool)
    pooled = pool + counts
    # Either side is a sample of both together; the smaller one stands out more from the whole.
    drawn = counts if counts.sum() <= pool.sum() else pool
    if stream.kind == "number":
        bets, weights = fixed_bets(drawn, pooled), fixed_weights(len(pool))
    else:
        bets, weights = level_bets(drawn, pooled), level_weights(len(pool))
        bets = np.append(bets[: len(weights) - 3], bets[-3:])
    evidence = float(np.logaddexp.reduce(bets + np.log(weights)))
    number = int(counts.sum())
    effect = effect_of(block.totals[row], block.binned_row(row, counts))
    drifted = evidence >= plan.limit
    alerted = drifted and effect is not None and effect >= plan.min_effect
    few = _too_few(len(plan.streams), alpha, number, int(pool.sum()))
    return DriftVerdict(
        stream.name,
        stream.column,
        stream.kind,
        _status(drifted=drifted, alerted=alerted, few=few),
        evidence,
        plan.limit,
        effect,
        "tv",
        0 if drifted else None,
        number if drifted else None,
        number,
        effect,
    )


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
    """Compute how many rows it takes to see a shift of half a standard deviation with a probability of 0.8.

    From log K/α plus the weight of a bet on location, met by nμ²/2 + z√nμ.

    Examples
    --------
    >>> needed_rows(20, 0.05)
    119
    """
    wanted = math.log(max(1, streams) / alpha) + math.log(8 / 0.30) + 1
    root = _POWER + math.sqrt(_POWER**2 + 2 * wanted)
    return math.ceil((root / _SHIFT) ** 2)


def _judged(
    plan: Plan, state: State, block: Block, known: BlockState, row: int, place: int, recent: int
) -> DriftVerdict:
    stream = plan.streams[place]
    crossed = int(known.crossed[row])
    now, reference = known.totals[-1, row], block.totals[row]
    before, after = known.frozen[row] if crossed >= 0 else (reference, now - reference)
    few = _too_few(len(plan.streams), plan.alpha, int((now - reference).sum()), int(reference.sum()))
    return DriftVerdict(
        stream.name,
        stream.column,
        stream.kind,
        _status(drifted=crossed >= 0, alerted=known.alerted[row] >= 0, few=few),
        float(known.peak[row]),
        plan.limit,
        effect_of(before, after),
        "tv",
        int(known.onset[row]) if crossed >= 0 else None,
        crossed if crossed >= 0 else None,
        int(after.sum()),
        effect_of(reference, now - known.totals[_since(state, recent), row]),
    )


def _worst_first(verdict: DriftVerdict) -> tuple[bool, bool, float, str]:
    healthy = not verdict.drifted
    return healthy, healthy and verdict.kind == "missing", -verdict.evidence, verdict.name


def _since(state: State, recent: int) -> int:
    """Find the latest totals after which there were so many rows, or else the first."""
    places = [place for place, (_, rows) in enumerate(state.trail) if rows <= state.rows - recent]
    return places[-1] if places else 0


def _too_few(streams: int, alpha: float, number: int, reference: int) -> bool:
    return min(number, reference) < needed_rows(streams, alpha)


def _status(*, drifted: bool, alerted: bool, few: bool) -> str:
    if drifted:
        return "alert" if alerted else "warning"
    return "insufficient data" if few else "ok"
