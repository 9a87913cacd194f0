"""When to try a failed request again: a pure decision, so that its tests need not wait."""

from __future__ import annotations

ATTEMPTS = 6
PATIENCE_SECONDS = 60.0
_FIRST_SECONDS = 0.25
_LONGEST_SECONDS = 8.0


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
