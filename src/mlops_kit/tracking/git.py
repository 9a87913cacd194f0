"""The state of the user's git repository: commit, branch, and what is not committed.

``git`` processes are started when a run begins and read when they are needed, so that they work beside the user's
code. Their answer is remembered while nothing has changed that it depends on: HEAD, branch, index and settings,
every tracked file, and the folders they are in. HEAD, the index and the sources of the run are looked at for each
run, the rest if the last look is over a tenth of a second ago. Where more than 2,000 files are tracked, or a
submodule, git is asked for each run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from mlops_kit.tracking.git_question import GitRefused, Question
from mlops_kit.tracking.patch import Patch, kept_patch
from mlops_kit.tracking.worktree import ground, index_of, is_settled, looks, seen, submodules_in, tracked

_LOOK_SECONDS = 0.1
_MAX_DIFF = 10_000_000
_MAX_NAMED = 100

_Answer: TypeAlias = "tuple[dict[str, Any] | None, bytes]"


@dataclass(slots=True)
class _Known:
    """An answer, and what was looked at before git was asked for it."""

    at: float
    quick: tuple[Any, ...]
    whole: tuple[Any, ...]
    answer: _Answer


@dataclass(slots=True)
class _Listed:
    """The tracked files of one state of an index; no paths where they are too many to look at."""

    index: object = None
    paths: tuple[str, ...] | None = None
    submodules: tuple[str, ...] | None = None


_known: dict[str, _Known] = {}
_listed: dict[str, _Listed] = {}
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
        self._question: Question | None = None
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
        listed = _listed.get(self._top)
        is_listed = listed is not None and listed.index == self._index
        self._question = Question(self._top, listed.submodules if listed is not None and is_listed else None)

    def _look(self, top: str) -> tuple[Any, ...] | None:
        """Look at all that git would look at; None if that is not known, or too much."""
        listed = _listed.get(top)
        if listed is None or listed.index != self._index or listed.paths is None:
            return None
        return ground(top) + looks(top, listed.paths)

    def result(self, keep: Callable[[bytes], str]) -> dict[str, Any] | None:
        """Wait for git and return its answer.

        Parameters
        ----------
        keep : callable
            Takes the text of the uncommitted changes and gives the digest under which it was kept.

        Returns
        -------
        dict or None
            ``commit``, ``branch``, ``dirty``, ``diff``, ``left_out``, ``masked`` and ``untracked``, as far as known;
            ``refused`` with what git said if it gives no answer; None outside of a repository.
        """
        if not self.ready and self._question is not None and self._top is not None:
            self._answer, self.ready = _read(self._question), True
            self._remember(self._top, self._question)
            self._question.close()
        answer, diff = self._answer
        if answer is None or not diff:
            return answer
        return {**answer, "diff": keep(diff)}  # each time: what is remembered may have been kept in another store

    def _remember(self, top: str, question: Question) -> None:
        try:
            listing = question.tracked()
        except GitRefused:
            listing = None
        with _lock:
            if listing is not None:
                _listed[top] = _Listed(self._index, tracked(listing), submodules_in(listing))
            if self._whole is not None and is_settled(self._whole, self._now):
                _known[top] = _Known(self._at, self._quick, self._whole, self._answer)
            else:
                _known.pop(top, None)


@dataclass(slots=True)
class _Status:
    """What ``git status`` says."""

    answer: dict[str, Any] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)


def _read(question: Question) -> _Answer:
    answer: dict[str, Any] = {}
    try:
        status = _parsed(question.answer("status"))
        answer = status.answer
        submodules = question.changed_submodules()
        answer["dirty"] = bool(status.changed or submodules)
        if status.untracked:
            answer["untracked"] = status.untracked[:_MAX_NAMED]
        data = question.answer("patch") if "commit" in answer else b""
        patch = kept_patch(data[:_MAX_DIFF], question.filtered(status.changed))
    except GitRefused as error:
        return {**answer, "refused": str(error)}, b""
    if len(data) > _MAX_DIFF:
        answer["diff_truncated"] = len(data)
    return {**answer, **_lacks(patch, submodules)}, patch.text


def _lacks(patch: Patch, submodules: list[str]) -> dict[str, Any]:
    """Return what the text of the changes lacks, as the record says it."""
    left_out = {"secret": patch.secret, "filtered": patch.filtered, "submodule": submodules}
    lacks: dict[str, Any] = {}
    if any(left_out.values()):
        lacks["left_out"] = {why: _first(names) for why, names in left_out.items() if names}
    if patch.masked:
        lacks["masked"] = _first(patch.masked)
    return lacks


def _first(names: list[str]) -> list[str]:
    more = len(names) - _MAX_NAMED
    return names if more <= 0 else [*names[:_MAX_NAMED], f"and {more} more"]


def _parsed(output: bytes) -> _Status:
    """Read ``git status --porcelain=v2 --branch -z``."""
    status = _Status()
    lines = iter(output.decode("utf-8", "backslashreplace").split("\0"))
    for line in lines:
        if line.startswith("# branch.oid ") and not line.endswith("(initial)"):
            status.answer["commit"] = line.removeprefix("# branch.oid ")
        elif line.startswith("# branch.head ") and not line.endswith("(detached)"):
            status.answer["branch"] = line.removeprefix("# branch.head ")
        elif line.startswith("? "):
            status.untracked.append(line.removeprefix("? "))
        elif line[:2] in _FIELDS:
            status.changed.append(line.split(" ", _FIELDS[line[:2]])[-1])
            if line.startswith("2 "):
                next(lines, None)  # the name before a rename
    return status


_FIELDS = {"1 ": 8, "2 ": 9, "u ": 10}
"""How many fields stand before the path in a line of each kind."""


def _quick(top: str, files: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(seen(place) for place in (f"{top}/.git/HEAD", f"{top}/.git/logs/HEAD", index_of(top), *files))


def _top(folder: str) -> str | None:
    if folder not in _tops:
        here = Path(folder)
        found = next((str(place) for place in (here, *here.parents) if (place / ".git").exists()), None)
        with _lock:
            _tops[folder] = found
    return _tops[folder]
