"""Nested values are named by paths that no two of them share."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.records.paths import described, flat, segments

NAMES = st.text(st.sampled_from("ab.['1]\""), max_size=4)
KEYS = NAMES | st.integers(0, 11) | st.none() | st.tuples(NAMES)
LEAVES = st.integers()


@given(st.dictionaries(KEYS, LEAVES))
def test_the_keys_of_a_mapping_have_different_segments(mapping):
    assert len(set(segments(list(mapping)))) == len(mapping)


@settings(max_examples=60)
@given(
    st.dictionaries(
        NAMES,
        st.recursive(
            LEAVES,
            lambda inner: (
                st.dictionaries(KEYS, inner, min_size=1)
                | st.builds(described, st.just("a.Type"), st.dictionaries(NAMES, inner))
            ),
            max_leaves=12,
        ),
    )
)
def test_no_leaf_is_lost_when_parameters_are_flattened(params):
    found = flat(params)
    assert sorted(value for value in found.values() if value != "a.Type") == sorted(leaves(params))


def leaves(value):
    if not isinstance(value, dict):
        return [value]
    held = value["params"] if set(value) == {"type", "params"} else value
    return [leaf for item in held.values() for leaf in leaves(item)]


def test_a_name_with_a_dot_and_a_path_of_the_same_text_are_both_kept():
    assert flat({"a": {"b": 1}, "a.b": 2}) == {"a.b'": 1, "a.b": 2}
