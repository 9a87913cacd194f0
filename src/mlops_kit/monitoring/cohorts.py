"""A rise of losses that began on some day of prediction, found among labels of many days that arrive together.

Labels that come 3 to 30 days late arrive as a mixture: weeks after a model broke, most of them are still about the days
before. A bet on all that arrives is thinned by these. Here one bet for each day of prediction is on the rows of that
day and later only, whenever their labels arrive. Which rows a bet is on depends on their days and never on their
losses, so each is as fair as a bet on all of them; so is the average over days, with weights that add up to at most 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_kit.monitoring.starts import prior

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]

_KEPT, _LATEST = 64, 32


@dataclass(frozen=True, slots=True)
class Cohorts:
    """One bet for each day of prediction from which on a model may be worse, and each ratio.

    Parameters
    ----------
    days : tuple of int
        The days, ascending, as days since 1970.
    numbers : tuple of int
        Which in the order of their appearance each is: its weight follows from that.
    logs : tuple of tuple of float
        For each day the logarithm of what each ratio has won.
    counts : tuple of int
        How many losses each day's bet is on.
    totals : tuple of float
        Their sum.
    seen : int
        How many days there ever were.

    Examples
    --------
    >>> rng, ratios = np.random.default_rng(0), np.array([1.5, 2.0])
    >>> days = rng.integers(0, 20, 2000)
    >>> losses = (rng.random(2000) < np.where(days < 12, 0.1, 0.4)).astype(float)
    >>> cohorts, path = Cohorts().after(losses, days, pool=(5000, 500.0), ratios=ratios, step=100)
    >>> bool(path[-1] > 20), abs(cohorts.day - 12) <= 1, round(cohorts.lately, 1)
    (True, True, 0.4)
    """

    days: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    logs: tuple[tuple[float, ...], ...] = ()
    counts: tuple[int, ...] = ()
    totals: tuple[float, ...] = ()
    seen: int = 0

    @property
    def best(self) -> float:
        """The logarithm of what the best bet has won; minus infinity before the first."""
        return max((max(row) for row in self.logs), default=-math.inf)

    @property
    def day(self) -> int:
        """The day from which on a rise is most plausible."""
        return self.days[self._place]

    @property
    def lately(self) -> float:
        """The mean loss of predictions since that day."""
        place = self._place
        return self.totals[place] / self.counts[place] if self.counts[place] else math.nan

    @property
    def _place(self) -> int:
        return max(range(len(self.logs)), key=lambda place: max(self.logs[place]))

    def after(
        self, losses: Floats, days: Days, *, pool: tuple[int, float], ratios: Floats, step: int
    ) -> tuple[Cohorts, Floats]:
        """Go on with losses.

        Parameters
        ----------
        losses : array of float
            In [0, 1], in an order that does not depend on their values.
        days : array of int
            When each was predicted.
        pool : tuple of (int, float)
            How many losses there were before, those of the reference included, and their sum.
        ratios : array of float
            By how much the loss is bet to have grown.
        step : int
            Rows of a step, whose mean is taken in with the pool; the last may be shorter.

        Returns
        -------
        Cohorts and array of float
            The bets after these, and the logarithm of their average after each step.
        """
        fresh = [int(day) for day in np.unique(days) if not self.days or day > self.days[-1]]
        known = np.array([*self.days, *fresh], np.int64)
        numbers = np.array([*self.numbers, *range(self.seen, self.seen + len(fresh))], np.int64)
        logs = np.array([*self.logs, *[[0.0] * len(ratios)] * len(fresh)])
        counts = np.array([*self.counts, *[0] * len(fresh)], np.int64)
        totals = np.array([*self.totals, *[0.0] * len(fresh)])
        seen = self.seen + len(fresh)
        weights = np.log(prior(numbers, 1) - prior(numbers + 1, 1))[:, None] - math.log(len(ratios))
        number, total = pool
        path = []
        for first in range(0, len(losses), step):
            part, when = losses[first : first + step], days[first : first + step]
            number, total = number + len(part), total + float(part.sum())
            since = when[None, :] >= known[:, None]
            many, worse = since.sum(axis=1), since @ part
            logs += np.outer(worse, np.log(ratios)) - np.outer(many, np.log1p(total / number * (ratios - 1)))
            counts, totals = counts + many, totals + worse
            path.append(np.logaddexp(np.logaddexp.reduce((logs + weights).ravel()), math.log(prior(seen, 1))))
        kept = _kept(logs)
        rows = tuple(tuple(row) for row in logs[kept].tolist())
        places, order, many, sums = (tuple(values[kept].tolist()) for values in (known, numbers, counts, totals))
        return Cohorts(places, order, rows, many, sums, seen), np.array(path)

    def plain(self) -> dict[str, Any]:
        """Give them as plain values."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Cohorts:
        """Read what `plain` gave."""
        rows = {name: tuple(state[name]) for name in ("days", "numbers", "counts", "totals")}
        return cls(**rows, logs=tuple(tuple(row) for row in state["logs"]), seen=state["seen"])


def _kept(logs: Floats) -> Days:
    """Choose which days are kept: the latest, and of the others those that win most; what is dropped wins nothing."""
    places = np.arange(len(logs))
    if len(places) <= _KEPT:
        return places
    older = places[:-_LATEST]
    best = older[np.argsort(-logs[older].max(axis=1), kind="stable")[: _KEPT - _LATEST]]
    return np.sort(np.concatenate([best, places[-_LATEST:]]))
