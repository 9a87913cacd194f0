"""The key of a result: what was called, with what, on top of what. Equal keys stand for equal results."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlops_kit.fingerprints.arguments import ArgumentFingerprint, argument_fingerprint, is_atom
from mlops_kit.fingerprints.code import CodeFingerprint, code_fingerprint
from mlops_kit.fingerprints.requirements import with_requirements
from mlops_kit.pipelines.dependencies import dependencies
from mlops_kit.pipelines.options import StepOptions
from mlops_kit.records import codec
from mlops_kit.registry.saving import python_minor
from mlops_kit.tracking.call import Form

_SCHEME = "mlk-step1"
_ORDER = "**"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the result of a call depends on.

    Parameters
    ----------
    values : dict
        The arguments, defaults and receiver included, by name.
    code : CodeFingerprint
        Of the function.
    arguments : dict of str to ArgumentFingerprint
        Of the arguments that are not ignored.
    packages : dict of str to str
        The distributions that the code or the arguments reach, with their requirements.
    version : str or None
        As given by hand.
    depends : list of dict
        What was declared, with its state.
    """

    values: dict[str, Any]
    code: CodeFingerprint
    arguments: dict[str, ArgumentFingerprint]
    packages: dict[str, str]
    version: str | None
    depends: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> str:
        """64 hex digits."""
        return key_of(
            code=self.code.value,
            arguments={name: printed.value for name, printed in self.arguments.items()},
            packages=self.packages,
            version=self.version,
            depends=states(self.depends),
        )

    @property
    def unseen(self) -> str | None:
        """Why no key can be had; None if one can."""
        for name, printed in self.arguments.items():
            if printed.opaque:
                kind = type(self.values[name]).__name__
                return f"the argument {name!r}, a {kind}, has no fingerprint: not all of it can be looked into"
        return None

    def changed_arguments(self) -> list[str]:
        """Name the arguments that are no longer what they were."""
        return [
            name
            for name, printed in self.arguments.items()
            if not is_atom(self.values[name]) and argument_fingerprint(self.values[name]).value != printed.value
        ]


def inputs_of(
    function: Callable[..., Any], options: StepOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Inputs:
    """Find what the result of a call depends on.

    Raises
    ------
    TypeError
        The call does not fit the function.
    InvalidInput
        A dependency that was declared is not there.
    """
    form = _form(function)
    values = form.bound(args, kwargs)
    further = tuple(name for name in values if name not in form.names)
    if len(further) > 1:  # the function can see in which order they were passed
        values[_ORDER] = further
    code = code_fingerprint(function, ignore=options.ignore)
    printed = {name: argument_fingerprint(value) for name, value in values.items() if name not in options.ignore}
    reached = set(code.distributions)
    for each in printed.values():
        reached.update(each.distributions)
    depends = dependencies(options, values)
    return Inputs(values, code, printed, with_requirements(reached), options.version, depends)


def key_of(
    *,
    code: str,
    arguments: dict[str, str],
    packages: dict[str, str],
    version: str | None,
    depends: dict[str, str],
    python: str | None = None,
) -> str:
    """Compute the key of a result.

    Examples
    --------
    >>> len(key_of(code="fp2:00", arguments={"x": "fp1:11"}, packages={}, version=None, depends={}))
    64
    """
    pairs = [sorted(named.items()) for named in (arguments, packages, depends)]
    return hashlib.sha256(codec.canonical([_SCHEME, python or python_minor(), code, version, *pairs])).hexdigest()


def states(depends: list[dict[str, Any]]) -> dict[str, str]:
    """Return the states of dependencies by kind and name, as a record keeps them."""
    return {f"{one['kind']} {one['name']}": str(one["state"]) for one in depends}


def _form(function: Callable[..., Any]) -> Form:
    form = _forms.get(function)
    if form is None:
        form = _forms[function] = Form(function)
    return form


_forms: weakref.WeakKeyDictionary[Callable[..., Any], Form] = weakref.WeakKeyDictionary()
