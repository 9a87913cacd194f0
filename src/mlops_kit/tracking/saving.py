"""What running runs hold in memory, saved each second: one thread for all runs of a process, while there are any."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

SAVE_SECONDS = 1.0

_running: dict[str, Callable[[], None]] = {}
_lock = threading.Lock()
_thread: threading.Thread | None = None


def begin(run_id: str, save: Callable[[], None]) -> None:
    """Save what a run holds every second from now on."""
    global _thread  # noqa: PLW0603 - one thread per process
    with _lock:
        _running[run_id] = save
        if _thread is None:
            _thread = threading.Thread(target=_work, name="mlops_kit-saving", daemon=True)
            _thread.start()


def end(run_id: str) -> None:
    """Save nothing more of a run."""
    with _lock:
        _running.pop(run_id, None)


def _work() -> None:
    global _thread  # noqa: PLW0603 - likewise
    while True:
        time.sleep(SAVE_SECONDS)
        with _lock:
            saves = list(_running.values())
            if not saves:
                _thread = None
                return
        for save in saves:
            with contextlib.suppress(Exception):  # a full disk, a home that cannot be written: the run goes on without
                save()


def _restart() -> None:
    """Leave the parent's runs to the parent: threads do not survive a fork, and neither do its locks."""
    global _lock, _thread
    _lock, _thread = threading.Lock(), None
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart)
