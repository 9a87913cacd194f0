"""Where code comes from: the user's own modules, the standard library, or an installed distribution."""

from __future__ import annotations

import sys
import sysconfig
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_NOBODYS = frozenset({__name__.partition(".")[0], "cython_runtime"})  # modules of Cython have no file, and no code


def is_user_module(name_or_module: str | ModuleType) -> bool:
    """Tell whether a module is the user's own code.

    Parameters
    ----------
    name_or_module : str or module
        A module, or its absolute name; it is not imported if it is not loaded.

    Returns
    -------
    bool
        True unless the module belongs to the standard library, is built in, lies in a ``site-packages`` or
        ``dist-packages`` folder, or is a part of mlops_kit. A project installed as editable is the user's own,
        and so are a script, a notebook, and code without a file, whatever it calls its module.

    Examples
    --------
    >>> is_user_module("json"), is_user_module("numpy"), is_user_module("my_project.training")
    (False, False, True)
    """
    if isinstance(name_or_module, ModuleType):
        return is_user_namespace(namespace(name_or_module))
    return _is_user_place(name_or_module, _location(name_or_module) if name_or_module else None)


def is_user_namespace(names: dict[str, Any]) -> bool:
    """Tell whether a namespace, such as a function's globals, is that of the user's own code.

    Parameters
    ----------
    names : dict
        The globals of a module, or what code was executed in.

    Returns
    -------
    bool
        As `is_user_module`; a namespace that belongs to no file is the user's.

    Examples
    --------
    >>> is_user_namespace({"__name__": "a notebook cell"})
    True
    """
    name = names.get("__name__")
    return _is_user_place(name if isinstance(name, str) else "", _location_in(names))


def is_standard(name: str) -> bool:
    """Tell whether a module that is not the user's own comes with Python.

    Parameters
    ----------
    name : str
        An absolute module name.

    Returns
    -------
    bool
        True for the standard library and for what is built in.

    Examples
    --------
    >>> is_standard("collections.abc"), is_standard("numpy")
    (True, False)
    """
    return name.partition(".")[0] in sys.stdlib_module_names


def module_name(module: ModuleType) -> str:
    """Return the name in a module's namespace, without asking the module.

    Parameters
    ----------
    module : module
        Any module.

    Returns
    -------
    str
        Its ``__name__``, empty if there is none.

    Examples
    --------
    >>> module_name(sys)
    'sys'
    """
    name = namespace(module).get("__name__")
    return name if isinstance(name, str) else ""


def namespace(module: ModuleType) -> dict[str, Any]:
    """Return a module's namespace, past any ``__getattribute__`` of its own.

    Parameters
    ----------
    module : module
        Any module.

    Returns
    -------
    dict
        What ``vars(module)`` is for an ordinary module.

    Examples
    --------
    >>> namespace(sys)["__name__"]
    'sys'
    """
    return ModuleType.__getattribute__(module, "__dict__")  # type: ignore[no-any-return]  # object's own answer


def find_spec(name: str) -> ModuleSpec | None:
    """Find a module as an import would, without importing its parents.

    Parameters
    ----------
    name : str
        An absolute module name.

    Returns
    -------
    ModuleSpec or None
        None if an import would not find it, or only a running parent package could tell.

    Examples
    --------
    >>> find_spec("json.decoder").name
    'json.decoder'
    """
    parent, _, _ = name.rpartition(".")
    if not parent:
        return _find_top(name)
    above = find_spec(parent)
    if above is None or above.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(name, list(above.submodule_search_locations))


@lru_cache(maxsize=4096)
def distribution_of(name: str) -> tuple[str, str]:
    """Name the installed distribution that a module belongs to.

    Parameters
    ----------
    name : str
        The absolute name of a module, loaded or not.

    Returns
    -------
    tuple of str
        The distribution and its version. Where no metadata covers the file: the top-level package and its
        ``__version__``, or ``"unknown"``.

    Examples
    --------
    >>> distribution_of("sklearn.linear_model")[0]
    'scikit-learn'
    """
    top = name.partition(".")[0]
    return _distribution_at(top, _location(_owner(name)))


def _owner(name: str) -> str:
    """Name the outermost package of a module that has a file: below a namespace package, its portion."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        candidate = ".".join(parts[:depth])
        location = _location(candidate)
        if location is not None and location.endswith((".py", ".pyc", ".so", ".pyd")):
            return candidate
    return parts[0]


def _location(name: str) -> str | None:
    module = sys.modules.get(name)
    if isinstance(module, ModuleType):
        return _location_in(namespace(module))
    spec = find_spec(name)
    return None if spec is None else _spec_location(spec)


def _location_in(names: dict[str, Any]) -> str | None:
    file = names.get("__file__")
    if isinstance(file, str):
        return file
    spec = names.get("__spec__")
    return _spec_location(spec) if isinstance(spec, ModuleSpec) else None


def _spec_location(spec: ModuleSpec) -> str | None:
    if spec.origin is not None:
        return spec.origin
    folders = spec.submodule_search_locations
    return next(iter(folders), None) if folders is not None else None


def _find_top(name: str) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, None)
        except Exception:  # noqa: BLE001, S112 - a finder may be anybody's; one that fails has not found it
            continue
        if spec is not None:
            return spec
    return None


@lru_cache(maxsize=4096)
def _is_user_place(name: str, location: str | None) -> bool:
    top = name.partition(".")[0]
    if top in _NOBODYS or top.startswith("_cython_") or location in {"built-in", "frozen"}:
        return False
    if location is None:
        return top not in sys.stdlib_module_names
    path = Path(location)
    if not _INSTALLED.isdisjoint(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _standard_folders())


@lru_cache(maxsize=1)
def _standard_folders() -> frozenset[str]:
    places = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    archive = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    places.update(entry for entry in sys.path if Path(entry).name == archive)
    return frozenset(places)


@lru_cache(maxsize=4096)
def _distribution_at(top: str, location: str | None) -> tuple[str, str]:
    from importlib import metadata  # noqa: PLC0415 - costs milliseconds that a plain `import mlops_kit` need not pay

    path = None if location is None else Path(location)
    site = None if path is None else next((up for up in path.parents if up.name in _INSTALLED), None)
    if path is not None and site is not None:
        inside = path.relative_to(site).as_posix()
        for query in ({"name": top, "path": [str(site)]}, {"path": [str(site)]}):
            for found in metadata.distributions(**query):
                if _covers(found, inside, top):
                    return found.metadata["Name"], found.version
    version = namespace(sys.modules[top]).get("__version__") if top in sys.modules else None
    return top, version if isinstance(version, str) else "unknown"


def _covers(distribution: Any, inside: str, top: str) -> bool:
    record = distribution.read_text("RECORD")
    if record is not None:
        return f"\n{inside}," in f"\n{record}"
    return top in (distribution.read_text("top_level.txt") or "").split()
