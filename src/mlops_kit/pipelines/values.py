"""What a step returned, as its record keeps it, and back."""

from __future__ import annotations

import sys
from typing import Any

from mlops_kit.datasets import storage
from mlops_kit.errors import IntegrityError, MlopsKitError, NotSerializable
from mlops_kit.fingerprints.arrow import is_tabular
from mlops_kit.records.run import OutputRef
from mlops_kit.records.step import StepRecord
from mlops_kit.registry.saving import python_minor
from mlops_kit.store import keys, serializers
from mlops_kit.store.backend import Judged
from mlops_kit.store.objects import digest_of
from mlops_kit.store.store import Store
from mlops_kit.store.trust import load_trusted
from mlops_kit.tracking.outputs import is_plain, load_output
from mlops_kit.tracking.params import is_model, type_name

INLINE_BYTES = 65_536
"""A result of at most so many bytes stands in its record."""

_NAME = "value"
_FRAMES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}


def keep_value(
    store: Store, value: Any, *, fingerprint: str | None, elsewhere: bool = False
) -> tuple[OutputRef, bytes | None]:
    """Keep what a step returned.

    Parameters
    ----------
    store : Store
        Where to, without waiting for the disk.
    value : object
        What was returned.
    fingerprint : str or None
        Its fingerprint as an argument.
    elsewhere : bool
        Whether the program is another process, whose classes it comes back with.

    Returns
    -------
    OutputRef and bytes or None
        How it is read, and its bytes if they stand in the record.

    Raises
    ------
    NotSerializable
        It cannot be kept; the message names the part that prevents it.
    """
    if is_plain(value, INLINE_BYTES):
        return OutputRef(_NAME, "value", "json", type=type_name(value), fingerprint=fingerprint, value=value), None
    if is_tabular(value) and not hasattr(type(value), "__len__"):
        raise NotSerializable(
            f"The value of type {type_name(value)} cannot be kept: it is a stream, which reading would use up. Return "
            "a table."
        )
    if _is_frame(value):
        try:
            manifest, size = storage.write_manifest(storage.prepare(value), store)
            return OutputRef(_NAME, "table", "dataset", manifest, fingerprint, size, type_name(value)), None
        except (NotSerializable, MlopsKitError):
            pass  # what a table cannot keep exactly, a pickle can
    data = serializers.pickled_by_name(value, what=_NAME, elsewhere=elsewhere)
    digest = digest_of(data)
    serializers.pickled.add(digest)
    ref = OutputRef(
        name=_NAME,
        kind="model" if is_model(value) else "object",
        format="cloudpickle",
        object=digest,
        fingerprint=fingerprint,
        size=len(data),
        type=type_name(value),
        python=python_minor(),
    )
    if len(data) <= INLINE_BYTES:
        return ref, data
    store.objects.put(data)
    return ref, None


def load_value(store: Store, record: StepRecord) -> Any:
    """Read what a step returned.

    Parameters
    ----------
    store : Store
        Where it is kept.
    record : StepRecord
        Its record.

    Returns
    -------
    object
        An equal object.

    Raises
    ------
    IntegrityError, NotFound
        It is damaged or lost.
    NotSerializable
        It cannot be read here.
    UntrustedArtifact
        Reading it would run code from bytes that somebody else could have written.
    """
    what = f"result of {record.step}"
    if record.data is None:
        return load_output(store, record.value, what=what, named_in=(keys.step_key(record.key),))
    found = store.results.judged(record.key)
    where = keys.step_key(record.key)
    again = None if found is None else StepRecord.decode(found.data, where=where)
    digest = str(record.value.object)
    if found is None or again is None or again.data is None or digest_of(again.data) != digest:
        raise IntegrityError(f"The {what} at {where} in {store.url} was replaced while it was read.")
    judged = Judged(again.data, found.root, found.exposed)
    return load_trusted(store, judged, digest=digest, format=record.value.format, what=what)


def _is_frame(value: Any) -> bool:
    """Check whether a value is a table of a library itself, not of a class of somebody's own."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    return kind is getattr(sys.modules.get(library), _FRAMES.get(library, ""), None)
