"""Objects to bytes and back, one format each; the format comes from the verified record, never a guess."""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import getattr_static
from operator import attrgetter
from types import FunctionType
from typing import Any, Protocol

from mlops_kit.errors import InvalidInput, NotSerializable
from mlops_kit.store.culprit import culprit
from mlops_kit.store.skops_files import SkopsSerializer

_PROTOCOL = 4
pickled: set[str] = set()
"""Digests of what this very process made from its own objects, or its parent before a fork: its own, and trusted."""


class Serializer(Protocol):
    """A format: how to write an object, how to read it, and what reading it would run."""

    name: str

    def dump(self, value: Any, *, what: str, url: str = "") -> bytes:
        """Write an object for the store at `url`, or raise `NotSerializable` naming the part that prevents it."""
        ...

    def code_in(self, data: bytes, *, what: str, url: str = "") -> str | None:
        """Say why reading these bytes needs trust in the store at `url`; None if it runs no code of theirs."""
        ...

    def load(self, data: bytes, *, what: str) -> Any:
        """Read an object that needs no trust, or has it."""
        ...


class CloudpickleSerializer:
    """Any Python object, classes and functions of ``__main__`` and notebooks included; reading it runs code."""

    name = "cloudpickle"

    def dump(self, value: Any, *, what: str, url: str = "") -> bytes:  # noqa: ARG002 - the protocol's argument
        """Write an object.

        Raises
        ------
        NotSerializable
            Naming the path of the attribute that cannot be pickled.
        """
        import cloudpickle  # noqa: PLC0415 - importing mlops_kit stays light

        with _pickling(value, what):
            return bytes(cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))

    def code_in(self, data: bytes, *, what: str, url: str = "") -> str | None:  # noqa: ARG002 - likewise
        """Say that any pickle may run code."""
        return "is a pickle, which may run any code when it is loaded"

    def load(self, data: bytes, *, what: str) -> Any:
        """Read an object.

        Raises
        ------
        NotSerializable
            Its code is not importable here; the message names the module.
        """
        import cloudpickle  # noqa: PLC0415 - importing mlops_kit stays light

        try:
            return cloudpickle.loads(data)
        except ModuleNotFoundError as error:
            raise NotSerializable(
                f"The {what} needs the module {error.name!r}, which cannot be imported here. Install the package "
                "it was saved with, or put the file that defines it on sys.path; the run that made it keeps "
                "the sources and the list of packages (`run.code`, `run.environment`)."
            ) from error
        except AttributeError as error:
            raise NotSerializable(
                f"The {what} cannot be restored: {error}. The class or function it names has moved or changed "
                "since it was saved; the run that made it keeps the sources (`run.code`)."
            ) from error
        except RecursionError as error:
            raise NotSerializable(
                f"The {what} cannot be restored here: {_LIMIT.format(sys.getrecursionlimit())}"
            ) from error
        except Exception as error:
            raise NotSerializable(
                f"The {what} cannot be restored: its bytes are not those of a pickle that this Python can read, or an "
                f"object in it refuses to be restored ({type(error).__name__}: {error})."
            ) from error


def pickled_by_name(value: Any, *, what: str, elsewhere: bool = False) -> bytes:
    """Pickle an object whose classes and functions of ``__main__`` come back as those that are there then.

    Parameters
    ----------
    value : object
        The object.
    what : str
        What it is to the user.
    elsewhere : bool
        Whether ``__main__`` is that of another process, which is not looked at.

    Returns
    -------
    bytes
        As `CloudpickleSerializer` reads them.

    Raises
    ------
    NotSerializable
        Naming the path of the attribute that cannot be pickled.
    """

    def named(obj: Any) -> Any:
        if not isinstance(obj, type | FunctionType) or obj.__module__ != "__main__":
            return None
        if elsewhere:
            return None if "<locals>" in obj.__qualname__ else (of_main, (obj.__qualname__,))
        return NotImplemented if _is_found(obj) else None  # as pickle does by itself: by name

    return _pickled(value, what, named)


def pickled_for_worker(value: Any, *, what: str) -> bytes:
    """Pickle an object for another process of the same program: ``__main__`` by value, decorated functions by name.

    Parameters
    ----------
    value : object
        The object.
    what : str
        What it is to the user.

    Returns
    -------
    bytes
        As `CloudpickleSerializer` reads them.

    Raises
    ------
    NotSerializable
        Naming the path of the attribute that cannot be pickled.
    """

    def whole(obj: Any) -> Any:
        if getattr(type(obj), "__mlops_kit__", False) is True and obj.__module__ == "__main__":
            return object.__reduce_ex__(obj, _PROTOCOL)
        is_wrapped = isinstance(obj, FunctionType) and obj.__module__ != "__main__" and "<" not in obj.__qualname__
        if is_wrapped and beneath(obj.__module__, obj.__qualname__) is obj:
            return beneath, (obj.__module__, obj.__qualname__)
        return None

    return _pickled(value, what, whole)


def of_main(qualname: str) -> Any:
    """Find what ``__main__`` has under a name, in the process that asks."""
    return attrgetter(qualname)(sys.modules["__main__"])


def beneath(module: str, qualname: str) -> Any:
    """Find the function beneath what decorates it under its name; None if there is none."""
    try:
        return getattr(attrgetter(qualname)(importlib.import_module(module)), "__wrapped__", None)
    except (ImportError, AttributeError):
        return None


def _pickled(value: Any, what: str, override: Callable[[Any], Any]) -> bytes:
    """Pickle as cloudpickle does, but for what `override` reduces; it returns None of all else."""
    import cloudpickle  # noqa: PLC0415 - importing mlops_kit stays light

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, _OTHERS) and obj not in (sys.stdout, sys.stderr):
                raise ChangesType(obj)
            reduced = override(obj)
            return super().reducer_override(obj) if reduced is None else reduced  # type: ignore[misc]  # not in its stubs

    file = io.BytesIO()
    with _pickling(value, what):
        Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def _is_found(obj: Any) -> bool:
    """Check whether a function or class of ``__main__`` is there under its name."""
    found: Any = sys.modules["__main__"]
    for name in obj.__qualname__.split("."):
        found = getattr_static(found, name, None)
    return found is obj


@contextmanager
def _pickling(value: Any, what: str) -> Iterator[None]:
    """Raise what goes wrong with a pickle as an error that names the part that prevents it."""
    try:
        yield
    except Exception as error:
        if is_too_deep(error):
            raise NotSerializable(_too_deep(what, value)) from None  # its trace says the same a thousand times
        path, cause = culprit(value, error.part if isinstance(error, ChangesType) else None)
        raise NotSerializable(
            f"The {what} of type {_type_name(value)} cannot be saved: {what}{path} is of type "
            f"{_type_name(cause)} and does not pickle ({type(error).__name__}: {error}). Remove it before "
            "returning the object, or give its class a __getstate__ that leaves it out."
        ) from error


_OTHERS = (io.TextIOWrapper, memoryview)
"""cloudpickle copies what they show: open files come back as their text, views as bytes."""


class ChangesType(TypeError):
    """An object would come back as one of another type."""

    def __init__(self, part: Any) -> None:
        super().__init__(f"{type(part).__name__} would come back as another type")
        self.part = part


_LIMIT = (
    "it is nested too deeply for Python's recursion limit of {}, or its own code of pickling calls itself without end. "
    "Raise the limit around the call, with sys.setrecursionlimit, or keep the parts in a list instead of one in the "
    "other."
)


def _too_deep(what: str, value: Any) -> str:
    limit = _LIMIT.format(sys.getrecursionlimit())
    return f"The {what} of type {_type_name(value)} cannot be saved: {limit}"


def is_too_deep(error: BaseException | None) -> bool:
    """Return whether an error, or what it was raised from, is that of the recursion limit."""
    while error is not None and not isinstance(error, RecursionError):
        error = error.__cause__ or error.__context__
    return error is not None


_formats: dict[str, Serializer] = {"cloudpickle": CloudpickleSerializer(), "skops": SkopsSerializer()}


def serializer(name: str) -> Serializer:
    """Find a format by its name.

    Parameters
    ----------
    name : str
        Such as ``"cloudpickle"``.

    Returns
    -------
    Serializer
        The format.

    Raises
    ------
    InvalidInput
        There is none of this name.

    Examples
    --------
    >>> serializer("cloudpickle").code_in(b"", what="model")
    'is a pickle, which may run any code when it is loaded'
    """
    given: object = name
    found = _formats.get(given) if isinstance(given, str) else None
    if found is None:
        raise InvalidInput(f"There is no format {name!r}. Formats: {', '.join(sorted(_formats))}.")
    return found


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
