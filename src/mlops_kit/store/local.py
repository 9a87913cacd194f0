"""A store in a folder of a local (or mounted) file system."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import itertools
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TypeAlias

from mlops_kit.errors import NotDurable, ReadOnlyStore, StoreError
from mlops_kit.records import bounds
from mlops_kit.store import keys
from mlops_kit.store.backend import Bytes, Found, Judged, read_at_most
from mlops_kit.store.folders import Folders, ForeignFile, OpenFolder, foreign_message, is_regular, kind_of
from mlops_kit.store.judged import open_judged, present_user, within
from mlops_kit.store.verdict import exposure

_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_FOLLOW = os.name == "nt"  # which has no such choice; there each name is checked before it is used

_Step: TypeAlias = Callable[[OpenFolder, str, OpenFolder, str], bool]
"""Gives a temporary file its name; False if another file has it."""


class LocalBackend:
    """Values as files below a root folder, which is made when the first value is written.

    A new value is written to ``tmp/``, synced, and given its name in one atomic step: a hard link, a rename
    that refuses to replace where there are no links. Nobody ever sees half a value. Files are made 0644 and
    folders 0755, less what the umask takes away: never writable by others.

    Links in the path of the root are resolved once. Below it none is followed, and nothing but regular files is read.

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
        self.root = Path(os.path.realpath(root))
        self.url = str(self.root)
        self._reached: set[str] = set()
        self._folders = Folders(self.url, made=self._forget)
        self._place: _Step = _rename_exclusive if os.name == "nt" else _link

    def get(self, key: str) -> bytes | None:
        """Read a whole value, or None where there is none."""
        folder, _, name = key.rpartition("/")
        try:
            with self._folders.open(folder) as place:
                return self._value(key, *place.open_to_read(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._fail("read", key, error)

    def read_part(self, key: str, begin: int, end: int) -> bytes | None:
        """Read the bytes of a value from `begin` to before `end`, as far as there are any; None if there is none."""
        folder, _, name = key.rpartition("/")
        try:
            with self._folders.open(folder) as place:
                fd, found = place.open_to_read(name)
            with open(fd, "rb", buffering=0) as file:
                file.seek(begin)
                return _whole(file, max(0, min(end, found.st_size) - begin))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._fail("read", key, error)

    def _value(self, key: str, fd: int, found: os.stat_result, most: int | None = None) -> bytes:
        """Read an open file whole and close it, unless it is longer than it may be or than the memory."""
        try:
            bounds.check_size(found.st_size, key, most)
        except BaseException:
            os.close(fd)
            raise
        try:
            return _read(fd, found)
        except MemoryError as error:
            raise StoreError(
                f"Cannot read {key!r} in the store {self.url}: its {found.st_size:,} bytes do not fit into memory."
            ) from error

    def put(self, key: str, data: Bytes, *, durable: bool = True) -> None:
        """Write a value whole or not at all, over what is there; `durable` survives a power cut."""
        self._write(key, data, _replace, durable=durable)

    def create(self, key: str, data: Bytes) -> bool:
        """Write a durable value if the key is absent: True for exactly one of any number of writers."""
        return self._write(key, data, self._place, durable=True)

    def sync(self, key: str) -> bool:
        """Sync a value that another writer may have left unsynced; False if there is none.

        Raises
        ------
        NotDurable
            It is there, and cannot be synced.
        """
        folder, _, name = key.rpartition("/")
        try:
            with self._folders.open(folder, whole=True) as place:
                fd, _ = place.open_to_read(name)
                try:
                    self._sync_value(key, place, fd)
                finally:
                    os.close(fd)
        except NotDurable:
            raise
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._fail("read", key, error)
        return True

    def delete(self, key: str) -> None:
        """Remove a value; an absent one is fine."""
        folder, _, name = key.rpartition("/")
        try:
            with self._folders.open(folder) as place:
                place.remove(name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._fail("delete", key, error)

    def delete_if(self, key: str, data: bytes) -> None:
        """Remove a value unless another has been put over it meanwhile."""
        folder, _, name = key.rpartition("/")
        aside = _temporary_name()
        try:
            with self._folders.open("tmp", make=True) as tmp, self._folders.open(folder) as place:
                os.rename(place.name(name), tmp.name(aside), src_dir_fd=place.fd, dst_dir_fd=tmp.fd)
                if _read(*tmp.open_to_read(aside)) != data:
                    self._place(tmp, aside, place, name)  # where a still newer one was put, that counts
                _forget(tmp, aside)
        except FileNotFoundError:
            return
        except OSError as error:
            self._fail("delete", key, error)

    def stat(self, key: str) -> Found | None:
        """Look at a value without reading it."""
        folder, _, name = key.rpartition("/")
        try:
            with self._folders.open(folder) as place:
                found = place.look(name)
            if not is_regular(found) and not stat.S_ISDIR(found.st_mode):
                raise ForeignFile(key, kind_of(found))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._fail("look at", key, error)
        return None if stat.S_ISDIR(found.st_mode) else Found(key, found.st_size, found.st_mtime)

    def touch(self, key: str) -> None:
        """Set the modification time of a value to now."""
        folder, _, name = key.rpartition("/")
        try:
            with self._folders.open(folder) as place:
                os.utime(place.name(name), dir_fd=place.fd, follow_symlinks=_FOLLOW)
        except OSError as error:
            self._fail("refresh", key, error)

    def walk(self, prefix: str) -> Iterator[Found]:
        """List the values below a folder, sorted by key; what is no regular file is none of them."""
        for name, found in self._listed(prefix):
            if found is None:
                yield from () if _is_too_deep(prefix) else self.walk(f"{prefix}{name}/")
            elif is_regular(found):
                yield Found(prefix + name, found.st_size, found.st_mtime)

    def names(self, folder: str) -> list[str]:
        """Name the values directly in a folder, in any order, without looking at each."""
        try:
            with self._folders.open(folder.rstrip("/"), whole=True) as place:
                return place.files()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._fail("list", folder, error)

    def folders(self, prefix: str) -> list[str]:
        """Name the folders directly below a folder, sorted."""
        try:
            with self._folders.open(prefix.rstrip("/"), whole=True) as place:
                return place.folders()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._fail("list", prefix, error)

    def foreign(self, prefix: str = "") -> Iterator[ForeignFile]:
        """List what is neither a regular file nor a folder: links, pipes, devices, sockets."""
        for name, found in self._listed(prefix):
            if found is None and _is_too_deep(prefix):
                yield ForeignFile(prefix + name, "a folder below too many others")
            elif found is None and keys.is_of_a_file(prefix + name):
                yield ForeignFile(prefix + name, "a folder where a file belongs")
            elif found is None:
                yield from self.foreign(f"{prefix}{name}/")
            elif not is_regular(found):
                yield ForeignFile(prefix + name, kind_of(found))

    def _listed(self, prefix: str) -> list[tuple[str, os.stat_result | None]]:
        try:
            with self._folders.open(prefix.rstrip("/"), whole=True) as place:
                return place.scan()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._fail("list", prefix, error)

    def now(self) -> float:
        """Tell the time in Unix seconds."""
        return time.time()

    def read_judged(self, key: str, most: int | None = None) -> Judged | None:
        """Read a value with who else may have written it, judged by the very file and folders it is read through."""
        if os.name == "nt":  # an NTFS profile folder is private by its access list, which has no mode bits
            data = read_at_most(self, key, most)
            own = self.root.is_relative_to(Path.home())
            return None if data is None else Judged(data, self.url, None if own else "it is not in your home folder")
        try:
            fd, found, places = open_judged(f"{self.url}/{key}")
            return Judged(self._value(key, fd, found, most), self.url, exposure(places, present_user()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ForeignFile as error:
            self._fail("read", key, within(self.url, error))
        except OSError as error:
            self._fail("read", key, error)

    def exposure(self, key: str) -> str | None:
        """Return who else may have written a value, without reading it; None if nobody, or there is none."""
        if os.name == "nt":
            return None
        try:
            fd, _, places = open_judged(f"{self.url}/{key}")
            os.close(fd)
            return exposure(places, present_user())
        except (FileNotFoundError, NotADirectoryError):
            return None
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
        steps: dict[str, _Step] = {
            "link": _link,
            "rename-noreplace": _rename_exclusive,
            "single-writer": _check_then_rename,
        }
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
        steps: dict[str, _Step] = {"rename-noreplace": _rename_exclusive, "single-writer": _check_then_rename}
        self._place = steps.get(capabilities.get("create", ""), self._place)

    def _excludes(self, step: _Step) -> bool:
        with self._folders.open("tmp", make=True) as tmp:
            first, second = (_write_temporary(tmp, data, durable=False) for data in (b"1", b"2"))
            target = f"{first}-probe"
            try:
                return (
                    step(tmp, first, tmp, target)
                    and not step(tmp, second, tmp, target)
                    and _read(*tmp.open_to_read(target)) == b"1"
                )
            finally:
                for name in (first, second, target):
                    _forget(tmp, name)

    def _write(self, key: str, data: Bytes, step: _Step, *, durable: bool) -> bool:
        """Write a temporary file and give it its name; a folder that went meanwhile is made once more."""
        try:
            try:
                return self._write_once(key, data, step, durable=durable)
            except FileNotFoundError:
                return self._write_once(key, data, step, durable=durable)
        except NotDurable:
            raise
        except OSError as error:
            self._fail("write", key, error)

    def _write_once(self, key: str, data: Bytes, step: _Step, *, durable: bool) -> bool:
        folder, _, name = key.rpartition("/")
        with self._folders.open("", make=True) as root, self._folders.open("tmp", make=True, root=root) as tmp:
            temporary = _write_temporary(tmp, data, durable=durable)
            renamed = False
            try:
                with self._folders.open(folder, whole=durable, make=True, root=root) as place:
                    won = step(tmp, temporary, place, name)
                    renamed = won and step is not _link
                    if won and durable:
                        self._sync_value(key, place)
            finally:
                if not renamed:
                    _forget(tmp, temporary)
        return won

    def _sync_value(self, key: str, place: OpenFolder, fd: int | None = None) -> None:
        """Sync a name, and once in each process the folders that lead to it: their maker may have died."""
        folder, reached = place.path, []
        try:
            if fd is not None and os.name != "nt":  # Windows syncs only what was opened for writing
                os.fsync(fd)
            place.sync()
            while folder not in self._reached:
                reached.append(folder)
                if not folder:
                    self._sync_above()
                    break
                folder = folder.rpartition("/")[0]
                with self._folders.open(folder, whole=True) as above:
                    above.sync()
        except OSError as error:
            raise NotDurable(
                f"{key!r} is written in the store {self.url} and can be read, but it could not be synced ({error}): a "
                "power cut may still take it. Check the disk; writing the same again syncs it."
            ) from error
        self._reached.update(reached)

    def _forget(self, made: str) -> None:
        """Forget what was synced of a folder that has to be made: it was that of a store that is gone."""
        self._reached -= {folder for folder in self._reached if not made or made in folder.split("/")}

    def _sync_above(self) -> None:
        """Sync the folders that lead to the root, as far as this user may read them, on the same disk."""
        device = self.root.stat().st_dev
        for folder in self.root.parents:
            if folder.stat().st_dev != device:
                break
            with contextlib.suppress(PermissionError), Folders(str(folder)).open("", whole=True) as above:
                above.sync()

    def _fail(self, action: str, key: str, error: OSError) -> NoReturn:
        if isinstance(error, ForeignFile):
            raise StoreError(f"Cannot {action} {key!r} in the store {self.url}: {foreign_message(error)}") from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            remedy = f"Check the owner and mode of {self.root}, or choose another store with MLOPS_KIT_STORE."
            kind = StoreError if action in {"read", "list", "look at"} else ReadOnlyStore
            raise kind(f"May not {action} {key!r} in the store {self.url}: {error.strerror}. {remedy}") from error
        remedy = "Free some space and try again." if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        raise StoreError(f"Cannot {action} {key!r} in the store {self.url}: {error}. {remedy}".rstrip()) from error


def _is_too_deep(prefix: str) -> bool:
    """Return whether a folder is deeper than any key of a store, so that nobody can make a walk endless."""
    return prefix.count("/") >= _DEEPEST


_DEEPEST = 32
_CANNOT_WRITE = {errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT}


_process = secrets.token_hex(8)
_numbers = itertools.count(1)


def _renew() -> None:
    """Let what a fork writes have names of its own."""
    global _process  # noqa: PLW0603 - one name per process
    _process = secrets.token_hex(8)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def _temporary_name() -> str:
    return f"{_process}-{next(_numbers)}"


def _write_temporary(tmp: OpenFolder, data: Bytes, *, durable: bool) -> str:
    name = _temporary_name()
    fd = tmp.open_new(name)
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
        _forget(tmp, name)
        raise
    return name


def _read(fd: int, found: os.stat_result) -> bytes:
    """Read an open file, as long as it was when it was opened, and close it."""
    with open(fd, "rb", buffering=0) as file:
        return _whole(file, found.st_size)


def _whole(file: io.FileIO, size: int) -> bytes:
    """Read so many bytes, or those that there are: the system gives 2 GB at once."""
    data = file.read(size) or b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _replace(tmp: OpenFolder, temporary: str, place: OpenFolder, name: str) -> bool:
    os.replace(tmp.name(temporary), place.name(name), src_dir_fd=tmp.fd, dst_dir_fd=place.fd)
    return True


def _link(tmp: OpenFolder, temporary: str, place: OpenFolder, name: str) -> bool:
    try:
        os.link(tmp.name(temporary), place.name(name), src_dir_fd=tmp.fd, dst_dir_fd=place.fd, follow_symlinks=_FOLLOW)
    except FileExistsError:
        return False
    return True


def _rename_exclusive(tmp: OpenFolder, temporary: str, place: OpenFolder, name: str) -> bool:
    """Rename unless the target exists: by its own nature on Windows, by renameat2 on Linux."""
    if os.name == "nt":
        try:
            os.rename(tmp.name(temporary), place.name(name))
        except FileExistsError:
            return False
        return True
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        raise OSError(errno.ENOSYS, "renameat2 is not available")
    source, target = (_AT_FDCWD if folder.fd is None else folder.fd for folder in (tmp, place))
    old, new = os.fsencode(tmp.name(temporary)), os.fsencode(place.name(name))
    if rename(source, old, target, new, _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    raise OSError(number, os.strerror(number), name)


def _check_then_rename(tmp: OpenFolder, temporary: str, place: OpenFolder, name: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        place.look(name)
        return False
    return _replace(tmp, temporary, place, name)


def _forget(tmp: OpenFolder, name: str) -> None:
    with contextlib.suppress(OSError):  # it has got its name; or it is left behind, which fails nothing
        tmp.remove(name)
