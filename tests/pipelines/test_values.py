"""What a step returned comes back equal and of its type, from its record or from objects."""

import datetime as dt
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

import mlops_kit as mk
from mlops_kit.errors import NotSerializable
from mlops_kit.pipelines.values import INLINE_BYTES, keep_value, load_value
from mlops_kit.records.step import StepRecord
from mlops_kit.store.store import without_sync

WHEN = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


class Frame(pd.DataFrame):
    """A table of a user's own class."""


def record_of(store, value):
    ref, data = keep_value(without_sync(store), value, fingerprint=None)
    record = StepRecord("ab" * 32, "tests:step", WHEN, 0.5, ref, "fp2:" + "0" * 64, "3.12", data=data)
    store.ensure()
    store.results.write(record)
    return store.results.read(record.key)


VALUES = {
    "dates": pd.DataFrame({"at": pd.to_datetime(["2026-01-01", None]).tz_localize("Europe/Warsaw")}),
    "category": pd.DataFrame({"plan": pd.Categorical(["a", None], categories=["b", "a"], ordered=True)}),
    "labels": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), index=["row"]),
    "objects": pd.DataFrame({"mixed": [1, "a"], "sets": [{1}, {2}]}),
    "series": pd.Series([1.5, None], name="x", index=[3, 4]),
    "own class": Frame({"a": [1]}),
}


@pytest.mark.parametrize("name", VALUES)
def test_tables_of_pandas_come_back_as_they_were(store, name):
    value = VALUES[name]
    loaded = load_value(store, record_of(store, value))
    assert type(loaded) is type(value)
    compare = pd.testing.assert_series_equal if isinstance(value, pd.Series) else pd.testing.assert_frame_equal
    compare(loaded, value)


def test_values_of_other_libraries_come_back_as_they_were(store):
    polars = pl.DataFrame({"a": [1, None], "b": [["x"], []]})
    assert load_value(store, record_of(store, polars)).equals(polars)
    table = pa.table({"a": pa.array(["x", "y"]).dictionary_encode()})
    assert load_value(store, record_of(store, table)).equals(table)
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(load_value(store, record_of(store, array)), array)
    model = load_value(store, record_of(store, LinearRegression().fit([[1], [2]], [1, 2])))
    assert model.predict([[3]])[0] == pytest.approx(3)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
))  # fmt: skip
def test_plain_values_stand_in_the_record_and_come_back_equal_and_of_their_types(value):
    record = record_of(mk.Store("memory://plain"), value)
    loaded = load_value(mk.Store("memory://plain"), record)
    assert (record.value.format, repr(loaded)) == ("json", repr(value))


@pytest.mark.parametrize(("size", "inline"), [(INLINE_BYTES // 2, True), (INLINE_BYTES + 1, False)])
def test_a_small_pickle_stands_in_the_record_and_a_large_one_in_an_object(store, size, inline):
    record = record_of(store, bytearray(size))
    assert (record.data is not None, load_value(store, record)) == (inline, bytearray(size))
    assert (next(store.backend.walk("objects/"), None) is None) is inline


def test_what_cannot_be_kept_is_named(store):
    with pytest.raises(NotSerializable, match="it is a stream"):
        keep_value(store, pa.table({"a": [1]}).to_reader(), fingerprint=None)
    with pytest.raises(NotSerializable, match=r"value.*is of type _thread.lock"):
        keep_value(store, {"lock": __import__("threading").Lock()}, fingerprint=None)


def define(module, text):
    exec(text, module.__dict__)  # noqa: S102 - as a notebook runs a cell


def test_a_class_of_the_program_comes_back_as_the_one_that_is_there_now(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", main := ModuleType("__main__"))
    define(main, "class Split:\n    pass\ndef double(x):\n    return 2 * x")
    record = record_of(store, [main.Split(), main.double, main.Split])
    define(main, "class Split:\n    pass\ndef double(x):\n    return x + x")
    instance, function, cls = load_value(store, record)
    assert (type(instance), function, cls) == (main.Split, main.double, main.Split)
    del main.Split
    with pytest.raises(NotSerializable, match="cannot be restored"):
        load_value(store, record)


def test_a_function_that_has_no_name_there_is_kept_whole(store):
    three = 3
    loaded = load_value(store, record_of(store, lambda x: x + three))
    assert loaded(1) == 4


@pytest.mark.parametrize("wrap", [lambda part: part, lambda part: {"a": [part]}])
def test_what_would_come_back_as_another_type_is_refused_and_its_place_named(store, tmp_path, wrap):
    path = tmp_path / "text"
    path.write_text("x")
    with path.open() as file:
        for part in (file, memoryview(b"x")):
            value = wrap(part)
            where = "value" if value is part else r"value\['a'\]\[0\]"
            with pytest.raises(NotSerializable, match=rf"{where} is of type \S*{type(part).__name__} .*another type"):
                keep_value(without_sync(store), value, fingerprint=None)
