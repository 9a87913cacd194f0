"""Expectations: each kind passes what is right, and names column, number, limit and rows of what is not."""

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import InvalidInput
from mlops_kit.measures import expectations as expect
from mlops_kit.measures.expectations import (
    arriving,
    check,
    has_columns,
    in_range,
    infer,
    not_constant,
    one_of,
    row_count,
    unique_rows,
)
from mlops_kit.measures.profile import profile_table
from mlops_kit.records.quality import Expectation

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DATA = pa.table(
    {
        "age": [31, 47, 250, None],
        "score": [0.5, float("nan"), float("inf"), 0.25],
        "plan": ["basic", "pro", "basic", "gold"],
        "at": pa.array([datetime(2026, 11, day, 12, tzinfo=UTC) for day in (19, 20, 21, 21)], pa.timestamp("us")),
        "same": ["x"] * 4,
    }
)


def result(rule, data=DATA):
    (found,) = expect.check(data, [rule], now=NOW).results
    return found


@pytest.mark.parametrize(
    ("rule", "value", "failing", "rows"),
    [
        (expect.in_range("age", 0, 130), 250, 1, (2,)),
        (expect.in_range("age", low=40), 31, 1, (0,)),
        (expect.in_range("score", 0, 1), float("inf"), 1, (2,)),
        (expect.in_range("at", low=datetime(2026, 11, 20, 12, tzinfo=UTC)), None, 1, (0,)),
        (expect.max_nulls("age", 0.2), 0.25, 1, (3,)),
        (expect.max_nulls("score", 0.0), 0.25, 1, (1,)),
        (expect.one_of("plan", ["basic", "pro"]), 0.25, 1, (3,)),
        (expect.unique_rows("plan"), 0.25, 1, (2,)),
        (expect.not_constant("same"), 1, 0, ()),
        (expect.fresh("at", "12h"), 86400.0, 0, ()),
        (expect.row_count(5), 4, 0, ()),
        (expect.row_count(at_most=3), 4, 0, ()),
        (expect.custom(lambda table: table.num_rows > 4, name="five"), False, 0, ()),
        (expect.custom(lambda table: [True, False, True, False]), 2, 2, (1, 3)),
        (expect.has_columns(["age", "gone"]), None, 0, ()),
        (expect.has_columns({"age": "utf8"}), None, 0, ()),
        (expect.has_columns(["age"], extra=False), None, 0, ()),
    ],
    ids=lambda part: f"{part.kind}-{part.column}" if isinstance(part, Expectation) else "",
)
def test_what_is_not_as_expected_is_found_and_named(rule, value, failing, rows):
    found = result(rule)
    assert found.passed is False
    assert (found.column, found.failing, found.rows) == (rule.column, failing, rows)
    assert value is None or found.value == value
    assert found.limit == rule.limits or found.limit in rule.limits.values()


@pytest.mark.parametrize(
    "rule",
    [
        expect.in_range("age", 0, 250),
        expect.in_range("at", high=NOW),
        expect.max_nulls("age", 0.25),
        expect.one_of("plan", ["basic", "pro", "gold"]),
        expect.one_of("plan", ["basic", "pro"], max_share=0.25),
        expect.unique_rows(),
        expect.unique_rows("plan", max_share=0.25),
        expect.not_constant("plan"),
        expect.fresh("at", "1d"),
        expect.row_count(4, 4),
        expect.custom(lambda table: np.ones(table.num_rows, bool)),
        expect.has_columns({"age": "number", "plan": "utf8", "at": "moment", "same": ""}),
    ],
    ids=lambda rule: f"{rule.kind}-{rule.column}",
)
def test_what_is_as_expected_passes(rule):
    assert result(rule).passed is True, result(rule).message


def test_a_schema_failure_names_what_is_missing_extra_and_of_another_type():
    rule = expect.has_columns({"age": "category", "gone": "number"}, extra=False)
    message = result(rule, DATA.select(["age", "plan"])).message
    assert message == "missing: 'gone'; not expected: 'plan'; age is int64 and not category"


@pytest.mark.parametrize(
    "rule",
    [
        expect.in_range("nowhere", 0, 1),
        expect.in_range("plan", 0, 1),
        expect.fresh("plan", "1d"),
        expect.unique_rows("nowhere"),
        expect.custom(lambda _: 1 / 0),
        expect.custom(lambda _: [True]),
        Expectation("custom", None, {"name": "from a record"}),
        Expectation("astrology", "age", {}),
    ],
)
def test_what_cannot_be_judged_has_failed_and_says_why(rule):
    found = result(rule)
    assert found.passed is False
    assert found.message


def test_too_few_rows_are_no_verdict():
    report = expect.check(DATA, [expect.max_nulls("age", 0.0, min_rows=5), expect.not_constant("same", min_rows=5)])
    assert [found.passed for found in report.results] == [None, None]
    assert report.status == "insufficient data"


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_of_hardly_any_rows_is_judged(rows):
    data = DATA.slice(0, rows)
    rules = [*expect.infer(profile_table(DATA)), expect.unique_rows(), expect.not_constant("age"), expect.row_count(1)]
    report = expect.check(data, rules)
    assert report.passed is bool(rows)


def healthy(rows, seed):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "x": rng.normal(size=rows),
            "heavy": rng.lognormal(0, 2, rows),
            "plan": rng.choice(["basic", "pro"], rows),
            "rare": rng.random(rows) < 0.001,
            "holes": np.where(rng.random(rows) < 0.01, np.nan, rng.normal(size=rows)),
        }
    )


def test_what_a_reference_suggests_holds_in_healthy_data_and_fails_in_broken_data():
    rules = expect.infer(profile_table(healthy(2000, 0)))
    assert all(rule.inferred for rule in rules)
    assert {rule.kind for rule in rules} == {"schema", "nulls", "range", "categories", "constant"}
    quiet = [rule for rule in rules if rule.column != "heavy"]
    assert all(expect.check(healthy(rows, seed), quiet).passed for seed in range(1, 20) for rows in (50, 1000))
    broken = healthy(1000, 1).to_pandas()
    broken["x"] *= 1000
    broken["plan"] = "gold"
    broken["holes"] = np.nan
    report = expect.check(pa.Table.from_pandas(broken.drop(columns="rare"), preserve_index=False), rules)
    assert report.status == "warning"
    found = {(problem.kind, problem.column) for problem in report.problems}
    assert found >= {("schema", None), ("range", "x"), ("categories", "plan"), ("constant", "plan"), ("nulls", "holes")}
    assert found <= {(rule.kind, rule.column) for rule in rules}


def test_a_stated_expectation_alerts_where_an_inferred_one_warns():
    rule = expect.in_range("age", 0, 130)
    assert expect.check(DATA, [rule]).status == "alert"
    assert expect.check(DATA, [Expectation(rule.kind, rule.column, rule.limits, inferred=True)]).status == "warning"


def test_expectations_are_plain_records_that_come_back():
    rules = [*expect.infer(profile_table(DATA)), expect.fresh("at", "1d"), expect.in_range("at", high=NOW)]
    assert [Expectation.from_members(rule.members()) for rule in rules] == rules


def test_a_report_raises_on_request_and_becomes_plain_values():
    report = expect.check(DATA, [expect.in_range("age", 0, 130), expect.row_count(1)])
    with pytest.raises(InvalidInput, match=r"range of age: 1 of 3 values outside of 0 to 130, the farthest 250"):
        report.raise_if_failed()
    plain = report.to_dict()
    assert plain["status"] == "alert"
    assert [entry["passed"] for entry in plain["results"]] == [False, True]
    assert plain["results"][0]["failing"] == 1
    expect.check(DATA, [expect.row_count(1)]).raise_if_failed()


@pytest.mark.parametrize("make", [lambda: expect.max_nulls("x", 2), lambda: expect.in_range("x")])
def test_an_expectation_that_means_nothing_is_refused(make):
    with pytest.raises(InvalidInput):
        make()


@pytest.mark.parametrize("broken", [False, True])
def test_a_profile_of_the_table_saves_work_and_changes_no_verdict(broken):
    rules = [
        *expect.infer(profile_table(healthy(3000, 0))),
        expect.in_range("x", low=-100),
        expect.max_nulls("holes", 0.005),
        expect.not_constant("plan", min_rows=5000),
        expect.one_of("plan", ["basic"], max_share=0.9),
    ]
    data = healthy(1000, 1)
    if broken:
        frame = data.to_pandas().assign(x=np.inf, plan="gold", heavy=1.0)
        data = pa.Table.from_pandas(frame, preserve_index=False)
    for profile in (profile_table(data), profile_table(data, like=profile_table(healthy(3000, 0)))):
        quick, slow = expect.check(data, rules, profile=profile), expect.check(data, rules)
        assert [found.passed for found in quick.results] == [found.passed for found in slow.results]
        assert quick.problems == slow.problems


@pytest.mark.parametrize(
    ("rows", "missing", "passed"), [(20, 20, False), (19, 19, None), (20, 19, None), (300, 0, True)]
)
def test_of_few_rows_only_a_column_without_any_value_is_told(rows, missing, passed):
    table = pa.table({"x": pa.array([None] * missing + [1.0] * (rows - missing), pa.float64())})
    (result,) = expect.check(table, [expect.max_nulls("x", 0.1, min_rows=200)]).results
    assert result.passed is passed


# By value, in the type of the column


@pytest.mark.parametrize(
    ("values", "allowed", "passed"),
    [
        ([1, 2], [1.0, 2.0], True),
        ([1, 3], ["1", "2"], False),
        ([1, 2], ["1", "2"], True),
        (["1"], [1], False),
        ([0.1], [0.1], True),
        ([True], ["true"], True),
        ([True], [False], False),
        ([Decimal("1.50")], [Decimal("1.5")], True),
        ([None, float("nan"), 1.0], [1], True),
    ],
)
def test_listed_values_are_compared_by_value(values, allowed, passed):
    assert check(pa.table({"x": values}), [one_of("x", allowed)]).passed is passed


@given(value=st.integers(-(2**63), 2**63 - 1), low=st.integers(-(2**64), 2**64), high=st.integers(-(2**64), 2**64))
def test_whole_numbers_are_compared_exactly(value, low, high):
    low, high = sorted((low, high))
    result = check(pa.table({"x": pa.array([value], pa.int64())}), [in_range("x", low, high)]).results[0]
    assert result.passed is (low <= value <= high), result


@given(value=st.floats(allow_nan=False), low=st.integers(-(2**60), 2**60))
def test_floats_are_compared_exactly_with_whole_limits(value, low):
    assert check(pa.table({"x": [value]}), [in_range("x", low)]).passed is (value >= low)
    assert check(pa.table({"x": [value]}), [in_range("x", None, low)]).passed is (value <= low)


def test_decimals_and_dates_are_compared_as_such_and_kept_in_records():
    rules = [in_range("price", Decimal("0.10"), Decimal("9.99")), in_range("day", date(2026, 2, 1))]
    table = pa.table({"price": [Decimal("9.99")], "day": [date(2026, 2, 1)]})
    kept = [Expectation.from_members(json.loads(json.dumps(rule.members()))) for rule in rules]
    assert kept == rules
    assert check(table, kept).passed
    over = pa.table({"price": [Decimal("10.00")], "day": [date(2026, 1, 31)]})
    told = check(over, kept).to_dict()["results"]
    assert [one["value"] for one in told] == ["10.00", "2026-01-31T00:00:00+00:00"]
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize(
    "make",
    [
        lambda: in_range("m", math.nan),
        lambda: in_range("m", 0, Decimal("NaN")),
        lambda: in_range("m", 5, 1),
        lambda: in_range("m", 5, "x"),
        lambda: one_of("m", "ok"),
        lambda: one_of("m", ["ok"], max_share=math.nan),
        lambda: has_columns("age"),
        lambda: unique_rows(["a", "b"]),
        row_count,
        lambda: row_count(5, 3),
        lambda: row_count(-1),
        lambda: row_count(1, per=0),
        lambda: arriving(0),
    ],
)
def test_what_means_nothing_is_refused_where_it_is_made(make):
    with pytest.raises(InvalidInput):
        make()


def test_nested_and_empty_columns_are_judged_in_words():
    table = pa.table({"tags": [[1], [1]], "none": pa.nulls(2)})
    results = check(table, [not_constant("tags"), not_constant("none"), in_range("tags", 0)]).results
    assert [result.passed for result in results] == [False, False, False]
    assert [result.message for result in results] == [
        "every value is '[1]'",
        "every value is missing",
        "values of type list<item: int64> cannot be held against it",
    ]


def test_what_the_reference_leaves_in_doubt_is_not_inferred():
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "rare": [*["a"] * 996, *["b"] * 4],
            "plain": rng.choice(["a", "b"], 1000),
            "fee": [1.0, 2.0, *[None] * 998],
            "ratio": [math.inf, *rng.normal(size=999)],
        }
    )
    rules = {(rule.kind, rule.column): rule for rule in infer(profile_table(table))}
    assert ("categories", "plain") in rules
    assert not {("categories", "rare"), ("constant", "fee")} & rules.keys()
    assert check(pa.table({"ratio": [0.0, math.inf]}), [rules["range", "ratio"]]).passed
    assert not check(pa.table({"ratio": [1e9]}), [rules["range", "ratio"]]).passed
