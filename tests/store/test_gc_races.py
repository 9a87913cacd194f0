"""Collections of garbage against writers, in any order of their operations, with crashes and wrong clocks."""

import secrets
import uuid

import pytest
from actors import Actor, World
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlops_kit.records import codec
from mlops_kit.records.run import RunStart
from mlops_kit.store import gc, keys, sweeps
from mlops_kit.store.objects import Objects, digest_of

DAY = 86_400.0
GRACE = 14 * DAY
CONTENTS = st.sampled_from([b"a", b"b"])


class Races(RuleBasedStateMachine):
    """What is named is never lost; what nothing names goes in the end."""

    def __init__(self):
        super().__init__()
        self.world = World(f"gc-races-{uuid.uuid4()}")
        self.backend = self.world.backend
        self.processes = [Objects(self.backend, GRACE / 4) for _ in range(2)]
        self.writers, self.runs, self.sweepers = [], {}, []
        self.acknowledged = set()
        self._time, sweeps.time = sweeps.time, self.world.clock

    def teardown(self):
        try:
            self.all_ends_well()
        finally:
            try:
                for actor in self.actors:
                    actor.kill()
            finally:
                sweeps.time = self._time

    @property
    def actors(self):
        return [actor for actor in [*self.writers, *self.runs, *self.sweepers] if not actor.done]

    @initialize(days=st.integers(10, 20), sweeping=st.booleans())
    def an_old_store(self, days, sweeping):
        """Begin where the races are: with something that nothing names, marked long ago, and a sweeper."""
        for content in (b"a", b"b"):
            Objects(self.backend, GRACE / 4).put(content)
        self.collect()
        self.world.real += days * DAY
        if sweeping:
            self.a_sweeper_begins()

    @rule(content=CONTENTS, process=st.integers(0, 1))
    def a_writer_begins(self, content, process):
        def write():
            self.name_it(self.processes[process].put(content))

        self.writers.append(Actor(self.world, write))

    @rule(content=CONTENTS, process=st.integers(0, 1))
    def a_long_run_begins(self, content, process):
        run_id = f"{int(self.world.wall):08x}-{secrets.token_hex(6)}"
        at = codec.moment(codec.timestamp(codec.datetime.fromtimestamp(self.world.wall, codec.UTC)))
        start = RunStart(run_id, "long", "default", at, {"actor": "ann", "source": "user"}, "host", 1)
        self.backend.put(keys.run_key(run_id, "start"), start.encode())

        def write():
            self.name_it(self.processes[process].put(content), run_id)

        self.runs[Actor(self.world, write)] = run_id

    @rule()
    def a_sweeper_begins(self):
        self.sweepers.append(Actor(self.world, self.collect, sees_the_clock=True))

    @precondition(lambda self: self.actors)
    @rule(data=st.data(), steps=st.integers(1, 12))
    def somebody_goes_on(self, data, steps):
        actor = data.draw(st.sampled_from(self.actors))
        for _ in range(steps):
            actor.step()

    @precondition(lambda self: self.actors)
    @rule(data=st.data())
    def somebody_dies(self, data):
        data.draw(st.sampled_from(self.actors)).kill()

    @rule(seconds=st.integers(1, 400))
    def seconds_pass(self, seconds):
        self.pass_time(seconds)

    @rule(days=st.integers(1, 16), sweepers_sleep=st.booleans())
    def days_pass(self, days, sweepers_sleep):
        self.finish_writers()
        for _ in range(days):
            self.pass_time(DAY + 3_600, asleep=sweepers_sleep)

    @rule(offset=st.sampled_from([-DAY, 0.0, DAY]))
    def the_clock_steps(self, offset):
        self.world.offset = offset

    @invariant()
    def nothing_that_is_named_is_lost(self):
        for digest in self.acknowledged:
            data = self.backend.get(keys.object_key(digest))
            assert digest_of(data or b"") == digest

    def collect(self):
        gc.collect(self.backend, grace=GRACE, dry_run=False)

    def name_it(self, digest, run_id=None):
        run_id = run_id or f"{int(self.world.wall):08x}-{secrets.token_hex(6)}"
        members = {"at": "2023-11-14T12:00:00.000000Z", "status": "finished"}
        record = codec.seal("run-end", {**members, "artifacts": [{"name": "x", "object": digest, "size": 1}]})
        self.backend.put(keys.run_key(run_id, "end"), record)
        self.acknowledged.add(digest)

    def pass_time(self, seconds, *, asleep=False):
        """Let time pass; a delete that was begun is not held up, and runs that are alive renew their leases."""
        for actor in self.sweepers:
            while not actor.done and actor.at[0] == "delete":
                actor.step()
            actor.asleep += seconds if asleep else 0.0
        self.world.real += seconds
        for actor, run_id in self.runs.items():
            if not actor.done:
                self.backend.put(keys.run_key(run_id, "lease"), b"")

    def finish_writers(self, others=()):
        """Whoever has put something and is not part of a run names it within a day."""
        for _ in range(2000):
            busy = [actor for actor in (*self.writers, *others) if not actor.done]
            if not busy:
                return
            for actor in busy:
                actor.step()
            if all(actor.since_sleep <= 3 for actor in busy):
                self.pass_time(20)
        raise AssertionError("somebody waits for ever")

    def all_ends_well(self):
        """Sweepers that stopped stay stopped; the rest ends, and the next collections leave only what is named."""
        self.world.offset = 0.0
        self.finish_writers(self.runs)
        self.nothing_that_is_named_is_lost()
        for actor in self.actors:
            actor.kill()
        for _ in range(3):
            self.world.real += GRACE + 2 * DAY
            self.collect()
        self.nothing_that_is_named_is_lost()
        kept = {found.key for found in self.backend.walk("objects/")}
        assert kept == {keys.object_key(digest) for digest in self.acknowledged}


TestRaces = Races.TestCase
TestRaces.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Scene(Races):
    """A store with one object that is about to be swept, one sweeper, and one writer who needs it."""

    def __init__(self):
        super().__init__()
        self.an_old_store(16, sweeping=True)
        self.a_writer_begins(b"a", 0)
        (self.sweeper,), (self.writer,) = self.sweepers, self.writers

    def steps(self, actor, number):
        """Take some steps; tell whether there were as many."""
        for _ in range(number):
            if actor.done:
                return False
            actor.step()
        return True


def the_writer_first(scene):
    scene.finish_writers()


def the_sweeper_first(scene):
    scene.finish_writers(scene.sweepers)


def the_sweeper_dies(scene):
    scene.sweeper.kill()


def the_sweeper_sleeps_for_an_hour(scene):
    scene.pass_time(3600, asleep=True)
    scene.finish_writers()
    scene.finish_writers(scene.sweepers)


def the_sweeper_sleeps_for_weeks(scene):
    scene.finish_writers()
    scene.pass_time(17 * DAY, asleep=True)
    scene.finish_writers(scene.sweepers)


def another_sweeper_comes(scene):
    scene.a_sweeper_begins()
    scene.finish_writers([scene.sweepers[-1]])
    scene.finish_writers(scene.sweepers)


def another_writer_ends_first(scene):
    scene.a_writer_begins(b"a", 0)
    first, second = scene.writers
    scene.writers = [second]
    scene.finish_writers()
    scene.writers = [first]
    scene.finish_writers(scene.sweepers)


ENDINGS = (
    the_writer_first,
    the_sweeper_first,
    the_sweeper_dies,
    the_sweeper_sleeps_for_an_hour,
    the_sweeper_sleeps_for_weeks,
    another_sweeper_comes,
    another_writer_ends_first,
)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__.replace("_", " "))
def test_in_whatever_order_a_sweeper_and_a_writer_meet_the_object_is_there_in_the_end(ending):
    """Every pair of places to stop at is tried: the sweeper before its operation n, the writer before its m."""
    tried = 0
    for n in range(1, 100):
        for m in range(1, 100):
            scene = Scene()
            swept, wrote = scene.steps(scene.sweeper, n), scene.steps(scene.writer, m)
            ending(scene)
            scene.nothing_that_is_named_is_lost()
            scene.teardown()
            tried += 1
            if not wrote:
                break
        if not swept:
            break
    assert tried > 100
