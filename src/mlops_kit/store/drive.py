"""What a provider of remote storage must offer, and the kinds of trouble it can be in."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import ClassVar, Protocol

from mlops_kit.store.backend import Found

SINGLE_WRITER = "single-writer"


class Trouble(enum.Enum):
    """Why a request failed, as far as it decides what to do next; the value is the reason as users read it."""

    ABSENT = "it is not there"
    TAKEN = "the provider reports a conflict with what is there"
    BUSY = "the provider did not answer as it should"
    UNREACHABLE = "the provider cannot be reached"
    NO_PLACE = "there is no such bucket, container or folder"
    CREDENTIALS = "there are no credentials, or the provider does not accept them"
    EXPIRED = "the credentials have expired"
    DENIED = "these credentials have no permission for it"
    IDENTITY = "the server could not prove who it is"
    UNSUPPORTED = "this provider cannot do that"
    OTHER = "the provider refused"


PASSING = frozenset({Trouble.TAKEN, Trouble.BUSY, Trouble.UNREACHABLE})
"""What may be gone at the next attempt. After it nobody knows whether a write took place: go and look."""


@dataclass(frozen=True, slots=True)
class Page:
    """One part of a listing.

    Parameters
    ----------
    found : list of Found
        Values, with keys relative to the store.
    folders : list of str
        Names of folders directly below the prefix, if only those were asked for.
    token : str or None
        Asks for the next page; None at the end.
    """

    found: list[Found]
    folders: list[str]
    token: str | None


class Drive(Protocol):
    """The requests of one provider, each sent once: `RemoteBackend` decides about retries and meanings.

    A drive connects at its first request, belongs to one process, and may be used by many threads. It lets the
    exceptions of its provider pass, and `judge` tells what they mean.
    """

    means: ClassVar[str]
    """How put-if-absent is done, as ``capabilities`` names it; ``SINGLE_WRITER`` if it cannot be."""

    remedies: ClassVar[dict[Trouble, str]]
    """What a user can do about a trouble here."""

    def read(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Read a value, or its bytes from `begin` to before `end`, as far as there are any."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Write a value whole or not at all, over what is there."""
        ...

    def write_new(self, key: str, data: bytes) -> None:
        """Write a value whole, unless there is one."""
        ...

    def remove(self, key: str) -> None:
        """Remove a value."""
        ...

    def look(self, key: str) -> Found:
        """Tell size and time of a value."""
        ...

    def refresh(self, key: str) -> None:
        """Give a value the present time of the provider's clock."""
        ...

    def page(self, prefix: str, token: str | None, *, deep: bool) -> Page:
        """List a part of the values at any depth below a folder, or of the folders directly below it."""
        ...

    def clock(self) -> float:
        """Tell the provider's time in Unix seconds."""
        ...

    def judge(self, error: Exception) -> Trouble:
        """Tell what an exception of this provider means."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def by_status(status: int) -> Trouble:
    """Judge an HTTP status.

    Parameters
    ----------
    status : int
        400 or above.

    Returns
    -------
    Trouble
        What it means where the provider tells no more.

    Examples
    --------
    >>> by_status(412), by_status(503)
    (<Trouble.TAKEN: 'the provider reports a conflict with what is there'>, <Trouble.BUSY: 'the provider did not \
answer as it should'>)
    """
    return _STATUSES.get(status, Trouble.OTHER)


_STATUSES = {
    **dict.fromkeys((408, 425, 429, 500, 502, 503, 504), Trouble.BUSY),
    **dict.fromkeys((409, 412), Trouble.TAKEN),
    **dict.fromkeys((405, 501), Trouble.UNSUPPORTED),
    401: Trouble.CREDENTIALS,
    403: Trouble.DENIED,
    404: Trouble.ABSENT,
}


def http_time(date: str) -> float:
    """Read the ``Date`` header of a response.

    Parameters
    ----------
    date : str
        Whole seconds, in the form of RFC 9110.

    Returns
    -------
    float
        Unix seconds, at the middle of the second that the header names.

    Examples
    --------
    >>> http_time("Thu, 01 Jan 1970 00:01:00 GMT")
    60.5
    """
    return parsedate_to_datetime(date).timestamp() + 0.5
