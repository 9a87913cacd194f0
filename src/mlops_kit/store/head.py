"""How far a journal has been read and what it says there, and the hints that tell it to the next reader.

A short history fits into ``head.json`` whole. Of a long one that file has what most readers ask, the aliases, and the
steps since ``fold.json``, which is the whole fold of an earlier entry and is written again every 256 entries; so are
those pages, each of 1,024 versions, that have changed. So what an append writes, and what a reader of an alias or of a
version reads, does not grow with the history. All these files are hints.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mlops_kit.errors import MlopsKitError
from mlops_kit.records import codec, versions
from mlops_kit.records.entry import BODIES, FIRST_PREV, Entry
from mlops_kit.records.shape import ODD, Count, Members, check_members
from mlops_kit.store import keys

WHOLE = 256
"""The number of entries whose fold a head holds whole, and of the steps that it holds beside a fold."""

_NUMBERS = list[Count]
_ANY = Members({}, {})
_FOLD = Members(
    {"name": str, "versions": _NUMBERS, "removed": _NUMBERS, "aliases": dict[str, _NUMBERS]},
    {"identity": str, "deleted": _NUMBERS, "notes": dict[str, _NUMBERS], "frozen": dict[str, str]},
)
_PLACED = 3
_STAMP = 16
_STAMPS = Members({}, {"pages": list[list[Count | str]]})
_PAGE = Members({"seq": Count, "tip": str, "places": list[list[Count | _NUMBERS | None]], "deleted": _NUMBERS}, {})
_PLACE = list[Count | _NUMBERS | None]
_BRIEF = Members({"name": str, "count": Count, "aliases": dict[str, _PLACE]}, {"frozen": dict[str, str]})


@dataclass(slots=True)
class Head:
    """How far a journal has been read, and what it says there.

    Parameters
    ----------
    seq : int
        The number of the last entry that was read; 0 for none.
    tip : str
        The digest of its bytes.
    at : datetime or None
        When it was written, if known.
    state : dict or None
        The fold of the entries so far; None of a hint that has only a part of it.
    seen : float or None
        When that entry was last seen to have that digest, by the monotonic clock; None for a hint.
    brief : dict or None
        The part of the fold that such a hint has; see `mlops_kit.records.versions.brief`.
    base : tuple of int and str
        The number and digest of the entry whose fold stands in ``fold.json``.
    steps : list or None
        The steps since then; None if they are not known.
    pages : list or None
        Of each page the number of the entry up to which it was written, and the first digits of that entry's digest;
        None if they are not known.
    """

    seq: int = 0
    tip: str = FIRST_PREV
    at: datetime | None = None
    state: dict[str, Any] | None = field(default_factory=dict)
    seen: float | None = field(default_factory=lambda: time.monotonic())  # noqa: PLW0108 - the clock of the moment
    brief: dict[str, Any] | None = None
    base: tuple[int, str] = (0, FIRST_PREV)
    steps: list[versions.Step] | None = field(default_factory=list)
    pages: list[list[Any]] | None = field(default_factory=list)

    @classmethod
    def hinted(cls, data: bytes | None) -> Head:
        """Read a hint; one that is missing or damaged says nothing.

        Examples
        --------
        >>> Head.hinted(Head(2, "00", state={"n": 2}).whole_hint()).state, Head.hinted(b"?").seq
        ({'n': 2}, 0)
        """
        if data is None:
            return cls()
        try:
            hint = codec.unseal(data, where="a hint", kind="head")
            seq, tip = int(hint["seq"]), str(hint["tip"])
            if "fold" in hint:
                fold = dict(hint["fold"])
                check_members(_FOLD if "versions" in fold else BODIES["begin"] if "check" in fold else _ANY, fold)
                versions.brief(fold)  # raises if an alias points to no version
                return cls(seq, tip, None, fold, seen=None, steps=None, pages=None)
            brief, (number, digest) = dict(hint["brief"]), hint["base"]
            check_members(_BRIEF, brief)
            if any(len(place) != _PLACED for place in brief["aliases"].values()):
                return cls()
            base, steps = (int(number), str(digest)), list(hint["steps"])
            check_members(_STAMPS, hint)
            return cls(seq, tip, None, None, None, brief, base, steps, hint.get("pages"))
        except (MlopsKitError, *ODD):
            return cls()

    @property
    def folded(self) -> dict[str, Any]:
        """The state, of a head that has all of it."""
        return {} if self.state is None else self.state

    def whole(self, read: Callable[[], bytes | None]) -> Head:
        """Return a head that has all of the fold: this one, or, where hints do not agree, that of an earlier entry.

        Parameters
        ----------
        read : callable
            Reads ``fold.json``.
        """
        if self.state is not None:
            return self
        found = Head.hinted(read())
        if found.state is None:
            return Head()
        if (found.seq, found.tip) != self.base:
            return found
        try:
            for step in self.steps or ():
                versions.take(found.state, step)
        except ODD:
            return Head()
        return replace(self, state=found.state, brief=None)

    def followed(self, seq: int, tip: str, at: datetime, step: versions.Step | None) -> Head:
        """Return the head after the next entry, which has changed the state of this one in place."""
        steps = self.steps if self.steps is not None and len(self.steps) <= WHOLE else None
        if step is not None and steps is not None:
            steps.append(step)
        return replace(self, seq=seq, tip=tip, at=at, brief=None, steps=steps)

    def place(self, version: int, read: Callable[[int], bytes | None]) -> versions.Place | None:
        """Return where a version stands, of a head that has a part of the fold only; None if the hints do not tell.

        Parameters
        ----------
        version : int
            The version.
        read : callable
            Reads a page by its number.
        """
        try:
            steps, stamps = self.steps or [], self.pages or []
            count = int((self.brief or {})["count"]) - versions.made_in(steps)
            page = None
            if version <= count:
                number = versions.page_of(version)
                page = codec.unseal(read(number) or b"", where="a hint", kind="places")
                check_members(_PAGE, page)
                if [page["seq"], page["tip"][:_STAMP]] != stamps[number]:
                    return None
            return versions.place_in(page, version, count, steps)
        except (MlopsKitError, *ODD):
            return None

    def hints(self, kind: str, folder: str) -> Iterator[tuple[str, bytes]]:
        """Write down for the next reader what goes to which key, in this order."""
        brief = versions.brief(self.state or {}) if self.seq > WHOLE else None
        if brief is None or self.state is None:
            yield keys.head_key(kind, folder), self.whole_hint()
            return
        if self.steps is None or self.seq - self.base[0] > WHOLE:
            yield keys.fold_key(kind, folder), self.whole_hint()
            stamps = list(self.pages or ())
            for number in versions.pages_of(self.state, None if self.pages is None else self.steps):
                stamps[number : number + 1] = [[self.seq, self.tip[:_STAMP]]]
                members = {"seq": self.seq, "tip": self.tip, **versions.page(self.state, number)}
                yield keys.page_key(kind, folder, number), codec.seal("places", members)
            self.base, self.steps, self.pages = (self.seq, self.tip), [], stamps
        members = {"seq": self.seq, "tip": self.tip, "brief": brief, "base": list(self.base), "steps": self.steps}
        pages = {} if self.pages is None else {"pages": self.pages}
        yield keys.head_key(kind, folder), codec.seal("head", members | pages)

    def whole_hint(self) -> bytes:
        """Write down the whole fold."""
        return codec.seal("head", {"seq": self.seq, "tip": self.tip, "fold": self.state})


def false_pages(
    read: Callable[[int], bytes | None], hint: Mapping[str, Any], entries: Sequence[Entry]
) -> Iterator[int]:
    """Yield the pages that readers of a hint believe and that say other than the entries up to there do."""
    believed: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for number, stamp in enumerate(hint.get("pages") or ()):
        with contextlib.suppress(MlopsKitError, *ODD):
            page = codec.unseal(read(number) or b"", where="a hint", kind="places")
            if [page["seq"], page["tip"][:_STAMP]] == stamp:
                believed.setdefault(page["seq"], []).append((number, page))
    state: dict[str, Any] = {}
    for entry in entries:
        versions.fold(state, entry)
        for number, page in believed.pop(entry.seq, ()):
            true = versions.page(state, number)
            if codec.canonical(true) != codec.canonical({name: page.get(name) for name in true}):
                yield number
    yield from (number for pages in believed.values() for number, _ in pages)


def is_true(hint: Mapping[str, Any], entries: Sequence[Entry], tips: Sequence[str]) -> bool:
    """Return whether a hint of a journal of versions says what its entries say, of which it names the last.

    Parameters
    ----------
    hint : dict
        The members of ``head.json`` or ``fold.json``.
    entries : sequence of Entry
        From the first up to the one that the hint names, or further.
    tips : sequence of str
        The digests of their bytes.
    """
    state: dict[str, Any] = {}
    steps = []
    number, digest = hint.get("base", (0, FIRST_PREV))
    for entry in entries[: hint["seq"]]:
        versions.fold(state, entry)
        step = versions.step_of(entry) if entry.seq > number else None
        steps += [] if step is None else [step]
    if "fold" in hint:
        return codec.canonical(state) == codec.canonical(hint["fold"])
    rest = (number, digest) == (0, FIRST_PREV) or (0 < number <= len(tips) and tips[number - 1] == digest)
    said = codec.canonical([versions.brief(state), steps]) == codec.canonical([hint["brief"], hint["steps"]])
    return rest and said
