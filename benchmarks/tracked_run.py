"""One durable tracked run, with 10 parameters and 5 metrics, beside the least it can cost.

The floor is one JSON of the same size, written to a temporary file, synced, renamed, and its directory synced:
nothing durable can cost less. Both alternate in one process, so that a noisy disk is noisy for both.

A virtual disk may sync in a fifth of a millisecond, so that the floor is little more than a few calls of the system;
``--sync-ms 4`` lets each sync take as long as on the disk that the limit was set for, for both alike.

Run with ``python benchmarks/tracked_run.py [--runs 300] [--sync-ms 4]``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["MLOPS_KIT_SUMMARY"] = "0"

import mlops_kit as mk

LIMIT = 1.5
FIRST_LIMIT_MS = 150


def floor(folder: Path, number: int, data: bytes) -> None:
    """Write one durable file, the least that can be done."""
    temporary, final = folder / f"{number}.tmp", folder / f"{number}.json"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    os.rename(temporary, final)
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


@mk.track
def train(a=1, b=2.5, c="three", d=None, e=True, f=6, g=7, h=8, i=9, j=10):
    mk.log_metrics({"auc": 0.9, "accuracy": 0.8, "recall": 0.7, "precision": 0.6, "loss": 0.5})


def milliseconds(act) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def slow_down_syncs(seconds: float) -> None:
    """Let each sync take some time more, as on a slower disk."""
    sync = os.fsync

    def slow(fd: int) -> None:
        sync(fd)
        time.sleep(seconds)

    os.fsync = slow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--sync-ms", type=float, default=0.0)
    options = parser.parse_args()
    runs = options.runs
    if options.sync_ms:
        slow_down_syncs(options.sync_ms / 1000)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        os.environ["MLOPS_KIT_STORE"] = f"{folder}/store"
        first = milliseconds(train)
        end = next(Path(folder).glob("store/runs/*/*.end.json")).read_bytes()
        plain = Path(folder) / "plain"
        plain.mkdir()
        pairs = [(milliseconds(train), milliseconds(lambda n=n: floor(plain, n, end))) for n in range(runs)]
    ours = statistics.median(pair[0] for pair in pairs)
    least = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    print(f"one tracked run      {ours:8.3f} ms   median of {runs}")
    print(f"floor                {least:8.3f} ms   one JSON of {len(end)} bytes, fsync, rename, fsync of the directory")
    print(f"ratio                {ratio:8.2f}      limit {LIMIT}")
    print(f"first run            {first:8.1f} ms   fresh store, everything captured; limit {FIRST_LIMIT_MS}")


if __name__ == "__main__":
    main()
