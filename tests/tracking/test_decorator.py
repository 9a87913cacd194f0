"""`track` records a call; the function stays the function it was."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import random
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, InvalidName, MlopsKitError, RecordingWarning


class Disguised:
    """Its class cannot be asked for."""

    @property
    def __class__(self):
        raise ValueError("no class")


@dataclass
class Lazy:
    """A field of it cannot be read."""

    rows: int = 1

    def __getattribute__(self, name):
        if name == "rows":
            raise ValueError("not loaded yet")
        return super().__getattribute__(name)


@mk.track
def identity(x=None):
    """Give back what came in."""
    return x


def test_the_bare_and_the_called_decorator_record_a_call():
    @mk.track
    def bare(x):
        return x

    @mk.track(name="fit", experiment="trial", tags={"team": "a", "n": 3})
    def called(x):
        return x

    assert (bare(1), called(2)) == (1, 2)
    assert (bare.last_run.name, bare.last_run.experiment, bare.last_run.status) == ("bare", "default", "finished")
    run = mk.get_run(called.last_run.id)
    assert (run.name, run.experiment, run.tags, run.params) == ("fit", "trial", {"team": "a", "n": "3"}, {"x": 2})


def test_the_function_keeps_its_face():
    def original(a: int, /, b: str = "b", *rest: int, c: float = 1.0, **more: object) -> list[int]:
        """Do it."""
        return [a]

    tracked = mk.track(original)
    assert inspect.signature(tracked) == inspect.signature(original)
    assert (tracked.__name__, tracked.__doc__, tracked.__qualname__) == ("original", "Do it.", original.__qualname__)
    assert (tracked.__module__, tracked.__wrapped__, tracked.__annotations__) == (
        __name__,
        original,
        original.__annotations__,
    )
    assert tracked.last_run is None


def test_the_returned_value_is_the_very_object():
    value = [{"a": (1, 2)}]
    assert identity(value) is value


@pytest.mark.filterwarnings("ignore::mlops_kit.errors.RecordingWarning")
@pytest.mark.parametrize(
    "make", [Disguised, Lazy, lambda: [Disguised()], lambda: (Lazy(), 1), lambda: {"a": Disguised()}]
)
def test_whatever_is_returned_is_returned(make):
    value = make()
    give = mk.track(lambda: value)
    assert give() is value
    assert give.last_run.status == "finished"


def test_every_kind_of_argument_is_recorded():
    @mk.track
    def train(a, /, b=2, *rest, c=3, **more):
        return None

    train(1, 5, 6, d=4)
    assert mk.get_run(train.last_run.id).params == {"a": 1, "b": 5, "rest": (6,), "c": 3, "d": 4}


def test_methods_class_methods_and_static_methods_are_recorded():
    class Trainer:
        @mk.track
        def fit(self, x):
            return self, x

        @classmethod
        @mk.track
        def build(cls, x):
            return cls, x

        @staticmethod
        @mk.track
        def score(x):
            return x

    trainer = Trainer()
    assert trainer.fit(1) == (trainer, 1)
    assert Trainer.build(2) == (Trainer, 2)
    assert trainer.score(3) == Trainer.score(3) == 3
    assert [f.last_run.params for f in (trainer.fit, Trainer.build, Trainer.score)] == [{"x": 1}, {"x": 2}, {"x": 3}]


@pytest.mark.parametrize("kind", [classmethod, staticmethod, property])
def test_above_a_descriptor_the_decorator_says_where_it_belongs(kind):
    with pytest.raises(InvalidInput, match=f"put @{kind.__name__} first"):
        mk.track(kind(lambda self: None))


def generator():
    yield 1


async def asynchronous_generator():
    yield 1


@pytest.mark.parametrize("refused", [generator, asynchronous_generator, functools.partial(generator), dict, 3, "train"])
def test_generators_classes_and_values_are_refused_at_once(refused):
    with pytest.raises(InvalidInput):
        mk.track(refused)


@pytest.mark.parametrize(
    "options",
    [{"name": ""}, {"name": "a\nb"}, {"experiment": ".."}, {"register": "a/b"}, {"snapshot": "yes"}, {"snapshot": -1}],
)
def test_options_that_cannot_be_are_refused_at_once(options):
    with pytest.raises((InvalidInput, InvalidName)):
        mk.track(**options)(identity.__wrapped__)


def test_partials_and_callable_objects_are_recorded():
    class Step:
        def __call__(self, x):
            return x + 1

    tracked = mk.track(functools.partial(lambda x, y: x + y, 1), name="sum")
    assert (tracked(y=2), tracked.last_run.params["y"]) == (3, 2)
    step = mk.track(Step())
    assert (step(1), step.last_run.name, step.last_run.params) == (2, "Step", {"x": 1})


def test_runs_nest():
    @mk.track
    def inner(n):
        return mk.current_run()

    @mk.track(experiment="outer-trial")
    def outer():
        return [inner.__wrapped__(0).id, inner(1).id, inner(2).id]

    own, *children = outer()
    run = mk.get_run(outer.last_run.id)
    assert own == run.id
    assert [child.id for child in run.children] == children
    assert {child.parent.id for child in run.children} == {run.id}
    assert {child.experiment for child in run.children} == {"outer-trial"}
    assert run.parent is None
    assert mk.current_run() is None


def test_an_exception_passes_through_unchanged_and_is_recorded_without_secrets():
    problem = ValueError("cannot reach postgres://ann:hunter2@db/x")

    @mk.track
    def fail():
        raise problem

    with pytest.raises(ValueError, match="cannot reach") as caught:
        fail()
    assert caught.value is problem
    assert caught.value.__context__ is None
    run = mk.get_run(fail.last_run.id)
    assert (run.status, run.error["type"]) == ("failed", "builtins.ValueError")
    assert "raise problem" in run.error["traceback"]
    assert "hunter2" not in str(run.error)


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Noted(Exception):
    @property
    def __notes__(self):
        raise RuntimeError("no notes")


@pytest.mark.filterwarnings("ignore::mlops_kit.errors.RecordingWarning")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(), "finished"),
        (SystemExit(0), "finished"),
        (SystemExit(3), "failed"),
        (SystemExit(["a list"]), "failed"),
        (asyncio.CancelledError(), "interrupted"),
        (GeneratorExit(), "failed"),
        (Unspeakable(), "failed"),
        (Noted(), "failed"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "failed"),
    ],
    ids=lambda value: repr(value) if isinstance(value, SystemExit) else getattr(type(value), "__name__", value),
)
def test_each_way_to_end_has_its_status(error, status):
    @mk.track
    def end():
        raise error

    with pytest.raises(type(error)) as caught:
        end()
    assert caught.value is error
    assert mk.get_run(end.last_run.id).status == status


def test_an_enormous_message_is_cut_and_costs_little():
    @mk.track
    def fail():
        raise ValueError("x" * 10**8)

    with pytest.raises(ValueError, match="x"):
        fail()
    assert len(str(mk.get_run(fail.last_run.id).error)) < 100_000
    assert fail.last_run.resources["seconds"] < 10


def test_a_wrong_call_raises_what_the_function_raises():
    def plain(a, *, b):
        pass

    tracked = mk.track(plain)
    messages = []
    for function in (plain, tracked):
        with pytest.raises(TypeError) as caught:
            function(1, 2, c=3)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert tracked.last_run.status == "failed"


def test_concurrent_coroutines_do_not_mix_up_their_runs():
    @mk.track
    async def child(n):
        await asyncio.sleep(0.001)
        mk.log_metric("child", n)
        return mk.current_run().id

    @mk.track
    async def parent(n):
        mk.log_param("seen", n)
        await asyncio.sleep(0.002 * (5 - n))
        mk.log_metric("n", n)
        return mk.current_run().id, await child(n)

    async def main():
        return await asyncio.gather(*(parent(n) for n in range(5)))

    assert inspect.iscoroutinefunction(parent)
    for n, (mine, childs) in enumerate(asyncio.run(main())):
        run = mk.get_run(mine)
        assert (run.params, run.metrics) == ({"n": n, "seen": n}, {"n": n})
        assert [each.id for each in run.children] == [childs]
        assert run.children[0].metrics == {"child": n}


def test_a_cancelled_coroutine_is_interrupted():
    @mk.track
    async def wait():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert mk.get_run(wait.last_run.id).status == "interrupted"


def test_a_coroutine_closed_elsewhere_ends_quietly():
    @mk.track
    async def wait():
        await asyncio.sleep(60)

    async def start(coroutine):
        coroutine.send(None)

    coroutine = wait()
    asyncio.run(start(coroutine))
    coroutine.close()
    assert mk.get_run(wait.last_run.id).status == "failed"


def test_threads_start_runs_of_their_own_unless_attached():
    @mk.track
    def work(n, run=None):
        return mk.current_run()

    def attached(n, run):
        with run.attach():
            return work(n)

    with mk.start_run() as run, ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(work, range(4)))
        inside = list(pool.map(attached, range(4), [run] * 4))
    assert {each.parent for each in alone} == {None}
    assert {each.parent.id for each in inside} == {run.id}
    assert len({each.id for each in alone + inside}) == 8
    assert sorted(each.params["n"] for each in alone) == [0, 1, 2, 3]


def test_a_generator_is_handed_on_unused():
    numbers = (number for number in range(3))
    with pytest.warns(RecordingWarning, match="return"):
        assert list(identity(numbers)) == [0, 1, 2]

    total = mk.track(lambda items: sum(items) + 0, name="total")
    assert total(number for number in range(3)) == 3


def test_a_stream_of_batches_is_handed_on_unused():
    import pyarrow as pa

    total = mk.track(lambda reader: reader.read_all().num_rows)
    with pytest.warns(RecordingWarning, match="stream"):
        assert total(pa.table({"x": [1, 2]}).to_reader()) == 2
    assert total.last_run.inputs["reader"].fingerprint == ""


def test_what_a_finished_function_held_can_be_freed():
    class Big:
        pass

    def made():
        big = Big()

        @mk.track
        def inner():
            return str(type(big))

        inner()
        return weakref.ref(big)

    reference = made()
    gc.collect()
    assert reference() is None


def test_the_random_numbers_of_the_function_are_those_of_the_untracked_call():
    def draw():
        return random.random(), np.random.rand()

    tracked = mk.track(draw)
    random.seed(1)
    np.random.seed(1)
    expected = draw(), random.getstate(), repr(np.random.get_state())
    random.seed(1)
    np.random.seed(1)
    assert (tracked(), random.getstate(), repr(np.random.get_state())) == expected


def test_nothing_around_the_function_changes(capfd):
    import warnings

    identity(0)
    before = dict(os.environ), Path.cwd(), list(warnings.filters), set(threading.enumerate()), dict(globals())
    identity(1)
    after = dict(os.environ), Path.cwd(), list(warnings.filters), set(threading.enumerate()), dict(globals())
    assert before == after
    assert {thread.daemon for thread in threading.enumerate() if thread.name == "mlops_kit-lease"} <= {True}
    assert capfd.readouterr() == ("", "")


def broken_store(kind, tmp_path):
    if kind == "file":
        Path("taken").write_text("not a folder")
        return "taken"
    if kind == "below a file":
        Path("taken").write_text("not a folder")
        return "taken/store"
    return {"unknown": "what://ever", "null": "a\0b"}[kind]


BROKEN = ["file", "below a file", "unknown", "null"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_store_that_cannot_be_written_costs_a_warning_and_nothing_else(kind, tmp_path):
    @mk.track(store=broken_store(kind, tmp_path), register="model")
    def train(x):
        mk.log_metric("auc", 0.5)
        mk.log_param("more", 1)
        mk.log_artifact(b"x", "x")
        mk.log_dataset(np.zeros(3), "data")
        mk.log_model(DecisionTreeClassifier(), "tree")
        return DecisionTreeClassifier(max_depth=x)

    with pytest.warns(RecordingWarning):
        assert train(3).max_depth == 3
    assert train.last_run.problems or train.last_run.store.failure
    assert train.last_run.status == "finished"


@pytest.mark.parametrize("kind", ["file", "unknown"])
def test_a_store_of_the_environment_that_cannot_be_written_costs_a_warning(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", broken_store(kind, tmp_path))
    with pytest.warns(RecordingWarning):
        assert identity([1]) == [1]


@pytest.mark.parametrize("kind", BROKEN)
def test_strict_raises_what_the_store_raises(kind, tmp_path):
    with pytest.raises(MlopsKitError):
        mk.track(store=broken_store(kind, tmp_path), strict=True)(lambda: 1)()


def test_strict_never_takes_the_place_of_the_functions_own_exception(tmp_path):
    @mk.track(strict=True, store=str(tmp_path / "store"))
    def fail():
        import shutil

        shutil.rmtree(tmp_path / "store")
        Path(tmp_path, "store").write_text("in the way")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser and Windows write everywhere")
def test_a_read_only_store_costs_a_warning(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir(mode=0o500)
    with pytest.warns(RecordingWarning):
        assert mk.track(store=folder)(lambda: 1)() == 1


def test_a_store_that_vanishes_while_the_function_runs_is_made_again(tmp_path):
    import shutil

    @mk.track(store=tmp_path / "store")
    def train():
        shutil.rmtree(tmp_path / "store")
        return {"auc": 0.5}

    assert train() == {"auc": 0.5}
    assert mk.get_run(train.last_run.id, store=tmp_path / "store").metrics == {"auc": 0.5}


def test_a_tag_that_has_no_text_is_refused_when_the_function_is_decorated():
    class Mute:
        def __str__(self):
            raise RuntimeError("mute")

    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, it is not raised by the call
        mk.track(tags={"a": Mute()})(lambda: 1)


def test_a_run_that_cannot_tell_its_experiment_starts_all_the_same():
    child = mk.track(lambda: 1)
    with mk.start_run() as run:
        ghost = mk.Run(run.store, "00000000-000000000000")
        with ghost.attach():
            assert child() == 1


def test_the_iterator_type_of_hints_is_kept():
    def rows() -> Iterator[int]:
        return iter([1])

    assert list(mk.track(rows)()) == [1]


def test_importing_and_tracking_plain_values_loads_no_data_library(python):
    program = """
import sys, mlops_kit as mk
@mk.track
def f(a, b=2):
    mk.log_metric("m", 1)
    return {"auc": 0.5}
f(1)
print(sorted(set(sys.modules) & {"pandas", "numpy", "pyarrow", "sklearn", "polars", "scipy"}))
"""
    assert python("-c", program).stdout == "[]\n"


@pytest.mark.parametrize("flag", ["error", "error::UserWarning", "ignore"])
def test_warnings_that_are_errors_never_reach_the_function(script, flag):
    done = script(
        """
import sys, mlops_kit as mk
@mk.track(store="taken")
def f(a):
    return a
open("taken", "w").close()
value = object()
assert f(value) is value
print("done")
""",
        check=False,
        PYTHONWARNINGS=flag,
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
    assert ("cannot be written" in done.stderr) == (flag != "ignore")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX closes file descriptors")
def test_closed_standard_streams_never_reach_the_function(script):
    done = script(
        """
import os, sys, mlops_kit as mk
@mk.track(store="taken")
def f(a):
    return a
open("taken", "w").close()
os.close(2)
sys.stderr = None
assert f(1) == 1
print("done")
""",
        PYTHONWARNINGS="error",
        MLOPS_KIT_SUMMARY="1",
    )
    assert done.stdout == "done\n"


@mk.track
def descend(depth):
    """Call itself without end, each time as a run of its own."""
    return descend(depth + 1)


def test_a_recursion_without_end_is_the_error_of_the_function_and_told_as_such(monkeypatch):
    def plunge(depth):
        return plunge(depth + 1)

    tracked = mk.track(plunge)
    with pytest.raises(RecursionError, match="maximum recursion depth"):
        mk.track(lambda: plunge(0))()
    assert mk.last_run().error["type"] == "builtins.RecursionError"
    assert mk.last_run().problems == ()
    assert tracked.last_run is None
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 90)
    try:
        with warnings.catch_warnings(record=True, action="always") as told, pytest.raises(RecursionError):
            descend(0)
    finally:
        sys.setrecursionlimit(limit)
    assert (descend.last_run.status, descend.last_run.error["type"]) == ("failed", "builtins.RecursionError")
    assert descend.last_run.params == {"depth": 0}
    messages = [str(warning.message) for warning in told if "could not be recorded" in str(warning.message)]
    assert all("Python's recursion limit of" in message for message in messages)
