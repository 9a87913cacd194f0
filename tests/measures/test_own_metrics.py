"""A function of truth and prediction, or a scorer of scikit-learn, is a metric like any other."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.comparisons import non_inferiority, superiority
from mlops_kit.measures.metrics import measure, metric, metrics
from mlops_kit.measures.own_metrics import own_metric
from mlops_kit.measures.predicted import Predicted


def f2(truth, predicted):
    found = ((truth == 1) & (predicted == 1)).sum()
    return 5 * found / (4 * (truth == 1).sum() + (predicted == 1).sum())


def classes(names=("no", "yes"), n=300, seed=0):
    """Give a fitted classifier, its data and its predictions."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 2))
    y = np.array(names)[np.digitize(X[:, 0] + random.normal(size=n), np.linspace(-1, 1, len(names) + 1)[1:-1])]
    model = LogisticRegression().fit(X, y)
    given = Predicted.of(y, model.predict(X), probabilities=model.predict_proba(X), classes=model.classes_.tolist())
    return model, X, y, given


def test_a_function_is_given_the_classes_as_the_data_has_them():
    seen = []
    given = Predicted.of(["ok", "fraud"], ["ok", "ok"], classes=["ok", "fraud"])
    value = measure(
        lambda truth, told: seen.append((truth.tolist(), told.tolist())) or 1.0, given, confidence=None
    ).value
    assert (value, seen[0]) == (1.0, (["ok", "fraud"], ["ok", "ok"]))


def test_a_function_of_values_or_of_scores_is_given_these():
    given = Predicted.of([0.5, 2.5], [1.0, 2.0])
    assert own_metric(lambda y, p: abs(y - p).max(), name="worst").value(given) == 0.5
    told = Predicted.of([0, 1, 1], probabilities=[0.2, 0.7, 0.4])
    assert own_metric(sk.roc_auc_score, needs="scores").value(told) == 1.0


def test_a_function_has_an_interval_and_a_paired_test():
    truth = np.arange(200) % 2
    good, bad = (np.where(np.arange(200) % wrong == 0, 1 - truth, truth) for wrong in (50, 5))
    good, bad = Predicted.of(truth, good), Predicted.of(truth, bad)
    found = measure(f2, good)
    assert found.value == pytest.approx(f2(truth, good.labels))
    assert found.low < found.value < found.high
    assert superiority(f2, good, bad).holds
    assert not superiority(f2, good, good).holds
    assert not non_inferiority(f2, bad, good, margin=0.01).holds


@pytest.mark.parametrize(
    ("function", "name", "greater"),
    [
        (f2, "f2", True),
        (sk.mean_absolute_error, "mean_absolute_error", False),
        (partial(sk.fbeta_score, beta=2), "fbeta_score(beta=2)", True),
        (sk.make_scorer(sk.fbeta_score, beta=2), "fbeta_score(beta=2)", True),
        (sk.get_scorer("neg_log_loss"), "neg_log_loss", True),
        (sk.get_scorer("roc_auc"), "roc_auc_score", True),
    ],
)
def test_the_name_tells_which_way_is_better_unless_it_is_stated(function, name, greater):
    assert (metric(function).name, metric(function).greater_is_better) == (name, greater)
    stated = own_metric(function, name="x", greater_is_better=not greater)
    assert (stated.name, stated.greater_is_better) == ("x", not greater)


@pytest.mark.parametrize(
    "scorer",
    ["accuracy", "f1_macro", "neg_log_loss", "neg_brier_score", "roc_auc", "average_precision"],
)
def test_a_scorer_of_two_classes_gives_what_it_gives_of_the_model(scorer):
    model, X, y, given = classes(names=(0, 1))
    assert metric(sk.get_scorer(scorer)).value(given) == pytest.approx(sk.get_scorer(scorer)(model, X, y))


@pytest.mark.parametrize(
    "scorer", ["f1_weighted", "roc_auc_ovr", "roc_auc_ovo_weighted", "neg_log_loss", "jaccard_macro"]
)
def test_a_scorer_of_more_classes_does_too(scorer):
    model, X, y, given = classes(names=("a", "b", "c"))
    assert metric(sk.get_scorer(scorer)).value(given) == pytest.approx(sk.get_scorer(scorer)(model, X, y))


@pytest.mark.parametrize(
    "scorer", ["neg_max_error", "explained_variance", "neg_mean_gamma_deviance", "d2_absolute_error_score"]
)
def test_a_scorer_of_values_does_too(scorer):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 2))
    y = 20 + X[:, 0] + random.normal(size=200)
    model = LinearRegression().fit(X, y)
    assert metric(scorer).value(Predicted.of(y, model.predict(X))) == pytest.approx(sk.get_scorer(scorer)(model, X, y))


def test_a_scorer_looks_for_the_positive_class_of_the_predictions():
    _, _, y, given = classes()
    told = Predicted.of(y, given.named(given.labels), classes=["no", "yes"], positive="no")
    assert metric("f1").value(told) == pytest.approx(metric(sk.get_scorer("f1")).value(told))
    stated = sk.make_scorer(sk.f1_score, pos_label="no")
    assert metric(stated).value(given) == pytest.approx(metric("f1").value(told))


def test_weights_reach_the_function_or_are_missed():
    weighted = Predicted.of([0, 1, 1, 0], [0, 1, 0, 0], weights=[1.0, 2.0, 3.0, 4.0])
    assert metric(sk.accuracy_score).value(weighted) == pytest.approx(0.7)
    found = measure(lambda truth, told: 1.0, weighted)
    assert "sample_weight" in found.undefined


def broken(truth, predicted):
    raise RuntimeError("no price list")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (broken, "broken raises RuntimeError: no price list"),
        (lambda truth, told: float("nan"), "<lambda> gives nan"),
        (lambda truth, told: None, "<lambda> raises TypeError"),
    ],
)
def test_a_function_that_gives_no_number_says_so(function, message):
    given = Predicted.of([0, 1] * 20, [0, 1] * 20)
    assert measure(function, given).undefined.startswith(message)
    found = superiority(function, given, given)
    assert (found.holds, found.undefined.startswith(f"candidate: {message}")) == (False, True)


def test_two_functions_of_one_name_are_two_metrics():
    one, other = (lambda truth, told: 0.25), (lambda truth, told: 0.75)
    told = metrics([one, other, "auc", "roc_auc", one])
    assert [chosen.name for chosen in told] == ["<lambda>", "<lambda> 2", "roc_auc"]
    given = Predicted.of([0, 1], [0, 1])
    assert [chosen.value(given) for chosen in told[:2]] == [0.25, 0.75]


@pytest.mark.parametrize(
    "options", [{"function": 3}, {"function": f2, "needs": "x"}, {"function": f2, "name": " "}, {"function": None}]
)
def test_what_is_no_metric_is_refused(options):
    with pytest.raises(InvalidInput):
        own_metric(**options)


def test_an_unknown_name_is_answered_with_the_likely_one():
    with pytest.raises(InvalidInput, match="Did you mean 'accuracy'"):
        metric("acuracy")
    with pytest.raises(InvalidInput, match=r"Did you mean 'f1'\? "):
        metric("f-1")
    with pytest.raises(InvalidInput) as caught:
        metric("precision_at(0)")
    assert str(caught.value).count("'precision'") == 1
