"""Stores of models for the tests of the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.store import serializers


@pytest.fixture(params=["memory", "local"])
def models(request, tmp_path):
    url = f"memory://{tmp_path}" if request.param == "memory" else tmp_path / "store"
    return mk.ModelStore(mk.Store(url))


@pytest.fixture
def local(tmp_path):
    return mk.ModelStore(mk.Store(tmp_path / "store"))


@pytest.fixture
def strangers(monkeypatch):
    """Forget what this process wrote, as if another had."""
    monkeypatch.setattr(serializers, "pickled", set())


@pytest.fixture
def object_file():
    """Find the file that holds the bytes of a version."""

    def find(models, spec):
        hexes = models.get(spec).digest.removeprefix("sha256:")
        return Path(models.store.url) / "objects" / hexes[:2] / hexes

    return find
