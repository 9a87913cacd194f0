"""The code that a pickle only names: where it stands, and what it does there."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from inspect import getattr_static
from typing import Any

from mlops_kit.fingerprints.code import CodeFingerprint, code_fingerprint
from mlops_kit.fingerprints.introspection import MISSING
from mlops_kit.records.codec import canonical
from mlops_kit.records.schemes import OBJECTS


def named_code(objects: Iterable[Any]) -> dict[str, str]:
    """Fingerprint the code that a pickle of these functions and classes names, by its place.

    Parameters
    ----------
    objects : iterable
        Functions and classes of the user's. One that can be imported is pickled by its name; of another, which is
        pickled whole, the functions and classes that it reaches count.

    Returns
    -------
    dict of str to str
        Fingerprints by ``"module:qualname"``.
    """
    found: dict[str, str] = {}
    for obj in {id(each): each for each in objects}.values():
        code = code_fingerprint(obj)
        place = f"{obj.__module__}:{obj.__qualname__}"
        if _at(place) is obj:
            found[place] = _digest(code)
        else:
            for reached in code.parts:
                target = _at(reached)
                if callable(target):
                    found[reached] = _digest(code_fingerprint(target))
    return found


def code_at(place: str) -> str | None:
    """Fingerprint the code that stands at a place now.

    Parameters
    ----------
    place : str
        ``"module:qualname"``.

    Returns
    -------
    str or None
        None if there is none: the module is not loaded, or has nothing of that name.
    """
    target = _at(place)
    return _digest(code_fingerprint(target)) if callable(target) else None


def _at(place: str) -> Any:
    """Find what a pickle would find under a name, without running anything."""
    module, _, qualname = place.partition(":")
    found: Any = sys.modules.get(module, MISSING) if module != "__main__" else MISSING
    for name in qualname.split("."):
        found = getattr_static(found, name, MISSING)
    return found


def _digest(code: CodeFingerprint) -> str:
    """Fingerprint what the user's own functions and classes do, whatever versions of libraries they call."""
    return f"fp{OBJECTS}:{hashlib.sha256(canonical(dict(code.parts))).hexdigest()}"
