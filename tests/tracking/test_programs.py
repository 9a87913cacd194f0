"""A script, a module, `python -c`, standard input and a notebook cell all work, in any working directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import mlops_kit as mk

PROGRAM = """
import mlops_kit as mk
LIMIT = 3
def helper(x):
    return min(x, LIMIT)
@mk.track
def train(x, depth=2):
    mk.log_metric("auc", 0.5)
    return helper(x)
assert train(5) == 3
print(train.last_run.id)
"""


def recorded(done, store):
    assert "Warning" not in done.stderr
    run = mk.get_run(done.stdout.strip(), store=store)
    assert (run.status, run.params, run.metrics) == ("finished", {"x": 5, "depth": 2}, {"auc": 0.5})
    assert (run.load(), run.problems) == (3, ())
    assert set(run.code["functions"]) == {"__main__:train", "__main__:helper"}
    return run


@pytest.fixture
def project(tmp_path):
    """Make a project with a folder deep inside."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'p'\n")
    deep = tmp_path / "deep" / "er"
    deep.mkdir(parents=True)
    return deep


def test_a_script_records_its_source_in_the_store_of_its_project(script, tmp_path, project):
    run = recorded(script(PROGRAM, cwd=project), tmp_path / ".mlops")
    assert [source["text"] for source in run.code["sources"].values()] == [PROGRAM]


def test_a_module_records_its_source(python, tmp_path, project):
    (project / "job.py").write_text(PROGRAM)
    run = recorded(python("-m", "job", cwd=project), tmp_path / ".mlops")
    assert [source["text"] for source in run.code["sources"].values()] == [PROGRAM]


def test_programs_without_a_file_are_recorded(python, tmp_path, project):
    fingerprints = {
        recorded(done, tmp_path / ".mlops").code["fingerprint"]
        for done in (python("-c", PROGRAM, cwd=project), python("-", text=PROGRAM, cwd=project))
    }
    (project / "job.py").write_text(PROGRAM)
    fingerprints.add(recorded(python("job.py", cwd=project), tmp_path / ".mlops").code["fingerprint"])
    assert len(fingerprints) == 1


def test_the_working_directory_may_change_while_the_function_runs(script, tmp_path, project):
    program = PROGRAM.replace("    return helper(x)", "    import os; os.chdir('/')\n    return helper(x)")
    run = script(program, cwd=project).stdout.strip()
    assert mk.get_run(run, store=tmp_path / ".mlops").load() == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete a folder in use")
def test_a_deleted_working_directory_costs_nothing_where_the_store_is_known(python, tmp_path):
    gone = "import os, tempfile; gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)\n"
    done = python("-c", gone + PROGRAM, MLOPS_KIT_STORE=str(tmp_path / "kept"))
    recorded(done, tmp_path / "kept")
    lost = python("-c", gone + PROGRAM)
    assert "The current folder no longer exists" in lost.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete a folder in use")
def test_a_working_directory_deleted_by_the_function_costs_nothing(python, tmp_path):
    program = "import os, tempfile; gone = tempfile.mkdtemp(); os.chdir(gone)\n" + PROGRAM.replace(
        "    return helper(x)", "    os.rmdir(gone)\n    return helper(x)"
    )
    done = python("-c", program, MLOPS_KIT_STORE=str(tmp_path / "kept"))
    assert mk.get_run(done.stdout.strip(), store=tmp_path / "kept").status == "finished"


def test_an_optimised_interpreter_records_the_same(python, tmp_path):
    program = PROGRAM.replace("assert train(5) == 3", "train(5)")
    recorded(python("-OO", "-c", program), tmp_path / ".mlops")


@pytest.mark.slow
def test_a_notebook_records_the_cell_that_defines_the_function(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    cells = [
        "import mlops_kit as mk\nLIMIT = 3",
        "@mk.track\ndef train(x, depth=2):\n    mk.log_metric('auc', 0.5)\n    return helper(x)  # of this cell",
        "def helper(x):\n    return min(x, LIMIT)  # of another cell",
        "train(5)",
        "run = mk.start_run()\nrun.__enter__()",
        "mk.log_metric('later', 1)\nrun.__exit__(None, None, None)",
        "async def main():\n    return await mk.track(mk_async)()\nasync def mk_async():\n    return 7\nawait main()",
        "print(train.last_run.id, run.id, run.status)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    run_id, other, status = notebook.cells[-1].outputs[-1].text.split()
    run = mk.get_run(run_id)
    sources = "".join(str(source) for source in run.code["sources"].values())
    assert "# of this cell" in sources
    assert "# of another cell" in sources
    assert (run.params, run.load(), run.problems) == ({"x": 5, "depth": 2}, 3, ())
    assert (mk.get_run(other).metrics, status) == ({"later": 1}, "finished")
    assert "train" in repr(run)
    assert not Path(tmp_path, "-").exists()
    assert os.path.isdir(tmp_path / ".mlops")
