"""A call is told apart into parameters, data and models, whatever its arguments do."""

from __future__ import annotations

import enum
import pickle
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlops_kit.records import codec
from mlops_kit.records.codec import Repr
from mlops_kit.records.secrets import masked
from mlops_kit.tracking.call import Form, as_number, bind, is_data, is_model, metrics_in, parts_of, recordable

FRAME = pd.DataFrame({"x": [1, 2]})

HANGS = 60.0
"""Seconds: no measure of speed, for the machine may be busy; whoever looks at every item takes longer."""


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


class Hostile:
    """Everything that may be asked of it raises."""

    def _refuse(self, *_args, **_kwargs):
        raise RuntimeError("asked")

    __repr__ = __str__ = __len__ = __bool__ = __iter__ = __eq__ = __hash__ = _refuse
    __array__ = __float__ = __index__ = __contains__ = __getattr__ = __fspath__ = __reduce_ex__ = _refuse


class Disguised:
    """Its class cannot be asked for."""

    @property
    def __class__(self):
        raise ValueError("no class")


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


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME["x"],
        pa.table({"x": [1]}),
        pa.record_batch({"x": [1]}),
        pl.DataFrame({"x": [1]}),
        pl.Series([1]),
        np.zeros(3),
        np.zeros((2, 2)),
        sparse.csr_matrix(np.eye(2)),
        sparse.coo_array(np.eye(2)),
    ],
    ids=lambda data: f"{type(data).__module__}.{type(data).__name__}",
)
def test_tables_columns_arrays_and_sparse_matrices_are_data(data):
    assert is_data(data)
    assert list(bound(lambda x: None, data).data) == ["x"]
    assert bound(lambda x: None, data).params == {}


@pytest.mark.parametrize(
    "value", [None, 1, "x", [1], (1,), {"a": 1}, np.float64(1), np.array(1.0), object, pd.DataFrame]
)
def test_scalars_containers_and_classes_are_no_data(value):
    assert not is_data(value)


def test_data_inside_of_a_container_is_found_and_named_by_its_place():
    @dataclass
    class Split:
        train: object
        folds: int

    call = bound(lambda batch, pair, split: None, {"a": FRAME, "n": 1}, (FRAME, 2), Split(FRAME, 5))
    assert list(call.data) == ["batch.a", "pair.0", "split.train"]
    assert call.params["pair"][1] == 2


def test_an_estimator_is_a_model_and_its_settings_are_parameters():
    call = bound(lambda model: None, LogisticRegression(C=0.5))
    assert isinstance(call.models["model"], LogisticRegression)
    assert call.params["model"]["type"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert call.params["model"]["params"]["C"] == 0.5


class Predictor:
    def predict(self, X):
        return X


class Trainable(BaseEstimator):
    def fit(self, X):
        return self


@pytest.mark.parametrize("model", [LogisticRegression(), StandardScaler(), Predictor(), Trainable()])
def test_what_predicts_transforms_or_trains_is_a_model(model):
    assert is_model(model)


@pytest.mark.parametrize("value", [LogisticRegression, FRAME, FRAME["x"], pickle, 1, "fit", None, print])
def test_classes_data_modules_and_values_are_no_models(value):
    assert not is_model(value)


class Pair(NamedTuple):
    left: object
    right: object


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.True_, True),
        (np.str_("x"), "x"),
        (Path("a/b"), str(Path("a/b"))),
        ({1, 2}, {1, 2}),
        ({1: [2.5, None, (True,)]}, {1: [2.5, None, (True,)]}),
        (2**60, 2**60),
        (float("inf"), float("inf")),
        ([datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)], [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)]),
    ],
)
def test_plain_values_are_recorded_as_they_are(value, expected):
    found = recordable(value)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("value", [Colour.RED, object(), len, FRAME, OrderedDict(a=1), defaultdict(int), 1j, lambda: 0])
def test_what_has_no_plain_form_is_recorded_as_its_type_and_text(value):
    assert type(recordable(value)) is Repr


def test_a_cycle_ends_where_it_closes():
    loop = {"a": 1}
    loop["self"] = [loop]
    assert recordable(loop) == {"a": 1, "self": ["{...}"]}


@pytest.mark.parametrize(
    "value",
    [
        list(range(10**7)),
        dict.fromkeys(range(10**6)),
        "x" * 10**8,
        b"x" * 10**8,
        1 << 10_000_000,
        [["x" * 10_000] * 30] * 30,
    ],
    ids=["list", "dict", "text", "bytes", "integer", "texts"],
)
def test_enormous_parameters_are_recorded_small_and_never_hang(value):
    started = time.perf_counter()
    call = bound(lambda x: None, value)
    if isinstance(call.params["x"], int):
        pytest.fail("an integer of three million digits is kept whole")
    assert len(codec.canonical(codec.plain(call.params))) < 400_000
    assert time.perf_counter() - started < HANGS


def test_deep_parameters_are_cut():
    deep = value = []
    for _ in range(10_000):
        value.append([])
        value = value[0]
    assert len(str(bound(lambda x: None, deep).params["x"])) < 200


@pytest.mark.parametrize(
    "hostile", [Hostile(), [Hostile()], {"a": Hostile()}, (1, Hostile())], ids=["bare", "list", "dict", "tuple"]
)
def test_an_argument_that_raises_at_every_touch_is_recorded_by_its_type(hostile):
    call = bound(lambda x, depth: None, hostile, 3)
    assert call.params["depth"] == 3
    assert "Hostile" in str(call.params["x"])


def test_an_argument_without_a_class_does_not_cost_the_other_arguments():
    assert bound(lambda x, depth: None, Disguised(), 3).params["depth"] == 3


def test_a_generator_is_not_consumed():
    numbers = (number for number in range(3))
    assert "generator" in bound(lambda x: None, numbers).params["x"]
    assert list(numbers) == [0, 1, 2]


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text() | st.integers() | st.tuples(st.text(), st.floats()), inner)
            | st.frozensets(st.integers() | st.text())
            | st.builds(lambda item: Pair(item, Hostile()), inner)
        ),
        max_leaves=20,
    ),
    st.text(),
)
def test_every_value_can_be_recorded_and_masked_and_read_again(value, name):
    found = masked(name, recordable(value))
    written = codec.canonical(codec.plain(found))
    assert codec.canonical(codec.plain(codec.unplain(codec.plain(found)))) == written


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
    "value", ["1", b"1", True, None, 1j, [1], np.zeros(2), np.array(["a"]), Hostile, np.datetime64(0, "s")]
)
def test_what_is_no_number_is_none(value):
    assert as_number(value) is None


def test_an_array_without_dimensions_is_the_number_it_holds():
    assert as_number(np.array(2.5)) == 2.5


def test_a_number_with_a_hostile_shape_is_none():
    class Shaped:
        shape = [1]  # noqa: RUF012 - what cannot be hashed is the case

    assert as_number(Shaped()) is None
