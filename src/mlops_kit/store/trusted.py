"""The user's list of what they trust: read and changed in ``trust.json`` among their settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_kit.errors import InvalidInput, NewerFormat
from mlops_kit.records.trust import StoreTrust, trusted_in
from mlops_kit.store import settings

_FORMAT = 1


def path() -> Path | None:
    """Locate the list."""
    return settings.path_of("trust.json")


def listed() -> dict[str, StoreTrust]:
    """Read the whole list.

    Returns
    -------
    dict of str to StoreTrust
        By the address of the store.

    Raises
    ------
    ExposedFile
        Others may write it, so it says nothing about the user.
    """
    return _decoded(settings.read(path()))


def trusted_of(url: str) -> StoreTrust:
    """Tell what is trusted in a store: what is listed of it and of the folders above it."""
    return trusted_in(listed().items(), url)


def edit(url: str, act: Callable[[StoreTrust], StoreTrust]) -> StoreTrust:
    """Change what is listed of a store; what is left without any trust leaves the list.

    Parameters
    ----------
    url : str
        Its address.
    act : callable
        Takes what is listed of this very address and gives what shall be.

    Returns
    -------
    StoreTrust
        What is listed now.
    """
    made: list[StoreTrust] = []

    def edited(data: bytes | None) -> bytes:
        stores = _decoded(data)
        made[:] = [act(stores.pop(url, StoreTrust()))]
        if made[0] != StoreTrust():
            stores[url] = made[0]
        members = {"format": _FORMAT, "stores": {known: stores[known].members() for known in sorted(stores)}}
        return json.dumps(members, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"

    settings.change(path(), edited)
    return made[0]


def _decoded(data: bytes | None) -> dict[str, StoreTrust]:
    if data is None:
        return {}
    try:
        members: dict[str, Any] = json.loads(data)
        if members["format"] != _FORMAT:
            raise NewerFormat(f"{path()} is of format {members['format']}; this release reads {_FORMAT}. Upgrade it.")
        return {str(url): StoreTrust.read(said) for url, said in members["stores"].items()}
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidInput(
            f"{path()} cannot be read as a list of trusted stores: {error!r}. Mend it, or remove it to trust nothing."
        ) from error
