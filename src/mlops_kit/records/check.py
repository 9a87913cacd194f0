"""Reports of checks: a verdict and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a store.

    Parameters
    ----------
    kind : str
        ``"damaged"``, ``"missing"``, ``"broken-chain"``, ``"newer-format"``, ``"stale-hint"`` or ``"unknown-file"``.
    key : str
        The file.
    message : str
        What is wrong with it.
    """

    kind: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.key}: {self.message}"


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
        All that is wrong, by key.

    Examples
    --------
    >>> FsckReport("memory://x", 3, ()).ok
    True
    """

    url: str
    files: int
    problems: tuple[Problem, ...]

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
        return "\n  ".join(lines)
