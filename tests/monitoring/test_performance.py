"""Harm found in time, and healthy models left alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.monitoring.performance import RARE_STEP, STEP, Harm, Summary, upper_bound


def losses(rng, n, rate):
    return (rng.random(n) < rate).astype(float)


def delays(*, before, after, reference, healthy, rows, share, step=STEP, tolerance=None, lives=40):
    """Count the rows from a change to its alarm, life by life; infinite where none came."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(lives):
        summary = Summary.of(losses(rng, reference, before))
        harm = Harm.begin(summary, share=share, step=step, tolerance=tolerance).after(losses(rng, healthy, before))
        if harm.crossed is None:
            harm = harm.after(losses(rng, rows, after))
            found.append(math.inf if harm.crossed is None else harm.crossed - healthy)
    assert len(found) >= lives * 0.9
    return found


def test_an_error_that_rises_from_10_to_15_percent_is_found_within_1200_rows():
    found = delays(before=0.1, after=0.15, reference=10_000, healthy=3000, rows=6000, share=0.025)
    assert np.median(found) <= 1200


def test_a_recall_that_falls_from_80_to_50_percent_is_found_within_75_positives():
    found = delays(before=0.2, after=0.5, reference=500, healthy=100, rows=600, share=0.025 / 3, step=RARE_STEP)
    assert np.median(found) <= 75


def test_a_rise_within_the_tolerance_is_no_alarm_and_one_beyond_it_is():
    life = {"before": 0.1, "reference": 10_000, "healthy": 2000, "share": 0.025, "tolerance": 0.02}
    silent = delays(after=0.12, rows=100_000, **life)
    assert np.isinf(silent).mean() >= 0.95
    assert np.median(delays(after=0.15, rows=10_000, **life)) <= 6000


def test_healthy_lives_alarm_no_more_often_than_their_share_allows():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        reference = Summary.of(losses(rng, 2000, 0.1))
        alarms += Harm.begin(reference, share=0.05).after(losses(rng, 20_000, 0.1)).crossed is not None
    assert alarms <= 18  # 10 are allowed on average; more than 18 has a probability below .007


def test_a_change_is_dated_near_its_beginning():
    rng = np.random.default_rng(3)
    harm = Harm.begin(Summary.of(losses(rng, 10_000, 0.1)), share=0.025)
    harm = harm.after(losses(rng, 7000, 0.1)).after(losses(rng, 3000, 0.2))
    assert abs(harm.onset - 7000) <= 500


@pytest.mark.parametrize("size", [50, 250])
def test_what_led_to_an_alarm_is_told_by_its_own_losses_however_many_come_at_once(size):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        harm = Harm.begin(Summary.of(losses(rng, 10_000, 0.2)), share=0.005).after(losses(rng, 2000, 0.2))
        while harm.crossed is None:
            harm = harm.after(losses(rng, size, 0.5))
        assert harm.onset >= 1500
        assert harm.lately > 0.35


def test_without_a_reference_the_first_losses_become_it():
    rng = np.random.default_rng(9)
    harm = Harm.begin(Summary(), share=0.025)
    assert harm.allowed is None
    harm = harm.after(losses(rng, 10_000, 0.1))
    assert harm.can_tell
    assert harm.crossed is None
    worse = harm.after(losses(rng, 4000, 0.2))
    assert 10_000 < worse.crossed <= 14_000


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 700), max_size=6),
    step=st.sampled_from([STEP, RARE_STEP]),
    fractional=st.booleans(),
)
def test_losses_fed_in_parts_give_what_feeding_them_at_once_gives(cuts, step, fractional):
    rng = np.random.default_rng(0)
    values = rng.random(700) ** 3 if fractional else losses(rng, 700, 0.3)
    start = Harm.begin(Summary.of(losses(rng, 300, 0.2)), share=0.01, step=step)
    whole = start.after(values)
    parts = start
    for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), 700], strict=True):
        parts = Harm.of(parts.plain()).after(values[low:high])
    assert parts.crossed == whole.crossed
    assert parts.onset == whole.onset
    assert parts.evidence_pooled == pytest.approx(whole.evidence_pooled, rel=1e-9)
    assert parts.evidence_allowed == pytest.approx(whole.evidence_allowed, rel=1e-9)
    assert parts.current.n == whole.current.n


def test_what_has_begun_goes_on_with_the_weights_of_starts_that_it_began_with():
    rng = np.random.default_rng(1)
    begun = Harm.begin(Summary.of(losses(rng, 3000, 0.1)), share=0.01)
    members = begun.plain()
    assert members.pop("pace") == 30
    old, values = Harm.of(members), losses(rng, 6000, 0.1)
    assert old.pace == 1
    assert old.after(values).evidence_pooled != begun.after(values).evidence_pooled
    assert Harm.of(old.after(values).plain()).pace == 1


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 50), (50, 500)])
def test_the_bound_of_a_share_is_that_of_clopper_and_pearson(k, n):
    from scipy.stats import binomtest

    known = binomtest(k, n, alternative="less").proportion_ci(0.99, method="exact").high
    assert upper_bound(Summary(n, float(k), float(k)), 0.01) == pytest.approx(known)


def test_the_bound_of_losses_between_0_and_1_holds():
    rng = np.random.default_rng(2)
    missed = sum(upper_bound(Summary.of(rng.beta(2, 5, 300)), 0.05) < 2 / 7 for _ in range(300))
    assert missed <= 15
    assert upper_bound(Summary.of(rng.beta(2, 5, 20_000)), 0.05) < 0.3


@pytest.mark.parametrize("summary", [Summary(), Summary(1, 0.0, 0.0), Summary(5, 5.0, 5.0)])
def test_too_few_losses_bound_nothing(summary):
    assert upper_bound(summary, 0.01) == 1.0
    assert Harm.begin(summary, share=0.01).allowed is None
