"""A frame that was stored comes back as it was: values, dtypes, categories, index, labels."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.datasets.frames import (
    identity,
    measure,
    pack,
    promise,
    read_parquet,
    stored_columns,
    unpack_arrow,
    unpack_pandas,
    write_parquet,
)
from mlops_kit.errors import IntegrityError, InvalidInput, UnsupportedData
from mlops_kit.fingerprints.arrow import to_arrow

D = decimal.Decimal
DAY = dt.date(2024, 2, 29)
NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 5)  # noqa: DTZ001 - naive moments are the case


def objects(*values):
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return pd.Series(array, dtype=object)


def dates(unit, **options):
    return pd.Series(pd.to_datetime(["2024-02-29 12:30:01", None, "1969-12-31 23:59:59"])).astype(f"datetime64[{unit}]")


COLUMNS = {
    **{kind: pd.Series([0, 1, 100], dtype=kind) for kind in ("int8", "int16", "int32", "int64", ">i4")},
    **{kind: pd.Series([0, 1, 200], dtype=kind) for kind in ("uint8", "uint16", "uint32", "uint64")},
    "uint64 max": pd.Series([0, 2**64 - 1], dtype="uint64"),
    **{f"float{n}": pd.Series([-0.0, np.nan, np.inf], dtype=f"float{n}") for n in (16, 32, 64)},
    "bool": pd.Series([True, False]),
    "empty float": pd.Series([], dtype="float64"),
    "empty object": pd.Series([], dtype=object),
    "empty str": pd.Series([], dtype="str"),
    "empty category": pd.Series([], dtype=pd.CategoricalDtype(["a", "b"])),
    "Int8": pd.Series([1, None], dtype="Int8"),
    "UInt64": pd.Series([2**64 - 1, None], dtype="UInt64"),
    "Float32": pd.Series([1.5, None], dtype="Float32"),
    "Float64 with NaN and NA": pd.Series(
        pd.arrays.FloatingArray(np.array([1.0, np.nan, 0.0]), np.array([False, False, True]))
    ),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "str": pd.Series(["a", None, "", "żółć \x00 🦆"]),
    "str of python": pd.Series(["a", None], dtype=pd.StringDtype("python", na_value=np.nan)),
    "string": pd.Series(["a", None], dtype="string"),
    "string of python": pd.Series(["a", None], dtype="string[python]"),
    "str all missing": pd.Series([None, None], dtype="str"),
    **{f"datetime64[{unit}]": dates(unit) for unit in ("s", "ms", "us", "ns")},
    **{f"datetime64[{unit}, Paris]": dates(unit).dt.tz_localize("Europe/Paris") for unit in ("s", "ms", "us", "ns")},
    "datetime64 UTC": dates("us").dt.tz_localize("UTC"),
    "datetime64 offset": dates("us").dt.tz_localize(dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "datetime64[s] far away": pd.Series(np.array([2**55, -(2**55)], dtype="datetime64[s]")),
    "datetime64[ns] remainder": pd.Series(np.array([1, 999], dtype="datetime64[ns]")),
    **{
        f"timedelta64[{u}]": pd.Series(np.array([1, "NaT", -5], dtype=f"timedelta64[{u}]"))
        for u in ("s", "ms", "us", "ns")
    },
    "category of str": pd.Series(pd.Categorical(["b", None, "a"], categories=["b", "unused", "a"], ordered=True)),
    "category of int": pd.Series(pd.Categorical([3, 1, None], categories=[3, 2, 1])),
    "category of int8": pd.Series(pd.Categorical.from_codes([1, 0], categories=pd.Index([3, 1], dtype="int8"))),
    "category of float": pd.Series(pd.Categorical([0.1, 0.5, None])),
    "category of bool": pd.Series(pd.Categorical([True, False])),
    "category of dates": pd.Series(pd.Categorical(pd.to_datetime(["2024-01-02", "2024-01-01"]))),
    "category of zoned dates": pd.Series(pd.Categorical(pd.to_datetime(["2024-01-02", "2024-01-01"], utc=True))),
    "category of seconds": pd.Series(pd.Categorical(np.array([3, 1], dtype="datetime64[s]"))),
    "category of timedelta": pd.Series(pd.Categorical(pd.to_timedelta([3, 1], unit="s"))),
    "category of objects": pd.Series(pd.Categorical(pd.Index(["b", "a"], dtype=object))),
    "category of decimals": pd.Series(pd.Categorical([D("1.5"), D("2.5")])),
    "category of day objects": pd.Series(pd.Categorical([DAY, DAY + dt.timedelta(1)])),
    "category of bins": pd.cut(pd.Series([1.0, 5.0, np.nan, 9.0]), 3),
    "category of date bins": pd.cut(pd.Series(pd.date_range("2024", periods=3)), 2),
    "category of periods": pd.Series(pd.Categorical(pd.period_range("2024", periods=2, freq="M"))),
    "category of Int64": pd.Series(pd.Categorical(pd.array([3, 1], dtype="Int64"))),
    "category of nothing": pd.Series(pd.Categorical([None, None])),
    "category of 300": pd.Series(pd.Categorical([f"c{i}" for i in range(300)])),
    "period": pd.Series(pd.period_range("2024", periods=3, freq="Q-JAN")),
    "period missing": pd.Series(pd.PeriodIndex(["2024-01", None], freq="D")),
    "interval": pd.Series(pd.interval_range(0, 3)),
    "interval missing": pd.Series(pd.arrays.IntervalArray.from_tuples([(0.0, 1.0), None], closed="both")),
    "interval of dates": pd.Series(pd.interval_range(pd.Timestamp("2024"), periods=2, freq="D", closed="left")),
    "interval of zoned dates": pd.Series(pd.interval_range(pd.Timestamp("2024", tz="Europe/Paris"), periods=2)),
    "sparse int": pd.Series(pd.arrays.SparseArray([0, 0, 1])),
    "sparse float": pd.Series(pd.arrays.SparseArray([np.nan, 1.5])),
    "sparse bool": pd.Series(pd.arrays.SparseArray([True, False], fill_value=False)),
    **{
        f"arrow {kind}": pd.Series(values, dtype=pd.ArrowDtype(kind))
        for kind, values in {
            pa.int8(): [1, None],
            pa.string(): ["a", None],
            pa.large_string(): ["a", None],
            pa.timestamp("s", "Europe/Paris"): [NOON.replace(microsecond=0, tzinfo=ZoneInfo("Europe/Paris")), None],
            pa.date32(): [DAY, None],
            pa.time64("us"): [NOON.time(), None],
            pa.duration("s"): [dt.timedelta(seconds=1), None],
            pa.decimal128(7, 2): [D("1.50"), None],
            pa.list_(pa.int8()): [[1, 2], None],
            pa.struct({"a": pa.int8()}): [{"a": 1}, None],
            pa.dictionary(pa.int32(), pa.string()): ["a", None],
            pa.bool_(): [True, None],
            pa.float64(): [1.5, None],
            pa.null(): [None, None],
        }.items()
    },
    "objects str": objects("a", "b"),
    "objects str missing": objects("a", None, np.nan, pd.NA, pd.NaT),
    "objects str None": objects("a", None),
    "objects str NaN": objects("a", np.nan),
    "objects int": objects(1, 2**62),
    "objects int missing": objects(1, None, np.nan),
    "objects uint64": objects(0, 2**64 - 1),
    "objects float": objects(0.1, np.nan, None),
    "objects bool": objects(True, None, False),
    "objects bytes": objects(b"a", b"", None, b"\xff"),
    "objects Decimal": objects(D("1.0"), D("2.5"), None),
    "objects Decimal of many scales": objects(D("1"), D("1.50"), D("-1E+3"), None, np.nan),
    "objects wide Decimal": objects(D("9" * 60 + ".1"), D(0)),
    "objects date": objects(DAY, None),
    "objects datetime": objects(NOON, dt.datetime(1, 1, 1)),  # noqa: DTZ001 - naive moments are the case
    "objects zoned datetime": objects(NOON.replace(tzinfo=ZoneInfo("Europe/Paris")), None),
    "objects UTC datetime": objects(NOON.replace(tzinfo=dt.UTC)),
    "objects time": objects(dt.time(1, 2, 3, 4), None),
    "objects timedelta": objects(dt.timedelta(days=-1, microseconds=1), None),
    "objects list": objects([1, 2], [], None),
    "objects list of str": objects(["a"], [None, "b"]),
    "objects list of float": objects([0.5, float("nan")], [None]),
    "objects nested list": objects([[1], [2, 3]], [[]]),
    "objects tuple": objects((1, 2), (3,)),
    "objects dict": objects({"a": 1, "b": "x"}, None, {"a": 2, "b": None}),
    "objects array": objects(np.array([1.5, np.nan], dtype="float32"), np.array([], dtype="float32"), None),
    "objects array of bool": objects(np.array([True, False])),
    "objects missing": objects(None, None),
    "objects NaN": objects(np.nan, np.nan),
    "objects all kinds of missing": objects(None, np.nan, pd.NA, pd.NaT),
}

ONE = {"x": [1.5, 2.5]}
FRAMES = {
    "no columns": pd.DataFrame(index=pd.RangeIndex(3)),
    "no columns, text index": pd.DataFrame(index=["a", "b"]),
    "nothing": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="int64")}),
    "range index": pd.DataFrame(ONE, index=pd.RangeIndex(10, 30, 10)),
    "named range index": pd.DataFrame(ONE, index=pd.RangeIndex(2, name="id")),
    "integer index": pd.DataFrame(ONE, index=[7, 3]),
    "int8 index": pd.DataFrame(ONE, index=pd.Index([7, 3], dtype="int8")),
    "named integer index": pd.DataFrame(ONE, index=pd.Index([7, 3], name="id")),
    "text index": pd.DataFrame(ONE, index=["b", "a"]),
    "object index": pd.DataFrame(ONE, index=pd.Index(["b", None], dtype=object)),
    "float index": pd.DataFrame(ONE, index=[0.5, np.nan]),
    "bool index": pd.DataFrame(ONE, index=[True, False]),
    "repeated index": pd.DataFrame(ONE, index=["b", "b"]),
    "date index": pd.DataFrame(ONE, index=pd.to_datetime(["2024-01-05", "2024-01-01"])),
    "daily index": pd.DataFrame(ONE, index=pd.date_range("2024", periods=2, freq="D", name="day")),
    "business month index": pd.DataFrame(ONE, index=pd.date_range("2024", periods=2, freq="BME", tz="Europe/Paris")),
    "hourly delta index": pd.DataFrame(ONE, index=pd.timedelta_range("1h", periods=2, freq="h")),
    "second index": pd.DataFrame(ONE, index=pd.date_range("2024", periods=2, freq="h", unit="s")),
    "period index": pd.DataFrame(ONE, index=pd.period_range("2024", periods=2, freq="M")),
    "interval index": pd.DataFrame(ONE, index=pd.interval_range(0, 2)),
    "category index": pd.DataFrame(ONE, index=pd.CategoricalIndex(["b", "a"], ["b", "c", "a"], ordered=True)),
    "Int64 index": pd.DataFrame(ONE, index=pd.Index([1, None], dtype="Int64")),
    "multi index": pd.DataFrame(ONE, index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["n", None])),
    "unnamed integer multi index": pd.DataFrame(ONE, index=pd.MultiIndex.from_tuples([(1, 4), (2, 3)])),
    "multi index of twins": pd.DataFrame(ONE, index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["n", "n"])),
    "multi index of dates and categories": pd.DataFrame(
        ONE, index=pd.MultiIndex.from_arrays([pd.to_datetime(["2024", None]), pd.Categorical(["b", "a"])])
    ),
    "empty multi index": pd.DataFrame(ONE, index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])).iloc[:0],
    "index named as a column": pd.DataFrame(ONE, index=pd.Index([5, 6], name="x")),
    "index with a tuple as name": pd.DataFrame(ONE, index=pd.Index([5, 6], name=("a", 1))),
    "integer labels": pd.DataFrame([[1, 2.5]], columns=[5, 3]),
    "range labels": pd.DataFrame(np.arange(6.0).reshape(2, 3)),
    "mixed labels": pd.DataFrame(
        [[1, 2.5, 3, 4]], columns=pd.Index(["a", 1, None, ("b", 2)], dtype=object, tupleize_cols=False)
    ),
    "float labels": pd.DataFrame([[1, 2.5]], columns=[0.5, np.nan]),
    "date labels": pd.DataFrame([[1, 2.5]], columns=pd.date_range("2024", periods=2, freq="D")),
    "category labels": pd.DataFrame([[1, 2.5]], columns=pd.CategoricalIndex(["b", "a"], ["b", "a", "c"])),
    "period labels": pd.DataFrame([[1, 2.5]], columns=pd.period_range("2024", periods=2, freq="M")),
    "interval labels": pd.DataFrame([[1, 2.5]], columns=pd.interval_range(0, 2)),
    "named labels": pd.DataFrame([[1, 2.5]], columns=pd.Index(["a", "b"], name="what")),
    "object labels": pd.DataFrame([[1, 2.5]], columns=pd.Index(["a", "b"], dtype=object)),
    "multi labels": pd.DataFrame(
        [[1, 2.5]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["p", None])
    ),
    "labels with dots and quotes": pd.DataFrame([[1, 2, 3]], columns=["a.b", "", 'q"\n']),
    "label like an index": pd.DataFrame([[1]], columns=["__index_level_1__"], index=["r"]),
    "attrs": pd.DataFrame(ONE),
}
FRAMES["attrs"].attrs.update({"source": "sensor", "range": (0, 1)})


def through(frame, columns=None):
    packed = pack(frame)
    header = json.loads(json.dumps(packed.header))
    return unpack_pandas(read_parquet(write_parquet(packed.table)), header, columns)


def assert_same_objects(left, right):
    for one, other in zip(left, right, strict=True):
        assert type(one) is type(other), (one, other)
        assert repr(one) == repr(other)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_dtype_comes_back_exactly(name):
    frame = pd.DataFrame({"x": COLUMNS[name]})
    before = frame.copy(deep=True)
    result = through(frame)
    if name != "objects list of float":  # pandas compares the lists themselves, and so NaN inside them
        pd.testing.assert_frame_equal(result, frame, check_exact=True, check_freq=True)
        pd.testing.assert_frame_equal(frame, before, check_exact=True)
    if frame["x"].dtype == object:
        assert_same_objects(result["x"], frame["x"])
    if isinstance(frame["x"].dtype, pd.CategoricalDtype):
        assert list(result["x"].cat.categories) == list(frame["x"].cat.categories)
        assert result["x"].cat.categories.dtype == frame["x"].cat.categories.dtype


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_stored_in_two_parts_comes_back_as_one(name):
    column = COLUMNS[name]
    frame = pd.DataFrame({"x": pd.concat([column, column])}) if len(column) else pd.DataFrame({"x": column})
    packed = pack(frame)
    parts = [packed.table.slice(0, 2), packed.table.slice(2)]
    joined = pa.concat_tables([read_parquet(write_parquet(part)) for part in parts])
    result = unpack_pandas(joined, packed.header)
    assert result["x"].dtype == frame["x"].dtype
    assert repr(result["x"].tolist()) == repr(frame["x"].tolist())
    assert identity(packed.header, joined) == identity(packed.header, packed.table)


@pytest.mark.parametrize("name", FRAMES)
def test_index_and_labels_come_back_exactly(name):
    frame = FRAMES[name]
    result = through(frame)
    pd.testing.assert_frame_equal(result, frame, check_exact=True, check_freq=True, check_index_type="exact")
    assert type(result.index) is type(frame.index)
    assert type(result.columns) is type(frame.columns)
    assert result.attrs == frame.attrs


@pytest.mark.parametrize("name", COLUMNS)
def test_the_arrow_content_of_a_stored_pandas_frame_is_that_of_the_frame(name):
    frame = pd.DataFrame({"x": COLUMNS[name]})
    packed = pack(frame)
    restored = unpack_arrow(read_parquet(write_parquet(packed.table)), packed.header)
    expected = to_arrow(frame)
    assert restored.schema.equals(expected.schema)
    assert restored.equals(expected) or repr(restored.to_pylist()) == repr(expected.to_pylist())


def test_a_restored_frame_can_be_changed():
    result = through(pd.DataFrame({"i": [1, 2], "f": [0.5, 1], "b": [True, False], "c": pd.Categorical(["a", "b"])}))
    result.loc[0, ["i", "f", "b", "c"]] = [7, 7.5, False, "b"]
    assert result.loc[0].tolist() == [7, 7.5, False, "b"]


UUIDS = pa.array([b"0123456789abcdef", None], pa.uuid())
ARROW = {
    **{
        str(kind): pa.array(values, kind)
        for kind, values in [
            (pa.null(), [None, None]),
            (pa.bool_(), [True, None]),
            (pa.float16(), [1.5, None]),
            (pa.float64(), [float("nan"), None]),
            (pa.uint8(), [255, None]),
            (pa.uint64(), [2**64 - 1]),
            (pa.timestamp("s"), [2**60, None]),
            (pa.timestamp("ms", "+02:00"), [1]),
            (pa.timestamp("ns", "Europe/Paris"), [1]),
            (pa.duration("s"), [2**60]),
            (pa.duration("ns"), [1, None]),
            (pa.time32("s"), [1, None]),
            (pa.time32("ms"), [1]),
            (pa.time64("ns"), [1]),
            (pa.date32(), [-1]),
            (pa.date64(), [86_400_000, None]),
            (pa.string_view(), ["a", None]),
            (pa.binary_view(), [b"a"]),
            (pa.large_string(), ["a"]),
            (pa.large_binary(), [b"a"]),
            (pa.binary(3), [b"abc", None]),
            (pa.decimal32(5, 2), [D("1.50")]),
            (pa.decimal64(12, 2), [D("1.50")]),
            (pa.decimal128(38, 2), [D("1.50"), None]),
            (pa.decimal256(70, 2), [D("1.50")]),
            (pa.list_(pa.int8()), [[1, None], None, []]),
            (pa.large_list(pa.string_view()), [["a", None], None]),
            (pa.list_(pa.timestamp("s"), 2), [[1, 2], None]),
            (pa.list_(pa.date64()), [[86_400_000], None]),
            (pa.list_view(pa.int32()), [[1], None]),
            (pa.list_view(pa.timestamp("s")), [[1], None]),
            (pa.large_list_view(pa.string_view()), [["a", None], None]),
            (pa.struct({"a": pa.string_view(), "b": pa.binary_view()}), [{"a": "x"}, None, {"b": b"z"}]),
            (pa.list_(pa.struct({"a": pa.string_view()})), [[{"a": "x"}], None, []]),
            (pa.list_(pa.list_(pa.struct({"a": pa.list_(pa.string_view(), 1)}))), [[[{"a": ["x"]}]], None]),
            (pa.map_(pa.string_view(), pa.list_(pa.binary_view())), [[("a", [b"x"])], None]),
            (pa.map_(pa.string(), pa.timestamp("s")), [[("a", 1)], None]),
            (pa.struct({"a": pa.int8(), "t": pa.time32("s")}), [{"a": 1, "t": 2}, None]),
            (pa.struct([pa.field("a", pa.int8(), nullable=False)]), [{"a": 1}]),
            (pa.uuid(), [b"0123456789abcdef", None]),
            (pa.json_(), ['{"a":1}', None]),
        ]
    },
    **{
        f"dictionary of {kind}": pa.array(["b", None, "a"]).dictionary_encode().cast(pa.dictionary(kind, pa.string()))
        for kind in (pa.int8(), pa.uint16(), pa.int64())
    },
    "dictionary of int": pa.array([3, 1, None, 3]).dictionary_encode(),
    "dictionary with unused": pa.DictionaryArray.from_arrays([1, None], ["x", "y", "z"], ordered=True),
    "dictionary of views": pa.DictionaryArray.from_arrays([1, None], pa.array(["x", "y"], pa.string_view())),
    "dictionary of moments": pa.DictionaryArray.from_arrays([1, None], pa.array([7, 5], pa.timestamp("s", "UTC"))),
    "dictionary of decimals": pa.DictionaryArray.from_arrays([1, None], pa.array([D("1.5"), D("2.5")])),
    "dictionary of bytes": pa.DictionaryArray.from_arrays([1, None], pa.array([b"\xff", b""])),
    "list of dictionary": pa.ListArray.from_arrays(
        pa.array([0, 2, None, 3], pa.int32()), pa.DictionaryArray.from_arrays([2, None, 0], ["z", "y", "x"])
    ),
    "struct of dictionaries": pa.StructArray.from_arrays(
        [
            pa.DictionaryArray.from_arrays(pa.array([1, None], pa.int8()), pa.array(["x", "y"], pa.string_view())),
            pa.DictionaryArray.from_arrays([0, 0], pa.array([7, 5], pa.timestamp("s"))),
        ],
        ["a", "b"],
    ),
    "list of uuid": pa.ListArray.from_arrays([0, 0, 2], UUIDS),
    "map of uuid": pa.MapArray.from_arrays([0, 0, 2], ["a", "b"], UUIDS),
    "empty list of dictionary": pa.array([], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    "empty dictionary": pa.array([], pa.string()).dictionary_encode(),
    "empty": pa.array([], pa.int8()),
    "map to NaN": pa.array([[("a", None)], [("b", float("nan"))]], pa.map_(pa.string(), pa.float64())),
}


@pytest.mark.parametrize("name", ARROW)
def test_an_arrow_table_comes_back_equal_with_its_metadata(name):
    field = pa.field("x", ARROW[name].type, metadata={"unit": "m"})
    table = pa.Table.from_arrays([ARROW[name]], schema=pa.schema([field], {"who": b"\xff"}))
    packed = pack(table)
    restored = unpack_arrow(read_parquet(write_parquet(packed.table)), packed.header)
    restored.validate(full=True)
    if "NaN" in name or pa.types.is_floating(field.type):
        assert restored.schema.equals(table.schema, check_metadata=True)
        assert str(restored["x"].to_pylist()) == str(table["x"].to_pylist())
    else:
        assert restored.equals(table, check_metadata=True)
    assert len(identity(packed.header, packed.table)) == 64


@pytest.mark.parametrize("name", ARROW)
def test_what_is_stored_of_a_table_is_what_its_header_promises(name):
    packed = pack(pa.table({"x": ARROW[name]}))
    data = write_parquet(packed.table)
    read = read_parquet(data, promise=promise(packed.header, len(ARROW[name]), measure(data)))
    assert read.num_rows == len(ARROW[name])


@pytest.mark.parametrize("name", ARROW)
def test_the_content_of_a_table_is_that_of_what_comes_back(name):
    packed = pack(pa.table({"x": ARROW[name]}))
    again = to_arrow(unpack_arrow(packed.table, packed.header))
    assert packed.content.schema == again.schema
    assert packed.content.equals(again) or repr(packed.content.to_pylist()) == repr(again.to_pylist())


def test_an_arrow_table_made_by_pandas_comes_back_with_its_index():
    frame = pd.DataFrame({"x": [1.5, 2.5]}, index=[7, 3])
    table = pa.Table.from_pandas(frame)
    packed = pack(table)
    read = read_parquet(write_parquet(packed.table))
    assert unpack_arrow(read, packed.header).equals(table, check_metadata=True)
    pd.testing.assert_frame_equal(unpack_pandas(read, packed.header), frame)


def test_a_table_without_columns_keeps_its_rows():
    packed = pack(pa.table({"x": [1, 2, 3]}).select([]))
    assert unpack_arrow(read_parquet(write_parquet(packed.table)), packed.header).num_rows == 3


def test_a_polars_frame_comes_back_as_arrow_and_pandas():
    frame = pl.DataFrame(
        {"s": ["a", None], "c": pl.Series(["u", "v"], dtype=pl.Categorical), "l": [[1], [2, 3]]},
    ).with_columns(e=pl.Series(["q", "p"], dtype=pl.Enum(["p", "q"])), d=pl.lit(DAY))
    packed = pack(frame)
    read = read_parquet(write_parquet(packed.table))
    assert packed.header["container"] == "polars"
    assert pl.DataFrame(unpack_arrow(read, packed.header)).equals(frame)
    assert unpack_pandas(read, packed.header)["s"].tolist()[0] == "a"


def test_an_array_comes_back_with_numbered_columns():
    array = np.arange(6.0, dtype="float32").reshape(3, 2)
    packed = pack(array)
    assert packed.header["container"] == "numpy"
    assert np.array_equal(unpack_pandas(packed.table, packed.header).to_numpy(), array)


def test_chunks_of_a_nested_dictionary_with_different_values_come_back_with_one_dictionary():
    chunks = [
        pa.ListArray.from_arrays([0, 1, 2], pa.DictionaryArray.from_arrays([0, 1], words))
        for words in (["a", "b"], ["c", "b"])
    ]
    packed = pack(pa.table({"x": pa.chunked_array(chunks)}))
    restored = unpack_arrow(packed.table, packed.header)
    assert restored["x"].to_pylist() == [["a"], ["b"], ["c"], ["b"]]
    assert restored["x"].chunk(1).flatten().dictionary.to_pylist() == ["a", "b", "c"]


def test_chunks_of_a_dictionary_with_different_values_come_back_with_one_dictionary():
    column = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "b"]).dictionary_encode()])
    packed = pack(pa.table({"x": column}))
    restored = unpack_arrow(packed.table, packed.header)
    assert restored["x"].to_pylist() == ["a", "b", "c", "b"]
    assert restored["x"].chunk(0).dictionary.to_pylist() == ["a", "b", "c"]


def test_only_the_columns_asked_for_are_needed():
    frame = pd.DataFrame(
        {"a": [1, 2], "b": objects("x", None).to_numpy(), 5: objects(None, np.nan).to_numpy()}, index=["r", "s"]
    )
    packed = pack(frame)
    data = write_parquet(packed.table)
    needed = stored_columns(packed.header, [5, "a"])
    read = read_parquet(data, needed)
    assert set(read.column_names) == {"5", "a", "__index_level_0__", "__detail_0__"}
    pd.testing.assert_frame_equal(unpack_pandas(read, packed.header, [5, "a"]), frame[[5, "a"]])
    assert unpack_arrow(read, packed.header, ["a"]).column_names == ["a"]
    assert stored_columns(packed.header) is None


def test_an_unknown_column_is_named_with_those_that_exist():
    packed = pack(pd.DataFrame({"a": [1], "b": [2]}))
    with pytest.raises(InvalidInput, match=r"no column 'c'\. Columns: a, b\."):
        unpack_pandas(packed.table, packed.header, ["c"])
    with pytest.raises(InvalidInput, match="no column 'c'"):
        stored_columns(packed.header, ["c"])


def test_the_same_table_gives_the_same_bytes():
    frame = pd.DataFrame({name: column.reindex(range(2)) for name, column in COLUMNS.items() if name[0] != ">"})
    assert write_parquet(pack(frame).table) == write_parquet(pack(frame.copy()).table)


def test_a_flipped_byte_in_a_page_is_found():
    data = bytearray(write_parquet(pa.table({"x": pa.array(np.random.default_rng(0).random(1000))})))
    data[2000] ^= 1
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_parquet(bytes(data))
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_parquet(b"not parquet")


def digest(data):
    packed = pack(data)
    return identity(packed.header, packed.table)


BASE = pd.DataFrame({"x": ["a", "b"]}, index=[4, 5])


@pytest.mark.parametrize(
    "twin",
    [
        BASE.astype("category"),
        BASE.astype(object),
        BASE.set_axis([4, 6]),
        BASE.set_axis(pd.RangeIndex(2)),
        BASE.set_axis(pd.Index([4, 5], dtype="int32")),
        BASE.set_axis(pd.Index(["x"], dtype=object), axis=1),
    ],
    ids=["category", "object", "index value", "range", "index dtype", "label dtype"],
)
def test_frames_of_one_fingerprint_that_differ_otherwise_have_two_identities(twin):
    assert to_arrow(twin).column_names == to_arrow(BASE).column_names
    assert digest(twin) != digest(BASE)
    assert digest(BASE) == digest(BASE.copy())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (objects("a", None), objects("a", np.nan)),
        (objects("a", None, np.nan), objects("a", np.nan, None)),
        (objects(D("1.0"), D("2.00")), objects(D("1.00"), D("2.0"))),
        (pd.Series([0.5, None], dtype="Float64"), COLUMNS["Float64 with NaN and NA"][:2]),
        (pd.Series(pd.Categorical(["a"], ["a", "b"])), pd.Series(pd.Categorical(["a"], ["b", "a"]))),
        (pd.Series(pd.Categorical(["a"], ordered=True)), pd.Series(pd.Categorical(["a"]))),
        (
            pd.Series(pd.period_range("2024", periods=1, freq="D")),
            pd.Series(pd.period_range("2024", periods=1, freq="h")),
        ),
        (pa.array([None, 1.0]), pa.array([float("nan"), 1.0])),
        (pa.array([[None, 1.0]]), pa.array([[float("nan"), 1.0]])),
        (pa.array([{"a": None}, {"a": 1.0}]), pa.array([{"a": float("nan")}, {"a": 1.0}])),
    ],
)
def test_what_a_fingerprint_does_not_see_is_in_the_identity(one, other):
    make = pd.DataFrame if isinstance(one, pd.Series) else pa.table
    assert digest(make({"x": one})) != digest(make({"x": other}))


def test_the_identity_does_not_depend_on_chunks():
    table = pa.table({"x": pa.array([None, 1.0, float("nan")])})
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert digest(table) == digest(pieces)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pa.table({"bad": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}), "'bad'.*month_day_nano"),
        (pa.table({"bad": pa.RunEndEncodedArray.from_arrays([2], [1])}), "'bad'.*run_end_encoded.*Cast"),
        (pa.table({"bad": pa.array([{}])}), "'bad'.*without fields.*drop it"),
        (pa.table({"bad": pa.array([D(100)], pa.decimal128(5, -2))}), "'bad'.*scale"),
        (pa.table({"bad": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}), "'bad'.*union"),
        (pa.table({"bad": pa.DictionaryArray.from_arrays([0, 1], ["a", "a"])}), "'bad'.*stands twice"),
        (pa.table({"bad": pa.DictionaryArray.from_arrays([0, 1], ["a", None])}), "'bad'.*null"),
        (
            pa.table(
                {"bad": pa.ListArray.from_arrays([0, 1], pa.DictionaryArray.from_arrays([0], pa.array([{"a": 1}])))}
            ),
            "'bad' has inside it dictionary",
        ),
        (
            pa.table({"bad": pa.ListArray.from_arrays([0, 1], pa.DictionaryArray.from_arrays([0], ["a", "a"]))}),
            "'bad'.*stands twice",
        ),
        (pd.DataFrame([[1]], columns=pd.Index([object()])), "A column label is a object"),
        (pd.DataFrame({"a": [1]}, index=pd.Index([1], name=frozenset([object()]))), "name of an index level"),
        (pd.DataFrame({"a": objects("x", None), "__detail_0__": 1, "b": objects(None, np.nan)}), "__detail_0__"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(data, said):
    with pytest.raises(UnsupportedData, match=said):
        pack(data)


KEPT = pa.table({"a": ["x", "y"], "n": pa.array([[1], [2]])})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (KEPT.slice(0, 1), "1 rows, and 2 were kept"),
        (pa.concat_tables([KEPT] * 3), "6 rows, and 2 were kept"),
        (KEPT.select(["a"]), "1 columns, and 2 were kept"),
        (KEPT.rename_columns(["b", "n"]), r"\('b', 'utf8'\), not \('a', 'utf8'\)"),
        (KEPT.set_column(0, "a", pa.array([1, 2])), r"\('a', 'int64'\), not \('a', 'utf8'\)"),
        (KEPT.set_column(0, "a", pa.array(["x" * 10**6] * 2)), "bytes and 4 values"),
        (KEPT.set_column(1, "n", pa.array([[1] * 10**5, [2]])), "values, and"),
    ],
)
def test_a_file_that_says_other_than_was_kept_is_refused_before_a_row_is_read(monkeypatch, other, said):
    packed = pack(KEPT)
    expected = promise(packed.header, 2, measure(write_parquet(packed.table)))
    data = write_parquet(other)
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: pytest.fail("rows were read"))
    with pytest.raises(IntegrityError, match=said):
        read_parquet(data, promise=expected)


def test_only_packed_tables_are_written():
    with pytest.raises(UnsupportedData, match="'t' has the type timestamp"):
        write_parquet(pa.table({"t": pa.array([1], pa.timestamp("s"))}))


cells = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(),
    "str": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "bytes": st.binary(max_size=5),
    "bool": st.booleans(),
    "date": st.dates(),
    "datetime": st.datetimes().map(lambda moment: moment.replace(fold=0)),
    "time": st.times().map(lambda time: time.replace(fold=0)),
    "Decimal": st.decimals(-(10**9), 10**9, places=3),
    "list": st.lists(st.integers(-9, 9), max_size=3),
}


@st.composite
def object_frames(draw):
    rows = draw(st.integers(1, 6))
    frame = {}
    for i in range(draw(st.integers(1, 3))):
        value = cells[draw(st.sampled_from(sorted(cells)))]
        cell = st.one_of(value, st.sampled_from([None, np.nan, pd.NA, pd.NaT])) if draw(st.booleans()) else value
        frame[f"c{i}"] = objects(*draw(st.lists(cell, min_size=rows, max_size=rows)))
    return pd.DataFrame(frame)


@settings(max_examples=80, deadline=None)
@given(object_frames())
def test_columns_of_objects_come_back_with_every_value_of_the_same_type(frame):
    result = through(frame)
    for name in frame.columns:
        assert_same_objects(result[name], frame[name])


@pytest.mark.parametrize(
    "make",
    [
        lambda name: pa.list_(pa.field(name, pa.int64())),
        lambda name: pa.large_list(pa.field(name, pa.struct([("a", pa.list_(pa.field(name, pa.int64())))]))),
        lambda name: pa.list_(pa.field(name, pa.int64()), 1),
        lambda name: pa.map_(pa.field(f"k{name}", pa.string(), nullable=False), pa.field(f"v{name}", pa.int64())),
        lambda name: pa.list_view(pa.field(name, pa.int64())),
    ],
)
def test_what_a_writer_calls_the_child_of_a_list_makes_no_other_version(make):
    kinds = [make("item"), make("element"), pa.list_(pa.field("item", pa.int32()))]
    tables = [pa.table({"x": pa.array([None], kind)}) for kind in kinds]
    frames = [
        pd.DataFrame({"x": pd.Series(table["x"].combine_chunks(), dtype=pd.ArrowDtype(table["x"].type))})
        for table in tables
    ]
    for first, second, other in (tables, frames):
        identities = [identity(packed.header, packed.table) for packed in map(pack, (first, second, other))]
        assert identities[0] == identities[1] != identities[2]


def test_only_values_that_repeat_are_kept_by_a_dictionary():
    rng = np.random.default_rng(0)
    flat = pa.table(
        {"price": rng.normal(size=5000), "stars": rng.integers(1, 6, 5000), "plan": rng.choice(["a", "b"], 5000)}
    )
    group = pq.ParquetFile(io.BytesIO(write_parquet(flat))).metadata.row_group(0)
    used = {group.column(n).path_in_schema: group.column(n).has_dictionary_page for n in range(3)}
    assert used == {"price": False, "stars": True, "plan": True}
    assert read_parquet(write_parquet(flat)).equals(flat)


def _text(data):
    offsets = pa.py_buffer(np.array([0, len(data)], "int32").tobytes())
    return pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)])


@pytest.mark.parametrize(
    "column",
    [
        _text(b"\xff"),
        pa.chunked_array([_text(b"sound"), _text(b"\xc3")]),
        pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), _text(b"\xff")),
        pa.StructArray.from_arrays([_text(b"\xff")], ["x"]),
        pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), _text(b"\xff")),
    ],
    ids=["text", "chunks", "list", "struct", "dictionary"],
)
def test_what_no_reader_of_arrow_can_read_is_refused_by_the_name_of_its_column(column):
    table = pa.table({"sound": pa.array(["é"] * len(column)), "odd": column})
    with pytest.raises(UnsupportedData, match="'odd' is no sound Arrow column"):
        pack(table)
    assert pack(table.select(["sound"])).table.num_rows == len(column)
