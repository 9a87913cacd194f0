"""The state of a monitor that another release left is told apart from damage, and a reset does without it."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import OtherRelease
from mlops_kit.records import codec

FRAME = pd.DataFrame({"x": np.random.default_rng(11).normal(size=400)})


def watched(store):
    return mk.Monitor(FRAME, name="w", window=100, store=store)


def leave(store, change):
    """Let another release have written the state, with an entry that names it."""
    monitor = watched(store)
    monitor.log(FRAME, np.zeros(400))
    monitor.check()
    backend = store.backend
    key = next(found.key for found in backend.walk("monitors/w/") if ".state." in found.key)
    members = json.loads(backend.get(key))
    for name in ("format", "record", "sum"):
        del members[name]
    data = codec.seal("monitor-state", change(members))
    name = key.rpartition("/")[2].split(".state.")[0] + f".state.0-0.{hashlib.sha256(data).hexdigest()}"
    backend.put(f"{key.rpartition('/')[0]}/{name}.json", data)
    from mlops_kit.monitoring.book import open_book

    def decide(state):
        return "check", {"check": {**state["check"], "state": [key.split("/")[2], name]}, "alerts": state["alerts"]}

    open_book(mk.Store.on(backend), "w").append(decide)


OTHERS = {
    "a later scheme": lambda members: {**members, "scheme": 7, "release": "9.1.0"},
    "other members": lambda members: {**{k: v for k, v in members.items() if k != "index"}, "release": "9.1.0"},
    "no name": lambda members: {"watch": {}, **{k: v for k, v in members.items() if k not in {"watch", "release"}}},
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_state_of_another_release_is_an_error_that_names_both(other):
    store = mk.Store(f"memory://other-release-{other}")
    leave(store, OTHERS[other])
    theirs = "one that does not name itself" if other == "no name" else "9.1.0"
    monitor = watched(mk.Store.on(store.backend))
    monitor.log(FRAME, np.zeros(400))
    with pytest.raises(
        OtherRelease, match=rf"left by mlops_kit {theirs} .*mlops_kit {mk.__version__} .*reset"
    ) as caught:
        monitor.check()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("other", OTHERS)
def test_a_reset_needs_no_state_of_before(other):
    store = mk.Store(f"memory://other-reset-{other}")
    leave(store, OTHERS[other])
    monitor = watched(mk.Store.on(store.backend))
    monitor.reset("the release was changed")
    monitor.log(FRAME, np.zeros(400))
    assert monitor.check().status in {"ok", "warning", "alert", "insufficient data"}
    assert mk.Store.on(store.backend).fsck().ok


def test_a_check_of_the_store_sees_a_state_of_another_scheme():
    store = mk.Store("memory://other-fsck")
    leave(store, OTHERS["a later scheme"])
    assert [problem.kind for problem in mk.Store.on(store.backend).fsck().problems] == ["other-release"]


def test_a_state_names_the_release_that_left_it():
    store = mk.Store("memory://other-own")
    leave(store, lambda members: members)
    states = [store.backend.get(found.key) for found in store.backend.walk("monitors/w/") if ".state." in found.key]
    assert {json.loads(data)["release"] for data in states} == {mk.__version__}
