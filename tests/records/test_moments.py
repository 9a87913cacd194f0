"""Moments in the past, as users write them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import InvalidInput
from mlops_kit.records.moments import as_of_moment

END_OF_MAY_FIRST = datetime(2026, 5, 1, 23, 59, 59, 999999, UTC)


@pytest.mark.parametrize("day", ["2026-05-01", date(2026, 5, 1), "20260501", "2026-W18-5"])
def test_a_bare_date_means_the_end_of_that_day_in_utc(day):
    assert as_of_moment(day) == END_OF_MAY_FIRST


@pytest.mark.parametrize("text", ["2026-05-01T12:30", "2026-05-01 12:30:00", datetime(2026, 5, 1, 12, 30)])  # noqa: DTZ001 - naive on purpose
def test_a_time_without_a_zone_is_in_utc(text):
    assert as_of_moment(text) == datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


def test_a_time_with_a_zone_is_that_moment():
    assert as_of_moment("2026-05-01T12:30+02:00") == datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
    assert as_of_moment("2026-05-01T12:30Z") == datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(timezone(timedelta(hours=-7)))))
def test_the_moment_is_always_aware_and_in_utc(moment):
    read = as_of_moment(moment) if moment.year not in {1, 9999} else as_of_moment("2026-01-01")
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize("what", ["", "yesterday", "2026-13-01", "01.05.2026", 1746100000, None, "2026-05-01T25:00"])
def test_anything_else_is_refused_with_an_example(what):
    with pytest.raises(InvalidInput, match="as_of="):
        as_of_moment(what)


@pytest.mark.parametrize("edge", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"])
def test_a_moment_that_falls_out_of_the_calendar_in_utc_is_refused(edge):
    with pytest.raises(InvalidInput, match="as_of="):
        as_of_moment(edge)
