"""Whenever writers are killed, all that they were told is there, and the store is sound and goes on."""

import json
import os
import subprocess
import sys

import kills
import pytest

import mlops_kit as mk

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def killed(url, seed, rounds, how):
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", kills.__file__, str(url), str(seed)]
    done = subprocess.run([*command, str(rounds), how], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def check_told(store, told):
    """Look for everything that a writer was told, in the store as another process finds it."""
    models = mk.ModelStore(store)
    for line in told:
        if "model" in line:
            assert models.load(f"m:{line['model']}") == line["value"], line
        elif "entry" in line:
            entry = models.history("m")[line["entry"] - 1]
            assert (entry.seq, entry.kind, entry.body["version"]) == (line["entry"], "promote", line["promoted"])
        elif "dataset" in line:
            loaded = mk.Dataset.load(f"d:{line['dataset']}", store=store)
            assert loaded.to_pandas()["x"].tolist() == line["values"], line
        elif "run" in line:
            run = mk.get_run(line["run"], store=store)
            assert (run.status, run.metrics["loss"]) == ("finished", line["score"] + (line["steps"] - 1)), line
            assert len(run.metric_history("loss")) == line["steps"], line
            assert run.load("score.txt") == str(line["score"]).encode(), line


@pytest.mark.parametrize(
    ("seed", "rounds", "how"),
    [
        (1, 6, "itself"),
        pytest.param(2, 20, "itself", marks=pytest.mark.slow),
        pytest.param(3, 20, "outside", marks=pytest.mark.slow),
    ],
)
def test_what_killed_writers_were_told_is_there(tmp_path, monkeypatch, figure, seed, rounds, how):
    url = tmp_path / "store"
    answer = killed(url, seed, rounds, how)
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(url))
    store = mk.Store(url)
    report = store.fsck()
    assert report.ok, report
    check_told(store, answer["told"])
    seen = [entry.seq for entry in mk.ModelStore(store).history("m")]
    assert seen == list(range(1, len(seen) + 1))
    mk.ModelStore(store).promote(mk.ModelStore(store).register("m", ["after"]).spec)
    assert mk.ModelStore(store).load("m@champion") == ["after"]
    assert mk.ModelStore(store).audit().ok
    assert {run.status for run in mk.list_runs(limit=None, store=store)} <= {"finished", "interrupted"}
    kinds = {
        key: sum(key in line for line in answer["told"]) for key in ("model", "entry", "dataset", "run", "collected")
    }
    figure(f"{answer['kills']} kills ({how}): of {kinds} acknowledged, none was lost")
    assert sum(kinds.values()) > rounds
