"""A journal from its bytes alone, from the first entry on: how far it is sound, and what is wrong there."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mlops_kit.errors import MlopsKitError
from mlops_kit.masking import excerpt
from mlops_kit.records import codec, versions
from mlops_kit.records.check import Problem, is_of_one_record
from mlops_kit.records.entry import FIRST_PREV, Entry, tip
from mlops_kit.records.names import folder as folder_of
from mlops_kit.records.shape import ODD
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, foreign_files, read_verified
from mlops_kit.store.head import false_pages, is_true

_KIND = re.compile(r"[a-z]{1,40}")

HINTS = frozenset({"stale-hint", "forged-hint"})
"""Kinds of problems that are none of the journal itself."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The sound part of a journal.

    Parameters
    ----------
    kind, folder : str
        Which journal.
    entries : tuple of Entry
        From the first, each following the one before.
    records : tuple of bytes
        The bytes of each.
    problems : tuple of Problem
        What is wrong right after them, and with the hint.
    """

    kind: str
    folder: str
    entries: tuple[Entry, ...]
    records: tuple[bytes, ...]
    problems: tuple[Problem, ...]

    @property
    def journal(self) -> str:
        """Which journal, as anchors and signatures name it."""
        return f"{self.kind}/{self.folder}"

    @property
    def name(self) -> str:
        """The display name; the folder if the first entry cannot be read."""
        return str(self.entries[0].body.get("name", self.folder)) if self.entries else self.folder

    @property
    def label(self) -> str:
        """How a report names it: a model by its name, anything else with its kind before it."""
        return self.name if self.kind == "models" else f"{self.kind}/{self.name}"

    @property
    def tips(self) -> tuple[str, ...]:
        """The digest of the bytes of each."""
        return tuple(map(tip, self.records))

    @property
    def anchor(self) -> tuple[int, str]:
        """The number and digest of the last sound entry."""
        return len(self.entries), tip(self.records[-1]) if self.records else FIRST_PREV


def walk(backend: Backend, kind: str, folder: str, foreign: Collection[str] = ()) -> Chain:
    """Read a journal from its first entry, trusting no hint.

    Parameters
    ----------
    backend : Backend
        The store.
    kind, folder : str
        Which journal.
    foreign : collection of str
        Where something other than a file lies in the store.

    Returns
    -------
    Chain
        What stands there.
    """
    entries: list[Entry] = []
    tips: list[str] = []
    records: list[bytes] = []
    state: dict[str, Any] = {}
    prefix = keys.journal_prefix(kind, folder)
    files = [*(found.key for found in backend.walk(prefix)), *(path for path in foreign if path.startswith(prefix))]
    numbers = {keys.number_in(file) for file in files}
    problems: list[Problem] = []
    folded = keys.has_versions(keys.journal_prefix(kind, folder))
    for seq in range(1, max(numbers, default=0) + 1):
        key = keys.entry_key(kind, folder, seq)
        found = _next(backend, key, seq, entries, tips, folder)
        if isinstance(found, Problem):
            problems.append(found)
            break
        entries.append(found[0])
        records.append(found[1])
        tips.append(tip(found[1]))
        try:
            if folded:
                versions.fold(state, found[0])
        except ODD as error:
            problems.append(Problem("damaged", key, f"It cannot follow what was decided before: {error!r}."))
            break
    for key in (keys.head_key(kind, folder), keys.fold_key(kind, folder)):
        hint = _hint(backend, key)
        wrong = _hint_problems(key, hint, entries, tips, folded=folded)
        problems += wrong
        if folded and hint and not wrong:
            false = false_pages(lambda page: backend.get(keys.page_key(kind, folder, page)), hint, entries)
            problems += [_forged(keys.page_key(kind, folder, page), hint["seq"]) for page in false]
    return Chain(kind, folder, tuple(entries), tuple(records), tuple(problems))


def walk_all(backend: Backend) -> list[Chain]:
    """Read every journal of a store, of kinds that this release does not know too."""
    kinds = [name for name in backend.folders("journals/") if _KIND.fullmatch(name)]
    foreign = [each.path for each in foreign_files(backend)]
    return [walk(backend, kind, folder, foreign) for kind in kinds for folder in backend.folders(f"journals/{kind}/")]


def _next(
    backend: Backend, key: str, seq: int, entries: list[Entry], tips: list[str], folder: str
) -> tuple[Entry, bytes] | Problem:
    try:
        found = read_verified(backend, key, lambda data: (Entry.decode(data, where=key), data))
        if found is None:
            return Problem("missing", key, f"Entry {seq} is not there, and later ones are: it was deleted.")
        entry, data = found
        wrong = _misfit(entry, seq, entries, tips, folder)
    except MlopsKitError as error:
        return Problem("damaged", key, str(error))
    return (entry, data) if wrong is None else Problem(wrong[0], key, wrong[1])


def _misfit(entry: Entry, seq: int, entries: list[Entry], tips: list[str], folder: str) -> tuple[str, str] | None:
    """Say why an entry cannot stand where it does: the kind of problem, and in words."""
    before = tips[-1] if tips else FIRST_PREV
    if entry.seq != seq:
        return "moved", f"It carries the number {excerpt(entry.seq, 20)}: it was moved here, or one was inserted."
    if entry.prev != before:
        told = f"entry {seq - 1} as it stands there is {before}" if tips else "it is the first"
        return (
            "broken-chain",
            f"It follows an entry {entry.prev}, and {told}: one of the two was changed, swapped or inserted.",
        )
    if entries and entry.at < entries[-1].at:
        return "broken-chain", "It says that it is older than the entry before it."
    if seq == 1 and (entry.kind != "create" or folder_of(str(entry.body.get("name"))) != folder):
        return "moved", f"It does not begin the journal of {folder}: it comes from another."
    return None


def _hint(backend: Backend, key: str) -> dict[str, Any] | None:
    try:
        data = backend.get(key)
        return None if data is None else codec.unseal(data, where=key, kind="head")
    except MlopsKitError as error:
        if not is_of_one_record(error):
            raise
        return {}


def _hint_problems(
    key: str, hint: dict[str, Any] | None, entries: list[Entry], tips: list[str], *, folded: bool
) -> list[Problem]:
    """Hold the hint against the entries: readers that are in a hurry believe it."""
    if hint is None:
        return []
    seq = hint.get("seq")
    if not isinstance(seq, int) or not 1 <= seq <= len(tips) or hint.get("tip") != tips[seq - 1]:
        return [Problem("stale-hint", key, f"It names entry {seq} as {hint.get('tip')}, which is not there.")]
    try:
        true = not folded or is_true(hint, entries, tips)
    except ODD:
        true = False
    if not true:
        return [_forged(key, seq)]
    return []


def _forged(key: str, seq: int) -> Problem:
    return Problem(
        "forged-hint",
        key,
        f"It says of entry {seq} what the entries up to there do not say: aliases or versions were changed in it. "
        "Remove the file: it is only a hint, and is made anew.",
    )
