"""Everything that changes: an append-only, hash-chained, numbered sequence of small entries.

An entry is committed by one put-if-absent of the next number. Whoever loses that race reads what the winner
wrote and decides again. What a journal says now is the fold of its entries; ``head.json`` keeps that fold as a
hint, so that the common read need not begin at entry 1. What is believed, from a hint or from an earlier look, is
held against the entry it rests on before anything is built on it: the hint may be that of another history, and the
store may have been removed and made anew.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from mlops_kit.errors import IntegrityError, MlopsKitError, NotDurable, StoreError
from mlops_kit.records import versions
from mlops_kit.records.check import is_of_one_record
from mlops_kit.records.entry import Entry, tip
from mlops_kit.records.secrets import masked_texts
from mlops_kit.records.shape import reading
from mlops_kit.store import clocks, keys, retry
from mlops_kit.store.backend import Backend, make_durable, names_in
from mlops_kit.store.entries import Entries
from mlops_kit.store.head import Head
from mlops_kit.store.observed import note_change
from mlops_kit.store.signers import Guard, Rule

State: TypeAlias = dict[str, Any]
Fold: TypeAlias = Callable[[State, Entry], None]
Decision: TypeAlias = tuple[str, dict[str, Any]] | None
Answer = TypeVar("Answer")

_BELIEVED_SECONDS = 60.0
"""So long after an entry was seen, an answer may rest on it without another look."""
_JUST_READ_SECONDS = 1.0
"""So long an entry that was read to decide on an append need not be looked at once more."""


class Journal:
    """The journal of one name.

    Parameters
    ----------
    backend : Backend
        Where it is kept.
    kind : str
        ``"models"`` or ``"datasets"``.
    folder : str
        The folder of the name.
    fold : callable
        ``fold(state, entry)`` changes the plain JSON `state` as the entry says; it has no other effect.
    author : callable
        Gives who is writing, for ``by``.
    guard : Guard, optional
        Signs what is written, and tells what must hold of what is read.
    """

    def __init__(
        self,
        backend: Backend,
        kind: str,
        folder: str,
        fold: Fold,
        author: Callable[[], dict[str, str]],
        guard: Guard | None = None,
    ) -> None:
        self._backend = backend
        self._kind = kind
        self._folder = folder
        self._fold = fold
        self._author = author
        self._guard = guard
        self._rule: Rule | None = None
        self._hints: set[str] = set()
        self._head: Head | None = None
        self._synced = 0
        self._entries = Entries(backend, kind, folder)
        self._lock = threading.RLock()
        _journals.add(self)

    def read(self, question: Callable[[State], Answer], *, on_trust: bool = False) -> Answer:
        """Ask what the journal says now.

        Parameters
        ----------
        question : callable
            Takes the state, which it may not change or keep, and gives the answer.
        on_trust : bool
            Believe the hint without looking at the entry it names.

        Returns
        -------
        object
            The answer. One backend read if nothing was written since this process last looked; on the first look
            three, and two on trust.
        """
        with self._lock:
            state = self._standing(on_trust=on_trust, whole=True).folded
            with reading(self._prefix):
                return question(state)

    def glance(self, question: Callable[[State], Answer], *, on_trust: bool = False) -> Answer:
        """Ask as `read` does, what `mlops_kit.records.versions.brief` tells: a long history costs no more."""
        with self._lock:
            return self._asked(self._standing(on_trust=on_trust), question)

    def glance_at(self, version: int, question: Callable[[State], Answer]) -> Answer:
        """Look as `glance` does, with the `mlops_kit.records.versions.Place` of a version as ``place``, if it is there.

        The first look reads no more than a page of a long history, and believes the hint: the entry that made the
        version must say so. Who looks again has more to ask, and reads the whole fold.
        """
        with self._lock:
            is_first = self._head is None
            head = self._standing(on_trust=is_first)
            place = head.place(version, self._page) if is_first and head.state is None else None
            if place is None:
                head = self._standing(whole=True) if head.state is None else self._held(head, _BELIEVED_SECONDS)
                self._head, place = head, versions.place(head.folded, version)
            return self._asked(head, question, {} if place is None else {"place": place})

    def _page(self, number: int) -> bytes | None:
        return self._hint(keys.page_key(self._kind, self._folder, number))

    def _asked(self, head: Head, question: Callable[[State], Answer], more: State | None = None) -> Answer:
        brief = head.brief if head.state is None else versions.brief(head.state)
        with reading(self._prefix):
            return question({**(brief or {}), **(more or {})})

    def _standing(self, *, on_trust: bool = False, whole: bool = False) -> Head:
        """Read on from what is known or hinted, and hold it against the entry it rests on."""
        self._heed()
        head = self._begun()
        head = self._caught_up(self._whole(head) if whole else head)
        self._head = head if on_trust else self._held(head, _BELIEVED_SECONDS)
        return self._head

    def append(
        self,
        decide: Callable[[State], Decision],
        *,
        nonce: str | None = None,
        by: dict[str, str] | None = None,
        after: int | None = None,
    ) -> Entry | None:
        """Decide on the present state and commit the decision.

        Parameters
        ----------
        decide : callable
            Takes the state and gives the kind and body of the entry to write, or None if there is nothing
            left to do, or raises to refuse. Called again after every lost race, with what the winner wrote.
        nonce, by : str and dict, optional
            Of the entry; by default a new nonce and the present author.
        after : int, optional
            Say that the entry may exist already, and after which number: if one there has the nonce, it is the
            answer.

        Returns
        -------
        Entry or None
            The entry, durable; None if the decision was to write nothing.
        """
        nonce = nonce or secrets.token_hex(16)
        author = by or self._author()
        note_change(self.place)
        with self._lock:
            self._heed()
            began, losses = time.monotonic(), 0
            head = self._held(self._whole(self._begun()), _BELIEVED_SECONDS)
            while True:
                if after is not None:
                    known = next((seq for seq in range(after + 1, head.seq + 1) if self._is_mine(seq, nonce)), None)
                    if known is not None:
                        self._head = head
                        self._sync(known)
                        return self.entry(known)
                    after = max(after, head.seq)
                decision, refusal = _attempt(decide, head.folded)
                if decision is None:
                    newer = self._caught_up(head if refusal is None else self._held(head, 0))
                    if newer is not head:
                        head = newer  # the answer was founded on an old state
                        continue
                    self._head = head
                    if refusal is not None:
                        raise refusal
                    self._sync(head.seq)
                    return None
                held = self._held(head, min(time.monotonic() - began, _JUST_READ_SECONDS))
                if held is not head:
                    head = held  # another history: what was decided on the old one does not hold
                    continue
                entry = self._made(head, author, nonce, decision)
                data, asked = entry.encode(), time.monotonic()
                if self._create(entry, data):
                    self._synced, self._head = entry.seq, None
                    self._entries.remember(entry.seq, data)
                    self._head = head = self._followed(head, entry, data)
                    self._write_hint(head)
                    return entry
                losses += 1
                head = self._overtaken(head, losses, (time.monotonic() - asked) / 2)
                if not self._is_remote and self._is_mine(entry.seq, nonce):  # the acknowledgement was lost
                    self._head = head
                    self._sync(entry.seq)
                    self._write_hint(head)
                    return self.entry(entry.seq)

    def refuse_if_ahead(self) -> None:
        """Refuse what others will ask the past for if this machine's clock is far ahead of the store's.

        Raises
        ------
        ClockAhead
            It is.
        """
        clocks.refuse_if_ahead(datetime.now(UTC), self._backend)

    @property
    def _is_remote(self) -> bool:
        """Whether a request takes long, and a creation that lost has read back what stands there."""
        return getattr(self._backend, "is_remote", False)

    def _overtaken(self, head: Head, losses: int, request: float) -> Head:
        """Read on after a lost race; where a request takes long, let others write first, and then go on from the hint.

        Whether the hint is behind shows when the next entry is created, which costs hardly more than to ask.
        """
        if self._is_remote:
            time.sleep(retry.turn(losses, request, random.random()))  # noqa: S311 - jitter
            hinted = self._hinted()
            if hinted.seq > head.seq:
                held = self._held(self._whole(hinted), 0)
                if held.seq > head.seq:
                    return held
        return self._caught_up(head)

    def _create(self, entry: Entry, data: bytes) -> bool:
        """Commit an entry: True if it stands, False if another stands in its place.

        Raises
        ------
        NotDurable
            It stands, and a power cut may still take it.
        StoreError
            It does not stand, or nobody can say.
        """
        key = self._key(entry.seq)
        try:
            return self._backend.create(key, data)
        except StoreError as error:
            try:
                found = self._backend.get(key)
            except StoreError:
                raise error from None
            if found is None:
                raise
            if found == data and isinstance(error, NotDurable):
                version = entry.body.get("version")
                what = f"The entry {entry.kind!r}" + ("" if version is None else f" of version {version}")
                raise NotDurable(
                    f"{what} is there, as number {entry.seq} of {self.place}: do not write it again. {error}"
                ) from error
            return found == data and make_durable(self._backend, key)

    def _sync(self, seq: int) -> None:
        """Sync an entry that another process wrote, before it is given for an answer."""
        if seq > self._synced and make_durable(self._backend, self._key(seq)):
            self._synced = seq  # all earlier names are in the same folder

    def _made(self, head: Head, author: dict[str, str], nonce: str, decision: tuple[str, dict[str, Any]]) -> Entry:
        """Write down a decision, signed if this user signs."""
        kind, body = decision
        times = self._times(head.seq, clocks.corrected(datetime.now(UTC), self._backend))
        entry = Entry(
            seq=head.seq + 1, prev=head.tip, by=author, nonce=nonce, kind=kind, body=masked_texts(body), **times
        )
        return entry if self._guard is None else self._guard.signed(entry)

    def _times(self, last: int, now: datetime) -> dict[str, Any]:
        """Date the entry after number `last`; it carries its true time if that one is far ahead of its own."""
        if not last:
            return {"at": now}
        before = self.entry(last)
        if before.clock is not None and before.clocks is not None:
            if now < before.at:
                return {"at": before.at, "clock": max(now, before.clock), "clocks": before.clocks}
            return {"at": now, "clocks": last}
        if clocks.is_ahead(before.at, now.timestamp()):
            return {"at": before.at, "clock": now, "clocks": last + 1}
        return {"at": max(now, before.at), "clocks": before.clocks}

    def entry(self, seq: int) -> Entry:
        """Read one entry that is known to exist.

        Raises
        ------
        IntegrityError
            It is missing or damaged.
        """
        return self._entries.at(seq)

    def record(self, seq: int) -> tuple[Entry, bytes]:
        """Read one entry that is known to exist, with its bytes; raise as `entry` does."""
        found = self._entries.load(seq)
        return found if found is not None else (self.entry(seq), b"")

    def entries(self, stop: int | None = None) -> list[Entry]:
        """Read the entries from the first to number `stop`, or to the last, oldest first."""
        last = self.last if stop is None else stop
        return [self.entry(seq) for seq in range(1, last + 1)]

    def backwards(self, start: int) -> Iterator[Entry]:
        """Read the entries from number `start` back to the first, one at a time."""
        for seq in range(start, 0, -1):
            yield self.entry(seq)

    @property
    def is_guarded(self) -> bool:
        """Whether the user demands something of what is read here."""
        self._heed()
        return self._rule is not None

    @property
    def place(self) -> str:
        """Which journal it is, as signatures and anchors name it."""
        return f"{self._kind}/{self._folder}"

    def named_in(self, seq: int) -> tuple[str, ...]:
        """Give the keys of all that an answer of this process rests on which names an entry.

        The entries between are held fast by the digests that the newest carries.
        """
        last = seq if self._head is None else max(seq, self._head.seq)
        return self._key(seq), self._key(last), *sorted(self._hints)

    @property
    def standing(self) -> tuple[datetime, int, str] | None:
        """When, with which number and which digest the newest entry that this process has read was written."""
        head = self._head
        return None if head is None or head.at is None or head.seen is None else (head.at, head.seq, head.tip)

    @property
    def last(self) -> int:
        """The number of the newest entry; 0 if there is none."""
        with self._lock:
            return self._standing().seq

    def last_at(self, moment: datetime) -> int:
        """Find the newest entry written at or before a moment, by bisection; true times count where entries have them.

        Parameters
        ----------
        moment : datetime
            Aware.

        Returns
        -------
        int
            Its number; 0 if all are later.
        """
        last = self.last
        best = self._latest(1, last, lambda entry: entry.at <= moment)
        while last > best:  # what was written after an entry that is ahead of its time is found by its true one
            entry = self.entry(last)
            if entry.clocks is None:
                break
            if entry.clock is None:
                last = entry.clocks
                continue
            found = self._latest(entry.clocks, last, lambda entry: entry.clock is not None and entry.clock <= moment)
            if found >= entry.clocks:
                return max(best, found)
            last = entry.clocks - 1
        return best

    def _latest(self, first: int, last: int, fits: Callable[[Entry], bool]) -> int:
        """Find by bisection the last of some entries that fits, as all before it do; the one before them if none."""
        low, high = first - 1, last
        while low < high:
            middle = (low + high + 1) // 2
            if fits(self.entry(middle)):
                low = middle
            else:
                high = middle - 1
        return low

    def forget_hint(self) -> None:
        """Fold again from entry 1: what the hint said turned out not to be so.

        Raises
        ------
        IntegrityError
            An entry is missing before one that is there.
        """
        with self._lock:
            self._head = None
            self._head = self._afresh()

    def renew_lock(self) -> None:
        """Forget who holds the lock, and what they may have left half done."""
        self._lock = threading.RLock()
        self._head = None
        self._entries = Entries(self._backend, self._kind, self._folder)

    @property
    def _prefix(self) -> str:
        return keys.journal_prefix(self._kind, self._folder)

    def _key(self, seq: int) -> str:
        return keys.entry_key(self._kind, self._folder, seq)

    def _heed(self) -> None:
        """Look at the user's demands, and read all again if they have changed."""
        rule = None if self._guard is None else self._guard.rule()
        if rule != self._rule:
            self._rule, self._head = rule, None
            self._entries.clear(all_kept=self._rule is not None)

    def _hinted(self) -> Head:
        """Start from head.json if it is sound and nothing more is demanded, else from nothing."""
        if self._rule is not None:
            return Head()
        return Head.hinted(self._hint(keys.head_key(self._kind, self._folder)))

    def _begun(self) -> Head:
        """Return what is known, or hinted, or else what is read from the first entry."""
        head = self._head or self._hinted()
        return head if head.seq else self._from_start()

    def _from_start(self) -> Head:
        """Read from entry 1, without any hint.

        Raises
        ------
        IntegrityError
            An entry is missing before one that is there: without a look it would pass for the end.
        """
        last = max((keys.number_in(self._prefix + name) for name in names_in(self._backend, self._prefix)), default=0)
        head = self._caught_up(Head()) if last else Head()
        if head.seq < last:
            self.entry(head.seq + 1)
        return head

    def _hint(self, key: str) -> bytes | None:
        """Read a hint; what cannot be one, such as a link or what is too long, is none."""
        try:
            data = self._backend.get(key)
        except MlopsKitError as error:
            if not is_of_one_record(error):
                raise
            return None
        if data is not None:
            self._hints.add(key)
        return data

    def _held(self, head: Head, believed: float) -> Head:
        """Hold a head against the entry it rests on, unless that was done less than so many seconds ago.

        Returns
        -------
        Head
            The same object if all is well, else what the journal says when it is read from its beginning.
        """
        now = time.monotonic()
        if head.seq == 0 or (head.seen is not None and now - head.seen < believed):
            return head
        data = self._backend.get(self._key(head.seq))
        if data is None or tip(data) != head.tip:
            return self._afresh()
        if head.at is None:
            head.at = Entry.decode(data, where=self._key(head.seq)).at
            self._entries.remember(head.seq, data)
        head.seen = now
        return head

    def _afresh(self) -> Head:
        """Read from entry 1: what was believed is not so; raise as `_from_start` does."""
        self._entries.clear(all_kept=self._rule is not None)
        self._synced = 0
        return self._from_start()

    def _caught_up(self, head: Head) -> Head:
        """Read on from a head until no next entry exists."""
        found = self._entries.load(head.seq + 1)
        if found is None:
            self._conclude(head.seq)
            return head
        believed = self._whole(head)
        if believed is not head:
            found = self._entries.load(believed.seq + 1)
        head, self._head = believed, None  # its state changes in place from here on
        while found is not None:
            entry, data = found
            if entry.prev != head.tip:
                if head is believed and self._held(believed, 0) is not believed:
                    return self._afresh()
                raise IntegrityError(
                    f"The journal {self._prefix} in {self._backend.url} is broken at entry {entry.seq}: it follows "
                    f"an entry {entry.prev}, and entry {head.seq} is {head.tip}. One of the two was altered; "
                    "compare with a copy of the store."
                )
            if self._rule is not None:
                self._rule.admit(entry, data)
            head = self._followed(head, entry, data)
            found = self._entries.load(head.seq + 1)
        self._conclude(head.seq)
        return head

    def _conclude(self, last: int) -> None:
        if self._rule is not None:
            self._rule.conclude(last)

    def _whole(self, head: Head) -> Head:
        """Read the rest of the fold if a hint has a part of it only."""
        return head.whole(lambda: self._hint(keys.fold_key(self._kind, self._folder)))

    def _followed(self, head: Head, entry: Entry, data: bytes) -> Head:
        """Fold the next entry into the state of a head, in place."""
        with reading(self._key(entry.seq)):
            self._fold(head.folded, entry)
            step = versions.step_of(entry) if keys.has_versions(self._prefix) else None
        return head.followed(entry.seq, tip(data), entry.at, step)

    def _is_mine(self, seq: int, nonce: str) -> bool:
        return self.entry(seq).nonce == nonce

    def _write_hint(self, head: Head) -> None:
        """Leave the fold for the next reader; without it everything works, with more reads."""
        try:
            for key, data in head.hints(self._kind, self._folder):
                self._backend.put(key, data, durable=False)
        except MlopsKitError:
            return


def _attempt(decide: Callable[[State], Decision], state: State) -> tuple[Decision, MlopsKitError | None]:
    """Decide, and keep a refusal until it is known to rest on the newest state."""
    try:
        return decide(state), None
    except MlopsKitError as refusal:
        return None, refusal


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _renew_locks() -> None:
    """Renew the locks a fork inherited: another thread of the parent may have held them, and is not there."""
    for journal in list(_journals):
        journal.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
