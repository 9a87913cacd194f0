"""Names of things: what may be one, and the folder that keeps it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import unquote

from mlops_kit.errors import InvalidName, InvalidSpec
from mlops_kit.masking import excerpt, masked_text, quoted

_MAX_BYTES = 120
_MAX_FOLDER = 200
_SHOWN = 80
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³"}
)
_PLAIN_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,99}")
_AS_IS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-")

LATEST = "latest"


class Spec(NamedTuple):
    """One version of something, as a user writes it.

    Exactly one of `version` and `alias` is set; the fixed alias ``latest`` stands for the newest version.

    Examples
    --------
    >>> parse_spec("fraud@champion", what="model")
    Spec(name='fraud', version=None, alias='champion')
    """

    name: str
    version: int | None
    alias: str | None

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.alias is None else f"{self.name}@{self.alias}"


def check_name(name: object, *, what: str) -> str:
    """Accept a name or say why it cannot be one.

    Parameters
    ----------
    name : object
        What the user gave.
    what : str
        The thing being named, such as ``"model"``.

    Returns
    -------
    str
        The name in Unicode normal form C.

    Raises
    ------
    InvalidName
        With the reason and the rule.

    Examples
    --------
    >>> check_name("fraud-v2", what="model")
    'fraud-v2'
    >>> check_name("../etc", what="model")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mlops_kit.errors.InvalidName: '../etc' cannot name a model: the character '/' at position 2 is not allowed. ...
    """
    if not isinstance(name, str):
        raise _refused(name, what, f"it is of type {type(name).__name__}, not text")
    if _PLAIN_NAME.fullmatch(name) and name not in _RESERVED:
        return name
    normal = unicodedata.normalize("NFC", name)
    if not normal:
        raise _refused(name, what, "it is empty")
    for position, char in enumerate(normal):
        if not (char in "_-." or unicodedata.category(char)[0] == "L" or unicodedata.category(char) == "Nd"):
            raise _refused(name, what, f"the character {char!r} at position {position} is not allowed")
    if normal[0] in "-.":
        raise _refused(name, what, f"it begins with {normal[0]!r}")
    if normal.endswith("."):
        raise _refused(name, what, "it ends with a dot")
    if normal.split(".")[0].casefold() in _RESERVED:
        raise _refused(name, what, f"{normal.split('.')[0]!r} is reserved on Windows")
    if len(normal.encode()) > _MAX_BYTES:
        raise _refused(name, what, f"it has {len(normal.encode())} bytes, {_MAX_BYTES} are allowed")
    return normal


def folder(name: str) -> str:
    """Give the folder in which a name is kept.

    Names that differ only in case share a folder, so that twins meet and the second is refused.

    Parameters
    ----------
    name : str
        A name accepted by `check_name`.

    Returns
    -------
    str
        ASCII, safe on every file system and bucket.

    Examples
    --------
    >>> folder("Kühlung")
    'k%C3%BChlung'
    """
    same = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).encode()
    encoded = "".join(chr(byte) if byte in _AS_IS else f"%{byte:02X}" for byte in same)
    return encoded if len(encoded) <= _MAX_FOLDER else "~" + hashlib.sha256(same).hexdigest()


def unfolded(place: str) -> str | None:
    """Return a name that is kept in a folder, in lower case; None if the folder does not tell one.

    Examples
    --------
    >>> unfolded("k%C3%BChlung"), unfolded("~" + "0" * 64)
    ('kühlung', None)
    """
    try:
        name = check_name(unquote(place, errors="strict"), what="name")
    except ValueError:
        return None
    return name if folder(name) == place else None


def parse_spec(spec: object, *, what: str) -> Spec:
    """Read ``"name:3"`` or ``"name@alias"``.

    Parameters
    ----------
    spec : object
        What the user gave.
    what : str
        The thing referred to, such as ``"model"``.

    Returns
    -------
    Spec
        The parts; a bare name has neither version nor alias, which the caller answers with what exists.

    Raises
    ------
    InvalidSpec
        It is neither, or the version is not a positive integer.
    """
    if not isinstance(spec, str):
        raise InvalidSpec(_not_text(spec, what))
    if "@" in spec:
        name, _, alias = spec.partition("@")
        return Spec(_part(name, spec, what=what), None, _part(alias, spec, what="alias"))
    name, colon, number = spec.partition(":")
    if not colon:
        return Spec(check_name(name, what=what), None, None)
    if not (number.isascii() and number.isdigit()) or int(number[:18]) == 0:
        raise InvalidSpec(
            f"{quoted(spec)} does not name a version of a {what}: after the colon stands a whole number from 1, "
            f"as in '{excerpt(name)}:3'; an alias follows an '@', as in '{excerpt(name)}@{LATEST}'."
        )
    return Spec(_part(name, spec, what=what), int(number[:18]), None)


def _part(name: str, spec: str, *, what: str) -> str:
    """Accept a part of a spec; a refusal quotes the whole, as a secret does not look like one in a part."""
    try:
        return check_name(name, what=what)
    except InvalidName:
        if masked_text(spec) == spec:
            raise
        raise InvalidSpec(_not_text(spec, what)) from None


def _not_text(spec: object, what: str) -> str:
    kind, known = type(spec).__name__, getattr(spec, "spec", None)
    if isinstance(known, str):
        return f"This takes the text that names a {what}, not a {kind}: write {known!r}, or pass its .spec."
    shown = quoted(spec, _SHOWN)
    shown = f"An object of type {kind}" if shown.endswith("…") else shown
    return f"{shown} does not name a {what}: write 'name:3' or 'name@{LATEST}'."


def _refused(name: object, what: str, reason: str) -> InvalidName:
    article = "an" if what.startswith(("a", "e", "i", "o", "u")) else "a"
    return InvalidName(
        f"{quoted(name, _SHOWN)} cannot name {article} {what}: {reason}. "
        f"Names have letters, digits, '_', '-' and '.', begin with a letter, a digit or '_', do not end with a "
        f"dot, and have at most {_MAX_BYTES} bytes."
    )
