"""`Monitor`: watches a model and its data, and says when they are no longer what they were."""

from __future__ import annotations

import functools
import inspect
import logging
import secrets
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from mlops_kit.errors import InvalidInput, NotFound, NotSerializable
from mlops_kit.masking import quoted
from mlops_kit.monitoring.book import open_book, told_id
from mlops_kit.monitoring.log import PredictionLog
from mlops_kit.monitoring.report import MonitorReport
from mlops_kit.monitoring.segments import Segment, Segments
from mlops_kit.monitoring.settings import LIFETIME, MATTERS, Settings, expectations_of, metrics_of
from mlops_kit.monitoring.sinks import SinkLike, deliver, sinks_of
from mlops_kit.records import codec
from mlops_kit.records.alert import Alert
from mlops_kit.records.durations import Duration
from mlops_kit.records.names import check_name
from mlops_kit.records.quality import Expectation
from mlops_kit.store.memory import MemoryBackend, forget
from mlops_kit.store.store import Store, StoreLike, open_store

if TYPE_CHECKING:
    import pandas as pd

    from mlops_kit.monitoring.opening import Opening

Function = TypeVar("Function", bound=Callable[..., Any])

_FIRST_YEAR = 1970


class Monitor:
    """Watches a model and its data with one budget of false alarms for its whole life.

    Made from a model in the store, ``Monitor("fraud@champion")`` knows from the record of the training which columns
    to watch, which is the target, and what the data looked like. What is logged is kept in the store; `check` takes in
    what is new and says how things stand. Any number of processes may log and check at once.

    Parameters
    ----------
    reference : str, Dataset or table
        A model (``"fraud@champion"``, ``"fraud:3"``), a dataset (``"customers:2"``), or a frame.
    name : str, optional
        Under which the monitor is kept: by default that of the model or dataset, ``fraud.champion``. A monitor of a
        frame without a name is in memory only.
    prediction, target : str, optional
        The columns of the reference, and of frames given to `check`, with what was predicted and what was true.
    positive : object, optional
        Of two classes the one that is looked for, such as ``"fraud"``; by default the last in sorted order. Scores are
        of this class, misses are the share of it that was not predicted.
    task : str, optional
        ``"binary"``, ``"multiclass"``, ``"regression"``, ``"ranking"`` or, for forecasts of a quantile,
        ``"quantile(0.9)"``; by default taken from the model or the data. Scores outside of 0 to 1 of a model of two
        classes are judged as a ranking, by pairs.
    metrics : sequence of str or callable, optional
        What is measured in each window: names as in `mlops_kit.measures.metrics`, or functions of truth and prediction.
    columns, exclude : str or sequence of str, optional
        Which columns are watched, and which are not; by default all. What is not watched is named in the report, with
        the reason: ids and columns that only grow, lists, moments. Naming a column watches it also if it looks like an
        id.
    moments : str or sequence of str
        Columns of moments whose hour and weekday are compared.
    segments : str or sequence of str
        Columns whose values are judged apart.
    cost : matrix, optional
        ``cost[actual][predicted]``, classes in sorted order: what a decision costs.
    matched_on : str or sequence of str
        Columns whose values must agree for rows to be compared: the day of the week, where that makes a difference.
    maturity : str, float or timedelta, optional
        Judge predictions at this age, in their order; by default when their labels arrive.
    tolerance : float, optional
        By how much a mean loss may exceed that of the reference without an alert, in the units of the loss: of a
        regression, those of the target.
    groups : str, optional
        The column that says which rows belong together, such as those of one customer: of each of its values only the
        first row is compared and judged.
    alpha : float
        The probability of any false alert in the life of the monitor.
    budget : str or int
        ``"lifetime"``; or a number of windows in which one false alarm of drift is accepted, for alarms that come
        sooner: ``"per_windows"`` is 100.
    window : int
        Rows of a window.
    min_effect : float
        The effect below which a change of a distribution is a warning and no alert: total variation, which is at most
        the share of rows that are different.
    expectations : sequence of Expectation
        Rules beside those inferred from the reference; see `mlops_kit.expectations`.
    sinks : sequence
        Where alerts go: ``"log"``, a logger, a function that takes a list of alerts, the address of a webhook.
    retention : str, float or timedelta, optional
        After which what was logged is deleted; by default never.
    store : str, path or Store, optional
        Where the model is, and the monitor is kept.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"amount": rng.normal(10, 2, 4000), "age": rng.integers(18, 90, 4000)})
    >>> monitor = mk.Monitor(frame, name="payments", store="memory://monitor-doc", window=200)
    >>> ids = monitor.log(frame.sample(400, random_state=1), [0.1] * 400)
    >>> monitor.check().status
    'ok'
    >>> ids = monitor.log(frame.sample(400, random_state=2).assign(amount=20.0), [0.1] * 400)
    >>> [alert.subject for alert in monitor.check().alerts if alert.kind == "drift"]
    ['amount']
    """

    def __init__(  # noqa: PLR0913 - each is a question that a monitor answers, and has a default
        self,
        reference: Any,
        *,
        name: str | None = None,
        prediction: str | None = None,
        target: str | None = None,
        positive: Any = None,
        task: str | None = None,
        metrics: Sequence[Any] | None = None,
        columns: Iterable[str] | str | None = None,
        exclude: Iterable[str] | str = (),
        moments: Iterable[str] | str = (),
        segments: Iterable[str] | str = (),
        cost: Any = None,
        matched_on: Iterable[str] | str = (),
        maturity: Duration | None = None,
        tolerance: float | None = None,
        groups: str | None = None,
        alpha: float = 0.05,
        budget: str | int = LIFETIME,
        window: int = 500,
        min_effect: float = MATTERS,
        expectations: Sequence[Expectation] = (),
        sinks: Sequence[SinkLike] | SinkLike = (),
        retention: Duration | None = None,
        store: StoreLike = None,
    ) -> None:
        from mlops_kit.monitoring.reference import default_name, version_of  # noqa: PLC0415 - loads what models take

        self._metrics = metrics_of(metrics)
        self._stated = Settings.of(
            prediction=prediction,
            target=target,
            positive=positive,
            task=task,
            metrics=[one for one in self._metrics if isinstance(one, str)],
            columns=columns,
            exclude=exclude,
            moments=moments,
            segments=segments,
            cost=cost,
            matched_on=matched_on,
            maturity=maturity,
            tolerance=tolerance,
            groups=groups,
            alpha=alpha,
            budget=budget,
            window=window,
            min_effect=min_effect,
            retention=retention,
        )
        self._expectations = expectations_of(expectations)
        self._sinks = sinks_of(sinks)
        self._reference = reference
        self._source = open_store(store)
        given = default_name(reference) if name is None else name
        self.name = "in memory" if given is None else check_name(given, what="monitor")
        self.store = self._source
        if given is None:
            space = f"monitor-{secrets.token_hex(8)}"
            self.name = space
            self.store = Store.on(MemoryBackend(space))
            weakref.finalize(self, forget, space)
        self._opening_lock = threading.RLock()
        self._version = version_of(reference, self._source)
        self._log: PredictionLog | None = None
        self._place: Opening | None = None

    def log(
        self,
        X: Any,  # noqa: N803 - the field's name for data
        predictions: Any,
        *,
        ids: Any = None,
        at: Any = None,
        version: Any = None,
    ) -> Sequence[str]:
        """Log predictions: an append to a buffer, which a thread writes to the store.

        Parameters
        ----------
        X : table or array
            What was predicted on. An array has the columns of the reference, in their order.
        predictions : array-like
            One for each row: classes, values, or probabilities (of the positive class, or a column for each class).
        ids : sequence, optional
            One for each row, by which its label will be known.
        at : datetime or array-like, optional
            When; by default now.
        version : str or int, optional
            Which version of the model made them, such as ``"fraud:3"``; by default the one that the name of the
            reference meant when this monitor was made.

        Returns
        -------
        sequence of str
            The ids.

        Raises
        ------
        InvalidInput
            The numbers of rows, predictions and ids differ, or the version is none.
        Conflict
            The monitor of this name has another reference.
        """
        from mlops_kit.monitoring.calls import flat, version_named  # noqa: PLC0415 - only those who log need it

        log, made_by = self._opened_log(), version_named(version, self._version)
        kept = flat(predictions, lambda: self._opening().epoch().context.shape)
        return log.add(X, kept, ids=ids, at=at, version=made_by)

    def log_labels(self, ids: Any, y: Any, *, at: Any = None, replace: bool = False) -> None:
        """Log what came true.

        Parameters
        ----------
        ids : sequence of str, or str
            As `log` gave or took them. An id may come before its prediction.
        y : array-like
            The truth about each.
        at : datetime or array-like, optional
            When it became known; by default now.
        replace : bool
            Whether these labels take the place of others that the predictions have. They are written at once, with an
            entry in the journal. What is judged from then on rests on them; what was judged before does not change, and
            the report says so.

        Raises
        ------
        InvalidInput
            The numbers of ids and labels differ, or there is more than one column of labels.
        StoreError
            Labels that replace others could not be written; they wait on.
        """
        log = self._opened_log()
        log.add_labels(ids, y, at=at, replace=bool(replace))
        if replace:
            log.flush()
            self._note_corrections(log.corrections())

    def watch(self, function: Function) -> Function:
        """Log every call of a function that predicts: its first table or array, and what it returns.

        Parameters
        ----------
        function : callable
            A function or a coroutine function. It stays as it is: a failure of the log is written to the log of the
            process, and never raised.

        Returns
        -------
        callable
            The function, decorated.
        """
        from mlops_kit.monitoring.calls import rows_among  # noqa: PLC0415 - only those who watch need it

        self._opened_log()

        def note(args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> None:
            try:
                self.log(rows_among(args, kwargs), returned)
            except Exception:
                logging.getLogger("mlops_kit.monitoring").exception("%s: a prediction was not logged", self.name)

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            returned = function(*args, **kwargs)
            note(args, kwargs, returned)
            return returned

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            returned = await function(*args, **kwargs)
            note(args, kwargs, returned)
            return returned

        return awaited if inspect.iscoroutinefunction(function) else watched  # type: ignore[return-value] # functools.wraps keeps the signature

    def check(self, data: Any = None, *, now: datetime | None = None) -> MonitorReport:
        """Say how things stand.

        Parameters
        ----------
        data : table, optional
            Check only this, against the reference, once: nothing is kept, and no budget spent. With the columns of
            `prediction` and `target` it is judged too. By default all that was logged since the last check.
        now : datetime, optional
            The time of the check; by default the present.

        Returns
        -------
        MonitorReport
            The verdict, and everything it rests on. Checking again without new data changes nothing.

        Raises
        ------
        InvalidInput
            The data is no table, or the time is none.
        Conflict
            The monitor of this name has another reference.
        StoreError
            The store cannot be read or written.
        """
        moment = datetime.now(UTC) if now is None else _present(now)
        from mlops_kit.monitoring.telling import told  # noqa: PLC0415 - loads pandas, pyarrow and the statistics

        if data is not None:
            return MonitorReport.of(self._opening().check_once(data, moment))
        if self._log is not None:
            self._log.flush()
        epoch, known = self._opening().go_on(moment)
        waiting = sum(rest.waiting for rest in known.rest)
        self._deliver()
        return MonitorReport.of(told(known.watch, epoch.context, moment, waiting=waiting))

    def alerts(self) -> list[Alert]:
        """List all alerts there ever were: firing ones first, then pending, then resolved.

        Returns
        -------
        list of Alert
            As of the last check.
        """
        from mlops_kit.monitoring.alerts import Held  # noqa: PLC0415 - only those who look at alerts need it

        held = [Held.of(one) for one in open_book(self.store, self.name).read(lambda s: list(s.get("alerts", [])))]
        order = {"firing": 0, "pending": 1, "resolved": 2}
        return [one.alert(self.name) for one in sorted(held, key=lambda one: (order[one.state], one.kind, one.subject))]

    def acknowledge(self, alert: Alert | str) -> Alert:
        """Take an alert in hand: it is not told again until it is over and comes back.

        Parameters
        ----------
        alert : Alert or str
            The alert, or its fingerprint.

        Returns
        -------
        Alert
            As it stands now.

        Raises
        ------
        NotFound
            There is no such alert.
        InvalidInput
            It is neither an alert nor the fingerprint of one.
        """
        from mlops_kit.monitoring.alerts import Held, acknowledge  # noqa: PLC0415 - as above
        from mlops_kit.store.identity import author  # noqa: PLC0415 - asks git who this is

        if not isinstance(alert, Alert | str):
            raise InvalidInput(
                f"{quoted(alert, 200)} is neither an alert nor the fingerprint of one; see monitor.alerts()."
            )
        wanted = alert if isinstance(alert, str) else alert.fingerprint
        keys = {one.fingerprint: (one.kind, one.subject) for one in self.alerts()}
        if wanted not in keys:
            raise NotFound(f"The monitor {self.name} has no alert {wanted!r}. There are: {', '.join(keys) or 'none'}.")

        def decide(state: dict[str, Any]) -> tuple[str, dict[str, Any]]:
            held = {(one.kind, one.subject): one for one in map(Held.of, state["alerts"])}
            after = acknowledge(held, keys[wanted], author()["actor"])
            return "acknowledge", {"fingerprint": wanted, "alerts": [one.plain() for one in after.values()]}

        open_book(self.store, self.name).append(decide)
        return next(one for one in self.alerts() if one.fingerprint == wanted)

    def predictions(self, since: str | datetime | Duration | None = None) -> pd.DataFrame:
        """Read what was logged.

        Parameters
        ----------
        since : str, datetime or timedelta, optional
            A moment, or how long ago, such as ``"7d"``; by default all.

        Returns
        -------
        pandas.DataFrame
            ``id``, ``at``, ``prediction``, ``label`` and ``label_at`` where known, ``weight`` (how many predictions a
            row stands for), ``version`` (of the model that made it), and the features.
        """
        from mlops_kit.monitoring.reading import read_predictions  # noqa: PLC0415 - loads pandas and pyarrow

        if self._log is not None:
            self._log.flush()
        return read_predictions(Segments(self.store, self.name), _moment(since))

    def reset(self, reason: str) -> None:
        """Begin a new epoch with the present reference: after a change that was accepted, or with another reference.

        Parameters
        ----------
        reason : str
            Why; kept in the journal. All alerts end.
        """
        given: object = reason
        if not isinstance(given, str) or not given.strip():
            raise InvalidInput("A monitor begins again for a reason: monitor.reset('retrained on May data').")
        self._opening().begin(reason=reason)

    def flush(self) -> None:
        """Write what was logged and not written yet; a process that ends does so by itself.

        Raises
        ------
        StoreError
            It could not be written, and waits on.
        """
        if self._log is not None:
            self._log.flush()

    def _note_corrections(self, written: list[Segment]) -> None:
        """Write into the journal that labels were replaced, and in which files the new ones are."""
        if written:
            files = [[one.day, one.name] for one in written]
            body = {"labels": sum(one.rows for one in written), "files": files}
            open_book(self.store, self.name).append(lambda _state: ("correct", body))

    def _opened_log(self) -> PredictionLog:
        if self._log is not None:
            return self._log
        from mlops_kit.monitoring.reference import version_of  # noqa: PLC0415 - loads what reading models takes
        from mlops_kit.monitoring.rows import unescaped  # noqa: PLC0415 - loads pandas and pyarrow

        with self._opening_lock:  # threads that make the first call together share one log
            if self._log is None:
                context = self._opening().epoch().context
                names = [unescaped(name) for name in context.baseline.features]
                self._version = self._version or version_of(self._reference, self._source)
                self._log = PredictionLog(Segments(self.store, self.name), names=names, version=self._version)
            return self._log

    def _opening(self) -> Opening:
        from mlops_kit.monitoring.opening import Opening  # noqa: PLC0415 - loads pandas, pyarrow and the statistics

        with self._opening_lock:
            if self._place is None:
                stated = (self._stated, self._expectations, self._metrics)
                self._place = Opening(self.store, self._source, self.name, self._reference, *stated)
            return self._place

    def _deliver(self) -> None:
        """Bring what people are to be told to every sink that has not taken it."""
        if not self._sinks:
            return
        book = open_book(self.store, self.name)
        waiting = book.read(lambda state: list(state.get("waiting", [])))
        names = [sink.name for sink in self._sinks]
        due = [(sink, [one["alert"] for one in waiting if sink.name not in one["taken"]]) for sink in self._sinks]
        due = [(sink, alerts) for sink, alerts in due if alerts]
        failed = deliver((sink, [_alert(one) for one in alerts]) for sink, alerts in due)
        for sink, alerts in due:
            if sink.name not in failed:
                body = {"sink": sink.name, "sinks": names, "told": [told_id(one) for one in alerts]}
                book.append(functools.partial(_delivered, body))

    def __repr__(self) -> str:
        return f"Monitor({self.name!r}, store={self.store.url!r})"

    def __reduce__(self) -> Any:
        raise NotSerializable("A monitor holds a buffer and a thread, and does not pickle: make one in each process.")


def _delivered(body: dict[str, Any], _state: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "deliver", body


def _alert(told: dict[str, Any]) -> Alert:
    members = {name: value for name, value in told.items() if name != "told"}
    return Alert(**{**members, **{name: codec.moment(members[name]) for name in ("since", "changed")}})


def _present(now: Any) -> datetime:
    """Read the time of a check; a naive one is UTC."""
    if not isinstance(now, datetime) or not now.year >= _FIRST_YEAR:  # the year of NaT is not a number
        raise InvalidInput(
            f"now={quoted(now, 200)} is not the time of a check: give a datetime of {_FIRST_YEAR} or later."
        )
    return now.replace(tzinfo=UTC) if now.tzinfo is None else now


def _moment(since: Any) -> datetime | None:
    if since is None:
        return None
    if isinstance(since, datetime):
        if not since.year >= 1:  # the year of NaT is not a number
            raise InvalidInput(f"since={since!r} is no moment.")
        return since.replace(tzinfo=UTC) if since.tzinfo is None else since
    from mlops_kit.records.durations import seconds_of  # noqa: PLC0415 - seldom needed
    from mlops_kit.records.moments import as_of_moment  # noqa: PLC0415 - likewise

    try:
        return datetime.now(UTC) - timedelta(seconds=seconds_of(since))
    except OverflowError:
        return None
    except InvalidInput:
        return as_of_moment(since, name="since", day=time.min)
