"""The code that a callable reaches: a walk over functions, classes and the values they read.

Each function, class, object and source file reached is a node. Its own part is what it does and what it reads
directly; other nodes enter a part by name only, and the whole as the parts with the edges between them, in the
order of discovery. So neither module names nor addresses count, and circles need no special case.
"""

from __future__ import annotations

import hashlib
import operator
import sys
import types
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any
from weakref import ref

from mlops_kit.fingerprints.bytecode import Import, Reading, framed, read
from mlops_kit.fingerprints.encoding import ATOMS
from mlops_kit.fingerprints.evidence import Evidence
from mlops_kit.fingerprints.introspection import (
    MISSING,
    content_of,
    enum_values_of,
    fields_of,
    is_code,
    is_content,
    is_user_function,
    members,
    module_of,
    mro_of,
    name_of,
    qualname_of,
    state_of,
)
from mlops_kit.fingerprints.origin import (
    find_spec,
    is_user_module,
    module_name,
    namespace,
)
from mlops_kit.fingerprints.references import ReferenceWriter
from mlops_kit.fingerprints.sources import Source, contradicts, imported, is_folder, source_of

_PLACE_OF_A_MODULE = frozenset(
    {"__annotations__", "__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__"}
    | {"__package__", "__path__", "__spec__"}
)


class Walk(ReferenceWriter):
    """One walk from one callable; `run` it once, then read what it found.

    Parameters
    ----------
    ignore : collection of str
        Names, bare or as ``"module:name"``, whose content is not to be looked at.
    """

    def __init__(self, ignore: Collection[str]) -> None:
        super().__init__(ignore)
        self._numbers: dict[int, int] = {}
        self._nodes: deque[object] = deque()
        self._alive: list[object] = []
        self._sources: dict[str, Source] = {}

    def run(self, start: object, *, place: str | None = None) -> str:
        """Walk from here, and return the digest of all that is reached.

        Parameters
        ----------
        start : object
            A callable, or any value.
        place : str, optional
            What it is called where it cannot be seen; by default its module and name.

        Returns
        -------
        str
            Hex digits.
        """
        minor = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
        if type(start) is types.MethodType:  # what it is bound to is data
            owner = start.__self__ if issubclass(type(start.__self__), type) else type(start.__self__)
            start = (owner, start.__func__)
        root = self.slot(start, place or f"{module_of(start)}:{name_of(start)}")
        graph = [minor.encode(), root, self._edges()]
        while self._nodes:
            graph += [self._part(self._nodes.popleft()), self._edges()]
        graph += [f"{name}=={version}".encode() for name, version in sorted(self.distributions.items())]
        return hashlib.sha256(b"mlk-fp1-code" + framed(b"G", *graph)).hexdigest()

    def _edges(self) -> bytes:
        """Write down what the last part refers to, by number, and start on the next."""
        edges = []
        for target in self.refs:
            if id(target) not in self._numbers:
                self._numbers[id(target)] = len(self._numbers)
                self._nodes.append(target)
                self._alive.append(target)
            edges.append(self._numbers[id(target)])
        self.refs = []
        return b" ".join(b"%d" % edge for edge in edges)

    def _part(self, node: Any) -> bytes:
        module, label, describe = self._kind(node)
        try:
            part = describe(self, node, label)
        except Exception:  # noqa: BLE001 - as in encode
            part = self.unseen(node, label)
        if describe in {Walk._state, Walk._handed_on}:
            self.watch(describe, node, label, part, list(self.refs))
        digest = hashlib.sha256(part).digest()
        if module:
            self.modules.add(module)
            self.name_part(label, digest.hex())
        return digest

    def _kind(self, node: Any) -> tuple[str, str, Callable[..., bytes]]:
        """Say which user module a node is from, if it is code, what to call it, and how to describe it."""
        if type(node) is Source:
            return node.name, f"{node.name}:<module>", Walk._source
        module, label = module_of(node), f"{module_of(node)}:{name_of(node)}"
        if issubclass(type(node), types.ModuleType):
            return module_name(node), f"{module_name(node)}:<module>", Walk._handed_on
        if type(node) is types.FunctionType:
            return (module, label, Walk._function) if is_user_function(node) else ("", label, Walk._foreign_closure)
        return (module, label, Walk._class) if issubclass(type(node), type) else ("", label, Walk._state)

    def holds(self, evidence: Evidence) -> bool:
        """Tell whether an earlier walk would find all that it found then, at a small part of its cost.

        Parameters
        ----------
        evidence : Evidence
            Of the earlier walk; the one asked is a new one.

        Returns
        -------
        bool
            False if anything moved, also if it moved to an equal value.
        """
        if not evidence.is_in_place():
            return False
        for encode, value, place, encoded, refs in evidence.changeable:
            self.refs = []
            if encode(self, value, place) != encoded or len(self.refs) != len(refs):
                return False
            if not all(map(operator.is_, self.refs, refs)):
                return False
        return True

    def _function(self, function: types.FunctionType, label: str) -> bytes:
        code, module = function.__code__, module_of(function)
        reading = read(code)
        self.evidence.functions.append((ref(function), code, function.__defaults__, function.__kwdefaults__))
        parts = [qualname_of(function).encode(), reading.digest]
        parts.append(self.slot(function.__defaults__, label))
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            self.evidence.names.append((function.__kwdefaults__ or {}, name, value))
            parts += [name.encode(), self.slot(value, f"{label}.{name}")]
        parts.append(self.slot(function.__dict__.get("__wrapped__"), label))
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            content = content_of(cell)
            self.evidence.cells.append((cell, content))
            parts.append(self._read(name, content, module, reading))
        scope = function.__globals__
        for name in reading.globals:
            value = scope.get(name, MISSING)
            self.evidence.names.append((scope, name, value))
            parts.append(self._read(name, value, module, reading))
        for statement in reading.imports:
            parts += self._import(statement, scope, reading)
        return framed(b"f", *parts)

    def _read(self, name: str, value: object, module: str, reading: Reading) -> bytes:
        place = f"{module}:{name}"
        if value is MISSING or name in _PLACE_OF_A_MODULE:
            return framed(b"-")
        if name in self.ignore or place in self.ignore:
            return framed(b"-", name.encode())
        if issubclass(type(value), types.ModuleType):
            parts = [self._module(value, reading)]  # type: ignore[arg-type]  # tested
            if name in reading.held:  # passed on, stored, returned: who gets it may use anything in it
                parts.append(self.slot(value, place))
            return framed(b"=", name.encode(), *parts)
        return framed(b"=", name.encode(), self.slot(value, place))

    def _module(self, module: types.ModuleType, reading: Reading) -> bytes:
        """Take from a user's module whatever bears the name of an attribute that the code looks up anywhere."""
        if not is_user_module(module):
            self.belongs(module_name(module))
            return framed(b"M", module_name(module).encode())
        parts, pending = [], [module]
        for each in pending:  # the submodules it leads to are appended on the way
            home, names = module_name(each), namespace(each)
            self.modules.add(home)
            for name in reading.attributes:
                value = names.get(name, MISSING)
                self.evidence.names.append((names, name, value))
                if issubclass(type(value), types.ModuleType) and is_user_module(value):
                    pending += [] if any(value is other for other in pending) else [value]
                    if name in reading.held:
                        self.refs.append(value)
                else:
                    parts.append(self._read(name, value, home, Reading()))
        return framed(b"M", *parts)

    def _import(self, statement: Import, scope: dict[str, Any], reading: Reading) -> Iterator[bytes]:
        """Follow an import inside a body by its source, so that having been imported makes no difference."""
        for name in imported(statement, scope):
            if not is_user_module(name):
                self.belongs(name)
                continue
            if name not in sys.modules and find_spec(name) is None:
                continue
            source = self._sources.get(name) or source_of(name)
            module = sys.modules.get(name)
            if source is not None and not (module is not None and contradicts(source, module)):
                self._sources[name] = source
                self.evidence.sources.append(source)
                self.refs.append(source)
            elif isinstance(module, types.ModuleType):
                wanted = Reading(attributes=dict.fromkeys(statement.names)) if statement.names else reading
                yield self._module(module, wanted)
            elif source is None and not is_folder(name):
                self.opaque[f"{scope.get('__name__', '')}:{name}"] = None

    def _handed_on(self, module: types.ModuleType, label: str) -> bytes:
        """Describe a module that is passed on, so that anything in it may be used: by its source, or else as it is."""
        name, names = module_name(module), namespace(module)
        source = source_of(name) if sys.modules.get(name) is module else None
        if source is not None and not contradicts(source, module):
            self.evidence.sources.append(source)
            return self._source(source, label)
        own = [each for each in sorted(map(str, names)) if each not in _PLACE_OF_A_MODULE]
        return framed(b"N", *[self._read(each, names.get(each, MISSING), name, Reading(held={each})) for each in own])

    def _source(self, source: Source, _: str) -> bytes:
        reading = read(source.code)
        scope = {"__name__": source.name, "__package__": source.package}
        return framed(b"s", reading.digest, *[p for i in reading.imports for p in self._import(i, scope, reading)])

    def _class(self, cls: type, label: str) -> bytes:
        mine = members(cls)
        self.evidence.classes.append((ref(cls), list(mine.values())))
        parts = [qualname_of(cls).encode(), self.encode(type(cls), label)]
        parts += [self.encode(base, label) for base in mro_of(cls)[1:] if base is not object]
        for each in fields_of(cls):
            parts.append(framed(b"D", *[self.slot(part, f"{label}.{each[0]}") for part in each]))
        enumerated = enum_values_of(cls)
        parts.append(self.slot(None if enumerated is None else tuple(enumerated.items()), label))
        for name in sorted(mine):
            value = mine[name]
            if is_content(name, value, is_enum=enumerated is not None) and name not in (enumerated or {}):
                place = f"{label}.{name}"
                seen = framed(b"-") if place in self.ignore else self.slot(value, place)
                parts.append(framed(b"=", name.encode(), seen))
        return framed(b"c", *parts)

    def _state(self, value: Any, place: str) -> bytes:
        state = state_of(value)
        parts = [self.encode(type(value), place)]
        for name in sorted(state, key=str):
            here = f"{place}.{name}"
            seen = framed(b"-") if here in self.ignore else self.encode(state[name], here)
            parts.append(framed(b"=", str(name).encode(), seen))
        return framed(b"o", *parts)

    def _foreign_closure(self, function: types.FunctionType, label: str) -> bytes:
        """Look for the user's code behind somebody else's decorator; its caches and locks are not our business."""
        parts = [self.encode(function.__dict__.get("__wrapped__"), label)]
        for cell in function.__closure__ or ():
            content: Any = content_of(cell)
            self.evidence.cells.append((cell, content))
            if type(content) in ATOMS:
                parts.append(self.slot(content, label))
            elif type(content) in {dict, types.MappingProxyType, list, tuple}:
                before = len(self.refs)
                parts.append(self._code_among(content, label))
                self.watch(Walk._code_among, content, label, parts[-1], self.refs[before:])
            elif is_code(content):
                parts.append(self.slot(content, label))
        return framed(b"x", *parts)

    def _code_among(self, content: Any, label: str) -> bytes:
        """Encode the code in a registry, with the classes it is for, and nothing else that may come and go there."""
        if type(content) in {dict, types.MappingProxyType}:
            for_classes = all(issubclass(type(key), type) for key in content)
            rows = [(key, value) if for_classes else (value,) for key, value in content.items()]
        else:
            rows = [(value,) for value in content]
        return framed(b"a", *self._sorted([row for row in rows if is_code(row[-1])], label))
