"""A metric is measured on parts of the rows."""

import numpy as np
import pandas as pd
import pytest

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.metrics import measure
from mlops_kit.measures.predicted import Predicted
from mlops_kit.measures.slices import measure_slices, parts


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=500),
        np.random.default_rng(0).integers(0, 4, 500),
        pd.Series(np.random.default_rng(0).choice(["a", "b", None], 500)),
        pd.Series(np.random.default_rng(0).choice(["a", "b"], 500), dtype="category"),
        pd.date_range("2026-01-01", periods=500),
        [True, False] * 250,
        [None] * 500,
        pd.array([1, None] * 250, dtype="Int64"),
        np.where(np.arange(500) % 3 == 0, np.nan, np.arange(500.0)),
        [0] * 480 + list(range(20)),
    ],
    ids=lambda values: type(values).__name__,
)
def test_every_row_is_in_exactly_one_part(values):
    made = parts(values)
    assert np.sum([rows for _, rows in made], axis=0).tolist() == [1] * 500
    assert all(rows.any() for _, rows in made)
    assert len({label for label, _ in made}) == len(made)


def test_numbers_in_few_values_are_values_and_in_order():
    assert [label for label, _ in parts([10, 9, 2] * 3)] == ["2", "9", "10"]


def test_numbers_make_ranges_of_equal_size():
    assert [(label, int(rows.sum())) for label, rows in parts(np.arange(1000), bins=4)] == [
        ("[0, 250)", 250),
        ("[250, 500)", 250),
        ("[500, 750)", 250),
        ("[750, 999]", 250),
    ]


def test_too_many_different_values_are_refused():
    with pytest.raises(InvalidInput, match="2,000 different values"):
        parts([str(number) for number in range(2000)])


def test_the_worst_part_comes_first_and_what_has_no_value_last():
    truth, told = [1, 1, 0, 0, 1, 1], [1, 0, 0, 0, 1, 1]
    given = Predicted.of(truth, told)
    found = measure_slices("recall", given, ["x", "x", "y", "y", "z", "z"], column="shop")
    assert [part.label for part in found] == ["x", "z", "y"]
    assert found[0].measurement == measure("recall", given.take(np.array([0, 1])))
    assert found[2].measurement.undefined == "no row is truly positive"
    losses = measure_slices("mae", Predicted.of([0.0, 0.5], [3.0, 1.0]), ["small", "big"], confidence=None)
    assert [part.label for part in losses] == ["small", "big"]


def test_a_column_of_another_length_is_refused():
    with pytest.raises(InvalidInput, match="'shop' has 1 values for 2 rows"):
        measure_slices("accuracy", Predicted.of([0, 1], [0, 1]), ["x"], column="shop")
