"""The isolation that all other tests rely on."""

import os
from pathlib import Path

import hypothesis
import pytest


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_starts_in_an_empty_directory_with_an_empty_home(turn, tmp_path):
    assert Path.cwd() == tmp_path
    assert not any(Path.cwd().iterdir())
    assert not any(Path.home().iterdir())
    assert Path.home() not in (Path.cwd(), *Path.cwd().parents)
    (Path.home() / "left-behind").touch()
    Path("left-behind").touch()


def test_settings_of_the_developer_are_not_seen():
    assert not [name for name in os.environ if name.startswith("MLOPS_KIT_")]
    assert Path(os.environ["XDG_CONFIG_HOME"]).is_relative_to(Path.home())


def test_no_project_stands_above_the_working_directory():
    marks = [parent / mark for parent in Path.cwd().parents for mark in ("pyproject.toml", ".git", ".mlops")]
    assert not [mark for mark in marks if mark.exists()]


@hypothesis.given(hypothesis.strategies.integers())
def test_properties_may_be_tested_beside_the_isolation(number):
    assert hypothesis.settings().deadline is None
    assert hypothesis.settings().derandomize == (
        bool(os.environ.get("CI")) and not os.environ.get("HYPOTHESIS_PROFILE")
    )
