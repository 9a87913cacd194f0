"""Streams of one kind, side by side in arrays: what is bet on them, and what the bets have won."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_kit.measures.grids import MISSING, Codes
from mlops_kit.monitoring.bets import (
    LEVEL_RATIOS,
    NUMBER_WEIGHTS,
    SHAPE_CELLS,
    Floats,
    Ints,
    level_bets,
    level_weights,
    number_bets,
)
from mlops_kit.monitoring.ranks import Words, draw_ranks


@dataclass(frozen=True, slots=True)
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
    """

    kind: str
    places: tuple[int, ...]
    cells: tuple[int, ...]
    reference: Ints
    keys: Words
    weights: Floats

    @property
    def above(self) -> Ints:
        """For each cell, twice the rows of the reference that are in lower cells, and those in it once."""
        found: Ints = 2 * np.cumsum(self.reference, axis=1) - self.reference
        return found


def number_block(places: Sequence[int], pools: Sequence[tuple[int, ...]], keys: Sequence[int]) -> Block:
    """Put numbers side by side."""
    weights = np.tile(np.log(NUMBER_WEIGHTS), (len(pools), 1))
    return _block("number", places, pools, keys, weights)


def level_block(places: Sequence[int], pools: Sequence[tuple[int, ...]], keys: Sequence[int]) -> Block:
    """Put streams of levels side by side."""
    widest = max(map(len, pools))
    ratios = len(LEVEL_RATIOS)
    weights = np.full((len(pools), ratios * widest + 3), -np.inf)
    for row, pool in zip(weights, pools, strict=True):
        own = np.log(level_weights(len(pool)))
        row[: len(own) - 3], row[-3:] = own[:-3], own[-3:]
    return _block("level", places, pools, keys, weights)


def _block(
    kind: str, places: Sequence[int], pools: Sequence[tuple[int, ...]], keys: Sequence[int], weights: Floats
) -> Block:
    sizes = tuple(map(len, pools))
    reference = np.zeros((len(pools), max(sizes)), np.int64)
    for row, pool in zip(reference, pools, strict=True):
        row[: len(pool)] = pool
    return Block(kind, tuple(places), sizes, reference, np.array(keys, np.uint64), weights)


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
    evidence, peak : array of shape (streams,)
        log M, now and at its highest.
    crossed : array of shape (streams,)
        After how many rows M first reached its limit; -1 if never.
    counted, ranked : array of shape (remembered, streams)
        How many values there had been, and the sum of `Block.above` over them; of levels, the second is empty.
    levels : array of shape (remembered, streams, cells)
        How many values each level had had; of numbers, empty.
    """

    pool: Ints
    won: Floats
    climb: Floats
    start: Ints
    shape: Floats
    evidence: Floats
    peak: Floats
    crossed: Ints
    counted: Ints
    ranked: Ints
    levels: Ints

    @classmethod
    def begin(cls, block: Block) -> BlockState:
        """Give the state before the first row."""
        streams, cells = block.reference.shape
        numbers = block.kind == "number"
        return cls(
            pool=block.reference.copy(),
            won=np.full(block.weights.shape, -np.inf),
            climb=np.zeros(block.weights.shape),
            start=np.zeros(block.weights.shape, np.int64),
            shape=np.zeros((streams, SHAPE_CELLS if numbers else 0)),
            evidence=np.zeros(streams),
            peak=np.zeros(streams),
            crossed=np.full(streams, -1, np.int64),
            counted=np.zeros((1, streams), np.int64),
            ranked=np.zeros((1, streams if numbers else 0), np.int64),
            levels=np.zeros((1, streams, 0 if numbers else cells), np.int64),
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
        levels = [[row[:size].tolist() for row, size in zip(rows, block.cells, strict=True)] for rows in self.levels]
        rest = ("shape", "evidence", "peak", "crossed", "counted", "ranked")
        plain = {name: getattr(self, name).tolist() for name in rest}
        return {"pool": [row[:size].tolist() for row, size in pairs], **bets, **plain, "levels": levels}

    @classmethod
    def from_members(cls, block: Block, members: dict[str, Any]) -> BlockState:
        """Read members written by `members`."""
        state = cls.begin(block)
        own = np.isfinite(block.weights)
        for name in ("won", "climb", "start"):
            for row, mine, given in zip(getattr(state, name), own, members[name], strict=True):
                row[mine] = given
        for row, size, given in zip(state.pool, block.cells, members["pool"], strict=True):
            row[:size] = given
        remembered = len(members["counted"])
        levels = np.zeros((remembered, *state.levels.shape[1:]), np.int64)
        if block.kind == "level":
            for rows, entry in zip(levels, members["levels"], strict=True):
                for row, size, given in zip(rows, block.cells, entry, strict=True):
                    row[:size] = given
        shape = np.array(members["shape"], np.float64).reshape(state.shape.shape)
        ranked = np.array(members["ranked"], np.int64).reshape(remembered, -1)
        counted = np.array(members["counted"], np.int64).reshape(remembered, -1)
        evidence, peak = (np.array(members[name], np.float64) for name in ("evidence", "peak"))
        crossed = np.array(members["crossed"], np.int64)
        return replace(
            state,
            shape=shape,
            ranked=ranked,
            counted=counted,
            levels=levels,
            evidence=evidence,
            peak=peak,
            crossed=crossed,
        )

    def bet(self, block: Block, cells: Codes, steps: int) -> tuple[BlockState, Floats]:
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
            The state with the rows in its pool, and with totals remembered after each of the steps; and the logarithms
            of the e-values, of shape (streams, steps, bets).
        """
        counts = _counts(cells, self.pool.shape[1])
        pooled = np.cumsum(counts, axis=1)
        pooled += self.pool[:, None]
        numbers = counts.sum(axis=2)
        counted = self.counted[-1] + np.cumsum(numbers, axis=1).T
        shape, ranked, levels = self.shape.copy(), self.ranked, self.levels
        if block.kind == "number":
            draws = draw_ranks(cells, counts, pooled, block.keys, steps)
            bets = number_bets(draws, numbers, shape)
            above = np.einsum("fsb,fb->fs", counts, block.above)
            ranked = np.concatenate([ranked, ranked[-1] + np.cumsum(above, axis=1).T])
            levels = np.concatenate([levels, np.zeros((len(counted), *levels.shape[1:]), np.int64)])
        else:
            bets = level_bets(counts, pooled)
            levels = np.concatenate([levels, levels[-1] + np.cumsum(counts, axis=1).transpose(1, 0, 2)])
            ranked = np.concatenate([ranked, np.zeros((len(counted), 0), np.int64)])
        counted = np.concatenate([self.counted, counted])
        state = replace(self, pool=pooled[:, -1], shape=shape, counted=counted, ranked=ranked, levels=levels)
        return state, bets

    def remember(self, kept: NDArray[np.bool_]) -> BlockState:
        """Forget the totals after steps that are not to be kept."""
        return replace(self, counted=self.counted[kept], ranked=self.ranked[kept], levels=self.levels[kept])

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
        fresh = self.climb <= 0
        self.start[fresh] = before
        np.maximum(self.climb, 0, out=self.climb)
        np.add(self.climb, bets, out=self.climb)

    def weigh(self, block: Block) -> Floats:
        """Average over the bets of each stream: give log Σ π A."""
        weighted = self.won + block.weights
        top = weighted.max(axis=1)
        safe = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(divide="ignore"):
            found: Floats = np.log(np.exp(weighted - safe[:, None]).sum(axis=1)) + safe
        return found

    def note(self, evidence: Floats, limit: float, rows: int) -> None:
        """Take note of log M after so many rows."""
        self.evidence[:] = evidence
        np.maximum(self.peak, evidence, out=self.peak)
        self.crossed[(evidence >= limit) & (self.crossed < 0)] = rows


def _counts(cells: Codes, width: int) -> Ints:
    """Count the cells of each stream and step."""
    streams, steps, _ = cells.shape
    place = cells + (np.arange(streams * steps) * width).reshape(streams, steps, 1)
    given = place[cells != MISSING]
    counts: Ints = np.bincount(given, minlength=streams * steps * width).reshape(streams, steps, width)
    return counts
