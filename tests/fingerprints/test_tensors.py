"""Tensors have the fingerprints of the arrays that hold the same."""

import numpy as np
import pandas as pd
import pytest

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints import fingerprint
from mlops_kit.fingerprints.tensors import as_array, is_tensor


class Foreign:
    """An array of some library that speaks one protocol."""

    def __init__(self, values):
        self.values = np.asarray(values)


class SpeaksArray(Foreign):
    def __array__(self, dtype=None, copy=None):
        return self.values


class SpeaksDlpack(Foreign):
    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class Frame(pd.DataFrame):
    pass


@pytest.mark.parametrize("kind", [SpeaksArray, SpeaksDlpack])
def test_whatever_speaks_a_protocol_of_arrays_is_the_array(kind):
    assert is_tensor(kind([1.0]))
    assert fingerprint(kind([[1.0, 2.0]])) == fingerprint(np.array([[1.0, 2.0]]))
    assert fingerprint(kind([1.0])) != fingerprint(kind([2.0]))
    assert fingerprint({"x": [kind([1.0])]}) == fingerprint({"x": [np.array([1.0])]})
    np.testing.assert_array_equal(as_array(kind([1.0, 2.0])), [1.0, 2.0])


def test_a_labelled_array_is_more_than_its_values():
    class Labelled(SpeaksArray):
        dims = ("x",)

        def __reduce__(self):
            return np.asarray, (self.values.tolist(), self.labels)

    one, other = Labelled([1.0]), Labelled([1.0])
    one.labels, other.labels = "f4", "f8"
    assert fingerprint(one) != fingerprint(other)


def test_an_array_that_gives_no_numbers_is_taken_apart():
    class Refusing(SpeaksArray):
        def __array__(self, dtype=None, copy=None):
            raise TypeError("ask me for .get()")

        def __reduce__(self):
            return np.asarray, (self.values.tolist(),)

    assert fingerprint(Refusing([1.0])) != fingerprint(Refusing([2.0]))
    with pytest.raises(UnsupportedData, match="Refusing"):
        as_array(Refusing([1.0]))


@pytest.mark.parametrize(
    "value", [np.zeros(2), np.float64(1), pd.Series([1]), Frame({"x": [1]}), pd.array([1, None]), [1.0], SpeaksArray]
)
def test_what_numpy_and_the_libraries_of_tables_have_are_no_tensors(value):
    assert not is_tensor(value)
