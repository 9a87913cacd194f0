"""Tables of every make become the same Arrow table, and what Arrow would change is refused by name."""

from __future__ import annotations

import datetime as dt
import decimal
import subprocess
import sys
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.arrow import is_tabular, to_arrow

D = decimal.Decimal


def objects(*values):
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return pd.Series(array, dtype=object)


FRAME = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, np.nan, -0.0], "s": ["a", None, "ż"]})


class Stream:
    """What any other library hands over."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t,
        lambda t: t.to_batches()[0],
        lambda t: t.to_reader(),
        Stream,
        pl.DataFrame,
        lambda t: t.to_pandas(),
        lambda t: {name: t[name] for name in t.column_names},
        lambda t: {name: t[name].to_pandas() for name in t.column_names},
        lambda t: {"n": [1, 2, 3], "x": np.array([0.5, np.nan, -0.0]), "s": ["a", None, "ż"]},
    ],
    ids=["table", "batch", "reader", "stream", "polars", "pandas", "dict of arrow", "dict of series", "dict of arrays"],
)
def test_containers_of_the_same_values_give_the_same_table(make):
    table = to_arrow(make(pa.table({"n": [1, 2, 3], "x": [0.5, float("nan"), -0.0], "s": ["a", None, "ż"]})))
    assert table.column_names == ["n", "x", "s"]
    assert table["n"].to_pylist() == [1, 2, 3]
    assert table["s"].to_pylist() == ["a", None, "ż"]
    assert str(table["x"].to_pandas().tolist()) == "[0.5, nan, -0.0]"


def test_the_frame_given_is_not_changed():
    frame = FRAME.assign(c=pd.Categorical(["u", None, "v"]), o=objects(1, None, 2))
    frame.attrs["note"] = {"any": "thing"}
    before = frame.copy(deep=True)
    to_arrow(frame, index="all")
    pd.testing.assert_frame_equal(frame, before, check_exact=True)
    assert frame.attrs == before.attrs


def test_a_series_is_one_column_and_an_array_is_numbered_columns():
    assert to_arrow(pd.Series([1, 2], name="y")).column_names == ["y"]
    table = to_arrow(np.arange(6, dtype="int8").reshape(2, 3)[:, ::-1])
    assert table.to_pydict() == {"0": [2, 5], "1": [1, 4], "2": [0, 3]}
    assert table.schema.field("0").type == pa.int8()


def test_a_table_without_columns_keeps_its_rows():
    assert to_arrow(pd.DataFrame(index=range(3))).num_rows == 3
    assert to_arrow(np.zeros((4, 0))).num_rows == 4


def test_labels_enter_as_text():
    assert to_arrow(pd.DataFrame([[1, 2, 3]], columns=[1, ("a", 2), None])).column_names == ["1", "('a', 2)", "None"]


INDEXES = {
    "range": (pd.RangeIndex(1, 3), [], []),
    "named range": (pd.RangeIndex(2, name="k"), ["k"], ["k"]),
    "integers": (pd.Index([4, 3]), [], ["__index_level_0__"]),
    "Int64": (pd.Index([4, 3], dtype="Int64"), [], ["__index_level_0__"]),
    "named integers": (pd.Index([4, 3], name="k"), ["k"], ["k"]),
    "text": (pd.Index(["a", "b"]), ["__index_level_0__"], ["__index_level_0__"]),
    "moments": (pd.date_range("2024", periods=2, name="5"), ["5"], ["5"]),
    "levels": (
        pd.MultiIndex.from_tuples([(1, 2), (3, 4)], names=[None, "k"]),
        ["__index_level_0__", "k"],
        ["__index_level_0__", "k"],
    ),
    "name of a column": (pd.Index(["a", "b"], name="x"), ["__index_level_0__"], ["__index_level_0__"]),
}


@pytest.mark.parametrize("name", INDEXES)
def test_index_levels_follow_the_columns_unless_they_are_unnamed_integers(name):
    index, content, everything = INDEXES[name]
    frame = pd.DataFrame({"x": [1, 2]}, index=index)
    assert to_arrow(frame).column_names == ["x", *content]
    assert to_arrow(frame, index="all").column_names == ["x", *everything]


@pytest.mark.parametrize("name", INDEXES)
def test_the_index_counts_the_same_when_pandas_metadata_marks_it_in_arrow(name):
    frame = pd.DataFrame({"x": [1, 2]}, index=INDEXES[name][0])
    assert to_arrow(pa.Table.from_pandas(frame)).equals(to_arrow(frame))


def test_a_column_that_is_only_named_like_an_index_is_content():
    assert to_arrow(pa.table({"__index_level_0__": [1, 2]})).num_columns == 1
    assert to_arrow(pa.table({"x": [1]}, metadata={"pandas": b"not json"})).num_columns == 1


def test_a_range_kept_in_metadata_is_ignored_once_the_table_was_cut():
    table = pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]}, index=pd.RangeIndex(2, name="k")))
    assert to_arrow(table.slice(1)).column_names == ["x"]


COLUMNS = [
    (pd.Series([1], dtype=">i4"), "int32", [1]),
    (pd.Series([1, None], dtype="Int8"), "int8", [1, None]),
    (pd.Series(["a", None], dtype="string[python]"), "string", ["a", None]),
    (pd.Series(pd.arrays.SparseArray([0, 2])), "int64", [0, 2]),
    (pd.Series([1.5, None], dtype=pd.ArrowDtype(pa.float32())), "float", [1.5, None]),
    (pd.Series(pd.period_range("2024", periods=1)), "extension<pandas.period<ArrowPeriodType>>", None),
    (pd.Series(pd.interval_range(0, 1)), "extension<pandas.interval<ArrowIntervalType>>", None),
    (
        pd.Series(pd.Categorical(["b", None], ["c", "b"], ordered=True)),
        "dictionary<values=large_string, indices=int8, ordered=1>",
        ["b", None],
    ),
    (pd.Series(pd.to_datetime(["2024", None])).dt.as_unit("s"), "timestamp[s]", [dt.datetime(2024, 1, 1), None]),  # noqa: DTZ001 - naive is the case
    (pd.Series(pd.to_datetime(["2024"])).dt.tz_localize("Europe/Paris"), "timestamp[us, tz=Europe/Paris]", None),
    (pd.Series(pd.to_timedelta([1], unit="s")).astype("timedelta64[ms]"), "duration[ms]", [dt.timedelta(seconds=1)]),
    (objects("a", None, np.nan, pd.NA, pd.NaT), "string", ["a", None, None, None, None]),
    (objects(True, None), "bool", [True, None]),
    (objects(1, None), "int64", [1, None]),
    (objects(2**64 - 1), "uint64", [2**64 - 1]),
    (objects(0.5, None), "double", [0.5, None]),
    (objects(b"a", None), "binary", [b"a", None]),
    (objects(dt.date(2024, 1, 1), None), "date32[day]", [dt.date(2024, 1, 1), None]),
    (objects(dt.time(1), None), "time64[us]", [dt.time(1), None]),
    (objects(D("1.5"), D("2.25")), "decimal128(3, 2)", [D("1.50"), D("2.25")]),
    (objects([1, 2], None, []), "list<item: int64>", [[1, 2], None, []]),
    (objects({"a": 1}, {"a": None}), "struct<a: int64>", [{"a": 1}, {"a": None}]),
    (objects(np.array([1, 2], "int8"), None), "large_list<item: int8>", [[1, 2], None]),
    (objects(np.str_("a"), "b"), "string", ["a", "b"]),
    (objects(np.int8(1), 2), "int64", [1, 2]),
    (objects(None, np.nan), "null", [None, None]),
    (np.array(["a", "ż"]), "string", ["a", "ż"]),
    (np.array([b"a"]), "binary", [b"a"]),
    (np.array(["2024-01-02"], "datetime64[D]"), "date32[day]", [dt.date(2024, 1, 2)]),
]


@pytest.mark.parametrize(("values", "kind", "expected"), COLUMNS, ids=[str(case[1]) for case in COLUMNS])
def test_a_column_takes_the_arrow_type_of_its_values(values, kind, expected):
    table = to_arrow({"x": values})
    assert str(table.schema.field("x").type) == kind
    assert expected is None or table["x"].to_pylist() == expected


REFUSED = [
    (objects(1, 2, "a"), "'bad'.*row 2 holds a str where the values before are of type int.*one type"),
    (objects(None, 1, 0.5), "'bad'.*row 2 holds a float.*type int"),
    (objects(0.5, 1), "'bad'.*row 1 holds a int"),
    (objects(True, 1), "'bad'.*row 1 holds a int"),
    (objects("a", b"a"), "'bad'.*row 1 holds a bytes"),
    (objects(D(1), 1), "'bad'.*row 1 holds a int"),
    (objects(dt.date(2024, 1, 1), dt.datetime(2024, 1, 1)), "'bad'.*row 1 holds a datetime"),  # noqa: DTZ001 - the case
    (objects("a", object()), "'bad'.*row 1 holds a object.*cannot hold exactly"),
    (objects(pd.Timestamp(0)), "'bad'.*row 0 holds a Timestamp.*pandas.to_datetime"),
    (objects({1, 2}), "'bad'.*row 0 holds a set.*sorted lists"),
    (objects(1 + 2j), "'bad'.*row 0 holds a complex.*real and the imaginary"),
    (objects(1, 2**64), "'bad'.*row 1.*beyond 64 bits"),
    (objects(-1, 2**63), "'bad'.*row 1.*beyond 64 bits"),
    (objects(D(1), D("inf")), "'bad'.*row 1 holds a Decimal Infinity"),
    (objects(D("-0")), "'bad'.*row 0 holds a Decimal -0"),
    (objects(D(1), D("nan")), "'bad'.*row 1.*kind of missing value .Decimal"),
    (objects(dt.datetime.now(dt.UTC), dt.datetime.now()), "'bad'.*row 1.*time zone None"),  # noqa: DTZ005 - the case
    (objects(dt.datetime(2024, 1, 1, fold=1)), "'bad'.*row 0.*fold"),  # noqa: DTZ001 - the case
    (objects(dt.time(1, tzinfo=dt.UTC)), "'bad'.*row 0.*time zone"),
    (objects(dt.datetime(2024, 3, 31, 2, 30, tzinfo=ZoneInfo("Europe/Warsaw"))), "'bad'.*row 0.*time zone skips"),
    (objects([1], [0.5]), "'bad'.*holds a list that Arrow would change inside.*same structure"),
    (objects([1], ["a"]), "'bad'.*row 1 holds a list that does not fit"),
    (objects([(1, 2)]), "'bad'.*row 0 holds a list that Arrow would change"),
    (objects({"a": 1}, {"b": 1}), "'bad'.*row 0 holds a dict that Arrow would change inside"),
    (objects({1: 2}), "'bad'.*row 0 holds a dict that does not fit"),
    (objects(np.zeros(2), np.zeros((2, 2))), r"'bad'.*row 1 holds a ndarray of dtype float64 and shape \(2, 2\)"),
    (objects(np.zeros(2), np.zeros(2, "int8")), "'bad'.*row 1.*one dtype"),
    (objects("ok", "\ud800"), "'bad'.*not valid Unicode.*Repair"),
    (pd.Series([1j]), "'bad' holds complex numbers.*two columns"),
    (np.array([1.0], "longdouble"), "'bad' cannot become"),
    (np.array(["2024-01"], "datetime64[M]"), "'bad' cannot become"),
    (np.zeros(2, dtype=[("a", "int8")]), "'bad'"),
    (np.ma.masked_array([1, 2], [True, False]), "'bad' is a masked array.*filled"),
    (np.zeros((2, 2)), r"'bad' has the shape \(2, 2\)"),
    (pd.Series(pd.date_range("2024", periods=2, tz=tz.gettz("Europe/Paris"))), "'bad' has the time zone.*tz_convert"),
    (pd.Series(pd.Categorical(objects(1, "a"))), r"'bad \(categories\)'.*row 1"),
    ("text", "'bad' is a str, not a one-dimensional array"),
    (5, "'bad' is a int"),
]


@pytest.mark.parametrize(("values", "said"), REFUSED)
def test_what_arrow_would_change_is_refused_with_column_row_and_remedy(values, said):
    with pytest.raises(UnsupportedData, match=said):
        to_arrow({"fine": [1], "bad": values} if not hasattr(values, "__len__") else {"bad": values})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pd.DataFrame([[1, 2, 3]], columns=[1, "a", "1"]), r"'1' at positions 0, 2.*rename or drop"),
        (pa.table([[1], [2]], names=["a", "a"]), "'a' at positions 0, 1"),
        ({1: [1], "1": [2]}, "'1' at positions 0, 1"),
        ({"a": [1], "b": [1, 2]}, r"differ in length: \{'a': 1, 'b': 2\}"),
        (np.zeros(3), r"shape \(3,\).*two dimensions.*reshape"),
        (np.zeros((1, 1, 1)), "two dimensions"),
        (pl.LazyFrame({"a": [1]}), "LazyFrame is a plan.*collect"),
        (pl.DataFrame({"a": [object()]}), "'a' has the polars type Object"),
        (pl.Series([1]), "single column"),
        (pa.chunked_array([[1]]), "single column"),
        (scipy.sparse.eye_array(2).tocsr(), "sparse.*from_spmatrix"),
        ([1, 2], "A list is not a table"),
        ("x", "A str is not a table"),
        (None, "A NoneType is not a table"),
        (Stream(pa.chunked_array([[1]])), "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused_with_a_remedy(data, said):
    with pytest.raises(UnsupportedData, match=said):
        to_arrow(data)


def test_a_categorical_of_polars_is_content_without_views():
    frame = pl.DataFrame({"c": pl.Series(["u", None], dtype=pl.Categorical)})
    assert to_arrow(frame).schema.field("c").type.value_type == pa.large_string()
    assert to_arrow(frame)["c"].to_pylist() == ["u", None]


def test_a_generator_is_refused_and_not_touched():
    rows = iter([1, 2])
    with pytest.raises(UnsupportedData, match=r"only once.*Materialise"):
        to_arrow(rows)
    assert list(rows) == [1, 2]


@pytest.mark.parametrize(
    "data", [FRAME, pl.DataFrame({"a": [1]}), pa.table({}), pa.record_batch({"a": [1]}), Stream(None)]
)
def test_tables_are_tabular(data):
    assert is_tabular(data)


@pytest.mark.parametrize(
    "data",
    [FRAME["n"], FRAME.index, pl.Series([1]), pa.array([1]), pa.chunked_array([[1]]), np.zeros((2, 2)), {}, [1], None],
)
def test_columns_arrays_and_everything_else_are_not(data):
    assert not is_tabular(data)


def test_asking_whether_something_is_tabular_loads_nothing():
    script = (
        "import sys; from mlops_kit.fingerprints.arrow import is_tabular; assert not is_tabular([1]);"
        "assert not {'numpy', 'pandas', 'polars', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers(), st.floats(), st.binary(max_size=2)), max_size=5)
)
def test_a_column_of_objects_keeps_every_value_or_is_refused(values):
    frame = pd.DataFrame({"x": objects(*values)})
    try:
        kept = to_arrow(frame)["x"].to_pylist()
    except UnsupportedData as error:
        assert "'x'" in str(error)  # noqa: PT017 - refusing is the other correct outcome
    else:
        missing = [pd.isna(value) for value in values]
        assert [None if gone else value for gone, value in zip(missing, values, strict=True)] == [
            None if gone else value for gone, value in zip(missing, kept, strict=True)
        ]
        assert len({type(value) for value, gone in zip(values, missing, strict=True) if not gone}) <= 1


def test_bytes_of_an_array_are_read_beyond_a_zero():
    array = np.array([[b"\x00\x01"], [b"a\x00b"]])
    assert to_arrow(array).column("0").to_pylist() == [b"\x00\x01", b"a\x00b"]
