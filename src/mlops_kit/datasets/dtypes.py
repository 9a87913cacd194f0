"""What Arrow does not say about a pandas frame: dtypes, indexes and labels, as plain JSON and back."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Context, Decimal
from typing import Any, TypeAlias, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.tseries.frequencies import to_offset

from mlops_kit.datasets.parquet import schema_from_json, schema_to_json, values_from_json, values_to_json
from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.layouts import without_child_names
from mlops_kit.fingerprints.object_columns import object_kind
from mlops_kit.fingerprints.pandas_columns import column
from mlops_kit.masking import quoted
from mlops_kit.records.codec import plain, unplain

# JSON values and pandas or Arrow columns of any element type.
Json: TypeAlias = Any
Column: TypeAlias = Any

_MISSING: list[Any] = [None, float("nan"), pd.NA, pd.NaT, np.float64("nan")]
_SCALARS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
        *(np.float64, np.bool_, np.str_, np.bytes_),
    )
}
_EXACT = Context(prec=100)  # wider than the widest Arrow decimal


def describe(values: pd.Series, name: str) -> dict[str, Json]:  # noqa: PLR0911 - one for each kind of dtype
    """Describe the dtype of a column so that `restore` can make it again.

    Parameters
    ----------
    values : pandas.Series
        The column.
    name : str
        Its name, for the message of an error.

    Returns
    -------
    dict
        Plain JSON, with the kind of dtype under ``"kind"``.

    Raises
    ------
    UnsupportedData
        The dtype cannot be made again.

    Examples
    --------
    >>> describe(pd.Series([1], dtype="int8"), "x")
    {'kind': 'numpy', 'dtype': '|i1'}
    """
    dtype = values.dtype
    match dtype:
        case np.dtype():
            return {"kind": "numpy", "dtype": dtype.str} if dtype.kind != "O" else _describe_objects(values, name)
        case pd.CategoricalDtype():
            categories = describe(pd.Series(dtype.categories), name)
            return {"kind": "category", "ordered": bool(dtype.ordered), "categories": categories}
        case pd.DatetimeTZDtype():
            return {"kind": "datetimetz", "unit": dtype.unit, "zone": _zone(dtype.tz)}
        case pd.SparseDtype():
            dense = describe(pd.Series(np.asarray(values.array)), name)
            return {"kind": "sparse", "dense": dense, "fill": _exact(dtype.fill_value, f"The fill of column {name!r}")}
        case pd.StringDtype():
            return {"kind": "string", "storage": dtype.storage, "missing": "NA" if dtype.na_value is pd.NA else "nan"}
        case pd.ArrowDtype():
            return {"kind": "arrow", "dtype": str(pd.ArrowDtype(without_child_names(dtype.pyarrow_dtype)))}
        case pd.PeriodDtype():
            return {"kind": "period", "dtype": str(dtype)}
        case pd.IntervalDtype():
            subtype: object = dtype.subtype
            zone = _zone(subtype.tz) if isinstance(subtype, pd.DatetimeTZDtype) else None
            return {"kind": "interval", "subtype": str(subtype), "closed": dtype.closed, "zone": zone}
        case _ if type(dtype).__module__.partition(".")[0] == "pandas":
            return {"kind": "masked", "dtype": str(dtype)}
    raise UnsupportedData(
        f"Column {name!r} has the extension type {dtype}, which cannot be made again. Convert it with .astype(...)."
    )


def detail(values: pd.Series, array: Column) -> Column | None:
    """Note per row what Arrow cannot say of a column of objects, if there is anything.

    Parameters
    ----------
    values : pandas.Series
        The column.
    array : pyarrow.Array
        The same column in Arrow.

    Returns
    -------
    pyarrow.Array or None
        16-bit integers: for a missing value which one it is (0 None, 1 NaN, 2 NA, 3 NaT, 4 NaN of numpy), for a decimal
        its exponent.
        None where the description of the column says it all.
    """
    if values.dtype != object:
        return None
    objects = values.to_numpy()
    missing = pd.isna(objects)
    codes = np.zeros(len(objects), dtype=np.int16)
    codes[missing] = [_missing_code(value) for value in objects[missing]]
    needed = len(np.unique(codes[missing])) > 1
    if pa.types.is_decimal(array.type):
        codes[~missing] = [value.as_tuple().exponent for value in objects[~missing]]
        needed = needed or bool((codes[~missing] != -array.type.scale).any())
    return pa.array(codes) if needed else None


def restore(  # noqa: PLR0911 - one for each kind of dtype
    array: Column, described: dict[str, Json], codes: Column | None = None
) -> Column:
    """Make a pandas column from its Arrow form and its description.

    Parameters
    ----------
    array : pyarrow.ChunkedArray
        The values, in the Arrow type that the column had.
    described : dict
        What `describe` said.
    codes : pyarrow.ChunkedArray, optional
        What `detail` noted.

    Returns
    -------
    pandas.Series
        The column as it was, but for its name and index.

    Examples
    --------
    >>> values = pd.Series([1, 2], dtype="Int8")
    >>> restore(pa.chunked_array([pa.array(values)]), describe(values, "x")).dtype
    Int8Dtype()
    """
    if described["kind"] == "category":
        return _restore_category(array, described)
    array = _contiguous(array)
    match described["kind"]:
        case "numpy":
            values = array.to_numpy(zero_copy_only=False).astype(described["dtype"])
            return pd.Series(values, dtype=described["dtype"])
        case "object":
            return pd.Series(_restore_objects(array, described, codes), dtype=object)
        case "datetimetz":
            zone = _restore_zone(described["zone"])
            naive = pd.Series(array.to_numpy(zero_copy_only=False).astype(f"datetime64[{described['unit']}]"))
            return naive.dt.tz_localize("UTC").dt.tz_convert(zone)
        case "sparse":
            dense = restore(array, described["dense"])
            dtype = pd.SparseDtype(dense.dtype, unplain(described["fill"]))
            return dense.astype(dtype)
        case "string":
            missing = pd.NA if described["missing"] == "NA" else np.nan
            string: Column = pd.StringDtype(described["storage"], na_value=missing)
            return pd.Series(string.__from_arrow__(array), dtype=string)
        case "arrow":
            return pd.Series(array, dtype=pd.ArrowDtype(array.type))
        case "masked" if pa.types.is_floating(array.type):
            # pandas' own way from Arrow would take NaN for a missing value
            mask = array.is_null().to_numpy(zero_copy_only=False)
            filled = array.fill_null(0).to_numpy(zero_copy_only=False)
            return pd.Series(pd.arrays.FloatingArray(filled.copy(), mask.copy()))
        case "interval":
            return _restore_interval(array, described)
        case _:
            extension: Column = pd.api.types.pandas_dtype(described["dtype"])
            return pd.Series(extension.__from_arrow__(array), dtype=extension)


def describe_index(index: pd.Index, names: list[str]) -> dict[str, Json]:
    """Describe the index of a frame, whose values are kept in columns.

    Parameters
    ----------
    index : pandas.Index
        The index.
    names : list of str
        The columns that hold its levels; none for an unnamed range.

    Returns
    -------
    dict
        Plain JSON for `restore_index`.

    Raises
    ------
    UnsupportedData
        A level has a name that is neither text, number nor a tuple of them, or a dtype that cannot be made again.
    """
    described = {"names": [_exact(name, "The name of an index level") for name in index.names]}
    if isinstance(index, pd.RangeIndex):
        return described | {"range": [index.start, index.stop, index.step], "columns": names}
    levels = [describe(pd.Series(index.get_level_values(i)), name) for i, name in enumerate(names)]
    frequency = getattr(index, "freqstr", None) if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)) else None
    if frequency is not None and to_offset(frequency) != index.freq:  # type: ignore[attr-defined] # both classes have it
        frequency = None
    return described | {
        "columns": names,
        "levels": levels,
        "multi": isinstance(index, pd.MultiIndex),
        "freq": frequency,
    }


def restore_index(described: dict[str, Json], levels: list[Column]) -> pd.Index:
    """Make an index again.

    Parameters
    ----------
    described : dict
        What `describe_index` said.
    levels : list of pandas.Series
        Its levels; none for a range.

    Returns
    -------
    pandas.Index
        The index with its names, and its frequency if that can be written as text.
    """
    names = [unplain(name) for name in described["names"]]
    if "range" in described:
        start, stop, step = described["range"]
        return pd.RangeIndex(start, stop, step, name=names[0])
    if described["multi"]:
        return pd.MultiIndex.from_arrays(levels, names=names)
    index: Column = pd.Index(levels[0], dtype=levels[0].dtype)
    if described["freq"] is not None:
        index.freq = described["freq"]
    index.names = names
    return cast("pd.Index", index)


def labels_to_json(labels: pd.Index) -> dict[str, Json]:
    """Write the labels of columns, with their types, as JSON.

    Parameters
    ----------
    labels : pandas.Index
        The labels.

    Returns
    -------
    dict
        Plain JSON for `labels_from_json`.

    Raises
    ------
    UnsupportedData
        A label is an object of a kind that cannot be written.

    Examples
    --------
    >>> labels_from_json(labels_to_json(pd.Index(["a", 1], dtype=object)))
    Index(['a', 1], dtype='object')
    """
    if isinstance(labels, pd.RangeIndex):
        return describe_index(labels, [])
    described = describe_index(labels, []) | {"multi": isinstance(labels, pd.MultiIndex)}
    described["levels"] = [_level_to_json(labels.get_level_values(i)) for i in range(labels.nlevels)]
    return described


def labels_from_json(described: dict[str, Json]) -> pd.Index:
    """Read labels written by `labels_to_json`.

    Parameters
    ----------
    described : dict
        The labels.

    Returns
    -------
    pandas.Index
        The labels.
    """
    return restore_index(described, [_level_from_json(level) for level in described.get("levels", ())])


def attributes_to_json(attributes: dict[Any, Any]) -> Json:
    """Write ``DataFrame.attrs`` as JSON.

    Parameters
    ----------
    attributes : dict
        The attributes.

    Returns
    -------
    JSON value
        Their plain form; scalars of numpy are tagged with their dtype.

    Raises
    ------
    UnsupportedData
        One of them cannot be made again; it is named.

    Examples
    --------
    >>> attributes_from_json(attributes_to_json({"scale": np.float32(1.5)}))
    {'scale': np.float32(1.5)}
    """
    written = _attribute(attributes)
    if _holds_repr(written):
        key = next((key for key, value in attributes.items() if _holds_repr(_attribute(value))), "")
        raise UnsupportedData(
            f"The attrs of the frame hold a {type(attributes.get(key)).__name__} under {quoted(key)}, which cannot be "
            f"kept. Keep text, numbers and lists of them there, or remove it: `frame.attrs.pop({quoted(key)})`."
        )
    return written


def attributes_from_json(written: Json) -> dict[str, Any]:
    """Read attributes written by `attributes_to_json`; older releases wrote None where one was not plain."""
    return cast("dict[str, Any]", _attribute_from_json(written or {}))


def _attribute(value: object) -> Json:
    if isinstance(value, np.generic) and value.dtype.char not in "gGFDV":
        array = np.array([value])
        item = array.view("i8")[0].item() if value.dtype.kind in "mM" else value.item()
        return {"$": "numpy", "v": [value.dtype.str, plain(item)]}
    if type(value) is dict and all(type(key) is str for key in value) and "$" not in value:
        return {key: _attribute(item) for key, item in value.items()}
    if type(value) is list:
        return [_attribute(item) for item in value]
    if type(value) is tuple:
        return {"$": "tuple", "v": [_attribute(item) for item in value]}
    return plain(value)


def _attribute_from_json(written: Json) -> Any:
    if isinstance(written, list):
        return [_attribute_from_json(item) for item in written]
    if not isinstance(written, dict):
        return written
    match written.get("$"):
        case None:
            return {key: _attribute_from_json(item) for key, item in written.items()}
        case "tuple":
            return tuple(_attribute_from_json(item) for item in written["v"])
        case "numpy":
            dtype = np.dtype(written["v"][0])
            item = unplain(written["v"][1])
            return np.array([item], "i8").view(dtype)[0] if dtype.kind in "mM" else np.array([item], dtype)[0]
    return unplain(written)


def _level_to_json(level: pd.Index) -> dict[str, Json]:
    if level.dtype == object:
        return {"labels": [_exact(label, "A column label") for label in level]}
    values = column(pd.Series(level), "column labels")
    values = _contiguous(values)
    described: dict[str, Json] = {"dtype": describe(pd.Series(level), "column labels")}
    if pa.types.is_dictionary(values.type):
        described["categories"] = values_to_json(values.dictionary, "column labels")
        values = values.indices
        described["codes"] = values.to_pylist()
        kind = level.dtype.categories  # type: ignore[union-attr] # a dictionary is made of categories only
        categories = column(pd.Series(kind), "column labels")
        return described | {"type": schema_to_json(pa.schema([pa.field("", categories.type)]))}
    return described | {
        "type": schema_to_json(pa.schema([pa.field("", values.type)])),
        "values": values_to_json(values, "column labels"),
    }


def _level_from_json(described: dict[str, Json]) -> Column:
    if "labels" in described:
        labels = np.empty(len(described["labels"]), dtype=object)
        labels[:] = [unplain(label) for label in described["labels"]]
        return pd.Series(labels, dtype=object)
    kind = schema_from_json(described["type"]).field(0).type
    if "codes" in described:
        dictionary = values_from_json(described["categories"], kind)
        codes = pa.array(described["codes"], pa.int64())
        return restore(pa.DictionaryArray.from_arrays(codes, dictionary), described["dtype"])
    return restore(values_from_json(described["values"], kind), described["dtype"])


def _exact(value: object, what: str) -> Json:
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if value is pd.NA or value is pd.NaT:
        raise UnsupportedData(f"{what} is {value!r}, which cannot be kept. Use None.")
    written = plain(value)
    if _holds_repr(written):
        raise UnsupportedData(
            f"{what} is a {type(value).__name__}, {quoted(str(value), 100)}, which cannot be kept. Use text or numbers."
        )
    return written


def _holds_repr(written: Json) -> bool:
    if isinstance(written, dict):
        return written.get("$") == "repr" or any(map(_holds_repr, written.values()))
    return isinstance(written, list) and any(map(_holds_repr, written))


def _describe_objects(values: pd.Series, name: str) -> dict[str, Json]:
    objects = values.to_numpy()
    kind = object_kind(objects, name)
    missing = pd.isna(objects)
    described: dict[str, Json] = {
        "kind": "object",
        "of": kind,
        "missing": min((_missing_code(value) for value in objects[missing]), default=0),
    }
    scalar = _scalar(objects[~missing], name)
    if scalar is not None:
        described["scalar"] = scalar
    if kind == "array":
        described["dtype"] = objects[np.argmin(missing)].dtype.str
    if kind == "datetime" and (zone := objects[np.argmin(missing)].tzinfo) is not None:
        described["zone"] = _zone(zone)
    return described


def _scalar(values: np.ndarray, name: str) -> str | None:
    """Name the type of numpy that all values of a column of objects have; None if none has one."""
    kinds = set(map(type, values))
    if not any(issubclass(kind, np.generic) for kind in kinds):
        return None
    if len(kinds) > 1:
        row = next(i for i, value in enumerate(values) if type(value) is not type(values[0]))
        raise UnsupportedData(
            f"Column {name!r} cannot be kept exactly: among its values are a {type(values[0]).__name__} and a "
            f"{type(values[row]).__name__}, of which numpy and Arrow make one. Use one type, such as .astype(str) or "
            "pandas.to_numeric."
        )
    return kinds.pop().__name__


def _contiguous(array: Column) -> Column:
    if not isinstance(array, pa.ChunkedArray):
        return array
    return array.chunk(0) if array.num_chunks == 1 else pa.concat_arrays(array.chunks or [pa.array([], array.type)])


def _restore_category(array: Column, described: dict[str, Json]) -> Column:
    chunks: Column = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    categories = pd.Index(restore(chunks[0].dictionary, described["categories"]))
    codes = pa.concat_arrays([chunk.indices for chunk in chunks]).cast(pa.int64()).fill_null(-1).to_numpy()
    dtype = pd.CategoricalDtype(categories, ordered=described["ordered"])
    return pd.Series(pd.Categorical.from_codes(codes, dtype=dtype))


def _restore_objects(array: Column, described: dict[str, Json], codes: Column | None) -> np.ndarray:
    objects = np.empty(len(array), dtype=object)
    items = array.to_pylist()
    if described["of"] == "array":
        items = [None if item is None else np.array(item, dtype=described["dtype"]) for item in items]
    elif described["of"] == "tuple":
        items = [None if item is None else tuple(item) for item in items]
    elif "zone" in described:
        zone = _restore_zone(described["zone"])
        items = [None if item is None else item.astimezone(zone) for item in items]
    elif "scalar" in described:
        scalar = _SCALARS[described["scalar"]]
        items = [None if item is None else scalar(item) for item in items]
    for row, item in enumerate(items):
        objects[row] = item
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if codes is None:
        objects[missing] = _MISSING[described["missing"]]
        return objects
    noted = codes.to_numpy()
    if described["of"] == "Decimal":
        for row in np.flatnonzero(~missing).tolist():
            objects[row] = objects[row].quantize(Decimal((0, (1,), int(noted[row]))), context=_EXACT)
    for row in np.flatnonzero(missing).tolist():
        objects[row] = _MISSING[noted[row]]
    return objects


def _missing_code(value: object) -> int:
    if isinstance(value, np.floating):
        if type(value) is not np.float64:
            raise UnsupportedData(f"A {type(value).__name__} that is NaN among objects cannot be kept. Use None.")
        return 4
    return 0 if value is None else 2 if value is pd.NA else 3 if value is pd.NaT else 1


def _zone(zone: object) -> Json:
    if isinstance(zone, timezone):
        return {"offset": zone.utcoffset(None).total_seconds()}
    return {"name": getattr(zone, "key", None) or str(zone)}


def _restore_zone(described: dict[str, Json]) -> timezone | ZoneInfo:
    if "offset" in described:
        return timezone(timedelta(seconds=described["offset"]))
    return ZoneInfo(described["name"])


def _restore_interval(array: Column, described: dict[str, Json]) -> Column:
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    subtype = described["subtype"]
    missing = storage.is_null().to_numpy(zero_copy_only=False)
    sides = []
    for side in ("left", "right"):
        values = storage.field(side).to_numpy(zero_copy_only=False)
        if described["zone"] is not None:
            naive = pd.Series(values).dt.tz_localize("UTC").dt.tz_convert(_restore_zone(described["zone"]))
            values = naive
        else:
            values = pd.Series(values).astype(subtype)
        sides.append(values.mask(missing) if missing.any() else values)
    return pd.Series(pd.arrays.IntervalArray.from_arrays(sides[0], sides[1], closed=described["closed"]))
