"""With very many rows the jackknife decides as the bootstrap would, and leaves to it what is too uneven."""

import numpy as np
import pytest

from mlops_kit.measures import jackknife
from mlops_kit.measures.comparisons import non_inferiority, superiority
from mlops_kit.measures.intervals import clopper_pearson, delong_covariance
from mlops_kit.measures.metrics import measure, metric, metrics_for
from mlops_kit.measures.predicted import Predicted

ALL = [(task, name) for task in ("binary", "multiclass", "regression") for name in metrics_for(task)]
CORNERED = {"calibration_error", "median_absolute_error", "ndcg"}
SMOOTH = [(task, name) for task, name in ALL if name not in CORNERED]


def predicted(task, seed=0, n=300, *, weighted=False, gap=0.0, ties=True):
    """Give predictions of two models for the same rows, with scores that tie."""
    random = np.random.default_rng(seed)
    weights = random.choice([0.5, 1.0, 2.0], n) if weighted else None
    if task == "regression":
        truth = 9 + random.normal(size=n)
        noise = random.normal(size=(2, n)) * [[0.9 - gap], [0.9]]
        return [Predicted.of(truth, truth + part, task=task, weights=weights) for part in noise]
    k = 2 if task == "binary" else 3
    truth = random.integers(0, k, n)
    base = np.eye(k)[truth] + random.normal(size=(n, k))
    made = []
    for more in (gap, 0.0):
        raw = base + 0.7 * random.normal(size=(n, k)) + more * np.eye(k)[truth]
        told = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        told = np.round(told, 2) if ties else told
        made.append(Predicted.of(truth, probabilities=told, classes=range(k), weights=weights))
    return made


@pytest.fixture
def few_are_many(monkeypatch):
    monkeypatch.setattr(jackknife, "MANY", 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("task", "name"), SMOOTH)
def test_the_influence_is_the_change_of_the_value_as_a_row_counts_more(task, name, weighted):
    given, _ = predicted(task, n=60, weighted=weighted)
    formula = metric(name).on(given)
    weights = np.ones(60) if given.weights is None else given.weights
    found = formula.influence(weights)
    step = 1e-4
    for row in range(60):
        more, less = weights.copy(), weights.copy()
        more[row] *= 1 + step
        less[row] *= 1 - step
        up, down = formula(np.array([more, less]))
        assert found[row] == pytest.approx((up - down) / (2 * step), abs=1e-7)


def test_the_error_of_an_area_is_delongs():
    one, other = predicted("binary", n=20_000, gap=0.1)
    influences = [metric("auc").on(part).influence(np.ones(part.n)) for part in (one, other)]
    _, covariance = delong_covariance(one.truth == 1, [one.scores, other.scores])
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert jackknife.standard_error(influences[0] - influences[1], one.truth) == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize(
    ("task", "name", "weighted"),
    [
        ("binary", "roc_auc", False),
        ("binary", "average_precision", True),
        ("binary", "log_loss", False),
        ("binary", "f1", True),
        ("binary", "mcc", False),
        ("multiclass", "roc_auc", False),
        ("multiclass", "recall", True),
        ("regression", "mae", False),
        ("regression", "r2", True),
    ],
)
def test_the_jackknife_bounds_as_the_bootstrap_does(task, name, weighted, monkeypatch):
    one, other = predicted(task, n=25_000, gap=0.02, weighted=weighted, ties=False)
    drawn = superiority(name, one, other)
    wide = measure(name, one)
    monkeypatch.setattr(jackknife, "MANY", 2)
    found, ends = superiority(name, one, other), measure(name, one)
    assert (drawn.method, found.method) == ("paired-bootstrap", "paired-jackknife")
    error = abs(drawn.bound - drawn.difference)
    assert found.bound == pytest.approx(drawn.bound, abs=0.12 * error)
    assert found.p_value == pytest.approx(drawn.p_value, abs=0.03)
    width = wide.high - wide.low
    assert (ends.low, ends.high) == pytest.approx((wide.low, wide.high), abs=0.05 * width)


def test_the_answer_is_yes_when_the_bound_is_beyond_the_margin(few_are_many):
    for seed in range(30):
        one, other = predicted("binary", seed, n=8000, gap=0.02)
        for confidence in (0.6, 0.9, 0.95, 0.99):
            for margin in (0.0, 0.003):
                better = superiority("auc", one, other, margin=margin, confidence=confidence)
                assert better.method == "paired-jackknife"
                assert better.holds == (better.bound > margin)
                kept = non_inferiority("auc", other, one, margin=margin, confidence=confidence)
                assert kept.holds == (kept.bound >= -margin)


def test_a_model_that_is_not_better_passes_in_at_most_one_of_twenty_samples(few_are_many):
    trials, wrong = 2000, 0
    for seed in range(trials):
        found = superiority("auc", *predicted("binary", seed, n=6000, ties=False))
        assert found.method == "paired-jackknife"
        wrong += found.holds
    low, high = clopper_pearson(wrong, trials)
    print(f"{wrong / trials:.2%} of {trials} [{low:.2%}, {high:.2%}]")
    assert low <= 0.05
    assert wrong / trials <= 0.05


def test_what_rests_on_few_rows_is_left_to_the_bootstrap(few_are_many):
    truth = np.arange(20_000) % 2
    told = truth.copy()
    told[:12] = 1 - told[:12]
    one, other = (Predicted.of(truth, part, classes=[0, 1]) for part in (truth, told))
    assert superiority("f1", one, other).method == "paired-bootstrap"
    assert superiority("f1", *predicted("binary", n=20_000)).method == "paired-jackknife"
    rare = Predicted.of((np.arange(20_000) < 50).astype(int), probabilities=np.linspace(0.9, 0.1, 20_000) ** 2)
    assert measure("average_precision", rare).method == "bootstrap"
    corners, _ = predicted("binary", n=3000)
    assert measure("calibration_error", corners).method == "bootstrap"


@pytest.mark.parametrize(("task", "name"), SMOOTH)
def test_equal_predictions_are_not_better_and_not_worse(task, name, few_are_many):
    one, _ = predicted(task)
    assert not superiority(name, one, one).holds
    found = non_inferiority(name, one, one)
    assert (found.holds, found.difference) == (True, 0.0)


def test_few_rows_are_never_judged_by_it(monkeypatch):
    assert jackknife.MANY == 50_000
    monkeypatch.setattr(jackknife, "MANY", 3000)
    assert superiority("mae", *predicted("regression", n=2999)).method == "paired-bootstrap"
    assert superiority("mae", *predicted("regression", n=3000)).method == "paired-jackknife"
