"""Predictions and labels are logged by many at once, lose nothing in silence, and are read back verified."""

import logging
import multiprocessing
import os
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, InvalidInput, StoreError
from mlops_kit.monitoring.ids import PredictionIds
from mlops_kit.monitoring.log import PredictionLog
from mlops_kit.monitoring.segments import (
    AT,
    ID,
    LABEL,
    NUMBER,
    PREDICTION,
    WEIGHT,
    Segment,
    Segments,
    fresh,
    marked,
)
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.store import Store


@pytest.fixture
def segments(tmp_path):
    return Segments(mk.Store(tmp_path / "store"), "Fraud")


@pytest.fixture
def log(segments):
    return PredictionLog(segments, names=["a", "b"], interval=3600)


def written(segments, kind="predictions"):
    return [segments.read(segment) for segment in segments.listed() if segment.kind == kind]


def test_what_was_logged_is_read_back(segments, log):
    ids = log.add(pd.DataFrame({"x": [1.5, 2.5], "c": pd.Categorical(["u", None])}), [0.1, 0.9])
    log.add_labels(ids, [0, 1])
    log.flush()
    [rows] = written(segments)
    assert rows.column_names == [NUMBER, AT, WEIGHT, PREDICTION, "x", "c"]
    assert rows.column("c").to_pylist() == ["u", None]
    assert rows.column(WEIGHT).to_pylist() == [1.0, 1.0]
    [labels] = written(segments, "labels")
    assert labels.column(ID).to_pylist() == list(ids) == [f"{log.writer}-0", f"{log.writer}-1"]
    assert labels.column(LABEL).to_pylist() == [0, 1]


def test_ids_and_moments_may_be_given(segments, log):
    at = [datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2)]  # noqa: DTZ001 - a naive moment is UTC
    assert log.add(np.ones((2, 2)), ["yes", "no"], ids=[7, 8], at=at) == [7, 8]
    log.flush()
    [rows] = written(segments)
    assert rows.column(ID).to_pylist() == ["7", "8"]
    assert [moment.day for moment in rows.column(AT).to_pylist()] == [1, 2]
    assert rows.column_names[-2:] == ["a", "b"]


def test_rows_changed_after_they_were_logged_stay_what_they_were(segments, log):
    array, frame, scores = np.zeros((1, 2)), pd.DataFrame({"x": [1]}), np.array([0.5])
    log.add(array, scores)
    log.add(frame, scores)
    array[:], frame.loc[0, "x"], scores[:] = 9, 9, 9
    log.flush()
    first, second = written(segments)
    assert first.column("a").to_pylist() == [0]
    assert second.column("x").to_pylist() == [1]
    assert first.column(PREDICTION).to_pylist() == [0.5]


def test_columns_that_differ_stay_apart_and_numbers_meet(segments, log):
    log.add({"x": np.array([1])}, [0.1])
    log.add({"x": np.array([1.5])}, [1])
    log.add({"y": np.array([1.5])}, [0.1])
    log.add({"y": np.array(["text"])}, [0.1])
    log.flush()
    assert [rows.num_rows for rows in written(segments)] == [2, 1, 1]


@pytest.mark.parametrize("value", [complex(1), [1, "a"], object()])
def test_a_column_that_arrow_cannot_type_is_kept_as_text(segments, log, value):
    log.add(pd.DataFrame({"x": [1, 2], "odd": pd.Series([value, None], dtype=object)}), [0.1, 0.2])
    log.flush()
    [rows] = written(segments)
    assert rows.column("odd").to_pylist() == [str(value), None]


def test_a_column_named_like_one_of_the_log_is_renamed(segments, log):
    log.add(pd.DataFrame({"#at": [1]}), [0.1])
    log.flush()
    assert written(segments)[0].column("#at'").to_pylist() == [1]


@pytest.mark.parametrize(
    "given",
    [
        dict(data=np.ones((3, 2)), predictions=[1]),
        dict(data=np.ones((1, 2)), predictions=[1], ids=["a", "b"]),
        dict(data={"x": []}, predictions=[1]),
    ],
)
def test_rows_predictions_and_ids_of_different_number_are_refused(log, given):
    with pytest.raises(InvalidInput, match="for every row"):
        log.add(**given)
    with pytest.raises(InvalidInput, match="one label for each id"):
        log.add_labels(["a"], [1, 2])


def test_nothing_is_a_fine_number_of_rows(segments, log):
    assert list(log.add(np.ones((0, 2)), [])) == []
    log.add_labels([], [])
    log.flush()
    assert not list(segments.listed())


def test_a_thread_writes_what_waits_and_ends(segments):
    log = PredictionLog(segments, interval=0.05)
    log.add({"x": [1]}, [1])
    deadline = time.monotonic() + 20
    while not written(segments) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert written(segments)
    thread = log._thread
    if thread is not None:
        thread.join(10)
    assert log._thread is None


def test_many_threads_log_at_once_and_no_id_is_given_twice(segments, log):
    given = []

    def work():
        for _ in range(50):
            given.extend(log.add({"x": np.arange(3)}, [1, 2, 3]))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    numbers = [number for rows in written(segments) for number in rows.column(NUMBER).to_pylist()]
    assert len(set(given)) == len(given) == 1200
    assert sorted(numbers) == list(range(1200))


def _log_in_child(url, inherited):
    log = inherited or PredictionLog(Segments(mk.Store(url), "Fraud"))
    log.add({"x": [os.getpid()]}, [1])
    log.flush()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_many_processes_log_to_one_monitor_and_a_fork_repeats_nothing(segments, tmp_path):
    log = PredictionLog(segments, interval=3600)
    log.add({"x": [0]}, [1])
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_log_in_child, args=(tmp_path / "store", log)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    log.flush()
    values = [value for rows in written(segments) for value in rows.column("x").to_pylist()]
    assert sorted(values) == sorted([0, *(child.pid for child in children)])
    assert len({segment.writer for segment in segments.listed()}) == 4


def _log_and_end(url):
    PredictionLog(Segments(mk.Store(url), "Fraud"), interval=3600).add({"x": [1]}, [1])


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_of_multiprocessing_writes_what_it_has_when_it_ends(segments, tmp_path, method):
    child = multiprocessing.get_context(method).Process(target=_log_and_end, args=(tmp_path / "store",))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert [rows.num_rows for rows in written(segments)] == [1]


class Hidden(MemoryBackend):
    """A place whose first list misses what was written while it was made."""

    hidden = None

    def walk(self, prefix):
        hidden, self.hidden = self.hidden, None
        return [found for found in super().walk(prefix) if hidden is None or hidden not in found.key]


def test_a_segment_that_a_list_missed_is_read_all_the_same():
    store = Store.on(Hidden("log-hidden"))
    monitor = mk.Monitor({"x": np.arange(300.0)}, name="m", store=store, window=20)
    for number in range(3):
        monitor.log({"x": np.full(20, float(number))}, np.zeros(20))
        monitor.flush()
    store.backend.hidden = "-000002.predictions"
    assert monitor.check().rows == 60


class Broken(MemoryBackend):
    """A place that refuses to be written for a while."""

    broken = True

    def create(self, key, data):
        if self.broken and key.startswith("monitors/"):
            raise StoreError("no space left")
        return super().create(key, data)


def test_what_could_not_be_written_waits_and_is_written_once(caplog):
    backend = Broken("log-broken")
    segments = Segments(Store.on(backend), "m")
    log = PredictionLog(segments, interval=3600)
    log.add({"x": [1, 2]}, [1, 2])
    with pytest.raises(StoreError):
        log.flush()
    assert log.failure == "no space left"
    log.add({"x": [3]}, [3])
    backend.broken = False
    log.flush()
    assert [rows.column("x").to_pylist() for rows in written(segments)] == [[1, 2], [3]]
    assert [segment.seq for segment in segments.listed()] == [1, 2]


class Unsure(MemoryBackend):
    """A place that writes and then says that it did not, or fails at some of the writes."""

    fails = ()
    writes = 0

    def create(self, key, data):
        if not key.startswith("monitors/"):
            return super().create(key, data)
        self.writes += 1
        if ("before", self.writes) in self.fails:
            raise StoreError("no space left")
        made = super().create(key, data)
        if ("after", self.writes) in self.fails:
            raise StoreError("no answer")
        return made


@pytest.mark.parametrize("fails", [("after", 1), ("before", 2), ("after", 2), ("before", 3)])
def test_a_write_that_failed_is_repeated_as_it_was_so_that_no_row_is_there_twice(fails):
    backend = Unsure(f"log-unsure-{fails}")
    backend.fails = {fails}
    segments = Segments(Store.on(backend), "m")
    log = PredictionLog(segments, interval=3600)
    for column in "xyz":
        log.add({column: [1]}, [1])  # other columns go into another segment
    with pytest.raises(StoreError):
        log.flush()
    log.add({"z": [2]}, [1])
    log.flush()
    numbers = [number for rows in written(segments) for number in rows.column(NUMBER).to_pylist()]
    assert sorted(numbers) == [0, 1, 2, 3]
    assert [segment.seq for segment in segments.listed()] == list(range(1, len(list(segments.listed())) + 1))


class Untellable:
    def __str__(self):
        raise RuntimeError("no text")


def test_what_cannot_be_written_holds_up_nothing_else_and_is_told(segments, log, caplog):
    log.add({"x": [1]}, [1])
    log.add({"x": [Untellable()]}, [2])
    log.add({"x": [3]}, [3])
    with caplog.at_level(logging.ERROR):
        log.flush()
    assert [rows.column("x").to_pylist() for rows in written(segments)] == [[1, 3]]
    assert "1 predictions were lost" in caplog.text
    log.flush()
    assert len(written(segments)) == 1


@pytest.mark.parametrize(
    "given",
    [
        dict(data=None),
        dict(data=5),
        dict(data=np.zeros(2)),
        dict(data={"x": [1, 2], "y": [1]}),
        dict(predictions=None),
        dict(predictions="ab"),
        dict(predictions={1, 2}),
        dict(ids=5),
        dict(ids="ab"),
        dict(at="never"),
        dict(at=pd.NaT),
        dict(at=[float("nan")]),
        dict(at=[datetime(2026, 5, 1, tzinfo=UTC)] * 3),
    ],
)
def test_what_is_no_column_is_refused_where_it_was_passed(log, given):
    with pytest.raises(InvalidInput):
        log.add(**{"data": {"x": [1, 2]}, "predictions": [1, 2], **given})
    log.flush()


@pytest.mark.parametrize("given", [dict(ids=5), dict(labels=5), dict(labels="a"), dict(at="never"), dict(ids={"a"})])
def test_labels_that_are_no_column_are_refused_where_they_were_passed(log, given):
    with pytest.raises(InvalidInput):
        log.add_labels(**{"ids": ["a"], "labels": [1], **given})


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([UUID(int=1), UUID(int=2)], [str(UUID(int=1)), str(UUID(int=2))]),
        ([2**70, 1], [str(2**70), "1"]),
        (["\ud800", None], ["\\ud800", None]),
        ([b"\xff", b"a"], ["\\xff", "a"]),
        ([[1], [1, 2]], ["[1]", "[1, 2]"]),
        ([(1, 2), (3, 4)], ["[1, 2]", "[3, 4]"]),
        ([7, 8], ["7", "8"]),
    ],
)
def test_ids_of_any_type_are_kept_as_text_and_found_again(segments, log, values, kept):
    log.add({"x": [1, 2]}, values if not isinstance(values[0], bytes) else [0, 0], ids=values)
    log.add_labels(values, [0, 1])
    log.flush()
    assert written(segments)[0].column(ID).to_pylist() == kept
    assert written(segments, "labels")[0].column(ID).to_pylist() == kept


def test_names_and_values_that_utf_8_cannot_keep_are_escaped(segments, log):
    log.add({"\ud800": ["\udfff", "b"]}, [0, 1])
    log.flush()
    assert written(segments)[0].column("\\ud800").to_pylist() == ["\\udfff", "b"]


@pytest.mark.parametrize("first", [np.array([1, 2]), ["a", "b"]])
def test_a_column_of_nulls_joins_no_columns_that_do_not_meet(segments, log, first):
    log.add({"x": first}, [0, 1])
    log.add({"x": [None, None]}, [0, 1])
    log.add({"x": np.array([1.5, 2.5]) if isinstance(first, list) else ["a", "b"]}, [0, 1])
    log.add({"x": np.array([2**63, 1], np.uint64)}, [0, 1])
    log.flush()
    assert sum(rows.num_rows for rows in written(segments)) == 8


def test_a_large_batch_is_cut_into_segments_that_say_which_rows_they_hold(segments, log):
    log.add({"x": np.zeros(250_000)}, np.zeros(250_000))
    log.flush()
    assert [(one.first, one.rows) for one in segments.listed()] == [(0, 100_000), (100_000, 100_000), (200_000, 50_000)]


def test_a_full_buffer_thins_what_comes_and_says_what_each_row_stands_for(segments, caplog):
    log = PredictionLog(segments, limit=2000, interval=3600)
    log._thread = threading.current_thread()  # nobody writes meanwhile
    for _ in range(100):
        log.add({"x": np.zeros(100)}, np.zeros(100))
    assert log._buffer.rows <= 2000
    with caplog.at_level(logging.WARNING):
        log.flush()
    weights = [weight for rows in written(segments) for weight in rows.column(WEIGHT).to_pylist()]
    lost = int(caplog.records[-1].args[0]) if caplog.records else 0
    assert len(weights) < 2500
    assert max(weights) > 2
    assert sum(weights) + lost == pytest.approx(10_000, rel=0.25)


def test_what_is_new_is_told_from_the_names_alone(segments):
    first, second = PredictionLog(segments), PredictionLog(segments)
    for log in (first, second, first):
        log.add({"x": [1]}, [1])
        log.flush()
    everything = list(segments.listed())
    marks = marked(everything[:1], {})
    assert len(fresh(everything, marks)) == 2
    assert fresh(everything, marked(everything, marks)) == []
    assert {Segment.of(segment.day, segment.name) for segment in everything} == set(everything)
    assert Segment.of("2026-05-01", "notes.parquet") is None


def test_a_segment_that_was_altered_is_not_read_and_fsck_names_it(segments, log, tmp_path):
    log.add({"x": [1]}, [1])
    log.flush()
    store = mk.Store(tmp_path / "store")
    assert store.fsck().ok
    [segment] = segments.listed()
    path = tmp_path / "store" / segment.key("fraud")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="damaged"):
        segments.read(segment)
    assert [problem.kind for problem in store.fsck().problems] == ["damaged"]
    segments.delete(segment)
    with pytest.raises(IntegrityError, match="no longer"):
        segments.read(segment)


def test_ids_are_a_sequence():
    ids = PredictionIds("ab" * 6, range(3))
    assert ids == ["abababababab-0", "abababababab-1", "abababababab-2"]
    assert ids != "text"
    assert hash(ids) == hash(PredictionIds("ab" * 6, range(3)))
    assert repr(ids[:0]) == "PredictionIds(0)"
    assert repr(ids).startswith("PredictionIds(3: abababababab-0")


def test_at_the_end_of_a_program_what_waits_is_written_and_no_thread_is_left(segments, log):
    log.add(np.ones((3, 2)), [1, 2, 3])
    thread = log._thread
    log.end()
    assert not thread.is_alive()
    assert [rows.num_rows for rows in written(segments)] == [3]
    log.add(np.ones((2, 2)), [4, 5])
    log.end()
    assert [rows.num_rows for rows in written(segments)] == [3, 2]


def test_what_cannot_be_written_at_the_end_of_a_program_is_an_error_and_no_thread_is_left(segments, log, monkeypatch):
    def fail(*_arguments, **_options):
        raise StoreError("gone")

    monkeypatch.setattr(segments, "write", fail)
    log.add(np.ones((3, 2)), [1, 2, 3])
    thread = log._thread
    with pytest.raises(StoreError, match="gone"):
        log.end()
    assert not thread.is_alive()
