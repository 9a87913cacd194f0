"""Single values as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.records.codec import Repr
from mlops_kit.views.values import change, clean, clip, duration, number, plural, short, shown, size, when


@given(st.text(st.characters(exclude_categories=()), max_size=50), st.integers(1, 30))
def test_a_clipped_text_is_printable_encodable_and_no_longer_than_asked(text, limit):
    clipped = clip(text, limit)
    assert len(clipped) <= limit
    assert clipped.replace("\u200c", "").replace("\u200d", "").isprintable()
    assert clipped.encode("utf-8").decode("utf-8") == clipped


@pytest.mark.parametrize("text", ["plain", "zażółć", "模型", "👩\u200d🔬"])
def test_printable_text_is_left_alone(text):
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "seen"), [("\x1b[31m", "\\x1b[31m"), ("a\nb", "a\\nb"), ("\ud800", "\\ud800"), ("\u202e", "\\u202e")]
)
def test_what_is_not_printable_is_shown_by_its_escape(text, seen):
    assert clean(text) == seen


@given(st.floats(1e-300, 1e300))
def test_a_rounded_number_is_within_a_twenty_thousandth_of_the_number(value):
    assert float(number(value)) == pytest.approx(value, rel=5e-5)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.99999999, "1.0000"),
        (1e-9, "1e-09"),
        (1234567.8, "1234568"),
        (7, "7"),
        (None, "None"),
        ("text", "'text'"),
    ],
)
def test_a_number_shows_whether_it_was_rounded(value, seen):
    assert number(value) == seen


def test_a_change_is_signed_and_none_where_there_is_no_difference():
    assert change(0.5, 0.75) == "+0.25"
    assert change(1, -1) == "-2"
    assert change(0.0, -0.0) == "+0"
    assert change(float("inf"), float("inf")) is None
    assert change(0, 10**400) is None
    assert change(0.5, "0.5") is None


@pytest.mark.parametrize(
    ("seconds", "seen"),
    [
        (0, "under 1 ms"),
        (0.9994, "999 ms"),
        (59.9, "59.9 s"),
        (59.99, "60 s"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (86_401, "1 d"),
        (float("nan"), "unknown time"),
        (-1, "unknown time"),
    ],
)
def test_a_duration_is_in_the_unit_that_suits_it(seconds, seen):
    assert duration(seconds) == seen


@pytest.mark.parametrize(
    ("count", "seen"),
    [(0, "0 bytes"), (1, "1 byte"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_999, "1.0 MB"), (-1, "unknown size")],
)
def test_a_size_is_in_decimal_units(count, seen):
    assert size(count) == seen


def test_a_fingerprint_is_shortened_to_its_kind_and_eight_digits():
    assert short("sha256:" + "ab" * 32) == "sha256:abababab…"
    assert short("") == "none"


def test_a_moment_is_in_utc():
    assert when(datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))) == "2026-05-01 10:00:00 UTC"
    assert when(datetime(2026, 5, 1, 12, tzinfo=UTC), seconds=False) == "2026-05-01 12:00"
    assert when("yesterday") == "unknown time"
    assert when(datetime.min.replace(tzinfo=timezone(timedelta(hours=2)))).startswith("0001-01-01 00:00:00")


def test_values_are_written_as_python_would():
    value = {"a": (1,), "b": [None, True], "c": {2, 1}, 3: frozenset(), "d": 0.1}
    assert shown(value, limit=200) == "{'a': (1,), 'b': [None, True], 'c': {1, 2}, 3: {}, 'd': 0.1}"


def test_a_value_that_was_kept_by_its_repr_is_written_without_quotes():
    assert shown(Repr("pkg.Thing", "Thing(1)")) == "Thing(1)"


def test_nested_and_large_values_are_cut():
    deep = []
    for _ in range(1000):
        deep = [deep]
    assert shown(deep) == "[[[[[…]]]]]"
    assert shown(list(range(50)), limit=400).endswith("9, … and 40 more]")
    assert shown(10**5000) == "an integer of 16,610 bits"
    assert len(shown("x" * 10**6)) == 120


def test_a_value_whose_repr_raises_is_named_by_its_type():
    class Sulking:
        def __repr__(self):
            raise RuntimeError

    assert shown(Sulking()).endswith("Sulking>")


def test_one_is_not_many():
    assert (plural(0, "row"), plural(1, "row"), plural(2, "row")) == ("0 rows", "1 row", "2 rows")


def test_an_estimator_is_shown_by_its_class_and_settings_however_the_record_orders_them():
    settings = {"alpha": 1.0, "solver": "auto"}
    recorded = {"fingerprint": "fp1:" + "0" * 64, "params": settings, "type": "sklearn.linear_model._ridge.Ridge"}
    assert shown(recorded) == "Ridge(alpha=1.0, solver='auto')"
    assert shown({"type": "m.Big", "params": {f"p{i}": i for i in range(12)}}).endswith("p9=9, … and 2 more)")
    assert shown({"type": "m.Odd", "params": "unseen"}) == "Odd('unseen')"


def test_a_dict_that_only_resembles_an_estimator_is_shown_as_a_dict():
    assert shown({"type": "x", "params": {}, "other": 1}) == "{'type': 'x', 'params': {}, 'other': 1}"
    assert shown({"type": "x"}) == "{'type': 'x'}"
