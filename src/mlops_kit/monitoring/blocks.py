"""Streams of one kind, side by side in arrays: what is bet on them, and what the bets have won."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_kit.measures.grids import MISSING, Codes
from mlops_kit.monitoring.bets import (
    FIRST_NUMBER_BETS,
    LEVEL_RATIOS,
    NUMBER_BETS,
    NUMBER_WEIGHTS,
    SHAPE_CELLS,
    SPIKE_BET,
    SPIKE_RATIOS,
    SPIKE_WEIGHT,
    Floats,
    Ints,
    level_bets,
    level_weights,
    number_bets,
    spike,
)
from mlops_kit.monitoring.effect import bins_of
from mlops_kit.monitoring.ranks import Words, draw_ranks


@dataclass(frozen=True)
class Block:
    """Some streams of one kind.

    Parameters
    ----------
    kind : str
        ``"number"`` or ``"level"``.
    places : tuple of int
        Where they are among the streams of the plan.
    cells : tuple of int
        How many cells each has; the arrays are as wide as the widest.
    reference : array of shape (streams, cells)
        How many rows of the reference each cell has.
    keys : array of shape (streams,)
        The seeds of their randomness.
    weights : array of shape (streams, bets)
        Logarithms of the weights of the bets; minus infinity where a stream has fewer.
    ends : array of shape (streams, bins)
        Before which cell each bin ends in which effects are measured; the last is repeated.
    seen : array of shape (streams, cells)
        Which cells the bins were chosen on; what is in the others is counted in one more bin.
    """

    kind: str
    places: tuple[int, ...]
    cells: tuple[int, ...]
    reference: Ints
    keys: Words
    weights: Floats
    ends: Ints
    seen: NDArray[np.bool_]

    @cached_property
    def padding(self) -> NDArray[np.bool_]:
        """Which cells a stream does not have, of those of the widest."""
        found: NDArray[np.bool_] = np.arange(self.reference.shape[1]) >= np.array(self.cells)[:, None]
        return found

    @cached_property
    def spike_weights(self) -> Floats:
        """The weight of each bet on a spike in a stream."""
        return SPIKE_WEIGHT / len(SPIKE_RATIOS) / np.array(self.cells)

    @cached_property
    def bins(self) -> Codes:
        """In which bin of effects each cell is, and after the last cell what stands for no value."""
        streams, cells = self.reference.shape
        found = np.full((streams, cells + 1), MISSING, np.uint16)
        for row, ends in enumerate(self.ends):
            inside = np.searchsorted(ends, np.arange(cells), side="right")
            found[row, :-1] = np.where(self.seen[row], inside, len(ends))
        return found

    @cached_property
    def totals(self) -> Ints:
        """How many rows of the reference are in each bin."""
        return np.stack([self.binned_row(row, counts) for row, counts in enumerate(self.reference)])

    def binned(self, cells: Codes) -> Ints:
        """Count cells of shape (streams, steps, width) in the bins in which effects are measured."""
        streams, width = self.bins.shape
        place = np.minimum(cells, np.uint16(width - 1)) + (np.arange(streams) * width)[:, None, None]
        return _counts(self.bins.ravel().take(place), self.ends.shape[1] + 1)

    def binned_row(self, row: int, counts: Ints) -> Ints:
        """Sum counts of one stream, of shape (cells,), over its bins."""
        found: Ints = np.bincount(self.bins[row, : len(counts)], counts, self.ends.shape[1] + 1).astype(np.int64)
        return found


def number_block(
    places: Sequence[int], pools: Sequence[tuple[int, ...]], keys: Sequence[int], chosen: Sequence[tuple[int, ...]]
) -> Block:
    """Put numbers side by side; `chosen` are the counts of the rows that chose their bins."""
    weights = np.tile(np.log(NUMBER_WEIGHTS), (len(pools), 1))
    return _block("number", places, pools, keys, weights, [bins_of(counts) for counts in chosen], chosen)


def level_block(
    places: Sequence[int], pools: Sequence[tuple[int, ...]], keys: Sequence[int], chosen: Sequence[tuple[int, ...]]
) -> Block:
    """Put streams of levels side by side; each level is a bin."""
    widest = max(map(len, pools))
    ratios = len(LEVEL_RATIOS)
    weights = np.full((len(pools), ratios * widest + 3), -np.inf)
    for row, pool in zip(weights, pools, strict=True):
        own = np.log(level_weights(len(pool)))
        row[: len(own) - 3], row[-3:] = own[:-3], own[-3:]
    return _block("level", places, pools, keys, weights, [tuple(range(1, len(pool) + 1)) for pool in pools], chosen)


def _block(
    kind: str,
    places: Sequence[int],
    pools: Sequence[tuple[int, ...]],
    keys: Sequence[int],
    weights: Floats,
    bins: Sequence[tuple[int, ...]],
    chosen: Sequence[tuple[int, ...]],
) -> Block:
    sizes = tuple(map(len, pools))
    reference = np.zeros((len(pools), max(sizes)), np.int64)
    seen = np.ones(reference.shape, bool)
    ends = np.zeros((len(pools), max(map(len, bins))), np.int64)
    for row, pool in enumerate(pools):
        reference[row, : len(pool)] = pool
        ends[row] = bins[row][-1]
        ends[row, : len(bins[row])] = bins[row]
        if kind == "number":
            seen[row, : len(pool)] = np.asarray(chosen[row]) > 0
    return Block(kind, tuple(places), sizes, reference, np.array(keys, np.uint64), weights, ends, seen)


@dataclass(frozen=True, slots=True)
class BlockState:
    """What the bets on the streams of a block have won.

    Parameters
    ----------
    pool : array of shape (streams, cells)
        How many rows each cell has, those of the reference and all later ones.
    won : array of shape (streams, bets)
        log A: each bet, averaged over the starts of a change.
    climb, start : array of shape (streams, bets)
        Each bet from its best start on, and the number of rows before that start.
    shape : array of shape (streams, 16)
        The fading histogram of ranks; of levels, empty.
    spikes : array of shape (streams, 2, cells)
        What each bet on a spike has won: A itself, not its logarithm; of levels, empty.
    spike_climb, spike_start : array of shape (streams, cells)
        For each cell the bet with the lower ratio from its best start on, and the number of rows before that.
    spike_counts : array of shape (streams, cells)
        Values that wait to be bet on: small steps are bet on together, which takes as long as one of them.
    spike_from : array of shape (2,)
        How many steps and rows came before these.
    evidence, peak : array of shape (streams,)
        log M, now and at its highest.
    crossed, alerted : array of shape (streams,)
        After how many rows M first reached its limit, and since when the effect was large enough; -1 if never.
    totals : array of shape (remembered, streams, bins)
        How many rows were in each bin of effects, those of the reference included.
    frozen : array of shape (streams, 2, bins)
        At the highest M beyond its limit: the rows before the onset of the leading bet, and those since.
    onset : array of shape (streams,)
        How many rows came before that onset; -1 if there was none.
    """

    pool: Ints
    won: Floats
    climb: Floats
    start: Ints
    shape: Floats
    spikes: NDArray[np.float32]
    spike_climb: NDArray[np.float32]
    spike_start: Ints
    spike_counts: Ints
    spike_from: Ints
    evidence: Floats
    peak: Floats
    crossed: Ints
    alerted: Ints
    totals: Ints
    frozen: Ints
    onset: Ints

    @classmethod
    def begin(cls, block: Block) -> BlockState:
        """Give the state before the first row."""
        streams = len(block.places)
        numbers = block.kind == "number"
        cells = (streams if numbers else 0, block.reference.shape[1])
        return cls(
            pool=block.reference.copy(),
            won=np.full(block.weights.shape, -np.inf),
            climb=np.zeros(block.weights.shape),
            start=np.zeros(block.weights.shape, np.int64),
            shape=np.zeros((streams, SHAPE_CELLS if numbers else 0)),
            spikes=np.zeros((cells[0], len(SPIKE_RATIOS), cells[1]), np.float32),
            spike_climb=np.zeros(cells, np.float32),
            spike_start=np.zeros(cells, np.int64),
            spike_counts=np.zeros(cells, np.int64),
            spike_from=np.zeros(2, np.int64),
            evidence=np.zeros(streams),
            peak=np.zeros(streams),
            crossed=np.full(streams, -1, np.int64),
            alerted=np.full(streams, -1, np.int64),
            totals=block.totals[None],
            frozen=np.zeros((streams, 2, block.totals.shape[1]), np.int64),
            onset=np.full(streams, -1, np.int64),
        )

    def copy(self) -> BlockState:
        """Give a state that can be changed."""
        return replace(self, **{field.name: getattr(self, field.name).copy() for field in fields(self)})

    def members(self, block: Block) -> dict[str, Any]:
        """Give plain members: lists of numbers, without the padding."""
        own = np.isfinite(block.weights)
        pairs = list(zip(self.pool, block.cells, strict=True))
        bets = {
            name: [row[mine].tolist() for row, mine in zip(getattr(self, name), own, strict=True)]
            for name in ("won", "climb", "start")
        }
        rest = {name: getattr(self, name).tolist() for name in ("shape", "evidence", "peak", "crossed", *_MARKS)}
        large = {name: _packed(getattr(self, name), kind) for name, kind in _LARGE.items()}
        plain = {"spike_from": self.spike_from.tolist(), "totals": _packed(self.totals, "<i8")}
        return {"pool": [row[:size].tolist() for row, size in pairs], **bets, **rest, **large, **plain}

    @classmethod
    def from_members(
        cls,
        block: Block,
        rows: Sequence[tuple[dict[str, Any], int] | None],
        names: Sequence[str] | None,
        *,
        trail: Sequence[tuple[int, int]],
    ) -> BlockState:
        """Read members written by `members`.

        Parameters
        ----------
        block : Block
            The streams.
        rows : sequence of pairs of dict and int, or None
            For each stream the members and the place in them; None for a stream that begins now.
        names : sequence of str or None
            The bets on numbers that they were written with; None for a state from before effects were kept.
        trail : sequence of pairs of int
            After how many steps and rows totals are remembered.
        """
        state = cls.begin(block)
        state.spike_from[:] = trail[-1]
        points = len(trail)
        unpacked: dict[int, dict[str, NDArray[Any]]] = {}
        own = np.isfinite(block.weights)
        totals = np.repeat(state.totals, points if names is not None else 1, axis=0)
        for row, known in enumerate(rows):
            if known is None:
                continue
            members, place = known
            size, pool = block.cells[row], members["pool"][place]
            kept = _kept_bets(block, size, len(pool), names)
            state.pool[row, :size] = pool if len(pool) == size else _spread(pool, block.reference[row, :size])
            for name in ("won", "climb", "start"):
                values = np.array(getattr(state, name)[row, own[row]])
                values[kept[0]] = np.asarray(members[name][place])[kept[1]]
                getattr(state, name)[row, own[row]] = values
            for name in ("evidence", "peak", "crossed", "shape", *(_MARKS if names is not None else ())):
                getattr(state, name)[row] = members[name][place]
            if names is not None:
                large = unpacked.setdefault(id(members), {}) or _large_of(members, unpacked[id(members)], points)
                totals[:, row] = large["totals"][:, place]
                large = {name: large[name] for name in _LARGE if SPIKE_BET in names or not name.startswith("spike")}
                if SPIKE_BET in names:
                    state.spike_from[:] = members["spike_from"]
                for name, values in large.items():
                    mine = getattr(state, name)
                    if len(mine):
                        theirs = values.reshape(len(members["pool"]), *mine.shape[1:-1], -1)[place]
                        width = min(mine.shape[-1], theirs.shape[-1])  # as wide as the widest stream of its block
                        mine[row, ..., :width] = theirs[..., :width]
            else:  # that of all its rows stands for the effect
                totals[0, row] = block.binned_row(row, state.pool[row])
                if state.crossed[row] >= 0:
                    state.frozen[row] = block.totals[row], totals[0, row] - block.totals[row]
                    state.onset[row] = 0
        np.copyto(
            state.spikes, 0, where=block.padding[: len(state.spikes), None]
        )  # some releases kept what is in no cell
        return replace(state, totals=totals)

    def bet(self, block: Block, cells: Codes, steps: int) -> tuple[BlockState, Floats, Ints, Ints]:
        """Bet on steps, and take their rows into the pool.

        Parameters
        ----------
        block : Block
            The streams.
        cells : array of shape (streams, steps, width)
            The cell of each value; 65,535 for none.
        steps : int
            How many steps there were before.

        Returns
        -------
        tuple
            The state with the rows in its pool, and the totals of each step remembered; the logarithms of the e-values,
            of shape (streams, steps, bets); and the counts of each step and the pool after it, of shape (streams,
            steps, cells).
        """
        counts = _counts(cells, self.pool.shape[1])
        pooled = _summed(self.pool, counts)
        totals = _summed(self.totals[-1], block.binned(cells)).transpose(1, 0, 2)
        shape = self.shape.copy()
        if block.kind == "number":
            draws = draw_ranks(cells, counts, pooled, block.keys, steps)
            bets = number_bets(draws, counts.sum(axis=2), shape)
        else:
            bets = level_bets(counts, pooled)
        totals = np.concatenate([self.totals, totals])
        return replace(self, pool=pooled[:, -1], shape=shape, totals=totals), bets, counts, pooled

    def multiply(self, bets: Floats, weight: float, before: int) -> None:
        """Multiply what was won by what one step won, a change having perhaps begun right before it.

        Parameters
        ----------
        bets : array of shape (streams, bets)
            Logarithms of the e-values of the step.
        weight : float
            The logarithm of the weight of a change that begins with this step.
        before : int
            How many rows there were before it.
        """
        np.logaddexp(self.won, weight, out=self.won)
        np.add(self.won, bets, out=self.won)
        _climb(self.climb, self.start, bets, before)

    def bet_on_spikes(
        self, block: Block, counts: Ints, pooled: Ints, point: tuple[int, int], weigh: Callable[[int, int], float]
    ) -> None:
        """Bet on cells as spikes.

        Parameters
        ----------
        block : Block
            The streams.
        counts, pooled : array of shape (streams, cells)
            How many values of a step are in each cell, and how many of the pool, the step included.
        point : pair of int
            How many steps and rows there were up to and with it.
        weigh : callable
            Gives the weight of the starts of a change after one number of steps and up to another.
        """
        if not len(self.spikes):
            return
        np.add(self.spike_counts, counts, out=self.spike_counts)
        steps, rows = self.spike_from.tolist()
        if point[1] - rows < SPIKE_ROWS:
            return
        totals = np.maximum(pooled.sum(axis=1), 1).astype(np.float32)
        shares = pooled.astype(np.float32) / totals[:, None]
        won = spike(self.spike_counts, self.spike_counts.sum(axis=1)[:, None], shares)
        _climb(self.spike_climb, self.spike_start, won[:, 0], rows)
        np.add(self.spikes, weigh(steps, point[0]), out=self.spikes)
        with np.errstate(over="ignore"):
            np.multiply(self.spikes, np.exp(won, out=won), out=self.spikes)
        np.minimum(self.spikes, _MOST, out=self.spikes)
        np.copyto(self.spikes, 0, where=block.padding[:, None])
        self.spike_counts[:] = 0
        self.spike_from[:] = point

    def weigh(self, block: Block) -> Floats:
        """Average over the bets of each stream: give log Σ π A."""
        weighted = self.won + block.weights
        top = weighted.max(axis=1)
        weighted -= top[:, None]
        found: Floats = np.log(np.exp(weighted, out=weighted).sum(axis=1)) + top
        if len(self.spikes):
            won = self.spikes.reshape(len(self.spikes), -1).sum(axis=1, dtype=np.float64)
            with np.errstate(divide="ignore"):
                found = np.logaddexp(found, np.log(won * block.spike_weights))
        return found

    def leading(self, block: Block, row: int) -> int:
        """Return the number of rows before the onset that the bet tells which has won most."""
        best = int(np.argmax(self.won[row] + block.weights[row]))
        if len(self.spikes):
            most = self.spikes[row, :, : block.cells[row]].max(axis=0)
            cell = int(most.argmax())
            won = float(most[cell]) * block.spike_weights[row]
            if won > 0 and np.log(won) > self.won[row, best] + block.weights[row, best]:
                return int(self.spike_start[row, cell])
        return int(self.start[row, best])


SPIKE_ROWS = 100
"""So many rows at least are bet on together as spikes."""
_MOST = 1e30
_MARKS = ("alerted", "onset")
_LARGE = {"spikes": "<f4", "spike_climb": "<f4", "spike_start": "<i8", "spike_counts": "<i8", "frozen": "<i8"}


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values, kind).tobytes(), 1)).decode("ascii")


def _unpacked(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind).astype(kind[1:])


def _large_of(members: Mapping[str, Any], into: dict[str, NDArray[Any]], points: int) -> dict[str, NDArray[Any]]:
    """Unpack what `members` packed, once for all streams."""
    into |= {name: _unpacked(members[name], kind) for name, kind in _LARGE.items()}
    into["totals"] = _unpacked(members["totals"], "<i8").reshape(points, len(members["pool"]), -1)
    return into


def _climb(climb: NDArray[Any], start: Ints, won: NDArray[Any], before: int) -> None:
    """Follow each bet from its best start on (Page's CUSUM)."""
    np.copyto(start, before, where=climb <= 0)
    np.maximum(climb, 0, out=climb)
    np.add(climb, won, out=climb)


def _kept_bets(block: Block, cells: int, before: int, names: Sequence[str] | None) -> tuple[list[int], list[int]]:
    """Find where the bets of a state stand in the present set: places in it, and in the state."""
    if block.kind == "number":
        known = {name: place for place, name in enumerate(names or FIRST_NUMBER_BETS)}
        pairs = [(place, known[name]) for place, name in enumerate(NUMBER_BETS) if name in known]
        return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]
    mine, theirs = (len(level_weights(number)) - 3 for number in (cells, before))
    both = min(mine, theirs) if mine == theirs else len(LEVEL_RATIOS) * (min(cells, before) - 1)
    return [*range(both), *range(mine, mine + 3)], [*range(both), *range(theirs, theirs + 3)]


def _spread(pool: Sequence[int], reference: Ints) -> Ints:
    """Spread the last count of a pool over the levels that were one, in the proportions of the reference."""
    own = len(pool) - 1
    rest = reference[own:]
    part = np.floor(rest * (pool[-1] / max(1, int(rest.sum())))).astype(np.int64)
    part[0] += pool[-1] - part.sum()
    return np.concatenate([np.asarray(pool[:-1], np.int64), part])


def _summed(first: Ints, counts: Ints) -> Ints:
    """Add the counts of each step to those before; of wide steps that takes a fraction of what cumsum takes."""
    sums = np.empty_like(counts)
    for step in range(counts.shape[1]):
        first = np.add(first, counts[:, step], out=sums[:, step])
    return sums


def _counts(cells: Codes, width: int) -> Ints:
    """Count the cells of each stream and step."""
    streams, steps, _ = cells.shape
    place = cells + (np.arange(streams * steps) * width).reshape(streams, steps, 1)
    given = place[cells != MISSING]
    counts: Ints = np.bincount(given, minlength=streams * steps * width).reshape(streams, steps, width)
    return counts
