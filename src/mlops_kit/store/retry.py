"""When to try a failed request again: a pure decision, so that its tests need not wait."""

from __future__ import annotations

ATTEMPTS = 6
PATIENCE_SECONDS = 60.0
_FIRST_SECONDS = 0.25
_LONGEST_SECONDS = 8.0
_FIRST_REQUESTS, _MOST_REQUESTS = 128.0, 512.0
_DOUBLINGS = 8


def pause(failures: int, elapsed: float, fraction: float) -> float | None:
    """Decide how long to wait before the next attempt.

    Parameters
    ----------
    failures : int
        Attempts that have failed so far, at least 1.
    elapsed : float
        Seconds since the first attempt began.
    fraction : float
        A random number from 0 to 1. The whole pause is random ("full jitter"), because writers that were
        refused together must not come back together.

    Returns
    -------
    float or None
        Seconds, from a range that doubles with each failure; None when it is time to give up.

    Examples
    --------
    >>> [pause(failures, 0.0, 1.0) for failures in (1, 2, 3, 4, 5, 6)]
    [0.25, 0.5, 1.0, 2.0, 4.0, None]
    >>> pause(1, 61.0, 1.0) is None
    True
    """
    if failures >= ATTEMPTS or elapsed > PATIENCE_SECONDS:
        return None
    return fraction * min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** (failures - 1))


def turn(losses: int, request: float, fraction: float) -> float:
    """Decide how long a writer waits who lost the race for the next entry of a journal, over a network.

    Parameters
    ----------
    losses : int
        Races that were lost one after the other, at least 1.
    request : float
        Seconds that a request takes there.
    fraction : float
        A random number from 0 to 1.

    Returns
    -------
    float
        Seconds, from a range of 128 requests that grows to 512 and is never above eight seconds. Sixteen writers that
        begin at once so need about nine calls for each entry, and five or six if they go on; two no more than four.

    Examples
    --------
    >>> [round(turn(losses, 0.01, 1.0), 2) for losses in (1, 2, 3, 9)], turn(3, 1.0, 0.5)
    ([1.28, 5.12, 5.12, 5.12], 4.0)
    """
    requests = min(_MOST_REQUESTS, _FIRST_REQUESTS * 4.0 ** min(losses - 1, _DOUBLINGS))
    return fraction * min(_LONGEST_SECONDS, request * requests)
