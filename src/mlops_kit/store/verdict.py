"""Whether an object may run code here, decided from facts alone: nothing is read or written here."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Who may change a file or folder, as the system says of it while it is open.

    Parameters
    ----------
    path : str
        Where it is, for the message.
    owner, group : int
        Numbers of its user and group.
    mode : int
        Its kind and permissions.
    has_list : bool
        It has an access list, so that the bits of the group do not speak of its group alone.
    """

    path: str
    owner: int
    group: int
    mode: int
    has_list: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """Who asks.

    Parameters
    ----------
    number : int
        Of the user.
    group : int or None
        The group that has this user as its only member, if there is one.
    """

    number: int
    group: int | None = None


def exposure(places: Iterable[Place], user: User) -> str | None:
    """Return who else may have written a file, from the file and all folders above it; None if nobody.

    Examples
    --------
    >>> exposure([Place("/", 0, 0, 0o40755), Place("/tmp", 0, 0, 0o41777), Place("/tmp/x", 7, 7, 0o40775)], User(7, 7))
    >>> exposure([Place("/srv", 0, 0, 0o40777)], User(7))
    'others may write to /srv (mode 777)'
    """
    return next((why for place in places if (why := _exposure(place, user)) is not None), None)


def _exposure(place: Place, user: User) -> str | None:
    if place.owner not in {user.number, 0}:
        return f"{place.path} belongs to user {place.owner} (mode {stat.S_IMODE(place.mode):o})"
    if stat.S_ISDIR(place.mode) and place.mode & stat.S_ISVTX:  # there, each may only replace what is their own
        return None
    if place.mode & stat.S_IWOTH:
        return f"others may write to {place.path} (mode {stat.S_IMODE(place.mode):o})"
    if place.mode & stat.S_IWGRP and (place.has_list or place.group != user.group):
        return f"group {place.group} may write to {place.path} (mode {stat.S_IMODE(place.mode):o})"
    return None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an object when it is to be loaded.

    Parameters
    ----------
    pickled_here : bool
        This very process made its bytes from an object, or its parent before a fork.
    allowed : bool
        The caller passed its digest.
    listed : bool
        The user trusts the store by its name.
    exposed : str or None
        Who else may have written the object or a record that names it, or that nobody can tell; None if nobody.
    unmade : str or None
        Why the store is not known as one that this user made where it lies; None if it is.
    """

    pickled_here: bool = False
    allowed: bool = False
    listed: bool = False
    exposed: str | None = None
    unmade: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an object may run code here.

    Parameters
    ----------
    trusted : bool
        Whether it may.
    why : str
        Why not.
    """

    trusted: bool
    why: str = ""


def decide(facts: Facts) -> Verdict:
    """Decide from facts.

    Examples
    --------
    >>> decide(Facts(unmade="it was copied here"))
    Verdict(trusted=False, why='it was copied here')
    >>> decide(Facts(unmade="it was copied here", listed=True)).trusted
    True
    """
    if facts.pickled_here or facts.allowed or facts.listed:
        return Verdict(trusted=True)
    if facts.exposed is not None:
        return Verdict(trusted=False, why=f"somebody else could have written it: {facts.exposed}")
    if facts.unmade is not None:
        return Verdict(trusted=False, why=facts.unmade)
    return Verdict(trusted=True)
