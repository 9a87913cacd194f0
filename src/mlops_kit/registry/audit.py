"""Whether the journals of a store are what was written: chains, signatures, objects, and anchors from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from mlops_kit.errors import (
    IntegrityError,
    InvalidInput,
    MlopsKitError,
    ModelNotFound,
    SignatureError,
    SignatureMissing,
    SignerUnknown,
)
from mlops_kit.masking import quoted
from mlops_kit.records import bounds, codec
from mlops_kit.records.audit import Anchor, AuditedJournal, AuditReport, read_anchor
from mlops_kit.records.check import Problem, is_of_one_record
from mlops_kit.records.gate import GateRecord, digest_of_gate
from mlops_kit.records.names import check_name, folder
from mlops_kit.records.trust import StoreTrust
from mlops_kit.store import keys, trusted
from mlops_kit.store.backend import Backend, read_at_most
from mlops_kit.store.chain import Chain, walk_all
from mlops_kit.store.clocks import is_ahead
from mlops_kit.store.kinds import JOURNALLED, kind_of, what_of
from mlops_kit.store.objects import digest_at
from mlops_kit.store.signers import judge

_TIP = re.compile(r"[0-9a-f]{64}")
_JOURNAL = re.compile(r"[a-z]{1,40}/[a-z0-9._%~A-F-]{1,220}")


@dataclass(frozen=True, slots=True)
class Pin:
    """That somebody saw an entry: its number and digest, and who says so."""

    journal: str
    number: int
    tip: str
    by: str


def audit(backend: Backend, name: str | None, anchor: Anchor | Mapping[str, Anchor] | None) -> AuditReport:
    """Read every journal of a store from its first entry, and hold each against all that is known of it.

    Parameters
    ----------
    backend : Backend
        The store.
    name : str, optional
        One model, or ``"datasets/name"`` and the like for another kind; by default every journal.
    anchor : str, tuple or dict, optional
        What was kept elsewhere; see `mlops_kit.ModelStore.audit`.

    Returns
    -------
    AuditReport
        Nothing is changed.

    Raises
    ------
    ModelNotFound
        There is no journal of this name, and no anchor that says there was.
    """
    trust = trusted.trusted_of(backend.url)
    given = _given(name, anchor)
    chains = {chain.journal: chain for chain in walk_all(backend)}
    pins = [*given, *_pinned(trust), *(pin for chain in chains.values() for pin in _carried(chain))]
    for journal in {pin.journal for pin in pins if _JOURNAL.fullmatch(pin.journal)} - chains.keys():
        kind, _, place = journal.partition("/")
        chains[journal] = Chain(kind, place, (), (), ())
    seen: dict[str, list[Pin]] = {}
    for pin in pins:
        seen.setdefault(pin.journal, []).append(pin)
    wanted = [chain for chain in chains.values() if chain.entries or chain.problems or chain.journal in seen]
    if name is not None:
        wanted = [chain for chain in wanted if chain.journal == _journal_of(name)]
        if not wanted:
            what = what_of(_journal_of(name).partition("/")[0])
            raise ModelNotFound(f"There is no {what} {name!r} in {backend.url}, and no anchor says that there was.")
    journals, problems, notes = [], list[Problem](), list[str]()
    for chain in sorted(wanted, key=lambda chain: (chain.kind != "models", chain.kind, chain.name)):
        problems += chain.problems
        signed = _signed(chain, trust, backend.url, problems, notes)
        notes += _ahead(chain, backend.now())
        problems += [*_lost_objects(chain, backend), *_false_evidence(chain, backend), *_without_gate(chain, backend)]
        journals.append(_audited(chain, seen.get(chain.journal, []), signed, problems))
    return AuditReport(backend.url, tuple(journals), tuple(problems), tuple(dict.fromkeys(notes)))


def _given(name: str | None, anchor: Anchor | Mapping[str, Anchor] | None) -> list[Pin]:
    if anchor is None:
        return []
    if not isinstance(anchor, Mapping):
        if name is None:
            raise InvalidInput("An anchor is of one model: name it, or pass anchor={'name': 'N:TIP'}.")
        anchor = {name: anchor}
    return [Pin(_journal_of(known), *read_anchor(kept), "the anchor that you gave") for known, kept in anchor.items()]


def _journal_of(named: str) -> str:
    """Find the journal of a model by its name, or that of another kind by ``kind/name``."""
    kind, slash, name = str(named).partition("/")
    if slash and kind_of(kind) not in JOURNALLED:
        known = ", ".join(f"{one.name}/…" for one in JOURNALLED)
        raise InvalidInput(f"{quoted(named, 200)} names no journal: the kinds are {known}.")
    if not slash:
        kind, name = "models", str(named)
    return f"{kind}/{folder(check_name(name, what=what_of(kind)))}"


def _pinned(trust: StoreTrust) -> list[Pin]:
    kept = [trust.pinned, *(signer.until for signer in trust.signers)]
    return [Pin(journal, *pins[journal], "your settings") for pins in kept for journal in pins]


def _carried(chain: Chain) -> Iterable[Pin]:
    """Give what the entries of a journal say of other journals, passing over what cannot be meant so."""
    for entry in chain.entries:
        said = entry.body.get("anchors")
        for journal, anchor in said.items() if isinstance(said, dict) else ():
            match anchor:
                case [int(number), str(tip)] if number > 0 and _TIP.fullmatch(tip) and journal != chain.journal:
                    yield Pin(str(journal), number, tip, f"entry {entry.seq} of {chain.journal}")


def _signed(chain: Chain, trust: StoreTrust, url: str, problems: list[Problem], notes: list[str]) -> int:
    """Count the entries with a signature that counts, and tell what is wrong with the others."""
    counted = 0
    last, _ = trust.pinned.get(chain.journal, (0, ""))
    for entry, data in zip(chain.entries, chain.records, strict=True):
        try:
            error = judge(entry, data, chain.journal, trust.signers, where=url).error
        except SignatureError as missing:
            notes.append(f"No signature was verified. {missing}")
            error = missing if trust.required else None
            if error is None:
                return 0
        if error is None:
            counted += 1
            continue
        demanded = trust.required and entry.seq > last
        if demanded or not isinstance(error, SignatureMissing | SignerUnknown):
            problems.append(Problem(error.kind, keys.entry_key(chain.kind, chain.folder, entry.seq), str(error)))
        elif isinstance(error, SignerUnknown):
            notes.append(f"{chain.label}: signed by {(entry.signature or {}).get('key')}, whom you do not list.")
    return counted


def _ahead(chain: Chain, now: float) -> Iterable[str]:
    """Return which entries are dated far ahead of the time at which they were written."""
    for entry, after in zip_longest(chain.entries, chain.entries[1:]):
        written = after.clock.timestamp() if after is not None and after.clock is not None else now
        if entry.clock is None and is_ahead(entry.at, written):
            who, at = entry.by.get("actor"), codec.timestamp(entry.at)
            yield (
                f"{chain.label}: entry {entry.seq} by {who} is dated {at}, ahead of its time: look at the clock there. "
                "Later entries carry their true time."
            )


def _lost_objects(chain: Chain, backend: Backend) -> Iterable[Problem]:
    """Return which objects are not the bytes that an entry says a version, or the reference of a monitor, has."""
    kind = kind_of(chain.kind)
    content = () if kind is None else kind.content
    for entry, digest in ((entry, entry.body.get(member)) for member in content for entry in chain.entries):
        if digest is None:
            continue
        actual = _digest(backend, digest, max(entry.body.get("size", 0), bounds.MAX_BYTES))
        version = "" if entry.body.get("version") is None else f":{entry.body['version']}"
        what = f"the {what_of(chain.kind)} {chain.name}{version} that entry {entry.seq} names"
        if actual is None:
            yield Problem("missing-object", keys.object_key(str(digest)), f"{what} is not there")
        elif actual != digest:
            yield Problem("changed-object", keys.object_key(digest), f"{what} has other bytes: {actual}")


def _digest(backend: Backend, digest: Any, most: int) -> str | None:
    """Digest an object of at most so many bytes; return why if it cannot be read, and None if it is not there."""
    if not keys.DIGEST.fullmatch(str(digest)):
        return None
    key = keys.object_key(digest)
    try:
        found = backend.stat(key)
        if found is None:
            return None
        bounds.check_size(found.size, key, most)
        return digest_at(backend, key)
    except MlopsKitError as error:
        if not is_of_one_record(error):
            raise
        return str(error)


def _false_evidence(chain: Chain, backend: Backend) -> Iterable[Problem]:
    """Tell which promotions name evidence that is not there, refuses, or is about another model."""
    made = [entry.body for entry in chain.entries if entry.kind == "register"]
    registered = {body.get("version"): body.get("object") for body in made}
    live: dict[str, Any] = {}
    for entry in chain.entries:
        then = dict(live)
        if entry.kind in {"promote", "rollback", "retire"}:
            live[str(entry.body.get("alias"))] = entry.body.get("version")
        digest = entry.body.get("evidence") if entry.kind == "promote" else None
        if digest is None:
            continue
        sound = keys.DIGEST.fullmatch(str(digest)) is not None
        actual = _digest(backend, digest, bounds.MAX_BYTES)
        key = keys.object_key(str(digest)) if sound else keys.entry_key(chain.kind, chain.folder, entry.seq)
        what = f"the evidence of the promotion that entry {entry.seq} of {chain.name} names"
        if actual is None:
            yield Problem("missing-object", key, f"{what} is not there")
            continue
        if actual != digest:
            yield Problem("changed-object", key, f"{what} has other bytes: {actual}")
            continue
        try:
            report = GateRecord.decode(read_at_most(backend, key, bounds.MAX_BYTES) or b"", where=what)
        except IntegrityError as error:
            yield Problem("false-evidence", key, str(error))
            continue
        version = entry.body.get("version")
        if report.candidate.digest != registered.get(version):
            yield Problem("false-evidence", key, f"{what} is about {report.candidate}, not version {version}")
        elif not report.passed:
            yield Problem("false-evidence", key, f"{what} is a refusal")
        elif (told := _of_another_decision(report, chain.name, version, then)) is not None:
            yield Problem("false-evidence", key, f"{what} is of another decision: {told}")


def _without_gate(chain: Chain, backend: Backend) -> Iterable[Problem]:
    """Find the promotions without the gate that their alias needed then."""
    needed: dict[str, Any] = {}
    for entry in chain.entries:
        alias = str(entry.body.get("alias"))
        if entry.kind == "require":
            needed[alias] = entry.body.get("gate")
        gate = needed.get(alias)
        if entry.kind != "promote" or gate is None:
            continue
        how = "by another gate" if "evidence" in entry.body else "without evidence"
        if entry.body.get("gate") != digest_of_gate(gate) or not _asks_all(gate, entry.body.get("evidence"), backend):
            key = keys.entry_key(chain.kind, chain.folder, entry.seq)
            yield Problem("without-gate", key, f"{chain.name} was promoted to {alias} {how}, which needed a gate then")


def _asks_all(gate: dict[str, Any], digest: Any, backend: Backend) -> bool:
    """Return whether a report has a result of each condition of a gate; one that cannot be read is told elsewhere."""
    try:
        sound = keys.DIGEST.fullmatch(str(digest)) is not None
        data = read_at_most(backend, keys.object_key(digest), bounds.MAX_BYTES) if sound else None
        results = GateRecord.decode(data, where=str(digest)).results if data is not None else ()
    except MlopsKitError as error:
        if not is_of_one_record(error):
            raise
        return True
    return all(any(found.name.startswith(str(asked["name"])) for found in results) for asked in gate["conditions"])


def _of_another_decision(report: GateRecord, name: str, version: Any, live: dict[str, Any]) -> str | None:
    """Tell how a report differs from the decision that names it; equal models may be judged under several names."""
    if report.candidate.spec != f"{name}:{version}":
        return f"it is about {report.candidate}"
    for other in report.champions:
        if other.alias is not None and other.spec != f"{name}:{live.get(other.alias)}":
            return f"it compares with {other} as {other.alias}, which was {live.get(other.alias) or 'nothing'} then"
    missed = [str(result.evidence["absent"]) for result in report.results if "absent" in result.evidence]
    known = next((alias for alias in missed if live.get(alias) is not None), None)
    return None if known is None else f"it found nothing as {known}, which was {live[known]} then"


def _audited(chain: Chain, pins: list[Pin], signed: int, problems: list[Problem]) -> AuditedJournal:
    confirmed: list[Pin] = []
    tips = chain.tips
    for pin in pins:
        key = keys.entry_key(chain.kind, chain.folder, pin.number)
        if pin.number > len(chain.entries):
            told = f"{pin.by} saw entry {pin.number}, and the journal is sound up to {len(chain.entries)} only"
            problems.append(Problem("truncated", key, f"{told}: the newest entries were removed."))
        elif tips[pin.number - 1] != pin.tip:
            told = f"{pin.by} saw it as {pin.tip}, and it is {tips[pin.number - 1]}"
            problems.append(Problem("rewritten", key, f"{told}: it, or entries before it, were rewritten."))
        else:
            confirmed.append(pin)
    far = max((pin.number for pin in confirmed), default=0)
    by = tuple(dict.fromkeys(pin.by for pin in confirmed if pin.number == far))
    return AuditedJournal(chain.label, *chain.anchor, signed, far, by)


def body_of_anchors(chains: Iterable[Chain], besides: str) -> dict[str, Any]:
    """Give what an ``anchor`` entry of one journal says of all the others."""
    return {chain.journal: list(chain.anchor) for chain in chains if chain.journal != besides and chain.entries}
