"""Keep secrets out of records: by the name of what holds them, and by what they look like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_kit.masking import MASK, is_secret_name, masked_text
from mlops_kit.records.codec import Repr
from mlops_kit.records.paths import is_described

_FREE = frozenset({"comment", "description", "reason", "source", "tags"})
_LONGEST = 100_000


def masked(name: str, value: Any) -> Any:
    """Replace what is secret in a value.

    Parameters
    ----------
    name : str
        What the value is called.
    value : object
        Plain values and containers of them.

    Returns
    -------
    object
        The value itself if nothing in it is secret, else a copy with the secrets masked.

    Examples
    --------
    >>> masked("db", {"host": "h", "password": "hunter2"})
    {'host': 'h', 'password': '********'}
    """
    if value is None or isinstance(value, bool):
        return value
    if name and is_secret_name(name) and not (isinstance(value, (int, float)) and name.endswith(("s", "S"))):
        return MASK  # a number under a name in the plural is a count
    return _masked_within(value)


def _masked_within(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return _masked_entries(value)
    if kind in {list, tuple}:
        return kind(_masked_items(value))
    if kind in {set, frozenset}:
        return kind(masked("", item) for item in value)
    if kind in {bytes, bytearray} and len(value) <= _LONGEST:
        text = value.decode("latin-1")
        return value if masked_text(text) == text else kind(masked_text(text), "latin-1")
    if kind is Repr:
        text = masked_text(value)
        # the fingerprint of a short text with a secret in it would let the secret be guessed
        return value if text == value else Repr(value.type_name, text)
    return masked_text(value) if kind is str else value


def _masked_entries(value: dict[Any, Any]) -> dict[Any, Any]:
    """Mask the values by their keys, and keys that are secrets themselves."""
    shown = {key: masked(_text(key), item) for key, item in value.items()}
    if is_described(value) and shown["params"] != value["params"]:
        shown.pop("fingerprint", None)  # the secret could be guessed from that of the whole
    return masked_names(shown)


def masked_names(entries: dict[Any, Any]) -> dict[Any, Any]:
    """Mask the keys that are secrets themselves, and leave the values; each entry stays one.

    Examples
    --------
    >>> masked_names({"depth": 3, "https://ann:hunter2@db": 1})
    {'depth': 3, 'https://********@db': 1}
    """
    named: dict[Any, Any] = {}
    for key, item in entries.items():
        shown = masked_text(key) if type(key) is str else key
        while shown in named:
            shown = f"{shown}*"
        named[shown] = item
    return named


def _text(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else key if isinstance(key, str) else ""


def _masked_items(items: Any) -> Iterator[Any]:
    """Mask the values of pairs such as headers are made of, and what follows ``--password`` among arguments."""
    paired = all(type(item) in {list, tuple} and len(item) == 2 and _text(item[0]) for item in items)  # noqa: PLR2004 - name and value
    line = [] if paired else _masked_line(items)
    name = ""
    for place, item in enumerate(items):
        if paired:
            yield type(item)((item[0], masked(_text(item[0]), item[1])))
            continue
        shown = masked(name, item)
        yield line[place] if line and shown != MASK else shown
        name = item.lstrip("-") if isinstance(item, str) and item.startswith("-") else ""


def _masked_line(items: Any) -> list[str]:
    """Mask arguments as the command line that they make; return none if they are no arguments."""
    if not all(type(item) is str for item in items) or not any(item.startswith("-") for item in items):
        return []
    line = masked_text("\t".join(items)).split("\t")
    return line if len(line) == len(items) else []


def masked_texts(members: dict[str, Any]) -> dict[str, Any]:
    """Replace secrets in what a user wrote freely among the members of a record.

    Parameters
    ----------
    members : dict
        Of which ``source``, ``reason``, ``description`` and ``comment`` are free text, and ``tags`` has names.

    Returns
    -------
    dict
        The same, with secrets masked in these members.

    Examples
    --------
    >>> masked_texts({"version": 3, "source": "https://ann:hunter2@db/x"})
    {'version': 3, 'source': 'https://********@db/x'}
    """
    return {name: masked("", value) if name in _FREE else value for name, value in members.items()}
