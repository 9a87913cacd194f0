"""Forecasts of a quantile, in both directions, in the units of the target."""

import re

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk

START = pd.Timestamp("2026-05-01", tz="UTC")


def demand(seed, n, high):
    rng = np.random.default_rng(seed)
    usual = rng.normal(500, 100, n)
    return pd.DataFrame({"usual": usual, "p90": usual + high, "sold": usual + rng.normal(0, 50, n)})


def watched(high, **settings):
    settings = {"task": "quantile(0.9)", **settings}
    monitor = mk.Monitor(
        demand(0, 4000, 64.1), name="stock", prediction="p90", target="sold", store=f"memory://q{high}{settings}",
        **settings,
    )  # fmt: skip
    for day, seed in enumerate([1, 2, 3]):
        rows, at = demand(seed, 500, 64.1 if day == 0 else high), START + pd.Timedelta(days=day)
        monitor.log_labels(monitor.log(rows[["usual"]], rows["p90"], at=at), rows["sold"], at=at)
    return monitor.check(now=(START + pd.Timedelta(days=3)).to_pydatetime())


@pytest.mark.parametrize(
    ("high", "found"), [(64.1, set()), (0.0, {"above", "loss"}), (400.0, {"not above", "loss"}), (120.0, {"not above"})]
)
def test_a_quantile_that_became_another_is_found_on_its_side(high, found):
    names = {"above": "truth above the forecast", "not above": "truth not above the forecast", "loss": "quantile loss"}
    report = watched(high)
    harmed = {loss.name for loss in report.performance if loss.harmed}
    assert {names[name] for name in found} <= harmed
    assert harmed <= {names[name] for name in found} | ({"quantile loss"} if found else set())
    assert report.windows[0].metrics.keys() == {"quantile_loss(0.9)"}


def test_the_loss_is_told_in_units_of_the_target_and_the_sides_as_shares():
    report = watched(400.0)
    loss, side = (
        next(one for one in report.performance if one.name == name)
        for name in ("quantile loss", "truth not above the forecast")
    )
    assert loss.reference == pytest.approx(8.8, abs=1)  # the pinball loss of a normal .9 quantile: 50 * .1755
    assert 20 < loss.lately <= 45
    assert side.reference == pytest.approx(0.9, abs=0.02)
    assert side.lately == pytest.approx(1, abs=0.01)
    message = next(alert.message for alert in report.alerts if alert.subject == "quantile loss")
    assert 20 < float(re.match(r"[\d.]+", message)[0]) <= 45


def test_a_tolerance_lets_a_small_change_of_either_side_pass():
    assert any(loss.harmed for loss in watched(40.0).performance)
    assert not any(loss.harmed for loss in watched(40.0, tolerance=12.0).performance)
    assert any(loss.harmed for loss in watched(400.0, tolerance=12.0).performance)
