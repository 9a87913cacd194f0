"""What a walk over code has looked at, kept to see cheaply whether anything has moved."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

from mlops_kit.fingerprints.introspection import MISSING, content_of, members
from mlops_kit.fingerprints.sources import Source


@dataclass(slots=True)
class Evidence:
    """Everything a walk looked at, so that a later call can see cheaply whether anything moved.

    What cannot change in place is compared by identity; lists, objects and arrays are encoded again. Functions
    and classes are held weakly, so that evidence about a closure does not keep its data in memory.
    """

    functions: list[tuple[ref[types.FunctionType], object, object, object]] = field(default_factory=list)
    cells: list[tuple[types.CellType, object]] = field(default_factory=list)
    names: list[tuple[dict[str, Any], str, object]] = field(default_factory=list)
    classes: list[tuple[ref[type], list[object]]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    changeable: list[tuple[Callable[..., bytes], Any, str, bytes, list[object]]] = field(default_factory=list)

    def is_in_place(self) -> bool:
        """Tell whether everything that is compared by identity is what it was."""
        for held, code, defaults, by_keyword in self.functions:
            function = held()
            if function is None or function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not by_keyword:
                return False
        for names, name, value in self.names:
            if names.get(name, MISSING) is not value:
                return False
        for cell, content in self.cells:
            if content_of(cell) is not content:
                return False
        for kept, values in self.classes:
            cls = kept()
            now = {} if cls is None else members(cls)
            if len(now) != len(values) or not all(map(operator.is_, now.values(), values)):
                return False
        return all(source.is_current() for source in self.sources)
