"""Two runs shown side by side."""

import copy
import pickle

from mlops_kit.views.diff import MISSING, Difference, diff_html, diff_text

FP = "fp1:" + "1a2b3c4d" * 8


def test_runs_that_do_not_differ_are_called_identical(read_html):
    assert diff_text("a", "b", []).startswith("a → b: identical in params, metrics, data")
    assert "identical" in read_html(diff_html("a", "b", []))


def test_both_sides_are_shown_under_their_section(read_html):
    found = [Difference("tags", "team", "red", "blue"), Difference("params", "depth", 3, 5)]
    lines = [line.split() for line in diff_text("old", "new", found).split("\n")]
    assert lines == [
        ["old", "→", "new:", "2", "differences"],
        ["old", "new"],
        ["params"],
        ["depth", "3", "5"],
        ["tags"],
        ["team", "red", "blue"],
    ]
    shown = read_html(diff_html("old", "new", found))
    assert all(word in shown for word in ("params", "depth", "3", "5", "team", "red", "blue"))


def test_what_one_side_lacks_is_a_dash():
    assert diff_text("a", "b", [Difference("params", "x", MISSING, 1)]).endswith("x     –  1")


def test_missing_is_the_same_after_a_copy_and_a_pickle():
    assert copy.deepcopy(MISSING) is MISSING
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING


def test_parameters_of_equal_looks_and_other_types_are_told_apart():
    text = diff_text("a", "b", [Difference("params", "x", 8, "8"), Difference("params", "y", 1, 1.0)])
    assert "8  '8'" in text
    assert "1  1.0" in text


def test_metrics_are_shown_in_full_with_their_change():
    text = diff_text("a", "b", [Difference("metrics", "auc", 0.9910000001, 0.9910000002)])
    assert "0.9910000001  0.9910000002  +1e-10" in text


def test_nan_has_no_change():
    assert diff_text("a", "b", [Difference("metrics", "auc", float("nan"), 0.5)]).endswith("auc    nan  0.5")


def test_long_values_are_shown_where_they_differ(read_html):
    for end in ("0", "1"):
        found = [Difference("code", "train", FP + "0", FP + "1"), Difference("params", "q", "x" * 500, "x" * 500 + "y")]
        assert f"1a2b3c4d{end}"[-6:] in diff_text("a", "b", found)
        assert "xxxy'" in read_html(diff_html("a", "b", found))


def test_a_section_of_many_is_cut_and_counted(read_html):
    found = [Difference("environment", f"package-{i}", "1", "2") for i in range(500)]
    assert "… and 460 more" in diff_text("a", "b", found)
    assert "… and 4" in read_html(diff_html("a", "b", found))
