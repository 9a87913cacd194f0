"""What a journal of versions says: the fold of its entries, as plain JSON.

The state of a name holds ``name`` as first spelled, ``versions`` (the number of the entry that made each, by
version), ``removed`` (versions archived or deleted) and ``aliases`` (for each, the versions whose promotions
stand, oldest first; the last is the one it points to). Where there is something to say, also ``deleted`` (which of
the removed ones), ``notes`` (for each version, the numbers of the entries that say something of it since it was
made), ``frozen`` (who froze promotions, when and why), ``retired`` (for each alias that was taken out of service, who
did it, when and why, the version it pointed to, and the versions whose promotions stood then) and ``required`` (for
each alias that needs a gate, the number of the entry that says so).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from mlops_kit.errors import NothingToRollBack
from mlops_kit.records import codec
from mlops_kit.records.entry import Entry
from mlops_kit.records.names import LATEST, folder
from mlops_kit.safe_text import clean

Step: TypeAlias = list[Any]

PAGE = 1024
"""The number of versions that stand in one page."""
_MANY_NOTES = 50

_MAKES_VERSION = frozenset({"register", "snapshot"})
_REMOVES_VERSION = frozenset({"archive", "delete"})
_MOVES_ALIAS = frozenset({"promote", "rollback", "retire"})
_NOTES = frozenset({"approve", "reject", "tag", "describe"}) | _REMOVES_VERSION


class Place(NamedTuple):
    """Where a version stands in its journal.

    Parameters
    ----------
    version : int
        The version.
    made : int
        The number of the entry that made it.
    notes : list of int or None
        The numbers of the entries that say something of it since; None if they are more than 50.
    deleted : bool
        Whether one of these deleted it.
    """

    version: int
    made: int
    notes: list[int] | None
    deleted: bool = False


def fold(state: dict[str, Any], entry: Entry) -> None:
    """Change a state as an entry says; kinds that this release does not know change nothing.

    Parameters
    ----------
    state : dict
        The state before, changed in place.
    entry : Entry
        The next entry.
    """
    step = step_of(entry)
    if step is not None:
        take(state, step)


def step_of(entry: Entry) -> Step | None:
    """Return what an entry changes in a state as plain JSON: its number, its kind, and the members that count."""
    body = entry.body
    match entry.kind:
        case "create":
            members = {"name": body["name"]}
        case "register" | "snapshot":
            members = {"identity": body.get("identity")}
        case "promote" | "rollback":
            members = {"alias": body["alias"], "version": body["version"]}
        case "retire":
            members = {"alias": body["alias"], "retired": _decided(entry)}
        case "require":
            members = {"alias": body["alias"], "needed": "gate" in body}
        case "freeze":
            members = {"frozen": _decided(entry) if body["frozen"] else None}
        case kind if kind in _NOTES:
            members = {"version": body["version"]}
        case _:
            return None
    return [entry.seq, entry.kind, members]


def take(state: dict[str, Any], step: Step) -> None:
    """Change a state as a step says.

    Raises
    ------
    LookupError
        It is of a version or alias that the steps before do not know.
    """
    seq, kind, members = step
    if kind == "create":
        state.update({"name": members["name"], "versions": [], "removed": [], "aliases": {}})
    elif kind in _MAKES_VERSION:
        state["versions"].append(seq)
        state["identity"] = members["identity"]
    elif kind == "freeze":
        state.pop("frozen", None)
        state.update({} if members["frozen"] is None else {"frozen": members["frozen"]})
    elif kind == "retire":
        _retire(state, **members)
    elif kind == "require":
        _require(state, seq, **members)
    else:
        if not 1 <= members["version"] <= len(state["versions"]):
            raise LookupError(f"there is no version {members['version']}")
        _change(state, seq, kind, **members)


def _change(state: dict[str, Any], seq: int, kind: str, version: int, alias: str = "") -> None:
    """Change what is said of a version, or where an alias points."""
    if kind == "promote":
        _return(state, alias)
        standing = state["aliases"].setdefault(alias, [])
        if standing[-1:] != [version]:
            standing.append(version)
    elif kind == "rollback":
        _undo(state, alias, version)
    if kind in _REMOVES_VERSION:
        for member in ("removed",) if kind == "archive" else ("removed", "deleted"):
            _insert(state.setdefault(member, []), version)
    if kind in _NOTES:
        state.setdefault("notes", {}).setdefault(str(version), []).append(seq)


def _insert(ascending: list[int], version: int) -> None:
    if not _has(ascending, version):
        ascending.insert(bisect_left(ascending, version), version)


def _decided(entry: Entry) -> dict[str, str]:
    """Return who decided an entry, when and why, as plain JSON."""
    reason = str(entry.body.get("reason") or "").encode("utf-8", "backslashreplace").decode()
    return {"actor": entry.by.get("actor", ""), "at": codec.timestamp(entry.at), "reason": reason}


def _require(state: dict[str, Any], seq: int, alias: str, needed: bool) -> None:  # noqa: FBT001 - as in the step
    required = {name: number for name, number in state.pop("required", {}).items() if name != alias}
    required |= {alias: seq} if needed else {}
    state.update({"required": required} if required else {})


def _retire(state: dict[str, Any], alias: str, retired: dict[str, str]) -> None:
    """Point an alias nowhere, and keep what stood, for a rollback."""
    standing = state["aliases"].get(alias, [])
    if standing:
        state.setdefault("retired", {})[alias] = {**retired, "version": standing[-1], "standing": standing}
        state["aliases"][alias] = []


def _return(state: dict[str, Any], alias: str) -> list[int] | None:
    """Return what stood when an alias was retired, which it then is no more; None if it was not."""
    retired = state.get("retired", {})
    if alias not in retired:
        return None
    standing: list[int] = retired.pop(alias)["standing"]
    if not retired:
        del state["retired"]
    return standing


def _undo(state: dict[str, Any], alias: str, version: int) -> None:
    """Take back a retirement, or promotions, until the restored version is the last that stands."""
    standing = _return(state, alias)
    if standing is None:
        standing = state["aliases"][alias]
        standing.pop()
    while standing and standing[-1] != version:
        standing.pop()
    state["aliases"][alias] = standing


def makes(entry: Entry, version: int) -> bool:
    """Tell whether an entry is the one that made a version."""
    return entry.kind in _MAKES_VERSION and bool(entry.body.get("version") == version)


def latest(state: dict[str, Any]) -> int | None:
    """Give the highest version that is neither archived nor deleted."""
    removed, last = state["removed"], len(state["versions"])
    if not removed or removed[-1] < last:
        return last or None
    # From some place on, all of `removed` is one run of numbers that ends with the last: find where it begins.
    begin = bisect_left(range(len(removed)), last - len(removed) + 1, key=lambda place: removed[place] - place)
    return removed[begin] - 1 or None


def brief(state: dict[str, Any]) -> dict[str, Any] | None:
    """Return what most readers ask of a state, however long its history is; None for a state of another kind.

    Returns
    -------
    dict
        ``name``, ``count`` of versions, ``frozen`` if promotions are, and in ``aliases`` where each points, ``latest``
        among them: the version, the number of the entry that made it, and the numbers of those that say something
        of it, None if they are more than 50.
    """
    if "versions" not in state:
        return None
    places = {LATEST: latest(state), **{alias: target(state, alias) for alias in state["aliases"]}}
    made = {"aliases": {alias: _place(state, version) for alias, version in places.items() if version is not None}}
    frozen = {"frozen": state["frozen"]} if "frozen" in state else {}
    return {"name": state["name"], "count": len(state["versions"]), **made, **frozen}


def notes_of(state: dict[str, Any], version: int) -> list[int]:
    """Return the numbers of the entries that say something of a version since it was made."""
    found: list[int] = state.get("notes", {}).get(str(version), [])
    return found


def place(state: dict[str, Any], version: int) -> Place | None:
    """Return where a version stands; None if there is no such version."""
    if not 1 <= version <= len(state.get("versions", ())):
        return None
    _, made, notes = _place(state, version)
    return Place(version, made, notes, _has(state.get("deleted", ()), version))


def page(state: dict[str, Any], number: int) -> dict[str, Any]:
    """Return where each version of a page stands, and which of them are deleted, as plain JSON; pages begin at 0."""
    count = len(state["versions"])
    those = range(number * PAGE + 1, min((number + 1) * PAGE, count) + 1)
    deleted = state.get("deleted", ())
    return {
        "places": [_place(state, version) for version in those],
        "deleted": [version for version in those if _has(deleted, version)],
    }


def page_of(version: int) -> int:
    """Return the page that a version stands in."""
    return (version - 1) // PAGE


def pages_of(state: dict[str, Any], steps: Sequence[Step] | None) -> list[int]:
    """Return the pages that some steps, the last up to a state, have changed; of unknown steps all pages."""
    count = len(state["versions"])
    if steps is None:
        return sorted({page_of(version) for version in range(1, count + 1)})
    said = {members["version"] for _, kind, members in steps if kind in _NOTES}
    return sorted({page_of(version) for version in {*range(count - made_in(steps) + 1, count + 1), *said}})


def made_in(steps: Iterable[Step]) -> int:
    """Count the versions that some steps make."""
    return sum(kind in _MAKES_VERSION for _, kind, _ in steps)


def place_in(page: Mapping[str, Any] | None, version: int, count: int, steps: Iterable[Step]) -> Place | None:
    """Return where a version stands by its page, None if that is not needed, and by the steps since it was written.

    Parameters
    ----------
    page : mapping or None
        As `page` returns it.
    version : int
        The version.
    count : int
        How many versions there were before the steps.
    steps : iterable
        What has changed since.
    """
    made: int | None = None
    notes: list[int] | None = []
    deleted = False
    if version <= count and page is not None:
        _, made, notes = page["places"][(version - 1) % PAGE]
        deleted = version in page["deleted"]
    for seq, kind, members in steps:
        if kind in _MAKES_VERSION:
            count += 1
            made = seq if count == version else made
        elif kind in _NOTES and members["version"] == version:
            notes = None if notes is None or len(notes) >= _MANY_NOTES else [*notes, seq]
            deleted = deleted or kind == "delete"
    return None if made is None else Place(version, made, notes, deleted)


def _has(ascending: Sequence[int], version: int) -> bool:
    found = bisect_left(ascending, version)
    return ascending[found : found + 1] == [version]


def _place(state: dict[str, Any], version: int) -> list[Any]:
    notes = notes_of(state, version)
    return [version, state["versions"][version - 1], list(notes) if len(notes) <= _MANY_NOTES else None]


def target(state: dict[str, Any], alias: str) -> int | None:
    """Give the version an alias points to, or None if it points nowhere."""
    standing = state["aliases"].get(alias)
    return standing[-1] if standing else None


def targets(state: dict[str, Any]) -> dict[str, int]:
    """Return the version that each alias points to, by name."""
    return {alias: standing[-1] for alias, standing in sorted(state.get("aliases", {}).items()) if standing}


def aliases_of(state: dict[str, Any], version: int) -> list[str]:
    """Name the aliases that point to a version, sorted."""
    return sorted(alias for alias, standing in state["aliases"].items() if standing[-1:] == [version])


def retired_text(name: str, alias: str, retired: dict[str, Any]) -> str:
    """Describe when and by whom an alias was retired, and what can be done.

    Parameters
    ----------
    name, alias : str
        Of the model.
    retired : dict
        As in the fold: ``actor``, ``at``, ``reason`` and ``version``.

    Returns
    -------
    str
        Two sentences.
    """
    why, version = f": {retired['reason']}" if retired["reason"] else "", retired["version"]
    return (
        f"The alias {name}@{alias} was retired by {retired['actor']} at {retired['at']}{why}. It pointed to version "
        f"{version}, which loads as '{name}:{version}'. To bring a version into service again, promote it to "
        f"{alias!r}; a rollback of {alias!r} brings back version {version}."
    )


def retirement_in(entries: Iterable[Entry], alias: str) -> dict[str, Any] | None:
    """Return who retired an alias, when and why, if that is the newest move of some entries, newest first."""
    moved = last_move(entries, alias)
    return (
        None if moved is None or moved.kind != "retire" else {**_decided(moved), "version": moved.body.get("previous")}
    )


def promotion_of(entries: Iterable[Entry], version: int, alias: str) -> Entry | None:
    """Return the promotion by which a version stands where an alias points: the last of it there; None if none."""
    promotions = (one for one in entries if one.kind == "promote" and one.body["alias"] == alias)
    return max((one for one in promotions if one.body["version"] == version), key=lambda one: one.seq, default=None)


def spelled(state: dict[str, Any], alias: str) -> str | None:
    """Return how an alias is spelled that is, or was, there in any case of its letters; None if there is none."""
    aliases = state.get("aliases", {})
    return alias if alias in aliases else next((known for known in aliases if folder(known) == folder(alias)), None)


def before(state: dict[str, Any], alias: str) -> tuple[int | None, int]:
    """Return the version an alias points to, None if it was retired, and the one that a rollback would restore.

    That is the version that was live before, passing over versions that were archived or deleted since. Of an alias
    that was retired it is the one it pointed to; what stood before a retirement stands no more after a promotion.

    Raises
    ------
    NothingToRollBack
        No earlier promotion stands, or all were of versions that are archived or deleted.
    """
    retired = state.get("retired", {}).get(alias)
    standing = state["aliases"].get(alias, []) if retired is None else retired["standing"]
    gone = {*state["removed"], *(standing[-1:] if retired is None else ())}
    restored = next((version for version in reversed(standing) if version not in gone), None)
    if restored is not None:
        return standing[-1] if retired is None else None, restored
    now = "it was never promoted"
    if standing:
        others = ", ".join(map(str, sorted(set(standing) - {standing[-1]})))
        first = f"those before it, {others}, were archived or deleted" if others else "its first"
        now = f"it points to version {standing[-1]}, {first}"
    raise NothingToRollBack(
        f"The alias {alias!r} of {state['name']!r} has no earlier promotion to return to: {now}. "
        f"Promote another version instead."
    )


@dataclass(frozen=True, slots=True)
class Period:
    """A time in which an alias pointed to one version.

    Parameters
    ----------
    version : int
        The version.
    since : datetime
        From when on it was live.
    until : datetime or None
        Until when; None if it still is, as far as the question reaches.
    by : dict
        ``actor`` and ``source``: whose decision began it.
    kind : str
        What they did, such as ``"promote"`` or ``"rollback"``.
    reason : str or None
        Why, in their words.
    """

    version: int
    since: datetime
    until: datetime | None
    by: dict[str, str]
    kind: str
    reason: str | None = None

    def __str__(self) -> str:
        end = "now" if self.until is None else f"{self.until:%Y-%m-%d %H:%M:%S}"
        why = f": {self.reason}" if self.reason else ""
        return clean(
            f"{self.version}  {self.since:%Y-%m-%d %H:%M:%S} – {end}  {self.kind} by {self.by.get('actor')}{why}"
        )


def periods(entries: Iterable[Entry], alias: str) -> list[Period]:
    """Tell which version an alias pointed to, and when.

    Parameters
    ----------
    entries : iterable of Entry
        From the first on, oldest first.
    alias : str
        The alias; ``latest`` too.

    Returns
    -------
    list of Period
        Oldest first, without overlap; none while it pointed nowhere.
    """
    found: list[Period] = []
    for entry, now in _moves(entries, alias):
        last = found[-1] if found and found[-1].until is None else None
        if last is not None and now == last.version:
            continue
        if last is not None:
            found[-1] = replace(last, until=entry.at)
        if now is not None:
            found.append(Period(now, entry.at, None, entry.by, entry.kind, entry.body.get("reason")))
    return found


def _moves(entries: Iterable[Entry], alias: str) -> Iterator[tuple[Entry, int | None]]:
    """Yield the entries that may have moved an alias, each with the version that it points to from then on."""
    made, removed, last = set[int](), set[int](), 0
    for entry in entries:
        if alias != LATEST:
            if entry.kind in _MOVES_ALIAS and entry.body["alias"] == alias:
                yield entry, entry.body.get("version")
            continue
        if entry.kind in _MAKES_VERSION:
            made.add(entry.body["version"])
            last = max(last, entry.body["version"])
        elif entry.kind in _REMOVES_VERSION:
            removed.add(entry.body["version"])
            last = last if last not in removed else max(made - removed, default=0)
        yield entry, last or None


def standing(entries: Iterable[Entry]) -> list[tuple[Entry, list[Entry]]]:
    """Return the versions that some entries make and do not remove, however many entries between them are missing.

    Parameters
    ----------
    entries : iterable of Entry
        Oldest first.

    Returns
    -------
    list of tuple
        The entry that makes each version, and those that say something of it.
    """
    made: dict[int, tuple[Entry, list[Entry]]] = {}
    for entry in entries:
        version = entry.body.get("version")
        if entry.kind in _MAKES_VERSION:
            made[entry.body["version"]] = entry, []
        elif entry.kind in _REMOVES_VERSION:
            made.pop(entry.body["version"], None)
        elif entry.kind in _NOTES and version in made:
            made[version][1].append(entry)
    return [made[version] for version in sorted(made)]


def alias_in(entries: Iterable[Entry], alias: str) -> int | None:
    """Give the version an alias pointed to after the newest of some entries.

    Parameters
    ----------
    entries : iterable of Entry
        Newest first.
    alias : str
        The alias.

    Returns
    -------
    int or None
        The version; None if the alias was never moved, or was retired.
    """
    moved = last_move(entries, alias)
    return None if moved is None else moved.body.get("version")


def last_move(entries: Iterable[Entry], alias: str) -> Entry | None:
    """Return the newest of some entries, newest first, that moved or retired an alias; None if none did."""
    return next((entry for entry in entries if entry.kind in _MOVES_ALIAS and entry.body["alias"] == alias), None)


def latest_in(entries: Iterable[Entry]) -> int | None:
    """Give the version that was the latest after the newest of some entries, newest first."""
    removed = set()
    for entry in entries:
        if entry.kind in _REMOVES_VERSION:
            removed.add(entry.body["version"])
        elif entry.kind in _MAKES_VERSION and entry.body["version"] not in removed:
            return int(entry.body["version"])
    return None
