"""The signs of life of running runs: one thread for all runs of a process, started with the first of them."""

from __future__ import annotations

import os
import threading
import time

from mlops_kit.errors import MlopsKitError
from mlops_kit.store.runs import LEASE_SECONDS, Runs

_running: dict[str, Runs] = {}
_lock = threading.Lock()
_thread: threading.Thread | None = None


def begin(runs: Runs, run_id: str) -> None:
    """Renew the lease of a run every minute from now on."""
    global _thread  # noqa: PLW0603 - one thread per process
    with _lock:
        _running[run_id] = runs
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_beat, name="mlops_kit-lease", daemon=True)
            _thread.start()


def end(run_id: str) -> None:
    """Stop renewing the lease of a run."""
    with _lock:
        _running.pop(run_id, None)


def holds(run_id: str) -> bool:
    """Tell whether a run is running in this process."""
    return run_id in _running


def _beat() -> None:
    """Renew all leases every minute; a run that began within the minute gets its first a little early."""
    while True:
        time.sleep(LEASE_SECONDS)
        with _lock:
            held = list(_running.items())
        for run_id, runs in held:
            try:
                runs.renew_lease(run_id)
            except MlopsKitError:
                continue  # the store may come back; the end of the run will tell


def _restart() -> None:
    """Leave the parent's runs to the parent: threads do not survive a fork, and neither do its locks."""
    global _lock, _thread
    _lock, _thread = threading.Lock(), None
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart)
