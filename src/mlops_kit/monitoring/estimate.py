"""Performance estimated before labels are there, from what the model itself believes (CBPE).

Scores are calibrated on the reference; a calibrated score is then the probability that its row is positive, so a
chunk of rows has an *expected* confusion matrix and an expected ROC AUC. That holds as long as the relation between
features and labels stays what it was: an estimate is blind to concept drift, and sees harm only where the mix of
easy and hard rows changed. It carries no guarantee on false alarms, so it warns and never alerts.

The method is *confidence-based performance estimation*, as described in NannyML's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

_SPREADS = 3.0
_FEWEST_CHUNKS = 3
_POINTS = 2000
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Calibration:
    """What share of the rows with a score is positive: a rising, piecewise linear curve.

    Parameters
    ----------
    scores : tuple of float
        The corners, ascending.
    rates : tuple of float
        The share of positives there.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.random(20_000)
    >>> calibration = Calibration.fit(scores, rng.random(20_000) < scores**2)
    >>> calibration.apply(np.array([0.2, 0.45, 0.9])).round(1).tolist()
    [0.0, 0.2, 0.8]
    """

    scores: tuple[float, ...]
    rates: tuple[float, ...]

    @classmethod
    def fit(cls, scores: Floats, positive: npt.ArrayLike) -> Calibration:
        """Fit by isotonic regression.

        Parameters
        ----------
        scores : array of float
            Of the reference, finite.
        positive : array of bool
            Whether each row was positive.

        Returns
        -------
        Calibration
            With at most 2,000 corners.
        """
        from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - heavy

        fitted = IsotonicRegression(out_of_bounds="clip", increasing=True)
        fitted.fit(np.asarray(scores, dtype=float), np.asarray(positive, dtype=float))
        x, y = np.asarray(fitted.X_thresholds_), np.asarray(fitted.y_thresholds_)
        if len(x) > _POINTS:
            kept = np.unique(np.linspace(0, len(x) - 1, _POINTS).round().astype(int))
            x, y = x[kept], y[kept]
        return cls(tuple(x.tolist()), tuple(y.tolist()))

    def apply(self, scores: Floats) -> Floats:
        """Give the probability that each row is positive."""
        return np.asarray(np.interp(scores, self.scores, self.rates))


def expected(scores: Floats, probabilities: Floats, *, threshold: float = 0.5) -> dict[str, float]:
    """Estimate the performance on a chunk of rows of a binary task.

    Parameters
    ----------
    scores : array of float
        As the model gave them.
    probabilities : array of float
        The same, calibrated.
    threshold : float
        The score from which a row counts as predicted positive.

    Returns
    -------
    dict of str to float
        ``roc_auc``, ``accuracy``, ``precision``, ``recall`` and ``f1``; not a number where nothing defines them.

    Examples
    --------
    >>> made = expected(np.array([0.9, 0.1]), np.array([0.8, 0.2]))
    >>> round(made["accuracy"], 2), round(made["roc_auc"], 2)
    (0.8, 0.8)
    """
    chosen = scores >= threshold
    true_positives = float(probabilities[chosen].sum())
    positives, predicted = float(probabilities.sum()), float(chosen.sum())
    true_negatives = float((1 - probabilities[~chosen]).sum())
    return {
        "roc_auc": expected_auc(scores, probabilities),
        "accuracy": _ratio(true_positives + true_negatives, len(scores)),
        "precision": _ratio(true_positives, predicted),
        "recall": _ratio(true_positives, positives),
        "f1": _ratio(2 * true_positives, positives + predicted),
    }


def expected_auc(scores: Floats, probabilities: Floats) -> float:
    """Estimate the area under the ROC curve: each row is positive with its probability.

    Parameters
    ----------
    scores, probabilities : array of float
        As for `expected`.

    Returns
    -------
    float
        The area; not a number if all rows are sure to be of one class.
    """
    order = np.argsort(scores)[::-1]
    last_of_ties = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0) + 1
    positives = np.round(np.append(0.0, np.cumsum(probabilities[order])[last_of_ties - 1]), _DIGITS)
    negatives = np.round(np.append(0, last_of_ties) - positives, _DIGITS)
    if not len(order) or positives[-1] <= 0 or negatives[-1] <= 0:
        return float("nan")
    return float(np.trapezoid(positives / positives[-1], negatives / negatives[-1]))


def expected_accuracy(confidence: Floats) -> float:
    """Estimate the accuracy of a task of many classes: the mean calibrated probability of the class decided for."""
    return float(np.mean(confidence)) if len(confidence) else float("nan")


@dataclass(frozen=True, slots=True)
class Band:
    """Between which values a metric lies on chunks of the reference.

    Parameters
    ----------
    lower, upper : float
        The mean of the chunks less and plus three standard deviations.
    mean : float
        The mean of the chunks.

    Examples
    --------
    >>> band = Band.over([0.9, 0.91, 0.89])
    >>> round(band.lower, 3), round(band.upper, 3)
    (0.876, 0.924)
    """

    lower: float
    upper: float
    mean: float

    @classmethod
    def over(cls, values: Sequence[float], *, bounds: tuple[float, float] = (0.0, 1.0)) -> Band | None:
        """Return the band over chunks, within these bounds; None for fewer than three with a value."""
        known = np.array([value for value in values if np.isfinite(value)])
        if len(known) < _FEWEST_CHUNKS:
            return None
        mean, spread = float(known.mean()), float(known.std())
        low, high = mean - _SPREADS * spread, mean + _SPREADS * spread
        return cls(max(bounds[0], low), min(bounds[1], high), mean)

    def warns(self, value: float) -> bool:
        """Tell whether a value is worse than on the reference: lower; higher is no harm."""
        return bool(value < self.lower)


@dataclass(frozen=True, slots=True)
class Estimator:
    """What estimates need of the reference.

    Parameters
    ----------
    calibration : Calibration
        Of the scores.
    threshold : float
        The score from which a row counts as predicted positive.
    bands : dict of str to Band
        By metric.
    rows : int
        How many rows of the reference they rest on.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> scores = rng.beta(2, 2, 30_000)
    >>> estimator = Estimator.fit(scores, rng.random(30_000) < scores, chunk=3000)
    >>> harder = 0.5 + (rng.beta(2, 2, 3000) - 0.5) / 3
    >>> estimator.warnings(estimator.estimate(harder))[0]
    'roc_auc'
    """

    calibration: Calibration
    threshold: float
    bands: dict[str, Band]
    rows: int

    @classmethod
    def fit(cls, scores: Floats, positive: npt.ArrayLike, *, threshold: float = 0.5, chunk: int = 500) -> Estimator:
        """Calibrate on a labelled reference, and see how the realised metrics spread over its chunks.

        Parameters
        ----------
        scores : array of float
            Of the model on the reference, in the order of the reference.
        positive : array of bool
            The labels.
        threshold : float
            The score from which a row counts as predicted positive.
        chunk : int
            Rows of the chunks that will be estimated.

        Returns
        -------
        Estimator
            Ready for chunks without labels.
        """
        labels = np.asarray(positive, dtype=float)
        calibration = Calibration.fit(scores, labels)
        parts = range(0, len(scores) - chunk + 1, chunk)
        realised = [
            expected(scores[part : part + chunk], labels[part : part + chunk], threshold=threshold) for part in parts
        ]
        names = list(realised[0]) if realised else []
        bands = {name: Band.over([metrics[name] for metrics in realised]) for name in names}
        return cls(calibration, threshold, {name: band for name, band in bands.items() if band}, len(scores))

    def estimate(self, scores: Floats) -> dict[str, float]:
        """Estimate the metrics of a chunk without labels."""
        return expected(scores, self.calibration.apply(scores), threshold=self.threshold)

    def warnings(self, estimated: Mapping[str, float]) -> tuple[str, ...]:
        """Name the metrics that are estimated to be worse than on the reference."""
        return tuple(name for name, value in estimated.items() if name in self.bands and self.bands[name].warns(value))

    def plain(self) -> dict[str, Any]:
        """Give it as plain values."""
        bands = {name: [band.lower, band.upper, band.mean] for name, band in self.bands.items()}
        corners = [list(self.calibration.scores), list(self.calibration.rates)]
        return {"calibration": corners, "threshold": self.threshold, "bands": bands, "rows": self.rows}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Estimator:
        """Read what `plain` gave."""
        scores, rates = state["calibration"]
        bands = {name: Band(*values) for name, values in state["bands"].items()}
        return cls(Calibration(tuple(scores), tuple(rates)), state["threshold"], bands, state["rows"])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
