"""The state of the user's git repository: commit, branch, and what is not committed.

One ``git`` process is started when a run begins and read when it is needed, so that it works beside the user's
code. Its answer is remembered while HEAD, the index and the user's source files are unchanged, at most for a few
seconds.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

_GIT_SECONDS = 20.0
_REMEMBERED_SECONDS = 5.0
_MAX_DIFF = 10_000_000
_MAX_UNTRACKED = 100

_Asked: TypeAlias = "tuple[subprocess.Popen[bytes], IO[bytes]] | None"

_known: dict[str, tuple[float, tuple[Any, ...], tuple[dict[str, Any] | None, bytes]]] = {}
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
        self._stamp: tuple[Any, ...] = ()
        self._answer: tuple[dict[str, Any] | None, bytes] = None, b""
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
            self._answer, self.ready = self._read(), True
            if self._top is not None:
                with _lock:
                    _known[self._top] = (time.monotonic(), self._stamp, self._answer)
        answer, diff = self._answer
        if answer is None or not diff:
            return answer
        return {**answer, "diff": keep(diff)}  # each time: what is remembered may have been kept in another store

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
