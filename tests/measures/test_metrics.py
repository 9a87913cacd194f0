"""Metrics agree with scikit-learn's, plain, weighted and on resampled rows, and say why they have no value."""

import math

import numpy as np
import pytest
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.intervals import replicated
from mlops_kit.measures.metrics import business_value, measure, metric, metrics_for, quantile_loss
from mlops_kit.measures.predicted import Predicted


def binary(seed, n=200, weighted=False):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n)
    told = np.clip(np.round(0.5 + 0.4 * (truth - 0.5) + 0.25 * random.normal(size=n), 2), 0, 1)  # with ties
    weights = random.integers(0, 4, n).astype(float) if weighted else None
    return Predicted.of(truth, probabilities=told, weights=weights)


def multiclass(seed, n=200, k=4, weighted=False):
    random = np.random.default_rng(seed)
    truth = random.integers(0, k, n)
    told = random.dirichlet(np.ones(k), n) + np.eye(k)[truth] * 0.3
    told /= told.sum(axis=1, keepdims=True)
    weights = random.random(n) if weighted else None
    return Predicted.of(truth, probabilities=told, weights=weights, classes=range(k))


def regression(seed, n=200, weighted=False):
    random = np.random.default_rng(seed)
    truth = random.normal(1000, 1, n)
    return Predicted.of(truth, truth + random.normal(size=n), weights=random.random(n) if weighted else None)


def averaged(score, how="macro", **options):
    return lambda y, p, w: score(y, p, average=how, sample_weight=w, zero_division=0, **options)


def of_rank(score, **options):
    return lambda y, p, w: score(y[None, :], p[None, :], **options)


def at(k, *, recall):
    """Count the relevant among the k first, as if the rows of equal scores came in every order."""

    def value(y, p, _w):
        last = np.sort(p)[-k]
        share = (k - (p > last).sum()) / (p == last).sum()
        hits = y[p > last].sum() + share * y[p == last].sum()
        return hits / (y.sum() if recall else k)

    return value


LABELS = {
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p, sample_weight=w),
    "balanced_accuracy": lambda y, p, w: sk.balanced_accuracy_score(y, p, sample_weight=w),
    "mcc": lambda y, p, w: sk.matthews_corrcoef(y, p, sample_weight=w),
    "cohen_kappa": lambda y, p, w: sk.cohen_kappa_score(y, p, sample_weight=w),
    **{
        f"{name}_{how}": averaged(getattr(sk, f"{name}_score"), how)
        for name in ("precision", "recall", "f1")
        for how in ("macro", "micro", "weighted")
    },
    "f2_weighted": averaged(sk.fbeta_score, "weighted", beta=2),
    "f0.5_micro": averaged(sk.fbeta_score, "micro", beta=0.5),
}
OF_TWO = {
    "precision": lambda y, p, w: sk.precision_score(y, p, sample_weight=w),
    "recall": lambda y, p, w: sk.recall_score(y, p, sample_weight=w),
    "f1": lambda y, p, w: sk.f1_score(y, p, sample_weight=w),
    "f2": lambda y, p, w: sk.fbeta_score(y, p, sample_weight=w, beta=2),
    "fbeta(0.5)": lambda y, p, w: sk.fbeta_score(y, p, sample_weight=w, beta=0.5),
    "specificity": lambda y, p, w: sk.recall_score(y, p, sample_weight=w, pos_label=0),
}
OF_MORE = {name: averaged(getattr(sk, f"{name}_score")) for name in ("precision", "recall", "f1")}
RANKED = {
    "ndcg": of_rank(sk.ndcg_score),
    "ndcg(10)": of_rank(sk.ndcg_score, k=10),
    "precision_at(30)": at(30, recall=False),
    "recall@30": at(30, recall=True),
}
SCORES = {
    "roc_auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w, multi_class="ovr"),
    "roc_auc_ovr_weighted": lambda y, p, w: sk.roc_auc_score(
        y, p, sample_weight=w, multi_class="ovr", average="weighted"
    ),
    "average_precision": lambda y, p, w: sk.average_precision_score(y, p, sample_weight=w),
    "log_loss": lambda y, p, w: sk.log_loss(
        y, p, sample_weight=w, labels=range(max(2, np.shape(p)[-1] if np.ndim(p) > 1 else 2))
    ),
    "brier": lambda y, p, w: sk.brier_score_loss(y, p, sample_weight=w),
}
VALUES = {
    "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "mse": lambda y, p, w: sk.mean_squared_error(y, p, sample_weight=w),
    "msle": lambda y, p, w: sk.mean_squared_log_error(y, p, sample_weight=w),
    "smape": lambda y, p, w: np.average(2 * np.abs(y - p) / (np.abs(y) + np.abs(p)), weights=w),
    "median_absolute_error": lambda y, p, w: sk.median_absolute_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: sk.r2_score(y, p, sample_weight=w),
    "mape": lambda y, p, w: sk.mean_absolute_percentage_error(y, p, sample_weight=w),
    "quantile_loss(0.9)": lambda y, p, w: sk.mean_pinball_loss(y, p, sample_weight=w, alpha=0.9),
}
CASES = [
    *((binary, name, of, "labels") for name, of in {**LABELS, **OF_TWO}.items()),
    *((binary, name, of, "scores") for name, of in RANKED.items()),
    *((binary, name, of, "scores") for name, of in SCORES.items()),
    *((multiclass, name, of, "labels") for name, of in {**LABELS, **OF_MORE}.items()),
    *((multiclass, name, of, "scores") for name, of in SCORES.items()),
    *((regression, name, of, "labels") for name, of in VALUES.items()),
]


@pytest.mark.parametrize(
    ("make", "name", "reference", "of"), CASES, ids=lambda part: getattr(part, "__name__", str(part))
)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_a_metric_agrees_with_that_of_scikit_learn(make, name, reference, of, weighted):
    if weighted and name in RANKED:
        pytest.skip("scikit-learn gives no weights to the rows of a ranking")
    for seed in range(5):
        given = make(seed, weighted=weighted)
        expected = reference(given.truth, getattr(given, of), given.weights)
        assert metric(name).value(given) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "name", "reference", "of"), CASES, ids=lambda part: getattr(part, "__name__", str(part))
)
def test_the_value_of_a_bootstrap_sample_is_that_of_the_drawn_rows(make, name, reference, of):
    given = make(7)
    drawn = np.random.default_rng(1).integers(0, given.n, given.n)
    counts = np.bincount(drawn, minlength=given.n).astype(float)
    expected = metric(name).value(given.take(drawn))
    assert metric(name).on(given)(counts[None, :])[0] == pytest.approx(expected, rel=1e-9)


def test_every_metric_is_held_against_a_reference_or_tested_by_hand():
    compared = {(make.__name__, name) for make, name, _, _ in CASES}
    named = {(task, name) for task in ("binary", "multiclass", "regression") for name in metrics_for(task)}
    assert named - compared == {("binary", "calibration_error"), ("multiclass", "calibration_error")}


def test_the_calibration_error_weighs_the_gap_of_each_bin():
    given = Predicted.of([1, 0, 1, 1], probabilities=[0.05, 0.07, 0.85, 1.0])
    # bins: {0.05, 0.07} mean 0.06, share 0.5; {0.85}: share 1; {1.0} in the last one
    assert metric("ece").value(given) == pytest.approx((2 * 0.44 + 0.15 + 0.0) / 4)
    three = Predicted.of([0, 1], probabilities=[[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]], classes=range(3))
    assert metric("ece").value(three) == pytest.approx(0.1)


@settings(max_examples=60)
@given_by(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=2, max_size=30))
def test_ranking_metrics_agree_with_scikit_learn_under_ties(rows):
    truth, told = (np.array(part) for part in zip(*rows, strict=True))
    given = Predicted.of(truth, probabilities=told, classes=[False, True])
    if truth.all() or not truth.any():
        assert np.isnan(metric("auc").value(given))
        return
    assert metric("auc").value(given) == pytest.approx(sk.roc_auc_score(truth, told))
    assert metric("pr_auc").value(given) == pytest.approx(sk.average_precision_score(truth, told))


def test_a_list_of_a_ranking_has_a_value_of_its_own_and_the_metric_is_their_mean():
    random = np.random.default_rng(0)
    gains, told, lists = random.integers(0, 4, 90), random.random(90), np.repeat(range(9), 10)
    gains[lists == 3] = 0  # nothing to find: it does not count
    given = Predicted.of(gains, told, task="ranking", groups=lists)
    each = [sk.ndcg_score([gains[lists == one]], [told[lists == one]], k=5) for one in range(9) if one != 3]
    assert metric("ndcg(5)").value(given) == pytest.approx(np.mean(each))
    alone = Predicted.of(gains, told, task="ranking")
    assert metric("ndcg").value(alone) == pytest.approx(sk.ndcg_score([gains], [told]))


# No value


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("accuracy", Predicted.of([], [], task="binary"), "there are no rows"),
        ("roc_auc", Predicted.of([1, 1], probabilities=[0.1, 0.2]), "all rows are of one class"),
        ("recall", Predicted.of([0, 0], [0, 1]), "no row is truly positive"),
        ("specificity", Predicted.of([1, 1], [0, 1]), "no row is truly negative"),
        ("precision", Predicted.of([0, 1], [0, 0]), "no row is predicted to be positive"),
        ("roc_auc", Predicted.of([0, 1], [0, 1]), "roc_auc needs scores, and the model gave none"),
        ("accuracy", Predicted.of([0, 1], scores=[0.0, 3.0]), "accuracy needs labels, and the model gave none"),
        ("brier", Predicted.of([0, 1], scores=[0.0, 3.0]), "brier needs probabilities, and the model gave none"),
        ("brier", Predicted.of([0, 1], probabilities=[0.0, 3.0]), "1 probabilities are below 0 or above 1"),
        ("mae", Predicted.of([0, 1], [0, 1]), "mae is for regression tasks, and this is a binary one"),
        ("msle", Predicted.of([0.5, -0.5], [0.0, 1.0]), "1 rows have a value below 0"),
        ("cohen_kappa", Predicted.of([1, 1], [0, 1]), "all rows are of one class"),
        ("ndcg", Predicted.of([0, 0], scores=[0.0, 1.0]), "no row is relevant"),
        (
            "ndcg",
            Predicted.of([0.0, -1.0], [0.0, 1.0], task="ranking"),
            "1 true values are below 0, and relevance starts at 0",
        ),
        ("precision_at(3)", Predicted.of([0, 1], scores=[0.0, 1.0]), "there are 2 rows, and the first 3 are asked for"),
        ("mape", Predicted.of([0.0, 0.5], [0.0, 1.0]), "1 true values are 0"),
        ("r2", Predicted.of([0.5, 0.5], [0.0, 1.0]), "all true values are equal"),
        ("log_loss", Predicted.of([0, 1], probabilities=[0.5, np.nan]), "1 of 2 rows have no prediction"),
    ],
)
def test_what_has_no_value_has_a_reason(name, given, reason):
    found = measure(name, given)
    assert np.isnan(found.value)
    assert (found.undefined, found.low, found.high) == (reason, None, None)
    assert np.isnan(metric(name).value(given))
    assert reason in str(found)


@pytest.mark.parametrize("name", metrics_for("binary"))
@pytest.mark.parametrize("truth", [[], [0], [1], [0, 0], [1, 1], [0, 1], [None, 1]])
@pytest.mark.parametrize("told", [0.0, 1.0, 0.5, np.nan])
def test_no_metric_fails_on_degenerate_rows(name, truth, told):
    given = Predicted.of(truth, probabilities=[told] * len(truth), classes=[0, 1])
    found = measure(name, given)
    assert np.isnan(found.value) == (found.undefined is not None)


def test_an_unknown_metric_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match=r"no metric 'gini'. Metrics: accuracy, .*auc.*quantile_loss\(0.9\)"):
        metric("gini")


# Intervals


def test_proportions_have_score_or_exact_intervals_on_the_rows_that_count():
    given = Predicted.of([1] * 10 + [0] * 30, [1] * 8 + [0] * 32)
    found = measure("recall", given)
    assert (found.value, found.n, found.method) == (0.8, 10, "wilson")
    exact = measure("recall", given, method="clopper-pearson")
    assert exact.low < found.low
    assert exact.method == "clopper-pearson"


def test_what_is_weighted_has_a_bootstrap_interval():
    assert measure("accuracy", binary(0, weighted=True)).method == "bootstrap"
    assert measure("roc_auc", binary(0, weighted=True)).method == "bootstrap"
    assert measure("roc_auc", binary(0)).method == "delong"


def test_an_interval_is_the_same_each_time_and_another_with_another_seed():
    given = regression(0)
    assert measure("rmse", given) == measure("rmse", given)
    assert measure("rmse", given, seed=1) != measure("rmse", given)


def test_no_interval_is_made_where_none_is_asked_for():
    found = measure("rmse", regression(0), confidence=None)
    assert (found.low, found.high, found.method) == (None, None, "")


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        measure("accuracy", binary(0), confidence=confidence)


def test_a_method_that_there_is_not_is_refused():
    with pytest.raises(InvalidInput, match="no interval 'wald'"):
        measure("accuracy", binary(0), method="wald")


@pytest.mark.parametrize(("name", "truth"), [("rmse", 1.0), ("mae", (2 / np.pi) ** 0.5)])
def test_a_bootstrap_interval_covers_the_truth_as_often_as_it_says(name, truth):
    covered = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(size=60)
        found = measure(name, Predicted.of(np.zeros(60), noise, task="regression"), confidence=0.9, seed=seed)
        covered += found.low <= truth <= found.high
    assert 0.84 <= covered / 200 <= 0.97


def test_the_interval_of_the_calibration_error_is_not_pushed_up_by_chance():
    given = binary(3, n=400)
    found = measure("calibration_error", given)
    drawn = replicated([metric("calibration_error").on(given)], given.n)[0]
    assert np.median(drawn) > found.value  # a bootstrap adds the bias once more
    assert found.low < found.value < np.quantile(drawn, 0.975)
    assert (found.low + found.high) / 2 < found.value


# Of one's own


def test_a_matrix_of_values_counts_what_decisions_bring():
    value = business_value({(1, 1): 90, (1, 0): -100, (0, 1): -10}, name="savings")
    given = Predicted.of([0, 0, 1, 1], [0, 1, 1, 0])
    assert value.value(given) == (0 - 10 + 90 - 100) / 4
    assert measure(value, given).metric == "savings"
    assert value.greater_is_better


def test_a_matrix_of_values_for_classes_that_are_not_there_has_no_value():
    given = Predicted.of([0, 0, 1, 1], [0, 1, 1, 0])
    found = measure(business_value({(1, 1): 90, ("fraud", 0): -100}, name="savings"), given)
    assert math.isnan(found.value)
    assert found.undefined == "savings names the class 'fraud', and there are 0, 1"


@pytest.mark.parametrize("values", [{}, {1: 90}, {(1,): 90}, {(1, 1): "90"}, {(1, 1): float("nan")}])
def test_a_matrix_of_values_has_numbers_by_pairs_of_classes(values):
    with pytest.raises(InvalidInput, match=r"such as|finite number"):
        business_value(values)


@pytest.mark.parametrize("quantile", [0, 1, 1.5])
def test_a_quantile_must_be_one(quantile):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        quantile_loss(quantile)
