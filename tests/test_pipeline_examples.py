"""The jobs that the page on schedules shows do on this machine what they promise."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mlops_kit as mk

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples" / "pipelines"
WORKFLOW = yaml.safe_load((EXAMPLES / "nightly.yml").read_text(encoding="utf-8"))
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the steps are written for bash")


def run(command, folder, store):
    """Run a line as a runner or worker does that has nothing but the code and the store."""
    folder.mkdir()
    shutil.copy(EXAMPLES / "nightly.py", folder)
    names = {
        name: store if value == "${{ vars.MLOPS_KIT_STORE }}" else value for name, value in WORKFLOW["env"].items()
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
    environment = {**os.environ, **names, **home, "PATH": path, "C": "0.5"}
    subprocess.run(["bash", "-e", "-c", command], cwd=folder, env=environment, check=True, capture_output=True)


def test_runners_share_the_results_of_steps(tmp_path):
    (step,) = [step for step in WORKFLOW["jobs"]["nightly"]["steps"] if step.get("name") == "Run"]
    store = str(tmp_path / "store")
    for runner in ("first", "second"):
        run(step["run"], tmp_path / runner, store)
    told = json.loads((tmp_path / "second" / "run.json").read_text(encoding="utf-8"))
    assert told["result"] == "tumour:1"
    assert [call["reused"] for call in told["steps"]] == [True] * 4 + [False] * 2
    assert mk.ModelStore(store).aliases("tumour") == {"champion": 1}


def test_the_command_of_the_dag_works(tmp_path):
    tree = ast.parse((EXAMPLES / "dag.py").read_text(encoding="utf-8"))
    (command,) = [
        node.value.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "bash_command"
    ]
    run(command, tmp_path / "worker", str(tmp_path / "store"))
    assert mk.ModelStore(tmp_path / "store").aliases("tumour") == {"champion": 1}
