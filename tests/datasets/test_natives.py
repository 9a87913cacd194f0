"""Data comes back as the kind of object that was given, exactly, or is refused by the name of its column."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from hypothesis.extra import pandas as frames
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.datasets.frames import pack, read_parquet, unpack_native, write_parquet
from mlops_kit.errors import UnsupportedData

MANY = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def through(data):
    packed = pack(data)
    return unpack_native(read_parquet(write_parquet(packed.table)), json.loads(json.dumps(packed.header)))


def assert_same_array(left, right):
    assert type(left) is type(right) is np.ndarray
    assert (left.dtype, left.shape) == (right.dtype, right.shape)
    if left.dtype.kind == "O":
        assert [type(one) for one in left.ravel()] == [type(one) for one in right.ravel()]
        assert repr(left.tolist()) == repr(right.tolist())
    else:
        np.testing.assert_array_equal(left, right)


ARRAYS = {
    "vector": np.array([0, 1, 0]),
    "matrix": np.arange(6.0).reshape(3, 2),
    "one column": np.arange(3.0).reshape(3, 1),
    "column order": np.asfortranarray(np.arange(6).reshape(3, 2)),
    "strided": np.arange(20.0).reshape(5, 4)[::2, ::-2],
    **{f"vector of {kind}": np.array([0, 1, 100], kind) for kind in ("i1", "u1", "i2", "u2", "i4", "u4", ">i4", ">f8")},
    "largest": np.array([2**64 - 1, 0], "u8"),
    "half": np.array([[1.5, np.nan]], "f2"),
    "single": np.array([1.5, -0.0], "f4"),
    "truth": np.array([[True, False]]),
    "text": np.array(["a", "", "żółć"]),
    "wide text": np.array([["a"], ["b"]], "U9"),
    "bytes": np.array([b"a", b""], "S3"),
    "objects": np.array(["a", None, "b"], dtype=object),
    "objects of several kinds": np.array([["a", 1], [None, 2]], dtype=object),
    "text of numpy": np.array(["a", "b"], np.dtypes.StringDType()),
    **{f"moments in {unit}": np.array([1, "NaT"], f"M8[{unit}]") for unit in ("D", "s", "ms", "us", "ns")},
    **{f"durations in {unit}": np.array([[1, "NaT"]], f"m8[{unit}]") for unit in ("s", "ms", "us", "ns")},
    "no rows": np.empty((0, 3), "i2"),
    "no columns": np.empty((3, 0), "f4"),
    "empty vector": np.empty(0, "U5"),
    "empty objects": np.empty((0, 2), object),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_with_its_dtype_and_shape(name):
    assert_same_array(through(ARRAYS[name]), ARRAYS[name])


@MANY
@given(
    arrays.arrays(
        arrays.scalar_dtypes() | arrays.unicode_string_dtypes() | arrays.byte_string_dtypes(),
        arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4),
    )
)
def test_an_array_of_any_dtype_comes_back_or_is_refused(array):
    try:
        back = through(array)
    except UnsupportedData as error:
        assert "Column" in str(error) or "array" in str(error)  # noqa: PT017 - both are answers
    else:
        assert_same_array(back, array)


def test_a_vector_and_the_matrix_of_one_column_are_two_versions(tmp_path):
    store = f"memory://{tmp_path}"
    line = Dataset.snapshot(np.arange(3.0), name="x", store=store)
    matrix = Dataset.snapshot(np.arange(3.0).reshape(3, 1), name="x", store=store)
    assert (line.version, matrix.version) == (1, 2)
    assert line.fingerprint == matrix.fingerprint
    assert [data.to_native().shape for data in (line, matrix)] == [(3,), (3, 1)]


SERIES = {
    "named": pd.Series([1, 2], name="y"),
    "unnamed": pd.Series([1.5, None]),
    "indexed": pd.Series(["a", "b"], index=["r", "s"], name=("a", 1)),
    "categories": pd.Series(pd.Categorical(["b", "a"], ["b", "c", "a"], ordered=True), name=3),
    "nothing": pd.Series([], dtype="int8"),
}


@pytest.mark.parametrize("name", SERIES)
def test_a_series_comes_back_as_a_series(name):
    back = through(SERIES[name])
    pd.testing.assert_series_equal(back, SERIES[name], check_exact=True, check_index_type="exact")
    assert type(back.name) is type(SERIES[name].name)


def test_attributes_and_flags_of_a_frame_and_of_a_series_come_back():
    attributes = {
        "unit": "kg",
        "scale": np.float32(1.5),
        "since": np.datetime64("2024-01-02", "D"),
        "limits": (1, [np.int64(2), {"a": np.True_}], float("inf")),
        "when": dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
    }
    for data in (pd.DataFrame({"x": [1]}), pd.Series([1], name="x")):
        data.attrs = attributes
        back = through(data.set_flags(allows_duplicate_labels=False))
        assert back.attrs == attributes
        assert [type(value) for value in back.attrs.values()] == [type(value) for value in attributes.values()]
        assert type(back.attrs["limits"][1][0]) is np.int64
        assert not back.flags.allows_duplicate_labels
        assert through(data).flags.allows_duplicate_labels
    frame = pd.DataFrame({"x": [1]})
    frame.attrs = {1: "a key that is no text"}
    assert through(frame).attrs == frame.attrs


class Special(pd.DataFrame):
    """A frame with a unit of its own."""


class Line(pd.Series):
    """A Series of its own."""


REFUSED = {
    "subclass of a frame": (Special({"x": [1]}), r"Special is a DataFrame of pandas.*pandas\.DataFrame\(data\)"),
    "subclass of a Series": (Line([1]), r"Line is a Series of pandas.*pandas\.Series\(data\)"),
    "subclass of an array": (np.array([(1, 2)], "i4,i4").view(np.recarray), r"recarray.*numpy\.asarray"),
    "masked array": (np.ma.masked_array([1, 2], [True, False]), r"'0' is a masked array"),
    "complex": (np.array([1j]), r"'0' holds complex"),
    "structured": (np.array([(1, 2)], "i4,i4"), r"'0'"),
    "days beyond dates": (np.array(["5881580-07-12"], "M8[D]"), r"'0' holds a day more than"),
    "hours": (np.array([1], "M8[h]"), r"'0'"),
    "integers of polars": (pl.DataFrame({"big": pl.Series([1], dtype=pl.Int128)}), r"'big'"),
    "attributes": (pd.DataFrame({"x": [1]}), r"a object under 'model'.*frame\.attrs\.pop\('model'\)"),
    "several types of numpy": (
        pd.DataFrame({"x": pd.Series([np.int64(1), np.int32(1)], dtype=object)}),
        r"'x'.*int64 and a int32",
    ),
    "numbers of numpy and of Python": (pd.DataFrame({"x": pd.Series(["a", np.str_("b")], dtype=object)}), r"'x'.*str_"),
    "NaN of another width": (pd.DataFrame({"x": pd.Series(["a", np.float32("nan")], dtype=object)}), r"float32"),
}
REFUSED["attributes"][0].attrs["model"] = object()


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_not_be_made_again_is_refused(name):
    data, said = REFUSED[name]
    with pytest.raises(UnsupportedData, match=said):
        pack(data)


SCALARS = {
    kind.__name__: [kind("1"), kind("0")]
    for kind in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float64, np.str_)
} | {"bytes_": [np.bytes_(b"a")], "bool": [np.True_, np.False_], "nan": ["a", np.float64("nan"), None, float("nan")]}


@pytest.mark.parametrize("name", SCALARS)
def test_scalars_of_numpy_among_objects_come_back_as_scalars_of_numpy(name):
    for values in (SCALARS[name], [*SCALARS[name], None]):
        back = through(pd.DataFrame({"x": pd.Series(values, dtype=object)}))["x"]
        assert [type(value) for value in back] == [type(value) for value in values]
        assert repr(back.tolist()) == repr(values)


@MANY
@given(
    frames.data_frames(
        [
            frames.column("a", elements=st.integers(-5, 5) | st.none(), dtype=object),
            frames.column("b", dtype=np.dtype("float32")),
            frames.column("c", dtype=np.dtype("datetime64[ns]")),
            frames.column("d", dtype=np.dtype("uint8")),
            frames.column("e", dtype=np.dtype(bool)),
        ],
        index=frames.range_indexes() | frames.indexes(dtype=np.dtype("int64")),
    )
)
def test_a_frame_of_pandas_comes_back(frame):
    pd.testing.assert_frame_equal(through(frame), frame, check_exact=True, check_index_type="exact")


@MANY
@given(dataframes(max_cols=4, max_size=5))
def test_a_frame_of_polars_of_any_dtype_comes_back_or_is_refused(frame):
    try:
        back = through(frame)
    except UnsupportedData as error:
        assert "olumn 'col" in str(error)  # noqa: PT017 - both are answers
    else:
        assert back.schema == frame.schema
        assert_frame_equal(back, frame)


def test_a_series_of_polars_comes_back_as_a_series():
    for series in (pl.Series("y", ["a", None], dtype=pl.Categorical), pl.Series([1, None]), pl.Series("e", [])):
        back = through(series)
        assert isinstance(back, pl.Series)
        assert (back.name, back.dtype) == (series.name, series.dtype)
        assert back.equals(series, null_equal=True)


def test_arrow_comes_back_as_what_it_was():
    table = pa.table({"x": [1, None], "t": ["a", "b"]})
    assert through(table).equals(table)
    batch = pa.record_batch({"x": [1, None]})
    for one in (batch, batch.slice(0, 0)):
        assert isinstance(through(one), pa.RecordBatch)
        assert through(one).equals(one)
    for column in (pa.array([1, None]), pa.chunked_array([["a"], ["b"]]), pa.array([], pa.int8())):
        assert type(through(column)) is type(column) or isinstance(column, pa.Array)
        assert through(column).equals(column)


def test_a_dict_comes_back_as_a_dict():
    columns = {
        "a": np.array([1, 2], "i2"),
        7: ["x", "y"],
        "c": (1.5, float("inf")),
        "d": np.array(["2024", "NaT"], "M8[D]"),
    }
    back = through(columns)
    assert list(back) == list(columns)
    for label, values in columns.items():
        assert type(back[label]) is type(values)
        np.testing.assert_array_equal(back[label], values)
    assert back["a"].dtype == "i2"
    with pytest.raises(UnsupportedData, match=r"Column 'm' of the dict.*to_arrow"):
        through({"a": [1], "m": [None]})


def test_a_stream_of_another_library_comes_back_as_an_arrow_table():
    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return pa.table({"x": [1]}).__arrow_c_stream__(requested_schema)

    assert through(Stream()).equals(pa.table({"x": [1]}))
