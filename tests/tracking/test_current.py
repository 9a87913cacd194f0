"""The run at hand is found from anywhere below; an interrupted one can be gone on with."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, InvalidName, RunClosed, RunNotFound
from mlops_kit.records.run import RunEnd
from mlops_kit.tracking import recorder
from mlops_kit.tracking.recorded import recorder_of

KILLED = """
import os, mlops_kit as mk
from mlops_kit.tracking import metrics
metrics.FLUSH_SECONDS = -1.0
run = mk.start_run("long", tags={"a": "b"})
run.log_metric("loss", 1.0, step=1)
print(run.id, flush=True)
os.kill(os.getpid(), 9)
"""


def test_the_innermost_run_is_the_current_one():
    assert mk.current_run() is None
    with mk.start_run("outer", experiment="trial") as outer:
        with mk.start_run("inner") as inner:
            assert mk.current_run() is inner
        assert mk.current_run() is outer
    assert mk.get_run(inner.id).parent == outer
    assert inner.experiment == "trial"
    assert mk.current_run() is None


def test_the_experiment_comes_from_the_environment_unless_given(monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_EXPERIMENT", "nightly")
    with mk.start_run() as named, mk.start_run(experiment="other") as given:
        pass
    assert (named.experiment, given.experiment) == ("nightly", "other")


def test_a_run_of_another_store_is_no_parent():
    with mk.start_run(), mk.start_run(store="memory://other") as inner:
        pass
    assert inner.parent is None


@pytest.mark.parametrize(
    "options", [{"name": ""}, {"name": "\0"}, {"name": 3}, {"experiment": "a/b"}, {"store": "what://x/y"}]
)
def test_what_cannot_name_a_run_is_refused_before_it_starts(options):
    with pytest.raises((InvalidInput, InvalidName)):
        mk.start_run(**options)
    assert not list(Path.cwd().iterdir())


def test_a_run_that_is_running_cannot_be_resumed():
    with mk.start_run() as run, pytest.raises(RunClosed, match="still running"):
        mk.start_run(resume=run.id)


def test_a_run_resumed_twice_at_once_is_refused():
    with mk.start_run() as run:
        pass
    with mk.start_run(resume=run.id), pytest.raises(RunClosed, match="still running"):
        mk.start_run(resume=run.id)


RESUMING = """
import sys, mlops_kit as mk
try:
    run = mk.start_run(resume=sys.argv[1])
except mk.errors.RunClosed as refused:
    print("refused:", refused)
else:
    run.log_metric("loss", 0.25)
    print("going", flush=True)
    sys.stdin.read()
    run.finish()
"""


def test_a_run_that_another_process_resumes_is_running_there_and_here(python):
    with mk.start_run() as run:
        run.log_metric("loss", 1.0)
    seen = mk.get_run(run.id)
    assert (seen.status, seen.ended is None) == ("finished", False)
    with subprocess.Popen(
        [sys.executable, "-c", RESUMING, run.id], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "going\n"
        assert (seen.status, seen.ended) == ("running", None)
        with pytest.raises(RunClosed, match=f"process {other.pid} on"):
            mk.start_run(resume=run.id)
        assert python("-c", RESUMING, run.id).stdout.startswith("refused: ")
        other.stdin.close()
        assert other.wait(60) == 0
    assert (seen.status, seen.metrics) == ("finished", {"loss": 0.25})
    assert mk.get_run(run.id).status == "finished"
    assert mk.Store().fsck().ok


def test_a_resumed_run_whose_process_died_is_interrupted_and_can_be_resumed(python):
    with mk.start_run() as run:
        run.log_metric("loss", 1.0)
    python("-c", "import os, sys, mlops_kit as mk; mk.start_run(resume=sys.argv[1]); os._exit(9)", run.id, check=False)
    assert mk.get_run(run.id).status == "interrupted"
    with mk.start_run(resume=run.id):
        pass
    assert (mk.get_run(run.id).status, mk.get_run(run.id).metrics) == ("finished", {"loss": 1.0})


def test_a_process_that_was_taken_for_dead_leaves_the_end_to_who_resumed_its_run(monkeypatch):
    run = mk.start_run("slow")
    start = run.store.runs.start(run.id)
    mine = run.store.runs.claim(start, 0)
    run.store.runs.write_start(mine)
    run.store.runs.write_end(run.id, RunEnd(datetime.now(UTC), "failed", mine))
    monkeypatch.setattr(recorder.time, "time", lambda: mine.at.timestamp() + 1000)
    with pytest.warns(mk.errors.RecordingWarning, match="resumed by another process"):
        run.finish()
    assert mk.get_run(run.id).status == "failed"


def test_tags_are_set_on_the_current_run():
    with mk.start_run(tags={"team": "fraud"}) as run:
        mk.set_tag("team", "risk")
        mk.set_tags({"ticket": 4711, "token": "sesame"})
    assert mk.get_run(run.id).tags == {"team": "risk", "ticket": "4711", "token": "********"}
    with pytest.raises(mk.errors.NoActiveRun, match=r"set_tag\(\) was called"):
        mk.set_tag("team", "risk")


def test_an_unknown_run_cannot_be_resumed():
    with pytest.raises(RunNotFound):
        mk.start_run(resume="0123")


def test_a_killed_run_is_interrupted_and_goes_on_where_it_was(python):
    run_id = python("-c", KILLED, check=False).stdout.strip()
    assert mk.get_run(run_id).status == "interrupted"
    assert mk.get_run(run_id).metrics == {"loss": 1.0}
    with mk.start_run(resume=run_id) as run:
        assert mk.get_run(run_id).status == "running"
        run.log_metric("auc", 0.5)
    found = mk.get_run(run_id)
    assert (found.name, found.status, found.tags) == ("long", "finished", {"a": "b"})
    assert found.metrics == {"loss": 1.0, "auc": 0.5}
    assert [point[:2] for point in found.metric_history("loss")] == [(1.0, 1)]


def test_a_run_that_was_interrupted_by_hand_keeps_all_it_had():
    def stop():
        with mk.start_run() as run:
            run.log_params({"depth": 3})
            run.log_metric("loss", 1.0)
            run.log_artifact(b"x", "x")
            run.log_model([1], "list")
            recorder_of(run).problem("something was lost")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="something was lost"):
        stop()
    run_id = mk.last_run().id
    assert mk.get_run(run_id).status == "interrupted"
    with mk.start_run(resume=run_id) as run:
        run.log_param("more", 1)
        run.log_metric("loss", 0.5)
    found = mk.get_run(run_id)
    assert found.params == {"depth": 3, "more": 1}
    assert [value for value, _, _ in found.metric_history("loss")] == [1.0, 0.5]
    assert (found.metrics, found.load("x"), found.load("list")) == ({"loss": 0.5}, b"x", [1])
    assert found.problems == ("something was lost",)


def test_the_environment_names_the_run_of_a_process_started_from_it(python):
    program = """
import mlops_kit as mk
mk.log_metric("child", 2.0)
@mk.track
def work():
    mk.log_metric("own", 1)
work()
print(work.last_run.id, mk.current_run().id)
"""
    with mk.start_run() as run:
        child, current = python("-c", program, MLOPS_KIT_RUN_ID=run.id).stdout.split()
    assert current == run.id
    assert run.metric_history("child")[0][0] == 2.0
    assert mk.get_run(child).metrics == {"own": 1}
    assert mk.get_run(child).parent == run


def test_a_stale_run_in_the_environment_does_not_stop_a_tracked_function(monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_RUN_ID", "00000000-000000000000")
    assert mk.track(lambda: 1)() == 1
    with pytest.raises(RunNotFound):
        mk.log_metric("a", 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_leaves_the_run_to_its_parent():
    with mk.start_run() as run:
        run.log_param("depth", 1)
        pid = os.fork()
        if pid == 0:
            try:
                with mk.track(mk.current_run, name="forked")() and run.attach():
                    mk.log_metric("forked", 1.0)
            finally:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        run.log_param("after", 2)
    found = mk.get_run(run.id)
    assert (found.status, found.params) == ("finished", {"depth": 1, "after": 2})
    assert found.metric_history("forked")[0][0] == 1.0
    assert len(found.children) == 1
