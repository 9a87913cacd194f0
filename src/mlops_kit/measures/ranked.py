"""Formulas of ranked rows: precision and recall at k, NDCG, and the median of errors.

Each takes many weightings of the same rows at once, as those of `mlops_kit.measures.formulas` do: a row that counts
twice takes two places of the ranking. Rows of equal scores share their places, as if in every order.

Imported only once predictions are at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_kit.measures import formulas
from mlops_kit.measures.formulas import Formula
from mlops_kit.measures.predicted import BINARY, RANKING, Floats, Predicted


class _Order:
    """Rows from the highest key down, rows of equal keys in one block."""

    def __init__(self, keys: Floats) -> None:
        self.order = np.argsort(-keys, kind="stable")
        descending = keys[self.order]
        self._starts = np.flatnonzero(np.concatenate([[True], descending[1:] != descending[:-1]]))

    def sums(self, weights: Floats) -> Floats:
        """Sum weights of shape (m, n) over each block."""
        ranked = weights[:, self.order]
        return ranked if len(self._starts) == len(self.order) else np.add.reduceat(ranked, self._starts, axis=1)


class TopRows:
    """The share of relevant rows among the k of the highest scores, or of these among all relevant rows.

    Parameters
    ----------
    relevant : array of bool
        Which rows are looked for.
    scores : array
        Higher where a row is more likely one.
    k : int
        How many rows are taken.
    recall : bool
        Whether to divide by the relevant rows, not by k.

    Examples
    --------
    >>> top = TopRows(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]), 2, recall=False)
    >>> top(np.ones((1, 3))).tolist()
    [0.5]
    """

    def __init__(self, relevant: NDArray[np.bool_], scores: Floats, k: int, *, recall: bool) -> None:
        self._relevant, self._k, self._recall = relevant.astype(np.float64), k, recall
        self._order = _Order(scores)

    def __call__(self, weights: Floats) -> Floats:
        """Fill k places from the top, and count the relevant rows in them."""
        counted, found = self._order.sums(weights), self._order.sums(weights * self._relevant)
        before = np.cumsum(counted, axis=1) - counted
        taken = np.clip(self._k - before, 0, counted)
        with np.errstate(divide="ignore", invalid="ignore"):
            hits = np.where(counted > 0, found * taken / counted, 0.0).sum(axis=1)
            return np.asarray(hits / (found.sum(axis=1) if self._recall else self._k))


class Ndcg:
    """The normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), each gain as it is given.

    Parameters
    ----------
    gains : array
        How relevant each row is, at least 0.
    scores : array
        Higher where a row is more relevant.
    k : int, optional
        How many places count; by default all.

    Examples
    --------
    >>> ranked = Ndcg(np.array([3.0, 0.0, 1.0]), np.array([0.9, 0.5, 0.1]))
    >>> ranked(np.ones((1, 3))).round(3).tolist()
    [0.964]
    """

    def __init__(self, gains: Floats, scores: Floats, k: int | None = None) -> None:
        self._gains, self._k = gains, k
        self._told, self._best = _Order(scores), _Order(gains)

    def __call__(self, weights: Floats) -> Floats:
        """Divide the gain of this order by that of the best."""
        places = int(np.ceil(weights.sum(axis=1).max(initial=0.0))) + 1
        discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, places + 2)))])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(
                self._gained(self._told, weights, discounts) / self._gained(self._best, weights, discounts)
            )

    def _gained(self, order: _Order, weights: Floats, discounts: Floats) -> Floats:
        counted, gained = order.sums(weights), order.sums(weights * self._gains)
        up_to = np.cumsum(counted, axis=1)
        ends = up_to if self._k is None else np.minimum(up_to, self._k)
        starts = up_to - counted if self._k is None else np.minimum(up_to - counted, self._k)
        places = np.arange(len(discounts))
        share = np.interp(ends, places, discounts) - np.interp(starts, places, discounts)
        return np.asarray(np.where(counted > 0, gained * share / np.where(counted > 0, counted, 1.0), 0.0).sum(axis=1))


class Median:
    """The weighted median of values: half of the weight lies on each side.

    Parameters
    ----------
    values : array
        One a row.

    Examples
    --------
    >>> Median(np.array([1.0, 5.0, 2.0, 3.0]))(np.ones((1, 4))).tolist()
    [2.5]
    """

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        self._values = values[self._order]

    def __call__(self, weights: Floats) -> Floats:
        """Average the two values in the middle, which are the same unless they meet exactly there."""
        up_to = np.cumsum(weights[:, self._order], axis=1)
        half = up_to[:, -1:] / 2
        low, high = (up_to < half).sum(axis=1), (up_to <= half).sum(axis=1)
        last = len(self._values) - 1
        return np.asarray((self._values[np.minimum(low, last)] + self._values[np.minimum(high, last)]) / 2)


def top_rows(given: Predicted, k: int, *, recall: bool) -> Formula:
    """Compute precision or recall at k; of a ranking, the mean over its lists."""
    return _by_list(given, lambda gains, scores: TopRows(gains > 0, scores, k, recall=recall))


def ndcg(given: Predicted, k: int | None = None) -> Formula:
    """Compute NDCG; of a ranking, the mean over its lists."""
    return _by_list(given, lambda gains, scores: Ndcg(gains, scores, k))


def median_error(given: Predicted) -> Formula:
    """Compute the median of the absolute errors."""
    return Median(formulas.absolute_errors(given))


def too_few(given: Predicted, k: int, *, relevant: bool) -> str | None:
    """Return why there is no precision or recall at k: fewer rows than k, or none that is relevant."""
    if given.n < k and not _has_lists(given):
        return f"there are {given.n} rows, and the first {k} are asked for"
    return no_gain(given) if relevant else None


def no_gain(given: Predicted) -> str | None:
    """Return why there is no gain: it is below 0 somewhere, or nothing is relevant."""
    gains = np.asarray(given.truth)
    if bool((gains < 0).any()):
        return f"{int((gains < 0).sum())} true values are below 0, and relevance starts at 0"
    return None if bool((gains > 0).any()) else "no row is relevant"


def _has_lists(given: Predicted) -> bool:
    return given.task == RANKING and given.groups is not None


def _by_list(given: Predicted, make: Callable[[Floats, Floats], Formula]) -> Formula:
    scores: Any = given.scores
    gains = np.asarray(given.truth == 1 if given.task == BINARY else given.truth, dtype=np.float64)
    if given.groups is None or not _has_lists(given):
        return make(gains, scores)
    order = np.argsort(given.groups, kind="stable")
    values, sizes = np.zeros(given.n), np.ones(given.n)
    for rows in np.split(order, np.flatnonzero(np.diff(given.groups[order])) + 1):
        values[rows] = float(make(gains[rows], scores[rows])(np.ones((1, len(rows))))[0])
        sizes[rows] = len(rows)
    counts = ~np.isnan(values)  # in a list without a relevant row there is nothing to rank
    return formulas.ratio(np.where(counts, values / sizes, 0.0), counts / sizes)
