"""What a run made: kept so that it loads as it was returned, and told apart into models, tables and values."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from mlops_kit.datasets import storage
from mlops_kit.errors import MlopsKitError, OutputNotFound
from mlops_kit.fingerprints.arrow import is_tabular
from mlops_kit.records import codec
from mlops_kit.records.dataset import Manifest
from mlops_kit.records.run import OutputRef
from mlops_kit.registry.saving import Saved, save
from mlops_kit.registry.unpickling import unpickled
from mlops_kit.store.store import Store
from mlops_kit.store.trust import load_trusted
from mlops_kit.tracking.params import is_model, type_name

_INLINE_BYTES = 4096
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_SMALL = frozenset({type(None), bool, float})
_MAX_BITS = 4096
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_MAX_PLAIN_DEPTH = 8


def record_output(store: Store, name: str, value: Any) -> OutputRef:
    """Keep a value.

    Parameters
    ----------
    store : Store
        Where to.
    name : str
        What it is called in the run.
    value : object
        Anything: small plain values go into the record, tables are kept as tables, the rest is pickled.

    Returns
    -------
    OutputRef
        What the run records.

    Raises
    ------
    NotSerializable
        It cannot be saved; the message names the part that prevents it.
    """
    if is_plain(value, _INLINE_BYTES):
        return OutputRef(name, "value", "json", type=type_name(value), value=value)
    if is_tabular(value) and not hasattr(type(value), "__len__"):
        return OutputRef(name, "none", "none", type=type_name(value))  # a stream: reading would use it up
    if is_tabular(value):
        try:
            prepared = storage.prepare(value)
            manifest, size = storage.write_manifest(prepared, store)
            kind = type_name(value)
            return OutputRef(name, "table", "dataset", manifest, prepared.fingerprint, size, kind)
        except MlopsKitError:
            pass  # what a table cannot keep exactly, a pickle can
    saved = save(store, value, what=name)
    kind = "model" if is_model(value) else "object"
    return OutputRef(name, kind, **saved.members())


def load_output(
    store: Store,
    ref: OutputRef,
    *,
    what: str,
    allow_code: str | None = None,
    named_in: Collection[str] = (),
    python: Callable[[], str | None] = lambda: None,
) -> Any:
    """Give back what `record_output` kept.

    Parameters
    ----------
    store : Store
        Where it is.
    ref : OutputRef
        What the run recorded.
    what : str
        What it is to the user, for messages.
    allow_code : str, optional
        The digest of an object that may run code here.
    named_in : collection of str
        Keys of the records that name it.
    python : callable, optional
        Finds the minor version of Python that pickled it, where the record does not say.

    Returns
    -------
    object
        An equal object of the same type.

    Raises
    ------
    OutputNotFound
        It could not be kept when the run was recorded.
    UntrustedArtifact
        Reading it would run code from bytes that somebody else could have written.
    """
    if ref.format == "json":
        return ref.value
    saved = Saved.of(ref)
    if saved is None:
        raise OutputNotFound(f"The {what} of type {ref.type} could not be kept when the run was recorded.")
    if ref.format == "dataset":
        return _frame(store, Manifest.decode(store.objects.get(saved.object, what=what), where=what), what)
    found = store.objects.get_judged(saved.object, size=saved.size, what=what)

    def load() -> Any:
        return load_trusted(
            store,
            found,
            digest=saved.object,
            format=saved.format,
            what=what,
            allow_code=allow_code,
            named_in=named_in,
        )

    return unpickled(saved, found.data, load, what=what, python=python)


def _frame(store: Store, manifest: Manifest, what: str) -> Any:
    from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow

    return frames.unpack_native(storage.read_table(manifest, store, what=what), manifest.header)


def is_plain(value: Any, limit: int) -> bool:
    """Check whether a value comes back from JSON of at most so many bytes equal and of the same type.

    Examples
    --------
    >>> is_plain({"auc": (0.5, None)}, 100), is_plain(object(), 100), is_plain("long" * 100, 100)
    (True, False, False)
    """
    if type(value) in _SMALL:
        return True
    return _may_be_plain(value, limit, 0) and len(codec.canonical(codec.plain(value))) <= limit


def _may_be_plain(value: Any, limit: int, depth: int) -> bool:
    """Check the types in a value, looking at few items only."""
    kind = type(value)
    if kind is int:
        return bool(value.bit_length() <= min(limit, _MAX_BITS))
    if kind in _PLAIN:
        return kind not in {str, bytes} or len(value) <= limit
    if kind not in _CONTAINERS or depth > _MAX_PLAIN_DEPTH or len(value) > limit:
        return False
    items = [*value.keys(), *value.values()] if kind is dict else value
    return all(_may_be_plain(item, limit, depth + 1) for item in items)
