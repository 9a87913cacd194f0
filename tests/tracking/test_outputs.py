"""What a function returns comes back equal and of the same type."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal as polars_equal
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit.errors import OutputNotFound

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
    assert run.outputs["return"].fingerprint.startswith("fp2:")
    assert run.load().predict(X).tolist() == y


class Endless:
    def __reduce__(self):
        return self.__reduce__()


def test_an_object_whose_pickling_calls_itself_without_end_is_told_as_such():
    with mk.start_run() as run, pytest.warns(mk.errors.RecordingWarning, match="calls itself without end"):
        run.log_model(Endless(), "endless")
    assert run.status == "finished"
