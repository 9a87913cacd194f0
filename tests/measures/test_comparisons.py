"""Paired tests agree with scipy, statsmodels and published values, and their error is what they state."""

import numpy as np
import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.comparisons import bootstrap_p, mcnemar, non_inferiority, superiority, tango, tango_bound
from mlops_kit.measures.intervals import delong_covariance, expanded
from mlops_kit.measures.metrics import metric, metrics_for
from mlops_kit.measures.predicted import Predicted


def pair(wins, losses, both=50, neither=10):
    """Give predictions of two models with as many rows that only one has right."""
    right = np.repeat([[1, 0], [0, 1], [1, 1], [0, 0]], [wins, losses, both, neither], axis=0)
    truth = np.arange(len(right)) % 2
    return [Predicted.of(truth, np.where(right[:, who], truth, 1 - truth), classes=[0, 1]) for who in (0, 1)]


def scored(seed, n=300, share=0.4, gap=0.0, noise=0.7):
    """Give scores of two models of nearly equal worth."""
    random = np.random.default_rng(seed)
    truth = (np.arange(n) < n * share).astype(int)
    base = random.normal(size=n) + truth
    told = [base + noise * random.normal(size=n) + gap * truth, base + noise * random.normal(size=n)]
    return [Predicted.of(truth, probabilities=1 / (1 + np.exp(-(part - 0.5))), classes=[0, 1]) for part in told]


# McNemar and Tango


@pytest.mark.parametrize(("wins", "losses"), [(12, 3), (3, 12), (0, 5), (5, 0), (7, 7), (60, 40), (1, 0)])
def test_the_exact_test_agrees_with_scipy_and_statsmodels(wins, losses):
    p_value, mid_p = mcnemar(wins, losses)
    assert p_value == pytest.approx(stats.binomtest(wins, wins + losses, alternative="greater").pvalue)
    if wins > losses:
        assert 2 * p_value == pytest.approx(reference_mcnemar([[1, wins], [losses, 1]], exact=True).pvalue)
    assert mid_p == pytest.approx((p_value + stats.binom.sf(wins, wins + losses, 0.5)) / 2)


def test_the_tests_of_shares_give_the_published_values():
    # Airway reactivity: Fagerland, Lydersen and Laake 2013 (exact and mid-p), 2014 (Tango's interval).
    p_value, mid_p = mcnemar(7, 1)
    assert (round(2 * p_value, 4), round(2 * mid_p, 4)) == (0.0703, 0.0391)
    assert (round(tango_bound(1, 7, 21, 0.975), 3), round(-tango_bound(7, 1, 21, 0.975), 3)) == (-0.517, -0.026)


def test_without_a_difference_tangos_score_is_mcnemars():
    found = tango(40, 20, 160, 0.0)
    assert found**2 == pytest.approx(reference_mcnemar([[50, 40], [20, 50]], exact=False, correction=False).statistic)


def restricted(wins, losses, rows, difference):
    """Score a difference with the share that is likeliest under it, found by search."""

    def against(share):
        terms = wins * np.log(share + difference) + losses * np.log(share)
        return -(terms + (rows - wins - losses) * np.log(1 - 2 * share - difference))

    ends = max(0.0, -difference) + 1e-10, (1 - difference) / 2 - 1e-10
    share = optimize.minimize_scalar(against, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    return (wins - losses - rows * difference) / np.sqrt(rows * (2 * share + difference - difference**2))


@pytest.mark.parametrize("case", [(12, 2, 50, -0.1), (12, 2, 50, 0.1), (40, 20, 160, 0.05), (1, 4, 44, -0.2)])
def test_tangos_score_uses_the_likeliest_share_under_the_hypothesis(case):
    assert tango(*case) == pytest.approx(restricted(*case), abs=1e-5)


@given_by(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
def test_a_bound_of_shares_is_where_the_score_is_that_of_the_confidence(wins, losses, rest):
    rows = wins + losses + rest
    if not rows:
        return
    bound = tango_bound(wins, losses, rows, 0.95)
    assert -1 <= bound <= (wins - losses) / rows + 1e-9
    if bound > -1:
        assert tango(wins, losses, rows, bound) == pytest.approx(1.6448536, abs=1e-4)


@pytest.mark.parametrize("rows", [50, 200])
@pytest.mark.parametrize("margin", [0.02, 0.1])
@pytest.mark.parametrize("rest", [0.005, 0.05, 0.2])
def test_a_candidate_worse_by_the_margin_passes_as_rarely_as_stated(rows, margin, rest):
    wrong, worst = 0.0, rest + margin
    for losses in range(rows + 1):
        chance = stats.binom.pmf(losses, rows, worst)
        if chance < 1e-9:
            continue
        wins = np.arange(rows - losses + 1)
        passes = [tango(int(win), losses, rows, -margin, correction=1) >= 1.6448536 for win in wins]
        wrong += chance * stats.binom.pmf(wins, rows - losses, rest / (1 - worst)) @ passes
    assert 0 < wrong <= 0.05


# Shares


def test_accuracy_is_compared_by_the_rows_that_only_one_has_right():
    found = superiority("accuracy", *pair(15, 4))
    assert (found.wins, found.losses, found.n, found.method) == (15, 4, 79, "mcnemar-exact")
    assert found.difference == pytest.approx(11 / 79)
    assert (found.p_value, found.mid_p) == mcnemar(15, 4)
    assert found.holds
    assert found.bound == pytest.approx(tango_bound(15, 4, 79, 0.95, correction=1))
    assert not superiority("accuracy", *pair(15, 4), confidence=0.999).holds
    assert not superiority("accuracy", *pair(4, 15)).holds


def test_recall_is_compared_on_the_positive_rows_only():
    found = superiority("recall", *pair(16, 4))
    assert (found.wins, found.losses, found.n) == (8, 2, 40)


def test_a_margin_of_shares_is_judged_by_tangos_score():
    better = superiority("accuracy", *pair(20, 4), margin=0.05)
    assert better.method == "tango"
    assert better.p_value == pytest.approx(stats.norm.sf(tango(20, 4, 84, 0.05, correction=1)))
    assert better.holds == (better.bound > 0.05)
    not_worse = non_inferiority("accuracy", *pair(5, 6), margin=0.15)
    assert not_worse.p_value == pytest.approx(stats.norm.sf(tango(5, 6, 71, -0.15, correction=1)))
    assert not_worse.holds == (not_worse.bound > -0.15)
    assert not_worse.holds
    assert not non_inferiority("accuracy", *pair(5, 6), margin=0.01).holds


def test_precision_has_other_rows_under_each_model_and_is_bootstrapped():
    assert superiority("precision", *pair(15, 4)).method == "paired-bootstrap"


# Bootstrap


@pytest.mark.parametrize("name", sorted(set(metrics_for("binary")) - {"accuracy", "recall", "specificity"}))
def test_a_much_better_model_is_found_to_be_better_and_the_other_to_be_worse(name):
    truth = np.arange(200) % 2
    told = np.random.default_rng(0).uniform(0.05, 0.45, 200)
    good = Predicted.of(truth, probabilities=np.where(truth, 1 - told / 4, told / 4))
    bad = Predicted.of(truth, probabilities=np.where(np.arange(200) % 5 == 0, 1 - truth, truth) * 0.5 + told)
    better, worse = superiority(name, good, bad), superiority(name, bad, good)
    assert (better.holds, worse.holds) == (True, False)
    assert not non_inferiority(name, bad, good, margin=1e-6).holds
    sign = 1 if metric(name).greater_is_better else -1
    assert sign * better.difference >= sign * better.bound > 0
    assert better.p_value < 0.01
    assert worse.p_value > 0.99


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ["roc_auc", "log_loss"])
def test_the_answer_is_yes_when_the_bound_is_beyond_the_margin(name, seed):
    candidate, champion = scored(seed, gap=0.25)
    sign = 1 if metric(name).greater_is_better else -1
    for margin in (0.0, 0.005, 0.02):
        better = superiority(name, candidate, champion, margin=margin, seed=seed)
        assert better.holds == (sign * better.bound > margin) == (better.p_value <= 0.05)
        not_worse = non_inferiority(name, champion, candidate, margin=margin, seed=seed)
        assert not_worse.holds == (sign * not_worse.bound >= -margin) == (not_worse.p_value <= 0.05)


def test_the_bootstrap_of_two_areas_agrees_with_delongs_test():
    candidate, champion = scored(3, n=1000, gap=0.2)
    areas, covariance = delong_covariance(candidate.truth == 1, [candidate.scores, champion.scores])
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = superiority("roc_auc", candidate, champion)
    assert found.difference == pytest.approx(areas[0] - areas[1])
    assert found.bound == pytest.approx(found.difference - 1.645 * error, abs=0.3 * error)


def test_the_bootstrap_of_a_mean_agrees_with_the_paired_t_test():
    random = np.random.default_rng(0)
    truth = random.normal(size=200)
    one, other = (Predicted.of(truth, truth + random.normal(size=200) * wide) for wide in (0.9, 1.1))
    losses = [metric("mae").per_row(part)[0] for part in (one, other)]
    exact = stats.ttest_rel(*losses, alternative="less")
    found = superiority("mae", one, other)
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.01)
    low, high = exact.confidence_interval(0.95)
    assert low == -np.inf
    assert found.bound == pytest.approx(high, rel=0.15)


def test_equal_predictions_are_not_better_and_not_worse():
    for name in metrics_for("binary"):
        one, _ = scored(0)
        assert not superiority(name, one, one).holds
        found = non_inferiority(name, one, one)
        assert found.holds, name
        assert found.difference == 0


def test_weights_count_and_take_the_bootstrap():
    one, other = pair(15, 4)
    weighted = [Predicted.of(part.truth, part.labels, weights=np.ones(part.n)) for part in (one, other)]
    assert superiority("accuracy", *weighted).method == "paired-bootstrap"


def test_an_answer_is_the_same_each_time():
    assert superiority("roc_auc", *scored(1), seed=5) == superiority("roc_auc", *scored(1), seed=5)


# Nothing to compare


@pytest.mark.parametrize(
    ("candidate", "champion", "name", "reason"),
    [
        ([0.1, 0.2], [0.1, 0.2], "roc_auc", "candidate: all rows are of one class"),
        ([0.1, np.nan], [0.1, 0.2], "accuracy", "candidate: 1 of 2 rows have no prediction"),
        ([0.1, 0.2], [np.nan, np.nan], "accuracy", "champion: 2 of 2 rows have no prediction"),
        ([], [], "accuracy", "candidate: there are no rows"),
    ],
)
def test_what_cannot_be_compared_is_answered_with_no_and_the_reason(candidate, champion, name, reason):
    told = [Predicted.of([1] * len(part), probabilities=part, classes=[0, 1]) for part in (candidate, champion)]
    for ask in (superiority, non_inferiority):
        found = ask(name, *told, margin=0.5)
        assert (found.holds, found.undefined, found.bound) == (False, reason, None)


def test_a_class_of_one_row_tells_nothing():
    told = Predicted.of([0, 0, 1], probabilities=[0.1, 0.2, 0.9])
    found = non_inferiority("roc_auc", told, told, margin=0.5)
    assert not found.holds
    assert "a class of one" in found.undefined


def test_so_few_rows_that_no_confidence_can_be_reached_are_answered_with_no():
    told = Predicted.of([0, 0, 1, 1], probabilities=[0.1, 0.2, 0.8, 0.9])
    found = non_inferiority("roc_auc", told, told, margin=0.5, confidence=0.999)
    assert (found.holds, found.bound) == (False, None)


def test_only_the_same_rows_can_be_compared():
    one, other = Predicted.of([0, 1], [0, 1]), Predicted.of([1, 0], [0, 1])
    with pytest.raises(InvalidInput, match="only on the same rows"):
        superiority("accuracy", one, other)
    with pytest.raises(InvalidInput, match="only on the same rows"):
        superiority(
            "accuracy", Predicted.of(["a", "b"], ["a", "b"]), Predicted.of(["a", "b"], ["a", "b"], positive="a")
        )


def test_models_that_know_different_classes_can_be_compared():
    one = Predicted.of(["a", "b", "c"] * 20, ["a", "b", "c"] * 20)
    other = Predicted.of(["a", "b", "c"] * 20, ["a", "b", "b"] * 20, classes=["b", "a"], task="multiclass")
    assert superiority("accuracy", one, other).wins == 20


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"margin": np.nan}, {"confidence": 1.0}, {"confidence": 0.1}])
def test_margins_and_confidences_that_are_none_are_refused(options):
    with pytest.raises(InvalidInput, match="must be"):
        superiority("accuracy", *pair(3, 4), **options)


# The error that is stated


def test_a_bootstrap_p_value_is_on_the_safe_side_of_luck_and_of_few_rows():
    assert bootstrap_p(0, 2000, 10_000) == pytest.approx(1 - 0.05 ** (1 / 2000), rel=0.01)
    assert bootstrap_p(2000, 2000, 100) == 1.0
    shares = np.array([20, 50, 100])
    assert (bootstrap_p(shares, 2000, 10_000) > shares / 2000).all()
    assert (bootstrap_p(shares, 2000, 10) > bootstrap_p(shares, 2000, 10_000)).all()
    # the inverse of the expanded percentile
    limit = stats.beta.ppf(0.95, 51, 1950)
    assert expanded(float(bootstrap_p(50, 2000, 30)), 30) == pytest.approx(limit)


@pytest.mark.slow
def test_equal_models_are_rarely_found_to_be_different():
    trials = 400
    wrong = sum(superiority("roc_auc", *scored(seed, n=200, share=0.25), seed=seed).holds for seed in range(trials))
    assert wrong <= stats.binom.ppf(0.999, trials, 0.05)
    assert wrong >= 3  # and the test is not one that never says yes
