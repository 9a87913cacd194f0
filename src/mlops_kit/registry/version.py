"""`ModelVersion`: a version of a model, shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlops_kit.records.entry import Entry
from mlops_kit.records.model import ModelRecord
from mlops_kit.registry.signature import Signature
from mlops_kit.views.model import version_html, version_text


class ModelVersion(ModelRecord):
    """A version of a model: what is known of it without loading it.

    Returned by `ModelStore.register`, `ModelStore.get` and `ModelStore.versions`.

    Attributes
    ----------
    name, version : str, int
        Which one; versions count from 1, in the order of registration.
    digest, size, format : str, int, str
        ``sha256:<hex>`` of the stored bytes, how many they are, and how they are read.
    fingerprint : str or None
        ``fp2:<hex>`` of the model's content, equal for equal models whatever their bytes.
    type : str
        The dotted name of the model's class.
    created, by : datetime, dict
        When it was registered, and who did: ``actor`` and ``source``.
    run_id : str or None
        The run that made it.
    metrics : dict
        The metrics it was registered with.
    environment : str or None
        Digest of the record of the environment it was made in.
    description : str or None
        What `ModelStore.describe` said last, else the words it was registered with.
    tags, card : dict
        What `ModelStore.tag` and `ModelStore.describe` said of it.
    approvals, rejections : tuple of Vote
        Whose last word on it was yes, and whose was no: ``actor``, ``source``, ``at`` and ``reason``.
    approved_by : tuple of str
        Who approves of it besides whoever registered it, each once: for a rule of two persons this must not be
        empty.
    archived : bool
        Whether it was archived.
    source : str or None
        The version that it is a copy of, such as ``"fraud-candidates:3"``; see `ModelStore.copy`.
    python : str or None
        The minor version of Python that pickled it.
    code : dict or None
        Fingerprints of your functions and classes that its bytes only name, by ``"module:qualname"``.
    signature : Signature or None
        What it takes and gives: the columns with their types, the target, the classes. ``signature.check(X)`` and
        ``signature.validate(X)`` hold data against it before it is given to the model.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> version = mk.ModelStore("memory://version-doc").register("constant", 42, metrics={"auc": 0.5})
    >>> version.spec, version.metrics, version.type
    ('constant:1', {'auc': 0.5}, 'builtins.int')
    """

    __slots__ = ()

    signature: Signature | None

    @staticmethod
    def members(name: str, entry: Entry, notes: Iterable[Entry] = ()) -> dict[str, Any]:
        """Read a ``register`` entry, and what was said of the version since, as the arguments of this class."""
        record = ModelRecord.members(name, entry, notes)
        found = record["signature"]
        return {**record, "signature": None if found is None else Signature.decode(found.members())}

    def __repr__(self) -> str:
        return version_text(self)

    def _repr_html_(self) -> str:
        return version_html(self)
