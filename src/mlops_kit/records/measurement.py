"""What was measured of a model's predictions: values with their intervals, and comparisons of two models."""

from __future__ import annotations

import math
from dataclasses import dataclass

BINARY, MULTICLASS, REGRESSION, RANKING = TASKS = ("binary", "multiclass", "regression", "ranking")


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric's value on some rows, and how sure it is.

    Parameters
    ----------
    metric : str
        Its name.
    value : float
        NaN if it is not defined on these rows.
    low, high : float or None
        The ends of the two-sided confidence interval; None if there is none.
    confidence : float
        Of the interval.
    n : int
        How many rows the value rests on: for a recall, the positive ones.
    method : str
        How the interval was made: ``"wilson"``, ``"clopper-pearson"``, ``"delong"``, ``"newcombe"``,
        ``"bootstrap"``, ``"jackknife"``, ``"cluster-jackknife"``, or ``""`` for none.
    undefined : str or None
        Why there is no value, in words.
    groups : int or None
        On how many groups it rests, where rows come in groups.

    Examples
    --------
    >>> str(Measurement("accuracy", 0.9, 0.83, 0.944, 0.95, 100, "wilson"))
    'accuracy 0.9 [0.83, 0.944], n=100'
    >>> str(Measurement("roc_auc", float("nan"), None, None, 0.95, 5, undefined="only one class"))
    'roc_auc undefined: only one class'
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    confidence: float
    n: int
    method: str = ""
    undefined: str | None = None
    groups: int | None = None

    def __post_init__(self) -> None:
        if self.undefined is None and math.isnan(self.value):
            object.__setattr__(self, "undefined", "the value is not a number")

    def __str__(self) -> str:
        if self.undefined is not None:
            return f"{self.metric} undefined: {self.undefined}"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.4g}, {self.high:.4g}]"
        return f"{self.metric} {self.value:.4g}{interval}, n={self.n}"


@dataclass(frozen=True, slots=True)
class Slice:
    """A metric on the rows that share a value, or a range of values, of a column.

    Parameters
    ----------
    column : str
        The column.
    label : str
        The value, or the range such as ``"[18, 30)"``.
    rows : int
        How many rows there are.
    measurement : Measurement
        The metric on them.
    """

    column: str
    label: str
    rows: int
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models compared on the same rows.

    Parameters
    ----------
    metric : str
        By what.
    candidate, champion : float
        The value of each; NaN if it is not defined.
    difference : float
        Candidate less champion.
    bound : float or None
        The one-sided confidence bound of the difference: with this confidence the candidate's difference is no
        worse than this. For a metric whose low values are good it is an upper bound.
    margin : float
        Superiority must exceed it; non-inferiority may fall short by it.
    question : str
        ``"superiority"`` or ``"non-inferiority"``.
    confidence : float
        One-sided: a candidate on the border passes in at most ``1 - confidence`` of all samples.
    p_value : float
        Of the hypothesis that the question is to be answered with no.
    holds : bool
        Whether the answer is yes with this confidence.
    n : int
        How many rows were compared.
    method : str
        ``"mcnemar-exact"``, ``"tango"``, ``"paired-bootstrap"``, ``"paired-jackknife"`` or ``"cluster-jackknife"``.
    wins, losses : int or None
        Rows that only the candidate, and only the champion, has right.
    mid_p : float or None
        The mid-p value beside an exact one.
    undefined : str or None
        Why nothing could be compared; then the answer is no.
    groups : int or None
        On how many groups it rests, where rows come in groups.
    """

    metric: str
    candidate: float
    champion: float
    difference: float
    bound: float | None
    margin: float
    question: str
    confidence: float
    p_value: float
    holds: bool
    n: int
    method: str
    wins: int | None = None
    losses: int | None = None
    mid_p: float | None = None
    undefined: str | None = None
    groups: int | None = None
