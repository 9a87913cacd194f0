"""After a run the terminal says what it came to, on standard error only."""

from __future__ import annotations

import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import mlops_kit as mk


@pytest.fixture(autouse=True)
def _heard(monkeypatch):
    monkeypatch.delenv("MLOPS_KIT_SUMMARY")


@mk.track(register="dummy")
def train(data, auc):
    mk.log_metric("auc", auc)
    return DummyClassifier()


def said(capfd, *args):
    train(*args)
    out, err = capfd.readouterr()
    assert out == ""
    return err


def test_the_summary_names_the_run_its_data_metrics_model_and_what_is_next(capfd):
    text = said(capfd, pd.DataFrame({"x": [1, 2]}), 0.5)
    for part in ("train finished in ", train.last_run.id, "train.data:1, 2 rows", "auc 0.5", "dummy:1"):
        assert part in text
    assert "mlops-kit promote dummy:1" in text


def test_the_summary_compares_with_the_champion(capfd):
    said(capfd, 1, 0.5)
    mk.ModelStore().promote("dummy:1")
    assert "auc 0.75 (+0.25 vs dummy:1)" in said(capfd, 2, 0.75)


def test_only_the_outermost_run_is_summed_up(capfd):
    outer = mk.track(lambda: train(1, 0.5), name="outer")
    outer()
    err = capfd.readouterr().err
    assert "outer finished" in err
    assert "train finished" not in err


def test_a_failed_run_names_its_error_without_secrets(capfd):
    def fail():
        raise ValueError("password=hunter2")

    with pytest.raises(ValueError, match="hunter2"):
        mk.track(fail)()
    err = capfd.readouterr().err
    assert "fail failed" in err
    assert "ValueError: password=********" in err


@pytest.mark.parametrize("value", ["0", "false", "OFF", "no"])
def test_the_summary_can_be_silenced(capfd, monkeypatch, value):
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", value)
    assert said(capfd, 1, 0.5) == ""


def test_a_stream_that_fails_or_cannot_spell_never_reaches_the_function(monkeypatch):
    import io
    import sys

    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    for stream in (None, narrow, object(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        train(pd.DataFrame({"x": [1]}), 0.5)
    narrow.seek(0)
    assert "train.data:1" in narrow.read()
