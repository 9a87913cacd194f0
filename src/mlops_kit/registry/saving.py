"""Models as bytes in a store, described, before they are a version of anything."""

from __future__ import annotations

import functools
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mlops_kit.errors import CodeChangedWarning, MlopsKitError
from mlops_kit.fingerprints.dispatch import fingerprint
from mlops_kit.fingerprints.environment import environment, environment_stamp
from mlops_kit.fingerprints.origin import is_user_module
from mlops_kit.records import codec
from mlops_kit.store import serializers
from mlops_kit.store.objects import Objects
from mlops_kit.store.serializers import serializer
from mlops_kit.store.store import Store

_WORTH_A_THREAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Saved:
    """An object whose bytes are in a store.

    Parameters
    ----------
    object : str
        Digest of the bytes.
    format : str
        How they are read.
    size : int
        How many they are.
    type : str
        The dotted name of the object's class.
    fingerprint : str or None
        ``fp1:<hex>`` of its content; None if it has parts that no fingerprint can see.
    """

    object: str
    format: str
    size: int
    type: str
    fingerprint: str | None

    def members(self) -> dict[str, Any]:
        """Write it as members of a record."""
        return {name: getattr(self, name) for name in ("object", "format", "size", "type", "fingerprint")}


def save(store: Store, value: Any, *, format: str = "cloudpickle", what: str = "model") -> Saved:  # noqa: A002 - the field's word
    """Write an object's bytes to a store.

    Parameters
    ----------
    store : Store
        Where to.
    value : object
        The object.
    format : str
        How to write it.
    what : str
        What it is to the user, for messages.

    Returns
    -------
    Saved
        Durable.

    Raises
    ------
    NotSerializable
        It cannot be saved; the message names the part that prevents it.
    """
    data = serializer(format).dump(value, what=what, url=store.url)
    store.ensure()
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if len(data) < _WORTH_A_THREAD:
        return Saved(_keep(store.objects, data), format, len(data), name, fingerprint_or_none(value))
    with ThreadPoolExecutor(1, thread_name_prefix="mlops-kit-save") as beside:  # it mostly waits for the disk
        put = beside.submit(copy_context().run, _keep, store.objects, data)
        found = fingerprint_or_none(value)
    return Saved(put.result(), format, len(data), name, found)


def _keep(objects: Objects, pickle: bytes) -> str:
    """Write what was pickled a moment ago, and note that it is this process's own."""
    digest = objects.put(pickle)
    serializers.pickled.add(digest)
    return digest


def fingerprint_or_none(value: Any) -> str | None:
    """Fingerprint an object, or give None if it has parts that no fingerprint can see."""
    try:
        return fingerprint(value)
    except MlopsKitError:
        return None


def warn_if_changed(value: Any, data: bytes, recorded: str | None, *, what: str) -> None:
    """Warn if an object that was just loaded uses code of the user's that is not what it was.

    Parameters
    ----------
    value : object
        The object.
    data : bytes
        What it was loaded from: code of modules is in there by name only.
    recorded : str or None
        The fingerprint it had when it was saved, its code included.
    what : str
        What it is to the user.
    """
    modules = [
        name
        for name, module in list(sys.modules.items())
        if type(module) is ModuleType and name != "__main__" and _is_own(name) and name.encode() in data
    ]
    if not modules or recorded is None or fingerprint_or_none(value) in {None, recorded}:
        return
    warnings.warn(
        f"The {what} uses code of {', '.join(modules)} that has changed since it was saved: it may answer "
        "differently. The run that made it keeps the sources as they were (`run.code['sources']`).",
        CodeChangedWarning,
        stacklevel=3,
    )


@functools.lru_cache(maxsize=16_384)
def _is_own(module: str) -> bool:
    return is_user_module(module)


def keep_environment(objects: Objects) -> str:
    """Keep the description of the present environment and give its digest."""
    return objects.put_once(
        "environment", environment_stamp(), lambda: codec.seal("environment", codec.plain(environment()))
    )
