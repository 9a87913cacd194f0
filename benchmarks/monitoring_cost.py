"""What a monitor costs: in the path of a prediction, behind it, of one batch, and in memory over ten million rows.

Run with ``python benchmarks/monitoring_cost.py [--quick]``; the whole takes some ten minutes, and writes about 2 GB to
a temporary directory. A drift check of 100,000 x 60 by others, measured once on two cores with the releases
that are named: Evidently 0.7.23 28.4 s, whylogs 1.6.4 11.8 s, NannyML 0.13.1 4.2 s, alibi-detect 0.13 1.2 s.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time

import numpy as np
import pandas as pd

import mlops_kit as mk

BATCH, FEATURES, CHECKED = 1000, 20, 100_000


def frame(rng, rows, columns):
    return pd.DataFrame(rng.normal(size=(rows, columns)), columns=[f"f{place}" for place in range(columns)])


def told(name, value, limit, unit):
    print(
        f"  {name:58} {value:8.2f} {unit}, limit {limit:g}   {'holds' if value <= limit else 'DOES NOT HOLD'}",
        flush=True,
    )


def one_batch(rng):
    """Check a frame with `Monitor(reference).check(frame)`, the reference being known."""
    monitor = mk.Monitor(frame(rng, CHECKED, 60))
    current, spent = frame(rng, CHECKED, 60), []
    for _ in range(6):
        begun = time.process_time()
        monitor.check(current)
        spent.append(time.process_time() - begun)
    told("check of 100,000 x 60 against a profile, CPU", statistics.median(spent[1:]), 0.3, "s")


def request_path(rng):
    """Log batches: what the caller waits for."""
    rows, scores = frame(rng, BATCH, FEATURES), rng.random(BATCH)
    monitor = mk.Monitor(frame(rng, 10_000, FEATURES), name="path", store="memory://path")
    monitor.log(rows, scores)
    waited = []
    for _ in range(300):
        begun = time.perf_counter()
        monitor.log(rows, scores)
        waited.append((time.perf_counter() - begun) / BATCH * 1e6)
    told(f"a row in the path of a prediction, batches of {BATCH:,}", statistics.median(waited), 1, "µs")


def behind(rng, window):
    """Log and check, all that it takes: writing, reading, rules and evidence."""
    reference, rows, scores = frame(rng, 10_000, FEATURES), frame(rng, CHECKED, FEATURES), rng.random(CHECKED)
    spent = []
    for number in range(3):
        monitor = mk.Monitor(reference, name="behind", store=f"memory://behind-{window}-{number}", window=window)
        monitor.check()
        begun = time.process_time()
        for first in range(0, CHECKED, BATCH):
            monitor.log(rows.iloc[first : first + BATCH], scores[first : first + BATCH])
        monitor.check()
        spent.append((time.process_time() - begun) / CHECKED * 1e6)
    told(f"a row logged and checked, {FEATURES} features, window={window}, CPU", min(spent), 10, "µs")


def memory(rng, rows):
    """Log and check so many rows on disk; print how the peak of the memory grows."""
    peak = []
    with tempfile.TemporaryDirectory() as place:
        monitor = mk.Monitor(frame(rng, 10_000, FEATURES), name="long", store=place, window=5000)
        for part in range(10):
            for _ in range(rows // 10 // CHECKED or 1):
                size = min(CHECKED, rows // 10)
                monitor.log(frame(rng, size, FEATURES), rng.random(size))
                monitor.flush()
            report = monitor.check()
            peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024))
            print(
                f"  {(part + 1) * rows // 10:10,} rows: peak of the memory {peak[-1]:6.0f} MB, {report.status}",
                flush=True,
            )
    told(f"growth of the peak from {rows // 5:,} to {rows:,} rows", peak[-1] / peak[1], 1.2, "times")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    one_batch(rng)
    request_path(rng)
    for window in (500, 5000):
        behind(rng, window)
    memory(rng, 500_000 if given.quick else 10_000_000)


if __name__ == "__main__":
    main()
