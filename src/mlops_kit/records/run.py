"""What a run writes: one record when it starts, one when it ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, TypeAlias, TypeVar

from mlops_kit.records import codec
from mlops_kit.records.shape import Count, Members, Number, checked, reading

Ref = TypeVar("Ref", bound="InputRef | OutputRef | ArtifactRef | StepCall")

History: TypeAlias = dict[str, list[tuple[float, int | None, float]]]
"""Metric points by name: value, step or None, Unix seconds."""

_Function: TypeAlias = Annotated[dict[str, Any], Members({"module": str, "qualname": str}, {"code": str, "parts": str})]
_Git: TypeAlias = Annotated[
    dict[str, Any],
    Members(
        {},
        {
            "commit": str,
            "branch": str,
            "dirty": bool,
            "diff": str,
            "diff_truncated": Count,
            "untracked": list[str],
        },
    ),
]
_Error: TypeAlias = Annotated[dict[str, Any], Members({"type": str, "message": str}, {"traceback": str})]
_Made: TypeAlias = Annotated[dict[str, Any], Members({"name": str, "version": Number}, {})]


@dataclass(frozen=True, slots=True)
class InputRef:
    """Data that went into a run.

    Parameters
    ----------
    name : str
        The parameter it was passed as, or the name it was logged under.
    kind : str
        ``"table"``, ``"array"`` or ``"dataset"``.
    fingerprint : str
        ``fp1:<hex>`` of its content; empty if it could not be had.
    rows : int or None
        Its length along the first axis.
    dataset, version : str and int, optional
        The dataset version that keeps it; None if only the fingerprint was recorded. Without a version, the data
        is in the spool and has no number yet.
    profile : str, optional
        Digest of its profile.
    """

    name: str
    kind: str
    fingerprint: str
    rows: Count | None = None
    dataset: str | None = None
    version: Number | None = None
    profile: str | None = None

    @property
    def spec(self) -> str | None:
        """``name:version`` of the dataset, for `Dataset.load`."""
        return None if self.dataset is None or self.version is None else f"{self.dataset}:{self.version}"


@dataclass(frozen=True, slots=True)
class OutputRef:
    """What a run made.

    Parameters
    ----------
    name : str
        ``"return"`` for the value returned, ``"return.0"`` or ``"return.field"`` for a part of it, or the
        name it was logged under.
    kind : str
        ``"model"``, ``"table"``, ``"value"``, ``"object"``, or ``"none"`` for what could not be kept.
    format : str
        How to read the object: ``"cloudpickle"``, ``"dataset"`` (a manifest), or ``"json"`` (`value` holds it).
    object : str, optional
        Digest of the bytes.
    fingerprint : str, optional
        Of the value.
    size : int, optional
        Bytes of the object.
    type : str, optional
        The dotted name of the type.
    value : object
        A small plain value itself, kept in the record.
    python : str, optional
        The minor version of Python that pickled it.
    code : dict, optional
        Fingerprints of the user's functions and classes that its bytes only name, by ``"module:qualname"``.
    signature : dict, optional
        What a model that was logged with a signature takes and gives, as members of a record.
    """

    name: str
    kind: str
    format: str
    object: str | None = None
    fingerprint: str | None = None
    size: Count | None = None
    type: str | None = None
    value: Any = None
    python: str | None = None
    code: dict[str, str] | None = None
    signature: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """A file that a run kept.

    Parameters
    ----------
    name : str
        As given, or the file's own name.
    object : str
        Digest of the bytes.
    size : int
        In bytes.
    executable : bool
        Whether its owner may run it as a program.
    """

    name: str
    object: str
    size: Count
    executable: bool = False


@dataclass(frozen=True, slots=True)
class StepCall:
    """A call of a step, as the run of its pipeline names it.

    Parameters
    ----------
    name : str
        The step, as ``"module:qualname"``.
    status : str
        ``"finished"``, ``"failed"`` or ``"interrupted"``.
    why : str
        Why it ran, or why it could be reused.
    seconds : float
        How long the call took, reading a reused result included.
    reused : bool
        Whether the result of an earlier call was taken.
    key : str or None
        Of its result, in hex; None if it can have none.
    logged : list of str
        What the step logged to the run, such as ``"metrics.auc"``.
    """

    name: str
    status: str
    why: str
    seconds: float
    reused: bool = False
    key: str | None = None
    logged: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunStart:
    """All that is known when a run starts; see ``docs/format.md`` for each member."""

    id: str
    name: str
    experiment: str
    at: datetime
    user: dict[str, str]
    host: str
    pid: int
    boot: str | None = None
    namespace: str | None = None
    resumed: Count | None = None
    parent: str | None = None
    function: _Function | None = None
    params: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[InputRef, ...] = ()
    environment: str | None = None
    sources: str | None = None
    git: _Git | None = None
    rng: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Write the record."""
        return codec.seal("run-start", self.members)

    @cached_property
    def members(self) -> dict[str, Any]:
        """It as plain JSON members, made once: the end repeats them."""
        made = {
            "at": codec.timestamp(self.at),
            "params": codec.plain(self.params),
            "tags": codec.plain(self.tags),
            "inputs": plain_refs(self.inputs),
        }
        return filled({name: made[name] if name in made else getattr(self, name) for name in _START_MEMBERS})

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> RunStart:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="run-start")
        with reading(where):
            return cls.of(members)

    @classmethod
    def of(cls, members: dict[str, Any]) -> RunStart:
        """Read it from plain JSON members."""
        known = known_members(cls, members)
        known["at"] = codec.moment(members["at"])
        known["inputs"] = read_refs(InputRef, members.get("inputs", ()))
        for name in ("params", "tags"):
            known[name] = codec.unplain(members.get(name, {}))
        return checked(cls(**known))


_EMPTY = frozenset({type(None), bool, tuple, list, dict})
_START_MEMBERS = tuple(item.name for item in fields(RunStart))


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What a run came to; see ``docs/format.md`` for each member.

    `start` repeats how it began: the end is durable when it is acknowledged, and the start record is not.
    `segments` tells how many lines each segment of metric points holds, by number.
    """

    at: datetime
    status: str
    start: RunStart | None = None
    error: _Error | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    history: History = field(default_factory=dict)
    segments: dict[Number, Count] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[InputRef, ...] = ()
    outputs: tuple[OutputRef, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    models: tuple[_Made, ...] = ()
    steps: tuple[StepCall, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    resources: dict[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def ends(self, start: RunStart) -> bool:
        """Tell whether it ends what a start began, and not what came before the run was resumed."""
        return ((self.start and self.start.resumed) or 0) >= (start.resumed or 0)

    def encode(self) -> bytes:
        """Write the record."""
        members = {
            "at": codec.timestamp(self.at),
            "status": self.status,
            "start": None if self.start is None else self.start.members,
            "error": self.error,
            "metrics": codec.plain(self.metrics),
            "history": plain_history(self.history),
            "segments": {str(number): lines for number, lines in self.segments.items()},
            "params": codec.plain(self.params),
            "inputs": plain_refs(self.inputs),
            "outputs": [plain_output(ref) for ref in self.outputs],
            "artifacts": plain_refs(self.artifacts),
            "models": list(self.models),
            "steps": plain_refs(self.steps),
            "tags": codec.plain(self.tags),
            "resources": self.resources,
            "problems": codec.plain(list(self.problems)),
        }
        return codec.seal("run-end", filled(members))

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> RunEnd:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="run-end")
        with reading(where):
            return cls.of(members)

    @classmethod
    def of(cls, members: dict[str, Any]) -> RunEnd:
        """Read it from plain JSON members."""
        known = known_members(cls, members)
        known["at"] = codec.moment(members["at"])
        known["start"] = RunStart.of(members["start"]) if "start" in members else None
        known["inputs"] = read_refs(InputRef, members.get("inputs", ()))
        known["outputs"] = read_refs(OutputRef, members.get("outputs", ()))
        known["artifacts"] = read_refs(ArtifactRef, members.get("artifacts", ()))
        known["models"] = tuple(members.get("models", ()))
        known["steps"] = read_refs(StepCall, members.get("steps", ()))
        known["segments"] = {int(number): lines for number, lines in members.get("segments", {}).items()}
        known["problems"] = tuple(codec.unplain(members.get("problems", [])))
        for name in ("metrics", "params", "tags"):
            known[name] = codec.unplain(members.get(name, {}))
        history = codec.unplain(members.get("history", {}))
        known["history"] = {name: [tuple(point) for point in points] for name, points in history.items()}
        return checked(cls(**known))


def read_refs(kind: type[Ref], items: Iterable[dict[str, Any]]) -> tuple[Ref, ...]:
    """Read references from plain JSON members."""
    return tuple(kind(**known_members(kind, codec.unplain(item))) for item in items)


def known_members(cls: type, members: dict[str, Any]) -> dict[str, Any]:
    """Keep the members this release knows; a newer one may have written more."""
    names = {item.name for item in fields(cls)}
    return {name: value for name, value in members.items() if name in names}


def filled(members: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty: a reader takes it from the defaults."""
    return {name: value for name, value in members.items() if value or type(value) not in _EMPTY}


def plain_refs(refs: tuple[InputRef, ...] | tuple[ArtifactRef, ...] | tuple[StepCall, ...]) -> list[dict[str, Any]]:
    """Write references as plain JSON members."""
    return [filled(codec.plain(asdict(ref))) for ref in refs]


def plain_history(history: History) -> Any:
    """Write metric points as plain JSON, one by one where that is all it takes."""
    if "$" in history or not all(map(str.isascii, history)):
        return codec.plain({name: [list(point) for point in points] for name, points in history.items()})
    return {name: [[codec.plain(value), step, at] for value, step, at in points] for name, points in history.items()}


def plain_output(ref: OutputRef) -> dict[str, Any]:
    """Write what was made as plain JSON members."""
    members = {item.name: codec.plain(getattr(ref, item.name)) for item in fields(ref) if item.name != "value"}
    return {**filled(members), "value": codec.plain(ref.value)} if ref.format == "json" else filled(members)
