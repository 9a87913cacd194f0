"""The workflow that the documentation shows is well formed, and its steps do on this machine what they promise."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mlops_kit as mk

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "ci"
WORKFLOW = yaml.safe_load((EXAMPLE / "model.yml").read_text(encoding="utf-8"))
JOB = WORKFLOW["jobs"]["model"]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the steps are written for bash")


class Runner:
    """Runs the shell steps of a job as GitHub does: each in bash, with outputs by file, and ``gh`` noted down."""

    def __init__(self, folder, event):
        self.folder, self.event, self.outputs = folder, event, {}
        self.bin = folder / "bin"
        self.bin.mkdir(exist_ok=True)
        (self.bin / "gh").write_text('#!/bin/sh\necho "$@" >> gh.log\n', encoding="utf-8")
        (self.bin / "gh").chmod(0o755)
        shutil.copy(EXAMPLE / "train.py", folder)

    def value(self, expression):
        known = {
            "github.event_name == 'push' && '--promote' || ''": "--promote" if self.event == "push" else "",
            "github.event_name == 'pull_request'": str(self.event == "pull_request"),
            "github.token": "token",
            "github.event.number": "7",
            "vars.MLOPS_KIT_STORE": str(self.folder / "store"),
        }
        if match := re.fullmatch(r"steps\.(\w+)\.outputs\.(\w+)", expression):
            return self.outputs[match[1]][match[2]]
        return known[expression]

    def filled(self, env):
        replace = lambda match: self.value(match[1])
        return {name: re.sub(r"\$\{\{ (.*?) \}\}", replace, text) for name, text in env.items()}

    def run(self):
        status = 0
        for step in JOB["steps"]:
            skipped = "if" in step and self.value(step["if"]) != "True"
            if status or skipped or "uses" in step or step["name"] == "Install":
                continue
            status = self.step(step)
        return status

    def step(self, step):
        output = self.folder / "output.txt"
        output.write_text("", encoding="utf-8")
        path = os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), os.environ["PATH"]])
        files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"), "PATH": path}
        env = {**os.environ, **self.filled(WORKFLOW["env"]), **self.filled(step.get("env", {})), **files}
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(script, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        lines = [line.partition("=") for line in output.read_text(encoding="utf-8").splitlines() if "=" in line]
        self.outputs[step.get("id", "")] = {name: value for name, _, value in lines}
        self.log = done.stdout + done.stderr
        return done.returncode


def test_the_workflow_is_well_formed():
    assert set(WORKFLOW[True]) == {"pull_request", "push"}  # YAML reads the key `on` as true
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    for step in JOB["steps"]:
        assert ("uses" in step) != ("run" in step)
        # What others may write, such as a branch name, must reach a shell as a variable, never as its text.
        assert "${{" not in step.get("run", "")
        if "run" in step:
            checked = subprocess.run(["bash", "-n", "-c", step["run"]], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stderr


@pytest.mark.slow
def test_a_pull_request_is_judged_and_commented_and_a_push_promotes(tmp_path):
    models = lambda: mk.ModelStore(tmp_path / "store")
    asked = Runner(tmp_path, "pull_request")
    assert asked.run() == 0, asked.log
    assert "PASSED: tumour:1" in (tmp_path / "gate.md").read_text(encoding="utf-8")
    assert (tmp_path / "gh.log").read_text() == "pr comment 7 --body-file gate.md --edit-last --create-if-none\n"
    assert models().aliases("tumour") == {}

    merged = Runner(tmp_path, "push")
    assert merged.run() == 0, merged.log
    assert models().aliases("tumour") == {"champion": 2}
    assert models().history("tumour")[-1].body["evidence"].startswith("sha256:")
    assert (tmp_path / "gate.xml").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.slow
def test_a_worse_model_is_refused_and_the_pull_request_is_told(tmp_path):
    first = Runner(tmp_path, "push")
    assert first.run() == 0, first.log
    worse = (tmp_path / "train.py").read_text(encoding="utf-8").replace("strength=1.0", "strength=1e-9")
    asked = Runner(tmp_path, "pull_request")
    (tmp_path / "train.py").write_text(worse.replace('data.drop(columns="target")', 'data.drop(columns="target") * 0'))
    assert asked.run() == 1, asked.log
    assert "REFUSED" in (tmp_path / "gate.md").read_text(encoding="utf-8")
    assert "pr comment 7" in (tmp_path / "gh.log").read_text()
    assert mk.ModelStore(tmp_path / "store").aliases("tumour") == {"champion": 1}


@pytest.mark.slow
def test_a_gate_that_cannot_judge_stops_the_workflow_without_a_comment(tmp_path):
    asked = Runner(tmp_path, "pull_request")
    text = (tmp_path / "train.py").read_text(encoding="utf-8")
    (tmp_path / "train.py").write_text(text.replace('name="tumour-holdout"', 'name="another"'), encoding="utf-8")
    assert asked.run() not in {0, None}
    assert "DatasetNotFound" in asked.log
    assert not (tmp_path / "gh.log").exists()
