"""What holds the code in shape: floors, light imports, short files."""

import ast
import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mlops_kit"
SOURCES = sorted(PACKAGE.rglob("*.py"))

HEAVY = {
    *("numpy", "pandas", "pyarrow", "scipy", "sklearn", "polars", "matplotlib", "IPython"),
    *("fsspec", "cloudpickle", "jinja2", "click", "tqdm", "asyncio"),
}
DATA_LIBRARIES = {"numpy", "pandas", "pyarrow", "scipy", "sklearn", "polars"}

# Modules that are themselves imported only once data is at hand.
MAY_IMPORT_DATA_LIBRARIES = {
    "datasets/conversions.py",
    "datasets/dtypes.py",
    "datasets/frames.py",
    "datasets/natives.py",
    "datasets/parquet.py",
    "fingerprints/arrays.py",
    "fingerprints/extensions.py",
    "fingerprints/hashing.py",
    "fingerprints/layouts.py",
    "fingerprints/leaves.py",
    "fingerprints/object_columns.py",
    "fingerprints/pandas_columns.py",
    "fingerprints/tables.py",
    "measures/clusters.py",
    "measures/columns.py",
    "measures/comparisons.py",
    "measures/formulas.py",
    "measures/glance.py",
    "measures/grids.py",
    "measures/intervals.py",
    "measures/jackknife.py",
    "measures/metric.py",
    "measures/metrics.py",
    "measures/own_metrics.py",
    "measures/predicted.py",
    "measures/profile.py",
    "measures/quality.py",
    "measures/ranked.py",
    "measures/slices.py",
    "monitoring/answers.py",
    "monitoring/baseline.py",
    "monitoring/batch.py",
    "monitoring/bets.py",
    "monitoring/blocks.py",
    "monitoring/cohorts.py",
    "monitoring/counted.py",
    "monitoring/derived.py",
    "monitoring/drift.py",
    "monitoring/effect.py",
    "monitoring/ending.py",
    "monitoring/epoch.py",
    "registry/case.py",
    "monitoring/estimate.py",
    "monitoring/evidence.py",
    "monitoring/inputs.py",
    "monitoring/judge.py",
    "monitoring/labels.py",
    "monitoring/performance.py",
    "monitoring/places.py",
    "monitoring/ranks.py",
    "monitoring/reading.py",
    "monitoring/rows.py",
    "monitoring/starts.py",
    "monitoring/task.py",
    "monitoring/usual.py",
    "monitoring/versions.py",
    "monitoring/watch.py",
}


def source_id(path):
    return path.relative_to(PACKAGE).as_posix()


def test_a_module_imports_only_from_floors_below_its_own():
    script = Path(sysconfig.get_path("scripts"), "lint-imports")
    done = subprocess.run(
        [script, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


IMPORT_ALONE = """
import json, sys, threading
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
import mlops_kit
print(json.dumps({
    "modules": sorted(sys.modules),
    "opened": [str(path) for path in opened],
    "threads": threading.active_count(),
}))
"""


@pytest.fixture(scope="module")
def import_alone():
    done = subprocess.run([sys.executable, "-B", "-c", IMPORT_ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_loads_no_heavy_module(import_alone):
    loaded = {module.split(".")[0] for module in import_alone["modules"]}
    assert "mlops_kit" in loaded
    assert not HEAVY & loaded


def test_importing_starts_no_thread(import_alone):
    assert import_alone["threads"] == 1


def test_importing_opens_only_its_own_source_and_the_standard_library(import_alone):
    standard = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")]
    site = [Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")]

    def is_code(path):
        own = path.is_relative_to(PACKAGE)
        library = any(path.is_relative_to(folder) for folder in standard)
        installed = any(path.is_relative_to(folder) for folder in site)
        return path.suffix in {".py", ".pyc", ".so", ".pyd"} and (own or (library and not installed))

    opened = [Path(path) for path in import_alone["opened"]]
    assert any(path.is_relative_to(PACKAGE) for path in opened)
    assert not [path for path in opened if not is_code(path)]


@pytest.mark.parametrize("path", SOURCES, ids=source_id)
def test_a_file_is_not_so_long_that_it_must_hold_several_ideas(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 700


def imported_on_load(tree):
    """Yield the top-level names that a module imports while it is being loaded."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imported_on_load(ast.Module(node.orelse, []))
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            handled = [stmt for handler in getattr(node, "handlers", []) for stmt in handler.body]
            yield from imported_on_load(ast.Module(inner + handled, []))


@pytest.mark.parametrize("path", SOURCES, ids=source_id)
def test_data_libraries_are_imported_where_data_is_handled(path):
    found = DATA_LIBRARIES & set(imported_on_load(ast.parse(path.read_text(encoding="utf-8"))))
    if source_id(path) in MAY_IMPORT_DATA_LIBRARIES:
        assert found, "The module imports none of them any more: take it off the list."
    else:
        assert not found, "Import inside the function that handles the data."


def test_the_modules_excused_from_this_are_reached_only_once_data_is_at_hand():
    assert {source_id(path) for path in SOURCES} >= MAY_IMPORT_DATA_LIBRARIES
    others = [path for path in SOURCES if source_id(path) not in MAY_IMPORT_DATA_LIBRARIES]
    modules = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in others]
    script = "import importlib, sys\nfor module in sys.argv[1:]: importlib.import_module(module)\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, *(module.removesuffix(".__init__") for module in modules)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not DATA_LIBRARIES & set(done.stdout.split())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pandas as pd", {"pandas"}),
        ("from pyarrow.parquet import read_table", {"pyarrow"}),
        ("try:\n    import numpy\nexcept ImportError:\n    import scipy", {"numpy", "scipy"}),
        ("if True:\n    import sklearn.base", {"sklearn"}),
        ("class A:\n    import polars", {"polars"}),
        ("def f():\n    import pandas", set()),
        ("if TYPE_CHECKING:\n    import pandas", set()),
        ("from . import pandas", set()),
    ],
)
def test_imports_are_found_wherever_loading_a_module_runs_them(source, found):
    assert set(imported_on_load(ast.parse(source))) == found


CUT = re.compile(r"\{[^{}]*![rs]:\.\d|(?:str\(error\)|repr\(\w+\))\[:\d*\w*\]\}")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_cuts_what_it_quotes_before_secrets_are_masked(path):
    cuts = [line for line in path.read_text(encoding="utf-8").splitlines() if CUT.search(line)]
    assert cuts == [], "quote with masking.quoted(value) or masking.excerpt(text)"
