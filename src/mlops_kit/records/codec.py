"""Records as bytes and back: canonical JSON, tagged values, checksums and the format number.

The bytes are defined in ``docs/format.md``. Two layers meet here. `plain` and `unplain` turn Python values
into JSON values and back, tagging what JSON cannot keep; `seal` and `unseal` turn a JSON object into a
record's bytes and back, and verify it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Self

from mlops_kit.errors import IntegrityError, NewerFormat
from mlops_kit.masking import excerpt, quoted
from mlops_kit.records.bounds import parse
from mlops_kit.records.shape import ODD

FORMAT = 1

MAX_DIGITS = 100_000
"""The longest integer that is kept or read."""

_FORM: Any = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
_ENCODER = json.JSONEncoder(**_FORM, check_circular=False)
_NO_CONTAINERS = frozenset({int, float, str, bool, type(None)})
_SAFE_INT = 2**53
_REPR_LIMIT = 1000
_SUM_TAIL = len(b',"sum":""}') + 64
_MAX_DEPTH = 100
_MAX_BITS = int(MAX_DIGITS * math.log2(10))
_INTEGER = re.compile("-?[0-9]+")


def canonical(value: Any) -> bytes:
    """Encode a JSON value as canonical JSON.

    Parameters
    ----------
    value : object
        Dicts with string keys, lists, strings, finite floats, integers, booleans and None.

    Returns
    -------
    bytes
        UTF-8, keys sorted by code point, no white space, floats by ``repr``.

    Examples
    --------
    >>> canonical({"b": 0.1, "a": "ż"}).decode()
    '{"a":"ż","b":0.1}'
    """
    return _ENCODER.encode(value).encode()


def seal(kind: str, members: dict[str, Any], *, default: Callable[[Any], Any] | None = None) -> bytes:
    """Encode a record: its members, the format number, the kind, and the checksum of them all.

    Parameters
    ----------
    kind : str
        The kind of record, such as ``"entry"``.
    members : dict
        JSON values by name, already made plain.
    default : callable, optional
        Makes a JSON value of what is none, such as a number of numpy.

    Returns
    -------
    bytes
        The record, its ``sum`` last.

    Examples
    --------
    >>> unseal(seal("demo", {"x": 1}), where="a doctest")
    {'format': 1, 'record': 'demo', 'x': 1}
    """
    encoder = _ENCODER if default is None else json.JSONEncoder(**_FORM, check_circular=False, default=default)
    body = encoder.encode({**members, "format": FORMAT, "record": kind}).encode()
    digest = hashlib.sha256(body[:-1]).hexdigest()
    return b'%s,"sum":"%s"}' % (body[:-1], digest.encode())


def seal_list(kind: str, members: dict[str, Any], name: str, items: Iterable[Any]) -> bytes:
    """Encode a record as `seal` does, with a list that is too long to be in memory twice.

    Parameters
    ----------
    kind : str
        The kind of record.
    members : dict
        The other members.
    name : str
        The member that is the list.
    items : iterable
        Its items, each a JSON value.

    Returns
    -------
    bytes
        The record.

    Examples
    --------
    >>> seal_list("demo", {"x": 1}, "of", iter([2, 3])) == seal("demo", {"x": 1, "of": [2, 3]})
    True
    """
    others = {**members, "format": FORMAT, "record": kind}
    before, after = (
        canonical({key: value for key, value in others.items() if (key < name) == early})[1:-1]
        for early in (True, False)
    )
    sink = io.BytesIO()
    sink.write(b"{%s%s%s:[" % (before, b"," if before else b"", canonical(name)))
    for number, item in enumerate(items):
        sink.write((b"," if number else b"") + canonical(item))
    sink.write(b"]%s%s" % (b"," if after else b"", after))
    digest = hashlib.sha256(sink.getbuffer()).hexdigest()
    sink.write(b',"sum":"%s"}' % digest.encode())
    return sink.getvalue()


def unseal(data: bytes, *, where: str, kind: str | None = None) -> dict[str, Any]:
    """Decode and verify a record.

    Parameters
    ----------
    data : bytes
        The record as stored.
    where : str
        The key it was read from, for the message of an error.
    kind : str, optional
        The kind of record expected here.

    Returns
    -------
    dict
        The members, without ``sum``, still as plain JSON values.

    Raises
    ------
    IntegrityError
        The bytes are not what a writer sealed.
    NewerFormat
        The record carries a higher format number and does not declare itself compatible.
    """
    head, tail = data[:-_SUM_TAIL], data[-_SUM_TAIL:]
    actual = hashlib.sha256(head).hexdigest()
    if tail != b',"sum":"%s"}' % actual.encode():
        stated = tail[8:-2].decode("ascii", "replace") if tail.startswith(b',"sum":"') else "none"
        raise IntegrityError(
            f"The record {where} is damaged: its checksum says {stated}, its bytes give {actual}. "
            "Restore the file from a copy of the store; `Store.fsck()` lists all that is damaged."
        )
    body = head + b"}"
    parsed = parse(body, where=where)
    try:
        same = isinstance(parsed, dict) and canonical(parsed) == body
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"The record {where} is not canonical JSON: {excerpt(error)}.") from error
    if not same:
        raise IntegrityError(f"The record {where} is not in canonical form: it was not written by this format.")
    members: dict[str, Any] = parsed
    number = members.get("format")
    if not isinstance(number, int) or isinstance(number, bool):
        raise IntegrityError(f"The record {where} has no format number.")
    if number > FORMAT and members.get("compatible") != 1:
        raise NewerFormat(
            f"The record {where} is of format {number}; this release reads up to {FORMAT}. "
            "Upgrade with `pip install -U mlops-kit`."
        )
    if kind is not None and members.get("record") != kind:
        raise IntegrityError(f"The record {where} is a {quoted(members.get('record'), 80)}, where a {kind!r} belongs.")
    return members


def plain(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Turn a Python value into a JSON value from which `unplain` makes an equal one of the same type.

    Parameters
    ----------
    value : object
        None, booleans, numbers, strings, bytes, datetimes, and lists, tuples, sets, frozensets and dicts of
        these keep their value and type; anything else becomes its type and at most 1000 characters of its
        ``repr``.
    above : tuple of int
        The identities of the containers this value stands in; a container inside itself, or deeper than 100
        levels, gets the ``repr`` form.

    Returns
    -------
    object
        A JSON value.

    Examples
    --------
    >>> plain((1, float("nan")))
    {'$': 'tuple', 'v': [1, {'$': 'float', 'v': 'nan'}]}
    """
    kind = type(value)
    if kind in _CONTAINERS:
        if id(value) in above or len(above) >= _MAX_DEPTH:
            return reprd(value)
        above = (*above, id(value))
    return _PLAIN.get(kind, _plain_other)(value, above)


def plain_in_order(value: Any) -> Any:
    """Turn a value into JSON as `plain` does, but with the order of every dict, which canonical JSON loses.

    Examples
    --------
    >>> list(unplain(plain_in_order({"b": 1, "a": {"d": 2, "c": 3}}))["a"])
    ['d', 'c']
    """
    kind = type(value)
    if kind is dict:
        return {"$": "dict", "v": [[plain(key), plain_in_order(item)] for key, item in value.items()]}
    if kind is tuple:
        return {"$": "tuple", "v": [plain_in_order(item) for item in value]}
    return [plain_in_order(item) for item in value] if kind is list else plain(value)


def unplain(value: Any) -> Any:
    """Turn a JSON value made by `plain` back into the Python value.

    Parameters
    ----------
    value : object
        A JSON value.

    Returns
    -------
    object
        The value, equal in value and type; a `Repr` for what had no other form.

    Raises
    ------
    IntegrityError
        A tagged value is not what its tag says.

    Examples
    --------
    >>> unplain(plain({1: {"a", "b"}})) == {1: {"a", "b"}}
    True
    """
    try:
        return _unplain(value)
    except ODD as error:
        raise IntegrityError(
            f"A tagged value is not what its tag says ({type(error).__name__}: {excerpt(error)})."
        ) from error


def _unplain(value: Any) -> Any:
    if isinstance(value, list):
        return [*value] if _NO_CONTAINERS.issuperset(map(type, value)) else [_unplain(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get("$")
    if tag is None:
        return {key: _unplain(item) for key, item in value.items()}
    content = value.get("v")
    if tag in _UNTAG:
        return _UNTAG[tag](value if tag == "repr" else content)
    return Repr(f"${tag}"[:_REPR_LIMIT], repr(content)[:_REPR_LIMIT])


class Repr(str):
    """What is left of a value that has no recordable form: its type and the start of its ``repr``.

    Parameters
    ----------
    type_name : str
        The dotted name of the value's type.
    text : str
        At most 1000 characters of its ``repr``.
    fingerprint : str, optional
        The fingerprint of the whole value. Without one, two of these cannot be compared: their texts may be equal
        where the values are not.

    Examples
    --------
    >>> Repr("pkg.Thing", "Thing(1)").type_name
    'pkg.Thing'
    """

    __slots__ = ("fingerprint", "type_name")

    type_name: str
    fingerprint: str | None

    def __new__(cls, type_name: str, text: str, fingerprint: str | None = None) -> Self:
        """Make the text and remember the rest, as text that a record can hold."""
        self = super().__new__(cls, _sayable(text))
        self.type_name = _sayable(type_name)
        self.fingerprint = fingerprint
        return self

    def __getnewargs__(self) -> tuple[str, str, str | None]:  # type: ignore[override]
        return self.type_name, str(self), self.fingerprint


def reprd(value: Any) -> dict[str, str]:
    """Reduce a value to its type and the start of its ``repr``, whatever its ``__repr__`` does.

    Parameters
    ----------
    value : object
        Any object, also one whose ``__repr__`` raises.

    Returns
    -------
    dict
        The tagged form ``{"$": "repr", "type": ..., "v": ...}``, with the ``fingerprint`` of a `Repr` that has one.
    """
    if isinstance(value, Repr):
        whole = {} if value.fingerprint is None else {"fingerprint": value.fingerprint}
        return {"$": "repr", "type": value.type_name, "v": str(value), **whole}
    kind = type(value)
    try:
        text = _sayable(repr(value))
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything, and must not stop a recording
        text = f"<{kind.__qualname__} whose repr raises {type(error).__name__}>"
    return {"$": "repr", "type": f"{kind.__module__}.{kind.__qualname__}", "v": text[:_REPR_LIMIT]}


def _sayable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def timestamp(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with six digits and ``Z``.

    Parameters
    ----------
    moment : datetime
        An aware datetime.

    Returns
    -------
    str
        Such as ``"2026-11-22T10:00:00.000000Z"``; these sort as text in time order.

    Examples
    --------
    >>> timestamp(datetime(2026, 11, 22, 10, tzinfo=UTC))
    '2026-11-22T10:00:00.000000Z'
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment(text: str) -> datetime:
    """Read a time written by `timestamp`.

    Parameters
    ----------
    text : str
        RFC 3339 text.

    Returns
    -------
    datetime
        Aware, in UTC.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return found.astimezone(UTC)


def _plain_float(value: float, _above: tuple[int, ...]) -> Any:
    return value if math.isfinite(value) else {"$": "float", "v": repr(value)}


def _plain_int(value: int, _above: tuple[int, ...]) -> Any:
    if -_SAFE_INT <= value <= _SAFE_INT:
        return value
    if value.bit_length() > _MAX_BITS:
        return {"$": "repr", "type": "builtins.int", "v": f"an integer of {value.bit_length():,} bits"}
    return {"$": "int", "v": _decimal(value)}


def _plain_str(value: str, _above: tuple[int, ...]) -> Any:
    if value.isascii() or _encodable(value):
        return value
    return {"$": "str", "v": _base64(value.encode("utf-8", "surrogatepass"))}


def _plain_dict(value: dict[Any, Any], above: tuple[int, ...]) -> Any:
    found = {}
    for key, item in value.items():
        if type(key) is not str or key == "$" or not (key.isascii() or _encodable(key)):
            return {"$": "dict", "v": [[plain(key, above), plain(item, above)] for key, item in value.items()]}
        scalar = _SCALARS.get(type(item))
        found[key] = plain(item, above) if scalar is None else scalar(item, above)
    return found


def _plain_list(value: list[Any], above: tuple[int, ...]) -> Any:
    kinds = {*map(type, value)}  # of many numbers each would be a call
    if kinds == {float} and all(map(math.isfinite, value)):
        return [*value]
    if kinds == {int} and min(value) >= -_SAFE_INT and max(value) <= _SAFE_INT:
        return [*value]
    return [plain(item, above) for item in value]


def _plain_tuple(value: tuple[Any, ...], above: tuple[int, ...]) -> Any:
    return {"$": "tuple", "v": [plain(item, above) for item in value]}


def _plain_set(value: set[Any] | frozenset[Any], above: tuple[int, ...]) -> Any:
    items = sorted((plain(item, above) for item in value), key=canonical)
    return {"$": type(value).__name__, "v": items}


def _plain_bytes(value: bytes | bytearray, _above: tuple[int, ...]) -> Any:
    return {"$": type(value).__name__, "v": _base64(bytes(value))}


def _plain_other(value: Any, _above: tuple[int, ...]) -> Any:
    return reprd(value)


_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_SCALARS: dict[type, Callable[[Any, tuple[int, ...]], Any]] = {
    type(None): lambda value, _above: value,
    bool: lambda value, _above: value,
    int: _plain_int,
    float: _plain_float,
    str: _plain_str,
}
_PLAIN: dict[type, Callable[[Any, tuple[int, ...]], Any]] = {
    **_SCALARS,
    list: _plain_list,
    tuple: _plain_tuple,
    dict: _plain_dict,
    set: _plain_set,
    frozenset: _plain_set,
    bytes: _plain_bytes,
    bytearray: _plain_bytes,
    datetime: lambda value, _above: {"$": "datetime", "v": value.isoformat()},
}


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


_CHUNK = 10**4000


def _decimal(value: int) -> str:
    """Write an integer of any size in decimal, past the interpreter's limit on such conversions too."""
    if value < 0:
        return "-" + _decimal(-value)
    digits = []
    while value >= _CHUNK:
        value, low = divmod(value, _CHUNK)
        digits.append(f"{low:04000d}")
    return str(value) + "".join(reversed(digits))


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS + 1 or not _INTEGER.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is no integer of at most {MAX_DIGITS:,} digits")
    negative, text = text.startswith("-"), text.removeprefix("-")
    value = 0
    head = len(text) % 4000
    for chunk in [text[:head]] + [text[i : i + 4000] for i in range(head, len(text), 4000)]:
        value = value * 10 ** len(chunk) + (int(chunk) if chunk else 0)
    return -value if negative else value


def _fingerprint(tagged: dict[str, Any]) -> str | None:
    found = tagged.get("fingerprint")
    return found[:_REPR_LIMIT] if isinstance(found, str) else None


_UNTAG: dict[str, Any] = {
    "float": float,
    "int": _integer,
    "str": lambda v: base64.b64decode(v).decode("utf-8", "surrogatepass"),
    "bytes": base64.b64decode,
    "bytearray": lambda v: bytearray(base64.b64decode(v)),
    "tuple": lambda v: tuple(_unplain(item) for item in v),
    "set": lambda v: {_unplain(item) for item in v},
    "frozenset": lambda v: frozenset(_unplain(item) for item in v),
    "datetime": datetime.fromisoformat,
    "dict": lambda v: {_unplain(key): _unplain(item) for key, item in v},
    "repr": lambda v: Repr(v.get("type", "")[:_REPR_LIMIT], v.get("v", "")[:_REPR_LIMIT], _fingerprint(v)),
}
