"""What a gate is about is what it says, else what the model says, else what the metric asks for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import fbeta_score, make_scorer, mean_absolute_error, ndcg_score, roc_auc_score
from sklearn.svm import LinearSVC

import mlops_kit as mk
from mlops_kit import conditions as c
from mlops_kit.errors import InvalidInput

RANDOM = np.random.default_rng(0)
X = pd.DataFrame({"x": RANDOM.normal(size=600)})
CLASSES = (X["x"] + RANDOM.normal(size=600) > 0).astype(int)


class Answers:
    """A model of a class of its own, which says nothing of itself."""

    def __init__(self, give):
        self.give = give

    def predict(self, data):
        return self.give(np.asarray(data["x"]))


def judged(model, condition, truth, **options):
    return mk.Gate(condition, on=X.assign(y=truth), target="y", **options).evaluate(model).results[0]


@pytest.mark.parametrize("truth", [RANDOM.integers(0, 2, 600), RANDOM.integers(0, 4, 600), np.zeros(600, int)])
def test_a_metric_of_numbers_judges_numbers_however_few_different_ones_the_truth_has(truth):
    model = Answers(lambda x: np.abs(x) + 0.5)
    result = judged(model, c.at_most("mae", 99), truth)
    assert (result.passed, result.value) == (True, pytest.approx(mean_absolute_error(truth, model.predict(X))))


def test_a_metric_of_classes_judges_classes_however_many_the_truth_has():
    truth = np.arange(600) % 30
    assert judged(Answers(lambda x: truth), c.at_least("accuracy", 1.0), truth).passed


def test_probabilities_and_scores_given_by_predict_are_read_as_such():
    for give in (lambda x: 1 / (1 + np.exp(-x)), lambda x: 3 * x):
        result = judged(Answers(give), c.at_least("auc", 0.5), CLASSES)
        assert result.value == pytest.approx(roc_auc_score(CLASSES, X["x"]))
    assert judged(Answers(lambda x: 1 / (1 + np.exp(-x))), c.at_most("brier", 0.25), CLASSES).passed
    assert "needs probabilities" in judged(Answers(lambda x: 3 * x), c.at_most("brier", 0.25), CLASSES).message


def test_numbers_for_many_classes_are_refused_in_a_sentence():
    result = judged(Answers(lambda x: x), c.at_least("accuracy", 0.5), np.arange(600) % 3)
    assert not result.passed
    assert "gives numbers such as" in result.message
    assert len(result.message) <= 500


def test_a_long_list_of_classes_is_cut():
    result = judged(Answers(lambda x: x.astype(str)), c.at_least("accuracy", 0.5), CLASSES, task="binary")
    assert not result.passed
    assert "and 594 more" in result.message
    assert len(result.message) <= 500


def test_the_task_can_be_stated():
    fitted = LogisticRegression().fit(X, CLASSES)
    assert "regression tasks" in judged(fitted, c.at_most("mae", 1), CLASSES).message
    assert judged(fitted, c.at_most("mae", 1), CLASSES, task="regression").passed
    gains = RANDOM.integers(0, 4, 600)
    ranked = judged(Answers(lambda x: gains - x), c.at_least("ndcg(20)", 0.5), gains, task="ranking")
    assert ranked.value == pytest.approx(ndcg_score([gains], [gains - X["x"]], k=20))
    with pytest.raises(InvalidInput, match="no task 'clusters'"):
        mk.Gate(c.at_least("auc", 0.5), on=X, task="clusters")


def test_a_classifier_of_two_classes_ranks_by_how_likely_the_positive_one_is():
    fitted = LogisticRegression().fit(X, CLASSES)
    likely = fitted.predict_proba(X)
    for positive, column in ((None, 1), (1, 1), (0, 0)):
        truth = CLASSES if positive != 0 else 1 - CLASSES
        ranked = judged(fitted, c.at_least("ndcg(20)", 0.5), truth, task="ranking", positive=positive)
        assert ranked.value == pytest.approx(ndcg_score([truth], [likely[:, column]], k=20))
    separating = LinearSVC().fit(X, CLASSES)
    by_margin = judged(separating, c.at_least("ndcg(20)", 0.5), CLASSES, task="ranking").value
    assert by_margin == pytest.approx(ndcg_score([CLASSES], [separating.decision_function(X)], k=20))


def f2(truth, predicted):
    found = ((truth == 1) & (predicted == 1)).sum()
    return 5 * found / (4 * (truth == 1).sum() + (predicted == 1).sum())


def test_functions_and_scorers_are_metrics_of_a_condition():
    fitted = LogisticRegression().fit(X, CLASSES)
    right = f2(CLASSES, fitted.predict(X))
    for given in (f2, make_scorer(fbeta_score, beta=2), "f2", c.metric(f2, name="f2 of frauds")):
        result = judged(fitted, c.at_least(given, 0.5), CLASSES)
        assert (result.passed, result.value) == (True, pytest.approx(right))
        assert result.name.startswith(("f2", "fbeta_score(beta=2)"))
    better = mk.Gate(c.better_than("champion", lambda y, p: (y == p).mean()), on=X.assign(y=CLASSES), target="y")
    always = Answers(lambda x: np.ones(len(x), int))
    assert better.evaluate(fitted, champion=always).passed
    assert not better.evaluate(always, champion=fitted).passed


def test_a_function_that_fails_does_not_hold_and_is_named():
    def profit(truth, predicted):
        raise RuntimeError("no price list")

    result = judged(LogisticRegression().fit(X, CLASSES), c.at_least(profit, 0.5), CLASSES)
    assert (result.passed, result.message) == (False, "undefined: profit raises RuntimeError: no price list")


def test_two_functions_of_one_name_have_two_results():
    gate = mk.Gate(
        c.at_least(lambda y, p: 0.25, 0.5), c.at_least(lambda y, p: 0.75, 0.5), on=X.assign(y=CLASSES), target="y"
    )
    report = gate.evaluate(LogisticRegression().fit(X, CLASSES))
    assert [(result.name, result.value) for result in report.results] == [
        ("<lambda> >= 0.5 on holdout", 0.25),
        ("<lambda> >= 0.5 on holdout (2)", 0.75),
    ]
