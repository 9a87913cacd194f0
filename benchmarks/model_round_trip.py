"""Logging a fitted forest of 100 trees and loading it again, beside the least that it can cost.

The floor is what anybody must do who keeps a model and knows its bytes again: pickle, SHA-256, write, sync, read,
SHA-256, unpickle. Both alternate in one process. What the model's fingerprint takes is printed beside them.

The second table is of a small model that uses code of the user's: what a load costs, and what part of it is the check
for changed code.

Run with ``python benchmarks/model_round_trip.py [rounds]``.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["MLOPS_KIT_SUMMARY"] = "0"

import cloudpickle
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import mlops_kit as mk
from mlops_kit.registry import unpickling

LIMIT = 1.3
CHECK_LIMIT = 0.5
OWN = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

def double(x):
    return 2 * x

class Centred(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X):
        return double(X) - self.mean_
"""


def floor(model: RandomForestClassifier, folder: Path, number: int) -> None:
    data = cloudpickle.dumps(model)
    name = folder / hashlib.sha256(data).hexdigest()
    temporary = folder / f"{number}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    os.rename(temporary, name)
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    read = name.read_bytes()
    assert hashlib.sha256(read).hexdigest() == name.name
    pickle.loads(read)  # noqa: S301 - what was written just now


def milliseconds(act, clock=time.perf_counter) -> float:
    begun = clock()
    act()
    return (clock() - begun) * 1000


def small_model(folder: Path, rounds: int) -> None:
    (folder / "own_steps.py").write_text(OWN)
    sys.path.insert(0, str(folder))
    own_steps = importlib.import_module("own_steps")

    X, y = make_classification(200, 5, random_state=0)
    models = mk.ModelStore(folder / "small")
    models.register("m", make_pipeline(own_steps.Centred(), LogisticRegression()).fit(X, y))
    check, spent = unpickling.compare_code, []

    def timed(*arguments: object) -> None:
        spent.append(milliseconds(lambda: check(*arguments)))

    unpickling.compare_code = timed
    loads = [milliseconds(lambda: models.load("m:1")) for _ in range(rounds + 1)]
    share = statistics.median(part / whole for part, whole in zip(spent[1:], loads[1:], strict=True))
    print(f"load of a small model{statistics.median(loads[1:]):8.2f} ms   {loads[0]:.2f} the first time")
    print(f"its check of code    {statistics.median(spent[1:]):8.2f} ms   {spent[0]:.2f} the first time")
    print(f"share                {share:8.2f}      limit {CHECK_LIMIT}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    X, y = make_classification(5000, 20, n_informative=8, flip_y=0.1, random_state=0)
    model = RandomForestClassifier(100, random_state=0).fit(X, y)
    size = len(cloudpickle.dumps(model)) / 1e6
    pairs = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        os.environ["MLOPS_KIT_STORE"] = f"{folder}/store"
        plain = Path(folder) / "plain"
        plain.mkdir()
        with mk.start_run() as run:
            for number in range(rounds):
                model.number_ = number  # so that no round finds its bytes in the store already

                def round_trip(name: str = f"m{number}") -> None:
                    run.log_model(model, name)
                    run.load(name)

                pairs.append((milliseconds(round_trip), milliseconds(lambda n=number: floor(model, plain, n))))
        small_model(Path(folder), rounds)
    ours, least = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(mine / its for mine, its in pairs)
    fingerprint = min(milliseconds(lambda: mk.fingerprint(model), time.process_time) for _ in range(rounds))
    print(f"log and load         {ours:8.1f} ms   {size:.1f} MB, median of {rounds}")
    print(f"floor                {least:8.1f} ms   pickle, hash, write, fsync, read, hash, unpickle")
    print(f"ratio                {ratio:8.2f}      limit {LIMIT}")
    print(f"fingerprint alone    {fingerprint:8.1f} ms   CPU, the least of {rounds}")


if __name__ == "__main__":
    main()
