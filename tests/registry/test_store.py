"""Models are registered, found, promoted, rolled back and loaded, now and as of any moment of the past."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, date, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import mlops_kit as mk
from mlops_kit.errors import (
    AliasNotFound,
    Conflict,
    IntegrityError,
    InvalidInput,
    InvalidName,
    InvalidSpec,
    ModelNotFound,
    NotFound,
    NothingToRollBack,
    NotSerializable,
    ObjectNotFound,
    UntrustedArtifact,
    VersionNotFound,
)
from mlops_kit.store import objects

TICK = timedelta(microseconds=1)


@pytest.fixture(params=["memory", "local"])
def models(request, tmp_path):
    url = f"memory://{tmp_path}" if request.param == "memory" else tmp_path / "store"
    return mk.ModelStore(mk.Store(url))


@pytest.fixture
def local(tmp_path):
    return mk.ModelStore(mk.Store(tmp_path / "store"))


@pytest.fixture
def strangers(monkeypatch):
    """Forget what this process wrote, as if another had."""
    monkeypatch.setattr(objects, "written", set())


def object_file(models, spec):
    hexes = models.get(spec).digest.removeprefix("sha256:")
    return Path(models.store.url) / "objects" / hexes[:2] / hexes


def told(error):
    return str(error.value)


# Registering and finding


def test_versions_are_numbered_from_one_in_the_order_of_registration(models):
    specs = [models.register("fraud", value).spec for value in ("a", "b", "c")]
    assert specs == ["fraud:1", "fraud:2", "fraud:3"]
    assert [version.version for version in models.versions("fraud")] == [1, 2, 3]
    assert [models.load(spec) for spec in specs] == ["a", "b", "c"]
    assert models.load("fraud@latest") == "c"


def test_a_version_carries_what_is_known_without_loading_it(models):
    made = models.register("fraud", {"w": 1}, metrics={"auc": 0.5, "n": 3}, description="the first")
    found = models.get("fraud:1")
    assert found == made
    assert (found.name, found.type, found.format) == ("fraud", "builtins.dict", "cloudpickle")
    assert found.metrics == {"auc": 0.5, "n": 3}
    assert type(found.metrics["n"]) is int
    assert found.description == "the first"
    assert found.run_id is None
    assert found.fingerprint == mk.fingerprint({"w": 1})
    assert found.by == {"actor": found.by["actor"], "source": found.by["source"]}
    assert found.created.tzinfo is UTC


def test_equal_models_are_two_versions_of_one_object(models):
    one, two = models.register("fraud", [1]), models.register("fraud", [1])
    assert (one.version, two.version) == (1, 2)
    assert one.digest == two.digest


def test_names_are_listed_sorted_as_first_spelled(models):
    assert models.names() == []
    for name in ("Zebra", "ant", "Kühlung", "v1.2_b-c"):
        models.register(name, name)
    assert models.names() == sorted(["Zebra", "ant", "Kühlung", "v1.2_b-c"])


def test_another_opening_of_the_store_finds_everything(local):
    local.register("fraud", 1)
    local.promote("fraud:1")
    again = mk.ModelStore(mk.Store(local.store.url))
    assert (again.names(), again.load("fraud@champion"), again.aliases("fraud")) == (["fraud"], 1, {"champion": 1})


def test_a_model_store_and_a_version_pickle(local):
    version = local.register("fraud", 1)
    assert pickle.loads(pickle.dumps(local)).load("fraud:1") == 1
    assert pickle.loads(pickle.dumps(version)) == copy.copy(version) == version


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0, 2**60 + 1, 10**400, 0.1 + 0.2, True])
def test_a_metric_comes_back_as_the_number_it_was(models, value):
    models.register("fraud", 1, metrics={"m": value})
    found = mk.ModelStore(mk.Store(models.store.url)).get("fraud:1").metrics["m"]
    assert repr(found) == repr(float(value) if isinstance(value, bool) else value)


@pytest.mark.parametrize("value", ["high", None, [1, 2], 1j, {}, Decimal("sNaN"), Fraction(10**400)])
def test_a_metric_that_is_no_number_is_refused_and_nothing_registered(models, value):
    with pytest.raises(InvalidInput, match="'m' is not a number"):
        models.register("fraud", 1, metrics={"m": value})
    assert models.names() == []


def test_an_unknown_format_is_refused_with_those_there_are(models):
    with pytest.raises(InvalidInput, match=r"no format 'joblib'. Formats: cloudpickle"):
        models.register("fraud", 1, format="joblib")
    assert models.names() == []


# Aliases


def test_an_alias_points_where_it_was_promoted_to_last(models):
    for value in "abc":
        models.register("fraud", value)
    assert str(models.promote("fraud:1")) == "fraud@champion: nothing → 1"
    assert str(models.promote("fraud:3", reason="better")) == "fraud@champion: 1 → 3"
    assert models.promote("fraud@champion", "shadow").version == 3
    assert models.aliases("fraud") == {"champion": 3, "shadow": 3}
    assert models.load("fraud@champion") == "c"


def test_rolling_back_again_goes_further_back(models):
    for value in "abc":
        models.register("fraud", value)
        models.promote("fraud@latest")
    assert [models.rollback("fraud").version, models.rollback("fraud").version] == [2, 1]
    with pytest.raises(NothingToRollBack, match="points to version 1, its first"):
        models.rollback("fraud")
    assert models.aliases("fraud") == {"champion": 1}


def test_an_alias_never_promoted_cannot_be_rolled_back(models):
    models.register("fraud", 1)
    with pytest.raises(NothingToRollBack, match=r"'champion' of 'fraud'.*never promoted"):
        models.rollback("fraud")


def test_a_promotion_to_the_version_already_there_is_in_the_history_and_needs_no_rolling_back(models):
    for value in "ab":
        models.register("fraud", value)
    for spec in ("fraud:1", "fraud:2", "fraud:2"):
        models.promote(spec)
    assert [entry.kind for entry in models.history("fraud")].count("promote") == 3
    assert models.rollback("fraud").version == 1


def test_a_promotion_after_a_rollback_forgets_what_was_rolled_back(models):
    for value in "abc":
        models.register("fraud", value)
    for spec in ("fraud:1", "fraud:2"):
        models.promote(spec)
    models.rollback("fraud")
    models.promote("fraud:3")
    assert models.rollback("fraud").version == 1


def test_aliases_are_moved_each_by_itself(models):
    for value in "ab":
        models.register("fraud", value)
    for alias in ("champion", "shadow"):
        models.promote("fraud:1", alias)
        models.promote("fraud:2", alias)
    models.rollback("fraud", "shadow")
    assert models.aliases("fraud") == {"champion": 2, "shadow": 1}


@pytest.mark.parametrize("move", [lambda m: m.promote("fraud:1", "latest"), lambda m: m.rollback("fraud", "latest")])
def test_latest_cannot_be_moved(models, move):
    models.register("fraud", 1)
    with pytest.raises(InvalidInput, match="'latest' always points to the newest version and cannot be moved"):
        move(models)


@pytest.mark.parametrize("alias", ["", "a b", "../x", "a@b", "a:1", "con", None, 3])
def test_an_alias_has_the_rules_of_a_name(models, alias):
    models.register("fraud", 1)
    with pytest.raises(InvalidName, match="cannot name an alias"):
        models.promote("fraud:1", alias)


def test_a_promotion_that_expects_another_champion_is_refused_and_told_who_moved_it_and_when(models, monkeypatch):
    for value in "ab":
        models.register("fraud", value)
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    moved = models.promote("fraud:2", expect=0)
    monkeypatch.setenv("MLOPS_KIT_USER", "bob")
    with pytest.raises(Conflict, match="points to version 2, moved there by ann at") as refused:
        models.promote("fraud:1", expect=1)
    assert moved.at.strftime("%Y-%m-%dT%H:%M:%S.%f") in told(refused)
    assert "where version 1 was expected" in told(refused)
    with pytest.raises(Conflict, match="where nothing was expected"):
        models.promote("fraud:1", expect=0)
    assert models.aliases("fraud") == {"champion": 2}
    assert models.promote("fraud:1", expect=2).previous == 2


def test_a_promotion_that_expects_a_champion_where_there_is_none_is_refused(models):
    models.register("fraud", 1)
    with pytest.raises(Conflict, match="points to nothing, where version 1 was expected"):
        models.promote("fraud:1", expect=1)


def test_of_two_promotions_that_expect_the_same_champion_one_wins(models):
    for value in "abc":
        models.register("fraud", value)
    models.promote("fraud:1")
    places = [models, mk.ModelStore(mk.Store(models.store.url))]
    gate, outcomes = threading.Barrier(2), {}

    def promote(place, spec):
        gate.wait()
        try:
            outcomes[spec] = place.promote(spec, expect=1).version
        except Conflict as refused:
            outcomes[spec] = refused

    threads = [threading.Thread(target=promote, args=pair) for pair in zip(places, ("fraud:2", "fraud:3"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes.values()) == ["Conflict", "int"]
    winner = next(outcome for outcome in outcomes.values() if isinstance(outcome, int))
    assert models.aliases("fraud") == {"champion": winner}


def test_the_history_is_every_decision_with_who_when_and_why(models, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    models.register("fraud", 1)
    models.register("fraud", 2)
    models.promote("fraud:1", reason="the first")
    models.promote("fraud:2")
    models.rollback("fraud", reason="worse on Mondays")
    entries = models.history("fraud")
    assert [entry.kind for entry in entries] == ["create", "register", "register", "promote", "promote", "rollback"]
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert {entry.by["actor"] for entry in entries} == {"ann"}
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert entries[-1].body == {"alias": "champion", "version": 1, "previous": 2, "reason": "worse on Mondays"}


# As of


def at_moments(moment):
    """Write one moment in all the ways it can be given."""
    yield moment
    yield moment.replace(tzinfo=None)
    yield moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    yield moment.isoformat()
    yield moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    yield moment.replace(tzinfo=None).isoformat(sep=" ")


def test_as_of_is_inclusive_and_takes_a_moment_in_any_form(models):
    models.register("fraud", "a")
    first = models.promote("fraud:1")
    models.register("fraud", "b")
    second = models.promote("fraud:2")
    back = models.rollback("fraud")
    for promotion, live in ((first, "a"), (second, "b"), (back, "a")):
        for moment in at_moments(promotion.at):
            assert models.load("fraud@champion", as_of=moment) == live
    for moment in at_moments(second.at - TICK):
        assert models.load("fraud@champion", as_of=moment) == "a"
    with pytest.raises(AliasNotFound):
        models.load("fraud@champion", as_of=first.at - TICK)


def test_a_bare_date_means_the_end_of_that_day(models):
    made = models.register("fraud", "a")
    models.promote("fraud:1")
    today = made.created.date()
    assert models.load("fraud@champion", as_of=today) == "a"
    assert models.load("fraud@champion", as_of=today.isoformat()) == "a"
    with pytest.raises(AliasNotFound, match=f"as of {today - timedelta(1)}"):
        models.load("fraud@champion", as_of=today - timedelta(1))


def test_nothing_existed_before_the_first_version(models):
    made = models.register("fraud", "a")
    for spec, error in (("fraud:1", VersionNotFound), ("fraud@latest", AliasNotFound), ("fraud@x", AliasNotFound)):
        with pytest.raises(error, match="as of 2001-01-01") as absent:
            models.get(spec, as_of="2001-01-01")
        assert "Versions: 1" in told(absent)
    assert models.get("fraud:1", as_of=made.created).version == 1
    with pytest.raises(VersionNotFound):
        models.get("fraud:1", as_of=made.created - TICK)


def test_latest_as_of_is_what_was_latest_then(models):
    made = [models.register("fraud", value) for value in "abc"]
    for version in made:
        assert models.get("fraud@latest", as_of=version.created).version == version.version


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "", "2026-05-01T25:00", 20260501, 1.5, [], object()])
def test_a_moment_that_is_none_is_refused(models, moment):
    models.register("fraud", 1)
    with pytest.raises(InvalidInput, match="is not a date or time"):
        models.load("fraud@latest", as_of=moment)


@pytest.mark.parametrize("moment", ["9999-12-31", "9999-12-31T23:59:59.999999", date.max, date.min, "0001-01-01"])
def test_the_farthest_moments_are_moments(models, moment):
    models.register("fraud", 1)
    try:
        assert models.load("fraud@latest", as_of=moment) == 1
    except AliasNotFound:
        assert str(moment) < "2026"


class Registry(RuleBasedStateMachine):
    """Random registering, promoting and rolling back through two openings, held against plain lists."""

    names = st.sampled_from(["ant", "Bee"])
    aliases = st.sampled_from(["champion", "shadow"])
    openings = st.integers(0, 1)

    def url(self):
        return f"memory://oracle-{id(self)}-{os.urandom(4).hex()}"

    @initialize()
    def open(self):
        url = self.url()
        self.places = [mk.ModelStore(mk.Store(url)) for _ in range(2)]
        self.made = {"ant": [], "Bee": []}
        self.standing = {}
        self.past = {"ant": [], "Bee": []}

    def remember(self, name, at):
        now = {"latest": len(self.made[name])}
        now |= {alias: stack[-1] for (other, alias), stack in self.standing.items() if other == name}
        self.past[name].append((at, now))

    @rule(name=names, opening=openings)
    def register(self, name, opening):
        number = len(self.made[name]) + 1
        version = self.places[opening].register(name, (name, number))
        assert version.version == number
        self.made[name].append((name, number))
        self.remember(name, version.created)

    @rule(name=names, alias=aliases, opening=openings, version=st.integers(1, 6), careful=st.booleans())
    def promote(self, name, alias, opening, version, careful):
        place, spec = self.places[opening], f"{name}:{version}"
        if version > len(self.made[name]):
            with pytest.raises(VersionNotFound if self.made[name] else ModelNotFound):
                place.promote(spec, alias)
            return
        stack = self.standing.setdefault((name, alias), [])
        before = stack[-1] if stack else None
        promotion = place.promote(spec, alias, expect=(before or 0) if careful else None)
        assert (promotion.version, promotion.previous) == (version, before)
        if before != version:
            stack.append(version)
        self.remember(name, promotion.at)

    @rule(name=names, alias=aliases, opening=openings)
    def roll_back(self, name, alias, opening):
        place, stack = self.places[opening], self.standing.get((name, alias), [])
        if len(stack) < 2:
            with pytest.raises(NothingToRollBack if self.made[name] else ModelNotFound):
                place.rollback(name, alias)
            return
        left = stack.pop()
        promotion = place.rollback(name, alias)
        assert (promotion.version, promotion.previous) == (stack[-1], left)
        self.remember(name, promotion.at)

    @rule(
        name=names,
        alias=st.sampled_from(["champion", "shadow", "latest"]),
        opening=openings,
        when=st.integers(0, 30),
        shift=st.sampled_from([-TICK, timedelta(0), TICK]),
        form=st.integers(0, 5),
    )
    def look_back(self, name, alias, opening, when, shift, form):
        if not self.past[name]:
            return
        moment = self.past[name][when % len(self.past[name])][0] + shift
        known = [now for at, now in self.past[name] if at <= moment]
        expected = known[-1].get(alias) if known else None
        as_of = list(at_moments(moment))[form]
        if expected is None:
            with pytest.raises(AliasNotFound):
                self.places[opening].get(f"{name}@{alias}", as_of=as_of)
        else:
            assert self.places[opening].load(f"{name}@{alias}", as_of=as_of) == (name, expected)

    @invariant()
    def the_present_agrees(self):
        for place in getattr(self, "places", []):
            assert place.names() == sorted(name for name, made in self.made.items() if made)
            for name, made in self.made.items():
                if made:
                    assert [version.version for version in place.versions(name)] == list(range(1, len(made) + 1))
                    stacks = {alias: stack for (other, alias), stack in self.standing.items() if other == name}
                    assert place.aliases(name) == {alias: stack[-1] for alias, stack in stacks.items() if stack}

    def teardown(self):
        for place in getattr(self, "places", []):
            assert place.store.fsck().problems == ()


class TestInMemory(Registry.TestCase):
    settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


def test_a_store_in_a_folder_agrees_with_the_oracle_too(tmp_path):
    class InAFolder(Registry):
        def url(self):
            return tmp_path / os.urandom(4).hex()

    run_state_machine_as_test(InAFolder, settings=settings(max_examples=8, stateful_step_count=15, deadline=None))


# What does not exist


def test_a_bare_name_is_answered_with_what_it_could_mean(models):
    for value in "abc":
        models.register("fraud", value)
    models.promote("fraud:2")
    for ask in (models.load, models.get, models.lineage, models.promote):
        with pytest.raises(InvalidSpec, match=r"'fraud:3' or 'fraud@latest'") as refused:
            ask("fraud")
        assert "Versions: 1–3; champion → 2" in told(refused)
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
        assert len(told(refused)) < 500
        assert "cannot name a model" in told(refused)
        assert told(refused).isprintable()
        told(refused).encode()
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


# What cannot be saved or loaded


class Locked:
    def __init__(self, depth=0):
        self.scores = [1, 2]
        self.parts = {"deep": [0, Locked(depth - 1)]} if depth else {"lock": threading.Lock()}


class Slotted:
    __slots__ = ("lock",)

    def __init__(self):
        self.lock = threading.Lock()


def closure_over_a_lock():
    lock = threading.Lock()
    return lambda: lock


UNPICKLABLE = {
    "attribute": (Locked, "model.parts['lock'] is of type _thread.lock"),
    "deep": (lambda: Locked(1), "model.parts['deep'][1].parts['lock'] is of type _thread.lock"),
    "slot": (Slotted, "model.lock is of type _thread.lock"),
    "item": (lambda: [1, {"x": (threading.Lock(),)}], "model[1]['x'][0] is of type _thread.lock"),
    "closure": (closure_over_a_lock, "model.<closure lock> is of type _thread.lock"),
    "generator": (lambda: {"rows": (i for i in "ab")}, "model['rows'] is of type generator"),
    "itself": (threading.Lock, "model is of type _thread.lock"),
}


@pytest.mark.parametrize(("make", "said"), UNPICKLABLE.values(), ids=UNPICKLABLE)
def test_what_cannot_be_pickled_is_refused_with_the_path_to_it_and_nothing_is_registered(models, make, said):
    with pytest.raises(NotSerializable) as refused:
        models.register("fraud", make())
    assert said in told(refused)
    assert models.names() == []


def test_a_reduce_that_raises_is_named(models):
    class Stubborn:
        def __reduce__(self):
            raise RuntimeError("not me")

    with pytest.raises(NotSerializable, match=r"model\['a'\].*Stubborn.*RuntimeError: not me"):
        models.register("fraud", {"a": Stubborn()})


class Canary:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_flipped_bit_anywhere_is_found_before_anything_is_unpickled(local, tmp_path):
    canary = tmp_path / "canary"
    local.register("fraud", Canary(canary))
    local.load("fraud:1")
    assert canary.exists()
    canary.unlink()
    file = object_file(local, "fraud:1")
    whole = file.read_bytes()
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        with pytest.raises(IntegrityError, match=r"model fraud:1 .* is damaged: expected sha256:.*, found sha256:"):
            mk.ModelStore(mk.Store(local.store.url)).load("fraud:1")
    assert not canary.exists()
    assert [problem.kind for problem in local.store.fsck().problems] == ["damaged"]


@pytest.mark.parametrize("damage", [b"", b"\x80\x05N.", None])
def test_a_truncated_replaced_or_missing_object_is_found(local, damage):
    local.register("fraud", [1, 2, 3])
    file = object_file(local, "fraud:1")
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    with pytest.raises(ObjectNotFound if damage is None else IntegrityError, match="model fraud:1"):
        local.load("fraud:1")


def test_an_altered_journal_entry_is_found(local):
    local.register("fraud", 1)
    entry = next(Path(local.store.url).glob("journals/models/fraud/000000000002.json"))
    record = json.loads(entry.read_text())
    entry.write_text(entry.read_text().replace(record["body"]["object"][-8:], "00000000"))
    with pytest.raises(IntegrityError):
        mk.ModelStore(mk.Store(local.store.url)).load("fraud:1")


def test_a_class_that_is_no_longer_importable_is_told_by_its_module(local, tmp_path, monkeypatch):
    (tmp_path / "gone_module.py").write_text("class Model: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_module

    local.register("fraud", gone_module.Model())
    monkeypatch.delitem(sys.modules, "gone_module")
    (tmp_path / "gone_module.py").write_text("class Renamed: pass\n")
    (tmp_path / "gone_module.py").touch()
    os.utime(tmp_path / "gone_module.py", (1, 1))
    with pytest.raises(NotSerializable, match=r"cannot be restored.*Model"):
        local.load("fraud:1")
    monkeypatch.delitem(sys.modules, "gone_module", raising=False)
    (tmp_path / "gone_module.py").unlink()
    with pytest.raises(NotSerializable, match="needs the module 'gone_module'"):
        local.load("fraud:1")


# Trust


@pytest.fixture
def foreign(local, strangers, tmp_path):
    """A store in which somebody else may write."""
    local.register("fraud", Canary(tmp_path / "canary"))
    objects.written.clear()
    Path(local.store.url).chmod(0o775)
    return local


def test_a_store_of_ones_own_needs_no_trust(local, strangers):
    local.register("fraud", 1)
    objects.written.clear()
    assert local.load("fraud:1") == 1


def test_what_another_could_have_written_is_not_run_and_the_remedies_work(foreign, tmp_path, monkeypatch):
    canary, url, digest = tmp_path / "canary", foreign.store.url, foreign.get("fraud:1").digest
    with pytest.raises(UntrustedArtifact) as refused:
        foreign.load("fraud:1")
    assert isinstance(refused.value, PermissionError)
    assert f"MLOPS_KIT_TRUST='{url}'" in told(refused)
    assert f"allow_code='{digest}'" in told(refused)
    assert not canary.exists()
    for wrong in ("sha256:" + "0" * 64, "", digest.upper()):
        with pytest.raises(UntrustedArtifact):
            foreign.load("fraud:1", allow_code=wrong)
    assert not canary.exists()
    foreign.load("fraud:1", allow_code=digest)
    assert canary.exists()
    canary.unlink()
    monkeypatch.setenv("MLOPS_KIT_TRUST", url)
    foreign.load("fraud:1")
    assert canary.exists()


def test_trust_in_a_store_with_a_space_in_its_path_is_given_by_the_line_that_is_told(tmp_path, strangers, monkeypatch):
    models = mk.ModelStore(mk.Store(tmp_path / "my models" / "store"))
    models.register("fraud", 1)
    objects.written.clear()
    Path(models.store.url).chmod(0o775)
    with pytest.raises(UntrustedArtifact) as refused:
        models.load("fraud:1")
    line = told(refused).partition("MLOPS_KIT_TRUST='")[2].partition("'")[0]
    monkeypatch.setenv("MLOPS_KIT_TRUST", line)
    assert models.load("fraud:1") == 1


def test_looking_without_loading_needs_no_trust(foreign):
    foreign.promote("fraud:1")
    assert foreign.get("fraud@champion").version == 1
    assert len(foreign.versions("fraud")) == 1
    assert foreign.lineage("fraud:1").run is None
    assert len(foreign.history("fraud")) == 3


def test_a_single_file_that_another_may_write_is_not_run(local, strangers):
    local.register("fraud", 1)
    objects.written.clear()
    object_file(local, "fraud:1").chmod(0o666)
    with pytest.raises(UntrustedArtifact):
        local.load("fraud:1")


def test_a_damaged_object_is_damaged_before_it_is_untrusted(foreign):
    file = object_file(foreign, "fraud:1")
    file.write_bytes(b"x" + file.read_bytes())
    with pytest.raises(IntegrityError):
        foreign.load("fraud:1")


# Runs


def test_a_model_registered_in_a_run_carries_its_id_and_metrics(models):
    with mk.start_run("training", store=models.store) as run:
        mk.log_metric("auc", 0.75)
        version = models.register("fraud", 1)
    assert (version.run_id, version.metrics) == (run.id, {"auc": 0.75})


def test_a_model_registered_beside_a_run_of_another_store_is_not_of_that_run(models, tmp_path):
    with mk.start_run("training", store=f"memory://beside-{tmp_path}"):
        mk.log_metric("auc", 0.75)
        version = models.register("fraud", 1)
    assert (version.run_id, version.metrics) == (None, {})


def test_metrics_and_run_may_be_given(models):
    with mk.start_run("training", store=models.store) as run:
        pass
    version = models.register("fraud", 1, run=run.id, metrics={"auc": 1})
    assert (version.run_id, version.metrics) == (run.id, {"auc": 1})


@pytest.mark.parametrize("run", ["../../x", "no-such-run", "", 7])
def test_a_run_that_is_no_id_is_refused(models, run):
    with pytest.raises(InvalidInput, match="run"):
        models.register("fraud", 1, run=run)
    assert models.names() == []


# Several at once


def test_threads_that_register_at_once_leave_no_gap(models):
    made, gate = [], threading.Barrier(4)

    def register(who):
        gate.wait()
        made.extend((models.register("fraud", (who, turn)).version, (who, turn)) for turn in range(6))

    threads = [threading.Thread(target=register, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(version for version, _ in made) == list(range(1, 25))
    assert all(models.load(f"fraud:{version}") == value for version, value in made)


def test_two_processes_that_register_and_promote_at_once_leave_no_gap_and_lose_nothing(local):
    script = textwrap.dedent("""
        import sys, time
        import mlops_kit as mk
        _, url, who, start = sys.argv
        models = mk.ModelStore(url)
        time.sleep(max(0, float(start) - time.time()))
        for turn in range(12):
            version = models.register("fraud", (who, turn))
            models.promote(version.spec)
            print(version.version)
    """)
    start = time.time() + 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, local.store.url, who, str(start)], stdout=subprocess.PIPE, text=True
        )
        for who in ("ann", "bob")
    ]
    numbers = [[int(line) for line in process.communicate(timeout=60)[0].split()] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(numbers[0] + numbers[1]) == list(range(1, 25))
    assert numbers[0] == sorted(numbers[0])
    loaded = {local.load(version.spec) for version in local.versions("fraud")}
    assert loaded == {(who, turn) for who in ("ann", "bob") for turn in range(12)}
    for mine, who in zip(numbers, ("ann", "bob"), strict=True):
        assert [local.load(f"fraud:{number}") for number in mine] == [(who, turn) for turn in range(12)]
    moves = [entry.body for entry in local.history("fraud") if entry.kind == "promote"]
    assert len(moves) == 24
    assert [move.get("previous") for move in moves] == [None, *(move["version"] for move in moves[:-1])]
    assert local.store.fsck().problems == ()


# Shown


def test_everything_shows_itself(models):
    hostile = "<script>alert(1)</script> \x1b[31mred\x07"
    models.register("fraud", {"a": 1}, description=hostile, metrics={hostile: 0.5})
    version = models.get("fraud:1")
    assert models.store.url in repr(models)
    assert "<script>alert(1)</script>" in repr(version)
    assert "&lt;script&gt;" in version._repr_html_()
    for shown in (repr(version), version._repr_html_()):
        assert "\x1b" not in shown
        assert "\x07" not in shown
    assert "<script>" not in version._repr_html_()


# What it costs


def test_promoting_costs_two_reads_and_one_conditional_write_and_finding_two_reads(tmp_path, monkeypatch):
    models = mk.ModelStore(mk.Store(f"memory://{tmp_path}"))
    for value in "abc":
        models.register("fraud", value)
    asked, backend = [], models.store.backend

    def counting(act):
        def counted(key, *rest, **options):
            asked.append(f"{act.__name__} head" if key.endswith("head.json") else act.__name__)
            return act(key, *rest, **options)

        return counted

    for name in ("get", "create", "put"):
        monkeypatch.setattr(backend, name, counting(getattr(backend, name)))
    models.promote("fraud:2")
    assert asked == ["get", "get", "create", "put head"]
    asked.clear()
    models.get("fraud@champion")
    assert asked == ["get", "get"]
