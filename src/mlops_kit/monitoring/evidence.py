"""Evidence that the data is no longer what it was, which may be looked at at any time, for life.

Each *stream* (a feature, whether it is missing, a prediction, a label) is compared, step by step, with a pool: the
reference and all later rows. Each step is bet on in many ways (`mlops_kit.monitoring.bets`). The bets of a kind are
multiplied from every possible start of a change on, and averaged with weights over kinds and starts, which gives M: its
mean at any fixed time is at most 1 while nothing has changed. By Ville's inequality a process whose mean never grows
exceeds 1/α in its whole life with probability at most α; of M, whose steps share a pool, that is proved for each time
and checked by simulation for a whole life (``benchmarks/monitoring.py``). A stream has drifted once M ≥ K/α, where K is
the number of streams: a union bound, which holds under any dependence.

How to use it::

    plan = Plan.of(profile, monitor="fraud", alpha=0.025)         # an epoch: what is watched, and its budget
    state = begin(plan)                                             # or State.from_members(...) from a record
    used = whole_steps(plan, state, n_rows)                         # the rows that make whole steps; the rest wait
    state = advance(plan, state, {name: codes[:used] ...})          # codes from measures.profile.encode_table
    verdicts = judge(plan, state)                                   # monitoring.drift

The same rows give the same state, bit for bit, however they are cut into whole steps.

References
----------
A. Podkopaev and A. Ramdas (2022). Tracking the risk of a deployed model and detecting harmful distribution shifts.
arXiv:2110.06177.
J. Shin, A. Ramdas and A. Rinaldo (2022). E-detectors: a nonparametric framework for sequential change detection.
arXiv:2203.03532.
A. Shiryaev (1963) and S. Roberts (1966), for a budget per number of windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.grids import MISSING, Codes
from mlops_kit.measures.profile import spend
from mlops_kit.monitoring.bets import NUMBER_BETS, SPIKE_BET, Floats
from mlops_kit.monitoring.blocks import Block, BlockState, level_block, number_block
from mlops_kit.monitoring.derived import part_name
from mlops_kit.monitoring.effect import MATTERS, effect_of
from mlops_kit.monitoring.ranks import stream_key
from mlops_kit.monitoring.starts import PACE, prior
from mlops_kit.records import codec
from mlops_kit.records.profile import ColumnProfile, TableProfile

STEP = 100
"""Rows of a step, or a hundredth of the pool if that is less."""

LEVELS = 32
"""How many levels of a category are told apart in the evidence, the last of them being all that are rarer; values that
none of the rows has that chose the levels are counted apart."""

_LANE = 8
_VALUES = 1 << 17
_RECENT = 8


@dataclass(frozen=True, slots=True)
class Stream:
    """One thing that is watched.

    Parameters
    ----------
    name : str
        The column; with ``" (missing)"`` for whether it is missing.
    column : str
        The column.
    kind : str
        ``"number"``, ``"category"`` or ``"missing"``.
    pool : tuple of int
        How many rows of the reference are in each cell: bins, levels, or missing and not.
    groups : tuple of int
        For a category, the cell of each code; empty otherwise.
    chosen : tuple of int
        For a number, how many of the rows that placed the cells are in each.
    later : bool
        Whether states that do not name their streams do not have it.
    """

    name: str
    column: str
    kind: str
    pool: tuple[int, ...]
    groups: tuple[int, ...] = ()
    chosen: tuple[int, ...] = ()
    later: bool = False

    def cells(self, codes: Codes) -> Codes:
        """Give the cell of each value; 65,535 for none."""
        if self.kind == "number":
            return codes
        if self.kind == "missing":
            there: Codes = (codes != MISSING).astype(np.uint16)
            return there
        return np.array([*self.groups, MISSING], np.uint16).take(np.minimum(codes, len(self.groups)))


@dataclass(frozen=True)
class Plan:
    """What an epoch of a monitor watches, and what it may spend.

    Parameters
    ----------
    monitor : str
        The identity of the monitor; it seeds the randomness.
    epoch : int
        From 1; a new one begins with a new reference.
    alpha : float
        The probability with which a healthy life may ever alarm. This epoch spends its part, see `epoch_alpha`.
    streams : tuple of Stream
        What is watched.
    rows : int
        How many rows of the reference are in the pool.
    steps_between : float, optional
        For a budget per windows: the mean number of steps between false alarms, see `steps_between`. None for a budget
        for life.
    min_effect : float
        The smallest effect that alerts.
    """

    monitor: str
    epoch: int
    alpha: float
    streams: tuple[Stream, ...]
    rows: int
    steps_between: float | None = None
    min_effect: float = MATTERS

    @classmethod
    def of(
        cls,
        profile: TableProfile,
        *,
        monitor: str,
        epoch: int = 1,
        alpha: float = 0.025,
        columns: tuple[str, ...] | None = None,
        missing: tuple[str, ...] | None = None,
        steps_between: float | None = None,
        min_effect: float = MATTERS,
    ) -> Plan:
        """Watch columns of a reference: each number and category, and of every column whether it is missing.

        Parameters
        ----------
        profile : TableProfile
            Of the reference.
        monitor, epoch, alpha, steps_between, min_effect
            As of the class.
        columns : tuple of str, optional
            Whose values are watched; by default those of all. Moments, and what is neither number nor category, have
            none that are.
        missing : tuple of str, optional
            Of which it is watched whether they are missing; by default of `columns`.

        Returns
        -------
        Plan
            The plan.
        """
        named = {column.name for column in profile.columns}
        values = named if columns is None else {*columns}
        holes = values if missing is None else {*missing}
        streams = []
        for column in profile.columns:
            streams += _value_streams(column) if column.name in values else []
            streams += _missing_streams(column, named) if column.name in holes else []
        rows = profile.rows - len(spend(profile.rows))
        return cls(monitor, epoch, alpha, tuple(streams), rows, steps_between, min_effect)

    @property
    def limit(self) -> float:
        """The logarithm of what M must reach: K/α for life, the promised number of steps otherwise."""
        if self.steps_between is not None:
            return math.log(self.steps_between)
        return math.log(max(1, len(self.streams)) / epoch_alpha(self.alpha, self.epoch))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The streams in two blocks, whose arithmetic differs: numbers, and levels."""
        numbers = [(place, stream) for place, stream in enumerate(self.streams) if stream.kind == "number"]
        levels = [(place, stream) for place, stream in enumerate(self.streams) if stream.kind != "number"]
        made = []
        for build, members in ((number_block, numbers), (level_block, levels)):
            if members:
                pools = [stream.pool for _, stream in members]
                keys = [stream_key(self.monitor, self.epoch, stream.name) for _, stream in members]
                chosen = [stream.chosen or stream.pool for _, stream in members]
                made.append(build([place for place, _ in members], pools, keys, chosen))
        return tuple(made)


@dataclass(frozen=True, slots=True)
class State:
    """The evidence after some steps; small, and the same however the rows were cut into whole steps.

    Parameters
    ----------
    rows, steps : int
        How many there were in this epoch.
    trail : tuple of pairs of int
        After how many steps and rows totals are remembered: after each of late, ever more rarely of long ago.
    blocks : tuple of BlockState
        Of each of `Plan.blocks`.
    alarms : tuple of int
        With a budget per windows, the numbers of rows at which there was an alarm.
    pace : int
        How slowly the weights of later starts of a change fall, see `prior`.
    """

    rows: int
    steps: int
    trail: tuple[tuple[int, int], ...]
    blocks: tuple[BlockState, ...]
    alarms: tuple[int, ...] = ()
    pace: int = PACE

    def members(self, plan: Plan) -> dict[str, Any]:
        """Give the plain members, for a record."""
        blocks = [state.members(block) for state, block in zip(self.blocks, plan.blocks, strict=True)]
        whole = {
            "rows": self.rows,
            "steps": self.steps,
            "trail": [list(point) for point in self.trail],
            "alarms": list(self.alarms),
            "pace": self.pace,
        }
        streams = [[plan.streams[place].name for place in block.places] for block in plan.blocks]
        return whole | {"bets": [*NUMBER_BETS, SPIKE_BET], "streams": streams, "blocks": codec.plain(blocks)}

    @classmethod
    def from_members(cls, plan: Plan, members: Mapping[str, Any]) -> State:
        """Read the members of a record; the plan is the one they were written with, perhaps with other bets or streams.

        A bet or a stream that the state does not have begins now, with the weight that is left for later changes, and
        one that is no longer made is dropped: either way the mean of M stays at most 1. A state from before bets were
        named has no past from which an effect could be measured, so that of all its rows stands for it.
        """
        given: Any = codec.unplain(dict(members))
        bets, names = given.get("bets"), given.get("streams")
        if names is None:
            each = ([plan.streams[place] for place in block.places] for block in plan.blocks)
            known = ([stream.name for stream in streams if not stream.later] for streams in each)
            names = [streams for streams in known if streams]
        where = {
            name: (entry, row)
            for entry, streams in zip(given["blocks"], names, strict=True)
            for row, name in enumerate(streams)
        }
        trail = tuple((step, rows) for step, rows in given["trail"])
        blocks = tuple(
            BlockState.from_members(
                block, [where.get(plan.streams[place].name) for place in block.places], bets, trail=trail
            )
            for block in plan.blocks
        )
        if bets is None:
            trail = trail[-1:]
            for state in blocks:
                _mark_alerts(plan, state, state.onset >= 0, given["rows"])
        return cls(given["rows"], given["steps"], trail, blocks, tuple(given["alarms"]), given.get("pace", 1))


def _mark_alerts(plan: Plan, state: BlockState, streams: NDArray[np.bool_], rows: int) -> None:
    """Note of which of these streams the effect at the peak is large enough to alert: that stands."""
    for row in np.flatnonzero(streams & (state.alerted < 0)).tolist():
        effect = effect_of(state.frozen[row, 0], state.frozen[row, 1])
        if effect is not None and effect >= plan.min_effect:
            state.alerted[row] = rows


def epoch_alpha(alpha: float, epoch: int) -> float:
    """Give the part of the budget that an epoch may spend: 6α/(π²k²), which adds up to α over all epochs.

    Examples
    --------
    >>> round(epoch_alpha(0.05, 1), 4), round(sum(epoch_alpha(0.05, k) for k in range(1, 100_000)), 4)
    (0.0304, 0.05)
    """
    return 6 * alpha / (math.pi * epoch) ** 2


def steps_between(windows: float, window: int, profile: TableProfile) -> float:
    """Turn a promise, so many windows of so many rows between false alarms, into steps."""
    step = min(STEP, max(1, (profile.rows - len(spend(profile.rows))) // STEP))
    return windows * math.ceil(window / step)


def begin(plan: Plan) -> State:
    """Give the state of an epoch that has seen no row."""
    return State(0, 0, ((0, 0),), tuple(BlockState.begin(block) for block in plan.blocks))


def whole_steps(plan: Plan, state: State, rows: int) -> int:
    """Say how many of the rows at hand make whole steps; the rest must wait for more."""
    return sum(_sizes(plan.rows + state.rows, rows))


def advance(plan: Plan, state: State, codes: Mapping[str, Codes]) -> State:
    """Take in the evidence of rows, in their order.

    Parameters
    ----------
    plan : Plan
        The epoch.
    state : State
        The evidence so far.
    codes : mapping of str to array of uint16
        For each column the code of each row (`mlops_kit.measures.profile.encode_table`); as many rows as
        `whole_steps` says. Of a column that is not there, nothing is known: its streams stay as they are. Pass some
        100,000 rows at a time: the state is as small after as before, the codes at hand are not.

    Returns
    -------
    State
        A new state; the one given is left as it was.

    Raises
    ------
    InvalidInput
        The rows are not whole steps.
    """
    rows = max((len(values) for values in codes.values()), default=0)
    sizes = _sizes(plan.rows + state.rows, rows)
    if sum(sizes) != rows:
        raise InvalidInput(f"{rows:,} rows are not whole steps: pass the first {sum(sizes):,}, and keep the others.")
    blocks = plan.blocks
    cells = [np.stack([_cells(plan.streams[place], codes, rows) for place in block.places]) for block in blocks]
    widest = max((block.reference.size for block in blocks), default=1)
    start = 0
    for batch in _batches(sizes, widest):
        end = start + sum(batch)
        state = _take(plan, state, blocks, [values[:, start:end] for values in cells], batch)
        start = end
    return state


def _take(plan: Plan, state: State, blocks: tuple[Block, ...], cells: list[Codes], sizes: list[int]) -> State:
    """Take in steps that are laid out with the same width."""
    ends = np.cumsum(sizes)
    offsets = np.arange(_width(sizes[0]))
    index = np.where(offsets < np.array(sizes)[:, None], (ends - sizes)[:, None] + offsets, -1)
    rows = (state.rows + ends).tolist()
    made = [
        known.copy().bet(block, np.where(index < 0, np.uint16(MISSING), values[:, index]), state.steps)
        for known, block, values in zip(state.blocks, blocks, cells, strict=True)
    ]
    states = [known for known, *_ in made]
    trail = (*state.trail, *((state.steps + step + 1, after) for step, after in enumerate(rows)))
    alarms = list(state.alarms)

    def weigh(first: int, last: int) -> float:
        return 1.0 if plan.steps_between else float(prior(first, state.pace) - prior(last, state.pace))

    for step, (count, size) in enumerate(zip(rows, sizes, strict=True)):
        number = state.steps + step + 1
        weight = math.log(weigh(number - 1, number))
        for (known, bets, counts, pooled), block in zip(made, blocks, strict=True):
            known.multiply(bets[:, step], weight, count - size)
            known.bet_on_spikes(block, counts[:, step], pooled[:, step], (number, count), weigh)
        found = [known.weigh(block) for known, block in zip(states, blocks, strict=True)]
        if plan.steps_between is None:
            found = [np.logaddexp(evidence, math.log(prior(number, state.pace))) for evidence in found]
        alarm = plan.steps_between is not None and _mean(found) >= plan.limit
        judged = alarm or plan.steps_between is None  # one stream alone spends no budget that is per windows
        for known, block, evidence in zip(states, blocks, found, strict=True):
            _note(plan, known, block, evidence, trail[: len(state.trail) + step + 1], judged=judged)
            if alarm:
                known.won[:] = -np.inf
                known.spikes[:] = 0.0
        alarms += [count] * alarm
    steps = state.steps + len(sizes)
    kept = np.array([_is_kept(step, steps) for step, _ in trail])
    shorter = tuple(point for point, keep in zip(trail, kept, strict=True) if keep)
    after = tuple(replace(known, totals=known.totals[kept]) for known in states)
    return State(rows[-1], steps, shorter, after, tuple(alarms), state.pace)


def _note(
    plan: Plan,
    known: BlockState,
    block: Block,
    evidence: Floats,
    trail: Sequence[tuple[int, int]],
    *,
    judged: bool,
) -> None:
    """Take note of log M after a step, and freeze the counts of effects where it is beyond its limit at a new peak."""
    steps, rows = trail[-1]
    higher = judged & (evidence >= plan.limit) & ((evidence > known.peak) | (known.crossed < 0))
    known.evidence[:] = evidence
    np.maximum(known.peak, evidence, out=known.peak)
    if not higher.any():
        return
    known.crossed[higher & (known.crossed < 0)] = rows
    for row in np.flatnonzero(higher).tolist():
        onset = known.leading(block, row)
        # Only totals that are remembered by now count, however the rows are cut.
        first = next(place for place, (step, past) in enumerate(trail) if past >= onset and _is_kept(step, steps))
        first = min(first, len(trail) - 2)
        before, now = (known.totals[place, row] for place in (first, len(trail) - 1))
        known.frozen[row] = before, now - before
        known.onset[row] = onset
    _mark_alerts(plan, known, higher, rows)


def _mean(found: list[Floats]) -> float:
    """Average over streams, in logarithms."""
    whole = np.concatenate(found)
    return float(np.logaddexp.reduce(whole)) - math.log(len(whole))


def _is_kept(step: int, steps: int) -> bool:
    """Say whether totals are remembered: after each of the last steps, and after about four in each octave of age."""
    age = steps - step
    return age < _RECENT or step % (1 << ((age // 4).bit_length() - 1)) == 0


def _sizes(pool: int, rows: int) -> list[int]:
    """Cut rows into steps: of a hundredth of the pool, from 1 to 100 rows."""
    sizes: list[int] = []
    while True:
        size = min(STEP, max(1, pool // STEP))
        if size > rows:
            return sizes
        if size == STEP:  # from here on all are alike
            return sizes + [STEP] * (rows // STEP)
        sizes.append(size)
        pool += size
        rows -= size


def _width(size: int) -> int:
    return -(-size // _LANE) * _LANE


def _batches(sizes: list[int], cells: int) -> Iterator[list[int]]:
    """Put together steps of the same width, as many as fit into a bounded memory."""
    first = 0
    while first < len(sizes):
        width = _width(sizes[first])
        most = max(1, _VALUES // max(cells, width))
        last = first
        while last < len(sizes) and last - first < most and _width(sizes[last]) == width:
            last += 1
        yield sizes[first:last]
        first = last


def _cells(stream: Stream, codes: Mapping[str, Codes], rows: int) -> Codes:
    """Give the cell of each row for a stream; nothing is known of a column that is not there."""
    if stream.column not in codes:
        return np.full(rows, MISSING, np.uint16)
    given = codes[stream.column]
    if len(given) != rows:
        raise InvalidInput(f"Column {stream.column!r} has {len(given):,} codes, and others {rows:,}.")
    return stream.cells(given)


def _value_streams(column: ColumnProfile) -> list[Stream]:
    found = []
    if column.kind == "number" and column.grid is not None and any(column.pool):
        found.append(Stream(column.name, column.name, "number", column.pool, chosen=column.spent or column.counts))
    if column.kind == "category" and any(column.pool):
        groups, cells = _level_groups(column)
        pool = np.bincount(groups, column.pool, cells).astype(np.int64)
        found.append(Stream(column.name, column.name, "category", tuple(pool.tolist()), groups))
    return found


def _missing_streams(column: ColumnProfile, named: set[str]) -> list[Stream]:
    if not column.rows:
        return []
    later = not column.nulls or column.kind not in {"number", "category"}
    pool = (column.nulls, column.rows - column.nulls)
    return [Stream(part_name(column.name, "missing", named), column.name, "missing", pool, later=later)]


def _level_groups(column: ColumnProfile) -> tuple[tuple[int, ...], int]:
    """Return the cell of each level, and how many cells there are: the frequent levels, perhaps the rare, the unseen.

    The rows that chose the levels are not in the pool: no level is in it because of what was chosen.
    """
    spent = column.spent or column.counts
    seen = sorted((level for level in range(len(column.levels)) if spent[level]), key=lambda k: (-spent[k], k))
    own = {level: cell for cell, level in enumerate(seen[: LEVELS - 1])}
    others = {*seen[LEVELS - 1 :], *([len(column.levels)] if spent[-1] else [])}
    rare, unseen = len(own), len(own) + bool(others)
    groups = (own.get(level, rare if level in others else unseen) for level in range(len(column.counts)))
    return tuple(groups), unseen + 1
