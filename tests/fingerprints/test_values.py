"""Fingerprints of plain values and of any object."""

import collections
import enum
import fractions
import functools
import itertools
import json
import math
import pathlib
import pickle
import random
import re
import subprocess
import sys
import textwrap
import threading
import types
import uuid
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from time import perf_counter
from typing import NamedTuple

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from mlops_kit.errors import InvalidInput, UnsupportedData
from mlops_kit.fingerprints.values import value_fingerprint as fp


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point:
    def __init__(self, **parts):
        self.__dict__.update(parts)

    def norm(self):
        return math.hypot(self.x, self.y)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


class Tags(set):
    pass


class Pair(NamedTuple):
    left: int
    right: int


NAIVE = datetime.fromisoformat("2026-01-01")
DISTINCT = [
    None, True, False, 0, 1, -1, 2**100, -(2**100), 0.0, -0.0, 1.0, math.inf, math.nan, 1 + 0j, 1 - 0j,
    complex(0, math.nan), "", "1", "é", "\ud800", "\udc80",
    "?", b"", b"1", bytearray(b"1"), ..., NotImplemented, [], (),
    {}, set(), frozenset(), [[]], [()], [1, 2], [2, 1], (1, 2), {1, 2}, frozenset({1, 2}), {1: 2}, {2: 1},
    [[1], 2], [1, [2]], {"a": None}, {"a": {}}, ["a", "b"], ["ab"], Pair(1, 2), range(3), range(0, 4, 2),
    slice(3), slice(None, 3, 1), NAIVE, datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Warsaw")), NAIVE.replace(fold=1),
    date(2026, 1, 1), time(1), time(1, fold=1), timedelta(1), timedelta(seconds=1), Decimal(1),
    Decimal("1.0"), fractions.Fraction(1), fractions.Fraction(1, 2), uuid.UUID(int=1), pathlib.Path("a"),
    pathlib.Path("a/b"), Color.RED, Color.BLUE, re.compile("a"), re.compile("a", re.IGNORECASE),
    np.float64(1), np.float32(1), np.int64(1), np.bool_(True), np.str_("1"), np.datetime64(1, "s"),
    np.dtype("f8"), np.dtype("f4"), np.array([1.0]), np.array([1]), np.array([[1.0]]),
    np.array([1.0], dtype=object), np.array([1], dtype=object), np.array(["a", None], dtype=object),
    np.array(["1"]), sparse.csr_array([[1.0]]), pd.Timestamp(0), pd.Timedelta(1), pd.NaT, pd.NA,
    pd.Series([1]), pd.DataFrame({"x": [1]}), pa.table({"y": [1]}), pa.array([1, 2]),
    pl.DataFrame({"z": [1]}), pl.Series("w", [1]), np.random.RandomState(0), np.random.RandomState(1),
    np.random.default_rng(0), np.random.default_rng(1), np.random.MT19937(np.random.SeedSequence(1)), len,
    sum, [].append, str.lower, math, math.sin, json.dumps, np.mean, np.add, np.sum, Point, Slotted, Color,
    int, dict, LogisticRegression, SVC, lambda x: x, lambda x: x + 1, functools.partial(int, base=2),
    functools.partial(int, base=3), itertools.chain, Point(x=1), Point(x=1, y=None), Point(x=2),
    Point(x=1).norm, Slotted(1, 2), Slotted(2, 1), Tags({1}), Tags({2}), collections.Counter("ab"),
    collections.Counter("aab"), collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1),
    collections.defaultdict(int), collections.defaultdict(list), collections.deque([1]),
    collections.deque([1], maxlen=1), types.SimpleNamespace(a=1), types.MappingProxyType({1: 2}), list[int],
    int | str, ValueError("a"), ValueError("b"), KeyError("a"),
]  # fmt: skip

HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.tuples(inner) | st.frozensets(inner, max_size=4),
    max_leaves=5,
)
PLAIN = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(HASHABLE, inner, max_size=4) | st.sets(HASHABLE, max_size=4)
    ),
    max_leaves=12,
)


def in_a_new_process(code, *, seed):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PYTHONHASHSEED": str(seed), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_two_distinct_values_differ():
    found = {}
    for value in DISTINCT:
        twin = found.setdefault(fp(value), value)
        assert twin is value, (twin, value)


def named(value):
    """Name a case without its address, which differs from process to process."""
    return re.sub(r" at 0x\w+", "", repr(value))


@pytest.mark.parametrize("value", DISTINCT, ids=named)
def test_a_value_agrees_with_its_copy(value):
    copy = cloudpickle.loads(cloudpickle.dumps(value))
    assert fp(copy) == fp(value)


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_a_value_agrees_with_its_pickled_copy_and_not_with_its_wrapping(value):
    assert fp(pickle.loads(pickle.dumps(value))) == fp(value)
    assert len({fp(value), fp([value]), fp((value,)), fp({"x": value})}) == 4


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(HASHABLE, PLAIN, max_size=6), st.randoms())
def test_the_order_of_dicts_and_sets_does_not_count(mapping, rng):
    keys = list(mapping)
    rng.shuffle(keys)
    assert fp({key: mapping[key] for key in keys}) == fp(mapping)
    assert fp(set(keys)) == fp(set(mapping))


def test_the_order_of_attributes_does_not_count():
    assert fp(Point(x=1, y=2)) == fp(Point(y=2, x=1))


def test_all_nan_are_one():
    assert fp(math.nan) == fp(-math.nan) == fp(float("-nan"))
    assert fp([math.nan]) == fp([float("nan")])
    assert fp(np.float64("nan")) == fp(-np.float64("nan"))


def test_hash_seeds_and_processes_do_not_count():
    code = """
        import enum, numpy as np
        from mlops_kit.fingerprints.values import value_fingerprint as fp
        class Tags(set): pass
        class Color(enum.Enum):
            RED = 1
        names = [str(i) for i in range(50)]
        def keep(x): return x in {"a", "b", "c"}
        class Model:
            def __init__(self): self.seen = set(names); self.tags = Tags(names); self.keep = keep
        mixed = [Color.RED, np.array(names, object), np.random.RandomState(3)]
        plain = [set(names), dict.fromkeys(set(names)), frozenset(names)]
        print(*map(fp, [*plain, Tags(names), Model(), keep, mixed]))
    """
    runs = [in_a_new_process(code, seed=seed) for seed in (0, 1, 2)]
    assert runs[0] == runs[1] == runs[2]
    assert len(set(runs[0])) == 7


def test_sharing_does_not_count():
    part = [1, {"a": 2}]
    assert fp([part, part]) == fp([[1, {"a": 2}], [1, {"a": 2}]])
    assert fp({1: part, 2: (part,)}) == fp({2: ([1, {"a": 2}],), 1: [1, {"a": 2}]})


def test_massive_sharing_costs_little():
    value = [0]
    for _ in range(500):
        value = [value, value]
    assert fp(value)[:4] == "fp1:"


def ring(length, content=0):
    nodes = [[content] for _ in range(length)]
    for node, following in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        node.append(following)
    return nodes[0]


def test_cycles_are_followed_once():
    assert fp(ring(3)) == fp(ring(3))
    assert len({fp(ring(1)), fp(ring(2)), fp(ring(3)), fp(ring(3, 1)), fp([0, [0]])}) == 5
    parent, child = Point(name="parent"), Point(name="child")
    parent.children, child.parent = {1: child}, parent
    assert fp(pickle.loads(pickle.dumps(parent))) == fp(parent)


def test_cycles_inside_of_dicts_are_told_apart_whatever_the_order():
    def family(names):
        root = {}
        for name in names:
            root[name] = {"name": name, "root": root}
        return root

    assert fp(family("abc")) == fp(family("cba"))
    assert fp(family("abc")) != fp(family("abd"))


def test_a_shared_part_of_a_cycle_is_written_for_each_place():
    root = []
    part = ["part", root]
    root += [part, [part]]
    other = []
    other += [["part", other], [["part", other]]]
    assert fp(root) == fp(other)


def test_a_reference_back_from_deep_within_a_shared_part_counts_its_levels():
    root = []
    part = ["part", ["within", root]]
    root += [part, [part]]
    other = []
    other += [["part", ["within", other]], [["part", ["within", other]]]]
    assert fp(root) == fp(other)


def test_what_a_reference_back_leads_to_counts():
    outer, inner, alone = [], [], []
    outer.append(inner)
    inner.append(outer)
    alone.append(alone)
    assert fp(outer) != fp([alone])


def test_nesting_has_no_limit_of_recursion():
    value, other = None, 1
    for _ in range(20_000):
        value, other = [value], [other]
    assert fp(value) != fp(other)


def test_bottomless_nesting_is_an_error():
    class Bottomless:
        def __reduce__(self):
            return (Bottomless, (), {"next": Bottomless()})

    with pytest.raises(InvalidInput, match="nested deeper than 100,000"):
        fp(Bottomless())


def test_a_state_that_recurses_is_an_error():
    class Endless:
        def __reduce__(self):
            return self.__reduce__()

    with pytest.raises(InvalidInput, match="recurses"):
        fp([Endless()])


@pytest.mark.parametrize(
    "opaque",
    [threading.Lock(), (i for i in "ab"), iter([1]), map(str, [1]), zip([1], [2], strict=True), sys._getframe()],
    ids=named,
)
def test_what_cannot_be_seen_is_refused_and_its_place_named(opaque):
    with pytest.raises(UnsupportedData, match=r"Point.*model.*steps.*1"):
        fp(Point(model={"steps": [0, opaque]}))


def test_an_iterator_is_not_consumed():
    numbers = iter([1, 2, 3])
    with pytest.raises(UnsupportedData, match="once"):
        fp([numbers])
    assert list(numbers) == [1, 2, 3]


def test_data_inside_goes_by_content():
    frame = pd.DataFrame({"x": [1, 2], "s": ["a", None]})
    table = pa.Table.from_pandas(frame)
    assert fp({"d": frame}) == fp({"d": table}) == fp({"d": pl.from_arrow(table)})
    assert fp([np.zeros((2, 2))]) == fp([np.asfortranarray(np.zeros((2, 2)))])
    assert fp([sparse.csr_array([[1.0]])]) == fp([sparse.coo_matrix([[1.0]])])
    assert fp(frame) != fp(frame.assign(x=[1, 3]))


def test_what_a_mask_hides_does_not_count():
    masked = [np.ma.MaskedArray([1.0, hidden], mask=[False, True]) for hidden in (2.0, 3.0)]
    assert fp(masked[0]) == fp(masked[1])
    assert fp(masked[0]) != fp(np.ma.MaskedArray([1.0, 2.0], mask=[False, False]))


def test_arrays_of_strings_and_of_structures_with_objects_go_by_their_items():
    texts = [np.array(["a", last], np.dtypes.StringDType()) for last in ("b", "b", "c")]
    assert fp(texts[0]) == fp(texts[1]) != fp(texts[2])
    mixed = [np.array([(1, part)], [("a", "i4"), ("b", "O")]) for part in ("b", "b", "c")]
    assert fp(mixed[0]) == fp(mixed[1]) != fp(mixed[2])


def test_the_shape_of_an_array_of_objects_counts():
    row = np.array([["a", "b"]], object)
    assert len({fp(row), fp(row.T), fp(row.ravel())}) == 3


def test_generators_of_random_numbers_go_by_their_state():
    for make in (np.random.RandomState, np.random.default_rng, random.Random):
        assert fp(make(0)) == fp(make(0))
        used = make(0)
        used.random()
        assert fp(used) != fp(make(0))


def test_closures_and_methods_count_what_they_hold():
    def adder(n):
        return lambda x: x + n

    assert fp(adder(1)) == fp(adder(1))
    assert fp(adder(1)) != fp(adder(2))
    assert fp(Point(x=1, y=2).norm) != fp(Point(x=1, y=3).norm)


def test_a_cached_function_goes_by_its_code():
    double, triple = functools.cache(lambda x: 2 * x), functools.cache(lambda x: 3 * x)
    double(1)
    assert fp(double) == fp(functools.cache(lambda x: 2 * x))
    assert fp(double) != fp(triple)


def test_a_class_of_another_body_is_another_class():
    def make(text):
        names = {"__name__": "my_models"}
        exec(text, names)  # noqa: S102 - two versions of one class of the user's
        return names["Model"]()

    before, same, after = (make(f"class Model:\n def predict(self): return {n}") for n in (1, 1, 2))
    assert fp(before) == fp(same)
    assert fp(before) != fp(after)


def test_the_version_of_a_distribution_counts(monkeypatch):
    before = fp(LogisticRegression())
    monkeypatch.setattr("mlops_kit.fingerprints.objects.distribution_of", lambda _: ("scikit-learn", "99"))
    assert fp(LogisticRegression()) != before


RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
y = (X[:, 0] + 0.3 * RNG.normal(size=60) > 0).astype(int)
ESTIMATORS = [
    LogisticRegression(C=0.3),
    SVC(),
    KNeighborsClassifier(),
    RandomForestClassifier(5, random_state=0),
    HistGradientBoostingClassifier(max_iter=4, random_state=0),
    MLPClassifier(3, max_iter=300, tol=1, random_state=0),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}),
    StackingClassifier([("a", LogisticRegression()), ("b", SVC())], cv=3),
    make_pipeline(FunctionTransformer(lambda table: table * 2), StandardScaler(), LogisticRegression()),
    make_pipeline(ColumnTransformer([("o", OneHotEncoder(handle_unknown="ignore"), [0])]), LogisticRegression()),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_an_estimator_goes_by_what_it_learned(estimator):
    first = fp(estimator.fit(X, y))
    assert fp(cloudpickle.loads(cloudpickle.dumps(estimator))) == first
    assert fp(estimator.fit(X.copy(), y.copy())) == first
    changed = X.copy()
    changed[::2] += 0.5
    assert fp(estimator.fit(changed, y)) != first


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_an_estimator_that_has_predicted_is_the_same(algorithm):
    for estimator in (KNeighborsClassifier(algorithm=algorithm), LocalOutlierFactor(novelty=True, algorithm=algorithm)):
        before = fp(estimator.fit(X, y))
        estimator.predict(X + 0.1)
        assert fp(estimator) == before
    tree = estimator._tree
    assert fp(tree) != fp(type(tree)(X, leaf_size=7))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_no_estimator_changes_by_predicting(estimator):
    before = fp(estimator.fit(X, y))
    estimator.predict(X + 0.1)
    assert fp(estimator) == before


def test_seeds_and_parameters_of_estimators_count():
    forests = [RandomForestClassifier(3, random_state=seed).fit(X, y) for seed in (0, 0, 1)]
    assert fp(forests[0]) == fp(forests[1]) != fp(forests[2])
    assert fp(LogisticRegression(C=1.0)) != fp(LogisticRegression(C=2.0))


def test_addresses_that_estimators_remember_do_not_count():
    words = [["and", "the"], ["and", "the"]]
    first, second = (TfidfVectorizer(stop_words=part).fit(["the cat and dog"]) for part in words)
    assert fp(first) == fp(second)


def test_estimators_agree_across_processes():
    code = """
        import numpy as np
        from sklearn.ensemble import ExtraTreesRegressor
        from sklearn.feature_extraction.text import TfidfVectorizer
        from mlops_kit.fingerprints.values import value_fingerprint as fp
        X = np.arange(60.0).reshape(20, 3) ** 1.5
        print(fp(ExtraTreesRegressor(4, random_state=0).fit(X, X[:, 0])))
        print(fp(TfidfVectorizer(stop_words=["and", "the"]).fit(["the cat and dog", "a dog", "fish"])))
    """
    assert in_a_new_process(code, seed=1) == in_a_new_process(code, seed=2)
    assert fp(TfidfVectorizer().fit(["a cat"])) != fp(TfidfVectorizer().fit(["a dog"]))


def test_a_net_too_dense_to_unroll_is_refused_in_seconds():
    nodes = [{} for _ in range(12)]
    for node in nodes:
        node.update(enumerate(nodes))
    began = perf_counter()
    with pytest.raises(InvalidInput, match="too dense"):
        fp(nodes)
    assert perf_counter() - began < 30


def test_nodes_that_know_their_parent_and_stand_in_an_index_are_no_dense_net():
    root = {"kids": []}
    for number in range(20_000):
        root["kids"].append({"parent": root, "number": number})
    root["index"] = dict(enumerate(root["kids"]))
    assert fp(root) == fp(pickle.loads(pickle.dumps(root)))
