"""Whether what was read has the types that its record declares."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from mlops_kit.errors import IntegrityError
from mlops_kit.records.shape import Count, Members, Number, checked, reading


@dataclass
class Inner:
    name: str


@dataclass
class Record:
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    number: Number = 1
    count: Count = 0
    value: float = 0.5
    flag: bool = True
    text: str | None = None
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    point: tuple[float, int | None] = (1.0, None)
    names: dict[str, list[str]] = field(default_factory=dict)
    made: Annotated[dict[str, Any], Members({"name": str}, {"size": int})] = field(
        default_factory=lambda: {"name": "x"}
    )
    free: Any = None


def test_a_record_of_the_declared_types_is_given_back():
    record = Record(value=3, text="x", many=(Inner("a"),), names={"a": ["b"]}, free=object())
    assert checked(record) is record


@pytest.mark.parametrize(
    "odd",
    [
        {"at": "2026-01-01"},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"at": datetime(9999, 12, 31, tzinfo=UTC)},
        {"at": datetime(1, 1, 1, tzinfo=UTC)},
        {"number": 0},
        {"number": True},
        {"count": -1},
        {"value": "0.5"},
        {"flag": 1},
        {"text": 5},
        {"inner": {"name": "a"}},
        {"inner": Inner(5)},
        {"many": (Inner("a"), Inner(None))},
        {"many": [Inner("a")]},
        {"point": (1.0,)},
        {"point": (1.0, 0.5)},
        {"names": {"a": "b"}},
        {"names": {1: ["b"]}},
        {"made": {}},
        {"made": {"name": "x", "size": "large"}},
    ],
)
def test_a_member_of_another_type_is_told_by_name(odd):
    with pytest.raises(TypeError, match=r"the member '\w+' may not be"):
        checked(Record(**odd))


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        TypeError("x"),
        ValueError("x"),
        RecursionError(),
        OverflowError(),
        MemoryError(),
        AttributeError("x"),
    ],
)
def test_whatever_goes_wrong_in_reading_is_a_typed_error_that_names_the_record(error):
    with pytest.raises(IntegrityError, match=r"The record runs/x\.json has other members"), reading("runs/x.json"):
        raise error


def test_a_typed_error_that_names_the_record_is_passed_on_and_another_gets_its_name():
    first = IntegrityError("runs/x.json is damaged")
    with pytest.raises(IntegrityError) as raised, reading("runs/x.json"):
        raise first
    assert raised.value is first
    with pytest.raises(IntegrityError, match=r"runs/x\.json cannot be read: no"), reading("runs/x.json"):
        raise IntegrityError("no")
