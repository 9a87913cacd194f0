"""What a run keeps of a user's value: a plain, bounded form of it, and the data inside it by path.

A configuration of any kind is walked as a dict is. Whatever has no plain form, or is cut, keeps the fingerprint of
the whole value beside its text, so that two values are never taken for equal because their texts are.
"""

from __future__ import annotations

import enum
import functools
import gc
import inspect
import os
import re
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

from mlops_kit.fingerprints.data import is_data as is_foreign_data
from mlops_kit.fingerprints.values import value_fingerprint
from mlops_kit.masking import MASK, masked_text
from mlops_kit.records.codec import Repr
from mlops_kit.records.paths import described, joined, segments

_MAX_DEPTH = 8
_MAX_ITEMS = 1000
_MAX_TEXT = 10_000
_MAX_CHARACTERS = 100_000
_MAX_BITS = 16_384
_MAX_DATA = 64
_MAX_PARTS = 1_000_000
_HEAD = 8
_HEAD_ITEM = 20
_SHOWN = 200
_MAX_REFERENTS = 10_000
_REPR = 1000
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # differs from run to run and says nothing
_SCALARS = frozenset({type(None), bool, int, float, str, bytes, bytearray})
_PLAIN = _SCALARS | {datetime}
_SHOWN_BY_NAME = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType)
_RANGES = (range, memoryview, str, bytes, bytearray)
_SHOWN_AS_SETTINGS = (enum.Enum, os.PathLike, date, time, timedelta, complex, Decimal, Fraction, range, *_SHOWN_BY_NAME)
_NOT_DATA = _PLAIN | {dict, list, tuple, set, frozenset}


def is_data(value: Any) -> bool:
    """Check whether a value is a table, column, array, tensor, sparse matrix or dataset, without importing anything."""
    datasets = sys.modules.get("mlops_kit.datasets.dataset")
    if type(value) in _NOT_DATA:  # but a dict that was read from a dataset
        return type(value) is dict and datasets is not None and datasets.origin_of(value) is not None
    if datasets is not None and isinstance(value, datasets.Dataset):
        return True
    return is_foreign_data(value) and getattr(value, "ndim", 1) != 0


def is_model(value: Any) -> bool:
    """Check whether a value is something that predicts or transforms: an instance, not a class.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> is_model(DummyClassifier()), is_model(DummyClassifier), is_model("text")
    (True, False, False)
    """
    if isinstance(value, type) or inspect.ismodule(value) or type(value) in _SCALARS or is_data(value):
        return False
    kind = type(value)
    return any(
        callable(inspect.getattr_static(kind, name, None)) for name in ("predict", "transform", "state_dict")
    ) or (callable(getattr(kind, "fit", None)) and callable(getattr(kind, "get_params", None)))


def recordable(value: Any, *, name: str = "", data: dict[str, Any] | None = None) -> Any:
    """Reduce a value to one that a record can hold: plain, bounded, without cycles, without rows of data.

    Parameters
    ----------
    value : object
        Any object.
    name : str
        What it is called: the first part of the paths of the data inside it.
    data : dict, optional
        Takes the tables, arrays and datasets inside the value, by path, at most 64.

    Returns
    -------
    object
        Plain values are kept, numpy scalars become Python's, paths become text. Mappings and sequences of all kinds
        become dicts and lists; dataclasses, named tuples, pydantic and attrs models and estimators become their
        type and their parameters. Everything else, and what is too deep or too large, becomes a `Repr` with the
        fingerprint of the whole.

    Examples
    --------
    >>> from types import ModuleType, SimpleNamespace
    >>> recordable(SimpleNamespace(depth=3, layers=(64, 32)))
    {'depth': 3, 'layers': (64, 32)}
    >>> loop = [1]
    >>> loop.append(loop)
    >>> recordable(loop)
    [1, '[...]']
    """
    return _Reduction(data).of(value, name, ())


class _Reduction:
    """One value on its way into a record, with what is left of the room it may take."""

    def __init__(self, data: dict[str, Any] | None) -> None:
        self._data = data
        self._items = _MAX_ITEMS
        self._characters = _MAX_CHARACTERS
        self._in_model = False

    def of(self, value: Any, path: str, above: tuple[int, ...]) -> Any:
        """Reduce a value that stands at a path, inside the containers `above`."""
        kind = type(value)
        if kind in {str, bytes, bytearray}:
            return self._text(value)
        if kind is int and value.bit_length() > _MAX_BITS:
            return Repr("int", f"integer of {value.bit_length()} bits", _whole(value))
        if kind in _PLAIN:
            return value
        try:
            return self._structure(value, path, above)
        except Exception as error:  # noqa: BLE001 - any attribute of a user's object may raise anything
            return Repr(type_name(value), f"<{kind.__qualname__} whose attributes raise {type(error).__name__}>")

    def _text(self, value: str | bytes | bytearray) -> Any:
        if len(value) <= min(_MAX_TEXT, self._characters):
            self._characters -= len(value)
            return value
        kind = type(value).__name__
        if not isinstance(value, str):
            return Repr(kind, f"{len(value)} bytes", _whole(value))
        start = _cut(value, min(_SHOWN, max(self._characters, 0)))
        self._characters -= len(start)
        return Repr(kind, f"{start}… ({len(value)} characters)", _whole(value))

    def _structure(self, value: Any, path: str, above: tuple[int, ...]) -> Any:
        if is_data(value):
            return self._placed(value, path)
        if is_model(value):
            return self._model(value, path, above)
        if (named := _named_fields(value)) is not None:
            return described(type_name(value), self._members(value, named, path, above))
        if (mapping := _as_mapping(value)) is not None:
            return self._members(value, mapping, path, above)
        if isinstance(value, AbstractSet | Sequence | deque | ValuesView) and not isinstance(value, _RANGES):
            return self._elements(value, path, above)
        return self._other(value, path, above)

    def _placed(self, data: Any, path: str) -> Repr:
        """Set data apart under its path, and leave its shape in its place."""
        text = _shape(data)
        if self._data is None or len(self._data) >= _MAX_DATA:
            return Repr(type_name(data), text, _whole(data))
        self._data[path] = data
        return Repr(type_name(data), text)

    def _model(self, model: Any, path: str, above: tuple[int, ...]) -> Any:
        """Describe an estimator by its settings; the outermost one has a fingerprint, which covers those inside."""
        outermost, self._in_model = not self._in_model, True
        try:
            settings = self._members(model, _settings(model), path, above)
        finally:
            self._in_model = not outermost
        return described(type_name(model), settings, _whole(model, limit=None) if outermost else None)

    def _members(self, value: Any, members: Any, path: str, above: tuple[int, ...]) -> Any:
        """Reduce a mapping, or what is walked as one."""
        if (cut := self._cut(value, len(members), above)) is not None:
            return cut
        pairs = list(islice(members.items(), len(members)))
        within = (*above, id(value))
        found = {
            self._key(key): self.of(item, joined(path, segment), within)
            for segment, (key, item) in zip(segments([key for key, _ in pairs]), pairs, strict=True)
        }
        return found if len(found) == len(pairs) else _headed(value, len(pairs))  # two keys may have one text

    def _key(self, key: Any) -> Any:
        if type(key) is tuple:
            return tuple(map(self._key, key))
        return self._text(key) if type(key) in {str, bytes} else key if type(key) in _PLAIN else safe_repr(key)

    def _elements(self, value: Any, path: str, above: tuple[int, ...]) -> Any:
        """Reduce a sequence or a set of any kind."""
        if (cut := self._cut(value, len(value), above)) is not None:
            return cut
        within = (*above, id(value))
        items = [self.of(item, joined(path, str(index)), within) for index, item in enumerate(value)]
        kind = next((kind for kind in (tuple, frozenset) if type(value) is kind), list)
        if kind is list and isinstance(value, AbstractSet):
            kind = set
        try:
            found = kind(items)
        except TypeError:  # an element of a set became a dict or a list
            return _headed(value, len(items))
        return found if len(found) == len(items) else _headed(value, len(items))

    def _cut(self, value: Any, length: int, above: tuple[int, ...]) -> Repr | None:
        """Make what stands for a container that is inside itself, too deep, or too long; None if it may be walked."""
        if id(value) in above:
            return Repr(type(value).__name__, "{...}" if isinstance(value, Mapping) else "[...]", _whole(value))
        if len(above) >= _MAX_DEPTH or length > self._items:
            return _headed(value, length)
        self._items -= length
        return None

    def _other(self, value: Any, path: str, above: tuple[int, ...]) -> Any:
        attributes = _attributes(value)
        if attributes and (_is_plain_object(value, attributes) or _holds_data(attributes)):
            whole = _whole(value)  # not all that an object is made of need be an attribute
            if whole is not None or _holds_data(attributes):
                return described(type_name(value), self._members(value, attributes, path, above), whole)
        return _leaf(value)


def _leaf(value: Any) -> Any:
    """Reduce a value that is not taken apart."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if type(value).__name__.startswith("Secret"):  # pydantic's SecretStr and its like
        return MASK
    if isinstance(value, enum.Enum):
        return Repr(type_name(value), f"{type(value).__qualname__}.{value.name}", _whole(value))
    if inspect.isroutine(value) or isinstance(value, type):
        place = f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', '?')}"
        return Repr(type_name(value), place, _whole(value))
    if _is_scalar(value):
        item = value.item()
        return item if type(item) in _SCALARS else safe_repr(value)
    return safe_repr(value)


def _whole(value: Any, *, limit: int | None = _MAX_PARTS) -> str | None:
    """Fingerprint the whole of a value; None if it has parts that no fingerprint can see, or too many."""
    try:
        return value_fingerprint(value, limit=limit)
    except Exception:  # noqa: BLE001 - a user's object may raise anything when it is taken apart
        return None


def _headed(value: Any, length: int) -> Repr:
    """Make what stands for a container that is not kept: its length, a plain beginning of it, its fingerprint."""
    kind = type(value).__name__
    head = list(islice(value, _HEAD)) if isinstance(value, list | tuple) else []
    plain = head and all(type(item) in _SCALARS for item in head)
    text = ", ".join(_cut(repr(item), _HEAD_ITEM) for item in head) if plain else ""
    return Repr(kind, f"{kind} of {length} items" + (f": {text}, …" if text else ""), _whole(value))


def safe_repr(value: Any) -> Repr:
    """Return the start of a value's ``repr``, whatever its ``__repr__`` does, with the fingerprint of the whole.

    Where the ``repr`` may show data, the shape or the type stands in its place.
    """
    try:
        text = _shape(value) if _may_show_data(value) else repr(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything, and must not stop a recording
        text = f"<{type(value).__qualname__} whose repr raises {type(error).__name__}>"
    shown = _cut(text, _REPR)
    # the fingerprint of a text with a secret in it would let the secret be guessed
    return Repr(type_name(value), _ADDRESS.sub("", shown), _whole(value) if text.startswith(shown) else None)


def _cut(text: str, longest: int) -> str:
    """Return the beginning of a text; a secret is masked before the cut could hide what it is."""
    return masked_text(text[: longest + 2 * _REPR])[:longest]


def _shape(value: Any) -> str:
    return f"{type(value).__name__} of shape {getattr(value, 'shape', '?')}"


def _may_show_data(value: Any) -> bool:
    """Check whether the ``repr`` of a value may show rows: it is an array, or refers to data or to too much to see."""
    if inspect.getattr_static(type(value), "__repr__") is object.__repr__:
        return False
    if is_data(value) or getattr(value, "shape", None):
        return True
    waiting, met = deque([value]), {id(value): value}
    while waiting:
        for part in gc.get_referents(waiting.popleft()):
            if id(part) in met or type(part) in _PLAIN or isinstance(part, _SHOWN_BY_NAME) or _is_generator(part):
                continue
            if is_data(part) or len(met) >= _MAX_REFERENTS:
                return True
            met[id(part)] = part
            waiting.append(part)
    return False


def _is_generator(value: Any) -> bool:
    """Check whether a value is a random generator: its arrays are its state."""
    return type(value).__module__.startswith("numpy.random")


def type_name(value: Any) -> str:
    """Return the name of the type of a value, with its module."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _settings(model: Any) -> dict[str, Any]:
    """Read the constructor arguments of an estimator; the steps of a composed one stand under their names."""
    try:
        settings, deep = model.get_params(deep=False), model.get_params(deep=True)
    except Exception:  # noqa: BLE001 - third-party estimators raise what they like
        return {}
    if type(settings) is not dict or type(deep) is not dict:
        return {}
    steps = {
        name: value
        for name, value in deep.items()
        if name not in settings and "__" not in name and hasattr(value, "get_params")
    }
    named = {id(step) for step in steps.values()}
    return {**{name: _step_names(value, named) for name, value in settings.items()}, **steps}


def _step_names(value: Any, steps: set[int]) -> Any:
    """Put the name of its class in place of each estimator of a list that is described under a name of its own."""
    if steps and type(value) in {list, tuple}:
        return type(value)(_step_names(item, steps) for item in value)
    return type(value).__qualname__ if id(value) in steps else value


def _named_fields(value: Any) -> dict[str, Any] | None:
    """Read the fields of a named tuple, dataclass, attrs or pydantic object, or of a partial; None for all others."""
    kind = type(value)
    if kind is functools.partial:
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    if isinstance(value, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        names = list(kind._fields)
    elif is_dataclass(kind):
        names = [item.name for item in fields(kind)]
    elif isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        names = [item.name for item in kind.__attrs_attrs__]
    elif isinstance(getattr(kind, "model_fields", None), Mapping) and hasattr(kind, "model_dump"):
        names = [*kind.model_fields, *(value.model_extra or {})]
    else:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _as_mapping(value: Any) -> Any:
    """Return what a value is walked as if it is a mapping or a namespace of any kind, else None."""
    if isinstance(value, Namespace | SimpleNamespace):
        return vars(value)
    if isinstance(value, Mapping):
        return value
    methods = ("keys", "items", "__getitem__", "__len__")
    is_like = all(callable(inspect.getattr_static(type(value), name, None)) for name in methods)
    return value if is_like and not isinstance(value, type) else None


def _attributes(value: Any) -> dict[str, Any]:
    """Read what an instance of a user's class holds."""
    if isinstance(value, type | enum.Enum | ModuleType) or inspect.isroutine(value):
        return {}
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else tuple(slots)
        found.update({name: getattr(value, name) for name in names if hasattr(value, name)})
    return found


def _is_plain_object(value: Any, attributes: dict[str, Any]) -> bool:
    """Check whether an object is no more than settings with names, at any depth, and has no text of its own."""
    if inspect.getattr_static(value, "__repr__") is not object.__repr__:
        return False
    waiting = deque(attributes.values())
    for _ in range(_MAX_REFERENTS):
        if not waiting:
            return True
        parts = _parts_of_setting(waiting.popleft())
        if parts is None:
            return False
        waiting.extend(islice(parts, _MAX_ITEMS))
    return False


def _parts_of_setting(value: Any) -> Iterable[Any] | None:
    """Return the parts of a value that a configuration may hold, none of a number, text or name; None for others."""
    if type(value) in _PLAIN or isinstance(value, _SHOWN_AS_SETTINGS) or _is_scalar(value):
        return ()
    if is_data(value):
        return None
    named = _named_fields(value)
    members = _as_mapping(value) if named is None else named
    if members is not None:
        return [item for _, item in islice(members.items(), _MAX_ITEMS)]
    if isinstance(value, list | tuple | set | frozenset):
        return value
    has_text = inspect.getattr_static(value, "__repr__") is not object.__repr__
    return None if has_text else _attributes(value).values() or None


def _is_scalar(value: Any) -> bool:
    """Check whether a value is one number of numpy or torch."""
    return getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None))


def _holds_data(attributes: dict[str, Any]) -> bool:
    """Check whether data lies in an object or in what it holds, among the first thousand things there."""
    waiting = deque(attributes.values())
    for _ in range(_MAX_ITEMS):
        if not waiting:
            return False
        value = waiting.popleft()
        if type(value) in _PLAIN:
            continue
        if is_data(value):
            return True
        if isinstance(value, Mapping):
            waiting.extend(islice(value.values(), _MAX_ITEMS))
        elif isinstance(value, list | tuple | deque):
            waiting.extend(islice(value, _MAX_ITEMS))
        else:
            waiting.extend(getattr(value, "__dict__", {}).values())
    return False
