"""What was recorded is read back from the store alone."""

from __future__ import annotations

import dataclasses

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, OutputNotFound, RunNotFound
from mlops_kit.store import keys

LIMIT = 3


def helper(x):
    return min(x, LIMIT)


@mk.track
def train(x, depth=2):
    return helper(x)


def test_code_environment_and_resources_are_recorded():
    train(5)
    run = mk.get_run(train.last_run.id)
    assert run.code["function"] == f"{__name__}.train"
    assert run.code["fingerprint"].startswith("fp2:")
    assert set(run.code["functions"]) == {f"{__name__}:train", f"{__name__}:helper"}
    assert any("def helper(x)" in source["text"] for source in run.code["sources"].values())
    assert run.environment["packages"]["numpy"]
    assert run.resources["seconds"] >= 0
    assert run.resources["peak_memory_mb"] > 1
    assert run.started <= run.ended
    assert run.by["actor"]
    assert (run.problems, run.error) == ((), None)


def test_a_helper_that_changes_changes_the_fingerprint_of_the_code(monkeypatch):
    train(5)
    before = train.last_run.code["fingerprint"]
    train(6)
    assert train.last_run.code["fingerprint"] == before
    monkeypatch.setitem(globals(), "LIMIT", 4)
    train(5)
    assert train.last_run.code["fingerprint"] != before


def test_what_does_not_exist_is_named_with_what_does():
    with mk.start_run() as run:
        run.log_artifact(b"x", "kept.txt")
        run.log_metric("auc", 1)
    for missing in (lambda: run.load("lost.txt"), lambda: run.dataset("lost"), lambda: run.metric_history("lost")):
        with pytest.raises(OutputNotFound, match="lost"):
            missing()
    with pytest.raises(OutputNotFound, match=r"kept\.txt"):
        run.load("lost")


def test_two_handles_of_one_run_are_equal():
    with mk.start_run() as run:
        pass
    assert run == mk.get_run(run.id)
    assert len({run, mk.get_run(run.id), mk.get_run(run.id[:12])}) == 1
    assert run != 3


def test_a_run_shows_itself_at_every_stage():
    with mk.start_run("shown") as run:
        assert "running" in repr(run)
    assert "finished" in repr(mk.get_run(run.id))
    assert "<script" not in run._repr_html_()
    assert "shown" in run._repr_html_()
    assert "00000000-000000000000" in repr(mk.Run(run.store, "00000000-000000000000"))


def test_a_flipped_bit_in_a_record_is_found(tmp_path):
    with mk.start_run() as run:
        run.log_param("depth", 3)
    (path,) = tmp_path.glob(".mlops/runs/*/*.end.json")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"end\.json"):
        _ = mk.get_run(run.id).params


def test_children_of_a_run_whose_start_was_lost_do_not_hide_the_others(tmp_path):
    with mk.start_run() as run:
        for _ in range(2):
            with mk.start_run():
                pass
    lost = run.children[0].id
    for path in tmp_path.glob(f".mlops/runs/*/{lost}.*.json"):
        path.unlink()
    assert len(mk.get_run(run.id).children) == 1
    with pytest.raises(RunNotFound):
        mk.get_run(lost)


def test_a_clock_that_steps_back_hides_no_children(monkeypatch):
    with mk.start_run() as run:
        monkeypatch.setattr(keys.time, "time", lambda: run.started.timestamp() - 100_000)
        with mk.start_run("inner") as inner:
            pass
    assert [child.id for child in mk.get_run(run.id).children] == [inner.id]


def test_children_on_a_machine_whose_clock_is_behind_are_found():
    with mk.start_run() as run:
        start = run.store.runs.start(run.id)
        second = f"{int(run.id[:8], 16) - 300:08x}"
        behind = dataclasses.replace(start, id=f"{second}-000000000000", parent=run.id)
        run.store.runs.write_start(behind)
    assert [child.id for child in mk.get_run(run.id).children] == [behind.id]
