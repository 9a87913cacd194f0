"""Performance estimated without labels: right where its assumption holds, and honest where it does not."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from mlops_kit.monitoring.estimate import Band, Calibration, Estimator, expected, expected_accuracy, expected_auc


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def test_with_labels_for_probabilities_the_metrics_are_the_realised_ones_ties_included(rng):
    scores = rng.integers(0, 20, 3000) / 20
    y = (rng.random(3000) < scores).astype(float)
    found = expected(scores, y, threshold=0.6)
    decided = scores >= 0.6
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, scores), abs=1e-9)
    assert found["precision"] == pytest.approx(precision_score(y, decided))
    assert found["recall"] == pytest.approx(recall_score(y, decided))
    assert found["f1"] == pytest.approx(f1_score(y, decided))
    assert found["accuracy"] == pytest.approx((y == decided).mean())


def test_an_overconfident_model_is_estimated_rightly_after_calibration(rng):
    truth = rng.beta(2, 2, 60_000)
    scores = np.clip(1.6 * (truth - 0.5) + 0.5, 0, 1)
    y = rng.random(60_000) < truth
    estimator = Estimator.fit(scores[:30_000], y[:30_000], chunk=3000)
    estimated = estimator.estimate(scores[30_000:])
    realised = expected(scores[30_000:], y[30_000:].astype(float))
    for name, value in estimated.items():
        assert value == pytest.approx(realised[name], abs=0.01), name
    assert not estimator.warnings(estimated)


def test_a_mix_of_harder_rows_warns_and_an_easier_one_does_not(rng):
    scores = rng.beta(2, 2, 30_000)
    estimator = Estimator.fit(scores, rng.random(30_000) < scores, chunk=1000)
    assert "roc_auc" in estimator.warnings(estimator.estimate(0.5 + (scores[:1000] - 0.5) / 4))
    assert not estimator.warnings(estimator.estimate(rng.beta(0.5, 0.5, 1000)))


def test_a_changed_concept_is_not_seen(rng):
    scores = rng.beta(2, 2, 30_000)
    estimator = Estimator.fit(scores, rng.random(30_000) < scores, chunk=1000)
    same_scores_other_truth = rng.beta(2, 2, 1000)
    assert not estimator.warnings(estimator.estimate(same_scores_other_truth))


def test_an_estimator_reads_back(rng):
    scores = rng.random(5000)
    estimator = Estimator.fit(scores, rng.random(5000) < scores, chunk=500, threshold=0.3)
    assert Estimator.of(estimator.plain()) == estimator


def test_a_calibration_of_many_scores_stays_small_and_exact(rng):
    scores = np.sort(rng.random(200_000))
    calibration = Calibration.fit(scores, rng.random(200_000) < scores)
    assert len(calibration.scores) <= 2000
    assert np.abs(calibration.apply(scores) - scores).mean() < 0.02


@pytest.mark.parametrize("probabilities", [[], [0.0, 0.0], [1.0, 1.0]])
def test_rows_of_one_class_have_no_area(probabilities):
    assert np.isnan(expected_auc(np.linspace(0, 1, len(probabilities)), np.array(probabilities)))


def test_what_nothing_defines_is_not_a_number():
    assert np.isnan(expected(np.array([0.1]), np.array([0.5]))["precision"])
    assert np.isnan(expected_accuracy(np.array([])))
    assert expected_accuracy(np.array([0.5, 1.0])) == 0.75


def test_fewer_than_three_chunks_make_no_band(rng):
    assert Band.over([0.9, float("nan"), 0.8]) is None
    assert Estimator.fit(rng.random(100), rng.random(100) < 0.5, chunk=500).bands == {}
