"""Versions and histories as tables: bounded whatever was recorded, and a line for each."""

from datetime import UTC, datetime

from mlops_kit.records.entry import Entry
from mlops_kit.records.model import ModelRecord
from mlops_kit.views.versions import history_text, models_text

MADE = datetime(2026, 11, 22, 10, tzinfo=UTC)


def version(number, **metrics):
    by = {"actor": "a" * 500}
    return ModelRecord("m", number, "sha256:00", None, "cloudpickle", 1, "pkg.Forest", MADE, by, metrics=metrics)


def test_the_first_metrics_are_columns_and_the_others_are_counted():
    many = {f"metric {number}": float(number) for number in range(7)}
    text = models_text([version(1, auc=0.5), version(2, **many)], {"champion": 2, "shadow": 2})
    head, first, second, hidden = text.splitlines()
    assert head.split()[3] == "auc"
    assert "metric 2" in head
    assert "metric 3" not in head
    assert first.split()[4:8] == ["0.5", "–", "–", "–"]
    assert second.endswith("Forest  champion, shadow")
    assert hidden == "… and 4 more metrics"
    assert max(map(len, text.splitlines())) < 160


def test_a_reason_of_any_length_and_kind_is_one_line():
    body = {"alias": "champion", "version": 3, "reason": "why\n" * 10_000}
    lines = history_text(
        [Entry(1, "", MADE, {}, "", "create", {"name": "m"}), Entry(2, "", MADE, {}, "", "promote", body)]
    )
    head, create, promote = lines.splitlines()
    assert head.split() == ["#", "when", "by", "what", "subject", "why"]
    assert create.endswith("create   m")
    assert "champion → 3" in promote
    assert len(promote) < 200
