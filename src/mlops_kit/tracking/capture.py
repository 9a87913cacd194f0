"""What surrounds a call: the code that would run, its sources, the environment, the state of the generators."""

from __future__ import annotations

import inspect
import linecache
import os
import sys
from collections.abc import Callable, Hashable
from types import CodeType, FrameType
from typing import Any

from mlops_kit.fingerprints.code import CodeFingerprint, is_user_module
from mlops_kit.fingerprints.sources import is_edited, loaded
from mlops_kit.records import codec
from mlops_kit.store.objects import Objects
from mlops_kit.tracking.rng import rng_members, rng_state

_MAX_SOURCE = 2_000_000


def capture_rng(objects: Objects) -> str:
    """Keep the states of the random number generators and give their digest."""
    state = rng_state()
    return objects.put_once("rng", state, lambda: codec.seal("rng", rng_members(state)))


def capture_function(objects: Objects, function: Callable[..., Any], code: CodeFingerprint) -> dict[str, Any]:
    """Describe a function as a run records it; its parts are kept as an object."""
    return {
        "module": getattr(function, "__module__", None) or "",
        "qualname": getattr(function, "__qualname__", None) or type(function).__qualname__,
        "code": code.value,
        "parts": objects.put_once(f"parts {id(function)}", code.value, lambda: _sealed("parts", _parts(code))),
    }


def capture_sources(objects: Objects, codes: tuple[CodeType, ...], files: dict[str, str]) -> str | None:
    """Keep the source of the user's modules that a run reaches, and of the notebook cells it stands in.

    Parameters
    ----------
    objects : Objects
        Where to keep them.
    codes : tuple of code
        What runs: the function and the user's functions it reaches, or the block.
    files : dict
        The source files of the user's modules in its closure, by module.

    Returns
    -------
    str or None
        The digest of the sources; None if there are none to be had.
    """
    cells = tuple(filter(None, map(_cell, codes)))
    if not files and not cells:
        return None
    stamp: Hashable = (
        cells,
        tuple((name, path, _seen(path), loaded(sys.modules[name])) for name, path in files.items()),
    )
    slot = f"sources {id(codes[0]) if codes else ''}"
    return objects.put_once(slot, stamp, lambda: _sealed("sources", _sources(files, cells)))


def codes_of(
    function: Callable[..., Any] | None, reached: CodeFingerprint | None, frame: FrameType | None
) -> tuple[CodeType, ...]:
    """Give the code of a function beneath its decorators and of what it reaches, or of the block that a frame runs."""
    if function is None or reached is None:
        return () if frame is None else (frame.f_code,)
    found = [_code(function)]
    for name in reached.parts:
        module, _, qualname = name.partition(":")
        if not hasattr(sys.modules.get(module), "__file__"):  # whose source is kept as a whole otherwise
            found.append(_code(_static(sys.modules.get(module), qualname)))
    return tuple(code for code in found if code is not None)


def _static(home: object, qualname: str) -> object:
    """Follow a dotted name without running anything of the user's."""
    for name in qualname.split("."):
        home = inspect.getattr_static(home, name, None)
    return home


def _code(function: object) -> CodeType | None:
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return code if isinstance(code, CodeType) else None


def user_module(frame: FrameType | None) -> tuple[str, ...]:
    """Name the module a frame runs in, if it is the user's."""
    name = None if frame is None else frame.f_globals.get("__name__")
    return (name,) if isinstance(name, str) and is_user_module(name) else ()


def source_files(modules: tuple[str, ...]) -> dict[str, str]:
    """Find the source file of each module that has one."""
    found = {}
    for name in modules:
        module = sys.modules.get(name)
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.endswith(".py"):
            found[name] = os.path.abspath(path)
    return found


def _sources(files: dict[str, str], cells: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    modules: dict[str, dict[str, Any]] = {}
    for name, path in files.items():
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                modules[name] = {"path": path, "text": file.read(_MAX_SOURCE)}
            if is_edited(path, sys.modules[name]):
                modules[name]["edited"] = True
        except OSError:
            continue
    return {"modules": modules, "cells": dict(cells)}


def _cell(code: CodeType) -> tuple[str, str] | None:
    """Give the text of code that is in no file: a notebook cell, an interactive session."""
    if os.path.exists(code.co_filename):
        return None
    lines = linecache.getlines(code.co_filename)
    return (code.co_filename, "".join(lines)[:_MAX_SOURCE]) if lines else None


def _parts(code: CodeFingerprint) -> dict[str, Any]:
    return {
        "functions": code.parts,
        "modules": list(code.modules),
        "distributions": code.distributions,
        "opaque": list(code.opaque),
    }


def _sealed(kind: str, members: dict[str, Any]) -> bytes:
    return codec.seal(kind, {name: codec.plain(value) for name, value in members.items()})


def _seen(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
