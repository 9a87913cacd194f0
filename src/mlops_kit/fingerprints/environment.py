"""What a model runs in: the interpreter, the platform, the installed packages, the variables that matter.

Names and versions of packages are read from the directory names of their metadata, which costs a fraction of a
millisecond; nothing is imported and no process is started.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import threading
import time
from typing import Any

VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "LANG",
    "LC_ALL",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONOPTIMIZE",
    "TF_DETERMINISTIC_OPS",
    "TZ",
)
"""The environment variables that are recorded; no other is ever read into a record."""

_METADATA = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[\d.]+.*)?\.(?:dist-info|egg-info)")
_LOOK_SECONDS = 1.0
_SEPARATORS = re.compile(r"[-_.]+")

_listed: dict[str, tuple[int, dict[str, str]]] = {}
_packages: tuple[dict[str, str], object] | None = None
_looked: tuple[tuple[str, ...], float, tuple[Any, ...]] | None = None
_lock = threading.Lock()


def environment() -> dict[str, Any]:
    """Describe what the present process runs in.

    Returns
    -------
    dict
        ``python``, ``implementation``, ``platform``, ``machine``, ``packages`` (version by normalised name) and
        ``variables`` (those of `VARIABLES` that are set).

    Examples
    --------
    >>> found = environment()
    >>> found["packages"]["numpy"] == __import__("numpy").__version__
    True
    """
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": sys.platform,
        "machine": platform.machine(),
        "packages": packages(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def environment_stamp() -> tuple[Any, ...]:
    """Give a value that is equal as long as `environment` is, at a fraction of its cost.

    Returns
    -------
    tuple
        The times at which the folders of `sys.path` changed, and the variables.
    """
    return _folders(), tuple(map(os.environ.get, VARIABLES))


def packages_and_stamp() -> tuple[dict[str, str], object]:
    """List the installed packages, with a value that is equal as long as the list is; looked at once a second."""
    global _packages  # noqa: PLW0603 - one memory per process
    stamp = _folders()
    if _packages is None or _packages[1] != stamp:
        _packages = packages(), stamp
    return _packages


def _folders() -> tuple[Any, ...]:
    """Look at the folders of `sys.path`, at most once a second."""
    global _looked  # noqa: PLW0603 - one memory per process
    path, now = tuple(sys.path), time.monotonic()
    if _looked is None or _looked[0] != path or now - _looked[1] > _LOOK_SECONDS:
        _looked = path, now, tuple((folder, _changed(folder)) for folder in path)
    return _looked[2]


def packages() -> dict[str, str]:
    """List the installed packages.

    Returns
    -------
    dict
        Version by normalised name, sorted; where two folders hold a package, the one that is imported.

    Examples
    --------
    >>> "pandas" in packages()
    True
    """
    found: dict[str, str] = {}
    for folder in reversed(sys.path):
        found.update(_in_folder(folder or "."))
    return dict(sorted(found.items()))


def _in_folder(folder: str) -> dict[str, str]:
    """List the packages of one folder, again only when the folder has changed."""
    changed = _changed(folder)
    if changed is None:
        return {}
    known = _listed.get(folder)
    if known is not None and known[0] == changed:
        return known[1]
    try:
        names = os.listdir(folder)
    except OSError:  # a zip archive, or a folder that may not be listed
        return {}
    matches = (_METADATA.fullmatch(name) for name in names)
    found = {_SEPARATORS.sub("-", match["name"]).lower(): match["version"] for match in matches if match}
    with _lock:
        _listed[folder] = (changed, found)
    return found


def _changed(folder: str) -> int | None:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return None
