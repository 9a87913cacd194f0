"""What a journal of versions says: the fold of its entries, as plain JSON.

The state of a name holds ``name`` as first spelled, ``versions`` (the number of the entry that made each, by
version), ``removed`` (versions archived or deleted) and ``aliases`` (for each, the versions whose promotions
stand, oldest first; the last is the one it points to).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlops_kit.errors import NothingToRollBack
from mlops_kit.records.entry import Entry

_MAKES_VERSION = frozenset({"register", "snapshot"})
_REMOVES_VERSION = frozenset({"archive", "delete"})
_MOVES_ALIAS = frozenset({"promote", "rollback"})


def fold(state: dict[str, Any], entry: Entry) -> None:
    """Change a state as an entry says; kinds that this release does not know change nothing.

    Parameters
    ----------
    state : dict
        The state before, changed in place.
    entry : Entry
        The next entry.
    """
    body = entry.body
    if entry.kind == "create":
        state.update({"name": body["name"], "versions": [], "removed": [], "aliases": {}})
    elif entry.kind in _MAKES_VERSION:
        state["versions"].append(entry.seq)
        state["identity"] = body.get("identity")
    elif entry.kind in _REMOVES_VERSION:
        state["removed"] = sorted({*state["removed"], body["version"]})
    elif entry.kind == "promote":
        standing = state["aliases"].setdefault(body["alias"], [])
        if standing[-1:] != [body["version"]]:
            standing.append(body["version"])
    elif entry.kind == "rollback":
        state["aliases"][body["alias"]].pop()


def makes(entry: Entry, version: int) -> bool:
    """Tell whether an entry is the one that made a version."""
    return entry.kind in _MAKES_VERSION and bool(entry.body.get("version") == version)


def latest(state: dict[str, Any]) -> int | None:
    """Give the highest version that is neither archived nor deleted."""
    removed = set(state["removed"])
    return next((version for version in range(len(state["versions"]), 0, -1) if version not in removed), None)


def target(state: dict[str, Any], alias: str) -> int | None:
    """Give the version an alias points to, or None if it points nowhere."""
    standing = state["aliases"].get(alias)
    return standing[-1] if standing else None


def before(state: dict[str, Any], alias: str) -> tuple[int, int]:
    """Give the version an alias points to and the one that a rollback would restore.

    Raises
    ------
    NothingToRollBack
        No earlier promotion stands.
    """
    standing = state["aliases"].get(alias, [])
    if len(standing) < 2:  # noqa: PLR2004 - one to leave and one to return to
        now = f"it points to version {standing[0]}, its first" if standing else "it was never promoted"
        raise NothingToRollBack(
            f"The alias {alias!r} of {state['name']!r} has no earlier promotion to return to: {now}. "
            f"Promote another version instead."
        )
    return standing[-1], standing[-2]


def alias_in(entries: Iterable[Entry], alias: str) -> int | None:
    """Give the version an alias pointed to after the newest of some entries.

    Parameters
    ----------
    entries : iterable of Entry
        Newest first.
    alias : str
        The alias.

    Returns
    -------
    int or None
        The version; None if the alias was never moved.
    """
    moves = (entry for entry in entries if entry.kind in _MOVES_ALIAS and entry.body["alias"] == alias)
    return next((entry.body["version"] for entry in moves), None)


def latest_in(entries: Iterable[Entry]) -> int | None:
    """Give the version that was the latest after the newest of some entries, newest first."""
    removed = set()
    for entry in entries:
        if entry.kind in _REMOVES_VERSION:
            removed.add(entry.body["version"])
        elif entry.kind in _MAKES_VERSION and entry.body["version"] not in removed:
            return int(entry.body["version"])
    return None
