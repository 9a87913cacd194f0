"""`step`: a function whose results are kept and reused where it is called in a pipeline."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable
from inspect import getattr_static
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from mlops_kit.errors import InvalidInput
from mlops_kit.pipelines.context import runner
from mlops_kit.pipelines.futures import StepFuture, called
from mlops_kit.pipelines.options import Backoff, Dependency, RetryOn, StepOptions
from mlops_kit.tracking.functions import require_function

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A function that is a step; made by `mlops_kit.step`.

    Called in a pipeline, it runs or its result is reused. Called anywhere else, it is the function.

    Attributes
    ----------
    options : StepOptions
        How it is called.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.step
    ... def double(x):
    ...     return 2 * x
    >>> double(4)
    8
    """

    __mlops_kit__ = True  # fingerprints of code look through
    __wrapped__: Callable[..., Any]
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, R], options: StepOptions, receiver: tuple[Any, ...] = ()) -> None:
        functools.update_wrapper(self, function)
        self.options = options
        self._receiver = receiver
        self._is_async = inspect.iscoroutinefunction(function)
        if options.version is not None:
            self.__mlops_kit_version__ = options.version

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it, or reuse its result if a pipeline calls it."""
        here = runner.get()
        if here is None:
            return cast("R", self.__wrapped__(*self._receiver, *args, **kwargs))
        if self._is_async:
            made: Coroutine[Any, Any, Any] = here.call_async(self, (*self._receiver, *args), kwargs)
            return cast("R", made)
        return cast("R", here.call(self, (*self._receiver, *args), kwargs))

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> StepFuture[R]:
        """Call it where the pipeline was put with ``pipeline.on(executor)``, and go on at once.

        Without an executor, outside of a pipeline, and inside of a submitted step it is called here and now; what it
        raises is kept until ``.result()``.

        Parameters
        ----------
        *args, **kwargs
            Of the call; futures among them stand for their results.

        Returns
        -------
        StepFuture
            ``.result()`` gives the value. The pipeline waits for it, and fails if it failed and nobody asked.

        Raises
        ------
        InvalidInput
            The function is async.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> @mk.step
        ... def square(x):
        ...     return x * x
        >>> square.submit(3).result()
        9
        """
        if self._is_async:
            raise InvalidInput(f"{self.place} is async: await it, and gather several with asyncio.gather.")
        here, given = runner.get(), (*self._receiver, *args)
        if here is None:
            return called(self.place, functools.partial(self.__wrapped__, *given, **kwargs))
        return cast("StepFuture[R]", here.submit(self, given, kwargs))

    def map(self, *iterables: Iterable[Any], **constants: Any) -> list[StepFuture[R]]:
        """Submit a call for each row of some iterables of one length.

        Parameters
        ----------
        *iterables : iterable
            The first arguments of the calls, the second, and so on.
        **constants
            Arguments that are the same for all.

        Returns
        -------
        list of StepFuture
            In the order of the rows. One that fails does not stop the others.

        Raises
        ------
        InvalidInput
            There are no iterables, or their lengths differ.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> @mk.step
        ... def power(x, y, mod=None):
        ...     return pow(x, y, mod)
        >>> [future.result() for future in power.map([2, 3], [5, 2], mod=7)]
        [4, 2]
        """
        columns = [list(column) for column in iterables]
        lengths = [len(column) for column in columns]
        if len(set(lengths)) != 1:
            these = f"these have {', '.join(map(str, lengths))} items" if lengths else "none was passed"
            raise InvalidInput(
                f"{self.place}.map takes iterables of one length, and {these}. Pass what is the same for all by name."
            )
        return [self.submit(*row, **constants) for row in zip(*columns, strict=True)]

    def with_options(self, **options: Any) -> Step[P, R]:
        """Return the step with other options, for one call or many.

        Parameters
        ----------
        **options
            Those of `mlops_kit.step`, and ``refresh``: True to run whatever results there are, and keep the new one.

        Returns
        -------
        Step
            Another step of the same function; this one stays as it is.

        Raises
        ------
        InvalidInput
            There is no such option, or its value cannot mean anything.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> @mk.step
        ... def fetch(url):
        ...     return len(url)
        >>> fetch.with_options(refresh=True, retries=3)("https://example.org")
        19
        """
        return Step(self.__wrapped__, self.options.changed(options), self._receiver)

    @property
    def place(self) -> str:
        """``"module:qualname"`` of the function."""
        return f"{getattr(self.__wrapped__, '__module__', None) or ''}:{self.__qualname__}"

    def __get__(self, instance: object, owner: type | None = None) -> Step[..., R]:
        """Bind it to an object, as a function that stands in a class is bound."""
        return self if instance is None else Step(self.__wrapped__, self.options, (instance,))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle it by its name, as functions are, where it is found under it."""
        found: Any = sys.modules.get(self.__module__)
        for name in self.__qualname__.split("."):
            found = getattr_static(found, name, None)
        return self.__qualname__ if found is self else super().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"<step {self.__qualname__}>"


@overload
def step(fn: Callable[P, R]) -> Step[P, R]: ...


@overload
def step(
    fn: None = None,
    *,
    cache: bool = True,
    retries: int = 0,
    retry_on: RetryOn = Exception,
    backoff: Backoff = None,
    timeout: Any = None,
    depends_on: Dependency | Iterable[Dependency] = (),
    version: str | int | None = None,
    ignore: str | Iterable[str] = (),
    fresh_for: Any = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(
    fn: Callable[..., Any] | None = None,
    *,
    cache: bool = True,
    retries: int = 0,
    retry_on: RetryOn = Exception,
    backoff: Backoff = None,
    timeout: Any = None,
    depends_on: Dependency | Iterable[Dependency] = (),
    version: str | int | None = None,
    ignore: str | Iterable[str] = (),
    fresh_for: Any = None,
) -> Any:
    """Make a function a step: in a pipeline, a call with the same code, arguments and packages is not run again.

    Called outside of a pipeline it is the function that it was: nothing is looked up or kept. Inside, each call runs
    or is reused there and then and returns the value itself. What changes something outside, such as a promotion, is
    a step with ``cache=False``.

    Parameters
    ----------
    fn : callable, optional
        A function, method or async function; ``@step`` and ``@step(...)`` both work.
    cache : bool
        Whether results are kept and reused.
    retries : int
        How often a call that failed is tried again.
    retry_on : class or tuple of classes
        The exceptions after which that is done.
    backoff : float, str or callable, optional
        Seconds before the first retry, twice as many before each next; or a function of the number of the attempt
        that failed, from 1.
    timeout : str, float or timedelta, optional
        How long a call in a pipeline may take, such as ``"10m"``: then it is stopped, and fails with `StepTimeout`. It
        runs in a process of its own, to which its arguments must be able to cross; an async function is cancelled.
    depends_on : path, str, Source or callable, or several
        What else a result depends on: files and folders by their content, environment variables as ``"$NAME"``, files
        elsewhere as a `source`, functions by what they return, a source or several included. A function gets the
        arguments of the step that it names as parameters: ``depends_on=mk.source`` looks at the argument ``url``.
    version : str or int, optional
        Change it by hand to have results computed again.
    ignore : str, or several
        Parameters, globals (``"name"`` or ``"module:name"``) and functions (``"module:qualname"``) that make no
        difference to a result, such as ``"n_jobs"``.
    fresh_for : str, float or timedelta, optional
        How long a result may be reused, such as ``"1d"``, from start to start, less a tenth.

    Returns
    -------
    Step
        The function; ``with_options(...)`` changes the options of a call.

    Raises
    ------
    InvalidInput
        An option cannot mean anything, or the function is a generator.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.step
    ... def clean(rows):
    ...     return [row for row in rows if row is not None]
    >>> @mk.pipeline(store="memory://step-doc")
    ... def count(rows):
    ...     return len(clean(rows))
    >>> count([1, None, 2]), count([1, None, 2])
    (2, 2)
    >>> [(call.name.rpartition(":")[2], call.reused) for call in count.last_run.steps]
    [('clean', True)]
    """
    given = {
        "cache": cache,
        "retries": retries,
        "retry_on": retry_on,
        "backoff": backoff,
        "timeout": timeout,
        "depends_on": depends_on,
        "version": version,
        "ignore": ignore,
        "fresh_for": fresh_for,
    }
    options = StepOptions().changed(given)
    return functools.partial(_made, options=options) if fn is None else _made(fn, options=options)


def _made(fn: Callable[..., Any], *, options: StepOptions) -> Step[..., Any]:
    require_function(fn, "step")
    return Step(fn, options)
