"""What models may be called, and what a reader is told who asks for one that is not there."""

from __future__ import annotations

import threading

import pytest

import mlops_kit as mk
from mlops_kit.errors import (
    AliasNotFound,
    InvalidName,
    InvalidSpec,
    ModelNotFound,
    NotFound,
    VersionNotFound,
)

# What does not exist


def test_a_bare_name_is_answered_with_what_it_could_mean(models):
    for value in "abc":
        models.register("fraud", value)
    models.promote("fraud:2")
    for ask in (models.load, models.get, models.lineage, models.promote):
        with pytest.raises(InvalidSpec, match=r"'fraud:3' or 'fraud@latest'") as refused:
            ask("fraud")
        assert "Versions: 1–3; champion → 2" in str(refused.value)
    with pytest.raises(InvalidSpec, match="There is no model of this name"):
        models.load("fruad")


def test_an_unknown_name_is_answered_with_those_there_are(models):
    with pytest.raises(ModelNotFound, match="It holds no model yet"):
        models.load("fraud:1")
    models.register("fraud", 1)
    models.register("churn", 1)
    asks = (models.versions, models.aliases, models.history, models.rollback)
    for ask, given in [(ask, "fruad") for ask in asks] + [(models.load, "fruad@champion"), (models.get, "fruad:1")]:
        with pytest.raises(ModelNotFound, match=r"no model 'fruad'.*There are: churn, fraud"):
            ask(given)


def test_of_very_many_names_some_are_listed(models):
    for number in range(30):
        models.register(f"m{number:02}", 1)
    with pytest.raises(ModelNotFound, match=r"m00, m01.*m11 and 18 more\."):
        models.load("other:1")


def test_an_unknown_version_or_alias_is_answered_with_those_there_are(models):
    for value in "ab":
        models.register("fraud", value)
    models.promote("fraud:1", "shadow")
    there = r"Versions: 1–2; shadow → 1. See models.versions\('fraud'\)"
    with pytest.raises(VersionNotFound, match=f"has no version 9.*{there}"):
        models.load("fraud:9")
    with pytest.raises(AliasNotFound, match=f"has no alias 'champion'.*{there}"):
        models.load("fraud@champion")
    with pytest.raises(VersionNotFound, match="has no version 9"):
        models.promote("fraud:9")


def test_every_not_found_is_a_lookup_error(models):
    with pytest.raises(LookupError) as absent:
        models.load("fraud:1")
    assert isinstance(absent.value, NotFound)


@pytest.mark.parametrize(
    "spec", ["fraud:", "fraud:0", "fraud:-1", "fraud:1.0", "fraud:x", "fraud:１", "fraud:1:2", None, 7]
)
def test_a_spec_that_cannot_be_read_is_refused(models, spec):
    models.register("fraud", 1)
    with pytest.raises(InvalidSpec):
        models.load(spec)


def test_a_version_number_beyond_all_is_only_absent(models):
    models.register("fraud", 1)
    with pytest.raises(VersionNotFound):
        models.load("fraud:" + "9" * 5000)


# Names


HOSTILE = {
    "empty": "",
    "blank": " ",
    "parent": "..",
    "traversal": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "windows path": r"C:\x",
    "slash within": "a/b",
    "hidden": ".git",
    "option": "-rf",
    "null": "a\0b",
    "newline": "a\nb",
    "escape": "\x1b[31mred",
    "bell": "a\x07",
    "right to left": "a\u202eb",
    "zero width": "a\u200bb",
    "lone surrogate": "a\ud800",
    "emoji": "🦆",
    "space": "a b",
    "trailing dot": "a.",
    "reserved": "CON",
    "reserved stem": "nul.txt",
    "reserved superscript": "com¹",
    "over-long": "a" * 121,
    "over-long in bytes": "é" * 61,
    "enormous": "a" * 100_000,
    "percent": "%2e%2e",
    "star": "*",
    "at": "a@b",
    "colon": "a:b",
    "none": None,
    "bytes": b"a",
    "number": 3,
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_refused_everywhere_and_nothing_is_written(local, tmp_path, name):
    for ask in (lambda n: local.register(n, 1), local.versions, local.aliases, local.history, local.rollback):
        with pytest.raises(InvalidName) as refused:
            ask(name)
        assert len(str(refused.value)) < 500
        assert "cannot name a model" in str(refused.value)
        assert str(refused.value).isprintable()
        str(refused.value).encode()
    with pytest.raises((InvalidName, InvalidSpec)):
        local.load(f"{name}:1" if isinstance(name, str) else name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["a" * 120, "é" * 60, "ﬁ" * 40, "ẞ", "İstanbul", "ДОМ", "模型", "1", "_", "a..b", "v1.0-rc_2"]
)
def test_an_unusual_name_is_a_name(local, name):
    assert local.register(name, 1).name == name
    again = mk.ModelStore(mk.Store(local.store.url))
    assert (again.names(), again.load(f"{name}@latest")) == ([name], 1)
    assert local.store.fsck().ok


def test_composed_and_decomposed_spellings_are_one_name(models):
    composed, decomposed = "K\u00fchlung", "Ku\u0308hlung"
    assert models.register(decomposed, 1).name == composed
    assert models.register(composed, 2).spec == f"{composed}:2"
    assert models.promote(f"{decomposed}:1").name == composed
    assert models.load(f"{decomposed}@champion") == 1
    assert [version.spec for version in models.versions(decomposed)] == [f"{composed}:1", f"{composed}:2"]
    assert models.get(f"{decomposed}:2").name == composed
    assert models.names() == [composed]


def test_a_name_that_differs_only_in_case_is_refused_with_the_spelling_there_is(models):
    models.register("Fraud", 1)
    with pytest.raises(InvalidName, match=r"'fraud' cannot name a new model.*'Fraud' exists and differs only in case"):
        models.register("fraud", 2)
    with pytest.raises(ModelNotFound, match=r"no model 'FRAUD'.*there is 'Fraud'"):
        models.load("FRAUD:1")
    assert [version.version for version in models.versions("Fraud")] == [1]


def test_the_race_of_two_spellings_has_one_winner(local):
    outcomes, gate = [], threading.Barrier(2)

    def register(name):
        place = mk.ModelStore(mk.Store(local.store.url))
        gate.wait()
        try:
            outcomes.append(place.register(name, 1).spec)
        except InvalidName as refused:
            outcomes.append(refused)

    threads = [threading.Thread(target=register, args=(name,)) for name in ("Fraud", "fraud")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["InvalidName", "str"]
    assert len(local.names()) == 1
