"""`MonitorReport`: what a check of a monitor found, shown."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Self

from mlops_kit.errors import AlertRaised
from mlops_kit.records.monitor import ALERT, MonitorRecord
from mlops_kit.safe_text import clean
from mlops_kit.views.monitor import monitor_html, monitor_text

if TYPE_CHECKING:
    import pandas as pd


class MonitorReport(MonitorRecord):
    """What a check of a monitor found; see `Monitor.check`.

    Attributes
    ----------
    status : str
        ``"ok"``, ``"warning"``, ``"alert"``, or ``"insufficient data"`` where too little is known for an ``"ok"``.
    alerts : tuple of Alert
        What is pending or firing, the most urgent first.
    features : tuple of FeatureReport
        The columns, and the predictions and the truth, held against the reference; worst first.
    quality : tuple of RuleReport
        The rules that failed in the last window.
    performance : tuple of LossReport
        The losses, held against those of the reference.
    windows, estimate : tuple of Window
        Metrics by window of labelled rows, and estimated ones by window of predictions.
    bands, levels : dict
        Of a metric what is usual on windows of the reference, and its value on all of it.
    joint : float or None
        The evidence that anything drifted at all, as a share of its limit; a secondary figure.
    coverage : Coverage
        How much of the truth is known, and what became of the labels.
    notes : tuple of str
        What limits the verdict.
    monitor, reference, epoch, at : str, str, int and datetime
        What was checked against what, and when.
    rows, reference_rows : int
        How many rows were compared with how many.
    alpha : float
        The probability of any false alert that may be spent.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> last_year = pd.DataFrame({"amount": rng.normal(10, 2, 4000), "plan": rng.choice(["basic", "pro"], 4000)})
    >>> now = pd.DataFrame({"amount": rng.normal(12, 2, 1000), "plan": rng.choice(["basic", "pro"], 1000)})
    >>> report = mk.Monitor(last_year).check(now)
    >>> report.status, [alert.subject for alert in report.alerts]
    ('alert', ['amount'])
    """

    __slots__ = ()

    @classmethod
    def of(cls, record: MonitorRecord) -> Self:
        """Show a record."""
        return cls(**{item.name: getattr(record, item.name) for item in fields(MonitorRecord)})

    def to_frame(self) -> pd.DataFrame:
        """Give a row for each column, worst first.

        Returns
        -------
        pandas.DataFrame
            ``name``, ``kind``, ``status``, ``drifted``, ``evidence`` (as a share of its limit), ``effect``,
            ``measure``, ``n``, ``missing``, ``since`` and ``lately`` (the effect of the last rows alone).
        """
        import pandas as pd  # noqa: PLC0415 - heavy

        columns = ["name", "kind", "status", "drifted", "evidence", "effect", "measure", "n", "missing", "since"]
        columns.append("lately")
        rows = [[getattr(feature, column) for column in columns] for feature in self.features]
        return pd.DataFrame(rows, columns=columns)

    def raise_if_alert(self) -> None:
        """Stop a job whose data or model is not as it should be.

        Raises
        ------
        AlertRaised
            The status is ``"alert"``; the message names every alert.
        """
        if self.status == ALERT:
            firing = [clean(f"{alert.kind} of {alert.subject}: {alert.message}") for alert in self.alerts]
            raise AlertRaised(f"The monitor {self.monitor} has alerts.\n  " + "\n  ".join(firing))

    def __repr__(self) -> str:
        return monitor_text(self)

    def _repr_html_(self) -> str:
        return monitor_html(self)
