"""What a gate decided, and on what evidence, as recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from mlops_kit.errors import IntegrityError
from mlops_kit.masking import quoted
from mlops_kit.records import codec
from mlops_kit.records.shape import Count, checked, reading
from mlops_kit.safe_text import clean_lines


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """What one condition of a gate found.

    Parameters
    ----------
    name : str
        What was asked, such as ``"roc_auc >= 0.9 on holdout"``.
    passed : bool
        Whether it holds.
    value : float or None
        What was found; None if nothing could be.
    limit : float or None
        What it was held against.
    message : str
        The finding in words, with the number, the limit and the rows.
    evidence : dict
        What it rests on, as plain values: intervals, p-values, counts, slices.

    Examples
    --------
    >>> print(ConditionResult("model_size <= 10 MB", True, 1.2, 10.0, "1.2 MB, 10 MB allowed"))
    ok   model_size <= 10 MB: 1.2 MB, 10 MB allowed
    """

    name: str
    passed: bool
    value: float | None = None
    limit: float | None = None
    message: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return clean_lines(f"{'ok  ' if self.passed else 'FAIL'} {self.name}: {self.message}")

    def members(self) -> dict[str, Any]:
        """Write it as a member of a record."""
        return {
            "name": self.name,
            "passed": bool(self.passed),
            "value": None if self.value is None else codec.plain(float(self.value)),
            "limit": None if self.limit is None else codec.plain(float(self.limit)),
            "message": codec.plain(self.message),
            "evidence": codec.plain(self.evidence),
        }

    @classmethod
    def decode(cls, members: dict[str, Any]) -> Self:
        """Read what `members` wrote."""
        return cls(**{name: codec.unplain(members[name]) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Contender:
    """A model that was judged, or that another was compared with.

    Parameters
    ----------
    spec : str or None
        ``name:version``; None for a model that is in no store.
    digest : str or None
        ``sha256:<hex>`` of its stored bytes.
    fingerprint : str or None
        ``fp1:<hex>`` of its content.
    type : str
        The dotted name of its class.
    alias : str or None
        The alias by which it was named.
    """

    spec: str | None
    digest: str | None
    fingerprint: str | None
    type: str
    alias: str | None = None

    def __str__(self) -> str:
        return self.spec or f"a {self.type.rpartition('.')[2]} that is in no store"


@dataclass(frozen=True, slots=True)
class JudgedOn:
    """Data that models were judged on.

    Parameters
    ----------
    name : str
        As the gate calls it.
    fingerprint : str
        ``fp1:<hex>`` of the content.
    rows : int
        How many there are.
    target : str or None
        The column of the truth.
    dataset : str or None
        ``name:version``, if it is one.
    groups : int or None
        How many groups the rows are of, if a column says so.
    repeated : int or None
        How many rows repeat an earlier one; None if none does.
    """

    name: str
    fingerprint: str
    rows: Count
    target: str | None
    dataset: str | None = None
    groups: int | None = None
    repeated: int | None = None


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What a gate decided, and on what evidence.

    It holds no time and no author: those stand in the journal entry that names it. The same decision on the same
    models and data is the same record, unless latency was measured.

    Parameters
    ----------
    candidate : Contender
        The model that was judged.
    champions : tuple of Contender
        What it was compared with.
    data : tuple of JudgedOn
        The data.
    results : tuple of ConditionResult
        One or more for each condition.

    Examples
    --------
    >>> record = GateRecord(Contender("fraud:2", None, None, "pkg.Forest"), (), (), (ConditionResult("ready", False),))
    >>> record.passed, GateRecord.decode(record.encode(), where="a doctest") == record
    (False, True)
    """

    candidate: Contender
    champions: tuple[Contender, ...]
    data: tuple[JudgedOn, ...]
    results: tuple[ConditionResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every condition holds, and there is at least one."""
        return bool(self.results) and all(result.passed for result in self.results)

    @property
    def failed(self) -> tuple[ConditionResult, ...]:
        """The conditions that do not hold."""
        return tuple(result for result in self.results if not result.passed)

    def members(self) -> dict[str, Any]:
        """Write it as the members of a record, which are plain JSON."""
        return {
            "passed": self.passed,
            "candidate": _known(self.candidate),
            "champions": [_known(contender) for contender in self.champions],
            "data": [_known(judged) for judged in self.data],
            "results": [result.members() for result in self.results],
        }

    def encode(self) -> bytes:
        """Write the record."""
        return codec.seal("gate-report", self.members())

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Self:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="gate-report")
        with reading(where):
            made = checked(cls._read(members))
        if made.passed is not members.get("passed"):
            told = f"gives the verdict {quoted(members.get('passed'), 80)}"
            raise IntegrityError(f"The {where} {told}, and its results say otherwise.")
        return made

    @classmethod
    def _read(cls, members: dict[str, Any]) -> Self:
        return cls(
            candidate=_contender(members["candidate"]),
            champions=tuple(map(_contender, members["champions"])),
            data=tuple(
                JudgedOn(*(codec.unplain(part.get(name)) for name in JudgedOn.__slots__)) for part in members["data"]
            ),
            results=tuple(map(ConditionResult.decode, members["results"])),
        )


def digest_of_gate(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a gate asks, as a ``require`` entry has it: ``sha256:<hex>`` over canonical JSON.

    Examples
    --------
    >>> digest_of_gate({"conditions": [], "on": {}})[:15]
    'sha256:cb6c974e'
    """
    return f"sha256:{hashlib.sha256(codec.canonical(dict(content))).hexdigest()}"


def _known(part: Contender | JudgedOn) -> dict[str, Any]:
    members = {name: getattr(part, name) for name in part.__slots__}
    return {name: codec.plain(value) for name, value in members.items() if value is not None}


def _contender(members: dict[str, Any]) -> Contender:
    return Contender(*(codec.unplain(members.get(name)) for name in Contender.__slots__))
