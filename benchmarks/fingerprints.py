"""How fast tables are fingerprinted, beside what SHA-256 alone takes for the same buffers, on one thread and on two.

The two alternate in one process, and the medians of their ratios are printed, so that a busy machine is busy for
both. A column with NaN in it has to be copied, and has no limit. On one thread CPU time counts; on two, elapsed
time, against the buffers hashed by two threads as well.

Run with ``python benchmarks/fingerprints.py [rounds]``.
"""

from __future__ import annotations

import hashlib
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa

from mlops_kit.fingerprints.tables import BLOCK_ROWS, table_fingerprint

LIMIT = 0.8
ROWS = 16 * BLOCK_ROWS


def tables() -> dict[str, pa.Table]:
    rng = np.random.default_rng(0)
    floats = {f"c{i}": rng.normal(size=ROWS) for i in range(4)}
    return {
        "int64": pa.table({f"c{i}": rng.integers(0, 2**40, ROWS) for i in range(4)}),
        "float64": pa.table(floats),
        "float64, 1 % NaN": pa.table({k: np.where(rng.random(ROWS) < 0.01, np.nan, v) for k, v in floats.items()}),
        "strings": pa.table({f"c{i}": [f"{n % 977} of {n}" for n in range(i, ROWS + i)] for i in range(2)}),
    }


def buffers(table: pa.Table) -> list[memoryview]:
    """Cut the buffers of a table, without validity, into pieces as long as a block of 8-byte values."""
    whole = [memoryview(b) for c in table.columns for chunk in c.chunks for b in chunk.buffers()[1:] if b is not None]
    step = 8 * BLOCK_ROWS
    return [buffer[start : start + step] for buffer in whole for start in range(0, len(buffer), step)]


def hash_all(pieces: list[memoryview], threads: int) -> None:
    if threads == 1:
        for piece in pieces:
            hashlib.sha256(piece).digest()
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda first: hash_all(pieces[first::threads], 1), range(threads)))


def seconds(act, clock) -> float:
    begun = clock()
    act()
    return clock() - begun


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for name, table in tables().items():
        pieces = buffers(table)
        size = sum(map(len, pieces)) / 1e6
        for threads, clock in ((1, time.process_time), (2, time.perf_counter)):
            pairs = [
                (
                    seconds(partial(hash_all, pieces, threads), clock),
                    seconds(partial(table_fingerprint, table, max_workers=threads), clock),
                )
                for _ in range(rounds)
            ]
            ratio = statistics.median(floor / ours for floor, ours in pairs)
            floor, ours = (size / statistics.median(times) for times in zip(*pairs, strict=True))
            print(
                f"{name:17} {threads} thread{'s' if threads > 1 else ' '}  SHA-256 {floor:6.0f} MB/s   "
                f"fingerprint {ours:6.0f} MB/s   ratio {ratio:.2f}" + ("" if "NaN" in name else f"   limit {LIMIT}")
            )


if __name__ == "__main__":
    main()
