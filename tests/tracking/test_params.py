"""What a run keeps of a value: plain, bounded, by path, and never equal where the values are not."""

from __future__ import annotations

import argparse
import enum
import functools
import itertools
import operator
import pickle
import random
import time
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Lock
from types import MappingProxyType, SimpleNamespace
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
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

import mlops_kit as mk
from mlops_kit.records import codec
from mlops_kit.records.codec import Repr
from mlops_kit.records.paths import flat
from mlops_kit.records.secrets import masked
from mlops_kit.tracking.call import Form, bind
from mlops_kit.tracking.params import is_data, is_model, recordable

FRAME = pd.DataFrame({"x": [1, 2]})
PEOPLE = pd.DataFrame({"name": ["Ann Example", "Bob Example"]})

HANGS = 60.0
"""Seconds: no measure of speed, for the machine may be busy; whoever looks at every item takes longer."""


def bound(function, /, *args, **kwargs):
    return bind(Form(function), args, kwargs)


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


@pytest.mark.parametrize("value", [Colour.RED, object(), len, FRAME, 1j, range(3), lambda: 0])
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


class Options(dict):
    """A dict whose keys are attributes, as many libraries of configurations have."""

    __getattr__ = dict.__getitem__


class Custom:
    """A mapping by its methods only."""

    def __init__(self, options):
        self._options = options

    def keys(self):
        return self._options.keys()

    def items(self):
        return self._options.items()

    def __getitem__(self, key):
        return self._options[key]

    def __len__(self):
        return len(self._options)


class Plain:
    """An object of a user's own class that holds nothing but plain values."""

    def __init__(self, options):
        self.__dict__.update(options)


def as_pydantic(options):
    pydantic = pytest.importorskip("pydantic")
    return pydantic.create_model("Model", **{name: (object, value) for name, value in options.items()})()


def as_attrs(options):
    attr = pytest.importorskip("attr")
    return attr.make_class("Attrs", list(options))(**options)


MAPPINGS = {
    "dict": dict,
    "OrderedDict": OrderedDict,
    "defaultdict": lambda options: defaultdict(int, options),
    "Counter": Counter,
    "ChainMap": lambda options: ChainMap({}, options),
    "MappingProxyType": MappingProxyType,
    "UserDict": UserDict,
    "dict with attributes": Options,
    "Bunch": lambda options: Bunch(**options),
    "Namespace": lambda options: argparse.Namespace(**options),
    "SimpleNamespace": lambda options: SimpleNamespace(**options),
    "a mapping by its methods": Custom,
}
CLASSES = {
    "dataclass": lambda options: make_dataclass("Config", [(name, object, field(default=None)) for name in options])(
        **options
    ),
    "named tuple": lambda options: NamedTuple("Config", [(name, object) for name in options])(**options),
    "plain object": Plain,
    "pydantic": as_pydantic,
    "attrs": as_attrs,
}


@pytest.mark.parametrize("make", MAPPINGS.values(), ids=MAPPINGS)
def test_a_configuration_of_any_kind_is_recorded_as_a_dict_of_its_options(make):
    options = {"lr": 0.1, "layers": (64, 32), "depth": 3}
    assert recordable(make(options)) == options


@pytest.mark.parametrize("make", CLASSES.values(), ids=CLASSES)
def test_a_configuration_of_a_class_is_recorded_as_its_type_and_its_options(make):
    options = {"lr": 0.1, "layers": (64, 32), "depth": 3}
    found = recordable(make(options))
    assert found["params"] == options
    assert found["type"].rpartition(".")[2] in {"Config", "Plain", "Model", "Attrs"}
    assert flat({"config": found})["config.lr"] == 0.1


SETTINGS = {
    "a namespace": lambda depth: SimpleNamespace(depth=depth),
    "a dataclass": make_dataclass("Part", ["depth"]),
    "an object of plain values": lambda depth: Plain({"depth": depth}),
    "a mapping by its methods": lambda depth: Custom({"depth": depth}),
    "objects five deep": lambda depth: functools.reduce(lambda inner, _: Plain({"of": inner}), range(5), depth),
    "a list of objects": lambda depth: [Plain({"depth": depth}), Plain({"depth": 1})],
    "a path": lambda depth: Path(f"depth-{depth}"),
    "a time": lambda depth: timedelta(seconds=depth),
    "a number of numpy": np.float32,
    "a member of an enumeration": enum.Enum("Depth", {"two": 2, "five_hundred": 500}),
    "a function": lambda depth: [abs, min][depth == 2],
}


@pytest.mark.parametrize("make", SETTINGS.values(), ids=SETTINGS)
def test_an_object_that_holds_settings_of_any_kind_is_compared_by_path(make):
    one, other = (logged(Plain({"lr": 0.1, "model": make(depth)})) for depth in (2, 500))
    assert one.params["config"]["params"]["lr"] == 0.1
    assert [each.name.startswith("config.model") for each in one.diff(other).differences] == [True]


def test_an_object_that_holds_more_than_settings_is_shown_by_its_type():
    inside_itself = Plain({"lr": 0.1})
    inside_itself.me = inside_itself
    for held in (object(), iter([1]), Lock()):
        assert type(recordable(Plain({"lr": 0.1, "held": [held]}))) is Repr
    assert type(recordable(inside_itself)) is Repr


@pytest.mark.parametrize("make", [*MAPPINGS.values(), *CLASSES.values()], ids=[*MAPPINGS, *CLASSES])
@pytest.mark.parametrize("count", [3, 1500], ids=["short", "too long to be kept"])
def test_configurations_that_differ_in_one_option_are_never_called_identical(make, count):
    options = {f"option_{number}": number for number in range(count)}
    last = f"option_{count - 1}"
    one, same, other = (logged(make(each)) for each in (options, dict(options), {**options, last: -1}))
    assert [each.name.startswith("config") for each in one.diff(other).differences] == [True]
    assert count > 3 or one.diff(other).differences[0].name == f"config.{last}"
    assert not one.diff(same).differences
    assert one.diff(same).identical


def logged(value):
    with mk.start_run() as run:
        run.log_param("config", value)
    return mk.get_run(run.id)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 20_000,
        b"x" * 20_000,
        bytearray(20_000),
        1 << 20_000,
        list(range(2000)),
        tuple(range(2000)),
        set(range(2000)),
        deque(range(2000)),
        UserList(range(2000)),
        [[[[[[[[[["deep"]]]]]]]]]],
        {"a": list(range(2000))},
        Decimal("0.1"),
        Colour.RED,
        [np.zeros(3), np.ones(3)] * 600,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_cut_keeps_a_fingerprint_of_the_whole(value):
    fingerprints = [item.fingerprint for item in parts(recordable(value)) if isinstance(item, Repr)]
    assert fingerprints
    assert None not in fingerprints
    assert codec.unplain(codec.plain(recordable(value))) == recordable(value)
    assert [item.fingerprint for item in parts(codec.unplain(codec.plain(recordable(value))))] == fingerprints


def parts(value):
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return [item for each in held for item in ([each] if each is value or isinstance(each, Repr) else parts(each))]


@given(st.integers(1001, 3000), st.data())
def test_any_change_of_a_long_list_changes_what_is_recorded(length, data):
    values = [float(number) for number in range(length)]
    changed = list(values)
    changed[data.draw(st.integers(0, length - 1))] = -1.0
    assert recordable(values).fingerprint == recordable(list(values)).fingerprint
    assert recordable(values).fingerprint != recordable(changed).fingerprint


def test_what_no_fingerprint_can_see_is_not_compared_and_never_called_identical():
    found = [logged(iter([1])).diff(logged(iter([2]))), logged([1, Lock()]).diff(logged([1, Lock()]))]
    for each, name in zip(found, ("params.config", "params.config.1"), strict=True):
        assert not each.identical
        assert each.not_compared == (name,)
        assert "identical in params" not in str(each)
        assert name in str(each)
        assert name in each._repr_html_()


def test_a_masked_secret_is_not_compared():
    found = logged({"password": "one"}).diff(logged({"password": "two"}))
    assert not found.differences
    assert found.not_compared == ("params.config.password",)


def test_a_fingerprint_does_not_let_a_masked_secret_be_guessed():
    class Connection:
        def __init__(self):
            self.socket = object()

        def __repr__(self):
            return "Connection(password='1234')"

    found = masked("connection", recordable(Connection()))
    assert "1234" not in found
    assert found.fingerprint is None


class Client(BaseEstimator):
    def __init__(self, api_key=None, depth=3):
        self.api_key = api_key
        self.depth = depth

    def fit(self, X, y=None):
        return self


@pytest.mark.parametrize(
    "make",
    [
        lambda secret: Plain({"password": secret}),
        lambda secret: Plain({"db": Plain({"url": f"https://ann:{secret}@db/x"})}),
        lambda secret: Plain({"steps": [{"token": secret}]}),
        Client,
    ],
    ids=["in an object", "in an object within", "in a list", "in an estimator"],
)
def test_no_fingerprint_of_what_holds_a_masked_secret_is_kept(make):
    found = logged(make("one-secret"))
    assert "fingerprint" not in str(found.params)
    assert not found.diff(logged(make("two-secrets"))).differences
    assert "fingerprint" in logged(make(None) if make is Client else Plain({"depth": 3})).params["config"]


class Holder:
    def __init__(self, data):
        self.inner = {"deep": [data]}

    def __repr__(self):
        return f"Holder({self.inner})"


def is_source(path):
    return b'"record":"sources"' in path.read_bytes()


@dataclass
class Split:
    train: object
    folds: int


CONTAINERS = {
    "list": lambda data: [data],
    "dict": lambda data: {"a": data},
    "tuple": lambda data: (data,),
    "named tuple": lambda data: Pair(data, 1),
    "dataclass": lambda data: Split(data, 5),
    "OrderedDict": lambda data: OrderedDict(a=data),
    "ChainMap": lambda data: ChainMap({"a": data}),
    "deque": lambda data: deque([data]),
    "Bunch": lambda data: Bunch(data=data),
    "SimpleNamespace": lambda data: SimpleNamespace(data=data),
    "nested": lambda data: {"a": [{"b": (Split(data, 5),)}]},
    "object with a text of its own": Holder,
    "object": Plain,
    "partial": lambda data: functools.partial(print, data),
    "keywords of a partial": lambda data: functools.partial(print, end={"a": [data]}),
    "values of a dict": lambda data: {"a": data}.values(),
    "values of a proxy": lambda data: MappingProxyType({"a": data}).values(),
}


@pytest.mark.parametrize(
    ("make", "data"),
    [
        *((make, PEOPLE) for make in CONTAINERS.values()),
        (CONTAINERS["dataclass"], PEOPLE["name"]),
        (CONTAINERS["deque"], pa.table(PEOPLE)),
        (CONTAINERS["object"], pl.DataFrame({"name": list(PEOPLE["name"])})),
    ],
    ids=[*CONTAINERS, "a column", "an Arrow table", "a frame of polars"],
)
def test_data_inside_of_any_container_is_an_input_and_never_text(make, data, tmp_path):
    value = make({"data": data}) if make is Plain else make(data)

    @mk.track(snapshot=False)
    def fit(first, *rest, **more):
        mk.log_param("logged", first)

    fit(value, value, key=value)
    run = mk.get_run(fit.last_run.id)
    assert len(run.inputs) == 3
    assert {ref.fingerprint for ref in run.inputs.values()} == {mk.fingerprint(data)}
    assert {name.partition(".")[0] for name in run.inputs} == {"first", "rest", "key"}
    assert "Ann Example" not in repr(run.params)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not is_source(path)]
    assert files
    assert not [path for path in files if b"Ann Example" in path.read_bytes()]
    fit(value, value, key=value)
    again = run.diff(fit.last_run)
    assert not again.differences
    assert {name.removeprefix("params.").partition(".")[0] for name in again.not_compared} <= {"logged"}


NAMES = ["Cleo Sample", "Dora Sample"]


class Guarded:
    """An object whose text shows what it holds out of sight."""

    __slots__ = ("__held",)

    def __init__(self, held):
        self.__held = held

    def __repr__(self):
        return f"Guarded({self.__held})"


SHOWING = {
    "categorical": lambda: pd.Categorical(NAMES),
    "extension array": lambda: pd.Series(NAMES, dtype=object).array,
    "extension array of moments": lambda: pd.Series(pd.to_datetime(["2024", "2025"])).array,
    "object that hides what it holds": lambda: Guarded([{"rows": pd.Series(NAMES)}]),
    "iterator that shows its rest": lambda: itertools.repeat(pd.Series(NAMES)),
    "bound to data": lambda: [operator.methodcaller("take", pd.Series(NAMES))],
}


@pytest.mark.parametrize("make", SHOWING.values(), ids=list(SHOWING))
def test_no_text_of_a_value_shows_rows(make):
    value = make()
    assert any(part in repr(value) for part in ("Sample", "2024"))
    found = repr(bound(lambda x: None, value).params)
    assert "Sample" not in found
    assert "2024" not in found


def test_text_that_shows_no_rows_is_kept():
    values = [np.random.default_rng(0), np.random.RandomState(0), range(3), np.dtype("int8"), Decimal(1)]
    assert bound(lambda x: None, values).params["x"] == [
        "Generator(PCG64)",
        "RandomState(MT19937)",
        "range(0, 3)",
        "dtype('int8')",
        "Decimal('1')",
    ]


def test_data_inside_of_a_container_is_found_and_named_by_its_place():
    call = bound(lambda batch, pair, split: None, {"a": FRAME, "n": 1}, (FRAME, 2), Split(FRAME, 5))
    assert list(call.data) == ["batch.a", "pair.0", "split.train"]
    assert call.params["pair"][1] == 2


def test_of_hundreds_of_tables_some_are_inputs_and_none_is_lost_to_the_comparison():
    frames = [pd.DataFrame({"x": [number]}) for number in range(200)]
    changed = [*frames[:-1], pd.DataFrame({"x": [-1]})]
    one, other = (bound(lambda x: None, value).params["x"] for value in (frames, changed))
    assert [left.fingerprint == right.fingerprint for left, right in zip(one, other, strict=True)] == [True] * 199 + [
        False
    ]


def test_an_estimator_is_described_by_its_settings_and_its_fingerprint():
    found = recordable(LogisticRegression(C=0.5))
    assert found["type"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert found["params"]["C"] == 0.5
    assert found["fingerprint"] == mk.fingerprint(LogisticRegression(C=0.5))


def test_the_steps_of_composed_estimators_are_found_by_their_names():
    scaler = ColumnTransformer([("scale", StandardScaler(with_mean=False), ["x"])])
    model = GridSearchCV(Pipeline([("prepare", scaler), ("fit", LogisticRegression(C=2.0))]), {"fit__C": [1.0, 2.0]})
    found = flat({"model": recordable(model)})
    assert found["model"].endswith(".GridSearchCV")
    assert found["model.estimator.fit.C"] == 2.0
    assert found["model.estimator.prepare.scale.with_mean"] is False
    assert found["model.estimator.prepare.transformers"] == [("scale", "StandardScaler", ["x"])]
    assert found["model.param_grid.fit__C"] == [1.0, 2.0]


def test_equal_settings_of_differently_fitted_estimators_are_told_by_their_fingerprints():
    fitted = [LogisticRegression().fit([[0.0], [1.0]], target) for target in ([0, 1], [1, 0])]
    found = logged({"inner": fitted[0]}).diff(logged({"inner": fitted[1]})).differences
    assert [each.name for each in found] == ["config.inner.fingerprint"]


def test_a_number_of_torch_is_recorded_as_a_number():
    torch = pytest.importorskip("torch")
    assert recordable(torch.tensor(2.5)) == 2.5
    assert recordable({"steps": torch.tensor(3)}) == {"steps": 3}


@pytest.mark.parametrize("value", [bytearray(b"abc"), [bytearray(b"abc")], {"key": bytearray(b"abc")}])
def test_a_bytearray_is_kept_with_its_value(value):
    assert recordable(value) == value


def test_keys_that_have_one_text_do_not_hide_each_other():
    class Key:
        def __repr__(self):
            return "key"

    found = recordable({Key(): 1, Key(): 2})
    assert isinstance(found, Repr)
    assert "2 items" in found


def test_the_state_of_a_generator_of_random_numbers_is_compared():
    one, same, other = (recordable(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert recordable(random.Random(1))["fingerprint"] != recordable(random.Random(2))["fingerprint"]
