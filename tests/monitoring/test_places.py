"""Labels find their predictions by an index that is read in part, however long a monitor lives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import IntegrityError
from mlops_kit.monitoring import epoch as epochs
from mlops_kit.monitoring import places
from mlops_kit.monitoring.counted import count_rows
from mlops_kit.monitoring.epoch import NO_LABELS
from mlops_kit.monitoring.labels import LabelCounts, label_text
from mlops_kit.monitoring.log import PredictionLog
from mlops_kit.monitoring.places import Index, Places
from mlops_kit.monitoring.reading import join_labels
from mlops_kit.monitoring.segments import Segments
from mlops_kit.store.memory import MemoryBackend, forget

DAY = 86_400
names = st.sampled_from([*"abcdef", "0123456789ab-1", "0123456789ab-01"])
told = st.sampled_from([0, 1, 1.0, "1", "yes", None])
check = st.tuples(st.lists(st.lists(names, min_size=1, max_size=4), max_size=3), st.lists(st.tuples(names, told)))


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.normal(size=count), "y": rng.integers(0, 2, count)}).assign(p=lambda one: one.y)


def watched(store, **options):
    options = {"prediction": "p", "target": "y", "name": "m", "window": 50, "metrics": ["accuracy"], **options}
    return mk.Monitor(rows(2000), store=store, **options)


class Checks:
    """Checks of the labels alone: what goes from one to the next is as plain as it is kept."""

    def __init__(self):
        forget("places")
        self.segments = Segments(mk.Store.on(MemoryBackend("places")), "m")
        self.log = PredictionLog(self.segments, interval=3600)
        self.index, self.waiting, self.seen = Index(), NO_LABELS, set()

    def run(self, seq):
        new = [one for one in self.segments.listed() if one.kind in {"predictions", "labels"} and one not in self.seen]
        self.seen |= {*new}
        known = Places(self.segments, Index.of(self.index.plain()))
        first = known.count
        for one in sorted((one for one in new if one.kind == "predictions"), key=lambda one: one.seq):
            known.add(one, count_rows(self.segments.read(one), known, one.day).keys)
        labels = [one for one in new if one.kind == "labels"]
        found = join_labels(self.segments, known, labels=labels, waiting=self.waiting, new=first)
        self.waiting = found.waiting
        keep = lambda table, kind: self.segments.write(table, kind=kind, writer="ab" * 6, seq=seq)
        before, self.index = self.index, known.written(keep, "")
        for gone in {*before.segments} - {*self.index.segments}:
            self.segments.delete(gone)
        return found


@settings(max_examples=30, deadline=None)
@given(made=st.lists(check, max_size=6), most=st.sampled_from([4, 1 << 18]))
def test_every_label_is_joined_once_or_counted(made, most):
    checks, logged, known, number = Checks(), {}, {}, iter(range(1000))
    expected, counts, joined, kept = LabelCounts(), LabelCounts(), {}, places._MOST
    places._MOST = most
    try:
        for seq, (batches, labels) in enumerate(made, 1):
            for batch in batches:
                numbers = [next(number) for _ in batch]
                checks.log.add({"x": numbers}, numbers, ids=batch)
                checks.log.flush()
                for name, one in zip(batch, numbers, strict=True):
                    logged.setdefault(name, one)
            for name, label in labels:
                if label is None:
                    expected += LabelCounts(empty=1)
                elif name in known:
                    expected += LabelCounts(duplicate=1)
                known.setdefault(name, label) if label is not None else None
                checks.log.add_labels([name], [label])
                checks.log.flush()
            found = checks.run(seq)
            again = found.counts.duplicate + found.counts.conflicting
            counts += replace(found.counts, duplicate=again, conflicting=0)
            joined |= dict(zip(found.rows["id"], found.rows["prediction"], strict=True))
            assert joined == {name: logged[name] for name in known if name in logged}
            assert set(checks.waiting["id"]) == set(known) - set(logged)
            assert counts == expected + LabelCounts(joined=len(joined), unknown=len(checks.waiting))
    finally:
        places._MOST = kept


@pytest.mark.parametrize(
    "alike",
    [[1, 1.0, True, np.float64(1), np.int64(1), np.bool_(True), "1", "1.0"], [-2.5, "-2.5"], [10**400], [1e300],
     ["1e0"], ["01"], ["yes"], ["nan"], [np.inf, "inf"], [datetime(2026, 5, 1, tzinfo=UTC)], [0, False, 0.0, -0.0]],
)  # fmt: skip
def test_equal_labels_are_written_alike(alike):
    (text,) = {label_text(label) for label in alike}
    others = [2, "no", 10**400 + 1, 1e301, "2e0", 0.5, "1.00"]
    assert text not in {label_text(label) for label in others}


@pytest.mark.parametrize("given_ids", [True, False])
def test_a_check_reads_no_more_files_the_longer_a_monitor_lives(tmp_path, monkeypatch, given_ids):
    monitor, read = watched(tmp_path), []
    kept = Segments.read_bytes
    monkeypatch.setattr(Segments, "read_bytes", lambda self, one: read.append(one) or kept(self, one))
    files, named = [], []
    for turn in range(24):
        part = rows(10, turn)
        ids = [f"{turn}-{place}" for place in range(10)] if given_ids else None
        named.append(monitor.log(part[["x"]], part.p, ids=ids))
        if turn:
            monitor.log_labels(named[-2], rows(10, turn - 1).y)
        read.clear()
        report = monitor.check()
        files.append(len(read))
    assert report.coverage.joined == 230
    assert max(files[12:]) < 15  # and not one for each check before
    assert (
        sum(1 for one in Segments(mk.Store(tmp_path), "m").listed() if one.kind in {"places", "ids", "labelled"}) < 20
    )
    monitor.log_labels(named[0], 1 - rows(10, 0).y)
    assert monitor.check().coverage.conflicting == 10


@pytest.mark.parametrize("given_ids", [True, False])
def test_a_label_that_comes_after_the_horizon_is_counted_as_late(monkeypatch, given_ids):
    clock = [1_700_000_000.0]
    monkeypatch.setattr(MemoryBackend, "now", lambda _: clock[0])
    monitor = watched(f"memory://horizon-{given_ids}")
    old = monitor.log(rows(60)[["x"]], rows(60).p, ids=[f"a{place}" for place in range(60)] if given_ids else None)
    monitor.log_labels(old[:20], rows(20).y)
    assert monitor.check().coverage.joined == 20
    clock[0] += 400 * DAY
    monitor.log_labels(old[20:40], rows(20).y)
    assert monitor.check().coverage.joined == 40
    clock[0] += 5 * DAY
    monitor.log(rows(60)[["x"]], rows(60).p)
    monitor.log_labels(old, rows(60).y)
    assert (monitor.check().coverage.joined, monitor.check().coverage.late) == (40, 60)
    assert monitor.check().coverage.duplicate == 0
    monitor.log_labels(old[:5], rows(5).y)  # by now they are forgotten
    coverage = monitor.check().coverage
    assert (coverage.joined, coverage.late + coverage.unknown) == (40, 65)


def test_a_label_of_what_the_retention_has_deleted_is_late(monkeypatch):
    clock = [1_700_000_000.0]
    monkeypatch.setattr(MemoryBackend, "now", lambda _: clock[0])
    monitor = watched("memory://places-retention", retention="10d")
    at = lambda: datetime.fromtimestamp(clock[0], UTC)
    old = monitor.log(rows(60)[["x"]], rows(60).p, at=at())
    monitor.check(now=at())
    for _ in range(2):
        clock[0] += 15 * DAY
        monitor.log(rows(60)[["x"]], rows(60).p, at=at())
        monitor.check(now=at())
    monitor.log_labels(old, rows(60).y, at=at())
    coverage = monitor.check(now=at() - timedelta(days=20)).coverage
    assert (coverage.joined, coverage.late + coverage.unknown) == (0, 60)


def test_a_run_that_another_check_has_merged_is_read_again_in_its_place(tmp_path, monkeypatch):
    monitor, other = watched(tmp_path), watched(tmp_path)
    ids = monitor.log(rows(50)[["x"]], rows(50).p, ids=[f"a{place}" for place in range(50)])
    monitor.check()
    monitor.log_labels(ids, rows(50).y)
    monitor.flush()
    read, done = Places.find, []

    def find(self, *given, **options):
        if not done:
            done.append(True)
            other.log(rows(50)[["x"]], rows(50).p, ids=[f"b{place}" for place in range(50)])
            other.check()
        return read(self, *given, **options)

    monkeypatch.setattr(Places, "find", find)
    report = monitor.check()
    assert (report.coverage.joined, report.coverage.duplicate) == (50, 0)
    monkeypatch.setattr(Places, "_columns", lambda *_: (_ for _ in ()).throw(IntegrityError("gone")))
    monitor.log_labels(ids, rows(50).y)
    with pytest.raises(IntegrityError, match="gone"):
        monitor.check()


def test_an_epoch_that_begins_beside_a_check_knows_what_that_has_joined(tmp_path, monkeypatch):
    monitor, other = watched(tmp_path), watched(tmp_path)
    ids = monitor.log(rows(50)[["x"]], rows(50).p)
    monitor.log_labels(ids, rows(50).y)
    monitor.flush()
    read, done = epochs._known_before, []

    def before(*given):
        found = read(*given)
        if not done:
            done.append(True)
            assert other.check().coverage.joined == 50
        return found

    monkeypatch.setattr(epochs, "_known_before", before)
    monitor.reset("begun beside a check")
    monitor.log_labels(ids, rows(50).y)
    report = monitor.check()
    assert (report.epoch, report.coverage.joined, report.coverage.duplicate) == (2, 0, 50)
