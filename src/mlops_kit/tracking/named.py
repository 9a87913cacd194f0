"""Values by name, in the containers that hold them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from mlops_kit.errors import InvalidInput


def named_values(what: str, given: object) -> dict[Any, Any]:
    """Read values by name from a mapping, a namespace or a dataclass.

    Parameters
    ----------
    what : str
        What they are, for the message.
    given : object
        What the user passed.

    Returns
    -------
    dict
        The values by name.

    Raises
    ------
    InvalidInput
        It is something else.

    Examples
    --------
    >>> named_values("params", argparse.Namespace(depth=3))
    {'depth': 3}
    """
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, argparse.Namespace | SimpleNamespace):
        return dict(vars(given))
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    raise InvalidInput(f"{what} are values by name: pass a dict, a namespace or a dataclass, not {given!r}.")
