"""What ``--json`` prints of what a public call returned."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import mlops_kit as mk

_MEMBERS: dict[type, tuple[str, ...]] = {
    mk.Run: (
        *("id", "name", "experiment", "status", "started", "ended", "by", "params", "tags", "metrics", "inputs"),
        *("outputs", "artifacts", "models", "resources", "error", "problems"),
    ),
    mk.Dataset: ("name", "version", "fingerprint", "n_rows", "columns", "created", "by", "source", "run_id"),
    mk.Trust: ("url", "code", "types", "signers", "signatures_required"),
}
"""What is shown of the objects that are no records."""


def to_json(value: Any) -> str:
    """Write a value as JSON, indented; a number that is none, such as NaN, is null.

    Examples
    --------
    >>> print(to_json({"auc": float("nan"), "at": [1, 2.5]}))
    {
      "auc": null,
      "at": [
        1,
        2.5
      ]
    }
    """
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, float) or math.isfinite(value) else None
    if isinstance(value, str | bytes | datetime):
        return value.isoformat() if isinstance(value, datetime) else str(value)
    members = _members(value)
    if members is not None:
        return {str(name): _plain(member) for name, member in members.items()}
    return list(map(_plain, value)) if isinstance(value, Iterable) else str(value)


def _members(value: Any) -> Mapping[Any, Any] | None:
    """Return what an object consists of by name; None of what has no names."""
    if isinstance(value, Mapping):
        return value
    names = next((names for kind, names in _MEMBERS.items() if isinstance(value, kind)), ())
    if not names and callable(getattr(value, "to_dict", None)):
        made: Mapping[Any, Any] = value.to_dict()
        return made
    if not names and is_dataclass(value):
        verdict = ("ok",) if hasattr(type(value), "ok") else ()
        names = (*verdict, *(field.name for field in fields(value) if not field.name.startswith("_")))
    return {name: getattr(value, name) for name in names} if names else None
