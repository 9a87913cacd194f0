"""Finding runs again: by id, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, overload

from mlops_kit.errors import InvalidInput, RunNotFound
from mlops_kit.masking import quoted
from mlops_kit.records.check import Problem, passing_over
from mlops_kit.records.paths import flat
from mlops_kit.store import keys
from mlops_kit.store.runs import RunFiles, status_of
from mlops_kit.store.store import Store, StoreLike, open_store
from mlops_kit.tracking.last_run import newest_run
from mlops_kit.tracking.run import Run
from mlops_kit.views.table import RunRow, runs_html, runs_text

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("running", "finished", "failed", "interrupted")


class RunTable(Sequence[Run]):
    """Runs, newest first: a sequence of `Run`, shown as a table, convertible to pandas.

    Attributes
    ----------
    problems : tuple of Problem
        The records that could not be read: the runs they are of are left out.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run("one", store="memory://table-doc"):
    ...     mk.log_metric("auc", 0.9)
    >>> runs = mk.list_runs(store="memory://table-doc")
    >>> len(runs), runs[0].name, runs.to_pandas()["metrics.auc"].tolist()
    (1, 'one', [0.9])
    """

    def __init__(
        self, runs: Sequence[Run], rows: Sequence[RunRow], problems: Sequence[Problem] = (), *, more: bool = False
    ) -> None:
        self._runs = list(runs)
        self._rows = list(rows)
        self._more = more
        self.problems = tuple(problems)

    @overload
    def __getitem__(self, index: int) -> Run: ...

    @overload
    def __getitem__(self, index: slice) -> RunTable: ...

    def __getitem__(self, index: int | slice) -> Run | RunTable:
        if isinstance(index, slice):
            return RunTable(self._runs[index], self._rows[index], self.problems)
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def to_pandas(self) -> pd.DataFrame:
        """Give the runs as a frame.

        Returns
        -------
        pandas.DataFrame
            A row per run: ``id``, ``name``, ``experiment``, ``status``, ``started``, ``seconds``, ``by``,
            ``models``, and a column ``params.<path>`` and ``metrics.<name>`` for each there is. An option inside
            of a parameter has a column of its own, such as ``params.model.max_depth``.
        """
        import pandas as pd  # noqa: PLC0415 - importing mlops_kit stays light

        return pd.DataFrame([_flat(row) for row in self._rows], columns=_columns(self._rows))

    def to_dict(self) -> dict[str, Any]:
        """Return the runs as plain values.

        Returns
        -------
        dict
            ``runs``, newest first, with what `to_pandas` has a row for; ``more``, whether there are further ones; and
            ``problems``.
        """
        return {
            "runs": [{field.name: getattr(row, field.name) for field in fields(row)} for row in self._rows],
            "more": self._more,
            "problems": list(map(str, self.problems)),
        }

    def __repr__(self) -> str:
        return runs_text(self._rows, more=self._more, problems=self.problems)

    def _repr_html_(self) -> str:
        return runs_html(self._rows, more=self._more, problems=self.problems)


def list_runs(
    *, experiment: str | None = None, status: str | None = None, limit: int | None = 100, store: StoreLike = None
) -> RunTable:
    """List the runs of a store, newest first.

    Parameters
    ----------
    experiment : str, optional
        Only those of this experiment.
    status : str, optional
        Only those that are ``"running"``, ``"finished"``, ``"failed"`` or ``"interrupted"``.
    limit : int, optional
        At most so many; None for all.
    store : str, path or Store, optional
        By default the store of the project.

    Returns
    -------
    RunTable
        Empty if nothing was ever recorded here.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> len(mk.list_runs(store="memory://list-doc"))
    0
    """
    wanted: object = status
    if wanted is not None and not (isinstance(wanted, str) and wanted in STATUSES):
        raise InvalidInput(f"A run is {', '.join(STATUSES)}, never {quoted(status)}.")
    if experiment is not None and not isinstance(experiment, str):
        raise InvalidInput(f"experiment={experiment!r} is not the name of an experiment.")
    if limit is not None and (type(limit) is not int or limit < 0):
        raise InvalidInput(f"limit={limit!r} is not a number of runs.")
    opened = open_store(store)
    opened.describe()  # a store of a newer format says so, instead of seeming empty
    problems: list[Problem] = []
    found = _newest_first(opened, problems)
    wanted = (row for row in found if experiment in {None, row.experiment} and status in {None, row.status})
    rows = list(islice(wanted, limit))
    more = limit is not None and len(rows) == limit and next(found, None) is not None
    return RunTable([Run(opened, row.id) for row in rows], rows, problems, more=more)


def get_run(id_or_prefix: str, *, store: StoreLike = None) -> Run:
    """Find a run.

    Parameters
    ----------
    id_or_prefix : str
        Its id, or at least 4 of its first or last characters. By its first ones a run is found as fast in a store of
        any size; for its last ones the days are searched, from the newest back.
    store : str, path or Store, optional
        By default the store of the project.

    Returns
    -------
    Run
        The run.

    Raises
    ------
    RunNotFound
        No run, or more than one, is meant; the message lists some that are.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://get-doc") as run:
    ...     pass
    >>> mk.get_run(run.id[-6:], store="memory://get-doc") == run
    True
    """
    opened = open_store(store)
    opened.describe()  # a store of a newer format says so, instead of seeming empty
    return Run(opened, opened.runs.find(id_or_prefix))


def last_run() -> Run | None:
    """Return the run that began or ended last in this process.

    After a tracked function that called others, it is that of the outermost.

    Returns
    -------
    Run or None
        None if none began yet.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> with mk.start_run(store="memory://last-doc") as run:
    ...     pass
    >>> mk.last_run() == run
    True
    """
    run: Run | None = newest_run()
    return run


def _newest_first(store: Store, problems: list[Problem]) -> Iterator[RunRow]:
    """Order runs by their records where their ids, which begin with the second, do not."""
    for _second, found in groupby(store.runs.found(), key=lambda files: files.id[:8]):
        rows = [row for files in found if (row := _row(store, files, problems)) is not None]
        yield from sorted(rows, key=lambda row: row.started, reverse=True)


def _row(store: Store, files: RunFiles, problems: list[Problem]) -> RunRow | None:
    """Read what a table shows of a run; None for one whose records cannot be read, or whose start was never written."""
    with passing_over(problems, keys.run_key(files.id, "end")), suppress(RunNotFound):
        start, end = store.runs.records(files.id, files.resumed)
        return RunRow(
            id=files.id,
            name=start.name,
            experiment=start.experiment,
            status=status_of(store.runs, start, end),
            started=start.at,
            seconds=None if end is None else end.resources.get("seconds"),
            params=flat({**start.params, **(end.params if end else {})}),
            metrics=end.metrics if end else Run(store, files.id).metrics,
            models=tuple(f"{model['name']}:{model['version']}" for model in (end.models if end else ())),
            by=start.user.get("actor", ""),
        )
    return None


_FIXED = ("id", "name", "experiment", "status", "started", "seconds", "by", "models")


def _columns(rows: Sequence[RunRow]) -> list[str]:
    params = dict.fromkeys(f"params.{name}" for row in rows for name in row.params)
    metrics = dict.fromkeys(f"metrics.{name}" for row in rows for name in row.metrics)
    return [*_FIXED, *params, *metrics]


def _flat(row: RunRow) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _FIXED},
        **{f"params.{name}": value for name, value in row.params.items()},
        **{f"metrics.{name}": value for name, value in row.metrics.items()},
    }
