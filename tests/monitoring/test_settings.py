"""What a monitor is told to do is read once, where it is told, or refused there."""

import math

import pytest

import mlops_kit as mk
from mlops_kit import expectations
from mlops_kit.errors import InvalidInput
from mlops_kit.monitoring.settings import Settings, expectations_of, level_of, metrics_of


@pytest.mark.parametrize(
    "wrong",
    [
        dict(cost=5), dict(cost="abc"), dict(cost=[[1, 2], [3]]), dict(cost=[[0, math.nan], [1, 0]]),
        dict(cost=[["a"]]), dict(cost=[]), dict(metrics=["nonsense"]), dict(metrics=5), dict(metrics=[5]),
        dict(metrics=[None]), dict(expectations=5), dict(expectations=["x"]), dict(expectations=[len]),
        dict(segments=5), dict(segments=[None]), dict(matched_on=5), dict(task="clustering"), dict(task=5),
        dict(task="quantile"), dict(task="quantile(1.5)"), dict(task="quantile(0.0)"), dict(task=["regression"]),
        dict(task="quantile", metrics=["quantile_loss(0.1)", "quantile_loss(0.9)"]),
        dict(positive=[1]),
        dict(maturity="9999999d"), dict(retention="9999999d"), dict(sinks=5), dict(sinks=None),
        dict(segments="label"),
    ],
)  # fmt: skip
def test_what_cannot_mean_anything_is_refused_by_name(wrong):
    with pytest.raises(InvalidInput):
        mk.Monitor({"x": [1.0]}, **wrong)


def test_one_rule_or_metric_needs_no_list():
    rule = expectations.in_range("age", 0, 130)
    assert expectations_of(rule) == (rule,)
    assert expectations_of([rule, rule]) == (rule, rule)
    assert metrics_of("auc") == ("auc",)
    assert metrics_of(max) == (max,)
    assert metrics_of(None) == ()


@pytest.mark.parametrize(
    ("task", "metrics", "read"),
    [
        ("quantile(.25)", (), 0.25),
        ("quantile", "quantile_loss(0.9)", 0.9),
        (None, ["quantile_loss(0.9)", "mae"], 0.9),
        (None, ["quantile_loss(0.1)", "quantile_loss(0.9)"], None),
        ("regression", "quantile_loss(0.9)", None),
        (None, "mae", None),
    ],
)
def test_a_forecast_is_of_the_quantile_that_is_stated_or_whose_loss_is_measured(task, metrics, read):
    assert level_of(Settings.of(task=task, metrics=metrics).task) == read


def test_settings_are_read_back():
    made = Settings.of(segments="region", cost=[[0, 1], [2, 0]], maturity="30d", budget=100)
    assert Settings.read(made.plain()) == made
