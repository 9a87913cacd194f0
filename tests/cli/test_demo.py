"""The demonstration: real data, from training to a rolled back model, in a folder of one's own, twice."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main

STEPS = ["load", "describe", "clean", "split", "train", "evaluate"]
PROGRAM = Path(sys.executable).with_name("mlops-kit")


def demonstrate(folder):
    began = time.monotonic()
    done = subprocess.run([PROGRAM, "demo", str(folder)], capture_output=True, text=True, check=False, encoding="utf-8")
    print(f"demo: {time.monotonic() - began:.1f} s")
    return done, time.monotonic() - began


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "a folder"
    return folder, *demonstrate(folder)


def test_it_ends_well(demo):
    _, done, _ = demo
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


def test_it_shows_that_a_reloaded_model_predicts_as_at_training_time_bit_for_bit(demo):
    _, done, _ = demo
    assert "143 predictions now and at training time are bit-equal: True" in done.stdout


def test_it_promotes_rolls_back_and_explains(demo):
    _, done, _ = demo
    for line in ("tumour@champion: 1 → 3", "tumour@champion: 3 → 1", "Lineage of tumour:3", "train_tumour.data:2"):
        assert line in done.stdout
    assert "0 problems" in done.stdout
    for part in ("data", "metrics", "model", "next"):
        assert f"\n  {part} " in done.stderr


def test_it_runs_a_pipeline_again_after_a_change_and_says_what_reran_and_why(demo):
    folder, done, _ = demo
    twice, _, changed = done.stdout.partition("run it again\n")[2].partition("== Change one helper")
    assert twice.split() == [part for name in STEPS for part in (name, "reused")]
    lines = [line.split(maxsplit=1) for line in changed.splitlines()[1 : 1 + len(STEPS)]]
    assert [name for name, _ in lines] == STEPS
    assert [what for _, what in lines[:2]] == ["reused"] * 2
    assert lines[2][1] == "ran: code of cleaning:usable changed"
    assert all(what.startswith("ran: argument") for _, what in lines[3:])
    assert '+    return data[data["mean area"] < 2000]' in changed
    assert "dropna()" in (folder / "cleaning.py").read_text(encoding="utf-8")


def test_what_it_leaves_behind_is_what_it_said(demo):
    folder, *_ = demo
    store = mk.Store(folder / ".mlops")
    models = mk.ModelStore(store)
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == [
        ".mlops",
        "cleaning.py",
        "pyproject.toml",
        "train.py",
    ]
    assert models.names() == ["digits", "tumour"]
    assert (len(models.versions("tumour")), len(models.versions("digits"))) == (3, 2)
    assert models.aliases("tumour") == {"champion": 3}
    assert mk.Dataset.names(store=store) == ["nightly.model.data", "train_digits.data", "train_tumour.data"]
    assert [run.status for run in mk.list_runs(store=store)] == ["finished"] * 8
    assert store.fsck().ok


def test_the_commands_it_ends_with_work(demo, tmp_path):
    folder, done, _ = demo
    copy = shutil.copytree(folder, tmp_path / "copy")  # the last one adds a run
    last = done.stdout.partition("look next\n")[2]
    go, *offered = [line.strip().partition("   ")[0] for line in last.splitlines()]
    assert shlex.split(go) == ["cd", str(folder)]
    commands = [shlex.split(line)[1:] for line in offered if "mlops-kit" in line]
    assert [command[0] for command in commands] == ["runs", "show", "models", "models", "data", "run"]
    for command in commands:
        subprocess.run([PROGRAM, *command], cwd=copy, check=True, capture_output=True)


def test_it_runs_again_in_the_same_folder_though_that_was_moved_and_goes_on_from_there(demo, tmp_path):
    folder = shutil.copytree(demo[0], tmp_path / "moved")
    again, _ = demonstrate(folder)
    assert again.returncode == 0, again.stderr
    assert "bit-equal: True" in again.stdout
    models = mk.ModelStore(mk.Store(folder / ".mlops"))
    assert len(models.versions("tumour")) == 6
    assert models.store.fsck().ok


def test_a_changed_script_is_run_as_it_is(tmp_path):
    ours = '"""A tour of mlops_kit on real data: train, register, promote, roll back, reload, explain.\n"""\n'
    (tmp_path / "train.py").write_text(ours + "print('mine')\n")
    done, _ = demonstrate(tmp_path)
    assert (done.returncode, done.stdout) == (0, "mine\n")
    assert "as you have changed it" in done.stderr
    (tmp_path / "train.py").write_text(ours + "raise SystemExit(3)\n")
    assert demonstrate(tmp_path)[0].returncode == 3


@pytest.mark.parametrize("name", ["train.py", "cleaning.py"])
def test_a_script_of_somebody_else_is_neither_run_nor_touched(tmp_path, name):
    (tmp_path / name).write_text("print('mine')\n")
    done, _ = demonstrate(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a file of your own" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_cannot_be_is_told_in_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    for folder, code in (("file", 2), ("file/below", 1)):
        done = CliRunner().invoke(main, ["demo", str(tmp_path / folder)])
        assert done.exit_code == code, done.output
        assert isinstance(done.exception, SystemExit)
