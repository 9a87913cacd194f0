"""The key of a result: another after any change that could matter, the same after any that could not."""

import enum
import functools

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.pipelines.keys import inputs_of
from mlops_kit.pipelines.options import StepOptions

OPTIONS = StepOptions()
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def take(value):
    return value


def key(value, function=take, **options):
    return inputs_of(function, OPTIONS.changed(options), (value,), {}).key


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


DIFFERENT = {
    "type of a number": (1, 1.0),
    "truth value": (1, True),
    "order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "list and tuple": ([1], (1,)),
    "member": (Colour.RED, Colour.BLUE),
    "dtype": (np.array([1, 2]), np.array([1, 2], dtype=np.int32)),
    "kind of array": (np.zeros(1, [("a", "i8")]), np.zeros(1, [("a", "i8")]).view(np.recarray)),
    "one cell": (FRAME, FRAME.assign(a=[1, 3])),
    "index": (FRAME, FRAME.set_axis([5, 6])),
    "order of columns": (FRAME, FRAME[["b", "a"]]),
    "category": (FRAME, FRAME.assign(b=pd.Categorical(["x", "y"]))),
    "attrs": (FRAME, FRAME.copy().pipe(lambda frame: frame.attrs.update(unit="m") or frame)),
    "library": (FRAME, pl.DataFrame(FRAME)),
    "library within": ({"data": pl.DataFrame(FRAME)}, {"data": pl.DataFrame(FRAME).to_arrow()}),
    "type in another library": (pl.DataFrame({"b": ["x"]}), pl.DataFrame({"b": ["x"]}, schema={"b": pl.Categorical})),
    "function": (lambda x: x, lambda x: x + 1),
    "partial": (functools.partial(take, 1), functools.partial(take, 2)),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_the_code_could_tell_apart_has_another_key(case):
    one, other = DIFFERENT[case]
    assert key(one) != key(other)
    assert key(one) == key(one)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), st.lists))
def test_equal_values_have_equal_keys(value):
    import copy

    assert key(copy.deepcopy(value)) == key(value)


def test_packages_that_the_arguments_or_the_code_reach_enter_with_their_requirements():
    packages = inputs_of(take, OPTIONS, (FRAME,), {}).packages
    assert {"pandas", "numpy", "python-dateutil"} <= packages.keys()
    assert "scikit-learn" not in packages
    from sklearn.dummy import DummyClassifier

    packages = inputs_of(take, OPTIONS, (DummyClassifier(),), {}).packages
    assert {"scikit-learn", "numpy", "scipy", "joblib"} <= packages.keys()


def test_another_version_of_a_package_below_is_another_key(monkeypatch):
    from mlops_kit.fingerprints import requirements

    before = key(FRAME)
    assert key(FRAME) == before
    installed, _ = requirements.packages_and_stamp()
    changed = {**installed, "numpy": "99.0"}
    monkeypatch.setattr(requirements, "packages_and_stamp", lambda: (changed, "another stamp"))
    assert key(FRAME) != before
    assert key(1) == key(1)


def test_what_is_said_by_hand_counts(tmp_path, monkeypatch):
    file = tmp_path / "words.txt"
    file.write_text("a", encoding="utf-8")
    monkeypatch.setenv("REGION", "eu")
    plain = key(1)
    by_hand = {
        "version": key(1, version="2"),
        "file": key(1, depends_on=file),
        "folder": key(1, depends_on=[str(tmp_path)]),
        "variable": key(1, depends_on="$REGION"),
        "function": key(1, depends_on=lambda: 5),
    }
    assert len({plain, *by_hand.values()}) == 6
    file.write_text("b", encoding="utf-8")
    monkeypatch.setenv("REGION", "us")
    assert key(1, version=2) == by_hand["version"]
    assert key(1, depends_on=file) != by_hand["file"]
    assert key(1, depends_on=[str(tmp_path)]) != by_hand["folder"]
    assert key(1, depends_on="$REGION") != by_hand["variable"]
    assert key(1, depends_on=lambda: 6) != by_hand["function"]


GLOBAL = {"limit": 3}


def reads_global(value):
    return value + GLOBAL["limit"]


def test_a_global_counts_unless_it_is_ignored(monkeypatch):
    before, ignoring = key(1, reads_global), key(1, reads_global, ignore="GLOBAL")
    monkeypatch.setitem(GLOBAL, "limit", 4)
    assert key(1, reads_global) != before
    assert key(1, reads_global, ignore="GLOBAL") == ignoring


def test_the_version_that_a_step_inside_was_given_counts():
    import mlops_kit as mk

    def around(version):
        inner = mk.step(take, version=version)

        def outer(value):
            return inner(value)

        return outer

    assert key(1, around(1)) == key(1, around(1))
    assert key(1, around(1)) != key(1, around(2))


def test_the_order_of_further_arguments_counts_and_that_of_named_ones_does_not():
    def further(first=0, **rest):
        return list(rest)

    keys = [inputs_of(further, OPTIONS, (), named).key for named in ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
    assert keys[0] != keys[1]
    keys = [inputs_of(further, OPTIONS, (), named).key for named in ({"first": 1, "b": 2}, {"b": 2, "first": 1})]
    assert keys[0] == keys[1]
