"""The store as one run sees it: when it can no longer be written, the rest of the run goes to the spool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_kit.errors import Postponed, StoreError
from mlops_kit.records.check import FsckReport, Listing, SyncReport
from mlops_kit.records.pending import Pending
from mlops_kit.store import keys
from mlops_kit.store.journal import Fold, Journal
from mlops_kit.store.spool import FallbackBackend
from mlops_kit.store.store import Store


class SpoolingStore(Store):
    """A store for one run, with the address of another and the spool behind it.

    Parameters
    ----------
    primary : Store
        The store.
    run_id : str
        The run.
    tell : callable
        Takes what the user should know when the spool comes into use.
    """

    def __init__(self, primary: Store, run_id: str, tell: Callable[[str], None]) -> None:
        self.primary: Store = primary.primary if isinstance(primary, SpoolingStore) else primary
        self._run_id = run_id
        self._tell = tell
        self._fallback = FallbackBackend(self.primary.backend, self._failed)
        self._attach(self._fallback)
        self.objects.share(self.primary.objects)
        self.lives = self.primary.lives

    @property
    def failure(self) -> StoreError | None:
        """Why what is written here goes to the spool; None as long as it goes to the store."""
        return self._fallback.failure

    def look(self, *, now: bool = False) -> None:
        """Look whether the store is still the one it was."""
        self._fallback.attempt(lambda: self._renewed(self.primary.look, now=now), lambda: None)

    def ensure(self, *, now: bool = False) -> None:
        """Make the store if it does not exist yet."""
        self._fallback.attempt(lambda: self._renewed(self.primary.ensure, now=now), lambda: None)

    def settle(self) -> None:
        """Let failures be failures from now on: the run is over, and only read."""
        self._fallback.settle()

    def postpone(self, error: StoreError, pending: Callable[[str], Pending]) -> None:
        """Leave in the spool a version that could not be made, and say so.

        Raises
        ------
        Postponed
            Always: the version has no number.
        """
        self._fallback.fail(error)
        version = pending(self._run_id)
        self._fallback.spool.put(keys.pending_key(version.nonce), version.encode())
        raise Postponed(
            f"The version of {version.name!r} is in the spool {self._fallback.spool.url}, and gets its number when "
            f"`mlops-kit sync --store {self.url}` delivers it. Do not make it again."
        ) from error

    def describe(self) -> dict[str, Any] | None:
        """Read the store's own record."""
        return self.primary.describe()

    def journal(self, kind: str, name: str, fold: Fold) -> Journal:
        """Open the journal of a name in the store itself."""
        if self.failure is not None:
            raise self.failure
        return self.primary.journal(kind, name, fold)

    def anchors(self, besides: Journal) -> dict[str, list[Any]]:
        """Say how far other journals of the store itself have come."""
        return self.primary.anchors(besides)

    def journal_names(self, kind: str) -> Listing[str]:
        """Name all that has a journal in the store itself."""
        return self.primary.journal_names(kind)

    def fsck(self, repair: bool = False) -> FsckReport:  # noqa: FBT001, FBT002 - as in `Store`
        """Check the store itself."""
        return self.primary.fsck(repair)

    def sync(self) -> SyncReport:
        """Deliver what is in the spool."""
        return self.primary.sync()

    def _renewed(self, look: Callable[..., None], *, now: bool) -> None:
        look(now=now)
        self.lives = self.primary.lives
        self.objects.share(self.primary.objects)

    def _failed(self) -> None:
        self.objects.part()
        self._tell(
            f"The store {self.url} cannot be written: {self.failure} What it did not take is in the spool "
            f"{self._fallback.spool.url}; `mlops-kit sync --store {self.url}` delivers it."
        )
