"""A dataset read as something else than was given has the same values: exactly, or an error that names the column."""

from __future__ import annotations

import datetime as dt
import decimal
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from mlops_kit.datasets.conversions import to_frame, to_matrix, to_polars
from mlops_kit.datasets.dataset import Dataset
from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.dispatch import fingerprint

D = decimal.Decimal
BIG = [2**60 + 1, None, 2**53 + 1]
MANY = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

COLUMNS = {
    **{f"int{n}": pa.array([2 ** (n - 1) - 1, None, -(2 ** (n - 1))], f"int{n}") for n in (8, 16, 32, 64)},
    **{f"uint{n}": pa.array([2**n - 1, None, 0], f"uint{n}") for n in (8, 16, 32, 64)},
    "integers without missing values": pa.array([2**60 + 1, 3]),
    "chunks": pa.chunked_array([[2**60 + 1], [None], []], pa.int64()),
    "truth": pa.array([True, None]),
    "all missing": pa.array([None, None]),
    **{
        f"no value of {kind}": pa.array([None, None], kind)
        for kind in (
            *(pa.bool_(), pa.date32(), pa.time64("us"), pa.binary(), pa.string(), pa.int8(), pa.float32()),
            *(pa.decimal128(5, 2), pa.list_(pa.int8()), pa.struct({"a": pa.int8()}), pa.timestamp("s", "UTC")),
        )
    },
    "decimals": pa.array([D("1.50"), None], pa.decimal128(10, 2)),
    "wide decimals": pa.array([D("1.50")], pa.decimal256(70, 2)),
    "dates": pa.array([dt.date(2024, 2, 29), None]),
    "dates beyond Python": pa.array([2**30, None], pa.int32()).cast(pa.date32()),
    "date64": pa.array([86_400_000, None], pa.date64()),
    "times": pa.array([dt.time(1, 2, 3, 4), None]),
    "nanoseconds of a day": pa.array([1, None], pa.time64("ns")),
    "moments": pa.array([1, None], pa.timestamp("ns", "Europe/Paris")),
    "moments beyond nanoseconds": pa.array([2**40, None], pa.timestamp("s")),
    "durations": pa.array([1, None], pa.duration("s")),
    "list": pa.array([BIG, None]),
    "list of floats": pa.array([[1.5], None, []]),
    "list of texts": pa.array([["a", None], None]),
    "list of moments": pa.array([[1, None], None], pa.list_(pa.timestamp("ns"))),
    "fixed list": pa.array([[2**60 + 1, None], None], pa.list_(pa.int64(), 2)),
    "view of lists": pa.array([[2**60 + 1, None], None], pa.list_view(pa.int64())),
    "struct": pa.array([{"a": 2**60 + 1, "b": None}, None], pa.struct({"a": pa.int64(), "b": pa.uint64()})),
    "map": pa.array([[("a", 2**60 + 1), ("b", None)], None], pa.map_(pa.string(), pa.int64())),
    "text of views": pa.array(["a", None], pa.string_view()),
    "list of text of views": pa.array([["a", None], None], pa.list_(pa.string_view())),
    "category": pa.array(["a", None]).dictionary_encode(),
    "category of decimals": pa.array([D("1.50"), None], pa.decimal128(10, 2)).dictionary_encode(),
    "category of nothing": pa.array([None, None], pa.string()).dictionary_encode(),
    "bytes": pa.array([b"a", None]),
    "fixed bytes": pa.array([b"ab", None], pa.binary(2)),
    "uuid": pa.array([b"0123456789abcdef", None], pa.uuid()),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_arrow_has_the_same_content_in_pandas(name):
    table = pa.table({"x": COLUMNS[name], "n": list(range(len(COLUMNS[name])))})
    frame = to_frame(table)
    assert frame.columns.tolist() == ["x", "n"]
    try:
        assert fingerprint(frame) == fingerprint(table)
    except UnsupportedData:
        assert name == "wide decimals"


@pytest.mark.parametrize("name", [name for name in COLUMNS if name.partition(" beyond")[1] == "" and name != "map"])
def test_the_values_of_a_column_in_pandas_are_those_of_arrow(name):
    got = to_frame(pa.table({"x": COLUMNS[name]}))["x"]

    def plain(value):
        if isinstance(value, np.ndarray | list):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 - NaN
            return None
        return value.item() if isinstance(value, np.generic) else value

    expected = COLUMNS[name].to_pylist()
    assert [plain(value) for value in got] == [plain(value) for value in expected]


@MANY
@given(dataframes(max_cols=3, max_size=5))
def test_any_frame_of_polars_has_the_same_content_in_pandas_and_in_arrow(frame):
    try:
        printed = fingerprint(frame)
    except UnsupportedData:
        return
    table = frame.to_arrow()
    if any(b"ARROW:extension:name" in (field.metadata or {}) for field in table.schema):
        return  # pandas has the values, and not this type
    assert fingerprint(to_polars(table)) == printed
    try:
        assert fingerprint(to_frame(table)) == printed
    except UnsupportedData as error:
        assert "Column 'col" in str(error)  # noqa: PT017 - both are answers


def test_dtypes_and_index_that_pandas_noted_are_made_again_beside_columns_of_arrow():
    frame = pd.DataFrame(
        {"i": pd.array([1, None], "Int64"), "b": pd.array([True, None], "boolean"), "x": [0.5, 1.5]}, index=["r", "s"]
    )
    table = pa.Table.from_pandas(frame)
    pd.testing.assert_frame_equal(to_frame(table), frame)
    more = to_frame(table.append_column("big", pa.array(BIG[:2])))
    pd.testing.assert_frame_equal(more.drop(columns="big"), frame)
    assert more["big"].tolist() == [2**60 + 1, pd.NA]
    assert more.index.tolist() == ["r", "s"]
    whole = pa.Table.from_pandas(pd.DataFrame({"x": [1.5, 2.5]}, index=pd.Index([1, 2], name="id")))
    holes = whole.set_column(1, "id", pa.array([2**60 + 1, None]))
    assert to_frame(holes)["id"].tolist() == [2**60 + 1, pd.NA]


def test_a_table_becomes_a_matrix_of_a_dtype_that_holds_all_its_values():
    assert to_matrix(pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})).tolist() == [[1.0, 0.5], [2.0, 1.5]]
    assert to_matrix(pd.DataFrame({"a": [1, 2]}, dtype="int8")).dtype == "int8"
    assert to_matrix(pd.DataFrame({"a": ["x", None], "b": [1, 2]})).tolist()[0] == ["x", 1]
    assert to_matrix(pd.DataFrame({"a": pd.array([1, 2], "Int16")})).dtype == "int16"
    assert to_matrix(pd.DataFrame(index=range(3))).shape == (3, 0)
    with pytest.raises(UnsupportedData, match=r"'a' of int64 would be rounded in an array of float64"):
        to_matrix(pd.DataFrame({"a": [2**60 + 1], "b": [0.5]}))
    with pytest.raises(UnsupportedData, match=r"'a' has the dtype Int64"):
        to_matrix(pd.DataFrame({"a": pd.array([1, None], "Int64")}))


@MANY
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), st.sampled_from(["f2", "f4", "f8", "u1"]))
def test_a_matrix_never_rounds_an_integer(values, other):
    frame = pd.DataFrame({"a": values, "b": np.ones(len(values), other)})
    try:
        matrix = to_matrix(frame)
    except UnsupportedData:
        return
    assert [int(value) for value in matrix[:, 0]] == values


def test_without_polars_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UnsupportedData, match="pip install polars"):
        to_polars(pa.table({"x": [1]}))


def test_a_column_that_polars_does_not_have_is_named():
    table = pa.table({"a": [1], "odd": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    with pytest.raises(UnsupportedData, match=r"'odd' has the type month_day_nano"):
        to_polars(table)


def test_a_column_at_which_polars_panics_is_named():
    table = pa.table({"a": [1], "odd": pa.array([D("1.5")], pa.decimal256(50, 2))})
    with pytest.raises(UnsupportedData, match=r"'odd' has the type decimal256"):
        to_polars(table)


MAKES = {
    "pandas": pd.DataFrame({"a": [1, None], "b": ["x", "y"]}),
    "indexed": pd.DataFrame({"a": [1, 2]}, index=[7, 3]),
    "arrow": pa.table({"a": BIG, "t": ["x", None, "y"], "l": [[1, None], None, []], "d": [D("1.50"), None, D("2")]}),
    "polars": pl.DataFrame({"a": [1, None], "t": ["x", None], "c": pl.Series(["u", None], dtype=pl.Categorical)}),
    "numbers": pl.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}),
    "vector": np.array([0, 1]),
    "matrix": np.arange(6, dtype="f4").reshape(3, 2),
    "series": pd.Series([1, 2], name="y"),
}


@pytest.mark.parametrize("how", ["to_pandas", "to_arrow", "to_polars", "to_numpy", "to_native"])
@pytest.mark.parametrize("name", MAKES)
def test_a_version_is_read_in_every_form_or_the_column_is_named(tmp_path, name, how):
    dataset = Dataset.snapshot(MAKES[name], name="d", store=f"memory://{tmp_path}")
    try:
        made = getattr(dataset, how)()
    except UnsupportedData as error:
        assert how == "to_numpy"
        assert "Column 'a'" in str(error)  # noqa: PT017
    else:
        assert len(made) == dataset.n_rows


def test_a_vector_is_a_vector_as_an_array(tmp_path):
    for name, data in {
        "series": pd.Series([1, 2]),
        "polars": pl.Series("y", [1, 2]),
        "arrow": pa.array([1, 2]),
    }.items():
        array = Dataset.snapshot(data, name=name, store=f"memory://{tmp_path}").to_numpy()
        assert (array.shape, array.dtype) == ((2,), "int64")
