"""``format="skops"``: models as data, which nobody has to trust; read only after every part was looked at."""

from __future__ import annotations

import io
import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from typing import Any

from mlops_kit.errors import IntegrityError, NotSerializable
from mlops_kit.masking import quoted
from mlops_kit.store import skops_types, trusted

_MEMBER = re.compile(r"schema\.json|[0-9]+\.np[yz]|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.bin")
_NUMBER = re.compile(r"-?[0-9][0-9.eE+-]*|true|false")
_MAX_MEMBERS = 1_000_000
_MAX_GROWTH = 100
"""How many times its size a compressed matrix inside may unfold to."""
_OLDEST_PROTOCOL = 2
"""Older readers that skops keeps are laxer, and nothing of ours was ever written for them."""
_MISSING = "format='skops' needs a package that is not installed: pip install 'mlops-kit[skops]'"


class SkopsSerializer:
    """Estimators and what they hold, as arrays and JSON; reading it runs no code of the file."""

    name = "skops"

    def dump(self, value: Any, *, what: str, url: str = "") -> bytes:
        """Write an object, if it holds nothing that a reader would have to trust.

        Raises
        ------
        NotSerializable
            It holds a type that is not on the list, or that skops cannot write.
        """
        try:
            from skops import io as skops  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise NotSerializable(_MISSING) from error
        try:
            data = bytes(skops.dumps(value))
        except Exception as error:
            raise NotSerializable(
                f"The {what} cannot be saved with format='skops' ({type(error).__name__}: {error}). Register it with "
                "format='cloudpickle'; loading that needs trust in who may write to the store."
            ) from error
        foreign = foreign_types(_schema(data, what), trusted.trusted_of(url).types)
        if foreign:
            raise NotSerializable(
                f"The {what} holds {_listed(foreign)}, which is not on the list (version {skops_types.VERSION}) of "
                "types that are safe to read from a stranger. Register it with format='cloudpickle', or allow the "
                f"type here and wherever it will be loaded: {_allowing(url, foreign)}"
            )
        return data

    def code_in(self, data: bytes, *, what: str, url: str = "") -> str | None:
        """Name what in a file is not on the list, and the line that would allow it."""
        schema = _schema(data, what)
        foreign = foreign_types(schema, trusted.trusted_of(url).types)
        if not foreign:
            opened = opened_files(schema)
            return f"has {_listed(opened)}: scikit-learn would open files there when it is used" if opened else None
        return (
            f"holds {_listed(foreign)}, which is not on the list (version {skops_types.VERSION}) of types that are "
            f"safe to read from a stranger (to allow the type here, run: {_allowing(url, foreign)})"
        )

    def load(self, data: bytes, *, what: str) -> Any:
        """Read an object that `code_in` found harmless, or that is trusted.

        Raises
        ------
        IntegrityError
            It is no such file, or unfolds to far more than its size.
        NotSerializable
            A class it names cannot be imported here.
        """
        named = sorted({name for _, name in _nodes(_schema(data, what))})
        try:
            from skops import io as skops  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise NotSerializable(f"The {what} was saved with {_MISSING}") from error
        try:
            return skops.loads(data, trusted=named)
        except (ImportError, AttributeError) as error:
            raise NotSerializable(
                f"The {what} cannot be restored: {error}. Install the packages it was saved with; the run that made it "
                "keeps their list (`run.environment`)."
            ) from error
        except (Exception, RecursionError) as error:
            raise IntegrityError(f"The {what} is not a sound skops file: {type(error).__name__}: {error}.") from error


def foreign_types(schema: dict[str, Any], types: frozenset[str] = frozenset()) -> list[str]:
    """Name what a file holds beyond the list.

    Parameters
    ----------
    schema : dict
        The description of the objects in the file.
    types : frozenset of str
        Dotted names that are allowed besides.

    Returns
    -------
    list of str
        Sorted; empty if reading the file runs no code.

    Examples
    --------
    >>> node = {"__loader__": "FunctionNode", "__module__": "os", "__class__": "system"}
    >>> foreign_types({"__loader__": "ListNode", "__module__": "builtins", "__class__": "list", "content": [node]})
    ['os.system']
    """
    found = set()
    for loader, name in _nodes(schema):
        listed = skops_types.TYPES if loader == "key" else skops_types.ALLOWED.get(loader, frozenset()) | types
        if name not in listed:
            found.add(name)
    return sorted(found)


def opened_files(schema: dict[str, Any]) -> list[str]:
    """Name the parameters in a file with which scikit-learn would open other files.

    Parameters
    ----------
    schema : dict
        The description of the objects in the file, of which `foreign_types` finds nothing.

    Returns
    -------
    list of str
        Sorted; empty if there are none, at any depth, nor among the values that a search tries.

    Examples
    --------
    >>> node = {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": '"/tmp/cache"'}
    >>> opened_files({"__loader__": "DictNode", "content": {"memory": node}})
    ['memory="/tmp/cache"']
    """
    found: set[str] = set()
    for part in _parts(schema):
        content = part.get("content") if part.get("__loader__") == "DictNode" else None
        for key, value in content.items() if isinstance(content, dict) else ():
            harmless = skops_types.OPENED.get(key.rpartition("__")[2])
            if harmless is not None:
                found.update(f"{key}={text}" for text in _harmful(value, harmless))
    return sorted(found)


def _harmful(value: Any, harmless: frozenset[str | None]) -> Iterator[str]:
    """Show what a value is, or holds in a list, beside numbers and harmless texts."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        loader = part.get("__loader__") if isinstance(part, dict) else None
        if loader in {"ListNode", "TupleNode"} and isinstance(part.get("content"), list):
            waiting.extend(part["content"])
        elif loader == "JsonNode":
            text = str(part.get("content"))
            if text not in {json.dumps(each) for each in harmless} and not _NUMBER.fullmatch(text):
                yield text
        elif loader != "NdArrayNode" or _name(part) not in skops_types.NUMBERS:
            yield _name(part)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Find every object in a file's description, nodes and what they hold."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.values())
            yield part


def _nodes(schema: Any) -> Iterator[tuple[str, str]]:
    """Find every part of a file: the kind of its reader and the name it asks for, ``"key"`` for types of keys."""
    numbered: dict[int, tuple[str, str, object]] = {}
    for part in _parts(schema):
        if "__loader__" in part or "__class__" in part:
            loader, name = str(part.get("__loader__")), _name(part)
            content = part.get("content") if loader == "JsonNode" else None
            yield loader, name
            if isinstance(content, str) and content.lstrip()[:1] in {"[", "{"}:
                yield "plain", f"{name} that holds others, in place of a plain value"
            number = part.get("__id__")
            if type(number) not in {int, type(None)}:  # 1, 1.0 and True are one number to a reader
                yield "number", f"{name} under the number {number!r}"
            elif number is not None and numbered.setdefault(number, (loader, name, content)) != (loader, name, content):
                yield "number", f"{name} under the number of {numbered[number][1]}"
        if part.get("__loader__") == "DictNode":
            yield from _key_types(part.get("key_types"))


def _name(part: Any) -> str:
    if not isinstance(part, dict):
        return quoted(part, 100)
    name = f"{part.get('__module__')}.{part.get('__class__')}"
    if part.get("__loader__") == "MethodNode":  # it asks for a method by its name, and may call for its owner's code
        content = part.get("content")
        return f"{name}.{content.get('func') if isinstance(content, dict) else content}"
    return name


def _key_types(part: Any) -> Iterator[tuple[str, str]]:
    """Find the types of the keys of a dict: a list of plain types, with nothing to be made before they are called."""
    content = part.get("content") if isinstance(part, dict) and part.get("__loader__") == "ListNode" else None
    for item in content if isinstance(content, list) else [part]:
        plain = isinstance(item, dict) and item.get("__loader__") == "TypeNode"
        yield "key", _name(item) if plain else f"{_name(item)} in place of the type of a key"


def _schema(data: bytes, what: str) -> dict[str, Any]:
    """Read the description of the objects in a file, after the file itself was looked at."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive, len(data))
            schema = json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, ValueError, LookupError, RuntimeError, EOFError, OSError) as error:
        raise IntegrityError(f"The {what} is not a sound skops file: {error}") from error
    protocol = schema.get("protocol") if isinstance(schema, dict) else None
    if type(protocol) is not int or protocol < _OLDEST_PROTOCOL:
        raise IntegrityError(f"The {what} is not a sound skops file: its protocol is {protocol!r}.")
    return dict(schema)


def _check(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse names that lead elsewhere, and files that unfold to more than there is."""
    members = archive.infolist()
    names = {member.filename for member in members}
    odd = next((name for name in names if not _MEMBER.fullmatch(name)), None)
    if odd is not None:
        raise ValueError(f"it has a member {odd!r}, which is no name of such a file.")
    if len(names) != len(members) or len(members) > _MAX_MEMBERS:
        raise ValueError(f"its {len(members)} members have {len(names)} names.")
    packed = next((member for member in members if member.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise ValueError(f"its member {packed.filename} is compressed, which none is that this library writes.")
    unfolded = sum(member.file_size for member in members)
    if unfolded > size:
        raise ValueError(f"it claims to hold {unfolded:,} bytes, and has {size:,}.")
    for member in members:
        if member.filename.endswith(".npz"):
            with zipfile.ZipFile(io.BytesIO(archive.read(member))) as matrix:
                inside = sum(part.file_size for part in matrix.infolist())
            if inside > _MAX_GROWTH * member.file_size:
                raise ValueError(f"the matrix {member.filename} unfolds from {member.file_size:,} to {inside:,} bytes.")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - shown


def _allowing(url: str, names: list[str]) -> str:
    return " ".join(["mlops-kit trust add", shlex.quote(url), *(f"--type {shlex.quote(name)}" for name in names)])
