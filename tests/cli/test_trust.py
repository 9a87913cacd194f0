"""``mlops-kit trust``: the line that a refusal tells to run is the line that helps."""

import os
import shlex

import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main
from mlops_kit.errors import UntrustedArtifact
from mlops_kit.store import serializers


def ask(*words, code=0):
    done = CliRunner().invoke(main, ["trust", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.skipif(os.name == "nt", reason="mode bits")
def test_the_line_in_the_refusal_is_the_line_that_helps(tmp_path, monkeypatch):
    models = mk.ModelStore(tmp_path / "it's a store")
    models.register("m", {"a": 1})
    monkeypatch.setattr(serializers, "pickled", set())
    models.store.backend.root.chmod(0o777)
    with pytest.raises(UntrustedArtifact) as refused:
        models.load("m:1")
    line = str(refused.value).partition("run: mlops-kit trust ")[2].partition(" (or set")[0]
    ask(*shlex.split(line))
    assert models.load("m:1") == {"a": 1}


def test_it_lists_and_removes():
    assert ask("list") == "No store is trusted by name.\n"
    assert ask("add", "memory://a") == "Trust('memory://a': code)\n"
    assert ask("list") == "Trust('memory://a': code)\n"
    assert ask("remove", "memory://a") == "Trust('memory://a': nothing)\n"
    assert ask("list") == "No store is trusted by name.\n"


@pytest.mark.parametrize("words", [[], ["memory://a"], ["list", "memory://a"], ["remove"], ["add"], ["add", "a", "b"]])
def test_an_unclear_wish_trusts_nothing(words):
    assert "Usage" in ask(*words, code=2)
    assert mk.Trust.list() == []


def test_a_key_is_made_shown_and_listed():
    assert "no signing key" in ask("key")
    key = ask("key", "--new").strip()
    assert key.startswith("ed25519:")
    assert ask("key").strip() == key
    assert "InvalidInput: There is a key already" in ask("key", "--new", code=1)
    assert ask("add", "memory://a", "--signer", f"ann={key}") == "Trust('memory://a': signer ann)\n"
    assert not mk.Trust("memory://a").code
    demanded = "Trust('memory://a': signer ann, signatures required)\n"
    assert ask("add", "memory://a", "--require-signature") == demanded
    assert ask("remove", "memory://a", "--require-signature") == "Trust('memory://a': signer ann)\n"
    revoked = ask("remove", "memory://a", "--signer", "ann", "--since", "2026-01-01")
    assert revoked == "Trust('memory://a': revoked ann)\n"
    assert mk.Trust("memory://a").signers["ann"].revoked == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("words", [["remove", "memory://a", "--since", "2026-01-01"], ["key", "--list"]])
def test_wishes_that_do_not_go_together_are_refused(words):
    assert "Usage" in ask(*words, code=2)
    assert mk.Trust.list() == []


def test_a_signer_without_a_key_is_refused():
    assert "InvalidInput" in ask("add", "memory://a", "--signer", "ann", code=1)
