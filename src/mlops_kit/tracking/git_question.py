"""What git is asked about one work tree; none of the commands that its configuration names is run."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from typing import IO

from mlops_kit.masking import excerpt
from mlops_kit.store.git_command import git_command, git_environment
from mlops_kit.tracking.worktree import endless_in, submodules_in

SECONDS = 20.0
_MAX_QUOTED = 600
_MAX_SUBMODULES = 100
_MAX_DEPTH = 4
# A submodule has a configuration of its own, which git would read with commands and all: it is asked by itself.
_SHALLOW = "--ignore-submodules=dirty"
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z", _SHALLOW)
_PATCH = ("--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/")
_OF_THE_USER = frozenset({"system", "global", "command"})
_FILES = ("ls-files", "--stage", "-z")


class GitRefused(Exception):
    """git gave no answer; the message is what it said instead."""


class Question:
    """The state of a work tree, asked for when this is made and read later.

    Parameters
    ----------
    top : str
        The folder that holds ``.git``.
    submodules : tuple of str or None
        Paths of the submodules; None if they are not known.
    patch : bool
        Ask for the text of the changes as well.
    depth : int
        In how many work trees this one lies.
    until : float, optional
        When git must have answered, by the monotonic clock; the work trees inside of one share its time.
    """

    def __init__(
        self,
        top: str,
        submodules: tuple[str, ...] | None,
        *,
        patch: bool = True,
        depth: int = 0,
        until: float | None = None,
    ) -> None:
        self._top = top
        self._refusal: GitRefused | None = None
        self._asked: dict[str, Process] = {}
        self._below: dict[str, Question] = {}
        self.listing: bytes | None = None
        self._until = time.monotonic() + SECONDS if until is None else until
        try:
            _refuse_endless(top)
            self._settings, self._filters = _settings(top, self._until)
            if submodules is None:
                self._ask("files", *_FILES)
            self._ask("status", *_STATUS)
            if patch:
                self._ask("patch", "diff", "HEAD", *_PATCH, _SHALLOW, "--")
            if submodules is None:  # also of repositories that were added without a .gitmodules
                self.listing = self.answer("files")
                submodules = submodules_in(self.listing)
        except GitRefused as error:
            self._refusal = error
            return
        for path in (submodules or ())[:_MAX_SUBMODULES]:
            place = os.path.join(top, path)
            if depth < _MAX_DEPTH and os.path.exists(os.path.join(place, ".git")):
                self._below[path] = Question(place, None, patch=False, depth=depth + 1, until=self._until)

    def answer(self, what: str) -> bytes:
        """Wait for an answer; empty if there is no such question.

        Raises
        ------
        GitRefused
            git does not answer.
        """
        if self._refusal is not None:
            raise self._refusal
        process = self._asked.pop(what, None)
        return b"" if process is None else process.output()

    def tracked(self) -> bytes | None:
        """Return the list of tracked files, if it was asked for."""
        if self.listing is None and "files" in self._asked:
            self.listing = self.answer("files")
        return self.listing

    def changed_submodules(self) -> list[str]:
        """Name the submodules that have changes of their own, or in which git does not answer."""
        return [path for path, question in self._below.items() if question.is_changed()]

    def is_changed(self) -> bool:
        """Return whether there is any change, in a submodule or here; not being answered counts as one."""
        try:
            lines = self.answer("status").split(b"\0")
        except GitRefused:
            return True
        return any(line[:2] in {b"1 ", b"2 ", b"u ", b"? "} for line in lines) or bool(self.changed_submodules())

    def filtered(self, paths: list[str]) -> list[str]:
        """Return those files that a filter of the configuration, which was not run, applies to."""
        if not self._filters or not paths:
            return []
        words = ("check-attr", "-z", "--stdin", "filter")
        process = Process(self._top, self._settings, words, time.monotonic() + SECONDS, "\0".join(paths))
        fields = os.fsdecode(process.output()).split("\0")
        named = zip(fields[::3], fields[2::3], strict=False)
        return [path for path, name in named if name in self._filters]

    def close(self) -> None:
        """Stop what is still asked: nobody will read the answer."""
        for question in self._below.values():
            question.close()
        while self._asked:
            self._asked.popitem()[1].stop()

    def _ask(self, what: str, *words: str) -> None:
        self._asked[what] = Process(self._top, self._settings, words, self._until)


class Process:
    """git, running; its answer goes to a file, for through a pipe a long one would wait and tell of a later state."""

    def __init__(
        self, top: str, settings: tuple[str, ...], words: tuple[str, ...], until: float, text: str = ""
    ) -> None:
        self._until = until
        try:
            self._in, self._out, self._said = _file(), _file(), _file()
        except OSError as error:
            raise GitRefused(f"{error}.") from error
        try:
            self._in.write(os.fsencode(text))
            self._in.seek(0)
            self._process = subprocess.Popen(  # noqa: S603 - fixed words, no shell
                git_command(*words, settings=settings),
                cwd=top,
                env=git_environment(),
                stdin=self._in,
                stdout=self._out,
                stderr=self._said,
            )
        except OSError as error:
            self._close()
            raise GitRefused(f"{error}.") from error

    def stop(self) -> None:
        """End git without reading its answer."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        for file in (self._in, self._out, self._said):
            file.close()

    def output(self) -> bytes:
        """Wait for git and return what it wrote.

        Raises
        ------
        GitRefused
            It failed or took too long.
        """
        with self._in, self._out, self._said:
            try:
                self._process.wait(timeout=max(0.0, self._until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise GitRefused(f"it did not answer within {SECONDS:g} seconds.") from None
            self._said.seek(0)
            if self._process.returncode != 0:
                said = " ".join(self._said.read(10 * _MAX_QUOTED).decode("utf-8", "replace").split())
                shown = "".join(char if char.isprintable() else "?" for char in excerpt(said, _MAX_QUOTED))
                raise GitRefused(shown or f"it ended with status {self._process.returncode}.")
            self._out.seek(0)
            return self._out.read()


def _refuse_endless(top: str) -> None:
    endless = endless_in(top)
    if endless is not None:
        raise GitRefused(f"it was not asked, for {endless}, and no file.")


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _settings(top: str, until: float) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the settings that turn off what the configuration names, and the names of filters.

    Those are commands, and files of the repository's own configuration that may never end.
    """
    fields = _configured(top, until)
    keys = fields[1::2]
    parts = {(section, name) for section, name, _ in map(_split, keys) if section in {"filter", "hook"}}
    odd = next((name for _, name in parts if "=" in name), None)
    if odd is not None:
        raise GitRefused(
            f"it was not asked, for its configuration has a filter or hook {odd!r} that cannot be turned off."
        )
    filters = frozenset(name for section, name in parts if section == "filter")
    off = [f"filter.{name}.{key}" for name in filters for key in ("clean=", "smudge=", "process=", "required=false")]
    off += [f"hook.{name}.enabled=false" for section, name in parts if section == "hook"]
    own = {key.lower() for scope, key in zip(fields[::2], keys, strict=False) if scope not in _OF_THE_USER}
    off += [f"{key}={os.devnull}" for key in ("core.excludesfile", "core.attributesfile") if key in own]
    return tuple(sorted(off)), filters


def _configured(top: str, until: float) -> list[str]:
    """Return what is set, a scope before each name; an older git tells no scopes, and all may be the repository's."""
    words = ("config", "--list", "--name-only", "-z")
    try:
        return os.fsdecode(Process(top, (), (*words, "--show-scope"), until).output()).split("\0")[:-1]
    except GitRefused:
        names = os.fsdecode(Process(top, (), words, until).output()).split("\0")[:-1]
        return [field for name in names for field in ("unknown", name)]


def _split(key: str) -> tuple[str, str, str]:
    section, _, rest = key.partition(".")
    name, _, variable = rest.rpartition(".")
    return section, name, variable
