"""A store that goes away in the middle of a training: nothing is lost, and what was kept is delivered once."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from spools import left_in

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, Postponed, RecordingWarning, StoreError
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.spool import spool_of
from mlops_kit.testing import FaultyBackend

FRAME = pd.DataFrame({"x": [1, 2, 3]})
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


def cut(root, *, at=1, operations=None):
    """Give a store whose connection is cut at an operation."""
    limits = {} if operations is None else {"operations": operations}
    return mk.Store.on(FaultyBackend(LocalBackend(root), at=at, lasting=True, **limits))


def trained(store, **options):
    """Train, and expect to be told of the spool."""

    @mk.track(register="m", store=store, **options)
    def train(data, depth):
        for step in range(1500):
            mk.log_metric("loss", 1 / (step + 1), step=step)
        mk.log_artifact(b"report", "report.txt")
        mk.log_dataset(FRAME.head(1), "holdout")
        return {"depth": [depth] * 3000}

    with pytest.warns(RecordingWarning, match=r"`mlops-kit sync --store .*` delivers it"):
        assert train(FRAME, 3) == {"depth": [3] * 3000}
    return train.last_run


def check(run_id, root, versions=1):
    store = mk.Store(root)
    assert store.fsck().ok
    run = mk.get_run(run_id, store=store)
    assert (run.status, run.params, len(run.metric_history("loss"))) == ("finished", {"depth": 3}, 1500)
    assert run.load() == {"depth": [3] * 3000}
    assert run.load("report.txt") == b"report"
    assert run.dataset("data").to_pandas().equals(FRAME)
    assert run.dataset("holdout").n_rows == 1
    assert run.models == [f"m:{versions}"]
    assert [found.version for found in mk.ModelStore(store).versions("m")] == list(range(1, versions + 1))
    assert mk.ModelStore(store).lineage(run.models[0]).run["id"] == run_id


@pytest.mark.parametrize(
    ("kind", "at"), [("cut", 1), ("cut", 15), ("cut", 35), ("read-only", 1), ("read-only", 8), ("read-only", 16)]
)
def test_a_run_of_a_store_that_goes_away_is_delivered_whole_and_once(root, at, kind):
    mk.ModelStore(root).register("m", [1])
    run = trained(cut(root, at=at, operations=FaultyBackend.WRITING if kind == "read-only" else None))
    assert (run.status, run.metrics["loss"]) == ("finished", 1 / 1500)
    store = mk.Store(root)
    assert store.fsck().ok
    report = store.sync()
    assert report.runs == (run.id,)
    assert "m:2" in report.versions
    check(run.id, root, versions=2)
    assert not left_in(spool_of(str(root)))
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert repr(store.sync()) == f"SyncReport({root}: nothing to deliver)"
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == files


def test_what_is_in_the_spool_can_be_loaded_in_the_process_that_made_it(root):
    run = trained(cut(root))
    assert run.load() == {"depth": [3] * 3000}
    assert run.metrics == {"loss": 1 / 1500}
    assert run.inputs["data"].dataset.endswith("train.data")
    assert run.inputs["data"].spec is None


def test_a_strict_run_raises_and_leaves_nothing_in_the_spool(root):
    with pytest.raises(StoreError, match="failed on purpose"):
        mk.track(lambda: 1, store=cut(root), strict=True)()
    assert not left_in(spool_of(str(root)))


def test_the_spool_of_another_store_is_left_alone(tmp_path):
    one, other = (trained(cut(tmp_path / name)) for name in ("one", "other"))
    assert mk.Store(tmp_path / "one").sync().runs == (one.id,)
    assert spool_of(str(tmp_path / "other")).root.exists()
    check(one.id, tmp_path / "one")
    assert mk.Store(tmp_path / "other").sync().runs == (other.id,)
    check(other.id, tmp_path / "other")


def test_the_spool_is_where_the_environment_says_and_nobody_else_may_read_it(root, tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SPOOL", str(tmp_path / "spool"))
    trained(cut(root))
    folder = spool_of(str(root)).root
    assert folder.parent == tmp_path / "spool"
    assert folder.stat().st_mode & 0o077 == 0
    assert json.loads((folder / "spool.json").read_text())["url"] == str(root)


def test_records_of_a_spool_fit_their_schemas(root):
    trained(cut(root))
    folder = spool_of(str(root)).root
    records = [json.loads(path.read_bytes()) for path in (folder / "spool.json", *(folder / "pending").iterdir())]
    assert len(records) == 4
    for record in records:
        schema = json.loads((SCHEMAS / "spool" / f"{record['record']}.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(record)
        assert not jsonschema.Draft202012Validator(schema).is_valid({**record, "surprise": 1})


def test_a_store_and_a_spool_that_both_fail_cost_a_warning_and_no_result(root, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("no folder")
    monkeypatch.setenv("MLOPS_KIT_SPOOL", str(tmp_path / "taken"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert mk.track(lambda: 1, store=cut(root))() == 1
    assert {warning.category for warning in caught} == {RecordingWarning}
    assert "Its spool cannot be written either" in str(caught[0].message)


def test_a_store_that_took_long_to_fail_is_not_asked_again_for_as_long(root, monkeypatch):
    from mlops_kit.store import spool

    store = cut(root)
    monkeypatch.setitem(spool._silent, store.url, (float("inf"), StoreError("It timed out.")))
    with pytest.warns(RecordingWarning, match="It timed out"):
        mk.track(lambda: 1, store=store)()
    assert store.backend.counted == 0
    monkeypatch.setitem(spool._silent, store.url, (0.0, StoreError("It timed out.")))
    assert mk.Store(root).sync().ok


@pytest.mark.parametrize(("seconds", "asked"), [(0.5, True), (5.0, False)], ids=["at once", "after long"])
def test_only_a_store_that_took_long_to_fail_is_left_alone_by_the_next_run(root, monkeypatch, seconds, asked):
    from mlops_kit.store import spool

    monkeypatch.setattr(spool, "_silent", {})
    backend = mk.Store(root).backend
    spool.FallbackBackend(backend, lambda: None).fail(StoreError("It failed."), seconds)
    spool.FallbackBackend(backend, lambda: None).put("k", b"v")
    assert (backend.get("k") == b"v") is asked


@pytest.mark.filterwarnings("ignore::mlops_kit.errors.RecordingWarning")
def test_a_version_registered_through_a_spooling_run_says_that_it_is_postponed(root):
    run = mk.start_run(store=cut(root))
    with run, pytest.raises(Postponed, match="Do not make it again"):
        mk.ModelStore(run.store).register("m", [7])
    assert mk.Store(root).sync().versions == ("m:1",)
    assert mk.get_run(run.id, store=root).models == ["m:1"]


@pytest.mark.filterwarnings("ignore::mlops_kit.errors.RecordingWarning")
def test_versions_are_not_forgotten_by_a_sync_while_their_run_goes_on(root):
    run = mk.start_run(store=cut(root))
    with run:
        mk.log_dataset(FRAME, "data")
        assert mk.Store(root).sync().versions == ("data:1",)
        assert mk.get_run(run.id, store=root).status == "running"
    assert mk.Store(root).sync().ok
    assert mk.get_run(run.id, store=root).dataset("data").to_pandas().equals(FRAME)
    assert len(mk.Dataset.versions("data", store=root)) == 1
    assert not left_in(spool_of(str(root)))


def test_a_failure_after_the_end_of_a_run_is_an_error_and_no_matter_for_the_spool(root):
    store = mk.Store.on(FaultyBackend(LocalBackend(root)))
    run = mk.track(lambda: [object], store=store)
    run()
    store.backend.at, store.backend._lasting = 1, True
    with pytest.raises(StoreError, match="failed on purpose"):
        run.last_run.load()
    assert not left_in(spool_of(str(root)))


def test_a_name_that_was_taken_meanwhile_stays_in_the_spool_and_is_named(root):
    run = trained(cut(root))
    mk.ModelStore(root).register("M", [1])
    report = mk.Store(root).sync()
    assert not report.ok
    assert "differs only in case" in repr(report)
    assert mk.get_run(run.id, store=root).metrics
    assert list((spool_of(str(root)).root / "pending").iterdir())


def test_damage_in_a_spool_is_never_delivered(root):
    trained(cut(root))
    victim = max((spool_of(str(root)).root / "objects").rglob("*/*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes() + b"!")
    with pytest.raises(IntegrityError, match="damaged"):
        mk.Store(root).sync()
    assert mk.Store(root).fsck().ok


def test_what_names_other_objects_is_delivered_after_them(root, monkeypatch):
    @mk.track(store=cut(root))
    def log():
        for number in range(8):
            mk.log_dataset(FRAME.assign(x=number), f"data-{number}")

    with pytest.warns(RecordingWarning):
        log()
    put, whole = LocalBackend.put, []

    def watched(self, key, data, **options):
        put(self, key, data, **options)
        if str(self.root) == str(root):
            whole.append(mk.Store(root).fsck().ok)

    monkeypatch.setattr(LocalBackend, "put", watched)
    assert mk.Store(root).sync().objects > 16
    assert len(whole) > 16
    assert all(whole)


def test_two_deliveries_at_once_make_one_version(root):
    run = trained(cut(root))
    failures, reports = [], []

    def deliver():
        try:
            reports.append(mk.Store(root).sync())
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert {delivered for report in reports for delivered in report.runs} == {run.id}
    assert {version for report in reports for version in report.versions} == {"holdout:1", "m:1", "train.data:1"}
    assert mk.Store(root).sync().runs == ()
    check(run.id, root)


KILLED = """
import os, signal, sys
import mlops_kit as mk
from mlops_kit.store.local import LocalBackend
calls, last = 0, int(sys.argv[2])
def dying(name):
    act = getattr(LocalBackend, name)
    def call(self, *args, **kwargs):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(self, *args, **kwargs)
    setattr(LocalBackend, name, call)
for name in ("put", "create", "delete"):
    dying(name)
mk.Store(sys.argv[1]).sync()
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_delivery_killed_anywhere_is_finished_by_the_next(root, tmp_path):
    program = tmp_path / f"{secrets.token_hex(4)}.py"
    program.write_text(KILLED, encoding="utf-8")
    run = trained(cut(root))
    died = 0
    for number in (3, 9, 12, 14, 15, 16, 18, 20):  # each goes on where the last one died
        done = subprocess.run([sys.executable, program, root, str(number)], check=False)
        died += done.returncode == -signal.SIGKILL
        assert mk.Store(root).fsck().ok
    assert died >= 4
    assert mk.Store(root).sync().ok
    check(run.id, root)
