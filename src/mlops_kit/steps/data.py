"""`ingest` and `split`: the data that goes in, and which rows no model may see."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlops_kit.datasets.expected import expected
from mlops_kit.errors import InvalidInput
from mlops_kit.fingerprints.arrow import to_arrow
from mlops_kit.masking import masked_text, quoted
from mlops_kit.measures.expectations import check
from mlops_kit.pipelines.source import Source, files_at, source
from mlops_kit.pipelines.step import step
from mlops_kit.records.quality import Expectation
from mlops_kit.steps.tables import column_of, frame_of, release
from mlops_kit.tracking.current import current_run

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".feather": "feather",
    ".arrow": "feather",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")


def _sources(data: Any, storage_options: Mapping[str, Any] | None) -> list[Source]:
    return [source(url, **(storage_options or {})) for url in _urls(data)]


@step(depends_on=_sources, ignore="storage_options", version=release("pandas", "pyarrow", "fsspec"))
def ingest(
    data: Any,
    *,
    expectations: Iterable[Expectation | Any] = (),
    name: str | None = "data",
    format: str | None = None,  # noqa: A002 - the field's word
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> pd.DataFrame:
    r"""Read a table, refuse it if it is not as expected, and record it as an input of the run.

    In a pipeline it runs again when the files have changed, by their ETag, or their size and time.

    Parameters
    ----------
    data : str, path, list of these, or table
        A file, a folder or a pattern on any file system that fsspec knows, such as ``"s3://sales/2026-*.parquet"``; or
        a frame, an Arrow table or a `Dataset`. Of several files the rows follow one another, in the order of their
        names.
    expectations : iterable of Expectation, Dataset or TableProfile
        What must hold, as for `Dataset.check`.
    name : str, optional
        The input of the run, and the dataset that it becomes a version of; None records nothing.
    format : str, optional
        ``"csv"``, ``"tsv"``, ``"parquet"``, ``"json"``, ``"jsonl"`` or ``"feather"``; by default as the names end.
    storage_options : mapping, optional
        Of the file system, such as credentials, as fsspec takes them.
    **options
        Of the function of pandas that reads the format, such as ``columns=["age"]``.

    Returns
    -------
    pandas.DataFrame
        The table.

    Raises
    ------
    InvalidInput
        The data is not as expected, is no table, or the files are not there, or differ in their columns.

    Examples
    --------
    >>> import fsspec
    >>> from mlops_kit import expectations, steps
    >>> for day in (1, 2):
    ...     with fsspec.open(f"memory://ingest-doc/{day}.csv", "w") as file:
    ...         _ = file.write(f"id,price\n{day},9.5\n")
    >>> steps.ingest("memory://ingest-doc/*.csv", expectations=[expectations.in_range("price", 0, 100)])
       id  price
    0   1    9.5
    1   2    9.5
    """
    urls = _urls(data)
    if not urls and (options or format is not None or storage_options):
        raise InvalidInput(f"A {type(data).__name__} is read already: options of reading are for files.")
    frame = _read(urls, format, storage_options or {}, options) if urls else frame_of(data)
    rules = tuple(expectations)
    if rules:
        check(to_arrow(frame), expected(*rules)).raise_if_failed()
    run = current_run()
    if run is not None and name is not None:
        run.log_dataset(frame, name)
    return frame


def _urls(data: Any) -> list[str]:
    """List the URLs that are meant; none if it is a table."""
    given = data if isinstance(data, list | tuple) and data else [data]
    paths = [os.fspath(one) for one in given if isinstance(one, str | os.PathLike)]
    if paths and len(paths) < len(given):
        raise InvalidInput("Some of the data are URLs and some are not: pass either URLs or one table.")
    return paths


def _read(urls: list[str], kind: str | None, storage: Mapping[str, Any], options: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - importing the steps loads no pandas

    parts: dict[str, pd.DataFrame] = {}
    for url in urls:
        for system, path in _tables_at(url, kind, storage):
            read = _reader(path, kind)
            with system.open(path, "rb", compression="infer") as file:
                parts[path] = read(file, **options)
    (first, frame), *others = parts.items()
    for path, other in others:
        if set(other.columns) != set(frame.columns):
            differing = sorted(map(str, set(other.columns) ^ set(frame.columns)))
            raise InvalidInput(
                f"The files differ in their columns: {masked_text(first)} and {masked_text(path)} do not both have "
                f"{', '.join(differing)}. Read them one by one, or choose columns."
            )
    return pd.concat(parts.values(), ignore_index=True) if others else frame


def _tables_at(url: str, kind: str | None, storage: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Find the tables at a URL; of a folder not what other programs leave beside them, such as ``_SUCCESS``."""
    system, files = files_at(url, storage)
    shown = [path for path in sorted(files) if not os.path.basename(path).startswith(("_", "."))]
    tables = [path for path in shown if kind is not None or _suffix(path) in _FORMATS]
    if not tables:
        names = ", ".join(os.path.basename(path) for path in sorted(files)[:5])
        raise InvalidInput(
            f"None of the files at {quoted(url)} is known to be a table: {names}. Name the format=, of "
            f"{', '.join(sorted(set(_FORMATS.values())))}."
        )
    for path in tables:
        yield system, path


def _suffix(path: str) -> str:
    name = path.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return os.path.splitext(name)[1]


def _reader(path: str, kind: str | None) -> Any:
    import pandas as pd  # noqa: PLC0415 - as above

    readers = {
        "csv": pd.read_csv,
        "tsv": lambda file, **options: pd.read_csv(file, **{"sep": "\t", **options}),
        "parquet": pd.read_parquet,
        "json": pd.read_json,
        "jsonl": lambda file, **options: pd.read_json(file, **{"lines": True, **options}),
        "feather": pd.read_feather,
    }
    wanted = _FORMATS[_suffix(path)] if kind is None else kind
    if wanted not in readers:
        raise InvalidInput(f"format={quoted(wanted)} is none that can be read: {', '.join(readers)}.")
    return readers[wanted]


@step(version=release("pandas"))
def split(
    data: Any, key: str | list[str] | None = None, *, test: float = 0.2, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows into those to train on and those to test on, so that each row stays where it is as data grows.

    A row goes to the test rows if a hash of its key and the seed, as a number between 0 and 1, is below `test`. So rows
    with the same key stay together, rows that come later move no others, and the share is met on average.

    Parameters
    ----------
    data : table
        What to split.
    key : str or list of str, optional
        The columns that say whose a row is, such as a customer's number; by default all, so that only equal rows stay
        together, and a change of a row may move it.
    test : float
        The share of the keys that are tested on, between 0 and 1.
    seed : int
        Of the hash: another one gives another split.

    Returns
    -------
    pandas.DataFrame and pandas.DataFrame
        The rows to train on and those to test on, in their order and with their index.

    Raises
    ------
    InvalidInput
        There is no such column, or one of the parts would be empty.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlops_kit import steps
    >>> orders = pd.DataFrame({"customer": [i // 2 for i in range(2000)], "amount": 1.0})
    >>> train, test = steps.split(orders, "customer", test=0.25)
    >>> len(train), len(test), set(train["customer"]) & set(test["customer"])
    (1484, 516, set())
    """
    if not 0 < test < 1:
        raise InvalidInput(f"test={quoted(test)} is no share between 0 and 1.")
    frame = frame_of(data)
    names = [key] if isinstance(key, str) else list(frame.columns) if key is None else list(key)
    in_test = _places([column_of(frame, name) for name in names], seed, len(frame)) < test
    if in_test.all() or not in_test.any():
        part = "train" if in_test.all() else "test"
        raise InvalidInput(
            f"With test={test:g} and seed={seed}, none of the {len(frame)} rows is left to {part} on. Change test= or "
            "seed=, or split by a key with more values."
        )
    return frame[~in_test], frame[in_test]


def _places(columns: list[pd.Series[Any]], seed: int, rows: int) -> NDArray[np.float64]:
    """Hash rows to numbers from 0 to 1, equal for equal values whatever the dtype."""
    import numpy as np  # noqa: PLC0415 - importing the steps loads no numpy

    hashed = np.full(rows, int.from_bytes(hashlib.sha256(b"%d" % seed).digest()[:8]), dtype=np.uint64)
    for column in columns:
        hashed = _mixed(hashed ^ _hashes(column))
    return np.asarray((hashed >> np.uint64(11)) * 2.0**-53)


def _hashes(column: pd.Series[Any]) -> NDArray[np.uint64]:
    import numpy as np  # noqa: PLC0415 - as above
    import pandas as pd  # noqa: PLC0415 - as above

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return _of_numbers(column.to_numpy(dtype=np.float64, na_value=np.nan))
    try:
        codes, values = pd.factorize(column)
    except TypeError as error:
        raise InvalidInput(
            f"The column {quoted(column.name)} is no key: {quoted(error, 200)}. Choose another."
        ) from error
    hashes = [_of_value(value) for value in values]
    return np.array([*hashes, _of_value(np.nan)], dtype=np.uint64)[codes]  # a missing value has the code -1


def _of_value(value: Any) -> int:
    import numpy as np  # noqa: PLC0415 - as above

    if isinstance(value, int | float | np.number):
        return int(_of_numbers(np.array([value], dtype=np.float64))[0])
    return int.from_bytes(hashlib.sha256(str(value).encode("utf-8", "surrogatepass")).digest()[:8])


def _of_numbers(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    import numpy as np  # noqa: PLC0415 - as above

    one_of_each = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, and no -0.0
    return _mixed(one_of_each.view(np.uint64))


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix bits as the generator SplitMix64 does (Steele, Lea and Flood 2014)."""
    import numpy as np  # noqa: PLC0415 - as above

    with np.errstate(over="ignore"):
        mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))
