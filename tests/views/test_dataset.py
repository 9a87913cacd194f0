"""Versions of datasets shown."""

from datetime import UTC, datetime

import pytest

from mlops_kit.records.dataset import ColumnRecord, DatasetRecord, Manifest, Part
from mlops_kit.views.dataset import dataset_html, dataset_text

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
FP = "fp1:" + "1a2b3c4d" * 8


def record(columns, parts=1, **known):
    found = tuple(ColumnRecord(f"column_{i}", "int64", "", ()) for i in range(columns))
    manifest = Manifest(FP, "", 1569, found, {}, tuple(Part("parquet", "", 1000, 1) for _ in range(parts)))
    return DatasetRecord("customers", 3, manifest, NOW, {"actor": "ann"}, **known)


@pytest.mark.parametrize(
    "content",
    [
        "Dataset customers:3: 1,569 rows, 2 columns",
        "column_1 int64",
        "s3://bucket/customers",
        "2026-11-22 10:00:00 UTC by ann",
        "6921b1aa-0123456789ab",
        "5.0 MB in 5,000 parts",
        FP,
    ],
)
def test_a_dataset_tells_what_it_is(read_html, content):
    shown = record(2, parts=5000, source="s3://bucket/customers", run_id="6921b1aa-0123456789ab")
    assert content in dataset_text(shown)
    assert content in read_html(dataset_html(shown))


def test_an_empty_dataset_is_shown(read_html):
    empty = DatasetRecord("empty", 1, Manifest(FP, "", 0, (), {}, ()), NOW, {})
    assert dataset_text(empty).startswith("Dataset empty:1: 0 rows, 0 columns\n")
    assert "0 bytes in 0 parts" in read_html(dataset_html(empty))


def test_ten_thousand_columns_are_counted_and_not_listed(read_html):
    wide = record(10_000)
    assert "… and 9,980 more" in dataset_text(wide)
    assert "… and 9,900 more" in read_html(dataset_html(wide))
