"""The commit, the branch and what is not committed, as they were when the run began."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.tracking import git
from mlops_kit.tracking.git import GitState


@pytest.fixture(autouse=True)
def _forgetful():
    git._known.clear()
    git._tops.clear()


@pytest.fixture
def committed(repository):
    Path("train.py").write_text("depth = 3\n")
    repository("add", "train.py")
    repository("commit", "-m", "first")
    return repository


def asked():
    kept = []

    def keep(data):
        kept.append(data)
        return "sha256:x"

    return GitState(str(Path.cwd()), ()).result(keep), kept


def test_outside_of_a_repository_there_is_nothing_to_tell():
    assert asked() == (None, [])


def test_a_clean_repository_tells_its_commit_and_branch(committed):
    answer, kept = asked()
    assert answer == {"commit": committed("rev-parse", "HEAD").strip(), "branch": "trunk", "dirty": False}
    assert kept == []


def test_changes_and_untracked_files_are_told(committed):
    Path("train.py").write_text("depth = 4\n")
    Path("żółw new.py").write_text("")
    answer, (diff,) = asked()
    assert (answer["dirty"], answer["diff"], answer["untracked"]) == (True, "sha256:x", ["żółw new.py"])
    assert b"-depth = 3\n+depth = 4\n" in diff


def test_staged_changes_are_in_the_diff(committed):
    Path("train.py").write_text("depth = 5\n")
    committed("add", "train.py")
    assert b"+depth = 5" in asked()[1][0]


def test_a_repository_without_a_commit_is_told(repository):
    Path("new.py").write_text("")
    assert asked()[0] == {"branch": "trunk", "dirty": False, "untracked": ["new.py"]}


def test_a_detached_head_has_no_branch(committed):
    committed("checkout", "--detach")
    assert set(asked()[0]) == {"commit", "dirty"}


def test_a_long_diff_is_of_the_moment_the_run_began(committed):
    """A pipe holds 64 KB; git must not wait with the rest until the run ends."""
    Path("a.txt").write_text("")
    Path("z.txt").write_text("")
    committed("add", ".")
    committed("commit", "-m", "second")
    Path("a.txt").write_text("padding\n" * 100_000)
    Path("z.txt").write_text("at the start\n")
    state = GitState(str(Path.cwd()), ())
    for asked_process in (state._status, state._diff):
        asked_process[0].wait(timeout=20)
    Path("z.txt").write_text("changed while it ran\n")
    kept = []
    state.result(lambda data: kept.append(data) or "x")
    assert b"at the start" in kept[0]


def test_an_answer_is_remembered_only_while_nothing_changed(committed):
    first = asked()[0]
    assert GitState(str(Path.cwd()), ()).ready
    time.sleep(0.01)
    committed("commit", "--allow-empty", "-m", "second")
    assert asked()[0]["commit"] != first["commit"]


def test_without_git_there_is_nothing_to_tell(committed, monkeypatch):
    monkeypatch.setenv("PATH", str(Path.cwd()))
    assert asked() == (None, [])


def test_a_git_that_hangs_is_given_up(committed, monkeypatch):
    Path("git").write_text("#!/bin/sh\nsleep 60\n")
    Path("git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path.cwd()}:/bin:/usr/bin")
    monkeypatch.setattr(git, "_GIT_SECONDS", 0.2)
    assert asked() == (None, [])


PROGRAM = """
import subprocess, mlops_kit as mk
depth = 4
with mk.start_run():
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b@c", "commit", "-qam", "while it ran"], check=True)
"""


def test_a_run_keeps_the_change_that_it_ran_with(committed, script):
    script(PROGRAM, name="train.py")
    (found,) = mk.list_runs()
    told = found.code["git"]
    assert (told["branch"], told["dirty"]) == ("trunk", True)
    assert "+depth = 4" in told["diff"]
    assert told["commit"] != committed("rev-parse", "HEAD").strip()
