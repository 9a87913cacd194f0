"""`Dataset`: a version of a table, kept exactly and found again."""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_kit.datasets.expected import expected
from mlops_kit.datasets.storage import Prepared, prepare, read_table, write_manifest
from mlops_kit.errors import DatasetNotFound, InvalidInput
from mlops_kit.fingerprints.arrow import to_arrow
from mlops_kit.masking import quoted
from mlops_kit.measures.expectations import check
from mlops_kit.records.check import Listing, passing_over
from mlops_kit.records.dataset import DatasetRecord, Manifest
from mlops_kit.records.entry import Entry
from mlops_kit.records.moments import AsOf
from mlops_kit.records.names import check_name, folder
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import Expectation, QualityReport
from mlops_kit.records.shape import reading
from mlops_kit.store import keys
from mlops_kit.store.active import active_run
from mlops_kit.store.catalog import Catalog
from mlops_kit.store.store import Store, StoreLike, open_store
from mlops_kit.views.dataset import dataset_html, dataset_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_LOOKED_BACK = 1000
_VECTORS = frozenset({"series", "array", "chunked"})


class Dataset:
    """A version of a table: the very rows, dtypes, categories and index that were given.

    Made by `Dataset.snapshot` and `Dataset.load`, never by calling the class.

    Attributes
    ----------
    name, version, spec : str, int, str
        Such as ``"customers"``, ``3`` and ``"customers:3"``.
    fingerprint : str
        ``fp1:<hex>`` of the content: equal for equal values, whatever library or file they came from.
    n_rows : int
        The number of rows.
    profile : TableProfile
        What each column looks like: counts, missing values, extremes, moments, distribution.
    created, by : datetime, dict
        When it was kept, and who kept it.
    source, run_id : str or None
        Where the data came from in the user's words, and the run that was active.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [31, 47], "plan": pd.Categorical(["basic", "pro"])})
    >>> first = mk.Dataset.snapshot(frame, name="customers", store="memory://dataset-doc")
    >>> again = mk.Dataset.snapshot(frame, name="customers", store="memory://dataset-doc")
    >>> first.spec, again.spec, first.n_rows
    ('customers:1', 'customers:1', 2)
    >>> mk.Dataset.load("customers@latest", store="memory://dataset-doc").to_pandas().equals(frame)
    True
    """

    def __init__(self, store: Store, record: DatasetRecord) -> None:
        self._store = store
        self._record = record

    @classmethod
    def snapshot(cls, data: Any, *, name: str, store: StoreLike = None, source: str | None = None) -> Dataset:
        """Keep a table as the next version of a name, or find that the latest version is the same.

        Parameters
        ----------
        data : table
            A pandas, polars or Arrow table, anything with ``__arrow_c_stream__``, a one- or two-dimensional
            array, or a dict of one-dimensional arrays. A stream of record batches is used up.
        name : str
            Letters, digits, ``_``, ``-`` and ``.``.
        store : str, path or Store, optional
            Where to keep it; by default the store of the project.
        source : str, optional
            Where the data came from: a query, a path, a URL.

        Returns
        -------
        Dataset
            The version, durable. Data with the same values, dtypes, categories and index as the latest version
            gives that version, and writes nothing.

        Raises
        ------
        UnsupportedData
            A column cannot be kept exactly; it is named, with the row and the remedy.
        InvalidName
            The name cannot be one, or differs only in case from one that exists.
        """
        opened = open_store(store)
        entry = keep(prepare(data), name=name, store=opened, source=source)
        dataset = _opened(opened, check_name(name, what="dataset"), entry)
        _remember_origin(data, dataset)
        return dataset

    @classmethod
    def load(cls, spec: str, *, as_of: AsOf | None = None, store: StoreLike = None) -> Dataset:
        """Find a version of a dataset; its rows are read when they are asked for.

        Parameters
        ----------
        spec : str
            ``"name:3"``, ``"name@latest"``, or a fingerprint ``"fp1:…"``.
        as_of : str, date or datetime, optional
            What the spec meant at that moment; a bare date means the end of that day in UTC.
        store : str, path or Store, optional
            Where it is kept; by default the store of the project.

        Returns
        -------
        Dataset
            The version.

        Raises
        ------
        NotFound
            There is no such name, version or fingerprint; the message lists what exists.
        """
        opened = open_store(store)
        catalog = _catalog(opened)
        if str(spec).startswith("fp1:"):
            return _opened(opened, *catalog.search(spec, as_of=as_of))
        return _opened(opened, catalog.parse(spec).name, catalog.resolve(spec, as_of=as_of))

    @classmethod
    def versions(cls, name: str, *, store: StoreLike = None) -> Listing[Dataset]:
        """List the versions of a dataset, oldest first.

        Parameters
        ----------
        name : str
            The dataset.
        store : str, path or Store, optional
            Where it is kept; by default the store of the project.

        Returns
        -------
        Listing of Dataset
            Without reading any rows; in ``problems`` the records that could not be read.
        """
        opened = open_store(store)
        name = check_name(name, what="dataset")
        listed = _catalog(opened).listed(name)
        found, problems = list[Dataset](), list(listed.problems)
        for entry, _ in listed:
            with passing_over(problems, keys.entry_key("datasets", folder(name), entry.seq)):
                found.append(_opened(opened, name, entry))
        return Listing(found, problems)

    @classmethod
    def names(cls, *, store: StoreLike = None) -> Listing[str]:
        """Name all datasets of a store, sorted.

        Parameters
        ----------
        store : str, path or Store, optional
            By default the store of the project.

        Returns
        -------
        Listing of str
            As first spelled; in ``problems`` the records that could not be read.
        """
        return _catalog(open_store(store)).names()

    @property
    def store(self) -> Store:
        """The store that keeps it."""
        return self._store

    @property
    def name(self) -> str:
        """The name of the dataset."""
        return self._record.name

    @property
    def version(self) -> int:
        """The number of the version, from 1."""
        return self._record.version

    @property
    def spec(self) -> str:
        """``name:version``, as `Dataset.load` takes it."""
        return f"{self.name}:{self.version}"

    @property
    def fingerprint(self) -> str:
        """``fp1:<hex>`` of the content."""
        return self._record.manifest.fingerprint

    @property
    def identity(self) -> str:
        """SHA-256 of the fingerprint and of all that it leaves out: dtypes, categories, index."""
        return self._record.manifest.identity

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self._record.manifest.rows

    @property
    def created(self) -> datetime:
        """When the version was kept."""
        return self._record.created

    @property
    def by(self) -> dict[str, str]:
        """Who kept the version: ``actor`` and ``source``."""
        return self._record.by

    @property
    def source(self) -> str | None:
        """Where the data came from, in the user's words."""
        return self._record.source

    @property
    def run_id(self) -> str | None:
        """The run that was active when the version was kept."""
        return self._record.run_id

    @property
    def columns(self) -> dict[str, str]:
        """The columns in order, with their types as in a fingerprint, such as ``"utf8"``."""
        return {column.name: column.type for column in self._record.manifest.columns}

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of `to_arrow`, without reading any rows."""
        from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow

        return frames.arrow_schema(self._record.manifest.header)

    @property
    def profile(self) -> TableProfile:
        """What each column looks like, as counted when the version was kept; no rows are read.

        A version that was kept without a profile is read and profiled now.
        """
        digest = self._record.manifest.profile
        if digest is None:
            from mlops_kit.measures.profile import profile_table  # noqa: PLC0415 - loads pyarrow

            return profile_table(to_arrow(self.to_arrow()))
        what = f"profile of the dataset {self.spec}"
        return TableProfile.decode(self._store.objects.get(digest, what=what), where=what)

    def check(self, *expectations: Expectation | Dataset | TableProfile, now: datetime | None = None) -> QualityReport:
        """Hold the rows against expectations.

        Parameters
        ----------
        *expectations : Expectation, Dataset or TableProfile
            What must hold, made by the functions of `mlops_kit.expectations`. A dataset or a profile stands for what
            it suggests as a reference (`mlops_kit.expectations.infer`).
        now : datetime, optional
            The time from which freshness is counted; by default the present.

        Returns
        -------
        QualityReport
            A result for each expectation, with the column, the number, the limit and the rows.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> import pandas as pd
        >>> ages = mk.Dataset.snapshot(pd.DataFrame({"age": [31, 250]}), name="ages", store="memory://check-doc")
        >>> ages.check(mk.expectations.in_range("age", 0, 130))
        QualityReport(alert: 2 rows, 1 expectation, 1 failed)
          FAILED        range of age: 1 of 2 values outside of 0 to 130, the farthest 250
        """
        return check(to_arrow(self.to_arrow()), expected(*expectations), now=now)

    def to_pandas(self, columns: Iterable[object] | None = None) -> pd.DataFrame:
        """Give the table as a pandas frame: dtypes, categories, index and labels as they were given.

        Parameters
        ----------
        columns : iterable of labels, optional
            Only these columns.

        Returns
        -------
        pandas.DataFrame
            A new frame. Of data that was not of pandas, integers and booleans with missing values have pandas' nullable
            dtypes, and what numpy cannot hold exactly, such as structs and decimals, an ``ArrowDtype``.

        Raises
        ------
        UnsupportedData
            A column has a type that pandas cannot hold; it is named.
        IntegrityError
            The stored bytes are not those that were kept.
        """
        from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow

        chosen = _chosen(columns)
        frame = frames.unpack_pandas(self._table(chosen), self._record.manifest.header, chosen)
        if chosen is None:
            _remember_origin(frame, self)
        return frame

    def to_arrow(self, columns: Iterable[object] | None = None) -> pa.Table:
        """Give the table in Arrow, with the types it was given in.

        Parameters
        ----------
        columns : iterable of labels, optional
            Only these columns.

        Returns
        -------
        pyarrow.Table
            For a frame of pandas, its Arrow form with index levels as columns.
        """
        from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow

        chosen = _chosen(columns)
        table = frames.unpack_arrow(self._table(chosen), self._record.manifest.header, chosen)
        if chosen is None:
            _remember_origin(table, self)
        return table

    def to_native(self) -> Any:
        """Return the data as the kind of object that was given.

        Returns
        -------
        object
            What went in: a frame or a Series of pandas or polars, an Arrow table, batch or array, an array of the same
            dtype and shape, or a dict of arrays and lists. What came as an Arrow stream of any other library is an
            Arrow table.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> import numpy as np
        >>> mk.Dataset.snapshot(np.array([True, False]), name="y", store="memory://native-doc").to_native()
        array([ True, False])
        """
        from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow

        made = frames.unpack_native(self._table(None), self._record.manifest.header)
        if self._record.manifest.header["container"] == "numpy":
            _remember_array(made, self)
        else:
            _remember_origin(made, self)
        return made

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Return the data as an array.

        Returns
        -------
        numpy.ndarray
            The array that was given, of the same dtype and shape; of a single column a vector; of a table a matrix of
            a dtype that holds every value.

        Raises
        ------
        UnsupportedData
            No dtype of numpy holds the values of all columns exactly; the column is named.
        """
        from mlops_kit.datasets import conversions  # noqa: PLC0415 - loads pyarrow

        header = self._record.manifest.header
        if header["container"] == "numpy":
            array: np.ndarray[Any, Any] = self.to_native()
            return array
        array = conversions.to_matrix(self.to_pandas())
        if header.get("native", {}).get("kind") in _VECTORS:
            array = array[:, 0]
        _remember_array(array, self)
        return array

    def to_polars(self, columns: Iterable[object] | None = None) -> pl.DataFrame:
        """Return the table as a polars frame.

        Parameters
        ----------
        columns : iterable of labels, optional
            Only these columns.

        Returns
        -------
        polars.DataFrame
            For a polars frame the very frame; for a frame of pandas, its Arrow form with index levels as columns.

        Raises
        ------
        UnsupportedData
            polars is not installed, or has no type for a column, which is named.
        """
        from mlops_kit.datasets import conversions, frames  # noqa: PLC0415 - loads pyarrow

        chosen = _chosen(columns)
        frame = conversions.to_polars(frames.unpack_arrow(self._table(chosen), self._record.manifest.header, chosen))
        if chosen is None:
            _remember_origin(frame, self)
        return frame

    def _table(self, columns: list[object] | None) -> pa.Table:
        return read_table(self._record.manifest, self._store, what=f"dataset {self.spec}", columns=columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dataset):
            return NotImplemented
        return (self._store.url, self.spec) == (other._store.url, other.spec)

    def __hash__(self) -> int:
        return hash((self._store.url, self.spec))

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return _reopen, (self.spec, self._store.url)

    def __repr__(self) -> str:
        return dataset_text(self._record)

    def _repr_html_(self) -> str:
        return dataset_html(self._record)


def keep(prepared: Prepared, *, name: str, store: Store, source: str | None = None) -> Entry:
    """Make a prepared table the next version of a name, unless the latest version is the same; give its entry."""
    active = active_run()
    run = active.id if active is not None and active.store_url == store.url else None

    @functools.cache
    def manifest() -> str:
        return write_manifest(prepared, store, profiled=True)[0]

    def body(_version: int) -> dict[str, Any]:
        members = {
            "manifest": manifest(),
            "fingerprint": prepared.fingerprint,
            "identity": prepared.identity,
            "rows": prepared.rows,
            "source": None if source is None else str(source),
            "run": run,
        }
        return {member: value for member, value in members.items() if value is not None}

    return _catalog(store).add(name, "snapshot", body, same=prepared.identity)


def kept_before(prepared: Prepared, *, name: str, store: Store) -> Dataset | None:
    """Find a version of a name, among its last thousand entries, that keeps the very same table."""
    journal = _catalog(store).open(check_name(name, what="dataset"))
    if journal.read(lambda state: state.get("name")) != name:
        return None
    for entry in itertools.islice(journal.backwards(journal.last), _LOOKED_BACK):
        if entry.body.get("identity") == prepared.identity:
            return _opened(store, name, entry)
    return None


def origin_of(data: object) -> Dataset | None:
    """Return the dataset version that an object was read from, or kept as, in this process.

    The object may have been changed since: see `unchanged_origin`.

    Parameters
    ----------
    data : object
        A frame, a table or an array.

    Returns
    -------
    Dataset or None
        The version.
    """
    if type(data) is dict:
        return _origin_of_columns(data)
    known = _origins.get(id(data))
    return known[1] if known is not None and known[0]() is data else None


def _origin_of_columns(data: dict[Any, Any]) -> Dataset | None:
    """Return the version that all arrays of a dict, which itself cannot be referred to weakly, are the columns of."""
    origins: set[Dataset] = set()
    for label, values in data.items():
        known = _columns.get(id(values))
        if known is not None and known[0]() is values and known[2] == label:
            origins.add(known[1])
        elif type(values).__module__ == "numpy":
            return None
    origin = origins.pop() if len(origins) == 1 else None
    return origin if origin is not None and len(origin._record.manifest.columns) == len(data) else None  # noqa: SLF001 - a function of this module


def unchanged_origin(
    data: object, store: Store, *, prepared: Prepared | None = None, printed: str | None = None
) -> Dataset | None:
    """Return the version of a store that an object was read from, if it is still what it was then.

    Parameters
    ----------
    data : object
        A frame, a table or an array.
    store : Store
        Only a version of this store counts.
    prepared : Prepared, optional
        The object, taken apart. If it is of the kind that the version keeps, all that a version keeps must be the same;
        of what it was converted to when it was read, the content.
    printed : str, optional
        The fingerprint of the object.

    Returns
    -------
    Dataset or None
        The version.
    """
    origin = origin_of(data)
    if origin is None or origin.store != store:
        return None
    header = origin._record.manifest.header  # noqa: SLF001 - a function of this module
    if prepared is not None and _kind_of(prepared.header) == _kind_of(header):
        return origin if prepared.identity == origin.identity else None
    seen = {printed, None if prepared is None else prepared.fingerprint} - {None, ""}
    if seen & {origin.fingerprint, _origins[id(data)][2]}:
        return origin
    return origin if prepared is not None and _has_columns_of(prepared, origin) else None


def _has_columns_of(prepared: Prepared, origin: Dataset) -> bool:
    """Test whether an array has the content of the columns of a version, whose names it cannot have."""
    own = [(column.type, column.root) for column in prepared.columns]
    kept = [(column.type, column.root) for column in origin._record.manifest.columns]  # noqa: SLF001 - as above
    return prepared.header["container"] == "numpy" and bool(own) and own == kept[: len(own)]


def _kind_of(header: dict[str, Any]) -> tuple[Any, ...]:
    return header["container"], header.get("native", {}).get("kind")


_origins: dict[int, tuple[weakref.ref[Any], Dataset, str | None]] = {}
_columns: dict[int, tuple[weakref.ref[Any], Dataset, object]] = {}
"""The arrays of the dicts that were read, with their labels."""


def _remember_origin(data: object, dataset: Dataset, converted: str | None = None) -> None:
    if type(data) is dict:
        _remember_columns(data, dataset)
        return
    key = id(data)
    try:
        _origins[key] = (weakref.ref(data, functools.partial(_drop, _origins, key)), dataset, converted)
    except TypeError:
        return  # not everything tabular can be referred to weakly


def _remember_columns(data: dict[Any, Any], dataset: Dataset) -> None:
    for label, values in data.items():
        if type(values).__module__ == "numpy":
            key = id(values)
            _columns[key] = (weakref.ref(values, functools.partial(_drop, _columns, key)), dataset, label)


def _remember_array(array: np.ndarray[Any, Any], dataset: Dataset) -> None:
    from mlops_kit.fingerprints.arrays import array_fingerprint  # noqa: PLC0415 - loads numpy

    _remember_origin(array, dataset, None if array.dtype.hasobject else array_fingerprint(array))


def _drop(origins: dict[int, Any], key: int, _gone: object) -> None:
    origins.pop(key, None)


def _chosen(columns: Iterable[object] | None) -> list[object] | None:
    given: object = columns
    if isinstance(given, str | bytes) or not (given is None or isinstance(given, Iterable)):
        raise InvalidInput(f"columns={quoted(given)} is no list of labels, such as columns=['age', 'income'].")
    return None if given is None else list(given)


def _reopen(spec: str, url: str) -> Dataset:
    return Dataset.load(spec, store=url)


def _catalog(store: Store) -> Catalog:
    return Catalog(store, "datasets", "dataset", DatasetNotFound, "Dataset.versions({})")


def _opened(store: Store, name: str, entry: Entry) -> Dataset:
    what = f"manifest of the dataset {name}:{entry.body['version']}"
    with reading(what):
        digest = entry.body["manifest"]
    manifest = Manifest.decode(store.objects.get(digest, what=what), where=what)
    return Dataset(store, DatasetRecord.of(name, entry, manifest))
