"""Labels find their predictions, and whatever does not fit is counted."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.monitoring.labels import distinct, joined, without_known


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


def test_no_more_of_the_log_is_read_than_needed():
    def parts():
        yield pd.DataFrame({"id": ["b", "a"], "prediction": [2, 1]})
        raise AssertionError("read on")

    rows, left = joined(labels(("a", 0), ("b", 1)), parts())
    assert rows[["id", "label", "prediction"]].to_numpy().tolist() == [["a", 0, 1], ["b", 1, 2]]
    assert left.empty


ids = st.sampled_from("abcdef")


@settings(max_examples=60, deadline=None)
@given(
    arrived=st.lists(st.tuples(ids, st.sampled_from([0, 1, None])), max_size=20),
    logged=st.lists(st.lists(ids, max_size=4), max_size=4),
)
def test_every_label_is_joined_once_or_counted(arrived, logged):
    kept, counts = distinct(labels(*arrived))
    number = iter(range(100))
    parts = [pd.DataFrame({"id": part, "prediction": [next(number) for _ in part]}, dtype=object) for part in logged]
    rows, left = joined(kept, parts)
    assert len(rows) + len(left) + counts.duplicate + counts.conflicting + counts.empty == len(arrived)
    first = {}
    for part in parts:
        for row in part.itertuples():
            first.setdefault(row.id, row.prediction)
    known = {}
    for name, label in arrived:
        if label is not None:
            known.setdefault(name, label)
    expected = [(name, known[name], first[name]) for name in known if name in first]
    found = zip(rows["id"], rows["label"], rows["prediction"], strict=True) if len(rows) else []
    assert list(found) == expected
    assert set(left["id"]) == set(known) - set(first)


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
