"""A store on a remote drive: retries, put-if-absent whatever happens on the way, errors that teach."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import re
import secrets
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TypeVar

from mlops_kit.errors import ReadOnlyStore, StoreError
from mlops_kit.masking import excerpt
from mlops_kit.records import bounds
from mlops_kit.store import retry
from mlops_kit.store.backend import Bytes, Found
from mlops_kit.store.drive import PASSING, SINGLE_WRITER, Drive, Page, Trouble

_T = TypeVar("_T")
_WRITING = frozenset({"write", "create", "delete", "refresh"})
_CLOCK_VALID_SECONDS = 600.0
_CLOCK_STEP_SECONDS = 5.0
_QUERY = re.compile(r"\?[^\s'\"<>]+")
_LONGEST_DETAIL = 300

_inherited: list[Drive] = []
"""Drives of the parent process. They are kept, not closed: closing would speak on connections the parent uses."""


class RemoteBackend:
    """Values on a drive that may be slow, busy or away.

    Requests that failed in passing are sent again, with random pauses. A creation whose answer is a conflict, or
    no answer at all, may have happened all the same: the key is read back, and equal bytes are ours, since what
    is created carries a nonce.

    Parameters
    ----------
    url : str
        The address, without secrets.
    connect : callable
        Makes the drive; called once in each process, so that nothing is shared across a fork.
    means : str
        The drive's way of put-if-absent, ``SINGLE_WRITER`` if it has none.

    Attributes
    ----------
    is_remote : bool
        True: a request takes long, so writers who lost a race wait before they ask again.
    single_writer : bool
        True where two writers at once could overwrite each other: by the nature of the drive, or because the
        probe has shown it. What several people share must not be written here.
    """

    is_remote = True

    def __init__(self, url: str, connect: Callable[[], Drive], means: str) -> None:
        self.url = url
        self.single_writer = means == SINGLE_WRITER
        self._connect = connect
        self._opened: tuple[int, Drive] | None = None
        self._clock: tuple[float, float, float] | None = None

    def get(self, key: str) -> bytes | None:
        """Read a whole value, or None where there is none; one that is longer than any of its kind is not read."""
        most = bounds.longest(key)
        if most == bounds.MAX_OBJECT:
            return self._unless_absent("read", key, lambda drive: drive.read(key))
        data = self.read_part(key, 0, most + 1)
        if data is not None:
            bounds.check_size(len(data), key)
        return data

    def read_part(self, key: str, begin: int, end: int) -> bytes | None:
        """Read the bytes of a value from `begin` to before `end`, as far as there are any; None if there is none."""
        return self._unless_absent("read", key, lambda drive: drive.read(key, begin, end))

    def put(self, key: str, data: Bytes, *, durable: bool = True) -> None:  # noqa: ARG002 - an answer means durable
        """Write a value whole or not at all, over what is there."""
        value = bytes(data)
        self._send("write", key, lambda drive: drive.write(key, value))

    def create(self, key: str, data: Bytes) -> bool:
        """Write a durable value if the key is absent: True for exactly one of any number of writers.

        Where `single_writer` holds, the key is looked at first, and that is all.
        """
        value = bytes(data)
        if self.single_writer:
            if self.stat(key) is not None:
                return False
            self.put(key, value)
            return True
        wait = self._waiting("create", key)
        while True:
            drive = self._drive()
            try:
                drive.write_new(key, value)
            except Exception as error:  # noqa: BLE001 - every provider has errors of its own; the drive judges them
                trouble = drive.judge(error)
                if trouble in PASSING:
                    found = self.get(key)
                    if found is not None:
                        return found == value
                wait(error, trouble)
            else:
                return True

    def delete(self, key: str) -> None:
        """Remove a value; an absent one is fine."""
        self._unless_absent("delete", key, lambda drive: drive.remove(key))

    def stat(self, key: str) -> Found | None:
        """Look at a value without reading it."""
        return self._unless_absent("look at", key, lambda drive: drive.look(key))

    def touch(self, key: str) -> None:
        """Set the modification time of a value to now, by the provider's clock."""
        self._send("refresh", key, lambda drive: drive.refresh(key))

    def walk(self, prefix: str) -> Iterator[Found]:
        """List the values below a folder, sorted by key."""
        found = [one for page in self._pages(prefix, deep=True) for one in page.found]
        yield from sorted(found, key=lambda one: one.key)

    def folders(self, prefix: str) -> list[str]:
        """Name the folders directly below a folder, sorted."""
        return sorted({name for page in self._pages(prefix, deep=False) for name in page.folders})

    def now(self) -> float:
        """Tell the time in Unix seconds by the provider's clock, asked at most every ten minutes."""
        wall, steady = time.time(), time.monotonic()
        if self._clock is not None:
            asked_wall, asked_steady, theirs = self._clock
            passed = steady - asked_steady
            if passed < _CLOCK_VALID_SECONDS and abs(wall - asked_wall - passed) < _CLOCK_STEP_SECONDS:
                return theirs + passed
        self._send("read", "the clock", self._ask_clock)
        return self.now()

    def capabilities(self) -> dict[str, str]:
        """Find whether put-if-absent holds here, by using it, and keep to the result.

        Returns
        -------
        dict
            ``create``: the drive's means, or ``"single-writer"`` where a second creator was not refused.
        """
        key = f"tmp/probe-{secrets.token_hex(8)}"
        try:
            self.single_writer = self.single_writer or not self._excludes(key)
            if self.single_writer:
                self.put(key, b"1")
        finally:
            with contextlib.suppress(StoreError):
                self.delete(key)
        return {"create": SINGLE_WRITER if self.single_writer else self._drive().means}

    def choose(self, capabilities: dict[str, str]) -> None:
        """Use the means that the store's creator found to work here."""
        if capabilities.get("create") == SINGLE_WRITER:
            self.single_writer = True

    def _excludes(self, key: str) -> bool:
        """Create one key twice: the first must win or have won, the second must be told."""
        answers = frozenset({Trouble.TAKEN, Trouble.UNSUPPORTED})
        for value in (b"1", b"2"):
            answer = self._send("create", key, functools.partial(_write_new, key=key, data=value), answers)
        return answer is Trouble.TAKEN and self.get(key) == b"1"

    def _ask_clock(self, drive: Drive) -> None:
        before, theirs, after = time.time(), drive.clock(), time.time()
        steady = time.monotonic()
        self._clock = (after, steady, theirs + (after - before) / 2)

    def _pages(self, prefix: str, *, deep: bool) -> Iterator[Page]:
        page = self._page(prefix, None, deep=deep)
        while page is not None:
            yield page
            page = None if page.token is None else self._page(prefix, page.token, deep=deep)

    def _page(self, prefix: str, token: str | None, *, deep: bool) -> Page | None:
        return self._unless_absent("list", prefix, lambda drive: drive.page(prefix, token, deep=deep))

    def _unless_absent(self, action: str, key: str, act: Callable[[Drive], _T]) -> _T | None:
        answer = self._send(action, key, act, frozenset({Trouble.ABSENT}))
        return None if isinstance(answer, Trouble) else answer

    def _send(
        self, action: str, key: str, act: Callable[[Drive], _T], answers: frozenset[Trouble] = frozenset()
    ) -> _T | Trouble:
        """Act until it succeeds, or fails in one of the ways that are `answers`, or fails for good."""
        wait = self._waiting(action, key)
        while True:
            drive = self._drive()
            try:
                return act(drive)
            except Exception as error:  # noqa: BLE001 - every provider has errors of its own; the drive judges them
                trouble = drive.judge(error)
                if trouble in answers:
                    return trouble
                wait(error, trouble)

    def _waiting(self, action: str, key: str) -> Callable[[Exception, Trouble], None]:
        """Make what answers each failed attempt of one operation: it waits, or raises what the failure means."""
        began, failures = time.monotonic(), 0

        def wait(error: Exception, trouble: Trouble) -> None:
            nonlocal failures
            failures += 1
            seconds = None
            if trouble in PASSING:
                seconds = retry.pause(failures, time.monotonic() - began, random.random())  # noqa: S311 - jitter
            if seconds is None:
                raise self._failure(action, key, error, trouble, failures) from error
            time.sleep(seconds)

        return wait

    def _failure(self, action: str, key: str, error: Exception, trouble: Trouble, failures: int) -> StoreError:
        writing = action in _WRITING
        tried = f", {failures} times over" if failures > 1 else ""
        doubt = " Whether it was written is not known." if trouble in PASSING and writing else ""
        remedy = self._drive().remedies.get(trouble, "")
        kind = ReadOnlyStore if trouble is Trouble.DENIED and writing else StoreError
        what = f"{action} {key!r} in" if key else f"{action}"
        return kind(
            f"Cannot {what} the store {self.url}: {trouble.value}{tried} ({_detail(error)}).{doubt} {remedy}".rstrip()
        )

    def _drive(self) -> Drive:
        opened, pid = self._opened, os.getpid()
        if opened is not None:
            if opened[0] == pid:
                return opened[1]
            _inherited.append(opened[1])
        drive = self._connect()
        self._opened = (pid, drive)
        weakref.finalize(self, _close, drive, pid)
        return drive


def _write_new(drive: Drive, *, key: str, data: bytes) -> None:
    drive.write_new(key, data)


def _close(drive: Drive, pid: int) -> None:
    if os.getpid() == pid:
        drive.close()


def _detail(error: Exception) -> str:
    """Quote a provider in one line, without the query of any address: signatures travel there."""
    text = _QUERY.sub("?…", " ".join(str(error).split())).rstrip(". ") or type(error).__name__
    return excerpt(text, _LONGEST_DETAIL)
