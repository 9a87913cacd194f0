"""The calls of one pipeline: each is run or reused, and leaves its result and a line in the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from time import perf_counter, sleep
from types import TracebackType
from typing import Any, Self

from mlops_kit.errors import InvalidInput, MlopsKitError
from mlops_kit.fingerprints.arguments import argument_fingerprint
from mlops_kit.masking import excerpt, masked_text
from mlops_kit.pipelines.call import RunningCall, hear, running_call
from mlops_kit.pipelines.context import runner
from mlops_kit.pipelines.crossing import returned, task, work
from mlops_kit.pipelines.dependencies import dependencies
from mlops_kit.pipelines.explain import NEW, explained
from mlops_kit.pipelines.futures import StepFuture, called, resolved
from mlops_kit.pipelines.keys import Inputs, inputs_of, states
from mlops_kit.pipelines.options import StepOptions
from mlops_kit.pipelines.reuse import find, pass_on
from mlops_kit.pipelines.step import Step
from mlops_kit.pipelines.timeouts import in_time, stopped_after
from mlops_kit.pipelines.values import keep_value
from mlops_kit.records.run import StepCall
from mlops_kit.records.secrets import masked
from mlops_kit.records.step import Logged, StepRecord
from mlops_kit.registry.saving import python_minor
from mlops_kit.store.active import activate, deactivate
from mlops_kit.store.observed import note_change, note_read
from mlops_kit.store.spooling import SpoolingStore
from mlops_kit.store.store import without_sync
from mlops_kit.tracking.capture import capture_function
from mlops_kit.tracking.params import recordable
from mlops_kit.tracking.recorded import recorder_of
from mlops_kit.tracking.recorder import status_after
from mlops_kit.tracking.run import Run

_in_worker: ContextVar[bool] = ContextVar("mlops_kit_in_worker", default=False)
_DRIVERS = 64
"""So many calls are under way in other processes at once."""
_NOT_FOUND = object()
_SAME = "the same code, arguments and packages"
_NOTE = 200


@dataclass(slots=True)
class Attempt:
    """What is known of a call before it runs.

    Parameters
    ----------
    name : str
        The step, as ``"module:qualname"``.
    options : StepOptions
        How it is called.
    inputs : Inputs or None
        What its result depends on, if that is asked for and can be seen.
    key : str or None
        Of its result, if it may have one.
    why : str
        Why it runs.
    """

    name: str
    options: StepOptions
    inputs: Inputs | None = None
    key: str | None = None
    why: str = NEW
    began: float = field(default_factory=perf_counter)


class Execution:
    """A pipeline that runs.

    Parameters
    ----------
    run : Run
        Its run.
    executor : Executor, optional
        Where calls that are submitted run; by default here and now.
    """

    def __init__(self, run: Run, executor: Executor | None = None) -> None:
        self._executor = executor
        self._futures: list[StepFuture[Any]] = []
        is_here = executor is None or isinstance(executor, ThreadPoolExecutor)
        # Where calls leave the process, a thread here waits for each: it finds the key, and keeps the result.
        self._drivers = executor if is_here else ThreadPoolExecutor(_DRIVERS, thread_name_prefix="mlops-kit-step")
        store = run.store
        self._store = without_sync(store.primary if isinstance(store, SpoolingStore) else store)
        self._run = Run(store, run.id, recorder_of(run), listener=hear)
        self._recorder = recorder_of(run)
        self._body = RunningCall().apart()

    def __enter__(self) -> Self:
        self._token = runner.set(self)
        self._body.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait()
        self._body.__exit__(None, None, None)
        runner.reset(self._token)
        recorder = self._recorder
        if recorder is not None:
            recorder.stop()
            with recorder.guarded("What had changed since the run before"):
                recorder.steps = explained(self._run, recorder.steps)

    def finished(self, result: Any) -> Any:
        """Wait for all that was submitted, and return what a pipeline returns, with results for futures.

        Raises
        ------
        Exception
            What the first call raised that failed, and that nobody asked for.
        """
        result = resolved(result)
        for future in self._futures:  # it may grow: a call that is under way submits others
            error = future.unread_failure
            if error is not None:
                raise error
        return result

    def _wait(self) -> None:
        """End all work with the pipeline: what has not begun is cancelled."""
        for future in self._futures:
            future.cancel()
        for future in self._futures:
            with suppress(CancelledError):
                future.exception()
        if self._drivers is not None and self._drivers is not self._executor:
            self._drivers.shutdown()

    def submit(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> StepFuture[Any]:
        """Run a call or reuse its result where the pipeline was put, and return a future."""
        if self._drivers is None or _in_worker.get():
            future = called(step.place, partial(self.call, step, args, kwargs))
        else:
            job = partial(copy_context().run, self._work, step, args, kwargs)
            future = StepFuture(step.place, self._drivers.submit(job))
        self._futures.append(future)
        return future

    def _work(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        _in_worker.set(True)
        return self.call(step, args, kwargs)

    def _invoke(self, call: RunningCall, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function, in another process if it was submitted and the pipeline was put there."""
        timeout, executor = step.options.timeout, self._executor
        is_here = executor is None or executor is self._drivers or not _in_worker.get()
        if is_here and timeout is None:
            return step.__wrapped__(*args, **kwargs)
        given = task(step.place, step.__wrapped__, args, kwargs, self._store, self._run.id)
        if executor is None or timeout is not None:
            outcome = stopped_after(timeout, given)
        else:
            outcome = executor.submit(work, given).result()
        self._log(outcome.logged)
        call.absorb(outcome.logged)
        call.changed_argument = outcome.changed
        call.ends_by(outcome.expires)
        if outcome.unrepeatable is not None:
            call.cannot_be_repeated(outcome.unrepeatable)
        for read in outcome.observed.reads:
            note_read(**{"state": None, **read})
        for place in outcome.observed.changes:
            note_change(place)
        for problem in outcome.problems:
            self._problem(problem)
        return returned(outcome, self._store, step.place)

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call or reuse its result."""
        args, kwargs = resolved(args), resolved(kwargs)
        attempt, value = self._begin(step, args, kwargs)
        if value is not _NOT_FOUND:
            return value
        call, options = RunningCall(), step.options
        with self._ending(attempt, call, kwargs):
            for number in range(1, options.retries + 2):
                try:
                    with self._attempt(call):
                        value = self._invoke(call, step, args, kwargs)
                    break
                except options.retry_on:
                    if number > options.retries:
                        raise
                sleep(options.pause(number))
            self._keep(attempt, call, value, step.__wrapped__)
        return value

    async def call_async(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call of an async function or reuse its result."""
        args, kwargs = resolved(args), resolved(kwargs)
        attempt, value = self._begin(step, args, kwargs)
        if value is not _NOT_FOUND:
            return value
        call, options = RunningCall(), step.options
        with self._ending(attempt, call, kwargs):
            for number in range(1, options.retries + 2):
                try:
                    with self._attempt(call):
                        value = await in_time(options.timeout, step.place, step.__wrapped__(*args, **kwargs))
                    break
                except options.retry_on:
                    if number > options.retries:
                        raise
                await asyncio.sleep(options.pause(number))
            self._keep(attempt, call, value, step.__wrapped__)
        return value

    def _begin(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Attempt, Any]:
        """Find what a call depends on, and the value of its result if there is one that may be reused."""
        attempt = Attempt(step.place, step.options)
        if not step.options.cache:
            attempt.why = "cache=False"
            return attempt, _NOT_FOUND
        try:
            attempt.inputs = inputs_of(step.__wrapped__, step.options, args, kwargs)
            unseen = attempt.inputs.unseen
            attempt.key = attempt.inputs.key if unseen is None else None
        except InvalidInput as error:  # a dependency that was declared is not there
            error.add_note(f"in the step {attempt.name}")
            raise
        except Exception as error:  # noqa: BLE001 - a call that does not fit fails in itself; else it runs every time
            unseen = f"what it depends on cannot be seen: {type(error).__name__}: {error}"
        if unseen is not None or self._run.store.failure is not None:
            attempt.key, attempt.why = None, unseen or "the store cannot be written, and is not read either"
            return attempt, _NOT_FOUND
        if step.options.refresh:
            attempt.why = "refresh=True"
            return attempt, _NOT_FOUND
        return attempt, self._reused(attempt)

    def _reused(self, attempt: Attempt) -> Any:
        now = datetime.now(UTC)
        found = find(self._store, str(attempt.key), fresh_for=attempt.options.fresh_for, now=now)
        if found.warning is not None:
            self._store.objects.forget()
            self._run.store.objects.forget()
            self._problem(f"{attempt.name}: {found.warning}")
        if found.record is None:
            attempt.why = found.why or NEW
            return _NOT_FOUND
        self._replay(found.record, attempt)
        self._note(attempt, "finished", reused=True, why=_SAME, logged=found.record.logged.names)
        return found.value

    def _replay(self, record: StepRecord, attempt: Attempt) -> None:
        """Log to the run what the step had logged, and let the calls around depend on what it depended on."""
        logged = record.logged
        self._log(logged)
        outer = running_call()
        if outer is not None:
            outer.absorb(logged)
            for read in record.reads:
                note_read(**{"store": self._store.url, "state": None, **read})
            self._pass_on(outer, attempt, record.at, record.expires, None)

    def _log(self, logged: Logged) -> None:
        """Log to the run what a step had logged elsewhere."""
        recorder = self._recorder
        if recorder is None or not logged.names:
            return
        recorder.log([(name, *point) for name, points in logged.metrics.items() for point in points])
        recorder.params.update(logged.params)
        recorder.tags.update(logged.tags)
        for kind in ("inputs", "outputs", "artifacts"):
            for ref in getattr(logged, kind):
                recorder.keep(kind, ref)

    def _pass_on(
        self, outer: RunningCall, attempt: Attempt, at: datetime, expires: datetime | None, unrepeatable: str | None
    ) -> None:
        """Make the call around depend on what a call inside of it depends on."""
        outer.ends_by(expires)
        if attempt.options.cache and unrepeatable is not None:
            outer.cannot_be_repeated(unrepeatable)
        depends = attempt.inputs.depends if attempt.inputs is not None else []
        pass_on(outer, attempt.name, attempt.options, depends, at=at, store=self._store.url)

    @contextmanager
    def _attempt(self, call: RunningCall) -> Iterator[None]:
        activation = activate(self._run)
        try:
            with call.attempt():
                yield
        finally:
            deactivate(activation)

    @contextmanager
    def _ending(self, attempt: Attempt, call: RunningCall, kwargs: dict[str, Any]) -> Iterator[None]:
        """Note how a call ends, and name the step and its arguments on what it raises."""
        try:
            yield
        except BaseException as error:
            error.add_note(f"in the step {attempt.name}{_shown_call(attempt, kwargs)}")
            self._note(attempt, status_after(error), reused=False, why=attempt.why, logged=call.logged.names)
            raise
        self._note(attempt, "finished", reused=False, why=attempt.why, logged=call.logged.names)

    def _keep(self, attempt: Attempt, call: RunningCall, value: Any, function: Callable[..., Any]) -> None:
        """Keep a result, unless it may not stand for another call."""
        outer = running_call()
        if outer is not None:
            self._pass_on(outer, attempt, call.at, call.expires, call.unrepeatable)
        if attempt.inputs is None or attempt.key is None:
            return
        try:
            problem = _unkeepable(attempt.inputs, attempt.options, call)
            if problem is None and call.unrepeatable is None:
                record = self._record(attempt.key, attempt.name, attempt.inputs, call, value, function)
                self._store.results.write(record)
                return
        except MlopsKitError as error:
            problem = f"its result cannot be kept: {error}"
        except Exception as error:  # noqa: BLE001 - whatever keeping meets, the step has done its work
            problem = f"its result cannot be kept: {type(error).__name__}: {error}"
        if problem is not None:
            self._problem(f"{attempt.name}: {problem}")
        why = str(problem or call.unrepeatable)
        attempt.key, attempt.why = None, why if attempt.why == NEW else f"{attempt.why}; {why}"

    def _record(
        self, key: str, name: str, inputs: Inputs, call: RunningCall, value: Any, function: Callable[..., Any]
    ) -> StepRecord:
        printed = argument_fingerprint(value)
        ref, data = keep_value(self._store, value, fingerprint=None if printed.opaque else printed.value)
        parts = capture_function(self._store.objects, function, inputs.code).get("parts")
        reads = [
            {name: item for name, item in read.items() if (name, item) != ("store", self._store.url)}
            for read in call.observed.reads
        ]
        return StepRecord(
            key=key,
            step=name,
            at=call.at,
            seconds=round(call.seconds, 6),
            run=self._run.id,
            code=inputs.code.value,
            python=python_minor(),
            parts=parts,
            arguments={name: each.value for name, each in inputs.arguments.items()},
            shown=_shown(inputs),
            packages=inputs.packages,
            distributions=printed.distributions,
            version=inputs.version,
            depends=states(inputs.depends),
            reads=reads,
            expires=call.expires,
            value=ref,
            data=data,
            logged=call.logged,
        )

    def _note(self, attempt: Attempt, status: str, *, reused: bool, why: str, logged: list[str]) -> None:
        if self._recorder is not None:
            seconds = round(perf_counter() - attempt.began, 6)
            why = why if why in {NEW, _SAME} else masked_text(why)
            self._recorder.steps.append(StepCall(attempt.name, status, why, seconds, reused, attempt.key, logged))

    def _problem(self, message: str) -> None:
        if self._recorder is not None:
            self._recorder.problem(message)


def _unkeepable(inputs: Inputs, options: StepOptions, call: RunningCall) -> str | None:
    """Return what happened that makes the result of a call worthless for another; None if nothing."""
    changed = [call.changed_argument] if call.changed_argument else inputs.changed_arguments()
    if changed:
        return f"it changed its argument {changed[0]!r}, so its result is not reused; work on a copy of {changed[0]}"
    if inputs.depends:
        then, now = states(inputs.depends), states(dependencies(options, inputs.values))
        moved = [name for name in then if now.get(name) != then[name]]
        if moved or now.keys() != then.keys():
            return f"the {moved[0] if moved else 'depends_on='} changed while it ran, so its result is not reused"
    outside = call.changed_outside
    return None if outside is None else f"{outside}; say so with cache=False"


def _shown(inputs: Inputs) -> dict[str, Any]:
    """Reduce the arguments that are plain and short, so that a later call can say from what they changed."""
    values = {name: inputs.values[name] for name in inputs.arguments}
    return {name: masked(name, recordable(value)) for name, value in values.items() if _is_short(value)}


_PLAIN = frozenset({type(None), bool, int, float, str})


def _is_short(value: Any) -> bool:
    if type(value) not in _PLAIN:
        return False
    return len(value) <= _NOTE if isinstance(value, str) else not isinstance(value, int) or value.bit_length() <= _NOTE


def _shown_call(attempt: Attempt, kwargs: dict[str, Any]) -> str:
    """Show the arguments of a call, masked and cut; of what is not plain only the type."""
    values = kwargs if attempt.inputs is None else attempt.inputs.values
    shown = {name: repr(masked(name, v)) if _is_short(v) else f"<{type(v).__name__}>" for name, v in values.items()}
    text = ", ".join(f"{name}={value}" for name, value in shown.items())
    return excerpt(f" with {text}", _NOTE) if text else ""
