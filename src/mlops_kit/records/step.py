"""What a call of a step leaves: its result, what went into it, and what it logged."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from mlops_kit.records import codec
from mlops_kit.records.run import (
    ArtifactRef,
    History,
    InputRef,
    OutputRef,
    filled,
    known_members,
    plain_history,
    plain_output,
    plain_refs,
    read_refs,
)
from mlops_kit.records.shape import Members, checked, reading

KIND = "step"

Read: TypeAlias = Annotated[
    dict[str, Any], Members({"kind": str, "name": str}, {"state": str, "store": str, "as_of": str})
]
"""Something that may move and was read by its name: its kind, its name, and how it stood."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What a step logged to the run of its pipeline."""

    metrics: History = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: tuple[InputRef, ...] = ()
    outputs: tuple[OutputRef, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()

    @property
    def names(self) -> list[str]:
        """Name all of it, such as ``"metrics.auc"``."""
        if self == _NOTHING:
            return []
        named: dict[str, Any] = {
            "metrics": self.metrics,
            "params": self.params,
            "tags": self.tags,
            "inputs": [ref.name for ref in self.inputs],
            "outputs": [ref.name for ref in self.outputs],
            "artifacts": [ref.name for ref in self.artifacts],
        }
        return [f"{kind}.{name}" for kind, names in named.items() for name in names]

    def members(self) -> dict[str, Any]:
        """Write it as plain JSON members."""
        if self == _NOTHING:
            return {}
        return filled(
            {
                "metrics": plain_history(self.metrics),
                "params": codec.plain(self.params),
                "tags": codec.plain(self.tags),
                "inputs": plain_refs(self.inputs),
                "outputs": [plain_output(ref) for ref in self.outputs],
                "artifacts": plain_refs(self.artifacts),
            }
        )

    @classmethod
    def of(cls, members: dict[str, Any]) -> Logged:
        """Read it from plain JSON members."""
        if not members:
            return _NOTHING
        history = codec.unplain(members.get("metrics", {}))
        return cls(
            metrics={name: [tuple(point) for point in points] for name, points in history.items()},
            params=codec.unplain(members.get("params", {})),
            tags=codec.unplain(members.get("tags", {})),
            inputs=read_refs(InputRef, members.get("inputs", ())),
            outputs=read_refs(OutputRef, members.get("outputs", ())),
            artifacts=read_refs(ArtifactRef, members.get("artifacts", ())),
        )


_NOTHING = Logged()


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The result of a call of a step; see ``docs/format.md`` for each member."""

    key: str
    step: str
    at: datetime
    seconds: float
    value: OutputRef
    code: str
    python: str
    arguments: dict[str, str] = field(default_factory=dict)
    data: bytes | None = None
    run: str | None = None
    parts: str | None = None
    shown: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    version: str | None = None
    depends: dict[str, str] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    expires: datetime | None = None
    logged: Logged = field(default_factory=Logged)

    def encode(self) -> bytes:
        """Write the record."""
        made = {
            "at": codec.timestamp(self.at),
            "value": _value(self.value),
            "data": codec.plain(self.data),
            "shown": codec.plain(self.shown),
            "expires": None if self.expires is None else codec.timestamp(self.expires),
            "logged": self.logged.members(),
        }
        members = {name: made[name] if name in made else getattr(self, name) for name in _MEMBERS}
        return codec.seal(KIND, filled(members))

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> StepRecord:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind=KIND)
        with reading(where):
            return cls.of(members)

    @classmethod
    def of(cls, members: dict[str, Any]) -> StepRecord:
        """Read it from plain JSON members."""
        known = known_members(cls, members)
        known["at"] = codec.moment(members["at"])
        (known["value"],) = read_refs(OutputRef, [members["value"]])
        for name in ("data", "shown"):
            if name in members:
                known[name] = codec.unplain(members[name])
        if "expires" in members:
            known["expires"] = codec.moment(members["expires"])
        known["logged"] = Logged.of(members.get("logged", {}))
        return checked(cls(**known))


_MEMBERS = tuple(item.name for item in fields(StepRecord))


def _value(ref: OutputRef) -> dict[str, Any]:
    if ref.format != "json":
        return plain_output(ref)
    members = {
        "name": ref.name,
        "kind": ref.kind,
        "format": ref.format,
        "type": ref.type,
        "fingerprint": ref.fingerprint,
    }
    return {**filled(members), "value": codec.plain_in_order(ref.value)}
