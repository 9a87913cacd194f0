"""Modules of a user, written and imported afresh."""

import importlib
import sys
import textwrap

import pytest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write modules, import them afresh, and hand back the one called `train`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = set()

    def write(**sources):
        for name, text in sources.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
            names.add(name)
        for name in names:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("train")

    yield write
    for name in names:
        sys.modules.pop(name, None)
