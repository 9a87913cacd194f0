from pathlib import Path

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


def test_the_page_promises_what_is_done():
    page = " ".join((Path(__file__).parents[2] / "docs" / "how-to" / "stores.md").read_text(encoding="utf-8").split())
    assert "sent again five times, with random pauses of at most 8 seconds in all" in page
    assert ATTEMPTS - 1 == 5
    assert 7 < sum(pause(failures, 0.0, 1.0) for failures in range(1, ATTEMPTS)) < 8
    assert "never later than a minute after the first" in page
    assert pause(1, 59.9, 0.5) is not None
    assert pause(1, 60.1, 0.5) is None


def test_all_pauses_together_are_shorter_than_the_patience():
    assert sum(pause(failures, 0.0, 1.0) for failures in range(1, ATTEMPTS)) < PATIENCE_SECONDS
