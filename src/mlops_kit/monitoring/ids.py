"""Ids of predictions that were logged without any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload


class PredictionIds(Sequence[str]):
    """The ids of predictions that were logged without any: made when they are looked at.

    Parameters
    ----------
    writer : str
        Who logged them.
    numbers : range
        Their numbers.

    Examples
    --------
    >>> ids = PredictionIds("0123456789ab", range(10, 13))
    >>> ids[0], len(ids), list(ids[1:])
    ('0123456789ab-10', 3, ['0123456789ab-11', '0123456789ab-12'])
    """

    __slots__ = ("_numbers", "_writer")

    def __init__(self, writer: str, numbers: range) -> None:
        self._writer, self._numbers = writer, numbers

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> PredictionIds: ...
    def __getitem__(self, index: int | slice) -> str | PredictionIds:
        if isinstance(index, slice):
            return PredictionIds(self._writer, self._numbers[index])
        return f"{self._writer}-{self._numbers[index]}"

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return (f"{self._writer}-{number}" for number in self._numbers)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) and not isinstance(other, str) else False

    def __hash__(self) -> int:
        return hash((self._writer, self._numbers))

    def __repr__(self) -> str:
        return f"PredictionIds({len(self)}: {self[0]} … {self[-1]})" if self._numbers else "PredictionIds(0)"
