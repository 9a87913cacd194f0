"""Arguments that cannot mean anything are refused by a typed error of bounded length, never by a crash."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import os
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import MlopsKitError, RecordingWarning

BIG = "x" * 5_000_000
FRAME = pd.DataFrame({"age": [30, 40]})
LOOP: list[object] = []
LOOP.append(LOOP)
TWO = np.array(["failed", "failed"])


def of_version(call):
    """Ask something of the models of a store that has one."""

    def ask():
        models = mk.ModelStore()
        models.register("m", [1])
        return call(models)

    return ask


CALLS = {
    "timeline([1])": of_version(lambda models: models.timeline("m", [1])),
    "timeline(array)": of_version(lambda models: models.timeline("m", TWO)),
    "timeline(no alias)": of_version(lambda models: models.timeline("m", "a b")),
    "untag([1])": of_version(lambda models: models.untag("m:1", [1])),
    "untag()": of_version(lambda models: models.untag("m:1")),
    "approve(reason=LOOP)": of_version(lambda models: models.approve("m:1", reason=LOOP)),
    "reject(reason=5)": of_version(lambda models: models.reject("m:1", reason=5)),
    "promote(reason=LOOP)": of_version(lambda models: models.promote("m:1", reason=LOOP)),
    "promote(reason=5)": of_version(lambda models: models.promote("m:1", reason=5)),
    "rollback(reason=LOOP)": of_version(lambda models: models.rollback("m", reason=LOOP)),
    "anchor(reason=LOOP)": of_version(lambda models: models.anchor("m", reason=LOOP)),
    "archive(reason=[1])": of_version(lambda models: models.archive("m:1", reason=[1])),
    "delete(reason=None)": of_version(lambda models: models.delete("m:1", reason=None)),
    "freeze(reason=None)": of_version(lambda models: models.freeze("m", reason=None)),
    "unfreeze(reason={})": of_version(lambda models: models.unfreeze("m", reason={})),
    "describe([1])": of_version(lambda models: models.describe("m:1", [1])),
    "register(description=5)": lambda: mk.ModelStore().register("m", [1], description=5),
    "register(format=array)": lambda: mk.ModelStore().register("m", [1], format=TWO),
    "list_runs(status=array)": lambda: mk.list_runs(status=TWO),
    "get_run(date.max)": lambda: mk.get_run(dt.date.max),
    "start_run(resume=date.max)": lambda: mk.start_run(resume=dt.date.max),
    "track(snapshot=array)": lambda: mk.track(lambda: 1, snapshot=TWO),
    "to_pandas(columns=5)": lambda: mk.Dataset.snapshot(FRAME, name="d").to_pandas(columns=5),
    "to_arrow(columns='age')": lambda: mk.Dataset.snapshot(FRAME, name="d").to_arrow(columns="age"),
    "Gate(target=array)": lambda: mk.Gate(mk.conditions.model_size(mb=1), target=TWO),
    "Gate(weights=[1])": lambda: mk.Gate(mk.conditions.model_size(mb=1), weights=[1]),
    "Monitor.reset(5)": lambda: mk.Monitor(FRAME).reset(5),
    "Store(5)": lambda: mk.Store(5),
    "ModelStore([1])": lambda: mk.ModelStore([1]),
    "list_runs(store=5)": lambda: mk.list_runs(store=5),
    "list_runs(experiment=[1])": lambda: mk.list_runs(experiment=[1]),
    "list_runs(status=[1])": lambda: mk.list_runs(status=[1]),
    "list_runs(limit=BIG)": lambda: mk.list_runs(limit=BIG),
    "get_run(BIG)": lambda: mk.get_run(BIG),
    "start_run(tags=BIG)": lambda: mk.start_run(tags=BIG),
    "start_run(control characters)": lambda: mk.start_run("a\n" + BIG),
    "register(metrics=5)": lambda: mk.ModelStore().register("m", [1], metrics=5),
    "register(metrics=BIG)": lambda: mk.ModelStore().register("m", [1], metrics={"a": BIG}),
    "register(format=[1])": lambda: mk.ModelStore().register("m", [1], format=[1]),
    "register(format=BIG)": lambda: mk.ModelStore().register("m", [1], format=BIG),
    "register(run=BIG)": lambda: mk.ModelStore().register("m", [1], run=BIG),
    "load(as_of=BIG)": lambda: mk.ModelStore().load("m:1", as_of=BIG),
    "Dataset.load(5)": lambda: mk.Dataset.load(5),
    "gc(grace=BIG)": lambda: mk.Store().gc(grace=BIG),
}
LOGGED = {
    "log_params(5)": lambda run: run.log_params(5),
    "log_params([1])": lambda run: run.log_params([1]),
    "log_params(BIG)": lambda run: run.log_params(BIG),
    "log_metrics(5)": lambda run: run.log_metrics(5),
    "log_metrics(a class)": lambda run: run.log_metrics(argparse.Namespace),
    "set_tags(5)": lambda run: run.set_tags(5),
    "log_param([BIG] as key)": lambda run: run.log_param([BIG], 1),
    "log_metric(BIG)": lambda run: run.log_metric(BIG, "no number"),
    "log_artifact(BIG)": lambda run: run.log_artifact(BIG),
    "log_model(name=5)": lambda run: run.log_model([1], 5),
    "log_dataset(name=5)": lambda run: run.log_dataset([1], 5),
}
ASKED = {
    "finish(BIG)": lambda run: run.finish(BIG),
    "load([1])": lambda run: run.load([1]),
    "load(BIG)": lambda run: run.load(BIG),
    "dataset([1])": lambda run: run.dataset([1]),
    "metric_history([1])": lambda run: run.metric_history([1]),
    "diff(5)": lambda run: run.diff(5),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_argument_that_means_nothing_is_refused_in_few_words(call):
    with pytest.raises(MlopsKitError) as caught:
        CALLS[call]()
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize("call", ASKED)
def test_what_cannot_be_asked_of_a_run_is_refused_in_few_words(call):
    with mk.start_run() as run:
        with pytest.raises(MlopsKitError) as caught:
            ASKED[call](run)
        assert len(str(caught.value)) < 4000


@pytest.mark.parametrize("call", LOGGED)
def test_what_cannot_be_logged_is_a_problem_in_few_words(call):
    with mk.start_run() as run, pytest.warns(RecordingWarning):
        LOGGED[call](run)
    assert [len(problem) < 4000 for problem in run.problems] == [True]


def test_a_long_message_keeps_its_beginning_and_its_end():
    error = MlopsKitError("What happened: " + BIG + " Do this.")
    assert str(error).startswith("What happened: x")
    assert str(error).endswith("x Do this.")
    assert "…" in str(error)


@dataclasses.dataclass
class Options:
    depth: int = 3
    name: str = "x"


@pytest.mark.parametrize(
    "given",
    [
        {"depth": 3, "name": "x"},
        argparse.Namespace(depth=3, name="x"),
        types.SimpleNamespace(depth=3, name="x"),
        Options(),
    ],
    ids=lambda given: type(given).__name__,
)
def test_parameters_come_by_name_from_what_holds_them(given):
    with mk.start_run() as run:
        run.log_params(given)
    assert run.params == {"depth": 3, "name": "x"}


@pytest.mark.skipif(os.name == "nt", reason="the environment is text there")
def test_a_user_whose_name_is_in_another_encoding_can_write():
    script = "import mlops_kit as mk; print(ascii(mk.ModelStore().register('m', [1]).by['actor']))"
    variables = {**os.environb, b"MLOPS_KIT_USER": b"J\xfcrgen"}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("'J\\ufffdrgen'\n", "")
