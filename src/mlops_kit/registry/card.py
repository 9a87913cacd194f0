"""`ModelCard`: all that is known of a version, for people who decide on it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import mlops_kit
from mlops_kit.errors import InvalidInput, NotFound
from mlops_kit.masking import quoted
from mlops_kit.records import codec
from mlops_kit.records.card import CardRecord
from mlops_kit.records.entry import Entry
from mlops_kit.records.model import LineageRecord
from mlops_kit.records.versions import promotion_of
from mlops_kit.store.objects import Objects
from mlops_kit.views.bom import card_bom
from mlops_kit.views.card import card_dict, card_html, card_markdown


class ModelCard:
    """A model card: what is known of a version, and what its people say of it; see `ModelStore.card`.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> models = mk.ModelStore("memory://card-doc")
    >>> version = models.register("rule", {"threshold": 0.5}, card={"intended_use": "Examples."})
    >>> models.card("rule:1")
    ModelCard(rule:1: to_html(), to_markdown(), to_dict(), to_bom())
    >>> print(models.card("rule:1").to_markdown().splitlines()[0])
    # Model card: rule:1
    >>> "<script" in models.card("rule:1").to_html()
    False
    """

    def __init__(self, record: CardRecord) -> None:
        self._record = record

    def to_html(self) -> str:
        """Give the card as a page of its own: nothing to fetch, no script, every text escaped.

        Returns
        -------
        str
            A whole HTML document.
        """
        return card_html(self._record)

    def to_markdown(self) -> str:
        """Give the card as Markdown, such as for a pull request.

        Returns
        -------
        str
            The text.
        """
        return card_markdown(self._record)

    def to_dict(self) -> dict[str, Any]:
        """Give the card as plain JSON values.

        Returns
        -------
        dict
            Times as RFC 3339 text; NaN and infinities as they stand in records.
        """
        return card_dict(self._record)

    def to_bom(self) -> str:
        """Give the card as a bill of materials for machine learning: the model, its data, its packages.

        Returns
        -------
        str
            JSON of CycloneDX 1.6.
        """
        return card_bom(self._record, tool=mlops_kit.__version__)

    def __repr__(self) -> str:
        return f"ModelCard({self._record.model.spec}: to_html(), to_markdown(), to_dict(), to_bom())"


def card_of(
    lineage: LineageRecord, aliases: dict[str, int], history: Iterable[Entry], objects: Objects, monitoring: Any
) -> ModelCard:
    """Gather what a card tells.

    Parameters
    ----------
    lineage : LineageRecord
        The version and what made it.
    aliases : dict
        Where each alias of the model points.
    history : iterable of Entry
        The journal of the model.
    objects : Objects
        Where the evidence of promotions is.
    monitoring : report, dict or None
        The state of a monitor.

    Returns
    -------
    ModelCard
        The card.
    """
    version = lineage.model.version
    about = tuple(entry for entry in history if entry.body.get("version") == version)
    live = tuple(alias for alias, number in aliases.items() if number == version)
    promotions = ((alias, promotion_of(about, version, alias)) for alias in live)
    standing = {entry.seq: alias for alias, entry in promotions if entry is not None}
    evidence = tuple(found for entry in about if (found := _evidence(objects, entry, standing)) is not None)
    return ModelCard(CardRecord(lineage.model, lineage, live, about, evidence, _state(monitoring), datetime.now(UTC)))


def _evidence(objects: Objects, entry: Entry, standing: dict[int, str]) -> dict[str, Any] | None:
    """Read what a promotion rested on, and note the alias for which it stands; it may rest on nothing."""
    digest = entry.body.get("evidence")
    about = {"at": codec.timestamp(entry.at), "stands": standing.get(entry.seq)}
    if not isinstance(digest, str):
        return {**about, "record": "It was promoted without a gate."} if about["stands"] else None
    try:
        members = codec.unseal(objects.get(digest, what="evidence of a promotion"), where=digest)
    except NotFound:
        return {**about, "record": "The evidence is no longer in the store."}
    return {**about, **{name: codec.unplain(value) for name, value in members.items()}}


def _state(monitoring: Any) -> dict[str, Any] | None:
    found = monitoring.to_dict() if hasattr(monitoring, "to_dict") else monitoring
    if found is not None and not isinstance(found, dict):
        raise InvalidInput(
            f"monitoring={quoted(monitoring)} is no report of a monitor: pass what monitor.check() gave."
        )
    return found
