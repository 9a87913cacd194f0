"""An answer is there, and of the usual kind."""

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk

RNG = np.random.default_rng(0)


def scored(n):
    scores = RNG.random(n)
    return pd.DataFrame({"x": RNG.normal(size=n), "score": scores, "y": (RNG.random(n) < scores).astype(int)})


def checked(predictions, **told):
    reference = scored(3000)
    monitor = mk.Monitor(reference if told else reference[["x"]], window=100, **told)
    monitor.log(scored(400)[["x"]], predictions)
    return monitor.check()


@pytest.mark.parametrize("told", [{}, dict(prediction="score", target="y")])
def test_predictions_that_are_missing_are_never_ok_in_silence(told):
    report = checked([None] * 400, **told)
    assert report.status == ("alert" if told else "warning")
    assert "nulls of prediction" in {alert.subject for alert in report.alerts}


def test_another_kind_of_prediction_is_an_alert():
    report = checked(["yes", "no"] * 200, prediction="score", target="y")
    assert [(alert.subject, alert.state) for alert in report.alerts] == [("schema of prediction", "firing")]
    assert "predictions are category, in the reference number" in repr(report)
    assert report.status == "alert"


def test_usual_predictions_are_ok():
    assert not checked(RNG.random(400), prediction="score", target="y").alerts
    assert not checked([0.1, None] * 200).alerts
