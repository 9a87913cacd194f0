"""A version of a model, and where it came from, as recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlops_kit.records.entry import Entry
from mlops_kit.records.run import InputRef
from mlops_kit.records.shape import reading
from mlops_kit.records.signature import SignatureRecord
from mlops_kit.safe_text import clean


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody thinks of a version: their last word on it.

    Parameters
    ----------
    actor : str
        Who.
    source : str
        How we know the name: ``"config"``, ``"git"``, ``"ci"`` or ``"user"``.
    at : datetime
        When.
    reason : str or None
        Why, in their words.
    """

    actor: str
    source: str
    at: datetime
    reason: str | None = None

    def __str__(self) -> str:
        return clean(f"{self.actor} on {self.at:%Y-%m-%d}" + (f": {self.reason}" if self.reason else ""))


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
        Of the model's content, equal for equal models whatever their bytes.
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
    tags : dict
        The tags it has, as text.
    card : dict
        What users said for its card, by heading.
    approvals, rejections : tuple of Vote
        Whose last word on it was yes, and whose was no, oldest first.
    archived : bool
        Whether it was archived.
    source : str or None
        The version that it is a copy of, ``name:version``.
    python : str or None
        The minor version of Python that pickled it.
    code : dict or None
        Fingerprints of the user's functions and classes that its bytes only name, by ``"module:qualname"``.
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
    tags: dict[str, str] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    approvals: tuple[Vote, ...] = ()
    rejections: tuple[Vote, ...] = ()
    archived: bool = False
    source: str | None = None
    python: str | None = None
    code: dict[str, str] | None = None

    @property
    def spec(self) -> str:
        """``name:version``, as `ModelStore.load` takes it."""
        return f"{self.name}:{self.version}"

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Name who approves of it besides its author: one who registered a version cannot approve of it alone."""
        author = self.by.get("actor", "").casefold()
        others = {vote.actor.casefold(): vote.actor for vote in self.approvals}
        return tuple(actor for folded, actor in others.items() if folded != author)

    @staticmethod
    def members(name: str, entry: Entry, notes: Iterable[Entry] = ()) -> dict[str, Any]:
        """Read a ``register`` entry, and what was said of the version since, as the arguments of this class."""
        with reading(f"of {name}, entry {entry.seq},"):
            return {**_registered(name, entry), **_noted(entry.body, notes)}


def _noted(body: dict[str, Any], notes: Iterable[Entry]) -> dict[str, Any]:
    """Read what was said of a version since it was made: the last word of each on each subject."""
    said: dict[str, Any] = {"description": body.get("description"), "tags": {}, "card": dict(body.get("card", {}))}
    votes: dict[str, tuple[str, Vote]] = {}
    for note in notes:
        if note.kind in {"approve", "reject"}:
            actor = note.by.get("actor", "")
            votes.pop(actor.casefold(), None)
            vote = Vote(actor, note.by.get("source", ""), note.at, note.body.get("reason"))
            votes[actor.casefold()] = note.kind, vote
        elif note.kind == "tag":
            change = {name: None if value is None else str(value) for name, value in note.body["tags"].items()}
            said["tags"] = _merged(said["tags"], change)
        elif note.kind == "describe":
            said["description"] = note.body.get("description", said["description"])
            said["card"] = _merged(said["card"], note.body.get("card", {}))
        elif note.kind == "archive":
            said["archived"] = True
    for name, kind in (("approvals", "approve"), ("rejections", "reject")):
        said[name] = tuple(vote for given, vote in votes.values() if given == kind)
    return said


def _merged(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Set some members and take away those that are None."""
    return {name: value for name, value in {**before, **change}.items() if value is not None}


def _registered(name: str, entry: Entry) -> dict[str, Any]:
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
        "by": dict(entry.by),
        "run_id": body.get("run"),
        "source": body.get("source"),
        "python": body.get("python"),
        "code": body.get("code"),
        "metrics": dict(body.get("metrics", {})),
        "environment": body.get("environment"),
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
    evidence : str or None
        ``sha256:<hex>`` of what a gate found, for `ModelStore.evidence`.
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
    evidence: str | None = None

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
