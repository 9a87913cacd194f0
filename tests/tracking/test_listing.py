"""Runs found again: as a table, newest first."""

import mlops_kit as mk


def test_runs_that_began_in_the_same_second_are_listed_newest_first():
    begun = []
    for number in range(12):  # ids order them by chance: a wrong order would show but once in 12! times
        with mk.start_run(f"number {number}"):
            begun.insert(0, f"number {number}")
    assert [run.name for run in mk.list_runs()] == begun
    assert [run.name for run in mk.list_runs(limit=3)] == begun[:3]
    assert mk.list_runs().to_pandas()["name"].tolist() == begun
