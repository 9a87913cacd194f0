"""What may be decided of a version, given what its journal says. Pure: a state in, an entry's kind and body out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mlops_kit.errors import (
    AliasNotFound,
    AliasRetired,
    Frozen,
    GateRequired,
    InvalidInput,
    InvalidName,
    StillLive,
    VersionNotFound,
)
from mlops_kit.masking import quoted
from mlops_kit.records import versions
from mlops_kit.records.names import LATEST, check_name, folder
from mlops_kit.store.journal import Decision, State

_SHOWN = 80


def refuse_if_frozen(state: State) -> None:
    """Refuse to promote while promotions are frozen.

    Raises
    ------
    Frozen
        They are; the message says by whom, since when and why.
    """
    frozen = state.get("frozen")
    if frozen is not None:
        name = state["name"]
        raise Frozen(
            f"Promotions of {name!r} were frozen by {frozen['actor']} at {frozen['at']}: {frozen['reason']}. "
            f"Ask them, or lift it with models.unfreeze({name!r}). A rollback is possible all the same."
        )


def refuse_if_removed(state: State, version: int) -> None:
    """Refuse to point an alias at a version that is archived or deleted.

    Raises
    ------
    VersionNotFound
        It is.
    """
    if version in state["removed"]:
        how = "deleted" if version in state.get("deleted", ()) else "archived"
        raise VersionNotFound(
            f"The version {state['name']}:{version} was {how}, and cannot be promoted. Register the model again if "
            "it is needed after all."
        )


def refuse_if_twin(state: State, alias: str) -> None:
    """Refuse an alias that differs only in case from one that there is: what is a twin would be taken for the other.

    Raises
    ------
    InvalidName
        It does.
    """
    known = versions.spelled(state, alias)
    if known is not None and known != alias:
        raise InvalidName(
            f"The alias {alias!r} differs only in case from {known!r}, which {state['name']!r} has: write {known!r}."
        )


def retirement(state: State, alias: str, reason: str | None) -> Decision:
    """Decide to take an alias out of service.

    Parameters
    ----------
    state : dict
        What the journal says.
    alias : str
        Which.
    reason : str or None
        Why.

    Returns
    -------
    Decision
        The entry to write.

    Raises
    ------
    AliasNotFound
        It points nowhere.
    AliasRetired
        It was retired already.
    """
    refuse_if_twin(state, alias)
    live = versions.target(state, alias)
    if live is None:
        if alias in state.get("retired", {}):
            raise AliasRetired(versions.retired_text(state["name"], alias, state["retired"][alias]))
        there = ", ".join(sorted(name for name, standing in state["aliases"].items() if standing))
        raise AliasNotFound(
            f"{state['name']!r} has no alias {alias!r} to retire. "
            + (f"There is {there}." if there else "It has none.")
        )
    return "retire", filled({"alias": alias, "previous": live, "reason": reason})


def requirement(
    state: State, alias: str, current: Mapping[str, Any] | None, changed: Mapping[str, Any], actor: str
) -> Decision:
    """Decide to require a gate of an alias, another one, or none any more.

    Parameters
    ----------
    state : dict
        What the journal says.
    alias : str
        The alias.
    current : mapping or None
        What is required now.
    changed : mapping
        ``gate``, ``owners`` and ``reason``; members that are None are left out.
    actor : str
        Who asks.

    Returns
    -------
    Decision
        The entry to write.

    Raises
    ------
    GateRequired
        It is not this actor's to change.
    InvalidInput
        Nothing is required, so there is nothing to lift.
    """
    refuse_if_twin(state, alias)
    owners = list((current or {}).get("owners", ()))
    if owners and actor.casefold() not in {owner.casefold() for owner in owners}:
        raise GateRequired(
            f"The gate that {state['name']}@{alias} needs may be changed by {', '.join(owners)}, and you are {actor}: "
            "ask them."
        )
    if changed.get("gate") is None and current is None:
        raise InvalidInput(f"{state['name']}@{alias} needs no gate: there is nothing to lift.")
    kept = {"owners": owners or None} if changed.get("gate") is not None else {}
    return "require", filled({"alias": alias, **kept, **filled(changed)})


def removal(state: State, act: str, version: int, reason: str | None) -> Decision:
    """Decide to archive or delete a version.

    Parameters
    ----------
    state : dict
        What the journal says.
    act : str
        ``"archive"`` or ``"delete"``.
    version : int
        Which.
    reason : str or None
        Why.

    Returns
    -------
    Decision
        The entry to write.

    Raises
    ------
    StillLive
        An alias points to it.
    VersionNotFound
        It was deleted already.
    """
    _refuse_if_deleted(state, version)
    live = versions.aliases_of(state, version)
    if live:
        name = state["name"]
        raise StillLive(
            f"{name}:{version} is live as {', '.join(live)}, and cannot be {act}d. Promote another version there "
            f"first: models.promote('{name}:…', {live[0]!r}); or take it out of service: models.retire({name!r}, "
            f"{live[0]!r})."
        )
    return act, filled({"version": version, "reason": reason})


def remark(state: State, act: str, version: int, body: Mapping[str, Any]) -> Decision:
    """Decide to say something of a version: approve, reject, tag or describe it.

    Parameters
    ----------
    state : dict
        What the journal says.
    act : str
        The kind of entry.
    version : int
        Which version.
    body : mapping
        What is said; members that are None are left out.

    Returns
    -------
    Decision
        The entry to write.

    Raises
    ------
    VersionNotFound
        The version was deleted.
    """
    _refuse_if_deleted(state, version)
    return act, filled({"version": version, **body})


def filled(members: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the members that are None.

    Examples
    --------
    >>> filled({"version": 1, "reason": None})
    {'version': 1}
    """
    return {name: value for name, value in members.items() if value is not None}


def card_members(card: object) -> dict[str, Any]:
    """Read what a user says for a model card: texts, or lists of texts, by heading.

    Raises
    ------
    InvalidInput
        It is no mapping of that kind.

    Examples
    --------
    >>> card_members({"intended_use": "Rank claims for review.", "limits": ("Not for minors.",), "owner": None})
    {'intended_use': 'Rank claims for review.', 'limits': ['Not for minors.'], 'owner': None}
    """
    if not isinstance(card, Mapping):
        raise InvalidInput(f"card={card!r} is not a mapping of headings to texts.")
    made: dict[str, Any] = {}
    for heading, said in card.items():
        if not isinstance(heading, str) or not heading.strip():
            raise InvalidInput(f"{heading!r} cannot be a heading of a card: a heading is text.")
        if said is None or isinstance(said, str):
            made[heading] = said
        elif isinstance(said, list | tuple) and all(isinstance(item, str) for item in said):
            made[heading] = list(said)
        else:
            raise InvalidInput(f"The card says under {heading!r} neither a text nor a list of texts: {quoted(said)}.")
    return made


def tag_members(tags: Iterable[tuple[object, object]]) -> dict[str, str | None]:
    """Read tags: texts by name, None for one to take away.

    Raises
    ------
    InvalidInput
        There are none, or one has no name.
    """
    made: dict[str, str | None] = {}
    for name, value in tags:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput(f"{_short(name)} cannot name a tag: a tag has a text as its name, such as 'team'.")
        made[name] = None if value is None else str(value)
    if not made:
        raise InvalidInput("There is nothing to tag: give at least one tag, as in models.tag(spec, team='risk').")
    return made


def text(given: object, what: str = "reason") -> str:
    """Accept what a user says in words.

    Raises
    ------
    InvalidInput
        It is no text: what it would be turned into is kept for ever, and read as somebody's words.

    Examples
    --------
    >>> text("worse on Mondays")
    'worse on Mondays'
    """
    if not isinstance(given, str):
        raise InvalidInput(f"{what}={_short(given)} is not text: say it in words, as in {what}='worse on Mondays'.")
    return str(given)


def text_or_none(given: object, what: str = "reason") -> str | None:
    """Accept what a user says in words, or that nothing is said; raise as `text` does."""
    return None if given is None else text(given, what)


def _short(given: object) -> str:
    shown = repr(given)
    return shown if len(shown) <= _SHOWN else f"(a {type(given).__name__})"


def _refuse_if_deleted(state: State, version: int) -> None:
    if version in state.get("deleted", ()):
        raise VersionNotFound(f"The version {state['name']}:{version} was deleted.")


def name_and_alias(name: str, alias: str, act: str) -> tuple[str, str]:
    """Accept a name and an alias, and answer a spec in the place of a name with both."""
    if re.fullmatch(r"[\w.-]{1,120}[@:][\w.-]{1,120}", str(name)):
        bare, given = re.split("[@:]", name, maxsplit=1)
        raise InvalidName(f"{name!r} cannot name a model: {act} takes name and alias, as in ({bare!r}, {given!r}).")
    return name, movable(alias)


def movable(alias: str) -> str:
    """Accept an alias that can be moved; raise as `check_name` does."""
    alias = check_name(alias, what="alias")
    if folder(alias) == LATEST:
        raise InvalidInput(f"The alias {LATEST!r} always points to the newest version and cannot be moved.")
    return alias
