"""`mk.step`: outside of a pipeline a step is the function that it was."""

import asyncio
import inspect
import pickle
import subprocess
import sys

import cloudpickle
import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput


@mk.step
def add(x, y=1):
    """Add two numbers."""
    return x + y


@mk.step(retries=2)
async def later(x):
    return x


class Model:
    def __init__(self, factor):
        self.factor = factor

    @mk.step
    def scale(self, x):
        return self.factor * x

    @classmethod
    @mk.step
    def name(cls, x):
        return cls.__name__, x

    @staticmethod
    @mk.step
    def twice(x):
        return 2 * x


def test_outside_of_a_pipeline_it_is_called_as_it_was_written(tmp_path):
    assert (add(1), add(1, y=5), add(x=2)) == (2, 6, 3)
    assert asyncio.run(later(3)) == 3
    assert (Model(3).scale(2), Model.name(1), Model.twice(4)) == (6, ("Model", 1), 8)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        add()
    assert not (tmp_path / ".mlops").exists()


def test_it_keeps_its_name_signature_and_documentation():
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Add two numbers.", __name__)
    assert str(inspect.signature(add)) == "(x, y=1)"
    assert inspect.unwrap(add)(1) == 2
    assert repr(add) == "<step add>"


def test_it_pickles_by_its_name():
    assert pickle.loads(pickle.dumps(add)) is add
    assert cloudpickle.loads(cloudpickle.dumps(add)) is add
    inner = mk.step(lambda x: x + 1)
    assert cloudpickle.loads(cloudpickle.dumps(inner))(1) == 2


def test_making_a_step_imports_nothing_heavy():
    script = "import mlops_kit as mk, sys\nf = mk.step(lambda x: x)\nassert f(1) == 1\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"numpy", "pandas", "cloudpickle", "mlops_kit.store.store"} & set(done.stdout.split())


def test_options_of_a_call_leave_the_step_as_it_is():
    eager = add.with_options(refresh=True, version=2)
    assert (eager(1), eager.options.refresh, eager.options.version) == (2, True, "2")
    assert not add.options.refresh
    assert Model(3).scale.with_options(retries=1)(2) == 6


def test_an_option_does_not_shadow_a_parameter_of_the_user():
    @mk.step
    def fetch(version, retries, cache):
        return version, retries, cache

    @mk.pipeline(store="memory://shadow")
    def run():
        return fetch(version=1, retries=2, cache=3)

    assert run() == (1, 2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": 1}, "cache=1 is neither True nor False"),
        ({"retries": -1}, "retries=-1"),
        ({"retries": True}, "retries=True"),
        ({"retry_on": 5}, "retry_on=5"),
        ({"retry_on": ()}, "retry_on="),
        ({"backoff": "soon"}, "'soon' is not a span of time"),
        ({"depends_on": 5}, "depends_on=5"),
        ({"depends_on": [1]}, "depends_on="),
        ({"version": 1.5}, "version=1.5"),
        ({"ignore": [1]}, "ignore="),
        ({"fresh_for": 0}, "fresh_for=0"),
        ({"fresh_for": "now"}, "'now' is not a span of time"),
    ],
)
def test_an_option_that_cannot_mean_anything_is_refused(options, message):
    with pytest.raises(InvalidInput) as caught:
        mk.step(lambda: 1, **options)
    assert message in str(caught.value)


def test_an_unknown_option_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match=r"no option 'retry'\. Options: cache, retries"):
        add.with_options(retry=3)


def test_what_is_no_function_is_refused():
    with pytest.raises(InvalidInput, match="is a generator"):

        @mk.step
        def numbers():
            yield 1

    with pytest.raises(InvalidInput, match="put @staticmethod first"):
        mk.step(staticmethod(len))
    for other in (5, Model):
        with pytest.raises(InvalidInput, match="is for functions"):
            mk.step(other)
        with pytest.raises(InvalidInput, match="is for functions"):
            mk.pipeline(other)
