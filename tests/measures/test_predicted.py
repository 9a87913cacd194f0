"""Predictions are put beside the truth, whatever they come in."""

import numpy as np
import pandas as pd
import pytest

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.predicted import Predicted


@pytest.mark.parametrize(
    ("truth", "task"),
    [
        ([0, 1, 1], "binary"),
        ([True, False], "binary"),
        (["a", "b"], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([0, 1, 2], "multiclass"),
        ([0.5, 1.0], "regression"),
        (list(range(30)), "regression"),
        ([0.0, 1.0, 2.0], "multiclass"),
    ],
)
def test_the_task_is_told_by_the_truth(truth, task):
    assert Predicted.of(truth, truth).task == task


def test_columns_of_probabilities_tell_of_classes_that_do_not_occur():
    given = Predicted.of([0, 1], probabilities=[[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], classes=[0, 1, 2])
    assert (given.task, given.labels.tolist()) == ("multiclass", [1, 2])


@pytest.mark.parametrize(
    "truth",
    [
        np.array(["no", "yes", "no"]),
        pd.Series(["no", "yes", "no"], dtype="category", index=[7, 3, 5]),
        pd.Series(["no", "yes", "no"], dtype="string"),
        pd.DataFrame({"y": ["no", "yes", "no"]}),
        ("no", "yes", "no"),
    ],
    ids=lambda truth: type(truth).__name__,
)
def test_truth_comes_in_any_column(truth):
    given = Predicted.of(truth, ["no", "no", "no"])
    assert (given.truth.tolist(), given.labels.tolist(), given.classes) == ([0, 1, 0], [0, 0, 0], ("no", "yes"))


def test_the_positive_class_can_be_named_and_turns_the_scores():
    told = [[0.9, 0.1], [0.2, 0.8]]
    given = Predicted.of(["bad", "good"], probabilities=told, classes=["bad", "good"], positive="bad")
    assert (given.classes, given.truth.tolist(), given.scores.tolist()) == (("good", "bad"), [1, 0], [0.9, 0.2])
    one = Predicted.of(["bad", "good"], probabilities=[0.25, 0.75], classes=["bad", "good"], positive="bad")
    assert one.scores.tolist() == [0.75, 0.25]
    ranked = Predicted.of(["bad", "good"], scores=[-1.0, 1.0], classes=["bad", "good"], positive="bad")
    assert ranked.scores.tolist() == [1.0, -1.0]


def test_scores_that_are_no_probabilities_make_no_labels():
    assert Predicted.of([0, 1], scores=[-1.0, 1.0]).labels is None
    assert Predicted.of([0, 1], scores=[-1.0, 1.0]).task == "binary"


def test_a_class_that_the_model_does_not_know_is_added_with_no_probability():
    given = Predicted.of(["a", "z"], probabilities=[[0.5, 0.3, 0.2]] * 2, classes=["a", "b", "c"])
    assert given.classes == ("a", "b", "c", "z")
    assert given.scores[:, 3].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("given", "flaw"),
    [
        (Predicted.of([], [], task="binary"), "there are no rows"),
        (Predicted.of([0, None, 1], [0, 1, 1]), "1 of 3 rows have no label"),
        (Predicted.of(["a", np.nan, "b"], ["a", "b", None]), "1 of 3 rows have no label"),
        (Predicted.of([0.5, 1.5], [np.nan, 1.0]), "1 of 2 rows have no prediction"),
        (Predicted.of([0, 1], [0, 1], probabilities=[0.5, np.nan]), "1 of 2 rows have no score"),
        (Predicted.of([0, 1], probabilities=[[0.5, 0.5], [np.nan, 0.1]]), "1 of 2 rows have no prediction"),
        (Predicted.of([0.5, 1.5], [np.inf, 1.0]), "1 of 2 rows have no prediction"),
        (Predicted.of([0, 1], [0, 1]), None),
    ],
)
def test_what_makes_predictions_unusable_is_said(given, flaw):
    assert given.flaw == flaw


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0]), "1 predictions for 2 rows"),
        (([[0, 1], [1, 0]], [0, 1]), "must be one column"),
        (([0, 1, 2], [0, 1, 2], "binary"), "has two classes; these occur: 0, 1, 2"),
        (([0, 1], [0, 1], "clusters"), "no task 'clusters'"),
        ((["a"], ["b"], "regression"), "must be numbers"),
        (([0.5, 1.0],), "give them as labels"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, message):
    names = dict(zip(("truth", "labels", "task"), arguments, strict=False))
    with pytest.raises(InvalidInput, match=message):
        Predicted.of(**names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probabilities": [[0.1, 0.2, 0.7]] * 2, "classes": [0, 1]}, "3 columns of scores for 2 classes"),
        ({"probabilities": [0.1]}, "shape"),
        ({"probabilities": ["x", "y"]}, "must be numbers"),
        ({"scores": [0.1, 0.2], "task": "multiclass"}, "a column of probabilities or scores each"),
        ({"labels": [0, 1], "weights": [1, -1]}, "at least 0"),
        ({"labels": [0, 1], "weights": [1]}, "1 weights for 2 rows"),
        ({"labels": [0, 1], "positive": "yes"}, "no class 'yes' to be positive"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        Predicted.of([0, 1], **options)


def test_rows_can_be_taken():
    given = Predicted.of([0, 1, 1], probabilities=[0.1, 0.2, 0.9], weights=[1, 2, 3]).take(
        np.array([True, False, True])
    )
    assert (given.truth.tolist(), given.scores.tolist(), given.weights.tolist()) == ([0, 1], [0.1, 0.9], [1.0, 3.0])


def test_one_class_alone_is_padded_so_that_it_is_a_binary_task():
    assert Predicted.of([0, 0], [0, 0]).classes == (0, 1)
    assert Predicted.of([True], [True]).classes == (False, True)
    assert Predicted.of(["ok"], ["ok"]).classes == (None, "ok")
