"""Who else may have written a file is decided from owners and modes alone, and so is what may run."""

import stat

from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.store.verdict import Facts, Place, User, decide, exposure

ME, ROOT, OTHER = 1000, 0, 1001
MINE, SHARED = 1000, 100
numbers = st.sampled_from([ME, ROOT, OTHER])
groups = st.sampled_from([MINE, SHARED, ROOT])
kinds = st.sampled_from([stat.S_IFDIR, stat.S_IFREG])
modes = st.integers(0, 0o7777)
places = st.builds(
    lambda owner, group, kind, mode, has_list: Place("/srv/x", owner, group, kind | mode, has_list),
    *(numbers, groups, kinds, modes, st.booleans()),
)


def is_fine(place):
    """Say it in other words than the code does: nobody but this user and root can put something else there."""
    sticky = stat.S_ISDIR(place.mode) and place.mode & 0o1000
    group_counts = place.mode & 0o020 and not (place.group == MINE and not place.has_list)
    return place.owner in (ME, ROOT) and (sticky or not (group_counts or place.mode & 0o002))


@given(st.lists(places, max_size=4))
def test_a_file_is_exposed_if_one_place_on_its_way_is(on_the_way):
    assert (exposure(on_the_way, User(ME, MINE)) is None) == all(map(is_fine, on_the_way))


@given(places)
def test_the_reason_names_the_place_and_its_mode(place):
    why = exposure([place], User(ME, MINE))
    assert why is None or ("/srv/x" in why and f"(mode {stat.S_IMODE(place.mode):o})" in why)


@given(places)
def test_who_has_no_group_of_their_own_shares_each(place):
    alone, shared = exposure([place], User(ME, MINE)), exposure([place], User(ME))
    assert shared is not None or alone is None


facts = st.builds(
    Facts,
    pickled_here=st.booleans(),
    allowed=st.booleans(),
    listed=st.booleans(),
    exposed=st.none() | st.text(),
    unmade=st.none() | st.text(),
)


@given(facts)
def test_one_who_vouches_is_enough_and_else_the_place_must_be_ones_own_and_private(known):
    vouched = known.pickled_here or known.allowed or known.listed
    assert decide(known).trusted == (vouched or (known.exposed is None and known.unmade is None))


@given(facts)
def test_a_refusal_says_why(known):
    verdict = decide(known)
    assert verdict.trusted or (known.exposed or known.unmade or "") in verdict.why
