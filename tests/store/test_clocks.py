"""Clocks that are wrong: no future hides what was decided in the present, and who is far ahead promotes nothing."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import ClockAhead, RecordingWarning
from mlops_kit.store import clocks, journal
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.tracking import recorder

DAY = 86_400.0
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


class World:
    """The true time, and how far the clock of the machine at hand is off."""

    def __init__(self):
        self.true, self.off = NOON, 0.0

    def time(self):
        return self.true + self.off


class Elsewhere(MemoryBackend):
    """A store with a clock of its own, which is right."""

    def __init__(self, name, world):
        super().__init__(name)
        self._world = world
        self._values.clear()

    def now(self):
        return self._world.true


class Here(Elsewhere):
    """A store whose files are dated by the machine at hand, as a local folder's."""

    def now(self):
        return self._world.time()


def live_in(world, patched):
    """Let a world's clock be that of this machine."""

    class Now(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(world.time(), tz)

    for module in (journal, recorder):
        patched.setattr(module, "datetime", Now)


@pytest.fixture
def world(monkeypatch):
    made = World()
    live_in(made, monkeypatch)
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")
    return made


def moment(second):
    return datetime.fromtimestamp(second, UTC)


def test_a_promotion_by_a_clock_far_ahead_is_refused_with_the_remedy_and_a_rollback_is_not(world):
    models = mk.ModelStore(mk.Store.on(Elsewhere("ahead", world)))
    for number in (1, 2):
        models.register("m", [number])
        models.promote(f"m:{number}")
        world.true += 60
    world.off = 3 * 3600.0
    with pytest.raises(ClockAhead, match=r"is 3:00:00 ahead of that of the store memory://ahead.*timedatectl.*again"):
        models.promote("m:1")
    assert models.rollback("m").version == 1
    world.off = 299.0
    models.promote("m:2")
    world.off = -DAY
    models.promote("m:1")


def test_what_is_written_by_a_clock_far_ahead_is_dated_by_the_clock_of_the_store(world):
    store = mk.Store.on(Elsewhere("dated", world))
    models = mk.ModelStore(store)
    world.off = 3 * DAY
    models.register("m", [1])
    assert [entry.at for entry in models.history("m")] == [moment(NOON)] * 2
    assert store.fsck().ok


def test_after_an_entry_that_is_ahead_the_past_is_told_by_true_times(world):
    store = mk.Store.on(Here("poisoned", world))
    models = mk.ModelStore(store)
    models.register("m", [1])
    models.register("m", [2])
    world.off = DAY  # this machine has no other clock to look at
    models.promote("m:1")
    world.off = 0.0
    decided = {}
    for number in (2, 1, 2, 1):
        world.true += 600
        models.promote(f"m:{number}")
        decided[world.true] = number
    for place in (models, mk.ModelStore(mk.Store.on(store.backend))):
        for second, number in decided.items():
            assert place.aliases("m", as_of=moment(second + 1)) == {"champion": number}
            assert place.load("m@champion", as_of=moment(second + 1)) == [number]
        assert place.aliases("m", as_of=moment(NOON + 1)) == {}
    ahead = next(found.key for found in store.backend.walk("journals/m") if found.key.endswith("000004.json"))
    assert store.fsck().ok
    (flag,) = store.fsck().notes
    assert flag.startswith(f"{ahead} is dated")
    assert flag in repr(store.fsck())
    (note,) = mk.ModelStore(store).audit("m").notes
    assert "entry 4" in note
    assert "ahead of its time" in note
    world.true = NOON + 2 * DAY
    models.promote("m:2")
    assert models.aliases("m", as_of=moment(NOON + 1.5 * DAY)) == {"champion": 1}
    assert mk.ModelStore(store).history("m")[-1].clock is None
    assert store.fsck().ok
    assert mk.ModelStore(store).audit("m").ok


def test_a_clock_that_is_behind_does_not_date_what_it_writes_into_the_past(world):
    store = mk.Store.on(Elsewhere("behind", world))
    models = mk.ModelStore(store)
    models.register("m", [1])
    world.true += 60
    world.off = -DAY
    models.promote("m:1")
    assert models.history("m")[-1].at == moment(world.true)


def test_a_run_by_a_clock_far_ahead_is_flagged_and_never_refused(world):
    store = mk.Store.on(Elsewhere("run", world))
    store.ensure()
    world.off = DAY
    with (
        pytest.warns(RecordingWarning, match="clock of this machine is 1 day, 0:00:00 ahead"),
        mk.start_run(store=store) as run,
    ):
        pass
    assert run.status == "finished"
    assert any("ahead of that of the store" in problem for problem in run.problems)


def test_runs_that_are_dated_in_the_future_are_flagged_by_a_check(world):
    store = mk.Store.on(Here("run-future", world))
    with mk.start_run(store=store):
        pass
    world.true = datetime.now(UTC).timestamp() - DAY
    report = store.fsck()
    assert report.ok
    assert report.notes
    assert all("runs/" in note and "yet to come" in note for note in report.notes)


steps = st.lists(st.tuples(st.integers(0, 4000), st.sampled_from([0, 0, 0, 200, 9000, 90_000, -9000])), max_size=30)


@given(steps, st.lists(st.integers(-100_000, 300_000), min_size=1, max_size=8))
def test_the_past_is_found_by_bisection_as_by_looking_at_every_entry(steps, asked):
    world = World()
    with pytest.MonkeyPatch.context() as patched:
        live_in(world, patched)
        book = mk.Store.on(Here("bisected", world)).journal("models", "m", lambda state, entry: None)
        for passed, off in steps:
            world.true += passed
            world.off = off
            book.append(lambda _state: ("note", {}))
        entries = book.entries()
        assert all(one.at <= other.at for one, other in itertools.pairwise(entries))
        for second in asked:
            when = moment(NOON + second)
            expected = max((entry.seq for entry in entries if (entry.clock or entry.at) <= when), default=0)
            assert book.last_at(when) == expected


def test_old_entries_have_no_clock_and_are_read_and_written_as_before():
    entry = mk.ModelStore(mk.Store("memory://clock-old")).store.journal("models", "m", lambda state, entry: None)
    entry.append(lambda _state: ("create", {"name": "m"}))
    assert b'"clock' not in entry.record(1)[1]
    assert timedelta(minutes=5) == clocks.AHEAD
