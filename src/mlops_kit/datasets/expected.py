"""What a user expects of data, in whatever form it was given."""

from __future__ import annotations

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.expectations import infer
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import Expectation


def expected(*given: object) -> list[Expectation]:
    """List the expectations that are meant: those given, and those that the references given suggest.

    Parameters
    ----------
    *given : Expectation, TableProfile or Dataset
        A profile, or anything with a `profile`, stands for what it suggests.

    Returns
    -------
    list of Expectation
        In the order given.

    Raises
    ------
    InvalidInput
        There is none, or one is none of these.

    Examples
    --------
    >>> expected(Expectation("volume", None, {"at_least": 1}))[0].kind
    'volume'
    """
    rules: list[Expectation] = []
    for one in given:
        reference = getattr(one, "profile", one)
        if isinstance(one, Expectation):
            rules.append(one)
        elif isinstance(reference, TableProfile):
            rules += infer(reference)
        else:
            raise InvalidInput(
                f"{one!r} is not an expectation. Make one, such as `mk.expectations.in_range('age', 0, 130)`, or pass "
                "a Dataset as the reference."
            )
    if not rules:
        raise InvalidInput("There is nothing to check: pass expectations, or a Dataset as the reference.")
    return rules
