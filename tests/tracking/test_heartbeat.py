"""A running run gives signs of life; one without them for long is interrupted."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import mlops_kit as mk
from mlops_kit.errors import StoreError
from mlops_kit.records.run import RunStart
from mlops_kit.store import identity, keys
from mlops_kit.store.runs import EXPIRY_SECONDS
from mlops_kit.tracking import heartbeat


@pytest.fixture
def _fast(monkeypatch):
    monkeypatch.setattr(heartbeat, "LEASE_SECONDS", 0.02)
    monkeypatch.setattr(heartbeat, "_thread", None)  # the thread of earlier tests sleeps for a minute
    yield
    monkeypatch.setattr(heartbeat, "LEASE_SECONDS", 3600.0)


def leases(run):
    sign = run.store.backend.stat(keys.run_key(run.id, "lease"))
    return None if sign is None else sign.modified


def wait_for(condition):
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.usefixtures("_fast")
def test_the_lease_is_renewed_while_the_run_runs_and_not_after():
    with mk.start_run() as run:
        wait_for(lambda: leases(run))
        first = leases(run)
        wait_for(lambda: leases(run) > first)
        assert heartbeat.holds(run.id)
    time.sleep(0.05)
    last = leases(run)
    time.sleep(0.1)
    assert leases(run) == last
    assert not heartbeat.holds(run.id)


@pytest.mark.usefixtures("_fast")
def test_one_daemon_thread_serves_all_runs_and_survives_a_store_that_fails():
    class Failing:
        def renew_lease(self, run_id):
            raise StoreError("gone")

    heartbeat.begin(Failing(), "x")
    with mk.start_run() as run, mk.start_run():
        mine = [thread for thread in threading.enumerate() if thread is heartbeat._thread]
        wait_for(lambda: leases(run))
    heartbeat.end("x")
    assert [(thread.name, thread.daemon) for thread in mine] == [("mlops_kit-lease", True)]


def written(**changes):
    start = RunStart(
        keys.new_run_id(),
        "r",
        "default",
        datetime.now(UTC),
        {"actor": "a"},
        identity.host(),
        os.getpid(),
        identity.boot(),
        identity.namespace(),
    )
    store = mk.Store()
    store.ensure()
    start = replace(start, **changes)
    store.runs.write_start(start)
    return store, start


@pytest.mark.skipif(identity.boot() is None, reason="the machine does not name its start")
def test_a_run_whose_process_is_gone_from_this_machine_is_interrupted_at_once():
    _, start = written(pid=2**22 + 1)
    assert mk.get_run(start.id).status == "interrupted"
    assert [run.id for run in mk.list_runs(status="interrupted")] == [start.id]


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_process_of_the_same_number_that_began_later_is_another(tmp_path):
    store, start = written(at=datetime.now(UTC) - timedelta(days=2))
    (path,) = tmp_path.glob(f".mlops/runs/*/{start.id}.start.json")
    old = time.time() - 2 * 86400
    os.utime(path, (old, old))
    assert not store.runs.is_alive(start)


@pytest.mark.parametrize(
    ("age", "status"), [(0, "running"), (EXPIRY_SECONDS - 20, "running"), (EXPIRY_SECONDS + 20, "interrupted")]
)
@pytest.mark.parametrize("sign", ["start", "lease"])
def test_a_run_elsewhere_lives_by_its_last_sign(tmp_path, sign, age, status):
    store, start = written(host="elsewhere", boot="another")
    if sign == "lease":
        store.runs.renew_lease(start.id)
    for path in tmp_path.glob(f".mlops/runs/*/{start.id}.*.json"):
        old = time.time() - (age if path.name.endswith(f"{sign}.json") else 10_000)
        os.utime(path, (old, old))
    assert mk.get_run(start.id).status == status


def test_an_end_that_comes_late_wins(tmp_path):
    with mk.start_run() as run:
        for path in tmp_path.glob(".mlops/runs/*/*.json"):
            os.utime(path, (0, 0))
    assert mk.get_run(run.id).status == "finished"
