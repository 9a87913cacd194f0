"""The commit, the branch and what is not committed, as they were when the run began."""

from __future__ import annotations

import os
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
    state._question._until = 0.0
    for process in state._question._asked.values():
        process._process.wait(timeout=20)
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


def test_without_git_a_repository_is_not_called_none(committed, monkeypatch):
    monkeypatch.setenv("PATH", str(Path.cwd()))
    assert asked() == ({"refused": "there is no program 'git' in the folders of PATH."}, [])


def test_a_git_that_hangs_is_given_up(committed, monkeypatch):
    Path("git").write_text("#!/bin/sh\nsleep 60\n")
    Path("git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path.cwd()}:/bin:/usr/bin")
    monkeypatch.setattr("mlops_kit.tracking.git_question.SECONDS", 0.2)
    assert asked() == ({"refused": "it did not answer within 0.2 seconds."}, [])


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


class Tool:
    """A program that notes that it ran."""

    def __init__(self, folder):
        self.path, self.mark = folder / "tool", folder / "ran"
        self.path.write_text(f"#!/bin/sh\ntouch '{self.mark}'\nfalse\n")
        self.path.chmod(0o755)

    def __str__(self):
        return str(self.path)

    def copy(self, *place):
        Path(*place).write_bytes(self.path.read_bytes())
        Path(*place).chmod(0o755)

    @property
    def ran(self):
        return self.mark.exists()


@pytest.fixture
def tool(tmp_path_factory):
    return Tool(tmp_path_factory.mktemp("tool"))


COMMANDS = {
    "core": "fsmonitor hooksPath pager askPass sshCommand gitProxy editor alternateRefsCommand",
    "diff": "external",
    'diff "odd"': "command textconv",
    'filter "odd"': "clean smudge process",
    'hook "odd"': "command",
    "pager": "status diff",
    "credential": "helper",
    "uploadpack": "packObjectsHook",
}


def hostile(program):
    """Return a configuration in which each key that may name a command names this one."""
    sections = [
        f"[{name}]\n" + "".join(f"{key} = {program}\n" for key in keys.split()) for name, keys in COMMANDS.items()
    ]
    return "".join(sections) + '\n[filter "odd"]\nrequired = true\n[hook "odd"]\nevent = post-index-change\n'


PLACES = ["config", "included", "config.worktree"]


@pytest.mark.parametrize("place", PLACES)
def test_no_command_that_a_repository_names_is_run(committed, tool, place):
    Path(".git/info/attributes").write_text("* filter=odd diff=odd\n")
    Path("train.py").write_text("depth = 4\n")
    text = hostile(tool)
    config = Path(".git/config")
    if place == "config":
        config.write_text(config.read_text() + text)
    elif place == "included":
        Path("settings").write_text(text)
        config.write_text(config.read_text() + "[include]\npath = ../settings\n")
    else:
        config.write_text("[core]\nrepositoryformatversion = 1\n[extensions]\nworktreeConfig = true\n")
        Path(".git/config.worktree").write_text(text)
    answer, _ = asked()
    assert not tool.ran
    assert (answer["dirty"], answer["left_out"]) == (True, {"filtered": ["train.py"]})


def test_no_hook_of_a_repository_is_run(committed, tool):
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        tool.copy(".git/hooks", hook)
    Path("train.py").touch()
    assert asked()[0]["dirty"] is False
    assert not tool.ran


def test_a_filter_that_cannot_be_turned_off_is_not_asked_about(committed, tool):
    config = Path(".git/config")
    config.write_text(config.read_text() + f'[filter "a=b"]\nclean = {tool}\n')
    assert "'a=b'" in asked()[0]["refused"]
    assert not tool.ran


def test_the_configuration_of_a_submodule_runs_nothing_and_its_changes_are_told(committed, tool, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    committed("clone", "-q", ".", str(other / "lib"))
    committed("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other / "lib"), "lib")
    committed("commit", "-qm", "with a library")
    assert asked()[0]["dirty"] is False
    config = Path(".git/modules/lib/config")
    config.write_text(config.read_text() + hostile(tool))
    Path("lib/train.py").write_text("depth = 9\n")
    for _ in range(2):
        answer, _ = asked()
        assert (answer["dirty"], answer["left_out"]) == (True, {"submodule": ["lib"]})
    assert not tool.ran


def test_the_changes_of_a_repository_that_was_added_without_being_a_submodule_are_told(committed):
    committed("clone", "-q", ".", "lib")
    committed("-c", "advice.addEmbeddedRepo=false", "add", "lib")
    committed("commit", "-qm", "with a library")
    assert asked()[0]["dirty"] is False
    Path("lib/train.py").write_text("depth = 9\n")
    for _ in range(2):
        answer, _ = asked()
        assert (answer["dirty"], answer["left_out"]) == (True, {"submodule": ["lib"]})


def test_objects_that_a_partial_clone_lacks_are_not_fetched(committed, tool):
    blob = committed("rev-parse", "HEAD:train.py").strip()
    Path(".git/objects", blob[:2], blob[2:]).unlink()
    Path("train.py").write_text("depth = 4\n")
    Path(".git/config").write_text(
        "[core]\nrepositoryformatversion = 1\n[extensions]\npartialClone = there\n[protocol]\nallow = always\n"
        f'[remote "there"]\npromisor = true\nurl = ext::{tool}\nuploadpack = {tool}\n'
    )
    answer, _ = asked()
    assert (answer["commit"], answer["dirty"]) == (committed("rev-parse", "HEAD").strip(), True)
    assert blob in answer["refused"]
    assert not tool.ran


def test_the_variables_of_the_caller_change_nothing(committed, tool, monkeypatch):
    before = asked()
    for name in (
        "DIR",
        "WORK_TREE",
        "INDEX_FILE",
        "OBJECT_DIRECTORY",
        "COMMON_DIR",
        "EXTERNAL_DIFF",
        "PAGER",
        "EXEC_PATH",
    ):
        monkeypatch.setenv(f"GIT_{name}", str(tool))
    for name, value in {"COUNT": "1", "KEY_0": "core.fsmonitor", "VALUE_0": str(tool)}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    git._known.clear()
    assert asked() == before
    assert not tool.ran


def test_a_git_in_the_work_tree_is_not_run(committed, tool, monkeypatch):
    tool.copy("git")
    monkeypatch.setenv("PATH", f":.:{os.environ['PATH']}")
    assert asked()[0]["branch"] == "trunk"
    assert not tool.ran


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[core", "bad config line"),
        ("[core]\nrepositoryformatversion = 0\nbare = true\n", "must be run in a work tree"),
        ("[core]\nrepositoryformatversion = 99\n", "99"),
    ],
)
def test_what_git_says_when_it_refuses_is_a_problem_of_the_run(committed, script, config, said):
    Path(".git/config").write_text(config)
    script("import mlops_kit as mk\nwith mk.start_run(): mk.ModelStore().register('m', 1)")
    (run,) = mk.list_runs()
    assert said in run.code["git"]["refused"]
    assert any(said in problem for problem in run.problems)
    unknown = " ".join(mk.ModelStore().lineage("m:1").unknown)
    assert said in unknown
    assert "not in a git repository" not in unknown


def test_a_diff_leaves_out_key_files_and_masks_secrets_and_says_where(committed):
    for name in (".env", "deploy/server.pem"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("first\n")
    committed("add", ".")
    committed("commit", "-m", "second")
    for name in (".env", "deploy/server.pem"):
        Path(name).write_text("hunter2-hunter2\n")
    Path("train.py").write_text("depth = 4\nurl = 'https://ann:hunter2@db/x'\ntokens = split(line)\n")
    answer, (diff,) = asked()
    assert b"hunter2" not in diff
    assert b"+tokens = split(line)" in diff
    assert answer["left_out"] == {"secret": [".env", "deploy/server.pem"]}
    assert answer["masked"] == ["train.py:2"]


@pytest.mark.skipif(os.name == "nt", reason="a device of POSIX")
def test_a_list_of_files_that_never_ends_keeps_nobody_waiting(committed):
    with open(".git/config", "a") as config:
        config.write("[diff]\norderFile = /dev/zero\n")
    Path("train.py").write_text("depth = 4\n")
    answer = GitState(str(Path.cwd()), ()).result(lambda text: text.decode())
    assert "depth = 4" in answer["diff"]


def endless(kind, place):
    """Put something at a place that is no file and never ends."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("setting", ["excludesFile", "attributesFile"])
def test_an_endless_file_that_a_repository_names_is_not_read(committed, tmp_path_factory, kind, setting):
    place = tmp_path_factory.mktemp("endless") / "file"
    endless(kind, place)
    committed("config", f"core.{setting}", str(place))
    Path("train.py").write_text("depth = 4\n")
    Path("new.txt").write_text("")
    answer, (diff,) = asked()
    assert (answer["untracked"], "refused" in answer) == (["new.txt"], False)
    assert b"+depth = 4" in diff


def test_the_files_that_the_users_own_configuration_names_are_read(committed, tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    (home / "ignored").write_text("*.swp\n")
    (home / ".gitconfig").write_text(f"[core]\nexcludesFile = {home / 'ignored'}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    Path("train.py.swp").write_text("")
    Path("new.txt").write_text("")
    assert asked()[0]["untracked"] == ["new.txt"]


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    "name", ["HEAD", "index", "config", "packed-refs", "info/exclude", "info/attributes", "commondir"]
)
def test_git_is_not_asked_where_what_it_reads_first_never_ends(committed, kind, name):
    endless(kind, Path(".git", name))
    answer, _ = asked()
    assert answer["refused"].startswith("it was not asked, for ")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_all_that_git_is_asked_about_a_work_tree_shares_one_time(committed, monkeypatch):
    Path("git").write_text('#!/bin/sh\ncase "$*" in *config*) exit 0;; *) exec sleep 60;; esac\n')
    Path("git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path.cwd()}:/bin:/usr/bin")
    monkeypatch.setattr("mlops_kit.tracking.git_question.SECONDS", 0.5)
    question = GitState(str(Path.cwd()), ())._question
    assert {process._until for process in question._asked.values()} == {question._until}
    question.close()


def test_an_answer_that_is_read_long_after_git_gave_it_is_complete(committed):
    committed("config", "filter.upper.clean", "tr a-z A-Z")
    Path(".gitattributes").write_text("*.txt filter=upper\n")
    Path("train.py").write_text("depth = 4\n")
    state = GitState(str(Path.cwd()), ())
    for process in state._question._asked.values():
        process._process.wait()
        process._until = 0.0
    assert "+depth = 4" in state.result(lambda text: text.decode())["diff"]
