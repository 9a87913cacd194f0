"""The number of the rules by which a fingerprint was made: only fingerprints of one scheme can be compared."""

from __future__ import annotations

DATA = 1
"""Of data and plain values: fixed for good by the format."""
OBJECTS = 2
"""Of code and objects: it grows when a release writes them by other rules."""


def scheme_of(fingerprint: str) -> int:
    """Return the number of the scheme in a fingerprint.

    Parameters
    ----------
    fingerprint : str
        ``fp<scheme>:<hex>``.

    Returns
    -------
    int
        0 if it is no fingerprint.

    Examples
    --------
    >>> scheme_of("fp2:1a2b"), scheme_of("sha256:1a2b")
    (2, 0)
    """
    digits = fingerprint.partition(":")[0].removeprefix("fp")
    return int(digits) if digits.isdigit() else 0


def comparable(one: str, other: str) -> bool:
    """Return whether two fingerprints were made by the same rules, so that they differ only if the contents do.

    Parameters
    ----------
    one, other : str
        ``fp<scheme>:<hex>``.

    Returns
    -------
    bool
        False across schemes, where nothing follows from a difference.

    Examples
    --------
    >>> comparable("fp2:1a2b", "fp2:3c4d"), comparable("fp1:1a2b", "fp2:1a2b")
    (True, False)
    """
    return scheme_of(one) == scheme_of(other)
