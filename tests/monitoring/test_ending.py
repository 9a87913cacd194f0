"""An alert of performance ends by a test, and tells what was, until when, and how it is since."""

import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.monitoring.ending import Ending, Run
from mlops_kit.monitoring.performance import STEP, Harm, Summary

START = pd.Timestamp("2026-05-01", tz="UTC")


def losses(rng, share, n):
    return (rng.random(n) < share).astype(float)


def begun(**changed):
    return Ending.at(**{"before": 0.199, "worst": 0.478, "allowed": 0.21, "rare": False, "day": None, **changed})


def rows_until_the_end(share, seed):
    rng, ending = np.random.default_rng(seed), begun()
    for step in range(400):
        ending = ending.after(losses(rng, share, 50))
        if ending.ended:
            return 50 * (step + 1)
    return None


def test_the_end_is_found_soon_and_never_while_it_lasts():
    better = [rows_until_the_end(0.12, seed) for seed in range(10)]
    same = [rows_until_the_end(0.199, seed) for seed in range(10)]
    assert np.median(better) <= 400
    assert np.median(same) <= 1500
    assert [rows_until_the_end(0.478, seed) for seed in range(5)] == [None] * 5


def test_the_limit_lies_between_what_was_and_what_is():
    assert begun().limit == pytest.approx(0.199 + 0.279 / 4)
    assert begun(allowed=0.3).limit == 0.3
    assert begun(allowed=0.4).limit == pytest.approx((0.199 + 0.478) / 2)
    assert begun(allowed=None).limit == begun().limit


def test_rows_in_parts_are_the_same_as_at_once_and_the_state_reads_back():
    rng = np.random.default_rng(0)
    rows = losses(rng, 0.3, 330)
    parts = begun()
    for part in np.split(rows, [17, 120, 121, 300]):
        parts = Ending.of(parts.plain()).after(part)
    whole = begun().after(rows)
    assert parts.logs == pytest.approx(whole.logs)
    assert (parts.n, parts.open[0]) == (whole.n, whole.open[0])
    assert parts.open[0] == 30
    assert parts.total == pytest.approx(whole.total)


@pytest.mark.parametrize("day", [None, 100])
def test_the_mean_is_that_of_the_losses_since_they_became_better(day):
    rng = np.random.default_rng(2)
    ending = begun(day=day)
    for number, mean in enumerate([0.478] * 4 + [0.1] * 4):
        ending = ending.after(losses(rng, mean, 500), np.full(500, 101 + number))
    assert ending.ended
    assert ending.mean == pytest.approx(0.1, abs=0.05)


def test_days_enter_whole_so_that_early_right_answers_end_nothing():
    rng = np.random.default_rng(1)
    ending, labelled = begun(day=100), {}
    complete = lambda day: labelled.get(day, 0) >= 950
    for day in range(101, 106):
        bad = losses(rng, 0.478, 1000)
        for part in (bad[bad == 0], bad[bad == 1]):  # right answers are labelled sooner
            labelled[day] = labelled.get(day, 0) + len(part)
            ending = ending.after(part, np.full(len(part), day), complete)
            assert not ending.ended
    assert ending.entered == tuple(range(101, 106))
    before = ending
    assert before.after(np.zeros(500), np.full(500, 100), complete) == before  # of the bad day itself


def test_each_run_of_a_stream_has_less_to_spend():
    run = Run(Summary(1000, 200.0, 200.0), 0.01, STEP)
    shares = []
    for _ in range(1000):
        shares.append(run.begin(None, by_day=False).share)
        run = Run(run.reference, run.share, STEP, number=run.number + 1)
    assert 0.99 * 0.01 < sum(shares) < 0.01
    assert Run.of(run.plain()) == run
    assert isinstance(run.begin(0.1, by_day=False), Harm)


def day_of(error, seed, n=500):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return pd.DataFrame({"x": rng.normal(size=n), "p": np.where(rng.random(n) < error, 1 - y, y), "y": y})


@pytest.mark.parametrize("each_day", [True, False])
def test_a_bad_day_is_told_and_told_as_over_however_late_the_check(tmp_path, each_day):
    reference = day_of(0.2, 0, 4000)
    monitor = mk.Monitor(reference, name="spell", prediction="p", target="y", store=tmp_path, sinks=(told := []).extend)
    for number, error in enumerate([0.2, 0.2, 0.478, 0.1, 0.1, 0.1, 0.1, 0.1]):
        rows, at = day_of(error, 10 + number), START + pd.Timedelta(days=number)
        monitor.log_labels(monitor.log(rows[["x"]], rows.p, at=at), rows.y, at=at)
        if each_day or number == 7:
            report = monitor.check(now=(at + timedelta(hours=1)).to_pydatetime())
            if each_day and number == 2:
                assert report.status == "alert"
    states = dict.fromkeys(one.state for one in told if one.subject == "error")  # it is told again day by day
    assert list(states) == ["firing", "resolved"]
    message = next(one.message for one in told if one.subject == "error" and one.state == "resolved")
    found = re.match(r"([\d.]+) since 2026-05-03.*, 0\.\d+ on the reference: until 2026-05-03.*; since then ([\d.]+), "
                     r"shown to be below ([\d.]+)$", message)  # fmt: skip
    assert found, message
    was, since, below = map(float, found.groups())
    assert was > 0.4
    assert since < below < 0.3
    assert not [one for one in report.alerts if one.kind == "performance"]


def test_a_bad_model_that_stays_bad_stays_an_alert(tmp_path):
    monitor = mk.Monitor(day_of(0.2, 0, 4000), name="bad", prediction="p", target="y", store=tmp_path)
    for number, error in enumerate([0.2, *[0.4] * 8]):
        rows, at = day_of(error, 10 + number), START + pd.Timedelta(days=number)
        monitor.log_labels(monitor.log(rows[["x"]], rows.p, at=at), rows.y, at=at)
        report = monitor.check(now=(at + timedelta(hours=1)).to_pydatetime())
        assert (report.status == "alert") is (number > 0)
