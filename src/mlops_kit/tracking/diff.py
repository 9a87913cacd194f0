"""`RunDiff`: in what two runs differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_kit.records import codec
from mlops_kit.views.diff import MISSING, Difference, diff_html, diff_text

if TYPE_CHECKING:
    from mlops_kit.tracking.recorded import RecordedRun


@dataclass(frozen=True, repr=False, slots=True)
class RunDiff:
    """In what two runs differ: parameters, data, code, git, environment, metrics and tags.

    Parameters
    ----------
    left, right : str
        The ids of the runs.
    differences : tuple of Difference
        Each with ``section``, ``name``, ``left`` and ``right``.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> runs = []
    >>> for depth in (2, 3):
    ...     with mk.start_run("fit", store="memory://diff-doc") as run:
    ...         run.log_param("depth", depth)
    ...     runs.append(run)
    >>> [(each.section, each.name, each.left, each.right) for each in runs[0].diff(runs[1]).differences]
    [('params', 'depth', 2, 3)]
    """

    left: str
    right: str
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Whether they differ in nothing that was recorded."""
        return not self.differences

    def __repr__(self) -> str:
        return diff_text(self.left, self.right, self.differences)

    def _repr_html_(self) -> str:
        return diff_html(self.left, self.right, self.differences)


def diff(left: RecordedRun, right: RecordedRun) -> RunDiff:
    """Compare two runs.

    Parameters
    ----------
    left, right : Run
        The runs; they may be in two stores.

    Returns
    -------
    RunDiff
        In what they differ.
    """
    ours, theirs = _facts(left), _facts(right)
    if left.code["fingerprint"] is not None and left.code["fingerprint"] == right.code["fingerprint"]:
        ours["code"] = theirs["code"] = {}  # the same code, perhaps as a script and imported
    for name in _same_data(left, right):
        ours["data"].pop(name)
        theirs["data"].pop(name)
    found = tuple(
        Difference(section, name, before.get(name, MISSING), after.get(name, MISSING))
        for section, before in ours.items()
        for after in (theirs[section],)
        for name in {**before, **after}
        if not _same(before.get(name, MISSING), after.get(name, MISSING))
    )
    return RunDiff(left.id, right.id, found)


def _same_data(left: RecordedRun, right: RecordedRun) -> list[str]:
    """Name the inputs whose content is equal, whatever version of a dataset keeps it."""
    ours, theirs = left.inputs, right.inputs
    return [name for name in ours if name in theirs and ours[name].fingerprint == theirs[name].fingerprint != ""]


def _facts(run: RecordedRun) -> dict[str, dict[str, Any]]:
    code, environment = run.code, run.environment
    git = code["git"] or {}
    return {
        "params": run.params,
        "data": {name: ref.spec or ref.fingerprint for name, ref in run.inputs.items()},
        "code": code.get("functions", {}),
        "git": {name: git.get(name) for name in ("commit", "branch", "dirty") if name in git},
        "environment": {
            **{name: environment[name] for name in ("python", "platform", "machine") if name in environment},
            **environment.get("packages", {}),
            **environment.get("variables", {}),
        },
        "metrics": run.metrics,
        "tags": run.tags,
    }


def _same(left: Any, right: Any) -> bool:
    """Tell whether two recorded values are equal at every depth; NaN equals itself here, and 1 is not 1.0."""
    return codec.canonical(codec.plain(left)) == codec.canonical(codec.plain(right))
