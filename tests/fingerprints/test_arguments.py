"""Fingerprints of arguments: what the code that gets a value can see of it, and what it cannot."""

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
