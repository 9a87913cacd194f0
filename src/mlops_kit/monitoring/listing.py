"""The monitors of a store, by name."""

from __future__ import annotations

from mlops_kit.errors import MonitorNotFound
from mlops_kit.monitoring.book import KIND, open_book
from mlops_kit.monitoring.monitor import Monitor
from mlops_kit.monitoring.opening import AS_BEGUN
from mlops_kit.records.check import Listing
from mlops_kit.records.names import check_name
from mlops_kit.store.store import StoreLike, open_store


def open_monitor(name: str, store: StoreLike = None) -> Monitor:
    """Open a monitor that was begun, whatever it compares with.

    Parameters
    ----------
    name : str
        Under which it is kept.
    store : str, path or Store, optional
        Where.

    Returns
    -------
    Monitor
        With the reference and settings that it was begun with.

    Raises
    ------
    MonitorNotFound
        There is none of this name; the message lists those there are.
    """
    opened = open_store(store)
    book = open_book(opened, check_name(name, what="monitor"))
    identity, spec = book.read(lambda state: (state.get("identity"), state.get("spec")))
    if identity is None:
        exist = ", ".join(monitor_names(opened)) or "none"
        raise MonitorNotFound(f"There is no monitor {name!r} in {opened.url}. There are: {exist}.")
    return Monitor(spec or AS_BEGUN, name=name, store=opened)


def monitor_names(store: StoreLike = None) -> Listing[str]:
    """Name the monitors of a store, sorted."""
    return open_store(store).journal_names(KIND)
