"""Moments as users write them: what ``as_of=`` and ``since=`` accept."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TypeAlias

from mlops_kit.errors import InvalidInput

AsOf: TypeAlias = str | date | datetime


def as_of_moment(as_of: AsOf, *, name: str = "as_of", day: time = time.max) -> datetime:
    """Read a moment in the past.

    Parameters
    ----------
    as_of : str, date or datetime
        ISO 8601. A bare date means the end of that day in UTC; a time without a zone is in UTC.
    name : str
        What the argument is called, for the messages.
    day : time
        What a bare date means.

    Returns
    -------
    datetime
        Aware, in UTC; what was written at that very moment counts.

    Raises
    ------
    InvalidInput
        It is none of these.

    Examples
    --------
    >>> as_of_moment("2026-05-01").isoformat()
    '2026-05-01T23:59:59.999999+00:00'
    >>> as_of_moment("2026-05-01T12:00+02:00").isoformat()
    '2026-05-01T10:00:00+00:00'
    """
    moment = as_of
    if isinstance(moment, str):
        try:
            moment = (
                date.fromisoformat(moment)
                if len(moment.strip()) <= len("2026-05-01")
                else datetime.fromisoformat(moment)
            )
        except ValueError as error:
            raise InvalidInput(
                f"{name}={as_of!r} is not a date or time: write '2026-05-01' or '2026-05-01T12:30:00+02:00'."
            ) from error
    if isinstance(moment, datetime):
        try:
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except OverflowError as error:
            raise InvalidInput(f"{name}={as_of!r} is before the year 1 or after the year 9999 in UTC.") from error
    if isinstance(moment, date):
        return datetime.combine(moment, day, UTC)
    raise InvalidInput(f"{name}={as_of!r} is not a date or time: pass text in ISO 8601, a date or a datetime.")
