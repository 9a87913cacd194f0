"""Intervals agree with statsmodels, published values and theory."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from mlops_kit.measures.formulas import mean
from mlops_kit.measures.intervals import (
    auc_interval,
    bootstrap_interval,
    clopper_pearson,
    delong_covariance,
    drawn,
    expanded,
    replicated,
    replicates_for,
    wilson,
)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (3, 10), (81, 263), (999, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_intervals_of_proportions_agree_with_statsmodels(successes, trials, confidence):
    alpha = 1 - confidence
    assert wilson(successes, trials, confidence) == pytest.approx(
        proportion_confint(successes, trials, alpha, "wilson"), abs=1e-10
    )
    assert clopper_pearson(successes, trials, confidence) == pytest.approx(
        proportion_confint(successes, trials, alpha, "beta"), abs=1e-10
    )


def test_intervals_of_proportions_are_the_published_ones():
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 15 of 148
    assert [round(end, 4) for end in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(end, 4) for end in clopper_pearson(81, 263)] == [0.2527, 0.3676]
    assert [round(end, 4) for end in wilson(15, 148)] == [0.0624, 0.1605]
    assert [round(end, 4) for end in clopper_pearson(15, 148)] == [0.0578, 0.1617]


def brute_delong(positive, scores):
    """DeLong's estimate from its definition, by all pairs."""
    kernels = [
        (given[positive][:, None] > given[~positive]) + 0.5 * (given[positive][:, None] == given[~positive])
        for given in scores
    ]
    m, n = kernels[0].shape
    s10 = np.cov([kernel.mean(axis=1) for kernel in kernels])
    s01 = np.cov([kernel.mean(axis=0) for kernel in kernels])
    return [kernel.mean() for kernel in kernels], s10 / m + s01 / n


def test_delongs_covariance_is_that_of_its_definition():
    random = np.random.default_rng(0)
    positive = random.random(80) < 0.4
    scores = [np.round(positive + random.normal(size=80), 1) for _ in range(3)]
    areas, covariance = delong_covariance(positive, scores)
    expected_areas, expected = brute_delong(positive, scores)
    assert areas == pytest.approx(expected_areas)
    assert covariance == pytest.approx(expected)
    assert areas[0] == pytest.approx(roc_auc_score(positive, scores[0]))


def test_delongs_interval_covers_the_area_as_often_as_it_says():
    covered = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        positive = np.repeat([True, False], [60, 90])
        (low, high), method = auc_interval(positive, random.normal(size=150) + positive)
        assert method == "delong"
        covered += low <= 0.7602499389065233 <= high  # Phi(1 / sqrt 2)
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_that_part_the_classes_still_have_an_interval(sign):
    positive = np.repeat([False, True], [30, 20])
    (low, high), method = auc_interval(positive, sign * np.arange(50.0))
    assert method == "newcombe"
    area, far = (1.0, low) if sign > 0 else (0.0, high)
    assert (high == 1.0) if sign > 0 else (low == 0.0)
    # the far end is where the area found is 1.96 of Hanley and McNeil's standard errors away
    size = (30 + 20) / 2 - 1
    variance = far * (1 - far) / 600 * (1 + size * (1 - far) / (2 - far) + size * far / (1 + far))
    assert abs(area - far) / variance**0.5 == pytest.approx(1.959964, abs=1e-4)


def test_each_bootstrap_sample_has_as_many_rows_in_each_stratum():
    strata = np.array([0] * 7 + [1] * 3)
    counts = np.concatenate(list(drawn(10, replicates=50, strata=strata)))
    assert counts.shape == (50, 10)
    assert set(counts[:, :7].sum(axis=1)) == {7.0}
    assert set(counts[:, 7:].sum(axis=1)) == {3.0}
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.5)


def test_samples_are_drawn_in_parts_where_there_are_many_rows():
    parts = list(drawn(15_000, replicates=10))
    assert [len(part) for part in parts] == [6, 4]
    assert replicates_for(100) == 2000
    assert replicates_for(1_000_000) == 1000
    assert replicates_for(100_000_000) == 500


def test_formulas_share_their_samples():
    values = np.random.default_rng(0).normal(size=40)
    one, other = replicated([mean(values), mean(values + 1)], 40, replicates=100)
    assert other - one == pytest.approx(np.ones(100))
    assert len(set(one)) == 100


def test_a_bootstrap_of_a_mean_has_the_width_of_students_interval():
    from scipy import stats

    values = np.random.default_rng(0).normal(size=12)
    low, high = bootstrap_interval(mean(values), 12)
    exact = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert high - low == pytest.approx(exact[1] - exact[0], rel=0.1)
    plain = np.quantile(replicated([mean(values)], 12)[0], [0.025, 0.975])
    assert high - low > plain[1] - plain[0]


def test_a_single_row_has_no_bootstrap_interval():
    assert bootstrap_interval(mean(np.ones(1)), 1) is None
    assert bootstrap_interval(mean(np.ones(3)), 3, strata=np.array([0, 0, 1])) is None


def test_the_correction_for_few_rows_vanishes():
    assert expanded(0.05, 2) < expanded(0.05, 20) < expanded(0.05, 2000) < 0.05
    assert expanded(0.05, 10**7) == pytest.approx(0.05, abs=1e-6)
