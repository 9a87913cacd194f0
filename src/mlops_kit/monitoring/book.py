"""The journal of a monitor: when it began, what each check found, who was told."""

from __future__ import annotations

from typing import Any

from mlops_kit.records.entry import Entry
from mlops_kit.store.journal import Journal, State
from mlops_kit.store.store import Store

KIND = "monitors"
_EPOCH = ("epoch", "reference", "identity", "baseline", "profiles", "settings", "rules")


class Overtaken(Exception):
    """Another process went on with the same monitor meanwhile."""


def open_book(store: Store, name: str) -> Journal:
    """Open the journal of a monitor; this reads nothing."""
    return store.journal(KIND, name, fold)


def fold(state: State, entry: Entry) -> None:
    """Say what an entry means.

    Parameters
    ----------
    state : dict
        ``name``; what stands in the last ``begin``; ``since``: what had been read by then; ``began`` and ``checked``:
        the numbers of that entry, and of the last one that changed ``check`` (where the next check begins) or
        ``alerts``; ``waiting``: the alerts that some sink has not taken.
    entry : Entry
        The entry; one of another kind changes nothing.
    """
    body = entry.body
    match entry.kind:
        case "create":
            state["name"] = body["name"]
        case "begin":
            state.update({name: body[name] for name in _EPOCH})
            state["spec"] = body.get("spec")
            state.update(began=entry.seq, checked=entry.seq, check=body["check"], alerts=body["alerts"])
            begun = {"marks": body["check"]["marks"], "day": body["check"]["day"]}
            state["since"] = body.get("since", begun)  # where an alias was followed, predictions of before count on
            state["waiting"] = _waiting(state, body)
        case "check":
            state.update(checked=entry.seq, check=body["check"], alerts=body["alerts"])
            state["waiting"] = _waiting(state, body)
        case "acknowledge":
            state.update(checked=entry.seq, alerts=body["alerts"])
        case "deliver":
            state["waiting"] = _undelivered(state.get("waiting", []), body["sink"], set(body["told"]), body["sinks"])


def _waiting(state: State, body: dict[str, Any]) -> list[Any]:
    """Add what people are to be told: for each of these alerts, the sinks that took it.

    Of an alert that nobody takes there is one item for each of its states, the newest, so that their number is bounded
    and still none is lost.
    """
    more = {(alert["fingerprint"], alert["state"]): {"alert": alert, "taken": []} for alert in body.get("tell", [])}
    kept = [
        item for item in state.get("waiting", []) if (item["alert"]["fingerprint"], item["alert"]["state"]) not in more
    ]
    return [*kept, *more.values()]


def _undelivered(waiting: list[Any], sink: str, told: set[str], sinks: list[str]) -> list[Any]:
    """Leave what some sink has not taken."""
    after = []
    for item in waiting:
        taken = sorted({*item["taken"], sink}) if told_id(item["alert"]) in told else item["taken"]
        if not set(sinks) <= set(taken):
            after.append({"alert": item["alert"], "taken": taken})
    return after


def told_id(alert: dict[str, Any]) -> str:
    """Tell one telling of an alert from another."""
    return f"{alert['fingerprint']} {alert['state']} {alert['told']}"
