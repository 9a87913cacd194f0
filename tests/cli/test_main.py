"""Every verb of the command line: what it prints, how it ends, and how it fails."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main

FRAME = pd.DataFrame({"age": [31, 47], "plan": ["basic", "pro"]})


class Mean:
    def __init__(self, value):
        self.value = value

    def predict(self, rows):
        return [self.value] * len(rows)


@mk.track(register="mean", experiment="means")
def train(data, shift=0.0):
    value = float(data["age"].mean()) + shift
    mk.log_metric("value", value)
    return Mean(value)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Two runs of a function, two versions of its data and of its model, the first of them champion."""
    url = tmp_path / "store"
    with monkeypatch.context() as context:
        context.setenv("MLOPS_KIT_STORE", str(url))
        context.setenv("MLOPS_KIT_USER", "ann")
        train(FRAME)
        mk.ModelStore().promote("mean:1", reason="the first")
        train(FRAME.assign(age=[31, 49]), shift=1.0)
        mk.Dataset.snapshot(FRAME, name="customers")
    return mk.Store(url)


@pytest.fixture
def runs(store):
    return [run.id for run in mk.list_runs(store=store)]


def ask(*words, store=None, code=0):
    """Give the words to the command line and take what it prints, checking how it ends."""
    given = [str(word) for word in words]
    if store is not None:
        given += ["--store", store.url]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == code, done.output
    if code == 0:
        assert done.stderr == ""
        return done.stdout
    assert done.stdout == ""
    assert isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_runs_lists_them_newest_first(store, runs):
    newest, oldest = (run[-8:] for run in runs)
    shown = ask("runs", store=store)
    assert shown.index(newest) < shown.index(oldest)
    assert "mean:2" in shown
    assert oldest not in ask("runs", "--limit", 1, store=store)
    assert newest in ask("runs", "--experiment", "means", "--status", "finished", store=store)
    for option in (["--experiment", "other"], ["--status", "failed"], ["--limit", 0]):
        assert newest not in ask("runs", *option, store=store)
    assert "InvalidInput: " in ask("runs", "--status", "asleep", store=store, code=1)
    assert "InvalidInput: " in ask("runs", "--limit", -1, store=store, code=1)


def test_show_shows_a_run_by_any_part_of_its_id(store, runs):
    for part in (runs[0], runs[0][-6:]):
        shown = ask("show", part, store=store)
        assert runs[0] in shown
        assert "shift=1" in shown
    assert "RunNotFound: " in ask("show", "0000", store=store, code=1)
    assert "InvalidInput: " in ask("show", "../../x", store=store, code=1)


def test_diff_shows_in_what_two_runs_differ(store, runs):
    shown = ask("diff", runs[1], runs[0], store=store)
    for word in ("shift", "train.data:1", "train.data:2", "value"):
        assert word in shown
    assert "RunNotFound" in ask("diff", runs[0], "0000", store=store, code=1)


def test_data_lists_names_then_versions_then_one(store):
    assert ask("data", store=store) == "customers\ntrain.data\n"
    versions = ask("data", "train.data", store=store)
    head, first, second = versions.splitlines()
    assert head.split() == ["version", "kept", "by", "rows", "columns", "fingerprint", "source"]
    assert (first.split()[0], second.split()[0]) == ("train.data:1", "train.data:2")
    first = mk.Dataset.load("train.data:1", store=store)
    for spec in ("train.data:1", first.fingerprint):
        assert "Dataset" in ask("data", spec, store=store)
    assert "Dataset train.data:2" in ask("data", "train.data@latest", store=store)
    assert "Dataset train.data:1" in ask("data", "train.data@latest", "--as-of", first.created.isoformat(), store=store)
    assert "DatasetNotFound: There is no dataset 'clients'" in ask("data", "clients", store=store, code=1)
    assert "VersionNotFound" in ask("data", "customers:9", store=store, code=1)


def test_models_lists_names_then_versions_and_aliases_then_one(store):
    assert ask("models", store=store) == "mean\n"
    listed = ask("models", "mean", store=store)
    head, first, second = listed.splitlines()
    assert (head.split()[0], head.split()[-2:]) == ("version", ["type", "alias"])
    assert (first.split()[0], first.split()[-1], second.split()[0]) == ("mean:1", "champion", "mean:2")
    assert "champion" not in second
    assert "ModelVersion mean:1" in ask("models", "mean@champion", store=store)
    assert "ModelVersion mean:2" in ask("models", "mean@latest", store=store)
    lineage = ask("models", "mean@champion", "--lineage", store=store)
    assert lineage.startswith("Lineage of mean:1")
    assert "train.data:1" in lineage
    before = (mk.ModelStore(store).get("mean:1").created - timedelta(microseconds=1)).isoformat()
    assert "AliasNotFound" in ask("models", "mean@champion", "--as-of", before, store=store, code=1)
    assert "ModelNotFound: There is no model 'maen'" in ask("models", "maen", store=store, code=1)
    assert "is not a date or time" in ask("models", "mean@latest", "--as-of", "yesterday", store=store, code=1)


def test_a_question_about_one_version_is_not_answered_with_a_list(store):
    assert "give its SPEC" in ask("models", "--lineage", store=store, code=2)
    assert "give its SPEC" in ask("models", "--as-of", "2026-01-01", store=store, code=2)
    assert "give its SPEC" in ask("data", "--as-of", "2026-01-01", store=store, code=2)
    for words in (["models", "mean", "--lineage"], ["models", "mean", "--as-of", "2026-01-01"]):
        assert "write 'mean:3' or 'mean@latest'" in ask(*words, store=store, code=1)
    assert "write 'customers:3'" in ask("data", "customers", "--as-of", "2026-01-01", store=store, code=1)


def test_show_tells_the_history_of_a_model_by_its_name(store):
    ask("promote", "mean:2", "--reason", "newer", store=store)
    head, *lines = ask("show", "mean", store=store).splitlines()
    assert head.split() == ["#", "when", "by", "what", "subject", "why"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5"]
    assert lines[-1].endswith("promote   champion → 2  newer")
    assert "InvalidInput: 'maen' is not a run id" in ask("show", "maen", store=store, code=1)
    assert "RunNotFound: " in ask("show", "abcd", store=store, code=1)


def test_promote_and_rollback_move_an_alias_and_keep_the_reason(store):
    assert ask("promote", "mean:2", "--reason", "newer", "--expect", 1, store=store) == "mean@champion: 1 → 2\n"
    assert ask("promote", "mean@champion", "--alias", "shadow", store=store) == "mean@shadow: nothing → 2\n"
    assert ask("rollback", "mean", "--reason", "worse", store=store) == "mean@champion: 2 → 1\n"
    reasons = [entry.body.get("reason") for entry in mk.ModelStore(store.url).history("mean")]
    assert [reason for reason in reasons if reason] == ["the first", "newer", "worse"]
    assert "Conflict: " in ask("promote", "mean:2", "--expect", 2, store=store, code=1)
    assert "moved there by" in ask("promote", "mean:2", "--expect", 0, store=store, code=1)
    assert "NothingToRollBack: " in ask("rollback", "mean", store=store, code=1)
    assert "cannot be moved" in ask("promote", "mean:1", "--alias", "latest", store=store, code=1)
    assert "InvalidSpec: " in ask("promote", "mean", store=store, code=1)


def test_fsck_ends_with_one_if_something_is_wrong(store):
    assert "ok" in ask("fsck", store=store)
    file = next(Path(store.url).glob("objects/*/*"))
    file.write_bytes(file.read_bytes() + b"x")
    done = CliRunner().invoke(main, ["fsck", "--store", store.url])
    assert done.exit_code == 1
    assert file.name in done.stdout


def test_fsck_repairs_what_it_can(store):
    head = next(Path(store.url).glob("journals/models/*/head.json"))
    head.write_bytes(b"?")
    assert "damaged" in CliRunner().invoke(main, ["fsck", "--store", store.url]).stdout
    assert "repaired: journals/models/" in ask("fsck", "--repair", store=store)
    assert "ok" in ask("fsck", store=store)


def test_gc_only_tells_unless_it_is_asked_to_delete(store):
    digest = store.objects.put(b"left behind").removeprefix("sha256:")
    path = Path(store.url, "objects", digest[:2], digest)
    assert "1 file would go, 11 bytes" in ask("gc", "--grace", "0", "--exclusive", store=store)
    assert "named by nothing" in ask("gc", store=store)
    assert path.exists()
    assert "0 files went" in ask("gc", "--delete", store=store)
    assert "1 file went, 11 bytes" in ask("gc", "--delete", "--grace", "0", "--exclusive", store=store)
    assert not path.exists()
    assert "InvalidInput: " in ask("gc", "--grace", "1h", store=store, code=1)
    assert "is not a span of time" in ask("gc", "--grace", "soon", store=store, code=1)


def test_doctor_says_what_a_place_can_promise(store, tmp_path):
    assert "Many writers at once may use this store." in ask("doctor", store=store)
    assert "there is no store here yet" in ask("doctor", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert "Give the place once" in ask("doctor", tmp_path / "new", store=store, code=2)
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["doctor", str(tmp_path / "file")])
    assert done.exit_code == 1
    assert "Do not keep a store here" in done.stdout


def test_a_damaged_store_is_told_in_one_message_after_all_that_cannot_be_read(store):
    ends = sorted(Path(store.url).glob("runs/*/*.end.json"))
    for end in ends:
        end.write_bytes(end.read_bytes()[:-1] + b"?")
    *problems, message = ask("gc", store=store, code=1).splitlines()
    assert [line.split(": ")[1] for line in problems] == [end.relative_to(store.url).as_posix() for end in ends]
    assert message.startswith("Error: IntegrityError: Nothing was collected")


def test_a_listing_shows_what_can_be_read_and_tells_on_stderr_what_cannot(store):
    mk.ModelStore(store).register("median", [1])
    entry = next(Path(store.url).glob("journals/models/mean/000000000001.json"))
    entry.write_bytes(entry.read_bytes().replace(b"mean", b"maen"))
    done = CliRunner().invoke(main, ["models", "--store", store.url])
    assert (done.exit_code, done.stdout) == (0, "mean\nmedian\n")
    assert done.stderr.startswith("1 record could not be read: journals/models/mean/000000000001.json.")


def test_names_that_hold_what_a_terminal_obeys_are_only_shown(store):
    odd = "\x1b]0;owned\x07\x1b[31m\u202e"
    Path(store.url, f"odd{odd}.txt").write_text("x", encoding="utf-8")
    done = CliRunner().invoke(main, ["fsck", "--store", store.url])
    assert "odd\\x1b]0;owned\\x07" in done.output
    assert not set(done.output) & set(odd) - set("]0;owned[31m")


def test_the_address_of_a_store_that_is_not_there_is_only_shown(tmp_path):
    Path("pyproject.toml").write_text('[tool.mlops_kit]\nstore = "odd\\u001b[31m\\u202e"\n')
    done = CliRunner().invoke(main, ["fsck"], color=True)
    assert f"There is no store at {tmp_path}/odd\\x1b[31m\\u202e." in done.output


def test_an_empty_store_is_no_error_and_stays_empty(tmp_path):
    here = tmp_path / ".mlops"
    assert ask("models") == f"There are no models in {here} yet.\n"
    assert ask("data") == f"There are no datasets in {here} yet.\n"
    assert ask("runs") == f"There are no runs in {here} yet.\n"
    assert ask("runs", "--status", "failed") == f"There are no runs like that in {here} yet.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["models", "data", "runs", "fsck"])
def test_a_store_that_is_named_and_is_not_there_is_told_instead_of_seeming_empty(tmp_path, verb):
    done = CliRunner().invoke(main, [verb, "--store", str(tmp_path / "mistyped")])
    assert done.exit_code != 0
    assert "no store at" in done.output
    assert list(tmp_path.iterdir()) == []


def test_checking_where_nothing_is_kept_is_not_ok(tmp_path):
    done = CliRunner().invoke(main, ["fsck"])
    assert (done.exit_code, "no store at" in done.output) == (1, True)


def test_the_store_is_the_option_else_the_environment_else_the_project(store, tmp_path, monkeypatch):
    assert ask("models") == f"There are no models in {tmp_path / '.mlops'} yet.\n"
    monkeypatch.setenv("MLOPS_KIT_STORE", store.url)
    assert ask("models") == "mean\n"
    mk.Store(tmp_path / "other").ensure()
    assert ask("models", "--store", tmp_path / "other") == f"There are no models in {tmp_path / 'other'} yet.\n"
    monkeypatch.delenv("MLOPS_KIT_STORE")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[tool.mlops_kit]\nstore = "../store"\n')
    monkeypatch.chdir(project)
    assert ask("models") == "mean\n"


@pytest.mark.parametrize("address", ["nonsense://host/x", "", "file://host/x"])
def test_an_address_that_is_no_store_is_told_in_one_message(address):
    assert "InvalidInput: " in ask("models", "--store", address, code=1)


@pytest.mark.parametrize(
    "words",
    [
        ["fly"],
        ["show"],
        ["diff", "1234"],
        ["promote"],
        ["rollback"],
        ["runs", "--limit", "many"],
        ["promote", "mean:1", "--expect", "x"],
        ["models", "--sideways"],
        ["runs", "extra"],
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense_end_with_two_and_the_usage(words):
    assert ask(*words, code=2).startswith("Usage: ")


def test_every_verb_explains_itself():
    shown = ask("--help")
    for verb in ("demo", "runs", "show", "diff", "data", "models", "promote", "rollback", "fsck", "gc", "doctor"):
        assert f"\n  {verb} " in shown
        assert ask(verb, "-h").startswith("Usage: ")
        assert main.commands[verb].help.endswith(".")
    assert ask("--version") == f"mlops-kit, version {mk.__version__}\n"


def command(*words, **options):
    program = Path(sys.executable).with_name("mlops-kit")
    return subprocess.run([program, *words], capture_output=True, check=False, **options)


def test_the_installed_command_ends_as_told(store, tmp_path):
    done = command("models", "--store", store.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"mean\n", b"")
    failed = command("models", "maen:1", "--store", store.url)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert failed.stderr.startswith(b"Error: ModelNotFound: There is no model 'maen'")
    assert b"Traceback" not in failed.stderr
    assert command("fly").returncode == 2


def test_a_terminal_without_arrows_is_no_reason_to_fail(store, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    done = command("promote", "mean:2", "--store", store.url)
    assert (done.returncode, done.stdout) == (0, b"mean@champion: 1 ? 2\n"), done.stderr


def test_the_command_says_what_it_is_before_loading_anything_heavy():
    script = "import sys, mlops_kit.cli.main; print({'pandas', 'numpy', 'sklearn', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
