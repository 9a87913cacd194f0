"""Which store is meant: argument, environment, pyproject.toml, project root, in that order."""

from __future__ import annotations

import os
import threading
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops_kit.errors import InvalidInput, StoreError
from mlops_kit.store.backend import Backend
from mlops_kit.store.home import expanded
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.memory import MemoryBackend

VARIABLE = "MLOPS_KIT_STORE"
DEFAULT_FOLDER = ".mlops"

_located: dict[tuple[str, str | None], str] = {}
_lock = threading.Lock()


def locate() -> str:
    """Find the address of the store that is meant when none is given.

    Returns
    -------
    str
        ``MLOPS_KIT_STORE``, else ``[tool.mlops_kit] store`` in the nearest pyproject.toml, else ``.mlops`` in
        the nearest folder with a pyproject.toml or ``.git``, else ``.mlops`` in the current folder.

    Examples
    --------
    >>> Path(locate()).is_absolute()
    True
    """
    configured = os.environ.get(VARIABLE)
    try:
        here = os.getcwd()
    except OSError as error:
        if configured and _is_absolute(configured):
            return configured
        raise StoreError(
            "The current folder no longer exists, so there is no telling which store is meant. "
            f"Change to an existing folder, or set {VARIABLE} to an absolute path or a URL."
        ) from error
    known = _located.get((here, configured))
    if known is None:
        known = configured or _from_project(Path(here)) or str(_project_root(Path(here)) / DEFAULT_FOLDER)
        with _lock:
            _located[here, configured] = known
    return known


def backend_for(url: str | os.PathLike[str]) -> Backend:
    """Make the backend for an address.

    Parameters
    ----------
    url : str or path
        A path, ``file://``, ``memory://`` or a remote address; see `mlops_kit.store.connect.remote`.

    Returns
    -------
    Backend
        Nothing is read or written yet.

    Raises
    ------
    InvalidInput
        The address is incomplete, holds a password, or has an unknown scheme.
    StoreError
        The extra that the scheme needs is not installed.

    Examples
    --------
    >>> backend_for("memory://doc").url
    'memory://doc'
    """
    text = address_of(url)
    if not text.strip() or "\0" in text:
        raise InvalidInput(f"{text!r} is not the address of a store: give a folder or a URL.")
    scheme, separator, rest = text.partition("://")
    if not separator:
        return LocalBackend(_absolute(text))
    if scheme == "memory":
        return MemoryBackend(rest.strip("/"))
    if scheme == "file":
        parts = urlsplit(text)
        if parts.netloc not in {"", "localhost"} or not parts.path:
            raise InvalidInput(f"{text!r} names another host: a file:// address is file:///absolute/path.")
        return LocalBackend(_absolute(parts.path))
    from mlops_kit.store.connect import remote  # noqa: PLC0415 - most stores are folders

    return remote(text)


def address_of(url: object) -> str:
    """Read an address as users pass it.

    Raises
    ------
    InvalidInput
        It is neither text nor a path.

    Examples
    --------
    >>> address_of(Path("here"))
    'here'
    """
    if isinstance(url, str | bytes | os.PathLike):
        return os.fsdecode(url)
    raise InvalidInput(f"{url!r} is not the address of a store: give a folder, a URL or a Store.")


def _absolute(path: str) -> Path:
    """Make a path absolute and free of links, so that one store has one address."""
    full = expanded(path)
    if full is None:
        raise InvalidInput(f"{path!r} begins with the home folder of a user who has none. Give an absolute path.")
    try:
        return Path(os.path.realpath(full))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path!r} cannot be the folder of a store: {error}.") from error


def _is_absolute(address: str) -> bool:
    return "://" in address or os.path.isabs(address)


def _from_project(here: Path) -> str | None:
    """Read the store of the nearest pyproject.toml; a relative one is relative to that file."""
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            store = _setting(path)
            return None if store is None else store if _is_absolute(store) else str(folder / store)
    return None


def _setting(path: Path) -> str | None:
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # a broken pyproject.toml is not ours to report, and names no store
    tool = table.get("tool", {})
    store = tool.get("mlops_kit", {}).get("store") if isinstance(tool, dict) else None
    if store is None:
        return None
    if not isinstance(store, str) or not store.strip():
        raise InvalidInput(f"[tool.mlops_kit] store in {path} must be a path or a URL, not {store!r}.")
    return store


def _project_root(here: Path) -> Path:
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return folder
    return here
