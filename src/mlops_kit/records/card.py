"""What a model card tells, gathered from everything that is known of a version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlops_kit.records.entry import Entry
from mlops_kit.records.model import LineageRecord, ModelRecord


@dataclass(frozen=True, slots=True)
class CardRecord:
    """What a model card tells.

    Parameters
    ----------
    model : ModelRecord
        The version.
    lineage : LineageRecord
        What made it.
    aliases : tuple of str
        Where it is live.
    history : tuple of Entry
        The entries of the journal that are about it, oldest first.
    evidence : tuple of dict
        What promotions of it rested on, oldest first: the members of each report, when it was, and in ``stands`` the
        alias for which that promotion stands now, or None.
    monitoring : dict or None
        The state of a monitor, if one was asked.
    made : datetime
        When the card was made.
    """

    model: ModelRecord
    lineage: LineageRecord
    aliases: tuple[str, ...]
    history: tuple[Entry, ...]
    evidence: tuple[dict[str, Any], ...]
    monitoring: dict[str, Any] | None
    made: datetime
