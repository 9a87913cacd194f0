"""`Condition`: something that must hold of a model before an alias may point to it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

from mlops_kit.records.gate import ConditionResult
from mlops_kit.registry import judgements

if TYPE_CHECKING:
    from mlops_kit.registry.case import Case

Arguments = ParamSpec("Arguments")
Judge: TypeAlias = "Callable[[Case], Sequence[ConditionResult]]"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must hold of a model; made by the functions of `mlops_kit.conditions`.

    Parameters
    ----------
    name : str
        What must hold, in short.
    judge : callable
        Takes a case — the models, the data and the predictions — and gives results.
    on : str or None
        The data it is judged on; None for all that the gate has.
    alias : str or None
        The alias whose model it compares with.
    needs_data : bool
        Whether it is judged on data at all.
    rows : Rows or None
        How it is judged on some rows, if it is about a metric.
    stated : dict or None
        The function that made it and its arguments, by which two conditions are the same.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> mk.conditions.at_least("auc", 0.9)
    Condition(roc_auc >= 0.9)
    """

    name: str
    judge: Judge
    on: str | None = None
    alias: str | None = None
    needs_data: bool = True
    rows: judgements.Rows | None = None
    stated: dict[str, Any] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"Condition({self.name})"


def stated(make: Callable[Arguments, Condition]) -> Callable[Arguments, Condition]:
    """Return a function that makes a condition and notes in it with which arguments it was made."""
    signature = inspect.signature(make)

    @functools.wraps(make)
    def made(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Condition:
        condition = make(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return replace(condition, stated={"condition": make.__name__, **bound.arguments})

    return made
