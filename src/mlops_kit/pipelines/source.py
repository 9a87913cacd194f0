"""`source`: files that somebody else changes, as something on which the result of a step depends."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import masked_text, quoted

_TAGS = ("ETag", "etag", "Content-MD5", "Digest", "sha", "CRC")
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified", "modificationTime")
_LAST_TIMES = ("date_time", "created")
_MAGIC = "*?["
_NANOSECONDS = 1_000_000_000


class Source:
    """Files at a URL as they are at one moment; made by `source`.

    As an argument of a step, or in its ``depends_on=``, it makes the step run again where the files have changed.

    Attributes
    ----------
    url : str
        As it was given, passwords and tokens masked.
    state : str or None
        What its file system says of the files: the ETag, or the size and the time of the last change, of several
        their number and a digest. None if it says neither; then a step that depends on it runs every time, unless
        ``fresh_for=`` bounds the age of its result.

    Examples
    --------
    >>> import fsspec
    >>> import mlops_kit as mk
    >>> with fsspec.open("memory://source-class-doc/prices.csv", "w") as file:
    ...     _ = file.write("price")
    >>> prices = mk.source("memory://source-class-doc/prices.csv")
    >>> prices
    <source memory://source-class-doc/prices.csv>
    >>> prices.state
    '5 bytes, ... UTC'
    """

    def __init__(self, url: str, state: str | None) -> None:
        self.url = masked_text(url)
        self.state = state
        # A step that takes what cannot be told apart must run every time: a lock has no fingerprint.
        self._cannot_be_seen = threading.Lock() if state is None else None

    def now(self) -> Source:
        """Return the same files as they are now."""
        url, options = _asked.get(self, (self.url, {}))
        return source(url, **options)

    def __repr__(self) -> str:
        return f"<source {self.url}>"


_asked: WeakKeyDictionary[Source, tuple[str, Mapping[str, Any]]] = WeakKeyDictionary()
"""How to ask again. Credentials are no part of what a source is, and must not enter a key or a pickle."""
_places: dict[str, tuple[str, Mapping[str, Any]]] = {}
"""The same by the URL as it is shown, of all that this process has asked."""


def source(url: str | os.PathLike[str], **options: Any) -> Source:
    """Look at files that somebody else changes, so that the result of a step may depend on them.

    Pass it to a step as an argument, or name it in ``depends_on=``, where it is looked at again at each call. The
    content is not read: the ETag is compared, or where the file system has none, the size and the time.

    Parameters
    ----------
    url : str or path
        A file, a folder, or a pattern such as ``"s3://sales/2026-*/orders.parquet"``, on any file system that fsspec
        knows.
    **options
        Of that file system, as fsspec takes them. They are kept nowhere.

    Returns
    -------
    Source
        The files as they are now.

    Raises
    ------
    InvalidInput
        There is no such file, or fsspec knows no such file system.

    Examples
    --------
    >>> import fsspec
    >>> import mlops_kit as mk
    >>> def write(text):
    ...     with fsspec.open("memory://source-doc/prices.csv", "w") as file:
    ...         _ = file.write(text)
    >>> @mk.step(depends_on=mk.source)
    ... def longest(url):
    ...     with fsspec.open(url, "r") as file:
    ...         return max(map(len, file))
    >>> @mk.pipeline(store="memory://source-doc-store")
    ... def report():
    ...     return longest("memory://source-doc/prices.csv")
    >>> write("10")
    >>> report(), report()
    (2, 2)
    >>> write("100")
    >>> report()
    3
    """
    if not isinstance(url, str | os.PathLike):
        raise InvalidInput(f"source({quoted(url)}): a URL or a path is text, such as 's3://sales/orders.parquet'.")
    path = os.fspath(url)
    made = Source(path, _state(path, options))
    _asked[made] = _places[made.url] = path, options
    return made


def state_now(shown: str) -> str | None:
    """Return the state of the files at a URL, as a source shows it; None if there are none."""
    url, options = _places.get(shown, (shown, {}))
    try:
        return _state(url, options)
    except InvalidInput:
        return None


def may_be_asked(shown: str) -> bool:
    """Check whether looking at a URL on the word of a record asks nobody but this machine, or whom it asked before."""
    is_local = "://" not in shown or shown.startswith(("file://", "local://", "memory://"))
    return shown in _places or (is_local and "::" not in shown)


def files_at(url: str, options: Mapping[str, Any]) -> tuple[Any, dict[str, dict[str, Any]]]:
    """Find the files that a URL, folder or pattern means.

    Parameters
    ----------
    url : str
        As fsspec takes it.
    options : mapping
        Of the file system.

    Returns
    -------
    file system and dict of str to dict
        What fsspec tells of each file, by its path in the file system.

    Raises
    ------
    InvalidInput
        There is none, or no such file system.
    """
    from fsspec.core import url_to_fs  # noqa: PLC0415 - importing the library loads no fsspec

    system: Any  # of any class, each with methods of its own
    try:
        system, path = url_to_fs(url, **options)
    except (ValueError, ImportError) as error:
        raise InvalidInput(f"The URL {quoted(url)} cannot be looked at: {quoted(error, 300)}.") from error
    system.invalidate_cache()  # listings that fsspec remembers are of another moment
    try:
        about = system.info(path)
    except FileNotFoundError:
        files = system.glob(path, detail=True) if any(sign in path for sign in _MAGIC) else {}
    else:
        files = {path: about} if about["type"] != "directory" else system.find(path, detail=True)
    files = {name: one for name, one in files.items() if one["type"] != "directory"}
    if not files:
        raise InvalidInput(f"There is no file at {quoted(url)}. Check the URL, or write the files first.")
    return system, files


def _state(url: str, options: Mapping[str, Any]) -> str | None:
    files = files_at(url, options)[1]
    name, about = next(iter(files.items()))
    is_the_file = len(files) == 1 and os.path.basename(name) == os.path.basename(url)  # not one in a folder
    return _identity(about) if is_the_file else _listed(files)


def _listed(files: Mapping[str, Mapping[str, Any]]) -> str | None:
    digest = hashlib.sha256()
    for name in sorted(files):
        identity = _identity(files[name])
        if identity is None:
            return None
        digest.update(f"{len(name)} {name}\n{identity}\n".encode())
    return f"{len(files)} file{'' if len(files) == 1 else 's'}, sha256:{digest.hexdigest()}"


def _identity(about: Mapping[str, Any]) -> str | None:
    """Return what tells a file from what it was before; None if nothing does."""
    tag = next((about[name] for name in _TAGS if about.get(name)), None)
    if tag is not None:
        return "ETag " + str(tag).strip('"')
    moment = next((about[name] for name in (*_TIMES, *_LAST_TIMES) if about.get(name)), None)
    return None if moment is None else f"{about.get('size')} bytes, {_shown(moment)}"


def _shown(moment: Any) -> str:
    if isinstance(moment, int | float):
        whole, part = divmod(round(moment * _NANOSECONDS), _NANOSECONDS)
        return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%d %H:%M:%S}.{part:09d} UTC"
    if isinstance(moment, datetime):
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
    return str(moment)
