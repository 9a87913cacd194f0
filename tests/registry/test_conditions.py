"""Each condition holds where it should, and names its number, its limit and the rows where it does not."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

import mlops_kit as mk
from mlops_kit import conditions as c
from mlops_kit.errors import InvalidInput
from mlops_kit.measures.metrics import metric, metrics_for
from mlops_kit.measures.predicted import Predicted
from mlops_kit.records.gate import ConditionResult


def table(seed=0, n=400):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": random.normal(size=n), "shop": random.choice(["north", "south"], n)})
    noise = np.where(frame["shop"] == "south", 2.0, 0.2) * random.normal(size=n)
    return frame.assign(label=(frame["x"] + noise > 0).astype(int))


TRAIN, HOLDOUT = table(0), table(1)


@pytest.fixture
def risk(models):
    fitted = LogisticRegression().fit(TRAIN[["x"]], TRAIN["label"])
    models.register("risk", fitted, signature=(TRAIN[["x"]], TRAIN["label"]))
    return models


def judged(models, condition, candidate="risk:1", on=HOLDOUT, **options):
    return mk.Gate(condition, on=on, target="label").evaluate(candidate, store=models.store, **options).results[0]


def test_a_threshold_names_the_value_its_interval_and_the_rows(risk):
    result = judged(risk, c.at_least("accuracy", 0.99))
    assert not result.passed
    assert (result.value, result.limit) == (result.evidence["value"], 0.99)
    assert (
        result.message == f"{result.value:.5g} [{result.evidence['low']:.4g}, {result.evidence['high']:.4g}], 400 rows"
    )
    assert result.evidence["method"] == "wilson"


def test_a_threshold_with_confidence_is_held_against_the_end_of_the_interval(risk):
    value = judged(risk, c.at_least("accuracy", 0.0)).value
    assert judged(risk, c.at_least("accuracy", value)).passed
    assert not judged(risk, c.at_least("accuracy", value, confidence=0.9)).passed
    assert judged(risk, c.at_least("accuracy", value - 0.1, confidence=0.9)).passed
    assert judged(risk, c.at_most("brier", 0.25)).passed
    assert not judged(risk, c.at_most("brier", judged(risk, c.at_most("brier", 1)).value, confidence=0.9)).passed


def test_a_metric_of_another_task_does_not_hold(risk):
    assert (
        judged(risk, c.at_most("mae", 1)).message == "undefined: mae is for regression tasks, and this is a binary one"
    )


def test_a_comparison_tells_both_values_the_bound_and_the_rows_that_differ(risk):
    poor = DummyClassifier(strategy="most_frequent").fit(TRAIN[["x"]], TRAIN["label"])
    result = judged(risk, c.better_than("champion", "accuracy"), champion=poor)
    assert result.passed
    told = result.evidence
    assert result.value == pytest.approx(told["candidate"] - told["champion"]) == (told["wins"] - told["losses"]) / 400
    assert f"{told['wins']} rows won and {told['losses']} lost, 400 rows, mcnemar-exact" in result.message
    assert judged(risk, c.not_worse_than("champion", "log_loss", margin=0.01), champion=poor).limit == 0.01
    assert judged(risk, c.not_worse_than("champion", "auc", margin=0.01), champion=poor).limit == -0.01


def test_a_condition_on_slices_names_the_parts_that_fail(risk):
    result = judged(risk, c.on_slices("shop", c.at_least("accuracy", 0.85)))
    assert not result.passed
    assert result.name == "accuracy >= 0.85 in each part by shop on holdout"
    assert result.message.startswith("fails in 1 of 2 parts: south (")
    parts = {part["part"]: part for part in result.evidence["parts"]}
    assert (parts["north"]["passed"], parts["south"]["passed"]) == (True, False)
    assert parts["south"]["value"] == result.value < 0.85


def test_a_condition_on_slices_judges_no_part_of_few_rows(risk):
    few = HOLDOUT.assign(shop=["rare"] * 5 + ["usual"] * 395)
    result = judged(risk, c.on_slices("shop", c.at_least("auc", 0.5)), on=few)
    assert (result.passed, result.message) == (True, "holds in all 1 parts; 1 with fewer than 30 rows not judged")
    assert result.evidence["too_small"] == [{"part": "rare", "rows": 5}]
    alone = judged(risk, c.on_slices("shop", c.at_least("auc", 0.5), min_rows=1000), on=few)
    assert (alone.passed, alone.message) == (False, "no part has 1000 rows")


def test_a_comparison_on_slices_compares_the_same_rows(risk):
    result = judged(risk, c.on_slices("shop", c.not_worse_than("champion", "auc", margin=0.01)), champion="risk:1")
    assert result.passed
    assert [part["difference"] for part in result.evidence["parts"]] == [0.0, 0.0]


def test_slices_need_a_column_and_a_condition_about_a_metric(risk):
    assert "no column 'town'" in judged(risk, c.on_slices("town", c.at_least("auc", 0.5))).message
    with pytest.raises(InvalidInput, match="not about a metric"):
        c.on_slices("shop", c.model_size(mb=1))


def test_calibration_shows_the_bins(risk):
    result = judged(risk, c.calibration(0.2))
    assert result.passed
    assert sum(part["rows"] for part in result.evidence["bins"]) == 400
    error = sum(part["rows"] * abs(part["mean"] - part["share"]) for part in result.evidence["bins"]) / 400
    assert result.value == pytest.approx(error)


def test_latency_is_measured(risk):
    class Slow:
        def predict(self, X):
            time.sleep(0.003)
            return np.ones(len(X))

    quick = judged(risk, c.predict_latency(p99_ms=10_000, repeats=20))
    assert quick.passed
    assert quick.evidence["calls"] == 20
    slow = judged(risk, c.predict_latency(p99_ms=1, repeats=5, rows=10), candidate=Slow())
    assert (slow.passed, slow.limit) == (False, 1)
    assert slow.value >= 3
    assert "p99" in slow.message
    assert not judged(risk, c.predict_latency(p99_ms=10_000, rows=1000)).passed
    assert "predict" in judged(risk, c.predict_latency(p99_ms=1), candidate={"a": 1}).message


def test_size_is_that_of_the_stored_bytes(risk):
    size = risk.get("risk:1").size / 1e6
    assert judged(risk, c.model_size(mb=size)).passed
    refused = judged(risk, c.model_size(mb=size * 0.9))
    assert (refused.passed, refused.value) == (False, size)
    assert "in no store" in judged(risk, c.model_size(mb=1), candidate=risk.load("risk:1")).message


def test_a_signature_must_suit_the_champion_and_the_data(risk):
    risk.promote("risk:1")
    more = TRAIN[["x"]].assign(y=1.0)
    risk.register("risk", LogisticRegression().fit(more, TRAIN["label"]), signature=(more, TRAIN["label"]))
    risk.register("risk", {"no": "signature"})
    assert judged(risk, c.signature_compatible()).passed
    refused = judged(risk, c.signature_compatible(), candidate="risk:2")
    assert "Column 'y' is missing" in refused.message
    assert len(refused.evidence["problems"]) == 2  # of the champion's columns, and of the data's
    assert "no signature" in judged(risk, c.signature_compatible(), candidate="risk:3").message
    text = HOLDOUT.assign(x=HOLDOUT["x"].astype(str))
    assert "holdout: type" in judged(risk, c.signature_compatible(), on=text).message


def test_a_signature_without_a_champion_is_held_against_the_data_only(risk):
    assert judged(risk, c.signature_compatible()).message == "no signature to compare with"


@pytest.fixture
def tracked(models):
    @mk.track(register="risk", store=models.store)
    def train(data):
        return LogisticRegression().fit(data[["x"]], data["label"])

    train(TRAIN)
    return models


def test_rows_of_the_training_data_are_found(tracked):
    assert judged(tracked, c.no_leak()).passed
    leaky = pd.concat([HOLDOUT, TRAIN.iloc[[7, 9]]], ignore_index=True)
    found = judged(tracked, c.no_leak(), on=leaky)
    assert not found.passed
    assert found.value == pytest.approx(2 / 402)
    assert found.evidence["rows"] == [400, 401]
    assert found.message == "2 of 402 rows are in train.data:1 by 3 columns, such as row 400, 401"
    assert judged(tracked, c.no_leak(max_share=0.01), on=leaky).passed


def test_rows_are_compared_by_value_whatever_their_type(tracked):
    leaky = pd.concat([HOLDOUT, TRAIN.iloc[:3]]).assign(label=lambda frame: frame["label"].astype("float32"))
    assert judged(tracked, c.no_leak(), on=leaky).evidence["overlapping"] == 3


def test_the_training_data_itself_is_found_by_its_fingerprint(tracked):
    assert "is the training data" in judged(tracked, c.no_leak(), on=TRAIN).message


def test_a_leak_that_cannot_be_ruled_out_does_not_pass(risk, models):
    assert judged(risk, c.no_leak()).message == "the training data is not known"

    @mk.track(register="light", store=models.store, snapshot=False)
    def train(data):
        return LogisticRegression().fit(data[["x"]], data["label"])

    train(TRAIN)
    assert "was not kept" in judged(models, c.no_leak(), candidate="light:1").message


def test_another_environment_is_told_by_package(risk, monkeypatch):
    from mlops_kit.registry import inspections

    assert judged(risk, c.same_environment()).passed
    here = inspections.present()
    packages = {**here["packages"], "numpy": "0.1"}
    monkeypatch.setattr(inspections, "present", lambda: {**here, "packages": packages, "python": "3.99.1"})
    refused = judged(risk, c.same_environment())
    assert refused.evidence["drift"]["numpy"] == [here["packages"]["numpy"], "0.1"]
    assert "3.99 here" in refused.message
    assert set(judged(risk, c.same_environment("scikit-learn")).evidence["drift"]) == {"python"}


def test_data_quality_names_the_rows(risk):
    good = c.data_quality(mk.expectations.in_range("x", -10, 10), mk.expectations.one_of("label", [0, 1]))
    assert judged(risk, good).message == "2 expectations hold"
    found = judged(risk, good, on=HOLDOUT.assign(x=[99.0, *HOLDOUT["x"][1:]]))
    assert (found.passed, found.value) == (False, 1)
    assert "range of x: 1 of 400 values outside of -10 to 10" in found.message
    assert found.evidence["failed"][0]["rows"] == [0]
    with pytest.raises(InvalidInput, match="nothing to check"):
        c.data_quality()


def test_data_that_is_too_little_to_judge_is_not_as_expected(risk):
    few = c.data_quality(mk.expectations.not_constant("x", min_rows=1000))
    assert not judged(risk, few).passed


def test_approvals_count_people_other_than_the_one_who_registered(risk, monkeypatch):
    def say(who, act):
        monkeypatch.setenv("MLOPS_KIT_USER", who)
        act("risk:1")

    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    risk.register("risk", risk.load("risk:1"))
    assert not judged(risk, c.approvals(1), candidate="risk:2").passed
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    risk.approve("risk:2")
    assert judged(risk, c.approvals(1), candidate="risk:2").message == "approved by nobody else; 1 needed"
    monkeypatch.setenv("MLOPS_KIT_USER", "bob")
    risk.approve("risk:2")
    risk.approve("risk:2")
    assert judged(risk, c.approvals(1), candidate="risk:2").passed
    assert not judged(risk, c.approvals(2), candidate="risk:2").passed
    monkeypatch.setenv("MLOPS_KIT_USER", "eve")
    risk.reject("risk:2", reason="unfair")
    refused = judged(risk, c.approvals(1), candidate="risk:2")
    assert (refused.passed, refused.message) == (False, "approved by bob; 1 needed; rejected by eve")


@pytest.mark.parametrize(
    ("function", "passed", "message"),
    [
        (lambda case: True, True, "holds"),
        (lambda case: np.bool_(False), False, "does not hold"),
        (lambda case: (False, "too odd"), False, "too odd"),
        (lambda case: 1 / 0, False, "ZeroDivisionError: division by zero"),
        (lambda case: None, False, "it gave None, and neither True nor False"),
        (lambda case: 0.93, False, "it gave 0.93, and neither True nor False"),
        (lambda case: ConditionResult("mine", passed=True, message="so"), True, "so"),
        (lambda case: len(case.holdouts["holdout"].table) == 400, True, "holds"),
        (lambda case: case.champion("champion") is None, True, "holds"),
    ],
)
def test_a_function_of_ones_own_is_a_condition(risk, function, passed, message):
    result = judged(risk, function)
    assert (result.passed, result.message) == (passed, message)


def test_a_matrix_of_values_is_a_metric_like_any_other(risk):
    value = c.business_value({(1, 1): 10, (0, 1): -5}, name="savings")
    assert judged(risk, c.at_least(value, 0)).name == "savings >= 0 on holdout"


def test_a_matrix_of_values_for_classes_that_are_not_there_does_not_hold(risk):
    value = c.business_value({("fraud", "fraud"): 10, ("ok", "fraud"): -5}, name="savings")
    result = judged(risk, c.at_least(value, 0))
    assert not result.passed
    assert "savings names the class 'fraud', and there are 0, 1" in result.message


@pytest.mark.parametrize(
    "make",
    [
        lambda: c.at_least("gini", 0.5),
        lambda: c.at_least("auc", "high"),
        lambda: c.at_least("auc", float("nan")),
        lambda: c.at_least("auc", 0.5, confidence=95),
        lambda: c.better_than("champion", "auc", absent="maybe"),
        lambda: c.better_than("champion", "auc", margin=-1),
        lambda: c.not_worse_than("champion", "auc", margin=0.1, confidence=1),
        lambda: c.not_worse_than("champion", "auc", margin=0.1, confidence="high"),
        lambda: c.not_worse_than("champion", "auc", margin="2 %"),
        lambda: c.not_worse_than("champion", "auc", margin=2),
        lambda: c.not_worse_than("champion", "auc", margin=float("nan")),
        lambda: c.better_than("champion", "auc", absent=np.array(["pass"])),
        lambda: c.better_than("fraud@champion", "auc"),
        lambda: c.better_than(None, "auc"),
        lambda: c.at_least("recall", 60),
        lambda: c.at_least("recall", -0.1),
        lambda: c.at_least("mcc", -2),
        lambda: c.at_least("r2", 1.5),
        lambda: c.at_least("auc", True),
        lambda: c.at_least("auc", [0.5]),
        lambda: c.at_least("auc", 0.5, confidence=float("nan")),
        lambda: c.at_least("auc", 0.5, confidence=[1]),
        lambda: c.at_least("auc", 0.5, on=[1]),
        lambda: c.at_most("mae", -1),
        lambda: c.at_most("mae", float("inf")),
        lambda: c.at_least(c.business_value({(1, 1): 90, (0, 1): -10}), 91),
        lambda: c.business_value(5),
        lambda: c.calibration(-0.1),
        lambda: c.calibration(5),
        lambda: c.on_slices("shop", 5),
        lambda: c.on_slices(5, c.at_least("auc", 0.5)),
        lambda: c.on_slices("shop", c.at_least("auc", 0.5), bins=0),
        lambda: c.on_slices("shop", c.at_least("auc", 0.5), min_rows=-1),
        lambda: c.approvals(0),
        lambda: c.approvals(-1),
        lambda: c.approvals(1.5),
        lambda: c.approvals(True),
        lambda: c.model_size(mb=0),
        lambda: c.model_size(mb="10 MB"),
        lambda: c.predict_latency(p99_ms=0),
        lambda: c.predict_latency(p99_ms=-5),
        lambda: c.predict_latency(p99_ms=float("nan")),
        lambda: c.predict_latency(p99_ms=5, rows=0),
        lambda: c.predict_latency(p99_ms=5, repeats=0),
        lambda: c.no_leak(max_share=1),
        lambda: c.no_leak(max_share=-0.1),
        lambda: c.same_environment(5),
        lambda: c.signature_compatible("the champion"),
        lambda: c.signature_compatible(absent="maybe"),
    ],
)
def test_a_condition_that_means_nothing_is_refused_where_it_is_made(make):
    with pytest.raises(InvalidInput):
        make()


def test_a_limit_that_a_metric_never_has_is_refused_with_what_it_may_be():
    with pytest.raises(InvalidInput, match=r"60 cannot be a limit of recall.* 0 and 1: .* Write 0\.6 for 60 %"):
        c.at_least("recall", 60)
    with pytest.raises(InvalidInput, match="-1 cannot be a limit of mae, which is at least 0"):
        c.at_most("mae", -1)
    with pytest.raises(InvalidInput, match="margin=2 cannot be a margin of accuracy, which is between 0 and 1"):
        c.not_worse_than("champion", "accuracy", margin=2)


@pytest.mark.parametrize("name", metrics_for("binary") + metrics_for("regression"))
def test_the_bounds_of_a_metric_hold_what_it_is_of_the_best_and_of_the_worst_predictions(name):
    truth = np.arange(40.0) if name in metrics_for("regression") else np.arange(40) % 2
    options = {} if name in metrics_for("regression") else {"probabilities": truth}
    wrong = {} if not options else {"probabilities": 1 - truth}
    best = Predicted.of(truth + 1 if not options else truth, None if options else truth + 1, **options)
    worst = Predicted.of(truth + 1 if not options else truth, None if wrong else -1e6 * truth, **wrong)
    low, high = metric(name).bounds
    values = metric(name).value(best), metric(name).value(worst)
    assert low <= min(values) <= max(values) <= high
    good = high if metric(name).greater_is_better else low
    assert values[0] == pytest.approx(good)
