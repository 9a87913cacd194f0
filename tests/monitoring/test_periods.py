"""What a live monitor is asked about time: rows of a period, and how old the last one is."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit import expectations as expect
from mlops_kit.errors import InvalidInput

START = datetime(2026, 5, 4, tzinfo=UTC)


def frame(n, seed=0):
    return pd.DataFrame({"x": np.random.default_rng(seed).normal(size=n)})


def log(monitor, day, rows):
    monitor.log(frame(rows, day + 1), np.zeros(rows), at=START + timedelta(days=day, hours=1))


def look(monitor, day, hours=2):
    report = monitor.check(now=START + timedelta(days=day, hours=hours))
    return report, [(alert.subject, alert.message) for alert in report.alerts if alert.kind == "quality"]


def test_rows_are_counted_by_days_however_large_a_window_is(tmp_path):
    rule = expect.row_count(at_least=300, per="1d")
    monitor = mk.Monitor(frame(2000), name="daily", store=tmp_path, window=500, expectations=[rule])
    for day, rows in enumerate((10, 300, 400, 120)):
        log(monitor, day, rows)
        assert look(monitor, day)[1] == []  # the first day is not whole, and the last one not over
    _, told = look(monitor, 4)
    assert told == [("volume per 1 day", "120 rows in 1 day from 2026-05-07 00:00, expected at least 300")]
    for day in (4, 5):
        log(monitor, day, 300)
    look(monitor, 5)
    assert look(monitor, 6)[1] == []


def test_days_without_any_row_are_told(tmp_path):
    monitor = mk.Monitor(
        frame(2000), name="daily", store=tmp_path, window=200, expectations=[expect.row_count(1, per="1d")]
    )
    log(monitor, 0, 200)
    log(monitor, 1, 200)
    assert look(monitor, 2)[1] == []
    assert "0 rows" in look(monitor, 3)[1][0][1]


def test_silence_is_told_and_the_day_of_the_last_prediction(tmp_path):
    monitor = mk.Monitor(frame(2000), name="daily", store=tmp_path, window=200, expectations=[expect.arriving("2d")])
    log(monitor, 0, 200)
    report, told = look(monitor, 1)
    assert (report.status, told) == ("ok", [])
    report, told = look(monitor, 3)
    assert told == [("silence", "the last prediction is of 2026-05-04 01:00, older than 2 days")]
    assert "The last prediction was made on 2026-05-04 01:00, 3 days ago." in report.notes
    log(monitor, 3, 200)
    look(monitor, 3, 3)
    assert look(monitor, 3, 4)[1] == []


def test_a_number_of_rows_without_a_period_is_refused_by_a_live_monitor_and_asked_of_a_batch(tmp_path):
    monitor = mk.Monitor(frame(2000), name="m", store=tmp_path, expectations=[expect.row_count(500)])
    assert monitor.check(frame(400)).quality[0].message == "400 rows, expected 500 to any"
    with pytest.raises(InvalidInput, match="per='1d'"):
        log(monitor, 0, 100)


# Keys over days


def orders(keys, seed=0):
    return frame(len(keys), seed).assign(order=keys)


def take(monitor, keys, day, **ids):
    monitor.log(orders(keys, day + 1), np.zeros(len(keys)), at=START + timedelta(days=day, hours=1), **ids)


@pytest.mark.parametrize("kind", [str, int, float])
def test_a_key_of_yesterday_that_comes_again_today_is_found(tmp_path, kind):
    keys = [kind(number) for number in range(1000)]
    rule = expect.unique_rows("order", within="3d")
    monitor = mk.Monitor(orders(keys), name="keys", store=tmp_path, window=500, expectations=[rule])
    take(monitor, keys[:200], 0)
    assert look(monitor, 0)[1] == []
    reopened = mk.Monitor(orders(keys), name="keys", store=tmp_path, window=500, expectations=[rule])
    take(reopened, [*keys[200:399], keys[7]], 1)
    shown = repr(keys[7])
    assert look(reopened, 1)[1] == [
        (
            "repeated order",
            f"1 of 200 rows have a key that had come within 3 days, the last of them {shown} of 2026-05-04 01:00",
        )
    ]
    for day in (2, 3):
        take(reopened, keys[200 * day : 200 * day + 150], day)
        look(reopened, day)
    assert look(reopened, 3)[1] == []
    take(reopened, keys[100:150], 4)  # of four days ago
    assert look(reopened, 4)[1] == []


def test_a_prediction_that_is_logged_again_under_its_id_repeats_no_key(tmp_path):
    keys = [f"o{number}" for number in range(400)]
    rule = expect.unique_rows("order", within="2d")
    monitor = mk.Monitor(orders(keys), name="keys", store=tmp_path, window=100, expectations=[rule])
    for day in (0, 1):
        take(monitor, keys[:50], day, ids=[f"id {key}" for key in keys[:50]])
    assert look(monitor, 1)[1] == []
    take(monitor, keys[:50], 1, ids=[f"other {key}" for key in keys[:50]])
    assert look(monitor, 1, 3)[1][0][0] == "repeated order"


def test_keys_without_a_value_are_passed_over_and_a_share_may_be_allowed(tmp_path):
    keys = [f"o{number}" for number in range(400)]
    rule = expect.unique_rows("order", max_share=0.1, within="2d")
    monitor = mk.Monitor(orders(keys), name="keys", store=tmp_path, window=100, expectations=[rule])
    take(monitor, [*keys[:100], *[None] * 30], 0)
    take(monitor, [*keys[90:189], *[None] * 11], 1)
    assert [subject for subject, _ in look(monitor, 1)[1] if subject.startswith("repeated")] == []
    take(monitor, keys[170:270], 1)
    assert [subject for subject, _ in look(monitor, 1, 3)[1] if subject.startswith("repeated")] == ["repeated order"]


def test_a_table_is_judged_as_a_whole_and_a_key_needs_columns(tmp_path):
    rule = expect.unique_rows("order", within="2d")
    monitor = mk.Monitor(orders(range(2000)), name="keys", store=tmp_path, expectations=[rule])
    assert any("1 rows repeat" in rule.message for rule in monitor.check(orders([1, 2, 1])).quality)
    with pytest.raises(InvalidInput, match="needs the columns of a key"):
        expect.unique_rows(within="2d")


def test_rules_and_messages_use_the_names_that_the_user_knows(tmp_path):
    def odd(n, seed, shift=0.0):
        rng = np.random.default_rng(seed)
        return pd.DataFrame({"#at": rng.normal(shift, 1, n), "#id": np.arange(n), "x": rng.normal(size=n)})

    rules = [
        expect.in_range("#at", -50, 50),
        expect.unique_rows("#id", within="1d"),
        expect.custom(lambda table: table["#at"].to_numpy() < 50, name="small"),
        expect.custom(lambda table: table["y"], name="other"),
    ]
    monitor = mk.Monitor(odd(1000, 0), name="m", store=tmp_path, window=100, expectations=rules)
    monitor.log(odd(300, 1), np.zeros(300), at=START)
    assert {subject for subject, _ in look(monitor, 0)[1]} == {"custom: other"}
    monitor.log(odd(300, 2, 99.0).drop(columns="x"), np.zeros(300), at=START)
    told = dict(look(monitor, 0, 3)[1])
    wanted = {"range of #at", "custom: small", "custom: other", "schema", "repeated #id"}
    assert told.keys() == wanted
    assert told["schema"] == "missing: 'x'"
    assert told["custom: other"].startswith("other: it could not be judged: KeyError")
    report = monitor.check(odd(300, 2, 99.0).drop(columns="#id"))
    assert {rule.column for rule in report.quality} <= {None, "#at", "#id", "x"}
    assert not [rule.message for rule in report.quality if '"#' in rule.message]  # as "#id'" would be shown
