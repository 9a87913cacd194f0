"""A rise that began on some day, found among labels of many days."""

import numpy as np
import pytest

from mlops_kit.monitoring.cohorts import Cohorts
from mlops_kit.monitoring.performance import POOLED_RATIOS, RARE_STEP, Harm, Summary

RATIOS = np.array(POOLED_RATIOS)


def arrivals(rng, *, days, each, fall, before=0.2, after=0.5):
    """Draw for each day of arrival the losses and days of prediction, with labels 3 to 30 days late."""
    made = np.repeat(np.arange(days), each)
    due = made + rng.integers(3, 31, len(made))
    losses = (rng.random(len(made)) < np.where(made < fall, before, after)).astype(float)
    for day in range(days):
        if (due == day).any():
            yield losses[due == day], made[due == day]


def live(seed, *, fall, days=100, by_day=True):
    rng = np.random.default_rng(seed)
    reference = Summary.of((rng.random(500) < 0.2).astype(float))
    harm = Harm.begin(reference, share=0.025 / 3, step=RARE_STEP, by_day=by_day)
    seen = 0
    for losses, made in arrivals(rng, days=days, each=20, fall=fall):
        harm, seen = harm.after(losses, made), seen + int((made >= fall).sum())
        if harm.crossed is not None:
            return harm, seen
    return harm, None


def test_frauds_that_are_labelled_late_are_missed_no_longer_than_those_labelled_at_once():
    found = [live(seed, fall=40) for seed in range(40)]
    assert np.median([seen for _, seen in found]) <= 90  # the benchmark measures it over more lives
    assert np.median([abs(harm.day - 40) for harm, _ in found if harm.day is not None]) <= 2
    assert np.median([harm.lately for harm, _ in found]) == pytest.approx(0.5, abs=0.1)
    thinned = [live(seed, fall=40, by_day=False)[1] for seed in range(40)]
    assert np.median(thinned) > 1.5 * np.median([seen for _, seen in found])


def test_healthy_lives_with_late_labels_alarm_no_more_often_than_their_share_allows():
    assert sum(live(seed, fall=1000, days=150)[0].crossed is not None for seed in range(150)) <= 5  # of .0083 each


def test_a_bet_by_day_wins_nothing_in_the_mean():
    rng = np.random.default_rng(2)
    won = []
    for _ in range(3000):
        reference = (rng.random(50) < 0.3).astype(float)
        losses, days = (rng.random(60) < 0.3).astype(float), rng.integers(0, 6, 60)
        _, path = Cohorts().after(losses, days, pool=(50, reference.sum()), ratios=RATIOS, step=10)
        won.append(np.exp(path[-1]))
    assert np.mean(won) <= 1 + 3 * np.std(won) / np.sqrt(len(won))


def test_only_the_latest_days_and_those_that_win_are_kept_and_they_read_back():
    rng = np.random.default_rng(4)
    cohorts = Cohorts()
    for day in range(200):
        losses = (rng.random(50) < (0.1 if day < 60 else 0.2)).astype(float)
        cohorts, _ = cohorts.after(losses, np.full(50, day), pool=(10_000, 1000.0), ratios=RATIOS, step=50)
    assert len(cohorts.days) == 64
    assert cohorts.days[-32:] == tuple(range(168, 200))
    assert abs(cohorts.day - 60) <= 5
    assert Cohorts.of(cohorts.plain()) == cohorts


def test_an_order_that_is_that_of_the_predictions_needs_no_days():
    harm = Harm.begin(Summary(1000, 100.0, 100.0), share=0.02)
    assert harm.cohorts is None
    assert harm.after(np.ones(100), np.zeros(100, np.int64)).day is None
