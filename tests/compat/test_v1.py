"""The committed store of format 1 reads as it was written: what was recorded once is readable for ever."""

import importlib.util
import math
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.pipelines.values import load_value
from mlops_kit.records.codec import Repr
from mlops_kit.store.memory import MemoryBackend

HERE = Path(__file__).parent / "v1"
HARD = "fp1:17b47a5171d42698d70d1bb736f1325ca5dad854030c6d3d3cbab295aa70bc0e"
CUSTOMERS = "fp1:de43ff7978e7561a87994cb49dbb6dffaf74deb986f5a906e608fe23913526fb"
MODEL = "fp1:26c6ffbe6ce72cdfb14c5ae98ecc6141a4f7b8c1b39eecd111e5bf1e35f5a921"


def _made():
    spec = importlib.util.spec_from_file_location("compat_v1_make", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = _made()


def digests(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Give a copy of the store, as old as a file of a year ago: git keeps no times of files."""
    before = digests(HERE / "store")
    root = shutil.copytree(HERE / "store", tmp_path / "store")
    for path in root.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(root))  # nor their modes
    yield mk.Store(root)
    assert digests(HERE / "store") == before


def run_named(name, store):
    (run,) = [run for run in mk.list_runs(store=store) if run.name == name]
    return mk.get_run(run.id, store=store)


def test_it_is_whole(store):
    report = store.fsck()
    assert report.ok, report
    assert report.files == len(digests(HERE / "store"))
    assert store.describe()["grace_seconds"] == 1_209_600


def test_its_runs_are_there_with_their_status_and_family(store):
    runs = {run.name: run for run in mk.list_runs(store=store)}
    assert sorted((run.name, run.status, run.experiment) for run in mk.list_runs(store=store)) == [
        ("fail", "failed", "default"),
        ("inner", "finished", "default"),
        ("interrupted", "interrupted", "default"),
        ("nightly", "finished", "default"),
        ("nightly", "finished", "default"),
        ("outer", "finished", "default"),
        ("train", "finished", "compat"),
        ("train", "finished", "compat"),
    ]
    assert runs["inner"].parent.id == runs["outer"].id
    assert [value for value, _, _ in runs["inner"].metric_history("auc")] == [0.5, 0.75]
    failed = mk.get_run(runs["fail"].id, store=store)
    assert (failed.params, failed.error["type"], failed.error["message"]) == (
        {"limit": 7},
        "builtins.ValueError",
        "no data below 7",
    )
    assert "in fail" in failed.error["traceback"]


@pytest.mark.parametrize("depth", [3, 30], ids=["metrics in the record", "metrics in segments"])
def test_everything_of_a_run_reads_as_it_was_recorded(store, depth):
    (run,) = [run for run in mk.list_runs(store=store) if run.name == "train" and run.params["depth"] == depth]
    run = mk.get_run(run.id, store=store)
    assert run.tags == made.TAGS
    losses = run.metric_history("loss")
    assert [(value, step) for value, step, _ in losses] == [(1 / (step + 1), step) for step in range(depth)]
    odd = [value for value, _, _ in run.metric_history("odd")]
    assert math.isnan(odd[0])
    assert odd[1:] == [-math.inf, 2.5]
    assert run.metrics == {"loss": 1 / depth, "odd": 2.5}
    assert run.params["late"] == (None, {"deep": {1}})
    assert run.load() == {**made.MODEL, "depth": depth}
    assert run.load("half-way") == made.MODEL
    assert run.outputs["half-way"].fingerprint == MODEL
    assert run.load("report.txt") == b"report"
    pd.testing.assert_frame_equal(run.dataset("data").to_pandas(), made.plain_frame())
    pd.testing.assert_frame_equal(run.dataset("holdout").to_pandas(), made.plain_frame().head(1))
    assert run.models == [f"scorer:{1 if depth == 3 else 2}"]
    assert (run.code["function"], run.code["git"]["branch"], run.code["git"]["dirty"]) == (
        "__main__.train",
        "main",
        True,
    )
    assert "+# not committed" in run.code["git"]["diff"]
    assert "def hard_frame():" in run.code["sources"]["__main__"]["text"]
    assert run.environment["packages"]["pandas"]
    assert {"python", "numpy"} <= set(run.rng)


def test_a_value_of_every_kind_reads_back_equal_and_of_its_type(store):
    run = next(run for run in mk.list_runs(store=store) if run.name == "train")
    values = run.params["values"]
    expected = {**made.VALUES, "shown": Repr("builtins.complex", "(1+2j)")}
    assert sorted(values) == sorted(expected)
    assert math.isnan(values.pop("nan"))
    assert math.isnan(expected.pop("nan"))
    assert values == expected
    assert {key: type(value) for key, value in values.items()} == {key: type(value) for key, value in expected.items()}


def test_an_interrupted_run_has_the_points_that_were_written(store):
    run = run_named("interrupted", store)
    assert (run.status, run.params, run.tags) == ("interrupted", {}, made.TAGS)
    points = [(value, step) for value, step, _ in run.metric_history("loss")]
    assert points == [(1.0, 0), (0.5, 1), (1 / 3, 2), (0.25, 3)]


def test_the_results_of_its_steps_are_there_and_read_as_they_were(store):
    first, again = sorted(
        (run for run in mk.list_runs(store=store) if run.name == "nightly"), key=lambda run: run.started
    )
    assert [(call.name, call.status, call.reused) for call in again.steps] == [
        (f"__main__:{name}", "finished", True) for name in ("clean", "tabulate", "pack")
    ]
    assert [call.reused for call in first.steps] == [False] * 3
    assert again.metrics == first.metrics == {"rows": 2}
    assert again.load("cleaned.txt") == b"cleaned"
    cleaned, table, packed = [store.results.read(call.key) for call in again.steps]
    assert load_value(store, cleaned) == {"rows": 2, "by": ("mean", None)}
    pd.testing.assert_frame_equal(load_value(store, table), made.plain_frame().head(2))
    assert load_value(store, packed) == bytearray(range(2))
    assert (cleaned.run, cleaned.version, cleaned.depends) == (first.id, "2", {"variable REGION": "unset"})
    assert (cleaned.shown, cleaned.logged.names) == (
        {"rows": 2, "by": "mean"},
        ["metrics.rows", "artifacts.cleaned.txt"],
    )


def test_its_data_load_with_every_dtype_and_fingerprint(store):
    assert mk.Dataset.names(store=store) == ["Customers-2", "hard", "holdout", "train.data"]
    first, second = mk.Dataset.versions("hard", store=store)
    assert first.fingerprint == HARD
    pd.testing.assert_frame_equal(first.to_pandas(), made.hard_frame())
    assert mk.fingerprint(first.to_pandas()) == HARD
    pd.testing.assert_frame_equal(second.to_pandas(), made.hard_frame().head(2))
    assert mk.Dataset.load("hard@latest", store=store).version == 2
    customers = mk.Dataset.load(CUSTOMERS, store=store)
    pd.testing.assert_frame_equal(customers.to_pandas(), made.plain_frame())


def test_its_models_load_and_their_history_is_told(store):
    models = mk.ModelStore(store)
    assert models.names() == ["governed", "scorer", "signed", "żółw"]
    assert models.aliases("scorer") == {"champion": 1, "shadow": 1}
    assert models.load("scorer@champion") == {**made.MODEL, "depth": 3}
    assert models.load("scorer@latest") == {**made.MODEL, "depth": 30}
    assert models.load("żółw:1") == [1, 2.5, None]
    turtle = models.get("żółw:1")
    assert (turtle.metrics, turtle.description) == ({"auc": 0.5, "worst": -math.inf}, "slow")
    history = models.history("scorer")
    assert [entry.kind for entry in history] == [
        "create", "register", "register", "promote", "promote", "promote", "rollback",
    ]  # fmt: skip
    assert {entry.by["actor"] for entry in history} == {made.USER}
    body = dict(history[-1].body)
    assert {"datasets/customers-2", "datasets/hard", "models/%C5%BC%C3%B3%C5%82w"} <= body.pop("anchors").keys()
    assert body == {"alias": "champion", "version": 1, "previous": 2, "reason": "worse"}
    lives = [models.get("scorer@champion", as_of=entry.at).version for entry in history[3:]]
    assert lives == [1, 2, 2, 1]
    assert models.lineage("scorer:1").run["params"]["depth"] == 3


def test_what_was_said_of_its_models_is_told(store):
    models = mk.ModelStore(store)
    assert [entry.kind for entry in models.history("governed")] == [
        *("create", "register", "register", "register", "register", "approve", "approve", "reject", "tag", "tag"),
        *("describe", "promote", "promote", "tag", "archive", "delete", "freeze", "freeze", "anchor"),
    ]
    first, second = models.versions("governed")
    assert (first.tags, first.description, first.card["ethics"]) == ({"team": "risk"}, "the first", "None known.")
    assert [(vote.actor, vote.reason) for vote in second.approvals] == [("ann", "looked at it")]
    assert [(vote.actor, vote.reason) for vote in second.rejections] == [("bob", "looked at it")]
    assert (second.card["owner"], second.card["limits"]) == ("ann", ["None.", "Few."])
    assert models.get("governed:3").archived
    assert (models.aliases("governed"), models.frozen("governed")) == ({"champion": 2}, None)
    assert [column.name for column in second.signature.inputs] == ["x", "plan"]
    with pytest.raises(mk.errors.VersionNotFound, match="deleted"):
        models.get("governed:4")
    assert "better" in models.card("governed:2").to_markdown()


def test_the_evidence_of_its_gates_is_kept(store):
    models = mk.ModelStore(store)
    bodies = [entry.body for entry in models.history("governed")]
    passed = models.evidence(next(body["evidence"] for body in bodies if "evidence" in body))
    assert (passed.passed, [result.passed for result in passed.results]) == (True, [True, True])
    assert passed.candidate.spec == "governed:2"
    tagged = [body["tags"] for body in bodies if "tags" in body]
    refused = models.evidence(next(tags["refused@champion"] for tags in tagged if "refused@champion" in tags))
    assert [(result.name, result.passed) for result in refused.results] == [("2 approvals", False)]


def test_its_signed_entries_count_for_who_lists_the_key(store):
    models, trust = mk.ModelStore(store), mk.Trust(store.url)
    report = models.audit()
    assert report.ok, report
    trust.add_signer("ann", (HERE / "signer").read_text(encoding="ascii"))
    assert [entry.signature is not None for entry in models.history("signed")] == [True, True, True]
    trust.require_signatures()
    assert models.load("signed@champion") == [5]
    assert models.audit().ok


def test_its_monitor_tells_what_it_found_and_goes_on(store):
    monitor = mk.Monitor(made.rows(1000, 1.0), name="scores", store=store, **made.SETTINGS)
    before = monitor.check()
    assert (before.epoch, before.rows, before.status) == (2, 0, "insufficient data")
    found = {(alert.kind, alert.subject): alert for alert in monitor.alerts()}
    assert {("drift", "x"), ("performance", "misses")} <= set(found)
    assert found["drift", "x"].acknowledged == made.USER
    assert {alert.state for alert in found.values()} == {"resolved"}
    logged = monitor.predictions()
    assert (len(logged), logged["label"].notna().sum()) == (850, 800)
    monitor.log(made.rows(100, 1.0)[["x", "plan"]], [0.5] * 100)
    assert monitor.check().rows == 100
    known = logged[logged["label"].notna()]
    monitor.log_labels(known["id"], known["label"])
    monitor.log_labels(known["id"].head(10), 1 - known["label"].head(10).astype(int))
    coverage = monitor.check().coverage
    assert (coverage.joined, coverage.duplicate, coverage.conflicting) == (0, 800, 10)
    assert store.fsck().ok


def test_its_garbage_is_marked_and_goes_after_the_grace(store):
    (mark,) = (store.backend.root / "gc" / "marks").iterdir()
    os.utime(mark)
    (garbage,) = store.gc(dry_run=False).marked
    os.utime(mark, (1_700_000_000, 1_700_000_000))
    assert store.gc(dry_run=False).deleted == (garbage,)
    assert store.fsck().ok
    assert not mark.exists()


def test_it_is_gone_on_with(store):
    version = mk.ModelStore(store).register("scorer", [1])
    assert version.version == 3
    assert mk.ModelStore(store).promote("scorer:3", expect=1).previous == 1
    mk.Dataset.snapshot(made.plain_frame(), name="Customers-2", store=store)
    assert len(mk.Dataset.versions("Customers-2", store=store)) == 1
    assert store.fsck().ok


def test_its_spool_is_delivered_once(store, tmp_path, monkeypatch):
    before = digests(HERE / "spool")
    monkeypatch.setenv("MLOPS_KIT_SPOOL", str(shutil.copytree(HERE / "spool", tmp_path / "spool")))
    memory = MemoryBackend(made.URL.partition("//")[2])
    memory._values.clear()
    for found in store.backend.walk(""):
        memory.put(found.key, store.backend.get(found.key))
    target = mk.Store.on(memory)
    report = target.sync()
    (run_id,) = report.runs
    assert report.ok
    assert report.versions == ("postponed.data:1", "scorer:3")
    assert target.fsck().ok
    run = mk.get_run(run_id, store=target)
    assert (run.name, run.status, run.metrics) == ("postponed", "finished", {"auc": 0.25})
    assert run.load("kept.txt") == b"kept"
    assert run.models == ["scorer:3"]
    assert mk.ModelStore(target).load("scorer:3") == {**made.MODEL, "depth": -1}
    pd.testing.assert_frame_equal(run.dataset("data").to_pandas(), made.plain_frame())
    assert target.sync().runs == ()
    assert digests(HERE / "spool") == before
