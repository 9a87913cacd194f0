"""Versions of datasets shown."""

from __future__ import annotations

from functools import partial

from mlops_kit.records.dataset import DatasetRecord
from mlops_kit.views import html
from mlops_kit.views.run import by_text
from mlops_kit.views.sheet import Row, Sheet
from mlops_kit.views.text import sheet_text
from mlops_kit.views.values import clip, plural, size, when

_NAME = 100


def dataset_text(record: DatasetRecord) -> str:
    """Show a version of a dataset as text.

    Parameters
    ----------
    record : DatasetRecord
        The version.

    Returns
    -------
    str
        Its identity and shape in one line, then the details.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from mlops_kit.records.dataset import ColumnRecord, Manifest, Part
    >>> columns = (ColumnRecord("age", "int64", "", ()), ColumnRecord("plan", "utf8", "", ()))
    >>> manifest = Manifest("fp1:1a2b", "", 569, columns, {}, (Part("parquet", "", 1234, 569),))
    >>> start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> print(dataset_text(DatasetRecord("customers", 3, manifest, start, {"actor": "ann"})))
    Dataset customers:3: 569 rows, 2 columns
      columns      age int64, plan utf8
      kept         2026-11-22 10:00:00 UTC by ann
      stored       1.2 kB in 1 part
      fingerprint  fp1:1a2b
    """
    return sheet_text(_sheet(record))


def dataset_html(record: DatasetRecord) -> str:
    """Show a version of a dataset in a notebook.

    Parameters
    ----------
    record : DatasetRecord
        The version.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from mlops_kit.records.dataset import Manifest
    >>> record = DatasetRecord("empty", 1, Manifest("fp1:1a2b", "", 0, (), {}, ()), datetime.now(UTC), {})
    >>> "Dataset empty:1: 0 rows, 0 columns" in dataset_html(record)
    True
    """
    return html.fragment(partial(html.sheet, _sheet(record)))


def _sheet(record: DatasetRecord) -> Sheet:
    manifest = record.manifest
    stored = f"{size(sum(part.size for part in manifest.parts))} in {plural(len(manifest.parts), 'part')}"
    rows = (
        Row("columns", tuple(f"{clip(column.name, _NAME)} {clip(column.type, _NAME)}" for column in manifest.columns)),
        Row("source", (record.source,) if record.source else ()),
        Row("kept", (f"{when(record.created)}{by_text(record.by)}",)),
        Row("run", (record.run_id,) if record.run_id else ()),
        Row("stored", (stored,)),
        Row("fingerprint", (manifest.fingerprint,)),
    )
    shape = f"{plural(manifest.rows, 'row')}, {plural(len(manifest.columns), 'column')}"
    return Sheet(f"Dataset {record.name}:{record.version}: {shape}", rows)
