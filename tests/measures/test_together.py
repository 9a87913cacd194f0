"""Several metrics of one window: the intervals of `measure`, at a small part of what it costs."""

import numpy as np
import pytest
from scipy import stats

from mlops_kit.measures import intervals, metrics
from mlops_kit.measures.intervals import wilson
from mlops_kit.measures.metrics import measure, measure_together, metrics_for
from mlops_kit.measures.predicted import Predicted


def rows(task, n, seed=0):
    rng = np.random.default_rng(seed)
    if task == "regression":
        truth = rng.normal(5, 1, n)
        return Predicted.of(truth, truth + rng.normal(0, 0.5, n), task=task)
    told = rng.dirichlet([1.0] * (2 if task == "binary" else 3), n)
    truth = (rng.random((n, 1)) > np.cumsum(told, axis=1)).sum(axis=1)
    if task == "binary":
        return Predicted.of(truth, (told[:, 1] > 0.5).astype(int), probabilities=told[:, 1], task=task, classes=[0, 1])
    return Predicted.of(truth, told.argmax(axis=1), probabilities=told, task=task, classes=[0, 1, 2])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_intervals_are_about_those_of_the_bootstrap(task):
    given, names = rows(task, 500), metrics_for(task)
    found = measure_together(metrics.metrics(names), given)
    methods = set()
    for name, quick in zip(names, found, strict=True):
        exact = measure(name, given)
        assert (quick.metric, quick.n, quick.undefined) == (exact.metric, exact.n, exact.undefined)
        if exact.low is None or exact.undefined:
            continue
        assert quick.value == exact.value
        width = exact.high - exact.low
        assert abs(quick.low - exact.low) < 0.15 * width, name
        assert abs(quick.high - exact.high) < 0.15 * width, name
        methods.add(quick.method)
    assert "jackknife" in methods


def test_what_a_few_rows_decide_is_drawn_once_for_all_metrics(monkeypatch):
    truth = np.zeros(400, int)
    truth[:6] = 1
    told = np.where(truth == 1, 0.02, 0.01) + np.linspace(0, 0.9, 400) * (np.arange(400) % 100 == 0)
    given = Predicted.of(truth, (told > 0.5).astype(int), probabilities=told, task="binary", classes=[0, 1])
    drawn, kept = [], intervals.drawn
    monkeypatch.setattr(intervals, "drawn", lambda *given, **told: drawn.append(1) or kept(*given, **told))
    found = measure_together(metrics.metrics(["log_loss", "brier", "accuracy"]), given)
    assert [one.method for one in found] == ["bootstrap", "bootstrap", "wilson"]
    assert len(drawn) == 1
    for one in found:
        exact = measure(one.metric, given)
        assert (one.low, one.high) == pytest.approx((exact.low, exact.high))


def test_functions_of_the_users_and_what_is_undefined_have_no_interval():
    given = rows("binary", 100)
    asked = []
    own, r2 = measure_together(metrics.metrics([lambda truth, told: asked.append(1) or 0.5, "r2"]), given)
    assert (own.value, own.low, own.high) == (0.5, None, None)
    assert len(asked) < 10
    assert r2.undefined


def test_intervals_stay_within_the_bounds_of_their_metric():
    rng = np.random.default_rng(0)
    for seed in range(20):
        n = int(rng.integers(5, 60))
        truth = np.arange(n) % 2
        told = np.clip(truth + rng.normal(0, 0.02 + seed / 40, n), 0.001, 0.999)
        given = Predicted.of(truth, (told > 0.5).astype(int), probabilities=told, task="binary", classes=[0, 1])
        chosen = metrics.metrics(metrics_for("binary"))
        for one, metric in zip(measure_together(chosen, given), chosen, strict=True):
            if one.low is not None:
                assert metric.bounds[0] <= one.low <= one.high <= metric.bounds[1], one


@pytest.mark.parametrize("trials", [1, 7, 500, 10**6])
def test_wilson_is_that_of_scipy(trials):
    for hits in {0, 1, trials // 3, trials}:
        for confidence in (0.5, 0.95, 0.999):
            made = stats.binomtest(hits, trials).proportion_ci(confidence, method="wilson")
            assert wilson(hits, trials, confidence) == pytest.approx((made.low, made.high), abs=1e-14)
