"""Fingerprints of plain values and of any object: a typed encoding of its structure.

Values that are equal and of equal types agree, in every process: no identity, address, hash seed, order of
insertion, or sharing of parts counts. Lists hold their items in order, dicts and sets sort theirs by encoding;
data, classes and functions enter by fingerprints of their own; any other object by what ``__reduce_ex__`` says
it is made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, cast

from mlops_kit.errors import InvalidInput, UnsupportedData
from mlops_kit.fingerprints.encoding import ATOMS, atom, encode_int
from mlops_kit.fingerprints.objects import Manner, OpaqueError, Writing, manner, writer

_DOMAIN = b"mlk-fp1-value"
_DEPTH_LIMIT = 100_000
_REOPENING_LIMIT = 10_000
_SHOWN_STEPS = 20
_COUNTED = (list, tuple, dict, set, frozenset)


def value_fingerprint(obj: object, *, limit: int | None = None, ordered: bool = False) -> str:
    """Fingerprint a value of any type, nested to any depth.

    ``1``, ``1.0`` and ``True`` differ, ``0.0`` and ``-0.0`` too; all NaN are one. A part that is met twice is
    written twice, so sharing does not count; a part that contains itself is written as the number of levels
    between. How long a scikit-learn search took is no part of its value.

    Parameters
    ----------
    obj : object
        None, numbers, text, bytes, containers, dates, paths, enums, arrays, tables, functions, classes, modules,
        estimators, or any object that can be pickled.
    limit : int, optional
        Give up after so many parts, as each takes about a microsecond.
    ordered : bool
        Whether the order of dicts counts, as it does for code that may go through them.

    Returns
    -------
    str
        ``"fp1:"`` and 64 hex digits, or ``"fp2:"`` if classes, functions or objects are in it.

    Raises
    ------
    UnsupportedData
        It has more parts than the limit, or somewhere inside is an iterator, a lock, an open file or the like; the
        path to it is named.
    InvalidInput
        The value is nested deeper than 100,000 levels.

    Examples
    --------
    >>> value_fingerprint({"a": 1, "b": [2.5]}) == value_fingerprint({"b": [2.5], "a": 1})
    True
    >>> value_fingerprint(1) == value_fingerprint(1.0)
    False
    """
    return value_and_code(obj, limit=limit, ordered=ordered)[0]


def value_and_code(obj: object, *, limit: int | None = None, ordered: bool = False) -> tuple[str, list[Any]]:
    """Fingerprint a value, and collect the functions and classes of the user's that are in it.

    Parameters
    ----------
    obj, limit, ordered : object, int and bool
        As for `value_fingerprint`.

    Returns
    -------
    tuple
        The fingerprint and the functions and classes.
    """
    own = Manner(in_order=ordered)
    token = manner.set(own)
    try:
        encoded = _Encoder(limit).encode(obj)
    finally:
        manner.reset(token)
    return f"fp{own.scheme}:{hashlib.sha256(_DOMAIN + encoded).hexdigest()}", own.code


@dataclass(slots=True)
class _Open:
    """An object whose encoding is under way."""

    obj: object
    label: object
    writing: Writing
    reach: int  # the outermost level that something inside refers back to


class _Encoder:
    """Drives the writers of nested objects, and remembers what is written."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._stack: list[_Open] = []
        self._levels: dict[int, int] = {}
        # an id means an object only while the object lives, so the objects are kept with their encodings
        self._written: dict[int, tuple[object, bytes]] = {}
        self._unfinished: set[int] = set()  # closed without being remembered
        self._reopenings = 0

    def encode(self, root: object) -> bytes:
        answer = self._look_up("", root)
        try:
            while self._stack:
                top = self._stack[-1]
                try:
                    label, part = top.writing.send(answer)  # type: ignore[arg-type]  # None starts a generator
                except StopIteration as end:
                    answer = end.value
                    self._close(end.value)
                else:
                    answer = self._look_up(label, part)
        except OpaqueError as error:
            raise UnsupportedData(f"No fingerprint of {self._path()}: {error}.") from error
        except RecursionError as error:
            raise InvalidInput(f"No fingerprint of {self._path()}: taking it apart recurses too deeply.") from error
        return answer  # type: ignore[return-value]  # the root's, once nothing is open

    def _look_up(self, label: object, obj: object) -> bytes | None:
        """Give the encoding if there is one to give, else open the object."""
        plain = ATOMS.get(type(obj))
        if plain is not None:
            return plain(obj)
        written = self._written.get(id(obj))
        if written is not None:
            return written[1]
        level = self._levels.get(id(obj))
        if level is not None:
            self._stack[-1].reach = min(self._stack[-1].reach, level)
            return atom("cycle", encode_int(len(self._stack) - level))
        return self._open(label, obj)

    def _open(self, label: object, obj: object) -> bytes | None:
        level = len(self._stack)
        if level >= _DEPTH_LIMIT:
            raise InvalidInput(f"No fingerprint of {self._path()}: it is nested deeper than {_DEPTH_LIMIT:,} levels.")
        if self._left is not None:
            self._left -= 1 + (len(cast("Sized", obj)) if issubclass(type(obj), _COUNTED) else 0)
            if self._left < 0:
                raise OpaqueError("it has more parts than may be looked at here")
        writing = writer(obj)(obj)
        if isinstance(writing, bytes):
            self._written[id(obj)] = (obj, writing)
            return writing
        self._levels[id(obj)] = level
        self._stack.append(_Open(obj, label, writing, level))
        return None

    def _close(self, encoding: bytes) -> None:
        """Remember an encoding, unless it counts levels up to an object outside of it."""
        done = self._stack.pop()
        level = self._levels.pop(id(done.obj))
        if done.reach >= level:
            self._written[id(done.obj)] = (done.obj, encoding)
            return
        self._stack[-1].reach = min(self._stack[-1].reach, done.reach)
        self._reopenings += id(done.obj) in self._unfinished
        self._unfinished.add(id(done.obj))
        if self._reopenings > _REOPENING_LIMIT + 4 * len(self._unfinished):  # a net grows far beyond its knots
            raise InvalidInput(
                f"No fingerprint of {self._path()}: its parts refer to each other in a net too dense to unroll. "
                "Give the class a `__getstate__` that leaves out the references back."
            )

    def _path(self) -> str:
        """Say where the object under way stands, from the root down."""
        root, *steps = self._stack
        shown = [str(step.label) for step in steps if step.label != ""]
        if len(shown) > _SHOWN_STEPS:
            shown[1:-_SHOWN_STEPS] = ["…"]
        return " → ".join([f"a value of type {type(root.obj).__qualname__}", *shown])
