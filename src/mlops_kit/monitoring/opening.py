"""A monitor's place in its store: found or begun, gone on with, and never with the wrong reference."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import Conflict, IntegrityError, InvalidInput, InvalidName, OtherRelease
from mlops_kit.monitoring.book import Overtaken, open_book
from mlops_kit.monitoring.reference import follows_alias, identity_of, read_reference
from mlops_kit.monitoring.settings import Settings
from mlops_kit.records.monitor import MonitorRecord
from mlops_kit.records.quality import Expectation
from mlops_kit.records.shape import reading
from mlops_kit.store.store import Store

if TYPE_CHECKING:
    from mlops_kit.monitoring.epoch import Epoch, Known
    from mlops_kit.monitoring.judge import Performance
    from mlops_kit.monitoring.watch import Context

AS_BEGUN = object()
"""In place of a reference: the one that the monitor was begun with."""
_ATTEMPTS = 20


class Opening:
    """What a user asked for, and the place in the store that it means.

    Parameters
    ----------
    store : Store
        Where the monitor is kept.
    source : Store
        Where its reference is looked up.
    name : str
        Of the monitor.
    reference : object
        As the user passed it, or `AS_BEGUN`.
    settings : Settings
        As the user stated them.
    expectations, metrics : tuple
        Likewise.
    """

    def __init__(
        self,
        store: Store,
        source: Store,
        name: str,
        reference: Any,
        settings: Settings,
        expectations: tuple[Expectation, ...],
        metrics: tuple[Any, ...],
    ) -> None:
        self._store, self._source, self._name, self._reference = store, source, name, reference
        self._stated, self._expectations, self._metrics = settings, expectations, metrics
        self._identity: str | None = None
        self._epochs: dict[int, Epoch] = {}
        self._once: tuple[Context, Performance | None] | None = None

    def state(self) -> dict[str, Any]:
        """Read what the journal says.

        Raises
        ------
        InvalidName
            There is a monitor whose name differs only in case: both would be one.
        """
        state = open_book(self._store, self._name).read(dict)
        if state.get("name", self._name) != self._name:
            raise InvalidName(
                f"There is a monitor {state['name']!r} in {self._store.url}, and {self._name!r} differs only in case: "
                "use its name, or another one."
            )
        return state

    def epoch(self) -> Epoch:
        """Find the present epoch, or begin it.

        Raises
        ------
        Conflict
            The monitor of this name has another reference, or other settings.
        """
        state = self.state()
        if self._reference is AS_BEGUN:
            self._identity = state["identity"]
        elif self._identity is None or follows_alias(self._reference):
            self._identity = identity_of(self._reference, self._source)
        known = state.get("identity")
        if known != self._identity:
            if known is not None and not follows_alias(self._reference):
                raise Conflict(
                    f"The monitor {self._name!r} in {self._store.url} compares with {state['reference']}, not with "
                    "this reference. Use another name, or begin again with monitor.reset('why')."
                )
            self._begin(reason=None if known is None else f"now {self._identity}", replacing=known, state=state)
            return self.epoch()
        if state["began"] not in self._epochs:
            self._epochs = {state["began"]: self._read(state)}
        return self._epochs[state["began"]]

    def begin(self, *, reason: str | None) -> None:
        """Begin an epoch with the present reference, whatever the monitor compared with before."""
        self._begin(reason=reason, replacing=self.state().get("identity"))

    def _begin(self, *, reason: str | None, replacing: str | None, state: dict[str, Any] | None = None) -> None:
        """Begin an epoch in the place of the one that was looked at; if another process was first, do nothing.

        With the state of a monitor that follows its alias, what is known of predictions and losses goes on.
        """
        from mlops_kit.monitoring.epoch import begin  # noqa: PLC0415 - loads pandas, pyarrow and the statistics

        settings, expectations, known = self._stated, self._expectations, None
        if state is not None and replacing is not None:
            settings, expectations, known = self._before(state)
        if any(rule.kind == "volume" and "seconds" not in rule.limits for rule in expectations):
            raise InvalidInput(
                "row_count() is about a whole table, and a live monitor looks at windows of rows: say over which "
                "period, as row_count(at_least=1000, per='1d')."
            )
        named = {"prediction": settings.prediction, "target": settings.target, "groups": settings.groups}
        begin(
            self._store,
            self._name,
            read_reference(self._reference, self._source, **named),
            settings,
            expectations,
            self._metrics or settings.metrics,
            spec=self._reference if isinstance(self._reference, str) else None,
            reason=reason,
            replacing=replacing,
            before=known,
        )
        self._epochs.clear()

    def _before(self, state: dict[str, Any]) -> tuple[Settings, tuple[Expectation, ...], Known | None]:
        """Read how a monitor watches that begins to compare with another version, and where it stands.

        If other settings are stated, or its state is gone, predictions and losses begin again, too.
        """
        try:
            epoch = self._read(state)
        except Conflict:
            return self._stated, self._expectations, None
        try:
            known = epoch.read()
        except Overtaken:
            return self._before(self.state())
        except (IntegrityError, OtherRelease):
            known = None
        return epoch.context.settings, epoch.context.expectations, known

    def go_on(self, now: datetime) -> tuple[Epoch, Known]:
        """Take in what is new; if another process was first, take in what is new after that."""
        for _ in range(_ATTEMPTS):
            epoch = self.epoch()
            try:
                known = epoch.read()
            except Overtaken:
                continue
            try:
                after, changes, written = epoch.go_on(known, now)
            except IntegrityError:
                if epoch.is_overtaken(known):  # and what was to be read is merged into another file
                    continue
                raise
            if not epoch.moved(known, after, changes):
                return epoch, after
            try:
                committed = epoch.commit(known, after, changes, now)
            except Overtaken:
                epoch.discard(written)
                continue
            epoch.expire(committed, now)
            return epoch, committed
        raise Conflict(f"The monitor {self._name} was checked by others {_ATTEMPTS} times meanwhile; try again.")

    def check_once(self, data: Any, now: datetime) -> MonitorRecord:
        """Check a table against the reference, and keep nothing."""
        from mlops_kit.monitoring.batch import check_once  # noqa: PLC0415 - as above

        if self._once is None or follows_alias(self._reference):
            self._once = self._begin_once()
        return check_once(data, *self._once, now)

    def _begin_once(self) -> tuple[Context, Performance | None]:
        """Read the reference for checks of single tables, which keep nothing but this."""
        from mlops_kit.monitoring.baseline import Baseline  # noqa: PLC0415 - as above
        from mlops_kit.monitoring.watch import Context, first_performance  # noqa: PLC0415 - as above

        stated = self._stated
        named = {"prediction": stated.prediction, "target": stated.target, "groups": stated.groups}
        reference = read_reference(self._reference, self._source, **named)
        settings = replace(stated, maturity=stated.maturity if stated.maturity is not None else 0.0)
        baseline = Baseline.of(reference, settings)
        metrics = self._metrics or stated.metrics
        settings = replace(settings, alpha=settings.alpha * math.pi**2 / 6)  # all of it: there is no second epoch
        context = Context(self._name, 1, settings, baseline, self._expectations, metrics)
        return context, first_performance(reference, context, 1)

    def _read(self, state: dict[str, Any]) -> Epoch:
        from mlops_kit.monitoring.baseline import Baseline  # noqa: PLC0415 - as above
        from mlops_kit.monitoring.epoch import Epoch  # noqa: PLC0415 - as above
        from mlops_kit.monitoring.watch import Context  # noqa: PLC0415 - as above

        with reading(f"of the beginning of the monitor {self._name}"):
            settings = Settings.read(state["settings"])
            rules = [Expectation.from_members(one) for one in state["rules"]]
        stated = self._stated.plain()
        if any(state["settings"].get(name) != value for name, value in stated.items()):
            raise Conflict(
                f"The monitor {self._name!r} in {self._store.url} was begun with other settings: {state['settings']}. "
                "Leave them out to go on as it is, or begin again with monitor.reset('why')."
            )
        what = f"reference of the monitor {self._name}"
        profiles = {name: self._store.objects.get(one, what=what) for name, one in state["profiles"].items()}
        baseline = Baseline.decode(self._store.objects.get(state["baseline"], what=what), profiles, where=what)
        own = [one for one in self._expectations if one not in rules]
        context = Context(
            self._name, state["epoch"], settings, baseline, (*rules, *own), self._metrics or settings.metrics
        )
        return Epoch(self._store, context)
