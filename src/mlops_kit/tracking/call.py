"""What a call says: its arguments, told apart into parameters and data. Pure: nothing is read or written."""

from __future__ import annotations

import enum
import inspect
import operator
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any

from mlops_kit.fingerprints.arrow import is_tabular
from mlops_kit.records.codec import Repr
from mlops_kit.records.secrets import MASK, is_secret_name, masked

_MAX_DEPTH = 8
_MAX_ITEMS = 1000
_MAX_TEXT = 10_000
_MAX_CHARACTERS = 100_000
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # differs from run to run and says nothing
_SHOWN = 200
_MAX_BITS = 16_384
_DATA_DEPTH = 3
_MAX_DATA = 64
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})
_NUMBERS = frozenset({type(None), bool, int, float})
_MASKABLE = frozenset({int, float})
_SEQUENCES = frozenset({list, tuple})
_MISSING = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Call:
    """A call, bound to the parameters of its function.

    Parameters
    ----------
    params : dict
        Parameters by name: plain values, bounded in size, secrets masked.
    data : dict
        Tables, arrays and datasets by name; those inside a container as ``name.key``.
    models : dict
        Estimators by name; each is described in `params` too.
    """

    params: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)


class Form:
    """How a function takes its arguments, looked at once.

    Parameters
    ----------
    function : callable
        Any callable with a signature.

    Raises
    ------
    TypeError, ValueError
        It has none.
    """

    __slots__ = ("_ordinary", "_receiver", "_signature")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = inspect.signature(function)
        parameters = self._signature.parameters.values()
        first = next(iter(self._signature.parameters), None)
        self._receiver = first if first in {"self", "cls"} else None
        ordinary = all(parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        self._ordinary = {parameter.name: parameter.default for parameter in parameters} if ordinary else None

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterable[tuple[str, Any]]:
        """Give each argument of a call with its name, defaults included, ``self`` and ``cls`` left out.

        Raises
        ------
        TypeError
            The call does not fit.
        """
        found = self._simply(args, kwargs)
        if found is None:
            found = self._by_the_rules(args, kwargs)
        if self._receiver is not None:
            del found[self._receiver]
        return found.items()

    def _simply(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """Bind a call that needs no rules, as most do, at a tenth of their cost."""
        if self._ordinary is None or len(args) > len(self._ordinary):
            return None
        found = {**self._ordinary, **dict(zip(self._ordinary, args, strict=False))}
        if kwargs:
            if not kwargs.keys() <= set(list(found)[len(args) :]):
                return None
            found.update(kwargs)
        return None if any(value is _MISSING for value in found.values()) else found

    def _by_the_rules(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                taken = bound.arguments.keys()
                found.update((key if key not in taken else f"{name}.{key}", item) for key, item in value.items())
            elif kind is not inspect.Parameter.VAR_POSITIONAL or value:
                found[name] = value
        return found


def bind(form: Form, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Tell apart what a function was called with.

    Parameters
    ----------
    form : Form
        Of the function.
    args, kwargs : tuple and dict
        The call; it must fit.

    Returns
    -------
    Call
        Defaults included; ``self`` and ``cls`` are left out.

    Raises
    ------
    TypeError
        The call does not fit; calling the function raises the same.

    Examples
    --------
    >>> bind(Form(lambda x, depth=3: None), (1,), {}).params
    {'x': 1, 'depth': 3}
    """
    call = Call()
    for name, value in form.arguments(args, kwargs):
        try:
            _sort(call, name, value)
        except Exception:  # noqa: BLE001 - any attribute of a user's object may raise anything, and costs itself only
            call.params[name] = _other(value)
    return call


def _sort(call: Call, name: str, value: Any) -> None:
    kind = type(value)
    if kind in _NUMBERS and (kind is not int or value.bit_length() <= _MAX_BITS):
        call.params[name] = MASK if kind in _MASKABLE and is_secret_name(name) else value
    elif kind in _SCALARS:
        call.params[name] = masked(name, recordable(value))
    elif is_data(value):
        call.data[name] = value
    elif is_model(value):
        call.models[name] = value
        call.params[name] = {"type": type_name(value), "params": masked(name, _settings(value))}
    else:
        found = dict(_data_within(name, value))
        call.data.update(found)
        call.params[name] = masked(name, recordable(value))


def is_data(value: Any) -> bool:
    """Tell whether a value is a table, column, array, sparse matrix or dataset, without importing anything."""
    if type(value) in _SCALARS or type(value) in _SEQUENCES:
        return False
    if is_tabular(value) or _is_dataset(value):
        return True
    for library, names in (("numpy", ("ndarray",)), ("pandas", ("Series", "Index")), ("polars", ("Series",))):
        module = sys.modules.get(library)
        kinds = tuple(getattr(module, name) for name in names if hasattr(module, name))
        if kinds and isinstance(value, kinds):
            return getattr(value, "ndim", 1) > 0
    if "scipy.sparse" in sys.modules:
        return bool(sys.modules["scipy.sparse"].issparse(value))
    return False


def _is_dataset(value: Any) -> bool:
    module = sys.modules.get("mlops_kit.datasets.dataset")
    return module is not None and isinstance(value, module.Dataset)


def is_model(value: Any) -> bool:
    """Tell whether a value is something that predicts or transforms: an instance, not a class.

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


def recordable(value: Any) -> Any:
    """Reduce a value to one that a record can hold: plain, bounded, without cycles.

    Parameters
    ----------
    value : object
        Any object.

    Returns
    -------
    object
        Plain values are kept, numpy scalars become Python's, paths become text, enums become their names;
        everything else, and whatever is too deep or too large, becomes a `Repr`.

    Examples
    --------
    >>> loop = [1]
    >>> loop.append(loop)
    >>> recordable(loop)
    [1, '[...]']
    """
    return _Reduction().of(value, ())


class _Reduction:
    """One value on its way into a record, with what is left of the room it may take."""

    def __init__(self) -> None:
        self._items = _MAX_ITEMS
        self._characters = _MAX_CHARACTERS

    def of(self, value: Any, above: tuple[int, ...]) -> Any:
        """Reduce a value that stands in the containers `above`."""
        kind = type(value)
        if kind is str or kind is bytes:
            return self._text(value)
        if kind is int and value.bit_length() > _MAX_BITS:
            return Repr("int", f"integer of {value.bit_length()} bits")
        if kind in _SCALARS or kind is datetime:
            return value
        if kind in _CONTAINERS:
            return self._container(value, above)
        return _other(value)

    def _text(self, value: str | bytes) -> Any:
        if len(value) <= min(_MAX_TEXT, self._characters):
            self._characters -= len(value)
            return value
        if isinstance(value, bytes):
            return Repr("bytes", f"{len(value)} bytes")
        start = value[: min(_SHOWN, max(self._characters, 0))]
        self._characters -= len(start)
        return Repr("str", f"{start}… ({len(value)} characters)")

    def _container(self, value: Any, above: tuple[int, ...]) -> Any:
        kind = type(value)
        if id(value) in above:
            return Repr(kind.__name__, "{...}" if kind is dict else "[...]")
        if len(above) >= _MAX_DEPTH or len(value) > self._items:
            return Repr(kind.__name__, f"{kind.__name__} of {len(value)} items")
        self._items -= len(value)
        within = (*above, id(value))
        if kind is dict:
            return {self.of(key, within): self.of(item, within) for key, item in value.items()}
        items = [self.of(item, within) for item in value]
        return items if kind is list else kind(items)


def _other(value: Any) -> Any:
    try:
        return _reduced(value)
    except Exception as error:  # noqa: BLE001 - any attribute of a user's object may raise anything
        return Repr(type_name(value), f"<{type(value).__qualname__} whose attributes raise {type(error).__name__}>")


def _reduced(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return Repr(type_name(value), f"{type(value).__qualname__}.{value.name}")
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if is_data(value):
        return Repr(type_name(value), f"{type(value).__name__} of shape {getattr(value, 'shape', '?')}")
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        item = value.item()
        return item if type(item) in _SCALARS else safe_repr(item)
    if inspect.isroutine(value) or isinstance(value, type):
        return Repr(type_name(value), f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', '?')}")
    return safe_repr(value)


def safe_repr(value: Any) -> Repr:
    """Give the start of a value's ``repr``, whatever its ``__repr__`` does."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything, and must not stop a recording
        text = f"<{type(value).__qualname__} whose repr raises {type(error).__name__}>"
    return Repr(type_name(value), _ADDRESS.sub("", text[:1000]))


def type_name(value: Any) -> str:
    """Name the type of a value, with its module."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _settings(model: Any) -> Any:
    """Read the constructor arguments of an estimator, if it tells them."""
    try:
        found = model.get_params(deep=False)
    except Exception:  # noqa: BLE001 - third-party estimators raise what they like
        return {}
    return recordable(found if type(found) is dict else {})


def _data_within(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Find the data inside a list, tuple, dict or dataclass, as far as a person would still call it an argument."""
    if depth >= _DATA_DEPTH:
        return
    for key, item in _members(value):
        if is_data(item):
            yield f"{name}.{key}", item
        elif type(item) not in _SCALARS:
            yield from _data_within(f"{name}.{key}", item, depth + 1)


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())[:_MAX_DATA]
    if isinstance(value, list | tuple):
        return list(enumerate(value[:_MAX_DATA]))
    if is_dataclass(value) and not isinstance(value, type):
        return [(item.name, getattr(value, item.name, None)) for item in fields(value)]
    return []


def parts_of(result: Any) -> list[tuple[str, Any]]:
    """Take a returned value apart into what is recorded one by one.

    Parameters
    ----------
    result : object
        What a function returned.

    Returns
    -------
    list of tuple
        ``("return", result)``; for a tuple, a dataclass, or a dict with a model in it,
        ``("return.<position, field or key>", item)`` for each.

    Examples
    --------
    >>> parts_of((1, 2))
    [('return.0', 1), ('return.1', 2)]
    """
    if result is None:
        return []
    if type(result) is tuple or (isinstance(result, tuple) and hasattr(result, "_fields")):
        names = getattr(result, "_fields", range(len(result)))
        return [(f"return.{name}", item) for name, item in zip(names, result, strict=True)]
    if type(result) is dict and all(map(_is_text, result)) and any(map(is_model, result.values())):
        return [(f"return.{name}", item) for name, item in result.items()]
    if is_dataclass(result) and not isinstance(result, type) and not is_model(result):
        return [(f"return.{item.name}", getattr(result, item.name, None)) for item in fields(result)]
    return [("return", result)]


def _is_text(value: object) -> bool:
    return type(value) is str


def metrics_in(value: Any) -> dict[str, float] | None:
    """Read a mapping of names to numbers as metrics.

    Returns
    -------
    dict or None
        None if it is anything else, or empty.

    Examples
    --------
    >>> metrics_in({"auc": 0.9}), metrics_in({"auc": "high"})
    ({'auc': 0.9}, None)
    """
    if not isinstance(value, dict) or not value or not all(isinstance(key, str) for key in value):
        return None
    numbers = {key: as_number(item) for key, item in value.items()}
    found = {key: number for key, number in numbers.items() if number is not None}
    return found if len(found) == len(value) else None


def as_number(value: Any) -> float | None:
    """Read a number of any library as Python's, or None; booleans are not numbers here.

    Examples
    --------
    >>> import numpy as np
    >>> as_number(np.float32(0.5)), as_number(3), as_number("3"), as_number(True)
    (0.5, 3, None, None)
    """
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[no-any-return]  # a number by the line above
    if isinstance(value, bool | str | bytes | complex) or value is None:
        return None
    try:
        return _foreign_number(value)
    except Exception:  # noqa: BLE001 - whatever a foreign object raises, it is no number
        return None


def _foreign_number(value: Any) -> float | None:
    """Read a number of numpy, torch, decimal and the like, which hold one value and say so."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        if tuple(shape) != () or getattr(getattr(value, "dtype", None), "kind", "f") not in "iufV":
            return None
        item = value.item()
        return item if type(item) in {int, float} else None
    if hasattr(type(value), "__index__"):
        return operator.index(value)
    return float(value) if hasattr(type(value), "__float__") else None
