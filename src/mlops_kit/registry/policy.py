"""The gate that an alias needs: what a gate is, as plain values, and who may promote without another.

Two gates are the same if they ask the same of the same data: `content_of` says what that is, and a promotion to an
alias is held to the content that stands in the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.datasets.expected import expected
from mlops_kit.errors import GateRequired, InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.records import codec
from mlops_kit.records.gate import digest_of_gate
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import Expectation
from mlops_kit.registry.condition import Condition
from mlops_kit.registry.gate import Gate
from mlops_kit.registry.saving import fingerprint_or_none
from mlops_kit.store.journal import Journal, State

_SHOWN = 5
_ABOUT = ("target", "positive", "weights", "task", "groups")


def content_of(gate: Gate) -> dict[str, Any]:
    """Return what a gate asks, of which data, as plain JSON values.

    Parameters
    ----------
    gate : Gate
        The gate.

    Returns
    -------
    dict
        ``conditions``, each with its ``name`` and its arguments; ``on``, the data by name: a spec as it is written,
        or a fingerprint; ``target``, ``positive``, ``weights``, ``task`` and ``groups`` where they are stated; and
        ``class``, the fingerprint of one derived from `Gate`.

    Raises
    ------
    InvalidInput
        It is no gate, or something of it has no content, such as a function that no fingerprint can see.
    """
    if not isinstance(gate, Gate):
        raise InvalidInput(f"gate={quoted(gate)} is no gate: make one with mlops_kit.Gate(…).")
    kind = {} if type(gate) is Gate else {"class": _fingerprint(type(gate), type(gate).__qualname__)}
    about = {name: _plain(getattr(gate, name)) for name in _ABOUT if getattr(gate, name) is not None}
    on = gate.on if isinstance(gate.on, dict) else {} if gate.on is None else {"holdout": gate.on}
    data = {str(name): _data(one, str(name)) for name, one in on.items()}
    return {"conditions": [_condition(condition) for condition in gate.conditions], "on": data, **about, **kind}


def _condition(condition: Condition) -> dict[str, Any]:
    stated = condition.stated
    if stated is None:
        return {"name": condition.name, "code": _fingerprint(condition.judge, condition.name)}
    return {"name": condition.name, **{name: _argument(name, value) for name, value in stated.items()}}


def _argument(name: str, value: Any) -> Any:
    if name == "metric":
        from mlops_kit.measures import metrics  # noqa: PLC0415 - loads numpy

        chosen = metrics.metric(value)
        own = {} if chosen.own is None else {"function": _fingerprint(chosen.own, chosen.name)}
        values = {} if chosen.stated is None else {"values": _plain(chosen.stated)}
        return {
            "name": chosen.name,
            "greater_is_better": chosen.greater_is_better,
            "needs": chosen.needs,
            **own,
            **values,
        }
    if name == "expectations":
        return [_rule(rule) for rule in expected(*value)]
    return _plain(value)


def _rule(rule: Expectation) -> dict[str, Any]:
    own = {} if rule.function is None else {"function": _fingerprint(rule.function, rule.kind)}
    return {**rule.members(), **own}


def _plain(value: Any) -> Any:
    if isinstance(value, Condition):
        return _condition(value)
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(one)] for key, one in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return codec.plain(value)
    if isinstance(value, Expectation | Dataset | TableProfile):
        return _argument("expectations", (value,))
    return {"fingerprint": _fingerprint(value, repr(value)[:80])}


def _data(data: Any, name: str) -> Any:
    if isinstance(data, str):
        return data
    return {"fingerprint": data.fingerprint if isinstance(data, Dataset) else _fingerprint(data, name)}


def _fingerprint(value: Any, what: str) -> str:
    found = fingerprint_or_none(value)
    if found is None:
        raise InvalidInput(
            f"A gate that an alias needs is known by its content, and {what} has parts that no fingerprint can see. "
            "Write it as a function at the top of a module, or name data by its spec, such as 'holdout@latest'."
        )
    return found


def required_in(state: State, alias: str, journal: Journal) -> dict[str, Any] | None:
    """Return what the entry says that requires a gate of an alias, with ``actor`` and ``at``; None if none does."""
    seq = state.get("required", {}).get(alias)
    if seq is None:
        return None
    entry = journal.entry(seq)
    body = {member: value for member, value in entry.body.items() if member != "alias"}
    return {**body, "actor": entry.by.get("actor", ""), "at": codec.timestamp(entry.at)}


def refuse_without(state: State, alias: str, journal: Journal, content: Callable[[], Any]) -> str | None:
    """Refuse a promotion by another gate than the alias needs.

    Parameters
    ----------
    state : dict
        What the journal says.
    alias : str
        Where the version is to be promoted to.
    journal : Journal
        Where the entry is that requires a gate.
    content : callable
        Gives what the gate at hand is; None for no gate.

    Returns
    -------
    str or None
        The digest of the gate, if one is required.

    Raises
    ------
    GateRequired
        The message says which gate is needed, and who said so.
    """
    required = required_in(state, alias, journal)
    if required is None:
        return None
    wanted, given = required["gate"], content()
    if given is not None and digest_of_gate(given) == digest_of_gate(wanted):
        return digest_of_gate(wanted)
    name = state["name"]
    differs = "" if given is None else f" The gate at hand {_difference(given, wanted)}."
    raise GateRequired(
        f"A promotion to {name}@{alias} needs the gate that {required['actor']} required at {required['at']}"
        f"{': ' + required['reason'] if required.get('reason') else ''}. It asks: {gate_text(wanted)}.{differs} "
        f"Promote with gate=; models.required({name!r}) has all of it, and models.require({name!r}, {alias!r}, None, "
        "reason=…) lifts it. A rollback is possible all the same."
    )


def gate_text(content: Mapping[str, Any]) -> str:
    """Describe in a line what a gate asks, of which data."""
    names = [str(condition["name"]) for condition in content["conditions"]]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    data = ", ".join(
        one if isinstance(one, str) else f"{name} ({one['fingerprint'][:12]})" for name, one in content["on"].items()
    )
    return "; ".join(names[:_SHOWN]) + more + (f" on {data}" if data else "")


def _difference(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    lacking = [str(one["name"]) for one in wanted["conditions"] if one not in given["conditions"]]
    if lacking:
        return f"does not ask: {'; '.join(lacking[:_SHOWN])}"
    other = [str(one["name"]) for one in given["conditions"] if one not in wanted["conditions"]]
    if other:
        return f"asks besides: {'; '.join(other[:_SHOWN])}"
    names = [name for name in ("on", "class", *_ABOUT) if given.get(name) != wanted.get(name)]
    return f"differs in {', '.join(names) or 'the order of its conditions'}"
