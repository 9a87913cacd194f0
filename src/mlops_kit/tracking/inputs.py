"""Data that goes into a run: fingerprinted always, kept as a dataset version where that is wanted."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from mlops_kit.datasets.dataset import Dataset, keep, kept_before, unchanged_origin
from mlops_kit.datasets.storage import Prepared, describe, prepare
from mlops_kit.errors import InvalidInput, InvalidName, Postponed, StoreError, UnsupportedData
from mlops_kit.fingerprints.arrow import is_tabular
from mlops_kit.fingerprints.dispatch import fingerprint
from mlops_kit.fingerprints.tensors import as_array, is_tensor
from mlops_kit.records.run import InputRef
from mlops_kit.records.signature import SignatureRecord
from mlops_kit.store.store import Store

SNAPSHOT_BYTES = 256_000_000
"""Tables up to this size are kept unless the user says otherwise."""

_KEPT_DIMENSIONS = 2
_MAX_KEPT_COLUMNS = 10_000


def snapshot_limit(snapshot: object) -> int | None:
    """Read ``snapshot=``: how many bytes of a table are kept.

    Parameters
    ----------
    snapshot : str, bool or int
        ``"auto"``, True, False, or a number of bytes.

    Returns
    -------
    int or None
        The limit; None for no limit.

    Raises
    ------
    InvalidInput
        It is none of these.

    Examples
    --------
    >>> snapshot_limit("auto"), snapshot_limit(True), snapshot_limit(False), snapshot_limit(10)
    (256000000, None, 0, 10)
    """
    if snapshot is True:
        return None
    if snapshot is False:
        return 0
    if isinstance(snapshot, str) and snapshot == "auto":
        return SNAPSHOT_BYTES
    if isinstance(snapshot, int) and snapshot >= 0:
        return snapshot
    raise InvalidInput(f"snapshot={snapshot!r} is not 'auto', True, False or a number of bytes.")


def record_input(
    store: Store, name: str, value: Any, *, dataset: str, limit: int | None, note: Callable[[str], None]
) -> InputRef:
    """Fingerprint data and keep it if it is not too large.

    Parameters
    ----------
    store : Store
        Where to keep it.
    name : str
        What it is called in the run.
    value : table, column, array, sparse matrix or Dataset
        The data.
    dataset : str
        The dataset that a bare table becomes a version of.
    limit : int or None
        So many bytes are kept; None for any number; of 0 not even the profile, which holds some of the values.
    note : callable
        Takes the reason why something could not be kept.

    Returns
    -------
    InputRef
        What the run records.
    """
    if isinstance(value, Dataset):
        return _dataset(store, name, value, note)
    kind = _kind(value)
    if kind == "stream":
        note(f"The data {name!r} is a stream that reading would use up: pass a table to have it recorded.")
    of_its_own = kind in {"array", "sparse"}  # other data has the fingerprint of the table that keeps it
    printed = _fingerprint(name, value, note) if of_its_own else None
    if kind == "stream" or (printed == "" and is_tensor(value)):  # a sparse tensor, say, has no size in bytes either
        return InputRef(name, kind, "", _rows(value))
    if not _is_kept(value, kind, limit):
        prepared = prepare(value) if type(value) is dict else None
        printed = printed or (_fingerprint(name, value, note) if prepared is None else prepared.fingerprint)
        origin = unchanged_origin(value, store, prepared=prepared, printed=printed)
        if origin is not None:
            return _linked(name, kind, origin, printed)
        profile = None if limit == 0 else _profiled(store, value, kind)
        return InputRef(name, kind, printed, _rows(value), profile=profile)
    try:
        return _kept_whole(store, name, kind, value, dataset, printed)
    except (UnsupportedData, InvalidName) as error:
        note(f"The data {name!r} was not kept: {error}")
        return InputRef(name, kind, printed or _fingerprint(name, value, note), _rows(value))


def _kept_whole(store: Store, name: str, kind: str, value: Any, dataset: str, printed: str | None) -> InputRef:
    """Refer to the version that data came from, or keep it as one."""
    prepared = prepare(as_array(value) if is_tensor(value) else value)
    origin = unchanged_origin(value, store, prepared=prepared, printed=printed)
    if origin is not None:
        return _linked(name, kind, origin, printed)
    try:
        return _as_version(store, name, kind, prepared, dataset, printed)
    except InvalidName:  # another dataset has this name but for its case, or a system reserves it
        return _as_version(store, name, kind, prepared, _name_of_its_own(dataset), printed)


def _as_version(store: Store, name: str, kind: str, prepared: Prepared, dataset: str, printed: str | None) -> InputRef:
    """Keep data as a version of a dataset, unless one keeps it already."""
    known = _kept(store, prepared, dataset)
    if known is not None:
        return _linked(name, kind, known, printed)
    try:
        version = int(keep(prepared, name=dataset, store=store).body["version"])
    except Postponed:
        version = None
    return InputRef(name, kind, printed or prepared.fingerprint, prepared.rows, dataset, version)


def _name_of_its_own(dataset: str) -> str:
    """Name the dataset of a parameter whose name another dataset has but for its case.

    Examples
    --------
    >>> _name_of_its_own("train.x")
    'train.x-6fe8b1'
    """
    digest = hashlib.sha256(dataset.encode()).hexdigest()[:6]
    base, dot, rest = dataset.partition(".")  # no system reserves a name by what stands behind a dot
    return f"{base}.{rest}-{digest}" if dot else f"{base}-{digest}"


def fitted_on(given: Any, target: str | None) -> list[tuple[str, Any]]:
    """Put the data that a model was fitted on in as few parts as can be.

    Parameters
    ----------
    given : Signature, tuple or data
        An example ``(X, y)``, or X, perhaps with the target in it.
    target : str or None
        What the target is called.

    Returns
    -------
    list of tuple
        ``data`` with the target as its last column where X is a frame; else ``X`` and ``y``; nothing of a signature.

    Examples
    --------
    >>> import pandas as pd
    >>> fitted_on((pd.DataFrame({"age": [31]}), [1]), "bought")[0][1].columns.tolist()
    ['age', 'bought']
    """
    if isinstance(given, SignatureRecord):
        return []
    X, y = given if isinstance(given, tuple) else (given, None)  # noqa: N806 - the field's names
    if y is None:
        return [("data", X)]
    if target is not None and getattr(y, "ndim", 1) == 1 and target not in map(str, getattr(X, "columns", (target,))):
        if callable(getattr(X, "assign", None)):
            return [("data", X.assign(**{target: getattr(y, "to_numpy", lambda: y)()}))]
        if callable(getattr(X, "with_columns", None)):
            return [("data", X.with_columns(**{target: y}))]
    return [("X", X), ("y", y)]


def dataset_name(function: str, parameter: str) -> str:
    """Name the dataset that a parameter's tables become versions of.

    Examples
    --------
    >>> dataset_name("make.<locals>.train", "data")
    'train.data'
    """
    own = function.rpartition("<locals>.")[2]
    text = unicodedata.normalize("NFC", f"{own}.{parameter}")
    clean = re.sub(r"[^\w.-]+", "_", text).strip(".-")
    while len(clean.encode()) > 120:  # noqa: PLR2004 - what a name may have
        clean = clean[1:].lstrip(".-")
    return clean or "data"


def _kind(value: Any) -> str:
    if type(value) is dict:
        return "table"
    if is_tabular(value):
        return "table" if hasattr(type(value), "__len__") else "stream"
    if hasattr(value, "tocsr"):
        return "sparse"
    return "array" if is_tensor(value) or type(value).__module__.partition(".")[0] == "numpy" else "column"


def _profiled(store: Store, value: Any, kind: str) -> str | None:
    """Keep what a table looks like in place of its rows, where that takes a moment; give the digest."""
    if kind != "table" or _bytes(value) > SNAPSHOT_BYTES:
        return None
    profile = describe(value)
    return None if profile is None else store.objects.put(profile)


def _fingerprint(name: str, value: Any, note: Callable[[str], None]) -> str:
    try:
        return fingerprint(value)
    except UnsupportedData as error:
        note(f"The data {name!r} has no fingerprint: {error}")
        return ""


def _is_kept(value: Any, kind: str, limit: int | None) -> bool:
    shape: tuple[int, ...] = getattr(value, "shape", ())
    wide = len(shape) == _KEPT_DIMENSIONS and shape[1] > _MAX_KEPT_COLUMNS
    if kind == "sparse" or len(shape) > _KEPT_DIMENSIONS or (kind == "array" and wide) or limit == 0:
        return False
    return limit is None or _bytes(value) <= limit


def _bytes(value: Any) -> int:
    """Estimate the memory that data takes, without walking through Python objects."""
    if hasattr(value, "memory_usage"):
        used = value.memory_usage(deep=False)
        return int(used.sum() if hasattr(used, "sum") else used)
    size = getattr(value, "nbytes", None)
    if size is None and hasattr(value, "estimated_size"):
        size = value.estimated_size()
    return int(size or 0)


def _rows(value: Any) -> int | None:
    try:
        shape = getattr(value, "shape", None)
    except RuntimeError:  # of a nested tensor
        return None
    if shape:
        return int(shape[0])
    rows = getattr(value, "num_rows", None)
    return None if rows is None else int(rows)


def _kept(store: Store, prepared: Prepared, dataset: str) -> Dataset | None:
    """Find the version that keeps the same table; a store that cannot tell is asked to keep it, and answers then."""
    try:
        return kept_before(prepared, name=dataset, store=store)
    except StoreError:
        return None


def _dataset(store: Store, name: str, value: Dataset, note: Callable[[str], None]) -> InputRef:
    if value.store == store:
        return _linked(name, "dataset", value)
    note(
        f"The data {name!r} is {value.spec} of the store {value.store.url}, and this run is recorded in {store.url}: "
        "only its fingerprint is."
    )
    return InputRef(name, "dataset", value.fingerprint, value.n_rows)


def _linked(name: str, kind: str, dataset: Dataset, printed: str | None = None) -> InputRef:
    return InputRef(name, kind, printed or dataset.fingerprint, dataset.n_rows, dataset.name, dataset.version)
