"""Keep secrets out of records: by the name of what holds them, and by what they look like."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from mlops_kit.records.codec import Repr

MASK = "********"

_FREE = frozenset({"comment", "description", "reason", "source", "tags"})
_SECRET_ENDINGS = frozenset(
    {"apikey", "auth", "authorization", "cookie", "credential", "passphrase", "passwd", "password", "pwd", "secret"}
    | {"token"}
)
_KEYS = frozenset({"access", "account", "api", "encryption", "master", "private", "secret", "signing", "ssh"})
_TOKENS = frozenset(
    {"access", "api", "auth", "bearer", "github", "gitlab", "hf", "oauth", "refresh", "session", "slack"}
)
_VOCABULARY = frozenset(
    {"bos", "boundary", "cls", "decoder", "end", "eod", "eos", "eot", "first", "forced", "image", "last", "mask"}
    | {"max", "min", "n", "new", "next", "num", "out", "pad", "padding", "per", "prev", "sep", "special", "start"}
    | {"stop", "unk", "unknown"}
)
_SHORTEST, _LONGEST = 8, 100_000
_SEGMENT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PATTERNS = re.compile(
    r"""
      (?<=://)[^\s/?\#:@'"<>]{0,200}:(?!\d{1,5}(?:[/?\#]|$))[^\s'"<>]{1,300}(?=@)   # user:password@ in a URL
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
_NAMED = re.compile(
    r"""
    (?<![\w-]) (?P<option>--?)? (?P<name>[A-Za-z_][\w-]{2,})
    (?: \\*['"]?\s{0,9}[=:]\s{0,9}                # name=, 'name': and the like
      | \\*['"]\s{0,9},\s{0,9}(?=b?\\*['"])        # ('name', 'value')
      | (?P<gap>\s{1,9})(?=[^\s-])                 # --name value
    )
    """,
    re.VERBOSE,
)
_VALUE = re.compile(
    r"""
      (?P<open>b?\\*['"]) (?: (?!(?<!\\)(?P=open)) [^\n] )* (?P<close>(?P=open))?
    | \[[^\]]*\]? | \([^)]*\)? | \{[^}]*\}?
    | [^\s'",;&)\]}]+ (?:\ [^\s'",;&)\]}=]+){1,9} (?=;)   # in Server=db;Password=two words;
    | (?:(?:Bearer|Basic|Token|Digest)\s+)?[^\s'",;&)\]}]+
    """,
    re.VERBOSE,
)
_PLAIN = frozenset({"None", "True", "False", "null", "true", "false"})


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
    single = last.removesuffix("s")
    if single == "token" and last != single:
        return not before or before in _TOKENS
    if single == "token" and before in _VOCABULARY:
        return False
    return (
        single in _SECRET_ENDINGS
        or single.endswith(("password", "passwd", "secret", "apikey"))
        or (single == "key" and before in _KEYS)
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
    if name and is_secret_name(name) and not (isinstance(value, (int, float)) and name.endswith(("s", "S"))):
        return MASK  # a number under a name in the plural is a count
    return _masked_within(value)


def _masked_within(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: masked(_text(key), item) for key, item in value.items()}
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


def _text(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else key if isinstance(key, str) else ""


def _masked_items(items: Any) -> Iterator[Any]:
    """Mask the values of pairs such as headers are made of, and what follows ``--password`` among arguments."""
    paired = all(type(item) in {list, tuple} and len(item) == 2 and _text(item[0]) for item in items)  # noqa: PLR2004 - name and value
    name = ""
    for item in items:
        if paired:
            yield type(item)((item[0], masked(_text(item[0]), item[1])))
        else:
            yield masked(name, item)
        name = item.lstrip("-") if isinstance(item, str) and item.startswith("-") else ""


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
    text = _PATTERNS.sub(MASK, text[:_LONGEST])
    kept, done, at = [], 0, 0
    while (named := _NAMED.search(text, at)) is not None:
        at = named.end()
        if is_secret_name(named["name"]) and (named["option"] or not named["gap"]):
            value = _VALUE.match(text, at)
            if value is not None and not _is_harmless(named["name"], value[0]):
                quote = value["open"] or ""
                kept += [text[done:at], quote, MASK, quote.removeprefix("b")]
                done = at = value.end()
    return "".join([*kept, text[done:]])


def _is_harmless(name: str, value: str) -> bool:
    """Tell whether a value is no secret under any name, or a count under a name in the plural."""
    return value in _PLAIN or (name.endswith(("s", "S")) and value.replace(".", "", 1).isdigit())
