"""``--json``: every verb prints what its call returned, for programs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime

import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import mlops_kit as mk
from mlops_kit.cli.main import main
from mlops_kit.cli.plain import to_json

DATA = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0] * 20, "bought": [0, 1, 0, 1] * 20})


@pytest.fixture
def ids(tmp_path, monkeypatch):
    """Fill a store with one of each, and return the ids of its runs."""
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")

    @mk.track(register="buyers")
    def train(data):
        mk.log_metric("loss", math.nan)
        return LogisticRegression().fit(data[["age"]], data["bought"])

    train(DATA)
    train(DATA)
    mk.Monitor("buyers:1").log(DATA[["age"]].head(10), [0] * 10)
    mk.ModelStore().promote("buyers:1", gate=mk.Gate(mk.conditions.at_least("auc", 0.1), on="train.data:1"))
    return [run.id for run in mk.list_runs()]


def ask(*words):
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


VERBS = {
    "runs": lambda found: [run["name"] for run in found["runs"]] == ["train"] * 2,
    "models": lambda found: found == ["buyers"],
    "models buyers": lambda found: found["aliases"] == {"champion": 1} and len(found["versions"]) == 2,
    "models buyers:1": lambda found: found["signature"]["target"] == "bought",
    "models buyers:1 --lineage": lambda found: found["data"][0]["dataset"] == "train.data",
    "models buyers --timeline champion": lambda found: [period["version"] for period in found] == [1],
    "models buyers:1 --tag team=risk": lambda found: found["kind"] == "tag",
    "show buyers": lambda found: {entry["kind"] for entry in found} >= {"register", "promote"},
    "data": lambda found: found == ["train.data"],
    "data train.data": lambda found: [version["n_rows"] for version in found] == [80],
    "data train.data:1": lambda found: found["columns"] == {"age": "float64", "bought": "int64"},
    "promote buyers:2": lambda found: (found["version"], found["previous"]) == (2, 1),
    "approve buyers:1": lambda found: found["body"]["version"] == 1,
    "reject buyers:1": lambda found: found["kind"] == "reject",
    "retire buyers": lambda found: found["body"]["alias"] == "champion",
    "copy buyers:1 others": lambda found: (found["name"], found["source"]) == ("others", "buyers:1"),
    "card buyers:1": lambda found: found["version"] == 1,
    "evidence buyers@champion": lambda found: found["passed"] is True,
    "gate buyers:2 --data train.data:1 --at-least auc=0.1 --promote": lambda found: found["promotion"]["version"] == 2,
    "require buyers --data train.data:1 --at-least auc=0.1": lambda found: found["kind"] == "require",
    "monitor": lambda found: found == ["buyers.1"],
    "check buyers.1": lambda found: found["monitor"] == "buyers.1",
    "alerts buyers.1": lambda found: found == [],
    "fsck": lambda found: found["ok"] is True and found["problems"] == [],
    "gc": lambda found: found["dry_run"] is True,
    "sync": lambda found: found["ok"] is True,
    "doctor": lambda found: found["ok"] is True and found["findings"],
    "audit": lambda found: found["ok"] is True and found["journals"],
    "trust add memory://other": lambda found: (found["url"], found["code"]) == ("memory://other", True),
    "trust list": lambda found: found == [],
    "trust remove memory://other": lambda found: found["code"] is False,
    "trust key": lambda found: found == {"key": None},
}


@pytest.mark.parametrize("words", VERBS)
def test_a_verb_prints_what_its_call_returned(ids, words):
    found = ask(*words.split())
    assert VERBS[words](found), found


def test_a_run_is_printed_with_what_it_recorded_and_a_diff_by_path(ids):
    run = ask("show", ids[0])
    assert (run["status"], run["models"], run["metrics"]) == ("finished", ["buyers:2"], {"loss": None})
    assert run["inputs"]["data"]["dataset"] == "train.data"
    assert ask("diff", *ids)["left"] == ids[0]


def test_every_verb_takes_json():
    verbs = {**main.commands, **{f"trust {name}": verb for name, verb in main.commands["trust"].commands.items()}}
    told = {words.split(" --")[0].split()[0] for words in VERBS} | {"diff", "rollback", "demo", "run", "why"}
    assert set(main.commands) == told
    for name, verb in verbs.items():
        options = {option for parameter in verb.params for option in parameter.opts}
        assert ("--json" in options) == (name not in {"demo", "trust", "run"}), name  # run reads its options itself
        assert "json" not in str([getattr(parameter.type, "choices", "") for parameter in verb.params])


def test_values_that_json_does_not_have_are_written_as_plainly_as_can_be():
    assert json.loads(to_json({1: (math.inf, b"x"), "at": datetime(2026, 1, 1, tzinfo=UTC)})) == {
        "1": [None, "b'x'"],
        "at": "2026-01-01T00:00:00+00:00",
    }


def test_the_package_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "mlops_kit", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: mlops-kit ")
