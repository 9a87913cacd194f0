"""The notebooks run from the first cell to the last, and are kept without their output."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def run(notebook, folder):
    # This interpreter's own kernel: jupyter_client starts "python3" with the running executable.
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs(path, tmp_path):
    run(nbformat.read(path, as_version=4), tmp_path)


@each_notebook
def test_a_notebook_is_kept_without_output(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert not [cell.source for cell in cells if cell.outputs or cell.execution_count is not None]


@pytest.mark.slow
def test_a_notebook_that_fails_is_noticed_and_runs_on_this_interpreter(tmp_path):
    cell = nbformat.v4.new_code_cell("import sys\nraise SystemError(sys.executable)")
    with pytest.raises(CellExecutionError, match="SystemError") as failure:
        run(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    assert sys.executable in str(failure.value)
