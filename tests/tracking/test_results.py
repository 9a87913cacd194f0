"""What a function returns is sorted into metrics, models, tables and values, and registered where that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit.errors import OutputNotFound, RecordingWarning

FRAME = pd.DataFrame({"x": [1.5, None], "kind": pd.Categorical(["a", "b"])})


def returned(value):
    give = mk.track(lambda: value, name="give")
    give()
    return mk.get_run(give.last_run.id)


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
