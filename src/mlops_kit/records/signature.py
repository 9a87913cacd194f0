"""What a model takes and gives, as recorded, and what of other columns does not suit it. Pure: no data is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from mlops_kit.masking import quoted

_SHOWN = 8
_INTEGER = re.compile(r"(u?)int(8|16|32|64)")
_EXACT_BITS = {"float16": 11, "float32": 24, "float64": 53}
_STRUCTURAL = frozenset({"missing", "extra", "reordered", "names", "shape", "type", "output"})


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column that a model takes or gives.

    Parameters
    ----------
    name : str
        Its label as text.
    type : str or None
        As in the fingerprint of a table, such as ``"float64"`` or ``"utf8"``; None if it is not known.
    nullable : bool
        Whether values were missing.
    categories : tuple or None
        The levels there were, if they were few.
    shape : tuple of int or None, or None
        Of an array without named columns, None for any length; None for a column.
    optional : bool
        Whether the model predicts without it: it was fitted on the column, and drops it before anything else.
    """

    name: str
    type: str | None = None
    nullable: bool = False
    categories: tuple[Any, ...] | None = None
    shape: tuple[int | None, ...] | None = None
    optional: bool = False

    def members(self) -> dict[str, Any]:
        """Write it as a member of a record."""
        lists = {"categories": self.categories, "shape": self.shape}
        rest: dict[str, Any] = {"type": self.type, "nullable": self.nullable or None, "optional": self.optional or None}
        rest.update({name: list(value) for name, value in lists.items() if value is not None})
        return {"name": self.name, **{name: value for name, value in rest.items() if value is not None}}

    @classmethod
    def decode(cls, members: dict[str, Any]) -> Self:
        """Read what `members` wrote; what a newer release added is passed over."""
        known = {item.name: members[item.name] for item in fields(cls) if item.name in members}
        for name in ("categories", "shape"):
            if name in known:
                known[name] = tuple(known[name])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class SignatureProblem:
    """Something in which data, or another signature, does not suit a signature.

    Parameters
    ----------
    kind : str
        ``"missing"``, ``"extra"``, ``"reordered"``, ``"names"``, ``"shape"``, ``"type"``, ``"null"``,
        ``"category"`` or ``"output"``.
    column : str
        Which column; empty if it is not about one.
    message : str
        What is wrong, in words.
    """

    kind: str
    column: str
    message: str

    @property
    def structural(self) -> bool:
        """Whether it is about columns and types; otherwise it is about values that were not seen in training."""
        return self.kind in _STRUCTURAL

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class SignatureRecord:
    """What a model takes and gives.

    Parameters
    ----------
    inputs : tuple of ColumnSpec
        The columns it takes, in its order; or one array, which has a shape.
    outputs : tuple of ColumnSpec
        What it gives: ``prediction``, and ``probability`` if it has ``predict_proba``; or the columns of a
        transformer. The categories of ``prediction`` are the classes.
    target : str or None
        The column of the training data that it predicts.
    kind : str or None
        ``"binary"``, ``"multiclass"``, ``"regression"``, ``"score"`` or ``"transform"``; None if it is not known.
    source : str or None
        The input of the run that the columns were taken from.
    target_source : str or None
        The input of the run that holds the target.
    """

    inputs: tuple[ColumnSpec, ...]
    outputs: tuple[ColumnSpec, ...] = ()
    target: str | None = None
    kind: str | None = None
    source: str | None = None
    target_source: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns it takes, in its order; none of an array."""
        return tuple(column.name for column in self.inputs if column.shape is None)

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes it tells apart; None if it tells no classes apart."""
        return next((column.categories for column in self.outputs if column.name == "prediction"), None)

    def members(self) -> dict[str, Any]:
        """Write it as a member of a record."""
        columns = {name: [column.members() for column in getattr(self, name)] for name in ("inputs", "outputs")}
        texts = {name: getattr(self, name) for name in ("target", "kind", "source", "target_source")}
        return {name: value for name, value in {**columns, **texts}.items() if value is not None}

    @classmethod
    def decode(cls, members: dict[str, Any]) -> Self:
        """Read what `members` wrote; what a newer release added is passed over."""
        known = {item.name: members[item.name] for item in fields(cls) if item.name in members}
        for name in ("inputs", "outputs"):
            known[name] = tuple(ColumnSpec.decode(column) for column in members.get(name, ()))
        return cls(**known)


def column_problems(
    wanted: Sequence[ColumnSpec],
    given: Sequence[ColumnSpec],
    survives: Callable[[str, str], bool] = lambda _name, _type: False,
) -> tuple[SignatureProblem, ...]:
    """Find what of some columns does not suit those that a model takes.

    Parameters
    ----------
    wanted : sequence of ColumnSpec
        What the model takes.
    given : sequence of ColumnSpec
        What there is.
    survives : callable, optional
        Takes the name of a given column and a type that cannot hold everything of the column's own, and tells
        whether it holds the values at hand.

    Returns
    -------
    tuple of SignatureProblem
        Empty if they suit.

    Examples
    --------
    >>> wanted = [ColumnSpec("age", "int64"), ColumnSpec("plan", "utf8", categories=("basic", "pro"))]
    >>> given = [ColumnSpec("plan", "utf8", categories=("pro", "gold")), ColumnSpec("age", "int32")]
    >>> for problem in column_problems(wanted, given):
    ...     print(problem)
    reordered: The columns are in another order: place 1 has 'plan', and 'age' belongs there.
    category: Column 'plan' has values that were not seen in training: 'gold'. Seen: 'basic', 'pro'.
    """
    if _are_array(wanted) or _are_array(given):
        return tuple(_array_problems(wanted, given, survives))
    return tuple(_table_problems(wanted, given, survives))


def output_problems(wanted: SignatureRecord, given: SignatureRecord) -> tuple[SignatureProblem, ...]:
    """Find what a signature gives less than, or otherwise than, another.

    Parameters
    ----------
    wanted : SignatureRecord
        What is expected.
    given : SignatureRecord
        What there is.

    Returns
    -------
    tuple of SignatureProblem
        Empty if whoever reads the outputs of the one can read those of the other.
    """
    problems = []
    if None not in {wanted.kind, given.kind} and wanted.kind != given.kind:
        problems.append(f"The prediction is of the kind {given.kind!r}, and {wanted.kind!r} is expected.")
    elif wanted.classes is not None and given.classes is not None and set(wanted.classes) != set(given.classes):
        problems.append(f"The classes are {listed(given.classes)}, and {listed(wanted.classes)} are expected.")
    there = {column.name for column in given.outputs}
    if given.outputs:
        problems += [
            f"There is no output {column.name!r}; there is {listed(sorted(there))}."
            for column in wanted.outputs
            if column.name not in there
        ]
    return tuple(SignatureProblem("output", "", message) for message in problems)


def holds(wanted: str | None, given: str | None) -> bool:
    """Tell whether every value of one type is exactly a value of another; an unknown type is not judged.

    Parameters
    ----------
    wanted, given : str or None
        The type that is to hold the values, and the type they have.

    Returns
    -------
    bool
        True if nothing can be lost.

    Examples
    --------
    >>> holds("float64", "int32"), holds("float64", "int64"), holds("utf8", "int64")
    (True, False, False)
    """
    if wanted is None or given is None or given in {wanted, "null"}:
        return True
    into, out_of = _INTEGER.fullmatch(wanted), _INTEGER.fullmatch(given)
    number = into is not None or wanted in _EXACT_BITS
    if given == "bool":
        return number
    if given in _EXACT_BITS:
        return _EXACT_BITS.get(wanted, 0) >= _EXACT_BITS[given]
    if out_of is None or not number:
        return False
    bits = int(out_of[2]) - (not out_of[1])
    if into is None:
        return bits <= _EXACT_BITS[wanted]
    return bits <= int(into[2]) - (not into[1]) and (bool(out_of[1]) or not into[1])


def listed(values: Iterable[object]) -> str:
    """Name some values, and count the rest.

    Examples
    --------
    >>> listed("ab"), listed(range(10))
    ("'a', 'b'", '0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    texts = list(map(quoted, values))
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")


def _are_array(columns: Sequence[ColumnSpec]) -> bool:
    return any(column.shape is not None for column in columns)


def _array_problems(
    wanted: Sequence[ColumnSpec], given: Sequence[ColumnSpec], survives: Callable[[str, str], bool]
) -> Iterable[SignatureProblem]:
    one, other = _shape(wanted), _shape(given)
    fit = len(one) == len(other) and all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))
    if not fit:
        yield SignatureProblem("shape", "", f"The shape is {_shape_text(other)}, and {_shape_text(one)} is expected.")
    elif not _are_array(given):
        for column in given:
            yield from _value_problems(wanted[0], column, survives)
    elif not _are_array(wanted):
        yield SignatureProblem(
            "names",
            "",
            f"The columns of an array have no names, so their order cannot be checked. Pass a table with the columns "
            f"{listed(column.name for column in wanted)}.",
        )
    else:
        yield from _value_problems(wanted[0], given[0], survives)


def _shape(columns: Sequence[ColumnSpec]) -> tuple[int | None, ...]:
    shape = next((column.shape for column in columns if column.shape is not None), None)
    return shape if shape is not None else (None, len(columns))


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if length is None else str(length) for length in shape)})"


def _table_problems(
    wanted: Sequence[ColumnSpec], given: Sequence[ColumnSpec], survives: Callable[[str, str], bool]
) -> Iterable[SignatureProblem]:
    there, known = {column.name: column for column in given}, {column.name for column in wanted}
    extra = [column.name for column in given if column.name not in known]
    for column in wanted:
        if column.name not in there and not column.optional:
            other = f"; not expected: {listed(extra)}" if extra else ""
            message = f"Column {column.name!r} is missing. There are: {listed(there) or 'none'}{other}."
            yield SignatureProblem("missing", column.name, message)
    for name in extra:
        message = f"Column {name!r} is not expected. Expected: {listed(column.name for column in wanted)}."
        yield SignatureProblem("extra", name, message)
    right = [column.name for column in wanted if column.name in there]
    order = [column.name for column in given if column.name in known]
    wrong = next((place for place, pair in enumerate(zip(order, right, strict=True)) if pair[0] != pair[1]), None)
    if wrong is not None:
        where = f"place {wrong + 1} has {order[wrong]!r}, and {right[wrong]!r} belongs there"
        yield SignatureProblem("reordered", "", f"The columns are in another order: {where}.")
    for column in wanted:
        if column.name in there:
            yield from _value_problems(column, there[column.name], survives)


def _value_problems(
    wanted: ColumnSpec, given: ColumnSpec, survives: Callable[[str, str], bool]
) -> Iterable[SignatureProblem]:
    name = given.name
    what = f"Column {name!r}" if given.shape is None else "The array"
    if not holds(wanted.type, given.type) and not survives(name, str(wanted.type)):
        message = f"{what} is {given.type}, and {wanted.type} is expected: values would be lost or change."
        yield SignatureProblem("type", name, message)
        return
    if given.nullable and not wanted.nullable and wanted.type is not None:
        yield SignatureProblem("null", name, f"{what} has missing values, and had none in training.")
    if wanted.categories is None:
        return
    if given.categories is None:
        message = f"{what} may have any value. Seen in training: {listed(wanted.categories)}."
        yield SignatureProblem("category", name, message)
        return
    unseen = [level for level in given.categories if level not in wanted.categories]
    if unseen:
        seen = listed(wanted.categories)
        message = f"{what} has values that were not seen in training: {listed(unseen)}. Seen: {seen}."
        yield SignatureProblem("category", name, message)
