"""`track`: record each call of a function, which stays the function it was."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar, cast, overload

from mlops_kit.records.names import check_name
from mlops_kit.store.active import activate, active_run, deactivate
from mlops_kit.store.store import Store, StoreLike, open_store
from mlops_kit.tracking import summary
from mlops_kit.tracking.begin import Plan, begin, planned
from mlops_kit.tracking.call import Call, Form, bind
from mlops_kit.tracking.functions import require_function
from mlops_kit.tracking.inputs import snapshot_limit
from mlops_kit.tracking.last_run import set_first, set_last_run, set_newest_run
from mlops_kit.tracking.recorded import recorder_of
from mlops_kit.tracking.results import record_result
from mlops_kit.tracking.run import Run

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Tracked(Protocol[P, R_co]):
    """A tracked function: called as before, and it knows its last run."""

    last_run: Run | None
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function and record it."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `track`, and what they came to."""

    plan: Plan
    register: str | None
    store: StoreLike


@overload
def track(fn: Callable[P, R]) -> Tracked[P, R]: ...


@overload
def track(
    fn: None = None,
    *,
    name: str | None = None,
    experiment: str | None = None,
    register: str | None = None,
    store: StoreLike = None,
    snapshot: str | bool | int = "auto",
    tags: Mapping[str, object] | None = None,
    strict: bool = False,
) -> Callable[[Callable[P, R]], Tracked[P, R]]: ...


def track(
    fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    experiment: str | None = None,
    register: str | None = None,
    store: StoreLike = None,
    snapshot: str | bool | int = "auto",
    tags: Mapping[str, object] | None = None,
    strict: bool = False,
) -> Any:
    """Record every call of a function: parameters, data, code, environment, generators, metrics, model.

    The function keeps its name, signature, documentation, return value and exceptions. What cannot be recorded
    is warned about and noted in `Run.problems`; the function runs all the same.

    Parameters
    ----------
    fn : callable, optional
        A function, method or coroutine function; ``@track`` and ``@track(...)`` both work.
    name : str, optional
        The name of the runs; by default that of the function.
    experiment : str, optional
        The experiment they belong to; by default that of the run they begin in, else ``MLOPS_KIT_EXPERIMENT``,
        else ``"default"``.
    register : str, optional
        Register the model that the function returns as the next version of this name.
    store : str, path or Store, optional
        Where to record; by default the store of the project.
    snapshot : str, bool or int
        Which tables are kept: ``"auto"`` those up to 256 MB, True all, False none, or those up to a number of
        bytes. A fingerprint is recorded in any case.
    tags : dict, optional
        Tags of the runs.
    strict : bool
        Raise if something cannot be recorded.

    Returns
    -------
    callable
        The function, with ``last_run``: the `Run` of its last call in this process.

    Raises
    ------
    InvalidInput
        An argument cannot mean anything; nothing was called.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> @mk.track(register="tree", store="memory://track-doc")
    ... def train(X, y, max_depth=2):
    ...     model = DecisionTreeClassifier(max_depth=max_depth, random_state=0).fit(X, y)
    ...     mk.log_metric("accuracy", model.score(X, y))
    ...     return model
    >>> model = train([[0], [1]], [0, 1], max_depth=1)
    >>> train.last_run.params["max_depth"], train.last_run.metrics, train.last_run.models
    (1, {'accuracy': 1.0}, ['tree:1'])
    """
    if fn is None:
        return functools.partial(
            track,
            name=name,
            experiment=experiment,
            register=register,
            store=store,
            snapshot=snapshot,
            tags=tags,
            strict=strict,
        )
    require_function(fn, "track")
    run_name = name if name is not None else getattr(fn, "__name__", type(fn).__name__)
    if register is not None:
        register = check_name(register, what="model")
    plan = planned(run_name, experiment, tags, snapshot_limit(snapshot), strict=strict)
    return _wrapped(fn, Options(plan, register, store))


def _wrapped(fn: Callable[..., Any], options: Options) -> Tracked[..., Any]:
    wrap = _asynchronous if inspect.iscoroutinefunction(fn) else _synchronous
    tracked: Any = functools.wraps(fn)(wrap(fn, options))
    set_first(tracked)
    tracked.__mlops_kit__ = True  # tells the fingerprint of code to look through
    return cast("Tracked[..., Any]", tracked)


def _synchronous(fn: Callable[..., Any], options: Options) -> Callable[..., Any]:
    """Wrap a function in as little as can be: what crosses to other processes must pickle."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with Recording(wrapper, fn, options, args, kwargs) as recording:
            return recording.returned(fn(*args, **kwargs))

    return wrapper


def _asynchronous(fn: Callable[..., Any], options: Options) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with Recording(wrapper, fn, options, args, kwargs) as recording:
            return recording.returned(await fn(*args, **kwargs))

    return wrapper


class Recording:
    """The recording around one call; it begins before the function and never lets a failure of its own out."""

    def __init__(
        self,
        wrapper: Any,
        fn: Callable[..., Any],
        options: Options,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        kind: type[Run] = Run,
    ) -> None:
        self._options = options
        store, problem = _store(options)
        call, unbound = _call(fn, args, kwargs)
        self.run = begin(store, options.plan, fn, call, kind=kind)
        self._recorder = recorder_of(self.run)
        for message in (problem, unbound):
            if message and self._recorder is not None:
                self._recorder.problem(message)
        self._wrapper = wrapper
        set_last_run(wrapper, self.run)

    def __enter__(self) -> Self:
        self._activation = activate(self.run)
        return self

    def returned(self, result: R) -> R:
        """Record what the function returned, and give it back."""
        if self._recorder is not None:
            self._recorder.stop()
        record_result(self.run, result, register=self._options.register)
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deactivate(self._activation)
        set_last_run(self._wrapper, self.run)  # again: it may have called itself
        if self._recorder is not None:
            self._recorder.leave(error)
        set_newest_run(self.run)
        if active_run() is None:
            summary.show(self.run, register=self._options.register)


def _store(options: Options) -> tuple[Store, str | None]:
    """Open the store, or a passing one in memory, so that the function can log and run all the same."""
    try:
        return open_store(options.store), None
    except Exception as error:  # whatever finding the store meets, such as a folder that may not be searched
        if options.plan.strict:
            raise
        return Store("memory://unrecorded"), f"The run is recorded nowhere: {error}"


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call, str | None]:
    try:
        return bind(_form(fn), args, kwargs), None
    except Exception as error:  # noqa: BLE001 - the call itself will raise it, or the recording is poorer
        return Call(), f"The arguments could not be recorded: {type(error).__name__}: {error}."


def _form(fn: Callable[..., Any]) -> Form:
    known = _forms.get(fn)
    if known is None:
        known = _forms[fn] = Form(fn)
    return known


_forms: weakref.WeakKeyDictionary[Callable[..., Any], Form] = weakref.WeakKeyDictionary()
