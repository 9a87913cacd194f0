"""The monitor beside other detectors of drift: false alarms in whole lives, and rows until a change is found.

All see the same rows, made from the same seeds. The others run in an environment of their own, made in a cache folder
at the first run: river's ADWIN (its default, and at a confidence that spends the same budget over features and life as
far as its bound goes), KSWIN and PageHinkley, each feature by itself; and a Kolmogorov-Smirnov test of scipy in each
window of 1,000 rows, at 0.05 over the features (Bonferroni). ``monitoring_truth.py`` does the same for worse models,
``monitoring_cost.py`` measures what it costs.

Run with ``python benchmarks/monitoring.py [--quick] [--only delays,windows,lives,peers]``. The whole takes about
an hour on two cores; ``--quick`` takes a few minutes, and its counts are small.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

ALPHA = 0.05
REFERENCE, LIFE, CHANGE, AFTER = 10_000, 100_000, 20_000, 8_000
PROMISED = 100
PEERS = ("ADWIN", "ADWIN, equal budget", "KSWIN, 4 features", "PageHinkley", "KS per window")
CACHE = Path(__file__).parents[1] / ".cache" / "benchmark-monitoring"
LIMITS = {
    "0.2 sd": 900,
    "0.1 sd": 3650,
    "scale x 1.15": 900,
    "2 % outliers": 1400,
    "category mix": 500,
    "missing 1 -> 4 %": 700,
    "0.5 sd": 200,
}
"""Rows until a user is told, at the median: of evidence and an effect that matters."""


# The rows that all see


def healthy(rng, rows, features, kind):
    """Draw features of one kind: continuous, rounded, categorical, or with 5 % missing."""
    if kind == "categorical":
        return rng.choice(4, (features, rows), p=[0.5, 0.3, 0.15, 0.05]).astype(float)
    values = rng.normal(size=(features, rows))
    if kind == "rounded":
        return np.round(values, 1)
    if kind == "missing":
        values[rng.random((features, rows)) < 0.05] = np.nan
    return values


def changed(rng, rows, change):
    """Draw the feature that changes, from its change on (or, with None, before)."""
    match change:
        case "0.1 sd" | "0.2 sd" | "0.5 sd":
            return rng.normal(size=rows) + float(change.removesuffix(" sd"))
        case "scale x 1.15":
            return rng.normal(size=rows) * 1.15
        case "2 % outliers":
            return rng.normal(size=rows) + 5 * (rng.random(rows) < 0.02)
        case "category mix":
            return rng.choice(3, rows, p=[0.5, 0.3, 0.2]).astype(float)
        case _:
            values = rng.normal(size=rows)
            values[rng.random(rows) < 0.04] = np.nan
            return values


def stream_of(change, seed):
    """Draw a reference, and a life in which the first of 20 features changes at row 20,000."""
    rng = np.random.default_rng([seed, sorted(LIMITS).index(change)])
    both = rng.normal(size=(20, REFERENCE + CHANGE + AFTER))
    if change == "category mix":
        both[0] = rng.choice(3, both.shape[1], p=[0.6, 0.3, 0.1])
    if change == "missing 1 -> 4 %":
        both[0, rng.random(both.shape[1]) < 0.01] = np.nan
    both[0, REFERENCE + CHANGE :] = changed(rng, AFTER, change)
    return both[:, :REFERENCE], both[:, REFERENCE:], {0} if change == "category mix" else set()


# Ours


def table(values, categories=()):
    import pyarrow as pa  # noqa: PLC0415 - the environment of the others does not have it

    names = pa.array([f"level {code}" for code in range(4)])
    columns = {}
    for place, row in enumerate(values):
        coded = place in categories
        columns[f"f{place}"] = pa.DictionaryArray.from_arrays(pa.array(row.astype(np.int8)), names) if coded else row
    return pa.table(columns)


def life(reference, values, categories=(), *, monitor, between=None):
    """Watch rows from the first to the last; give the plan and the state."""
    from mlops_kit.measures.profile import encode_table, profile_table  # noqa: PLC0415 - as above
    from mlops_kit.monitoring.evidence import Plan, advance, begin, whole_steps  # noqa: PLC0415 - as above

    profile = profile_table(table(reference, categories))
    plan = Plan.of(profile, monitor=monitor, alpha=ALPHA * np.pi**2 / 6, steps_between=between)
    state = begin(plan)
    done, rows = 0, values.shape[1]
    for stop in [*range(10_000, rows, 10_000), rows]:
        codes = encode_table(table(values[:, done:stop], categories), profile)
        used = whole_steps(plan, state, stop - done)
        state = advance(plan, state, {name: found[:used] for name, found in codes.items()})
        done += used
    return plan, state


def alerts(plan, state):
    """List the alerts of a life as a user gets them: after how many rows, and of which column."""
    return sorted(
        (int(known.alerted[row]), plan.streams[place].column)
        for block, known in zip(plan.blocks, state.blocks, strict=True)
        for row, place in enumerate(block.places)
        if known.alerted[row] >= 0
    )


def false_alarm(task):
    seed, features, kind = task
    rng = np.random.default_rng([1, seed, features])
    categories = set(range(features)) if kind == "categorical" else ()
    reference, values = healthy(rng, REFERENCE, features, kind), healthy(rng, LIFE, features, kind)
    plan, state = life(reference, values, categories, monitor=f"{seed}")
    return bool(alerts(plan, state))


def run_length(seed):
    """Give the mean run length in windows of 500 rows, where 100 were promised."""
    rng = np.random.default_rng([2, seed])
    reference, values = healthy(rng, REFERENCE, 20, "continuous"), healthy(rng, 300_000, 20, "continuous")
    _, state = life(reference, values, monitor=f"{seed}", between=PROMISED * 500 / 80)
    return len(state.alarms), state.rows / 500


def delay(task):
    change, seed = task
    reference, values, categories = stream_of(change, seed)
    found = alerts(*life(reference, values, categories, monitor=f"{seed}"))
    if not found or found[0][0] <= CHANGE:
        return None, False
    return found[0][0] - CHANGE, found[0][1] == "f0"


# The others


def peer(name, seed, change):
    """Run one of the others on a life; give the healthy rows before its first alarm, the delay, and who was named."""
    _, values, _ = stream_of(change, seed)
    alarms = window_alarms(values, seed, change) if name == "KS per window" else river_alarms(name, values)
    before = [row for row, _ in alarms if row < CHANGE]
    after = [(row, place) for row, place in alarms if row >= CHANGE]
    first = min(after, default=(None, None))
    return bool(before), None if first[0] is None else first[0] - CHANGE + 1, first[1] == 0


def river_alarms(name, values):
    """Feed each feature to a detector of its own; a missing value is fed as 0, its presence is not watched."""
    from river import drift  # noqa: PLC0415 - only in the environment of the others

    checks = 20 * values.shape[1] / 32
    made = {
        "ADWIN": drift.ADWIN,
        "ADWIN, equal budget": lambda: drift.ADWIN(delta=ALPHA / checks),
        "KSWIN, 4 features": lambda: drift.KSWIN(seed=0),
        "PageHinkley": drift.PageHinkley,
    }[name]
    alarms = []
    watched = values[:4] if name.startswith("KSWIN") else values  # it takes minutes for the life of 20
    for place, row in enumerate(np.nan_to_num(watched)):
        detector = made()
        for number, value in enumerate(row.tolist()):
            detector.update(value)
            if detector.drift_detected:
                alarms.append((number, place))
                if number >= CHANGE:
                    break
    return alarms


def window_alarms(values, seed, change):
    """Test each feature of each window of 1,000 rows against the reference."""
    from scipy.stats import ks_2samp  # noqa: PLC0415 - with the others

    reference, _, _ = stream_of(change, seed)
    alarms = []
    for end in range(1000, values.shape[1] + 1, 1000):
        for place, (known, row) in enumerate(zip(reference, values[:, end - 1000 : end], strict=True)):
            if ks_2samp(known[~np.isnan(known)], row[~np.isnan(row)]).pvalue < ALPHA / 20:
                alarms.append((end - 1, place))
    return alarms


def peers_python():
    """Give the interpreter of the environment of the others, made now if there is none."""
    python = CACHE / "bin" / "python"
    if not python.exists():
        print(f"making an environment for the others in {CACHE} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", CACHE], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "river", "scipy", "numpy"], check=True)
    return python


def ask_peers(tasks, workers, script=__file__):
    """Run tasks of a script in the environment of the others."""
    done = subprocess.run(
        [peers_python(), script, "--answer", str(workers)],
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


# The report


def interval(hits, number):
    """Give the Clopper-Pearson interval of a share, at 95 %."""
    from scipy.stats import beta  # noqa: PLC0415 - as above

    low = beta.ppf(0.025, hits, number - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, number - hits) if hits < number else 1.0
    return f"{hits:4} of {number:4} ({low:.3f} to {high:.3f})"


def verdict(holds):
    return "holds" if holds else "DOES NOT HOLD"


def show_lives(pool, quick):
    kinds = ("continuous", "rounded", "categorical", "missing")
    plans = [(20, 24)] if quick else [(20, 400), (5, 100), (100, 100), (1000, 20)]
    print(f"\nFalse alarms in lives of {LIFE:,} rows, limit {ALPHA}")
    for features, number in plans:
        tasks = [(seed, features, kinds[seed % len(kinds)]) for seed in range(number)]
        hits = list(pool.map(false_alarm, tasks))
        for kind in kinds:
            mine = [hit for hit, task in zip(hits, tasks, strict=True) if task[2] == kind]
            print(f"  {features:5} features  {kind:12} {interval(sum(mine), len(mine))}", flush=True)
        held = verdict(sum(hits) <= ALPHA * number)
        print(f"  {features:5} features  {'all':12} {interval(sum(hits), number)}  {held}", flush=True)


def show_windows(pool, quick):
    found = list(pool.map(run_length, range(2 if quick else 12)))
    alarms, windows = (sum(part) for part in zip(*found, strict=True))
    length = windows / max(1, alarms)
    print(f"\nWindows between false alarms, {PROMISED} promised, {alarms} alarms in {windows:,.0f} windows")
    print(f"  {length:.0f}  {verdict(length >= PROMISED)}", flush=True)


def show_delays(pool, quick):
    number = 8 if quick else 60
    print("\nRows from a change to the alarm: median of ours, limit; how many were found, and named rightly")
    for change, limit in LIMITS.items():
        found = list(pool.map(delay, [(change, seed) for seed in range(number)]))
        rows = [row if row is not None else float("inf") for row, _ in found]
        named = sum(right for _, right in found)
        median = statistics.median(rows)
        held = verdict(median <= limit and named >= 0.95 * number)
        counts = f"found {sum(np.isfinite(rows))} of {number}, named {named}"
        print(f"  {change:18} {median:7.0f}   limit {limit:5}   {counts}   {held}", flush=True)


def show_peers(workers, quick):
    print(
        "\nThe others, on the same rows: median delay of those that alarmed; lives with a false alarm before the change"
    )
    for name in PEERS:
        number = 1 if quick else 2 if name.startswith("KSWIN") else 20
        tasks = [(name, seed, change) for change in LIMITS for seed in range(number)]
        answers = ask_peers(tasks, workers)
        for change in LIMITS:
            mine = [answer for answer, task in zip(answers, tasks, strict=True) if task[2] == change]
            rows = [delayed for _, delayed, _ in mine if delayed is not None]
            median = f"{statistics.median(rows):7.0f}" if rows else "   none"
            named = sum(right for _, _, right in mine)
            early = interval(sum(alarmed for alarmed, _, _ in mine), number)
            print(f"  {name:20} {change:18} {median}   named {named} of {number}   false alarms {early}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="delays,windows,lives,peers")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--answer", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        with ProcessPoolExecutor(given.answer) as pool:
            print(json.dumps(list(pool.map(peer, *zip(*json.load(sys.stdin), strict=True)))))
        return
    wanted = given.only.split(",")
    with ProcessPoolExecutor(given.workers) as pool:
        for name, show in (("delays", show_delays), ("windows", show_windows), ("lives", show_lives)):
            if name in wanted:
                show(pool, given.quick)
    if "peers" in wanted:
        show_peers(given.workers, given.quick)


if __name__ == "__main__":
    main()
