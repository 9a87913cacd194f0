"""The state of the user's git repository: commit, branch, and what is not committed.

One ``git`` process is started when a run begins and read when it is needed, so that it works beside the user's
code. Its answer is remembered while HEAD, the index and the user's source files are unchanged, at most for a few
seconds.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_GIT_SECONDS = 20.0
_REMEMBERED_SECONDS = 5.0
_MAX_DIFF = 10_000_000
_MAX_UNTRACKED = 100

_known: dict[str, tuple[float, tuple[Any, ...], dict[str, Any] | None]] = {}
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
        self._status: subprocess.Popen[bytes] | None = None
        self._diff: subprocess.Popen[bytes] | None = None
        self._stamp: tuple[Any, ...] = ()
        self._answer: dict[str, Any] | None = None
        self.ready = self._top is None
        if self._top is None:
            return
        self._stamp = _stamp(self._top, files)
        known = _known.get(self._top)
        if known is not None and known[1] == self._stamp and time.monotonic() - known[0] < _REMEMBERED_SECONDS:
            self._answer, self.ready = known[2], True
            return
        self._status = _start(self._top, "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
        self._diff = _start(self._top, "diff", "HEAD", "--no-ext-diff", "--no-color", "--no-textconv")

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
            self._answer, self.ready = self._read(keep), True
            if self._top is not None:
                with _lock:
                    _known[self._top] = (time.monotonic(), self._stamp, self._answer)
        return self._answer

    def _read(self, keep: Callable[[bytes], str]) -> dict[str, Any] | None:
        status, diff = _finish(self._status), _finish(self._diff)
        if status is None:
            return None
        answer, changed = _parsed(status)
        answer["dirty"] = changed
        if diff:
            answer["diff"] = keep(diff[:_MAX_DIFF])
            if len(diff) > _MAX_DIFF:
                answer["diff_truncated"] = len(diff)
        return answer


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
    return answer, changed or bool(untracked)


def _stamp(top: str, files: tuple[str, ...]) -> tuple[Any, ...]:
    places = (f"{top}/.git/HEAD", f"{top}/.git/index", f"{top}/.git/logs/HEAD", *files)
    return tuple(_seen(place) for place in places)


def _seen(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _top(folder: str) -> str | None:
    if folder not in _tops:
        here = Path(folder)
        found = next((str(place) for place in (here, *here.parents) if (place / ".git").exists()), None)
        with _lock:
            _tops[folder] = found
    return _tops[folder]


def _start(top: str, *words: str) -> subprocess.Popen[bytes] | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.Popen(  # noqa: S603 - fixed words, no shell
            ["git", "-c", "core.quotepath=off", *words],  # noqa: S607 - the user's own git, wherever it is
            cwd=top,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def _finish(process: subprocess.Popen[bytes] | None) -> bytes | None:
    if process is None:
        return None
    try:
        out, _ = process.communicate(timeout=_GIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return out if process.returncode == 0 else None
