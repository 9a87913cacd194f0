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
