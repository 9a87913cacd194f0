"""Fingerprints of code: what a callable runs, with everything of the user's own that it reaches.

What enters: instructions (no line numbers, file names, comments or docstrings), defaults, closure cells, the
global values that are read, and the same of every user function and class reached through globals, attributes
of user modules, base classes, ``__wrapped__``, registries, and imports inside bodies. Third-party code enters
as its distribution and version, the standard library as the Python minor.

Annotations do not run, so those of functions and classes do not enter; those that a dataclass or a pydantic
model makes fields of do, for programs read them there. What is evaluated by a body is an instruction like any
other, though it only serves a type checker: ``cast``, ``Box[int]()``, annotations of functions defined inside.

What is not seen: what is looked up by name at run time (``getattr``, ``globals()``, plug-ins), attributes set
on functions, files, environment variables, the network. A module imported inside a body enters whole, by its
source file; a constant changed in such a file while the module stays loaded counts at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType
from weakref import ref

from mlops_kit.fingerprints.closure import Walk
from mlops_kit.fingerprints.evidence import Evidence
from mlops_kit.fingerprints.origin import is_user_module
from mlops_kit.fingerprints.references import found_within
from mlops_kit.records.schemes import OBJECTS

__all__ = ["CodeFingerprint", "code_fingerprint", "is_user_module"]

_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class CodeFingerprint:
    """What a callable runs, in one value and by its parts.

    Parameters
    ----------
    value : str
        ``"fp2:"``, the number of the scheme, and 64 hex digits.
    parts : dict of str to str
        For each user function and class reached, as ``"module:qualname"``, the SHA-256 of what it does and
        reads itself. A module that is imported inside a body is ``"module:<module>"``; of several with one
        name, the later ones end in ``#2``, ``#3``, ...
    modules : tuple of str
        The names of the user modules reached, sorted.
    distributions : dict of str to str
        The versions of the installed distributions reached.
    opaque : tuple of str
        Values that could not be looked into, as ``"module:name"``, sorted; only their type entered.
    """

    value: str
    parts: dict[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    distributions: dict[str, str] = field(default_factory=dict)
    opaque: tuple[str, ...] = ()


_Key = tuple[int, frozenset[str]]
_remembered: dict[_Key, tuple[ref[object], Evidence, CodeFingerprint]] = {}


def code_fingerprint(obj: object, *, ignore: Collection[str] = ()) -> CodeFingerprint:
    """Fingerprint what a callable runs.

    Edits of comments, white space, docstrings and the order of functions in a file do not change the result,
    nor does running a module as a script instead of importing it; an edit of a helper any number of calls deep
    does. Nothing of the user's is executed but ``__reduce_ex__`` of objects that are read as values.

    Parameters
    ----------
    obj : callable
        A function, method, class, partial, descriptor or callable object.
    ignore : collection of str
        Global names, closure variables or class attributes whose content shall not count, bare or as
        ``"module:name"``; functions and classes as ``"module:qualname"``.

    Returns
    -------
    CodeFingerprint
        Never an error: what could not be seen is listed as opaque.

    Examples
    --------
    >>> def double(x):
    ...     return 2 * x
    >>> before = code_fingerprint(double)
    >>> def double(x):
    ...     '''Now documented.'''
    ...     return 2 * x
    >>> code_fingerprint(double).value == before.value
    True
    >>> sorted(before.parts) == [f"{__name__}:double"]
    True
    """
    ignored = frozenset(ignore)
    outer = found_within.get()
    if outer is not None:  # inside of a value of another walk, where a circle may have been cut: nothing to remember
        outer.append(walk := Walk(ignored))
        return _fingerprint(walk, obj)
    if type(obj) is not FunctionType and type(obj) is not type:
        return _fingerprint(Walk(ignored), obj)
    key = (id(obj), ignored)
    entry = _remembered.get(key)
    if entry is not None and entry[0]() is obj and Walk(ignored).holds(entry[1]):
        return entry[2]
    walk = Walk(ignored)
    found = _fingerprint(walk, obj)
    _remembered.pop(key, None)
    forget = partial(_remembered.pop, key)  # bound now: at the end of the process the name may be gone
    _remembered[key] = (ref(obj, forget), walk.evidence, found)
    if len(_remembered) > _REMEMBERED:
        _remembered.pop(next(iter(_remembered)), None)
    return found


def _fingerprint(walk: Walk, obj: object) -> CodeFingerprint:
    value = walk.run(obj)
    return CodeFingerprint(
        value=f"fp{OBJECTS}:{value}",
        parts=walk.parts,
        modules=tuple(sorted(walk.modules)),
        distributions=dict(sorted(walk.distributions.items())),
        opaque=tuple(sorted(walk.opaque)),
    )
