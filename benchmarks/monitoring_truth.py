"""Worse models found by labels: rows until the alarm, silence within the tolerance, false alarms, and a fraud scenario.

Three parts see losses of a model that errs in 10 % of the rows: healthy lives; lives in which it errs in 15 % from some
row on, while the inputs stay what they were; and lives at 12 % with a tolerance of 0.02. Beside them stands river's
ADWIN on the same errors, at its default and at a confidence that spends the same budget, in the environment of
``monitoring.py``. In the fourth part 1 % of the cases are fraud, labels come 3 to 30 days late, a check runs each day,
and at some day the recall falls from 0.8 to 0.5. In the fifth a model with a loss of .199 has a day of .478, and is
then as before, better, or no better: labelled rows from the end of that day until the alert is told as over.

Run with ``python benchmarks/monitoring_truth.py [--quick] [--first-seed N] [--only PARTS]``; the whole takes about ten
minutes.
"""

import argparse
import json
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np

from monitoring import ask_peers, interval, verdict

ALPHA, REFERENCE, HEALTHY, AFTER = 0.05, 10_000, 5_000, 20_000
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, FALL, A_DAY = 100, 40, 2000
USUAL, BAD, ROWS_A_DAY, DAYS_AFTER = 0.199, 0.478, 500, 20
PARTS = ("change", "tolerance", "healthy", "fraud", "end")


def errors(seed, later, rows):
    """Draw the errors of a life: 10 % of the reference and of the healthy rows, then another share."""
    rng = np.random.default_rng([7, seed])
    return [(rng.random(n) < share).astype(float) for n, share in ((REFERENCE, 0.1), (HEALTHY, 0.1), (rows, later))]


def alarm(task):
    """Judge a binary model, half of whose rows are positive; give the rows from the change to the first alarm."""
    import pandas as pd  # noqa: PLC0415 - other environments run this file, too

    from mlops_kit.monitoring.judge import Performance  # noqa: PLC0415 - as above
    from mlops_kit.monitoring.settings import Settings  # noqa: PLC0415 - as above
    from mlops_kit.monitoring.task import Task  # noqa: PLC0415 - as above

    def judged(wrong):
        truth = rng.integers(0, 2, len(wrong))
        return pd.DataFrame({"label": truth, "prediction": np.where(wrong > 0, 1 - truth, truth)})

    seed, later, rows, tolerance = task
    rng = np.random.default_rng([6, seed])
    before, healthy, after = errors(seed, later, rows)
    settings = {"share": Settings(alpha=ALPHA).spend(1) / 2, "tolerance": tolerance, "by_day": True}
    state = Performance.begin(Task("binary", (0, 1)), judged(before), **settings)
    life = judged(np.concatenate([healthy, after]))
    life["at"] = [START + timedelta(days=row // A_DAY) for row in range(len(life))]
    step = 100 if len(life) < 50_000 else 5000
    for first in range(0, len(life), step):
        state = state.after(life[first : first + step], window=10**9)
        if any(loss.harmed for loss in state.reports()):
            return first + step - HEALTHY
    return None


def adwin(task):
    """Do the same with ADWIN, which stops at the first alarm after the change."""
    from river import drift  # noqa: PLC0415 - only in the environment of the others

    seed, later, rows, equal = task
    _, healthy, after = errors(seed, later, rows)
    life = np.concatenate([healthy, after])
    detector = drift.ADWIN(delta=ALPHA / 6 / (len(life) / 32)) if equal else drift.ADWIN()
    for row, value in enumerate(life.tolist()):
        detector.update(value)
        if detector.drift_detected:
            return row + 1 - HEALTHY
    return None


def end(task):
    """Judge a model that has one bad day; return the rows from its end until its error is told as over, or None."""
    import pandas as pd  # noqa: PLC0415 - other environments run this file, too

    from mlops_kit.monitoring.judge import Performance, by_day  # noqa: PLC0415 - as above
    from mlops_kit.monitoring.settings import Settings  # noqa: PLC0415 - as above
    from mlops_kit.monitoring.task import Task  # noqa: PLC0415 - as above

    def judged(share, number, day=0):
        truth = rng.integers(0, 2, number)
        decided = np.where(rng.random(number) < share, 1 - truth, truth)
        return pd.DataFrame({"label": truth, "prediction": decided, "at": START + timedelta(days=day)})

    seed, later, days = task
    rng = np.random.default_rng([10, seed])
    share = Settings(alpha=ALPHA).spend(1) / 2
    state = Performance.begin(Task("binary", (0, 1)), judged(USUAL, REFERENCE), share=share, by_day=days)
    known, alarmed = {}, False
    for day, loss in enumerate([USUAL] * 4 + [BAD] + [later] * DAYS_AFTER):
        rows = judged(loss, ROWS_A_DAY, day)
        known = by_day(known, rows["at"])
        for first in range(0, ROWS_A_DAY, 50):
            state = state.after(rows[first : first + 50], window=10**9, predicted=known)
            harmed = any(report.harmed for report in state.reports() if report.name == "error")
            alarmed = alarmed or (harmed and day >= 4)
            if alarmed and not harmed:
                return (day - 5) * ROWS_A_DAY + first + 50
    return None if alarmed else float("nan")


def cases(rng, number, recall):
    """Draw cases of which 1 % are fraud, with the decisions of a model."""
    import pandas as pd  # noqa: PLC0415 - the environment of the others does not have it

    fraud = rng.random(number) < 0.01
    flagged = np.where(fraud, rng.random(number) < recall, rng.random(number) < 0.005)
    amount, region = rng.lognormal(3, 1, number), rng.choice(["north", "south"], number)
    return pd.DataFrame(
        {"amount": amount, "region": region, "flagged": flagged.astype(int), "fraud": fraud.astype(int)}
    )


def days_of_labels(rng):
    """Draw days of cases, and for each day the rows whose labels arrive on it, 3 to 30 days late."""
    import pandas as pd  # noqa: PLC0415 - as above

    known = []
    for day in range(DAYS):
        rows = cases(rng, A_DAY, 0.8 if day < FALL else 0.5)
        due = day + rng.integers(3, 31, A_DAY)
        known.append(rows.assign(at=pd.Timestamp(START + timedelta(days=day)), day=day, due=due))
    every = pd.concat(known, ignore_index=True)
    return every, [every[every["due"] == day] for day in range(DAYS)]


def fraud(seed):
    """Judge labels as they arrive; give the labelled frauds since the fall, and the days, until it is told."""
    from mlops_kit.monitoring.judge import Performance  # noqa: PLC0415 - as above
    from mlops_kit.monitoring.settings import Settings  # noqa: PLC0415 - as above
    from mlops_kit.monitoring.task import Task  # noqa: PLC0415 - as above

    rng = np.random.default_rng([8, seed])
    names = {"flagged": "prediction", "fraud": "label"}
    share = Settings(alpha=ALPHA).spend(1) / 2
    state = Performance.begin(
        Task("binary", (0, 1)), cases(rng, 50_000, 0.8).rename(columns=names), share=share, by_day=True
    )
    count = 0
    for day, rows in enumerate(days_of_labels(rng)[1]):
        state = state.after(rows.rename(columns=names), window=100_000)
        count += int(rows.loc[rows["day"] >= FALL, "fraud"].sum())
        harmed = [loss for loss in state.reports() if loss.harmed]
        if harmed:
            return count if day >= FALL else None, day - FALL, (min(loss.since for loss in harmed) - START).days - FALL
    return float("inf"), None, None


def whole_life():
    """Live the same through a whole monitor, with segments; give the alert as people are told."""
    import mlops_kit as mk  # noqa: PLC0415 - as above

    rng = np.random.default_rng(9)
    columns = {"prediction": "flagged", "target": "fraud", "segments": "region"}
    monitor = mk.Monitor(cases(rng, 50_000, 0.8), name="cards", store="memory://cards", **columns)
    every, arrivals = days_of_labels(rng)
    for day in range(DAYS):
        today, rows = START + timedelta(days=day), every[every["day"] == day]
        monitor.log(rows[["amount", "region"]], rows["flagged"], ids=rows.index.astype(str), at=today)
        monitor.log_labels(arrivals[day].index.astype(str), arrivals[day]["fraud"], at=today)
        told = [alert for alert in monitor.check(now=today).alerts if alert.kind == "performance"]
        if told:
            return [f"day {day - FALL} after the fall: {alert.subject}: {alert.message}" for alert in told]
    return ["nothing was told"]


def show(name, found, limit=None):
    early = sum(row is not None and row <= 0 for row in found)
    rows = [float("inf") if row is None else row for row in found if row is None or row > 0]
    median = statistics.median(rows) if rows else float("inf")
    held = "" if limit is None else f"   limit {limit}   {verdict(median <= limit)}"
    print(
        f"  {name:24} median {median:7.0f} rows   false alarms before {interval(early, len(found))}{held}", flush=True
    )


def show_ends(pool, seeds):
    """Print after how many rows alerts end, and how many do."""
    print(f"A loss of {USUAL}, a day of {BAD}, then another: labelled rows until the alert is told as over")
    for name, later, limit in (("as before", USUAL, 1500), ("better: .12", 0.12, 400), ("no better", BAD, None)):
        for days in (False, True):
            found = list(pool.map(end, [(seed, later, days) for seed in seeds]))
            over = [rows for rows in found if rows is not None]
            order = "labels come late: by whole days" if days else "in the order of predictions"
            if limit is None:
                print(f"  {name:12} {order:32} over in {len(over)} of {len(found)}   {verdict(not over)}")
                continue
            median = statistics.median(over) if over else float("inf")
            held = verdict(median <= limit + days * ROWS_A_DAY)
            ended = f"{len(over)} of {len(found)}"
            print(f"  {name:12} {order:32} median {median:5.0f} rows, {ended}   limit {limit}   {held}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0, help="lives that nothing was chosen by have others")
    parser.add_argument("--answer", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        with ProcessPoolExecutor(given.answer) as pool:
            print(json.dumps(list(pool.map(adwin, json.load(sys.stdin)))))
        return
    number, lives = (20, 3) if given.quick else (200, 50)
    seeds = range(given.first_seed, given.first_seed + number)
    only = given.only.split(",")
    with ProcessPoolExecutor(given.workers) as pool:
        if "change" in only:
            print("Errors from .10 to .15, inputs as before: labelled rows until the alarm")
            show("ours", list(pool.map(alarm, [(seed, 0.15, AFTER, None) for seed in seeds])), 1200)
            for name, equal in (("ADWIN", False), ("ADWIN, equal budget", True)):
                show(name, ask_peers([(seed, 0.15, AFTER, equal) for seed in seeds], given.workers, __file__))
        if "tolerance" in only:
            print("Errors of .12 for 100,000 rows, tolerance .02: lives that stay silent")
            found = list(pool.map(alarm, [(seed, 0.12, 100_000, 0.02) for seed in seeds]))
            silent = sum(row is None for row in found)
            print(f"  ours                     {interval(silent, number)}   {verdict(silent >= 0.95 * number)}")
            peer = ask_peers([(seed, 0.12, 100_000, False) for seed in seeds[:20]], given.workers, __file__)
            print(f"  ADWIN                    {interval(sum(row is None for row in peer), len(peer))}")
        if "healthy" in only:
            print("Healthy lives of 100,000 labelled rows: false alarms")
            hits = sum(row is not None for row in pool.map(alarm, [(seed, 0.1, 95_000, None) for seed in seeds]))
            print(f"  ours                     {interval(hits, number)}   {verdict(hits <= ALPHA * number)}")
        if "end" in only:
            show_ends(pool, seeds[:lives])
        if "fraud" in only:
            show_fraud(list(pool.map(fraud, seeds[:lives])))


def show_fraud(lived):
    """Print when the fall of the recall is told."""
    print("Recall from .8 to .5, 1 % fraud, labels 3 to 30 days late, a check each day")
    took = [known for known, *_ in lived if known is not None]
    found = [one for one in lived if one[1] is not None and one[0] is not None]
    median, early = statistics.median(took) if took else float("inf"), len(lived) - len(took)
    held = f"limit 75   {verdict(median <= 75)}   false alarms before {early} of {len(lived)}"
    print(f"  labelled frauds {median:.0f}   {held}")
    for name, place in (("alert", 1), ("day that is told", 2)):
        days = statistics.median(one[place] for one in found) if found else float("inf")
        print(f"  days from the fall to the {name}: median {days:.0f}")
    print("The same through a whole monitor with a segment; the first alerts:")
    print("\n".join(f"  {line}" for line in whole_life()))


if __name__ == "__main__":
    main()
