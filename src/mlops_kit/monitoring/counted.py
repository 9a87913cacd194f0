"""Which of the logged predictions count: of one that is logged again the first, and of each group the first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlops_kit.monitoring.derived import codes_as_text
from mlops_kit.monitoring.places import Keys, Places, keys_of
from mlops_kit.monitoring.segments import ID, IDS, VERSION

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Counted:
    """Which rows of a segment count.

    Parameters
    ----------
    new : array of bool
        Which were not logged before.
    first : array of bool
        Which of these are the first of their group that their version answered.
    known : array of bool
        Which of these are of a group whose inputs were compared before.
    keys : array or None
        The keys of the ids that the new ones were given; None if the log made them.
    """

    new: Rows
    first: Rows
    known: Rows
    keys: Keys | None

    @property
    def passed(self) -> tuple[int, ...]:
        """The places of the rows that do not count."""
        return tuple(np.flatnonzero(~self.first).tolist())

    @property
    def only_of_version(self) -> tuple[int, ...]:
        """The places of the rows that count for their version only."""
        return tuple(np.flatnonzero(self.known).tolist())


def count_rows(table: pa.Table, places: Places, day: str, groups: str | None = None) -> Counted:
    """Find which rows of a segment count, and take note of their groups.

    Parameters
    ----------
    table : pyarrow.Table
        The ids, versions and groups of predictions, in their order.
    places : Places
        What came before.
    day : str
        On which they were written.
    groups : str, optional
        The column of the groups; rows without it are all of groups of their own.
    """
    new, keys = np.ones(table.num_rows, bool), None
    if ID in table.column_names:
        given: Any = table.column(ID).is_valid().to_numpy()
        every = keys_of(name for name in table.column(ID).to_pylist() if name is not None)
        fresh = places.are_new(IDS, every)
        new[given], keys = fresh, every[fresh]
    first, known = new.copy(), np.zeros(table.num_rows, bool)
    if groups in table.column_names:
        values = group_texts(table.column(groups))
        versions = [version or "" for version in table.column(VERSION).to_pylist()]
        first[new] = places.take_groups(_named("version", versions, values, new), day)
        known[first] = ~places.take_groups(_named("any", [""] * len(values), values, first), day)
    return Counted(new, first, known, keys)


def first_judged(rows: pd.DataFrame, places: Places | None, day: str, groups: str | None = None) -> pd.DataFrame:
    """Choose of each group and version the first row whose truth is known, and take note of them."""
    if groups is None or groups not in rows or places is None or rows.empty:
        return rows
    values = group_texts(pa.chunked_array([pa.Array.from_pandas(rows[groups])]))
    versions = rows[VERSION].fillna("").tolist()
    first = places.take_groups(_named("judged", versions, values, np.ones(len(rows), bool)), day)
    return rows[first].drop(columns=groups).reset_index(drop=True)


def group_texts(column: Any) -> list[str]:
    """Return what groups are called: one of codes is the same whether it came as 7, 7.0 or "7".

    Examples
    --------
    >>> group_texts(pa.chunked_array([[7.0, None]])), group_texts(pa.chunked_array([["7"]]))
    (['=7', ''], ['=7'])
    """
    nested = pa.types.is_nested(column.type)
    texts = map(str, column.to_pylist()) if nested else codes_as_text(column).to_pylist()
    return ["" if text is None else f"={text}" for text in texts]


def _named(what: str, versions: Iterable[str], values: Iterable[str], chosen: Rows) -> Keys:
    named = zip(versions, values, chosen.tolist(), strict=True)
    return keys_of(f"{what}\0{version}\0{value}" for version, value, is_chosen in named if is_chosen)
