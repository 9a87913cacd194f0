"""An epoch begins: a reference is read once, and everything before it is settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlops_kit.errors import IntegrityError
from mlops_kit.monitoring.alerts import settle
from mlops_kit.monitoring.baseline import Baseline, labelled
from mlops_kit.monitoring.book import open_book
from mlops_kit.monitoring.epoch import Epoch, Known, entry_body
from mlops_kit.monitoring.judge import Performance
from mlops_kit.monitoring.reference import Reference
from mlops_kit.monitoring.segments import JOINED, Segment
from mlops_kit.monitoring.settings import Settings
from mlops_kit.monitoring.watch import Context, Watch, begin_inputs, begin_performance
from mlops_kit.records import codec
from mlops_kit.records.quality import Expectation
from mlops_kit.store.journal import Decision, State
from mlops_kit.store.store import Store


def begin(
    store: Store,
    name: str,
    reference: Reference,
    settings: Settings,
    expectations: tuple[Expectation, ...],
    metrics: tuple[Any, ...],
    *,
    spec: str | None = None,
    reason: str | None = None,
    replacing: str | None = None,
) -> None:
    """Begin an epoch, unless another process has begun one with the same reference.

    Parameters
    ----------
    store : Store
        Where.
    name : str
        Of the monitor.
    reference : Reference
        What it compares with.
    settings : Settings
        How it watches.
    expectations, metrics : tuple
        What the user stated.
    spec : str, optional
        The name under which the reference was found, if it has one.
    reason : str, optional
        Why it begins again.
    replacing : str, optional
        The identity of the reference that it replaces; None for a first epoch. An epoch is begun only in its place.
    """
    store.ensure()
    book = open_book(store, name)
    book.append(lambda state: None if state else ("create", {"name": name}))
    state = book.read(dict)
    epoch, alerts, marks = state.get("epoch", 0) + 1, list(state.get("alerts", [])), _marks(state)
    baseline = Baseline.of(reference, settings)
    context = Context(name, epoch, settings, baseline, expectations, metrics)
    watch = first_watch(reference, context, alerts)
    ended, changes = settle(watch.alerts, datetime.now(UTC))
    own = Epoch(store, context)
    known = Known(replace(watch, alerts=ended), marks=marks[0], day=marks[1], joined=_joined_before(own, state))
    data = known.encode(with_predictions=own.with_predictions)
    written = own.segments.write_state(data, writer=own._writer, seq=epoch)  # noqa: SLF001 - this makes the first state of the epoch
    profiles = {group: store.objects.put(one.encode()) for group, one in baseline.profiles.items()}
    body = {
        **entry_body(name, known, (written.day, written.name), changes, datetime.now(UTC)),
        "epoch": epoch,
        "reference": baseline.told,
        "identity": baseline.identity,
        "baseline": store.objects.put(baseline.encode()),
        "profiles": profiles,
        "settings": settings.plain(),
        "rules": [rule.members() for rule in expectations if rule.function is None],
        "spec": spec,
        "reason": reason,
    }

    def decide(state: State) -> Decision:
        if state.get("identity") != replacing or state.get("epoch", 0) != epoch - 1:
            return None  # another process was first
        return "begin", {member: value for member, value in body.items() if value is not None}

    if book.append(decide) is None:
        own.segments.delete(written)


def first_watch(reference: Reference, context: Context, alerts: Iterable[dict[str, Any]] = ()) -> Watch:
    """Give what a monitor knows before the first row."""
    from mlops_kit.monitoring.alerts import Held  # noqa: PLC0415 - the alerts of an epoch before

    held = {(one.kind, one.subject): one for one in map(Held.of, alerts)}
    return Watch(inputs=begin_inputs(context), performance=first_performance(reference, context), alerts=held)


def first_performance(reference: Reference, context: Context) -> Performance | None:
    """Begin with the losses of the reference; None where it does not hold predictions and the truth about them."""
    rows = labelled(reference, context.settings.segments)
    if rows.empty:
        return None
    task = context.baseline.task_of(rows["prediction"], rows["label"], context.settings)
    return begin_performance(task, rows, context)


def _marks(state: State) -> tuple[dict[str, int], str]:
    check = state.get("check") or {}
    return dict(check.get("marks", {})), str(check.get("day", ""))


def _joined_before(epoch: Epoch, state: State) -> tuple[str, ...]:
    """Find which joined rows count when a monitor begins again: labels that were known stay known."""
    place = Segment.of(*state["check"]["state"]) if "check" in state else None
    try:
        if place is not None:
            members = codec.unseal(epoch.segments.read_bytes(place), where=place.name, kind="monitor-state")
            return tuple(members["joined"])
    except IntegrityError:
        pass  # a state that is gone is a reason to begin again, and must not prevent it
    return tuple(one.mark for one in epoch.segments.listed() if one.kind == JOINED)
