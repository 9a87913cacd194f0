"""Truth that comes later: labels joined with their predictions, and everything that does not fit counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What became of the labels that arrived.

    Parameters
    ----------
    joined : int
        Found their prediction.
    duplicate : int
        Said again what was known.
    conflicting : int
        Said something else than was known; the first label stands.
    unknown : int
        Have no prediction, so far.
    late : int
        Arrived after their prediction was judged without them, or after the epoch of their prediction.
    empty : int
        Were null, or in a regression no number.

    Examples
    --------
    >>> LabelCounts(joined=2) + LabelCounts(joined=1, late=1)
    LabelCounts(joined=3, duplicate=0, conflicting=0, unknown=0, late=1, empty=0)
    """

    joined: int = 0
    duplicate: int = 0
    conflicting: int = 0
    unknown: int = 0
    late: int = 0
    empty: int = 0

    def __add__(self, other: LabelCounts) -> LabelCounts:
        return LabelCounts(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))

    def plain(self) -> dict[str, int]:
        """Give the counts by name."""
        return asdict(self)


def distinct(labels: pd.DataFrame) -> tuple[pd.DataFrame, LabelCounts]:
    """Keep the first label of each prediction.

    Parameters
    ----------
    labels : DataFrame
        Columns ``id``, ``label`` and ``label_at``, in the order of arrival.

    Returns
    -------
    DataFrame and LabelCounts
        One row for each id, and what was left out.

    Examples
    --------
    >>> given = pd.DataFrame({"id": ["a", "a", "a", "b"], "label": [1, 1, 0, None], "label_at": [1, 2, 3, 4]})
    >>> kept, counts = distinct(given)
    >>> kept["id"].tolist(), counts.duplicate, counts.conflicting, counts.empty
    (['a'], 1, 1, 1)
    """
    empty = labels["label"].isna() | labels["id"].isna()
    there = labels[~empty]
    first = there.drop_duplicates("id", keep="first")
    again = there[there.duplicated("id", keep="first")]
    known = again["id"].map(first.set_index("id")["label"])
    same = _equal(again["label"], known)
    counts = LabelCounts(duplicate=int(same.sum()), conflicting=int((~same).sum()), empty=int(empty.sum()))
    return first.reset_index(drop=True), counts


def without_known(labels: pd.DataFrame, known: pd.DataFrame) -> tuple[pd.DataFrame, LabelCounts]:
    """Leave out labels of predictions whose label is known already.

    Parameters
    ----------
    labels, known : DataFrame
        Columns ``id`` and ``label``, one row for each id.

    Returns
    -------
    DataFrame and LabelCounts
        The rest, and what was left out.
    """
    if known.empty or labels.empty:
        return labels, LabelCounts()
    before = labels["id"].map(known.set_index("id")["label"])
    again = labels["id"].isin(known["id"])
    same = _equal(labels.loc[again, "label"], before[again])
    counts = LabelCounts(duplicate=int(same.sum()), conflicting=int((~same).sum()))
    return labels[~again].reset_index(drop=True), counts


def joined(labels: pd.DataFrame, predictions: Iterable[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join labels with their predictions, looking no further than needed.

    Parameters
    ----------
    labels : DataFrame
        Columns ``id``, ``label`` and ``label_at``, one row for each id.
    predictions : iterable of DataFrame
        Parts of the log with a column ``id``; they are asked for only while labels are left.

    Returns
    -------
    DataFrame and DataFrame
        The joined rows in the order of the labels, with the columns of both; and the labels that found nothing. Of
        several predictions with one id the first counts.
    """
    left, found = labels, []
    parts = iter(predictions)
    while len(left) and (part := next(parts, None)) is not None:
        wanted = part[part["id"].isin(left["id"])].drop_duplicates("id", keep="first")
        if len(wanted):
            found.append(left.merge(wanted, on="id", how="inner"))
            left = left[~left["id"].isin(wanted["id"])]
    if not found:
        return labels.iloc[:0], left
    every = pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]
    order = pd.Series(np.arange(len(labels)), index=labels["id"].to_numpy())
    place = every["id"].map(order).to_numpy()
    return every.iloc[np.argsort(place, kind="stable")].reset_index(drop=True), left.reset_index(drop=True)


def _equal(left: pd.Series[Any], right: pd.Series[Any]) -> pd.Series[bool]:
    """Compare labels by value: 1, 1.0 and True are the same label."""
    return pd.Series(
        [a == b or str(a) == str(b) for a, b in zip(left.tolist(), right.tolist(), strict=True)],
        index=left.index,
        dtype=bool,
    )
