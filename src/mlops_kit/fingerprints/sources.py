"""The source files of modules that are imported inside a body: compiled, never executed."""

from __future__ import annotations

import marshal
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mlops_kit.fingerprints.bytecode import Import, read
from mlops_kit.fingerprints.origin import find_spec, is_user_module, namespace

_State = tuple[int, int]
_PYC_HEADER = 16


@dataclass(frozen=True, slots=True)
class Source:
    """A module as its file has it.

    Parameters
    ----------
    name : str
        The absolute module name.
    package : str
        What its relative imports start from.
    path : str
        The file.
    state : tuple of int
        Modification time in nanoseconds and size, when it was read.
    code : code
        The compiled module.
    """

    name: str
    package: str
    path: str
    state: _State
    code: CodeType

    def is_current(self) -> bool:
        """Tell whether the file is as it was when it was read."""
        return _state(self.path) == self.state


def imported(statement: Import, scope: dict[str, Any]) -> list[str]:
    """List the modules that an import statement runs, parents first."""
    name = statement.name
    if statement.level:
        home = str(scope.get("__name__", ""))
        package = scope.get("__package__") or (home if "__path__" in scope else home.rpartition(".")[0])
        base = package.split(".")
        base = base[: len(base) - statement.level + 1]
        name = ".".join([*base, name] if name else base)
    parts = name.split(".")
    above = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    below = [f"{name}.{item}" for item in statement.names if item != "*"] if is_user_module(name) else []
    return above + [item for item in below if item in sys.modules or find_spec(item) is not None]


def is_folder(name: str) -> bool:
    """Tell whether a module is a namespace package, which has no code."""
    spec = find_spec(name)
    return spec is not None and (spec.origin is None or os.path.isdir(spec.origin))


def source_of(name: str) -> Source | None:
    """Read and compile the source of a module, loaded or not, without executing anything.

    Parameters
    ----------
    name : str
        An absolute module name.

    Returns
    -------
    Source or None
        None if there is no file of Python source, or it does not compile.

    Examples
    --------
    >>> source_of("json").code.co_name
    '<module>'
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    state = _state(spec.origin)
    code = None if state is None else _compiled(spec.origin, state)
    if state is None or code is None:
        return None
    return Source(name, spec.parent or "", spec.origin, state, code)


def contradicts(source: Source, module: ModuleType) -> bool:
    """Tell whether a loaded module runs other functions than its file now has: edited, and not reloaded.

    Parameters
    ----------
    source : Source
        The file.
    module : module
        What ``sys.modules`` holds under its name.

    Returns
    -------
    bool
        True if a function that was loaded from this file is not in it any more, to the line.

    Examples
    --------
    >>> import json
    >>> contradicts(source_of("json"), json)
    False
    """
    on_file = _codes(source.code)
    return any(
        function.__code__.co_filename == source.path and function.__code__ not in on_file
        for function in _functions(namespace(module))
    )


def is_edited(path: str, module: ModuleType) -> bool:
    """Tell whether a file does something else than what was loaded from it, as far as that can be seen.

    Parameters
    ----------
    path : str
        The absolute path of the file.
    module : module
        What was loaded from it.

    Returns
    -------
    bool
        True if a function or method that was loaded from the file does what none in it does any more, or if the
        module as a whole does what the bytecode does not that Python kept when it imported the file. Comments
        and places do not count.

    Examples
    --------
    >>> import json
    >>> is_edited(json.__file__, json)
    False
    """
    state = _state(path)
    code = None if state is None else _compiled(path, state)
    if code is None:
        return False
    on_file = {read(each).digest for each in _codes(code)}
    running = [f.__code__ for f in _functions(namespace(module)) if os.path.abspath(f.__code__.co_filename) == path]
    kept = _kept(module)
    return any(read(each).digest not in on_file for each in running) or (
        kept is not None and read(kept).digest != read(code).digest
    )


def _kept(module: ModuleType) -> CodeType | None:
    """Read the bytecode that was kept of a module when it was imported, unless another process has renewed it since."""
    path = namespace(module).get("__cached__")
    try:
        code = marshal.loads(Path(path).read_bytes()[_PYC_HEADER:]) if isinstance(path, str) else None  # noqa: S302 - as Python itself does
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return code if isinstance(code, CodeType) else None


def loaded(module: ModuleType) -> int:
    """Give a number that changes when a module is loaded again."""
    return hash(tuple(map(id, _functions(namespace(module)))))


def _functions(names: dict[str, Any]) -> list[FunctionType]:
    values = [value for value in names.values() if type(value) is FunctionType]
    for cls in [value for value in names.values() if type(value) is type]:
        values += [value for value in vars(cls).values() if type(value) is FunctionType]
    return values


@lru_cache(maxsize=256)
def _compiled(path: str, state: _State) -> CodeType | None:  # noqa: ARG001 - the state is part of the cache's key
    try:
        return compile(Path(path).read_bytes(), path, "exec", dont_inherit=True, optimize=-1)
    except (OSError, SyntaxError, ValueError):
        return None


@lru_cache(maxsize=256)
def _codes(code: CodeType) -> frozenset[CodeType]:
    nested = [_codes(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset({code}).union(*nested)


def _state(path: str) -> _State | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
