"""Objects as bytes and back, and what is said about the part that does not go."""

import functools
import pickle
import sys
import threading

import cloudpickle
import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, NotSerializable
from mlops_kit.store.serializers import serializer

pickled = serializer("cloudpickle")


class Box:
    def __init__(self, **members):
        self.__dict__.update(members)


class Hostile:
    def __reduce__(self):
        raise RuntimeError("not today")


@pytest.mark.parametrize("value", [None, 3, {"a": [1, (2,)]}, b"x" * 100_000])
def test_a_value_comes_back_equal(value):
    assert pickled.load(pickled.dump(value, what="model"), what="model") == value


def test_what_is_defined_on_the_spot_comes_back_whole():
    depth = 3
    double = pickled.load(pickled.dump(lambda x: x * depth, what="model"), what="model")
    assert double(2) == 6


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (
            Box(steps=[("scale", Box()), ("fit", Box(lock=threading.Lock()))]),
            r"model.steps[1][1].lock is of type _thread.lock",
        ),
        ({"a": {"b": threading.Lock()}}, "model['a']['b']"),
        (Box(inner=Hostile()), "model.inner"),
        (threading.Lock(), "model is of type _thread.lock"),
        (Box(numbers=(i for i in range(3))), "model.numbers is of type generator"),
    ],
    ids=["pipeline", "dict", "reduce", "itself", "generator"],
)
def test_the_part_that_does_not_pickle_is_named_by_its_path(value, path):
    with pytest.raises(NotSerializable) as caught:
        pickled.dump(value, what="model")
    assert path in str(caught.value)
    assert "__getstate__" in str(caught.value)


def test_the_culprit_is_found_in_a_closure():
    lock = threading.Lock()

    def predict():
        return lock

    with pytest.raises(NotSerializable, match=r"model\.<closure lock>"):
        pickled.dump(predict, what="model")


def test_the_culprit_is_found_in_slots():
    class Slotted:
        __slots__ = ("lock",)

        def __init__(self):
            self.lock = threading.Lock()

    with pytest.raises(NotSerializable, match=r"model\.lock is of type _thread\.lock"):
        pickled.dump(Slotted(), what="model")


def test_an_object_that_contains_itself_and_a_culprit_is_looked_through_once():
    box = Box(lock=threading.Lock())
    box.me = box
    with pytest.raises(NotSerializable, match=r"model\.lock"):
        pickled.dump(box, what="model")


def chain(length, end):
    first = last = Box()
    for _ in range(length):
        last.next = last = Box()
    last.next = end
    return first


def test_the_part_of_a_long_chain_of_objects_is_found_without_pickling_each(monkeypatch):
    pickles = []

    class Counted(cloudpickle.Pickler):
        def __init__(self, *args, **kwargs):
            pickles.append(1)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(cloudpickle, "Pickler", Counted)
    with pytest.raises(NotSerializable, match=r"model\.next\.next") as caught:
        pickled.dump(chain(150, threading.Lock()), what="model")
    assert len(pickles) <= 2
    assert len(str(caught.value)) < 2000
    assert "_thread.lock" in str(caught.value)


def test_the_last_of_many_parts_is_found_before_the_others_are_blamed():
    box = Box(numbers=list(range(100_000)), parts=[Box(a=1), Box(lock=threading.Lock())], more=Hostile())
    with pytest.raises(NotSerializable, match=r"model\.parts\[1\]\.lock is of type _thread\.lock"):
        pickled.dump(box, what="model")


@pytest.mark.parametrize("data", [b"", b"{}", b"\x80\x05.", b"not a pickle", pickle.dumps([1])[:-3]])
def test_bytes_that_are_no_pickle_are_told_and_not_a_crash(data):
    with pytest.raises(NotSerializable, match="cannot be restored"):
        pickled.load(data, what="model")


def test_code_that_is_not_here_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone_module.py").write_text("class Model: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_module

    data = pickled.dump(gone_module.Model(), what="model")
    monkeypatch.setattr(gone_module, "Model", None)
    del gone_module.Model
    with pytest.raises(NotSerializable, match="Model"):
        pickled.load(data, what="model")
    monkeypatch.delitem(sys.modules, "gone_module")
    (tmp_path / "gone_module.py").unlink()
    import importlib

    importlib.invalidate_caches()
    with pytest.raises(NotSerializable, match="needs the module 'gone_module'"):
        pickled.load(data, what="model")


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match=r"There is no format 'joblib'. Formats: cloudpickle"):
        serializer("joblib")


class Node:
    def __init__(self, inner):
        self.inner = inner


def nested(length):
    node = None
    for _ in range(length):
        node = Node(node)
    return node


@pytest.mark.parametrize("build", [nested, lambda length: functools.reduce(lambda inner, _: [inner], range(length), 1)])
def test_what_is_nested_too_deeply_is_named_as_such_and_no_part_of_it_blamed(build):
    with pytest.raises(NotSerializable, match="nested too deeply for Python's recursion limit") as caught:
        serializer("cloudpickle").dump(build(5000), what="model")
    assert "__getstate__" not in str(caught.value)


def test_an_output_that_is_nested_too_deeply_is_a_problem_that_says_so():
    @mk.track
    def train():
        return nested(5000)

    with pytest.warns(mk.errors.RecordingWarning, match="nested too deeply"):
        train()
