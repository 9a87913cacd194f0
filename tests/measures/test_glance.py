"""A glance at a window tells of its numbers what looking at each column does, or nothing."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.measures.expectations import check, in_range, max_nulls, not_constant
from mlops_kit.measures.glance import glance

values = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1.0])


@given(st.lists(values, min_size=1, max_size=20), st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 1))
def test_rules_hold_by_a_glance_where_they_hold_by_the_rows(column, low, high, share):
    table = pa.table({"x": pa.array(column, pa.float64())})
    rules = [in_range("x", min(low, high), max(low, high)), max_nulls("x", share), not_constant("x")]
    by_rows = check(table, rules).results
    by_glance = check(table, rules, profile=glance(table)).results
    assert [result.passed for result in by_glance] == [result.passed for result in by_rows]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), None])
def test_a_column_with_anything_but_finite_numbers_is_looked_at(bad):
    table = pa.table({"x": [1.0, bad, 2.0], "y": [1.0, 2.0, 2.0]})
    assert [column.name for column in glance(table).columns] == ["y"]


def test_what_is_no_float_is_looked_at():
    table = pa.table({"n": [1, 2], "t": ["a", "b"], "x": np.array([1.0, 2.0]), "h": np.array([1, 2], np.float16)})
    assert [column.name for column in glance(table).columns] == ["x"]
    assert glance(table.slice(0, 0)).columns == ()
