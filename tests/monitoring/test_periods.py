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
