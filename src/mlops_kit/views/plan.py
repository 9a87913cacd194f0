"""What a pipeline would do, shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_kit.views.sheet import Row, Sheet
from mlops_kit.views.text import sheet_text
from mlops_kit.views.values import clip

_LONGEST = 400


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """What would become of a call of a step.

    Parameters
    ----------
    name : str
        The step, as ``"module:qualname"``.
    outcome : str
        ``"reused"``, ``"runs"`` or ``"may run"``.
    why : str
        Why.
    """

    name: str
    outcome: str
    why: str


def plan_text(run: str, calls: Sequence[PlannedCall]) -> str:
    """Show what would become of the calls of a run.

    Examples
    --------
    >>> print(plan_text("6921b1aa-0123456789ab", [PlannedCall("app:clean", "runs", "its code changed")]))
    Plan after the run 6921b1aa-0123456789ab: 0 of 1 calls reused
      app:clean  runs: its code changed
    """
    rows = tuple(Row(clip(call.name, 60), (clip(f"{call.outcome}: {call.why}", _LONGEST),)) for call in calls)
    reused = sum(call.outcome == "reused" for call in calls)
    return sheet_text(Sheet(f"Plan after the run {run}: {reused:,} of {len(calls):,} calls reused", rows))
