"""How things stand on which a result depends beside its code and arguments: files, variables, movable names."""

from __future__ import annotations

import hashlib
import inspect
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from mlops_kit.errors import InvalidInput, MlopsKitError, NotFound
from mlops_kit.fingerprints.arguments import argument_fingerprint
from mlops_kit.masking import quoted
from mlops_kit.pipelines.options import Dependency, StepOptions
from mlops_kit.pipelines.source import Source, may_be_asked, state_now
from mlops_kit.store.catalog import Catalog
from mlops_kit.store.store import Store, open_store

FILE, VARIABLE, FUNCTION, SOURCE = "file", "variable", "function", "source"
_CATALOGS = {"models": "model", "datasets": "dataset"}
_CHUNK = 1 << 20
_MOST_FILES, _MOST_BYTES = 10_000, 1 << 30
"""So much is read again because a record names it; what is declared in the code is read whatever it takes."""
_UNSET, _UNSEEN = "unset", "unseen"
_CAUGHT = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def dependencies(options: StepOptions, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what a call depends on beside code and arguments, each with its kind, name and present state.

    Parameters
    ----------
    options : StepOptions
        Of the call, with ``depends_on=``.
    values : mapping
        The arguments by name. A source among them is one more dependency, since it may change meanwhile.

    Raises
    ------
    InvalidInput
        There is no such file, or a function fails to fingerprint or asks for an argument that is not there.
    MlopsKitError
        Nobody can say whether a source changes, and ``fresh_for=`` does not bound how old a result may be.
    """
    passed = [value for value in values.values() if isinstance(value, Source)]
    return [found for one in (*options.depends_on, *passed) for found in _looked_at(one, options, values)]


def _looked_at(one: Dependency, options: StepOptions, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if isinstance(one, Source):
        yield _of_source(one.now(), options)
    elif callable(one):
        name = getattr(one, "__qualname__", repr(one))
        value = one(**_asked_for(one, name, values))
        returned = value if isinstance(value, list | tuple) else [value]
        sources = [each for each in returned if isinstance(each, Source)]
        if len(sources) == len(returned):
            yield from (_of_source(each, options) for each in sources)
        else:
            yield {"kind": FUNCTION, "name": name, "state": _fingerprint(name, value)}
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


def _of_source(source: Source, options: StepOptions) -> dict[str, Any]:
    if source.state is None and options.fresh_for is None:
        raise MlopsKitError(
            f"{source.url} has neither an ETag nor a time of its last change; bound the age of the result with "
            "fresh_for=."
        )
    return {"kind": SOURCE, "name": source.url, "state": source.state or _UNSEEN}


def _asked_for(function: Callable[..., object], name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the arguments that a function of ``depends_on=`` has as parameters."""
    parameters = [each for each in inspect.signature(function).parameters.values() if each.kind not in _CAUGHT]
    missing = [each.name for each in parameters if each.name not in values and each.default is each.empty]
    if missing:
        raise InvalidInput(
            f"depends_on={quoted(name)} has the parameter {missing[0]!r}, and the step has none of this name. "
            f"Parameters of the step: {', '.join(values) or 'none'}."
        )
    return {each.name: values[each.name] for each in parameters if each.name in values}


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
    if kind == FILE and _is_modest(name):
        return None if _content(name) == then else f"the file {name} changed"
    if kind == VARIABLE:
        return None if _variable(name) == then else f"the environment variable {name} changed"
    if kind == SOURCE and may_be_asked(name):
        return None if state_now(name) == then else f"the source {name} changed"
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


def _fingerprint(name: str, returned: object) -> str:
    value = argument_fingerprint(returned)
    if value.opaque:
        raise InvalidInput(
            f"depends_on={quoted(name)} returns a value without a fingerprint: "
            f"{', '.join(value.opaque)} cannot be looked into. Return text, numbers, data or a source from it."
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
            files = sorted(found for found in _files(path) if found.is_file())
            digest = hashlib.sha256()
            for file in files:
                digest.update(f"{file.relative_to(path).as_posix()}\n{_file(file)}\n".encode())
            return f"sha256:{digest.hexdigest()}"
        return _file(Path(path)) if stat.S_ISREG(about.st_mode) else None
    except OSError:
        return None


def _is_modest(path: str) -> bool:
    """Check whether a record of anybody's may have a file or folder of this machine read: not all of a disk."""
    size = 0
    for number, found in enumerate(chain([Path(path)], _files(path))):
        try:
            about = found.stat()
        except OSError:
            continue
        size += about.st_size if stat.S_ISREG(about.st_mode) else 0
        if number >= _MOST_FILES or size > _MOST_BYTES:
            return False
    return True


def _files(path: str) -> Iterator[Path]:
    return Path(path).rglob("*") if os.path.isdir(path) else iter(())


def _file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
