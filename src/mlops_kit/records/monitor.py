"""What a check of a monitor found, as recorded: a verdict and everything it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from mlops_kit.errors import OtherRelease
from mlops_kit.masking import excerpt, quoted
from mlops_kit.records import codec
from mlops_kit.records.alert import Alert

BLIND = "estimated from the model's own scores: blind to concept drift"
"""What a report says on its face about every estimate."""

STATE_SCHEME = 2
"""The form of what a check leaves for the next, beyond what the format defines; a release that changes it counts on.

1: predictions and losses of all versions together. 2: by version.
"""
_READ = (1, STATE_SCHEME)

OK, WARNING, ALERT, INSUFFICIENT, UNWATCHED = "ok", "warning", "alert", "insufficient data", "not watched"


@dataclass(frozen=True, slots=True)
class Shape:
    """Two distributions over the same bins, for a picture.

    Parameters
    ----------
    labels : tuple of str
        What each bin is.
    reference, current : tuple of float
        The shares.
    """

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """One column, held against the reference.

    Parameters
    ----------
    name : str
        The column.
    kind : str
        ``"drift"``, ``"prediction"`` or ``"labels"``: what an alert on it would be.
    status : str
        ``"alert"``: it has drifted. ``"warning"``: it has, by an effect too small to alert. ``"insufficient data"``:
        a shift of half a standard deviation could have been missed. ``"not watched"``: `measure` holds the reason. Else
        ``"ok"``.
    evidence : float
        As a share of the limit: at 1 the budget for false alarms is used up. Compared on a logarithmic scale, 0 for
        no evidence at all.
    effect : float or None
        How far the distributions are apart: the total variation, freed of what chance makes of it. It is a lower bound
        of the share of rows that are different.
    measure : str
        In what `effect` is told: ``"total variation"``.
    n : int
        Rows compared.
    since : datetime or None
        When the change began, as best estimated; None of a column that has not drifted.
    missing : float or None
        The share of missing values now.
    shape : Shape or None
        The distributions.
    column : str
        The column that it is about; `name` also says of what context, and whether it is about missing values.
    lately : float or None
        The effect of the last rows alone, for reading only.
    version : str or None
        Of predictions, the version of the model that made them.
    """

    name: str
    kind: str
    status: str
    evidence: float
    effect: float | None
    measure: str
    n: int
    since: datetime | None = None
    missing: float | None = None
    shape: Shape | None = None
    column: str = ""
    lately: float | None = None
    version: str | None = None

    @property
    def drifted(self) -> bool:
        """Whether the evidence crossed its limit and the effect is large enough to matter."""
        return self.status == ALERT


@dataclass(frozen=True, slots=True)
class RuleReport:
    """A rule of quality that failed in the last window.

    Parameters
    ----------
    kind : str
        Of the expectation.
    column : str or None
        None for the whole table.
    message : str
        What is wrong.
    inferred : bool
        Whether the rule was inferred from the reference, so that it warns and does not alert.
    """

    kind: str
    column: str | None
    message: str
    inferred: bool


@dataclass(frozen=True, slots=True)
class LossReport:
    """One stream of losses, held against the reference.

    Parameters
    ----------
    name : str
        Such as ``"error"``, ``"misses"`` or ``"misses, region=north"``.
    harmed : bool
        Whether the evidence that it became worse crossed its limit.
    evidence : float
        As a share of the limit, as of `FeatureReport`.
    reference : float or None
        The mean loss on the reference.
    current : float or None
        The mean loss since.
    allowed : float or None
        The mean loss that is allowed.
    n : int
        Losses since.
    since : datetime or None
        When the rise began, as far as can be told; None without one.
    lately : float or None
        The mean loss from then until `until`.
    until : datetime or None
        When the evidence was strongest.
    now : float or None
        The mean of the last losses, at most 500; of an alert that ended, the mean since. All losses of a regression are
        in the units of the target.
    below : float or None
        What the loss is shown to be below since the last alert ended.
    version : str or None
        The version of the model whose predictions these are, which `name` ends with; None where none was logged.
    """

    name: str
    harmed: bool
    evidence: float
    reference: float | None
    current: float | None
    allowed: float | None
    n: int
    since: datetime | None = None
    lately: float | None = None
    until: datetime | None = None
    now: float | None = None
    below: float | None = None
    version: str | None = None

    @property
    def stream(self) -> str:
        """The name without the version."""
        return self.name.removesuffix(f", {self.version}")


@dataclass(frozen=True, slots=True)
class Window:
    """What was measured in one window of rows.

    Parameters
    ----------
    start, end : datetime
        The moments of its first and its last prediction.
    rows : int
        How many rows.
    metrics : dict
        By name (and segment): value, lower and upper end of its interval; None where nothing defines them.
    unusual : tuple of str
        The metrics that are worse than usual on the reference: outside of their band.
    partial : bool
        Whether rows are still coming.
    version : str or None
        Whose predictions these are.
    """

    start: datetime
    end: datetime
    rows: int
    metrics: dict[str, tuple[float | None, float | None, float | None]]
    unusual: tuple[str, ...] = ()
    partial: bool = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class VersionReport:
    """One version of a model that answered.

    Parameters
    ----------
    name : str
        Such as ``"fraud:3"``.
    number : int
        The order of its first row in the monitor, from 1.
    predictions, labelled : int
        How many of its predictions were compared, and judged.
    fraction : float
        Its part of what may be spent on predictions and performance: 6/(π²v²).
    """

    name: str
    number: int
    predictions: int
    labelled: int
    fraction: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is known of the truth.

    Parameters
    ----------
    predictions : int
        How many were logged.
    joined, duplicate, conflicting, unknown, late, empty : int
        What became of the labels: found their prediction; said again what was known; said something else, and were
        passed over; have no prediction; came after their prediction was judged, its epoch had ended, or 400 days had
        passed; were null, or no number where the model predicts numbers.
    corrected, judged : int
        How many labels were replaced by `log_labels` with ``replace=True``; and how many of these had been judged by
        then, and their corrections were not.
    """

    predictions: int = 0
    joined: int = 0
    duplicate: int = 0
    conflicting: int = 0
    unknown: int = 0
    late: int = 0
    empty: int = 0
    corrected: int = 0
    judged: int = 0

    @property
    def share(self) -> float | None:
        """The share of predictions whose truth is known; None before the first prediction."""
        return self.joined / self.predictions if self.predictions else None


@dataclass(frozen=True, slots=True)
class MonitorRecord:
    """What a check of a monitor found.

    Parameters
    ----------
    monitor : str
        Its name.
    reference : str
        What it compares with.
    epoch : int
        How often it began, from 1.
    at : datetime
        When it was checked.
    status : str
        ``"ok"``, ``"warning"``, ``"alert"`` or ``"insufficient data"``.
    rows, reference_rows : int
        How many rows were compared with how many.
    alpha : float
        The probability of any false alert that this epoch may spend.
    alerts : tuple of Alert
        What is pending or firing.
    features : tuple of FeatureReport
        The columns, the predictions and the labels; worst first.
    quality : tuple of RuleReport
        The rules that failed in the last window.
    performance : tuple of LossReport
        The streams of losses.
    windows : tuple of Window
        The metrics by window of labelled rows, oldest first.
    estimate : tuple of Window
        Estimated metrics by window of predictions, oldest first.
    bands : dict
        For a metric the lower and the upper end of what is usual on windows of the reference.
    levels : dict
        For a metric its value on the reference, or in the record of the training.
    joint : float or None
        The evidence that anything drifted at all, averaged over the columns, as a share of its limit. It sees a little
        of everything sooner than any column by itself; it raises no alert, for its guarantee asks more than theirs.
    coverage : Coverage
        What is known of the truth.
    versions : tuple of VersionReport
        The versions that answered, in the order of their first rows.
    notes : tuple of str
        What limits the verdict.
    """

    monitor: str
    reference: str
    epoch: int
    at: datetime
    status: str
    rows: int
    reference_rows: int
    alpha: float
    alerts: tuple[Alert, ...] = ()
    features: tuple[FeatureReport, ...] = ()
    quality: tuple[RuleReport, ...] = ()
    performance: tuple[LossReport, ...] = ()
    windows: tuple[Window, ...] = ()
    estimate: tuple[Window, ...] = ()
    bands: dict[str, tuple[float, float]] | None = None
    levels: dict[str, float] | None = None
    joint: float | None = None
    coverage: Coverage = Coverage()
    notes: tuple[str, ...] = ()
    versions: tuple[VersionReport, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain JSON values.

        Returns
        -------
        dict
            Times as RFC 3339 text.
        """
        members = {item.name: getattr(self, item.name) for item in fields(MonitorRecord)}
        members["alerts"] = [alert.to_dict() for alert in self.alerts]
        members["coverage"] = {**asdict(self.coverage), "share": self.coverage.share}
        for name in ("features", "quality", "performance", "windows", "estimate", "versions"):
            members[name] = [asdict(item) for item in members[name]]
        for item, feature in zip(members["features"], self.features, strict=True):
            item["drifted"] = feature.drifted
        return {name: _plain(value) for name, value in members.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return codec.timestamp(value)
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return codec.plain(value)


def made_by() -> dict[str, Any]:
    """Return the members of a state that tell which release has left it."""
    import mlops_kit  # noqa: PLC0415 - the release is named above

    return {"release": mlops_kit.__version__, "scheme": STATE_SCHEME}


def check_state(members: dict[str, Any], *, where: str) -> None:
    """Check that this release can go on from what a check has left.

    Parameters
    ----------
    members : dict
        Of a record ``monitor-state``.
    where : str
        Its key or name.

    Raises
    ------
    OtherRelease
        It was left by a release whose states have another form.
    """
    if members.get("scheme", 1) not in _READ:
        raise other_release(members, where=where)


def other_release(members: dict[str, Any], *, where: str) -> OtherRelease:
    """Make the error for a state that this release cannot go on from; it names both releases."""
    theirs = excerpt(members.get("release", "one that does not name itself"), 80)
    return OtherRelease(
        f"The state {where} of a monitor was left by mlops_kit {theirs} (scheme "
        f"{quoted(members.get('scheme', 1), 20)}), and "
        f"mlops_kit {made_by()['release']} (scheme {STATE_SCHEME}) cannot go on from it. Use that release, or begin "
        "again with monitor.reset(reason): the reference, the log and the history stay."
    )
