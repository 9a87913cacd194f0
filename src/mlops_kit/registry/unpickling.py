"""Objects read back from their bytes, with a word about what is no longer as it was when they were saved."""

from __future__ import annotations

import functools
import re
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mlops_kit.errors import (
    CodeChangedWarning,
    CodeNotComparedWarning,
    MlopsKitError,
    NotSerializable,
    OtherPythonWarning,
)
from mlops_kit.fingerprints.origin import is_user_module
from mlops_kit.fingerprints.places import code_at
from mlops_kit.records import codec
from mlops_kit.records.schemes import comparable
from mlops_kit.registry.saving import PICKLES, Saved, python_minor
from mlops_kit.store.objects import Objects

_CODE = b"CodeType"  # by which pickles of cloudpickle make functions anew
_STACK = 4
_pythons: dict[str, str | None] = {}


def unpickled(
    saved: Saved, data: bytes, load: Callable[[], Any], *, what: str, python: Callable[[], str | None]
) -> Any:
    """Load an object, and warn of another Python and of code that has changed.

    Parameters
    ----------
    saved : Saved
        What the record says of it.
    data : bytes
        Its bytes.
    load : callable
        Reads them.
    what : str
        What it is to the user.
    python : callable
        Finds the minor version that pickled it where the record does not say.

    Returns
    -------
    object
        What `load` returns.

    Raises
    ------
    NotSerializable
        It holds code that another Python compiled, which this one cannot run; or it cannot be restored.
    """
    here = python_minor()
    other = (saved.python or python() or here) if saved.format in PICKLES else here
    if other != here:
        if _CODE in data:
            raise NotSerializable(
                f"The {what} was pickled by Python {other} and holds functions that it compiled, which this Python "
                f"{here} would crash on. Load it with Python {other}; or put these functions into a module, and save "
                "it again."
            )
        warnings.warn(
            f"The {what} was pickled by Python {other}, and this is {here}: pickles are not made for that. If it "
            f"fails, or answers otherwise, load it with Python {other}, or save it again with this one. Code of your "
            "own in it is not compared with what it was then.",
            OtherPythonWarning,
            stacklevel=_STACK,
        )
    try:
        value = load()
    except NotSerializable as error:
        if other != here:
            raise NotSerializable(f"{error} It was pickled by Python {other}, and this is {here}.") from error
        raise
    if other == here:
        compare_code(saved, data, what)
    return value


def python_of(objects: Objects, environment: str | None) -> str | None:
    """Find the minor version of Python in the record of an environment.

    Parameters
    ----------
    objects : Objects
        Where it is.
    environment : str or None
        Its digest.

    Returns
    -------
    str or None
        None if it is not there, or does not say.
    """
    key = environment or ""
    if key not in _pythons:
        try:
            members = codec.unseal(objects.get(key, what="environment"), where="environment") if key else {}
        except MlopsKitError:
            members = {}
        _pythons[key] = ".".join(str(members.get("python", "")).split(".")[:2]) or None
    return _pythons[key]


def compare_code(saved: Saved, data: bytes, what: str) -> None:
    """Warn of functions and classes of the user's that are not what they were, or cannot be compared."""
    changed, unclear = set(), set()
    for place, recorded in (saved.code or {}).items():
        module = place.partition(":")[0]
        found = code_at(place)
        if found is None or not comparable(found, recorded):
            unclear.add(module)
        elif found != recorded:
            changed.add(module)
    if saved.python is None and saved.format in PICKLES and saved.fingerprint is not None:  # by an older release
        unclear = {name for name in _own_modules() if _is_named(name, data)}
    if changed:
        warnings.warn(
            f"The {what} uses code of {_listed(changed)} that has changed since it was saved: it may answer "
            "differently. The run that made it keeps the sources as they were (`run.code['sources']`).",
            CodeChangedWarning,
            stacklevel=_STACK + 1,
        )
    elif unclear:
        warnings.warn(
            f"The {what} uses code of {_listed(unclear)}, which cannot be compared with what it was: another release "
            "of mlops_kit saved it, or the code is not where it was. Save it again to have it compared from now on.",
            CodeNotComparedWarning,
            stacklevel=_STACK + 1,
        )


def _listed(modules: set[str]) -> str:
    return ", ".join(sorted(modules))


def _is_named(module: str, data: bytes) -> bool:
    """Check whether a pickle names a module, or one in it, as a whole text: `samples` is not in ``n_samples_seen_``."""
    name = module.encode()  # \x8c and a length stand before a text, and the length may look like a letter
    whole = rb"(?s)(?:(?<![\w.])|(?<=\x8c.))" + re.escape(name) + rb"(?!\w)"
    return name in data and re.search(whole, data) is not None


def _own_modules() -> list[str]:
    loaded = [name for name, module in list(sys.modules.items()) if type(module) is ModuleType and name != "__main__"]
    return [name for name in loaded if _is_own(name)]


@functools.lru_cache(maxsize=16_384)
def _is_own(module: str) -> bool:
    return is_user_module(module)
