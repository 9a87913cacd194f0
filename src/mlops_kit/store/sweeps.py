"""Sweeps, as those who delete and those who write see them.

Who deletes publishes first what may go, then looks at its age once more. Who writes makes it young first, then
looks for a published list. So one of the two always sees the other. Sweeps are numbered and taken by
put-if-absent, and the next one begins only when the last has ended: there is never more than one that deletes.

A sweeper gives up after a minute by its own clock, whatever it still had to do. Whoever waits for it goes on after
five, by its own clock too, and closes it: it crashed, or was stopped, and will not delete when it wakes. No two
clocks are compared for this.
"""

from __future__ import annotations

import secrets
import time

from mlops_kit.errors import IntegrityError
from mlops_kit.records.garbage import Sweep
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend

SWEEP_SECONDS = 60.0
"""How long a sweeper may go on deleting after it published its list."""
PATIENCE_SECONDS = 300.0
"""How long others wait for its end: a delete that was begun in time and sent again and again fits in between."""
_POLL_SECONDS = 0.5


class Sweeps:
    """The sweeps of one store.

    Parameters
    ----------
    backend : Backend
        Where they are published.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._closed: int | None = None

    @property
    def closed(self) -> int:
        """The number of the last sweep that is known to have ended; 0 if there was none."""
        if self._closed is None:
            self._closed = self._find_closed()
        return self._closed

    def spared(self, key: str, since: int) -> bool:
        """Tell whether a key that was just made young is safe from every sweep.

        Parameters
        ----------
        key : str
            The key; it was written, refreshed, or seen, after sweep `since` had ended.
        since : int
            The number of that sweep.

        Returns
        -------
        bool
            True if no later sweep can have taken it, nor will. Else the sweep in question has ended when this
            returns, and the key has to be looked at again.
        """
        data = self._backend.get(keys.sweep_key(since + 1))
        if data is None:
            return True
        sweep = _decoded(data)
        if sweep is not None and not sweep.ended and key not in sweep.keys:
            return True
        self._wait_out(since + 1)
        return False

    def begin(self, listed: tuple[str, ...]) -> tuple[Sweep, Deadline]:
        """Publish what may go, once every earlier sweep has ended.

        Parameters
        ----------
        listed : tuple of str
            The keys.

        Returns
        -------
        tuple of Sweep and Deadline
            The sweep, and until when it may delete.
        """
        while True:
            last = self._last()
            if last:
                self._wait_out(last)
            sweep = Sweep(last + 1, secrets.token_hex(16), listed)
            deadline = Deadline(SWEEP_SECONDS)
            if self._backend.create(keys.sweep_key(sweep.seq), sweep.encode()) or self._read(sweep.seq) == sweep:
                return sweep, deadline

    def end(self, sweep: Sweep) -> None:
        """Publish that nothing more will be deleted because of a sweep."""
        ended = Sweep(sweep.seq, sweep.nonce, (), ended=True)
        self._backend.put(keys.sweep_key(sweep.seq), ended.encode())

    def _wait_out(self, seq: int) -> None:
        began = time.monotonic()
        while True:
            sweep = self._read(seq)
            if sweep is not None and sweep.ended:
                break
            if time.monotonic() - began > PATIENCE_SECONDS:
                self.end(Sweep(seq, "" if sweep is None else sweep.nonce, ()))
                break
            time.sleep(_POLL_SECONDS)
        self._closed = self._find_closed()

    def _find_closed(self) -> int:
        last = self._last()
        sweep = self._read(last) if last else None
        return last if sweep is not None and sweep.ended else max(0, last - 1)

    def _last(self) -> int:
        return max((keys.number_in(found.key) for found in self._backend.walk(keys.SWEEPS)), default=0)

    def _read(self, seq: int) -> Sweep | None:
        return _decoded(self._backend.get(keys.sweep_key(seq)) or b"")


class Deadline:
    """A span of time that is over early rather than late.

    Parameters
    ----------
    seconds : float
        Its length. It is over as soon as either clock of this machine says so, for one of them stands still
        while the machine sleeps, and as soon as the other is seen to run backwards.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._steady, self._wall = time.monotonic(), time.time()

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        steady, wall = time.monotonic() - self._steady, time.time() - self._wall
        return max(steady, wall) >= self._seconds or wall < -1


def _decoded(data: bytes) -> Sweep | None:
    """Read a sweep; a damaged one might have listed anything."""
    try:
        return Sweep.decode(data, where=keys.SWEEPS)
    except IntegrityError:
        return None
