"""The next version of a name, decided in its journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlops_kit.errors import InvalidName, MlopsKitError
from mlops_kit.records import versions
from mlops_kit.records.entry import Entry
from mlops_kit.store.journal import Decision, Journal, State

_CLOCKS_AGREE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What makes a second attempt at the same version find the first.

    Parameters
    ----------
    nonce : str
        Of the entry.
    by : dict
        Who writes it.
    at : datetime
        When the first attempt began.
    """

    nonce: str
    by: dict[str, str]
    at: datetime


def add_version(
    journal: Journal,
    name: str,
    act: str,
    body: Callable[[int], dict[str, Any]],
    *,
    what: str,
    attempt: Attempt,
    same: str | None = None,
    again: bool = False,
) -> Entry:
    """Make the next version of a name, and the name itself if it is new.

    Parameters
    ----------
    journal : Journal
        Of the name.
    name : str
        A checked name.
    act : str
        The kind of entry that makes a version here.
    body : callable
        Takes the version's number and gives the rest of the entry.
    what : str
        What the name is called, and where it is, for messages.
    attempt : Attempt
        Whose entry it is.
    same : str, optional
        An identity; if the latest version has it, that version is the answer and nothing is written.
    again : bool
        It may have been attempted before: look for an entry with its nonce first.

    Returns
    -------
    Entry
        The entry that made the version.

    Raises
    ------
    InvalidName
        The name differs only in case from one that exists.
    """

    def create(state: State) -> Decision:
        return None if state else ("create", {"name": name})

    found: list[int] = []

    def decide(state: State) -> Decision:
        if not state:
            raise _Vanished("The journal was removed after its name had been seen.")
        _check_spelling(name, state, what)
        number = len(state["versions"]) + 1
        if same is not None and state.get("identity") == same and versions.latest(state) == number - 1:
            found[:] = [int(state["versions"][-1])]
            return None
        return act, {"version": number, **body(number)}

    while True:
        journal.append(create)
        after = journal.last_at(attempt.at - _CLOCKS_AGREE) if again else None
        try:
            entry = journal.append(decide, nonce=attempt.nonce, by=attempt.by, after=after)
        except _Vanished:
            continue
        return entry if entry is not None else journal.entry(found[0])


class _Vanished(MlopsKitError):
    """The store was removed between two looks at it; the version is made in the one that follows it."""


def _check_spelling(name: str, state: State, what: str) -> None:
    if state["name"] != name:
        raise InvalidName(
            f"{name!r} cannot name a new {what}: {state['name']!r} exists and differs "
            "only in case, which some file systems cannot tell apart. Use that spelling, or another name."
        )
