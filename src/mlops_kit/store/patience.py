"""How long a server may stay silent before it counts as one that does not answer."""

from __future__ import annotations

import math
import os

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted

VARIABLE = "MLOPS_KIT_TIMEOUT"
_ANSWER_SECONDS = 60.0
_CONNECT_SECONDS = 10.0


def answer_seconds() -> float:
    """Tell how many seconds an answer may take.

    Returns
    -------
    float
        As ``MLOPS_KIT_TIMEOUT`` says; 60 if it says nothing.

    Raises
    ------
    InvalidInput
        It says something else than a number above 0.

    Examples
    --------
    >>> answer_seconds()
    60.0
    """
    said = os.environ.get(VARIABLE, "").strip()
    if not said:
        return _ANSWER_SECONDS
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidInput(f"{VARIABLE}={quoted(said)} is not a number of seconds above 0, such as 60.")
    return seconds


def connect_seconds() -> float:
    """Tell how many seconds it may take until a server takes up at all: 10, or less if an answer may take less.

    Examples
    --------
    >>> connect_seconds()
    10.0
    """
    return min(_CONNECT_SECONDS, answer_seconds())
