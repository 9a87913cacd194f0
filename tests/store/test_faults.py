"""Whichever operation of a store fails, in whichever way, what it holds is whole and what was acknowledged is there."""

import os
import secrets
import warnings

import pandas as pd
import pytest
from spools import left_in

import mlops_kit as mk
from mlops_kit.errors import RecordingWarning, StoreError
from mlops_kit.store import sweeps
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.spool import spool_of
from mlops_kit.testing import FaultyBackend

MODES = ("before", "after", "torn")
FRAME = pd.DataFrame({"x": [1, 2, 3], "plan": ["a", "b", "a"]})


def local(tmp_path):
    return LocalBackend(tmp_path / secrets.token_hex(4))


def memory(_tmp_path):
    return MemoryBackend(secrets.token_hex(8))


@pytest.fixture(params=[memory, local], ids=["memory", "local"])
def place(request, tmp_path):
    """Give what makes an empty place."""
    return lambda: request.param(tmp_path)


@pytest.fixture(autouse=True)
def _swift(monkeypatch):
    """Wait for no disk: what is tried here is a failing store, not a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")


def whole(backend):
    """Open the store cleanly and check it."""
    store = mk.Store.on(backend)
    report = store.fsck()
    assert report.ok, report
    return store


@pytest.fixture
def faults(place, figure, request):
    """Give what acts again and again, failing each operation in each way, once and for good, and yields what came."""

    def faults(prepare, act):
        counts = {}
        yield from enumerated(place, prepare, act, counts)
        total, most = sum(counts.values()), max(counts.values())
        figure(
            f"faults, {request.node.name.removeprefix('test_')}: {total}, at operations 1 to {most}, {len(counts)} ways"
        )

    return faults


def enumerated(place, prepare, act, counts):
    """Yield the outcome of each fault, and for each way that of the act without a fault."""
    for mode in MODES:
        for lasting in (False, True):
            number = 0
            while True:
                number += 1
                backend = place()
                prepare(mk.Store.on(backend))
                faulty = FaultyBackend(backend, at=number, mode=mode, lasting=lasting)
                try:
                    answer = act(mk.Store.on(faulty))
                except StoreError:
                    answer = None
                faulty.at = None  # the connection is back
                assert faulty.failed or answer is not None
                yield backend, answer
                if not faulty.failed:
                    break
            counts[mode, lasting] = number - 1
    assert min(counts.values()) >= 4


def nothing(_store):
    """Leave the store as it is: new."""


def two_versions(store):
    models = mk.ModelStore(store)
    models.register("m", [1])
    models.register("m", [2])
    models.promote("m:1")
    mk.Dataset.snapshot(FRAME.head(1), name="d", store=store)


@pytest.mark.parametrize("prepare", [nothing, two_versions], ids=["new", "used"])
def test_a_register_is_done_or_not_done(faults, prepare):
    def register(store):
        return mk.ModelStore(store).register("m", [3])

    for backend, version in faults(prepare, register):
        models = mk.ModelStore(whole(backend))
        known = [found.version for found in models.versions("m")] if "m" in models.names() else []
        before = 0 if prepare is nothing else 2
        assert known in (list(range(1, before + 1)), list(range(1, before + 2)))
        if version is not None:
            assert models.load(version.spec) == [3]
        assert all(models.load(f"m:{number}") == [number] for number in range(1, before + 1))
        if len(known) > before:
            assert models.load(f"m:{before + 1}") == [3]
        assert models.register("m", [4]).version == len(known) + 1


@pytest.mark.parametrize("prepare", [nothing, two_versions], ids=["new", "used"])
def test_a_snapshot_is_kept_whole_or_not_at_all(faults, prepare):
    def snapshot(store):
        return mk.Dataset.snapshot(FRAME, name="d", store=store)

    for backend, dataset in faults(prepare, snapshot):
        store = whole(backend)
        known = mk.Dataset.versions("d", store=store) if "d" in mk.Dataset.names(store=store) else []
        kept = [found for found in known if found.to_pandas().equals(FRAME)]
        assert len(kept) <= 1
        if dataset is not None:
            assert [found.spec for found in kept] == [dataset.spec]
        again = mk.Dataset.snapshot(FRAME, name="d", store=store)
        assert again.version == (kept[0].version if kept else len(known) + 1)


def test_a_promotion_is_taken_or_not_taken(faults):
    def promote(store):
        return mk.ModelStore(store).promote("m:2")

    for backend, promotion in faults(two_versions, promote):
        models = mk.ModelStore(whole(backend))
        live = models.get("m@champion").version
        assert live == 2 if promotion is not None else live in {1, 2}
        assert models.promote("m:1").previous == live
        whole(backend)


def garbage(store):
    """Leave a store with versions, and objects that nothing names, among them one that will be needed again."""
    two_versions(store)
    mk.ModelStore(store).register("gone", [3])
    for found in list(store.backend.walk("journals/models/gone/")):
        store.backend.delete(found.key)
    for number in range(3):
        store.objects.put(b"left behind %d" % number)


@pytest.mark.slow
def test_a_collection_takes_nothing_that_is_named_and_the_next_takes_the_rest(faults, monkeypatch):
    monkeypatch.setattr(sweeps, "PATIENCE_SECONDS", 0.0)  # a sweep that was cut off is waited for
    monkeypatch.setattr(sweeps, "_POLL_SECONDS", 0.0)

    def collect(store):
        return store.gc(grace=0, dry_run=False, exclusive=True)

    for backend, report in faults(garbage, collect):
        assert report is None or len(report.deleted) == 4
        models = mk.ModelStore(whole(backend))
        assert [models.load(f"m:{number}") for number in (1, 2)] == [[1], [2]]
        assert models.register("m", [3]).version == 3
        collect(models.store)
        store = whole(backend)
        assert mk.ModelStore(store).load("m:3") == [3]
        assert mk.Dataset.load("d:1", store=store).to_pandas().equals(FRAME.head(1))
        assert store.gc(grace=0, exclusive=True).deleted == ()
        named = {mk.ModelStore(store).get(f"m:{number}").digest for number in (1, 2, 3)}
        kept = {f"sha256:{found.key.rpartition('/')[2]}" for found in backend.walk("objects/")}
        assert named < kept
        assert not list(backend.walk("gc/marks/"))


def train(data, depth):
    mk.log_metric("auc", 0.5)
    mk.log_artifact(b"report", "report.txt")
    return {"depth": [depth] * 3000}


@pytest.mark.slow
def test_a_tracked_function_returns_and_its_run_is_in_the_store_or_in_the_spool(faults):
    tracked = None

    def run(store):
        nonlocal tracked
        tracked = mk.track(train, register="m", store=store)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert tracked(FRAME, 3) == {"depth": [3] * 3000}
        assert {warning.category for warning in caught} <= {RecordingWarning}
        assert not tracked.last_run.problems
        assert bool(caught) is (tracked.last_run.store.failure is not None)
        return tracked.last_run

    for backend, run_ in faults(nothing, run):
        assert run_.metrics == {"auc": 0.5}
        assert run_.load() == {"depth": [3] * 3000}
        store = whole(backend)
        assert store.sync().ok
        complete(whole(backend), run_.id)
        assert repr(store.sync()) == f"SyncReport({store.url}: nothing to deliver)"


def complete(store, run_id):
    """Find all of a run, and each of its versions once."""
    found = mk.get_run(run_id, store=store)
    assert (found.status, found.metrics, found.params) == ("finished", {"auc": 0.5}, {"depth": 3})
    assert found.models == ["m:1"]
    assert found.dataset("data").to_pandas().equals(FRAME)
    assert found.load("report.txt") == b"report"
    assert found.environment["python"]
    models = mk.ModelStore(store)
    assert len(models.versions("m")) == 1
    assert models.get("m@latest").run_id == run_id
    assert models.load("m@latest") == {"depth": [3] * 3000}
    assert len(mk.Dataset.versions("train.data", store=store)) == 1
    assert [run.id for run in mk.list_runs(store=store)] == [run_id]


@pytest.mark.filterwarnings("ignore::mlops_kit.errors.RecordingWarning")
@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 25], ids=lambda at: f"spooled from operation {at}")
def test_a_delivery_that_fails_anywhere_is_finished_by_the_next(faults, at):
    spooled = {}

    def spool(store):
        faulty = FaultyBackend(store.backend, at=at, lasting=True)
        tracked = mk.track(train, register="m", store=mk.Store.on(faulty))
        tracked(FRAME, 3)
        spooled[store.url] = tracked.last_run.id

    for backend, report in faults(spool, lambda store: store.sync()):
        store = mk.Store.on(backend)
        assert report is None or report.ok
        again = store.sync()
        assert again.ok
        complete(whole(backend), spooled[store.url])
        assert not left_in(spool_of(store.url))


def test_the_number_of_a_fault_and_its_way_are_as_said(tmp_path):
    backend = MemoryBackend(secrets.token_hex(8))
    for mode, expected in {"before": None, "after": b"value", "torn": None}.items():
        faulty = FaultyBackend(backend, at=2, mode=mode)
        faulty.get(mode)
        with pytest.raises(StoreError, match=f"Operation 2 on the store .* failed on purpose: create '{mode}'"):
            faulty.create(mode, b"value")
        assert backend.get(mode) == expected
        faulty.get(mode)
        assert (faulty.counted, faulty.failed) == (3, 1)
    assert backend.get("tmp/torn-2") == b"va"
    with pytest.raises(mk.errors.InvalidInput, match="mode='later'"):
        FaultyBackend(backend, mode="later")


def test_a_cut_connection_stays_cut_and_a_full_disk_can_be_read():
    backend = MemoryBackend(secrets.token_hex(8))
    backend.put("a", b"1")
    cut = FaultyBackend(backend, at=2, lasting=True)
    assert cut.get("a") == b"1"
    for _ in range(3):
        with pytest.raises(StoreError):
            cut.get("a")
    full = FaultyBackend(backend, at=1, lasting=True, operations=FaultyBackend.WRITING)
    assert full.get("a") == b"1"
    with pytest.raises(StoreError):
        full.put("a", b"2")
    assert full.get("a") == b"1"
    assert [found.key for found in full.walk("")] == ["a"]
