"""What a function returns comes back equal and of the same type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal as polars_equal
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit.errors import OutputNotFound, RecordingWarning

FRAME = pd.DataFrame({"x": [1.5, None], "kind": pd.Categorical(["a", "b"])})


@mk.track
def give(make):
    return make()


def returned(value):
    give(lambda: value)
    return mk.get_run(give.last_run.id)


@pytest.mark.parametrize(
    "value",
    [
        1,
        "text",
        [1, (2, {"a": None})],
        {1: b"x"},
        frozenset({1}),
        math.inf,
        "x" * 100_000,
        list(range(10_000)),
        2**100_000,
        np.int64(3),
        {"a": [{1, 2}]},
        [],
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_values_come_back_equal_and_of_their_type(value):
    found = returned(value).load()
    assert (type(found), found) == (type(value), value)


def test_nothing_returned_is_nothing_recorded():
    run = returned(None)
    assert run.outputs == {}
    with pytest.raises(OutputNotFound, match="There are: none"):
        run.load()


@pytest.mark.parametrize(
    ("table", "equal"),
    [
        (FRAME, pd.testing.assert_frame_equal),
        (pl.DataFrame({"x": [1, None]}), polars_equal),
        (pa.table({"x": [1, None]}), lambda a, b: a.equals(b) or pytest.fail("differs")),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.testing.assert_frame_equal),
        (pd.Series([1, 2], name="y"), pd.testing.assert_series_equal),
        (np.arange(3.0), np.testing.assert_array_equal),
    ],
    ids=["pandas", "polars", "arrow", "duplicate names", "series", "array"],
)
def test_tables_come_back_as_they_were(table, equal):
    found = returned(table).load()
    assert type(found) is type(table)
    equal(found, table)


def test_a_model_comes_back_and_is_told_apart():
    X, y = [[0], [1], [2]], [0, 1, 1]
    run = returned(DecisionTreeClassifier(max_depth=1).fit(X, y))
    assert run.outputs["return"].kind == "model"
    assert run.outputs["return"].fingerprint.startswith("fp1:")
    assert run.load().predict(X).tolist() == y


class Split(NamedTuple):
    train: object
    rate: float


@dataclass
class Fitted:
    model: object
    auc: float
    scores: dict


def test_a_tuple_comes_back_whole_and_by_its_parts():
    run = returned((DecisionTreeClassifier(), 0.5, FRAME))
    assert [ref.kind for ref in run.outputs.values()] == ["model", "value", "table"]
    model, number, frame = run.load()
    assert (type(model), number) == (DecisionTreeClassifier, 0.5)
    pd.testing.assert_frame_equal(frame, FRAME)
    assert run.load("return.1") == 0.5


def test_a_dataclass_and_a_named_tuple_come_back_by_field():
    run = returned(Fitted(DecisionTreeClassifier(), 0.75, {"recall": 0.5}))
    assert run.metrics == {"auc": 0.75, "recall": 0.5}
    assert set(run.load()) == {"model", "auc", "scores"}
    assert returned(Split([1], 0.5)).load() == {"train": [1], "rate": 0.5}


def test_a_mapping_of_numbers_is_metrics():
    assert returned({"auc": np.float64(0.75), "n": 3}).metrics == {"auc": 0.75, "n": 3}
    assert returned({"auc": 0.75, "name": "x"}).metrics == {}


def test_what_does_not_pickle_is_named_and_the_metrics_are_kept():
    model = DecisionTreeClassifier()
    model.log_ = {"lines": (line for line in ())}

    @mk.track(register="tree")
    def train():
        mk.log_metric("auc", 0.75)
        return model

    with pytest.warns(RecordingWarning, match=r"return\.log_\['lines'\]"):
        assert train() is model
    run = mk.get_run(train.last_run.id)
    assert (run.metrics, run.status, run.models) == ({"auc": 0.75}, "finished", [])
    assert "log_['lines']" in run.problems[0]
    with pytest.raises(OutputNotFound, match="could not be kept"):
        run.load()


def test_the_model_that_is_returned_becomes_a_version():
    @mk.track(register="tree")
    def train(depth):
        mk.log_metric("auc", depth / 10)
        return DecisionTreeClassifier(max_depth=depth), {"n": 1}

    train(1)
    train(2)
    assert train.last_run.models == ["tree:2"]
    version = mk.ModelStore().get("tree:2")
    assert (version.run_id, version.metrics) == (train.last_run.id, {"auc": 0.2, "n": 1})
    assert mk.ModelStore().load("tree:1").max_depth == 1


@pytest.mark.parametrize("result", [{"auc": 1}, (DecisionTreeClassifier(), DecisionTreeClassifier()), (1, 2), None])
def test_what_holds_no_single_model_is_not_registered_and_returned_all_the_same(result):
    train = mk.track(register="tree")(lambda: result)
    with pytest.warns(RecordingWarning, match="'tree'"):
        assert train() is result
    assert train.last_run.models == []
