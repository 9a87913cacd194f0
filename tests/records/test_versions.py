"""The fold of a journal, held against a plain reading of the same entries."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import NothingToRollBack
from mlops_kit.records import versions
from mlops_kit.records.entry import Entry

ACTS = st.lists(
    st.tuples(st.sampled_from(["register", "promote", "rollback", "retire", "archive", "tag"]), st.integers(1, 4)),
    max_size=25,
)


def entry(seq, kind, **body):
    return Entry(seq, "", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seq), {}, "", kind, body)


def restorable(state):
    try:
        return versions.before(state, "champion")[1]
    except NothingToRollBack:
        return None


def history(acts):
    """Make the entries that a registry could have written for some acts, and leave out those it refuses."""
    entries, state = [entry(1, "create", name="m")], {}
    versions.fold(state, entries[0])
    for kind, version in acts:
        made = len(state["versions"])
        match kind:
            case "register":
                made_entry = entry(len(entries) + 1, kind, version=made + 1)
            case "promote" if version <= made and version not in state["removed"]:
                made_entry = entry(len(entries) + 1, kind, alias="champion", version=version)
            case "rollback" if (before := restorable(state)) is not None:
                made_entry = entry(len(entries) + 1, kind, alias="champion", version=before)
            case "retire" if (live := versions.target(state, "champion")) is not None:
                made_entry = entry(len(entries) + 1, kind, alias="champion", previous=live)
            case "archive" if version <= made and versions.target(state, "champion") != version:
                made_entry = entry(len(entries) + 1, kind, version=version)
            case "tag" if version <= made:
                made_entry = entry(len(entries) + 1, kind, version=version, tags={})
            case _:
                continue
        entries.append(made_entry)
        versions.fold(state, made_entry)
    return entries, state


@given(ACTS)
def test_folding_forwards_and_reading_backwards_agree(acts):
    entries, state = history(acts)
    newest_first = entries[::-1]
    assert versions.alias_in(newest_first, "champion") == versions.target(state, "champion")
    assert versions.latest_in(newest_first) == versions.latest(state)


@given(ACTS)
def test_a_version_is_found_at_the_entry_that_made_it(acts):
    entries, state = history(acts)
    assert [entries[seq - 1].body["version"] for seq in state["versions"]] == list(range(1, len(state["versions"]) + 1))


@given(ACTS)
def test_rolling_back_as_far_as_it_goes_ends_at_the_first_promotion_that_is_not_archived_and_never_nowhere(acts):
    entries, state = history(act for act in acts if act[0] != "retire")
    promoted = [item.body["version"] for item in entries if item.kind == "promote"]
    live, gone = versions.target(state, "champion"), set(state["removed"])
    while live is not None:
        try:
            _, before = versions.before(state, "champion")
        except NothingToRollBack:
            break
        assert before not in gone
        versions.fold(state, entry(0, "rollback", alias="champion", version=before))
    first = next((version for version in promoted if version not in gone), live)
    assert versions.target(state, "champion") == first


@given(ACTS)
def test_the_periods_of_an_alias_are_what_it_pointed_to_after_each_entry(acts):
    entries, _ = history(acts)
    for alias in ("champion", "latest"):
        found = versions.periods(entries, alias)
        for one, other in itertools.pairwise(found):
            assert one.until <= other.since
        for item in entries:
            state = {}
            for earlier in entries[: item.seq]:
                versions.fold(state, earlier)
            now = versions.latest(state) if alias == "latest" else versions.target(state, alias)
            at = [p.version for p in found if p.since <= item.at and (p.until is None or item.at < p.until)]
            assert at == ([] if now is None else [now])


def test_a_rollback_passes_over_what_was_archived_since():
    acts = [("register", 1)] * 3 + [("promote", 1), ("promote", 2), ("promote", 3), ("archive", 2)]
    _, state = history(acts)
    assert versions.before(state, "champion") == (3, 1)
    versions.fold(state, entry(9, "rollback", alias="champion", version=1))
    assert state["aliases"] == {"champion": [1]}
    _, state = history([*acts, ("archive", 1)])
    with pytest.raises(NothingToRollBack, match="those before it, 1, 2, were archived or deleted"):
        versions.before(state, "champion")


def test_a_rollback_takes_a_retirement_back_and_a_promotion_begins_anew():
    acts = [("register", 1)] * 3 + [("promote", 1), ("promote", 2), ("retire", 0)]
    _, state = history(acts)
    assert (versions.target(state, "champion"), versions.before(state, "champion")) == (None, (None, 2))
    assert state["retired"]["champion"] == {
        "actor": "",
        "at": "2026-01-01T00:00:07.000000Z",
        "reason": "",
        "version": 2,
        "standing": [1, 2],
    }
    _, back = history([*acts, ("rollback", 0)])
    assert (back["aliases"], "retired" in back) == ({"champion": [1, 2]}, False)
    _, gone = history([*acts, ("archive", 2)])
    assert versions.before(gone, "champion") == (None, 1)
    _, anew = history([*acts, ("promote", 3)])
    assert (anew["aliases"], "retired" in anew) == ({"champion": [3]}, False)
    with pytest.raises(NothingToRollBack):
        versions.before(anew, "champion")


def test_a_freeze_stands_until_it_is_lifted():
    _, state = history([("register", 1)])
    versions.fold(state, entry(3, "freeze", frozen=True, reason="audit \ud800"))
    assert state["frozen"] == {"actor": "", "at": "2026-01-01T00:00:03.000000Z", "reason": "audit \\ud800"}
    versions.fold(state, entry(4, "freeze", frozen=False))
    assert "frozen" not in state


def test_promoting_what_is_live_adds_nothing_to_undo():
    _, state = history([("register", 1), ("register", 1), ("promote", 1), ("promote", 2), ("promote", 2)])
    assert versions.before(state, "champion") == (2, 1)


def test_rolling_back_again_goes_further_back():
    _, state = history([("register", 1)] * 3 + [("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 1)])
    assert versions.target(state, "champion") == 2
    assert versions.before(state, "champion") == (2, 1)


@pytest.mark.parametrize("acts", [[("register", 1)], [("register", 1), ("promote", 1)]])
def test_there_is_nothing_to_roll_back_to(acts):
    _, state = history(acts)
    with pytest.raises(NothingToRollBack, match="'champion' of 'm' has no earlier promotion"):
        versions.before(state, "champion")


def test_kinds_of_a_later_release_change_nothing():
    _, state = history([("register", 1)])
    before = repr(state)
    versions.fold(state, entry(3, "certify", version=1))
    assert repr(state) == before


def test_the_latest_version_passes_over_what_was_removed():
    _, state = history([("register", 1)] * 3 + [("archive", 3), ("archive", 1)])
    assert versions.latest(state) == 2
