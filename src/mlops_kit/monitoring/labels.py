"""Truth that comes later: labels joined with their predictions, and everything that does not fit counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlops_kit.monitoring.segments import REPLACE


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
    corrected : int
        Were replaced by another one that was logged as such.
    judged : int
        Of these, how many had been judged by then, and their corrections were not.

    Examples
    --------
    >>> LabelCounts(joined=2) + LabelCounts(joined=1, late=1)
    LabelCounts(joined=3, duplicate=0, conflicting=0, unknown=0, late=1, empty=0, corrected=0, judged=0)
    """

    joined: int = 0
    duplicate: int = 0
    conflicting: int = 0
    unknown: int = 0
    late: int = 0
    empty: int = 0
    corrected: int = 0
    judged: int = 0

    def __add__(self, other: LabelCounts) -> LabelCounts:
        return LabelCounts(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))

    def plain(self) -> dict[str, int]:
        """Give the counts by name."""
        return asdict(self)


def distinct(labels: pd.DataFrame) -> tuple[pd.DataFrame, LabelCounts]:
    """Keep one label of each prediction: the first, or the latest that is to replace others.

    Parameters
    ----------
    labels : DataFrame
        Columns ``id``, ``label``, ``label_at`` and perhaps `REPLACE`, in the order of arrival.

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
    first = ~there.duplicated("id", keep="first")
    replacing = np.zeros(len(there), bool)
    if REPLACE in there and (replacing := there[REPLACE].to_numpy(bool)).any():
        latest = there[replacing].sort_values("label_at", kind="stable").drop_duplicates("id", keep="last").index
        first &= ~there["id"].isin(there.loc[latest, "id"])
        first[latest] = True
    kept, again = there[first], there[~first]
    chosen = kept.set_index("id")
    same = _equal(again["label"], again["id"].map(chosen["label"]))
    corrected = ~same & again["id"].isin(kept.loc[replacing[first.to_numpy()], "id"])
    counts = LabelCounts(
        duplicate=int(same.sum()),
        conflicting=int((~same & ~corrected).sum()),
        empty=int(empty.sum()),
        corrected=int(corrected.sum()),
    )
    return kept.reset_index(drop=True), counts


def corrected(waiting: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, LabelCounts]:
    """Replace labels that wait for their prediction by those that are to replace others.

    Parameters
    ----------
    waiting, labels : DataFrame
        Columns ``id``, ``label``, ``label_at`` and, of the second, `REPLACE`; one row for each id.

    Returns
    -------
    DataFrame, DataFrame and LabelCounts
        The labels that wait, the others, and what became of those that do not count any more.
    """
    mine = labels[labels[REPLACE].to_numpy(bool) & labels["id"].isin(waiting["id"]).to_numpy(bool)]
    if mine.empty:
        return waiting, labels, LabelCounts()
    former = waiting[waiting["id"].isin(mine["id"])]
    same = _equal(former["label"], former["id"].map(mine.set_index("id")["label"]))
    after = waiting.astype({"label": object}).set_index("id")
    after.update(mine.astype({"label": object}).set_index("id")[["label", "label_at"]])
    counts = LabelCounts(duplicate=int(same.sum()), corrected=int((~same).sum()))
    return after.reset_index()[waiting.columns], labels.drop(index=mine.index).reset_index(drop=True), counts


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
