"""What an attack on the library found, kept so that it stays mended."""

from __future__ import annotations

import os
import threading
import time

import pandas as pd
import pyarrow as pa
import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, RunClosed, UnsupportedData, UntrustedArtifact
from mlops_kit.store import keys, serializers


def test_a_returned_stream_is_left_to_the_caller():
    table = pa.table({"x": [1, 2, 3]})

    @mk.track
    def read():
        return table.to_reader()

    assert read().read_all().equals(table)


def test_a_process_without_room_for_a_thread_runs_the_function_all_the_same(monkeypatch):
    def refused(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("mlops_kit.tracking.heartbeat._thread", None)
    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.warns(mk.errors.RecordingWarning, match="Signs of life"):
        assert mk.track(lambda: 1)() == 1


def test_a_fork_is_not_held_up_by_a_lock_of_the_parents_threads(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", 1)
    journal = models._catalog.open("m")
    held, done = threading.Event(), threading.Event()

    def hold():
        with journal._lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    pid = os.fork()
    if not pid:
        os._exit(0 if models.register("m", 2).version == 2 else 1)
    deadline = time.monotonic() + 20
    ended, status = 0, 1
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)
    if not ended:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    done.set()
    holder.join()
    assert (bool(ended), status) == (True, 0)


def test_a_metric_logged_while_the_run_ends_is_kept_or_refused():
    run = mk.start_run()
    kept = 0

    def log():
        nonlocal kept
        try:
            for step in range(100_000):
                run.log_metric("loss", step)
                kept += 1
        except RunClosed:
            return

    thread = threading.Thread(target=log)
    thread.start()
    time.sleep(0.02)
    run.finish()
    thread.join()
    assert len(mk.get_run(run.id).metric_history("loss")) == kept


def test_threads_lose_no_artifact():
    with mk.start_run() as run:

        def work(number):
            for step in range(50):
                run.log_artifact(b"x", f"{number}-{step}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(mk.get_run(run.id).artifacts) == 400


def test_a_column_that_is_called_like_an_index_is_refused():
    frame = pd.DataFrame({"__index_level_0__": [10, 20, 30]}).iloc[[0, 2, 1]]
    with pytest.raises(UnsupportedData, match="__index_level_0__"):
        mk.Dataset.snapshot(frame, name="d")


def test_an_empty_block_that_resumes_a_run_leaves_its_metrics_as_they_were():
    with mk.start_run() as run:
        for step in range(10_100):
            run.log_metric("loss", step)
    with mk.start_run(resume=run.id):
        pass
    assert mk.get_run(run.id).metrics == {"loss": 10_099}


def test_a_missing_entry_in_the_middle_of_a_journal_is_never_passed_over(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    for number in (1, 2, 3):
        models.register("m", number)
        models.promote(f"m:{number}")
    (tmp_path / "store" / keys.entry_key("models", "m", 6)).unlink()
    with pytest.raises(IntegrityError, match="Entry 6"):
        mk.ModelStore(mk.Store(tmp_path / "store")).load("m:3")


def test_arguments_whose_names_cannot_both_be_datasets_are_kept_under_names_of_their_own():
    @mk.track
    def fit(X, x, con):
        return len(X) + len(x) + len(con)

    frames = [pd.DataFrame({"a": [number]}) for number in range(3)]
    fit(*frames)
    run = fit.last_run
    assert [run.dataset(name).fingerprint for name in ("X", "x", "con")] == [mk.fingerprint(frame) for frame in frames]
    assert len({ref.dataset.casefold() for ref in run.inputs.values()}) == 3


def test_one_empty_start_record_does_not_hide_the_other_runs(tmp_path):
    store = mk.Store(tmp_path / "store")
    runs = [mk.start_run(store=store) for _ in range(2)]
    (tmp_path / "store" / keys.run_key(runs[0].id, "start")).write_bytes(b"")
    assert [run.id for run in mk.list_runs(store=store)] == [runs[1].id]


def test_a_journal_that_others_may_write_is_not_trusted(tmp_path, monkeypatch):
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", 1)
    monkeypatch.setattr(serializers, "pickled", set())
    (tmp_path / "store" / "journals").chmod(0o777)
    with pytest.raises(UntrustedArtifact):
        models.load("m:1")
