"""A run takes what is logged, exactly, and refuses what cannot mean anything."""

from __future__ import annotations

import contextvars
import math
import pickle
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, NoActiveRun, RecordingWarning, RunClosed

VALUES = {
    "int": 3,
    "bool": True,
    "none": None,
    "float": 0.1,
    "inf": math.inf,
    "nan": math.nan,
    "big": 2**70,
    "text": "żółw \ud800 \0",
    "bytes": b"\xff",
    "tuple": (1, [2, {3}]),
    "$": {"$": "float", "v": "nan"},
    "nested": {1: {"a": None}, "b": [math.nan]},
}


def test_parameters_come_back_with_their_types():
    with mk.start_run() as run:
        mk.log_params(VALUES)
    found = mk.get_run(run.id).params
    assert repr(found) == repr(VALUES)
    assert [type(value) for value in found.values()] == [type(value) for value in VALUES.values()]


def test_a_parameter_logged_again_takes_the_last_value():
    with mk.start_run() as run:
        run.log_param("depth", 1)
        run.log_param("depth", 2)
        run.log_param("api_key", "sesame")
    assert mk.get_run(run.id).params == {"depth": 2, "api_key": "********"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (0.25, 0.25),
        (True, 1),
        (np.True_, 1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(2), 2),
        (np.array(0.5), 0.5),
        (Decimal("1.5"), 1.5),
        (Fraction(1, 2), 0.5),
        (np.longdouble("0.5"), 0.5),
        (np.array([0.5]), 0.5),
        (np.array([[3]]), 3),
        (np.array([True]), 1),
        (np.array([Decimal("0.5")]), 0.5),
        (pd.Series([0.5]), 0.5),
        (math.inf, math.inf),
        (10**400, 10**400),
    ],
)
def test_numbers_of_any_library_are_metrics(value, expected):
    with mk.start_run() as run:
        mk.log_metric("m", value)
    assert mk.get_run(run.id).metrics == {"m": expected}


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("no text")


class Shaped:
    shape = [1]  # noqa: RUF012 - what cannot be hashed is the case


@pytest.mark.parametrize(
    "value",
    ["1", None, [1], 1j, np.zeros(2), object(), pytest.param(Hostile(), id="hostile"), Shaped(), np.datetime64(0, "s")],
)
def test_what_is_no_number_is_a_problem_of_the_run_and_named(value):
    with mk.start_run() as run:
        with pytest.warns(RecordingWarning, match="'loss' is not a number"):
            run.log_metric("loss", value)
        run.log_metric("loss", 0.5)
    assert "'loss' is not a number" in run.problems[0]
    assert run.metrics == {"loss": 0.5}


def test_what_is_no_number_is_an_error_of_a_strict_run():
    @mk.track(strict=True)
    def train():
        mk.log_metric("loss", "low")

    with pytest.raises(InvalidInput, match="'loss' is not a number"):
        train()


@pytest.mark.parametrize("step", [1.5, math.nan, math.inf, "1", True, [1], pytest.param(Hostile(), id="hostile")])
def test_a_step_is_a_whole_number_and_a_point_is_kept_without_one_that_is_none(step):
    with pytest.warns(RecordingWarning, match="step of the metric 'loss'"), mk.start_run() as run:
        run.log_metric("loss", 1.0, step=step)
    assert [point[:2] for point in run.metric_history("loss")] == [(1.0, None)]


@pytest.mark.parametrize(
    ("step", "kept"), [(3, 3), (np.int64(3), 3), (2.0, 2), (-1, -1), (10**400, 10**400), (None, None)]
)
def test_whole_numbers_of_any_library_are_steps(step, kept):
    with mk.start_run() as run:
        run.log_metric("loss", 1.0, step=step)
    assert mk.get_run(run.id).metric_history("loss")[0][1] == kept


@pytest.mark.parametrize("key", ["", " ", None, 3, "\ud800"])
def test_a_name_that_is_no_text_is_a_problem_of_the_run(key):
    calls = {
        "param": lambda: mk.log_param(key, 1),
        "metric": lambda: mk.log_metric(key, 0.5),
        "tag": lambda: mk.set_tag(key, 1),
        "model": lambda: mk.log_model(1, key),
        "dataset": lambda: mk.log_dataset(pd.DataFrame({"x": [1]}), key),
        "an artifact": lambda: mk.log_artifact(b"1", key),
    }
    with mk.start_run() as run:
        for call in calls.values():
            with pytest.warns(RecordingWarning, match=r"a name is text|surrogate|name=|UTF-8"):
                call()
        mk.log_metrics({key: 1.0, "auc": 0.9})
        mk.log_params({key: 1, "depth": 3})
        mk.set_tags({key: 1, "team": "risk"})
    assert len(run.problems) == len(calls)
    assert (run.metrics, run.params, run.tags) == ({"auc": 0.9}, {"depth": 3}, {"team": "risk"})
    assert (run.status, run.outputs, run.inputs, run.artifacts) == ("finished", {}, {}, {})


ARGUMENTS_WITHOUT_MEANING = {
    "params": lambda: mk.log_params([1]),
    "metrics": lambda: mk.log_metrics(0.5),
    "tags": lambda: mk.set_tags("team"),
    "artifact": lambda: mk.log_artifact("no-such-file.txt"),
    "figure": lambda: mk.log_figure("no figure", "roc"),
    "data": lambda: mk.log_dataset([1, 2], "rows"),
    "name": lambda: mk.log_metric(1, 0.5),
}


@pytest.mark.parametrize("what", ARGUMENTS_WITHOUT_MEANING)
def test_what_cannot_be_logged_ends_no_training_unless_it_is_strict(what):
    def train():
        ARGUMENTS_WITHOUT_MEANING[what]()
        return "trained"

    with pytest.warns(RecordingWarning):
        assert mk.track(train)() == "trained"
    assert len(mk.last_run().problems) == 1
    with pytest.raises(InvalidInput):
        mk.track(strict=True)(train)()


def test_one_wrong_value_among_several_metrics_costs_itself_only():
    with mk.start_run() as run:
        with pytest.warns(RecordingWarning, match="'b' is not a number"):
            mk.log_metrics({"a": 1, "b": "two"})
        mk.log_metrics({"c": 1, "d": math.nan}, step=2)
    assert repr(mk.get_run(run.id).metrics) == "{'a': 1, 'c': 1, 'd': nan}"


def test_the_step_of_a_metric_may_follow_its_value():
    with mk.start_run() as run:
        mk.log_metric("loss", 0.5, 3)
        run.log_metric("loss", 0.25, 4)
    assert [point[:2] for point in run.metric_history("loss")] == [(0.5, 3), (0.25, 4)]


@pytest.mark.parametrize("points", [999, 1000, 1001, 20_001])
def test_histories_of_any_length_come_back_in_order(points):
    with mk.start_run() as run:
        for step in range(points):
            run.log_metric("loss", step / 2, step=step)
        assert [step for _, step, _ in run.metric_history("loss")] == list(range(points))
    found = mk.get_run(run.id)
    assert [point[:2] for point in found.metric_history("loss")] == [(step / 2, step) for step in range(points)]
    assert found.metrics == {"loss": (points - 1) / 2}
    segments = list(run.store.backend.walk(f"runs/{run.started:%Y-%m-%d}/"))
    assert any(".metrics-" in item.key for item in segments) == (points > 1000)


def test_tags_are_text_and_masked():
    with mk.start_run(tags={"team": "a"}) as run:
        run.set_tags({"n": 3, "token": "sesame", "url": "https://a:b@c.org"})
    assert mk.get_run(run.id).tags == {"team": "a", "n": "3", "token": "********", "url": "https://********@c.org"}


def test_an_ended_run_takes_nothing():
    with mk.start_run() as run:
        pass
    for handle in (run, mk.get_run(run.id)):
        for log in (
            lambda: handle.log_param("a", 1),  # noqa: B023 - called at once
            lambda: handle.log_metric("a", 1),  # noqa: B023 - likewise
            lambda: handle.log_artifact(b"", "a"),  # noqa: B023 - likewise
            handle.finish,
            handle.__enter__,
        ):
            with pytest.raises(RunClosed, match=run.id):
                log()


def test_a_run_without_a_block_ends_when_it_is_told():
    run = mk.start_run()
    assert (run.status, mk.current_run()) == ("running", run)
    with pytest.raises(InvalidInput, match="'done'"):
        run.finish("done")
    run.finish("failed")
    assert mk.get_run(run.id).status == "failed"


def test_a_block_that_raises_fails_and_lets_the_exception_out():
    with pytest.raises(KeyError, match="mine"), mk.start_run() as run:
        raise KeyError("mine")
    assert (mk.get_run(run.id).status, mk.get_run(run.id).error["type"]) == ("failed", "builtins.KeyError")


def test_a_block_may_be_left_in_another_context():
    run = mk.start_run()
    contextvars.copy_context().run(run.__enter__)
    run.__exit__(None, None, None)
    assert mk.get_run(run.id).status == "finished"


def test_outside_of_a_run_nothing_can_be_logged():
    with pytest.raises(NoActiveRun, match=r"log_metric\(\) was called outside .* mlops_kit\.start_run\(\)\.$"):
        mk.log_metric("a", 1)


def test_a_model_logged_comes_back():
    with mk.start_run() as run:
        mk.log_model(DecisionTreeClassifier(max_depth=3), "tree")
    assert mk.get_run(run.id).load("tree").max_depth == 3


def test_a_model_that_does_not_pickle_costs_a_warning_that_names_the_part():
    model = DecisionTreeClassifier()
    model.callback_ = {"log": (line for line in ())}
    with mk.start_run() as run, pytest.warns(RecordingWarning, match=r"callback_\['log'\]"):
        mk.log_model(model, "tree")
    assert mk.get_run(run.id).status == "finished"


def test_a_pickled_run_is_an_address_and_takes_metrics_elsewhere():
    with mk.start_run() as run:
        run.log_metric("here", 1)
        handle = pickle.dumps(run)
        assert len(handle) < 1000
        program = "import pickle, sys; run = pickle.loads(sys.stdin.buffer.read()); run.log_metric('there', 2, step=5)"
        subprocess.run([sys.executable, "-c", program], input=handle, check=True)
        assert run.metric_history("there")[0][:2] == (2, 5)
    found = mk.get_run(run.id)
    assert found.metric_history("there")[0][:2] == (2, 5)
    assert found.metrics == {"here": 1, "there": 2}


def test_a_handle_of_a_running_run_refuses_what_only_its_process_can_take():
    with mk.start_run() as run:
        handle = pickle.loads(pickle.dumps(run))
        with pytest.raises(RunClosed, match="running in another process"):
            handle.log_param("a", 1)


@pytest.mark.parametrize("name", ["\ud800", "a\x00b", " ", 3], ids=["half a pair", "control", "blank", "a number"])
def test_a_run_is_refused_a_name_that_no_record_could_hold(name):
    with pytest.raises(InvalidInput, match="cannot name a run"):
        mk.start_run(name, store="memory://names")


@pytest.mark.parametrize("status", [[1], "gone", None])
def test_a_run_ends_in_one_of_three_ways(status):
    run = mk.start_run(store="memory://ends")
    with pytest.raises(InvalidInput, match="A run ends 'finished', 'failed' or 'interrupted'"):
        run.finish(status)
    assert run.status == "running"
    run.finish()


SESAME = "q7w8e9r0t1y2u3i4o5p6a7s8d9f0g1h2j3k4"


def test_no_part_of_a_run_shows_a_token_of_an_address(tmp_path):
    address = f"https://{SESAME}@example.org/x"

    @mk.track(tags={"remote": address, f"from {address}": "1"}, name=f"fetch {address}")
    def fetch(remote, options):
        mk.log_param(f"of {address}", {address: [address]})
        mk.current_run().set_tag("again", address)
        raise RuntimeError(f"unable to access {remote!r}: 403")

    with pytest.raises(RuntimeError):
        fetch(address, {"url": {"inner": (address,)}, address: 1})
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    run = mk.get_run(fetch.last_run.id)
    assert SESAME.encode() not in stored
    for part in (run.name, run.params, run.tags, run.error):
        assert SESAME not in repr(part)
        assert "example.org" in repr(part)


def test_the_message_about_a_wrong_argument_shows_no_secret_in_it():
    class Settings:
        def __repr__(self):
            return "Settings(api_key='hunter2-hunter2')"

    with mk.start_run() as run, pytest.warns(RecordingWarning, match="values by name") as caught:
        run.log_params(Settings())
    assert "hunter2" not in str(caught[0].message) + str(run.problems)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_number_of_torch_is_a_metric(shape):
    torch = pytest.importorskip("torch")
    with mk.start_run() as run:
        run.log_metric("loss", torch.full(shape, 0.5, requires_grad=True))
        run.log_metric("half", torch.full(shape, 0.5, dtype=torch.bfloat16))
        run.log_metric("right", torch.full(shape, fill_value=True))
    assert run.metrics == {"loss": 0.5, "half": 0.5, "right": 1}
