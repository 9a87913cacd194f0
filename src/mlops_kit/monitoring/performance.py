"""Harm, not mere change: two tests of whether the losses of a model became worse, at any time, for life.

*Worse than allowed* bets against a mean loss above what the reference had, plus a tolerance. *Worse than before*
bets that the next losses are higher than the pool of all losses so far, the reference included. Both are products
of bets that a healthy model loses on average. Of the first, by Ville's inequality, the probability of ever exceeding
``1 / share`` is proved to be within its share of the false-alarm budget; of the second, whose steps share a pool, that
is proved at each fixed time, and for a whole life checked by simulation, as of `mlops_kit.monitoring.evidence`.

References: Podkopaev & Ramdas, *Tracking the risk of a deployed model and detecting harmful distribution shifts*
(arXiv:2110.06177); Shin, Ramdas & Rinaldo, *E-detectors* (arXiv:2203.03532); Hoeffding (1963), *Probability
inequalities for sums of bounded random variables*, Theorem 4, for sampling without replacement; Clopper & Pearson
(1934); Maurer & Pontil, *Empirical Bernstein bounds and sample variance penalization* (arXiv:0907.3740).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_kit.monitoring.cohorts import Cohorts
from mlops_kit.monitoring.starts import PACE, prior

Losses: TypeAlias = npt.NDArray[np.float64]

ALLOWED_STAKES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
"""What is staked on the next loss, as shares of the limit that it is held against."""
POOLED_RATIOS = (1.1, 1.25, 1.5, 2.0, 3.0)
"""By how much the loss is bet to have grown."""
STEP = 100
"""Rows of a step in a stream where losses are frequent."""
RARE_STEP = 10
"""Rows of a step in a stream of rare rows, such as actual frauds."""
_DELTA = 0.01
_DELTA_SHARE = 0.4
_POOLED_PART = 0.75  # the test that finds a change sooner spends more
_BY_ARRIVAL, _BY_DAY = math.log(0.6), math.log(0.4)


@dataclass(frozen=True, slots=True)
class Summary:
    """What is kept of a set of losses in [0, 1].

    Parameters
    ----------
    n : int
        How many.
    total : float
        Their sum.
    squares : float
        The sum of their squares.

    Examples
    --------
    >>> Summary.of(np.array([0.0, 1.0, 1.0])).mean
    0.6666666666666666
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, losses: Losses) -> Summary:
        """Sum up losses."""
        return cls(len(losses), float(losses.sum()), float(np.square(losses).sum()))

    @property
    def mean(self) -> float:
        """Their mean; not a number if there are none."""
        return self.total / self.n if self.n else math.nan

    @property
    def binary(self) -> bool:
        """Whether each of them can only have been 0 or 1."""
        return self.total == self.squares

    def __add__(self, other: Summary) -> Summary:
        return Summary(self.n + other.n, self.total + other.total, self.squares + other.squares)


def upper_bound(reference: Summary, delta: float) -> float:
    """Bound the mean that losses come from, from above.

    Parameters
    ----------
    reference : Summary
        Losses in [0, 1]: of Clopper and Pearson if all are 0 or 1, else the empirical Bernstein bound.
    delta : float
        The probability that the true mean is higher all the same.

    Returns
    -------
    float
        At most 1; 1 if there are no losses to tell from.

    Examples
    --------
    >>> round(upper_bound(Summary(100, 10.0, 10.0), 0.01), 3)
    0.191
    """
    n, total = reference.n, reference.total
    if n < 2:  # noqa: PLR2004 - a spread takes two
        return 1.0
    if reference.binary:
        from scipy.special import betaincinv  # noqa: PLC0415 - scipy takes long to load, and few calls need it

        return 1.0 if total >= n else float(betaincinv(total + 1, n - total, 1 - delta))
    variance = max(0.0, (reference.squares - total * total / n) / (n - 1))
    log = math.log(2 / delta)
    return min(1.0, total / n + math.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1)))


@dataclass(frozen=True, slots=True)
class Harm:
    """Whether the losses of one stream became worse: both tests, as far as they have come.

    Parameters
    ----------
    share : float
        What this stream may spend of the probability of a false alarm, for life.
    step : int
        Rows between possible starts of a change in the pooled test: `STEP`, or `RARE_STEP`.
    allowed : float or None
        The mean loss that is allowed; None if no reference says.
    pool : Summary
        All losses so far, those of the reference included.
    current : Summary
        Those after the reference.
    open : Summary
        Those of the last step, which is not complete.
    allowed_logs, pooled_logs : tuple of float
        The logarithm of what each bet has won.
    evidence_allowed, evidence_pooled : float
        Log evidence now.
    rises : tuple of float
        For each bet the log evidence for a rise that goes on still.
    onsets : tuple of int
        After how many losses it began.
    risen_n, risen_total : tuple of int and of float
        How many losses there were in whole steps since then, and their sum.
    cohorts : Cohorts or None
        Where labels come late: the second test by days of prediction, which is averaged with that by arrival.
    evidence_cohorts : float
        Its log evidence now.
    crossed : int or None
        After how many losses one of the tests first crossed its limit.
    pace : int
        How slowly the weights of later starts of a change fall, see `prior`; one that has begun keeps its own.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> before = Summary.of((rng.random(5000) < 0.1).astype(float))
    >>> harm = Harm.begin(before, share=0.025).after((rng.random(2000) < 0.1).astype(float))
    >>> harm.crossed is None
    True
    >>> worse = harm.after((rng.random(3000) < 0.16).astype(float))
    >>> worse.crossed is not None and worse.crossed > 2000
    True
    """

    share: float
    step: int = STEP
    allowed: float | None = None
    pool: Summary = Summary()
    current: Summary = Summary()
    open: Summary = Summary()
    allowed_logs: tuple[float, ...] = ()
    pooled_logs: tuple[float, ...] = ()
    evidence_allowed: float = 0.0
    evidence_pooled: float = 0.0
    rises: tuple[float, ...] = (0.0,) * len(POOLED_RATIOS)
    onsets: tuple[int, ...] = (0,) * len(POOLED_RATIOS)
    risen_n: tuple[int, ...] = (0,) * len(POOLED_RATIOS)
    risen_total: tuple[float, ...] = (0.0,) * len(POOLED_RATIOS)
    cohorts: Cohorts | None = None
    evidence_cohorts: float = 0.0
    crossed: int | None = None
    pace: int = PACE

    @classmethod
    def begin(
        cls,
        reference: Summary,
        *,
        share: float,
        tolerance: float | None = None,
        step: int = STEP,
        pooled: bool = True,
        by_day: bool = False,
    ) -> Harm:
        """Begin before the first loss.

        Parameters
        ----------
        reference : Summary
            The losses of the reference; with none of them, only the pooled test can run.
        share : float
            What this stream may spend of the probability of a false alarm.
        tolerance : float, optional
            By how much the mean loss may exceed that of the reference. With a tolerance, a change within it is
            no alarm, so only the first test runs, with the whole share.
        step : int
            `STEP`, or `RARE_STEP` for a stream of rare rows.
        pooled : bool
            Whether the second test runs, where no tolerance forbids it.
        by_day : bool
            Whether losses come in another order than that of their predictions, so that it also runs by their days.

        Returns
        -------
        Harm
            Both tests before the first loss.
        """
        both = pooled and not tolerance
        of_allowed = share * (1 - _POOLED_PART) if both else share
        bound = upper_bound(reference, delta_of(of_allowed)) + (tolerance or 0.0)
        return cls(
            share=share,
            step=step,
            allowed=bound if bound < 1.0 else None,
            pool=reference,
            allowed_logs=(-math.inf,) * len(ALLOWED_STAKES) if bound < 1.0 else (),
            pooled_logs=(-math.inf,) * len(POOLED_RATIOS) if both else (),
            cohorts=Cohorts() if both and by_day else None,
        )

    @property
    def limit_allowed(self) -> float:
        """The log evidence at which the first test alarms."""
        share = self.share * (1 - _POOLED_PART) if self.pooled_logs else self.share
        return -math.log(share - delta_of(share))

    @property
    def limit_pooled(self) -> float:
        """The log evidence at which the second test alarms."""
        return -math.log(self.share * _POOLED_PART)

    @property
    def evidence_before(self) -> float:
        """The log evidence of the second test now: where it runs twice, the average of both."""
        if self.cohorts is None:
            return self.evidence_pooled
        return float(np.logaddexp(self.evidence_pooled + _BY_ARRIVAL, self.evidence_cohorts + _BY_DAY))

    @property
    def margin(self) -> float:
        """By how much the stronger test exceeds its limit, as a logarithm; below 0 there is no alarm."""
        margins = [-math.inf]
        if self.allowed_logs:
            margins.append(self.evidence_allowed - self.limit_allowed)
        if self.pooled_logs:
            margins.append(self.evidence_before - self.limit_pooled)
        return max(margins)

    @property
    def onset(self) -> int:
        """After how many losses the present rise began, as the bet tells that sees it best."""
        return self.onsets[self._best]

    @property
    def day(self) -> int | None:
        """The day of prediction from which on losses are higher; None if their order tells more."""
        days = self.cohorts
        return days.day if days is not None and len(days.days) > 1 and days.best >= max(self.rises) else None

    @property
    def lately(self) -> float:
        """The mean loss since then; not a number before the first loss."""
        if self.cohorts is not None and self.day is not None:
            return self.cohorts.lately
        n = self.risen_n[self._best] + self.open.n
        return (self.risen_total[self._best] + self.open.total) / n if n else math.nan

    @property
    def _best(self) -> int:
        """Return the bet that sees the rise best, the step included that is not complete."""
        share = (self.pool + self.open).mean if self.open.n else 0.0
        lost = [self.open.n * math.log1p(share * (ratio - 1)) for ratio in POOLED_RATIOS]
        won = [self.open.total * math.log(ratio) - gone for ratio, gone in zip(POOLED_RATIOS, lost, strict=True)]
        whole = [rise + more for rise, more in zip(self.rises, won, strict=True)]
        return whole.index(max(whole))

    @property
    def can_tell(self) -> bool:
        """Whether any of the tests runs."""
        return bool(self.allowed_logs or self.pooled_logs)

    def after(self, losses: Losses, days: npt.NDArray[np.int64] | None = None) -> Harm:
        """Go on with more losses.

        Parameters
        ----------
        losses : array of float
            In [0, 1], in an order that does not depend on their values.
        days : array of int, optional
            When each was predicted, in days.

        Returns
        -------
        Harm
            The tests after these; feeding losses in parts gives the same as feeding them at once, but for steps by day.
        """
        if not len(losses):
            return self
        losses = np.asarray(losses, dtype=np.float64)
        seen = self.current.n
        harm, over_allowed = _allowed(self, losses)
        harm, over_cohorts = _by_day(harm, losses, days)
        harm, over_pooled = _pooled(harm, losses)
        over = len(losses) if harm.pooled_logs and harm.evidence_before >= harm.limit_pooled else None
        crossed = [seen + row for row in (over_allowed, over_pooled, over_cohorts, over) if row is not None]
        if harm.crossed is None and crossed:
            harm = replace(harm, crossed=min(crossed))
        return replace(harm, current=self.current + Summary.of(losses))

    def plain(self) -> dict[str, Any]:
        """Give the state as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Harm:
        """Read what `plain` gave."""
        summaries = {name: Summary(**state[name]) for name in ("pool", "current", "open")}
        rows = {name: tuple(value) for name, value in state.items() if isinstance(value, list | tuple)}
        by_day = state.get("cohorts")
        return cls(
            **{"pace": 1, **state, **rows, **summaries, "cohorts": None if by_day is None else Cohorts.of(by_day)}
        )


def delta_of(share: float) -> float:
    """Give the part of a share that is spent on the bound of the reference: .01, or less if the share is small."""
    return min(_DELTA, _DELTA_SHARE * share)


def compounded(
    before: npt.NDArray[np.float64], won: npt.NDArray[np.float64], started: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Compound bets over unknown starts: A_t = E_t (A_{t−1} + w_t), in logarithms.

    Parameters
    ----------
    before : array, shape (bets,)
        log A before.
    won : array, shape (steps, bets)
        log E of each step.
    started : array, shape (steps,)
        The weight w of the starts before each step.

    Returns
    -------
    array, shape (steps, bets)
        log A after each step.
    """
    with np.errstate(divide="ignore"):
        weights = np.log(started)
    after = np.cumsum(won, axis=0)
    until = np.vstack([np.zeros_like(before), after[:-1]])
    joined = np.vstack([before, weights[:, None] - until])
    return np.asarray(after + np.logaddexp.accumulate(joined, axis=0)[1:])


def _mean(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.logaddexp.reduce(logs, axis=1) - math.log(logs.shape[1]))


def _first(over: npt.NDArray[np.bool_]) -> int | None:
    """Count the steps up to and with the first that is over."""
    return int(over.argmax()) + 1 if over.any() else None


def _risen(harm: Harm, won: npt.NDArray[np.float64], totals: npt.NDArray[np.float64], first: int) -> Harm:
    """Follow for each bet the highest sum of its logs that ends now (Page's CUSUM), and the losses since it began."""
    rises, onsets, counts, sums = [], [], [], []
    for bet, rise in enumerate(harm.rises):
        path = np.r_[rise, rise + np.cumsum(won[:, bet])]
        low = int(len(path) - 1 - path[::-1].argmin())
        goes_on = path[low] > 0.0
        rises.append(float(path[-1] - (0.0 if goes_on else path[low])))
        onsets.append(harm.onsets[bet] if goes_on else (first + low) * harm.step)
        counts.append(harm.risen_n[bet] + harm.step * len(totals) if goes_on else harm.step * (len(totals) - low))
        sums.append(harm.risen_total[bet] + float(totals.sum()) if goes_on else float(totals[low:].sum()))
    return replace(harm, rises=tuple(rises), onsets=tuple(onsets), risen_n=tuple(counts), risen_total=tuple(sums))


def _allowed(harm: Harm, losses: Losses) -> tuple[Harm, int | None]:
    """Bet 1 + λ(loss − m₀) on each loss; a change may begin before every step, or every row of a rare stream."""
    if harm.allowed is None:
        return harm, None
    starts = STEP if harm.step == STEP else 1
    rows = np.arange(harm.current.n, harm.current.n + len(losses))
    stakes = np.array(ALLOWED_STAKES) / harm.allowed
    won = np.log1p(np.multiply.outer(losses - harm.allowed, stakes))
    started = np.where(rows % starts == 0, prior(rows // starts, harm.pace) - prior(rows // starts + 1, harm.pace), 0.0)
    logs = compounded(np.array(harm.allowed_logs), won, started)
    path = np.logaddexp(_mean(logs), np.log(prior(rows // starts + 1, harm.pace)))
    harm = replace(harm, allowed_logs=tuple(logs[-1].tolist()), evidence_allowed=float(path[-1]))
    return harm, _first(path >= harm.limit_allowed)


def _by_day(harm: Harm, losses: Losses, days: npt.NDArray[np.int64] | None) -> tuple[Harm, int | None]:
    """Bet on the losses of predictions since each day, whenever their labels arrive."""
    if harm.cohorts is None or days is None:
        return harm, None
    before, ratios = harm.pool + harm.open, np.array(POOLED_RATIOS)
    cohorts, path = harm.cohorts.after(losses, days, pool=(before.n, before.total), ratios=ratios, step=harm.step)
    over = _first(path + _BY_DAY >= harm.limit_pooled)  # the average is at least its part of either
    harm = replace(harm, cohorts=cohorts, evidence_cohorts=float(path[-1]))
    return harm, None if over is None else min(over * harm.step, len(losses))


def _pooled(harm: Harm, losses: Losses) -> tuple[Harm, int | None]:
    """Bet rᔆ/(1 + p̂(r − 1))ⁿ on each complete step, p̂ being the mean of the pool with the step in it."""
    ends = np.arange(harm.step - harm.open.n, len(losses) + 1, harm.step)
    if not len(ends):
        held = Summary.of(losses)
        return replace(harm, open=harm.open + held), None
    sums = np.add.reduceat(losses[: ends[-1]], np.r_[0, ends[:-1]])
    sums[0] += harm.open.total
    squares = np.add.reduceat(np.square(losses[: ends[-1]]), np.r_[0, ends[:-1]])
    squares[0] += harm.open.squares
    counts = harm.pool.n + harm.step * np.arange(1, len(ends) + 1)
    shares = (harm.pool.total + np.cumsum(sums)) / counts
    ratios = np.array(POOLED_RATIOS)
    won = np.multiply.outer(sums, np.log(ratios)) - harm.step * np.log1p(np.multiply.outer(shares, ratios - 1))
    pool = harm.pool + Summary(harm.step * len(ends), float(sums.sum()), float(squares.sum()))
    first = (harm.current.n - harm.open.n) // harm.step
    rest = Summary.of(losses[ends[-1] :])
    harm = replace(_risen(harm, won, sums, first), pool=pool, open=rest)
    if not harm.pooled_logs:
        return harm, None
    steps = first + np.arange(len(ends))
    logs = compounded(np.array(harm.pooled_logs), won, prior(steps, harm.pace) - prior(steps + 1, harm.pace))
    path = np.logaddexp(_mean(logs), np.log(prior(steps + 1, harm.pace)))
    over = _first(path + (0.0 if harm.cohorts is None else _BY_ARRIVAL) >= harm.limit_pooled)
    harm = replace(harm, pooled_logs=tuple(logs[-1].tolist()), evidence_pooled=float(path[-1]))
    return harm, None if over is None else int(ends[over - 1])
