"""Any backend against a plain dict: versions, promotions, rollbacks and collections, with crashes and wrong clocks."""

import datetime as dt
import os
import secrets

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import mlops_kit as mk
from mlops_kit.errors import NothingToRollBack, StoreError
from mlops_kit.store import journal, sweeps
from mlops_kit.store.backend import Found
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.locate import backend_for
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.testing import FaultyBackend

DAY = 86_400.0
FAULTS = st.none() | st.tuples(st.integers(1, 16), st.sampled_from(["before", "after", "torn"]), st.booleans())


class Dated:
    """A backend whose clock can be set; what is written is dated by it."""

    def __init__(self, inner):
        self.inner, self.offset, self.written = inner, 0.0, {}

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def _date(self, found):
        return found and Found(found.key, found.size, found.modified + self.written.get(found.key, 0.0))

    def put(self, key, data, *, durable=True):
        self.inner.put(key, data, durable=durable)
        self.written[key] = self.offset

    def create(self, key, data):
        won = self.inner.create(key, data)
        if won:
            self.written[key] = self.offset
        return won

    def touch(self, key):
        self.inner.touch(key)
        self.written[key] = self.offset

    def stat(self, key):
        return self._date(self.inner.stat(key))

    def walk(self, prefix):
        return map(self._date, self.inner.walk(prefix))

    def now(self):
        return self.inner.now() + self.offset


def stood(standing, version):
    """A promotion to the version that is live already changes nothing that a rollback would undo."""
    return standing if standing[-1:] == [version] else [*standing, version]


class Machine(RuleBasedStateMachine):
    """A dict holds what the store must say; an act that failed was done whole or not at all."""

    def __init__(self, inner):
        super().__init__()
        self.backend = Dated(inner)
        self.passed = 0.0
        self.truth = {"versions": [], "standing": []}
        outer = self

        class Stepped(dt.datetime):
            @classmethod
            def now(cls, tz=None):
                return dt.datetime.now(tz) + dt.timedelta(seconds=outer.backend.offset)

        journal.datetime = Stepped

    def teardown(self):
        journal.datetime = dt.datetime

    def attempt(self, fault, act, then):
        """Act on a store that may fail, and find the old state there or the new one; the new one if it was told so."""
        at, mode, lasting = fault or (None, "before", False)
        faulty = FaultyBackend(self.backend, at=at, mode=mode, lasting=lasting)
        try:
            act(mk.Store.on(faulty))
            told = True
        except StoreError:
            assert faulty.failed
            told = False
        seen = self.seen()
        assert seen == then or (seen == self.truth and not told)
        self.truth = seen

    def seen(self):
        store = mk.Store.on(self.backend)
        models = mk.ModelStore(store)
        if "m" not in models.names():
            return {"versions": [], "standing": []}
        versions = [models.load(f"m:{found.version}") for found in models.versions("m")]
        standing = []
        for entry in models.history("m"):
            if entry.kind == "promote":
                standing = stood(standing, entry.body["version"])
            elif entry.kind == "rollback":
                standing.pop()
        assert models.aliases("m") == ({"champion": standing[-1]} if standing else {})
        return {"versions": versions, "standing": standing}

    @rule(value=st.integers(0, 3), fault=FAULTS)
    def register(self, value, fault):
        then = {**self.truth, "versions": [*self.truth["versions"], [value]]}
        self.attempt(fault, lambda store: mk.ModelStore(store).register("m", [value]), then)

    @precondition(lambda self: self.truth["versions"])
    @rule(data=st.data(), fault=FAULTS)
    def promote(self, data, fault):
        version = data.draw(st.integers(1, len(self.truth["versions"])))
        then = {**self.truth, "standing": stood(self.truth["standing"], version)}
        self.attempt(fault, lambda store: mk.ModelStore(store).promote(f"m:{version}"), then)

    @precondition(lambda self: self.truth["standing"])
    @rule(fault=FAULTS)
    def roll_back(self, fault):
        then = {**self.truth, "standing": self.truth["standing"][:-1]}
        if then["standing"]:
            self.attempt(fault, lambda store: mk.ModelStore(store).rollback("m"), then)
        else:
            with pytest.raises(NothingToRollBack):
                mk.ModelStore(mk.Store.on(self.backend)).rollback("m")

    @rule(value=st.integers(0, 3), fault=FAULTS)
    def leave_garbage(self, value, fault):
        def leave(store):
            store.ensure()
            store.objects.put(b"nobody's %d" % value)

        self.attempt(fault, leave, self.truth)

    @rule(fault=FAULTS)
    def collect(self, fault):
        self.attempt(fault, lambda store: store.gc(dry_run=False), self.truth)

    @rule(fault=FAULTS)
    def collect_all(self, fault):
        self.attempt(fault, lambda store: store.gc(grace=0, dry_run=False, exclusive=True), self.truth)

    @rule(days=st.integers(1, 20))
    def days_pass(self, days):
        self.passed += days * DAY
        self.backend.offset += days * DAY

    @rule(step=st.sampled_from([-DAY, 0.0, DAY]))
    def the_clock_steps(self, step):
        self.backend.offset = self.passed + step

    @invariant()
    def the_store_is_whole_and_time_in_its_journals_never_runs_back(self):
        store = mk.Store.on(self.backend)
        report = store.fsck()
        assert report.ok, report
        if self.truth["versions"]:
            moments = [entry.at for entry in mk.ModelStore(store).history("m")]
            assert moments == sorted(moments)


@pytest.fixture(autouse=True)
def _swift(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
    monkeypatch.setattr(sweeps, "PATIENCE_SECONDS", 0.0)  # nobody sweeps meanwhile: who was cut off is gone
    monkeypatch.setattr(sweeps, "_POLL_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("kind", "examples", "steps"),
    [("memory", 60, 30), ("local", 15, 20), pytest.param("s3", 3, 12, marks=pytest.mark.slow)],
)
def test_a_store_says_what_a_plain_dict_says_whatever_fails(kind, examples, steps, request, tmp_path):
    base = request.getfixturevalue("s3") if kind == "s3" else ""
    make = {
        "memory": lambda: MemoryBackend(secrets.token_hex(8)),
        "local": lambda: LocalBackend(tmp_path / secrets.token_hex(8)),
        "s3": lambda: backend_for(f"{base}-{secrets.token_hex(8)}"),
    }[kind]
    limits = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(lambda: Machine(make()), settings=limits)
