"""The stores in folders that this user made, and where: noted in ``stores.json`` among the user's settings.

The id of a store alone proves nothing, for every copy has it. So the real path is noted with it, before the store
is made.
"""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

from mlops_kit.errors import InvalidInput, MlopsKitError, NewerFormat
from mlops_kit.store import settings

_FORMAT = 1

_here: set[tuple[str, str]] = set()
"""Stores that this very process made, or its parent before a fork."""
_failures: dict[str, str] = {}
"""Why a store could not be noted, by its path."""


def note(store_id: str, path: str) -> None:
    """Note a store that is about to be made; where nothing can be noted, it is made all the same.

    Parameters
    ----------
    store_id : str
        Its id.
    path : str
        The real path of its folder.
    """
    _here.add((store_id, path))
    try:
        settings.change(settings.path_of("stores.json"), lambda data: _with(data, store_id, path))
    except MlopsKitError as error:
        _failures[path] = str(error)
    else:
        _failures.pop(path, None)


def why_not(store_id: str | None, path: str) -> str | None:
    """Return why a store is not known as one that this user made where it lies; None if it is.

    Parameters
    ----------
    store_id : str or None
        Its id; None if it has no record of its own.
    path : str
        The real path of its folder.
    """
    if store_id is not None and (store_id, path) in _here:
        return None
    try:
        noted = _decoded(settings.read(settings.path_of("stores.json")))
    except MlopsKitError as error:
        return f"it cannot be seen whether you made the store here: {error}"
    paths = noted.get(str(store_id), [])
    if path in paths:
        return None
    if paths:
        return f"the store was made here as {paths[-1]}, and this is {path}; if you moved it, trust it by name"
    if path in _failures or not _is_writable():
        reason = _failures.get(path, "your settings cannot be written")
        return f"it is not noted that you made the store here ({reason})"
    return (
        "it is not noted that you made the store here: it came from elsewhere, or you made it in another environment "
        "or with an earlier release"
    )


def _is_writable() -> bool:
    """Return whether a note could be kept."""
    place = settings.path_of("stores.json")
    if place is None:
        return False
    folder = next(each for each in place.parents if os.path.exists(each))
    return os.path.isdir(folder) and os.access(folder, os.W_OK)


def _with(data: bytes | None, store_id: str, path: str) -> bytes:
    """Add a store, and drop those whose folders are gone."""
    noted = _decoded(data)
    kept = {known: [each for each in paths if os.path.isdir(each)] for known, paths in noted.items()}
    kept[store_id] = [*kept.get(store_id, []), path]
    members = {"format": _FORMAT, "stores": {known: paths for known, paths in kept.items() if paths}}
    return json.dumps(members, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a path may not be a {type(value).__name__}")
    return value


def _decoded(data: bytes | None) -> dict[str, list[str]]:
    if data is None:
        return {}
    place = settings.path_of("stores.json")
    try:
        members: dict[str, Any] = json.loads(data)
        if members["format"] != _FORMAT:
            raise NewerFormat(f"{place} is of format {members['format']}; this release reads {_FORMAT}. Upgrade it.")
        return {str(known): list(map(_text, paths)) for known, paths in members["stores"].items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(
            f"{place} cannot be read as a list of stores: {error!r}. Remove it, and trust your stores by name: "
            f"mlops-kit trust add {shlex.quote('URL')}"
        ) from error
