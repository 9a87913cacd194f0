"""What is asked of a backend: a budget that does not grow with what was written before."""

from collections import Counter

import pytest

import mlops_kit as mk
from mlops_kit.records.entry import Entry, tip
from mlops_kit.store.locate import backend_for
from mlops_kit.store.memory import MemoryBackend


class Counting:
    """A backend that keeps a list of what it was asked."""

    def __init__(self, inner):
        self.inner = inner
        self.asked = []

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        if name not in {"get", "put", "create", "delete", "stat", "touch"}:
            return found

        def asking(key, *args, **kwargs):
            self.asked.append((name, key))
            return found(key, *args, **kwargs)

        return asking

    def counted(self, act):
        """Count the operations of an act, and give its answer."""
        self.asked.clear()
        answer = act()
        return answer, Counter(name for name, _ in self.asked)

    def writes(self):
        return [key for name, key in self.asked if name in {"put", "create", "touch", "delete"}]


@pytest.fixture(scope="module", params=[0, 10_000], ids=["young", "after 10,000 entries"])
def name(request):
    """Give a place with a model of two versions and a history."""
    place = f"operations-{request.param}"
    models = mk.ModelStore(mk.Store.on(MemoryBackend(place)))
    for version in ([1], [2]):
        models.register("m", version)
    promoted(MemoryBackend(place), request.param)
    models = mk.ModelStore(mk.Store.on(MemoryBackend(place)))
    models.promote("m:1")
    assert len(models.history("m")) == 4 + request.param
    return place


def promoted(backend, times):
    """Write promotions as the format has them, without the library's own way, which would read each back."""
    last = Entry.decode(backend.get("journals/models/m/000000000003.json"), where="")
    for turn in range(times):
        body = {"alias": "champion", "version": turn % 2 + 1, **({"previous": 2 - turn % 2} if turn else {})}
        last = Entry(last.seq + 1, tip(last.encode()), last.at, last.by, f"{turn:032x}", "promote", body)
        backend.put(f"journals/models/m/{last.seq:012d}.json", last.encode())


def fresh(name):
    """Open the place as a process does that has never looked at it."""
    backend = Counting(MemoryBackend(name))
    return backend, mk.ModelStore(mk.Store.on(backend))


def test_resolving_an_alias_takes_two_reads_cold_and_one_warm(name):
    backend, models = fresh(name)
    aliases, asked = backend.counted(lambda: models.aliases("m"))
    assert aliases == {"champion": 1}
    assert asked == {"get": 2}
    assert backend.counted(lambda: models.aliases("m"))[1] == {"get": 1}


def test_finding_the_version_of_an_alias_reads_its_entry_once(name):
    backend, models = fresh(name)
    version, asked = backend.counted(lambda: models.get("m@champion"))
    assert version.version == 1
    assert asked["get"] <= 4
    assert asked.total() == asked["get"]
    assert backend.counted(lambda: models.get("m@champion"))[1] == {"get": 1}


def test_a_cold_load_takes_at_most_five_reads(name):
    backend, models = fresh(name)
    model, asked = backend.counted(lambda: models.load("m@champion"))
    assert model == [1]
    assert asked.total() <= 5
    assert not backend.writes()


def test_a_version_by_its_number_costs_no_more_than_by_an_alias(name):
    backend, models = fresh(name)
    version, asked = backend.counted(lambda: models.get("m:2"))
    assert version.version == 2
    assert asked.total() == asked["get"] <= 4
    backend, models = fresh(name)
    model, asked = backend.counted(lambda: models.load("m:2"))
    assert model == [2]
    assert asked.total() <= 5
    assert not backend.writes()


def test_a_warm_promotion_is_two_reads_and_one_conditional_write_and_the_hint(name):
    backend, models = fresh(name)
    models.get("m:1"), models.get("m:2")
    _, asked = backend.counted(lambda: models.promote("m:1"))
    assert asked["get"] <= 2
    assert [key.rpartition("/")[2] for key in backend.writes()][1:] == ["head.json"]
    assert asked["create"] == 1
    assert asked.total() <= 4


def test_a_question_about_the_past_reads_a_logarithm_of_the_history(name):
    backend, models = fresh(name)
    entries = models.history("m")
    middle = entries[max(3, len(entries) // 2)].at
    backend, models = fresh(name)
    _, asked = backend.counted(lambda: models.get("m@champion", as_of=middle))
    assert asked.total() <= 20


def test_finishing_a_run_is_at_most_three_writes_beside_new_objects(tmp_path):
    backend = Counting(MemoryBackend(str(tmp_path)))
    store = mk.Store.on(backend)

    @mk.track(store=store)
    def train(depth):
        mk.log_metric("auc", 0.9)
        return depth

    train(1)
    train(2)
    backend.asked.clear()
    train(3)
    assert len([key for key in backend.writes() if not key.startswith("objects/")]) <= 3
    ids = len(list(store.runs.ids()))
    assert ids == 3


def test_a_run_whose_data_is_kept_already_writes_no_data_again(tmp_path):
    import pandas as pd

    backend = Counting(MemoryBackend(str(tmp_path)))
    frame = pd.DataFrame({"x": [1, 2, 3]})

    @mk.track(store=mk.Store.on(backend))
    def train(data):
        return None

    train(frame)
    backend.asked.clear()
    train(frame.copy())
    assert not [key for key in backend.writes() if key.startswith("journals/")]
    assert len(backend.writes()) <= 3


def test_requests_to_s3_are_no_more_than_the_operations_asked_for(s3, figure, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_TRUST", s3)
    requests = []

    def counted(act):
        """Count the operations and requests of an act in a process that has the store open."""
        requests.clear()
        backend.asked.clear()
        act()
        return len(backend.asked), len(requests)

    def opened():
        inner = backend_for(s3)
        inner._drive()._client.meta.events.register("before-send.s3", lambda request, **_: requests.append(request.url))
        return Counting(inner)

    backend = opened()
    store = mk.Store.on(backend)
    tracked = mk.track(lambda depth: mk.log_metric("auc", 0.9), name="train", store=store)
    models = mk.ModelStore(store)
    for version in ([1], [2]):
        tracked(0)
        models.register("m", version)
    models.promote("m:1")
    found = {
        "finish a run (budget: 3 writes)": counted(lambda: tracked(1)),
        "promote (budget: 2 reads, 1 conditional write, and the hint)": counted(lambda: models.promote("m:2")),
        "resolve an alias that nothing has moved (budget: 1)": counted(lambda: models.aliases("m")),
    }
    backend = opened()
    models = mk.ModelStore(mk.Store.on(backend))
    found["resolve an alias for the first time (budget: 2)"] = counted(lambda: models.aliases("m"))
    backend = opened()
    models = mk.ModelStore(mk.Store.on(backend))
    found["load a model for the first time (budget: 5)"] = counted(lambda: models.load("m@champion"))
    for what, (operations, sent) in found.items():
        figure(f"S3, {what}: {operations} operations, {sent} requests")
        assert sent <= operations + 1, what  # the clock of the place is asked for at most every ten minutes
    assert all(sent <= most for (_, sent), most in zip(found.values(), (4, 4, 1, 2, 5), strict=True))
