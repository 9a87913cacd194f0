"""The installed distributions that others need: what may change a result without changing what was called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from mlops_kit.fingerprints.environment import packages_and_stamp

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"\bextra\s*==")
_SEPARATORS = re.compile(r"[-_.]+")
_found: dict[tuple[object, frozenset[str]], dict[str, str]] = {}
_MOST = 256


def with_requirements(distributions: Iterable[str]) -> dict[str, str]:
    """List distributions with all that they require, as far as it is installed.

    Parameters
    ----------
    distributions : iterable of str
        Names of distributions.

    Returns
    -------
    dict of str to str
        Versions by normalised name, sorted. What only an extra requires is left out; other conditions count as met.

    Examples
    --------
    >>> "numpy" in with_requirements(["scikit-learn"])
    True
    """
    names = frozenset(distributions)
    if not names:
        return {}
    installed, stamp = packages_and_stamp()
    known = _found.get((stamp, names))
    if known is None:
        if len(_found) >= _MOST:
            _found.clear()
        known = _found[stamp, names] = _closure(names, installed)
    return known


def _closure(names: Iterable[str], installed: dict[str, str]) -> dict[str, str]:
    waiting, found = sorted(map(_normal, names)), dict[str, str]()
    while waiting:
        name = waiting.pop()
        if name in found or name not in installed:
            continue
        found[name] = installed[name]
        waiting.extend(_required(name, installed[name]))
    return dict(sorted(found.items()))


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()


@lru_cache(maxsize=1024)
def _required(name: str, _version: str) -> tuple[str, ...]:
    """Name what a distribution requires without extras; the version is there for the cache."""
    from importlib import metadata  # noqa: PLC0415 - costs milliseconds that a plain `import mlops_kit` need not pay

    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return ()
    matches = (_NAME.match(line) for line in lines if not _EXTRA.search(line.partition(";")[2]))
    return tuple(_normal(match[1]) for match in matches if match)
