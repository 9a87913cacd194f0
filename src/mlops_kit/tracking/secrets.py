"""Keep secrets out of records: by the name of what holds them, and by what they look like."""

from __future__ import annotations

import functools
import re
from typing import Any

from mlops_kit.records.codec import Repr

MASK = "********"

_SECRET_ENDINGS = frozenset(
    {"apikey", "auth", "authorization", "cookie", "credential", "credentials", "passphrase", "passwd", "password"}
    | {"pwd", "secret", "secrets", "token"}
)
_SECRET_PAIRS = frozenset(
    {("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("account", "key")}
)
_VOCABULARY = frozenset({"bos", "cls", "end", "eos", "mask", "next", "pad", "sep", "special", "start", "stop", "unk"})
_SHORTEST, _LONGEST = 8, 100_000
_SEGMENT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PATTERNS = re.compile(
    r"""
      (?P<url>(?<=://)[^/\s:@]*:[^/\s@]+(?=@))            # user:password@ in a URL
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                        # AWS
    | \bgh[pousr]_[A-Za-z0-9]{20,}\b                       # GitHub
    | \bgithub_pat_[A-Za-z0-9_]{20,}\b
    | \bglpat-[A-Za-z0-9_-]{16,}                           # GitLab
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                       # Slack
    | \bsk-[A-Za-z0-9_-]{20,}                              # OpenAI and others
    | \bhf_[A-Za-z0-9]{20,}\b                              # Hugging Face
    | (?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}   # JSON web token
    | (?<=[Bb]earer\ )[A-Za-z0-9._~+/-]{8,}=*
    | (?<=[?&](?:sig|key)=)[^&\s]+ | (?<=Signature=)[^&\s]+ | (?<=[?&]token=)[^&\s]+ | (?<=X-Amz-Signature=)[0-9a-f]+
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNED = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|access[_-]?key)\b['\"]?\s*[=:]\s*)(['\"]?)([^\s'\",;&)]+)(\2)"
)


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether a name says that its value is a secret, by its last word.

    Parameters
    ----------
    name : str
        In snake case, camel case or with dashes.

    Returns
    -------
    bool
        True for ``db_password`` and ``apiKey``; False for ``tokenizer``, ``max_tokens`` and ``pad_token``.

    Examples
    --------
    >>> [name for name in ("token", "tokenizer", "dbPassword", "eos_token") if is_secret_name(name)]
    ['token', 'dbPassword']
    """
    words = [word.lower() for word in _SEGMENT.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "token" and before in _VOCABULARY:
        return False
    return (
        last in _SECRET_ENDINGS
        or last.endswith(("password", "passwords", "passwd", "secret", "apikey"))
        or (before, last) in _SECRET_PAIRS
    )


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
    if name and is_secret_name(name):
        return MASK
    kind = type(value)
    if kind is Repr:
        return Repr(value.type_name, masked_text(value))
    if kind is dict:
        return {key: masked(key if isinstance(key, str) else "", item) for key, item in value.items()}
    if kind in {list, tuple, set, frozenset}:
        return kind(masked("", item) for item in value)
    return masked_text(value) if kind is str else value


def masked_text(text: str) -> str:
    """Replace what looks like a secret in free text: keys of known forms, passwords in URLs, assignments.

    Parameters
    ----------
    text : str
        A message, a URL, a command line.

    Returns
    -------
    str
        The text with each secret replaced; of more than 100,000 characters, their beginning.

    Examples
    --------
    >>> masked_text("postgres://ann:hunter2@db/x --api-key=12345")
    'postgres://********@db/x --api-key=********'
    """
    if len(text) < _SHORTEST:
        return text
    return _ASSIGNED.sub(rf"\1\2{MASK}\4", _PATTERNS.sub(MASK, text[:_LONGEST]))
