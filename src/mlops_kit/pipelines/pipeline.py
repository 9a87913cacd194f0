"""`pipeline`: a function whose calls of steps are run or reused, and whose every call is a run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from mlops_kit.errors import InvalidInput, RunNotFound
from mlops_kit.masking import quoted
from mlops_kit.pipelines.execution import Execution
from mlops_kit.pipelines.explain import runs_of, why
from mlops_kit.pipelines.plan import Plan, plan
from mlops_kit.pipelines.run import PipelineRun
from mlops_kit.pipelines.step import Step
from mlops_kit.store.store import StoreLike, open_store
from mlops_kit.tracking.begin import planned
from mlops_kit.tracking.decorator import Options, Recording
from mlops_kit.tracking.functions import require_function
from mlops_kit.tracking.inputs import snapshot_limit
from mlops_kit.tracking.run import Run
from mlops_kit.views.why import Why

P = ParamSpec("P")
R = TypeVar("R")


class Pipeline(Generic[P, R]):
    """A function that is a pipeline; made by `mlops_kit.pipeline`.

    Attributes
    ----------
    last_run : PipelineRun or None
        The run of its last call in this process.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.step
    ... def square(x):
    ...     return x * x
    >>> @mk.pipeline(store="memory://pipeline-class-doc")
    ... def squares(n):
    ...     return [square(i) for i in range(n)]
    >>> squares(3)
    [0, 1, 4]
    >>> len(squares.last_run.steps)
    3
    """

    __mlops_kit__ = True  # fingerprints of code look through
    __wrapped__: Callable[..., Any]
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, R], options: Options, receiver: tuple[Any, ...] = ()) -> None:
        functools.update_wrapper(self, function)
        self._runs: list[PipelineRun] = []  # the last one, shared with what is bound to objects
        self._options = options
        self._receiver = receiver
        self._is_async = inspect.iscoroutinefunction(function)
        self._executor: Executor | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it, and return what the function returns."""
        if self._is_async:
            return cast("R", self._call_async((*self._receiver, *args), kwargs))
        with self._recording((*self._receiver, *args), kwargs) as recording:
            with Execution(recording.run, self._executor) as execution:
                result = execution.finished(self.__wrapped__(*self._receiver, *args, **kwargs))
            return cast("R", recording.returned(result))

    async def _call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._recording(args, kwargs) as recording:
            with Execution(recording.run, self._executor) as execution:
                result = execution.finished(await self.__wrapped__(*args, **kwargs))
            return recording.returned(result)

    def on(self, executor: Executor) -> Pipeline[P, R]:
        """Return the pipeline with its submitted calls on an executor; ``pipeline.on(executor)(...)`` runs it.

        Plain calls of steps stay here; those by ``submit`` and ``map`` run there, and leave the same results.

        Parameters
        ----------
        executor : ThreadPoolExecutor or ProcessPoolExecutor
            Threads of this process, or other processes of this machine. The pipeline does not shut it down. Arguments
            and results cross to processes as pickles, large ones by the store.

        Returns
        -------
        Pipeline
            Its ``last_run`` is that of this one too.

        Raises
        ------
        InvalidInput
            It is something else.

        Examples
        --------
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> import mlops_kit as mk
        >>> @mk.step
        ... def square(x):
        ...     return x * x
        >>> @mk.pipeline(store="memory://on-doc")
        ... def squares(n):
        ...     return square.map(range(n))
        >>> with ThreadPoolExecutor(2) as threads:
        ...     squares.on(threads)(3)
        [0, 1, 4]
        """
        if not isinstance(executor, ThreadPoolExecutor | ProcessPoolExecutor):
            raise InvalidInput(
                f"A pipeline runs on a ThreadPoolExecutor or ProcessPoolExecutor of concurrent.futures, not on "
                f"{quoted(executor)}. What a step does inside may use other executors."
            )
        return self._changed(self._receiver, executor)

    def why(self, step: str | Step[..., Any]) -> Why:
        """Explain why a step ran, or was reused, in the last run.

        Parameters
        ----------
        step : Step or str
            The step, or its name.

        Returns
        -------
        Why
            What had changed since the run before: which function, argument, package or file, with the diff of the
            source, and what no fingerprint could look into.

        Raises
        ------
        RunNotFound
            The pipeline was not run yet.
        InvalidInput
            Its last run called no such step; the message names those it called.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> @mk.step
        ... def scale(x, by):
        ...     return x * by
        >>> @mk.pipeline(store="memory://why-doc")
        ... def run(by):
        ...     return scale(2, by)
        >>> run(3), run(4)
        (6, 8)
        >>> run.why(scale).changes
        (Change(section='argument', name='by', left=3, right=4),)
        """
        return why(self._latest(), step.place if isinstance(step, Step) else step)

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> Plan:
        """Return what a call would do, from the calls of the last run; nothing of yours runs.

        Parameters
        ----------
        *args, **kwargs
            Of the call; none for those of the last run.

        Returns
        -------
        Plan
            For each call of a step ``"reused"``, ``"runs"``, or, behind the first that runs, ``"may run"``.

        Raises
        ------
        RunNotFound
            The pipeline was not run yet.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> @mk.step
        ... def load():
        ...     return [1, 2]
        >>> @mk.pipeline(store="memory://plan-doc")
        ... def run():
        ...     return len(load())
        >>> run()
        2
        >>> [call.outcome for call in run.plan().calls]
        ['reused']
        """
        return plan(self.__wrapped__, self._latest(), (*self._receiver, *args), kwargs, open_store(self._options.store))

    def _latest(self) -> Run:
        """Return the last run in this process, else the newest in the store."""
        if self.last_run is not None:
            return self.last_run
        store = open_store(self._options.store)
        place = f"{self.__module__}:{self.__qualname__}"
        run = next(runs_of(store, place), None)
        if run is None:
            raise RunNotFound(f"The pipeline {place} has no run in {store.url} yet. Call it first.")
        return run

    @property
    def last_run(self) -> PipelineRun | None:
        """The run of its last call in this process."""
        return self._runs[0] if self._runs else None

    @last_run.setter
    def last_run(self, run: PipelineRun) -> None:
        self._runs[:] = [run]

    def _recording(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
        return Recording(self, self.__wrapped__, self._options, args, kwargs, kind=PipelineRun)

    def __get__(self, instance: object, owner: type | None = None) -> Pipeline[..., R]:
        """Bind it to an object, as a function that stands in a class is bound."""
        if instance is None:
            return self
        return self._changed((instance,), self._executor)

    def _changed(self, receiver: tuple[Any, ...], executor: Executor | None) -> Pipeline[P, R]:
        """Return the same pipeline for an object or on an executor, with the runs of this one."""
        other: Pipeline[P, R] = Pipeline(self.__wrapped__, self._options, receiver)
        other._runs, other._executor = self._runs, executor
        return other

    def __repr__(self) -> str:
        return f"<pipeline {self.__qualname__}>"


@overload
def pipeline(fn: Callable[P, R]) -> Pipeline[P, R]: ...


@overload
def pipeline(
    fn: None = None,
    *,
    name: str | None = None,
    experiment: str | None = None,
    store: StoreLike = None,
    tags: Mapping[str, object] | None = None,
) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...


def pipeline(
    fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    experiment: str | None = None,
    store: StoreLike = None,
    tags: Mapping[str, object] | None = None,
) -> Any:
    """Make a function a pipeline: the steps that it calls are run, or reused where nothing has changed.

    It stays an ordinary function: it runs from top to bottom, calls of steps return values, and ``if``, ``for`` and
    ``try`` mean what they always do. Each call is a run, which names the calls of steps, and why each ran. To resume
    a pipeline that failed or was killed, call it again.

    Parameters
    ----------
    fn : callable, optional
        A function, method or async function; ``@pipeline`` and ``@pipeline(...)`` both work.
    name : str, optional
        The name of the runs; by default that of the function.
    experiment : str, optional
        The experiment they belong to, as for `track`.
    store : str, path or Store, optional
        Where runs and results are kept; by default the store of the project.
    tags : dict, optional
        Tags of the runs.

    Returns
    -------
    Pipeline
        The function, with ``last_run``: the `PipelineRun` of its last call in this process.

    Raises
    ------
    InvalidInput
        An argument cannot mean anything; nothing was called.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.step
    ... def total(numbers):
    ...     mk.log_metric("numbers", len(numbers))
    ...     return sum(numbers)
    >>> @mk.pipeline(store="memory://pipeline-doc")
    ... def report(numbers):
    ...     return f"total: {total(numbers)}"
    >>> report((1, 2)), report((1, 2))
    ('total: 3', 'total: 3')
    >>> report.last_run.steps[0].why
    'the same code, arguments and packages'
    >>> report.last_run.metrics
    {'numbers': 2}
    """
    if fn is None:
        return functools.partial(pipeline, name=name, experiment=experiment, store=store, tags=tags)
    require_function(fn, "pipeline")
    run_name = name if name is not None else getattr(fn, "__name__", type(fn).__name__)
    plan = planned(run_name, experiment, tags, snapshot_limit("auto"), strict=False)
    return Pipeline(fn, Options(plan, None, store))
