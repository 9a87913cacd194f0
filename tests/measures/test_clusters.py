"""Rows of one group prove no more than one row: intervals and tests count groups."""

import numpy as np
import pytest
from scipy import stats

from mlops_kit.errors import InvalidInput
from mlops_kit.measures import clusters
from mlops_kit.measures.comparisons import non_inferiority, superiority
from mlops_kit.measures.metrics import measure, metric, metrics_for
from mlops_kit.measures.predicted import Predicted


def grouped(task="binary", groups=40, rows=4, seed=0, gap=0.0):
    """Give predictions of two models whose errors are shared by the rows of a group."""
    random = np.random.default_rng(seed)
    whose = np.repeat(np.arange(groups), rows)
    n = len(whose)
    shared = random.normal(size=(2, groups))[:, whose]
    if task == "regression":
        truth = 20 + random.normal(size=n)
        noise = shared * [[1 - gap], [1.0]] + 0.3 * random.normal(size=(2, n))
        return [Predicted.of(truth, truth + part, task=task, groups=whose) for part in noise]
    k = 2 if task == "binary" else 3
    truth = random.integers(0, k, n)
    made = []
    for part, more in zip(shared, (gap, 0.0), strict=True):
        raw = (1 + more) * np.eye(k)[truth] + 0.5 * random.normal(size=(n, k)) + 0.5 * np.outer(part, np.arange(k))
        told = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        made.append(Predicted.of(truth, probabilities=told, classes=range(k), groups=whose))
    return made


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task in ("binary", "multiclass", "regression") for name in metrics_for(task)]
)
def test_the_value_without_a_group_is_that_of_the_other_rows(task, name):
    given, _ = grouped(task, groups=12, rows=5)
    found = clusters.without_each(metric(name).on(given), given)
    expected = [metric(name).value(given.take(given.groups != group)) for group in range(12)]
    assert found == pytest.approx(expected, rel=1e-9)


def test_of_very_many_rows_it_follows_from_how_the_value_moves(monkeypatch):
    for name in ("roc_auc", "average_precision"):
        given, _ = grouped(groups=200, rows=5)
        formula = metric(name).on(given)
        exact = clusters.without_each(formula, given)
        monkeypatch.setattr(clusters, "_CELLS", 0)
        assert clusters.without_each(formula, given) == pytest.approx(exact, abs=2e-4)
        monkeypatch.undo()


def test_one_row_of_each_group_is_the_paired_t_test():
    one, other = grouped("regression", groups=60, rows=1, gap=0.3)
    errors = [abs(part.truth - part.labels) for part in (one, other)]
    exact = stats.ttest_rel(*errors, alternative="less")
    found = superiority("mae", one, other)
    assert (found.method, found.groups) == ("cluster-jackknife", 60)
    assert found.p_value == pytest.approx(exact.pvalue)
    assert found.bound == pytest.approx(exact.confidence_interval(0.95)[1])


def test_repeating_every_row_of_a_group_changes_nothing():
    one, other = grouped(groups=60, rows=1, gap=0.5)
    again = np.repeat(np.arange(60), 5)
    for name in ("accuracy", "roc_auc", "brier"):
        once, five = superiority(name, one, other), superiority(name, one.take(again), other.take(again))
        assert five.p_value == pytest.approx(once.p_value)
        assert five.bound == pytest.approx(once.bound)
        assert measure(name, one.take(again)).low == pytest.approx(measure(name, one).low)


def test_a_better_model_passes_and_a_worse_one_does_not():
    one, other = grouped(gap=2.0, groups=80)
    for name in ("roc_auc", "log_loss", "f1", "mcc"):
        assert superiority(name, one, other).holds
        assert not superiority(name, other, one).holds
        assert not non_inferiority(name, other, one, margin=1e-3).holds
        assert not superiority(name, one, one).holds
        assert non_inferiority(name, one, one, margin=1e-3).holds


def test_too_few_groups_say_nothing():
    one, other = grouped(groups=9, rows=50, gap=2.0)
    found = superiority("accuracy", one, other)
    assert (found.holds, found.undefined) == (False, "insufficient data: 9 of the 10 groups that are needed")
    told = measure("accuracy", one)
    assert (told.low, told.high, told.groups, told.undefined) == (None, None, 9, None)


def test_the_groups_that_count_are_those_with_rows_that_count():
    whose = np.repeat(np.arange(30), 4)
    truth = (whose < 8).astype(int)
    given = Predicted.of(truth, truth, groups=whose)
    for name in ("recall", "roc_auc", "f1", "balanced_accuracy"):
        if name != "roc_auc":
            assert clusters.groups_of(metric(name), given) == 8
    assert clusters.groups_of(metric("accuracy"), given) == 30
    assert superiority("recall", given, given).undefined.startswith("insufficient data: 8 of the 10 groups")


def test_where_no_group_differs_each_is_one_trial():
    whose = np.repeat(np.arange(20), 4)
    truth = np.arange(80) % 2
    right = Predicted.of(truth, truth, groups=whose)
    assert measure("accuracy", right).low == pytest.approx(0.8389, abs=1e-4)  # Wilson, 20 of 20
    wrong = Predicted.of(truth, 1 - truth, groups=whose)
    assert superiority("accuracy", right, wrong).p_value == 0.5**20


def test_equal_models_are_rarely_found_to_be_different():
    wrong = [superiority("mae", *grouped("regression", groups=15, seed=seed)).holds for seed in range(400)]
    low = stats.binomtest(sum(wrong), 400, alternative="greater").proportion_ci(0.99).low
    assert low <= 0.05
    plain = [
        superiority(
            "mae",
            *[
                Predicted.of(p.truth, p.labels, task=p.task)
                for p in grouped("regression", groups=15, rows=8, seed=seed)
            ],
        ).holds
        for seed in range(60)
    ]
    assert np.mean(plain) > 0.1  # what ignoring the groups comes to


def test_groups_must_be_known_of_every_row():
    with pytest.raises(InvalidInput, match="1 of 2 rows have no group"):
        Predicted.of([0, 1], [0, 1], groups=["a", None])
    with pytest.raises(InvalidInput, match="There are 1 groups for 2 rows"):
        Predicted.of([0, 1], [0, 1], groups=["a"])
