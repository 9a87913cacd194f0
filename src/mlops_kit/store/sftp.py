"""Another machine's folder by SFTP; put-if-absent is the plain rename, which refuses to replace.

OpenSSH renames a file by linking it under the new name, so that exactly one of many writers succeeds. Its
directories cannot be synced from outside: after a power cut of the server, the newest names may be gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeAlias

import paramiko
from paramiko.sftp import CMD_EXTENDED

from mlops_kit.store.backend import Found
from mlops_kit.store.drive import Page, Trouble
from mlops_kit.store.home import expanded
from mlops_kit.store.patience import answer_seconds, connect_seconds

_ONE_PACKET = 32_768

_Rename: TypeAlias = Callable[[paramiko.SFTPClient, str, str], None]

_drives: weakref.WeakSet[SFTPDrive] = weakref.WeakSet()


class SFTPDrive:
    """Files below a folder of a server.

    User, port, key and known hosts come from where ssh takes them: ``~/.ssh/config``, the agent,
    ``~/.ssh/known_hosts``. A server that is not known there is refused.

    Parameters
    ----------
    host : str
        A name or address, or a ``Host`` of ``~/.ssh/config``.
    root : str
        An absolute path that ends with ``/``; the folder is made with the first value.
    user : str, optional
        By default as ssh would choose.
    port : int, optional
        Likewise.
    """

    means: ClassVar[str] = "rename"
    remedies: ClassVar[dict[Trouble, str]] = {
        Trouble.CREDENTIALS: "`ssh` to the same address must work without a password: add a key to the agent, "
        "or name it as IdentityFile in ~/.ssh/config.",
        Trouble.IDENTITY: "Connect once with `ssh`, compare the fingerprint it shows, and the server is known.",
        Trouble.DENIED: "Check the owner and mode of the folder on the server.",
        Trouble.UNREACHABLE: "Check the network, the host and the port.",
        Trouble.BUSY: "Try again later.",
    }

    def __init__(self, host: str, root: str, user: str | None = None, port: int | None = None) -> None:
        self._host = host
        self._root = root
        self._user = user
        self._port = port
        self._lock = threading.Lock()  # paramiko drops answers when two threads wait on one channel
        self._session: paramiko.SFTPClient | None = None
        self._socket: socket.socket | None = None
        self._client: paramiko.SSHClient | None = None
        self._syncs = True
        _drives.add(self)

    def read(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Read a value, or a part of it."""
        with self._channel() as sftp:
            mode = sftp.lstat(self._root + key).st_mode or 0
            if not stat.S_ISREG(mode):  # to open a pipe would wait for ever
                raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.ELOOP, "it is no regular file", key)
            with sftp.open(self._root + key, "rb") as file:
                length = file.stat().st_size or 0
                stop = length if end is None else min(length, end)
                size = max(0, stop - begin)
                file.seek(begin)
                if size > _ONE_PACKET:
                    file.prefetch(stop)
                data = bytes(file.read(size))
            if len(data) != size:
                raise EOFError(f"{len(data)} of {size} bytes of the file came")
            return data

    def write(self, key: str, data: bytes) -> None:
        """Write a value over what is there."""
        with self._channel() as sftp:
            self._place(sftp, key, data, _rename_over)

    def write_new(self, key: str, data: bytes) -> None:
        """Write a value unless there is one."""
        with self._channel() as sftp:
            self._place(sftp, key, data, _rename_exclusive)

    def remove(self, key: str) -> None:
        """Remove a value."""
        with self._channel() as sftp:
            sftp.remove(self._root + key)

    def look(self, key: str) -> Found:
        """Tell size and time of a value."""
        with self._channel() as sftp:
            found = sftp.stat(self._root + key)
        if not stat.S_ISREG(found.st_mode or 0):
            raise FileNotFoundError(key)
        return _found(key, found)

    def refresh(self, key: str) -> None:
        """Give a value the time that the server's clock shows."""
        now = self.clock()
        with self._channel() as sftp:
            sftp.utime(self._root + key, (now, now))

    def page(self, prefix: str, token: str | None, *, deep: bool) -> Page:  # noqa: ARG002 - one page holds all
        """List everything."""
        with self._channel() as sftp:
            if deep:
                return Page(list(self._below(sftp, prefix)), [], None)
            return Page([], [one.filename for one in self._entries(sftp, prefix) if _is_folder(one)], None)

    def clock(self) -> float:
        """Write a file, and see how the server dates it."""
        with self._channel() as sftp:
            path = self._write_temporary(sftp, b"", durable=False)
            try:
                return float(sftp.stat(path).st_mtime or 0)
            finally:
                with contextlib.suppress(OSError):  # what is left in tmp/ does no harm
                    sftp.remove(path)

    def judge(self, error: Exception) -> Trouble:
        """Tell what an exception of paramiko or of the socket means."""
        if isinstance(error, paramiko.BadHostKeyException) or "known_hosts" in str(error):
            return Trouble.IDENTITY
        if "No authentication methods" in str(error):
            return Trouble.CREDENTIALS
        return next((trouble for kind, trouble in _ERRORS if isinstance(error, kind)), Trouble.OTHER)

    def close(self) -> None:
        """End the session."""
        self._session = None
        if self._client is not None:
            self._client.close()
        if self._socket is not None:
            self._socket.close()

    def forget_in_child(self) -> None:
        """Close the inherited socket after a fork, so that nothing here can speak on the parent's connection."""
        if self._socket is not None:
            self._socket.close()

    @contextlib.contextmanager
    def _channel(self) -> Iterator[paramiko.SFTPClient]:
        """Lend the session to one thread, a new one after the last has failed."""
        with self._lock:
            try:
                if self._session is None:
                    self._session = self._connected()
                yield self._session
            except (EOFError, paramiko.SSHException, ConnectionError, TimeoutError):
                self.close()
                raise

    def _connected(self) -> paramiko.SFTPClient:
        settings = _settings(self._host)
        address = (settings.get("hostname", self._host), self._port or int(settings.get("port", 22)))
        self._client = client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        for path in settings.get("userknownhostsfile", "~/.ssh/known_hosts").split():
            with contextlib.suppress(FileNotFoundError):
                client.load_system_host_keys(expanded(path) or os.devnull)
        self._socket = socket.create_connection(address, timeout=connect_seconds())
        client.connect(
            address[0],
            address[1],
            self._user or settings.get("user"),
            key_filename=settings.get("identityfile"),
            timeout=connect_seconds(),
            banner_timeout=connect_seconds(),
            auth_timeout=connect_seconds(),
            channel_timeout=connect_seconds(),
            sock=self._socket,
        )
        session = client.open_sftp()
        channel = session.get_channel()
        if channel is not None:
            channel.settimeout(answer_seconds())
        return session

    def _place(self, sftp: paramiko.SFTPClient, key: str, data: bytes, rename: _Rename) -> None:
        path, temporary = self._root + key, self._write_temporary(sftp, data, durable=True)
        try:
            try:
                rename(sftp, temporary, path)
            except FileNotFoundError:
                _make_folder(sftp, os.path.dirname(path))
                rename(sftp, temporary, path)
        except OSError:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                sftp.remove(temporary)
            raise

    def _write_temporary(self, sftp: paramiko.SFTPClient, data: bytes, *, durable: bool) -> str:
        path = f"{self._root}tmp/{secrets.token_hex(12)}"
        try:
            file = sftp.open(path, "wbx")
        except FileNotFoundError:
            _make_folder(sftp, os.path.dirname(path))
            file = sftp.open(path, "wbx")
        with file:
            large = len(data) > _ONE_PACKET
            file.set_pipelined(large)
            file.write(data)
            if large and file.stat().st_size != len(data):  # answers to pipelined writes are not looked at
                raise OSError(f"the server kept only a part of {len(data)} bytes: is its disk full?")
            if durable and self._syncs:
                self._sync(sftp, file)
        return path

    def _sync(self, sftp: paramiko.SFTPClient, file: paramiko.SFTPFile) -> None:
        try:
            session: Any = sftp  # paramiko has no public way to ask for an extension
            session._request(CMD_EXTENDED, "fsync@openssh.com", file.handle)  # noqa: SLF001 - see above
        except OSError:
            self._syncs = False  # the server does not offer it

    def _entries(self, sftp: paramiko.SFTPClient, prefix: str) -> list[paramiko.SFTPAttributes]:
        try:
            return sftp.listdir_attr(self._root + prefix)
        except FileNotFoundError:
            return []

    def _below(self, sftp: paramiko.SFTPClient, prefix: str) -> Iterator[Found]:
        for one in self._entries(sftp, prefix):
            if _is_folder(one):
                yield from self._below(sftp, f"{prefix}{one.filename}/")
            elif stat.S_ISREG(one.st_mode or 0):
                yield _found(prefix + one.filename, one)


def _rename_exclusive(sftp: paramiko.SFTPClient, temporary: str, target: str) -> None:
    try:
        sftp.rename(temporary, target)
    except OSError as error:
        if error.errno is None:  # the protocol has no word for it: "Failure" is what an existing target gives
            raise FileExistsError(f"{target} exists, or the server could not rename to it: {error}") from error
        raise


def _rename_over(sftp: paramiko.SFTPClient, temporary: str, target: str) -> None:
    try:
        sftp.posix_rename(temporary, target)
    except OSError as error:
        if error.errno is not None:
            raise
        with contextlib.suppress(FileNotFoundError):  # a server without the extension: for a moment it is away
            sftp.remove(target)
        sftp.rename(temporary, target)


def _make_folder(sftp: paramiko.SFTPClient, path: str) -> None:
    try:
        sftp.mkdir(path, 0o755)
    except FileNotFoundError:
        _make_folder(sftp, os.path.dirname(path))
        _make_folder(sftp, path)
    except OSError:
        if not _is_folder(sftp.stat(path)):  # made by another writer meanwhile is fine
            raise


def _found(key: str, one: paramiko.SFTPAttributes) -> Found:
    return Found(key, one.st_size or 0, float(one.st_mtime or 0))


def _is_folder(one: paramiko.SFTPAttributes) -> bool:
    return stat.S_ISDIR(one.st_mode or 0)


def _settings(host: str) -> dict[str, Any]:
    try:
        config = paramiko.SSHConfig.from_path(expanded("~/.ssh/config") or os.devnull)
    except FileNotFoundError:
        return {}
    return dict(config.lookup(host))


_ERRORS: tuple[tuple[type[Exception], Trouble], ...] = (
    (FileNotFoundError, Trouble.ABSENT),
    (FileExistsError, Trouble.TAKEN),
    (PermissionError, Trouble.DENIED),
    (paramiko.AuthenticationException, Trouble.CREDENTIALS),
    (socket.gaierror, Trouble.UNREACHABLE),
    (ConnectionRefusedError, Trouble.UNREACHABLE),
    (ConnectionError, Trouble.BUSY),
    (TimeoutError, Trouble.BUSY),
    (EOFError, Trouble.BUSY),
    (paramiko.SSHException, Trouble.BUSY),
)


def _after_fork() -> None:
    for drive in _drives:
        drive.forget_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
