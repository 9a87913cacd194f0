"""The user's own settings: files in a folder of theirs that nobody else may write."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mlops_kit.errors import ExposedFile, MlopsKitError, StoreError
from mlops_kit.store.folders import read_regular
from mlops_kit.store.home import expanded
from mlops_kit.store.judged import places_above, present_user
from mlops_kit.store.verdict import exposure

VARIABLE = "MLOPS_KIT_CONFIG"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_MOST_BYTES = 2**26
_BUSY_SECONDS = 5.0


def path_of(name: str) -> Path | None:
    """Locate a file of settings.

    Parameters
    ----------
    name : str
        Such as ``"trust.json"``.

    Returns
    -------
    Path or None
        Below ``MLOPS_KIT_CONFIG``, else below the folder that the platform has for settings; None for a user who has
        neither that nor a home folder.

    Examples
    --------
    >>> os.environ[VARIABLE] = os.path.join(os.getcwd(), "settings")
    >>> path_of("trust.json").relative_to(os.getcwd()).as_posix()
    'settings/trust.json'
    >>> del os.environ[VARIABLE]
    """
    folder = expanded(os.environ.get(VARIABLE) or os.path.join(_config_folder(), "mlops_kit"))
    return None if folder is None else Path(os.path.abspath(folder), name)


def _config_folder() -> str:
    if os.name == "nt":
        return os.environ.get("APPDATA") or os.path.join("~", "AppData", "Roaming")
    if sys.platform == "darwin" and "XDG_CONFIG_HOME" not in os.environ:
        return os.path.join("~", "Library", "Application Support")
    return os.environ.get("XDG_CONFIG_HOME") or os.path.join("~", ".config")


def read(path: Path | None, *, secret: bool = False) -> bytes | None:
    """Read a file of settings, if it is this user's alone.

    Parameters
    ----------
    path : Path or None
        The file, as `path_of` locates it.
    secret : bool
        Nobody else may even read it.

    Returns
    -------
    bytes or None
        None if there is no such file, or it is in a folder that another user has closed to this one.

    Raises
    ------
    ExposedFile
        Another user owns it, or may write it, or a folder that leads to it; or may read a secret.
    StoreError
        It is no regular file, or longer than any such file.
    """
    if path is None:
        return None

    def judge(found: os.stat_result) -> None:
        _check(path, found, _OTHERS_WRITE | _OTHERS_READ if secret else _OTHERS_WRITE)
        _check(path.parent, os.stat(path.parent), _OTHERS_WRITE)
        _check_folders(path)

    try:
        return read_regular(path, _MOST_BYTES, judge)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except MlopsKitError:
        raise
    except OSError as error:
        if isinstance(error, PermissionError) and _is_closed_by_another(path):
            return None
        raise _failed("read", path, error) from error


def _check_folders(path: Path) -> None:
    """Refuse a file whose place somebody else could take: the folders that lead to it, and to links on the way."""
    if os.name == "nt":
        return
    why = exposure(places_above(str(path)), present_user())
    if why is not None:
        raise ExposedFile(
            f"Somebody else could put another file in the place of {path}, which decides whose code runs as you: "
            f"{why}. Take that away from them, or name a folder that is yours alone with {VARIABLE}."
        )


def _is_closed_by_another(path: Path) -> bool:
    """Return whether the way to a file ends at a folder of another user, as where HOME is still that of root."""
    if os.name == "nt":
        return False
    effective = os.access in os.supports_effective_ids
    above = reversed(path.parents)
    closed = next((each for each in above if not os.access(each, os.X_OK, effective_ids=effective)), None)
    return closed is not None and os.stat(closed).st_uid != os.geteuid()


def _check(path: Path, found: os.stat_result, forbidden: int) -> None:
    if os.name == "nt":  # a profile folder is private by its access list, which has no mode bits
        return
    if found.st_uid not in {os.geteuid(), 0}:
        raise ExposedFile(
            f"{path} belongs to user {found.st_uid}, and decides whose code runs as you. Look at what is in it, then "
            f"take it over: chown {os.geteuid()} '{path}'"
        )
    if found.st_mode & forbidden:
        mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
        act = "write" if found.st_mode & _OTHERS_WRITE else "read"
        raise ExposedFile(
            f"Other users may {act} {path} (mode {found.st_mode & 0o777:o}), so it is not used. Look at what is in it, "
            f"then run: chmod {mode} '{path}'"
        )


def change(path: Path | None, edit: Callable[[bytes | None], bytes]) -> None:
    """Replace a file of settings in one step, by one process at a time.

    Parameters
    ----------
    path : Path or None
        The file, as `path_of` locates it; readable and writable by this user only.
    edit : callable
        Takes what it holds, or None, and gives what it shall hold.

    Raises
    ------
    ExposedFile
        Others may write it; it is left as it was.
    StoreError
        It cannot be written, or another process has been changing it for five seconds.
    """
    if path is None:
        raise StoreError(f"There is no place for settings, as this user has no home folder. {VARIABLE} names one.")
    try:
        os.makedirs(path.parent, mode=0o700, exist_ok=True)
        _check(path.parent, os.stat(path.parent), _OTHERS_WRITE)
        _check_folders(path)
        with _locked(path):
            draft = path.with_name(path.name + ".new")
            try:
                _write(draft, edit(read(path)))
                os.replace(draft, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
                raise
    except MlopsKitError:
        raise
    except OSError as error:
        raise _failed("write", path, error) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a file of settings: with a lock of the system, which ends with a process that is killed."""
    lock = path.with_name(path.name + ".lock")
    until = time.monotonic() + _BUSY_SECONDS
    if not _threads[0].acquire(timeout=_BUSY_SECONDS):  # the lock of the system does not tell threads apart
        raise _busy(lock)
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            while not _is_taken(handle):
                if time.monotonic() > until:
                    raise _busy(lock)
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)
    finally:
        _threads[0].release()


def _busy(lock: Path) -> StoreError:
    return StoreError(
        f"Another process is changing {lock.with_suffix('')}: it has held {lock} for five seconds. Try again."
    )


if sys.platform == "win32":
    import msvcrt

    def _is_taken(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _is_taken(handle: int) -> bool:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # holds on shared homes too, and in no forked child
        except (BlockingIOError, PermissionError):
            return False
        return True


_threads = [threading.Lock()]


def _renew_lock() -> None:
    _threads[0] = threading.Lock()  # the thread that holds it in the parent is not in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _write(path: Path, data: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # what a process that was killed has left
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _failed(act: str, path: Path, error: OSError) -> StoreError:
    return StoreError(f"Cannot {act} the settings {path}: {error.strerror or error}. {VARIABLE} names another folder.")
