"""A store in a folder of a local (or mounted) file system."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

from mlops_kit.errors import NotDurable, ReadOnlyStore, StoreError
from mlops_kit.store.backend import Bytes, Found

_T = TypeVar("_T")
_O_BINARY: int = getattr(os, "O_BINARY", 0)
_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY | getattr(os, "O_CLOEXEC", 0)
_READ = os.O_RDONLY | _O_BINARY | getattr(os, "O_CLOEXEC", 0)
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_SYNC_FOLDERS = os.name != "nt"


class LocalBackend:
    """Values as files below a root folder, which is made when the first value is written.

    A new value is written to ``tmp/``, synced, and given its name in one atomic step: a hard link, a rename
    that refuses to replace where there are no links. Nobody ever sees half a value. Files are made 0644 and
    folders 0755, less what the umask takes away: never writable by others.

    Parameters
    ----------
    root : pathlib.Path
        An absolute path.

    Examples
    --------
    >>> backend = LocalBackend(Path.cwd() / "store")
    >>> backend.create("a/b", b"1"), backend.create("a/b", b"2"), backend.get("a/b")
    (True, False, b'1')
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)
        self._base = f"{root}{os.sep}"
        self._reached: set[str] = set()
        self._place: Callable[[str, str], bool] = _rename_exclusive if os.name == "nt" else _link

    def get(self, key: str) -> bytes | None:
        """Read a whole value, or None where there is none."""
        try:
            fd = os.open(self._base + key, _READ)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._fail("read", key, error)
        try:
            size = os.fstat(fd).st_size
            data = os.read(fd, size + 1)
            if len(data) != size:
                with os.fdopen(fd, "rb", closefd=False) as rest:
                    data += rest.read()
        except OSError as error:
            self._fail("read", key, error)
        finally:
            os.close(fd)
        return data

    def put(self, key: str, data: Bytes, *, durable: bool = True) -> None:
        """Write a value whole or not at all, over what is there; `durable` survives a power cut."""
        try:
            temporary = self._write_temporary(data, durable=durable)
            try:
                self._in_folder(key, lambda target: os.replace(temporary, target))
            except BaseException:
                _forget(temporary)
                raise
        except OSError as error:
            self._fail("write", key, error)
        if durable:
            self._sync_name(key)

    def create(self, key: str, data: Bytes) -> bool:
        """Write a durable value if the key is absent: True for exactly one of any number of writers."""
        try:
            temporary = self._write_temporary(data, durable=True)
            try:
                won = self._in_folder(key, lambda target: self._place(temporary, target))
            finally:
                _forget(temporary)
        except OSError as error:
            self._fail("write", key, error)
        if won:
            self._sync_name(key)
        return won

    def sync(self, key: str) -> bool:
        """Sync a value that another writer may have left unsynced; False if there is none.

        Raises
        ------
        NotDurable
            It is there, and cannot be synced.
        """
        try:
            fd = os.open(self._base + key, _READ)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._fail("read", key, error)
        try:
            if _SYNC_FOLDERS:  # Windows syncs only what was opened for writing
                os.fsync(fd)
        except OSError as error:
            self._fail_unsynced(key, error)
        finally:
            os.close(fd)
        self._sync_name(key)
        return True

    def delete(self, key: str) -> None:
        """Remove a value; an absent one is fine."""
        try:
            os.unlink(self._base + key)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._fail("delete", key, error)

    def delete_if(self, key: str, data: bytes) -> None:
        """Remove a value unless another has been put over it meanwhile."""
        aside = f"{self._base}tmp{os.sep}{_process}-{next(_numbers)}"
        try:
            os.rename(self._base + key, aside)
        except FileNotFoundError:
            return
        except OSError as error:
            self._fail("delete", key, error)
        if Path(aside).read_bytes() != data:
            self._place(aside, self._base + key)  # where a still newer one was put, that counts
        _forget(aside)

    def stat(self, key: str) -> Found | None:
        """Look at a value without reading it."""
        try:
            found = os.stat(self._base + key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._fail("look at", key, error)
        return Found(key, found.st_size, found.st_mtime) if stat.S_ISREG(found.st_mode) else None

    def touch(self, key: str) -> None:
        """Set the modification time of a value to now."""
        try:
            os.utime(self._base + key)
        except OSError as error:
            self._fail("refresh", key, error)

    def walk(self, prefix: str) -> Iterator[Found]:
        """List the values below a folder, sorted by key."""
        try:
            with os.scandir(self._base + prefix) as scan:
                entries = sorted(scan, key=lambda entry: entry.name + ("/" if _is_folder(entry) else ""))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._fail("list", prefix, error)
        for entry in entries:
            key = prefix + entry.name
            if _is_folder(entry):
                yield from self.walk(key + "/")
            else:
                found = self.stat(key)
                if found is not None:
                    yield found

    def folders(self, prefix: str) -> list[str]:
        """Name the folders directly below a folder, sorted."""
        try:
            with os.scandir(self._base + prefix) as scan:
                return sorted(entry.name for entry in scan if _is_folder(entry))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._fail("list", prefix, error)

    def now(self) -> float:
        """Tell the time in Unix seconds."""
        return time.time()

    def is_private(self, key: str) -> bool:
        """Tell whether the root, the value and the folders between belong to this user and no other may write."""
        if os.name == "nt":  # an NTFS profile folder is private by its access list, which has no mode bits
            return self.root.is_relative_to(Path.home())
        path = self.root / key
        try:
            return all(_is_own(place) for place in (path, *path.parents) if place.is_relative_to(self.root))
        except OSError as error:
            self._fail("look at", key, error)

    def capabilities(self) -> dict[str, str]:
        """Find which atomic step this file system has, by using it, and keep to it.

        Returns
        -------
        dict
            ``create``: ``"link"``, ``"rename-noreplace"``, or ``"single-writer"`` where there is neither and
            two writers at once could overwrite each other.
        """
        steps = {"link": _link, "rename-noreplace": _rename_exclusive, "single-writer": _check_then_rename}
        for name, step in steps.items():
            try:
                if self._excludes(step):
                    self._place = step
                    return {"create": name}
            except OSError as error:
                if error.errno in _CANNOT_WRITE:
                    self._fail("write", "tmp/", error)
        raise StoreError(f"The store {self.url} is on a file system where no file can be given a name.")

    @property
    def single_writer(self) -> bool:
        """Whether two writers at once could overwrite each other here."""
        return self._place is _check_then_rename

    def choose(self, capabilities: dict[str, str]) -> None:
        """Use the means that the store's creator found to work here."""
        steps = {"rename-noreplace": _rename_exclusive, "single-writer": _check_then_rename}
        self._place = steps.get(capabilities.get("create", ""), self._place)

    def _excludes(self, step: Callable[[str, str], bool]) -> bool:
        first, second = (self._write_temporary(data, durable=False) for data in (b"1", b"2"))
        target = first + "-probe"
        try:
            return step(first, target) and not step(second, target) and Path(target).read_bytes() == b"1"
        finally:
            for path in (first, second, target):
                _forget(path)

    def _write_temporary(self, data: Bytes, *, durable: bool) -> str:
        path = f"{self._base}tmp{os.sep}{_process}-{next(_numbers)}"
        try:
            fd = os.open(path, _WRITE_NEW, 0o644)
        except FileNotFoundError:
            self._make_folder(os.path.dirname(path))
            fd = os.open(path, _WRITE_NEW, 0o644)
        try:
            try:
                done = os.write(fd, data)
                if done < len(data) or type(data) is not bytes:  # a disk takes 2 GB at once, and a view counts items
                    view = memoryview(data).cast("B")
                    while done < len(view):
                        done += os.write(fd, view[done:])
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
        except BaseException:
            _forget(path)
            raise
        return path

    def _in_folder(self, key: str, act: Callable[[str], _T]) -> _T:
        """Act on the path of a key, making its folder only when it turns out to be missing."""
        path = self._base + key
        try:
            return act(path)
        except FileNotFoundError:
            self._make_folder(os.path.dirname(path))
            return act(path)

    def _make_folder(self, path: str) -> None:
        """Make a folder and its parents, which are synced with what is written there."""
        self._reached.clear()
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            return
        except FileNotFoundError:
            if not os.path.isdir(os.path.dirname(path)):
                self._make_folder(os.path.dirname(path))
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o755)

    def _sync_name(self, key: str) -> None:
        """Sync the folder of a key, and once in each process those that lead to it: their maker may have died."""
        folder = key.rpartition("/")[0]
        reached = []
        try:
            _sync_folder(self._base + folder)
            while folder not in self._reached:
                reached.append(folder)
                if not folder:
                    self._sync_above()
                    break
                folder = folder.rpartition("/")[0]
                _sync_folder(self._base + folder)
        except OSError as error:
            self._fail_unsynced(key, error)
        self._reached.update(reached)

    def _sync_above(self) -> None:
        """Sync the folders that lead to the root, as far as this user may read them, on the same disk."""
        device = self.root.stat().st_dev
        for folder in self.root.parents:
            if folder.stat().st_dev != device:
                break
            with contextlib.suppress(PermissionError):
                _sync_folder(str(folder))

    def _fail_unsynced(self, key: str, error: OSError) -> NoReturn:
        raise NotDurable(
            f"{key!r} is written in the store {self.url} and can be read, but it could not be synced ({error}): a "
            "power cut may still take it. Check the disk; writing the same again syncs it."
        ) from error

    def _fail(self, action: str, key: str, error: OSError) -> NoReturn:
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            remedy = f"Check the owner and mode of {self.root}, or choose another store with MLOPS_KIT_STORE."
            kind = StoreError if action in {"read", "list", "look at"} else ReadOnlyStore
            raise kind(f"May not {action} {key!r} in the store {self.url}: {error.strerror}. {remedy}") from error
        remedy = "Free some space and try again." if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        raise StoreError(f"Cannot {action} {key!r} in the store {self.url}: {error}. {remedy}".rstrip()) from error


_CANNOT_WRITE = {errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT}


_process = secrets.token_hex(8)
_numbers = itertools.count(1)


def _renew() -> None:
    """Let what a fork writes have names of its own."""
    global _process  # noqa: PLW0603 - one name per process
    _process = secrets.token_hex(8)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def _link(temporary: str, target: str) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    return True


def _rename_exclusive(temporary: str, target: str) -> bool:
    """Rename unless the target exists: by its own nature on Windows, by renameat2 on Linux."""
    if os.name == "nt":
        try:
            os.rename(temporary, target)
        except FileExistsError:
            return False
        return True
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        raise OSError(errno.ENOSYS, "renameat2 is not available")
    if rename(_AT_FDCWD, os.fsencode(temporary), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    raise OSError(number, os.strerror(number), target)


def _check_then_rename(temporary: str, target: str) -> bool:
    if os.path.lexists(target):
        return False
    os.rename(temporary, target)
    return True


def _forget(path: str) -> None:
    with contextlib.suppress(OSError):  # what is left in tmp/ does no harm, and what was written is there
        os.unlink(path)


def _sync_folder(path: str) -> None:
    if _SYNC_FOLDERS:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _is_own(path: Path) -> bool:
    """Tell whether nobody else can have written something; what is not there nobody has."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & _WRITABLE_BY_OTHERS and not stat.S_ISLNK(found.st_mode)
