"""What a call says: its arguments, told apart into parameters and data. Pure: nothing is read or written."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from mlops_kit.masking import MASK, is_secret_name
from mlops_kit.records.secrets import masked, masked_names
from mlops_kit.tracking.params import is_data, is_model, recordable, safe_repr

_MAX_BITS = 16_384
_NUMBERS = frozenset({type(None), bool, int, float})
_MASKABLE = frozenset({int, float})
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
    """

    params: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


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
        found = self.bound(args, kwargs)
        if self._receiver is not None:
            del found[self._receiver]
        return found.items()

    @property
    def names(self) -> Collection[str]:
        """The names of the parameters."""
        return self._signature.parameters.keys()

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Bind a call: each argument by its name, defaults, ``self`` and ``cls`` included."""
        found = self._simply(args, kwargs)
        return self._by_the_rules(args, kwargs) if found is None else found

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
                named = masked_names(value)
                found.update((key if key not in taken else f"{name}.{key}", item) for key, item in named.items())
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
            call.params[name] = safe_repr(value)
    return call


def _sort(call: Call, name: str, value: Any) -> None:
    kind = type(value)
    if kind in _NUMBERS and (kind is not int or value.bit_length() <= _MAX_BITS):
        call.params[name] = MASK if kind in _MASKABLE and is_secret_name(name) else value
    elif is_data(value):
        call.data[name] = value
    else:
        call.params[name] = masked(name, recordable(value, name=name, data=call.data))


def parts_of(result: Any) -> list[tuple[str, Any]]:
    """Take a returned value apart into what is recorded one by one.

    Parameters
    ----------
    result : object
        What a function returned.

    Returns
    -------
    list of tuple
        ``("return", result)``; for a tuple, a dataclass that is no record of this library, or a dict with a model in
        it, ``("return.<position, field or key>", item)`` for each.

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
    is_ours = (
        type(result).__module__.partition(".")[0] == "mlops_kit"
    )  # such as a promotion: its numbers are no metrics
    if is_dataclass(result) and not isinstance(result, type) and not is_model(result) and not is_ours:
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
        item = value.item() if hasattr(value, "item") else float(value)
        if type(item) in {int, float}:
            return item
        return None if isinstance(item, bool) else float(item)  # wider than Python's own
    if hasattr(type(value), "__index__"):
        return operator.index(value)
    return float(value) if hasattr(type(value), "__float__") else None
