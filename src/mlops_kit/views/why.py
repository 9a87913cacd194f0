"""Why a step ran, shown: what had changed, and how the source differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_kit.safe_text import clean_lines
from mlops_kit.views.sheet import Row, Sheet
from mlops_kit.views.text import sheet_text
from mlops_kit.views.values import clip, shown

_LONGEST = 400
_DIFF_LINES = 60


@dataclass(frozen=True, slots=True)
class Change:
    """Something in which two calls of a step differ.

    Parameters
    ----------
    section : str
        ``"code"``, ``"argument"``, ``"package"``, ``"dependency"``, ``"Python"`` or ``"version"``.
    name : str
        Which function, argument, package or file.
    left, right : object
        How it was and is, where that says something.
    """

    section: str
    name: str
    left: Any = None
    right: Any = None


@dataclass(frozen=True, slots=True, repr=False)
class Why:
    """Why a step ran, or was reused.

    Parameters
    ----------
    step : str
        The step, as ``"module:qualname"``.
    status : str
        How the call ended.
    reused : bool
        Whether an earlier result was taken.
    reason : str
        In a few words.
    run : str
        The run that is explained.
    before : str or None
        The run it is compared with; of a reused result, the run that made it.
    changes : tuple of Change
        What had changed.
    diff : str
        How the source of what changed differs.
    opaque : tuple of str
        What the fingerprint of the code could not look into, as ``"module:name"``.
    """

    step: str
    status: str
    reused: bool
    reason: str
    run: str
    before: str | None = None
    changes: tuple[Change, ...] = ()
    diff: str = ""
    opaque: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values.

        Returns
        -------
        dict
            The members by name; each change by ``section``, ``name``, ``left`` and ``right``.
        """
        members = {name: getattr(self, name) for name in self.__slots__}
        changes = [{name: getattr(change, name) for name in change.__slots__} for change in self.changes]
        return {**members, "changes": changes, "opaque": list(self.opaque)}

    def __repr__(self) -> str:
        return why_text(self)


def why_text(why: Why) -> str:
    """Show why a step ran.

    Parameters
    ----------
    why : Why
        The explanation.

    Returns
    -------
    str
        The outcome in one line, then the details, and the source diff.

    Examples
    --------
    >>> print(why_text(Why("app:clean", "finished", False, "argument drop: 0 → 1", "6921b1aa-0123456789ab",
    ...                    changes=(Change("argument", "drop", 0, 1),))))
    Step app:clean ran: argument drop: 0 → 1
      run      6921b1aa-0123456789ab
      changes  argument drop: 0 → 1
    """
    outcome = "reused" if why.reused else "ran" if why.status == "finished" else why.status
    since = "made in" if why.reused else "before"
    rows = (
        Row("run", (why.run,)),
        Row(since, (why.before,) if why.before else ()),
        Row("changes", tuple(clip(change_text(change), _LONGEST) for change in why.changes), flowing=False),
        Row("opaque", why.opaque),
    )
    text = sheet_text(Sheet(f"Step {clip(why.step, _LONGEST)} {outcome}: {clip(why.reason, _LONGEST)}", rows))
    lines = clean_lines(why.diff).splitlines()
    more = [f"… {len(lines) - _DIFF_LINES:,} more lines"] if len(lines) > _DIFF_LINES else []
    return "\n".join([text, *(f"  {line}" for line in [*lines[:_DIFF_LINES], *more])])


def change_text(change: Change) -> str:
    """Describe in what two calls differ.

    Examples
    --------
    >>> change_text(Change("package", "numpy", "2.3.0", "2.4.6")), change_text(Change("code", "app:helper"))
    ('package numpy: 2.3.0 → 2.4.6', 'code of app:helper changed')
    """
    if change.section == "code":
        if (change.left is None) != (change.right is None):
            return f"code of {change.name} {'is new' if change.left is None else 'is no longer called'}"
        return f"code of {change.name} changed"
    named = f"{change.section} {change.name}".rstrip()
    if change.left is None and change.right is None:
        return f"{named} changed"
    return f"{named}: {_shown(change.left)} → {_shown(change.right)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else shown(value)
