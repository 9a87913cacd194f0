"""How the values that code reads are written into its part, and what they refer to.

A value without code is written whole. A function, class or object of the user's own is written by name and
noted as a reference; what it is made of, is its own part.
"""

from __future__ import annotations

import enum
import functools
import logging
import operator
import sys
import threading
import types
from collections.abc import Callable, Collection
from contextvars import ContextVar
from inspect import getattr_static
from typing import Any, get_args, get_origin

from mlops_kit.fingerprints.bytecode import framed
from mlops_kit.fingerprints.encoding import ATOMS
from mlops_kit.fingerprints.evidence import Evidence
from mlops_kit.fingerprints.introspection import (
    c_function_of,
    is_code,
    is_structural,
    is_user_class,
    is_user_function,
    module_of,
    qualname_of,
    state_of,
)
from mlops_kit.fingerprints.origin import distribution_of, is_standard, is_user_module, module_name

_DEPTH = 100
_MOST_AGAIN = 1_000
"""So often containers of containers that were met before are written again; what shares far more is not looked at."""
_OWN = __name__.partition(".")[0]
_C_FUNCTIONS = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
_FIXED = {kind: encode for kind, encode in ATOMS.items() if kind is not bytearray}
_SHARING = frozenset({list, tuple, dict, set, frozenset})
_CACHED = type(functools.cache(len))
_MEMBER = ("_name_", "_value_")
_UNSET = object()

found_within: ContextVar[list[ReferenceWriter] | None] = ContextVar("found_within", default=None)
_busy: ContextVar[frozenset[int]] = ContextVar("_busy", default=frozenset())


class ReferenceWriter:
    """Writes values, one after the other, and collects what they bring along.

    Parameters
    ----------
    ignore : collection of str
        Names, bare or as ``"module:name"``, whose content is not to be looked at.
    """

    def __init__(self, ignore: Collection[str]) -> None:
        self.ignore = ignore
        self.parts: dict[str, str] = {}
        self.modules: set[str] = set()
        self.distributions: dict[str, str] = {}
        self.opaque: dict[str, None] = {}
        self.evidence = Evidence()
        self.refs: list[object] = []
        self._fixed = True
        self._depth = 0
        self._path: dict[int, int] = {}
        self._met: set[int] = set()
        self._again = 0

    def slot(self, value: object, place: str) -> bytes:
        """Encode a value read from one place, and remember to look at it again if it can change in place."""
        before, outer = len(self.refs), self._fixed
        self._fixed = True
        encoded = self.encode(value, place)
        if not self._fixed:
            self.watch(ReferenceWriter.encode, value, place, encoded, self.refs[before:])
        self._fixed = outer
        return encoded

    def watch(self, encode: Callable[..., bytes], value: Any, place: str, encoded: bytes, refs: list[object]) -> None:
        """Remember to encode this again, the same way, and compare."""
        self.evidence.changeable.append((encode, value, place, encoded, refs))

    def encode(self, value: Any, place: str) -> bytes:
        """Write a value; one that cannot be seen is listed as opaque under the place it was read from."""
        plain = _FIXED.get(type(value))
        if plain is not None:
            return plain(value)
        return self._within(value, place) if self._depth else self._whole(value, place)

    def _whole(self, value: Any, place: str) -> bytes:
        """Write a value with all that is in it, or nothing of one that would take for ever.

        What is shared is written wherever it is met, so that equal values have equal bytes. Values that share what
        shares in turn, such as dicts that all know each other, would double with every level.
        """
        self._met, self._again = set(), 0
        before, fixed = len(self.refs), self._fixed
        encoded = self._within(value, place)
        if not self._is_spent():
            return encoded
        del self.refs[before:]
        self._fixed = fixed
        return self.unseen(value, place)

    def _is_spent(self) -> bool:
        return self._again > _MOST_AGAIN + 4 * len(self._met)

    def _within(self, value: Any, place: str) -> bytes:
        key = id(value)
        if key in self._path:
            return framed(b"@", qualname_of(type(value)).encode(), str(self._depth - self._path[key]).encode())
        if type(value) in _SHARING:
            self._again += key in self._met and _nests(value)
            self._met.add(key)
        if self._depth >= _DEPTH or self._is_spent():
            return self.unseen(value, place)
        self._path[key] = self._depth
        self._depth += 1
        try:
            return self._compound(value, place)
        except Exception:  # noqa: BLE001 - objects can be odder than any list of kinds; a fingerprint never fails
            return self.unseen(value, place)
        finally:
            self._depth -= 1
            del self._path[key]

    def _compound(self, value: Any, place: str) -> bytes:  # noqa: C901, PLR0911, PLR0912 - a table of the kinds of value
        kind = type(value)
        if kind is types.FunctionType:
            return self._reference_function(value, place)
        if issubclass(kind, type):
            return self._reference_class(value)
        if kind in {tuple, list}:
            self._fixed &= kind is tuple
            plain = _FIXED.get  # a long list of numbers is encoded on every call, so without a call per number
            encoded = [p(item) if (p := plain(type(item))) else self.encode(item, place) for item in value]
            return framed(kind.__name__[:1].encode(), *encoded)
        if kind in {set, frozenset}:
            self._fixed &= kind is frozenset
            return framed(b"F" if kind is frozenset else b"z", *self._sorted([(item,) for item in value], place))
        if kind is dict:
            self._fixed = False
            return framed(b"d", *[self.encode(part, place) for item in value.items() for part in item])
        if kind is bytearray:
            self._fixed = False
            return ATOMS[kind](value)
        if kind in {range, slice}:
            return framed(b"R", *[self.encode(part, place) for part in (value.start, value.stop, value.step)])
        if kind is types.MethodType:
            return framed(b"m", self.encode(value.__self__, place), self.encode(value.__func__, place))
        if kind in {staticmethod, classmethod}:
            return framed(b"w", kind.__name__.encode(), self.encode(value.__func__, place))
        if kind is property:
            return framed(b"p", *[self.encode(f, place) for f in (value.fget, value.fset, value.fdel)])
        if kind in {functools.partial, functools.partialmethod}:
            inner = (value.func, tuple(value.args), value.keywords)
            return framed(b"P", kind.__name__.encode(), *[self.encode(part, place) for part in inner])
        if kind is functools.cached_property:
            return framed(b"w", b"cached_property", self.encode(value.func, place))
        if kind is functools.singledispatchmethod:
            return framed(b"w", b"singledispatchmethod", self.encode(value.dispatcher, place))
        if issubclass(kind, types.ModuleType):
            if not is_user_module(value):
                return self._foreign(module_name(value), "")
            self.refs.append(value)
            return framed(b"M")
        if issubclass(kind, logging.Logger):
            name = logging.Logger.__getattribute__(value, "name")
            return framed(b"L", b"" if name == place.partition(":")[0] else str(name).encode())
        if module_of(kind) in {"types", "typing"} and (origin := get_origin(value)) is not None:
            return framed(b"G", self.encode(origin, place), self.encode(get_args(value), place))
        if kind in _C_FUNCTIONS:
            return self._c_function(value, place)
        if kind in {ContextVar, threading.local}:  # what they are here and now, which changes without notice
            self._fixed = False
            now = value.get(_UNSET) if kind is ContextVar else vars(value)
            return framed(b"c", kind.__name__.encode(), self.encode(now, place))
        return self._object(value, place)

    def _sorted(self, rows: list[tuple[Any, ...]], place: str) -> list[bytes]:
        """Encode rows in the order of their bytes, and take their references in that order too."""
        outer, encoded = self.refs, []
        for row in rows:
            self.refs = []
            encoded.append((framed(b"", *[self.encode(item, place) for item in row]), self.refs))
        encoded.sort(key=operator.itemgetter(0))
        self.refs = outer + [target for _, refs in encoded for target in refs]
        return [row for row, _ in encoded]

    def _object(self, value: Any, place: str) -> bytes:
        kind = type(value)
        wrapped = getattr_static(value, "__wrapped__", None)
        if isinstance(wrapped, types.MemberDescriptorType):
            wrapped = wrapped.__get__(value)
        if getattr_static(value, "__mlops_kit__", False) is True and wrapped is not None:
            version = getattr_static(value, "__mlops_kit_version__", None)  # that a step was given by hand
            return self.encode(wrapped if version is None else (wrapped, version), place)
        if wrapped is not None and not is_user_class(kind):  # lru_cache, compiled and traced functions
            return framed(b"W", self.encode(kind, place), self.encode(wrapped, place), *self._held(value, place))
        if issubclass(kind, enum.Enum):
            state = object.__getattribute__(value, "__dict__")
            return framed(b"E", self.encode(kind, place), *[self.encode(state.get(k), place) for k in _MEMBER])
        if is_structural(kind):
            self.refs.append(value)
            return framed(b"O", qualname_of(kind).encode())
        if kind is object or module_of(kind) == "dataclasses":  # markers, told apart by the name that holds them
            return framed(b"k", qualname_of(kind).encode())
        return self._by_value(value, place)

    def _held(self, wrapper: Any, place: str) -> list[bytes]:
        """Write what somebody else's wrapper holds beside the function, leaving out what it may count or cache."""
        if type(wrapper) is _CACHED:
            return [self.encode(wrapper.cache_parameters()["typed"], place)]
        held = sorted((str(name), value) for name, value in state_of(wrapper).items() if is_code(value))
        return [framed(b"=", name.encode(), self.encode(value, place)) for name, value in held]

    def _by_value(self, value: Any, place: str) -> bytes:
        busy = _busy.get()
        if id(value) in busy:
            return framed(b"@", qualname_of(type(value)).encode())
        within: list[ReferenceWriter] = []
        tokens = (_busy.set(busy | {id(value)}), found_within.set(within))
        try:
            from mlops_kit.fingerprints.values import value_fingerprint  # noqa: PLC0415 - values call us for functions

            encoded = framed(b"V", value_fingerprint(value, ordered=True).encode(), *self._labels(value, place))
            beside = _beside(value)
            if beside:
                encoded += framed(b"b", *[self.encode(part, place) for part in beside])
        except Exception:  # noqa: BLE001 - an object's own __reduce_ex__ may raise anything; it is opaque then
            return self.unseen(value, place)
        finally:
            _busy.reset(tokens[0])
            found_within.reset(tokens[1])
        self._fixed = False
        self.belongs(module_of(type(value)))
        for other in within:
            for label, digest in other.parts.items():
                self.name_part(label, digest)
            self.modules.update(other.modules)
            self.distributions.update(other.distributions)
            self.opaque.update(other.opaque)
        return encoded

    def _labels(self, value: Any, place: str) -> list[bytes]:
        """Write what code can read from a pandas object and is no content of data: labels, types, notes and flags."""
        pandas = sys.modules.get("pandas")
        if pandas is None or not isinstance(value, (pandas.DataFrame, pandas.Series, pandas.Index)):
            return []
        if isinstance(value, pandas.Index):
            frequency = getattr(value, "freqstr", None)  # of dates that were made as a regular range
            parts = (list(value.names), value.dtype, *([] if frequency is None else [frequency]))
            return [self.encode(part, place) for part in parts]
        names, dtypes = (value.columns, list(value.dtypes)) if value.ndim > 1 else (value.name, value.dtype)
        columns = [column for _, column in value.items()] if value.ndim > 1 else [value]
        kinds = [_kinds(column) for column in columns if column.dtype == object]
        notes = (value.index, names, dtypes, kinds, value.attrs, value.flags.allows_duplicate_labels)
        return [self.encode(part, place) for part in notes]

    def unseen(self, value: object, place: str) -> bytes:
        """List a place as opaque, and write the type of what is there."""
        self.opaque[place] = None
        return framed(b"?", qualname_of(type(value)).encode())

    def _foreign(self, module: str, qualname: str) -> bytes:
        self.belongs(module)
        return framed(b"X", module.encode(), qualname.encode())

    def belongs(self, module: str) -> None:
        """Note the distribution of code that is not the user's own; Python and mlops_kit need no note."""
        top = module.partition(".")[0]
        if top and top != _OWN and not is_standard(module) and not is_user_module(module):
            name, version = distribution_of(module)
            self.distributions[name] = version

    def _c_function(self, value: Any, place: str) -> bytes:
        module, name, held = c_function_of(value)
        if held is None and module in sys.modules and is_user_module(module):  # the user's own extension
            return framed(b"x", self.unseen(value, place), name.encode())
        return framed(b"x", self._foreign(module, name), self.encode(held, place))

    def _reference_function(self, function: types.FunctionType, place: str) -> bytes:
        marks = function.__dict__
        if marks.get("__mlops_kit__") is True and "__wrapped__" in marks:
            return self.encode(marks["__wrapped__"], place)
        qualname, module = qualname_of(function), module_of(function)
        if is_user_function(function):
            if f"{module}:{qualname}" not in self.ignore:
                self.refs.append(function)
            return framed(b"u", qualname.encode())
        if function.__closure__ or "__wrapped__" in marks:
            self.refs.append(function)
        return self._foreign(module, qualname)

    def _reference_class(self, cls: type) -> bytes:
        qualname, module = qualname_of(cls), module_of(cls)
        if not is_user_class(cls):
            return self._foreign(module, qualname)
        if f"{module}:{qualname}" not in self.ignore:
            self.refs.append(cls)
        return framed(b"U", qualname.encode())

    def name_part(self, label: str, digest: str) -> None:
        """Keep the digest of a part under its label, numbered if another part has the same label."""
        unique, count = label, 1
        while self.parts.setdefault(unique, digest) != digest:
            count += 1
            unique = f"{label}#{count}"


def _kinds(column: Any) -> list[type]:
    """List the types of the objects in a column: one if all are the same, else that of each row."""
    kinds = list(map(type, column.array))
    return kinds if len(set(kinds)) > 1 else kinds[:1]


def _nests(container: Any) -> bool:
    """Tell whether a container holds others, so that writing it again writes them again too."""
    items = container.values() if type(container) is dict else container
    return any(type(item) in _SHARING for item in items)


def _beside(value: Any) -> list[Any]:
    """Return what code can read from an array or table beside content and labels: byte order, what subclasses add."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.ndarray):
        beside = [] if value.dtype.isnative else [repr(value.dtype)]
        if isinstance(value, numpy.ma.MaskedArray):
            return [*beside, value.fill_value]
        return beside if module_of(type(value)).partition(".")[0] == "numpy" else [*beside, vars(value)]
    if pandas is None or not isinstance(value, (pandas.DataFrame, pandas.Series)):
        return []
    declared = () if type(value) in {pandas.DataFrame, pandas.Series} else getattr(type(value), "_metadata", ())
    return [(name, getattr(value, name, None)) for name in declared if name not in {"name", "_name"}]
