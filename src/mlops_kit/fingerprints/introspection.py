"""Functions, classes and cells looked at without asking them: no property, metaclass or proxy is run."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import types
from inspect import getattr_static
from typing import Any, Generic, Protocol

from mlops_kit.fingerprints.encoding import ATOMS
from mlops_kit.fingerprints.origin import is_user_module, is_user_namespace

MISSING = object()

_HEAP_TYPE = 1 << 9
_ROOTS = frozenset({object, Generic, Protocol})
_NOT_OF_A_CLASS = frozenset(
    {"__abstractmethods__", "__annotate__", "__annotate_func__", "__annotations__", "__annotations_cache__"}
    | {"__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__", "__firstlineno__", "__module__"}
    | {"__orig_bases__", "__parameters__", "__qualname__", "__static_attributes__", "__type_params__"}
    | {
        "__slotnames__",
        "__weakref__",
        "_abc_impl",
    }  # copyreg notes the first when an instance is copied
)
_OF_FIELDS = ("name", "type", "default", "default_factory", "init", "repr", "hash", "compare", "kw_only", "metadata")
_DATA = frozenset({*ATOMS, tuple, list, set, frozenset, dict})
_CODE = (
    *(types.FunctionType, types.MethodType, type, staticmethod, classmethod, property),
    *(functools.partial, functools.partialmethod, functools.cached_property, functools.singledispatchmethod),
)


def members(cls: type) -> types.MappingProxyType[str, Any]:
    """Return a class's own namespace, past any metaclass."""
    return type.__dict__["__dict__"].__get__(cls)  # type: ignore[no-any-return]  # type's own answer


def mro_of(cls: type) -> tuple[type, ...]:
    """Return a class's bases in the order of look-up, itself first, past any metaclass."""
    return type.__getattribute__(cls, "__mro__")  # type: ignore[no-any-return]  # type's own answer


def content_of(cell: types.CellType) -> object:
    """Return what a closure cell holds, `MISSING` while it holds nothing."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def module_of(value: Any) -> str:
    """Name the module that a function runs in, a class is defined in, or an object's class is."""
    if type(value) is types.FunctionType:
        name = value.__globals__.get("__name__", value.__module__)
    elif issubclass(type(value), type):
        name = members(value).get("__module__") if _is_heap_type(value) else value.__module__
    else:
        return module_of(type(value))
    return name if isinstance(name, str) else "<unnamed>"


def qualname_of(value: Any) -> str:
    """Name a function by its code where a wrapper bears the name of what it wraps."""
    if type(value) is types.FunctionType:
        return value.__code__.co_qualname if "__wrapped__" in value.__dict__ else value.__qualname__
    return type.__dict__["__qualname__"].__get__(value)  # type: ignore[no-any-return]  # type's own answer


def name_of(value: object) -> str:
    """Name a function or class, or else the class of an object."""
    named = type(value) is types.FunctionType or issubclass(type(value), type)
    return qualname_of(value if named else type(value))


def is_user_function(function: types.FunctionType) -> bool:
    """Tell whether the code of a function is the user's own, whatever it calls itself."""
    scope = function.__globals__
    if function.__code__.co_filename.startswith("<doctest "):  # an example is its reader's code, wherever it stands
        return True
    return is_user_namespace(scope) if "__name__" in scope else is_user_module(function.__module__ or "")


def is_user_class(cls: type) -> bool:
    """Tell whether a class is defined in the user's own code."""
    if not _is_heap_type(cls):
        return False
    module = module_of(cls)
    return module == "builtins" or is_user_module(module)  # code executed in a bare dict calls itself builtins


def is_structural(kind: type) -> bool:
    """Tell whether an object is its class and its attributes, with nothing kept in C."""
    return is_user_class(kind) and all(
        cls in _ROOTS or members(cls).get("__module__") == "abc" or is_user_class(cls) for cls in mro_of(kind)
    )


def is_content(name: str, value: object, *, is_enum: bool) -> bool:
    """Tell whether a class attribute is the user's, not what Python, dataclasses or enum note for themselves."""
    if name in _NOT_OF_A_CLASS or type(value) in {types.MemberDescriptorType, types.GetSetDescriptorType}:
        return False
    if is_enum and name.startswith("_") and name.endswith("_"):
        return type(value) is types.FunctionType and is_user_function(value)
    if name.startswith("__") and name.endswith("__"):
        if name.startswith("__pydantic_"):
            return name == "__pydantic_fields__"  # some of the rest are addresses
        return type(value) in _DATA or is_structural(type(value)) or is_code(value)
    return True


def is_code(value: object) -> bool:
    """Tell whether a value is there to be called: a function in any wrapping, a class, a user's callable object."""
    kind = type(value)
    if issubclass(kind, _CODE) or getattr_static(value, "__wrapped__", None) is not None:
        return True
    return is_structural(kind) and any("__call__" in members(cls) for cls in mro_of(kind))


def fields_of(cls: type) -> list[tuple[Any, ...]]:
    """List what each field of a dataclass says beyond what became a default or a method: a program may read it."""
    fields: dict[str, dataclasses.Field[Any]] = members(cls).get("__dataclass_fields__", {})
    return [tuple(getattr(each, part) for part in _OF_FIELDS) for each in fields.values()]


def enum_values_of(cls: type) -> dict[str, Any] | None:
    """Return the values of an enumeration's members, aliases included; None for any other class."""
    if not issubclass(cls, enum.Enum):
        return None
    named = enum.EnumMeta.__members__.fget(cls)  # type: ignore[attr-defined]  # the property, past any metaclass
    return {name: state_of(member).get("_value_") for name, member in named.items()}


def state_of(value: object) -> dict[str, Any]:
    """Return the attributes of an object, those in slots included, past any property."""
    state: dict[str, Any] = {}
    for cls in mro_of(type(value)):
        for name, member in members(cls).items():
            if type(member) is types.MemberDescriptorType:
                with contextlib.suppress(AttributeError):
                    state[name] = member.__get__(value)
    with contextlib.suppress(AttributeError):
        state.update(object.__getattribute__(value, "__dict__"))
    return state


def c_function_of(value: Any) -> tuple[str, str, object]:
    """Return the module and name of a function made in C, and the object or class that it belongs to, if any."""
    owner = getattr(value, "__self__", None)
    held = getattr(value, "__objclass__", None) if owner is None or isinstance(owner, types.ModuleType) else owner
    home = held if isinstance(held, type) else type(held)
    return getattr(value, "__module__", None) or module_of(home), getattr(value, "__qualname__", value.__name__), held


def _is_heap_type(cls: type) -> bool:
    return bool(type.__dict__["__flags__"].__get__(cls) & _HEAP_TYPE)
