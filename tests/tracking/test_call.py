"""A call is told apart into parameters and data, whatever its arguments do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from mlops_kit.tracking.call import Form, as_number, bind, metrics_in, parts_of

FRAME = pd.DataFrame({"x": [1, 2]})


def bound(function, /, *args, **kwargs):
    return bind(Form(function), args, kwargs)


def test_a_keyword_that_is_called_self_is_a_parameter_and_the_receiver_is_none():
    assert bound(lambda **more: None, self=1, cls=2).params == {"self": 1, "cls": 2}
    assert bound(lambda self, a, **more: None, object(), 1, b=2).params == {"a": 1, "b": 2}
    assert bound(lambda self, a: None, object(), a=1).params == {"a": 1}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"a": 2}), ((1,), {"c": 3}), ((), {"b": 2})],
    ids=["too few", "too many", "twice", "unknown", "one missing"],
)
def test_a_call_that_does_not_fit_is_the_type_error_of_the_call_itself(args, kwargs):
    def function(a, b=2):
        pass

    with pytest.raises(TypeError):
        function(*args, **kwargs)
    with pytest.raises(TypeError):
        bound(function, *args, **kwargs)


def test_defaults_keywords_and_positional_only_arguments_are_parameters():
    def function(a, /, b, *rest, c, d=4, **more):
        pass

    call = bound(function, 1, 2, 3, 3.5, c=None, e="five")
    assert call.params == {"a": 1, "b": 2, "rest": (3, 3.5), "c": None, "d": 4, "e": "five"}
    assert list(bound(function, 1, 2, c=3).params) == ["a", "b", "c", "d"]


def test_a_keyword_with_the_name_of_a_positional_only_parameter_keeps_both():
    assert bound(lambda a, /, **more: None, 1, a=2).params == {"a": 1, "more.a": 2}


@pytest.mark.parametrize("name", ["self", "cls"])
def test_the_object_of_a_method_is_no_parameter(name):
    scope = {}
    exec(f"def function({name}, x): pass", scope)  # noqa: S102 - a parameter with either name
    assert bound(scope["function"], object(), 1).params == {"x": 1}


def test_a_call_that_does_not_fit_is_a_type_error():
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        bound(lambda x: None)


class Pair(NamedTuple):
    left: object
    right: object


@dataclass
class Scores:
    model: object
    auc: float


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (None, []),
        (1, ["return"]),
        ([1, 2], ["return"]),
        ((1, 2), ["return.0", "return.1"]),
        (Pair(1, 2), ["return.left", "return.right"]),
        (Scores(None, 0.5), ["return.model", "return.auc"]),
        ({"auc": 1}, ["return"]),
        (Scores, ["return"]),
    ],
)
def test_tuples_and_dataclasses_are_recorded_by_their_parts(result, names):
    assert [name for name, _ in parts_of(result)] == names


@pytest.mark.parametrize("value", [{}, {"a": "b"}, {1: 2}, {"a": True}, [1], 1, None, {"a": 1, "b": None}])
def test_only_a_mapping_of_names_to_numbers_is_metrics(value):
    assert metrics_in(value) is None


def test_a_mapping_of_numbers_of_any_library_is_metrics():
    assert metrics_in({"a": 1, "b": np.float32(0.5), "c": float("inf")}) == {"a": 1, "b": 0.5, "c": float("inf")}


@pytest.mark.parametrize(
    "value", ["1", b"1", True, None, 1j, [1], np.zeros(2), np.array(["a"]), object, np.datetime64(0, "s")]
)
def test_what_is_no_number_is_none(value):
    assert as_number(value) is None


def test_an_array_without_dimensions_is_the_number_it_holds():
    assert as_number(np.array(2.5)) == 2.5


def test_a_number_with_a_hostile_shape_is_none():
    class Shaped:
        shape = [1]  # noqa: RUF012 - what cannot be hashed is the case

    assert as_number(Shaped()) is None
