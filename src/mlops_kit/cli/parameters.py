"""The parameters of a function as options of the command line, read by their annotations and defaults."""

from __future__ import annotations

import enum
import inspect
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Union

import click

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted

_MANY = (list, tuple, set, frozenset)
_EMPTY = inspect.Parameter.empty
_GUESSED = {int: float | int, type(None): Any}
_NAMES: dict[Any, str] = {
    int: "INTEGER",
    float: "NUMBER",
    float | int: "NUMBER",
    str: "TEXT",
    Path: "PATH",
    date: "DATE",
    datetime: "TIME",
}


def options_of(function: Callable[..., Any], *, taken: Collection[str]) -> list[click.Option]:
    """Make an option of each parameter of a function that can be named.

    Parameters
    ----------
    function : callable
        The function.
    taken : collection of str
        Options that the parameters leave alone where they do not bear the same name.

    Returns
    -------
    list of click.Option
        ``--max-depth``, and as it is written, for ``max_depth``; ``--flag/--no-flag`` for what is True or False; of
        what holds several values an option that may be repeated.
    """
    made = []
    for name, (kind, default) in kinds_of(function).items():
        dashed = name.replace("_", "-")
        spelled = sorted({f"--{name}", f"--{dashed}"} - set(taken), key=lambda text: "_" in text)
        if not spelled:
            continue
        needed = "required" if default is _EMPTY else f"default: {default!r}"
        if kind is bool:
            made.append(click.Option([name, f"{spelled[0]}/--no-{dashed}"], default=None, help=needed))
            continue
        many = (typing.get_origin(kind) or kind) in _MANY
        made.append(
            click.Option(
                [name, *spelled],
                multiple=many,
                default=None,
                metavar=_metavar(_of_items(kind) if many else kind),
                help=f"{needed}{'; repeatable' if many else ''}",
            )
        )
    return made


def kinds_of(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return what each parameter takes, and its default: as annotated, else what its default is.

    Examples
    --------
    >>> def fit(C: float, depth=3, name=None): ...
    >>> [kind for kind, default in kinds_of(fit).values()]
    [<class 'float'>, float | int, typing.Any]
    """
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # noqa: BLE001 - a name of an annotation that is there for readers only
        hints = {}
    found = {}
    for name, each in inspect.signature(function).parameters.items():
        if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD}:
            continue
        guessed = Any if each.default is _EMPTY else type(each.default)
        kind = hints.get(name, _GUESSED.get(guessed, guessed))
        found[name] = (kind, each.default)
    return found


def read_file(path: str) -> dict[str, Any]:
    """Read parameters from a file of TOML.

    Raises
    ------
    InvalidInput
        It cannot be read, or is no TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"--param {path}: {error}.") from error


def arguments(
    function: Callable[..., Any], files: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Put together what a function is called with: options go before files, and files before defaults.

    Parameters
    ----------
    function : callable
        The function.
    files : mapping
        Values by parameter, from files.
    options : mapping
        Texts by parameter, from the command line; None and nothing for options that were not given.

    Returns
    -------
    list and dict
        Its positional and its other arguments.

    Raises
    ------
    InvalidInput
        A value does not fit, a parameter is missing, or there is none of a name; the message lists those there are.
    """
    kinds = kinds_of(function)
    parameters = inspect.signature(function).parameters
    catches = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    unknown = [name for name in files if name not in kinds]
    if unknown and not catches:
        raise InvalidInput(f"There is no parameter {quoted(unknown[0])}. Parameters: {', '.join(kinds) or 'none'}.")
    given = {**files, **{name: value for name, value in options.items() if value not in (None, ())}}
    missing = [name for name, (_, default) in kinds.items() if default is _EMPTY and name not in given]
    if missing:
        spelled = ", ".join("--" + name.replace("_", "-") for name in missing)
        raise InvalidInput(f"Missing: {spelled}. Name it, or write it into a file for --param.")
    values = {name: _fitting(name, value, kinds[name][0]) if name in kinds else value for name, value in given.items()}
    positional = []
    for name, each in parameters.items():
        if each.kind is each.POSITIONAL_ONLY and name in kinds:
            positional.append(values.pop(name, each.default))
    return positional, values


def _fitting(name: str, value: Any, kind: Any) -> Any:
    try:
        return fit(value, kind)
    except (ValueError, TypeError) as error:
        shown = "" if str(error) == "" else f": {error}"
        raise InvalidInput(f"--{name.replace('_', '-')}={quoted(value)} is no {_shown(kind)}{shown}.") from error


def fit(value: Any, kind: Any) -> Any:
    """Read a value, a text of the command line or something of TOML, as what an annotation asks for.

    Parameters
    ----------
    value : object
        The value.
    kind : object
        A class or an annotation; one that this function does not know is like none.

    Returns
    -------
    object
        The value that is meant.

    Raises
    ------
    ValueError, TypeError
        It is none.

    Examples
    --------
    >>> fit("3", float | int), fit("0.5", float), fit(["1", "2"], tuple[int, ...]), fit("[1, 2]", None)
    (3, 0.5, (1, 2), [1, 2])
    """
    origin, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Annotated:
        return fit(value, inside[0])
    if origin in {Union, types.UnionType}:
        return _first_fitting(value, inside)
    if origin in _MANY:
        return _several(value, kind, origin)
    choices = {str(each): each for each in inside} if origin is Literal else _members(kind)
    return _choice(value, choices) if choices else _READERS.get(kind, _guessed)(value)


def _members(kind: Any) -> dict[str, Any]:
    return {each.name: each for each in kind} if isinstance(kind, type) and issubclass(kind, enum.Enum) else {}


def _choice(value: Any, choices: Mapping[str, Any]) -> Any:
    if str(value) not in choices:
        raise ValueError(f"choose of {', '.join(choices)}")
    return choices[str(value)]


def _first_fitting(value: Any, kinds: tuple[Any, ...]) -> Any:
    """Read a value as the first of several kinds that it is, text last: everything is text."""
    ordered = sorted((kind for kind in kinds if kind is not type(None)), key=_generality)
    for kind in ordered[:-1]:
        try:
            return fit(value, kind)
        except (ValueError, TypeError):
            continue
    return fit(value, ordered[-1])


def _generality(kind: Any) -> int:
    order = [bool, int, float, datetime, date, Path, str]
    return order.index(kind) if kind in order else 0


def _several(value: Any, kind: Any, container: Any) -> Any:
    items = [value] if isinstance(value, str) or not isinstance(value, list | tuple) else list(value)
    if isinstance(value, str) or (len(items) == 1 and isinstance(items[0], str)):
        whole = _guessed(items[0])
        items = whole if isinstance(whole, list) else items
    inner = _of_items(kind)
    return container(fit(item, inner) for item in items)


def _of_items(kind: Any) -> Any:
    args = [each for each in typing.get_args(kind) if each is not Ellipsis]
    return args[0] if args else Any


def _guessed(value: Any) -> Any:
    """Read a text as TOML would, if it is a value there; else it is text."""
    if not isinstance(value, str):
        return value
    try:
        read = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value
    return read["value"] if list(read) == ["value"] else value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("an integer is written without a point")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError("it is no number")
    return float(value)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return bool(_choice(value, {"true": True, "false": False, "True": True, "False": False}))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text stands in quotes")
    return value


_READERS: dict[Any, Callable[[Any], Any]] = {
    bool: _truth,
    int: _integer,
    float: _number,
    str: _text,
    Path: lambda value: Path(_text(value)),
    datetime: lambda value: value if isinstance(value, datetime) else datetime.fromisoformat(_text(value)),
    date: lambda value: value if type(value) is date else date.fromisoformat(_text(value)),
}


def _metavar(kind: Any) -> str:
    choices = typing.get_args(kind) if typing.get_origin(kind) is Literal else _members(kind)
    return f"[{'|'.join(map(str, choices))}]" if choices else _NAMES.get(kind, "VALUE")


def _shown(kind: Any) -> str:
    """Return an annotation in words, for a message."""
    words = {bool: "true or false", date: "date as 2026-05-01", datetime: "time as 2026-05-01T04:00"}
    name = _NAMES.get(kind) or getattr(kind, "__name__", None) or str(kind)
    return words.get(kind) or (name.lower() if kind in _NAMES else name)
