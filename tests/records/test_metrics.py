"""Segments of metric points: every line is checked, and a crash costs at most the last one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import IntegrityError
from mlops_kit.records.metrics import read_lines, write_lines

POINTS = st.lists(
    st.tuples(st.text(), st.floats(allow_nan=False) | st.integers(), st.none() | st.integers(), st.floats(0, 2e9)),
    max_size=6,
)
SEGMENT = write_lines([("auc", 0.5, 1, 1.5), ("loss", 2.0, None, 2.5), ("auc", 0.75, 2, 3.5)])


@given(POINTS)
def test_points_read_back_equal(points):
    assert read_lines(write_lines(points), where="here") == points


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_survive(value):
    assert repr(read_lines(write_lines([("m", value, None, 0.0)]), where="here")[0][1]) == repr(value)


def test_a_segment_torn_anywhere_gives_the_points_before_the_tear():
    whole = read_lines(SEGMENT, where="here")
    ends = [place for place, byte in enumerate(SEGMENT, 1) if byte == ord("\n")]
    for length in range(len(SEGMENT)):
        assert read_lines(SEGMENT[:length], where="here") == whole[: sum(end <= length for end in ends)]


def test_any_one_bit_flipped_in_a_segment_is_seen():
    for place in range(len(SEGMENT) * 8):
        damaged = bytearray(SEGMENT)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(IntegrityError, match="here"):
            read_lines(bytes(damaged), where="here")


def test_a_damaged_line_is_named_by_its_number():
    lines = SEGMENT.split(b"\n")
    lines[1] = lines[1].replace(b"2.0", b"3.0")
    with pytest.raises(IntegrityError, match="Line 2"):
        read_lines(b"\n".join(lines), where="here")
