"""How the weight of a bet is shared out over the unknown starts of a change."""

from __future__ import annotations

from typing import Any

import numpy as np

PACE = 30
"""How slowly the weights of later starts fall, in steps."""


def prior(step: Any, pace: int = PACE) -> Any:
    """Return the weight that is left for changes after a step, or after each of several: 1/log₂(2 + t/pace).

    With a pace of 1 nearly all of it would be spent on the first few steps, and a shift of 0.2 standard deviations at
    row 20,000 would take about 90 rows more. What has begun with a pace goes on with it, as the weights of two paces
    together add up to more than 1.

    Examples
    --------
    >>> float(prior(0)), float(prior(60)), float(prior(14, pace=1))
    (1.0, 0.5, 0.25)
    """
    return 1.0 / np.log2(np.divide(step, pace) + 2.0)
