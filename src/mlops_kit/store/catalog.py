"""Names with numbered versions and movable aliases: what models and datasets have in common."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from mlops_kit.errors import (
    AliasNotFound,
    AliasRetired,
    IntegrityError,
    InvalidSpec,
    MlopsKitError,
    NotFound,
    StoreError,
    VersionNotFound,
)
from mlops_kit.records import versions
from mlops_kit.records.check import Listing, Problem, is_of_one_record, passing_over, unread
from mlops_kit.records.codec import timestamp
from mlops_kit.records.entry import UNREADABLE, Entry
from mlops_kit.records.moments import AsOf, as_of_moment
from mlops_kit.records.names import LATEST, Spec, check_name, folder, parse_spec
from mlops_kit.records.pending import Pending
from mlops_kit.records.versions import Place
from mlops_kit.store import identity, keys
from mlops_kit.store.backend import foreign_files, names_in
from mlops_kit.store.journal import Journal, State
from mlops_kit.store.numbering import Attempt, add_version
from mlops_kit.store.observed import note_read
from mlops_kit.store.store import Store

Answer = TypeVar("Answer")
_SHOWN = 12
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All names of one kind in a store.

    Parameters
    ----------
    store : Store
        The store.
    kind : str
        The folder of their journals: ``"models"`` or ``"datasets"``.
    what : str
        What one of them is called in messages.
    missing : type
        The error for a name that does not exist.
    listing : str
        The call that lists the versions of a name, with ``{}`` for the name.
    """

    store: Store
    kind: str
    what: str
    missing: type[NotFound]
    listing: str

    def names(self) -> Listing[str]:
        """Name all there are, sorted, as first spelled."""
        return self.store.journal_names(self.kind)

    def add(self, name: str, act: str, body: Callable[[int], dict[str, Any]], *, same: str | None = None) -> Entry:
        """Make the next version of a name, and the name itself if it is new.

        Parameters
        ----------
        name : str
            A name as the user gave it.
        act : str
            The kind of entry that makes a version here.
        body : callable
            Takes the version's number and gives the rest of the entry.
        same : str, optional
            An identity; if the latest version has it, that version is the answer and nothing is written.

        Returns
        -------
        Entry
            The entry that made the version.

        Raises
        ------
        InvalidName
            The name cannot be one, or differs only in case from one that exists.
        StoreError
            The store cannot be written.
        Postponed
            It cannot, and the version is in the spool.
        """
        name = check_name(name, what=self.what)
        attempt = Attempt(secrets.token_hex(16), identity.author(), datetime.now(UTC))

        def written(number: int) -> dict[str, Any]:
            made = body(number)
            if self.store.failure is not None:
                raise self.store.failure  # what the entry names went to the spool, and the entry must follow
            return made

        try:
            self.store.ensure()
            what = f"{self.what} in {self.store.url}"
            return add_version(self.open(name), name, act, written, what=what, attempt=attempt, same=same)
        except StoreError as error:
            self.store.postpone(
                error,
                lambda run: Pending(attempt.nonce, attempt.at, attempt.by, self.kind, name, act, body(0), run),
            )
            raise

    def journal(self, name: str) -> Journal:
        """Open the journal of a name that exists.

        Raises
        ------
        NotFound
            There is no such name; the message lists those there are.
        """
        self._asked(name, lambda _state: None, self.open(check_name(name, what=self.what)).glance)
        return self.open(check_name(name, what=self.what))

    def ask(self, name: str, question: Callable[[State], Answer]) -> Answer:
        """Return what the journal of a name says now, in one look; raise as `journal` does."""
        return self._asked(name, question, self.open(check_name(name, what=self.what)).read)

    def glance(self, name: str, question: Callable[[State], Answer], *, on_trust: bool = False) -> Answer:
        """Ask as `ask` does, what `mlops_kit.records.versions.brief` tells, however long the history is."""
        journal = self.open(check_name(name, what=self.what))
        return self._asked(name, question, functools.partial(journal.glance, on_trust=on_trust))

    def _asked(self, name: str, question: Callable[[State], Answer], read: Callable[..., Any]) -> Answer:
        name = check_name(name, what=self.what)

        def ask(state: State) -> tuple[str | None, Answer | None]:
            spelled = state.get("name")
            return spelled, question(state) if spelled == name else None

        spelled, answer = read(ask)
        if spelled == name:
            return cast("Answer", answer)
        if spelled is not None:
            raise self.missing(f"There is no {self.what} {name!r} in {self.store.url}; there is {spelled!r}.")
        self.store.describe()  # a store of a newer format says so, instead of seeming empty
        names = self.names()
        exist = f"There are: {_listed(names)}." if names else f"It holds no {self.what} yet."
        raise self.missing(f"There is no {self.what} {name!r} in {self.store.url}. {exist}")

    def history(self, name: str, *, as_of: AsOf | None = None) -> Listing[Entry]:
        """Read the journal of a name; what cannot be read is an entry of the kind ``unreadable`` in its place.

        Raises
        ------
        NotFound
            There is no such name.
        """
        until = None if as_of is None else as_of_moment(as_of)
        journal, entries, problems = self.open(check_name(name, what=self.what)), list[Entry](), list[Problem]()
        try:
            numbers: Iterable[int] = range(1, self.journal(name).last + 1)
        except MlopsKitError as error:
            found = self._numbers(name)
            if not is_of_one_record(error) or not found:
                raise
            numbers = keys.counted(found)
        for seq in numbers:
            before = len(problems)
            with passing_over(problems, f"journals/{journal.place}/{seq:012d}.json"):
                entries.append(journal.entry(seq))
            if len(problems) > before:
                at = entries[-1].at if entries else _BEFORE_ALL
                entries.append(Entry(seq, "", at, {}, "", UNREADABLE, {"problem": problems[-1].message}))
        return Listing([entry for entry in entries if until is None or entry.at <= until], problems)

    def _numbers(self, name: str) -> set[int]:
        """Return the numbers of the entries that lie there, whatever lies there."""
        prefix, backend = f"journals/{self.open(name).place}/", self.store.backend
        files = {
            *(f"{prefix}{file}" for file in names_in(backend, prefix)),
            *(each.path for each in foreign_files(backend)),
        }
        return {keys.number_in(file) for file in files if file.startswith(prefix)} - {0}

    def listed(self, name: str, *, as_of: AsOf | None = None) -> Listing[tuple[Entry, list[Entry]]]:
        """Read the entries that make the versions of a name, each with those that say something of it.

        Where the journal cannot be read in one go, all that can be read of it counts.

        Raises
        ------
        NotFound
            There is no such name.
        """
        journal = self.open(check_name(name, what=self.what))
        try:
            return self._standing(name, journal, as_of)
        except MlopsKitError as error:
            if not is_of_one_record(error) or journal.is_guarded:
                raise
        history = self.history(name, as_of=as_of)
        return Listing(versions.standing(history), history.problems)

    def _standing(self, name: str, journal: Journal, as_of: AsOf | None) -> Listing[tuple[Entry, list[Entry]]]:
        """Read as `listed` does, from the fold; raise an `IntegrityError` where a hint about it is not true."""
        seqs, removed, notes = self.folded(name, _versions, as_of=as_of)
        entries, problems = dict[int, Entry](), list[Problem]()
        kept = {version: seq for version, seq in enumerate(seqs, 1) if version not in removed}
        for seq in (*kept.values(), *(seq for version in kept for seq in notes.get(version, ()))):
            with passing_over(problems, f"journals/{journal.place}/{seq:012d}.json"):
                entries[seq] = journal.entry(seq)
        wrong = [
            version for version, seq in kept.items() if seq in entries and not versions.makes(entries[seq], version)
        ]
        if wrong:
            raise IntegrityError(f"The head.json of {journal.place} names an entry that does not make {wrong[0]}.")
        said = {
            seq: [entries[each] for each in notes.get(version, ()) if each in entries] for version, seq in kept.items()
        }
        return Listing([(entries[seq], said[seq]) for seq in kept.values() if seq in entries], problems)

    def folded(self, name: str, question: Callable[[State], Answer], *, as_of: AsOf | None) -> Answer:
        """Return what the journal of a name says now, or said at a moment."""
        if as_of is None:
            return self.ask(name, question)
        state: State = {}
        journal = self.journal(name)
        for entry in journal.entries(journal.last_at(as_of_moment(as_of))):
            versions.fold(state, entry)
        return question(state)

    def search(self, fingerprint: str, *, as_of: AsOf | None = None) -> tuple[str, Entry]:
        """Find the newest version of any name whose entry has a fingerprint, passing over names that cannot be read.

        Raises
        ------
        NotFound
            There is none.
        """
        problems: list[Problem] = []
        for name in self.names():
            with passing_over(problems, keys.journal_prefix(self.kind, folder(name))):
                journal = self.journal(name)
                last = journal.last if as_of is None else journal.last_at(as_of_moment(as_of))
                for entry in journal.backwards(last):
                    if entry.body.get("fingerprint") == fingerprint:
                        return name, entry
        has = "has" if as_of is None else f"had, as of {as_of},"
        told = f"No {self.what} in {self.store.url} {has} the fingerprint {fingerprint}."
        raise self.missing(" ".join(filter(None, [told, unread(problems)])))

    def open(self, name: str) -> Journal:
        """Open the journal of a checked name without looking whether it exists; this reads nothing of it."""
        self.store.look()
        return self.store.journal(self.kind, name, versions.fold)

    def parse(self, spec: str) -> Spec:
        """Read a spec, and answer a bare name with what it could mean."""
        parsed = parse_spec(spec, what=self.what)
        if parsed.version is None and parsed.alias is None:
            journal = self.open(parsed.name)
            exist = journal.read(
                lambda state: self._exist(state) if state else f"There is no {self.what} of this name."
            )
            raise InvalidSpec(
                f"{spec!r} names no version of a {self.what}: write '{spec}:3' or '{spec}@{LATEST}'. {exist}"
            )
        return parsed

    def resolve(self, spec: str, *, as_of: AsOf | None = None) -> Entry:
        """Find the version that a spec means, now or at a moment in the past.

        Parameters
        ----------
        spec : str
            ``"name:3"``, ``"name@alias"`` or ``"name@latest"``.
        as_of : str, date or datetime, optional
            What it meant then.

        Returns
        -------
        Entry
            The entry that made the version.

        Raises
        ------
        NotFound
            The name, version or alias does not exist, or did not then; the message says what does.
        InvalidSpec
            It is a bare name, or no spec at all.
        """
        return self._found(spec, as_of)[0]

    def find(self, spec: str, *, as_of: AsOf | None = None) -> tuple[Entry, list[int]]:
        """Find the version that a spec means, and the numbers of the entries that say something of it.

        Parameters
        ----------
        spec, as_of : str and moment, optional
            As for `resolve`.

        Returns
        -------
        tuple
            The entry that made the version, and the numbers of those that approve, reject, tag, describe or
            archive it, up to the moment that is asked for.
        """
        entry, place = self._found(spec, as_of)
        return entry, self._notes(self.parse(spec).name, place)

    def _found(self, spec: str, as_of: AsOf | None) -> tuple[Entry, Place]:
        parsed = self.parse(spec)
        found: tuple[Entry, Place] | None = None
        try:
            found = self._resolve(parsed, as_of)
        except IntegrityError:
            self.open(parsed.name).forget_hint()  # a hint from elsewhere may promise entries that never arrived
            found = self._resolve(parsed, as_of)
        finally:
            if parsed.alias is not None:
                meant = None if found is None else str(found[0].body.get("version"))
                until = None if as_of is None else timestamp(as_of_moment(as_of))
                note_read(self.kind, spec, meant, store=self.store.url, as_of=until)
        return found

    def _resolve(self, spec: Spec, as_of: AsOf | None) -> tuple[Entry, Place]:
        journal = self.open(spec.name)
        if as_of is None:
            place = self._now(journal, spec)
            until = None
        else:
            until = journal.last_at(as_of_moment(as_of))
            place = self.ask(spec.name, lambda state: _then(state, spec, journal, until))
        if place is None:
            self._refuse_retired(journal, spec, until)
            kind = VersionNotFound if spec.alias is None else AliasNotFound
            raise kind(self._absent(journal, spec, as_of))
        entry = journal.entry(place.made)
        if not versions.makes(entry, place.version):
            raise IntegrityError(
                f"Entry {entry.seq} of the journal of the {self.what} {spec.name!r} in {self.store.url} does not make "
                f"version {place.version}, as its head.json says. `Store.fsck(repair=True)` writes head.json again."
            )
        if spec.alias is None and place.deleted:
            self._refuse_deleted(spec.name, place.version, map(journal.entry, self._notes(spec.name, place)))
        return entry, place

    def _now(self, journal: Journal, spec: Spec) -> Place | None:
        """Find where the version stands that a spec means now."""
        if spec.version is not None:
            at = functools.partial(journal.glance_at, spec.version)
            return self._asked(spec.name, lambda brief: brief.get("place"), at)
        found = self.glance(spec.name, lambda brief: brief["aliases"].get(spec.alias))
        return None if found is None else Place(*found)

    def _notes(self, name: str, place: Place) -> list[int]:
        """Return the numbers of the entries that say something of a version; those of very many stand in the fold."""
        if place.notes is not None:
            return list(place.notes)
        return self.ask(name, lambda state: list(versions.notes_of(state, place.version)))

    def _refuse_retired(self, journal: Journal, spec: Spec, until: int | None) -> None:
        alias = spec.alias
        if alias is None or alias == LATEST:
            return
        retired = (
            journal.read(lambda state: dict(state.get("retired", {}).get(alias, {})))
            if until is None
            else versions.retirement_in(journal.backwards(until), alias)
        )
        if retired:
            raise AliasRetired(versions.retired_text(spec.name, alias, retired))

    def _refuse_deleted(self, name: str, version: int, said: Iterable[Entry]) -> None:
        deletion = next((entry for entry in said if entry.kind == "delete"), None)
        if deletion is not None:
            why = f": {deletion.body['reason']}" if deletion.body.get("reason") else ""
            raise VersionNotFound(
                f"The {self.what} {name}:{version} was deleted by {deletion.by['actor']} at "
                f"{timestamp(deletion.at)}{why}. What it was is in the history, and as_of= an earlier moment finds it."
            )

    def _absent(self, journal: Journal, spec: Spec, as_of: AsOf | None) -> str:
        asked = f"version {spec.version}" if spec.alias is None else f"alias {spec.alias!r}"
        then = "" if as_of is None else f" as of {as_of}"
        exist = journal.read(self._exist)
        twin = None if spec.alias is None else journal.read(lambda state: versions.spelled(state, str(spec.alias)))
        exist = f"There is {twin!r}. {exist}" if twin not in {None, spec.alias} else exist
        had = "has" if as_of is None else "had"
        return f"The {self.what} {spec.name!r} {had} no {asked} in {self.store.url}{then}. {exist}"

    def _exist(self, state: State) -> str:
        removed = set(state["removed"])
        kept = [version for version in range(1, len(state["versions"]) + 1) if version not in removed]
        aliases = "".join(
            f"; {alias} → {standing[-1]}" for alias, standing in sorted(state["aliases"].items()) if standing
        )
        return f"Versions: {_ranges(kept)}{aliases}. See {self.listing.format(repr(state['name']))}."


def _versions(state: State) -> tuple[list[int], set[int], dict[int, list[int]]]:
    """Return which entries make versions, which versions were removed, and the entries that say something of each."""
    notes = {int(version): list(said) for version, said in state.get("notes", {}).items()}
    return list(state.get("versions", ())), set(state.get("removed", ())), notes


def _then(state: State, spec: Spec, journal: Journal, until: int) -> Place | None:
    """Find where the version stands that a spec meant once, and what had been said of it."""
    version = spec.version if spec.alias is None else _meant_in(journal.backwards(until), spec.alias)
    place = None if version is None else versions.place(state, version)
    if place is None or place.made > until:
        return None
    return place._replace(notes=[seq for seq in versions.notes_of(state, place.version) if seq <= until])


def _meant_in(past: Iterable[Entry], alias: str) -> int | None:
    return versions.latest_in(past) if alias == LATEST else versions.alias_in(past, alias)


def _ranges(numbers: list[int]) -> str:
    """Write ascending numbers briefly, such as ``1–3, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return _listed([f"{low}–{high}" if high > low else str(low) for low, high in parts]) or "none"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
