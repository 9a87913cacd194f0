"""What git looks at in a work tree, seen at a small part of its cost: enough to know that its answer still holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlops_kit.store.folders import is_regular, kind_of, read_regular

_MOST = 2000
_LONGEST = 2**16
_READ_BY_GIT = (
    "commondir",
    "HEAD",
    "index",
    "config",
    "config.worktree",
    "packed-refs",
    "shallow",
    "info/exclude",
    "info/attributes",
)
_A_TICK_NS = 50_000_000
_SUBMODULE = "160000"


def ground(top: str) -> tuple[Any, ...]:
    """Look at the files that say which commit, branch and index a work tree has.

    Parameters
    ----------
    top : str
        The folder that holds ``.git``, which is a file in a linked work tree.

    Returns
    -------
    tuple
        Equal as long as they are unchanged.
    """
    home = _git_folder(top)
    head = _text(home / "HEAD")
    common = home / (_text(home / "commondir") or ".")
    branch = [common / head.removeprefix("ref: ")] if head.startswith("ref: ") else []
    own = (home / "HEAD", home / "index", home / "logs" / "HEAD")
    shared = (*branch, common / "packed-refs", common / "config", common / "info" / "exclude")
    return head, *map(seen, own), *map(seen, shared)


def endless_in(top: str) -> str | None:
    """Return which file that git reads first is none, so that git could wait for it or read without an end."""
    home = _git_folder(top)
    common = home / (_text(home / "commondir") or ".")
    for path in dict.fromkeys(folder / name for folder in (home, common) for name in _READ_BY_GIT):
        with contextlib.suppress(OSError, ValueError):
            found = os.stat(path)
            if not is_regular(found):
                return f"{path} is {kind_of(found)}"
    return None


def index_of(top: str) -> str:
    """Give the path of a work tree's index."""
    plain = os.path.join(top, ".git", "index")
    return plain if os.path.exists(plain) else str(_git_folder(top) / "index")


def tracked(listing: bytes) -> tuple[str, ...] | None:
    r"""Read ``git ls-files --stage -z``: the files to look at, and the folders in which new ones would appear.

    Parameters
    ----------
    listing : bytes
        What git said.

    Returns
    -------
    tuple of str or None
        Paths below the top; None if they are too many to look at, or a submodule is among them.

    Examples
    --------
    >>> tracked(b"100644 <digest> 0\tlib/a.py\0")
    ('', 'lib', 'lib/a.py')
    """
    entries = [entry.partition("\t") for entry in os.fsdecode(listing).split("\0") if entry]
    if len(entries) > _MOST or any(about.startswith(_SUBMODULE) for about, _, _ in entries):
        return None
    names = {name for _, _, name in entries}
    folders = {str(folder) for name in names for folder in Path(name).parents}
    return tuple(sorted((names | folders) - {"."} | {""}))


def submodules_in(listing: bytes) -> tuple[str, ...]:
    r"""Read ``git ls-files --stage -z``: the paths of submodules.

    Parameters
    ----------
    listing : bytes
        What git said.

    Returns
    -------
    tuple of str
        Paths below the top.

    Examples
    --------
    >>> submodules_in(b"100644 <digest> 0\ta.py\x00160000 <digest> 0\tlib/b\x00")
    ('lib/b',)
    """
    entries = [entry.partition("\t") for entry in os.fsdecode(listing).split("\0") if entry]
    return tuple(name for about, _, name in entries if about.startswith(_SUBMODULE))


def looks(top: str, paths: Iterable[str]) -> tuple[Any, ...]:
    """Look at files and folders.

    Parameters
    ----------
    top : str
        Where they are.
    paths : iterable of str
        Below it.

    Returns
    -------
    tuple
        Equal as long as they are unchanged.
    """
    return tuple(seen(os.path.join(top, path)) for path in paths)


def is_settled(looked: tuple[Any, ...], now_ns: int) -> bool:
    """Tell whether another change to what was looked at would show: not if the last is of this very moment."""
    times = [one[0] for one in looked if isinstance(one, tuple)]
    return not times or max(times) < now_ns - _A_TICK_NS


def seen(path: str | Path) -> tuple[int, int, int] | None:
    """Look at one file: when it and its entry changed, and its size."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ctime_ns


def _git_folder(top: str) -> Path:
    place = Path(top) / ".git"
    told = _text(place) if place.is_file() else ""
    return Path(top) / told.removeprefix("gitdir: ") if told else place


def _text(path: Path) -> str:
    try:
        return read_regular(path, _LONGEST).decode("utf-8", "surrogateescape").strip()
    except OSError:
        return ""
