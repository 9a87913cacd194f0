"""JSON from a store, parsed within bounds that hold before it is parsed."""

from __future__ import annotations

import json
import re
import sys
from array import array
from itertools import accumulate
from typing import Any

from mlops_kit.errors import IntegrityError
from mlops_kit.masking import excerpt

MAX_BYTES = 2**27
"""The longest record that is read; objects may be longer."""
MAX_NESTING = 330
"""The deepest nesting that is read: `codec.plain` goes 100 levels deep, each of at most three in JSON."""
MAX_OBJECT = 2**40
"""The longest object."""
_LONGEST = {".json": MAX_BYTES, ".jsonl": 8 * MAX_BYTES, ".parquet": 128 * MAX_BYTES}
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_LONG_NUMBER = re.compile(rb"[0-9]{4301}")
_STEPS = bytes({ord("["): 1, ord("{"): 1, ord("]"): 255, ord("}"): 255}.get(code, 0) for code in range(256))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def longest(key: str) -> int:
    """Return how many bytes the value of a key has at most."""
    return next((most for ending, most in _LONGEST.items() if key.endswith(ending)), MAX_OBJECT)


def check_size(size: int, key: str, most: int | None = None) -> None:
    """Check the length of a value before it is read.

    Parameters
    ----------
    size : int
        In bytes.
    key : str
        Its place in the store.
    most : int, optional
        How many bytes it may have; by default as many as a writer ever gives to a value of its kind.

    Raises
    ------
    IntegrityError
        It is longer.

    Examples
    --------
    >>> check_size(2**40, "objects/ab/abcd")
    >>> check_size(2**40, "store.json")
    Traceback (most recent call last):
    mlops_kit.errors.IntegrityError: The record store.json has 1,099,511,627,776 bytes; none has more than 134,217,728.
    """
    if most is not None and size > most:
        raise IntegrityError(
            f"{key} is longer than the {most:,} bytes that it may have, and was not read. Restore the file from a copy "
            "of the store; `Store.fsck()` lists all that is damaged."
        )
    if size > longest(key):
        raise IntegrityError(f"The record {key} has {size:,} bytes; none has more than {longest(key):,}.")


def parse(data: bytes, *, where: str) -> Any:
    """Parse JSON from a store, whose length, nesting and digits are bounded before it is parsed.

    Parameters
    ----------
    data : bytes
        JSON in UTF-8.
    where : str
        Where it was read from, for the message of an error.

    Returns
    -------
    object
        A JSON value.

    Raises
    ------
    IntegrityError
        It is no JSON, or beyond a bound.

    Examples
    --------
    >>> parse(b'{"x": [1, null]}', where="a doctest")
    {'x': [1, None]}
    """
    if len(data) > MAX_BYTES:
        raise IntegrityError(f"The record {where} has {len(data):,} bytes; none has more than {MAX_BYTES:,}.")
    if data.count(b"[") + data.count(b"{") > MAX_NESTING and _nesting(data) > MAX_NESTING:
        raise IntegrityError(f"The record {where} is nested more than {MAX_NESTING} levels deep: no writer does that.")
    if not sys.get_int_max_str_digits() and _LONG_NUMBER.search(_STRING.sub(b"", data)):
        raise IntegrityError(f"The record {where} holds a number of more than 4,300 digits: no writer does that.")
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError, MemoryError) as error:
        raise IntegrityError(f"The record {where} is not JSON: {excerpt(error)}.") from error


def _nesting(data: bytes) -> int:
    steps = _STRING.sub(b"", data).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(array("b", steps)), default=0)
