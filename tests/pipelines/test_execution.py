"""Calls of steps in a pipeline: run or reused, retried, logged, nested, asynchronous."""

import asyncio
import dataclasses
import threading
import warnings

import pytest
from sklearn.dummy import DummyClassifier

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, RecordingWarning


@dataclasses.dataclass
class Split:
    train: list
    test: list


@mk.step
def split(rows, at=2):
    return Split(rows[:at], rows[at:])


@mk.step
def mean(rows):
    mk.log_metric("mean", sum(rows) / len(rows))
    mk.log_param("rows", len(rows))
    mk.set_tag("team", "risk")
    mk.log_artifact(b"report", "report.txt")
    mk.log_model(DummyClassifier(), "model")
    return sum(rows) / len(rows)


def test_a_call_with_the_same_code_and_arguments_is_reused_and_returns_an_equal_value(store, outcomes):
    @mk.pipeline(store=store)
    def run(rows, at):
        return split(rows, at=at)

    first, again, other = run([1, 2, 3], 2), run([1, 2, 3], 2), run([1, 2, 3], 1)
    assert first == again == Split([1, 2], [3])
    assert type(again) is Split
    assert other == Split([1], [2, 3])
    assert outcomes(run) == [("split", "finished")]
    made = run.last_run.steps[0].key
    run([1, 2, 3], 1)
    assert outcomes(run) == [("split", "reused")]
    assert run.last_run.steps[0].key == made


def test_a_default_that_is_passed_by_name_is_the_same_call(store, outcomes):
    @mk.pipeline(store=store)
    def run():
        split([1, 2, 3])
        split([1, 2, 3], 2)
        split(at=2, rows=[1, 2, 3])

    run()
    assert outcomes(run) == [("split", "finished"), ("split", "reused"), ("split", "reused")]


def test_what_comes_out_equal_stops_a_rerun_there(store, outcomes):
    @mk.step
    def clean(rows, noise):
        return sorted(set(rows))

    @mk.pipeline(store=store)
    def run(noise):
        return split(clean([3, 1, 1], noise))

    run(1)
    run(2)
    assert outcomes(run) == [("clean", "finished"), ("split", "reused")]


def test_what_a_step_logged_is_shown_in_each_run_that_reuses_it_and_marked(store, outcomes):
    @mk.pipeline(store=store)
    def run():
        return mean([1, 2, 3])

    run()
    first = run.last_run
    run()
    again = mk.get_run(run.last_run.id, store=store)
    assert outcomes(run) == [("mean", "reused")]
    assert again.metrics == first.metrics == {"mean": 2.0}
    assert again.metric_history("mean") == first.metric_history("mean")
    assert (again.params["rows"], again.tags) == (3, {"team": "risk"})
    assert again.load("report.txt") == b"report"
    assert isinstance(again.load("model"), DummyClassifier)
    (call,) = again.steps
    assert set(call.logged) == {
        *("metrics.mean", "params.rows", "tags.team", "artifacts.report.txt", "outputs.model"),
    }
    assert "mean=2.0 (reused)" in repr(again).replace("mean=2 ", "mean=2.0 ")
    assert "(reused)" not in repr(first)
    assert store.fsck().ok


def test_what_was_logged_and_lost_is_computed_again(store, outcomes):
    run = mean_of(store)
    run([1, 2])
    for found in list(store.backend.walk("objects/")):
        if store.backend.get(found.key) == b"report":
            store.backend.delete(found.key)
    with pytest.warns(RecordingWarning, match=r"mean.*is not in the store"):
        run([1, 2])
    assert outcomes(run) == [("mean", "finished")]
    assert run.last_run.load("report.txt") == b"report"


def test_a_pipeline_that_failed_is_resumed_by_calling_it_again(store, outcomes, monkeypatch):
    @mk.step(depends_on="$WORKS")
    def fragile(x):
        if not os_environ().get("WORKS"):
            raise RuntimeError("no connection")
        return x

    @mk.pipeline(store=store)
    def run():
        return fragile(split([1, 2, 3]).train[0])

    with pytest.raises(RuntimeError, match="no connection") as caught:
        run()
    assert caught.value.__notes__ == [f"in the step {__name__}:{fragile.__qualname__} with x=1"]
    assert (run.last_run.status, outcomes(run)) == ("failed", [("split", "finished"), ("fragile", "failed")])
    monkeypatch.setenv("WORKS", "1")
    assert run() == 1
    assert outcomes(run) == [("split", "reused"), ("fragile", "finished")]


def os_environ():
    import os

    return os.environ


def test_a_failure_is_never_reused(store, outcomes):
    @mk.step
    def fails():
        raise ValueError("always")

    @mk.pipeline(store=store)
    def run():
        for _ in range(2):
            with pytest.raises(ValueError, match="always"):
                fails()

    run()
    assert outcomes(run) == [("fails", "failed"), ("fails", "failed")]
    assert not list(store.backend.walk("steps/"))


class Flaky:
    """Fails so many times; a thing of C state, whose content no code can see."""

    def __init__(self, times):
        self.left = iter(range(times))

    def __call__(self):
        return next(self.left, None) is None


def test_a_call_is_retried_as_often_as_asked_after_what_was_named(store, monkeypatch):
    pauses = []
    monkeypatch.setattr("mlops_kit.pipelines.execution.sleep", pauses.append)
    works = Flaky(2)

    @mk.step(retries=2, retry_on=(ConnectionError, KeyError), backoff=0.5, ignore="works")
    def fetch():
        mk.log_metric("tries", 1)
        if not works():
            raise ConnectionError("busy")
        return "data"

    @mk.pipeline(store=store)
    def run():
        return fetch()

    assert run() == "data"
    assert pauses == [0.5, 1.0]
    assert len(run.last_run.metric_history("tries")) == 3
    (record,) = [store.results.read(call.key) for call in run.last_run.steps]
    assert len(record.logged.metrics["tries"]) == 1  # what the attempts that failed had logged is no part of the result


def test_what_is_not_named_is_not_retried(store):
    tries = threading.local()
    tries.count = 0

    @mk.step(retries=5, retry_on=ConnectionError, ignore="tries")
    def fetch():
        tries.count += 1
        raise ValueError("wrong")

    @mk.pipeline(store=store)
    def run():
        return fetch.with_options(backoff=lambda attempt: 0.0)()

    with pytest.raises(ValueError, match="wrong"):
        run()
    assert tries.count == 1


def test_what_cannot_be_fingerprinted_or_kept_runs_every_time_and_says_why(store):
    @mk.step
    def take(lock):
        return 1

    @mk.step
    def give():
        return threading.Lock()

    @mk.step
    def stream():
        return (i for i in range(3))

    @mk.pipeline(store=store)
    def run():
        take(threading.Lock())
        with give():
            pass
        return list(stream())

    for _ in range(2):
        with pytest.warns(RecordingWarning, match="cannot be kept"):
            assert run() == [0, 1, 2]
        taken, given, streamed = run.last_run.steps
        assert [call.reused for call in run.last_run.steps] == [False] * 3
        assert "argument 'lock', a lock, has no fingerprint" in taken.why
        assert "cannot be kept" in given.why
        assert "generator" in streamed.why
        assert {call.key for call in run.last_run.steps} == {None}


def test_a_step_that_changes_its_argument_is_noticed_told_and_never_reused(store):
    import pandas as pd

    @mk.step
    def fill(frame):
        frame["b"] = 1
        return len(frame)

    @mk.pipeline(store=store)
    def run():
        frame = pd.DataFrame({"a": [1, 2]})
        return fill(frame), list(frame)

    for _ in range(2):
        with pytest.warns(RecordingWarning, match="changed its argument 'frame'"):
            assert run() == (2, ["a", "b"])
        assert "changed its argument 'frame'" in run.last_run.steps[0].why
        assert not run.last_run.steps[0].reused


def test_what_changes_something_outside_is_never_reused(store):
    @mk.step
    def publish(x):
        mk.ModelStore(store.url).register("m", [x])
        return x

    @mk.step(cache=False)
    def send(x):
        return x

    @mk.step
    def around(x):
        return send(x)

    @mk.pipeline(store=store)
    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            publish(1)
        send(2)
        around(3)

    run()
    run()
    published, sent, inner, outer = run.last_run.steps
    assert published.why == "it changed models/m, and what changes something is never reused; say so with cache=False"
    assert sent.why == inner.why == "cache=False"
    assert outer.why.endswith("which is never reused (cache=False)")
    assert len(mk.ModelStore(store).versions("m")) == 2


def test_a_step_in_a_step_gives_what_it_logged_to_both(store, outcomes):
    @mk.step
    def outer(rows):
        return mean(rows)

    @mk.pipeline(store=store)
    def run(rows):
        return outer(rows)

    run([1, 3])
    assert outcomes(run) == [("mean", "finished"), ("outer", "finished")]
    run([1, 3])
    assert (outcomes(run), run.last_run.metrics) == ([("outer", "reused")], {"mean": 2.0})
    mean_of(store)([1, 3])
    assert (mean_of(store).last_run) is None


def mean_of(store):
    @mk.pipeline(store=store)
    def run(rows):
        return mean(rows)

    return run


def test_a_step_that_reuses_another_depends_on_what_that_one_depended_on(store, outcomes, tmp_path):
    (tmp_path / "config.txt").write_text("1", encoding="utf-8")

    @mk.step(depends_on="config.txt")
    def inner(x):
        return x

    @mk.step
    def outer(x):
        return inner(x)

    @mk.pipeline(store=store)
    def run(which):
        return outer(1) if which == "outer" else inner(1)

    run("inner")
    run("outer")
    assert outcomes(run) == [("inner", "reused"), ("outer", "finished")]
    run("outer")
    assert outcomes(run) == [("outer", "reused")]
    (tmp_path / "config.txt").write_text("2", encoding="utf-8")
    run("outer")
    assert outcomes(run) == [("inner", "finished"), ("outer", "finished")]


def test_pipelines_may_be_nested_and_each_has_its_run(store, outcomes):
    @mk.pipeline(store=store)
    def inner(rows):
        return mean(rows)

    @mk.pipeline(store=store)
    def outer(rows):
        mk.log_metric("own", 1)
        return inner(rows) + split(rows).train[0]

    assert outer([1, 3]) == 3.0
    assert inner.last_run.parent == outer.last_run
    assert (outcomes(outer), outcomes(inner)) == ([("split", "finished")], [("mean", "finished")])
    assert (outer.last_run.metrics, inner.last_run.metrics) == ({"own": 1}, {"mean": 2.0})


class Trainer:
    def __init__(self, depth):
        self.depth = depth

    @mk.step
    def fit(self, rows):
        return self.depth * len(rows)

    @mk.pipeline(store="memory://methods")
    def run(self, rows):
        return self.fit(rows)


def test_methods_depend_on_their_object(outcomes):
    trainer = Trainer(2)
    assert [trainer.run([1]), trainer.run([1]), Trainer(3).run([1])] == [2, 2, 3]
    assert outcomes(trainer.run) == [("fit", "finished")]
    Trainer(2).run([1])
    assert outcomes(Trainer.run) == [("fit", "reused")]


def test_async_steps_run_side_by_side_and_are_reused(store, outcomes):
    @mk.step
    async def fetch(n):
        await asyncio.sleep(0)
        mk.log_metric(f"n{n}", n)
        return n * n

    @mk.pipeline(store=store)
    async def run(n):
        return await asyncio.gather(*(fetch(i) for i in range(n)))

    assert asyncio.run(run(3)) == [0, 1, 4]
    assert asyncio.run(run(4)) == [0, 1, 4, 9]
    assert sorted(outcomes(run)) == [("fetch", "finished")] + [("fetch", "reused")] * 3
    assert [sorted(call.logged) for call in run.last_run.steps if not call.reused] == [["metrics.n3"]]


def test_a_call_that_does_not_fit_raises_what_the_function_raises(store):
    @mk.pipeline(store=store)
    def run():
        split()

    with pytest.raises(TypeError, match=r"split\(\) missing 1 required positional argument: 'rows'"):
        run()


def test_refresh_runs_again_and_keeps_the_new_result(store, outcomes):
    @mk.pipeline(store=store)
    def run(*, refresh):
        return split.with_options(refresh=refresh)([1, 2, 3])

    run(refresh=False)
    run(refresh=True)
    assert (outcomes(run), run.last_run.steps[0].why) == ([("split", "finished")], "refresh=True")
    run(refresh=False)
    assert outcomes(run) == [("split", "reused")]


def test_ignored_parameters_make_no_difference(store, outcomes):
    @mk.step(ignore="n_jobs")
    def fit(rows, n_jobs):
        return sum(rows)

    @mk.pipeline(store=store)
    def run(n_jobs):
        return fit([1], n_jobs)

    run(1)
    run(8)
    assert outcomes(run) == [("fit", "reused")]


def test_secrets_in_arguments_are_masked_in_errors_and_records(store):
    @mk.step
    def connect(password):
        raise OSError("refused")

    @mk.step
    def fetch(password, table):
        return table

    @mk.pipeline(store=store)
    def run():
        secret = "".join(reversed("2retnuh"))  # the kept source does not hold it
        fetch(secret, "users")
        connect(secret)

    with pytest.raises(OSError, match="refused") as caught:
        run()
    secret = b"2retnuh"[::-1]
    assert secret.decode() not in str(caught.value.__notes__)
    assert not [found.key for found in store.backend.walk("") if secret in store.backend.get(found.key)]


def test_an_error_in_what_it_depends_on_names_it(store):
    @mk.pipeline(store=store)
    def run():
        return split.with_options(depends_on="gone.csv")([1])

    with pytest.raises(InvalidInput, match=r"depends_on='gone.csv': there is no such file"):
        run()


def test_a_store_that_fails_costs_nobody_a_result(tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")

    @mk.pipeline(store=tmp_path / "file")
    def run():
        return split([1, 2, 3])

    with pytest.warns(RecordingWarning):
        assert run() == Split([1, 2], [3])
    with pytest.warns(RecordingWarning):
        assert run() == Split([1, 2], [3])


def test_many_calls_are_named_by_the_run_and_counted_in_its_text():
    @mk.step
    def square(x):
        return x * x

    @mk.pipeline(store="memory://many")
    def run(n):
        return sum(map(square, range(n)))

    assert run(200) == run(200)
    assert len(run.last_run.steps) == 200
    assert "square: 200 reused in" in repr(run.last_run)


def test_a_recursive_step_reuses_what_it_computed_below(store, outcomes):
    @mk.pipeline(store=store)
    def run(n):
        return fibonacci(n)

    assert run(10) == 55
    assert [outcome for _, outcome in outcomes(run)].count("finished") == 11


@mk.step
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
