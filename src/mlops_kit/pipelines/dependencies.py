"""How things stand on which a result depends beside its code and arguments: files, variables, movable names."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mlops_kit.errors import InvalidInput, MlopsKitError, NotFound
from mlops_kit.fingerprints.arguments import argument_fingerprint
from mlops_kit.masking import quoted
from mlops_kit.pipelines.options import Dependency
from mlops_kit.store.catalog import Catalog
from mlops_kit.store.store import Store, open_store

FILE, VARIABLE, FUNCTION = "file", "variable", "function"
_CATALOGS = {"models": "model", "datasets": "dataset"}
_CHUNK = 1 << 20
_UNSET = "unset"


def dependencies(declared: Iterable[Dependency]) -> Iterator[dict[str, Any]]:
    """Yield what was declared with ``depends_on=``, each with its kind, name and present state.

    Raises
    ------
    InvalidInput
        There is no such file, or a function fails to fingerprint.
    """
    for one in declared:
        if callable(one):
            yield {"kind": FUNCTION, "name": getattr(one, "__qualname__", repr(one)), "state": _returned(one)}
        elif isinstance(one, str) and one.startswith("$"):
            yield {"kind": VARIABLE, "name": one[1:], "state": _variable(one[1:])}
        else:
            path = os.fspath(one)
            state = _content(path)
            if state is None:
                raise InvalidInput(
                    f"depends_on={path!r}: there is no such file or folder in {os.getcwd()}. Name one that is there, "
                    "or an environment variable as '$NAME'."
                )
            yield {"kind": FILE, "name": path, "state": state}


def moved(read: dict[str, Any], store: Store) -> str | None:
    """Return how something that a step had read stands otherwise now; None if it stands as it did.

    Parameters
    ----------
    read : dict
        ``kind``, ``name`` and ``state``, and for names in stores ``store`` and ``as_of``, as recorded.
    store : Store
        The store that holds the record, which may name itself, the store of the project and folders; no others.

    Returns
    -------
    str or None
        Such as ``"fraud@champion was 3 and is 4"``.
    """
    kind, name, then = read["kind"], read["name"], read.get("state")
    if kind in _CATALOGS:
        place = read.get("store", store.url)
        if not _may_be_asked(place, store):
            return f"{name} was read from the store {place}, which is not asked on the word of a record"
        now = _meant(open_store(place) if place != store.url else store, kind, name, read.get("as_of"))
        return None if now == then else f"{name} was {then or 'nothing'} and is {now or 'nothing'}"
    if kind == FILE:
        return None if _content(name) == then else f"the file {name} changed"
    if kind == VARIABLE:
        return None if _variable(name) == then else f"the environment variable {name} changed"
    return f"whether {name} changed cannot be seen from here"


def _may_be_asked(place: str, store: Store) -> bool:
    if place == store.url or "://" not in place or place.startswith("memory://"):
        return True
    try:
        return place == open_store().url
    except MlopsKitError:
        return False


def _meant(store: Store, kind: str, spec: str, as_of: str | None) -> str | None:
    try:
        found = Catalog(store, kind, _CATALOGS[kind], NotFound, "{}").resolve(spec, as_of=as_of)
    except NotFound:
        return None
    return str(found.body.get("version"))


def _returned(function: Callable[[], object]) -> str:
    value = argument_fingerprint(function())
    if value.opaque:
        name = getattr(function, "__qualname__", function)
        raise InvalidInput(
            f"depends_on={quoted(name)} returns a value without a fingerprint: "
            f"{', '.join(value.opaque)} cannot be looked into. Return text, numbers or data from it."
        )
    return value.value


def _variable(name: str) -> str:
    value = os.environ.get(name)
    return _UNSET if value is None else f"sha256:{hashlib.sha256(os.fsencode(value)).hexdigest()}"


def _content(path: str) -> str | None:
    """Digest a file, or a folder with the names and contents of all files in it; None if there is none."""
    try:
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            files = sorted(found for found in Path(path).rglob("*") if found.is_file())
            digest = hashlib.sha256()
            for file in files:
                digest.update(f"{file.relative_to(path).as_posix()}\n{_file(file)}\n".encode())
            return f"sha256:{digest.hexdigest()}"
        return _file(Path(path)) if stat.S_ISREG(about.st_mode) else None
    except OSError:
        return None


def _file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
