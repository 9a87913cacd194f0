"""An alert: one thing that is wrong with a model or its data, as long as it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlops_kit.records import codec

ALERT_KINDS = ("quality", "drift", "joint", "prediction", "labels", "performance", "estimate")


@dataclass(frozen=True, repr=False, slots=True)
class Alert:
    """One thing that a monitor found, from its first sign until it is over.

    Attributes
    ----------
    kind : str
        ``"quality"``, ``"drift"``, ``"joint"``, ``"prediction"``, ``"labels"``, ``"performance"`` or
        ``"estimate"``.
    subject : str
        The column, metric or segment that it is about.
    state : str
        ``"pending"`` (seen, not often enough yet), ``"firing"`` or ``"resolved"``.
    since : datetime
        When the present spell was first seen.
    evidence : float or None
        How strong it is, as a multiple of its limit, where there is a limit.
    effect : float or None
        How large the change is, in the unit that the message names.
    message : str
        What is wrong, in a sentence.
    severity : str
        ``"alert"``, or ``"warning"`` for what rests on no guarantee.
    monitor : str
        The name of the monitor.
    fingerprint : str
        The same for the same monitor, kind and subject, for ever.
    changed : datetime
        When the state last changed.
    acknowledged : str or None
        Who has taken it in hand.
    muted : bool
        Whether it waits because something else explains it, such as a broken schema.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 5, 1, tzinfo=UTC)
    >>> Alert("drift", "amount", "firing", at, 12.0, 0.08, "shifted", "alert", "fraud", "00", at)
    Alert(drift of amount, firing since 2026-05-01 00:00 UTC: shifted)
    """

    kind: str
    subject: str
    state: str
    since: datetime
    evidence: float | None
    effect: float | None
    message: str
    severity: str
    monitor: str
    fingerprint: str
    changed: datetime
    acknowledged: str | None = None
    muted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the alert as plain JSON values.

        Returns
        -------
        dict
            Times as RFC 3339 text.
        """
        return {
            "kind": self.kind,
            "subject": self.subject,
            "state": self.state,
            "since": codec.timestamp(self.since),
            "evidence": self.evidence,
            "effect": self.effect,
            "message": self.message,
            "severity": self.severity,
            "monitor": self.monitor,
            "fingerprint": self.fingerprint,
            "changed": codec.timestamp(self.changed),
            "acknowledged": self.acknowledged,
            "muted": self.muted,
        }

    def __repr__(self) -> str:
        notes = [note for note, told in (("muted", self.muted), ("acknowledged", self.acknowledged)) if told]
        state = ", ".join([f"{self.state} since {self.since:%Y-%m-%d %H:%M} UTC", *notes])
        return f"Alert({self.kind} of {self.subject}, {state}: {self.message})"
