"""Ranks of new rows in a growing pool, with ties and bins broken at random: independent over steps.

In each bin the new rows take distinct positions, drawn uniformly, among all rows of the bin, old and new. So the set of
ranks of a step is a uniformly drawn set, independent of the sets of the steps before, whatever the distribution of the
data is, as long as it stays the same. (Mid-ranks would not be independent, nor ranks against a pool that is fixed.)

The draws come from a hash of (monitor, epoch, stream; step, row), so that a replay gives the same bits.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlops_kit.measures.grids import MISSING

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Words: TypeAlias = NDArray[np.uint64]

NO_RANK = np.int64(2**62)
"""Stands where there is no value."""

_ROW_BITS, _STEP_BITS = 8, 20
_SHUFFLE = 2048
_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58_476D_1CE4_E5B9), np.uint64(0x94D0_49BB_1331_11EB)


def stream_key(monitor: str, epoch: int, stream: str) -> int:
    """Give the seed of one stream of one epoch of a monitor.

    Examples
    --------
    >>> stream_key("fraud", 1, "age") == stream_key("fraud", 1, "age") != stream_key("fraud", 2, "age")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{monitor}\n{epoch}\n{stream}".encode("utf-8", "surrogatepass")).digest()[:8])


def uniforms(keys: Words, counters: Words) -> Floats:
    """Give numbers from the open interval (0, 1), each fixed by a key and a counter.

    References
    ----------
    G. Steele, D. Lea and C. Flood (2014). Fast splittable pseudorandom number generators. OOPSLA: SplitMix64.
    """
    words = keys + (counters + np.uint64(1)) * _GOLDEN
    words ^= words >> np.uint64(30)
    words *= _MIX_1
    words ^= words >> np.uint64(27)
    words *= _MIX_2
    words ^= words >> np.uint64(31)
    words >>= np.uint64(12)
    draws: Floats = words.astype(np.float64)
    draws += 0.5
    draws *= 2.0**-52
    return draws


def draw_ranks(codes: NDArray[np.uint16], counts: Ints, pooled: Ints, keys: Words, first_step: int) -> Floats:
    """Draw the ranks of the rows of some steps.

    Parameters
    ----------
    codes : array of shape (streams, steps, width)
        The bin of each value; 65,535 where there is none.
    counts : array of shape (streams, steps, bins)
        How many values of the step each bin has.
    pooled : array of shape (streams, steps, bins)
        How many values each bin has in the pool, those of this step and of all before it included.
    keys : array of shape (streams,)
        See `stream_key`.
    first_step : int
        The number of the first of the steps.

    Returns
    -------
    array of shape (streams, steps, width)
        Uniform numbers in (0, 1), sorted within each step; 0.5 where there is no value, at the end.
    """
    streams, steps, width = codes.shape
    bins = pooled.shape[2]
    below = np.cumsum(pooled, axis=2)
    given = codes != MISSING
    place = np.where(given, codes, 0).astype(np.intp)
    place += (np.arange(streams * steps) * bins).reshape(streams, steps, 1)
    counters = _counters(np.arange(first_step, first_step + steps)[:, None], np.arange(width)[None, :], 0)
    scaled = uniforms(keys[:, None, None], counters[None])
    # What is missing has a draw too, which after sorting breaks the ties of a value: it must be as good as any.
    sizes = np.where(given, pooled.reshape(-1).take(place), 1)
    scaled *= sizes
    whole = np.minimum(scaled.astype(np.int64), sizes - 1)
    scaled -= whole
    ranks = np.where(given, below.reshape(-1).take(place) - sizes + whole, NO_RANK)
    ranks.sort(axis=2)
    _part(ranks, counts, pooled, below, keys, first_step)
    total = pooled.sum(axis=2)[:, :, None]
    draws: Floats = (ranks + scaled) / np.maximum(total, 1)
    np.minimum(draws, 1 - 2.0**-53, out=draws)
    draws[ranks == NO_RANK] = 0.5
    return draws


def _counters(step: Ints, row: Ints, turn: Ints | int) -> Words:
    counters: Words = ((step << _STEP_BITS) | (np.asarray(turn) << _ROW_BITS) | row).astype(np.uint64)
    return counters


def _part(ranks: Ints, counts: Ints, pooled: Ints, below: Ints, keys: Words, first_step: int) -> None:
    """Draw again until all ranks of a step differ.

    Every set of positions stays as likely as any other, since the rule treats all positions of a bin alike.
    """
    streams, steps = np.nonzero(_repeats(ranks).any(axis=2))
    if not len(streams):
        return
    some, held = ranks[streams, steps], pooled[streams, steps]
    low = below[streams, steps] - held
    have, number = counts[streams, steps], first_step + steps
    crowded = (2 * have > held) & (have > 1)
    for place, bin_ in np.argwhere(crowded).tolist() if crowded.any() else []:
        # Most rows of the bin are new: drawing again would take long, so the positions are shuffled.
        start, size = low[place, bin_], int(held[place, bin_])
        counters = _counters(number[place], np.arange(size), _SHUFFLE + bin_)
        order = np.argsort(uniforms(keys[streams[place]], counters), kind="stable")
        mine = (some[place] >= start) & (some[place] < start + size)
        some[place, mine] = start + order[: have[place, bin_]]
    turn, apart = 0, np.arange(len(some)) * (low.max() + held.max() + 1)  # one sorted list of all bins of all steps
    starts = (low + apart[:, None]).ravel()
    while True:
        some.sort(axis=1)
        row, column = np.nonzero(_repeats(some))
        if not len(row):
            break
        turn += 1
        bin_ = np.searchsorted(starts, some[row, column] + apart[row], side="right") - 1
        size = held.ravel().take(bin_)
        draws = uniforms(keys[streams[row]], _counters(number[row], column, turn))
        some[row, column] = low.ravel().take(bin_) + np.minimum((draws * size).astype(np.int64), size - 1)
    ranks[streams, steps] = some


def _repeats(ranks: Ints) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (ranks[..., 1:] == ranks[..., :-1]) & (ranks[..., 1:] != NO_RANK)
    return same
