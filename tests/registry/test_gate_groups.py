"""A gate that knows whose rows are counts subjects, and tells of rows that repeat others."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mlops_kit as mk
from mlops_kit import conditions as c
from mlops_kit.errors import InvalidInput
from mlops_kit.registry.report import GateReport


class Column:
    """A model that answers what a column of the data says."""

    def __init__(self, name):
        self.name = name

    def predict(self, data):
        return data[self.name].to_numpy()


def visits(subjects=100, rows=5, seed=0):
    """Give rows of patients, each of whom a model has right or wrong as a whole."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, subjects)
    wrong = {"a": 0.2, "b": 0.2, "good": 0.01}
    said = {name: np.where(random.random(subjects) < share, 1 - truth, truth) for name, share in wrong.items()}
    once = pd.DataFrame({**said, "patient": np.arange(subjects), "ward": np.arange(subjects) % 3, "y": truth})
    return pd.concat([once] * rows, ignore_index=True)


def judged(condition, name="good", data=None, **options):
    options = {"on": visits() if data is None else data, "target": "y", "groups": "patient", **options}
    return mk.Gate(condition, **options).evaluate(Column(name), champion=Column("b"))


def test_what_rests_on_repeated_rows_does_not_pass_by_their_number():
    better = c.better_than("champion", "accuracy")
    assert judged(better, "a", visits(rows=400), groups=None).passed  # 40,000 rows of 100 patients: all luck is proof
    report = judged(better, "a", visits(rows=400))
    assert not report.passed
    assert "40,000 rows in 100 groups, cluster-jackknife" in report.results[0].message
    assert judged(better, "good").passed


def test_thresholds_have_intervals_of_groups():
    data = visits()
    low = {
        key: judged(c.at_least("accuracy", 0.5), "a", data, groups=key).results[0].evidence["low"]
        for key in ("patient", None)
    }
    assert low["patient"] < low[None] - 0.03
    assert judged(c.at_least("accuracy", low["patient"], confidence=0.95), "a", data).passed
    assert not judged(c.at_least("accuracy", low[None], confidence=0.95), "a", data).passed


def test_few_groups_are_insufficient_data_and_not_many_a_note():
    few = judged(c.better_than("champion", "accuracy"), data=visits(9)).results[0]
    assert (few.passed, few.message) == (False, "undefined: insufficient data: 9 of the 10 groups that are needed")
    sure = judged(c.at_least("accuracy", 0.1, confidence=0.9), data=visits(9)).results[0]
    assert "insufficient data for an interval: 9 of the 10 groups that are needed" in sure.message
    assert (
        "in 40 groups (rough: fewer than 50)" in judged(c.at_least("accuracy", 0.1), data=visits(40)).results[0].message
    )


def test_parts_of_few_groups_are_not_judged():
    report = judged(c.on_slices("ward", c.better_than("champion", "accuracy")))
    assert [part["groups"] for part in report.results[0].evidence["parts"]] == [34, 33, 33]
    few = judged(c.on_slices("ward", c.at_least("accuracy", 0.1)), data=visits(28)).results[0]
    assert few.message == "no part has 30 rows or 10 groups" or "2 with fewer than 30 rows or 10 groups" in few.message


def test_a_model_may_take_the_groups_and_one_that_names_no_columns_is_not_given_them():
    data = visits()[["a", "patient", "y"]]
    for columns in (["a"], ["a", "patient"]):
        named = LogisticRegression().fit(data[columns], data["y"])
        assert mk.Gate(c.at_least("accuracy", 0.5), on=data, target="y", groups="patient").evaluate(named).passed
    bare = LogisticRegression().fit(data[["a"]].to_numpy(), data["y"])
    assert mk.Gate(c.at_least("accuracy", 0.5), on=data, target="y", groups="patient").evaluate(bare).passed


def test_the_report_tells_groups_and_repeated_rows_and_keeps_them():
    report = judged(c.at_least("accuracy", 0.1))
    assert (report.data[0].groups, report.data[0].repeated) == (100, 400)
    assert "500 rows, fp1:" in repr(report)
    assert "target y, 100 groups; 400 rows repeat others" in repr(report)
    assert GateReport.decode(report.encode(), where="a test") == report
    plain = judged(c.at_least("accuracy", 0.1), data=visits(rows=1), groups=None)
    assert not {"groups", "repeated"} & json.loads(plain.encode())["data"][0].keys()
    unlike = visits(rows=2).assign(y=[0] * 100 + [1] * 100)
    assert judged(c.at_least("accuracy", 0.1), data=unlike).data[0].repeated is None


def test_a_column_of_groups_must_be_there_and_full():
    with pytest.raises(InvalidInput, match="no column 'clinic'"):
        judged(c.at_least("accuracy", 0.1), groups="clinic")
    with pytest.raises(InvalidInput, match="groups=3 is not the name of a column"):
        judged(c.at_least("accuracy", 0.1), groups=3)
    holed = visits().assign(patient=lambda rows: rows["patient"].where(rows["patient"] > 3))
    assert "20 of 500 rows have no group" in judged(c.at_least("accuracy", 0.1), data=holed).results[0].message
