"""Fingerprints of what a function is called with: all that its code can see of a value, or why it cannot be had.

A value enters as it would if the code read it from a global name (see `mlops_kit.fingerprints.code`): the order of
dicts counts, and so do the type, labels and dtypes of data, which are no part of its content elsewhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from mlops_kit.fingerprints.arrow import is_tabular
from mlops_kit.fingerprints.closure import Walk
from mlops_kit.fingerprints.data import is_data
from mlops_kit.fingerprints.encoding import ATOMS
from mlops_kit.records.schemes import DATA, OBJECTS

_DOMAIN = b"mlk-fp1-argument"
_NOTHING_IGNORED: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ArgumentFingerprint:
    """What a value is to the code that gets it.

    Parameters
    ----------
    value : str
        ``fp1:`` or ``fp2:`` and 64 hex digits.
    distributions : dict of str to str
        Versions of the installed distributions that its types and functions come from.
    opaque : tuple of str
        Paths in it that could not be looked into: the fingerprint does not tell it from others.
    """

    value: str
    distributions: dict[str, str] = field(default_factory=dict)
    opaque: tuple[str, ...] = ()


def is_atom(value: object) -> bool:
    """Check whether a value is None, a number, text or the like: nobody can change it in place."""
    return type(value) in ATOMS and type(value) is not bytearray


def argument_fingerprint(value: object) -> ArgumentFingerprint:
    """Fingerprint a value as an argument; never an error: what cannot be seen is listed as opaque.

    Examples
    --------
    >>> argument_fingerprint({"a": 1, "b": 2}).value == argument_fingerprint({"b": 2, "a": 1}).value
    False
    >>> argument_fingerprint([lambda x: x, iter("ab")]).opaque
    ('value',)
    """
    plain = ATOMS.get(type(value))
    if plain is not None:
        return ArgumentFingerprint(f"fp{DATA}:{hashlib.sha256(_DOMAIN + plain(value)).hexdigest()}")
    walk = _Walk(_NOTHING_IGNORED)
    digest = hashlib.sha256(_DOMAIN + walk.digest(value).encode()).hexdigest()
    return ArgumentFingerprint(f"fp{OBJECTS}:{digest}", dict(sorted(walk.distributions.items())), tuple(walk.opaque))


class _Walk(Walk):
    """A walk that begins at a value, and tells data of one content apart by its type and schema."""

    def digest(self, value: object) -> str:
        return self.run((value,), place="value")

    def _labels(self, value: Any, place: str) -> list[bytes]:
        labels = [self.encode(type(value), place), *super()._labels(value, place)]
        if is_data(value) and is_tabular(value):
            labels.append(str(getattr(value, "schema", "")).encode())  # pandas has none, and its labels are above
        return labels
