"""Profiles: what they say is right, and parts put together say the same as the whole, to the last bit."""

import itertools
import math
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.columns import commonest
from mlops_kit.measures.grids import BINS, MISSING, find_bins, place_grid
from mlops_kit.measures.profile import encode_column, merge, profile_table, spend
from mlops_kit.records.profile import Grid, TableProfile, from_ordinal, ordinal


def table(rows=5000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(50, 10, rows)
    x[rng.random(rows) < 0.05] = np.nan
    return pa.table(
        {
            "x": x,
            "income": rng.lognormal(8, 2, rows),
            "age": rng.integers(18, 90, rows),
            "plan": rng.choice(["basic", "pro", "team"], rows, p=[0.6, 0.3, 0.1]),
            "active": rng.random(rows) < 0.3,
            "since": pd.date_range("2026-01-01", periods=rows, freq="min"),
        }
    )


def test_a_profile_says_what_the_table_holds():
    data = table()
    profile = profile_table(data)
    x = data["x"].to_numpy()
    assert profile.rows == 5000
    assert profile["x"].nulls == np.isnan(x).sum()
    assert (profile["x"].low, profile["x"].high) == (np.nanmin(x), np.nanmax(x))
    assert profile["x"].mean == pytest.approx(np.nanmean(x), rel=1e-6)
    assert profile["x"].sd == pytest.approx(np.nanstd(x), rel=1e-5)
    for share in (0.02, 0.25, 0.5, 0.97):
        assert profile["x"].quantile(share) == pytest.approx(np.nanquantile(x, share), abs=1)
        true = np.quantile(data["income"].to_numpy(), share)
        assert profile["income"].quantile(share) == pytest.approx(true, rel=0.15)
    plans = data["plan"].to_pylist()
    assert profile["plan"].levels == ("basic", "pro", "team")
    assert profile["plan"].counts == (plans.count("basic"), plans.count("pro"), plans.count("team"), 0)
    assert profile["active"].levels == ("false", "true")
    assert profile["since"].low == pd.Timestamp("2026-01-01").value // 1000
    assert [column.kind for column in profile.columns] == ["number"] * 3 + ["category"] * 2 + ["moment"]


def test_the_rows_that_place_the_bins_are_counted_apart():
    profile = profile_table(table())
    for column in profile.columns[:5]:
        assert sum(column.spent) + sum(column.pool) == 5000 - column.nulls
        assert sum(column.spent) <= 1000
        assert sum(column.pool) >= 3700


def test_which_rows_place_the_bins_depends_on_their_number_alone():
    assert np.array_equal(spend(5000), spend(5000))
    assert [len(spend(rows)) for rows in (0, 1, 4, 30, 1000, 10**6)] == [0, 1, 1, 6, 200, 20_000]
    assert len(np.unique(spend(1000))) == 200


@pytest.mark.parametrize("cut", [0, 1, 1234, 5000])
def test_the_profile_of_two_parts_is_the_profile_of_the_whole(cut):
    reference, data = profile_table(table()), table(seed=1)
    whole = profile_table(data, like=reference)
    first, second = (profile_table(part, like=reference) for part in (data.slice(0, cut), data.slice(cut)))
    assert merge(first, second) == merge(second, first) == whole


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(width=64) | st.none(), max_size=40),
    words=st.lists(st.sampled_from(["a", "b", "c", "new", None]), min_size=40, max_size=40),
    cut=st.integers(0, 40),
    reference=st.lists(st.floats(width=64) | st.integers(-3, 3).map(float), min_size=1, max_size=40),
)
def test_merging_is_exact_whatever_the_values(values, words, cut, reference):
    known = profile_table(pa.table({"x": reference, "w": (["a", "b", None] * 14)[: len(reference)]}))
    data = pa.table({"x": pa.array(values, pa.float64()), "w": pa.array(words[: len(values)], pa.string())})
    parts = [profile_table(part, like=known) for part in (data.slice(0, cut), data.slice(cut))]
    if known["x"].grid is not None:
        assert merge(*parts) == profile_table(data, like=known)
    assert TableProfile.decode(known.encode(), where="a test") == known


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda rows: st.lists(
            st.lists(st.floats(width=64) | st.integers(-3, 3).map(float), min_size=rows, max_size=rows),
            min_size=1,
            max_size=8,
        )
    )
)
def test_a_column_is_described_beside_others_as_it_is_alone(columns):
    data = pa.table({f"c{i}": values for i, values in enumerate(columns)})
    wide = profile_table(data)
    alone = [profile_table(data.select([name])) for name in data.column_names]
    assert wide.columns == tuple(profile.columns[0] for profile in alone)
    again = profile_table(data.slice(0, 1), like=wide)
    parts = zip(data.column_names, alone, strict=True)
    assert again.columns == tuple(profile_table(data.slice(0, 1).select([name]), like=of)[name] for name, of in parts)


@pytest.mark.parametrize("rows", [1, 7, 300, 3000, 5000])
def test_counts_and_sums_are_those_of_each_value(rows):
    rng = np.random.default_rng(rows)
    drawn = [rng.normal(50, 10, rows), rng.lognormal(0, 6, rows), rng.standard_cauchy(rows) ** 9, np.full(rows, 0.1)]
    drawn += [rng.integers(0, 3, rows).astype(float), np.append(rng.normal(0, 1, rows - 1), 1e300)]
    data = pa.table({f"c{i}": values for i, values in enumerate(drawn)})
    profile, sample = profile_table(data), spend(rows)
    assert {column.grid.scale for column in profile.columns} == ({"linear", "log"} if rows > 7 else {"linear"})
    for column, values in zip(profile.columns, drawn, strict=True):
        codes = encode_column(data[column.name], column)
        assert column.counts == tuple(np.bincount(codes, minlength=len(column.grid.cuts) + 1).tolist())
        assert column.spent == tuple(np.bincount(codes[sample], minlength=len(column.counts)).tolist())
        assert (column.low, column.high) == (values.min(), values.max())
        with np.errstate(over="ignore"):
            units = np.clip((values - column.grid.low) * 2.0**-column.grid.exponent, 1 - 2.0**31, 2.0**31 - 1)
        whole = [int(unit) for unit in np.rint(units)]
        assert (column.total, column.squares) == (sum(whole), sum(unit * unit for unit in whole))


def test_profiles_on_other_bins_are_not_merged():
    with pytest.raises(InvalidInput, match=r"other bins or levels.*like="):
        merge(profile_table(table()), profile_table(table(seed=1)))
    with pytest.raises(InvalidInput, match=r"other columns.*'x'"):
        merge(profile_table(table()), profile_table(table().drop_columns("x"), like=profile_table(table())))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=60), st.lists(st.floats(), max_size=30))
def test_bins_are_ordered_as_the_values_and_missing_is_no_bin(sample, values):
    grid = place_grid(np.array(sample))
    if grid is None:
        assert not np.isfinite(sample).any()
        return
    assert list(grid.cuts) == sorted(set(grid.cuts))
    assert len(grid.cuts) < BINS
    codes = find_bins(np.array([*sample, *values, math.inf, -math.inf]), grid)
    pairs = sorted((v, c) for v, c in zip([*sample, *values], codes.tolist(), strict=False) if not math.isnan(v))
    assert [c for _, c in pairs] == sorted(c for _, c in pairs)
    assert all(c == MISSING for v, c in zip([*sample, *values], codes, strict=False) if math.isnan(v))
    assert (codes[-2], codes[-1]) == (len(grid.cuts), 0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(100, 1, 10_000),
        lambda rng: rng.lognormal(0, 3, 10_000),
        lambda rng: np.append(rng.normal(100, 1, 9_998), [1e12, -1e12]),
        lambda rng: rng.normal(0, 1e-200, 10_000),
        lambda rng: rng.uniform(-1, 1, 10_000) * 1.7e308,
    ],
    ids=["normal", "heavy tail", "wild outliers", "tiny", "huge"],
)
def test_no_bin_holds_much_more_than_its_share(draw):
    values = draw(np.random.default_rng(0))
    grid = place_grid(values[:2000])
    shares = np.bincount(find_bins(values, grid), minlength=len(grid.cuts) + 1) / len(values)
    assert shares.max() < 0.05
    assert np.count_nonzero(shares) > 60


def test_each_of_few_values_has_a_bin_to_itself():
    values = np.random.default_rng(0).integers(0, 20, 5000) / 4
    codes = find_bins(values, place_grid(values[:1000]))
    assert len(np.unique(codes)) == 20
    assert all(len(np.unique(values[codes == code])) == 1 for code in np.unique(codes))


def test_edges_are_where_the_bins_begin():
    for values in (np.random.default_rng(0).normal(size=3000), np.random.default_rng(0).lognormal(0, 3, 3000)):
        grid = place_grid(values)
        edges = np.array(grid.edges[:-1])
        slack = 1e-4 * np.abs(edges) + 1e-4
        assert (find_bins(edges + slack, grid) >= np.arange(1, len(edges) + 1)).all()
        assert (find_bins(edges - slack, grid) <= np.arange(1, len(edges) + 1)).all()


def test_rare_categories_are_counted_together():
    words = [f"id{i:04}" for i in range(1000)] + ["common"] * 10
    column = profile_table(pa.table({"w": words}))["w"]
    assert column.levels[0] == "common"
    assert 1 < len(column.levels) <= 256
    assert column.counts[-1] == 1010 - 10 - (len(column.levels) - 1)
    assert sum(column.counts) == 1010


def test_of_more_different_texts_than_are_counted_the_rows_that_choose_name_the_commonest():
    rng = np.random.default_rng(0)
    words = rng.permutation([f"id{i:06}" for i in range(40_000)] + ["often"] * 9000 + ["now and then"] * 1000)
    column = profile_table(pa.table({"w": words}))["w"]
    assert column.levels[:2] == ("often", "now and then")
    assert column.counts[:2] == (9000, 1000)
    assert len(column.levels) == 256
    assert sum(column.counts) == 50_000
    assert column.counts[-1] == 50_000 - sum(column.counts[:-1])
    assert sum(column.spent) == 10_000


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=2) | st.none(), max_size=60), st.integers(1, 70), st.lists(st.integers(0, 60)))
def test_the_commonest_categories_are_those_that_counting_one_by_one_finds(words, number, cuts):
    words = [None if word is None else word.encode("utf-8", "replace").decode() for word in words]
    counted = Counter(word for word in words if word is not None)
    expected = tuple(sorted(counted, key=lambda word: (-counted[word], word))[:number])
    cuts = sorted({0, *cuts, len(words)})
    pieces = [pa.array(words[a:b], pa.string()) for a, b in itertools.pairwise(cuts)]
    column = pa.chunked_array(pieces, pa.string())
    assert commonest(column, number) == expected
    coded = pa.chunked_array([piece.dictionary_encode() for piece in pieces], pa.dictionary(pa.int32(), pa.string()))
    assert commonest(coded, number) == expected


def test_a_profile_does_not_depend_on_chunks():
    whole = table(3000)
    pieces = pa.concat_tables([whole.slice(0, 0), whole.slice(0, 700), whole.slice(700, 1), whole.slice(701)])
    assert profile_table(pieces) == profile_table(whole)


def test_encodings_of_the_same_categories_agree():
    words = ["a", "b", None, "a", "c"]
    known = profile_table(pa.table({"w": ["a", "b"]}))["w"]
    plain = pa.chunked_array([pa.array(words)])
    coded = pa.chunked_array([pa.array(words[:2]).dictionary_encode(), pa.array(words[2:]).dictionary_encode()])
    expected = [0, 1, MISSING, 0, 2]
    assert encode_column(plain, known).tolist() == expected
    assert encode_column(coded, known).tolist() == expected
    assert profile_table(pa.table({"w": plain})) == profile_table(pa.table({"w": coded}))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None] * 5),
        pa.array([None] * 5, pa.float64()),
        pa.array([math.inf, -math.inf, math.nan, None, math.inf]),
        pa.array([[1], None, [2], [], [3]]),
        pa.array([b"a", b"b", None, b"", b"c"]),
        pa.array([1] * 5, pa.decimal128(38, 2)),
        pa.array([1, 2, None, 4, 5], pa.duration("ns")),
        pa.array([1, 2, None, 4, 5], pa.time32("s")),
        pa.array([1, 2, None, 4, 5], pa.date32()),
        pa.array([2**63 - 1, -(2**63), 0, None, 5]),
        pa.array([0.1, 0.2, None, 0.3, 1.0], pa.float16()),
        pa.array(["1", "2", None, "1", "1"]).dictionary_encode(),
        pa.array([1, 2, None, 1, 1]).dictionary_encode(),
        pa.array([], pa.float64()),
        pa.array([], pa.string()),
    ],
    ids=lambda column: f"{column.type}-{len(column)}",
)
def test_no_column_is_too_odd_to_be_described(column):
    data = pa.table({"x": column})
    profile = profile_table(data)
    assert profile["x"].rows == len(column)
    assert TableProfile.decode(profile.encode(), where="a test") == profile
    assert merge(profile_table(data, like=profile), profile_table(data.slice(0, 0), like=profile)).rows == len(column)


def test_zero_has_one_bin_whatever_its_sign():
    codes = find_bins(np.array([0.0, -0.0]), Grid("log", 0.0, 1.0, (1, 65_537), -24))
    assert codes.tolist() == [1, 1]


def test_ordinals_are_ordered_as_floats_and_lead_back():
    floats = sorted([0.0, 1.5, -1.5, 1e308, -1e308, 5e-324, -5e-324])
    assert [from_ordinal(ordinal(value)) for value in floats] == floats
    assert [ordinal(value) for value in floats] == sorted(ordinal(value) for value in floats)
