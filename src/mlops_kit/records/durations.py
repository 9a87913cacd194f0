"""Spans of time as users write them: what ``grace=`` accepts."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias

from mlops_kit.errors import InvalidInput

Duration: TypeAlias = "str | float | timedelta"

_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def seconds_of(duration: Duration) -> float:
    """Read a span of time.

    Parameters
    ----------
    duration : str, float or timedelta
        Seconds, or text such as ``"30d"``: a number and one of s, m, h, d, w.

    Returns
    -------
    float
        Seconds, not negative.

    Raises
    ------
    InvalidInput
        It is none of these.

    Examples
    --------
    >>> seconds_of("2h"), seconds_of(90), seconds_of(timedelta(days=1))
    (7200.0, 90.0, 86400.0)
    """
    seconds = math.nan
    given: object = duration
    if isinstance(given, timedelta):
        seconds = given.total_seconds()
    elif isinstance(given, str):
        match = _TEXT.fullmatch(given)
        if match is not None:
            seconds = float(match[1]) * _SECONDS[match[2]]
    elif isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given)
    if not 0 <= seconds < math.inf:
        raise InvalidInput(
            f"{duration!r} is not a span of time: pass seconds, a timedelta, or text such as '30d', '12h' or '90s'."
        )
    return seconds
