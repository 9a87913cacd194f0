"""A check of a store beside its writers: it reports what is wrong, and never what was only being written."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.store.memory import MemoryBackend

FRAME = pd.DataFrame({"x": np.random.default_rng(0).normal(size=300)})
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Busy(MemoryBackend):
    """Memory in which others write right before each of the reads that `when` chooses."""

    def __init__(self, name, write, when):
        super().__init__(name)
        self.reads, self._write, self._when, self._inside = 0, write, when, False

    def _others(self):
        if not self._inside:
            self.reads += 1
            if self._when(self.reads):
                self._inside = True
                try:
                    self._write(mk.Store.on(MemoryBackend(self.url.removeprefix("memory://"))))
                finally:
                    self._inside = False

    def get(self, key):
        self._others()
        return super().get(key)

    def stat(self, key):
        self._others()
        return super().stat(key)

    def walk(self, prefix):
        self._others()
        return iter(list(super().walk(prefix)))


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")


def promoting(store):
    models = mk.ModelStore(store)
    models.promote(models.register("m", [len(models.versions("m")) if "m" in models.names() else 0]).spec)


def running(store):
    with mk.start_run("r", store=store) as run:
        run.log_metrics({f"m{number}": 1.0 for number in range(1200)})


def snapshots(store):
    mk.Dataset.snapshot(FRAME.assign(x=FRAME["x"] + len(mk.Dataset.names(store=store))), name="d", store=store)


def watching(store):
    monitor = mk.Monitor(FRAME, name="w", window=50, store=store)
    monitor.log(FRAME.head(60), np.zeros(60), at=NOW)
    monitor.check(now=NOW)


def keeping(store):
    store.objects.put(b"%d" % len(store.backend._values))


def prepared(name):
    store = mk.Store.on(MemoryBackend(name))
    for write in (promoting, running, snapshots):
        write(store)
    watching(store)
    return store


@pytest.mark.parametrize("write", [promoting, running, snapshots, watching])
def test_what_others_write_meanwhile_is_no_damage(write):
    name = f"busy-{write.__name__}"
    prepared(name)
    for every in (1, 7):
        backend = Busy(name, write, lambda number, every=every: number % every == 0 and number < 30)
        report = mk.Store.on(backend).fsck()
        assert report.ok, report
    assert mk.Store.on(MemoryBackend(name)).fsck().ok


def test_what_is_damaged_is_reported_though_others_write_meanwhile():
    store = prepared("busy-damaged")
    values = store.backend._values
    keys = [key for key in sorted(values) if key.startswith(("journals/", "objects/", "runs/")) and "lease" not in key]
    for victim in keys[:: max(1, len(keys) // 8)]:
        data, at = values[victim]
        values[victim] = (data[:-9] + b"!" + data[-8:], at)
        backend = Busy("busy-damaged", keeping, lambda number: number % 11 == 0)
        assert victim in {problem.key for problem in mk.Store.on(backend).fsck().problems}
        values[victim] = (data, at)
