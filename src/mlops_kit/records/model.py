"""A version of a model, and where it came from, as recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlops_kit.records.entry import Entry
from mlops_kit.records.run import InputRef
from mlops_kit.records.signature import SignatureRecord


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What is known of a version of a model without loading it.

    Parameters
    ----------
    name : str
        The model.
    version : int
        From 1, in the order of registration.
    digest : str
        ``sha256:<hex>`` of the stored bytes.
    fingerprint : str or None
        ``fp1:<hex>`` of the model's content, equal for equal models whatever their bytes.
    format : str
        How the bytes are read.
    size : int
        Of the bytes.
    type : str
        The dotted name of the model's class.
    created : datetime
        When it was registered.
    by : dict
        ``actor`` and ``source``: who registered it.
    run_id : str or None
        The run that made it.
    metrics : dict
        The metrics it was registered with.
    environment : str or None
        Digest of the record of the environment it was made in.
    description : str or None
        The registrant's words.
    signature : SignatureRecord or None
        What it takes and gives.
    """

    name: str
    version: int
    digest: str
    fingerprint: str | None
    format: str
    size: int
    type: str
    created: datetime
    by: dict[str, str]
    run_id: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    environment: str | None = None
    description: str | None = None
    signature: SignatureRecord | None = None

    @property
    def spec(self) -> str:
        """``name:version``, as `ModelStore.load` takes it."""
        return f"{self.name}:{self.version}"

    @staticmethod
    def members(name: str, entry: Entry) -> dict[str, Any]:
        """Read a ``register`` entry as the arguments of this class."""
        body = entry.body
        return {
            "name": name,
            "version": body["version"],
            "digest": body["object"],
            "fingerprint": body.get("fingerprint"),
            "format": body["format"],
            "size": body["size"],
            "type": body["type"],
            "created": entry.at,
            "by": entry.by,
            "run_id": body.get("run"),
            "metrics": body.get("metrics", {}),
            "environment": body.get("environment"),
            "description": body.get("description"),
            "signature": SignatureRecord.decode(body["signature"]) if "signature" in body else None,
        }


@dataclass(frozen=True, repr=False, slots=True)
class Promotion:
    """An alias that was moved.

    Parameters
    ----------
    name : str
        The model.
    alias : str
        The alias.
    version : int
        Where it points now.
    previous : int or None
        Where it pointed before.
    at : datetime
        When.
    by : dict
        ``actor`` and ``source``: who moved it.
    reason : str or None
        Why, in their words.
    seq : int
        The number of the journal entry.
    kind : str
        ``"promote"`` or ``"rollback"``.
    """

    name: str
    alias: str
    version: int
    previous: int | None
    at: datetime
    by: dict[str, str]
    reason: str | None
    seq: int
    kind: str

    def __str__(self) -> str:
        before = "nothing" if self.previous is None else str(self.previous)
        return f"{self.name}@{self.alias}: {before} → {self.version}"

    def __repr__(self) -> str:
        return f"Promotion({self})"


@dataclass(frozen=True, slots=True)
class LineageRecord:
    """Everything that made a version of a model.

    Parameters
    ----------
    model : ModelRecord
        The version.
    run : dict or None
        ``id``, ``name``, ``experiment``, ``status``, ``started``, ``by``, ``params`` and ``metrics`` of the run.
    data : tuple of InputRef
        The data that went in, with dataset versions where it was kept.
    code : dict
        ``function``, ``fingerprint``, ``parts``, ``commit``, ``branch`` and ``dirty``, as far as known.
    environment : dict
        As `mlops_kit.Run.environment`.
    unknown : tuple of str
        What is not known, and why.
    """

    model: ModelRecord
    run: dict[str, Any] | None
    data: tuple[InputRef, ...]
    code: dict[str, Any]
    environment: dict[str, Any]
    unknown: tuple[str, ...]

    @property
    def training(self) -> InputRef | None:
        """The input of the run that holds the features, as the signature of the model says."""
        return self._input(None if self.model.signature is None else self.model.signature.source)

    @property
    def labels(self) -> InputRef | None:
        """The input of the run that holds the target; often the same as `training`."""
        return self._input(None if self.model.signature is None else self.model.signature.target_source)

    def _input(self, name: str | None) -> InputRef | None:
        return next((ref for ref in self.data if ref.name == name), None)
