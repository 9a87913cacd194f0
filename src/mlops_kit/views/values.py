"""Single values as one line of text: numbers, times, sizes, fingerprints, and whatever a user recorded."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from mlops_kit.records.codec import Repr
from mlops_kit.records.paths import is_described
from mlops_kit.safe_text import clean

_LONGEST = 1000
_ITEMS = 10
_DEPTH = 4
_BITS = 400
_WHOLE = 1e15
_ROUNDED = 1e5
_SPANS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))
_MINUTE = 60
_KILO = 1000
_TENTHS = 9.95
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def markdown(text: object) -> str:
    r"""Write a text so that nothing in it acts as Markdown or HTML, and no line ends.

    Nor does it mention a person, or become a link or a formula, where Markdown has such extensions.

    Examples
    --------
    >>> markdown("**bold** <b> [x](y) | a_b")
    '\\*\\*bold\\*\\* &lt;b&gt; \\[x\\](y) \\| a\\_b'
    >>> markdown("@team: $x$, https://host, www.host")
    '\\@team: \\$x\\$, https\\://host, www\\.host'
    """
    line = clean(text).replace("\n", " ")
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!@$]|:(?=//)|(?<=\bwww)\.)", r"\\\1", line)


def clip(text: object, limit: int) -> str:
    """Clean a text and cut it to a number of characters, marking the cut.

    Parameters
    ----------
    text : object
        Any text.
    limit : int
        How many characters may stay.

    Returns
    -------
    str
        At most `limit` characters, the last one ``…`` if some were cut.

    Examples
    --------
    >>> clip("a long word", 6)
    'a lon…'
    """
    cleaned = clean(str(text)[: limit + 1])
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def shown(value: object, *, limit: int = 120) -> str:
    """Write a recorded value as Python would, bounded in length, depth and items.

    Parameters
    ----------
    value : object
        Any object.
    limit : int
        How many characters may stay.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> shown({"depth": 3, "kernel": "rbf"})
    "{'depth': 3, 'kernel': 'rbf'}"
    >>> shown(list(range(100)))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … and 90 more]'
    """
    return clip(_shown(value, 0), limit)


def number(value: object) -> str:
    """Write a metric with five significant digits, and no fewer than show that it was rounded.

    Parameters
    ----------
    value : object
        A number, or whatever stands where one should.

    Returns
    -------
    str
        Such as ``"0.99313"``.

    Examples
    --------
    >>> number(0.5), number(2 / 3), number(0.9999999), number(123456.7), number(float("nan")), number(12)
    ('0.5', '0.66667', '1.0000', '123457', 'nan', '12')
    """
    if not isinstance(value, float):
        return shown(value, limit=40)
    if math.isfinite(value) and _ROUNDED <= abs(value) < _WHOLE:
        return f"{value:.0f}"
    text = f"{value:.5g}"
    if not math.isfinite(value):
        return text
    if float(text) != value:
        return f"{value:#.5g}"
    return text if "." in text or "e" in text else text + ".0"


def change(before: object, after: object) -> str | None:
    """Write the signed difference of two numbers.

    Parameters
    ----------
    before, after : object
        Two values of a metric.

    Returns
    -------
    str or None
        Such as ``"+0.0021"``; ``"+0"`` if they are equal; None if there is no difference to speak of: one of
        them is NaN, infinite, or no number.

    Examples
    --------
    >>> change(0.991, 0.9931), change(2, 1), change(1.0, 1.0), change(1.0, float("nan"))
    ('+0.0021', '-1', '+0', None)
    """
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return None
    try:
        difference = float(after - before)
    except OverflowError:
        return None
    return f"{difference or 0.0:+.4g}" if math.isfinite(difference) else None


def duration(seconds: float | None) -> str:
    """Write a time span in the unit that suits it.

    Parameters
    ----------
    seconds : float or None
        How long; None if it is not known.

    Returns
    -------
    str
        Such as ``"1.24 s"``.

    Examples
    --------
    >>> duration(0.0123), duration(1.2449), duration(75), duration(7325), duration(200_000), duration(None)
    ('12 ms', '1.24 s', '1 min 15 s', '2 h 2 min', '2 d 8 h', 'unknown time')
    """
    if not isinstance(seconds, int | float) or not 0 <= seconds < _WHOLE:
        return "unknown time"
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.0f} ms" if milliseconds >= 1 else "under 1 ms"
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    unit, length, smaller, part = next(span for span in _SPANS if seconds >= span[1])
    amount, rest = divmod(round(seconds / part), length // part)
    return f"{amount} {unit} {rest} {smaller}" if rest else f"{amount} {unit}"


def size(count: object) -> str:
    """Write a number of bytes in decimal units.

    Parameters
    ----------
    count : object
        Bytes.

    Returns
    -------
    str
        Such as ``"1.2 MB"``.

    Examples
    --------
    >>> size(999), size(1_234_567), size(12_345_678_901), size(None)
    ('999 bytes', '1.2 MB', '12 GB', 'unknown size')
    """
    if not isinstance(count, int) or not 0 <= count < _WHOLE:
        return "unknown size"
    if count < _KILO:
        return plural(count, "byte")
    amount, unit = count / _KILO, 1
    while round(amount) >= _KILO:
        amount, unit = amount / _KILO, unit + 1
    digits = 1 if amount < _TENTHS else 0
    return f"{amount:.{digits}f} {_UNITS[unit]}"


def plural(count: int, noun: str) -> str:
    """Count things.

    Parameters
    ----------
    count : int
        How many.
    noun : str
        What one of them is called; its plural ends in *s*.

    Returns
    -------
    str
        Such as ``"569 rows"``.

    Examples
    --------
    >>> plural(1, "row"), plural(12345, "row")
    ('1 row', '12,345 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def short(digest: object) -> str:
    """Abbreviate a fingerprint or digest.

    Parameters
    ----------
    digest : object
        ``fp1:<hex>``, ``sha256:<hex>`` or bare hex.

    Returns
    -------
    str
        Its kind and first eight digits.

    Examples
    --------
    >>> short("fp1:1a2b3c4d5e6f"), short("0123456789abcdef"), short(None)
    ('fp1:1a2b3c4d…', '01234567…', 'none')
    """
    if not digest:
        return "none"
    kind, colon, digits = str(digest).rpartition(":")
    return clip(kind + colon, 12) + clip(digits, 9)


def when(moment: object, *, seconds: bool = True) -> str:
    """Write a moment in UTC.

    Parameters
    ----------
    moment : object
        A datetime.
    seconds : bool
        Whether to write seconds, and the zone.

    Returns
    -------
    str
        Such as ``"2026-11-22 10:00:00 UTC"``.

    Examples
    --------
    >>> when(datetime(2026, 11, 22, 10, tzinfo=UTC))
    '2026-11-22 10:00:00 UTC'
    """
    if not isinstance(moment, datetime):
        return "unknown time"
    try:
        utc = moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return clean(moment)
    text = utc.replace(tzinfo=None).isoformat(" ", "seconds" if seconds else "minutes")
    return f"{text} UTC" if seconds else text


def _shown(value: object, depth: int) -> str:
    if isinstance(value, list | tuple | set | frozenset | dict):
        return _container(value, depth)
    if isinstance(value, str):
        return value[:_LONGEST] if isinstance(value, Repr) else repr(value[:_LONGEST])
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, int) and value.bit_length() > _BITS:
        return f"an integer of {value.bit_length():,} bits"
    try:
        return repr(value)[:_LONGEST]
    except Exception:  # noqa: BLE001 - a foreign __repr__ may raise anything, and showing never does
        return f"<{type(value).__qualname__}>"


def _model(kind: object, settings: object, depth: int) -> str:
    """Write an estimator that was passed as a parameter as its own repr would begin: what it is, then how it is set."""
    name = str(kind)[:_LONGEST].rpartition(".")[2]
    if not isinstance(settings, dict):
        return f"{name}({_shown(settings, depth + 1)})"
    items = [f"{key}={_shown(item, depth + 1)}" for key, item in islice(settings.items(), _ITEMS)]
    more = [f"… and {len(settings) - _ITEMS:,} more"] if len(settings) > _ITEMS else []
    return f"{name}({', '.join(items + more)})"


def _container(value: Collection[Any], depth: int) -> str:
    opening, closing = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
    if depth >= _DEPTH and value:
        return f"{opening}…{closing}"
    if isinstance(value, dict) and is_described(value):
        return _model(value["type"], value["params"], depth)
    if isinstance(value, dict):
        found = (f"{_shown(key, depth + 1)}: {_shown(item, depth + 1)}" for key, item in value.items())
    else:
        found = (_shown(item, depth + 1) for item in value)
    items = list(islice(found, _ITEMS))
    if isinstance(value, set | frozenset):
        items.sort()
    if len(value) > _ITEMS:
        items.append(f"… and {len(value) - _ITEMS:,} more")
    comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
    return f"{opening}{', '.join(items)}{comma}{closing}"
