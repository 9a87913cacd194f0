"""A tracked function crosses to other processes and threads as the function it wraps would."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor

import cloudpickle
import pytest

import mlops_kit as mk

MODULE = """
import os
import mlops_kit as mk

@mk.track(experiment="pool", tags={"a": "b"})
def work(n, run=None):
    mk.log_metric("n", n)
    return n * 2, mk.current_run().id, os.getpid()

class Trainer:
    @mk.track
    def fit(self, n):
        return n + 1
"""

PROGRAM = """
import pickle, sys, multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import cloudpickle, joblib
import mlops_kit as mk
from module import Trainer, work

@mk.track(store=mk.Store())
def local(n):
    return n + depth, mk.current_run().id

depth = 10

def check(results, expected, separate=True):
    assert [result[0] for result in results] == expected, results
    ids = {result[1] for result in results}
    assert len(ids) == len(expected)
    for run_id in ids:
        run = mk.get_run(run_id)
        assert (run.status, run.parent, run.problems) == ("finished", None, ()), run

def main():
    assert pickle.loads(pickle.dumps(work)) is work
    assert cloudpickle.loads(cloudpickle.dumps(work))(1)[0] == 2
    local(0)
    copy = cloudpickle.loads(cloudpickle.dumps(local))
    assert copy.last_run == local.last_run
    assert copy(1)[0] == 11
    assert pickle.loads(pickle.dumps(local)) is local
    assert pickle.loads(pickle.dumps(Trainer().fit))(1) == 2
    for backend in ("loky", "threading"):
        check(joblib.Parallel(2, backend=backend)(joblib.delayed(work)(n) for n in range(3)), [0, 2, 4])
        check(joblib.Parallel(2, backend=backend)(joblib.delayed(local)(n) for n in range(3)), [10, 11, 12])
    for method in multiprocessing.get_all_start_methods():
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            check(list(pool.map(work, range(3))), [0, 2, 4])
            check(list(pool.map(local, range(3))), [10, 11, 12])
    with ThreadPoolExecutor(2) as pool:
        check(list(pool.map(work, range(3))), [0, 2, 4])
    print("all", len(mk.list_runs(limit=None)))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_tracked_functions_work_in_every_pool(script, tmp_path):
    (tmp_path / "module.py").write_text(MODULE)
    done = script(PROGRAM)
    assert done.stdout.startswith("all ")
    assert "RecordingWarning" not in done.stderr


@mk.track
def here(n):
    return n


def test_a_tracked_function_of_a_module_pickles_by_its_name():
    for form in (pickle, cloudpickle):
        assert form.loads(form.dumps(here)) is here


def test_a_tracked_local_function_pickles_by_value_with_its_last_run():
    factor = 3

    @mk.track(store=mk.Store("memory://pickled"))
    def local(n):
        return n * factor

    local(1)
    copy = cloudpickle.loads(cloudpickle.dumps(local))
    assert (copy(2), copy.last_run.params, local.last_run.params) == (6, {"n": 2}, {"n": 1})
    assert copy.__wrapped__ is not local.__wrapped__
    assert (copy.__name__, copy.last_run.store_url) == ("local", "memory://pickled")


def child(handle, n):
    with handle.attach():
        mk.log_metric("n", n, step=n)
        return here(n)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="forking beside threads warns there")
def test_processes_attach_to_a_run_by_its_handle():
    with mk.start_run() as run, ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(child, [run] * 4, range(4))) == [0, 1, 2, 3]
        assert sorted(step for _, step, _ in run.metric_history("n")) == [0, 1, 2, 3]
    found = mk.get_run(run.id)
    assert sorted(each.params["n"] for each in found.children) == [0, 1, 2, 3]
    assert found.status == "finished"
