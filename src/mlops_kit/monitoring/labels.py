"""Truth that comes later: labels joined with their predictions, and everything that does not fit counted."""

from __future__ import annotations

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
        Arrived after their prediction was judged without them, after the epoch of their prediction, or more than 400
        days after it was logged.
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


def label_text(label: Any) -> str:
    """Write a label so that equal ones are written alike.

    Examples
    --------
    >>> [label_text(label) for label in (1, 1.0, True, "1", "1.0", "01", 2.5)]
    ['1', '1', '1', '1', '1', '01', '2.5']
    """
    if isinstance(label, str):
        try:
            number = float(label)
        except ValueError:
            return label
        return label_text(number) if label in {str(number), f"{number:.0f}"} else label
    if isinstance(label, bool | int | np.integer | np.bool_):
        return str(int(label))
    if isinstance(label, float | np.floating):
        return str(int(label)) if float(label).is_integer() else repr(float(label))
    return str(label)


def _equal(left: pd.Series[Any], right: pd.Series[Any]) -> pd.Series[bool]:
    """Compare labels by value: 1, 1.0 and True are the same label."""
    return left.map(label_text).eq(right.map(label_text)).astype(bool)
