"""Labels find their predictions, and whatever does not fit is counted."""

import numpy as np
import pandas as pd

import mlops_kit as mk
from mlops_kit.monitoring.labels import distinct, without_known


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
