"""What a user trusts is listed in the user's own settings, and holds from there on."""

import json
import os

import pytest

import mlops_kit as mk
from mlops_kit.errors import ExposedFile, InvalidInput, NewerFormat, UntrustedArtifact
from mlops_kit.store import serializers, trusted

posix = pytest.mark.skipif(os.name == "nt", reason="mode bits")


@pytest.fixture
def untrusted(tmp_path, monkeypatch):
    """A store with one model, in which others may write."""
    models = mk.ModelStore(tmp_path / "its store")
    models.register("m", {"a": 1})
    monkeypatch.setattr(serializers, "pickled", set())
    if os.name == "nt":
        pytest.skip("Windows has no mode bits that let others write")
    models.store.backend.root.chmod(0o777)
    return models


def test_a_listed_store_is_trusted_until_it_is_removed(untrusted):
    trust = mk.Trust(untrusted.store)
    with pytest.raises(UntrustedArtifact):
        untrusted.load("m:1")
    trust.add()
    assert trust.code
    assert untrusted.load("m:1") == {"a": 1}
    trust.remove()
    assert not trust.code
    with pytest.raises(UntrustedArtifact):
        untrusted.load("m:1")


def test_a_listed_folder_covers_the_stores_below_it_and_no_others(tmp_path):
    mk.Trust(tmp_path / "team").add()
    assert mk.Trust(tmp_path / "team" / "fraud").code
    assert not mk.Trust(tmp_path / "team-evil").code
    assert not mk.Trust(tmp_path).code
    assert not trusted.trusted_of(f"{tmp_path}/team/../evil").code


def test_the_list_is_plain_json_and_holds_only_what_is_trusted(tmp_path):
    mk.Trust("memory://b").add()
    mk.Trust("memory://a").add()
    assert json.loads(trusted.path().read_text()) == {
        "format": 1,
        "stores": {"memory://a": {"code": True}, "memory://b": {"code": True}},
    }
    assert [trust.url for trust in mk.Trust.list()] == ["memory://a", "memory://b"]
    mk.Trust("memory://a").remove()
    assert repr(mk.Trust.list()) == "[Trust('memory://b': code)]"


@posix
def test_a_list_that_others_may_write_trusts_nothing_and_says_so(untrusted):
    mk.Trust(untrusted.store).add()
    trusted.path().chmod(0o666)
    with pytest.raises(ExposedFile, match="chmod 600"):
        untrusted.load("m:1")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"format": 1}', '{"format": 1, "stores": {"x": 1}}', "[" * 100_000),
        '{"format": 1, "stores": {"x": {"signatures": {"pinned": {"models/a": [1e999, "y"]}}}}}',
    ],
    ids=range(7),
)
def test_a_list_that_cannot_be_read_is_named(text):
    mk.Trust("memory://a").add()
    trusted.path().write_text(text)
    with pytest.raises(InvalidInput, match=r"trust\.json"):
        mk.Trust.list()


def test_a_list_of_a_newer_release_is_not_guessed_at():
    mk.Trust("memory://a").add()
    trusted.path().write_text('{"format": 2, "stores": {}}')
    with pytest.raises(NewerFormat):
        mk.Trust("memory://a").add()


@pytest.mark.parametrize("said", [1, "true", None, [True]])
def test_only_a_plain_true_is_trust(said):
    mk.Trust("memory://a").add()
    trusted.path().write_text(json.dumps({"format": 1, "stores": {"memory://a": {"code": said}}}))
    assert not mk.Trust("memory://a").code
