from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.store.retry import ATTEMPTS, PATIENCE_SECONDS, pause

fractions = st.floats(0, 1)


@given(fractions)
def test_the_attempts_are_bounded_by_number(fraction):
    pauses = [pause(failures, 0.0, fraction) for failures in range(1, ATTEMPTS + 1)]
    assert pauses[-1] is None
    assert None not in pauses[:-1]


@given(st.integers(1, ATTEMPTS), fractions)
def test_the_attempts_are_bounded_by_time(failures, fraction):
    assert pause(failures, PATIENCE_SECONDS + 1, fraction) is None


@given(st.integers(1, ATTEMPTS - 2))
def test_the_longest_pause_grows_and_the_shortest_is_none_at_all(failures):
    assert pause(failures + 1, 0.0, 1.0) > pause(failures, 0.0, 1.0)
    assert pause(failures, 0.0, 0.0) == 0.0


def test_all_pauses_together_are_shorter_than_the_patience():
    assert sum(pause(failures, 0.0, 1.0) for failures in range(1, ATTEMPTS)) < PATIENCE_SECONDS
