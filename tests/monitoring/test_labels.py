"""Labels find their predictions, and whatever does not fit is counted."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.monitoring.book import open_book
from mlops_kit.monitoring.labels import distinct, without_known
from mlops_kit.monitoring.segments import Segment, Segments


def labels(*rows):
    return pd.DataFrame(rows, columns=["id", "label"]).assign(label_at=range(len(rows)))


def test_one_and_one_point_zero_and_true_are_the_same_label():
    kept, counts = distinct(labels(("a", 1), ("a", 1.0), ("a", True), ("a", "1"), ("a", 0)))
    assert len(kept) == 1
    assert (counts.duplicate, counts.conflicting) == (3, 1)


def test_what_is_known_is_not_judged_again():
    rest, counts = without_known(labels(("a", 1), ("b", 1), ("c", 0)), labels(("a", 1), ("b", 0)))
    assert rest["id"].tolist() == ["c"]
    assert (counts.duplicate, counts.conflicting) == (1, 1)


def test_predictions_that_are_logged_again_under_their_id_count_once(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=3000), "y": rng.integers(0, 2, 3000)}).assign(p=lambda rows: rows.y)
    seen, ids = frame.head(300), [f"k{number}" for number in range(300)]
    monitor = mk.Monitor(frame, name="retry", prediction="p", target="y", store=tmp_path, window=100)
    start = pd.Timestamp("2026-05-01", tz="UTC")
    for minute in range(2):
        monitor.log(seen[["x"]], seen.p, ids=ids, at=start + pd.Timedelta(minutes=minute))
        monitor.check(now=(start + pd.Timedelta(minutes=minute)).to_pydatetime())
    monitor.log_labels(ids, seen.y, at=start)
    report = monitor.check(now=(start + pd.Timedelta(hours=1)).to_pydatetime())
    assert (report.coverage.predictions, report.coverage.share) == (300, 1.0)
    assert any(note.startswith("300 predictions came again") for note in report.notes)


def corrections(*rows):
    made = pd.DataFrame(rows, columns=["id", "label", "#replace"])
    return made.assign(label_at=range(len(rows)))


def test_of_labels_that_are_to_replace_others_the_latest_stands():
    given = corrections(
        ("a", 1, True), ("a", 0, False), ("a", 2, True), ("b", 1, False), ("b", 0, False), ("c", 1, True)
    )
    kept, counts = distinct(given.iloc[[1, 2, 0, 3, 4, 5]])
    assert dict(zip(kept["id"], kept["label"], strict=True)) == {"a": 2, "b": 1, "c": 1}
    assert (counts.corrected, counts.conflicting, counts.duplicate) == (2, 1, 0)


def corrected_monitor(tmp_path, maturity):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=3000), "y": rng.integers(0, 2, 3000)}).assign(p=lambda rows: rows.y)
    monitor = mk.Monitor(frame, name="m", prediction="p", target="y", store=tmp_path, window=100, maturity=maturity)
    return monitor, frame.head(300)


def test_a_correction_replaces_what_is_not_judged_yet_and_is_in_the_journal(tmp_path):
    monitor, seen = corrected_monitor(tmp_path, "30d")
    start = pd.Timestamp("2026-05-01", tz="UTC").to_pydatetime()
    ids = [f"k{number}" for number in range(300)]
    monitor.log_labels("early", 1, at=start)
    monitor.log(seen[["x"]], seen.p, ids=ids, at=start)
    monitor.log_labels(ids, 1 - seen.y, at=start + timedelta(days=1))  # all of them wrong, by mistake
    monitor.check(now=start + timedelta(days=2))
    monitor.log_labels(ids[:250], seen.y[:250], at=start + timedelta(days=3), replace=True)
    monitor.log_labels("early", 0, at=start + timedelta(days=3), replace=True)
    monitor.check(now=start + timedelta(days=4))
    monitor.log_labels(ids[0], 1 - seen.y[0], at=start + timedelta(days=4))  # the correction stands
    monitor.log(seen[["x"]][:1], [0], ids=["early"], at=start)
    report = monitor.check(now=start + timedelta(days=40))
    loss = next(one for one in report.performance if one.name == "error")
    assert (loss.n, round(loss.n * loss.current)) == (301, 50)
    told = report.coverage
    assert (told.joined, told.corrected, told.judged, told.conflicting, told.late) == (301, 251, 0, 1, 0)
    shown = monitor.predictions().set_index("id")["label"]
    assert shown[ids[:250]].tolist() == seen.y[:250].tolist()
    assert shown[ids[250:]].tolist() == (1 - seen.y[250:]).tolist()
    entries = [entry for entry in open_book(monitor.store, "m").entries() if entry.kind == "correct"]
    assert [entry.body["labels"] for entry in entries] == [250, 1]
    assert all(
        Segment.of(*place) in set(Segments(monitor.store, "m").listed()) for e in entries for place in e.body["files"]
    )
    assert entries[0].by["actor"]


@pytest.mark.parametrize("maturity", [None, "1d"])
def test_what_was_judged_before_its_correction_stays_and_the_report_says_so(tmp_path, maturity):
    monitor, seen = corrected_monitor(tmp_path, maturity)
    start = pd.Timestamp("2026-05-01", tz="UTC").to_pydatetime()
    ids = monitor.log(seen[["x"]], seen.p, at=start)
    monitor.log_labels(ids, 1 - seen.y, at=start)
    before = monitor.check(now=start + timedelta(days=2))
    monitor.log_labels(ids[:10], seen.y[:10], at=start + timedelta(days=3), replace=True)
    after = monitor.check(now=start + timedelta(days=4))
    assert after.performance == before.performance
    assert (after.coverage.joined, after.coverage.corrected, after.coverage.judged) == (300, 10, 10)
    assert any(note.startswith("10 labels had been judged before a correction came") for note in after.notes)
    assert monitor.predictions().set_index("id")["label"][list(ids[:10])].tolist() == seen.y[:10].tolist()
