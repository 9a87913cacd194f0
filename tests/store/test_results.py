"""Results of steps in a store: checked, traced and repaired like all that is kept, but no loss."""

import datetime as dt

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError
from mlops_kit.records.run import OutputRef
from mlops_kit.records.step import StepRecord
from mlops_kit.store.store import without_sync

WHEN = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
KEY = "ab" * 32


def result(value, **members):
    return StepRecord(KEY, "app:clean", WHEN, 0.5, value, "fp2:" + "0" * 64, "3.12", **members)


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    store = mk.Store(tmp_path / "store" if request.param == "disk" else "memory://results")
    for found in list(store.backend.walk("")):
        store.backend.delete(found.key)
    store = mk.Store(store.url)
    store.ensure()
    return store


def test_a_result_reads_back_as_it_was_written(store):
    record = result(
        OutputRef("value", "value", "json", value=(1, {"a": float("inf")})),
        arguments={"x": "fp1:" + "1" * 64},
        shown={"x": (1, None)},
        depends={"file a.csv": "sha256:" + "2" * 64},
        reads=[{"kind": "models", "name": "fraud@champion", "state": "3"}],
        expires=WHEN,
    )
    assert store.results.read(KEY) is None
    store.results.write(record)
    assert store.results.read(KEY) == record
    assert store.fsck().ok
    store.results.remove(KEY)
    assert store.results.read(KEY) is None


def test_one_that_is_damaged_is_reported_and_repaired_away_and_stops_no_collection(store):
    store.backend.put(f"steps/{KEY}.json", b"torn")
    with pytest.raises(IntegrityError, match="damaged"):
        store.results.read(KEY)
    assert [(problem.kind, problem.key) for problem in store.fsck().problems] == [
        ("stale-result", f"steps/{KEY}.json"),
    ]
    store.gc(grace=0, dry_run=False, exclusive=True)
    report = store.fsck(repair=True)
    assert report.ok
    assert report.repaired == (f"steps/{KEY}.json: removed; the step runs again when it is called",)


def test_one_that_lost_its_bytes_is_reported_and_repaired_away(store):
    digest = store.objects.put(b"pickle")
    store.results.write(result(OutputRef("value", "object", "cloudpickle", digest, size=6)))
    assert store.fsck().ok
    store.backend.delete(f"objects/{digest[7:9]}/{digest[7:]}")
    assert [problem.kind for problem in store.fsck().problems] == ["stale-result"]
    assert store.fsck(repair=True).ok


def test_what_a_result_names_is_not_collected_until_the_result_is_gone(store):
    import pandas as pd

    from mlops_kit.datasets.storage import prepare, write_manifest

    digest = store.objects.put(b"pickle")
    manifest, _ = write_manifest(prepare(pd.DataFrame({"a": [1]})), store)
    store.results.write(result(OutputRef("value", "table", "dataset", manifest), parts=digest))
    assert store.gc(grace=0, dry_run=False, exclusive=True).deleted == ()
    store.results.remove(KEY)
    assert len(store.gc(grace=0, dry_run=False, exclusive=True).deleted) == 3


def test_a_manifest_of_a_result_that_is_torn_stops_no_collection(store):
    manifest = store.objects.put(b"manifest")
    store.results.write(result(OutputRef("value", "table", "dataset", manifest)))
    store.backend.put(f"objects/{manifest[7:9]}/{manifest[7:]}", b"torn")
    assert store.gc(grace=0, dry_run=False, exclusive=True).deleted == ()


def test_a_table_that_a_run_returned_is_not_collected(store):
    import pandas as pd

    @mk.track(store=store)
    def rows():
        return pd.DataFrame({"a": [1, 2]})

    rows()
    assert store.gc(grace=0, dry_run=False, exclusive=True).deleted == ()
    assert len(rows.last_run.load()) == 2


def test_objects_without_sync_are_the_same_objects_and_mended_where_they_are_torn(store):
    unsynced = without_sync(store)
    assert without_sync(store) is unsynced
    digest = unsynced.objects.put(b"bytes")
    assert (store.objects.get(digest), store.objects.put(b"bytes")) == (b"bytes", digest)
    store.backend.put(f"objects/{digest[7:9]}/{digest[7:]}", b"torn")
    unsynced.objects.forget()
    assert unsynced.objects.put(b"bytes") == digest
    assert store.fsck().ok


def test_old_results_go_when_that_is_asked_for_and_what_runs_returned_stays(tmp_path):
    import os

    store = mk.Store(tmp_path / "store")

    @mk.step
    def rows(n):
        return bytearray(n)

    @mk.pipeline(store=store)
    def run():
        return [rows(100_000), rows(1), bytes(rows(200_000))]

    first = run()
    keys = [call.key for call in run.last_run.steps]
    for key in keys[:2]:
        os.utime(store.backend.root / "steps" / f"{key}.json", (1_700_000_000, 1_700_000_000))
    assert store.gc(results="1d").deleted == tuple(sorted(f"steps/{key}.json" for key in keys[:2]))  # a dry run
    assert all(store.results.read(key) for key in keys)
    report = store.gc(grace=0, dry_run=False, exclusive=True, results="1d")
    assert len([key for key in report.deleted if key.startswith("objects/")]) == 1  # of the large one that is old
    assert [store.results.read(key) is not None for key in keys] == [False, False, True]
    assert (store.fsck().ok, run.last_run.load()) == (True, first)
    assert run() == first
    assert [call.reused for call in run.last_run.steps] == [False, False, True]
