"""The records of runs: found by a part of the id, and told alive from interrupted."""

import dataclasses
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from mlops_kit.errors import IntegrityError, InvalidInput, RunNotFound
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.store import identity, keys
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.runs import EXPIRY_SECONDS, Runs, status_of


class Clocked(MemoryBackend):
    """Memory whose clock a test can turn."""

    ahead = 0.0

    def now(self):
        return super().now() + self.ahead


@pytest.fixture
def runs(tmp_path):
    return Runs(Clocked(str(tmp_path)))


def started(runs, run_id="6b035046-7d9cb22eb21e", **members):
    given = {"id": run_id, "name": "train", "experiment": "default", "at": datetime.now(UTC), "user": {"actor": "ann"}}
    here = {"host": identity.host(), "pid": os.getpid(), "boot": identity.boot()}
    here["namespace"] = identity.namespace()
    start = RunStart(**{**given, **here, **members})
    runs.write_start(start)
    return start


def test_records_are_kept_in_the_folder_of_the_utc_day_in_the_id(runs):
    start = started(runs)
    key = keys.run_key(start.id, "start")
    assert key == "runs/2026-11-22/6b035046-7d9cb22eb21e.start.json"
    assert runs.start(start.id) == start


def age(backend, key, seconds):
    backend._values[key] = (backend._values[key][0], time.time() - seconds)


@pytest.mark.parametrize("part", ["6b035046-7d9cb22eb21e", "6b03", "6b035046", "6b035046-", "b21e", "7d9cb22eb21e"])
def test_a_run_is_found_by_its_id_and_by_either_end_of_it(runs, part):
    started(runs)
    started(runs, "6a000000-000000000000")
    assert runs.find(part) == "6b035046-7d9cb22eb21e"


def test_a_part_that_means_several_runs_lists_them(runs):
    for number in range(7):
        started(runs, f"6b035046-{number:012x}")
    with pytest.raises(RunNotFound, match=r"7 runs in memory://.* match '6b03': 6b035046-.*, …\. Give more"):
        runs.find("6b03")


@pytest.mark.parametrize("part", ["0000", "6b035046-000000000000", "9cb2"])
def test_a_part_that_means_no_run_lists_the_newest(runs, part):
    started(runs)
    with pytest.raises(RunNotFound, match="The newest are 6b035046-7d9cb22eb21e"):
        runs.find(part)


def test_an_empty_store_says_that_it_is_empty(runs):
    with pytest.raises(RunNotFound, match="It holds no runs"):
        runs.find("abcd")


@pytest.mark.parametrize("part", ["", "6b0", "xyzw", "../..", "6b03*", "6B03", None, 6, "0" * 22])
def test_what_cannot_be_a_part_of_an_id_is_refused(runs, part):
    with pytest.raises(InvalidInput, match="is not a run id"):
        runs.find(part)


def test_ids_come_newest_first(runs):
    ids = ["6a000000-000000000001", "6b035046-000000000001", "6b035046-000000000002", "6b0a0000-000000000000"]
    for run_id in ids[::2] + ids[1::2]:
        started(runs, run_id)
    assert list(runs.ids()) == ids[::-1]


def test_a_run_of_a_living_process_is_running_however_old_its_lease(runs):
    start = started(runs)
    runs._backend.ahead = 10 * EXPIRY_SECONDS
    assert status_of(runs, start, None) == "running"


def test_a_run_is_interrupted_at_once_when_its_process_is_gone(runs):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    assert status_of(runs, started(runs, pid=gone.pid), None) == "interrupted"


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes tell their birth only there")
def test_a_process_that_got_the_number_of_one_that_is_gone_does_not_count(runs):
    start = started(runs, at=datetime.now(UTC) - timedelta(days=30))
    age(runs._backend, keys.run_key(start.id, "start"), 30 * 24 * 3600)
    assert not runs.is_alive(start)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"host": "another"},
        {"boot": "before the last start"},
        {"boot": None},
        {"namespace": "pid:[1]", "pid": 2**30},
        {"namespace": None, "pid": 2**30},
    ],
)
def test_a_run_elsewhere_lives_as_long_as_its_signs_of_life_are_young(runs, elsewhere):
    start = started(runs, **elsewhere)
    assert runs.is_alive(start)
    runs._backend.ahead = EXPIRY_SECONDS + 1
    assert not runs.is_alive(start)
    runs.renew_lease(start.id)
    assert not runs.is_alive(start)
    runs._backend.ahead = EXPIRY_SECONDS - 5
    assert runs.is_alive(start)


def test_the_lease_counts_and_not_the_start(runs):
    start = started(runs, host="another")
    age(runs._backend, keys.run_key(start.id, "start"), 10 * EXPIRY_SECONDS)
    assert not runs.is_alive(start)
    runs.renew_lease(start.id)
    assert runs.is_alive(start)


def test_a_late_end_always_wins(runs):
    start = started(runs, host="another")
    runs._backend.ahead = 10 * EXPIRY_SECONDS
    assert status_of(runs, start, runs.end(start.id)) == "interrupted"
    runs.write_end(start.id, RunEnd(datetime.now(UTC), "finished"))
    assert status_of(runs, start, runs.end(start.id)) == "finished"


def test_an_end_that_came_before_a_run_was_resumed_does_not_end_it(runs):
    start = started(runs)
    runs.write_end(start.id, RunEnd(datetime.now(UTC), "finished", start))
    again = runs.claim(start, 0)
    assert again.resumed == 1
    runs.write_start(again)
    assert status_of(runs, again, runs.end(start.id)) == "running"
    runs.write_end(start.id, RunEnd(datetime.now(UTC), "failed", again))
    assert status_of(runs, again, runs.end(start.id)) == "failed"


def test_one_of_many_processes_resumes_a_run(runs):
    start = started(runs, host="another")
    claims = [runs.claim(dataclasses.replace(start, pid=pid), 0) for pid in range(1, 9)]
    assert [claim.pid for claim in claims if claim is not None] == [1]
    assert runs.is_taken_over(start)
    assert not runs.is_taken_over(claims[0])


def test_the_claim_of_a_process_that_died_at_once_stands_in_nobodys_way(runs):
    start = started(runs, host="another")
    runs.claim(start, 0)
    runs._backend.ahead = EXPIRY_SECONDS + 1
    assert runs.claim(start, 0).resumed == 2


def test_a_resumed_run_lives_though_its_last_lease_is_old(runs):
    start = started(runs, host="another")
    runs.renew_lease(start.id)
    age(runs._backend, keys.run_key(start.id, "lease"), 10 * EXPIRY_SECONDS)
    assert runs.is_alive(start)


def test_the_end_of_another_run_is_not_taken_for_its_own(runs):
    first, second = started(runs), started(runs, "6b035047-000000000000")
    runs.write_end(first.id, RunEnd(datetime.now(UTC), "finished", first, metrics={"auc": 1.0}))
    end = runs._backend.get(keys.run_key(first.id, "end"))
    runs._backend.put(keys.run_key(second.id, "end"), end)
    with pytest.raises(IntegrityError, match=f"one of the run {first.id}: it was copied there"):
        runs.end(second.id)
    runs._backend.put(keys.run_key(second.id, "start"), runs._backend.get(keys.run_key(first.id, "start")))
    with pytest.raises(IntegrityError, match="it was copied there"):
        runs.start(second.id)


def test_a_run_that_is_not_there_is_not_found(runs):
    with pytest.raises(RunNotFound, match="6b035046-7d9cb22eb21e"):
        runs.start("6b035046-7d9cb22eb21e")
    assert runs.end("6b035046-7d9cb22eb21e") is None


def test_a_start_may_be_written_again(runs):
    start = started(runs)
    again = dataclasses.replace(start, git={"commit": "c0ffee"})
    runs.write_start(again)
    assert runs.start(start.id) == again
