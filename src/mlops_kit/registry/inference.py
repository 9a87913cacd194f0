"""The signature of a model, found from the model itself and from the data it was made with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlops_kit.errors import InvalidInput
from mlops_kit.records.signature import ColumnSpec, SignatureRecord, listed
from mlops_kit.registry.estimators import Facts, facts_of
from mlops_kit.registry.schema import Schema, schema_of, schema_or_none
from mlops_kit.registry.signature import Signature
from mlops_kit.store.active import Passed

_MAX_COLUMNS = 10_000
_MADE_UP = ("y", "target", "label", "labels")
_PAIR = 2


@dataclass(frozen=True, slots=True)
class _Known:
    """Data that a function was called with, seen as columns."""

    name: str
    schema: Schema
    labels: tuple[str, ...]

    @property
    def is_column(self) -> bool:
        """Whether it is a single column, such as a Series or a one-dimensional array."""
        return len(self.labels) == 1 if self.labels else _shape(self.schema) == (None,)

    @property
    def is_target(self) -> bool:
        """Whether it can be a target: a single column, in an array of two dimensions too."""
        return self.is_column or _shape(self.schema) == (None, 1)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A column that may be the target."""

    name: str
    source: str
    values: frozenset[Any] | None


def inferred(model: Any, passed: Sequence[Passed]) -> Signature | None:
    """Infer the signature of a model from itself and from what the function that made it was called with.

    Parameters
    ----------
    model : object
        The model, fitted.
    passed : sequence of Passed
        The data; what cannot be seen as columns is passed over.

    Returns
    -------
    Signature or None
        None if too little is known to say what it takes.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> frame = pd.DataFrame({"age": [31, 47], "income": [1.5, 2.5]})
    >>> model = LinearRegression().fit(frame[["age"]], frame["income"])
    >>> signature = inferred(model, [Passed("data", frame, frame.columns)])
    >>> signature.features, signature.target, signature.kind
    (('age',), 'income', 'regression')
    """
    known = [seen for item in passed if (seen := _known(item)) is not None]
    facts = facts_of(model)
    if len(facts.names or ()) > _MAX_COLUMNS:
        return None
    found = _found(facts, known, exact=False)
    return None if found is None else _complete(facts, found, known)


def suits(model: Any, signature: SignatureRecord) -> bool:
    """Check whether a model may have been fitted on the columns of a signature, as far as it says."""
    facts = facts_of(model)
    return facts.names in {None, signature.features} and facts.width in {None, _width(signature)}


def _width(signature: SignatureRecord) -> int | None:
    shape = next((column.shape for column in signature.inputs if column.shape), None)
    return len(signature.inputs) if shape is None else shape[1] if len(shape) == _PAIR else None


def declared(model: Any, given: Any) -> Signature:
    """Read ``signature=``: a signature, an example ``(X, y)``, or an example of X, perhaps with the target in it.

    Parameters
    ----------
    model : object
        The model.
    given : Signature, tuple or data
        What the user gave.

    Returns
    -------
    Signature
        The signature.

    Raises
    ------
    InvalidInput
        The example does not have the columns that the model was fitted on, or is no data.
    """
    if isinstance(given, SignatureRecord):
        return given if isinstance(given, Signature) else Signature.decode(given.members())
    pair = given if isinstance(given, tuple) and len(given) == _PAIR else (given, None)
    examples = {name: value for name, value in zip(("X", "y"), pair, strict=True) if value is not None}
    known = [_seen(Passed(name, value), schema_of(value)) for name, value in examples.items()]
    facts = facts_of(model)
    found = _found(facts, known, exact=True)
    if found is None:
        raise InvalidInput(
            f"The example has {_columns_text(known[0])}, and the model was fitted on "
            f"{listed(facts.names) if facts.names else f'{facts.width} columns'}. Pass the data it was fitted on."
        )
    made = _complete(facts, found, known)
    return replace(
        made,
        target=_named(known[1], known[0]) if pair[1] is not None else made.target,
        source=None,
        target_source=None,
    )


def _named(target: _Known, features: _Known) -> str | None:
    """Return what the target is called; of one without a name, a name that no feature has; None of several columns."""
    if not target.is_target:
        return None
    free = (name for name in _MADE_UP if name not in features.labels)
    return (target.labels[0] if target.labels else "") or next(free, None)


def _known(item: Passed) -> _Known | None:
    schema = schema_or_none(item.value)
    return None if schema is None else _seen(item, schema)


def _seen(item: Passed, schema: Schema) -> _Known:
    labels = schema.names if item.labels is None else tuple(str(label) for label in item.labels)
    return _Known(item.name, schema, labels)


def _found(facts: Facts, known: Sequence[_Known], *, exact: bool) -> tuple[tuple[ColumnSpec, ...], str | None] | None:
    """Find the columns that the model takes, and which data they are of."""
    if facts.names is not None:
        table = next((item for item in known if set(facts.names) <= set(item.schema.names)), None)
        if table is not None:
            return _described(table.schema, facts.names), table.name
        return None if exact else (tuple(map(ColumnSpec, facts.names)), None)
    wide = [item for item in known if not item.is_column] or list(known)
    if facts.width is not None:
        return _matrix(facts.width, wide, exact=exact)
    others = [item for item in known if item is not wide[0]] if wide else []
    pair = len(wide) == 1 and len(others) == 1 and others[0].schema.rows == wide[0].schema.rows
    if wide and (exact or pair):
        return _described(wide[0].schema, wide[0].schema.names), wide[0].name
    return None


def _matrix(width: int, wide: Sequence[_Known], *, exact: bool) -> tuple[tuple[ColumnSpec, ...], str | None] | None:
    """Describe the array that a model was fitted on, whose columns have no names."""
    for item in wide:
        if not item.schema.names and _shape(item.schema) == (None, width):
            (column,) = item.schema.columns(levels=lambda _name: False)
            return (column,), item.name
        if len(item.labels) == width and exact:
            return _described(item.schema, item.schema.names), item.name
    if exact:
        return None
    holding = [item for item in wide if len(item.labels) >= width]
    source = holding[0].name if len(holding) == 1 else None
    return (ColumnSpec("", shape=(None, width)),), source


def _described(schema: Schema, names: Sequence[str]) -> tuple[ColumnSpec, ...]:
    few = {name for name in names if schema.few_levels(name) is not None}
    columns = {column.name: column for column in schema.columns(levels=few.__contains__)}
    return tuple(columns[name] for name in names) if names else tuple(columns.values())


def _complete(facts: Facts, found: tuple[tuple[ColumnSpec, ...], str | None], known: Sequence[_Known]) -> Signature:
    inputs, source = found
    inputs = tuple(replace(column, optional=column.name in facts.optional) for column in inputs)
    target = _target(list(_candidates(inputs, source, known)), facts.classes)
    return Signature(
        inputs=inputs,
        outputs=facts.outputs,
        target=None if target is None else target.name,
        kind=facts.kind,
        source=source,
        target_source=None if target is None else target.source,
    )


def _candidates(inputs: Sequence[ColumnSpec], source: str | None, known: Sequence[_Known]) -> Iterator[_Candidate]:
    """Yield what may be the target: the columns of the table that are not taken, and single columns beside it."""
    features = {column.name for column in inputs if column.shape is None}
    table = next((item for item in known if item.name == source), None)
    width = next((column.shape[1] for column in inputs if column.shape and len(column.shape) == _PAIR), None)
    if table is not None and (features or (width is not None and len(table.labels) > width)):
        for label in table.labels:
            if label not in features:
                there = label in table.schema.names
                yield _Candidate(label, table.name, frozenset(table.schema.first_values(label)) if there else None)
    for item in known:
        if item is not table and item.is_column and (table is None or item.schema.rows == table.schema.rows):
            label = item.labels[0] if item.labels else ""
            yield _Candidate(label or item.name, item.name, frozenset(item.schema.first_values(label)))


def _target(candidates: list[_Candidate], classes: tuple[Any, ...] | None) -> _Candidate | None:
    """Choose the target: what holds the classes, or is the only one, or is called so."""
    fitting = [one for one in candidates if classes is None or one.values is None or one.values <= set(classes)]
    for left in (fitting, candidates):
        if len(left) == 1:
            return left[0]
        named = [one for one in left if one.name.lower() in _MADE_UP]
        if len(named) == 1:
            return named[0]
    return None


def _shape(schema: Schema) -> tuple[int | None, ...] | None:
    return None if schema.names else schema.columns(levels=lambda _name: False)[0].shape


def _columns_text(item: _Known) -> str:
    return listed(item.labels) if item.labels else f"the shape {_shape(item.schema)}"
