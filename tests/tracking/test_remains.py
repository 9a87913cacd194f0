"""A run never names what went when its store was removed, or removed and made anew, while it went on."""

from __future__ import annotations

import contextvars
import shutil

import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import RecordingWarning

FRAME = pd.DataFrame({"x": [1, 2, 3]})


@pytest.fixture
def place(tmp_path):
    return tmp_path / "store"


def removed(place, *, remade):
    shutil.rmtree(place)
    if remade:
        others = mk.ModelStore(mk.Store(place))
        contextvars.Context().run(others.register, "m", "of another")  # as a process does that is no part of the run


@pytest.mark.parametrize("remade", [False, True])
def test_what_went_with_the_store_is_not_named_and_what_is_known_is_recorded(place, remade):
    @mk.track(store=place)
    def train(data, depth=3):
        mk.log_metric("auc", 0.5)
        mk.log_artifact(b"report", "report.txt")
        mk.log_model([1.0], "half-way")
        models = mk.ModelStore(place)
        models.register("m", [1])
        removed(place, remade=remade)
        return object()

    with pytest.warns(RecordingWarning, match=r"was removed or replaced while the run went on.*report\.txt"):
        train(FRAME)
    run = mk.get_run(train.last_run.id, store=place)
    assert (run.status, run.params, run.metrics) == ("finished", {"depth": 3}, {"auc": 0.5})
    assert run.inputs["data"].fingerprint == mk.fingerprint(FRAME)
    assert (run.inputs["data"].spec, run.artifacts) == (None, {})
    assert bool(run.environment) == remade  # the other process has kept the same environment
    assert run.outputs["half-way"].object is None
    assert type(run.load()) is object
    (problem,) = run.problems
    assert ("environment" in problem) != remade
    for gone in ("report.txt", "output 'half-way'", "dataset"):
        assert gone in problem
    assert mk.Store(place).fsck().ok


def test_the_next_run_of_the_process_is_whole(place):
    @mk.track(store=place)
    def train(data):
        return {"auc": 0.5}

    train(FRAME)
    removed(place, remade=True)
    train(FRAME)
    run = mk.get_run(train.last_run.id, store=place)
    assert run.problems == ()
    assert run.dataset("data").to_pandas().equals(FRAME)
    assert run.environment
    assert mk.Store(place).fsck().ok


def test_segments_of_metrics_that_went_are_not_counted(place):
    run = mk.start_run(store=place)
    for step in range(10_001):
        run.log_metric("loss", step)
    removed(place, remade=True)
    with pytest.warns(RecordingWarning, match="metrics, part 1"):
        run.finish()
    assert mk.get_run(run.id, store=place).metrics == {"loss": 10_000}
    assert mk.Store(place).fsck().ok
