"""Sheets and tables as aligned text."""

from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.views.sheet import Row, Sheet
from mlops_kit.views.text import aligned, flowed, padded, sheet_text


def test_wide_and_combining_characters_are_aligned_by_the_columns_they_take():
    assert aligned([("模型", "1"), ("e\u0301", "2"), ("abcde", "3")]) == ["模型   1", "e\u0301      2", "abcde  3"]


def test_numbers_are_aligned_to_the_right_where_asked():
    assert aligned([("a", "1"), ("b", "10")], right=frozenset({1})) == ["a   1", "b  10"]


def test_lines_do_not_end_in_spaces():
    assert aligned([("a", ""), ("b", "x")]) == ["a", "b  x"]


def test_details_are_wrapped_below_each_other():
    text = sheet_text(Sheet("title", (Row("params", tuple((f"parameter_{i}", "0.123") for i in range(8))),)))
    first, *rest = text.split("\n")
    assert first == "title"
    assert len(rest) > 1
    assert all(line.startswith("          parameter") for line in rest[1:])
    assert max(map(len, rest)) <= 90


def test_a_row_without_items_is_not_shown():
    assert sheet_text(Sheet("title", (Row("params", ()),))) == "title"


def test_what_is_left_out_of_a_long_list_is_counted():
    text = sheet_text(Sheet("title", (Row("columns", tuple(f"c{i}" for i in range(1234))),)))
    assert text.endswith("… and 1,214 more")


@given(st.lists(st.text("ab", min_size=1, max_size=8), max_size=20), st.integers(10, 40))
def test_flowing_keeps_every_text_in_order_and_the_width(texts, columns):
    lines = flowed(texts, columns)
    assert ", ".join(texts) == " ".join(lines)
    assert all(len(line) <= columns for line in lines)


def test_padding_never_cuts():
    assert padded("abc", 2) == "abc"
