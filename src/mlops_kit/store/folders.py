"""Files below a folder, reached without following a symbolic link.

Each folder is opened from the open folder above it, so what was checked is what is used, even if somebody exchanges
a folder meanwhile. Windows has no such calls; there, each component of a path is checked just before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import NoReturn, Self, TypeAlias

BY_DESCRIPTOR = {os.open, os.stat, os.mkdir, os.unlink, os.rename, os.link, os.utime} <= os.supports_dir_fd
_O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_SAFELY: int = _O_NOFOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | _SAFELY | getattr(os, "O_NONBLOCK", 0)
_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _SAFELY | getattr(os, "O_NONBLOCK", 0)
_FOLDER = os.O_RDONLY | _SAFELY | getattr(os, "O_DIRECTORY", 0)
_PASS = _FOLDER | getattr(os, "O_PATH", 0)  # with it, a folder that may not be listed can be passed through
_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP, errno.EMLINK}
_NOT_OPENED = {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EOPNOTSUPP}
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_JUNCTION: int | None = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)


Seen: TypeAlias = Callable[[str, os.stat_result, int | None], None]


class ForeignFile(OSError):
    """Something other than the regular file or folder that a path should lead through or to.

    Parameters
    ----------
    path : str
        Where it is, relative to the root; empty for the root itself.
    kind : str
        What it is.
    """

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(errno.ELOOP, f"it is {kind}", path)
        self.path = path
        self.kind = kind


def read_regular(
    path: str | os.PathLike[str], most: int, judge: Callable[[os.stat_result], None] = lambda _found: None
) -> bytes:
    """Read a file of at most so many bytes, through links too; what is no regular file is never waited for.

    Parameters
    ----------
    path : str or path
        The file.
    most : int
        The number of bytes.
    judge : callable, optional
        Takes the state of the open file, and may raise.

    Raises
    ------
    OSError
        It cannot be read, is of another kind, or longer.
    """
    with open(os.open(path, _READ & ~_O_NOFOLLOW), "rb") as file:
        found = os.fstat(file.fileno())
        if not is_regular(found):
            raise ForeignFile(os.fspath(path), kind_of(found))
        judge(found)
        data = file.read(most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, f"it is longer than {most:,} bytes", os.fspath(path))
        return data


class OpenFolder:
    """An open folder; names of files in it are given to the system together with it.

    Parameters
    ----------
    path : str
        Where it is, relative to the root.
    fd : int or None
        Its descriptor, where the system takes one.
    full : str
        Its absolute path, used where the system takes no descriptor.
    """

    __slots__ = ("_full", "fd", "path")

    def __init__(self, path: str, fd: int | None, full: str) -> None:
        self.path = path
        self.fd = fd
        self._full = full

    def name(self, name: str) -> str:
        """Return how the system is to be given the name of a file in this folder."""
        return name if self.fd is not None else f"{self._full}{os.sep}{name}"

    def look(self, name: str) -> os.stat_result:
        """Read the state of a file in this folder, of a link its own."""
        return os.stat(self.name(name), dir_fd=self.fd, follow_symlinks=False)

    def open_to_read(self, name: str) -> tuple[int, os.stat_result]:
        """Open a regular file and return its state; what is none is never waited for."""
        if self.fd is None:
            self._check(name, self.look(name))
        try:
            fd = os.open(self.name(name), _READ, dir_fd=self.fd)
        except OSError as error:
            if error.errno in _NOT_OPENED:
                self._check(name, self.look(name))
            raise
        try:
            found = os.fstat(fd)
            self._check(name, found)
        except BaseException:
            os.close(fd)
            raise
        return fd, found

    def open_new(self, name: str) -> int:
        """Make a file that is not there yet."""
        return os.open(self.name(name), _WRITE_NEW, 0o644, dir_fd=self.fd)

    def open_to_append(self, name: str, *, anew: bool) -> int:
        """Open a regular file of this user only, which is made if it is missing and emptied if it begins anew."""
        fd = os.open(self.name(name), _APPEND | (os.O_TRUNC if anew else 0), 0o600, dir_fd=self.fd)
        try:
            self._check(name, os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def remove(self, name: str) -> None:
        """Remove a file or a link."""
        os.unlink(self.name(name), dir_fd=self.fd)

    def scan(self) -> list[tuple[str, os.stat_result | None]]:
        """List names with their state, which is None for folders, sorted as keys are."""
        found: list[tuple[str, os.stat_result | None]] = []
        with os.scandir(self._full if self.fd is None else self.fd) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # it went while the folder was being listed
                    found.append((entry.name, None if _is_folder(entry) else entry.stat(follow_symlinks=False)))
        return sorted(found, key=lambda one: one[0] + ("/" if one[1] is None else ""))

    def folders(self) -> list[str]:
        """List the names of folders, sorted."""
        with os.scandir(self._full if self.fd is None else self.fd) as entries:
            return sorted(entry.name for entry in entries if _is_folder(entry))

    def files(self) -> list[str]:
        """List the names of regular files, in any order, without looking at each."""
        with os.scandir(self._full if self.fd is None else self.fd) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]

    def sync(self) -> None:
        """Make the names in this folder durable."""
        if self.fd is not None:
            os.fsync(self.fd)

    def _check(self, name: str, found: os.stat_result) -> None:
        if not is_regular(found):
            raise ForeignFile(joined(self.path, name), kind_of(found))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.fd is not None:
            os.close(self.fd)


class Folders:
    """The folders below a root.

    Parameters
    ----------
    root : str
        An absolute path, free of links. That it stays free of them is checked for its last component.
    made : callable
        Takes the name of a folder that is about to be made, empty for the root; whoever writes there has to sync it.
    seen : callable, optional
        Takes the absolute path, the state and, if there is one, the descriptor of each folder on the way.
    """

    def __init__(self, root: str, made: Callable[[str], None] = lambda _name: None, seen: Seen | None = None) -> None:
        self.root = root
        self._made = made
        self._seen = seen

    def open(self, path: str, *, whole: bool = False, make: bool = False, root: OpenFolder | None = None) -> OpenFolder:
        """Open a folder.

        Parameters
        ----------
        path : str
            Relative to the root, with ``/`` between components; empty for the root.
        whole : bool
            To list or sync it too, not only to reach files in it.
        make : bool
            Make what is missing.
        root : OpenFolder, optional
            The root, if it is open already.

        Raises
        ------
        ForeignFile
            A component is a link, or of another kind than a folder or file.
        """
        parts = path.split("/") if path else []
        if not BY_DESCRIPTOR:
            return self._checked(path, parts, make=make)
        borrowed = None if root is None or not parts else root.fd
        fd = self._open_root(_FOLDER if whole and not parts else _PASS, make=make) if borrowed is None else borrowed
        self._see([], fd)
        for number, part in enumerate(parts, 1):
            try:
                below = self._open_below(fd, part, _FOLDER if whole and number == len(parts) else _PASS, make=make)
            except OSError as error:
                if error.errno in _NO_FOLDER:
                    _raise_foreign("/".join(parts[:number]), os.stat(part, dir_fd=fd, follow_symlinks=False), error)
                raise
            finally:
                if fd != borrowed:
                    os.close(fd)
            fd = below
            self._see(parts[:number], fd)
        return OpenFolder(path, fd, "")

    def _see(self, parts: list[str], fd: int) -> None:
        if self._seen is not None:
            self._seen(os.path.join(self.root, *parts), os.fstat(fd), fd)

    def _open_root(self, how: int, *, make: bool) -> int:
        try:
            return os.open(self.root, how)
        except FileNotFoundError:
            if not make:
                raise
            self._made("")
            os.makedirs(self.root, 0o755, exist_ok=True)
            return os.open(self.root, how)
        except OSError as error:
            if error.errno in _NO_FOLDER:
                _raise_foreign("", os.lstat(self.root), error)
            raise

    def _open_below(self, fd: int, name: str, how: int, *, make: bool) -> int:
        try:
            return os.open(name, how, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
            self._made(name)
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=fd)
            return os.open(name, how, dir_fd=fd)

    def _checked(self, path: str, parts: list[str], *, make: bool) -> OpenFolder:
        """Check each component by its path, where there are no descriptors of folders."""
        full = self.root
        for number in range(len(parts) + 1):
            full = os.path.join(self.root, *parts[:number])
            if make and not os.path.lexists(full):
                self._made(parts[number - 1] if number else "")
                os.makedirs(full, 0o755, exist_ok=True)
            found = os.lstat(full)
            if self._seen is not None:
                self._seen(full, found, None)
            if not stat.S_ISDIR(found.st_mode) or _is_junction(found):
                _raise_foreign("/".join(parts[:number]), found, NotADirectoryError(errno.ENOTDIR, "no folder", full))
        return OpenFolder(path, None, full)


def joined(path: str, name: str) -> str:
    """Join a folder's path and a name in it."""
    return f"{path}/{name}" if path else name


def is_regular(found: os.stat_result) -> bool:
    """Return whether a state is that of a regular file."""
    return stat.S_ISREG(found.st_mode) and not _is_junction(found)


def kind_of(found: os.stat_result) -> str:
    """Return what a state is of, in words."""
    return "a junction" if _is_junction(found) else _KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")


def foreign_message(error: ForeignFile) -> str:
    """Describe what is no part of a store, and what to do about it."""
    if not error.path:
        return (
            f"where its root was there is now something else ({error.kind}). If it has moved, name it anew: a link "
            "to a whole store may be named, and is resolved when the store is opened."
        )
    remedy = (
        "Move the whole store and name its root, or a link to it (MLOPS_KIT_STORE); or mount the other disk there."
        if error.kind in {"a symbolic link", "a junction"}
        else "Move it away."
    )
    return f"{error.path} is {error.kind}, and below the root only folders and regular files are used. {remedy}"


def _raise_foreign(path: str, found: os.stat_result, error: OSError) -> NoReturn:
    """Raise what names a link, pipe or device on the way; a regular file there is none of these."""
    if is_regular(found) and path:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from error
    raise ForeignFile(path, "a file" if is_regular(found) else kind_of(found)) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and (
        _JUNCTION is None or not _is_junction(entry.stat(follow_symlinks=False))
    )


def _is_junction(found: os.stat_result) -> bool:
    return _JUNCTION is not None and getattr(found, "st_reparse_tag", 0) == _JUNCTION
