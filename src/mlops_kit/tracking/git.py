"""The state of the user's git repository: commit, branch, and what is not committed.

``git`` processes are started when a run begins and read when they are needed, so that they work beside the user's
code. Their answer is remembered while nothing has changed that it depends on: HEAD, branch, index and settings,
every tracked file, and the folders they are in. HEAD, the index and the sources of the run are looked at for each
run, the rest if the last look is over a tenth of a second ago. Where more than 2,000 files are tracked, or a
submodule, git is asked for each run.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from mlops_kit.tracking.worktree import ground, index_of, is_settled, looks, seen, tracked

_GIT_SECONDS = 20.0
_LOOK_SECONDS = 0.1
_MAX_DIFF = 10_000_000
_MAX_UNTRACKED = 100

_Asked: TypeAlias = "tuple[subprocess.Popen[bytes], IO[bytes]] | None"

_Answer: TypeAlias = "tuple[dict[str, Any] | None, bytes]"


@dataclass(slots=True)
class _Known:
    """An answer, and what was looked at before git was asked for it."""

    at: float
    quick: tuple[Any, ...]
    whole: tuple[Any, ...]
    answer: _Answer


_known: dict[str, _Known] = {}
_listed: dict[str, tuple[object, tuple[str, ...] | None]] = {}
_tops: dict[str, str | None] = {}
_lock = threading.Lock()


class GitState:
    """The state of the repository around a folder, as it is when this is made.

    Parameters
    ----------
    folder : str
        Any folder in a work tree, or none.
    files : tuple of str
        Source files whose change makes a remembered answer stale.
    """

    def __init__(self, folder: str, files: tuple[str, ...]) -> None:
        self._top = _top(folder)
        self._status: _Asked = None
        self._diff: _Asked = None
        self._files: _Asked = None
        self._answer: _Answer = None, b""
        self.ready = self._top is None
        if self._top is None:
            return
        self._at, self._now = time.monotonic(), time.time_ns()
        self._quick = _quick(self._top, files)
        self._index = seen(index_of(self._top))
        known = _known.get(self._top)
        recent = known if known is not None and self._at - known.at < _LOOK_SECONDS else None
        self._whole = recent.whole if recent is not None and recent.quick == self._quick else self._look(self._top)
        if known is not None and known.quick == self._quick and known.whole == self._whole:
            known.at = known.at if recent is not None else self._at
            self._answer, self.ready = known.answer, True
            return
        if self._whole is None and _listed.get(self._top, (None, None))[0] != self._index:
            self._files = _start(self._top, "ls-files", "--stage", "-z")
        self._status = _start(self._top, "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
        self._diff = _start(self._top, "diff", "HEAD", "--no-ext-diff", "--no-color", "--no-textconv")

    def _look(self, top: str) -> tuple[Any, ...] | None:
        """Look at all that git would look at; None if that is not known, or too much."""
        listed = _listed.get(top)
        if listed is None or listed[0] != self._index or listed[1] is None:
            return None
        return ground(top) + looks(top, listed[1])

    def result(self, keep: Callable[[bytes], str]) -> dict[str, Any] | None:
        """Wait for git and tell what it said.

        Parameters
        ----------
        keep : callable
            Takes the text of the uncommitted changes and gives the digest under which it was kept.

        Returns
        -------
        dict or None
            ``commit``, ``branch``, ``dirty``, ``diff`` and ``untracked``, as far as known; None outside of a
            repository or without git.
        """
        if not self.ready:
            self._answer, self.ready = self._read(), True
            if self._top is not None:
                self._remember(self._top)
        answer, diff = self._answer
        if answer is None or not diff:
            return answer
        return {**answer, "diff": keep(diff)}  # each time: what is remembered may have been kept in another store

    def _remember(self, top: str) -> None:
        listing = _finish(self._files)
        with _lock:
            if listing is not None:
                _listed[top] = (self._index, tracked(listing))
            if self._whole is not None and is_settled(self._whole, self._now):
                _known[top] = _Known(self._at, self._quick, self._whole, self._answer)
            else:
                _known.pop(top, None)

    def _read(self) -> tuple[dict[str, Any] | None, bytes]:
        status, diff = _finish(self._status), _finish(self._diff) or b""
        if status is None:
            return None, b""
        answer, changed = _parsed(status)
        answer["dirty"] = changed
        if len(diff) > _MAX_DIFF:
            answer["diff_truncated"] = len(diff)
        return answer, diff[:_MAX_DIFF]


def _parsed(status: bytes) -> tuple[dict[str, Any], bool]:
    """Read ``git status --porcelain=v2 --branch -z``."""
    answer: dict[str, Any] = {}
    untracked: list[str] = []
    changed = False
    for line in status.decode("utf-8", "backslashreplace").split("\0"):
        if line.startswith("# branch.oid ") and not line.endswith("(initial)"):
            answer["commit"] = line.removeprefix("# branch.oid ")
        elif line.startswith("# branch.head ") and not line.endswith("(detached)"):
            answer["branch"] = line.removeprefix("# branch.head ")
        elif line.startswith("? "):
            untracked.append(line.removeprefix("? "))
        elif line and line[0] in "12u":
            changed = True
    if untracked:
        answer["untracked"] = untracked[:_MAX_UNTRACKED]
    return answer, changed


def _quick(top: str, files: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(seen(place) for place in (f"{top}/.git/HEAD", f"{top}/.git/logs/HEAD", index_of(top), *files))


def _top(folder: str) -> str | None:
    if folder not in _tops:
        here = Path(folder)
        found = next((str(place) for place in (here, *here.parents) if (place / ".git").exists()), None)
        with _lock:
            _tops[folder] = found
    return _tops[folder]


def _start(top: str, *words: str) -> _Asked:
    """Ask git; the answer goes to a file, for through a pipe a long one would wait and tell of a later state."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        out = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has been read
    except OSError:
        return None
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed words, no shell
            ["git", "-c", "core.quotepath=off", *words],  # noqa: S607 - the user's own git, wherever it is
            cwd=top,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        out.close()
        return None
    return process, out


def _finish(asked: _Asked) -> bytes | None:
    if asked is None:
        return None
    process, out = asked
    with out:
        try:
            process.wait(timeout=_GIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None
        out.seek(0)
        return out.read() if process.returncode == 0 else None
