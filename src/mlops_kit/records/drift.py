"""Verdicts of drift: whether, which, how large, since when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """What the evidence says of one stream.

    Parameters
    ----------
    name, column, kind : str
        The stream, the column it is about, and ``"number"``, ``"category"`` or ``"missing"``.
    status : str
        ``"alert"``: it has drifted, by an effect that matters. ``"warning"``: it has drifted, by a smaller effect.
        ``"insufficient data"``: a shift of half a standard deviation could have been missed. Else ``"ok"``.
    evidence, limit : float
        log M at its highest, and what it must reach.
    effect : float or None
        How far the rows since `since`, up to the highest evidence, are from those before; of a stream that has not
        drifted, how far all its rows are from the reference.
    effect_name : str
        ``"tv"``: total variation, freed of what chance makes of it.
    since : int or None
        How many rows of the epoch came before the change, as best estimated; None if it has not drifted.
    found : int or None
        After how many rows the limit was reached.
    n : int
        How many values the effect rests on.
    lately : float or None
        How far the last rows are from the reference, for reading only.
    """

    name: str
    column: str
    kind: str
    status: str
    evidence: float
    limit: float
    effect: float | None
    effect_name: str
    since: int | None
    found: int | None
    n: int
    lately: float | None = None

    @property
    def drifted(self) -> bool:
        """Whether the evidence reached its limit, however small the effect."""
        return self.found is not None

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)
