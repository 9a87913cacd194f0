"""What a model does, told from its predictions, and the losses that follow."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss, roc_auc_score

from mlops_kit.errors import InvalidInput
from mlops_kit.monitoring.performance import RARE_STEP
from mlops_kit.monitoring.task import Task


@pytest.mark.parametrize(
    ("y", "predictions", "kind", "scores"),
    [
        ([0, 1, 0], [0.2, 0.9, 0.1], "binary", True),
        ([0, 1, 0], [0, 1, 1], "binary", False),
        ([True, False], [True, True], "binary", False),
        (["no", "yes"], [0.1, 0.9], "binary", True),
        (["no", "yes"], ["yes", "yes"], "binary", False),
        ([0, 1, 2], [0, 1, 1], "multiclass", False),
        (["a", "b", "c"], ["a", "a", "a"], "multiclass", False),
        ([1.5, 2.5], [1.0, 2.0], "regression", False),
        (pd.Series([0.0, 1.0, None]), [0.5, 0.4, 0.1], "binary", True),
        ([1, 1, 1], [0.9, 0.8, 0.9], "binary", True),
    ],
)
def test_the_task_is_told_from_labels_and_predictions(y, predictions, kind, scores):
    task = Task.infer(y, predictions)
    assert (task.kind, task.scores) == (kind, scores)
    assert Task.of(task.plain()) == task


def test_the_streams_of_rare_rows_take_short_steps():
    streams = Task("binary", (0, 1)).streams([0, 1, 1, 0], [1, 1, 0, 0])
    assert {stream.name: stream.losses.tolist() for stream in streams} == {
        "error": [1, 0, 1, 0],
        "misses": [0, 1],
        "false alarms": [1, 0],
    }
    assert {stream.name for stream in streams if stream.step == RARE_STEP} == {"misses"}
    assert streams[1].rows.tolist() == [False, True, True, False]


def test_a_class_of_many_has_its_own_misses_and_all_together_the_weight_of_the_error():
    task = Task.infer(["a", "b", "c"], ["a", "b", "b"])
    assert task.names() == ("error", "misses of a", "misses of b", "misses of c")
    weights = task.weights(task.names())
    assert weights["error"] == pytest.approx(0.5)
    assert sum(weights.values()) == pytest.approx(1)


def test_errors_of_a_regression_are_scaled_by_what_the_reference_shows():
    rng = np.random.default_rng(0)
    y = rng.normal(size=1000)
    task = Task.infer(y, y + rng.normal(size=1000) * 10)
    losses = task.streams(y, y + 5)[0].losses
    assert losses == pytest.approx(5 / task.scale)
    assert task.streams(y, y + 1e9)[0].losses.max() == 1


def test_costs_are_paid_by_actual_and_predicted_class():
    task = Task.infer([0, 1, 1, 0], [0.9, 0.9, 0.1, 0.2], cost=[[0, 5], [100, 0]])
    assert task.paid([0, 1, 1, 0], task.decided([0.9, 0.9, 0.1, 0.2])).tolist() == [5, 0, 100, 0]
    cost = task.streams([0, 1, 1, 0], [0.9, 0.9, 0.1, 0.2])[-1]
    assert (cost.name, cost.losses.tolist()) == ("cost", [0.05, 0, 1, 0])
    assert task.paid([7], [0]).tolist() == [100]  # a class that nobody knew costs the most


@pytest.mark.parametrize("cost", ["x", [[0, 1]], [[0, 1], [float("nan"), 0]]])
def test_costs_that_do_not_fit_are_refused(cost):
    with pytest.raises(InvalidInput, match="cost="):
        Task.infer([0, 1], [0.1, 0.9], cost=cost)


def test_an_unknown_task_is_refused_and_costs_without_a_matrix_too():
    with pytest.raises(InvalidInput, match="binary, multiclass, regression"):
        Task.infer([0, 1], [0, 1], kind="clustering")
    with pytest.raises(InvalidInput, match="cost="):
        Task("binary", (0, 1)).paid([0], [0])


def test_a_regression_loses_nothing_by_what_is_no_number_and_by_an_infinity_that_came_true():
    task = Task("regression", scale=2.0)
    rows = pd.DataFrame({"prediction": ["1.5", 2, np.inf], "label": [1, "two", np.inf]}, dtype=object)
    usable = task.usable(rows)
    assert usable["prediction"].isna().tolist() == [True, False, False]
    assert usable["label"].isna().tolist() == [False, True, False]
    assert task.streams([np.inf, 1.0], [np.inf, np.inf])[0].losses.tolist() == [0, 1]
    assert Task.infer(pd.Series(["a", 2.5], dtype=object), [1.0, 2.0], kind="regression").scale == pytest.approx(0.5)


def test_many_different_words_are_classes_and_no_regression():
    words = [f"w{number}" for number in range(60)]
    assert Task.infer(words, words).kind == "multiclass"
    assert Task.infer(list(range(60)), list(range(60))).kind == "regression"


# Whose class, which pairs, whose units


def test_the_positive_class_is_the_one_that_is_stated():
    y, told = ["ok", "fraud", "fraud", "ok"], ["ok", "fraud", "ok", "ok"]
    task = Task.infer(y, told, positive="fraud")
    streams = {stream.name: stream.losses.tolist() for stream in task.streams(y, told)}
    assert streams["misses"] == [0.0, 1.0]
    assert streams["false alarms"] == [0.0, 0.0]
    scores = Task.infer(y, np.array([0.1, 0.9, 0.8, 0.2]), positive="fraud")
    assert scores.decided(np.array([0.9, 0.1])).tolist() == ["fraud", "ok"]
    with pytest.raises(InvalidInput, match="positive='theft' is none of two classes"):
        Task.infer(y, told, positive="theft")


def test_costs_stay_those_of_the_sorted_classes_whichever_is_positive():
    y, told = np.array(["a", "b"]), np.array(["b", "a"])
    for positive in ("a", "b"):
        task = Task.infer(y, told, cost=[[0, 5], [100, 0]], positive=positive)
        assert task.paid(y, told).tolist() == [5.0, 100.0]


def test_scores_that_are_no_probabilities_are_ranked_by_pairs():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 4000)
    margins = 2.0 * y + rng.normal(size=4000)
    task = Task.infer(y, margins)
    assert (task.kind, task.names()) == ("ranking", ("misranked pairs",))
    (stream,) = task.streams(y, margins)
    assert stream.losses.mean() == pytest.approx(1 - roc_auc_score(y, margins), abs=0.02)
    assert 1500 < stream.rows.sum() <= 2000


def test_rising_negatives_are_found_by_pairs_with_the_latest_row():
    y = np.tile([0, 0, 0, 1], 200)
    scores = np.arange(800) / 100 + 2 * y  # all scores rise, negatives over the positives of long ago
    (stream,) = Task("ranking", (0, 1)).streams(y, scores)
    assert stream.losses.mean() == 0


@given(st.lists(st.integers(0, 60), max_size=4).map(sorted), st.integers(0, 2**32 - 1))
def test_rows_find_the_same_partners_however_they_are_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    y, scores = rng.integers(0, 3, 60).astype(float), rng.normal(size=60).round(1)
    task = Task("ranking")
    whole, waiting = task.paired(y, scores)
    found, left = [], ()
    for part in np.split(np.arange(60), cuts):
        stream, left = task.paired(y[part], scores[part], left)
        found += stream.losses.tolist()
    assert found == whole.losses.tolist()
    assert left == waiting
    assert len({target for target, _ in left}) <= 1
    assert 2 * len(found) + len(left) == 60


def test_rows_that_wait_for_a_partner_are_bounded():
    _, left = Task("ranking", (0, 1)).paired(np.zeros(5000), np.arange(5000.0))
    assert len(left) == 1000
    assert left[-1] == (0.0, 4999.0)


def test_graded_targets_are_ranked_if_asked():
    task = Task.infer([0.0, 1.0, 2.0, 1.0], [5.0, 6.0, 7.0, 8.0], kind="ranking")
    (stream,) = task.streams([0.0, 1.0, 2.0, 1.0], [5.0, 6.0, 7.0, 8.0])
    assert stream.losses.tolist() == [0.0, 1.0]


def test_a_quantile_has_its_pinball_loss_and_both_sides():
    rng = np.random.default_rng(3)
    y, forecasts = rng.normal(size=2000), rng.normal(1.28, 0.2, 2000)
    task = Task.infer(y, forecasts, kind="quantile(0.9)")
    assert (task.kind, task.level) == ("regression", 0.9)
    assert Task.of(task.plain()) == task
    loss, above, below = task.streams(y, forecasts)
    assert task.unit_of(loss.name) * loss.losses.mean() == pytest.approx(
        mean_pinball_loss(y, forecasts, alpha=0.9), rel=0.05
    )
    assert loss.losses.max() == 1
    assert above.losses.tolist() == (y > forecasts).tolist() == (1 - below.losses).tolist()
    assert (task.unit_of(above.name), task.unit_of(below.name)) == (1.0, 1.0)
    assert {stream.step for stream in (above, below)} == {RARE_STEP}
    assert sum(task.weights(task.names()).values()) == pytest.approx(1)
    assert task.streams([1.0], [1.0])[2].losses.tolist() == [1.0]  # at the forecast is not above it
