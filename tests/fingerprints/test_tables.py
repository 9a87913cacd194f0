"""Fingerprints of tables: the bytes of the format, and what counts as content."""

import base64
import io
import itertools
import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints import fingerprint
from mlops_kit.fingerprints.leaves import leaf_digest, type_name
from mlops_kit.fingerprints.tables import (
    BLOCK_ROWS,
    column_blocks,
    column_fingerprint,
    combine,
    table_fingerprint,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fp1.json").read_text(encoding="utf-8"))["tables"]

COLUMN_TYPES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(st.characters(codec="utf-8"), max_size=20),
    pa.binary(): st.binary(max_size=20),
    pa.timestamp("us"): st.datetimes(datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2200-01-01")),
    pa.duration("us"): st.timedeltas(timedelta(-9999), timedelta(9999)),
    pa.date32(): st.dates(date(1000, 1, 1)),
    pa.list_(pa.string()): st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=3), max_size=3),
    pa.struct([("a", pa.int16()), ("b", pa.list_(pa.float64()))]): st.fixed_dictionaries(
        {"a": st.none() | st.integers(-9, 9), "b": st.none() | st.lists(st.none() | st.floats(), max_size=2)}
    ),
}


@st.composite
def tables(draw, types=COLUMN_TYPES, min_rows=0):
    rows = draw(st.integers(min_rows, 12))
    kinds = draw(st.lists(st.sampled_from(list(types)), min_size=1, max_size=4))
    columns = {
        f"c{i}": pa.array(draw(st.lists(st.none() | types[kind], min_size=rows, max_size=rows)), kind)
        for i, kind in enumerate(kinds)
    }
    return pa.table(columns)


def shown(cell, kind=None):
    """Write a cell so that only null and NaN among floats look the same."""
    scalar = cell if isinstance(cell, pa.Scalar) else pa.scalar(cell, kind)
    if pa.types.is_floating(scalar.type):
        return repr(scalar.as_py()).replace("None", "nan")
    if pa.types.is_struct(scalar.type) and scalar.is_valid:
        return [shown(part) for part in scalar.values()]
    if pa.types.is_list(scalar.type) and scalar.is_valid:
        return [shown(part) for part in scalar]
    return repr(scalar.as_py())


def value(data):
    return table_fingerprint(data if isinstance(data, pa.Table) else pa.table({"x": data})).value


@pytest.mark.parametrize("name", [name for name in VECTORS if "arrow_stream_base64" in VECTORS[name]])
def test_the_vectors_of_the_format_are_met(name):
    stream = pa.ipc.open_stream(base64.b64decode(VECTORS[name]["arrow_stream_base64"]))
    assert value(stream.read_all()) == VECTORS[name]["fingerprint"]


def test_the_vector_of_two_blocks_is_met_with_any_number_of_threads():
    numbers = np.arange(BLOCK_ROWS + 1)
    table = pa.table({"i": numbers, "s": [str(i % 7) for i in numbers]})
    for workers in (None, 1, 2, 7):
        assert table_fingerprint(table, max_workers=workers).value == VECTORS["two blocks"]["fingerprint"]


def test_threads_keep_the_order_of_blocks():
    numbers = np.arange(BLOCK_ROWS * 5)
    table = pa.table({"a": numbers, "b": numbers + 1, "c": numbers + 2, "d": numbers + 3})
    assert table_fingerprint(table, max_workers=2) == table_fingerprint(table, max_workers=1)


@settings(max_examples=60, deadline=None)
@given(tables(), st.lists(st.integers(0, 12), max_size=4))
def test_chunks_and_slices_do_not_count(table, cuts):
    edges = [0, *sorted(min(cut, table.num_rows) for cut in cuts), table.num_rows]
    pieces = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    assert value(pa.concat_tables(pieces)) == value(table)
    padded = pa.concat_tables([table, table, table]).combine_chunks()
    assert value(padded.slice(table.num_rows, table.num_rows)) == value(table)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_arrow_parquet_ipc_and_polars_agree(table):
    file = io.BytesIO()
    pq.write_table(table, file)
    assert value(pq.read_table(file)) == value(table)
    assert fingerprint(table) == value(table)
    assert fingerprint(pl.from_arrow(table)) == value(table)


@settings(max_examples=40, deadline=None)
@given(tables({kind: COLUMN_TYPES[kind] for kind in (pa.float64(), pa.string(), pa.timestamp("us"))}))
def test_pandas_and_arrow_agree(table):
    assert fingerprint(table.to_pandas()) == value(table)


@settings(max_examples=60, deadline=None)
@given(tables(min_rows=1), st.data())
def test_one_changed_cell_differs(table, data):
    column = data.draw(st.integers(0, table.num_columns - 1))
    row = data.draw(st.integers(0, table.num_rows - 1))
    kind = table.schema.field(column).type
    cell = data.draw(st.none() | COLUMN_TYPES[kind])
    cells = table.column(column).to_pylist()
    changed = table.set_column(
        column, table.column_names[column], pa.array([*cells[:row], cell, *cells[row + 1 :]], kind)
    )
    assert (value(changed) == value(table)) == (shown(changed[column][row]) == shown(cells[row], kind))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.text("abé", max_size=3), max_size=30))
def test_encodings_of_text_do_not_count(texts):
    plain = pa.array(texts, pa.string())
    twins = [plain.cast(pa.large_string()), plain.cast(pa.string_view()), plain.dictionary_encode()]
    twins += [pa.array(texts, pa.large_string()).dictionary_encode(), pa.compute.run_end_encode(plain)]
    assert {value(twin) for twin in twins} == {value(plain)}
    nested = pa.ListArray.from_arrays([0, len(texts)], plain)
    assert value(pa.LargeListArray.from_arrays([0, len(texts)], plain.dictionary_encode())) == value(nested)


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Warsaw"])
def test_the_unit_of_times_does_not_count_and_their_zone_does(zone):
    seconds = pa.array([0, -1, None, 1_700_000_000], pa.timestamp("s", zone))
    assert len({value(seconds.cast(pa.timestamp(unit, zone))) for unit in ("s", "ms", "us", "ns")}) == 1
    assert value(seconds) != value(seconds.cast(pa.int64()).cast(pa.timestamp("s", "Asia/Tokyo")))
    durations = pa.array([0, -1, None], pa.duration("s"))
    assert len({value(durations.cast(pa.duration(unit))) for unit in ("s", "ms", "us", "ns")}) == 1
    assert value(pa.array([-1], pa.timestamp("ns"))) not in {
        value(pa.array([t], pa.timestamp("ns"))) for t in (0, 1, -1000)
    }


def test_widths_of_times_dates_and_decimals_do_not_count():
    times = pa.array([1, None, 86_399], pa.time32("s"))
    assert value(times) == value(times.cast(pa.time32("ms"))) == value(times.cast(pa.time64("ns")))
    days = pa.array([date(2020, 1, 1), None, date(1, 1, 1)], pa.date32())
    assert value(days) == value(days.cast(pa.date64()))
    amounts = [Decimal("-1.50"), None]
    kinds = [pa.decimal32(5, 2), pa.decimal64(5, 2), pa.decimal128(5, 2), pa.decimal256(5, 2)]
    assert len({value(pa.array(amounts, kind)) for kind in kinds}) == 1
    assert value(pa.array(amounts, pa.decimal256(40, 2))) != value(pa.array(amounts, pa.decimal128(38, 2)))


def test_maps_and_lists_of_every_layout_are_one():
    entries = [[("a", 1), ("b", None)], None, [], [("c", 3)]]
    mapped = pa.array(entries, pa.map_(pa.string(), pa.int32()))
    pair = pa.struct([("key", pa.string()), ("value", pa.int32())])
    listed = [None if row is None else [{"key": k, "value": v} for k, v in row] for row in entries]
    assert value(mapped) == value(pa.array(listed, pa.list_(pair)))
    assert value(mapped.slice(1)) == value(pa.array(listed[1:], pa.list_(pair)))
    pairs = [[1, 2], None, [3, None]]
    kinds = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view, lambda kind: pa.list_(kind, 2)]
    assert len({value(pa.array(pairs, kind(pa.int32())).slice(1)) for kind in kinds}) == 1


def raw(kind, *buffers):
    """Three values of which the second is null, from buffers that may hold something there."""
    return pa.Array.from_buffers(kind, 3, [pa.py_buffer(b"\5"), *map(pa.py_buffer, buffers)])


MASK = np.array([False, True, False])
OFFSETS = np.array([0, 1, 2, 3], np.int32)


@pytest.mark.parametrize(
    "make",
    [
        lambda hidden: pa.array(np.array([1, hidden, 3]), mask=MASK),
        lambda hidden: pa.array(np.array([1.0, hidden, 3.0]), mask=MASK),
        lambda hidden: pa.array(np.array([True, bool(hidden), False]), mask=MASK),
        lambda hidden: pa.array(np.array([1, hidden, 3], "M8[ns]"), mask=MASK),
        lambda hidden: raw(pa.string(), OFFSETS, b"a%dc" % hidden),
        lambda hidden: raw(pa.binary(2), b"aa%d%dcc" % (hidden, hidden)),
        lambda hidden: raw(pa.decimal128(3), b"a" * 16 + bytes([hidden] * 16) + b"c" * 16),
        lambda hidden: raw(pa.time32("s"), np.array([1, hidden, 3], np.int32)),
        lambda hidden: pa.ListArray.from_arrays(OFFSETS, [1, hidden, 3], mask=pa.array(MASK)),
        lambda hidden: pa.StructArray.from_arrays(
            [[1, hidden, 3], ["a", "x" * hidden, "c"]], ["n", "s"], mask=pa.array(MASK)
        ),
    ],
)
def test_what_lies_beneath_a_null_does_not_count(make):
    assert value(make(0)) == value(make(7))
    assert value(make(0).slice(1)) == value(make(7).slice(1))


def test_names_order_widths_and_signs_count():
    table = pa.table({"a": [1, 2], "b": [0.0, 1.0]})
    others = [
        table.rename_columns(["a", "c"]),
        table.select(["b", "a"]),
        table.take([1, 0]),
        table.slice(0, 1),
        table.set_column(0, "a", table["a"].cast(pa.int32())),
        table.set_column(1, "b", table["b"].cast(pa.float32())),
        pa.table({"a": [1, 2], "b": [-0.0, 1.0]}),
    ]
    assert len({value(other) for other in [table, *others]}) == len(others) + 1


def test_null_and_empty_text_differ_and_null_and_nan_agree():
    assert value(pa.array([""])) != value(pa.array([None], pa.string()))
    payload = np.array([0x7FF8000000000001, 0xFFF0000000000001], np.uint64).view(np.float64)
    assert value(pa.array(payload)) == value(pa.array([None, np.nan], pa.float64()))
    half = np.array([0x7E01, 0xFC01], np.uint16).view(np.float16)
    assert value(pa.array(half)) == value(pa.array([None, np.float16("nan")], pa.float16()))


def test_an_extension_type_is_known_whether_registered_or_not():
    registered = pa.array([b"0123456789abcdef"], pa.uuid())
    metadata = {"ARROW:extension:name": "arrow.uuid"}
    field = pa.field("x", pa.binary(16), metadata=metadata)
    assert type_name(field) == "ext:arrow.uuid:binary"
    assert value(pa.table([registered.storage], pa.schema([field]))) == value(registered)
    assert value(registered) != value(registered.storage)


def extension(parameters):
    field = pa.field("x", pa.int32(), metadata={"ARROW:extension:name": "unit", "ARROW:extension:metadata": parameters})
    return pa.table([pa.array([1], pa.int32())], pa.schema([field]))


def test_the_parameters_of_an_extension_type_count_whether_registered_or_not():
    """Day 3 and month 3 are one number, and so are the two rows of [0, 1) and (0, 1]."""
    days, months = (pd.DataFrame({"x": pd.PeriodIndex.from_ordinals([3], freq=unit)}) for unit in "DM")
    assert fingerprint(days) != fingerprint(months)
    left, right = (
        pd.DataFrame({"x": pd.arrays.IntervalArray.from_breaks([0, 1], closed=c)}) for c in ("left", "right")
    )
    assert fingerprint(left) != fingerprint(right)
    assert value(extension("m")) != value(extension("km"))
    tall = pa.array([[1, 2, 3, 4, 5, 6]], pa.list_(pa.int32(), 6))
    shapes = [pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int32(), s), tall) for s in ([2, 3], [3, 2])]
    assert value(shapes[0]) != value(shapes[1])
    unregistered = {"ARROW:extension:name": "arrow.fixed_shape_tensor", "ARROW:extension:metadata": '{"shape":[2,3]}'}
    assert type_name(pa.field("x", tall.type, metadata=unregistered)) == type_name(pa.field("x", shapes[0].type))


def test_names_that_look_like_types_are_told_apart():
    """A table without rows is its types alone."""
    pair = pa.struct([("a", pa.int64()), ("b", pa.int64())])
    odd = [pa.struct([(name, pa.int64())]) for name in ("a:int64,b", "a:int64\\,b", "a\\:int64,b", "a>", "a<b:null>")]
    zones = [pa.struct([("a", pa.timestamp("us", "U")), ("b", pa.timestamp("us", "V"))])]
    zones.append(pa.struct([("a", pa.timestamp("us", "U],b:timestamp[V"))]))
    kinds = [pair, *odd, *zones, pa.struct([("", pa.null())]), pa.struct([])]
    assert len({value(pa.array([], kind)) for kind in kinds}) == len(kinds)
    assert type_name(pa.field("x", pa.timestamp("us", "+01:00"))) == "timestamp[+01:00]"


@pytest.mark.parametrize("kind", [pl.Categorical(), pl.Enum(["b", "a"])])
def test_nested_categories_of_polars_are_their_values(kind):
    plain = pl.DataFrame(
        {
            "c": ["a", None],
            "l": [["a", "b"], None],
            "f": pl.Series([["a", "b"], ["b", None]], dtype=pl.Array(pl.String, 2)),
            "s": [{"u": "a"}, {"u": None}],
        }
    )
    twin = plain.cast({"c": kind, "l": pl.List(kind), "f": pl.Array(kind, 2), "s": pl.Struct({"u": kind})})
    assert fingerprint(twin) == fingerprint(plain)
    assert fingerprint(twin.slice(1)) == fingerprint(plain.slice(1))


def test_dictionaries_of_anything_are_their_values():
    codes = pa.array([0, 1, None, 0])
    values = [pa.array([[1], None]), pa.array([{"a": 1}, {"a": 2}]), pa.array(["a", "b"]).dictionary_encode()]
    values.append(pa.array(["a", None], pa.string_view()))
    for each in values:
        plain = [each[code.as_py()].as_py() if code.is_valid else None for code in codes]
        assert value(pa.DictionaryArray.from_arrays(codes, each)) == value(pa.array(plain))


def test_metadata_is_no_content():
    frame = pd.DataFrame({"x": [1, 2]})
    table = pa.Table.from_pandas(frame)
    assert value(table) == value(table.replace_schema_metadata({"author": "ann"})) == fingerprint(frame)


def test_blocks_hashed_apart_combine_to_the_table():
    table = pa.table(
        {"x": np.arange(BLOCK_ROWS * 2 + 5), "s": pa.array(["a", None]).take(np.arange(BLOCK_ROWS * 2 + 5) % 2)}
    )
    columns = [
        column_fingerprint(field.name, type_name(field), [leaf_digest(*block) for block in column_blocks(column)])
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    assert combine(table.num_rows, columns) == table_fingerprint(table)


def test_an_append_and_a_change_show_in_the_leaves_they_touch_only():
    numbers = np.arange(BLOCK_ROWS * 2)
    before = table_fingerprint(pa.table({"x": numbers})).columns[0].leaves
    after = table_fingerprint(pa.table({"x": np.append(numbers, 1)})).columns[0].leaves
    assert after[:2] == before
    numbers[BLOCK_ROWS] += 1
    changed = table_fingerprint(pa.table({"x": numbers})).columns[0].leaves
    assert changed[0] == before[0]
    assert changed[1] != before[1]


def test_many_small_chunks_make_the_same_blocks():
    numbers = pa.array(np.arange(BLOCK_ROWS + 999))
    chunks = pa.chunked_array([numbers.slice(start, 1000) for start in range(0, len(numbers), 1000)])
    assert value(chunks) == value(numbers)


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "month_day_nano"),
        (pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]), "union"),
        (pa.array([2**62], pa.timestamp("s")), "too far from 1970"),
        (pa.array([1], pa.int64()).view(pa.date64()), "times of day"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused_by_name(column, says):
    with pytest.raises(UnsupportedData, match=f"(?s)'amount'.*{says}"):
        table_fingerprint(pa.table({"fine": pa.nulls(len(column)), "amount": column}))
