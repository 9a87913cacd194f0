"""Two models compared on the same rows: whether one is better, or not worse, with a stated confidence.

Both questions are one-sided tests of paired predictions. Where each row is right or wrong under both models
(accuracy, recall, specificity): the exact test of McNemar (1947) on the rows that only one has right; with a margin,
the score test of Tango (1998) with a correction for continuity. Everything else: a bootstrap that draws the same rows
for both models, stratified by class where a metric needs the classes, with percentiles expanded for few rows
(Hesterberg 2015); with over 50,000 rows, what that comes to (see `mlops_kit.measures.jackknife`). Where rows come in
groups, the jackknife that leaves out one group at a time (see `mlops_kit.measures.clusters`).

Imported only once predictions are at hand, so numpy and scipy may be imported at the top.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from mlops_kit.errors import InvalidInput
from mlops_kit.measures import clusters, jackknife
from mlops_kit.measures.intervals import REPLICATES, replicated, smallest
from mlops_kit.measures.metric import Metric
from mlops_kit.measures.metrics import metric
from mlops_kit.measures.predicted import BINARY, REGRESSION, Floats, Predicted
from mlops_kit.records.measurement import Comparison

SUPERIORITY, NON_INFERIORITY = "superiority", "non-inferiority"


def mcnemar(wins: int, losses: int) -> tuple[float, float]:
    """Test exactly whether one of two paired shares is higher (McNemar 1947), one-sided.

    Parameters
    ----------
    wins, losses : int
        The rows that only the first, and only the second, has right.

    Returns
    -------
    p_value : float
        The chance of at least so many wins if both were equally likely: half of the two-sided value, or less.
    mid_p : float
        Likewise, the observed number counting half (Fagerland, Lydersen and Laake 2013): less conservative, and
        not guaranteed.

    Examples
    --------
    >>> p_value, mid_p = mcnemar(7, 1)
    >>> round(2 * p_value, 4), round(2 * mid_p, 4)
    (0.0703, 0.0391)
    """
    if wins + losses == 0:
        return 1.0, 1.0
    p_value = float(stats.binom.sf(wins - 1, wins + losses, 0.5))
    return p_value, p_value - float(stats.binom.pmf(wins, wins + losses, 0.5)) / 2


def tango(wins: int, losses: int, rows: int, difference: float, *, correction: float = 0.0) -> float:
    """Score a hypothetical difference of two paired shares (Tango 1998).

    Parameters
    ----------
    wins, losses, rows : int
        The rows that only the first, and only the second, has right, and all rows.
    difference : float
        The hypothesis: first less second, between -1 and 1.
    correction : float
        How many rows are taken from the excess for continuity. With 1 the share of errors stays below the level: at
        5 %, it is at most 4.6 % for 50 to 1000 rows and any number of wins and losses, as the exact distribution
        shows; without, it is up to 6.7 %.

    Returns
    -------
    float
        Standard normal if the hypothesis is true; positive if the shares differ by more than that.

    Examples
    --------
    >>> round(tango(1, 7, 21, 0.0), 4)  # without a difference it is the root of McNemar's chi squared
    -2.1213
    """
    a = 2 * rows
    b = -wins - losses + (2 * rows - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = rows * (2 * share + difference * (1 - difference))
    excess = wins - losses - rows * difference - correction
    if variance <= 0:
        return math.copysign(math.inf, excess) if excess else 0.0
    return excess / math.sqrt(variance)


def tango_bound(wins: int, losses: int, rows: int, confidence: float, *, correction: float = 0.0) -> float:
    """Give the least difference of two paired shares that is not refuted by Tango's score, one-sided.

    Parameters
    ----------
    wins, losses, rows, correction : int and float
        As for `tango`.
    confidence : float
        Of the bound on one side.

    Returns
    -------
    float
        The lower confidence bound of first less second.

    Examples
    --------
    >>> round(tango_bound(1, 7, 21, 0.975), 3), round(-tango_bound(7, 1, 21, 0.975), 3)
    (-0.517, -0.026)
    """
    z = float(special.ndtri(confidence))
    found = (wins - losses) / rows

    def short(difference: float) -> float:
        return tango(wins, losses, rows, difference, correction=correction) - z

    least = -1 + 1e-12
    return -1.0 if found <= least or short(least) <= 0 else float(optimize.brentq(short, least, found, xtol=1e-10))


def superiority(
    name: str | Metric | Callable[..., Any],
    candidate: Predicted,
    champion: Predicted,
    *,
    margin: float = 0.0,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Ask whether a candidate is better than a champion, by more than a margin.

    Parameters
    ----------
    name : str, Metric or callable
        By what.
    candidate, champion : Predicted
        Their predictions for the same rows.
    margin : float
        By how much it must be better, in the unit of the metric.
    confidence : float
        One-sided: a candidate that is not better by more than the margin passes in at most ``1 - confidence`` of all
        samples of rows.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Comparison
        The answer with both values, the bound of their difference, and the p-value.

    Raises
    ------
    InvalidInput
        The rows of the two are not the same, or there is no such metric, margin or confidence.

    Examples
    --------
    >>> truth = [0, 1] * 50
    >>> better = Predicted.of(truth, truth)
    >>> worse = Predicted.of(truth, [1] * 10 + truth[10:])
    >>> found = superiority("accuracy", better, worse)
    >>> found.holds, found.wins, found.losses, round(found.difference, 3), found.p_value
    (True, 5, 0, 0.05, 0.03125)
    """
    return _compare(name, candidate, champion, SUPERIORITY, margin, confidence, seed)


def non_inferiority(
    name: str | Metric | Callable[..., Any],
    candidate: Predicted,
    champion: Predicted,
    *,
    margin: float = 0.0,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Ask whether a candidate is not worse than a champion, by a margin or more.

    Without a margin only a candidate that is significantly better, or never worse in any sample, can be shown not
    to be worse: choose the loss that would not matter.

    Parameters
    ----------
    name : str, Metric or callable
        By what.
    candidate, champion : Predicted
        Their predictions for the same rows.
    margin : float
        How much worse it may be, in the unit of the metric.
    confidence : float
        One-sided: a candidate that is worse by the margin passes in at most ``1 - confidence`` of all samples of rows.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Comparison
        The answer with both values, the bound of their difference, and the p-value.

    Raises
    ------
    InvalidInput
        The rows of the two are not the same, or there is no such metric, margin or confidence.

    Examples
    --------
    >>> truth = [0.0, 1.5, 2.5, 4.0] * 10
    >>> told = Predicted.of(truth, [value + 0.5 for value in truth])
    >>> non_inferiority("mae", told, told).holds
    True
    """
    return _compare(name, candidate, champion, NON_INFERIORITY, margin, confidence, seed)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, with the sign that makes higher values good."""

    chosen: Metric
    confidence: float
    border: float
    strict: bool
    seed: int

    @property
    def sign(self) -> float:
        return 1.0 if self.chosen.greater_is_better else -1.0


def _compare(
    name: str | Metric | Callable[..., Any],
    candidate: Predicted,
    champion: Predicted,
    question: str,
    margin: float,
    confidence: float,
    seed: int,
) -> Comparison:
    chosen = metric(name)
    check_levels(margin, confidence)
    _check_rows(candidate, champion)
    told, before = chosen.value(candidate), chosen.value(champion)
    nothing = Comparison(
        *(chosen.name, told, before, told - before, None, margin, question, confidence, 1.0, False, candidate.n, "")
    )
    for who, given in (("candidate", candidate), ("champion", champion)):
        if (why := chosen.undefined(given)) is not None:
            return replace(nothing, undefined=f"{who}: {why}")
    strict = question == SUPERIORITY
    asked = _Question(chosen, confidence, margin if strict else -margin, strict, seed)
    if candidate.groups is not None:
        return _by_groups(asked, candidate, champion, nothing)
    shares = _shared_rows(chosen, candidate, champion)
    return _by_shares(asked, *shares, nothing) if shares else _by_bootstrap(asked, candidate, champion, nothing)


def check_levels(margin: float, confidence: float) -> None:
    """Refuse a margin or a confidence that is none.

    Parameters
    ----------
    margin, confidence : float
        As for `superiority`.

    Raises
    ------
    InvalidInput
        The margin is below 0 or no number, or the confidence is below one half or not below 1.
    """
    if not margin >= 0 or not math.isfinite(margin):
        raise InvalidInput(f"margin={margin!r} must be a number of at least 0, in the unit of the metric.")
    if not 0.5 <= confidence < 1:  # noqa: PLR2004 - less than one half would be confidence in the contrary
        raise InvalidInput(f"confidence={confidence!r} must be at least 0.5 and below 1.")


def _check_rows(candidate: Predicted, champion: Predicted) -> None:
    same = candidate.task == champion.task and candidate.n == champion.n
    same = same and (candidate.groups is None) == (champion.groups is None)
    if same and candidate.task == BINARY:
        same = candidate.classes[1] == champion.classes[1]
    if not same or not _same_truth(candidate, champion):
        raise InvalidInput("Two models can be compared only on the same rows, with the same truth and positive class.")


def _same_truth(candidate: Predicted, champion: Predicted) -> bool:
    if candidate.task == REGRESSION:
        return np.array_equal(candidate.truth, champion.truth, equal_nan=True)
    numbers = {value: number for number, value in enumerate(candidate.classes)}
    table = np.array([*(numbers.get(value, -2) for value in champion.classes), -1])
    return np.array_equal(candidate.truth, table[champion.truth])


def _shared_rows(chosen: Metric, candidate: Predicted, champion: Predicted) -> tuple[Floats, Floats] | None:
    """Give the hits of both on the rows that count for both, if that is all the metric is made of."""
    if not chosen.proportion or candidate.weights is not None:
        return None
    one, other = chosen.per_row(candidate), chosen.per_row(champion)
    if one is None or other is None or not np.array_equal(one[1], other[1]):
        return None
    return one[0][one[1]], other[0][other[1]]


def _by_shares(asked: _Question, told: Floats, before: Floats, found: Comparison) -> Comparison:
    wins, losses, n = int(np.sum(told > before)), int(np.sum(told < before)), len(told)
    bound = tango_bound(wins, losses, n, asked.confidence, correction=1)
    found = replace(found, bound=bound, n=n, wins=wins, losses=losses)
    if asked.border == 0:
        p_value, mid_p = mcnemar(wins, losses)
        if not asked.strict and losses == 0:
            p_value = mid_p = 0.0  # it is right wherever the champion is: there is nothing to be worse in
        return replace(
            found, p_value=p_value, mid_p=mid_p, holds=p_value <= 1 - asked.confidence, method="mcnemar-exact"
        )
    p_value = float(special.ndtr(-tango(wins, losses, n, asked.border, correction=1)))
    return replace(found, p_value=p_value, holds=p_value <= 1 - asked.confidence, method="tango")


def _by_groups(asked: _Question, candidate: Predicted, champion: Predicted, found: Comparison) -> Comparison:
    spread = clusters.spread(asked.chosen, (candidate, champion))
    if isinstance(spread, str):
        return replace(found, undefined=spread)
    gain = asked.sign * found.difference
    p_value = spread.share_beyond(gain, asked.border, strict=asked.strict)
    return replace(
        found,
        bound=asked.sign * (gain - spread.quantile(asked.confidence)),
        p_value=p_value,
        holds=p_value <= 1 - asked.confidence,
        method="cluster-jackknife",
        groups=spread.groups,
    )


def _by_bootstrap(asked: _Question, candidate: Predicted, champion: Predicted, found: Comparison) -> Comparison:
    strata = asked.chosen.strata(candidate)
    fewest = smallest(candidate.n, strata)
    if fewest < 2:  # noqa: PLR2004 - nothing varies in a single row
        return replace(found, undefined="a single row, or a class of one, tells nothing of how values vary")
    pair = asked.chosen.on(candidate), asked.chosen.on(champion)
    told, before = (jackknife.influence(formula, candidate.n, candidate.weights) for formula in pair)
    if told is not None and before is not None:
        error = jackknife.standard_error(told - before, strata)
        if error is not None:
            return _by_jackknife(asked, error, fewest, found)
    values = replicated(
        pair,
        candidate.n,
        weights=candidate.weights,
        seed=asked.seed,
        strata=strata,
        replicates=asked.chosen.samples,
    )
    gains = np.nan_to_num(asked.sign * (values[0] - values[1]), nan=-np.inf)  # a sample without a value counts against
    short = int(np.sum(gains <= asked.border if asked.strict else gains < asked.border))
    worst = _samples_short(asked.confidence, len(gains), fewest)
    bound = None if worst < 0 else float(np.partition(gains, worst)[worst])
    return replace(
        found,
        bound=None if bound is None else asked.sign * bound,
        p_value=float(bootstrap_p(short, len(gains), fewest)),
        holds=short <= worst,
        method="paired-bootstrap",
    )


def _by_jackknife(asked: _Question, error: float, fewest: int, found: Comparison) -> Comparison:
    """Decide as a bootstrap does on average, whose samples spread as a normal distribution with this error."""
    gain, most = asked.sign * found.difference, jackknife.share_short(asked.confidence, fewest)
    short = _share_beyond(asked, gain, error)
    bound = None if most is None else gain + error * float(special.ndtri(most))
    p_value = float(bootstrap_p(np.asarray(REPLICATES * short), REPLICATES, fewest))
    return replace(
        found,
        bound=None if bound is None else asked.sign * bound,
        p_value=p_value,
        holds=p_value <= 1 - asked.confidence,
        method="paired-jackknife",
    )


def _share_beyond(asked: _Question, gain: float, error: float) -> float:
    """Give the share of samples that fall short."""
    if error == 0:
        return float(gain <= asked.border if asked.strict else gain < asked.border)
    return float(special.ndtr((asked.border - gain) / error))


def bootstrap_p(short: int | NDArray[Any], samples: int, rows: int) -> NDArray[np.float64]:
    """Give the p-value of a share of bootstrap samples, on the safe side of two things.

    Which samples were drawn is luck: the share is taken at its upper 95 % limit (Clopper and Pearson), so that no
    candidate passes by its seed. And a percentile bootstrap is too narrow for few rows: see `intervals.expanded`,
    whose inverse this applies.

    Parameters
    ----------
    short : int or array
        The samples in which the candidate falls short; their mean, if they were not drawn.
    samples : int
        All samples.
    rows : int
        The rows drawn from, of the smallest stratum; at least 2.

    Returns
    -------
    array of float
        The p-values.

    Examples
    --------
    >>> float(bootstrap_p(80, 2000, 1000).round(4)), float(bootstrap_p(80, 2000, 20).round(4))
    (0.0482, 0.0606)
    """
    limit = np.where(
        short < np.asarray(samples), special.betaincinv(np.add(short, 1), samples - np.asarray(short), 0.95), 1.0
    )
    return np.asarray(special.stdtr(rows - 1, math.sqrt((rows - 1) / rows) * special.ndtri(limit)))


def _samples_short(confidence: float, samples: int, rows: int) -> int:
    """Tell in how many samples a candidate may fall short; -1 if there is no such number."""
    p_values = bootstrap_p(np.arange(samples), samples, rows)
    return int(np.searchsorted(p_values, 1 - confidence, side="right")) - 1
