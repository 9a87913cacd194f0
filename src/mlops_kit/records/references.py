"""Which objects a record names: what must exist for the record to be whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def references(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every object that a record names.

    Parameters
    ----------
    record : dict
        The members of a decoded record, as plain JSON.

    Yields
    ------
    tuple of str
        What the object is to the record, and its digest.

    Examples
    --------
    >>> list(references({"record": "run-start", "environment": "sha256:00"}))
    [('environment', 'sha256:00')]
    """
    match record.get("record"):
        case "run-start":
            yield from _start(record)
        case "run-end":
            yield from _start(record.get("start") or {})
            yield from _inputs(record)
            for item in (*record.get("outputs", ()), *record.get("artifacts", ())):
                yield from _made(item)
        case "step":
            yield from _step(record)
        case "entry":
            yield from _entry(record.get("body", {}))
        case "manifest":
            yield from _named("profile", record.get("profile"))
            for part in record.get("parts", ()):
                yield from _named("part", part.get("object"))


def stated_sizes(record: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the digest of every object of which a record says how many bytes it has, and that number.

    Examples
    --------
    >>> list(stated_sizes({"record": "entry", "body": {"object": "sha256:00", "size": 5}}))
    [('sha256:00', 5)]
    """
    items: tuple[Any, ...] = ()
    match record.get("record"):
        case "run-end":
            items = (*record.get("outputs", ()), *record.get("artifacts", ()))
        case "step":
            logged = record.get("logged") or {}
            value = () if "data" in record else (record.get("value") or {},)
            items = (*value, *logged.get("outputs", ()), *logged.get("artifacts", ()))
        case "entry":
            items = (record.get("body", {}),)
        case "manifest":
            items = tuple(record.get("parts", ()))
    for item in items:
        if item.get("format") == "dataset":  # the object is a manifest, and the size that of the rows
            continue
        for _, digest in _named("object", item.get("object")):
            if isinstance(item.get("size"), int):
                yield digest, item["size"]


def _entry(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for member in ("object", "manifest", "environment", "evidence", "baseline"):
        yield from _named(member, body.get(member))
    for name, value in (body.get("tags") or {}).items():
        if name.startswith("refused@"):
            yield from _named("evidence of a refusal", value)
    for context, digest in (body.get("profiles") or {}).items():
        yield from _named(f"profile of {context}" if context else "profile", digest)


def _step(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _named("parts", record.get("parts"))
    if "data" not in record:
        yield from _made({**(record.get("value") or {}), "name": "value"})
    logged = record.get("logged") or {}
    yield from _inputs(logged)
    for item in (*logged.get("outputs", ()), *logged.get("artifacts", ())):
        yield from _made(item)


def _made(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the object of an output or artifact; that of a table is a manifest, which names others."""
    yield from _named("manifest" if item.get("format") == "dataset" else f"{item.get('name')}", item.get("object"))


def _start(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for member in ("environment", "sources", "rng"):
        yield from _named(member, record.get(member))
    yield from _named("parts", (record.get("function") or {}).get("parts"))
    yield from _named("diff", (record.get("git") or {}).get("diff"))
    yield from _inputs(record)


def _inputs(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for item in record.get("inputs", ()):
        yield from _named(f"profile of {item.get('name')}", item.get("profile"))


def _named(what: str, digest: object) -> Iterator[tuple[str, str]]:
    if isinstance(digest, str) and digest.startswith("sha256:"):
        yield what, digest
