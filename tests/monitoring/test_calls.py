"""What a watched function was given and gave, however it gives it."""

import asyncio
import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput
from mlops_kit.monitoring.calls import flat, rows_among, single


def known(*classes, task="multiclass", positive=None):
    return lambda: (task, classes, positive)


@pytest.mark.parametrize(
    ("predictions", "kept"),
    [
        ([1, 2], [1, 2]),
        (("a", "b"), ["a", "b"]),
        (np.array([[0.9, 0.1]]), [0.1]),
        ([[0.9, 0.1], [0.2, 0.8]], [0.1, 0.8]),
        (np.array([[0.5], [0.6]]), [0.5, 0.6]),
        (pd.DataFrame({"p": ["x", "y"]}), ["x", "y"]),
        (pl.DataFrame({"no": [0.9], "yes": [0.1]}), [0.1]),
        (np.array([[0.1, 0.7, 0.2]]), ["green"]),
    ],
)
def test_probabilities_of_classes_become_one_value_for_each_row(predictions, kept):
    classes = ("green", "blue", "red") if kept == ["green"] else ("no", "yes")
    assert list(flat(predictions, known(*classes))) == kept


def test_the_column_of_the_positive_class_is_kept_and_without_classes_the_last_or_the_number_of_the_greatest():
    assert flat([[0.9, 0.1]], known("fraud", "ok", positive="fraud")).tolist() == [0.9]
    assert flat([[0.9, 0.1]], known(task=None)).tolist() == [0.1]
    assert flat([[0.1, 0.2, 0.1, 0.6]], known(task=None)).tolist() == [3]


@pytest.mark.parametrize(("task", "classes"), [("regression", ()), ("ranking", ()), ("multiclass", "abc")])
def test_columns_that_are_no_probabilities_of_the_classes_are_refused(task, classes):
    with pytest.raises(InvalidInput, match=f"do not fit a {task}"):
        flat([[0.9, 0.1]], known(*classes, task=task))


@pytest.mark.parametrize("predictions", [np.zeros((2, 0)), np.zeros((2, 2, 2)), [[0.1], [0.1, 0.2]], np.array(5)])
def test_what_is_no_column_of_predictions_is_refused(predictions):
    with pytest.raises(InvalidInput, match="no column of predictions"):
        flat(predictions, known())


@pytest.mark.parametrize(
    "as_given",
    [
        list,
        np.array,
        pd.Series,
        pl.Series,
        lambda y: np.array(y)[:, None],
        lambda y: pd.DataFrame({"y": y}),
        lambda y: pl.DataFrame({"y": y}),
        lambda y: [[one] for one in y],
    ],
)
def test_labels_of_one_column_are_the_labels_in_whatever_they_come(as_given, tmp_path):
    frame = pd.DataFrame({"x": [0.0, 1.0] * 200, "p": [0, 1] * 200, "y": [0, 1] * 200})
    monitor = mk.Monitor(frame, name="labels", prediction="p", target="y", store=tmp_path, window=200)
    monitor.log_labels(monitor.log(frame[["x"]], frame["p"]), as_given(frame["y"].tolist()))
    report = monitor.check()
    assert report.coverage.joined == 400
    assert report.windows[-1].metrics["accuracy"][0] == 1.0


@pytest.mark.parametrize(
    "labels", [np.ones((2, 2)), pd.DataFrame({"a": [1, 2], "b": [1, 2]}), [[1, 2], [3, 4]], [[1], [2, 3]]]
)
def test_more_than_one_column_of_labels_is_refused(labels):
    with pytest.raises(InvalidInput, match="give one"):
        single(labels)


def test_the_rows_are_found_among_the_arguments():
    table = pd.DataFrame({"x": [1]})
    assert rows_among(["fraud", {"a": [1]}], {"X": table}) is table
    assert rows_among([[{"x": 1}]], {}) == [{"x": 1}]
    with pytest.raises(InvalidInput, match="None of the arguments"):
        rows_among([1, "x"], {})


@pytest.fixture
def monitor(tmp_path):
    return mk.Monitor(pd.DataFrame({"x": np.arange(200.0)}), name="m", store=tmp_path / "store")


def test_a_coroutine_function_is_watched_like_any_other(monitor):
    @monitor.watch
    async def predict(X):
        await asyncio.sleep(0)
        return X["x"] * 2

    asked = pd.DataFrame({"x": [1.0, 2.0]})
    assert asyncio.run(predict(asked)).tolist() == [2, 4]
    assert monitor.predictions()["prediction"].tolist() == [2, 4]


def test_a_function_that_fails_or_predicts_nothing_is_not_disturbed(monitor, caplog):
    @monitor.watch
    def predict(X, answer):
        if answer is None:
            raise KeyError("no model")
        return answer

    with pytest.raises(KeyError, match="no model"):
        predict(pd.DataFrame({"x": [1.0]}), None)
    with caplog.at_level(logging.ERROR):
        assert predict(pd.DataFrame({"x": [1.0]}), 5) == 5
    assert "not logged" in caplog.text
    assert monitor.predictions().empty
