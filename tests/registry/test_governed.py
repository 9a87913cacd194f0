"""People approve, reject, tag, describe, archive, delete and freeze, and are told why they may not."""

import threading
from datetime import timedelta

import pytest

import mlops_kit as mk
from mlops_kit.errors import (
    AliasNotFound,
    AliasRetired,
    Frozen,
    InvalidInput,
    InvalidName,
    ModelNotFound,
    NothingToRollBack,
    StillLive,
    VersionNotFound,
)

TICK = timedelta(microseconds=1)


@pytest.fixture
def acting(monkeypatch):
    def become(actor):
        monkeypatch.setenv("MLOPS_KIT_USER", actor)

    become("author")
    return become


@pytest.fixture
def three(models, acting):
    for value in "abc":
        models.register("fraud", value)
    return models


# Approvals


def test_the_last_word_of_each_counts(three, acting):
    acting("ann")
    three.approve("fraud:1", reason="holds up")
    acting("bob")
    three.approve("fraud:1")
    three.reject("fraud:1", reason="leaks the label")
    version = three.get("fraud:1")
    assert [(vote.actor, vote.source, vote.reason) for vote in version.approvals] == [("ann", "config", "holds up")]
    assert [(vote.actor, vote.reason) for vote in version.rejections] == [("bob", "leaks the label")]
    three.approve("fraud:1")
    assert [vote.actor for vote in three.get("fraud:1").approvals] == ["ann", "bob"]
    assert three.get("fraud:1").rejections == ()
    assert three.get("fraud:2").approvals == ()


def test_whoever_registered_a_version_may_approve_and_does_not_count_for_a_rule_of_two(three, acting):
    for actor in ("author", "Author", "AUTHOR"):
        acting(actor)
        three.approve("fraud:1")
    assert len(three.get("fraud:1").approvals) == 1
    assert three.get("fraud:1").approved_by == ()
    acting("ann")
    three.approve("fraud:1")
    acting("ANN")
    three.approve("fraud:1")
    assert three.get("fraud:1").approved_by == ("ANN",)


def test_an_approval_belongs_to_the_version_an_alias_pointed_to_when_it_was_given(three, acting):
    three.promote("fraud:1")
    three.approve("fraud@champion")
    three.promote("fraud:2")
    assert len(three.get("fraud:1").approvals) == 1
    assert three.get("fraud@champion").approvals == ()


def test_what_was_said_is_known_as_of_any_moment(three, acting):
    before = three.get("fraud:1").created
    said = [three.approve("fraud:1"), three.tag("fraud:1", stage="trial"), three.describe("fraud:1", "good")]
    said += [three.reject("fraud:1"), three.tag("fraud:1", stage=None), three.archive("fraud:1")]
    known = [three.get("fraud:1", as_of=entry.at) for entry in said]
    assert [len(version.approvals) for version in known] == [1, 1, 1, 0, 0, 0]
    assert [version.tags.get("stage") for version in known] == [None, "trial", "trial", "trial", None, None]
    assert [version.description for version in known] == [None, None, *["good"] * 4]
    assert [version.archived for version in known] == [*[False] * 5, True]
    assert three.get("fraud:1", as_of=before) == three.versions("fraud", as_of=before)[0]


def test_another_opening_of_the_store_knows_what_was_said(local, acting):
    local.register("fraud", 1)
    local.approve("fraud:1")
    local.tag("fraud:1", team="risk")
    version = mk.ModelStore(mk.Store(local.store.url)).get("fraud@latest")
    assert (len(version.approvals), version.tags) == (1, {"team": "risk"})
    assert version == local.get("fraud:1") == local.versions("fraud")[0]
    assert local.store.fsck().problems == ()


# Tags and descriptions


def test_tags_are_set_changed_and_taken_away(three):
    three.tag("fraud:1", team="risk", tier=1)
    three.tag("fraud:1", tier=2, spec="any")
    three.untag("fraud:1", "team", "never there")
    assert three.get("fraud:1").tags == {"tier": "2", "spec": "any"}


def test_a_description_replaces_that_of_the_registration_and_the_card_grows(models):
    models.register("fraud", 1, description="first", card={"limits": "None known.", "owner": "ann"})
    models.describe("fraud:1", card={"limits": ["Not for minors."], "owner": None, "intended_use": "Review."})
    version = models.get("fraud:1")
    assert version.description == "first"
    assert version.card == {"limits": ["Not for minors."], "intended_use": "Review."}
    models.describe("fraud:1", "second")
    assert (models.get("fraud:1").description, models.get("fraud:1").card) == ("second", version.card)


@pytest.mark.parametrize("card", ["text", {"": "x"}, {1: "x"}, {"limits": 3}, {"limits": [1]}, {"limits": {"a": "b"}}])
def test_a_card_that_is_no_text_by_heading_is_refused_and_nothing_written(models, card):
    with pytest.raises(InvalidInput):
        models.register("fraud", 1, card=card)
    assert models.names() == []
    models.register("fraud", 1)
    with pytest.raises(InvalidInput):
        models.describe("fraud:1", card=card)
    assert len(models.history("fraud")) == 2


def test_saying_nothing_is_refused(three):
    for say in (three.describe, three.tag, three.untag):
        with pytest.raises(InvalidInput, match="There is nothing to"):
            say("fraud:1")


# Retire


def test_a_retired_alias_points_nowhere_and_says_why(three, acting):
    promoted = three.promote("fraud:2")
    acting("ann")
    three.retire("fraud", "champion", reason="the product ended")
    assert three.aliases("fraud") == {}
    assert three.retired("fraud")["champion"]["version"] == 2
    for act in (three.load, three.get, three.card, three.lineage, three.promote, three.approve):
        with pytest.raises(AliasRetired, match=r"retired by ann at 20.*: the product ended. It pointed to version 2"):
            act("fraud@champion")
    assert three.load("fraud@champion", as_of=promoted.at) == "b"
    with pytest.raises(AliasRetired, match="retired by ann"):
        three.get("fraud@champion", as_of=three.history("fraud")[-1].at)
    (period,) = three.timeline("fraud")
    assert (period.version, period.until) == (2, three.history("fraud")[-1].at)
    three.archive("fraud:2")


def test_what_was_retired_is_promoted_again_or_rolled_back_to(three):
    three.promote("fraud:1")
    three.promote("fraud:2")
    three.retire("fraud", "champion")
    assert (three.rollback("fraud").version, three.aliases("fraud")) == (2, {"champion": 2})
    three.retire("fraud", "champion")
    made = three.promote("fraud:3", expect=0)
    assert (made.previous, made.version, three.retired("fraud")) == (None, 3, {})
    with pytest.raises(NothingToRollBack):
        three.rollback("fraud")
    assert three.audit("fraud").ok


def test_only_what_points_somewhere_is_retired(three):
    with pytest.raises(AliasNotFound, match="no alias 'champion' to retire"):
        three.retire("fraud", "champion")
    three.promote("fraud:1")
    three.retire("fraud", "champion")
    with pytest.raises(AliasRetired):
        three.retire("fraud", "champion")
    with pytest.raises(ModelNotFound):
        three.retire("other", "champion")
    with pytest.raises(InvalidName, match=r"retire takes name and alias, as in \('fraud', 'champion'\)"):
        three.retire("fraud@champion", "champion")
    with pytest.raises(InvalidInput, match="latest"):
        three.retire("fraud", "latest")


def test_a_frozen_model_can_be_retired(three):
    three.promote("fraud:1")
    three.freeze("fraud", reason="audit")
    three.retire("fraud", "champion")
    assert three.aliases("fraud") == {}


def test_another_opening_of_the_store_knows_what_was_retired(local, acting):
    local.promote(local.register("fraud", "a").spec)
    local.retire("fraud", "champion", reason="over")
    with pytest.raises(AliasRetired, match="over"):
        mk.ModelStore(local.store.url).load("fraud@champion")
    assert local.store.fsck().ok


# Aliases


def test_an_alias_that_differs_only_in_case_is_refused(three):
    three.promote("fraud:1", "staging")
    for act in (
        lambda: three.promote("fraud:2", "Staging"),
        lambda: three.rollback("fraud", "STAGING"),
        lambda: three.retire("fraud", "Staging"),
    ):
        with pytest.raises(InvalidName, match="differs only in case from 'staging'"):
            act()
    with pytest.raises(AliasNotFound, match="There is 'staging'"):
        three.load("fraud@Staging")
    for reserved in ("latest", "Latest"):
        with pytest.raises(InvalidInput):
            three.promote("fraud:1", reserved)


# Copy


def test_a_copy_keeps_what_made_it_and_names_where_it_is_from(models, acting):
    with mk.start_run(store=models.store) as run:
        models.register("tries", "a", metrics={"auc": 0.9}, description="the best", card={"limits": "few rows"})
    models.tag("tries:1", team="risk")
    models.approve("tries:1")
    acting("ann")
    copied, first = models.copy("tries:1", "fraud"), models.get("tries:1")
    assert (copied.spec, copied.source, copied.by["actor"]) == ("fraud:1", "tries:1", "ann")
    for name in ("digest", "fingerprint", "metrics", "run_id", "description", "card", "size", "type"):
        assert getattr(copied, name) == getattr(first, name)
    assert (copied.run_id, copied.tags, copied.approvals) == (run.id, {}, ())
    assert models.lineage("fraud:1").run["id"] == run.id
    assert "copy of tries:1" in " ".join(repr(copied).split())
    assert "copy of" in models.card("fraud:1").to_markdown()
    assert models.load("fraud:1") == "a"
    assert models.copy("tries@latest", "fraud").version == 2
    assert models.audit().ok


def test_a_copy_of_nothing_or_to_no_name_is_refused(three):
    with pytest.raises(VersionNotFound):
        three.copy("fraud:9", "other")
    for name in ("no/name", "Fraud"):
        with pytest.raises(InvalidName):
            three.copy("fraud:1", name)


# Archive and delete


def test_an_archived_version_is_not_listed_not_latest_and_still_loads(three):
    three.archive("fraud:3", reason="superseded")
    assert [version.version for version in three.versions("fraud")] == [1, 2]
    assert three.get("fraud@latest").version == 2
    assert three.load("fraud:3") == "c"
    with pytest.raises(VersionNotFound, match="fraud:3 was archived, and cannot be promoted"):
        three.promote("fraud:3")


def test_a_deleted_version_is_found_only_as_of_a_moment_before(three, acting):
    gone = three.delete("fraud:3", reason="a customer objected")
    for ask in (three.get, three.load, three.lineage, three.promote, three.approve, three.delete, three.archive):
        with pytest.raises(VersionNotFound, match=r"fraud:3 was deleted by author at .*: a customer objected"):
            ask("fraud:3", **({"reason": "again"} if ask == three.delete else {}))
    assert three.load("fraud:3", as_of=gone.at - TICK) == "c"
    assert three.register("fraud", "d").version == 4


def test_what_is_live_can_be_neither_archived_nor_deleted(three):
    three.promote("fraud:1")
    three.promote("fraud:1", "shadow")
    for remove in (three.archive, three.delete):
        with pytest.raises(StillLive, match="fraud:1 is live as champion, shadow, and cannot be"):
            remove("fraud:1", reason="old")
    three.promote("fraud:2")
    three.promote("fraud:2", "shadow")
    three.archive("fraud:1")
    assert three.aliases("fraud") == {"champion": 2, "shadow": 2}


def test_a_rollback_never_brings_back_what_was_archived(three):
    for spec in ("fraud:1", "fraud:2", "fraud:3"):
        three.promote(spec)
    three.archive("fraud:2")
    assert three.rollback("fraud").version == 1
    three.promote("fraud:3")
    three.archive("fraud:1")
    with pytest.raises(NothingToRollBack, match="those before it, 1, were archived or deleted"):
        three.rollback("fraud")


def test_when_all_versions_are_gone_nothing_is_latest(models):
    models.register("fraud", 1)
    models.delete("fraud:1", reason="wrong")
    assert models.versions("fraud") == []
    with pytest.raises(AliasNotFound):
        models.get("fraud@latest")


# Freeze


def test_a_frozen_model_cannot_be_promoted_and_can_be_rolled_back(three, acting):
    three.promote("fraud:1")
    three.promote("fraud:2")
    acting("ann")
    three.freeze("fraud", reason="audit week")
    with pytest.raises(Frozen, match=r"'fraud' were frozen by ann at .*: audit week.*models.unfreeze\('fraud'\)"):
        three.promote("fraud:3")
    assert three.frozen("fraud")["actor"] == "ann"
    assert three.rollback("fraud").version == 1
    assert three.register("fraud", "d").version == 4
    three.unfreeze("fraud")
    assert three.frozen("fraud") is None
    assert three.promote("fraud:3").version == 3


def test_freezing_says_who_and_why_to_other_openings_too(local, acting):
    local.register("fraud", 1)
    local.freeze("fraud", reason="audit \ud800 week")
    with pytest.raises(Frozen, match="audit"):
        mk.ModelStore(mk.Store(local.store.url)).promote("fraud:1")
    with pytest.raises(ModelNotFound):
        local.freeze("other", reason="x")
    assert local.store.fsck().ok


# Between A and B


def test_the_timeline_tells_what_was_live_between_two_moments(three):
    first = three.promote("fraud:1", reason="the first")
    three.promote("fraud:1")
    second = three.promote("fraud:2")
    back = three.rollback("fraud", reason="worse")
    found = three.timeline("fraud")
    assert [(p.version, p.since, p.until, p.kind) for p in found] == [
        (1, first.at, second.at, "promote"),
        (2, second.at, back.at, "promote"),
        (1, back.at, None, "rollback"),
    ]
    assert found[0].reason == "the first"
    assert [p.version for p in three.timeline("fraud", since=second.at + TICK)] == [2, 1]
    assert [p.version for p in three.timeline("fraud", until=second.at - TICK)] == [1]
    assert [p.version for p in three.timeline("fraud", since=second.at + TICK, until=back.at - TICK)] == [2]
    assert three.timeline("fraud", until=first.at - TICK) == []
    assert three.timeline("fraud", "shadow") == []
    assert [p.version for p in three.timeline("fraud", "latest")] == [1, 2, 3]


def test_aliases_versions_and_history_are_known_as_of_any_moment(three):
    first = three.promote("fraud:1")
    archived = three.archive("fraud:3")
    three.promote("fraud:2")
    assert three.aliases("fraud", as_of=first.at) == {"champion": 1}
    assert three.aliases("fraud", as_of=first.at - TICK) == {}
    assert [v.version for v in three.versions("fraud", as_of=archived.at - TICK)] == [1, 2, 3]
    assert [v.version for v in three.versions("fraud", as_of=archived.at)] == [1, 2]
    assert three.history("fraud", as_of=first.at)[-1].kind == "promote"
    assert three.versions("fraud", as_of="2001-01-01") == three.history("fraud", as_of="2001-01-01") == []


# Races


def race(url, *acts):
    """Let each act on an opening of its own at once; give what came of each."""
    gate, outcomes = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place, act):
        models = mk.ModelStore(mk.Store(url))
        gate.wait()
        try:
            outcomes[place] = act(models)
        except mk.errors.MlopsKitError as refused:
            outcomes[place] = refused

    threads = [threading.Thread(target=run, args=item) for item in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("turn", range(8))
def test_of_a_promotion_and_an_archiving_at_once_one_is_refused(three, turn):
    promoted, archived = race(
        three.store.url, lambda m: m.promote("fraud:1"), lambda m: m.archive("fraud:1", reason=str(turn))
    )
    live = three.aliases("fraud").get("champion")
    if live == 1:
        assert isinstance(archived, StillLive)
        assert not three.get("fraud:1").archived
    else:
        assert isinstance(promoted, VersionNotFound)
        assert three.get("fraud:1").archived


@pytest.mark.parametrize("turn", range(8))
def test_a_promotion_during_a_rollback_comes_before_or_after_it(three, turn):
    three.promote("fraud:1")
    three.promote("fraud:2")
    race(three.store.url, lambda m: m.promote("fraud:3", reason=str(turn)), lambda m: m.rollback("fraud"))
    kinds = [entry.kind for entry in three.history("fraud")][-2:]
    assert three.aliases("fraud")["champion"] == {"promote": 3, "rollback": 2}[kinds[-1]]
    assert sorted(kinds) == ["promote", "rollback"]


def test_votes_of_many_at_once_are_all_kept(three, monkeypatch):
    monkeypatch.delenv("MLOPS_KIT_USER")
    monkeypatch.setattr(
        "mlops_kit.store.identity.author", lambda: {"actor": threading.current_thread().name, "source": "user"}
    )
    race(three.store.url, *[lambda m: m.approve("fraud:1")] * 6)
    assert len(three.get("fraud:1").approvals) == 6
