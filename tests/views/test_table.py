"""Many runs shown side by side."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.views.table import RunRow, runs_html, runs_text
from mlops_kit.views.text import width

ROW = RunRow(
    *("6921b1aa-0123456789ab", "train", "default", "finished", datetime(2026, 11, 22, 10, tzinfo=UTC), 1.24),
    *({"depth": 3, "kernel": "rbf"}, {"auc": 0.9}, (), "ann"),
)


def head(text):
    return text.split("\n")[1].split()


def test_no_runs_are_said_plainly(read_html):
    assert runs_text([]) == "No runs"
    assert read_html(runs_html([])) == "No runs"


def test_the_first_line_counts_the_runs():
    assert runs_text([ROW]).startswith("1 run\n")
    assert runs_text([ROW, ROW], more=True).startswith("The newest 2 runs; there are more\n")


def test_runs_stay_in_the_order_given():
    rows = [replace(ROW, id=f"6921b1aa-00000000000{i}") for i in (2, 9, 1)]
    assert [line.split()[0] for line in runs_text(rows).split("\n")[2:]] == ["00000002", "00000009", "00000001"]


def test_what_varies_stands_before_what_is_the_same_in_all():
    rows = [ROW, replace(ROW, params={"depth": 5, "kernel": "rbf"})]
    assert head(runs_text(rows))[-3:] == ["depth", "auc", "kernel"]


def test_a_value_that_only_some_runs_have_is_a_dash_in_the_others():
    lines = runs_text([ROW, replace(ROW, metrics={})]).split("\n")
    assert "0.9" in lines[2]
    assert "–" in lines[3]


def test_a_name_that_is_both_a_metric_and_a_parameter_is_told_apart():
    assert head(runs_text([replace(ROW, metrics={"depth": 0.5})]))[-3:] == ["metrics.depth", "params.depth", "kernel"]


def test_at_most_six_values_are_shown_and_the_rest_counted():
    text = runs_text([replace(ROW, params={}, metrics={f"m{i}": float(i) for i in range(20)})], terminal=300)
    assert head(text)[-6:] == ["m0", "m1", "m2", "m3", "m4", "m5"]
    assert text.endswith("… and 14 more columns")


def test_models_and_experiments_are_shown_where_there_are_any():
    assert not {"models", "experiment", "by"} & {*head(runs_text([ROW, ROW]))}
    assert {"models", "experiment", "by"} <= {
        *head(runs_text([ROW, replace(ROW, experiment="other", models=("fraud:3",), by="bob")], terminal=200))
    }


def test_a_narrow_terminal_keeps_what_tells_the_runs_apart():
    rows = [ROW, replace(ROW, metrics={"auc": 0.95})]
    assert head(runs_text(rows, terminal=36)) == ["id", "name", "status", "auc"]


@given(st.integers(12, 150), st.lists(st.text("a模 ", min_size=1, max_size=30), min_size=1, max_size=8, unique=True))
def test_the_table_fits_the_terminal(terminal, names):
    rows = [replace(ROW, name=name, metrics=dict.fromkeys(names, 0.123)) for name in names]
    lines = runs_text(rows, terminal=terminal).split("\n")
    assert all(width(line) <= terminal for line in lines[1 : len(rows) + 2])


def test_a_run_that_still_runs_has_no_time():
    assert "–" in runs_text([replace(ROW, seconds=None)])


def test_a_notebook_shows_the_same_cells(read_html):
    shown = read_html(runs_html([ROW, ROW], more=True))
    assert all(
        word in shown
        for word in ("The newest 2 runs; there are more", "456789ab", "train", "finished", "1.24 s", "0.9", "rbf")
    )


def test_a_hundred_runs_fit_in_a_notebook_or_are_counted(read_html):
    shown = read_html(runs_html([ROW] * 500))
    assert "… and 4" in shown
    assert shown.count("456789ab") >= 50
