"""The clock of a writer beside that of its store: one that is far ahead must not date what others ask the past for.

A local folder and a store in memory have no clock of their own: their files are dated by this machine.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mlops_kit.errors import ClockAhead
from mlops_kit.store.backend import Backend

AHEAD = timedelta(minutes=5)
"""How far a clock may be off without anybody being told."""


def lead(now: datetime, backend: Backend) -> timedelta:
    """Return how far this machine's clock is ahead of the store's, which is asked at most every ten minutes."""
    return timedelta(seconds=now.timestamp() - backend.now())


def corrected(now: datetime, backend: Backend) -> datetime:
    """Return this machine's time, or the store's where the two are far apart."""
    off = lead(now, backend)
    return now - off if abs(off) > AHEAD else now


def is_ahead(at: datetime, by: float) -> bool:
    """Return whether a moment is far ahead of another, in Unix seconds.

    Examples
    --------
    >>> from datetime import UTC
    >>> is_ahead(datetime(1970, 1, 1, 0, 5, 1, tzinfo=UTC), 0.0), is_ahead(datetime(1970, 1, 1, 0, 5, tzinfo=UTC), 0.0)
    (True, False)
    """
    return at.timestamp() - by > AHEAD.total_seconds()


def refuse_if_ahead(now: datetime, backend: Backend) -> None:
    """Refuse to promote by a clock that is far ahead of the store's.

    Raises
    ------
    ClockAhead
        It is; the message says by how much.
    """
    off = lead(now, backend)
    if off > AHEAD:
        raise ClockAhead(
            f"{told(off)} ahead of that of the store {backend.url}, so a promotion is refused: nobody could tell later "
            "what was live when. Set the clock, such as by `timedatectl set-ntp true`, and promote again."
        )


def told(off: timedelta) -> str:
    """Begin a sentence that tells how far this machine's clock is off."""
    return f"The clock of this machine is {timedelta(seconds=round(off.total_seconds()))}"
