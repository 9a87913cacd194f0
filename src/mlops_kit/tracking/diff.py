"""`RunDiff`: in what two runs differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_kit.masking import MASK
from mlops_kit.records import codec
from mlops_kit.records.codec import Repr
from mlops_kit.records.paths import is_described, joined, members
from mlops_kit.records.schemes import comparable
from mlops_kit.views.diff import LINE, MISSING, Difference, diff_html, diff_text
from mlops_kit.views.values import shown

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
        Each with ``section``, ``name``, ``left`` and ``right``. Options inside of parameters are named by path, such
        as ``model.max_depth``.
    not_compared : tuple of str
        What looks equal but may not be, such as ``"params.callback"``: values that were cut when they were recorded
        and have no fingerprint, data without a fingerprint, masked secrets, and ``"code"`` that two versions of Python
        compiled, or whose fingerprints two releases made by different rules.

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
    not_compared: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether all that was recorded was compared, and is equal."""
        return not self.differences and not self.not_compared

    def __repr__(self) -> str:
        return diff_text(self.left, self.right, self.differences, self.not_compared)

    def _repr_html_(self) -> str:
        return diff_html(self.left, self.right, self.differences, self.not_compared)


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
    code = left.code["fingerprint"], right.code["fingerprint"]
    same = code[0] is not None and code[0] == code[1]  # perhaps as a script and imported
    unclear = not same and None not in code and (_python(left) != _python(right) or not comparable(*code))
    if same or unclear:
        ours["code"] = theirs["code"] = {}
    inputs = {name for name in left.inputs if name in right.inputs}
    comparison = Comparison(inputs)
    if unclear:
        comparison.not_compared.append("code")
    for name in inputs:
        one, other = left.inputs[name].fingerprint, right.inputs[name].fingerprint
        if one == other or not (one and other):  # whatever version of a dataset keeps it
            ours["data"].pop(name)
            theirs["data"].pop(name)
        if not (one and other):
            comparison.not_compared.append(f"data.{name}")
    for section, before in ours.items():
        for name in {**before, **theirs[section]}:
            comparison.compare(section, name, before.get(name, MISSING), theirs[section].get(name, MISSING))
    return RunDiff(left.id, right.id, tuple(comparison.differences), tuple(comparison.not_compared))


class Comparison:
    """The values of two runs, compared path by path.

    Parameters
    ----------
    inputs : set of str
        The paths at which data stands that both runs recorded as an input, where it is compared.
    """

    def __init__(self, inputs: set[str]) -> None:
        self._inputs = inputs
        self.differences: list[Difference] = []
        self.not_compared: list[str] = []

    def compare(self, section: str, path: str, left: Any, right: Any) -> None:
        """Note in what two recorded values differ, and which parts of them show too little to be compared."""
        if is_described(left) and is_described(right) and left["type"] == right["type"]:
            self._compare_described(section, path, left, right)
        elif type(left) is dict and type(right) is dict and left and right:
            ours, theirs = dict(members(left, path)), dict(members(right, path))
            for place in {**ours, **theirs}:
                self.compare(section, place, ours.get(place, MISSING), theirs.get(place, MISSING))
        elif type(left) is type(right) and isinstance(left, list | tuple) and _is_long(left, right):
            for index, (one, other) in enumerate(zip(left, right, strict=True)):
                self.compare(section, joined(path, str(index)), one, other)
        elif not _same(left, right) and not _by_other_rules(left, right):
            self.differences.append(Difference(section, path, left, right))
        else:
            unclear = [path] if _by_other_rules(left, right) else self._unclear(left, path)
            self.not_compared += [f"{section}.{place}" for place in unclear]

    def _compare_described(self, section: str, path: str, left: Any, right: Any) -> None:
        """Compare two objects of one type: by the fingerprint of the whole, and where that differs by parameter."""
        whole = left.get("fingerprint"), right.get("fingerprint")
        if whole[0] is not None and whole[0] == whole[1]:
            return
        before = len(self.differences)
        self.compare(section, path, left["params"], right["params"])
        if whole != (None, None) and len(self.differences) == before:
            if None in whole or not comparable(*whole):
                self.not_compared.append(f"{section}.{path}")
            else:
                self.differences.append(Difference(section, joined(path, "fingerprint"), *whole))

    def _unclear(self, value: Any, path: str) -> Iterator[str]:
        """List the parts of a value that may differ though their records are equal."""
        if isinstance(value, Repr):
            if value.fingerprint is None and path not in self._inputs:
                yield path
        elif type(value) is str and value == MASK:
            yield path
        elif isinstance(value, dict):
            for place, item in members(value, path):
                yield from self._unclear(item, place)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield from self._unclear(item, joined(path, str(index)))
        elif isinstance(value, set | frozenset) and any(True for item in value for _ in self._unclear(item, path)):
            yield path


def _is_long(left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Check whether two lists of one length are compared by item, as one line cannot show them whole."""
    return len(left) == len(right) and any(len(shown(side, limit=LINE + 1)) > LINE for side in (left, right))


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


def _python(run: RecordedRun) -> list[str]:
    """Return the version of Python, minor included, on which the fingerprints of code depend."""
    return str(run.environment.get("python", "")).split(".")[:2]


def _by_other_rules(left: Any, right: Any) -> bool:
    """Check whether two values differ in nothing but the fingerprints of what was cut, made by rules of two schemes."""
    ours, theirs = list(_fingerprints(left)), list(_fingerprints(right))
    return len(ours) == len(theirs) and not all(map(comparable, ours, theirs)) and _same(_bare(left), _bare(right))


def _fingerprints(value: Any) -> Iterator[str]:
    if isinstance(value, Repr):
        yield value.fingerprint or ""
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _fingerprints(item)


def _bare(value: Any) -> Any:
    """Leave out the fingerprints of what was cut."""
    if isinstance(value, Repr):
        return Repr(value.type_name, str(value))
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items()}
    return type(value)(map(_bare, value)) if type(value) in {list, tuple} else value


def _same(left: Any, right: Any) -> bool:
    """Tell whether two recorded values are equal at every depth; NaN equals itself here, and 1 is not 1.0."""
    return codec.canonical(codec.plain(left)) == codec.canonical(codec.plain(right))
