"""What a gate finds before an alias moves, kept: with the promotion if it passes, and with the version if not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import Conflict, GateFailed, InvalidInput, StoreError
from mlops_kit.masking import quoted
from mlops_kit.records import versions
from mlops_kit.records.entry import Entry
from mlops_kit.records.names import LATEST
from mlops_kit.registry.report import GateReport
from mlops_kit.registry.version import ModelVersion
from mlops_kit.store.journal import State
from mlops_kit.store.keys import DIGEST
from mlops_kit.store.store import Store

if TYPE_CHECKING:
    from mlops_kit.registry.gate import Gate

_SHOWN = 3
REFUSED = "refused@"
"""A tag of this and the alias names the evidence of a version's last refusal."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gate found, in the store.

    Parameters
    ----------
    digest : str
        ``sha256:<hex>`` of the report.
    compared : dict of str to int or None
        The version that each alias pointed to when the candidate was compared with it; None for nothing.
    """

    digest: str
    compared: dict[str, int | None]

    def refuse_if_overtaken(self, state: State) -> None:
        """Refuse to promote on evidence about a champion that is none any more.

        Raises
        ------
        Conflict
            An alias moved while the gate judged.
        """
        for alias, seen in self.compared.items():
            live = versions.target(state, alias)
            if live != seen:
                raise Conflict(
                    f"While the gate judged, {state['name']}@{alias} moved from {_text(seen)} to {_text(live)}: the "
                    "evidence is about another champion. Promote again, and the gate judges anew."
                )


def gathered(store: Store, version: ModelVersion, alias: str, gate: Any, tag: Callable[..., Any]) -> Evidence:
    """Let a gate judge a version, and keep what it finds.

    Parameters
    ----------
    store : Store
        Where the version is.
    version : ModelVersion
        The candidate.
    alias : str
        Where it is to be promoted to.
    gate : Gate
        The gate.
    tag : callable
        Tags the version if it is refused, so that the evidence is named by the journal.

    Returns
    -------
    Evidence
        The candidate passed, and this is durable.

    Raises
    ------
    GateFailed
        It did not; the error carries the report.
    """
    if not callable(getattr(gate, "evaluate", None)):
        raise InvalidInput(f"gate={quoted(gate)} is no gate: make one with mlops_kit.Gate(…).")
    report = gate.evaluate(version, store=store, alias=alias)
    if report.passed:
        return Evidence(store.objects.put(report.encode()), _pointed_to(report, gate))
    digest = None
    with contextlib.suppress(StoreError):  # the refusal stands, whether it can be written down or not
        digest = store.objects.put(report.encode())
        tag(version.spec, **{f"{REFUSED}{alias}": digest})
    raise GateFailed(_refusal(report, version, alias, digest), report, digest)


def read_evidence(store: Store, digest: str) -> GateReport:
    """Read a report back.

    Raises
    ------
    InvalidInput
        It is not named by its digest.
    """
    if not DIGEST.fullmatch(str(digest)):
        raise InvalidInput(
            f"{quoted(digest)} is no digest of evidence, sha256:<64 hex digits>: models.history(name) shows it in each "
            "promotion through a gate, and models.get(spec).tags that of a refusal."
        )
    return GateReport.decode(store.objects.get(digest, what="evidence of a gate"), where=f"evidence {digest}")


def newest(history: Iterable[Entry], version: int, alias: str | None) -> str | None:
    """Return the digest of the evidence of a version: of its standing promotion to an alias, or the newest."""
    about = [entry for entry in history if entry.body.get("version") == version]
    if alias is not None and alias != LATEST:
        promotion = versions.promotion_of(about, version, alias)
        return None if promotion is None else promotion.body.get("evidence")
    found = [digest for entry in about for digest in _digests(entry)]
    return found[-1] if found else None


def _digests(entry: Entry) -> Iterator[str]:
    tags = entry.body.get("tags") if entry.kind == "tag" else None
    refusals = [value for name, value in (tags or {}).items() if name.startswith(REFUSED)]
    yield from (str(digest) for digest in (entry.body.get("evidence"), *refusals) if digest is not None)


def _pointed_to(report: GateReport, gate: Gate) -> dict[str, int | None]:
    found = {
        other.alias: int(other.spec.rpartition(":")[2]) for other in report.champions if other.alias and other.spec
    }
    asked = {condition.alias for condition in gate.conditions if condition.alias is not None}
    return {alias: found.get(alias) for alias in asked | found.keys()}


def _refusal(report: GateReport, version: ModelVersion, alias: str, digest: str | None) -> str:
    failed = report.failed
    listed = "".join(f"\n  {result.name}: {result.message}" for result in failed[:_SHOWN])
    more = f"\n  and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    kept = f"The evidence is kept: models.evidence({digest!r})." if digest else "The evidence could not be kept."
    fail = "fails" if len(failed) == 1 else "fail"
    head = f"{version.spec} was not promoted to {alias}: {len(failed)} of {len(report.results)} conditions {fail}."
    return f"{head}{listed}{more}\n{kept}"


def _text(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"
