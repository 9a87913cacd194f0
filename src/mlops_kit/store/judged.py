"""A file opened together with all folders that lead to it, so that what is judged is what is read."""

from __future__ import annotations

import contextlib
import functools
import os
import sys

from mlops_kit.store.folders import Folders, ForeignFile
from mlops_kit.store.verdict import Place, User

_MOST_LINKS = 400


def open_judged(path: str) -> tuple[int, os.stat_result, list[Place]]:
    """Open a file by its absolute path, through no link.

    Returns
    -------
    tuple of int, os.stat_result and list of Place
        The descriptor of the file, its state, and all folders above it with the file, as they are while open.
    """
    places: list[Place] = []

    def see(path: str, found: os.stat_result, fd: int | None) -> None:
        places.append(_place(path, found, path if fd is None else f"/proc/self/fd/{fd}"))

    folder, _, name = path.strip(os.sep).rpartition(os.sep)
    with Folders(os.sep, seen=see).open(folder) as above:
        fd, found = above.open_to_read(name)
    see(path, found, fd)
    return fd, found, places


def places_above(path: str) -> list[Place]:
    """Return the folders in which the names stand that lead to a file, those of links on the way too."""
    folders: dict[str, None] = {}
    waiting = [path]
    for _ in range(_MOST_LINKS):
        if not waiting:
            break
        above, name = os.path.split(waiting.pop())
        if not name:
            continue
        real = os.path.realpath(above)
        folders[real] = None
        waiting.append(above)
        with contextlib.suppress(OSError, ValueError):
            waiting.append(os.path.join(real, os.readlink(os.path.join(real, name))))
    return [_place(folder, os.stat(folder), folder) for folder in sorted(folders)]


def _place(path: str, found: os.stat_result, reached: str) -> Place:
    shared = bool(found.st_mode & 0o020) and _has_list(reached)
    return Place(path, found.st_uid, found.st_gid, found.st_mode, shared)


def _has_list(path: str) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False


def present_user() -> User:
    """Return who asks, with the group that is theirs alone."""
    return _user(os.geteuid())


@functools.lru_cache(maxsize=8)
def _user(number: int) -> User:
    import grp  # noqa: PLC0415 - not on Windows
    import pwd  # noqa: PLC0415 - likewise

    try:
        name, group = pwd.getpwuid(number).pw_name, pwd.getpwuid(number).pw_gid
        found = grp.getgrgid(group)
    except (KeyError, OSError):
        return User(number)
    return User(number, group if found.gr_name == name and set(found.gr_mem) <= {name} else None)


def within(root: str, error: ForeignFile) -> ForeignFile:
    """Return what is in the way, relative to the root of a store."""
    inner = os.path.relpath(os.sep + error.path, root)
    return ForeignFile("" if inner.startswith(os.pardir) or inner == os.curdir else inner, error.kind)
