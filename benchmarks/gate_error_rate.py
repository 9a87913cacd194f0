"""How often a gate at confidence .95 promotes a model that is not better, beside the 5 % that it may.

Two models of exactly equal worth predict the same rows, 2,000 times over: each sees the truth through a noise of its
own. A gate that asks for the better one is wrong whenever it says yes. The same at the border of non-inferiority,
where the candidate is worse by just the margin, and where rows come in groups: several of each customer, whom a model
has right or wrong as a whole; with ``groups=`` and without. The intervals are those of Clopper and Pearson.

Run with ``python benchmarks/gate_error_rate.py [trials]``.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from mlops_kit.measures.comparisons import non_inferiority, superiority
from mlops_kit.measures.intervals import clopper_pearson
from mlops_kit.measures.predicted import Predicted

LIMIT = 0.05
ALLOWED = 0.02


def equal_labels(random, n=500, wrong=0.12):
    """Give labels of two models, each wrong in an eighth of the rows, some of them shared."""
    truth = random.integers(0, 2, n)
    hard = random.random(n) < wrong / 2
    told = [np.where(hard | (random.random(n) < wrong / (2 - wrong)), 1 - truth, truth) for _ in range(2)]
    return [Predicted.of(truth, part, classes=[0, 1]) for part in told]


def worse_labels(random, n=500, lost=0.06, won=0.04):
    """Give labels of two models, the first right in 2 % fewer rows."""
    truth = random.integers(0, 2, n)
    place = random.random(n)
    told = [place < lost, (place >= lost) & (place < lost + won)]
    return [Predicted.of(truth, np.where(wrong, 1 - truth, truth), classes=[0, 1]) for wrong in told]


def equal_scores(random, n=400, share=0.25):
    """Give scores of two models whose noise is of equal size."""
    truth = (np.arange(n) < n * share).astype(np.int64)
    seen = truth + random.normal(size=n)
    return [Predicted.of(truth, scores=seen + 0.7 * random.normal(size=n), classes=[0, 1]) for _ in range(2)]


def many_scores(random, n=50_000):
    """Give scores of so many rows that no samples are drawn of them."""
    return equal_scores(random, n)


def equal_values(random, n=300):
    """Give values of two models whose errors are equally wide."""
    truth = random.normal(size=n)
    shared = random.normal(size=n)
    return [Predicted.of(truth, truth + shared + random.normal(size=n), task="regression") for _ in range(2)]


def grouped_labels(random, groups=100, rows=5, *, known=True):
    """Give labels of two models, each wrong of a fifth of the customers, of each of whom there are some rows."""
    whose = np.repeat(np.arange(groups), 1 + random.poisson(rows - 1, groups))
    truth = random.integers(0, 2, groups)[whose]
    wrong = [(random.random(groups) < 0.2)[whose] ^ (random.random(len(whose)) < 0.05) for _ in range(2)]
    return [
        Predicted.of(truth, np.where(part, 1 - truth, truth), classes=[0, 1], groups=whose if known else None)
        for part in wrong
    ]


def grouped_scores(random, groups=100, rows=5, *, known=True):
    """Give scores of two models that are too high or too low for all rows of a customer."""
    whose = np.repeat(np.arange(groups), 1 + random.poisson(rows - 1, groups))
    truth = (random.random(len(whose)) < 0.3).astype(np.int64)
    told = [truth + random.normal(size=groups)[whose] + 0.7 * random.normal(size=len(whose)) for _ in range(2)]
    return [Predicted.of(truth, scores=part, classes=[0, 1], groups=whose if known else None) for part in told]


CASES = {
    "better accuracy, exact McNemar": lambda random, seed: superiority("accuracy", *equal_labels(random), seed=seed),
    "better roc_auc, paired bootstrap": lambda random, seed: superiority("roc_auc", *equal_scores(random), seed=seed),
    "better roc_auc, 50,000 rows": lambda random, seed: superiority("roc_auc", *many_scores(random), seed=seed),
    "better mae, paired bootstrap": lambda random, seed: superiority("mae", *equal_values(random), seed=seed),
    "accuracy worse by the margin, Tango": lambda random, seed: non_inferiority(
        "accuracy", *worse_labels(random), margin=ALLOWED, seed=seed
    ),
    "better accuracy, 100 groups": lambda random, seed: superiority("accuracy", *grouped_labels(random), seed=seed),
    "  the groups not known": lambda random, seed: superiority(
        "accuracy", *grouped_labels(random, known=False), seed=seed
    ),
    "better accuracy, 20 groups": lambda random, seed: superiority("accuracy", *grouped_labels(random, 20), seed=seed),
    "better roc_auc, 100 groups": lambda random, seed: superiority("roc_auc", *grouped_scores(random), seed=seed),
    "  the groups not known, too": lambda random, seed: superiority(
        "roc_auc", *grouped_scores(random, known=False), seed=seed
    ),
}


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"promoted though not better, in {trials:,} trials; limit {LIMIT:.1%}")
    for name, ask in CASES.items():
        begun = time.process_time()
        wrong = sum(ask(np.random.default_rng(seed), seed).holds for seed in range(trials))
        low, high = clopper_pearson(wrong, trials)
        seconds = time.process_time() - begun
        print(f"{name:36} {wrong / trials:6.2%}  [{low:.2%}, {high:.2%}]  {seconds:5.1f} s of CPU")


if __name__ == "__main__":
    main()
