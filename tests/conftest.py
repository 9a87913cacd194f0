"""What several tests share: a store with one of everything in it, made through the public API."""

import shutil

import pytest

import mlops_kit as mk
from mlops_kit.store import serializers

TRAINING = """
import mlops_kit as mk

def train(X, y, depth=2, note="żółć"):
    for step in range(1500):
        mk.log_metric("loss", 1 / (step + 1), step=step)
    mk.log_metric("auc", 0.9)
    mk.log_param("extra", {1: (2, None, float("nan"))})
    mk.log_artifact(b"report", "report.txt")
    mk.log_dataset(X.tail(1), "holdout")
    mk.log_model({"weights": [1.0, 2.0]}, "half-way")
    return {"trees": depth, "classes": {0, 1}, "notes": [object]}

def fail():
    raise ValueError("no data")

def clean(rows, by="mean"):
    mk.log_metric("rows", len(rows))
    mk.log_param("by", by)
    mk.set_tag("cleaned", "yes")
    mk.log_artifact(b"cleaned", "cleaned.txt")
    mk.log_model({"mean": 1.0}, "imputer")
    mk.log_dataset(rows, "cleaned")
    mk.ModelStore(mk.current_run().store).load("rich@champion")
    return {"rows": len(rows), "kind": {object}}

def prepare(rows):
    return mk.step(clean, version=2, depends_on=["$REGION"], fresh_for="30d")(rows)
"""


@pytest.fixture(scope="session")
def _made(tmp_path_factory):
    import importlib.util
    import random
    import sys

    import pandas as pd

    folder = tmp_path_factory.mktemp("rich")
    source = folder / "rich_training.py"
    source.write_text(TRAINING, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("rich_training", source)
    module = importlib.util.module_from_spec(spec)
    sys.modules["rich_training"] = module
    spec.loader.exec_module(module)
    store = mk.Store(folder / "store")
    random.seed(7)
    frame = pd.DataFrame({"x": [1, 2, 3], "plan": pd.Categorical(["a", "b", "a"]), "at": pd.Timestamp("2026-01-01")})
    train = mk.track(module.train, register="rich", store=store, tags={"team": "blue"})
    for depth in (2, 3):
        train(frame.assign(x=frame["x"] * depth), [0, 1, 1], depth=depth)
    with pytest.raises(ValueError, match="no data"):
        mk.track(module.fail, store=store)()
    mk.Dataset.snapshot(frame, name="customers", store=store, source="select 1")
    mk.Dataset.snapshot(frame.head(2), name="customers", store=store)
    models = mk.ModelStore(store)
    models.register("żółw", [1, 2, 3], metrics={"auc": 0.5}, description="slow", signature=(frame, frame["plan"]))
    models.promote("rich:1")
    gate = mk.Gate(_looked_at, mk.conditions.model_size(mb=1), on={"customers": "customers@latest"}, target="x")
    models.promote("rich:2", gate=gate, reason="better")
    models.rollback("rich", reason="worse")
    pipeline = mk.pipeline(mk.step(module.prepare), store=store)
    pipeline(frame), pipeline(frame)
    _govern(models)
    _monitor(store)
    store.runs.renew_lease(next(store.runs.ids()))
    return store.backend.root


def _looked_at(case):
    return case.champion("champion") is not None, "looked at beside the champion"


def _monitor(store):
    """Watch scores whose truth comes later, until there is an alert that somebody has taken in hand."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)

    def rows(n, wrong=0.0):
        score = rng.beta(2, 2, n)
        label = (rng.random(n) < np.abs(wrong - score)).astype(int)
        return pd.DataFrame({"x": rng.normal(size=n), "plan": rng.choice(["a", "b"], n), "score": score, "y": label})

    settings = dict(prediction="score", target="y", segments="plan", window=100, store=store)
    taken = []
    monitor = mk.Monitor(rows(1000), name="scores", sinks=[taken.extend], **settings)
    for wrong in (0.0, 1.0):
        now = rows(400, wrong)
        ids = monitor.log(now[["x", "plan"]].assign(x=now["x"] + 3 * wrong), now["score"])
        monitor.log_labels([*ids, "nobody"], [*now["y"], 1])
        monitor.check()
    monitor.acknowledge(monitor.alerts()[0])
    assert taken


def _govern(models):
    """Let people say all that can be said of a model; what is archived and deleted has the bytes of what is not."""
    for _ in range(3):
        models.register("governed", [4], card={"owner": "ann"})
    with pytest.MonkeyPatch.context() as patched:
        for actor, vote in (("ann", models.approve), ("bob", models.approve), ("bob", models.reject)):
            patched.setenv("MLOPS_KIT_USER", actor)
            vote("governed:1", reason="looked at it")
    models.tag("governed:1", team="risk", region="eu")
    models.untag("governed:1", "region")
    models.describe("governed:1", "the first", card={"intended_use": "Tests.", "limits": ["None.", "Few."]})
    models.promote("governed:1")
    models.retire("governed", "champion", reason="replaced by rules")
    models.copy("governed:1", "copied")
    needed = mk.Gate(mk.conditions.model_size(mb=1))
    models.require("governed", "staging", needed, reason="four eyes", owners=["ann"])
    models.promote("governed:1", "staging", gate=needed)
    models.archive("governed:2", reason="slow")
    models.delete("governed:3", reason="private data")
    models.freeze("governed", reason="the end of the quarter")


@pytest.fixture(autouse=True)
def _nothing_was_pickled_here():
    """Forget what earlier tests of this process pickled: a process may load its own pickles from anywhere."""
    serializers.pickled.clear()


@pytest.fixture
def rich_store(_made, tmp_path, monkeypatch):
    """Give the path of a store of the test's own, with runs, datasets and models, which is trusted by its name."""
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(tmp_path / "rich-store"))
    return shutil.copytree(_made, tmp_path / "rich-store")


@pytest.fixture
def figure(record_property):
    """Give what notes a line that stands at the end of the whole test run, whichever process the test runs in."""
    return lambda line: record_property("figure", line)


def pytest_collection_modifyitems(items):
    """Refuse names of tests that are others in each process: the workers of a run must find the same tests."""
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        raise pytest.UsageError(f"Give these tests ids that are the same in each process: {unstable}")


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    lines = [line for report in reports for name, line in report.user_properties if name == "figure"]
    if lines:
        terminalreporter.section("figures")
    for line in sorted(lines):
        terminalreporter.write_line(line)
