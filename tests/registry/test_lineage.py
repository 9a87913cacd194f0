"""Lineage names exactly what made a version, and says plainly what is not known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, ModelNotFound, VersionNotFound

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0, 1, 0]})


@pytest.fixture
def store(tmp_path):
    return mk.Store(tmp_path / "store")


def mean_of(frame):
    return float(frame["x"].mean())


class Mean:
    """The smallest of models."""

    def __init__(self, value):
        self.value = value

    def predict(self, rows):
        return np.full(len(rows), self.value)


@mk.track(register="mean", experiment="means")
def train(data, shift=0.5):
    """Train nothing much."""
    mk.log_metric("auc", 0.75)
    return Mean(mean_of(data) + shift)


@pytest.fixture
def trained(store, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", store.url)
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    train(FRAME, shift=2.0)
    return train.last_run


def test_a_tracked_model_knows_its_data_code_environment_and_run(store, trained):
    lineage = mk.ModelStore(store).lineage("mean:1")
    assert lineage.model.spec == "mean:1"
    assert lineage.run["id"] == trained.id
    assert lineage.run["status"] == "finished"
    assert lineage.run["experiment"] == "means"
    assert lineage.run["params"]["shift"] == 2.0
    assert lineage.run["metrics"] == {"auc": 0.75} == lineage.model.metrics
    assert lineage.run["by"]["actor"] == "ann"
    (data,) = lineage.data
    assert (data.name, data.fingerprint, data.rows) == ("data", mk.fingerprint(FRAME), 3)
    assert mk.Dataset.load(f"{data.dataset}:{data.version}", store=store).to_pandas().equals(FRAME)
    assert lineage.code["function"].endswith("test_lineage.train")
    assert lineage.code["fingerprint"].startswith("fp2:")
    assert {name.rpartition(":")[2] for name in lineage.code["parts"]} >= {"train", "mean_of"}
    assert lineage.environment["packages"]["numpy"] == np.__version__
    assert not [line for line in lineage.unknown if "git" not in line]


def test_lineage_takes_every_spec_that_load_takes(store, trained):
    models = mk.ModelStore(store)
    promotion = models.promote("mean:1")
    for spec, as_of in (("mean@latest", None), ("mean@champion", None), ("mean@champion", promotion.at)):
        assert models.lineage(spec, as_of=as_of).model.version == 1
    with pytest.raises(ModelNotFound):
        models.lineage("maen:1")
    with pytest.raises(VersionNotFound):
        models.lineage("mean:2")


def test_a_model_registered_outside_of_a_run_says_so_and_keeps_its_environment(store):
    models = mk.ModelStore(store)
    models.register("constant", 42)
    lineage = models.lineage("constant:1")
    assert (lineage.run, lineage.data, lineage.code) == (None, (), {})
    assert lineage.environment["python"]
    assert lineage.unknown == ("The model was registered outside of a run: its data and code were not recorded.",)


def test_a_run_that_is_not_in_the_store_is_named_as_missing(store, tmp_path):
    models = mk.ModelStore(store)
    with mk.start_run("elsewhere", store=tmp_path / "other") as run:
        pass
    models.register("constant", 42, run=run.id)
    lineage = models.lineage("constant:1")
    assert lineage.run is None
    assert any(run.id in line and "not in this store" in line for line in lineage.unknown)


def test_a_deleted_run_leaves_the_model_and_what_it_still_knows(store, trained):
    for file in Path(store.url).glob(f"runs/*/{trained.id}.*"):
        file.unlink()
    lineage = mk.ModelStore(mk.Store(store.url)).lineage("mean:1")
    assert lineage.run is None
    assert trained.id in " ".join(lineage.unknown)
    assert lineage.environment["python"]


def test_data_that_was_not_kept_is_known_by_its_fingerprint_only(store, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", store.url)

    @mk.track(register="mean", snapshot=False)
    def unkept(data):
        return Mean(mean_of(data))

    unkept(FRAME)
    lineage = mk.ModelStore(store).lineage("mean:1")
    (data,) = lineage.data
    assert (data.dataset, data.version, data.fingerprint) == (None, None, mk.fingerprint(FRAME))
    assert "The data 'data' was not kept, only its fingerprint." in lineage.unknown
    assert mk.Dataset.names(store=store) == []


def test_a_block_of_code_has_no_fingerprint_and_its_logged_data_counts(store):
    models = mk.ModelStore(store)
    with mk.start_run("by hand", store=store):
        mk.log_dataset(FRAME, "points")
        mk.log_param("shift", 3)
        models.register("constant", 42)
    lineage = models.lineage("constant:1")
    assert [ref.name for ref in lineage.data] == ["points"]
    assert lineage.run["params"] == {"shift": 3}
    assert "The run was a block of code, not a tracked function: its code has no fingerprint." in lineage.unknown


def test_a_run_that_is_still_running_is_shown_as_such(store):
    models = mk.ModelStore(store)
    with mk.start_run("by hand", store=store):
        models.register("constant", 42)
        assert models.lineage("constant:1").run["status"] == "running"
    assert models.lineage("constant:1").run["status"] == "finished"


def test_a_missing_environment_is_said_and_a_damaged_one_is_an_error(store):
    models = mk.ModelStore(store)
    version = models.register("constant", 42)
    hexes = version.environment.removeprefix("sha256:")
    file = Path(store.url) / "objects" / hexes[:2] / hexes
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="environment"):
        models.lineage("constant:1")
    file.unlink()
    lineage = models.lineage("constant:1")
    assert lineage.environment == {}
    assert "The environment was recorded, and is no longer in the store." in lineage.unknown


TRAINING = """
import sys
import mlops_kit as mk

with mk.start_run("by hand", store=sys.argv[1]):
    mk.ModelStore(sys.argv[1]).register("constant", 42)
"""


def git(*arguments, cwd):
    subprocess.run(
        ["git", "-c", "user.email=ann@example.org", "-c", "user.name=Ann", *arguments],
        cwd=cwd,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("changed", [False, True])
def test_the_state_of_git_is_part_of_the_lineage(store, tmp_path, changed):
    project = tmp_path / "project"
    project.mkdir()
    git("init", "-b", "trunk", cwd=project)
    (project / "train.py").write_text(TRAINING)
    git("add", ".", cwd=project)
    git("commit", "-m", "first", cwd=project)
    if changed:
        (project / "train.py").write_text(TRAINING + "# another word\n")
    subprocess.run([sys.executable, project / "train.py", store.url], check=True, cwd=tmp_path)
    lineage = mk.ModelStore(store).lineage("constant:1")
    code = lineage.code
    assert not [line for line in lineage.unknown if "git" in line]
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project, text=True).strip()
    assert (code["commit"], code["branch"], code["dirty"]) == (commit, "trunk", changed)


def test_uncommitted_changes_are_kept_in_each_store_that_a_process_writes_to(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    git("init", cwd=project)
    (project / "train.py").write_text("")
    git("add", ".", cwd=project)
    git("commit", "-m", "first", cwd=project)
    (project / "train.py").write_text(TRAINING + TRAINING.replace("argv[1]", "argv[2]"))
    stores = [mk.Store(tmp_path / "one"), mk.Store(tmp_path / "two")]
    urls = [store.url for store in stores]
    subprocess.run([sys.executable, project / "train.py", *urls], check=True, cwd=tmp_path)
    for store in stores:
        assert store.fsck().problems == ()
        assert mk.ModelStore(store).lineage("constant:1").code["dirty"] is True


def test_what_is_in_a_store_shows_itself_in_a_terminal_and_a_notebook(store, trained):
    models = mk.ModelStore(store)
    shown = [
        models.lineage("mean:1"),
        models.get("mean:1"),
        mk.Dataset.versions("train.data", store=store)[0],
        mk.get_run(trained.id, store=store),
        mk.list_runs(store=store),
    ]
    for thing in shown:
        text, page = repr(thing), thing._repr_html_()
        assert max(map(len, text.splitlines())) <= 200
        assert page.count("<div") == page.count("</div>") > 0
        assert len(page.encode()) <= 30_000
    assert "Lineage of mean:1" in repr(shown[0])
    assert trained.id in repr(shown[0])
    assert "ModelVersion mean:1" in repr(shown[1])
    assert repr(shown[2]).startswith("Dataset train.data:1: 3 rows, 2 columns")
    assert repr(models) == f"ModelStore({store.url!r})"
    assert [str(entry) for entry in models.history("mean")]


def test_markup_in_what_users_write_is_shown_as_text(store):
    models = mk.ModelStore(store)
    evil = "<script>alert('x')</script>"
    with mk.start_run(evil, store=store):
        mk.log_param(evil, evil)
        mk.log_dataset(pd.DataFrame({evil: [1]}), "points")
        models.register("constant", 42, description=evil, metrics={evil: 1.0})
    (run,) = mk.list_runs(store=store)
    for thing in (models.lineage("constant:1"), models.get("constant:1"), run, mk.list_runs(store=store)):
        assert "<script>" not in thing._repr_html_()
    assert "<script>" not in mk.Dataset.load("points@latest", store=store)._repr_html_()
