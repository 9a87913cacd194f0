"""What tests of pipelines share."""

import importlib.util
import sys

import pytest

import mlops_kit as mk


@pytest.fixture
def store(tmp_path):
    """Give a store of the test's own, on disk."""
    return mk.Store(tmp_path / "store")


@pytest.fixture
def outcomes():
    """Give what became of the calls of the last run of a pipeline, in short."""

    def short(pipeline):
        return [
            (call.name.rpartition(".")[2].rpartition(":")[2], "reused" if call.reused else call.status)
            for call in pipeline.last_run.steps
        ]

    return short


@pytest.fixture
def load_module(tmp_path, monkeypatch):
    """Give a loader of modules from text, each time as a new process would import it."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(name, text):
        path = folder / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load
