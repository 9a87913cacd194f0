"""The labels of columns: a column is known by its name, so names differ."""

from __future__ import annotations

from mlops_kit.errors import UnsupportedData


def refuse_duplicates(names: list[str]) -> None:
    """Refuse columns that carry the same name.

    Parameters
    ----------
    names : list of str
        The names in column order.

    Raises
    ------
    UnsupportedData
        Two columns have the same name; both positions are named.
    """
    if len(set(names)) == len(names):
        return
    seen: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        seen.setdefault(name, []).append(position)
    twins = "; ".join(
        f"{name!r} at positions {', '.join(map(str, positions))}"
        for name, positions in seen.items()
        if len(positions) > 1
    )
    raise UnsupportedData(
        f"Several columns have the same name (labels are compared as text): {twins}. "
        "A column is known by its name: rename or drop all but one."
    )


def refuse_taken(names: list[str], levels: list[str]) -> None:
    """Refuse columns of a pandas frame that are called as a level of its index is called in Arrow.

    Parameters
    ----------
    names, levels : list of str
        The names of the columns, and of the index levels.

    Raises
    ------
    UnsupportedData
        One of the columns could not be told from the index when it is read again.
    """
    taken = [name for name in names if name in levels]
    if taken:
        raise UnsupportedData(
            f"The column {taken[0]!r} is called as Arrow calls a level of the index, and could not be told from it. "
            "Perhaps it was the index once: make it the index again with set_index, or rename it."
        )
