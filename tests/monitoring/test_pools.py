"""Workers of a pool are ended without a word: what they logged before is there all the same."""

import multiprocessing
import time

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk

LIVE = {}


def frame(n, seed=0):
    return pd.DataFrame({"x": np.random.default_rng(seed).normal(size=n)})


def predict(job):
    """Log as a worker does that keeps its monitor for all its tasks."""
    store, number = job
    if store not in LIVE:
        LIVE[store] = mk.Monitor(frame(500), name="pool", store=store)
    ids = [f"{number}-{row}" for row in range(5)]
    LIVE[store].log(frame(5, number), np.zeros(5), ids=ids)
    return ids


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_that_is_terminated_loses_nothing_that_was_logged_before(tmp_path, method):
    store = str(tmp_path / "store")
    monitor = mk.Monitor(frame(500), name="pool", store=store)
    monitor.check()
    with multiprocessing.get_context(method).Pool(2) as pool:
        logged = {one for ids in pool.map(predict, [(store, number) for number in range(8)], 1) for one in ids}
        # The workers are idle and alive: nobody flushes, closes or ends them, and half a minute is far longer than the
        # moment that may be lost, and than a machine under load needs.
        until = time.monotonic() + 25
        while len(monitor.predictions()) < len(logged) and time.monotonic() < until:
            time.sleep(0.1)
        pool.terminate()
    assert set(monitor.predictions()["id"]) == logged
    assert mk.Store(store).fsck().ok


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_worker_that_was_forked_from_a_process_that_logs_repeats_nothing(tmp_path):
    store = str(tmp_path / "store")
    own = predict((store, 99))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        logged = {one for ids in pool.map(predict, [(store, number) for number in range(4)], 1) for one in ids}
        pool.close()
        pool.join()
    LIVE.pop(store).flush()
    found = mk.Monitor(frame(500), name="pool", store=store).predictions()["id"]
    assert sorted(found) == sorted([*own, *logged])
