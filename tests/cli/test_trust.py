"""``mlops-kit trust``: the line that a refusal tells to run is the line that helps."""

import os
import shlex

import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main
from mlops_kit.errors import UntrustedArtifact
from mlops_kit.store import objects


def ask(*words, code=0):
    done = CliRunner().invoke(main, ["trust", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.skipif(os.name == "nt", reason="mode bits")
def test_the_line_in_the_refusal_is_the_line_that_helps(tmp_path, monkeypatch):
    models = mk.ModelStore(tmp_path / "it's a store")
    models.register("m", {"a": 1})
    monkeypatch.setattr(objects, "written", set())
    models.store.backend.root.chmod(0o777)
    with pytest.raises(UntrustedArtifact) as refused:
        models.load("m:1")
    line = str(refused.value).partition("run: mlops-kit trust ")[2].partition(" (or set")[0]
    ask(*shlex.split(line))
    assert models.load("m:1") == {"a": 1}


def test_it_lists_and_removes():
    assert ask("--list") == "No store is trusted by name.\n"
    assert ask("memory://a") == "Trust('memory://a': code)\n"
    assert ask("--list") == "Trust('memory://a': code)\n"
    assert ask("memory://a", "--remove") == "Trust('memory://a': nothing)\n"
    assert ask("--list") == "No store is trusted by name.\n"


@pytest.mark.parametrize("words", [[], ["memory://a", "--list"], ["--remove"], ["--list", "--remove"]])
def test_an_unclear_wish_changes_nothing(words):
    mk.Trust("memory://a").allow_code()
    assert "Usage" in ask(*words, code=2)
    assert [trust.url for trust in mk.Trust.listed()] == ["memory://a"]
