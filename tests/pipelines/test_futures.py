"""Calls that are submitted: inline and on threads, resolved where they are passed, and never lost."""

import dataclasses
import operator
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, NotYet
from mlops_kit.pipelines.futures import resolved


class Pair(NamedTuple):
    left: object
    right: object


@dataclasses.dataclass(frozen=True)
class Box:
    value: object


@mk.step
def square(x, plus=0):
    if x < 0:
        raise ValueError(f"{x} is negative")
    mk.log_metric("squared", x)
    return x * x + plus


@mk.step
def total(parts):
    return sum(parts)


@mk.step
def wrapped(box, pair, named):
    return box.value + pair.left + named["x"][0]


@pytest.fixture(params=["inline", "threads"])
def placed(request):
    """Give what puts a pipeline on an executor, or leaves it."""
    if request.param == "inline":
        yield lambda pipeline: pipeline
    else:
        with ThreadPoolExecutor(2) as threads:
            yield lambda pipeline: pipeline.on(threads)


def test_results_are_those_of_calls_and_are_reused_by_them(store, placed, outcomes):
    @mk.pipeline(store=store)
    def run(n):
        return total(square.map(range(n), plus=1))

    assert placed(run)(4) == 18
    assert placed(run)(5) == 35
    assert sorted(outcomes(run)) == [("square", "finished"), *[("square", "reused")] * 4, ("total", "finished")]
    assert run.last_run.metrics["squared"] in range(5)

    @mk.pipeline(store=store)
    def plain():
        return [square(i, plus=1) for i in range(5)]

    plain()
    assert outcomes(plain) == [("square", "reused")] * 5


def test_a_future_is_resolved_inside_of_containers_and_where_it_is_returned(store, placed):
    @mk.pipeline(store=store)
    def run():
        one, two = square.map([1, 2])
        three = wrapped.submit(Box(one), Pair(two, 0), {"x": [one]})
        return {"all": [one, (two, three)]}

    assert placed(run)() == {"all": [1, (4, 6)]}


def test_a_failure_waits_for_who_asks_and_stops_no_other(store, placed, outcomes):
    @mk.pipeline(store=store)
    def run():
        futures = square.map([1, -1, 3])
        with pytest.raises(ValueError, match="-1 is negative"):
            futures[1].result()
        return [futures[0], futures[2]]

    assert placed(run)() == [1, 9]
    assert sorted(outcomes(run)) == [("square", "failed"), ("square", "finished"), ("square", "finished")]


def test_a_failure_that_nobody_asked_for_fails_the_pipeline_when_all_is_done(store, placed, outcomes):
    @mk.pipeline(store=store)
    def run():
        square.map([-1, 2, 3])
        return "done"

    with pytest.raises(ValueError, match="-1 is negative"):
        placed(run)()
    assert run.last_run.status == "failed"
    assert ("square", "failed") in outcomes(run)


def test_what_depends_on_a_failure_fails_like_it(store, placed):
    @mk.pipeline(store=store)
    def run():
        return total.submit([square.submit(-2), 1])

    with pytest.raises(ValueError, match="-2 is negative"):
        placed(run)()


@pytest.mark.parametrize(
    "use",
    [
        bool, len, iter, list, int, float, abs, operator.neg, operator.not_,
        lambda f: f == 1, lambda f: f != 1, lambda f: f < 1, lambda f: f <= 1, lambda f: f + 1, lambda f: 1 - f,
        lambda f: f * 2, lambda f: 2 / f, lambda f: f[0], lambda f: 1 in f, lambda f: [1, 2][f], lambda f: f**2,
    ],
)  # fmt: skip
def test_using_a_future_as_a_value_is_not_yet(use):
    with pytest.raises(NotYet, match=r"call \.result\(\)"):
        use(square.submit(2))


def test_outside_of_a_pipeline_it_is_called_at_once(tmp_path):
    future = square.with_options().submit(-1)
    assert future.done()
    assert isinstance(future.exception(), ValueError)
    assert {future: 1}[future] == 1
    assert repr(future) == f"<future of {__name__}:square: done>"
    assert [each.result() for each in total.map([[1], [2]])] == [1, 2]
    assert not (tmp_path / ".mlops").exists()


def test_iterables_of_other_lengths_are_refused():
    with pytest.raises(InvalidInput, match="these have 2, 3 items"):
        square.map([1, 2], [1, 2, 3])
    with pytest.raises(InvalidInput, match="none was passed"):
        square.map(plus=1)


def test_an_async_step_is_awaited_not_submitted():
    @mk.step
    async def fetch():
        return 1

    with pytest.raises(InvalidInput, match="await it"):
        fetch.submit()


def test_submitting_inside_of_a_submitted_call_runs_there(store):
    @mk.step
    def inner(x):
        return threading.current_thread().name

    @mk.step
    def outer(x):
        return inner.submit(x).result() == threading.current_thread().name

    @mk.pipeline(store=store)
    def run(n):
        return outer.map(range(n))

    with ThreadPoolExecutor(1) as threads:
        assert run.on(threads)(3) == [True] * 3


def test_a_pipeline_that_fails_leaves_nothing_running(store):
    gate, ran = threading.Event(), []

    @mk.step(ignore=("gate", "ran"))
    def slow(x):
        gate.wait(60)
        ran.append(x)
        return x

    @mk.pipeline(store=store)
    def run():
        slow.map(range(5))
        gate.set()
        raise RuntimeError("stop")

    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="stop"):
        run.on(threads)()
    before = list(ran)
    assert run.last_run.status == "failed"
    assert len(before) <= 5
    assert before == ran


def test_other_executors_are_refused(store):
    with pytest.raises(InvalidInput, match=r"of concurrent\.futures, not on 5"):
        mk.pipeline(lambda: 1, store=store).on(5)


def test_what_holds_no_future_is_passed_as_it_is():
    for value in ([1, {"a": (2,)}], Box([1]), Pair(1, 2), range(3), "text"):
        assert resolved(value) is value
