"""Expectations: what must hold of data, stated by a person or inferred from a reference.

An expectation is a plain record, so a list of them can be edited, kept and versioned. `infer` writes those that a
reference suggests; `check` holds a table against any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.records.durations import Duration, seconds_of
from mlops_kit.records.quality import Expectation, QualityReport, QualityResult

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_kit.records.profile import ColumnProfile, TableProfile

__all__ = [
    "Expectation",
    "arriving",
    "check",
    "custom",
    "fresh",
    "has_columns",
    "in_range",
    "infer",
    "max_nulls",
    "not_constant",
    "one_of",
    "row_count",
    "unique_rows",
]

_FEW = 200
_COMMON = 0.9
_NULL_SLACK = 0.01
_NULL_ROWS = 10
_OFTEN = 5


def has_columns(columns: Mapping[str, str] | Iterable[str], *, extra: bool = True) -> Expectation:
    """Expect columns, and perhaps their types.

    Parameters
    ----------
    columns : mapping of str to str, or iterable of str
        The names; with the type of each, such as ``"float64"`` or ``"utf8"``, or its kind: ``"number"``,
        ``"category"``, ``"moment"``, ``"other"``, or ``""`` for any.
    extra : bool, default True
        Whether other columns are allowed.

    Returns
    -------
    Expectation
        Of kind ``"schema"``.

    Examples
    --------
    >>> has_columns({"age": "number", "plan": "utf8"}).kind
    'schema'
    """
    if isinstance(columns, str):
        raise InvalidInput(
            f"columns={quoted(columns, 200)} is one text: give the names as a list, such as ['age', 'plan']."
        )
    wanted = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns, "")
    return Expectation("schema", None, {"columns": wanted, "extra": extra})


def max_nulls(column: str, share: float, *, min_rows: int = 1) -> Expectation:
    """Expect at most this share of a column's values to be missing; NaN is missing.

    Parameters
    ----------
    column : str
        The column.
    share : float
        From 0 to 1.
    min_rows : int, default 1
        With fewer rows nothing is said.

    Returns
    -------
    Expectation
        Of kind ``"nulls"``.
    """
    if not 0 <= share <= 1:
        raise InvalidInput(f"share={share!r} is not between 0 and 1.")
    return Expectation("nulls", column, {"share": share, "min_rows": min_rows})


def in_range(column: str, low: Any = None, high: Any = None) -> Expectation:
    """Expect every value of a column to lie between two limits, both allowed.

    Parameters
    ----------
    column : str
        A column of numbers, or of dates or times.
    low, high : number, Decimal, date or datetime, optional
        None for no limit. They are compared in the type of the column, whole numbers exactly. Infinite values are
        outside of any finite limit; missing values are passed over.

    Returns
    -------
    Expectation
        Of kind ``"range"``.
    """
    if low is None and high is None:
        raise InvalidInput(f"A range of column {column!r} needs `low` or `high`.")
    low, high = _limit(column, low), _limit(column, high)
    try:
        nothing = low is not None and high is not None and bool(low > high)
    except TypeError as error:
        told = f"{type(low).__name__} and {type(high).__name__}"
        raise InvalidInput(f"The limits of column {column!r} cannot be compared with each other: {told}.") from error
    if nothing:
        raise InvalidInput(f"No value of column {column!r} lies between {quoted(low, 100)} and {quoted(high, 100)}.")
    return Expectation("range", column, {"low": low, "high": high})


def one_of(column: str, values: Iterable[Any], *, max_share: float = 0.0) -> Expectation:
    """Expect every value of a column to be one of these; missing values are passed over.

    Parameters
    ----------
    column : str
        The column.
    values : iterable
        The categories. They are compared by value in the type of the column: 1 is 1.0, and is not "1".
    max_share : float, default 0
        The share of other values that is allowed.

    Returns
    -------
    Expectation
        Of kind ``"categories"``.
    """
    if isinstance(values, str | bytes):
        raise InvalidInput(
            f"one_of({column!r}, {quoted(values, 100)}): give the values as a list, such as [{quoted(values, 100)}]."
        )
    _check_share("max_share", max_share)
    known = [_plain(value) for value in values]
    return Expectation("categories", column, {"values": known, "max_share": max_share})


def unique_rows(*columns: str, max_share: float = 0.0, within: Duration | None = None) -> Expectation:
    """Expect no two rows to be equal.

    Parameters
    ----------
    *columns : str
        Only in these columns; by default in all.
    max_share : float, default 0
        The share of rows that may repeat an earlier one.
    within : str, float or timedelta, optional
        Of a live monitor, which looks at windows and not at whole tables: no key may come again so soon, also over
        days and checks, by the moments of the predictions. It remembers the last 100,000 keys, so where more rows come
        in this time, a key is found that comes again among so many. A key with a missing value is passed over; so is a
        prediction that is logged again under its id. A table is judged as a whole all the same.

    Returns
    -------
    Expectation
        Of kind ``"duplicates"``.

    Examples
    --------
    >>> unique_rows("order", within="7d").limits
    {'columns': ['order'], 'max_share': 0.0, 'seconds': 604800.0}
    """
    if not all(isinstance(name, str) for name in columns):
        raise InvalidInput(
            f"unique_rows{quoted(columns, 200)}: give the names of columns one by one, as unique_rows('a', 'b')."
        )
    _check_share("max_share", max_share)
    limits: dict[str, Any] = {"columns": list(columns), "max_share": max_share}
    if within is None:
        return Expectation("duplicates", None, limits)
    if not columns:
        raise InvalidInput(
            f"unique_rows(within={quoted(within, 100)}) needs the columns of a key, as unique_rows('order')."
        )
    return Expectation("duplicates", None, {**limits, "seconds": _period(within)})


def not_constant(column: str, *, min_rows: int = 2) -> Expectation:
    """Expect a column to have at least two values.

    Parameters
    ----------
    column : str
        The column.
    min_rows : int, default 2
        With fewer rows nothing is said.

    Returns
    -------
    Expectation
        Of kind ``"constant"``.
    """
    return Expectation("constant", column, {"min_rows": min_rows})


def fresh(column: str, within: Duration) -> Expectation:
    """Expect the newest moment of a column to be at most this old, and not in the future by more.

    Parameters
    ----------
    column : str
        A column of dates or times; without a zone they are in UTC.
    within : str, float or timedelta
        Such as ``"1d"``.

    Returns
    -------
    Expectation
        Of kind ``"freshness"``.
    """
    return Expectation("freshness", column, {"seconds": seconds_of(within)})


def row_count(at_least: int | None = None, at_most: int | None = None, *, per: Duration | None = None) -> Expectation:
    """Expect a number of rows.

    Parameters
    ----------
    at_least, at_most : int, optional
        None for no limit.
    per : str, float or timedelta, optional
        Of a live monitor, which looks at windows and not at whole tables: in each period that is over, such as
        ``"1d"``, by the moments of the predictions. Periods are counted from 1970 in UTC; the first one is passed over.

    Returns
    -------
    Expectation
        Of kind ``"volume"``.

    Examples
    --------
    >>> row_count(at_least=1000, per="1d").limits
    {'at_least': 1000, 'at_most': None, 'seconds': 86400.0}
    """
    for name, value in (("at_least", at_least), ("at_most", at_most)):
        if value is not None and (isinstance(value, bool) or not value >= 0):
            raise InvalidInput(f"{name}={quoted(value, 100)} is no number of rows.")
    if at_least is None and at_most is None:
        raise InvalidInput("A number of rows needs `at_least` or `at_most`.")
    if at_least is not None and at_most is not None and at_least > at_most:
        raise InvalidInput(f"No number of rows is at least {at_least} and at most {at_most}.")
    limits: dict[str, Any] = {"at_least": at_least, "at_most": at_most}
    return Expectation("volume", None, limits if per is None else {**limits, "seconds": _period(per)})


def arriving(within: Duration) -> Expectation:
    """Expect of a live monitor that the last prediction is at most this old.

    Parameters
    ----------
    within : str, float or timedelta
        Such as ``"6h"``.

    Returns
    -------
    Expectation
        Of kind ``"silence"``.
    """
    return Expectation("silence", None, {"seconds": _period(within)})


def custom(function: Callable[[Any], Any], *, name: str | None = None, column: str | None = None) -> Expectation:
    """Expect what a function says.

    Parameters
    ----------
    function : callable
        Takes the table in Arrow. Returns True or False, or whether each row is as it should be (a sequence of as many
        booleans as there are rows). An exception fails the expectation, and is told.
    name : str, optional
        By default the name of the function.
    column : str, optional
        The column it is about.

    Returns
    -------
    Expectation
        Of kind ``"custom"``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rule = custom(lambda table: table["paid"].to_numpy() <= table["due"].to_numpy(), name="paid in full at most")
    >>> check(pa.table({"paid": [1, 5], "due": [2, 2]}), [rule]).results[0].rows
    (1,)
    """
    given = name or getattr(function, "__qualname__", repr(function))
    return Expectation("custom", column, {"name": given}, function=function)


def infer(profile: TableProfile, *, columns: Iterable[str] | None = None, rows: int = _FEW) -> tuple[Expectation, ...]:
    """Write the expectations that a reference suggests.

    Parameters
    ----------
    profile : TableProfile
        Of the reference.
    columns : iterable of str, optional
        Only these columns; by default all.
    rows : int, default 200
        How many rows are held against them at least. Of fewer than 200, more may be missing by chance.

    Returns
    -------
    tuple of Expectation
        The kinds of the columns; and for each the share of missing values (twice that of the reference and a little
        more), the range (widened by one span on each side, since the extremes of healthy data go on growing), the
        categories, and that it is not constant, where the reference leaves no doubt. All are marked as inferred.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from mlops_kit.measures.profile import profile_table
    >>> reference = profile_table(pa.table({"age": [20, 40, 60]}))
    >>> [(rule.kind, rule.limits) for rule in infer(reference)][1:]
    [('nulls', {'share': 1.0, 'min_rows': 200}), ('range', {'low': -20.0, 'high': 100.0})]
    """
    known = profile.by_name
    chosen = profile.columns if columns is None else [known[name] for name in columns]
    rules = [has_columns({column.name: column.kind for column in chosen})]
    for column in chosen:
        rules += _inferred(column, max(1, min(rows, _FEW)))
    return tuple(Expectation(rule.kind, rule.column, rule.limits, inferred=True) for rule in rules)


def check(
    table: pa.Table,
    expectations: Iterable[Expectation],
    *,
    now: datetime | None = None,
    profile: TableProfile | None = None,
) -> QualityReport:
    """Hold a table against expectations.

    Parameters
    ----------
    table : pyarrow.Table
        The data.
    expectations : iterable of Expectation
        What must hold.
    now : datetime, optional
        The time from which freshness is counted; by default the present.
    profile : TableProfile, optional
        Of this very table, if there is one: what it shows to be right is not looked at again, which is many times
        quicker.

    Returns
    -------
    QualityReport
        A result for each expectation. Nothing in the data makes this raise: what cannot be judged has failed, and says
        why.

    Examples
    --------
    >>> import pyarrow as pa
    >>> check(pa.table({"age": [31, 250]}), [in_range("age", 0, 130), not_constant("age")])
    QualityReport(alert: 2 rows, 2 expectations, 1 failed)
      FAILED        range of age: 1 of 2 values outside of 0 to 130, the farthest 250
    """
    from mlops_kit.measures.quality import judge, judge_by_profile  # noqa: PLC0415 - loads pyarrow, and stating a rule does not need it

    known = {} if profile is None else profile.by_name
    results: list[QualityResult] = []
    for rule in expectations:
        shown = judge_by_profile(known[rule.column], rule) if rule.column in known else None
        results.append(judge(table, rule, now) if shown is None else shown)
    return QualityReport(table.num_rows, tuple(results))


def _inferred(column: ColumnProfile, few: int) -> list[Expectation]:
    if not column.rows:
        return []
    rules = []
    if column.nulls < column.rows:
        slack = column.null_share + _NULL_SLACK + _NULL_ROWS / column.rows + (_NULL_ROWS / few if few < _FEW else 0.0)
        rules.append(max_nulls(column.name, min(1.0, column.null_share + slack), min_rows=few))
    if column.kind == "number" and column.low is not None and column.high is not None:
        span = float(column.high) - float(column.low)
        if span < float("inf"):
            rule = in_range(column.name, float(column.low) - span, float(column.high) + span)
            rules.append(replace(rule, limits={**rule.limits, "infinite": True}) if column.infinite else rule)
    rarest = min((count for count in column.counts if count), default=0)
    # Values that were seen once or twice say that there are others, which were not.
    if column.kind == "category" and column.levels and not column.counts[-1] and rarest >= _OFTEN:
        rules.append(one_of(column.name, column.levels))
    if (
        column.rows >= _FEW
        and column.counts
        and max(*column.counts, column.nulls) <= _COMMON ** (_FEW / few) * column.rows
    ):
        rules.append(not_constant(column.name, min_rows=few))
    return rules


def _limit(column: str, value: Any) -> Any:
    """Return a limit in a type that a record keeps; one that is not a number is refused."""
    value = _plain(value)
    if value is not None and value != value:  # noqa: PLR0124 - NaN, of whatever type
        raise InvalidInput(f"A limit of column {column!r} is NaN: no value is below or above it.")
    return value


def _plain(value: Any) -> Any:
    """Return a value of numpy as one of Python, and a date as its first moment."""
    value = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    is_date = isinstance(value, date) and not isinstance(value, datetime)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if is_date else value


def _period(given: Duration) -> float:
    seconds = seconds_of(given)
    if not seconds > 0:
        raise InvalidInput(f"{quoted(given, 100)} is no period of time: give one such as '1d'.")
    return seconds


def _check_share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidInput(f"{name}={quoted(value, 100)} is not between 0 and 1.")
