"""Models as bytes in a store, described, before they are a version of anything."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Self

from mlops_kit.errors import MlopsKitError
from mlops_kit.fingerprints.dispatch import fingerprint, fingerprint_and_code
from mlops_kit.fingerprints.environment import environment, environment_stamp
from mlops_kit.fingerprints.places import named_code
from mlops_kit.records import codec
from mlops_kit.records.run import OutputRef
from mlops_kit.store import serializers
from mlops_kit.store.objects import Objects
from mlops_kit.store.serializers import serializer
from mlops_kit.store.store import Store

PICKLES = frozenset({"cloudpickle"})
"""The formats that another minor version of Python may not be able to read."""

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
        Of its content; None if it has parts that no fingerprint can see.
    python : str, optional
        The minor version of Python that pickled it, such as ``"3.12"``.
    code : dict, optional
        Fingerprints of the user's functions and classes that the bytes only name, by place.
    """

    object: str
    format: str
    size: int
    type: str
    fingerprint: str | None
    python: str | None = None
    code: dict[str, str] | None = None

    def members(self) -> dict[str, Any]:
        """Write it as members of a record, without those that say nothing."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in members.items() if value is not None and value != {}}

    @classmethod
    def of(cls, ref: OutputRef) -> Self | None:
        """Read what a run recorded of an output; None if it has no bytes of its own."""
        if ref.object is None or ref.size is None:
            return None
        return cls(ref.object, ref.format, ref.size, ref.type or "", ref.fingerprint, ref.python, ref.code)


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
    python = python_minor() if format in PICKLES else None
    if len(data) < _WORTH_A_THREAD:
        return Saved(_keep(store.objects, data), format, len(data), name, *_identity(value, python))
    with ThreadPoolExecutor(1, thread_name_prefix="mlops-kit-save") as beside:  # it mostly waits for the disk
        put = beside.submit(copy_context().run, _keep, store.objects, data)
        identity = _identity(value, python)
    return Saved(put.result(), format, len(data), name, *identity)


def _identity(value: Any, python: str | None) -> tuple[str | None, str | None, dict[str, str] | None]:
    """Fingerprint an object and the code that its bytes name."""
    try:
        found, code = fingerprint_and_code(value)
    except MlopsKitError:
        return None, python, None
    return found, python, named_code(code)


def python_minor() -> str:
    """Return the minor version of this Python.

    Examples
    --------
    >>> python_minor().count(".")
    1
    """
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


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


def keep_environment(objects: Objects) -> str:
    """Keep the description of the present environment and give its digest."""
    return objects.put_once(
        "environment", environment_stamp(), lambda: codec.seal("environment", codec.plain(environment()))
    )
