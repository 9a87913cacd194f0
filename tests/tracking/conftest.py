"""Interpreters of their own for what must not happen in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """Say nothing after a run; the tests of the summary ask for it again."""
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")


@pytest.fixture
def python(tmp_path):
    """Run a program in an interpreter of its own and give what it printed; it must end well."""

    def run(*words, text=None, cwd=None, check=True, **variables):
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            input=text,
            cwd=cwd or tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def script(tmp_path, python):
    """Write a program to a file and run it."""

    def run(source, *words, name="program.py", **options):
        file = Path(tmp_path, name)
        file.write_text(source, encoding="utf-8")
        return python(file, *words, **options)

    return run


@pytest.fixture
def repository(tmp_path):
    """Give a function that runs git in a fresh repository at the working directory."""

    def git(*words):
        author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        return subprocess.run(["git", *author, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "--initial-branch=trunk")
    return git
