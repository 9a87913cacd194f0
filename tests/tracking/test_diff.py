"""Two runs differ in what was recorded differently, and in nothing else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

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
