"""The verbs about monitors."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=2000), "y": rng.normal(size=2000)})
    mk.Dataset.snapshot(frame, name="sales", store=tmp_path / "store")
    return tmp_path / "store"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_monitor_is_begun_listed_checked_and_its_alerts_are_shown(store, tmp_path):
    assert "no monitors" in run("monitor", "--store", store).output
    begun = run("monitor", "sales:1", "--store", store)
    assert "MonitorReport sales.1: insufficient data" in begun.output
    assert run("monitor", "--store", store).output.split() == ["sales.1"]
    assert run("check", "sales.1", "--store", store).exit_code == 0
    assert "no alerts" in run("alerts", "sales.1", "--store", store).output
    monitor = mk.Monitor("sales:1", store=store)
    monitor.log(pd.DataFrame({"x": np.full(600, 5.0), "y": np.zeros(600)}), np.zeros(600))
    monitor.flush()
    page = tmp_path / "report.html"
    done = run("check", "sales.1", "--html", page, "--store", store)
    assert done.exit_code == 1
    assert "drift of x" in done.output
    assert "<svg" in page.read_text(encoding="utf-8")
    assert '<meta charset="utf-8">' in page.read_text(encoding="utf-8")  # or a browser may guess another
    listed = run("alerts", "sales.1", "--store", store).output
    fingerprint = monitor.alerts()[0].fingerprint
    assert fingerprint in listed
    assert "acknowledged" in run("alerts", "sales.1", "--acknowledge", fingerprint, "--store", store).output


def test_a_monitor_that_is_not_there_is_told(store):
    done = run("check", "nobody", "--store", store)
    assert done.exit_code == 2
    assert "MonitorNotFound: There is no monitor 'nobody'" in done.output
