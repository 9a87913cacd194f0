"""What a user of a monitor is told: false alerts in whole lives of awkward columns, and rows until a change alerts.

An alert is evidence beyond its limit and an effect of at least ``min_effect``, as a person gets it, and no verdict
before the effect. Changes happen to one of 20 columns at row 20,000, with a reference of 10,000; each is drawn anew 20
times.

Run with ``python benchmarks/monitoring_alerts.py [--lives 400] [--streams 20] [--only changes,lives]``. A life takes
some seconds of one core.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import pyarrow as pa

from mlops_kit.measures.profile import encode_table, profile_table
from mlops_kit.monitoring.derived import half_of, view_of
from mlops_kit.monitoring.evidence import Plan, State, advance, begin, whole_steps

ALPHA, COLUMNS = 0.025, 20
REFERENCE, CHANGE, AFTER, LIFE = 10_000, 20_000, 8_000, 100_000
PART = 20_000


def scores(rng, rows, power=1.0):
    """Draw probabilities, sharpened by a power."""
    p = rng.beta(2, 2, rows)
    return p**power / (p**power + (1 - p) ** power)


def normal(rng, rows):
    """Draw the column before its change."""
    return rng.normal(size=rows)


CHANGES = {
    "0.2 sd": (normal, lambda rng, n: rng.normal(0.2, 1, n)),
    "0.5 sd": (normal, lambda rng, n: rng.normal(0.5, 1, n)),
    "spread x 1.15": (normal, lambda rng, n: rng.normal(0, 1.15, n)),
    "spread x 2": (normal, lambda rng, n: rng.normal(0, 2, n)),
    "spread / 10": (normal, lambda rng, n: rng.normal(0, 0.1, n)),
    "2 % + 5 sd": (normal, lambda rng, n: rng.normal(size=n) + 5 * (rng.random(n) < 0.02)),
    "3 % at one value": (normal, lambda rng, n: np.where(rng.random(n) < 0.03, 0.7, rng.normal(size=n))),
    "half at the median": (normal, lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n))),
    "rounded to tens": (
        lambda rng, n: rng.normal(50, 15, n),
        lambda rng, n: np.round(rng.normal(50, 15, n), -1),
    ),
    "two humps": (normal, lambda rng, n: (np.abs(rng.normal(size=n)) + 0.5) * rng.choice([-1, 1], n)),
    "sharpened probabilities": (scores, lambda rng, n: scores(rng, n, 1.6)),
    "category mix": (
        lambda rng, n: rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        lambda rng, n: rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]),
    ),
    "missing 1 -> 4 %": (
        lambda rng, n: np.where(rng.random(n) < 0.01, np.nan, rng.normal(size=n)),
        lambda rng, n: np.where(rng.random(n) < 0.04, np.nan, rng.normal(size=n)),
    ),
    "missing 0 -> 3 %": (normal, lambda rng, n: np.where(rng.random(n) < 0.03, np.nan, rng.normal(size=n))),
}


def rows_until_the_alert(before, after, seed):
    """Return after how many rows of the change its column alerts; the limit is that of 20 columns."""
    rng = np.random.default_rng(seed)
    profile = profile_table(pa.table({"x": pa.array(before(rng, REFERENCE), from_pandas=True)}))
    plan = Plan.of(profile, monitor=str(seed), alpha=ALPHA / COLUMNS)
    life = np.concatenate([before(rng, CHANGE), after(rng, AFTER)])
    codes = encode_table(pa.table({"x": pa.array(life, from_pandas=True)}), profile)
    state = begin(plan)
    state = advance(
        plan, state, {name: values[: whole_steps(plan, state, len(life))] for name, values in codes.items()}
    )
    return min((rows - CHANGE for rows in alerts(state)), default=None)


def alerts(state: State) -> list[int]:
    """Return after how many rows each alert came."""
    return [int(rows) for block in state.blocks for rows in block.alerted if rows >= 0]


def awkward(rng, rows):
    """Draw 20 columns: ties, zeros, heavy tails, categories, text, ids, missing values."""
    made = {f"normal {i}": rng.normal(size=rows) for i in range(5)}
    made |= {f"rounded {i}": np.round(rng.normal(size=rows), i) for i in range(3)}
    made |= {f"zeros {i}": np.where(rng.random(rows) < 0.5, 0, rng.exponential(size=rows)) for i in range(2)}
    made |= {"cauchy": rng.standard_cauchy(rows), "lognormal": rng.lognormal(0, 3, rows)}
    made |= {f"missing {p}": np.where(rng.random(rows) < p, np.nan, rng.normal(size=rows)) for p in (0.001, 0.05)}
    made["codes"] = rng.choice([101, 205, 317, 460], rows)
    made["plan"] = rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])
    made["zip"] = np.array([f"z{k % 10_000}" for k in rng.zipf(1.3, rows)])
    made["product"] = np.array([f"p{k}" for k in rng.integers(0, 10_000, rows)])
    made["text"] = np.array([f"{a} bought {b}" for a, b in rng.integers(0, 10**6, (rows, 2))])
    made["id"] = np.arange(rows)
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in made.items()})


def alerts_of_a_life(seed):
    """Return which columns alert in a healthy life."""
    rng = np.random.default_rng([7, seed])
    reference = awkward(rng, REFERENCE)
    view = view_of(reference)
    profile = profile_table(view.of(reference, spent=half_of(REFERENCE)))
    watched, missing = view.watched(profile.by_name), view.missing(profile.by_name)
    plan = Plan.of(profile, monitor=f"life {seed}", alpha=ALPHA, columns=tuple(watched), missing=tuple(missing))
    state, left = begin(plan), {}
    for _ in range(LIFE // PART):
        codes = encode_table(view.of(awkward(rng, PART)), profile)
        codes = {name: np.concatenate([left.get(name, values[:0]), values]) for name, values in codes.items()}
        used = whole_steps(plan, state, len(codes["plan"]))
        state = advance(plan, state, {name: values[:used] for name, values in codes.items()})
        left = {name: values[used:] for name, values in codes.items()}
    return [
        plan.streams[place].name
        for block, known in zip(plan.blocks, state.blocks, strict=True)
        for place, rows in zip(block.places, known.alerted, strict=True)
        if rows >= 0
    ]


def main():
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=400)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--only", default="changes,lives")
    options = parser.parse_args()
    if "changes" in options.only:
        for name, (before, after) in CHANGES.items():
            found = [rows_until_the_alert(before, after, seed) for seed in range(options.streams)]
            known = [rows for rows in found if rows is not None and rows > 0]
            early = sum(rows is not None and rows <= 0 for rows in found)
            median = statistics.median(known) if known else None
            print(
                f"{name:25} alert after {median} rows (median), {len(known)} of {len(found)}, {early} before",
                flush=True,
            )
    if "lives" in options.only:
        start, wrong = time.process_time(), []
        for seed in range(options.lives):
            wrong += [(seed, name) for name in alerts_of_a_life(seed)]
            if (seed + 1) % 10 == 0:
                lives = len({life for life, _ in wrong})
                each = (time.process_time() - start) / (seed + 1)
                print(f"{lives} of {seed + 1} healthy lives with an alert, {each:.1f} s each: {wrong}", flush=True)


if __name__ == "__main__":
    main()
