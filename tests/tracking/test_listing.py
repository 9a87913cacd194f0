"""Runs are found again, newest first, as a sequence and as a frame."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, InvalidInput, RunNotFound, StoreError
from mlops_kit.records import codec
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.store import keys
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.memory import MemoryBackend


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


@mk.track
def inner():
    return mk.last_run()


@mk.track
def outer():
    before = mk.last_run()
    return before, inner(), mk.last_run()


def test_the_last_run_is_the_outermost_when_it_has_ended():
    before, within, after = outer()
    assert before == outer.last_run
    assert within == after == inner.last_run
    assert mk.last_run() == outer.last_run


def test_the_last_run_may_have_ended_after_others_began():
    first, second = mk.start_run("first"), mk.start_run("second")
    assert mk.last_run() == second
    first.finish()
    assert mk.last_run() == first
    with second:
        pass
    assert mk.last_run() == second


class Counting(MemoryBackend):
    """Memory that counts what it is asked for."""

    def __init__(self, name):
        super().__init__(name)
        self.asked = Counter()

    def get(self, key):
        self.asked["get"] += 1
        return super().get(key)

    def stat(self, key):
        self.asked["stat"] += 1
        return super().stat(key)

    def walk(self, prefix):
        self.asked[f"walk {prefix}"] += 1
        return super().walk(prefix)

    def counted(self, act):
        """Count what an act asks for, and give its answer."""
        self.asked.clear()
        answer = act()
        return answer, Counter(self.asked)


def many(backend, days, each=4):
    """Write runs of many days as the format has them, and give their ids, newest first."""
    ids = []
    for day in range(days):
        for number in range(each):
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=number)
            run_id = f"{int(at.timestamp()):08x}-{day:06x}{number:06x}"
            start = RunStart(run_id, f"run-{day}-{number}", "default", at, {"actor": "ann"}, "host", 1)
            backend.put(keys.run_key(run_id, "start"), start.encode())
            backend.put(keys.run_key(run_id, "end"), RunEnd(at, "finished", start).encode())
            ids.insert(0, run_id)
    return ids


@pytest.mark.parametrize("days", [10, 200])
def test_the_newest_runs_are_found_from_the_newest_days_and_read_from_their_ends_alone(tmp_path, days):
    backend = Counting(f"{tmp_path}{days}")
    ids = many(backend, days)
    store = mk.Store.on(backend)
    table, asked = backend.counted(lambda: mk.list_runs(limit=8, store=store))
    assert [run.id for run in table] == ids[:8]
    assert repr(table).startswith("The newest 8 runs; there are more\n")
    assert asked["stat"] == 0
    assert asked["get"] <= 8 + 1 + 1  # the ends, that of one more run, and the record of the store
    assert len([what for what in asked if what.startswith("walk")]) <= 3


@pytest.mark.parametrize("days", [10, 200])
def test_a_part_of_an_id_is_looked_for_where_it_can_be(tmp_path, days):
    backend = Counting(f"{tmp_path}{days}")
    ids = many(backend, days)
    store = mk.Store.on(backend)
    for part, most in ((ids[5], 0), (ids[5][:8], 2), (ids[5][:15], 2), (ids[5][-8:], 3)):
        run, asked = backend.counted(lambda part=part: mk.get_run(part, store=store))
        assert run.id == ids[5]
        assert len([what for what in asked if what.startswith("walk")]) <= most
    assert mk.get_run(ids[-1][-8:], store=store).id == ids[-1]
    with pytest.raises(RunNotFound, match="No run"):
        mk.get_run("ffffffff", store=store)


def test_a_short_ending_is_looked_for_in_all_days(tmp_path):
    store = mk.Store.on(Counting(str(tmp_path)))
    many(store.backend, 3)
    with pytest.raises(RunNotFound, match="3 runs"):
        mk.get_run("000001", store=store)


def test_a_local_folder_is_listed_without_a_look_at_each_file(tmp_path, monkeypatch):
    backend = LocalBackend(tmp_path)
    ids = many(backend, 3, each=30)
    looked = []
    monkeypatch.setattr(LocalBackend, "stat", lambda _self, key: looked.append(key))
    assert [run.id for run in mk.list_runs(limit=20, store=mk.Store.on(backend))] == ids[:20]
    assert [key for key in looked if key.startswith("runs/")] == []


def test_a_run_that_was_resumed_after_its_end_is_not_read_from_it(tmp_path):
    backend = Counting(str(tmp_path))
    (run_id,) = many(backend, 1, each=1)
    store = mk.Store.on(backend)
    start = store.runs.start(run_id)
    assert mk.list_runs(store=store)[0].status == "finished"
    assert store.runs.claim(start, 0).resumed == 1
    store.runs.write_start(replace(start, resumed=1))
    assert mk.get_run(run_id, store=store).status != "finished"
    assert len(mk.list_runs(status="finished", store=store)) == 0


ODD = [
    {"params": 5},
    {"tags": []},
    {"at": "9999-12-31T23:59:59.000000Z"},
    {"metrics": {"auc": "high"}},
    {"models": [{}]},
]


@pytest.mark.parametrize("members", ODD, ids=str)
def test_a_run_that_cannot_be_read_is_told_and_hides_no_other(runs, members):
    odd = runs[1]
    key = keys.run_key(odd.id, "end")
    record = codec.unseal(odd.store.backend.get(key), where="")
    kind = record.pop("record")
    odd.store.backend.put(key, codec.seal(kind, {**record, **members}))
    table = mk.list_runs()
    assert set(table) == {runs[0], runs[2]}
    assert [problem.key for problem in table.problems] == [key]
    assert f"1 record could not be read: {key}." in repr(table)
    assert "could not be read" in table._repr_html_()
    assert len(table.to_pandas()) == 2
    assert [problem.key for problem in odd.store.fsck().problems] == [key]
    with pytest.raises(IntegrityError, match=key):
        mk.get_run(odd.id).params  # noqa: B018 - the look is the test


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_record_that_is_no_regular_file_hides_no_other(tmp_path, kind):
    ids = many(LocalBackend(tmp_path), 1, each=3)
    path = tmp_path / keys.run_key(ids[1], "end")
    aside = path.rename(tmp_path / "aside")
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(aside)
    table = mk.list_runs(store=mk.Store.on(LocalBackend(tmp_path)))
    assert [run.id for run in table] == [ids[0], ids[2]]
    assert len(table.problems) == 1


def test_a_store_that_cannot_be_reached_is_no_record_that_cannot_be_read(tmp_path, monkeypatch):
    backend = LocalBackend(tmp_path)
    many(backend, 1)

    def lost(_self, key):
        raise StoreError("The network is down.") from ConnectionResetError(104, "reset")

    monkeypatch.setattr(LocalBackend, "get", lost)
    with pytest.raises(StoreError, match="network"):
        list(mk.list_runs(store=mk.Store.on(backend)))


def test_options_inside_of_a_parameter_are_columns_of_their_own():
    for depth in (2, 500):
        with mk.start_run() as run:
            run.log_params({"model": {"tree": {"depth": depth}, "seed": 7}})
    table = mk.list_runs()
    assert table.to_pandas()["params.model.tree.depth"].tolist() == [500, 2]
    assert "model.tree.depth" in repr(table)
