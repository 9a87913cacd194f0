"""Every test and doctest runs in an empty directory, with a home and settings of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from pathlib import Path

# New examples at a desk and each night; more in CI, but the same each time: a change is judged by what it changed.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=200, derandomize=True, database=None)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=1000, print_blob=True, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="session", autouse=True)
def _one_font_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Spare matplotlib from listing the machine's fonts anew for each private home."""
    os.environ.setdefault("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
    os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def _isolated(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let no test see the developer's stores and settings, nor those of another test."""
    for name in list(os.environ):
        if name.startswith("MLOPS_KIT_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name, folder in {
        "XDG_CONFIG_HOME": ".config",
        "XDG_CACHE_HOME": ".cache",
        "XDG_DATA_HOME": ".local/share",
        "APPDATA": "AppData/Roaming",
        "LOCALAPPDATA": "AppData/Local",
    }.items():
        monkeypatch.setenv(name, str(home / folder))
    monkeypatch.chdir(tmp_path)
    yield
    _forget_open_runs()


def _forget_open_runs() -> None:
    """Let no run that a test left open be the one that the next test logs to."""
    active, program = (sys.modules.get(f"mlops_kit.{name}") for name in ("store.active", "tracking.program"))
    if active is not None and program is not None:
        active._opened.clear()
        active._innermost.set(None)
        program._open.clear()
        program._tidy()
