"""The records of a run: everything comes back, and a newer writer's members do not get in the way."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import IntegrityError
from mlops_kit.records.codec import canonical
from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef, RunEnd, RunStart

AT = datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)
ANY_TEXT = st.text(st.characters(), max_size=8)
NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**60), 2**60)
PLAIN = st.none() | st.booleans() | NUMBERS | ANY_TEXT | st.lists(st.integers()) | st.tuples(st.integers(), ANY_TEXT)
POINTS = st.tuples(NUMBERS, st.none() | st.integers(), st.floats(0, 2e9))
DIGEST = "sha256:" + "ab" * 32


def start(**members):
    given = {"id": "00000000-000000000000", "name": "train", "experiment": "default", "at": AT}
    return RunStart(**{**given, "user": {"actor": "ann", "source": "git"}, "host": "box", "pid": 7, **members})


@given(st.dictionaries(ANY_TEXT, PLAIN, max_size=4), st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3))
def test_a_start_reads_back_equal(params, tags):
    written = start(params=params, tags=tags, inputs=(InputRef("X", "table", "fp1:00", 3, "train.X", 2),), boot="b")
    assert RunStart.decode(written.encode(), where="here") == written


@given(
    metrics=st.dictionaries(ANY_TEXT, NUMBERS, max_size=4),
    history=st.dictionaries(
        ANY_TEXT, st.lists(st.tuples(NUMBERS, st.none() | st.integers(), st.floats(0, 2e9)), min_size=1)
    ),
    value=PLAIN,
    problems=st.lists(ANY_TEXT).map(tuple),
)
def test_an_end_reads_back_equal(metrics, history, value, problems):
    written = RunEnd(
        AT,
        "finished",
        metrics=metrics,
        history=history,
        outputs=(OutputRef("return", "value", "json", type="builtins.int", value=value),),
        artifacts=(ArtifactRef("a/b.txt", DIGEST, 3),),
        models=({"name": "m", "version": 1},),
        resources={"seconds": 0.5},
        problems=problems,
    )
    assert RunEnd.decode(written.encode(), where="here") == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_metrics_that_are_no_numbers_survive(value):
    end = RunEnd.decode(RunEnd(AT, "finished", metrics={"m": value}).encode(), where="here")
    assert repr(end.metrics["m"]) == repr(value)


def test_a_value_returned_as_none_is_kept_as_none():
    end = RunEnd(AT, "finished", outputs=(OutputRef("return", "value", "json", value=None),))
    assert b'"value":null' in end.encode()


def test_what_is_empty_is_not_written():
    data = start().encode()
    for member in (b"params", b"inputs", b"git", b"rng", b"tags", b"parent", b"function"):
        assert b'"%s":' % member not in data


@pytest.mark.parametrize("kind", [RunStart, RunEnd])
def test_members_of_a_compatible_newer_writer_are_passed_over(kind):
    written = start() if kind is RunStart else RunEnd(AT, "finished")
    members = {**json.loads(written.encode()), "compatible": 1, "format": 9, "quantum": {"entangled": True}}
    members.pop("sum")
    head = canonical(members)[:-1]
    data = head + b',"sum":"%s"}' % hashlib.sha256(head).hexdigest().encode()
    assert kind.decode(data, where="here") == written


def test_a_start_is_no_end():
    with pytest.raises(IntegrityError, match="where a 'run-end' belongs"):
        RunEnd.decode(start().encode(), where="here")


def test_names_with_lone_surrogates_do_not_cost_the_record():
    name = b"caf\xe9.txt".decode("utf-8", "surrogateescape")  # a file named in another encoding
    written = RunEnd(
        AT,
        "finished",
        metrics={name: 0.5},
        history={name: [(0.5, None, 0.0)]},
        inputs=(InputRef(name, "table", "fp1:0"),),
        outputs=(OutputRef(name, "value", "json", value=1),),
        artifacts=(ArtifactRef(name, DIGEST, 3),),
    )
    assert RunEnd.decode(written.encode(), where="here") == written


def test_the_spec_of_an_input_names_its_dataset_version():
    assert InputRef("X", "table", "fp1:0", 1, "train.X", 2).spec == "train.X:2"
    assert InputRef("X", "table", "fp1:0").spec is None


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        start().name = "other"
