"""Profiles: what a reader is shown of them."""

from mlops_kit.records.profile import ColumnProfile, Grid, TableProfile

UNIT = 2**20
AGE = ColumnProfile(
    name="age",
    kind="number",
    type="int64",
    rows=4,
    nulls=1,
    low=2.0,
    high=4.0,
    total=3 * UNIT,
    squares=5 * UNIT**2,
    grid=Grid("linear", 2.0, 4.0, (1,), -20),
)


def test_a_column_says_what_a_reader_asks_first_and_none_of_its_bins():
    assert repr(AGE) == "ColumnProfile('age': int64, 25.00% missing, from 2.0 to 4.0, mean 3.0, sd 0.816497)"
    assert repr(ColumnProfile("o", "other", "list<int64>", 0)) == "ColumnProfile('o': list<int64>, 0.00% missing)"


def test_a_column_of_moments_says_in_what_unit_its_ends_are():
    assert "from 0 to 86400000000 µs since 1970" in repr(
        ColumnProfile("at", "moment", "timestamp[]", 2, low=0, high=86_400_000_000)
    )


def test_many_and_long_levels_are_counted_and_cut():
    levels = ("x" * 500, *"abcdef")
    shown = repr(ColumnProfile("plan", "category", "utf8", 9, levels=levels))
    assert shown.endswith("…', 'a', 'b', 'c', 'd', … and 2 more)")
    assert len(shown) < 150


def test_a_wide_table_is_shown_in_as_many_lines_as_a_screen_has():
    lines = repr(TableProfile(1200, (AGE,) * 500)).splitlines()
    assert lines[0] == "TableProfile(1,200 rows, 500 columns)"
    assert lines[1] == f"  {AGE!r}"
    assert lines[-1] == "  … and 480 more in .columns"
    assert len(lines) == 22
    assert len(repr(TableProfile(3, (AGE,))).splitlines()) == 2
