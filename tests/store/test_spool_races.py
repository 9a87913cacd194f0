"""A delivery beside a run that spools: whatever the order of their calls of the system, nothing is lost."""

import contextlib
import os
import time

import pytest
from spools import left_in

import mlops_kit as mk
from mlops_kit.errors import Postponed
from mlops_kit.records.metrics import write_lines
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.spool import spool_of
from mlops_kit.testing import FaultyBackend
from mlops_kit.tracking import metrics

WRITING = ("open", "write", "link", "replace", "rename", "mkdir", "unlink", "rmdir")

pytestmark = pytest.mark.filterwarnings("ignore::mlops_kit.errors.RecordingWarning")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
    monkeypatch.setattr(metrics, "SEGMENT_POINTS", 10)
    monkeypatch.setattr(metrics, "INLINE_POINTS", 5)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Give what makes a new store, each with a spool of its own."""

    def place(number):
        monkeypatch.setenv("MLOPS_KIT_SPOOL", str(tmp_path / str(number) / "spool"))
        return tmp_path / str(number) / "store"

    return place


def calling(act, before):
    """Act, and do something before each call of the system that writes, which is counted from 1; give their number."""
    number, busy = 0, False

    def watched(name, real):
        def call(*args, **kwargs):
            nonlocal number, busy
            if not busy and not (name == "open" and not args[1] & os.O_CREAT) and not (name == "write" and args[0] < 3):
                number += 1
                busy = True
                try:
                    before(number)
                finally:
                    busy = False
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patched:
        for name in WRITING:
            patched.setattr(os, name, watched(name, getattr(os, name)))
        act()
    return number


class Run:
    """A run whose store cannot be written, in two parts."""

    def __init__(self, root):
        self.run = mk.start_run("r", store=mk.Store.on(FaultyBackend(LocalBackend(root), at=1, lasting=True)))

    def begin(self):
        self.run.__enter__()
        self.run.log_artifact(b"report", "report.txt")
        with contextlib.suppress(Postponed):
            mk.ModelStore(self.run.store).register("m", [1])
        for step in range(20):
            self.run.log_metric("loss", 1.0, step=step)

    def end(self):
        self.run.log_artifact(b"second", "second.txt")
        self.run.log_model([1, 2], "m")
        with contextlib.suppress(Postponed):
            mk.ModelStore(self.run.store).register("m", [2])
        for step in range(20, 30):
            self.run.log_metric("loss", 1.0, step=step)
        self.run.__exit__(None, None, None)


def complete(root, run_id, points=30):
    store = mk.Store(root)
    assert store.sync().ok
    assert store.fsck().ok, store.fsck()
    run = mk.get_run(run_id, store=store)
    assert (run.status, len(run.metric_history("loss"))) == ("finished", points)
    assert (run.load("report.txt"), run.load("second.txt"), run.load("m")) == (b"report", b"second", [1, 2])
    assert run.models == ["m:1", "m:2"]
    assert sorted(mk.ModelStore(store).load(f"m:{number}") for number in (1, 2)) == [[1], [2]]
    assert not left_in(spool_of(str(root)))


def test_a_delivery_before_any_call_of_a_run_loses_nothing(places, figure):
    number, calls = 0, 1
    while number < calls:
        number += 1
        root = places(number)
        run = Run(root)

        def act(run=run):
            run.begin()
            run.end()

        calls = calling(act, lambda at, now=number, root=root: mk.Store(root).sync() if at == now else None)
        complete(root, run.run.id)
    figure(f"a delivery before each of {calls} calls of a run that spools")
    assert calls > 20


def test_deliveries_before_all_calls_of_a_run_lose_nothing(places):
    root = places("all")
    run = Run(root)

    def act():
        run.begin()
        run.end()

    calling(act, lambda _number: mk.Store(root).sync())
    complete(root, run.run.id)


def test_what_a_run_writes_before_any_call_of_a_delivery_is_not_lost(places, figure):
    number, calls = 0, 1
    while number < calls:
        number += 1
        root = places(number)
        run = Run(root)
        run.begin()

        def write(at, run=run, number=number):
            if at == number:
                run.end()

        calls = calling(lambda root=root: mk.Store(root).sync(), write)
        if calls < number:
            run.end()
        complete(root, run.run.id)
    figure(f"a run that ends before each of {calls} calls of a delivery")
    assert calls > 20


def test_an_end_counts_its_points_where_they_are_though_they_were_delivered_before_it(places):
    root = places("two")
    run = Run(root)
    run.begin()
    others = write_lines([("loss", 0.5, None, 1.7e9)] * 3)
    assert mk.Store(root).runs.write_metrics(run.run.id, 1, others)  # a process whose store could be written
    mk.Store(root).sync()
    run.end()
    complete(root, run.run.id, points=33)


OLD, YOUNG = (f"tmp/1a2b3c4d5e6f7a8b-{number}" for number in (1, 2))


def test_old_temporary_files_leave_a_spool_and_young_ones_stay(places):
    spool = spool_of(str(places("old")))
    spool.put(OLD, b"left by a writer that was killed")
    spool.put(YOUNG, b"being written")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(spool.root / OLD, (two_days_ago, two_days_ago))
    mk.Store(places("old")).sync()
    assert [found.key for found in spool.walk("tmp/")] == [YOUNG]
