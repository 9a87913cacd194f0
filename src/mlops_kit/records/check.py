"""Reports of checks: a verdict and what it rests on."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from mlops_kit.errors import IntegrityError, MlopsKitError, NewerFormat, NotFound, StoreError
from mlops_kit.safe_text import clean, clean_lines

Item = TypeVar("Item")

_SHOWN = 50
_NAMED = 3
_OF_ONE_FILE = frozenset({errno.EACCES, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EPERM})
"""Errors that are those of one file: it may not be read, or is a link or a pipe."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a store.

    Parameters
    ----------
    kind : str
        ``"damaged"``, ``"missing"``, ``"broken-chain"``, ``"newer-format"``, ``"stale-hint"``, ``"stale-result"``,
        ``"unknown-file"`` or ``"foreign-file"``;
        of an audit also ``"moved"``, ``"forged-hint"``, ``"truncated"``, ``"rewritten"``, ``"missing-object"``,
        ``"changed-object"``, ``"false-evidence"`` and the kinds of signature errors, such as ``"signer-revoked"``.
    key : str
        The file.
    message : str
        What is wrong with it.
    """

    kind: str
    key: str
    message: str

    def __str__(self) -> str:
        return clean_lines(f"{self.kind}: {self.key}: {self.message}")


class Listing(list[Item]):
    """What was found, and what could not be read among it.

    Parameters
    ----------
    items : iterable
        What was found.
    problems : iterable of Problem
        The records that could not be read: they hide nothing but themselves.

    Examples
    --------
    >>> Listing(["fraud"], [Problem("integrity", "journals/models/churn/000000000001.json", "It is damaged.")])
    ['fraud']
    1 record could not be read: journals/models/churn/000000000001.json. See `.problems`, or `mlops-kit fsck`.
    """

    problems: tuple[Problem, ...]

    def __init__(self, items: Iterable[Item] = (), problems: Iterable[Problem] = ()) -> None:
        super().__init__(items)
        self.problems = tuple(problems)

    def __repr__(self) -> str:
        return "\n".join(filter(None, [super().__repr__(), unread(self.problems)]))


def unread(problems: Sequence[Problem]) -> str:
    """Write a line that tells which records could not be read; nothing if all could."""
    if not problems:
        return ""
    more = f" and {len(problems) - _NAMED:,} more" if len(problems) > _NAMED else ""
    named = ", ".join(problem.key for problem in problems[:_NAMED]) + more
    named = clean(named)
    return f"{_counted(len(problems), 'record')} could not be read: {named}. See `.problems`, or `mlops-kit fsck`."


@contextmanager
def passing_over(problems: list[Problem], key: str) -> Iterator[None]:
    """Add what cannot be read inside to a list of problems, and go on behind."""
    try:
        yield
    except MlopsKitError as error:
        if not (is_of_one_record(error) or isinstance(error, NotFound)):
            raise
        problems.append(Problem(error.kind, key, str(error)))


def is_of_one_record(error: MlopsKitError) -> bool:
    """Return whether an error is that of one record; one of the whole store would come with every record."""
    if isinstance(error, StoreError):
        return getattr(error.__cause__, "errno", None) in _OF_ONE_FILE
    return isinstance(error, (IntegrityError, NewerFormat))


@dataclass(frozen=True, repr=False, slots=True)
class SyncReport:
    """What was delivered from a spool to its store.

    Parameters
    ----------
    url : str
        The store.
    runs : tuple of str
        The ids of the runs whose records were delivered.
    versions : tuple of str
        The versions of datasets and models that were made, such as ``"fraud:3"``.
    objects : int
        How many objects were delivered.
    problems : tuple of Problem
        What stays in the spool.

    Examples
    --------
    >>> SyncReport("memory://x", ("6921b1aa-0123456789ab",), ("fraud:3",), 5)
    SyncReport(memory://x: 1 run, 5 objects, fraud:3 delivered)
    """

    url: str
    runs: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    objects: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing had to stay in the spool."""
        return not self.problems

    def __repr__(self) -> str:
        counts = [_counted(len(self.runs), "run"), _counted(self.objects, "object"), *self.versions]
        some = self.runs or self.versions or self.objects
        done = f"{', '.join(filter(None, counts))} delivered" if some else "nothing to deliver"
        return "\n  ".join([f"SyncReport({self.url}: {done})", *map(str, self.problems)])


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}" if number else ""


@dataclass(frozen=True, repr=False, slots=True)
class FsckReport:
    """What a check of a whole store found.

    Parameters
    ----------
    url : str
        The store.
    files : int
        How many files were read.
    problems : tuple of Problem
        All that is wrong, by key; after a repair, what is left of it.
    repaired : tuple of str
        What a repair has done.
    notes : tuple of str
        What is no damage and should be looked at: entries and runs that are dated in the future.

    Examples
    --------
    >>> FsckReport("memory://x", 3, ()).ok
    True
    """

    url: str
    files: int
    problems: tuple[Problem, ...]
    repaired: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __repr__(self) -> str:
        verdict = "ok" if self.ok else "NOT ok"
        lines = [f"FsckReport({self.url}: {verdict}, {self.files} files, {len(self.problems)} problems)"]
        lines += [str(problem) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"… and {len(self.problems) - _SHOWN} more in .problems")
        lines += [f"note: {note}" for note in self.notes[:_SHOWN]]
        return "\n  ".join(lines + [f"repaired: {line}" for line in self.repaired])


@dataclass(frozen=True, repr=False, slots=True)
class GcReport:
    """What a collection of garbage has done, or would do.

    Parameters
    ----------
    url : str
        The store.
    grace : float
        The seconds for which a file must have been unnamed and unused before it goes.
    dry_run : bool
        Whether nothing was changed.
    kept : int
        How many objects and packs something needs.
    marked : tuple of str
        The keys that nothing names and whose grace is not over.
    deleted : tuple of str
        The keys that are gone, or would be.
    freed_bytes : int
        Their size.

    Examples
    --------
    >>> GcReport("memory://x", 86400.0, True, 3, ("packs/ab",), (), 0)
    GcReport(memory://x: nothing changed: 0 files would go, 0 bytes; 3 objects are needed)
      1 object is named by nothing; gc(dry_run=False) marks it, and after 1 day of grace a second one deletes it
    """

    url: str
    grace: float
    dry_run: bool
    kept: int
    marked: tuple[str, ...]
    deleted: tuple[str, ...]
    freed_bytes: int

    def __repr__(self) -> str:
        state, verb = ("nothing changed: ", "would go") if self.dry_run else ("", "went")
        head = f"{_count(len(self.deleted), 'file')} {verb}, {_count(self.freed_bytes, 'byte')}"
        needed = f"{_count(self.kept, 'object')} {'is' if self.kept == 1 else 'are'} needed"
        lines = [f"GcReport({self.url}: {state}{head}; {needed})"]
        if self.marked:
            one = len(self.marked) == 1
            is_are, it = ("is", "it") if one else ("are", "them")
            does = f"gc(dry_run=False) marks {it}, and " if self.dry_run else f"{it} {is_are} marked, and "
            after = f"after {_days(self.grace)} of grace a second one deletes {it}"
            lines.append(f"{_count(len(self.marked), 'object')} {is_are} named by nothing; {does}{after}")
        return "\n  ".join(lines)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe of a place found.

    Parameters
    ----------
    probe : str
        What was tried.
    ok : bool
        Whether the place does what a store needs.
    message : str
        What was found, in plain words.
    """

    probe: str
    ok: bool
    message: str

    def __str__(self) -> str:
        return f"{'ok ' if self.ok else 'NOT'}  {self.probe}: {self.message}"


@dataclass(frozen=True, repr=False, slots=True)
class DoctorReport:
    """What a place can promise to a store.

    Parameters
    ----------
    url : str
        The store.
    findings : tuple of Finding
        One for each probe.
    promises : tuple of str
        What follows from them for a store here.

    Examples
    --------
    >>> report = DoctorReport("memory://x", (Finding("overwrite", False, "the old value came back"),), ())
    >>> report.ok, report.problems[0].probe
    (False, 'overwrite')
    """

    url: str
    findings: tuple[Finding, ...]
    promises: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the place does all that a store needs."""
        return not self.problems

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What it does not do."""
        return tuple(finding for finding in self.findings if not finding.ok)

    def __repr__(self) -> str:
        verdict = "ok" if self.ok else f"NOT ok, {_count(len(self.problems), 'problem')}"
        lines = [f"DoctorReport({self.url}: {verdict})", *map(str, self.findings)]
        return "\n  ".join([*lines, *(f"→ {promise}" for promise in self.promises)])


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _days(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}{'' if seconds == length else 's'}"
    return f"{seconds:.3g} seconds"
