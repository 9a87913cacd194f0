"""What was live at any moment of the past, however the moment is given."""

from __future__ import annotations

import os
from datetime import date, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import mlops_kit as mk
from mlops_kit.errors import (
    AliasNotFound,
    Frozen,
    InvalidInput,
    ModelNotFound,
    NothingToRollBack,
    StillLive,
    VersionNotFound,
)

TICK = timedelta(microseconds=1)


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
        assert "Versions: 1" in str(absent.value)
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
    """Random decisions on models through two openings, held against plain lists."""

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
        self.gone = {"ant": {}, "Bee": {}}
        self.votes = {}
        self.frozen = set()

    def latest(self, name):
        return max(set(range(1, len(self.made[name]) + 1)) - set(self.gone[name]), default=None)

    def deleted(self, name, version):
        return self.gone[name].get(version) == "delete"

    def remember(self, name, at):
        now = {"latest": self.latest(name)}
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
        if version in self.gone[name]:
            with pytest.raises(VersionNotFound):
                place.promote(spec, alias)
            return
        if name in self.frozen:
            with pytest.raises(Frozen):
                place.promote(spec, alias)
            return
        stack = self.standing.setdefault((name, alias), [])
        before = stack[-1] if stack else None
        promotion = place.promote(spec, alias, expect=before if careful else "any")
        assert (promotion.version, promotion.previous) == (version, before)
        if before != version:
            stack.append(version)
        self.remember(name, promotion.at)

    @rule(name=names, alias=aliases, opening=openings)
    def roll_back(self, name, alias, opening):
        place, stack = self.places[opening], self.standing.get((name, alias), [])
        earlier = [v for v in stack if v != stack[-1] and v not in self.gone[name]]
        if not earlier:
            with pytest.raises(NothingToRollBack if self.made[name] else ModelNotFound):
                place.rollback(name, alias)
            return
        left = stack.pop()
        while stack[-1] != earlier[-1]:
            stack.pop()
        promotion = place.rollback(name, alias)
        assert (promotion.version, promotion.previous) == (stack[-1], left)
        self.remember(name, promotion.at)

    @rule(name=names, opening=openings, version=st.integers(1, 6), act=st.sampled_from(["archive", "delete"]))
    def remove(self, name, opening, version, act):
        place, spec = self.places[opening], f"{name}:{version}"
        live = any(stack[-1:] == [version] for (other, _), stack in self.standing.items() if other == name)
        if version > len(self.made[name]) or self.deleted(name, version):
            with pytest.raises(VersionNotFound if self.made[name] else ModelNotFound):
                getattr(place, act)(spec, reason="old")
        elif live:
            with pytest.raises(StillLive):
                getattr(place, act)(spec, reason="old")
        else:
            entry = getattr(place, act)(spec, reason="old")
            self.gone[name][version] = act
            self.remember(name, entry.at)

    @rule(name=names, opening=openings, version=st.integers(1, 6), yes=st.booleans(), who=st.sampled_from("AB"))
    def vote(self, name, opening, version, yes, who):
        place = self.places[opening]
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("MLOPS_KIT_USER", who)
            say = place.approve if yes else place.reject
            if version > len(self.made[name]) or self.deleted(name, version):
                with pytest.raises(VersionNotFound if self.made[name] else ModelNotFound):
                    say(f"{name}:{version}")
                return
            say(f"{name}:{version}")
        self.votes.setdefault((name, version), {})[who] = yes

    @rule(name=names, opening=openings, frozen=st.booleans())
    def freeze(self, name, opening, frozen):
        if self.made[name]:
            (self.places[opening].freeze if frozen else self.places[opening].unfreeze)(name, reason="audit")
            (self.frozen.add if frozen else self.frozen.discard)(name)

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
            in_force = self.places[opening].timeline(name, alias, since=moment, until=moment)
            assert [period.version for period in in_force] == [expected]

    @invariant()
    def the_present_agrees(self):
        for place in getattr(self, "places", []):
            assert place.names() == sorted(name for name, made in self.made.items() if made)
            for name, made in self.made.items():
                if made:
                    kept = [version for version in range(1, len(made) + 1) if version not in self.gone[name]]
                    assert [version.version for version in place.versions(name)] == kept
                    for version in place.versions(name):
                        votes = self.votes.get((name, version.version), {})
                        assert {vote.actor for vote in version.approvals} == {who for who, yes in votes.items() if yes}
                        assert len(version.approvals) + len(version.rejections) == len(votes)
                    assert (place.frozen(name) is not None) == (name in self.frozen)
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
