"""A monitor in its store: begun once, read by many, gone on with by one at a time."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlops_kit.errors import Conflict, IntegrityError
from mlops_kit.monitoring.alerts import Change, Held, settle
from mlops_kit.monitoring.baseline import Baseline
from mlops_kit.monitoring.book import Overtaken, open_book
from mlops_kit.monitoring.counted import count_rows, first_judged
from mlops_kit.monitoring.labels import LabelCounts
from mlops_kit.monitoring.places import HORIZON_DAYS, Index, Places
from mlops_kit.monitoring.reading import (
    SEGMENT,
    Rest,
    Windows,
    join_labels,
    joined_table,
    portions,
    read_joined,
    ripe,
    versioned,
)
from mlops_kit.monitoring.reference import Reference
from mlops_kit.monitoring.segments import (
    AT,
    ID,
    JOINED,
    LABELLED,
    LABELS,
    LOGGED,
    PREDICTIONS,
    REPLACE,
    VERSION,
    Segment,
    Segments,
    fresh,
    has_gap,
    marked,
)
from mlops_kit.monitoring.settings import Settings
from mlops_kit.monitoring.versions import UNNAMED, Version
from mlops_kit.monitoring.watch import (
    Context,
    Watch,
    begin_inputs,
    first_performance,
    see_keys,
    see_labels,
    see_moments,
    see_repeated,
    see_time,
    see_window,
    with_other_inputs,
)
from mlops_kit.records import codec
from mlops_kit.records.monitor import check_state, made_by, other_release
from mlops_kit.records.quality import Expectation
from mlops_kit.records.shape import ODD
from mlops_kit.store.journal import Decision, State
from mlops_kit.store.store import Store

NO_LABELS = pd.DataFrame({"id": pd.Series(dtype=str), "label": pd.Series(dtype=object)}).assign(
    label_at=pd.Series(dtype="datetime64[us, UTC]")
)


@dataclass(frozen=True, slots=True)
class Known:
    """Where a monitor stands.

    Parameters
    ----------
    watch : Watch
        What it knows.
    seq : int
        The number of the entry that says so.
    state : list
        Where its state is kept: day and name of a segment.
    marks : dict of str to int
        The last segment of each writer that was read.
    day : str
        Of the last look: nothing that is older by more than a day is new.
    rest : tuple of Rest
        Rows that wait for their window to be full.
    waiting : DataFrame
        Labels that wait for their prediction.
    unjudged : tuple of list
        Segments of joined rows that are not all judged.
    judged : datetime or None
        With a maturity: predictions up to this moment are judged.
    index : Index or None
        Where predictions are, and which of them have a label; None in a state of a release that had none.
    joined : tuple of str
        In such a state, the marks of the segments of joined rows that count.
    since : mapping
        The marks and the day when the epoch began: predictions that had been read by then are none of its own.
    """

    watch: Watch
    seq: int = 0
    state: tuple[str, str] | None = None
    marks: dict[str, int] | None = None
    day: str = ""
    rest: tuple[Rest, ...] = ()
    waiting: pd.DataFrame | None = None
    unjudged: tuple[tuple[str, str], ...] = ()
    judged: datetime | None = None
    index: Index | None = None
    joined: tuple[str, ...] = ()
    since: Mapping[str, Any] = field(default_factory=dict)

    def earlier(self, segment: Segment) -> bool:
        """Tell whether predictions were taken in by an epoch before."""
        read = self.since.get("marks", {}).get(segment.writer, 0)
        return segment.seq <= read or segment.day < _days_before(self.since.get("day", ""))

    def encode(self, context: Context) -> bytes:
        """Write what is too much for the journal as a record."""
        waiting = NO_LABELS if self.waiting is None else self.waiting
        rows = zip(waiting["id"], waiting["label"], waiting["label_at"], strict=True)
        members = {
            "watch": self.watch.plain(context),
            "rest": [rest.plain() for rest in self.rest],
            "waiting": [[name, codec.plain(label), moment.isoformat()] for name, label, moment in rows],
            "unjudged": [list(one) for one in self.unjudged],
            "judged": None if self.judged is None else codec.timestamp(self.judged),
            **({"joined": list(self.joined)} if self.index is None else {"index": self.index.plain()}),
            **made_by(),
        }
        return codec.seal("monitor-state", members, default=_number)


def _number(value: Any) -> Any:
    return value.item()


class Epoch:
    """One epoch of a monitor: its reference, its settings, and what it has seen.

    Parameters
    ----------
    store : Store
        Where it is kept.
    context : Context
        What does not change.
    """

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self.context = context
        self.segments = Segments(store, context.name)
        self.book = open_book(store, context.name)
        self._writer = os.urandom(6).hex()

    def read(self) -> Known:
        """Read where it stands.

        Raises
        ------
        Overtaken
            Another process went on meanwhile, and its state took the place of the one that was to be read.
        IntegrityError
            The state is damaged or gone.
        """
        seq, check, alerts, since = self.book.read(
            lambda state: (state["checked"], dict(state["check"]), list(state["alerts"]), dict(state["since"]))
        )
        day, name = check["state"]
        segment = Segment.of(day, name)
        if segment is None:
            raise IntegrityError(f"The entry {seq} of the monitor {self.context.name} names no state: {name!r}.")
        try:
            data = self.segments.read_bytes(segment)
        except IntegrityError as error:
            if self.book.read(lambda state: state["checked"]) == seq:
                raise
            raise Overtaken from error
        members = codec.unseal(data, where=name, kind="monitor-state")
        check_state(members, where=name)
        try:
            return self._known(members, alerts, seq, check, since)
        except ODD as error:
            raise other_release(members, where=name) from error

    def _known(
        self, members: dict[str, Any], alerts: list[Any], seq: int, check: dict[str, Any], since: dict[str, Any]
    ) -> Known:
        day, name = check["state"]
        waiting = pd.DataFrame(
            [(one[0], codec.unplain(one[1]), one[2]) for one in members["waiting"]], columns=["id", "label", "label_at"]
        )
        waiting["label_at"] = pd.to_datetime(waiting["label_at"], utc=True, format="ISO8601")
        return Known(
            watch=Watch.of(members["watch"], alerts, self.context),
            seq=seq,
            state=(day, name),
            marks=dict(check["marks"]),
            day=check["day"],
            rest=tuple(Rest.of(one) for one in members["rest"]),
            waiting=waiting if len(waiting) else NO_LABELS,
            unjudged=tuple((one[0], one[1]) for one in members["unjudged"]),
            judged=None if members["judged"] is None else codec.moment(members["judged"]),
            since=since,
            **_labelled(members),
        )

    def is_overtaken(self, known: Known) -> bool:
        """Check whether another process went on since this was read."""
        return bool(self.book.read(lambda state: state["checked"]) != known.seq)

    def go_on(self, known: Known, now: datetime) -> tuple[Known, list[Change], list[Segment]]:
        """Take in all that was logged since.

        Parameters
        ----------
        known : Known
            Where it stands.
        now : datetime
            When it is looked at.

        Returns
        -------
        Known, list of Change and list of Segment
            Where it stands then, how alerts changed, and the segments that were written on the way; nothing is
            committed yet.
        """
        listed = list(self.segments.listed(_days_before(known.day)))
        if has_gap(listed, known.marks or {}):
            listed = list(self.segments.listed(_days_before(known.day)))
        new = fresh(listed, known.marks or {})
        before = known
        known = replace(known, day=max([known.day, *(one.day for one in listed)]))
        places = self._places(before) if new or self._judges_groups else None
        first = 0 if places is None else places.count
        watch, parts = self._moments(known.watch, new, places)
        watch, changes, rest = self._windows(replace(known, watch=watch), parts, now)
        known, written = replace(known, watch=watch, rest=rest), list[Segment]()
        if places is not None:
            known, more, written = self._truth(known, places, first, new, now)
            changes += more
        known, more, kept = self._ripened(known, places, written, now)
        changes += more
        if places is not None:
            index = places.written(self._keeping(before.seq + 1, kept), self._oldest(known, now))
            marks = marked(listed, known.marks or {}) if new else known.marks
            known = replace(known, index=index, joined=(), marks=marks)
        self.segments.forget()
        watch, more = see_time(known.watch, self.context, now)
        return replace(known, watch=watch), [*changes, *more], kept

    def _keeping(self, seq: int, written: list[Segment]) -> Callable[[pa.Table, str], Segment]:
        """Return what writes rows of a kind for an entry, and takes note of them."""

        def keep(table: pa.Table, kind: str) -> Segment:
            written.append(self.segments.write(table, kind=kind, writer=self._writer, seq=seq))
            return written[-1]

        return keep

    def _oldest(self, known: Known, now: datetime) -> str:
        """Return the day before which predictions were logged that are too old for a label, or perhaps deleted."""
        day = _days_before(known.day, HORIZON_DAYS)
        gone = self._expired(max(now, known.watch.last or now))
        return day if gone is None else max(day, gone)

    def _places(self, known: Known) -> Places:
        """Return where predictions are; a state of a release that did not know is read once as a whole."""
        if known.index is not None:
            return Places(self.segments, known.index)
        places = Places(self.segments, Index())
        listed = list(self.segments.listed())
        for one in listed:
            read = one.seq <= (known.marks or {}).get(one.writer, 0) or one.day < _days_before(known.day)
            if one.kind == PREDICTIONS and read:
                places.add(one, count_rows(self.segments.read(one, [AT, ID]), places, one.day).keys)
        for one in listed:
            if one.mark in known.joined and places.count:
                places.add_known(one)
        return places

    @staticmethod
    def moved(before: Known, after: Known, changes: list[Change]) -> bool:
        """Tell whether there is anything to commit: the same data, seen again, changes nothing."""
        judged = before.judged != after.judged or before.watch.periods != after.watch.periods
        return bool(changes) or judged or before.marks != after.marks

    @property
    def _apart(self) -> tuple[str, ...]:
        """The columns of predictions that their losses are told apart by."""
        groups = self.context.groups
        return tuple(dict.fromkeys([*self.context.settings.segments, *([] if groups is None else [groups])]))

    @property
    def _judges_groups(self) -> bool:
        """Whether checks without new rows take note of groups, those of predictions that are old enough."""
        return self.context.settings.groups is not None and self.context.settings.maturity is not None

    def _moments(self, watch: Watch, new: list[Segment], places: Places | None) -> tuple[Watch, list[Rest]]:
        """Take note of when and under which ids predictions were made; return which of them are to be compared."""
        parts, groups = [], self.context.groups
        for segment in new:
            if segment.kind == PREDICTIONS and places is not None:
                names = [name for rule in self.context.key_rules.values() for name in rule.limits["columns"]]
                own = [AT, ID, VERSION, *([] if groups is None else [groups])]
                wanted = dict.fromkeys([*own, *names, *(f"{name}'" for name in names)])
                table = versioned(self.segments.read(segment, wanted))
                counted = count_rows(table, places, segment.day, groups)
                watch = see_repeated(watch, counted)
                table = table.filter(pa.array(counted.new))
                watch = see_moments(watch, table.select([AT, VERSION]).to_pandas(), self.context)
                watch = see_keys(watch, table, self.context)
                places.add(segment, counted.keys)
                parts.append(Rest(segment, 0, counted.passed, counted.only_of_version))
        return watch, parts

    def _windows(self, known: Known, new: list[Rest], now: datetime) -> tuple[Watch, list[Change], tuple[Rest, ...]]:
        watch, changes = known.watch, []
        windows = Windows(self.segments, [*known.rest, *new] if new else (), self.context.settings.window)
        for table in windows:
            watch, more = see_window(watch, table, self.context, now)
            changes += more
        return watch, changes, windows.rest if new else known.rest

    def _truth(
        self, known: Known, places: Places, first: int, new: list[Segment], now: datetime
    ) -> tuple[Known, list[Change], list[Segment]]:
        """Join labels with their predictions, and judge them, or keep them until they are old enough."""
        settings, watch = self.context.settings, known.watch
        waiting = NO_LABELS if known.waiting is None else known.waiting
        parts = list(portions(one for one in new if one.kind == LABELS))
        written: list[Segment] = []
        changes: list[Change] = []
        oldest = self._oldest(known, now)
        keep = self._keeping(known.seq + 1, written)
        for part in parts or ([[]] if len(waiting) and places.count > first else []):
            found = join_labels(
                self.segments,
                places,
                labels=part,
                waiting=waiting,
                new=first,
                oldest=oldest,
                columns=self._apart,
            )
            waiting, watch = found.waiting, replace(watch, labels=watch.labels + found.counts)
            epochs = {number: known.earlier(places.segment(number)) for number in found.rows[SEGMENT].unique()}
            earlier = found.rows[SEGMENT].map(epochs).to_numpy(bool)
            changed = found.rows[REPLACE].to_numpy(bool)
            over = earlier | self._is_judged(found.rows, known.judged)
            late, judged = int((earlier & ~changed).sum()), int((over & changed).sum())
            rows = found.rows[np.where(changed, ~over, ~earlier)].drop(columns=REPLACE).reset_index(drop=True)
            watch = replace(watch, labels=watch.labels + LabelCounts(joined=-late, late=late, judged=judged))
            if settings.maturity is None:
                rows = first_judged(rows, places, known.day, self.context.groups)
                watch, more = see_labels(watch, rows, self.context, now)
                changes += more
            elif len(rows):
                keep(joined_table(rows, self._apart), JOINED)
        return replace(known, watch=watch, waiting=waiting), changes, written

    def _is_judged(self, rows: pd.DataFrame, until: datetime | None) -> npt.NDArray[np.bool_]:
        """Find the rows whose first labels are judged, or are to be without one that came later."""
        if self.context.settings.maturity is None or rows.empty:
            return np.ones(len(rows), bool)
        late = rows["label_at"] > rows["at"] + timedelta(seconds=self.context.settings.maturity)
        return (late if until is None else late | (rows["at"] <= until)).to_numpy(bool)

    def _ripened(
        self, known: Known, places: Places | None, written: list[Segment], now: datetime
    ) -> tuple[Known, list[Change], list[Segment]]:
        """With a maturity judge, in the order of the predictions, those that have become old enough."""
        if self.context.settings.maturity is None:
            return known, [], written
        maturity = timedelta(seconds=self.context.settings.maturity or 0)
        until = now - maturity
        names = [*known.unjudged, *((one.day, one.name) for one in written)]
        held = [segment for place in names if (segment := Segment.of(*place)) is not None]
        parts = [read_joined(self.segments, one) for one in held]
        if not parts or (known.judged is not None and until <= known.judged):
            return replace(known, unjudged=tuple(names)), [], written
        rows = pd.concat(parts, ignore_index=True).drop_duplicates("id", keep="last")  # corrections come later
        due, late = ripe(rows, after=known.judged, until=until, maturity=maturity)
        if due.empty and not late and not written:
            return known, [], []
        new = pd.concat(parts[len(known.unjudged) :], ignore_index=True) if written else rows.iloc[:0]
        missed = 0 if known.judged is None else int((new["at"] <= known.judged).sum())
        watch = replace(known.watch, labels=known.watch.labels + LabelCounts(late=late + missed))
        due = first_judged(due, places, known.day, self.context.groups)
        watch, changes = see_labels(watch, due, self.context, now)
        kept = tuple(place for place, part in zip(names, parts, strict=True) if (part["at"] > until).any())
        return replace(known, watch=watch, unjudged=kept, judged=until), changes, written

    def write(self, known: Known, seq: int) -> Segment:
        """Write where it stands; it counts once an entry names it."""
        data = known.encode(self.context)
        return self.segments.write_state(data, writer=self._writer, seq=seq)

    def commit(self, before: Known, after: Known, changes: list[Change], now: datetime) -> Known:
        """Write where it stands, its alerts and whom to tell, in one entry.

        Raises
        ------
        Overtaken
            Another process did so first; nothing was written.
        """
        segment = self.write(after, before.seq + 1)
        body = entry_body(self.context.name, after, (segment.day, segment.name), changes, now)

        def decide(state: State) -> Decision:
            if state["checked"] != before.seq:
                raise Conflict("overtaken")
            return "check", body

        try:
            entry = self.book.append(decide)
        except Conflict as error:
            self.segments.delete(segment)
            raise Overtaken from error
        named = after.index.segments if after.index is not None else ()
        former = () if before.index is None else before.index.segments
        state = None if before.state is None else Segment.of(*before.state)
        for old in (state, *former):
            if old is not None and old != segment and old not in named:
                self.segments.delete(old)
        return replace(after, seq=0 if entry is None else entry.seq, state=(segment.day, segment.name))

    def discard(self, written: Iterable[Segment]) -> None:
        """Remove what was written on the way to a commit that did not come about."""
        for one in written:
            self.segments.delete(one)

    def expire(self, known: Known, now: datetime) -> None:
        """Delete what is older than the retention, and no longer needed."""
        last = self._expired(now)
        if last is None:
            return
        needed = {rest.segment.name for rest in known.rest} | {name for _, name in known.unjudged}
        needed |= {one.name for one in known.index.segments} if known.index is not None else set()
        marks = known.marks or {}
        for segment in self.segments.listed():
            if segment.day >= last:
                break
            read = segment.kind not in LOGGED or segment.seq <= marks.get(segment.writer, segment.seq)
            if read and segment.name not in needed and (segment.day, segment.name) != known.state:
                self.segments.delete(segment)

    def _expired(self, now: datetime) -> str | None:
        """Return the day before which the retention deletes what was logged; None without one."""
        retention = self.context.settings.retention
        if retention is None:
            return None
        return (now - timedelta(seconds=retention) - timedelta(days=1)).date().isoformat()


def entry_body(name: str, after: Known, state: tuple[str, str], changes: list[Change], now: datetime) -> dict[str, Any]:
    """Put together what an entry says of a check."""
    told = [{**change.held.alert(name).to_dict(), "told": codec.timestamp(now)} for change in changes if change.tell]
    steps = [
        {"kind": c.key[0], "subject": c.key[1], "before": c.before, "after": c.after, "at": codec.timestamp(c.at)}
        for c in changes
    ]
    return {
        "check": {"state": list(state), "marks": after.marks or {}, "day": after.day, "at": codec.timestamp(now)},
        "alerts": [held.plain() for held in after.watch.alerts.values()],
        "changes": steps,
        "tell": told,
    }


def begin(
    store: Store,
    name: str,
    reference: Reference,
    settings: Settings,
    expectations: tuple[Expectation, ...],
    metrics: tuple[Any, ...],
    *,
    spec: str | None = None,
    reason: str | None = None,
    replacing: str | None = None,
    before: Known | None = None,
) -> None:
    """Begin an epoch, unless another process has begun one with the same reference, or gone on with the one before.

    Parameters
    ----------
    store : Store
        Where.
    name : str
        Of the monitor.
    reference : Reference
        What it compares with.
    settings : Settings
        How it watches.
    expectations, metrics : tuple
        What the user stated.
    spec : str, optional
        The name under which the reference was found, if it has one.
    reason : str, optional
        Why it begins again.
    replacing : str, optional
        The identity of the reference that it replaces; None for a first epoch. An epoch is begun only in its place.
    before : Known, optional
        Where the monitor stands, if it only follows its alias: predictions and losses go on, and so do the inputs if
        the data of the other version is the same.
    """
    store.ensure()
    book = open_book(store, name)
    book.append(lambda state: None if state else ("create", {"name": name}))
    state = book.read(dict)
    baseline = Baseline.of(reference, settings)
    profiles = {group: store.objects.put(one.encode()) for group, one in baseline.profiles.items()}
    is_same = before is not None and profiles == state.get("profiles")
    epoch = state.get("epoch", 0) + (0 if is_same else 1)
    context = Context(name, epoch, settings, baseline, expectations, metrics)
    own = Epoch(store, context)
    begun, now = functools.partial(first_performance, reference, context), datetime.now(UTC)
    changes: list[Change] = []
    if before is None:
        left = _left(own, state)
        held = {(one.kind, one.subject): one for one in map(Held.of, state.get("alerts", []))}
        ended, changes = settle(held, now)
        watch = Watch(
            inputs=begin_inputs(context), era=epoch, begun=begun(epoch), versions=_numbers(left), alerts=ended
        )
        marks, day = _marks(state)
        known = Known(watch, marks=marks, day=day, **_known_before(own, left))
    else:
        watch = replace(before.watch, begun=begun(before.watch.era))
        if not is_same:
            watch, changes = with_other_inputs(watch, context, now)
        known = replace(before, watch=watch)
    written = own.write(known, epoch)
    body = {
        **entry_body(name, known, (written.day, written.name), changes, now),
        "since": None if before is None else dict(before.since),
        "epoch": epoch,
        "reference": baseline.told,
        "identity": baseline.identity,
        "baseline": store.objects.put(baseline.encode()),
        "profiles": profiles,
        "settings": settings.plain(),
        "rules": [rule.members() for rule in expectations if rule.function is None],
        "spec": spec,
        "reason": reason,
    }

    over: list[Segment] = []
    checked = state.get("checked") if before is None else before.seq
    seen = {"identity": replacing, "epoch": state.get("epoch"), "checked": checked}

    def decide(state: State) -> Decision:
        over[:] = filter(None, [_place(state)])
        if any(state.get(member) != value for member, value in seen.items()):
            return None  # another process was first
        return "begin", {member: value for member, value in body.items() if value is not None}

    if book.append(decide) is not None:
        for one in over:
            own.segments.delete(one)
        return
    own.segments.delete(written)
    there = book.read(dict)
    if before is None and all(there.get(member) == seen[member] for member in ("identity", "epoch")):
        begin(  # after the check that came between
            store, name, reference, settings, expectations, metrics, spec=spec, reason=reason, replacing=replacing
        )


def _marks(state: State) -> tuple[dict[str, int], str]:
    check = state.get("check") or {}
    return dict(check.get("marks", {})), str(check.get("day", ""))


def _place(state: State) -> Segment | None:
    """Find where the journal says that the state is."""
    return Segment.of(*state["check"]["state"]) if "check" in state else None


def _left(epoch: Epoch, state: State) -> Mapping[str, Any]:
    """Read what the last check of a monitor that begins again has left, as far as it can be read."""
    place = _place(state)
    try:
        if place is not None:
            return codec.unseal(epoch.segments.read_bytes(place), where=place.name, kind="monitor-state")
    except (IntegrityError, *ODD):
        pass  # a state that is gone, or of another release, is a reason to begin again, and must not prevent it
    return {}


def _known_before(epoch: Epoch, left: Mapping[str, Any]) -> dict[str, Any]:
    """Find what is known of labels when a monitor begins again: those that were known stay known."""
    try:
        return _labelled(left)
    except ODD:
        return {"joined": tuple(one.mark for one in epoch.segments.listed() if one.kind in {JOINED, LABELLED})}


def _labelled(members: Mapping[str, Any]) -> dict[str, Any]:
    """Read from a state where predictions are, or in one of an earlier release which joined rows count."""
    if "index" in members:
        return {"index": Index.of(members["index"])}
    return {"joined": tuple(members["joined"])}


def _numbers(left: Mapping[str, Any]) -> dict[str, Version]:
    """Return the versions of a monitor that begins again: each keeps its number, and so its part of the budget."""
    try:
        watch = left["watch"]
        if "versions" in watch:
            return {name: Version(one["number"]) for name, one in watch["versions"].items()}
        return {UNNAMED: Version(1)} if watch["rows"] or "latest" in watch else {}
    except ODD:
        return {}


def _days_before(day: str, days: int = 1) -> str:
    return (datetime.fromisoformat(day) - timedelta(days=days)).date().isoformat() if day else ""
