"""``mlops-kit models``, ``approve`` and ``reject``: decisions from the command line."""

import json

import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "store"))
    models = mk.ModelStore()
    for value in "ab":
        models.register("fraud", value)
    return models


def run(*arguments, code=0):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done.output


def test_approving_and_rejecting_is_in_the_name_of_the_user(models):
    assert "approve version=1, reason='fine' by ann" in run("approve", "fraud:1", "--reason", "fine")
    assert [vote.reason for vote in models.get("fraud:1").approvals] == ["fine"]
    run("reject", "fraud:1")
    assert models.get("fraud:1").approvals == ()
    assert "VersionNotFound" in run("approve", "fraud:9", code=1)


def test_a_version_is_tagged_described_archived_and_deleted(models):
    run("models", "fraud:1", "--tag", "team=risk", "--tag", "note=a=b")
    run("models", "fraud:1", "--untag", "team")
    run("models", "fraud:1", "--describe", "the first")
    run("models", "fraud:1", "--archive")
    version = models.get("fraud:1")
    assert (version.tags, version.description, version.archived) == ({"note": "a=b"}, "the first", True)
    run("models", "fraud:2", "--delete", "--reason", "wrong")
    assert "All versions of fraud are archived or deleted." in run("models", "fraud")


def test_an_alias_is_retired_and_a_version_copied(models):
    run("promote", "fraud:1")
    assert "retire alias='champion'" in run("retire", "fraud", "--reason", "over")
    assert "champion was retired by ann at" in run("models", "fraud")
    assert "AliasRetired: " in run("models", "fraud@champion", code=1)
    assert "champion → nothing" in run("show", "fraud")
    assert "other:1" in run("copy", "fraud:2", "other")


def test_a_freeze_is_shown_and_refuses_promotions_until_it_is_lifted(models):
    run("models", "fraud", "--freeze", "--reason", "audit")
    assert "Promotions are frozen by ann since" in run("models", "fraud")
    assert "Frozen: " in run("promote", "fraud:1", code=1)
    run("models", "fraud", "--unfreeze")
    run("promote", "fraud:1", "--reason", "first")
    assert "– now  promote by ann: first" in run("models", "fraud", "--timeline", "champion")
    assert run("models", "fraud", "--timeline", "shadow") == "fraud@shadow never pointed anywhere.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fraud:1", "--archive", "--freeze"], "one thing at a time: --archive, --freeze"),
        (["fraud:1", "--archive", "--lineage"], "one thing at a time: --archive, --lineage"),
        (["fraud:1", "--reason", "x"], "--reason is for a decision"),
        (["fraud:1", "--delete"], "--delete needs a --reason"),
        (["fraud", "--freeze"], "--freeze needs a --reason"),
        (["fraud:1", "--tag", "novalue"], "'novalue' is not KEY=VALUE"),
        (["--archive"], "give its SPEC too"),
        (["--timeline", "champion"], "give its SPEC too"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_and_nothing_is_written(models, arguments, message):
    assert message in run("models", *arguments, code=2)
    assert len(models.history("fraud")) == 3


def test_a_card_is_printed_or_written_in_the_form_that_is_asked_for(models, tmp_path):
    assert run("card", "fraud:1").startswith("# Model card: fraud:1\n")
    assert json.loads(run("card", "fraud:1", "--json"))["version"] == 1
    assert json.loads(run("card", "fraud:1", "--format", "bom"))["bomFormat"] == "CycloneDX"
    out = tmp_path / "card.html"
    assert str(out) in run("card", "fraud:1", "--format", "html", "--out", str(out))
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "VersionNotFound" in run("card", "fraud:9", code=1)
    assert "Could not open file" in run("card", "fraud:1", "--out", str(tmp_path / "no" / "card.md"), code=1)
