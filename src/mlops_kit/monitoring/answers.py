"""Rules about what a model answers, as there are about what it is asked: an answer is there, and of the usual kind."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from mlops_kit.measures.columns import kind_of
from mlops_kit.measures.expectations import check, infer, max_nulls
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import QualityResult

_NAME = "prediction"
_MOST_MISSING = 0.9


def check_answers(table: pa.Table, profile: TableProfile | None) -> tuple[QualityResult, ...]:
    """Hold predictions against those of the reference.

    Parameters
    ----------
    table : pyarrow.Table
        The predictions of a window, as its only column.
    profile : TableProfile or None
        Of the predictions of the reference, alone; without one, only many that are missing are noticed.

    Returns
    -------
    tuple of QualityResult
        Inferred, so that they warn; but another kind of answer, such as text for a number, is no matter of chance.

    Examples
    --------
    >>> [str(result) for result in check_answers(pa.table({"#prediction": pa.nulls(2)}), None)]
    ['FAILED        nulls of prediction: 100.00% missing, allowed 90.00%']
    """
    table = table.rename_columns([_NAME])
    column = table.column(0)
    if profile is None:
        rule = replace(max_nulls(_NAME, _MOST_MISSING), inferred=True)
        return check(table, [rule]).results
    known = profile.columns[0]
    kind = None if column.null_count == len(column) else kind_of(column.type)
    if kind not in {known.kind, None}:
        told = f"predictions are {kind}, in the reference {known.kind}"
        return (QualityResult("schema", _NAME, passed=False, value=kind, limit=known.kind, message=told),)
    rules = [replace(rule, column=_NAME) for rule in infer(profile, rows=table.num_rows) if rule.column is not None]
    return check(table, rules).results
