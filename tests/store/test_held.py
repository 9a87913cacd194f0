"""What a running run holds in memory is in a file, and read, delivered or resumed by the same user after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.records.metrics import write_lines
from mlops_kit.store import held
from mlops_kit.store.held import HeldFile, held_of
from mlops_kit.store.spool import spool_of

RUN = "6921b1aa-0123456789ab"
POINTS = [("loss", 1.0, 0, 5.0), ("loss", 0.5, 1, 6.0), ("auc", float("inf"), None, 7.0)]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are killed by signals")

KILLED = """
import os, signal, mlops_kit as mk
from mlops_kit.store.held import held_of
from mlops_kit.tracking import saving
saving.SAVE_SECONDS = 0.01
run = mk.start_run("fit"{more})
mk.log_params({{"depth": 3}})
run.set_tag("team", "blue")
for step in range(5):
    mk.log_metric("loss", 1 / (step + 1 + {more_steps}), step)
while len(held_of(run.store_url, run.id).points) < 5 + {more_steps}:
    pass
os.kill(os.getpid(), signal.{how})
"""


@pytest.fixture
def killed(tmp_path):
    """Run a program that is killed once what it logged is held, and give its run."""

    def run(how="SIGKILL", more="", more_steps=0):
        code = KILLED.format(how=how, more=more, more_steps=more_steps)
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, timeout=120, check=False)
        assert done.returncode == -getattr(signal, how)
        return mk.list_runs()[0]

    return run


def file_of(url):
    return spool_of(str(url)).root / "held" / f"{RUN}.jsonl"


def values(run):
    return [(value, step) for value, step, _ in run.metric_history("loss")]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_killed_run_has_its_points_parameters_and_tags(killed, how):
    run = killed(how)
    assert (run.status, run.params, run.tags) == ("interrupted", {"depth": 3}, {"team": "blue"})
    assert values(run) == [(1 / (step + 1), step) for step in range(5)]
    assert run.metrics == {"loss": 0.2}


def test_sync_puts_them_in_the_store_once(killed, tmp_path):
    run = killed()
    before = values(run)
    assert run.store.sync().runs == (run.id,)
    assert run.store.sync().runs == ()
    assert not list(tmp_path.rglob(f"{run.id}.jsonl"))
    again = mk.get_run(run.id)
    assert (values(again), again.params, again.tags) == (before, {"depth": 3}, {"team": "blue"})
    assert run.store.fsck().ok


def test_resuming_goes_on_after_them(killed):
    run = killed()
    with mk.start_run(resume=run.id):
        mk.log_metric("loss", 0.1, 5)
    again = mk.get_run(run.id)
    assert [step for _, step in values(again)] == [0, 1, 2, 3, 4, 5]
    assert (again.status, again.params) == ("finished", {"depth": 3})


def test_a_resumed_run_that_is_killed_has_the_points_of_both(killed):
    with mk.start_run() as run:
        mk.log_metric("loss", 9.0, -1)
    killed(more=f", resume={run.id!r}", more_steps=1)
    again = mk.get_run(run.id)
    assert [step for _, step in values(again)] == [-1, 0, 1, 2, 3, 4]
    run.store.sync()
    assert [step for _, step in values(mk.get_run(run.id))] == [-1, 0, 1, 2, 3, 4]
    assert mk.get_run(run.id).metrics == {"loss": pytest.approx(1 / 6)}


def test_a_run_that_goes_on_is_not_recovered():
    with mk.start_run() as run:
        file = HeldFile(run.store_url, run.id)
        file.save(POINTS, {}, {})
        assert run.store.sync().runs == ()
        assert held_of(run.store_url, run.id).points == POINTS
    run.store.sync()
    assert held_of(run.store_url, run.id).points == []


def test_only_what_is_new_is_appended_and_another_list_begins_anew(tmp_path):
    file = HeldFile(str(tmp_path), RUN)
    points = POINTS[:1]
    file.save(points, {"depth": (1, 2)}, {})
    points.extend(POINTS[1:])
    file.save(points, {"depth": (1, 2)}, {"team": "blue"})
    assert held_of(str(tmp_path), RUN) == held.Held(POINTS, {"depth": (1, 2)}, {"team": "blue"})
    file.save([], {"depth": (1, 2)}, {"team": "blue"})
    assert held_of(str(tmp_path), RUN) == held.Held([], {"depth": (1, 2)}, {"team": "blue"})
    file.remove()
    file.save(POINTS, {}, {})
    assert held_of(str(tmp_path), RUN) == held.Held()


def test_a_run_with_nothing_held_and_one_in_memory_write_no_file(tmp_path):
    HeldFile(str(tmp_path), RUN).save([], {}, {})
    HeldFile("memory://x", RUN).save(POINTS, {}, {})
    assert held_of(str(tmp_path), RUN) == held_of("memory://x", RUN) == held.Held()


@given(st.integers(0, 200))
def test_a_torn_file_gives_the_lines_before_the_tear(tmp_path_factory, cut):
    url = str(tmp_path_factory.mktemp("store"))
    file = HeldFile(url, RUN)
    file.save(POINTS, {}, {})
    path = file_of(url)
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    assert held_of(url, RUN).points == POINTS[: data.count(b"\n")]
    path.unlink()


def test_points_that_are_in_a_segment_already_count_once(tmp_path):
    store = mk.Store(tmp_path / "store")
    with mk.start_run(store=store) as run:
        pass
    key = f"runs/{next(iter(store.backend.folders('runs/')))}/{run.id}.end.json"
    start = store.runs.start(run.id)
    store.backend.delete(key)
    store.runs.write_metrics(run.id, 1, write_lines(POINTS[:2]))
    store.runs.write_start(held.replace(start, pid=2**22 + 1))
    HeldFile(store.url, run.id).save(POINTS, {}, {})
    assert mk.get_run(run.id, store=store).metric_history("loss") == [point[1:] for point in POINTS[:2]]
    assert held.recover(store.url, store.runs, run.id)
    assert mk.get_run(run.id, store=store).metric_history("auc") == [POINTS[2][1:]]
    assert mk.get_run(run.id, store=store).metric_history("loss") == [point[1:] for point in POINTS[:2]]


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_lies_behind_a_link_is_neither_read_nor_written(tmp_path, place):
    own, points, outside = HeldFile(str(tmp_path), RUN), list(POINTS), tmp_path / "outside"
    own.save(points, {}, {})
    path = file_of(tmp_path)
    linked = path if place == "file" else path.parent
    linked.rename(outside)
    linked.symlink_to(outside)
    target = outside if place == "file" else outside / path.name
    before = target.read_bytes()
    points.append(("auc", 0.5, 2, 8.0))
    with pytest.raises(OSError, match=r"symbolic link|No such device"):
        own.save(points, {}, {})
    assert held_of(str(tmp_path), RUN) == held.Held()
    own.remove()
    assert target.read_bytes() == before


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path):
    own, points = HeldFile(str(tmp_path), RUN), list(POINTS)
    own.save(points, {}, {})
    path = file_of(tmp_path)
    path.unlink()
    os.mkfifo(path)
    points.append(("auc", 0.5, 2, 8.0))
    assert held_of(str(tmp_path), RUN) == held.Held()
    with pytest.raises(OSError, match=r"symbolic link|No such device"):
        own.save(points, {}, {})
