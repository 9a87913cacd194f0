"""Fingerprints of arguments: what the code that gets a value can see of it, and what it cannot."""

import contextvars
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier

from mlops_kit.fingerprints.arguments import argument_fingerprint, is_atom


def test_it_is_the_same_for_equal_values_and_names_where_their_types_come_from():
    frame = pd.DataFrame({"a": [1]})
    one, other = argument_fingerprint(frame), argument_fingerprint(frame.copy())
    assert (one.value, one.opaque) == (other.value, ())
    assert {"pandas", "numpy"} <= one.distributions.keys()
    assert argument_fingerprint([DummyClassifier()]).distributions.keys() == {"scikit-learn"}
    assert argument_fingerprint({"a": (1, "x")}).distributions == {}


def test_data_of_one_content_in_two_libraries_is_told_apart_however_deep_it_is():
    frame = pl.DataFrame({"a": [1]})
    assert argument_fingerprint(frame).value != argument_fingerprint(frame.to_arrow()).value
    assert argument_fingerprint([frame]).value != argument_fingerprint([frame.to_arrow()]).value


class Measured(np.ndarray):
    """An array of a user's own class."""


class Table(pd.DataFrame):
    """A table of a user's own class."""

    _metadata = ("unit",)


def with_unit(value, unit):
    value.unit = unit
    return value


def of_variable(value):
    variable = contextvars.ContextVar("v")
    variable.set(value)
    return variable


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([1], dtype="<i4"), np.array([1], dtype=">i4")),
        (np.ma.array([1, 2], mask=[0, 1], fill_value=7), np.ma.array([1, 2], mask=[0, 1], fill_value=8)),
        (pd.date_range("2026", periods=3), pd.DatetimeIndex(["2026-01-01", "2026-01-02", "2026-01-03"])),
        *[
            (with_unit(make(), "m"), with_unit(make(), "km"))
            for make in (lambda: np.ones(2).view(Measured), lambda: Table({"a": [1]}))
        ],
        (of_variable(1), of_variable(2)),
    ],
)
def test_what_code_can_read_beside_the_content_counts(one, other):
    assert argument_fingerprint(one).value == argument_fingerprint(one).value
    assert argument_fingerprint([one]).value != argument_fingerprint([other]).value
    assert argument_fingerprint(one).opaque == ()


def test_a_file_that_an_array_lies_in_does_not_hide_it(tmp_path):
    array = np.memmap(tmp_path / "array", dtype="i4", mode="w+", shape=(2,))
    assert argument_fingerprint(array).opaque == ()


def test_what_cannot_be_looked_into_is_named_as_opaque():
    for value in (threading.Lock(), [threading.Lock()], (i for i in "ab"), {"a": iter("b")}):
        assert argument_fingerprint(value).opaque


@pytest.mark.parametrize(
    ("value", "atom"), [(1, True), ("a", True), (None, True), (b"", True), (bytearray(), False), ([], False)]
)
def test_atoms_are_what_nobody_can_change_in_place(value, atom):
    assert is_atom(value) is atom


def test_a_change_in_place_shows():
    array = np.zeros(3)
    before = argument_fingerprint(array).value
    array[1] = 1
    assert argument_fingerprint(array).value != before
