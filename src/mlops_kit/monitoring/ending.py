"""The end of an alert of performance: a test of its own of whether losses that became worse are so no longer.

From the alarm on, each step bets that the mean loss is below a limit c that the alarm fixed: with
E = Π(1 + λ(c − loss)/(1 − c)), A_t = E_t (A_{t−1} + w_t), averaged over λ. While the mean is at least c the average
exceeds 20 with a probability of at most .05. With c between what was before and what is now, an end is found within
some hundred rows, also where losses come back to exactly what they were.

Labels that say that all is well may come sooner than the others. Where losses are judged as labels arrive, a day of
prediction therefore enters as a whole, once nearly all of it is labelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_kit.monitoring.performance import RARE_STEP, Harm, Summary
from mlops_kit.monitoring.starts import prior

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]

STAKES = np.array([0.025, 0.05, 0.1, 0.2, 0.4, 0.8])
ENOUGH = 0.95
"""The share of a day's predictions that must be labelled."""
_ENDS = math.log(20)
_STEP, _RARE_STEP = 50, 10


@dataclass(frozen=True, slots=True)
class Ending:
    """How far the test has come.

    Parameters
    ----------
    limit : float
        The mean loss c below which it must be shown to be.
    step : int
        Rows of a step, where rows are judged in the order of their predictions.
    first : int or None
        The first day of prediction that counts, where they are judged as labels arrive; None otherwise.
    logs : tuple of float
        log A for each stake.
    steps : int
        How many steps there were.
    open : tuple of float
        Rows, sum of losses and log E of the step that is not complete.
    waiting : dict of str to list
        The same of each day that is not complete, and the sum of its losses.
    entered : tuple of int
        The days that were complete.
    n, total : int and float
        The losses of the steps since the loss became better, as far as can be told, and their sum.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ending = Ending.at(before=0.2, worst=0.48, allowed=0.22, rare=False, day=None)
    >>> ending.after((rng.random(2000) < 0.48).astype(float)).ended
    False
    >>> ending.after((rng.random(1500) < 0.2).astype(float)).ended
    True
    """

    limit: float
    step: int
    first: int | None = None
    logs: tuple[float, ...] = (-math.inf,) * len(STAKES)
    steps: int = 0
    open: tuple[float, ...] = (0.0,) * (len(STAKES) + 2)
    waiting: dict[str, list[float]] | None = None
    entered: tuple[int, ...] = ()
    n: int = 0
    total: float = 0.0

    @classmethod
    def at(cls, *, before: float, worst: float, allowed: float | None, rare: bool, day: int | None) -> Ending:
        """Begin at an alarm.

        Parameters
        ----------
        before, worst : float
            The mean loss of the reference, and from the onset of the rise to the alarm.
        allowed : float or None
            The mean loss that is allowed.
        rare : bool
            Whether the stream is one of rare rows.
        day : int or None
            The last day of prediction that led to the alarm, where losses are judged as labels arrive.
        """
        quarter = before + (worst - before) / 4
        limit = min((before + worst) / 2, quarter if allowed is None else max(allowed, quarter))
        return cls(limit, _RARE_STEP if rare else _STEP, None if day is None else day + 1)

    @property
    def mean(self) -> float | None:
        """The mean loss since it became better."""
        return self.total / self.n if self.n else None

    @property
    def ended(self) -> bool:
        """Whether the losses are shown to be below the limit."""
        return float(np.logaddexp.reduce(self.logs)) - math.log(len(STAKES)) >= _ENDS

    def after(
        self, losses: Floats, days: Days | None = None, complete: Callable[[int], bool] = lambda _day: True
    ) -> Ending:
        """Go on with losses, up to the end.

        Parameters
        ----------
        losses : array of float
            In [0, 1].
        days : array of int, optional
            When each was predicted.
        complete : callable
            Whether nearly all of a day is labelled.
        """
        won = np.log1p(np.multiply.outer(self.limit - losses, STAKES) / (1 - self.limit))
        if self.first is None or days is None:
            return self._in_order(losses, won)
        waiting = {day: list(values) for day, values in (self.waiting or {}).items()}
        for day in np.unique(days).tolist():
            if day >= self.first and day not in self.entered:
                mine = days == day
                values = [float(mine.sum()), *won[mine].sum(axis=0).tolist(), float(losses[mine].sum())]
                held = waiting.get(str(day), [0.0] * len(values))
                waiting[str(day)] = [a + b for a, b in zip(held, values, strict=True)]
        found = replace(self, waiting=waiting)
        for day in sorted(map(int, waiting)):
            if complete(day) and not found.ended:
                rows, *logs, total = waiting.pop(str(day))
                found = replace(found.entered_with(np.array(logs), int(rows), total), entered=(*found.entered, day))
        return found

    def _in_order(self, losses: Floats, won: Floats) -> Ending:
        found, start = self, 0
        while not found.ended and start < len(losses):
            stop = min(len(losses), start + self.step - int(found.open[0]))
            logs = np.array(found.open[2:]) + won[start:stop].sum(axis=0)
            rows, total = found.open[0] + stop - start, found.open[1] + float(losses[start:stop].sum())
            if rows == self.step:
                found = replace(found.entered_with(logs, self.step, total), open=(0.0,) * len(self.open))
            else:
                found = replace(found, open=(rows, total, *logs.tolist()))
            start = stop
        return found

    def entered_with(self, logs: Floats, rows: int, total: float) -> Ending:
        """Return the test after a step that won so much."""
        start = float(prior(self.steps, 1) - prior(self.steps + 1, 1))
        after = np.logaddexp(self.logs, math.log(start)) + logs
        if np.logaddexp.reduce(self.logs) > math.log(
            start * len(STAKES)
        ):  # what was won before outweighs a new beginning
            rows, total = rows + self.n, total + self.total
        return replace(self, logs=tuple(after.tolist()), steps=self.steps + 1, n=rows, total=total)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Ending:
        """Read what `plain` wrote."""
        rows = {name: tuple(value) for name, value in state.items() if isinstance(value, list | tuple)}
        return cls(**{**state, **rows})


@dataclass(frozen=True, slots=True)
class Run:
    """Which of a stream's tests runs: after each alarm that ended another one begins, with less to spend.

    Parameters
    ----------
    reference : Summary
        The losses of the reference.
    share : float
        What all runs together may spend of the probability of a false alarm.
    step : int
        Rows of a step of the tests.
    number : int
        From 1; run k has the fraction 6/(π²k²) of the share.
    seen : int
        How many losses earlier runs were on.
    ending : Ending or None
        Whether the alarm of this run is over.
    past : tuple or None
        Of the last alarm that ended: since when, until when, the mean loss between them, the mean since, and the limit
        that it is shown to be below.
    """

    reference: Summary
    share: float
    step: int
    number: int = 1
    seen: int = 0
    ending: Ending | None = None
    past: tuple[Any, ...] | None = None

    def begin(self, tolerance: float | None, *, by_day: bool) -> Harm:
        """Begin the tests before the first loss."""
        share = self.share * 6 / (math.pi * self.number) ** 2
        return Harm.begin(self.reference, share=share, tolerance=tolerance, step=self.step, by_day=by_day)

    def alarmed(self, harm: Harm, day: int | None) -> Run:
        """Begin to look for the end of an alarm."""
        before = self.reference.mean if self.reference.n else harm.pool.mean
        worst = harm.lately if math.isfinite(harm.lately) else harm.current.mean
        rare = self.step == RARE_STEP
        ending = Ending.at(before=before, worst=worst, allowed=harm.allowed, rare=rare, day=day)
        return replace(self, ending=ending)

    def over(self, harm: Harm, found: list[Any]) -> Run:
        """Go on to the next run, where the alarm of this one is over."""
        if self.ending is None:
            raise AssertionError("an alarm that ends has begun")
        _, since, lately, until = found
        past = (since, until, lately, self.ending.mean, self.ending.limit)
        return replace(self, number=self.number + 1, seen=self.seen + harm.current.n, ending=None, past=past)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        ending = None if self.ending is None else self.ending.plain()
        return {**asdict(self), "ending": ending, "past": None if self.past is None else list(self.past)}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Run:
        """Read what `plain` wrote."""
        ending = None if state["ending"] is None else Ending.of(state["ending"])
        past = None if state["past"] is None else tuple(state["past"])
        return cls(**{**state, "reference": Summary(**state["reference"]), "ending": ending, "past": past})
