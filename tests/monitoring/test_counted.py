"""What is logged again counts once, and of each group the first row does."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput
from mlops_kit.monitoring import places

START = datetime(2026, 5, 1, tzinfo=UTC)


def rows(n, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return pd.DataFrame({"x": rng.normal(shift, 1, n), "y": y, "p": np.where(rng.random(n) < 0.1, 1 - y, y)})


def watched(store, **settings):
    settings = {"name": "m", "prediction": "p", "target": "y", "window": 100, **settings}
    return mk.Monitor(settings.pop("reference", rows(3000)), store=store, **settings)


def test_a_retry_of_long_ago_from_another_process_counts_nowhere(tmp_path):
    once, retried = (watched(tmp_path / name) for name in ("once", "retried"))
    for monitor in (once, retried):
        for part in range(25):
            ids = [f"{part}-{number}" for number in range(1000)]
            monitor.log(
                rows(1000, seed=part)[["x"]], rows(1000, seed=part).p, ids=ids, at=START + timedelta(hours=part)
            )
            monitor.log_labels(ids[:20], rows(1000, seed=part).y[:20], at=START + timedelta(hours=part))
        monitor.check(now=START + timedelta(days=2))
    other = watched(tmp_path / "retried")
    for part in (0, 24):
        ids, again = [f"{part}-{number}" for number in range(1000)], rows(1000, seed=50, shift=2.0)
        other.log(again[["x"]], again.p, ids=ids, at=START + timedelta(days=2))
        other.log(again[["x"]], again.p, ids=ids, at=START + timedelta(days=2))
    fresh = rows(150, seed=99)
    for monitor in (once, other):
        monitor.log(
            fresh[["x"]], fresh.p, ids=[f"fresh-{number}" for number in range(150)], at=START + timedelta(days=2)
        )
        monitor.flush()
    expected, found = (monitor.check(now=START + timedelta(days=3)) for monitor in (once, retried))
    assert (found.rows, found.coverage) == (expected.rows, expected.coverage)
    assert found.coverage.predictions == 25_150
    assert any(note.startswith("4,000 predictions came again") for note in found.notes)
    assert not found.alerts
    more = rows(50, seed=98)
    for monitor in (once, other):  # with these rows the window is full in which the retries would have waited
        monitor.log(more[["x"]], more.p, ids=[f"more-{number}" for number in range(50)], at=START + timedelta(days=3))
        monitor.flush()
    expected, found = (monitor.check(now=START + timedelta(days=3)).to_frame() for monitor in (once, retried))
    pd.testing.assert_frame_equal(expected, found)


def test_no_more_ids_are_remembered_than_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "REMEMBERED", 100)
    monkeypatch.setattr(places, "_MOST", 50)
    monitor = watched(tmp_path)
    for part in range(6):
        monitor.log(rows(50)[["x"]], rows(50).p, ids=[f"{part}-{place}" for place in range(50)], at=START)
        monitor.check(now=START)
    for part in (0, 5):
        monitor.log(rows(50)[["x"]], rows(50).p, ids=[f"{part}-{place}" for place in range(50)], at=START)
    assert monitor.check(now=START).coverage.predictions == 350


def customers(n, seed, shift=0.0):
    """Each customer comes thirty times, with values of its own."""
    rng = np.random.default_rng(seed)
    made = rows(n, seed, shift).assign(customer=[f"{seed}-{number}" for number in range(n)], x=rng.normal(shift, 1, n))
    return pd.concat([made] * 30, ignore_index=True)


def test_of_each_group_one_row_is_compared_and_the_report_says_so(tmp_path):
    reference = customers(2000, 0)
    plain, grouped = (
        watched(tmp_path / str(groups), reference=reference, groups=groups) for groups in (None, "customer")
    )
    for monitor in (plain, grouped):
        for day in range(8):  # few new customers a day, each of them often
            seen = customers(40, day + 1)
            ids = monitor.log(seen[["x", "customer"]], seen.p, at=START + timedelta(days=day))
            monitor.log_labels(ids, seen.y, at=START + timedelta(days=day))
    assert "x" in {alert.subject for alert in plain.check(now=START + timedelta(days=9)).alerts}
    report = grouped.check(now=START + timedelta(days=9))
    assert not report.alerts
    assert (report.reference_rows, report.rows) == (2000, 300)
    assert {loss.name: loss.n for loss in report.performance}["error"] == 320
    assert any("groups='customer'" in note and "9,280 further rows" in note for note in report.notes)
    assert report.to_frame().set_index("name").loc["customer", "status"] == "not watched"


@pytest.mark.parametrize("maturity", [None, "1d"])
def test_a_customer_who_comes_back_is_compared_once_and_judged_once_for_each_version(tmp_path, maturity):
    monitor = watched(tmp_path, reference=customers(2000, 0), groups="customer", maturity=maturity)
    for day, version in enumerate(["fraud:1", "fraud:1", "fraud:2"]):
        seen = customers(200, 5)[:200]
        ids = monitor.log(seen[["x", "customer"]], seen.p, at=START + timedelta(days=day), version=version)
        monitor.log_labels(ids, seen.y, at=START + timedelta(days=day))
        report = monitor.check(now=START + timedelta(days=day, hours=12))
    report = monitor.check(now=START + timedelta(days=9))
    assert {loss.name: loss.n for loss in report.performance if loss.stream == "error"} == {
        "error, fraud:1": 200,
        "error, fraud:2": 200,
    }
    assert 180 < report.to_frame().set_index("name").loc["x", "n"] <= 200  # the last few wait for a whole step


def test_a_column_of_groups_must_be_there(tmp_path):
    with pytest.raises(InvalidInput, match="has no column 'client' for groups="):
        watched(tmp_path, groups="client").check()
    with pytest.raises(InvalidInput, match="groups="):
        watched(tmp_path, groups=["x"])
