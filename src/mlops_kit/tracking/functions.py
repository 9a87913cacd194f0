"""What can be decorated: a function whose work is done when its call returns."""

from __future__ import annotations

import inspect

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted


def require_function(fn: object, decorator: str) -> None:
    """Refuse what is no function, or has not done its work when the call returns.

    Parameters
    ----------
    fn : object
        What stands below the decorator.
    decorator : str
        Its name, without ``@``.

    Raises
    ------
    InvalidInput
        It is a class, a descriptor or a generator function.

    Examples
    --------
    >>> require_function(len, "track")
    """
    if isinstance(fn, classmethod | staticmethod | property):
        kind = type(fn).__name__
        raise InvalidInput(
            f"@{decorator} stands above @{kind}: put @{kind} first and @{decorator} directly above the function."
        )
    if inspect.isclass(fn) or not callable(fn):
        raise InvalidInput(f"@{decorator} is for functions, and {quoted(fn, 200)} is none.")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise InvalidInput(
            f"{getattr(fn, '__qualname__', fn)!r} is a generator: its work is done after it returned, where nothing "
            f"can be recorded of it. Put @{decorator} on the function that consumes it, or return a list."
        )
