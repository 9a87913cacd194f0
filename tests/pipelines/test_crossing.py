"""Submitted calls in other processes: the same results under the same keys, and what they log comes back."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, MlopsKitError, NotSerializable, RecordingWarning
from mlops_kit.pipelines.crossing import returned, task, work
from mlops_kit.store.store import without_sync


@mk.step
def table(seed, rows):
    mk.log_metric("rows", rows)
    mk.log_param("seed", seed)
    return pd.DataFrame({"x": np.random.default_rng(seed).normal(size=rows)})


@mk.step
def add(frames, weights):
    return float(sum(frame["x"].sum() for frame in frames) * weights.sum())


@mk.step
def fill(frame):
    frame["y"] = 0
    return os.getpid()


@mk.step
def fails(x):
    raise KeyError(f"no {x}")


@mk.step
def lock():
    import threading

    return threading.Lock()


@mk.step(cache=False)
def where():
    return os.getpid()


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def pipeline_of(store):
    @mk.pipeline(store=store)
    def run(rows):
        frames = table.map(range(2), rows=rows)
        return add.submit(frames, np.ones(20_000))

    return run


def test_seeded_steps_give_the_same_under_the_same_keys_wherever_they_run(tmp_path, processes):
    answers, keys, logged = [], [], []
    with ThreadPoolExecutor(2) as threads:
        for name, executor in (("inline", None), ("threads", threads), ("processes", processes)):
            store = mk.Store(tmp_path / name)
            run = pipeline_of(store)
            answers.append((run if executor is None else run.on(executor))(10_000))
            calls = run.last_run.steps
            keys.append(sorted(call.key for call in calls))
            logged.append((run.last_run.metrics, sorted(call.logged for call in calls)))
            assert {call.reused for call in calls} == {False}
            run(10_000)
            assert {call.reused for call in run.last_run.steps} == {True}
            assert store.fsck().ok
    assert answers == answers[:1] * 3
    assert keys == keys[:1] * 3
    assert logged == logged[:1] * 3


def test_submitted_calls_are_in_other_processes_and_plain_ones_here(store, processes):
    @mk.pipeline(store=store)
    def run():
        return where(), where.submit()

    here, there = run.on(processes)()
    assert here == os.getpid() != there


def test_what_happens_there_is_told_here(store, processes):
    @mk.pipeline(store=store)
    def run():
        failing, locked = fails.submit("data"), lock.submit()
        with pytest.raises(KeyError, match="no data") as caught:
            failing.result()
        with pytest.raises(NotSerializable, match=r"The result of .*:lock cannot come back"):
            locked.result()
        return caught.value.__notes__, fill.submit(pd.DataFrame({"x": [1]}))

    with pytest.warns(RecordingWarning, match="changed its argument 'frame'"):
        notes, pid = run.on(processes)()
    assert notes == [f"in the step {__name__}:fails with x='data'"]
    assert pid != os.getpid()
    assert [call.key for call in run.last_run.steps if call.name.endswith(":fill")] == [None]


def test_an_argument_that_cannot_cross_is_named(store):
    import threading

    with pytest.raises(NotSerializable, match="argument lock of app:step"):
        task("app:step", len, (), {"lock": threading.Lock()}, without_sync(store), "6b0ca88b-b65a39c24caa")


def test_a_store_in_memory_is_refused():
    with pytest.raises(InvalidInput, match="in the memory of this one"):
        task("app:step", len, (), {}, mk.Store("memory://crossing"), "6b0ca88b-b65a39c24caa")


def test_large_values_cross_by_the_store_and_small_ones_with_the_call(store):
    large = np.zeros(100_000)
    store.ensure()
    given = task("app:step", np.sum, (large,), {"axis": 0}, without_sync(store), "6b0ca88b-b65a39c24caa")
    assert given.args[0].data is None
    assert 0 < len(given.kwargs["axis"].data) < 100
    outcome = work(given)
    assert returned(outcome, without_sync(store), "app:step") == 0.0


PROGRAM = """
import dataclasses, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import mlops_kit as mk

@dataclasses.dataclass
class Split:
    n: int

def helper(x):
    return x + 1

@mk.step
def inner(x):
    return helper(x)

@mk.step
def split(x):
    return Split(inner(x))

@mk.pipeline(store=sys.argv[1])
def run():
    found = [future.result() for future in split.map(range(3))]
    assert all(type(one) is Split for one in found)
    return [one.n for one in found]

if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(sys.argv[2])) as processes:
        print(run.on(processes)(), run())
    print({call.reused for call in run.last_run.steps})
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_classes_and_functions_of_a_script_cross_and_come_back_as_its_own(tmp_path, method):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py", "store", method],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MLOPS_KIT_SUMMARY": "0"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[1, 2, 3] [1, 2, 3]\n{True}\n"


@mk.step
def outer(x):
    return [where(), where.submit().result()]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_steps_that_a_step_calls_in_a_forked_process_run_there(tmp_path):
    @mk.pipeline(store=tmp_path)
    def run():
        return outer.submit(1)

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        first, second = run.on(executor)()
    assert first == second != os.getpid()


@mk.step(depends_on=mk.source)
def text(url):
    with open(url) as file:
        return file.read()


@mk.step(fresh_for="1h")
def fresh(x):
    return x


@mk.step
def reads(path):
    return text(path)


@mk.step
def asks(x):
    return where()


@mk.step
def takes(x):
    return fresh(x)


@pytest.mark.parametrize("timeout", [None, 600])
def test_a_step_depends_on_what_steps_that_it_calls_elsewhere_depend_on(tmp_path, processes, timeout):
    @mk.pipeline(store=tmp_path / "store")
    def run(path):
        return [step.with_options(timeout=timeout).submit(path) for step in (reads, asks, takes)]

    file = tmp_path / "text"
    answers = []
    for content in ("one", "another"):
        file.write_text(content)
        answers.append(run.on(processes)(str(file))[0])
    assert answers == ["one", "another"]
    calls = {call.name.partition(":")[2]: call for call in run.last_run.steps}
    assert [calls[name].reused for name in ("reads", "asks", "takes")] == [False, False, True]
    assert "cache=False" in calls["asks"].why
    store = mk.Store(tmp_path / "store")
    made = store.results.read(calls["takes"].key)
    assert timedelta(minutes=50) < made.expires - made.at < timedelta(hours=1)


class Picky(Exception):
    """Pickles, and cannot be read again."""

    def __init__(self, first, *, second):
        super().__init__(first)


class Held(Exception):
    """Does not pickle."""

    def __init__(self):
        super().__init__("held")
        self.lock = threading.Lock()


@mk.step
def raises(kind):
    raise Picky("picky", second=2) if kind is Picky else Held()


@pytest.mark.parametrize("kind", [Picky, Held])
def test_an_exception_that_cannot_cross_is_named_and_the_pool_goes_on(tmp_path, processes, kind):
    @mk.pipeline(store=tmp_path)
    def run(step, *args):
        return step.submit(*args)

    with pytest.raises(MlopsKitError, match=rf"raises raised .*{kind.__name__}, which does not pickle: "):
        run.on(processes)(raises, kind)
    assert run.on(processes)(where) != os.getpid()
