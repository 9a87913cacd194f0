"""What a code object does, as bytes: its instructions, freed of everything that only says where they stand.

Line numbers, file names and docstrings are not instructions, but they leave traces in the bytecode: constants
are shifted by a docstring, no-operations mark lines, and CPython threads jumps and fuses instructions only
within one line. So the digest is taken of a walk through the control flow, in which a jump is its target and a
constant is its value.
"""

from __future__ import annotations

import dis
import hashlib
import struct
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from mlops_kit.fingerprints.encoding import ATOMS

_SILENT = frozenset({"NOP", "RESUME", "EXTENDED_ARG", "CACHE", "NOT_TAKEN"})
_JUMPS = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})
_ENDS = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"})
_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"})
_LOADS = _GLOBALS | {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_ATTR", "LOAD_METHOD"}
_OF_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR"})
_PLACE_OF_A_CLASS = frozenset({"__doc__", "__firstlineno__", "__static_attributes__"})
_NAMED = frozenset([*dis.hasname, *dis.haslocal, *dis.hasfree])
_TARGETED = frozenset([*dis.hasjrel, *dis.hasjabs])
_CONSTANT = frozenset(dis.hasconst)
_INVERSE = {"POP_JUMP_IF_TRUE": "POP_JUMP_IF_FALSE", "POP_JUMP_IF_NOT_NONE": "POP_JUMP_IF_NONE"}
_KEEPING = {"JUMP_IF_TRUE_OR_POP": "POP_JUMP_IF_TRUE", "JUMP_IF_FALSE_OR_POP": "POP_JUMP_IF_FALSE"}
_CALLING_CONVENTION = 0x3AF  # optimized, newlocals, *args, **kwargs, and the kinds of generator


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement inside a body.

    Parameters
    ----------
    name : str
        The module as written, empty for ``from . import x``.
    level : int
        The number of leading dots.
    names : tuple of str
        What ``from`` asks for; empty for a plain ``import``.
    """

    name: str
    level: int
    names: tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """What a code object does and which names it looks up, nested code included.

    Parameters
    ----------
    digest : bytes
        SHA-256 of the instructions.
    globals : dict of str to None
        Names looked up in the global scope, in order of appearance.
    attributes : dict of str to None
        Names looked up on anything, in order of appearance.
    imports : list of Import
        Import statements, in order of appearance.
    held : set of str
        Names of globals, closure variables and attributes that are not only looked up for an attribute of theirs.
    """

    digest: bytes = b""
    globals: dict[str, None] = field(default_factory=dict)
    attributes: dict[str, None] = field(default_factory=dict)
    imports: list[Import] = field(default_factory=list)
    held: set[str] = field(default_factory=set)

    def absorb(self, other: Reading) -> None:
        """Take over the names that nested code looks up."""
        self.globals.update(other.globals)
        self.attributes.update(other.attributes)
        self.imports.extend(other.imports)
        self.held.update(other.held)


_readings: WeakKeyDictionary[CodeType, Reading] = WeakKeyDictionary()


def read(code: CodeType) -> Reading:
    """Read a code object; the same one is read once.

    Parameters
    ----------
    code : code
        Of a function, a class body, or a module.

    Returns
    -------
    Reading
        What it does and what it looks up.

    Examples
    --------
    >>> bare, documented = (lambda x: x + 1), (lambda x: (x + 1))
    >>> read(bare.__code__).digest == read(documented.__code__).digest
    True
    """
    reading = _readings.get(code)
    if reading is None:
        reading = _readings[code] = _Reader(code).read()
    return reading


def framed(tag: bytes, *parts: bytes) -> bytes:
    """Join parts so that no two different lists of parts give the same bytes.

    Parameters
    ----------
    tag : bytes
        One byte that names the type.
    *parts : bytes
        The contents.

    Returns
    -------
    bytes
        The tag, the number of parts, and each part behind its length.
    """
    lengths = struct.pack(f"<{len(parts) + 1}Q", len(parts), *map(len, parts))
    return b"".join((tag, lengths, *parts))


class _Reader:
    """Walks the control flow of one code object and writes down what it meets."""

    def __init__(self, code: CodeType) -> None:
        bytecode = dis.Bytecode(code)
        self.code = code
        self.steps = _without_place([step for step in bytecode if step.opname not in _SILENT])
        self.offsets = [step.offset for step in self.steps]
        entries = bytecode.exception_entries  # type: ignore[attr-defined]  # typeshed lacks it
        self.handlers = sorted(entries, key=lambda entry: entry.start)
        self.handler_starts = [entry.start for entry in self.handlers]
        self.labels: dict[int, int] = {}
        self.written: dict[int, int] = {}
        self.lines: list[bytes] = []
        self.reading = Reading()

    def read(self) -> Reading:
        code = self.code
        arguments = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
        convention = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
        head = (*convention, code.co_flags & _CALLING_CONVENTION, *code.co_varnames[:arguments])
        self._walk()
        body = framed(b"C", self._constant(head), framed(b"I", *self.lines))
        self.reading.digest = hashlib.sha256(body).digest()
        return self.reading

    def _walk(self) -> None:
        pending = deque([0])
        self.labels[0] = 0
        while pending:
            start = pending.popleft()
            self.lines.append(framed(b"l", b"%d" % self.labels[start]))
            at, handler = self._through_jumps(start), None
            while at not in self.written:
                self.written[at] = len(self.lines)
                step = self.steps[at]
                guard = self._handler(step.offset)
                if guard != handler:
                    handler = guard
                    place = b"" if guard is None else b"%d %d %d" % (self._label(guard[0], pending), *guard[1:])
                    self.lines.append(framed(b"h", place))
                if step.opcode in _TARGETED:
                    at = self._branch(at, pending)
                    continue
                self._write(step)
                if step.opname in _ENDS:
                    break
                at = self._through_jumps(at + 1)
            else:
                self.lines.append(framed(b"g", b"%d" % self.written[at]))

    def _through_jumps(self, at: int) -> int:
        seen = set()
        while self.steps[at].opname in _JUMPS and at not in seen:
            seen.add(at)
            at = self._index(self.steps[at].argval)
        return at

    def _index(self, offset: int) -> int:
        return bisect_left(self.offsets, offset)

    def _label(self, at: int, pending: deque[int]) -> int:
        if at not in self.labels:
            self.labels[at] = len(self.labels)
            pending.append(at)
        return self.labels[at]

    def _handler(self, offset: int) -> tuple[int, int, int] | None:
        nearest = bisect_right(self.handler_starts, offset) - 1
        if nearest < 0 or offset >= self.handlers[nearest].end:
            return None
        entry = self.handlers[nearest]
        return self._through_jumps(self._index(entry.target)), entry.depth, entry.lasti

    def _branch(self, at: int, pending: deque[int]) -> int:
        """Write a conditional jump, of two forms of one condition always the same; go on where it does not jump."""
        name, target = self._condition(at)
        onward = self._through_jumps(at + 1)
        if name in _INVERSE:
            name, target, onward = _INVERSE[name], onward, target
        self.lines.append(framed(b"j", name.encode(), b"%d" % self._label(target, pending)))
        return onward

    def _condition(self, at: int) -> tuple[str, int]:
        name = self.steps[at].opname.replace("_FORWARD", "").replace("_BACKWARD", "")
        target = self._through_jumps(self._index(self.steps[at].argval))
        if name in _KEEPING and self.steps[target].opname in _KEEPING:  # `a and b or c`, threaded on one line only
            same = self.steps[target].opname == name
            return self._condition(target) if same else (_KEEPING[name], self._through_jumps(target + 1))
        return name, target

    def _write(self, step: dis.Instruction) -> None:
        name, value = step.opname, step.argval
        if step.opcode in _CONSTANT:
            self.lines.append(framed(b"v", name.encode(), self._constant(value)))
        elif isinstance(value, tuple) and step.opcode in _NAMED:  # fused by the compiler, if on one line
            for half, local in zip(_halves(name), value, strict=True):
                self.lines.append(framed(b"n", half.encode(), local.encode()))
        elif step.opcode in _NAMED:
            self._note(step)
            self.lines.append(framed(b"n", name.replace("_BORROW", "").encode(), str(value).encode()))
        else:
            self.lines.append(framed(b"o", name.encode(), b"" if step.arg is None else b"%d" % step.arg))

    def _note(self, step: dis.Instruction) -> None:
        if step.opname in _LOADS and self.steps[self._index(step.offset) + 1].opname not in _OF_ATTRIBUTES:
            self.reading.held.add(step.argval)
        if step.opname in _GLOBALS:
            self.reading.globals[step.argval] = None
        elif step.opname in _ATTRIBUTES:
            self.reading.attributes[step.argval] = None
        elif step.opname == "IMPORT_NAME":
            at = self._index(step.offset)
            level, names = self.steps[at - 2].argval, self.steps[at - 1].argval
            self.reading.imports.append(Import(step.argval, level, tuple(names or ())))

    def _constant(self, value: Any) -> bytes:
        plain = ATOMS.get(type(value))
        if plain is not None:
            return plain(value)
        if isinstance(value, CodeType):
            nested = read(value)
            self.reading.absorb(nested)
            return framed(b"C", value.co_name.encode(), nested.digest)
        if isinstance(value, frozenset):
            return framed(b"F", *sorted(map(self._constant, value)))
        if isinstance(value, slice):
            return framed(b"S", *map(self._constant, (value.start, value.stop, value.step)))
        if isinstance(value, tuple):
            return framed(b"t", *map(self._constant, value))
        return framed(b"r", type(value).__qualname__.encode())


def _without_place(steps: list[dis.Instruction]) -> list[dis.Instruction]:
    """Drop what a class body stores only to say where it stands or how it is described."""
    placing = {
        at
        for at, step in enumerate(steps)
        if step.opname == "STORE_NAME" and step.argval in _PLACE_OF_A_CLASS
        if steps[at - 1].opname in {"LOAD_CONST", "LOAD_SMALL_INT"}
    }
    return [step for at, step in enumerate(steps) if at not in placing and at + 1 not in placing]


def _halves(name: str) -> tuple[str, str]:
    """Split such as ``STORE_FAST_LOAD_FAST`` in two."""
    first, second = name.replace("_BORROW", "").split("_FAST_", 1)
    return f"{first}_FAST", second
