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
    git._listed.clear()
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


def is_remembered():
    state = GitState(str(Path.cwd()), ())
    ready = state.ready
    state.result(lambda _: "sha256:x")
    return ready


def remembered():
    """Ask until the answer is remembered: once for the names of the files, once more to look at them before."""
    time.sleep(0.1)
    for _ in range(3):
        answer = asked()[0]
    assert is_remembered()
    return answer


CHANGES = {
    "a tracked file that is no source": lambda git: Path("config.yaml").write_text("depth: 3\n"),
    "a tracked file of the same length": lambda git: Path("config.yaml").write_text("depth: 2\n"),
    "a tracked file that is gone": lambda git: Path("config.yaml").unlink(),
    "a new file beside tracked ones": lambda git: Path("conf/new.yaml").write_text(""),
    "a staged file": lambda git: (Path("other.txt").write_text(""), git("add", "other.txt")),
    "a commit of nothing": lambda git: git("commit", "--allow-empty", "-m", "third"),
    "another branch": lambda git: git("checkout", "-b", "topic"),
    "what is ignored": lambda git: Path(".git/info/exclude").write_text("*.log\n"),
}


@pytest.fixture
def configured(committed):
    Path("config.yaml").write_text("depth: 1\n")
    Path("conf").mkdir()
    Path("conf/model.yaml").write_text("")
    Path("old.log").write_text("")
    committed("add", "config.yaml", "conf")
    committed("commit", "-m", "second")
    return committed


@pytest.mark.parametrize("what", CHANGES)
def test_an_answer_is_remembered_only_while_nothing_it_depends_on_changed(configured, what):
    first = remembered()
    time.sleep(git._LOOK_SECONDS)
    assert is_remembered()
    time.sleep(git._LOOK_SECONDS)
    CHANGES[what](configured)
    assert asked()[0] != first


def test_within_a_tenth_of_a_second_only_the_commit_and_the_sources_are_looked_at(configured):
    remembered()
    Path("config.yaml").write_text("depth: 2\n")
    assert is_remembered()
    configured("commit", "--allow-empty", "-m", "third")
    assert not is_remembered()


def test_a_change_of_this_very_moment_is_not_remembered(configured):
    for _ in range(2):
        Path("config.yaml").write_text("depth: 4\n")
        asked()
    assert not is_remembered()


def test_a_linked_work_tree_is_looked_at_too(configured, tmp_path, monkeypatch):
    configured("worktree", "add", str(tmp_path / "linked"))
    monkeypatch.chdir(tmp_path / "linked")
    first = remembered()
    time.sleep(git._LOOK_SECONDS)
    Path("config.yaml").write_text("depth: 2\n")
    assert (first["dirty"], asked()[0]["dirty"]) == (False, True)


def test_where_too_much_is_tracked_git_is_asked_each_time(configured, monkeypatch):
    monkeypatch.setattr("mlops_kit.tracking.worktree._MOST", 2)
    for _ in range(4):
        asked()
    assert not is_remembered()


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
