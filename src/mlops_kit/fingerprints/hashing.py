"""Feeding values to a hash where they lie: a copy is made only of floats among which there is a NaN.

Every NaN has to become the same one, so floats must be looked at. They are hashed first and looked at after,
while the processor still has them at hand: looking first would cost a second way to memory.

Imported only once data is at hand, so numpy may be imported at the top.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hashlib import _Hash

    from numpy.typing import NDArray

_FIRST_BYTES, _STRETCH_BYTES = 1 << 16, 1 << 19  # few at first: a stretch with a NaN is hashed twice


def hashed(hasher: _Hash, parts: Iterable[Any]) -> _Hash:
    """Hash buffers one after the other, every NaN of an array of floats as the same one.

    Parameters
    ----------
    hasher : hash
        Where to begin; not to be used any more afterwards.
    parts : iterable of buffers
        Bytes, or contiguous arrays.

    Returns
    -------
    hash
        Of all that went before, and the parts.

    Examples
    --------
    >>> import hashlib
    >>> one, other = np.array([0x7FF8000000000000, 0xFFF8000000000001], np.uint64).view(np.float64)
    >>> a, b = (hashed(hashlib.sha256(), [np.array([1.5, nan])]).hexdigest() for nan in (one, other))
    >>> a == b == hashlib.sha256(np.array([1.5, one])).hexdigest()
    True
    """
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype.kind == "f":
            hasher = _hashed_floats(hasher, part.reshape(-1))
        else:
            hasher.update(part)
    return hasher


def canonical_floats(values: Any, nulls: NDArray[np.bool_] | None = None) -> Any:
    """Give floating-point values with one bit pattern for NaN, copying only when there is a NaN to write.

    Parameters
    ----------
    values : numpy.ndarray
        A contiguous array of floats.
    nulls : numpy.ndarray of bool, optional
        Where to write NaN whatever the value.

    Returns
    -------
    numpy.ndarray
        The same array, or a copy of it.
    """
    nans = _nans(values)
    if nulls is not None:
        nans |= nulls
    if nans.any():
        values = values.copy()
        np.copyto(values, np.nan, where=nans)
    return values


def _hashed_floats(hasher: _Hash, values: Any) -> _Hash:
    if values.nbytes <= _FIRST_BYTES:  # which fits the nearest cache anyway
        hasher.update(canonical_floats(values))
        return hasher
    expected, start, step = False, 0, _FIRST_BYTES // values.itemsize
    while start < len(values):
        stretch = values[start : start + step]
        before = hasher
        if not expected:
            before = hasher.copy()
            hasher.update(stretch)
            expected = bool(_nans(stretch).any())  # where there is one NaN, there are more
        if expected:
            before.update(canonical_floats(stretch))
            hasher = before
        start, step = start + step, _STRETCH_BYTES // values.itemsize
    return hasher


def _nans(values: Any) -> NDArray[np.bool_]:
    if values.dtype.itemsize == np.dtype(np.float16).itemsize:  # isnan converts each half-precision float
        nans: NDArray[np.bool_] = (values.view(np.uint16) & 0x7FFF) > 0x7C00  # noqa: PLR2004 - IEEE 754: above infinity
        return nans
    return np.isnan(values)  # type: ignore[no-any-return]  # of an array it is an array
