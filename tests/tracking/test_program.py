"""A run that is begun without a block is the one of the script, and ends with it."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

import mlops_kit as mk
from mlops_kit.errors import NoActiveRun
from mlops_kit.tracking import program

ENDINGS = {
    "": ("finished", None),
    "sys.exit(0)": ("finished", None),
    "sys.exit()": ("finished", None),
    "sys.exit(3)": ("failed", "3"),
    "sys.exit('no data')": ("failed", "no data"),
    "raise ValueError('no data')": ("failed", "no data"),
    "raise KeyboardInterrupt": ("interrupted", ""),
    "def f():\n    try:\n        sys.exit(2)\n    finally:\n        print()\nf()": ("failed", "2"),
    "try:\n    sys.exit(2)\nexcept SystemExit:\n    pass": ("finished", None),
    "try:\n    1 / 0\nexcept ZeroDivisionError:\n    pass": ("finished", None),
    "import argparse; argparse.ArgumentParser().parse_args(['--none'])": ("failed", "2"),
    "import asyncio\nasync def f():\n    raise ValueError('late')\nasyncio.run(f())": ("failed", "late"),
}


BEGINNING = (
    "import sys, mlops_kit as mk\nmk.start_run('fit')\nfor step in range(3): mk.log_metric('loss', step, step)\n"
)


@pytest.mark.parametrize("end", ENDINGS)
def test_the_end_of_a_script_ends_its_run_as_it_ended(script, end):
    done = script(f"{BEGINNING}{end}", check=False)
    (run,) = mk.list_runs()
    status, message = ENDINGS[end]
    assert (run.status, run.error and run.error["message"]) == (status, message)
    assert [point[0] for point in run.metric_history("loss")] == [0, 1, 2]
    assert run.problems == ()
    assert (done.returncode == 0) == (status == "finished")
    assert ("Traceback" in done.stderr) == (message is not None and "raise" in end)


def test_an_exit_whose_status_is_not_known_is_told(script):
    script("import mlops_kit as mk\nmk.start_run()\nraise SystemExit(0)")
    (run,) = mk.list_runs()
    assert run.status == "finished"
    assert "its status is not known" in run.problems[0]


def test_a_run_of_a_script_is_that_of_its_threads_functions_and_blocks(script):
    script("""
import threading, mlops_kit as mk
run = mk.start_run("script", experiment="e")

@mk.track
def inside():
    mk.log_metric("own", 1)

def work():
    mk.log_metric("of a thread", 1)

inside()
with mk.start_run("block"):
    mk.log_metric("own", 2)
thread = threading.Thread(target=work)
thread.start()
thread.join()
mk.start_run("beside").finish()
mk.log_metric("last", 1)
mk.ModelStore().register("m", 1)
""")
    by_name = {run.name: run for run in mk.list_runs()}
    outer = by_name["script"]
    assert outer.metrics == {"of a thread": 1, "last": 1}
    assert {name: run.parent for name, run in by_name.items()} == {
        "script": None,
        "inside": outer,
        "block": outer,
        "beside": None,
    }
    assert {run.experiment for run in by_name.values()} == {"e"}
    assert mk.ModelStore().get("m:1").run_id == outer.id


@pytest.fixture
def opened():
    """Give a function that begins runs without a block, and end them all after the test."""
    runs = []

    def begin(name):
        runs.append(mk.start_run(name))
        return runs[-1]

    yield begin
    for run in runs:
        if not run.is_over:
            run.finish()
    assert sys.exit is program._plain_exit


def test_the_last_run_that_is_begun_is_the_current_one_until_it_ends(opened):
    first, second = opened("first"), opened("second")
    assert mk.current_run() is second
    first.finish()
    assert mk.current_run() is second
    second.finish()
    assert mk.current_run() is None
    with pytest.raises(NoActiveRun, match="start_run"):
        mk.log_metric("loss", 1)


def test_a_run_that_is_begun_again_in_a_cell_is_current_and_the_one_before_takes_what_it_is_given(opened):
    before = opened("fit")
    run = opened("fit")
    mk.log_metric("loss", 2)
    before.log_metric("loss", 1)
    assert (before.metrics, run.metrics) == ({"loss": 1}, {"loss": 2})
    assert run.parent is None


def test_a_run_is_current_in_its_block_and_the_one_of_the_script_after_it(opened):
    outer = opened("script")
    with mk.start_run("block") as inner:
        assert mk.current_run() is inner
    assert mk.current_run() is outer
    with outer:
        assert mk.current_run() is outer
    assert mk.current_run() is None
    assert outer.status == "finished"


def test_runs_of_other_threads_and_tasks_are_their_own(opened):
    outer, seen = opened("script"), {}

    def work(name):
        run = opened(name)
        barrier.wait()
        seen[name] = mk.current_run() is run
        barrier.wait()
        run.finish()

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def task(name):
        run = opened(name)
        await asyncio.sleep(0)
        seen[name] = mk.current_run() is run
        run.finish()

    async def both():
        await asyncio.gather(task("c"), task("d"))

    asyncio.run(both())
    assert seen == dict.fromkeys("abcd", True)
    assert mk.current_run() is outer


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_blocks_may_be_left_in_any_order(order):
    def stream(name):
        with mk.start_run(name):
            yield

    streams = [stream(name) for name in "abc"]
    for one in streams:
        next(one)
    for number in order:
        current = mk.current_run()
        assert current is not None
        assert current.status == "running"
        streams[number].close()
    assert mk.current_run() is None
