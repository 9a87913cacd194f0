"""Threads that take turns: each waits before every operation on the store until it is told to go on.

So a test chooses the order of all operations of all writers and sweepers, and where one of them dies.
"""

import threading
from types import SimpleNamespace

from mlops_kit.store.memory import MemoryBackend


class Killed(BaseException):
    """The process of an actor died."""


class Actor:
    """A process: `act` runs in a thread of its own, one operation at a time; asking the clock may be one."""

    def __init__(self, world, act, *, sees_the_clock=False):
        self.world, self.act, self.sees_the_clock = world, act, sees_the_clock
        self.since_sleep = 1000
        self.at, self.done, self.error = ("begin", ""), False, None
        self.asleep = 0.0
        self._killed = False
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self._turn.acquire()
        self.world.here.actor = self
        try:
            if not self._killed:
                self.act()
        except Killed:
            pass
        except Exception as error:
            self.error = error
        self.done = True
        self._back.release()

    def pause(self, operation):
        self.at = operation
        self.since_sleep = 0 if operation[0] == "sleep" else self.since_sleep + 1
        self._back.release()
        self._turn.acquire()
        if self._killed:
            raise Killed

    def step(self):
        if not self.done:
            self._turn.release()
            self._back.acquire()
            if self.error is not None:
                raise self.error

    def kill(self):
        self._killed = True
        self.step()
        self._thread.join(5)


class World:
    """One store, one true time, and a clock on the wall that may be wrong."""

    def __init__(self, name):
        self.here = threading.local()
        self.real, self.offset = 1_700_000_000.0, 0.0
        self.backend = Stepwise(self, name)

    @property
    def wall(self):
        return self.real + self.offset

    @property
    def clock(self):
        """What stands in for the module `time`, which each actor sees with its own eyes."""
        return SimpleNamespace(monotonic=self._steady, time=lambda: self.wall, sleep=self._sleep)

    def pause(self, *operation):
        actor = getattr(self.here, "actor", None)
        if actor is not None:
            actor.pause(operation)

    def _steady(self):
        actor = getattr(self.here, "actor", None)
        if actor is not None and actor.sees_the_clock:
            actor.pause(("look at the clock", ""))
        return self.real - (0.0 if actor is None else actor.asleep)

    def _sleep(self, seconds):
        if getattr(self.here, "actor", None) is None:
            self.real += seconds
        self.pause("sleep", "")


class Stepwise(MemoryBackend):
    """Memory dated by the clock on the wall, where an actor pauses before each operation."""

    def __init__(self, world, name):
        super().__init__(name)
        self.world = world
        self._values.clear()

    def now(self):
        return self.world.wall

    def get(self, key):
        self.world.pause("get", key)
        return super().get(key)

    def put(self, key, data, *, durable=True):
        self.world.pause("put", key)
        self._values[key] = (bytes(data), self.world.wall)

    def create(self, key, data):
        self.world.pause("create", key)
        value = (bytes(data), self.world.wall)
        return self._values.setdefault(key, value) is value

    def delete(self, key):
        self.world.pause("delete", key)
        super().delete(key)

    def stat(self, key):
        self.world.pause("stat", key)
        return super().stat(key)

    def touch(self, key):
        self.world.pause("touch", key)
        if key in self._values:
            self._values[key] = (self._values[key][0], self.world.wall)

    def walk(self, prefix):
        self.world.pause("walk", prefix)
        yield from list(super().walk(prefix))
