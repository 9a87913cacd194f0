"""Two runs differ in what was recorded differently, and in nothing else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

import mlops_kit as mk


@mk.track
def train(data, depth=1):
    return {"auc": depth / 10}


def differences(left, right):
    return {(each.section, each.name): (each.left, each.right) for each in left.diff(right).differences}


def test_equal_runs_do_not_differ():
    runs = []
    for _ in range(2):
        train(pd.DataFrame({"x": [1, math.nan]}), 2)
        runs.append(mk.get_run(train.last_run.id))
    assert runs[0].diff(runs[1]).identical
    assert runs[0].diff(runs[0]).identical


def test_parameters_data_and_metrics_are_told_apart():
    train(np.zeros(3), 1)
    left = train.last_run
    train(np.ones(3), 2)
    found = differences(left, mk.get_run(train.last_run.id))
    assert set(found) == {("params", "depth"), ("data", "data"), ("metrics", "auc")}
    assert found["params", "depth"] == (1, 2)


@pytest.mark.parametrize(
    ("left", "right", "differ"),
    [
        (math.nan, math.nan, False),
        ([math.nan], [math.nan], False),
        ([{"a": 1}], [{"a": 1.0}], True),
        ([True], [1], True),
        (0.0, -0.0, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({1, 2}, {2, 1}, False),
        ("1", 1, True),
    ],
)
def test_values_are_compared_at_every_depth(left, right, differ):
    runs = []
    for value in (left, right):
        with mk.start_run() as run:
            run.log_param("x", value)
        runs.append(mk.get_run(run.id))
    assert (("params", "x") in differences(*runs)) == differ
    assert not differ or "x" in repr(runs[0].diff(runs[1]))


def test_what_only_one_has_is_missing_in_the_other():
    with mk.start_run() as left:
        left.log_param("only", 1)
    with mk.start_run(tags={"team": "a"}, store="memory://other") as right:
        pass
    found = differences(left, right)
    assert {
        key: [side.value if hasattr(side, "value") else side for side in sides] for key, sides in found.items()
    } == {
        ("params", "only"): [1, "–"],
        ("tags", "team"): ["–", "a"],
    }


def by_other_rules(monkeypatch, number=9):
    """Make fingerprints of code and objects as a release with other rules would."""
    for module in ("code", "objects"):
        monkeypatch.setattr(f"mlops_kit.fingerprints.{module}.OBJECTS", number)
    monkeypatch.setattr("mlops_kit.fingerprints.code._remembered", {})


def test_code_of_another_release_is_neither_equal_nor_changed(monkeypatch):
    train(np.zeros(3), 1)
    left = train.last_run
    by_other_rules(monkeypatch)
    train(np.zeros(3), 1)
    found = left.diff(train.last_run)
    assert (found.differences, found.not_compared) == ((), ("code",))
    assert not found.identical


def test_code_that_another_python_compiled_is_neither_equal_nor_changed():
    train(np.zeros(3), 1)
    left, right = train.last_run, mk.get_run(train.last_run.id)

    code = {**left.code, "fingerprint": "fp2:" + "0" * 64, "functions": {"a": "0"}}
    right.__class__ = type("Elsewhere", (type(right),), {"environment": {"python": "3.99.1"}, "code": code})
    found = left.diff(right)
    assert "code" in found.not_compared
    assert not [each for each in found.differences if each.section == "code"]


def test_cut_values_and_models_of_another_release_are_not_compared(monkeypatch):
    class Own:
        def __init__(self, items):
            self.items = items

        def __repr__(self):
            return "Own"

    @mk.track
    def fit(model, own, nested):
        return None

    runs = []
    for _ in range(2):
        fit(KMeans(n_clusters=3), Own([1]), [1, Own([2])])
        runs.append(fit.last_run)
        by_other_rules(monkeypatch)
    found = runs[0].diff(runs[1])
    assert found.differences == ()
    assert {"code", "params.model", "params.own"} <= set(found.not_compared)
