"""The fragment of HTML that a notebook shows."""

from mlops_kit.views.html import LIMIT, Room, fragment, more, sheet, table
from mlops_kit.views.sheet import Row, Sheet

SMALL = Room(2, 30)


def test_a_fragment_shows_as_much_as_fits():
    asked = []

    def body(room):
        asked.append(room)
        return "x" * (room.items * 2000)

    made = fragment(body)
    assert len(made) <= LIMIT
    assert len(asked) > 1
    assert made.count("x" * 2000 * asked[-1].items) == 1


def test_bytes_are_counted_and_not_characters():
    assert len(fragment(lambda room: "模" * (room.items * 200)).encode()) <= LIMIT


def test_style_applies_to_nothing_outside_and_knows_dark_notebooks(read_html):
    made = fragment(lambda _room: "")
    read_html(made)
    style = made.partition("<style>")[2].partition("</style>")[0]
    rules = [rule for rule in style.replace("@media (prefers-color-scheme:dark){", "").split("}") if "{" in rule]
    selectors = [selector for rule in rules for selector in rule.partition("{")[0].split(",")]
    assert all(selector.strip().startswith(".mlk") for selector in selectors)
    assert "prefers-color-scheme:dark" in style


def test_the_label_and_the_items_of_a_row_are_escaped():
    made = sheet(Sheet("<t>", (Row("<l>", ("<i>", ("<n>", "<v>"))),)), Room(9, 30))
    assert all(f"&lt;{letter}&gt;" in made for letter in "tlinv")
    assert "<i>" not in made


def test_items_left_out_are_counted():
    assert "… and 3 more" in sheet(Sheet("t", (Row("l", tuple("abcde")),)), SMALL)
    assert "… and 3 more" in table(["h"], [[letter] for letter in "abcde"], SMALL)
    assert more(0) == ""


def test_a_table_says_which_columns_are_aligned_to_the_right():
    assert '<td class="r">1</td>' in table(["a", "b"], [["x", "1"]], SMALL, right=frozenset({1}))
