"""A stream with labels, beside NannyML and Evidently: the processor time of 20 checks of 25,000 x 20 rows in all.

Each of them sees the same rows, made from the same seed, in a process and an environment of its own (the others' are
made in a cache folder at the first run), in turns: drift of 20 features and of the scores, metrics of windows of 500
rows, estimated metrics. Ours logs, keeps and reads what it is given, judges it for life, and gives every metric an
interval; NannyML measures metrics without intervals for single windows and estimates one, and keeps nothing; Evidently
measures drift alone. The floor is what the same work takes in plain calls: parquet there and back with its SHA-256,
the counts of 32 bins of each column, and the same metrics of scikit-learn. Reading the reference is not counted.

    python benchmarks/monitoring_stream.py [--rounds 3] [--only ours,floor,nannyml,evidently]
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

FEATURES, REFERENCE, PART, PARTS, WINDOW = 20, 10_000, 1250, 20, 500
CACHE = Path(__file__).parents[1] / ".cache"
ENVIRONMENTS = {
    "nannyml": ["nannyml==0.13.1", "pandas<2.3", "statsmodels"],
    "evidently": ["evidently==0.7.23", "pandas<3"],
}
NAMES = [f"f{place}" for place in range(FEATURES)]
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}


def tables():
    """Make the reference and the parts, as frames with a score, a decision and the truth."""
    import pandas as pd  # noqa: PLC0415 - each environment has its own

    rng, made = np.random.default_rng(0), []
    for rows in (REFERENCE, *[PART] * PARTS):
        values = rng.normal(size=(rows, FEATURES))
        score = 1 / (1 + np.exp(1 - values[:, 0] - values[:, 1]))
        frame = pd.DataFrame(values, columns=NAMES)
        made.append(
            frame.assign(score=score, told=(score >= 0.5).astype(int), y=(rng.random(rows) < score).astype(int))
        )
    return made[0], made[1:]


def ours(reference, parts):
    import mlops_kit as mk  # noqa: PLC0415 - only in its own environment

    kept = reference.drop(columns="told")
    monitor = mk.Monitor(kept, name="stream", prediction="score", target="y", store="memory://stream", window=WINDOW)
    monitor.check()
    yield
    for part in parts:
        ids = monitor.log(part[NAMES], part["score"])
        monitor.log_labels(ids, part["y"])
        monitor.check()


def floor(reference, parts):
    import hashlib  # noqa: PLC0415 - as above

    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415
    from sklearn import metrics  # noqa: PLC0415

    edges = {name: np.quantile(reference[name], np.linspace(0, 1, 33)[1:-1]) for name in [*NAMES, "score"]}
    yield
    for part in parts:
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(part), sink, compression="zstd")
        hashlib.sha256(sink.getbuffer()).hexdigest()
        read = pq.read_table(sink).to_pandas()
        for name, bounds in edges.items():
            np.bincount(np.searchsorted(bounds, read[name].to_numpy()), minlength=32)
        for first in range(0, PART, WINDOW):
            rows = read.iloc[first : first + WINDOW]
            for one in (metrics.accuracy_score, metrics.precision_score, metrics.recall_score, metrics.f1_score):
                one(rows["y"], rows["told"])
            for one in (
                metrics.roc_auc_score,
                metrics.average_precision_score,
                metrics.log_loss,
                metrics.brier_score_loss,
            ):
                one(rows["y"], rows["score"])


def nannyml(reference, parts):
    import nannyml as nml  # noqa: PLC0415 - as above

    named = {"y_pred_proba": "score", "y_pred": "told", "y_true": "y", "problem_type": "classification_binary"}
    asked = ["roc_auc", "f1", "precision", "recall", "accuracy", "average_precision"]
    drift = nml.UnivariateDriftCalculator(column_names=[*NAMES, "score"], chunk_size=WINDOW).fit(reference)
    measured = nml.PerformanceCalculator(**named, metrics=asked, chunk_size=WINDOW).fit(reference)
    estimated = nml.CBPE(**named, metrics=["roc_auc"], chunk_size=WINDOW).fit(reference)
    yield
    for part in parts:
        drift.calculate(part)
        measured.calculate(part)
        estimated.estimate(part)


def evidently(reference, parts):
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - as above
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    columns = DataDefinition(numerical_columns=[*NAMES, "score"])
    known, report = Dataset.from_pandas(reference, data_definition=columns), Report([DataDriftPreset()])
    yield
    for part in parts:
        report.run(Dataset.from_pandas(part, data_definition=columns), known)


WORK = {"ours": ours, "floor": floor, "nannyml": nannyml, "evidently": evidently}


def python_of(name):
    """Return the interpreter of an environment, made now if there is none."""
    if name not in ENVIRONMENTS:
        return sys.executable
    folder = CACHE / f"benchmark-{name}"
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making an environment for {name} in {folder} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ENVIRONMENTS[name]], check=True)
    return python


def answer(name):
    """Do the work in this process, and print the processor seconds of the checks."""
    warnings.simplefilter("ignore")
    work = WORK[name](*tables())
    next(work)
    begun = time.process_time()
    for _ in work:
        pass
    print(json.dumps(time.process_time() - begun))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(WORK))
    parser.add_argument("--answer")
    given = parser.parse_args()
    if given.answer:
        answer(given.answer)
        return
    names = given.only.split(",")
    pythons, spent = {name: python_of(name) for name in names}, {name: [] for name in names}
    for _ in range(given.rounds):
        for name in names:
            command = [pythons[name], __file__, "--answer", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **QUIET})
            spent[name].append(json.loads(done.stdout.splitlines()[-1]))
    middle = {name: statistics.median(times) for name, times in spent.items()}
    for name, seconds in middle.items():
        least, most = min(spent[name]), max(spent[name])
        print(f"  {name:10} {seconds:6.2f} s CPU ({least:.2f} to {most:.2f}), {seconds / PARTS * 1e3:6.1f} ms a check")
    if {"ours", "nannyml"} <= middle.keys():
        print(f"  ours below NannyML: {'holds' if middle['ours'] < middle['nannyml'] else 'DOES NOT HOLD'}")


if __name__ == "__main__":
    main()
