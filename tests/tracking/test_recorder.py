"""A recording that fails says so once, without secrets, and never more."""

from __future__ import annotations

import warnings

import pytest

import mlops_kit as mk
from mlops_kit.errors import RecordingWarning, StoreError
from mlops_kit.tracking.recorded import recorder_of
from mlops_kit.tracking.recorder import described, warn


@pytest.fixture
def failing(monkeypatch):
    """Make one method of the store's runs fail."""

    def fail(run, method):
        def refuse(*_args, **_kwargs):
            raise StoreError("disk full, password=hunter2")

        monkeypatch.setattr(run.store.runs, method, refuse)

    return fail


def test_a_problem_is_warned_of_once_and_without_secrets():
    with mk.start_run() as run, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorder_of(run).problem("cannot reach https://ann:hunter2@host")
        recorder_of(run).problem("cannot reach https://ann:hunter2@host")
    assert len(caught) == 1
    assert caught[0].category is RecordingWarning
    assert "hunter2" not in str(caught[0].message)
    assert mk.get_run(run.id).problems == ("cannot reach https://********@host",)


def test_an_end_that_cannot_be_written_is_known_to_the_process(failing):
    run = mk.start_run()
    run.log_metric("auc", 0.5)
    failing(run, "write_end")
    with pytest.warns(RecordingWarning, match="disk full"):
        run.finish()
    assert (run.status, run.metrics) == ("finished", {"auc": 0.5})


def test_metrics_that_cannot_be_written_are_warned_of_and_kept(failing, monkeypatch):
    from mlops_kit.tracking import metrics

    with mk.start_run() as run:
        monkeypatch.setattr(metrics, "FLUSH_SECONDS", -1.0)
        failing(run, "write_metrics")
        with pytest.warns(RecordingWarning, match="disk full"):
            run.log_metric("auc", 0.5)
        monkeypatch.setattr(metrics, "FLUSH_SECONDS", 10.0)
        monkeypatch.delattr(run.store.runs, "write_metrics")
        run.log_metric("auc", 0.75)
    assert [value for value, _, _ in mk.get_run(run.id).metric_history("auc")] == [0.5, 0.75]


def test_a_warning_that_is_an_error_goes_to_standard_error(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn("lost: \ud800")
    assert "mlops_kit: lost: \\ud800" in capfd.readouterr().err


def test_a_warning_never_raises_whatever_shows_it(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise RuntimeError("no warnings here")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", refuse)
        warn("lost")


def test_a_long_chain_of_exceptions_is_cut():
    def deep(n):
        if n:
            return deep(n - 1)
        raise ValueError("x" * 100_000)

    with pytest.raises(ValueError, match="x") as caught:
        deep(300)
    found = described(caught.value)
    assert max(len(found["message"]), len(found["traceback"])) < 25_000
    assert "deep(300)" in found["traceback"]


@pytest.mark.parametrize(
    "secret", ["postgres://u:hunter2@db", "api_key=hunter2", "Authorization: Bearer hunter2hunter2"]
)
def test_secrets_in_tracebacks_are_masked(secret):
    outer = ValueError(f"outer {secret}")
    outer.__cause__ = KeyError(secret)
    found = described(outer)
    assert "hunter2" not in str(found)
    assert "KeyError" in found["traceback"]
