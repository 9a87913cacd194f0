"""The numbers and names that a condition of a gate is made of, and why some mean nothing.

A limit that no model can miss makes a gate that lets everything pass, and one that none can reach a gate that is
always shut; both are slips, such as 60 for 0.6, and are refused where the condition is made.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.records.measurement import TASKS
from mlops_kit.records.names import check_name

if TYPE_CHECKING:
    from mlops_kit.measures.metric import Metric


def number(given: Any, what: str) -> float:
    """Accept a finite number.

    Parameters
    ----------
    given : object
        What the user gave.
    what : str
        The argument, for the message.

    Returns
    -------
    float
        It.

    Raises
    ------
    InvalidInput
        It is none, such as NaN, infinity, text or True.

    Examples
    --------
    >>> number(3, "mb")
    3.0
    """
    if isinstance(given, bool) or not isinstance(given, Real) or not math.isfinite(given):
        raise InvalidInput(f"{what}={quoted(given)} is not a finite number.")
    return float(given)


def positive(given: Any, what: str) -> float:
    """Accept a finite number above 0: a model that takes no time or no space does not exist."""
    if (made := number(given, what)) <= 0:
        raise InvalidInput(f"{what}={given!r} must be above 0: no model could pass.")
    return made


def share(given: Any, what: str) -> float:
    """Accept a share below 1: all rows may always be meant."""
    if not 0 <= (made := number(given, what)) < 1:
        raise InvalidInput(f"{what}={given!r} must be at least 0 and below 1, such as 0.01 for 1 %.")
    return made


def count(given: Any, what: str) -> int:
    """Accept a whole number from 1."""
    if isinstance(given, bool) or not isinstance(given, Integral) or int(given) < 1:
        raise InvalidInput(f"{what}={quoted(given)} is not a whole number from 1.")
    return int(given)


def confidence(given: Any) -> float:
    """Accept the confidence of an interval, between 0 and 1."""
    if not 0 < (made := number(given, "confidence")) < 1:
        raise InvalidInput(f"confidence={given!r} must be between 0 and 1, such as 0.95.")
    return made


def value(given: Any, metric: Metric) -> float:
    """Accept a value that a metric may have.

    Parameters
    ----------
    given : object
        What the user gave.
    metric : Metric
        The metric that is held against it.

    Returns
    -------
    float
        It.

    Raises
    ------
    InvalidInput
        It is no number, or one that the metric never has: the condition would always or never hold.
    """
    made, (low, high) = number(given, metric.name), metric.bounds
    if low <= made <= high:
        return made
    percent = f" Write {made / 100:g} for {made:g} %." if high == 1 and 1 < made <= 100 else ""  # noqa: PLR2004 - per cent
    raise InvalidInput(
        f"{made:g} cannot be a limit of {metric.name}, which is {_range(low, high)}: the condition would hold of every "
        f"model or of none.{percent}"
    )


def margin(given: Any, metric: Metric) -> float:
    """Accept a margin that a metric may differ by; raise as `value` does."""
    made, (low, high) = number(given, "margin"), metric.bounds
    if made < 0:
        raise InvalidInput(f"margin={given!r} must be at least 0, in the unit of the metric.")
    if made and made >= high - low:
        raise InvalidInput(
            f"margin={given!r} cannot be a margin of {metric.name}, which is {_range(low, high)}: the condition would "
            "hold of every model or of none."
        )
    return made


def data(on: Any) -> str | None:
    """Accept the name of some data of a gate, or None for all."""
    if on is not None and not isinstance(on, str):
        raise InvalidInput(f"on={quoted(on)} is not the name of data: a condition names it, as in on='holdout'.")
    return on


def alias(given: Any) -> str:
    """Accept what may be an alias.

    Raises
    ------
    InvalidName
        It may not.
    """
    return check_name(given, what="alias")


def absent(given: Any) -> bool | None:
    """Read what holds while an alias points nowhere: ``"pass"``, ``"fail"``, or None where it depends."""
    if given is not None and not (isinstance(given, str) and given in {"pass", "fail"}):
        raise InvalidInput(f"absent={quoted(given)} is neither 'pass' nor 'fail'.")
    return None if given is None else bool(given == "pass")


def task(given: Any) -> str | None:
    """Accept what a gate may be about, or None for what its models say."""
    if given is not None and given not in TASKS:
        raise InvalidInput(f"There is no task {quoted(given)}. Tasks: {', '.join(TASKS)}.")
    return None if given is None else str(given)


def text(given: Any, what: str) -> str:
    """Accept a text that is not empty."""
    if not isinstance(given, str) or not given:
        raise InvalidInput(f"{what}={quoted(given)} is not text.")
    return given


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"at most {high:g}" if math.isinf(low) else f"between {low:g} and {high:g}"
