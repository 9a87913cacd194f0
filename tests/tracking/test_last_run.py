"""The last run of a tracked function is found below other decorators too."""

from __future__ import annotations

import asyncio
import functools

import cloudpickle
import pytest

import mlops_kit as mk


def timed(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


class Counted:
    def __init__(self, function):
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args):
        return self.function(*args)


DECORATORS = {
    "wraps": timed,
    "wraps twice": lambda function: timed(timed(function)),
    "lru_cache": functools.lru_cache,
    "a class": Counted,
    "partial": lambda function: functools.update_wrapper(functools.partial(function), function),
}


@pytest.mark.parametrize("how", DECORATORS)
def test_the_last_run_is_known_on_every_decorator_that_copied_it(how):
    @mk.track
    def train(n):
        return n

    outer = DECORATORS[how](train)
    assert outer.last_run is None
    outer(1)
    first = outer.last_run
    outer(2)
    assert (first.params, outer.last_run.params, train.last_run) == ({"n": 1}, {"n": 2}, outer.last_run)
    late = timed(train)
    late(3)
    assert late.last_run.params == outer.last_run.params == {"n": 3}


def test_the_last_run_of_a_function_that_calls_itself_is_the_outermost():
    @timed
    @mk.track
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    factorial(3)
    assert factorial.last_run.params == {"n": 3}


def test_each_tracked_function_has_its_own():
    @mk.track
    def one():
        return 1

    @mk.track
    def two():
        return one()

    outer = timed(two)
    outer()
    assert (one.last_run.name, outer.last_run.name, two.last_run.name) == ("one", "two", "two")


def test_methods_and_class_methods_know_their_last_run():
    class Trainer:
        @classmethod
        @mk.track
        def train(cls, n):
            return n

        @staticmethod
        @timed
        @mk.track
        def check(n):
            return n

        @mk.track
        def fit(self, n):
            return n

    Trainer.train(1)
    Trainer().fit(2)
    Trainer.check(3)
    assert [method.last_run.params["n"] for method in (Trainer.train, Trainer().fit, Trainer.check)] == [1, 2, 3]


def test_a_coroutine_below_a_decorator_knows_its_last_run():
    def patient(function):
        @functools.wraps(function)
        async def inner(n):
            return await function(n)

        return inner

    @patient
    @mk.track
    async def train(n):
        return n

    asyncio.run(train(4))
    assert train.last_run.params == {"n": 4}


def test_a_function_that_was_pickled_knows_its_own_last_run():
    @timed
    @mk.track
    def train(n):
        return n

    again = cloudpickle.loads(cloudpickle.dumps(train))
    again(5)
    assert (again.last_run.params, train.last_run) == ({"n": 5}, None)
