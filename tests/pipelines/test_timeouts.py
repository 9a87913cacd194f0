"""Calls that take too long are stopped with a typed error, and the others give what they always give."""

import asyncio
import os
import threading
import time

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, MlopsKitError, NotSerializable, StepTimeout


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one)


@mk.step(timeout=60)
def quick(x):
    mk.log_metric("x", x)
    return x, os.getpid()


@mk.step(timeout=0.1)
def slow():
    time.sleep(600)


@mk.step(timeout=60)
def odd(how):
    if how == "raise":
        raise Odd(1, 2)
    if how == "value":
        raise ValueError("wrong")
    os._exit(3)


@mk.step(timeout=0.01)
async def waits():
    await asyncio.sleep(600)


@mk.step(timeout=60)
async def raises():
    raise TimeoutError("of its own")


def pipeline_of(store, step, *args):
    @mk.pipeline(store=store)
    def run():
        return step(*args)

    return run


def test_a_call_within_its_time_is_what_it_always_is(store):
    run = pipeline_of(store, quick, 3)
    value, pid = run()
    assert (value, run.last_run.metrics) == (3, {"x": 3})
    assert pid != os.getpid()
    assert run() == (3, pid)
    assert run.last_run.steps[0].reused
    with mk.start_run(store=store):
        assert quick(3) == (3, os.getpid())  # outside of a pipeline it is the function


def test_a_call_that_takes_too_long_is_stopped(store):
    run = pipeline_of(store, slow)
    with pytest.raises(StepTimeout, match=r"slow was stopped after 0\.1 seconds"):
        run()
    assert run.last_run.steps[0].status == "failed"
    assert issubclass(StepTimeout, TimeoutError)


def test_what_a_call_raises_is_raised_here_or_named(store):
    with pytest.raises(ValueError, match="wrong"):
        pipeline_of(store, odd, "value")()
    with pytest.raises(MlopsKitError, match=r"odd raised .*Odd, which does not pickle: 1"):
        pipeline_of(store, odd, "raise")()
    with pytest.raises(MlopsKitError, match="ended with status 3 before the step did"):
        pipeline_of(store, odd, "exit")()


def test_what_cannot_cross_is_named(store):
    with pytest.raises(NotSerializable, match=r"argument 1 of .*:quick"):
        pipeline_of(store, quick, threading.Lock())()


def test_an_async_call_is_cancelled(store):
    @mk.pipeline(store=store)
    async def run(step):
        return await step()

    with pytest.raises(StepTimeout, match="waits was cancelled after"):
        asyncio.run(run(waits))
    with pytest.raises(TimeoutError, match="of its own"):
        asyncio.run(run(raises))


@pytest.mark.parametrize("timeout", [0, -1, "soon", True])
def test_a_time_that_is_none_is_refused(timeout):
    with pytest.raises(InvalidInput):
        mk.step(lambda: 1, timeout=timeout)
