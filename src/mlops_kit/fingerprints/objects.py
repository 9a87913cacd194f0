"""What makes an object the value it is: the parts that its encoding is made of.

A writer gives the encoding, or a generator: that yields the parts as pairs of a label and an object, receives
the encoding of each, and returns the encoding of the whole. `mlops_kit.fingerprints.values` drives it, so no
depth of nesting meets the limit of recursion.
"""

from __future__ import annotations

import copyreg
import enum
import sys
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import partial
from inspect import getattr_static
from pathlib import PosixPath, WindowsPath
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, ForwardRef, TypeAlias
from uuid import UUID
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from mlops_kit.fingerprints.data import data_fingerprint, is_data
from mlops_kit.fingerprints.encoding import ATOMS, atom, encode_str, node
from mlops_kit.fingerprints.learned import learned_state
from mlops_kit.fingerprints.origin import distribution_of, is_standard, is_user_module
from mlops_kit.records.schemes import DATA, OBJECTS

Writing: TypeAlias = Generator[tuple[object, object], bytes, bytes]
Writer: TypeAlias = Callable[[Any], Writing | bytes]

_REDUCE_PROTOCOL = 4
_REDUCED_LENGTH = 6


@dataclass(slots=True)
class Manner:
    """How a value is being written, and what shows on the way.

    Parameters
    ----------
    in_order : bool
        Whether the order of dicts counts.
    scheme : int
        Of the rules that were needed so far.
    code : list of object
        The functions and classes of the user's that were met.
    """

    in_order: bool = False
    scheme: int = DATA
    code: list[Any] = field(default_factory=list)


manner: ContextVar[Manner] = ContextVar("manner", default=Manner())  # noqa: B039 - never written to: each value has its own


class OpaqueError(Exception):
    """An object does not show what it is made of; the message says why."""


def writer(obj: object) -> Writer:
    """Find how an object, no atom, is written.

    Parameters
    ----------
    obj : object
        Any object whose type is not in ``ATOMS``.

    Returns
    -------
    callable
        Makes the generator that encodes it.
    """
    kind = type(obj)
    write = _WRITERS.get(kind) or _found.get(kind)
    if write is None:
        write = next((write for family, write in _FAMILIES if isinstance(obj, family)), None) or _other(obj)
        if getattr_static(kind, "__class__") is object.__dict__["__class__"]:  # no proxy for objects of many kinds
            _found[kind] = write
    return write


def _listed(tag: str) -> Writer:
    def write(obj: Any) -> Writing:
        parts = yield from _each(enumerate(obj))
        return node(tag, parts)

    return write


def _each(pairs: Iterable[tuple[object, object]]) -> Generator[tuple[object, object], bytes, list[bytes]]:
    parts, atoms = [], ATOMS.get
    for label, item in pairs:
        plain = atoms(type(item))
        parts.append(plain(item) if plain is not None else (yield label, item))
    return parts


def _unordered(tag: str) -> Writer:
    def write(obj: Any) -> Writing:
        parts = yield from _each(("an element", item) for item in obj)
        return node(tag, sorted(parts))

    return write


def _mapping(obj: Any) -> Writing:
    items = yield from _items(obj.items())
    return node("ordered dict", items) if manner.get().in_order else node("dict", sorted(items))


class _Attributes(dict[str, Any]):
    """The state of an object, whose order no code goes by."""


def _attributes(obj: _Attributes) -> Writing:
    items = yield from _items(obj.items())
    return node("dict", sorted(items))


def _items(items: Iterable[tuple[object, object]]) -> Generator[tuple[object, object], bytes, list[bytes]]:
    parts, atoms = [], ATOMS.get
    for key, value in items:
        plain = atoms(type(key))
        first = plain(key) if plain is not None else (yield "a key", key)
        plain = atoms(type(value))
        parts.append(first + (plain(value) if plain is not None else (yield key, value)))
    return parts


def _made_of(tag: str, content: Callable[[Any], tuple[object, ...]]) -> Writer:
    def write(obj: Any) -> Writing:
        parts = yield from _each(enumerate(content(obj)))
        return node(tag, parts)

    return write


def _module(obj: ModuleType) -> bytes:
    return node("module", [encode_str(obj.__name__)])


def _class(obj: type) -> bytes:
    manner.get().scheme = OBJECTS
    if is_user_module(obj.__module__):
        return node("class", [encode_str(obj.__name__), _code(obj)])
    return node("class", _place(obj.__module__, obj.__qualname__))


def _function(obj: FunctionType) -> Writing:
    manner.get().scheme = OBJECTS
    if is_user_module(obj.__module__ or "__main__"):
        return node("function", [_code(obj)])
    place = _place(obj.__module__, obj.__qualname__)
    if "<" not in obj.__qualname__:
        return node("function", place)
    made = (obj.__code__.co_firstlineno, obj.__defaults__, obj.__kwdefaults__)
    cells = [cell.cell_contents for cell in obj.__closure__ or ()]
    parts = yield from _each(
        zip(("line", "defaults", "defaults", *obj.__code__.co_freevars), (*made, *cells), strict=True)
    )
    return node("inner function", [*place, *parts])


def _builtin(obj: Any) -> Writing:
    manner.get().scheme = OBJECTS
    owner = obj.__self__
    if owner is None or isinstance(owner, ModuleType):
        return node("function", _place(obj.__module__ or "builtins", obj.__qualname__))
    part = yield "__self__", owner
    return node("method", [part, encode_str(obj.__name__)])


def _method(obj: MethodType) -> Writing:
    parts = yield from _each([("__self__", obj.__self__), ("__func__", obj.__func__)])
    return node("method", parts)


def _enum(obj: enum.Enum) -> Writing:
    value = yield from _each([("value", obj.value)])
    return node("enum", [encode_str(type(obj).__qualname__), encode_str(str(obj.name)), *value])


def _subset(obj: Any) -> Writing:
    """Write an instance of a user's kind of set, which would reduce itself to a list in the order of hashes."""
    manner.get().scheme = OBJECTS
    parts = yield from _each(("an element", item) for item in obj)
    rest = yield from _each([("its class", type(obj)), ("__dict__", getattr(obj, "__dict__", None))])
    return node("set object", [*rest, *sorted(parts)])


def _other(obj: object) -> Writer:
    """Choose the writer of all objects of a type that is in no table."""
    if isinstance(obj, Iterator):
        return _iterator
    if is_data(obj):
        return _data
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(obj, numpy.ufunc):
            return _ufunc
        if isinstance(obj, numpy.generic):
            return _numpy_scalar
    return _object


def _iterator(obj: object) -> Writing:
    yield from ()  # what a generator raises is told with the path to the object
    raise OpaqueError(
        f"a {type(obj).__name__} gives its items once, and a fingerprint would use them up; make a list of them"
    )


def _data(obj: Any) -> Writing | bytes:
    data = data_fingerprint(obj)
    if data is not None:
        kind, fingerprint = data
        return atom(kind, fingerprint.encode())
    numpy = sys.modules["numpy"]
    if isinstance(obj, numpy.ma.MaskedArray):
        return _masked(obj)
    return _object_array(obj) if isinstance(obj, numpy.ndarray) else _object(obj)


def _ufunc(obj: Any) -> Writing:
    if obj.__name__.isidentifier():
        return (yield from _object(obj))
    raise OpaqueError("a ufunc made by numpy.frompyfunc does not show the function it calls; numpy.vectorize does")


def _numpy_scalar(obj: Any) -> Writing | bytes:
    data = data_fingerprint(sys.modules["numpy"].asarray(obj))
    if data is None:
        return _object(obj)
    kind, fingerprint = data
    return node("numpy scalar", [atom(kind, fingerprint.encode())])


def _object_array(obj: Any) -> Writing:
    names = obj.dtype.names
    if names is not None:
        parts = yield from _each(pair for name in names for pair in (("a field", name), (name, obj[name])))
    else:
        parts = yield from _each(enumerate(obj.ravel().tolist()))
    return node("object array", [encode_str(obj.dtype.kind), *map(ATOMS[int], obj.shape), *parts])


def _masked(obj: Any) -> Writing:
    """Write a masked array by what shows through the mask."""
    numpy = sys.modules["numpy"]
    mask = numpy.ma.getmaskarray(obj)
    shown = obj.filled(numpy.zeros((), obj.dtype)[()])
    parts = yield from _each([("mask", mask), ("data", shown)])
    return node("masked array", parts)


def _object(obj: Any) -> Writing:
    manner.get().scheme = OBJECTS
    reduced = _reduce(obj)
    if isinstance(reduced, str):
        wrapped = getattr(obj, "__wrapped__", None)  # of a cached function, say, which pickle knows by its name only
        inside = yield from _each([("its kind", type(obj)), ("__wrapped__", wrapped)])
        place = _place(getattr(obj, "__module__", None) or type(obj).__module__, reduced)
        return node("global", [*inside, *([] if wrapped is not None else place)])
    padded: list[Any] = list(reduced) + [None] * (_REDUCED_LENGTH - len(reduced))
    function, arguments, state, items, pairs, setter = padded
    content = learned_state(obj, state)
    if manner.get().in_order and type(content) is dict:
        content = _Attributes(content)
    parts = yield from _each([("its class", function), ("its arguments", arguments), ("", content), ("", setter)])
    listed = yield from _each(enumerate(items or ()))
    mapped = yield from _items(pairs or ())
    if not isinstance(obj, OrderedDict) and not manner.get().in_order:
        mapped.sort()
    return node("object", [*parts, node("items", listed), node("pairs", mapped)])


def _reduce(obj: Any) -> tuple[Any, ...] | str:
    reduce: Any = copyreg.dispatch_table.get(type(obj))
    try:
        reduced: tuple[Any, ...] | str = reduce(obj) if reduce else obj.__reduce_ex__(_REDUCE_PROTOCOL)
    except RecursionError:
        raise
    except Exception as error:
        kind = type(obj)
        raise OpaqueError(f"a {kind.__module__}.{kind.__qualname__} cannot be taken apart: {error}") from error
    return reduced


def _place(module: str, name: str) -> list[bytes]:
    """Name something known by its place, with the version of the distribution it comes from."""
    where = [encode_str(module), encode_str(name)]
    if is_user_module(module) or is_standard(module):
        return where
    return [*where, encode_str("==".join(distribution_of(module)))]


def _code(obj: Any) -> bytes:
    from mlops_kit.fingerprints.code import code_fingerprint  # noqa: PLC0415 - reads source, bytecode and metadata

    manner.get().code.append(obj)
    return atom("code", code_fingerprint(obj).value.encode())


_WRITERS: dict[type, Writer] = {
    list: _listed("list"),
    tuple: _listed("tuple"),
    dict: _mapping,
    _Attributes: _attributes,
    set: _unordered("set"),
    frozenset: _unordered("frozenset"),
    datetime: _made_of("datetime", lambda v: (v.replace(tzinfo=None).isoformat(), v.fold, v.tzinfo)),
    date: _made_of("date", lambda v: (v.isoformat(),)),
    time: _made_of("time", lambda v: (v.replace(tzinfo=None).isoformat(), v.fold, v.tzinfo)),
    timedelta: _made_of("timedelta", lambda v: (v.days, v.seconds, v.microseconds)),
    timezone: _made_of("timezone", lambda v: (v.utcoffset(None), v.tzname(None))),
    ZoneInfo: _made_of("zone", lambda v: (v.key,)),
    Decimal: _made_of("decimal", lambda v: (str(v),)),
    Fraction: _made_of("fraction", lambda v: (v.numerator, v.denominator)),
    UUID: _made_of("uuid", lambda v: (v.bytes,)),
    PosixPath: _made_of("path", lambda v: (v.as_posix(),)),
    WindowsPath: _made_of("path", lambda v: (v.as_posix(),)),
    range: _made_of("range", lambda v: (v.start, v.stop, v.step)),
    slice: _made_of("slice", lambda v: (v.start, v.stop, v.step)),
    partial: _made_of("partial", lambda v: (v.func, v.args, v.keywords, vars(v))),
    MappingProxyType: _made_of("mapping proxy", lambda v: (dict(v),)),
    ForwardRef: _made_of("forward reference", lambda v: (v.__forward_arg__,)),
    MethodType: _method,
    FunctionType: _function,
    BuiltinFunctionType: _builtin,
}
_found: WeakKeyDictionary[type, Writer] = WeakKeyDictionary()
_FAMILIES: tuple[tuple[type, Writer], ...] = (
    (type, _class),
    (ModuleType, _module),
    (enum.Enum, _enum),
    (set, _subset),
    (frozenset, _subset),
)
