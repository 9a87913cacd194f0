"""Whether what was read has the types that a record of its kind is declared with."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from mlops_kit.errors import IntegrityError, MlopsKitError
from mlops_kit.masking import excerpt, quoted

Record = TypeVar("Record")
Test: TypeAlias = Callable[[Any], bool]

ODD = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
"""What Python raises when a value is not of the form that was expected."""

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
_SHOWN = 80


@dataclass(frozen=True)
class Members:
    """The members of a mapping whose types matter, to annotate a ``dict`` with; others are free.

    Parameters
    ----------
    needed, optional : dict
        The type of each, by name; a member that is optional may be left out, or None.
    """

    needed: Mapping[str, Any]
    optional: Mapping[str, Any]

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class AtLeast:
    """The least that an integer may be."""

    least: int


Count: TypeAlias = Annotated[int, AtLeast(0)]
Number: TypeAlias = Annotated[int, AtLeast(1)]


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Raise an `IntegrityError` that names the record if what is read inside is not of the form expected."""
    try:
        yield
    except IntegrityError as error:
        if where in str(error):
            raise
        raise IntegrityError(f"The record {where} cannot be read: {error}") from error
    except MlopsKitError:
        raise
    except ODD as error:
        raise IntegrityError(
            f"The record {where} has other members than one of its kind ({type(error).__name__}: {excerpt(error)}). It "
            "was not written by this library: restore the file from a copy of the store. `Store.fsck()` lists all that "
            "is damaged."
        ) from error


def checked(record: Record) -> Record:
    """Return a dataclass all of whose members have the types that it declares.

    Raises
    ------
    TypeError
        One has another type.

    Examples
    --------
    >>> @dataclass
    ... class Point:
    ...     x: float
    >>> checked(Point(1)).x
    1
    """
    kind: Any = type(record)
    for name, test in _tests(kind):
        value = getattr(record, name)
        if not test(value):
            raise TypeError(f"the member {name!r} may not be {_shown(value)}")
    return record


def check_members(members: Members, values: Mapping[str, Any]) -> None:
    """Check a mapping that has no class of its own.

    Raises
    ------
    TypeError
        A member is missing or has another type.
    """
    for name, test, optional in _member_tests(members):
        value = values.get(name)
        if not (test(value) or (optional and value is None)):
            raise TypeError(f"the member {name!r} may not be {_shown(value)}")


def _shown(value: object) -> str:
    """Name a value without writing all of it: it may be of any size."""
    return quoted(value, _SHOWN) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


@cache
def _tests(cls: Any) -> tuple[tuple[str, Test], ...]:
    hints = get_type_hints(cls, include_extras=True)
    tests = ((name, _test(hints[name])) for name in cls.__dataclass_fields__)
    return tuple((name, test) for name, test in tests if test is not _anything)


@cache
def _member_tests(members: Members) -> tuple[tuple[str, Test, bool], ...]:
    needed = ((name, _test(hint), False) for name, hint in members.needed.items())
    return (*needed, *((name, _test(hint), True) for name, hint in members.optional.items()))


def _anything(_value: Any) -> bool:
    return True


def _test(hint: Any) -> Test:
    """Make the test that a value has a type, as far as records use the forms of types."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin = get_origin(hint)
    if origin in _COMPOSED:
        return _COMPOSED[origin](*get_args(hint))
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: isinstance(value, hint) and checked(value) is value
    raise TypeError(f"Records have no members of the type {hint}.")


def _one_of(*hints: Any) -> Test:
    tests = [_test(hint) for hint in hints]
    return lambda value: any(test(value) for test in tests)


def _mapping(key: Any, item: Any) -> Test:
    is_key, is_item = _test(key), _test(item)
    return lambda value: isinstance(value, dict) and all(is_key(each) and is_item(value[each]) for each in value)


def _list(hint: Any) -> Test:
    is_item = _test(hint)
    return lambda value: isinstance(value, list) and all(map(is_item, value))


def _tuple(*hints: Any) -> Test:
    tests = [_test(hint) for hint in hints if hint is not ...]
    if ... in hints:
        return lambda value: isinstance(value, tuple) and all(map(tests[0], value))
    return lambda value: (
        isinstance(value, tuple)
        and len(value) == len(tests)
        and all(test(item) for test, item in zip(tests, value, strict=True))
    )


def _annotated(hint: Any, note: object) -> Test:
    inner = _test(hint)
    if isinstance(note, AtLeast):
        return lambda value: inner(value) and value >= note.least
    if isinstance(note, Members):

        def test(value: Any) -> bool:
            if not inner(value):
                return False
            check_members(note, value)
            return True

        return test
    return inner


def _is_moment(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None and _EARLIEST <= value < _LATEST


_PLAIN: dict[Any, Test] = {
    Any: _anything,
    object: _anything,
    None: lambda value: value is None,
    type(None): lambda value: value is None,
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, float | int) and not isinstance(value, bool),
    str: lambda value: isinstance(value, str),
    bytes: lambda value: isinstance(value, bytes),
    datetime: _is_moment,
}

_COMPOSED: dict[Any, Callable[..., Test]] = {
    Annotated: _annotated,
    Union: _one_of,
    types.UnionType: _one_of,
    dict: _mapping,
    list: _list,
    tuple: _tuple,
}
