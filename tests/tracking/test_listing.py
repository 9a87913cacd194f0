"""Runs are found again, newest first, as a sequence and as a frame."""

from __future__ import annotations

import math

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, RunNotFound


@pytest.fixture
def runs():
    made = []
    for number, experiment in enumerate(["a", "b", "a"]):
        with mk.start_run(f"run-{number}", experiment=experiment) as run:
            run.log_params({"n": number, "deep": {"x": [number]}})
            run.log_metric("auc", math.nan if number else 0.5)
        made.append(run)
    return made


def test_runs_are_listed_with_all_that_is_known(runs):
    table = mk.list_runs()
    assert set(table) == set(runs)
    assert len(mk.list_runs(limit=2)) == 2
    assert len(table[:2]) == 2
    assert {run.name for run in mk.list_runs(experiment="a")} == {"run-0", "run-2"}
    assert [len(mk.list_runs(status=status)) for status in ("finished", "failed", "running")] == [3, 0, 0]
    assert table[0].name in repr(table)
    assert table[0].name in table._repr_html_()


def test_runs_become_a_frame(runs):
    frame = mk.list_runs(limit=None).to_pandas().set_index("name").sort_index()
    assert frame["params.n"].tolist() == [0, 1, 2]
    assert frame["metrics.auc"].isna().tolist() == [False, True, True]
    assert set(frame["status"]) == {"finished"}


def test_an_empty_store_has_no_runs():
    assert (len(mk.list_runs()), mk.list_runs().to_pandas().empty) == (0, True)
    assert repr(mk.list_runs())


@pytest.mark.parametrize(
    "options", [{"status": "done"}, {"limit": -1}, {"limit": "all"}, {"limit": True}, {"limit": 1.5}]
)
def test_questions_that_cannot_be_are_refused(options):
    with pytest.raises(InvalidInput):
        mk.list_runs(**options)


def test_a_run_is_found_by_its_beginning_and_its_end(runs):
    first = runs[0]
    for part in (first.id, first.id[-6:], first.id[:14]):
        assert mk.get_run(part) == first
    with pytest.raises(RunNotFound, match="3 runs"):
        mk.get_run(first.id[:6])
    with pytest.raises(RunNotFound, match="matches '0123'"):
        mk.get_run("0123")
    for wrong in ("", "xyz", "../..", "abc", 5):
        with pytest.raises(InvalidInput):
            mk.get_run(wrong)


def test_the_last_run_is_the_one_that_began_last(runs):
    assert mk.last_run() == runs[-1]
