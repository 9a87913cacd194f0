"""Many writers of one name over a network take turns: an entry costs few requests however many there are."""

import heapq
import random
from types import SimpleNamespace

import pytest
from actors import Actor, World

from mlops_kit.records.entry import Entry
from mlops_kit.store import head as head_module
from mlops_kit.store import journal as journal_module
from mlops_kit.store.backend import Backend
from mlops_kit.store.journal import Journal
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.remote import RemoteBackend

REQUEST = 0.05
"""Seconds, give or take a third."""


class Network:
    """Writers in a time of their own: each operation takes as long as a request, and a pause as long as it says."""

    def __init__(self, name, monkeypatch, seed):
        self.world, self.chance, self.requests = World(name), random.Random(seed), 0
        self.world.backend.is_remote = True
        create = self.world.backend.create
        self.world.backend.create = lambda key, data: create(key, data) or self._read_back()
        self.slept = {}
        self.world.real = 1e6
        clock = SimpleNamespace(monotonic=lambda: self.world.real, time=lambda: self.world.real, sleep=self._sleep)
        for module in (journal_module, head_module):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(journal_module, "random", self.chance)

    def _read_back(self):
        self.requests += 1  # a creation that lost reads what stands there
        return False

    def _sleep(self, seconds):
        self.slept[self.world.here.actor] = seconds
        self.world.here.actor.pause(("sleep", ""))

    def run(self, acts):
        waiting = []
        for number, act in enumerate(acts):
            actor = Actor(self.world, act)
            actor.step()
            heapq.heappush(waiting, (self.world.real + self.chance.random() * REQUEST, number, actor))
        while waiting:
            self.world.real, number, actor = heapq.heappop(waiting)
            pause = self.slept.pop(actor, None)
            self.requests += pause is None
            actor.step()
            if not actor.done:
                spent = self.slept.get(actor, REQUEST * self.chance.uniform(0.67, 1.33))
                heapq.heappush(waiting, (self.world.real + spent, number, actor))


def writer(backend, entries):
    journal = Journal(backend, "models", "m", lambda state, entry: None, lambda: {"actor": "ann"})

    def write():
        for _ in range(entries):
            assert isinstance(journal.append(lambda _state: ("note", {})), Entry)

    return write


@pytest.mark.parametrize(("writers", "entries", "most"), [(1, 20, 4), (2, 10, 5), (16, 1, 10), (16, 5, 7), (16, 20, 7)])
def test_an_entry_costs_few_requests_however_many_write(monkeypatch, figure, writers, entries, most):
    requests = 0
    for seed in range(3):
        network = Network(f"crowd-{writers}-{entries}-{seed}", monkeypatch, seed)
        network.run([writer(network.world.backend, 1)])
        network.requests = 0
        network.run([writer(network.world.backend, entries) for _ in range(writers)])
        written = [key for key in network.world.backend._values if key.endswith(".json") and "/0" in key]
        assert len(written) == 1 + writers * entries
        requests += network.requests
    each = requests / (3 * writers * entries)
    figure(f"{writers} writers of one name over a network, {entries} entries each: {each:.1f} requests an entry")
    assert each <= most


def test_only_what_is_reached_over_a_network_makes_writers_wait(tmp_path):
    assert RemoteBackend.is_remote
    assert not hasattr(LocalBackend(tmp_path), "is_remote")
    assert isinstance(LocalBackend(tmp_path), Backend)
