"""The life of alerts: a pure state machine from what the windows show to what people are told.

There is one alert for each monitor, kind and subject. It is *pending* while a rule that needs several windows has
failed in too few, *firing* from then on, and *resolved* after enough windows without it. Evidence that holds for
life needs no second window: one crossing fires. What something else explains, as a broken schema explains drift,
is muted: it is remembered, and fires only when the explanation is gone and it is still there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from mlops_kit.records import codec
from mlops_kit.records.alert import Alert
from mlops_kit.records.shape import checked, reading

PENDING, FIRING, RESOLVED = "pending", "firing", "resolved"


@dataclass(frozen=True, slots=True)
class Policy:
    """When people are told.

    Parameters
    ----------
    clear : int
        Windows in a row without a finding after which its alert is resolved: hysteresis.
    cooldown : float
        Seconds after the end of an alert in which its return is no news.
    repeat : float
        Seconds after which people are told again of what is firing and not acknowledged.
    looks : tuple of int
        A rule fires when it failed in so many of so many windows.
    """

    clear: int = 2
    cooldown: float = 3600.0
    repeat: float = 86_400.0
    looks: tuple[int, int] = (2, 3)


@dataclass(frozen=True, slots=True)
class Signal:
    """What one look at one subject found.

    Parameters
    ----------
    kind, subject : str
        Of the alert.
    active : bool
        Whether it is wrong now.
    message : str
        What is wrong.
    evidence, effect : float, optional
        As an `Alert` tells them.
    severity : str
        ``"alert"`` or ``"warning"``.
    needed, among : int
        It fires when it was active in `needed` of the last `among` looks.
    columns : tuple of str
        The columns it rests on; a broken schema of any of them mutes it.
    over : bool
        Whether a test has shown that it is over: then it is resolved at once, and the message tells.
    mutes : tuple of str
        The columns on which it explains other findings while it is active.
    """

    kind: str
    subject: str
    active: bool
    message: str = ""
    evidence: float | None = None
    effect: float | None = None
    severity: str = "alert"
    needed: int = 1
    among: int = 1
    columns: tuple[str, ...] = ()
    mutes: tuple[str, ...] = ()
    over: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """An alert, and what its next step depends on.

    Parameters
    ----------
    kind, subject, state : str
        As of `Alert`.
    since, changed : datetime
        As of `Alert`.
    message, severity : str
        As of `Alert`.
    evidence, effect : float or None
        As of `Alert`.
    recent : tuple of bool
        The last looks, oldest first.
    quiet : int
        Looks in a row that found nothing.
    told : datetime or None
        When people were last told that it fires.
    ended : datetime or None
        When it last was resolved.
    acknowledged : str or None
        Who has taken it in hand.
    muted : bool
        Whether something else explains it.
    """

    kind: str
    subject: str
    state: str
    since: datetime
    changed: datetime
    message: str = ""
    severity: str = "alert"
    evidence: float | None = None
    effect: float | None = None
    recent: tuple[bool, ...] = ()
    quiet: int = 0
    told: datetime | None = None
    ended: datetime | None = None
    acknowledged: str | None = None
    muted: bool = False

    def plain(self) -> dict[str, Any]:
        """Give it as plain values."""
        members = {name: value for name, value in asdict(self).items() if value is not None}
        moments = {name: codec.timestamp(value) for name, value in members.items() if isinstance(value, datetime)}
        return {**members, "recent": list(self.recent), **moments}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Held:
        """Read what `plain` gave."""
        with reading("of an alert"):
            times = {name: codec.moment(state[name]) for name in ("since", "changed", "told", "ended") if name in state}
            return checked(cls(**{**state, "recent": tuple(state["recent"]), **times}))

    def alert(self, monitor: str) -> Alert:
        """Show it as users see it."""
        return Alert(
            kind=self.kind,
            subject=self.subject,
            state=self.state,
            since=self.since,
            evidence=self.evidence,
            effect=self.effect,
            message=self.message,
            severity=self.severity,
            monitor=monitor,
            fingerprint=fingerprint(monitor, self.kind, self.subject),
            changed=self.changed,
            acknowledged=self.acknowledged,
            muted=self.muted,
        )


Alerts: TypeAlias = Mapping[tuple[str, str], Held]
"""Every alert that a monitor ever had, by kind and subject."""


@dataclass(frozen=True, slots=True)
class Change:
    """A step of an alert from one state to another, or a reason to tell of it again.

    Parameters
    ----------
    key : tuple of str
        Kind and subject.
    before, after : str or None
        The states; equal for a reminder.
    at : datetime
        When.
    tell : bool
        Whether people are told.
    held : Held
        The alert right after it: by the end of a check it may have taken further steps.
    """

    key: tuple[str, str]
    before: str | None
    after: str
    at: datetime
    tell: bool
    held: Held


def fingerprint(monitor: str, kind: str, subject: str) -> str:
    """Name an alert for ever.

    Examples
    --------
    >>> fingerprint("fraud", "drift", "amount")
    '71327713e56f8828'
    """
    return hashlib.sha256(f"{monitor}\0{kind}\0{subject}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def advance(
    alerts: Alerts, signals: Iterable[Signal], at: datetime, policy: Policy
) -> tuple[dict[tuple[str, str], Held], list[Change]]:
    """Take in what one look found.

    Parameters
    ----------
    alerts : mapping
        The alerts before.
    signals : iterable of Signal
        At most one for each kind and subject. A subject without a signal was not looked at, and stays as it is.
    at : datetime
        When; a clock that ran back counts as standing still.
    policy : Policy
        When people are told.

    Returns
    -------
    dict and list of Change
        The alerts after, and what changed.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    >>> alerts, changes = advance({}, [Signal("drift", "amount", True, "shifted")], noon, Policy())
    >>> [(change.key, change.before, change.after, change.tell) for change in changes]
    [(('drift', 'amount'), None, 'firing', True)]
    """
    looks = list(signals)
    explained = {column for look in looks if look.active for column in look.mutes}
    after, changes = dict(alerts), []
    for look in looks:
        key = (look.kind, look.subject)
        before = alerts.get(key)
        muted = look.active and not look.mutes and not explained.isdisjoint(look.columns)
        held, change = _step(before, look, _not_before(at, before), policy, muted=muted)
        if held is not None:
            after[key] = held
        if change is not None:
            changes.append(change)
    return after, changes


def remind(alerts: Alerts, at: datetime, policy: Policy) -> tuple[dict[tuple[str, str], Held], list[Change]]:
    """Tell again of what has been firing for long and nobody has acknowledged.

    Parameters
    ----------
    alerts : mapping
        The alerts.
    at : datetime
        Now.
    policy : Policy
        After how long.

    Returns
    -------
    dict and list of Change
        The alerts after, and a change for each reminder.
    """
    after, changes = dict(alerts), []
    for key, held in alerts.items():
        quiet = held.state != FIRING or held.acknowledged is not None or held.muted
        if quiet or held.told is None or (at - held.told).total_seconds() < policy.repeat:
            continue
        after[key] = replace(held, told=at)
        changes.append(Change(key, FIRING, FIRING, at, tell=True, held=after[key]))
    return after, changes


def acknowledge(alerts: Alerts, key: tuple[str, str], who: str) -> dict[tuple[str, str], Held]:
    """Note who has taken an alert in hand; it is not told again until it is over and comes back."""
    held = alerts[key]
    return {**alerts, key: replace(held, acknowledged=who)} if held.state != RESOLVED else dict(alerts)


def settle(alerts: Alerts, at: datetime) -> tuple[dict[tuple[str, str], Held], list[Change]]:
    """End all alerts: the monitor begins again with another reference."""
    after: dict[tuple[str, str], Held] = {}
    changes = []
    for key, held in alerts.items():
        if held.state == RESOLVED:
            after[key] = held
            continue
        after[key] = _resolved(held, _not_before(at, held))
        told = held.told is not None
        changes.append(Change(key, held.state, RESOLVED, after[key].changed, tell=told, held=after[key]))
    return after, changes


def _step(
    before: Held | None, look: Signal, at: datetime, policy: Policy, *, muted: bool
) -> tuple[Held | None, Change | None]:
    if before is None and not look.active:
        return None, None
    state = None if before is None else before.state
    held = before or Held(look.kind, look.subject, PENDING, at, at)
    recent = (*held.recent, look.active and not muted)[-look.among :]  # what is explained counts for nothing
    held = replace(held, recent=recent, quiet=0 if look.active else held.quiet + 1, muted=muted)
    if look.active:
        held = replace(held, message=look.message, severity=look.severity, evidence=look.evidence, effect=look.effect)
        fires = sum(recent) >= look.needed and not muted
        if state in {None, RESOLVED}:
            held = replace(held, state=PENDING, since=at, changed=at, acknowledged=None)
        if fires and state != FIRING:
            known = held.ended is not None and (at - held.ended).total_seconds() < policy.cooldown
            held = replace(held, state=FIRING, changed=at, told=held.told if known else at)
            return held, Change((look.kind, look.subject), state, FIRING, at, tell=not known, held=held)
    elif look.over and held.state in {PENDING, FIRING}:
        held = replace(_resolved(held, at), message=look.message)
    elif (held.state == PENDING and not any(recent)) or (
        held.state == FIRING and held.quiet >= policy.clear and sum(recent) < look.needed
    ):
        held = _resolved(held, at)
    if held.state == state:
        return held, None
    return held, Change((look.kind, look.subject), state, held.state, at, tell=state == FIRING, held=held)


def _resolved(held: Held, at: datetime) -> Held:
    was_firing = held.state == FIRING
    return replace(
        held, state=RESOLVED, changed=at, ended=at if was_firing else held.ended, recent=(), quiet=0, muted=False
    )


def _not_before(at: datetime, held: Held | None) -> datetime:
    return at if held is None else max(at, held.changed)
