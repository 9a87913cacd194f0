"""The fold of a journal, held against a plain reading of the same entries."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import NothingToRollBack
from mlops_kit.records import versions
from mlops_kit.records.entry import Entry

ACTS = st.lists(
    st.tuples(st.sampled_from(["register", "promote", "rollback", "archive", "tag"]), st.integers(1, 4)), max_size=25
)


def entry(seq, kind, **body):
    return Entry(seq, "", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seq), {}, "", kind, body)


def history(acts):
    """Make the entries that a registry could have written for some acts, and leave out those it refuses."""
    entries, state = [entry(1, "create", name="m")], {}
    versions.fold(state, entries[0])
    for kind, version in acts:
        made = len(state["versions"])
        match kind:
            case "register":
                made_entry = entry(len(entries) + 1, kind, version=made + 1)
            case "promote" if version <= made:
                made_entry = entry(len(entries) + 1, kind, alias="champion", version=version)
            case "rollback" if len(state["aliases"].get("champion", [])) > 1:
                _, before = versions.before(state, "champion")
                made_entry = entry(len(entries) + 1, kind, alias="champion", version=before)
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
def test_rolling_back_as_far_as_it_goes_ends_at_the_first_promotion_and_never_nowhere(acts):
    entries, state = history(acts)
    first = next((item.body["version"] for item in entries if item.kind == "promote"), None)
    while versions.target(state, "champion") is not None:
        try:
            _, before = versions.before(state, "champion")
        except NothingToRollBack:
            break
        versions.fold(state, entry(0, "rollback", alias="champion", version=before))
    assert versions.target(state, "champion") == first


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
