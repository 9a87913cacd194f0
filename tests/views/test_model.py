"""Versions of models shown, and what made them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlops_kit.records.model import LineageRecord, ModelRecord
from mlops_kit.records.run import InputRef
from mlops_kit.views.model import lineage_html, lineage_text, version_html, version_text

FP = "fp1:" + "1a2b3c4d" * 8
DIGEST = "sha256:" + "9f" * 32
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MODEL = ModelRecord(
    *("fraud", 3, DIGEST, FP, "cloudpickle", 1_234_567, "sklearn.ensemble.Forest", NOW, {"actor": "ann"}),
    run_id="6921b1aa-0123456789ab",
    metrics={"auc": 0.9931},
    description="First tuned model",
)
LINEAGE = LineageRecord(
    MODEL,
    {
        "id": "6921b1aa-0123456789ab",
        "name": "train",
        "experiment": "default",
        "status": "finished",
        "started": NOW,
        "by": {"actor": "bob"},
        "params": {"max_depth": 8},
        "metrics": {"auc": 0.9931},
    },
    (InputRef("data", "table", FP, 569, "train.data", 3), InputRef("X_val", "array", FP, 100)),
    {
        "function": "pkg.fraud.train",
        "fingerprint": FP,
        "parts": {"train": 1, "prepare": 2},
        "commit": "1a2b3c4d5e6f7a8b",
        "branch": "main",
        "dirty": True,
    },
    {
        "python": "3.14.2",
        "platform": "linux",
        "machine": "x86_64",
        "packages": {"abc": "1.0", "numpy": "2.4.0", "pandas": "3.1.0", "scikit-learn": "1.9.0", "zzz": "2.0"},
    },
    ("The data 'X_val' was not kept, only its fingerprint.",),
)
OUTSIDE = LineageRecord(replace(MODEL, run_id=None), None, (), {}, {}, ("Registered outside of a run.",))


@pytest.mark.parametrize(
    "content",
    [
        "ModelVersion fraud:3: Forest, 1.2 MB",
        "First tuned model",
        "2026-11-22 10:00:00 UTC by ann",
        "6921b1aa-0123456789ab",
        "sklearn.ensemble.Forest",
        "cloudpickle",
        DIGEST,
        FP,
    ],
)
def test_a_version_tells_what_it_is(read_html, content):
    assert content in version_text(MODEL)
    assert content in read_html(version_html(MODEL))


def test_a_version_from_outside_of_a_run_says_so():
    assert "none: registered outside of a run" in version_text(replace(MODEL, run_id=None))


@pytest.mark.parametrize(
    "content",
    [
        "Lineage of fraud:3",
        "data → train.data:3, 569 rows, fp1:1a2b3c4d…",
        "X_val, 100 rows, fingerprint only: fp1:1a2b3c4d…",
        "run 6921b1aa-0123456789ab train: finished",
        "2026-11-22 10:00:00 UTC by bob",
        "pkg.fraud.train",
        "2 functions",
        "1a2b3c4d5e on main, with uncommitted changes",
        "Python 3.14.2",
        "linux x86_64",
        "scikit-learn 1.9.0",
        "2 others",
        "model fraud:3: Forest, 1.2 MB",
        "The data 'X_val' was not kept, only its fingerprint.",
    ],
)
def test_a_lineage_tells_the_data_the_code_the_environment_and_what_is_unknown(read_html, content):
    assert content in lineage_text(LINEAGE)
    assert content in read_html(lineage_html(LINEAGE))


def test_the_tree_leads_from_data_over_the_run_to_the_model():
    text = lineage_text(LINEAGE)
    data, run, made = text.index("train.data:3"), text.index("└─ run"), text.index("   └─ model")
    assert data < run < text.index("max_depth=8") < text.index("Python") < made < text.index("unknown")
    html = lineage_html(LINEAGE)
    assert html.index("train.data:3") < html.index("pkg.fraud.train") < html.index("model fraud:3")


def test_packages_that_matter_most_stand_first():
    text = lineage_text(LINEAGE)
    assert "packages     scikit-learn 1.9.0, numpy 2.4.0, pandas 3.1.0, 2 others" in text


def test_a_lineage_without_a_run_says_plainly_what_is_not_known(read_html):
    for shown in (lineage_text(OUTSIDE), read_html(lineage_html(OUTSIDE))):
        assert "run not known" in shown
        assert "not known" in shown.partition("run not known")[0]
        assert "Registered outside of a run." in shown


def test_a_run_without_data_is_not_called_unknown():
    text = lineage_text(replace(LINEAGE, data=(), unknown=()))
    assert "data  none recorded" in text
    assert "known" not in text
