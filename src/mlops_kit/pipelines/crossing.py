"""A call of a step in another process: values cross by the store, and what it logs comes back with its result."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mlops_kit.errors import IntegrityError, InvalidInput, MlopsKitError, NotSerializable
from mlops_kit.fingerprints.arguments import argument_fingerprint, is_atom
from mlops_kit.pipelines.call import RunningCall, hear
from mlops_kit.pipelines.context import runner
from mlops_kit.pipelines.dependencies import dependencies
from mlops_kit.pipelines.futures import StepFuture, called, resolved
from mlops_kit.pipelines.reuse import pass_on
from mlops_kit.pipelines.values import INLINE_BYTES, keep_value
from mlops_kit.records.metrics import Point
from mlops_kit.records.run import OutputRef
from mlops_kit.records.step import Logged
from mlops_kit.store import serializers
from mlops_kit.store.active import activate, deactivate
from mlops_kit.store.objects import digest_of
from mlops_kit.store.observed import Observed
from mlops_kit.store.store import Store, open_store, without_sync
from mlops_kit.tracking.call import Form
from mlops_kit.tracking.outputs import load_output
from mlops_kit.tracking.recorder import Recorder
from mlops_kit.tracking.run import Run


@dataclass(frozen=True, slots=True)
class Parcel:
    """A value on its way to another process: its pickle, or the digest under which the store has that.

    Parameters
    ----------
    digest : str
        Of the pickle.
    data : bytes or None
        The pickle, if it is small.
    """

    digest: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Task:
    """A call for another process, in bytes and text alone.

    Parameters
    ----------
    step : str
        The step, as ``"module:qualname"``.
    function, args, kwargs : Parcel
        What is called, and with what.
    store, run : str
        The address of the store and the run of the pipeline.
    """

    step: str
    function: Parcel
    args: tuple[Parcel, ...]
    kwargs: dict[str, Parcel]
    store: str
    run: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes back.

    Parameters
    ----------
    value : OutputRef
        How what was returned is kept.
    data : bytes or None
        Its pickle, if it is small.
    logged : Logged
        What the step logged.
    observed : Observed
        What it read by movable names, and changed.
    changed : str or None
        An argument that it changed in place.
    problems : tuple of str
        What could not be logged.
    expires : datetime or None
        When something that it took from another step is no longer fresh.
    unrepeatable : str or None
        Why what it called may not stand for another call.
    """

    value: OutputRef
    data: bytes | None
    logged: Logged
    observed: Observed
    changed: str | None = None
    problems: tuple[str, ...] = field(default=())
    expires: datetime | None = None
    unrepeatable: str | None = None


def task(
    step: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], store: Store, run: str
) -> Task:
    """Pack a call.

    Raises
    ------
    NotSerializable
        An argument cannot cross; the step, the argument and the part that prevents it are named.
    InvalidInput
        The store is in the memory of this process.
    """
    if store.url.startswith("memory://"):
        raise InvalidInput(
            f"The step {step} cannot run in another process: the store {store.url} is in the memory of this one. Keep "
            "the pipeline in a folder or a bucket."
        )
    packed = tuple(_packed(value, store, f"argument {number} of {step}") for number, value in enumerate(args, 1))
    named = {name: _packed(value, store, f"argument {name} of {step}") for name, value in kwargs.items()}
    return Task(step, _packed(function, store, f"function of {step}"), packed, named, store.url, run)


def _packed(value: Any, store: Store, what: str) -> Parcel:
    data = serializers.pickled_for_worker(value, what=what)
    digest = digest_of(data)
    if len(data) <= INLINE_BYTES:
        return Parcel(digest, data)
    store.objects.put(data)
    return Parcel(digest, None)


def _unpacked(parcel: Parcel, store: Store, what: str) -> Any:
    """Read what the driver packed: its digest came from there, so its bytes are trusted."""
    data = parcel.data
    if data is None:
        data = store.objects.get(parcel.digest, what=what)  # which verifies it
    elif digest_of(data) != parcel.digest:
        raise IntegrityError(f"The {what} was damaged on the way to this process.")
    return serializers.serializer("cloudpickle").load(data, what=what)


class _Collector(Recorder):
    """Takes what a step logs in a process that does not write the run; the driver writes it."""

    def log(self, points: list[Point]) -> bool:
        """Take metric points, which the listener of the run has heard."""
        return points is not None


class _Within:
    """Runs the steps that a step calls in another process: with it, so that it depends on what they depend on."""

    def __init__(self, outer: RunningCall, store: str) -> None:
        self._outer, self._store = outer, store

    def call(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call."""
        args, kwargs = resolved(args), resolved(kwargs)
        self._depend(step, args, kwargs)
        return step.__wrapped__(*args, **kwargs)

    async def call_async(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call of an async function."""
        return await self.call(step, args, kwargs)

    def submit(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StepFuture[Any]:
        """Run a call, and return a future."""
        return called(step.place, partial(self.call, step, args, kwargs))

    def _depend(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        depends = []
        with suppress(TypeError):  # a call that does not fit fails in itself
            depends = dependencies(step.options, Form(step.__wrapped__).bound(args, kwargs))
        pass_on(self._outer, step.place, step.options, depends, at=datetime.now(UTC), store=self._store)


def work(given: Task) -> Outcome:
    """Run a call in this process, outside of the pipeline that a forked process inherits.

    Raises
    ------
    MlopsKitError
        What the call raised cannot cross.
    """
    try:
        return Context().run(_work, given)
    except BaseException as error:
        if not _crosses(error):
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            raise MlopsKitError(f"The step {given.step} raised {kind}, which does not pickle: {error}") from error
        raise


def _crosses(error: BaseException) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled here a moment ago
    except Exception:  # noqa: BLE001 - an exception of the user's may do anything when it is pickled
        return False
    return True


def _work(given: Task) -> Outcome:
    store = without_sync(open_store(given.store))
    function = _unpacked(given.function, store, f"function of {given.step}")
    args = [_unpacked(one, store, f"argument of {given.step}") for one in given.args]
    kwargs = {name: _unpacked(one, store, f"argument of {given.step}") for name, one in given.kwargs.items()}
    values: dict[str, Any] = {}
    with suppress(TypeError):  # a call that does not fit fails in itself
        values = Form(function).bound(tuple(args), kwargs)
    before = {name: argument_fingerprint(value).value for name, value in values.items() if not is_atom(value)}
    recorder = _Collector(open_store(given.store), given.step, run_id=given.run)
    call = RunningCall()
    activation = activate(Run(store, given.run, recorder, listener=hear))
    try:
        with call.attempt():
            runner.set(_Within(call, store.url))
            value = function(*args, **kwargs)
    finally:
        deactivate(activation)
    changed = next((name for name in before if argument_fingerprint(values[name]).value != before[name]), None)
    try:
        ref, data = keep_value(store, value, fingerprint=None, elsewhere=True)
    except NotSerializable as error:
        raise NotSerializable(f"The result of {given.step} cannot come back from the worker: {error}") from error
    problems = tuple(recorder.problems)
    return Outcome(ref, data, call.logged, call.observed, changed, problems, call.expires, call.unrepeatable)


def returned(outcome: Outcome, store: Store, step: str) -> Any:
    """Read what a worker returned: its digest came from there, so its bytes are trusted."""
    serializers.pickled.add(str(outcome.value.object))
    what = f"result of {step}"
    if outcome.data is None:
        return load_output(store, outcome.value, what=what)
    return _unpacked(Parcel(str(outcome.value.object), outcome.data), store, what)
