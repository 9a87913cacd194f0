"""Judging a table by one expectation."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_kit.masking import excerpt, quoted
from mlops_kit.measures import columns as read
from mlops_kit.records.profile import ColumnProfile
from mlops_kit.records.quality import NO_SUCH_COLUMN, Expectation, QualityResult

_SHOWN = 10
_SAID = 5
_FIRST = 100
_SURE, _HALF = 20, 0.5
_EXACT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def judge(table: pa.Table, rule: Expectation, now: datetime | None) -> QualityResult:
    """Say whether a table is as one expectation wants it, whatever the table holds."""
    if rule.column is not None and table.schema.get_field_index(rule.column) < 0:
        message = f"{NO_SUCH_COLUMN}; there are {_listed(table.column_names)}"
        return _result(rule, passed=False, value=None, limit=rule.limits, message=message)
    known = _JUDGES.get(rule.kind)
    if known is None:
        message = f"this release knows no expectation of kind {rule.kind!r}"
        return _result(rule, passed=False, value=None, limit=rule.limits, message=message)
    try:
        return known(table, rule, now)
    except Exception as error:  # noqa: BLE001 - data of any type, and functions of the user's, may fail in any way
        if rule.kind == "custom":
            name = rule.limits.get("name", "")
            message = f"{name}: it could not be judged: {type(error).__name__}: {excerpt(error)}"
            return _result(rule, passed=False, value=None, limit=name, message=message)
        held = "of this table" if rule.column is None else f"of type {table[rule.column].type}"
        message = f"values {held} cannot be held against it"
        return _result(rule, passed=False, value=None, limit=rule.limits, message=message)


def judge_by_profile(column: ColumnProfile, rule: Expectation) -> QualityResult | None:
    """Say that a column is as expected where its profile shows it; None where the rows must be looked at."""
    limits = rule.limits
    if rule.kind == "nulls" and column.rows >= limits.get("min_rows", 1) and column.null_share <= limits["share"]:
        share, limit = column.null_share, limits["share"]
        return _result(rule, passed=True, value=share, limit=limit, message=_share_missing(share, limit))
    if rule.kind == "range" and column.kind == "number" and not column.infinite and column.low is not None:
        low, high = limits.get("low"), limits.get("high")
        exact = not column.type.startswith("decimal") and max(abs(column.low), abs(column.high or 0)) < _EXACT
        if exact and (low is None or low <= column.low) and (high is None or column.high <= high):
            return _within(rule)
    plain = column.type in {"utf8", "bool"} and all(isinstance(one, str) for one in limits.get("values", ()))
    if rule.kind == "categories" and plain and column.kind == "category" and not any(column.counts[-1:]):
        seen = {level for level, count in zip(column.levels, column.counts, strict=False) if count}
        if seen <= set(limits["values"]):
            return _result(rule, passed=True, value=0.0, limit=limits.get("max_share", 0.0), message="no other value")
    if rule.kind == "constant" and column.rows >= limits.get("min_rows", 2):
        different = sum(count > 0 for count in (*column.counts, column.nulls))
        if different > 1:
            return _result(rule, passed=True, value=different, limit=2, message="more than one value")
    return None


def _schema(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    wanted = rule.limits["columns"]
    fields = {field.name: field.type for field in table.schema}
    missing = [name for name in wanted if name not in fields]
    extra = [] if rule.limits.get("extra", True) else [name for name in fields if name not in wanted]
    other = {
        name: read.type_of(fields[name])
        for name, kind in wanted.items()
        if name in fields and not _fits(fields[name], kind)
    }
    said = [f"missing: {_listed(missing)}"] * bool(missing) + [f"not expected: {_listed(extra)}"] * bool(extra)
    said += [f"{name} is {kind} and not {wanted[name]}" for name, kind in list(other.items())[:_SAID]]
    said += [f"and {len(other) - _SAID} more of another type"] * (len(other) > _SAID)
    value = {"missing": missing, "extra": extra, "types": other}
    return _result(
        rule,
        passed=not said,
        value=value,
        limit=wanted,
        message="; ".join(said) or f"{len(wanted)} columns as expected",
    )


def _fits(kind: Any, wanted: str) -> bool:
    # A column in which everything is missing has lost its type: that is a matter of missing values.
    return wanted in {"", read.kind_of(kind), read.type_of(kind)} or pa.types.is_null(kind)


def _nulls(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    limit = rule.limits["share"]
    missing = pc.is_null(_named(table, rule), nan_is_null=True).to_numpy()
    failing = int(np.count_nonzero(missing))
    share = failing / table.num_rows if table.num_rows else 0.0
    passed = None if table.num_rows < rule.limits.get("min_rows", 1) else share <= limit
    if passed is None and failing == table.num_rows >= _SURE and limit <= _HALF:
        passed = False  # of few rows little can be told, but that there is nothing at all is no chance
    return _of_rows(rule, share, limit, missing, _share_missing(share, limit), passed=passed)


def _share_missing(share: float, limit: float) -> str:
    return f"{share:.2%} missing, allowed {limit:.2%}"


def _range(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    column = _named(table, rule)
    if column.null_count == len(column):
        return _result(rule, passed=True, value=None, limit=rule.limits, message="all values are missing")
    values, low, high, shown = _comparable(column, rule.limits.get("low"), rule.limits.get("high"))
    known = ~read.is_missing(column)
    if rule.limits.get("infinite"):
        known &= np.isfinite(values)
    below, above = np.zeros(len(values), bool), np.zeros(len(values), bool)
    if low is not None:
        below[known] = values[known] < low
    if high is not None:
        above[known] = values[known] > high
    outside = below | above
    failing = int(outside.sum())
    if not failing:
        return _within(rule)
    over = float(values[above].max() - high) if above.any() else -1.0
    under = float(low - values[below].min()) if below.any() else -1.0
    worst = shown(values[above].max() if over >= under else values[below].min())
    told = f"{worst:.12g}" if isinstance(worst, float) else str(worst)
    message = f"{failing:,} of {int(known.sum()):,} values outside of {_bounds(rule)}, the farthest {told}"
    return _of_rows(rule, worst, rule.limits, outside, message, passed=False)


def _comparable(column: Any, low: Any, high: Any) -> tuple[Any, Any, Any, Callable[[Any], Any]]:
    """Return the values of a column and two limits so that they compare exactly; and how a value is shown."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    column = column.cast(kind) if pa.types.is_dictionary(column.type) else column
    if read.kind_of(kind) == "moment":
        values = pc.fill_null(read.moments(column), 0).to_numpy()
        low, high = (None if end is None else _microseconds(end) for end in (low, high))
        return values, low, high, lambda value: _EPOCH + timedelta(microseconds=int(value))
    if pa.types.is_integer(kind):
        values = pc.fill_null(column, 0).to_numpy()
        edges = np.iinfo(values.dtype)
        low = None if low is None or low == -math.inf else math.ceil(low) if low < math.inf else edges.max + 1
        high = None if high is None or high == math.inf else math.floor(high) if high > -math.inf else edges.min - 1
        if (low is not None and low > edges.max) or (high is not None and high < edges.min):
            return values.astype(object), low, high, int
        low = None if low is None or low <= edges.min else values.dtype.type(low)
        high = None if high is None or high >= edges.max else values.dtype.type(high)
        return values, low, high, int
    if pa.types.is_decimal(kind):
        values = np.array([Decimal(0) if value is None else value for value in column.to_pylist()], dtype=object)
        low, high = (None if end is None else Decimal(str(end)) for end in (low, high))
        return values, low, high, lambda value: value
    # In place of a limit that no float is exactly stands the next one inside of it.
    if low is not None:
        low = float(low) if float(low) >= low else math.nextafter(float(low), math.inf)
    if high is not None:
        high = float(high) if float(high) <= high else math.nextafter(float(high), -math.inf)
    return read.numbers(column), low, high, float


def _bounds(rule: Expectation) -> str:
    return f"{_bound(rule.limits.get('low'))} to {_bound(rule.limits.get('high'))}"


def _within(rule: Expectation) -> QualityResult:
    return _result(rule, passed=True, value=None, limit=rule.limits, message=f"all values within {_bounds(rule)}")


def _categories(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    column = _named(table, rule)
    limit = rule.limits.get("max_share", 0.0)
    if column.null_count == len(column):
        return _result(rule, passed=True, value=None, limit=limit, message="all values are missing")
    column = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    column = read.texts(column) if pa.types.is_string_view(column.type) else column
    different = pc.unique(column)
    known = _same_values(rule.limits["values"], column.type)
    other = [value for value in different.to_pylist() if value is not None and value == value and value not in known]  # noqa: PLR0124 - NaN
    unseen = pc.is_in(column, value_set=pa.array(other, column.type)).to_numpy()
    failing = int(unseen.sum())
    share = failing / len(unseen) if len(unseen) else 0.0
    if not failing:
        return _result(rule, passed=True, value=0.0, limit=limit, message="no other value")
    named = list(read.commonest(column.filter(pa.array(unseen)), failing))
    message = f"{share:.2%} of the values are none of those known: {_listed(named)}"
    return _of_rows(rule, share, limit, unseen, message, passed=share <= limit)


def _same_values(values: list[Any], kind: Any) -> set[Any]:
    """Return values as those of a type compare: a text stands for a number or a truth only where values are such."""
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        truth = {"true": True, "false": False} if pa.types.is_boolean(kind) else {}
        return {truth.get(value, value) if isinstance(value, str) else value for value in values}
    found: set[Any] = set()
    for value in values:
        try:  # the levels of a profile are text
            found.add((Decimal(value) if "." in value else int(value)) if isinstance(value, str) else value)
        except (ValueError, ArithmeticError):
            found.add(value)
    return found | {float(value) for value in found if isinstance(value, Decimal) and pa.types.is_floating(kind)}


def _duplicates(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    names = rule.limits.get("columns") or table.column_names
    absent = [name for name in names if name not in table.column_names]
    limit = rule.limits.get("max_share", 0.0)
    if absent:
        message = f"there is no column {_listed(absent)}"
        return _result(rule, passed=False, value=None, limit=limit, message=message)
    keys = pa.Table.from_arrays([_key(table[name]) for name in names], names=[str(i) for i in range(len(names))])
    keys = keys.append_column("row", pa.array(np.arange(table.num_rows)))
    firsts = keys.group_by([str(i) for i in range(len(names))]).aggregate([("row", "min")])["row_min"].to_numpy()
    repeated = np.ones(table.num_rows, bool)
    repeated[firsts] = False
    failing = int(repeated.sum())
    share = failing / table.num_rows if table.num_rows else 0.0
    message = f"{failing:,} rows repeat an earlier one ({share:.2%}), allowed {limit:.2%}"
    return _of_rows(rule, share, limit, repeated, message, passed=share <= limit)


def _constant(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    given = _named(table, rule)
    if given.null_count == len(given) and len(given):
        passed = None if table.num_rows < rule.limits.get("min_rows", 2) else False
        return _result(rule, passed=passed, value=1, limit=2, message="every value is missing")
    column = _key(given.slice(0, _FIRST))
    number = pc.count_distinct(column, mode="all").as_py()
    if number == 1:  # seldom: two rows that differ are enough, and most columns have them at once
        number = pc.count_distinct(_key(given), mode="all").as_py()
    passed = None if table.num_rows < rule.limits.get("min_rows", 2) else number > 1
    same = (
        "missing"
        if number == 1 and column[0].as_py() is None
        else f"{quoted(column[0].as_py(), 100)}"
        if number == 1
        else ""
    )
    message = f"every value is {same}" if number == 1 else "more than one value"
    return _result(rule, passed=passed, value=number, limit=2, message=message)


def _freshness(table: pa.Table, rule: Expectation, now: datetime | None) -> QualityResult:
    column, limit = _named(table, rule), rule.limits["seconds"]
    newest = pc.max(read.moments(column)).as_py()
    if newest is None:
        return _result(rule, passed=False, value=None, limit=limit, message="there is no moment in it")
    age = (_microseconds(now or datetime.now(UTC)) - newest) / 1e6
    said = f"the newest is {timedelta(seconds=abs(round(age)))} {'old' if age >= 0 else 'ahead'}"
    message = f"{said}, allowed {timedelta(seconds=limit)}"
    return _result(rule, passed=abs(age) <= limit, value=age, limit=limit, message=message)


def _silence(_table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    message = "a live monitor judges how old the last prediction is; a table is not judged by it"
    return _result(rule, passed=None, value=None, limit=rule.limits, message=message)


def _volume(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    if "seconds" in rule.limits:
        message = "a live monitor judges the rows of a period; one table is not judged by it"
        return _result(rule, passed=None, value=None, limit=rule.limits, message=message)
    least, most = rule.limits.get("at_least"), rule.limits.get("at_most")
    passed = (least is None or table.num_rows >= least) and (most is None or table.num_rows <= most)
    bounds = f"{_bound(least)} to {_bound(most)}"
    message = f"{table.num_rows:,} rows, expected {bounds}"
    return _result(rule, passed=passed, value=table.num_rows, limit=rule.limits, message=message)


def _custom(table: pa.Table, rule: Expectation, _now: object) -> QualityResult:
    name = rule.limits.get("name", "")
    if rule.function is None:
        message = f"{name}: its function was not given; a record keeps only the name"
        return _result(rule, passed=False, value=None, limit=name, message=message)
    answer = rule.function(table)
    if isinstance(answer, bool | np.bool_):
        message = f"{name}: {'holds' if answer else 'does not hold'}"
        return _result(rule, passed=bool(answer), value=bool(answer), limit=name, message=message)
    wrong = ~np.asarray(answer, dtype=bool)
    if wrong.shape != (table.num_rows,):
        message = f"{name}: it gave neither True or False nor one boolean for each of the {table.num_rows:,} rows"
        return _result(rule, passed=False, value=None, limit=name, message=message)
    failing = int(wrong.sum())
    return _of_rows(rule, failing, name, wrong, f"{name}: {failing:,} rows fail", passed=not failing)


_JUDGES: dict[str, Callable[[pa.Table, Expectation, datetime | None], QualityResult]] = {
    "schema": _schema,
    "nulls": _nulls,
    "range": _range,
    "categories": _categories,
    "duplicates": _duplicates,
    "constant": _constant,
    "freshness": _freshness,
    "volume": _volume,
    "silence": _silence,
    "custom": _custom,
}


def _named(table: pa.Table, rule: Expectation) -> Any:
    return table[str(rule.column)]


def _key(column: Any) -> Any:
    """Give a column in a form that Arrow can group by: NaN is one value, and dictionaries are what they stand for."""
    if pa.types.is_dictionary(column.type):
        return pc.cast(column, column.type.value_type)
    if pa.types.is_nested(column.type) or isinstance(column.type, pa.BaseExtensionType):
        return pa.array([None if value is None else repr(value) for value in column.to_pylist()], pa.large_string())
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_null(column, nan_is_null=True), pa.scalar(None, column.type), column)
    return column


def _microseconds(moment: Any) -> int:
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int((moment - _EPOCH) // timedelta(microseconds=1))


def _of_rows(
    rule: Expectation, value: Any, limit: Any, mask: Any, message: str, *, passed: bool | None
) -> QualityResult:
    failing = int(np.count_nonzero(mask))
    rows = tuple(np.flatnonzero(mask)[:_SHOWN].tolist())
    return QualityResult(rule.kind, rule.column, passed, value, limit, failing, rows, message, rule.inferred)


def _result(rule: Expectation, *, passed: bool | None, value: Any, limit: Any, message: str) -> QualityResult:
    return QualityResult(rule.kind, rule.column, passed, value, limit, message=message, inferred=rule.inferred)


def _bound(value: Any) -> str:
    return "any" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:_SAID]))
    return (shown or "none") + (f" and {len(names) - _SAID} more" if len(names) > _SAID else "")
