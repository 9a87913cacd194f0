"""Keys that were seen lately: found by value, and bounded."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.monitoring.keys import KEPT, RecentKeys


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 50)), max_size=60), st.integers(1, 60))
def test_a_key_repeats_where_it_came_last_within_the_period(rows, period):
    keys, last, repeated, latest = RecentKeys(), {}, 0, 0
    for key, second in rows:
        repeated += key in last and abs(second - last[key]) <= period
        last[key] = second
        latest = max(last.values())
        last = {one: moment for one, moment in last.items() if latest - moment <= period}
        keys = RecentKeys.of(keys.after([(key,)], [second], period).plain())
    assert (keys.repeated, keys.rows) == (repeated, len(rows))
    assert len(keys.seen) == len(last)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, Decimal("1.00"), True),
        (1, "1", False),
        (1, True, False),
        (0.5, Decimal("0.5"), True),
        (datetime(2026, 5, 1, tzinfo=UTC).replace(tzinfo=None), datetime(2026, 5, 1, tzinfo=UTC), True),
        (float("nan"), float("nan"), False),
        (None, None, False),
        (float("inf"), float("inf"), True),
    ],
)
def test_keys_are_compared_by_value(one, other, same):
    assert RecentKeys().after([(one, "x"), (other, "x")], [0, 1], 10).repeated == same


def test_only_the_latest_keys_are_kept():
    number = KEPT + 500
    keys = RecentKeys().after(((key,) for key in range(number)), [0] * number, 10)
    assert len(keys.seen) == KEPT
    assert keys.after([(0,)], [1], 10).repeated == 0
    assert keys.after([(500,)], [1], 10).repeated == 1
    assert keys.looked().rows == 0
