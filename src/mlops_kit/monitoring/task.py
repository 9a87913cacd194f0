"""What a model does, as far as judging its predictions goes: which losses each labelled row gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.monitoring.performance import RARE_STEP, STEP, Losses
from mlops_kit.monitoring.settings import TASKS, level_of

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = npt.NDArray[Any]
Rows: TypeAlias = npt.NDArray[np.bool_]
Unpaired: TypeAlias = Sequence[Sequence[float]]

_MOST_CLASSES = 50
_SCALE_QUANTILE = 0.99
_BINARY = 2
_PAIRED = 1000
_IN_UNITS = ("absolute error", "quantile loss")


@dataclass(frozen=True, slots=True)
class Stream:
    """Losses of one kind, of the rows that they are defined for.

    Parameters
    ----------
    name : str
        Such as ``"error"``, ``"misses"`` or ``"false alarms"``.
    losses : array of float
        In [0, 1].
    rows : array of bool
        Which of the rows given these are.
    step : int
        `STEP`, or `RARE_STEP` for a stream of rare rows.
    """

    name: str
    losses: Losses
    rows: Rows
    step: int = STEP


@dataclass(frozen=True, slots=True)
class Task:
    """What the predictions of a model are.

    Parameters
    ----------
    kind : str
        ``"binary"``, ``"multiclass"``, ``"regression"`` or ``"ranking"``.
    classes : tuple
        The classes of the target, sorted; the last of two is the positive one.
    scores : bool
        Whether predictions are probabilities of the positive class, not classes.
    threshold : float
        The score from which a row counts as predicted positive.
    scale : float
        The error that counts as a loss of 1: errors beyond it count no more.
    cost : tuple or None
        ``cost[actual][predicted]``, by the order of the classes; what a decision costs in the user's money.
    level : float or None
        Of a regression whose predictions are to be a quantile, which.

    Examples
    --------
    >>> task = Task.infer(np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.6]))
    >>> task.kind, task.scores
    ('binary', True)
    >>> [(stream.name, stream.losses.tolist()) for stream in task.streams([0, 1, 1], [0.7, 0.9, 0.1])]
    [('error', [1.0, 0.0, 1.0]), ('misses', [0.0, 1.0]), ('false alarms', [1.0])]
    """

    kind: str
    classes: tuple[Any, ...] = ()
    scores: bool = False
    threshold: float = 0.5
    scale: float = 1.0
    cost: tuple[tuple[float, ...], ...] | None = None
    level: float | None = None

    @classmethod
    def infer(
        cls,
        y: object,
        predictions: object,
        *,
        kind: str | None = None,
        threshold: float = 0.5,
        cost: object = None,
        positive: Any = None,
    ) -> Task:
        """Tell the task from labels and predictions.

        Parameters
        ----------
        y, predictions : array-like
            Of the reference, or the first that became known; nulls are passed over.
        kind : str, optional
            The task, where the user named it.
        threshold : float
            The score from which a row counts as predicted positive.
        cost : sequence of sequences, optional
            ``cost[actual][predicted]``, by the sorted classes.
        positive : object, optional
            Of two classes the one that is looked for; by default the last.

        Returns
        -------
        Task
            The task.

        Raises
        ------
        InvalidInput
            The kind is none of `TASKS`, the costs do not fit the classes, or the positive class is none of two.
        """
        level = level_of(kind)
        if kind is not None and kind not in TASKS and level is None:
            raise InvalidInput(f"task={kind!r} is none that a monitor knows: {', '.join(TASKS)}.")
        kind = kind if level is None else "regression"
        actual, predicted = _values(y), _values(predictions)
        continuous = _is_continuous(actual)
        ranked = kind == "ranking" or (kind in {None, "binary"} and _are_margins(actual, predicted))
        told = set() if ranked else _label_like(predicted)
        classes = () if continuous else tuple(_sorted({*actual.tolist()} | told))
        if kind is None:
            numerous = len(classes) > _MOST_CLASSES and actual.dtype.kind in "iuf"
            kind = "regression" if continuous or numerous else _classes_kind(classes)
        if kind == "regression":
            error = _errors(_numbers(actual)[: len(predicted)], _numbers(predicted)[: len(actual)], level)
            return cls(kind, scale=_scale(error), level=level)
        if kind == "binary" and len(classes) < _BINARY:
            classes = _filled(classes)
        matrix = _cost(cost, len(classes))
        if positive is not None:
            classes, matrix = _positive_last(classes, matrix, positive)
        if ranked:
            return cls("ranking", classes if len(classes) == _BINARY else ())
        return cls(kind, classes, kind == "binary" and _are_scores(predicted), threshold, cost=matrix)

    def usable(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Make numbers of what must be numbers: in a regression all that are none become nulls, which is no loss of 0.

        Parameters
        ----------
        rows : DataFrame
            With the columns ``prediction`` and ``label``.

        Returns
        -------
        DataFrame
            The same rows.
        """
        wanted = ["prediction"] if self.scores or self.kind == "ranking" else []
        wanted = ["prediction", "label"] if self.kind == "regression" or self.graded else wanted
        return rows.assign(**{name: _numbers(rows[name]) for name in wanted})

    @property
    def graded(self) -> bool:
        """Whether it is a ranking of targets that are numbers, not of two classes."""
        return self.kind == "ranking" and not self.classes

    @property
    def unit(self) -> float:
        """What a loss of 1 is in the units that people are told: of a regression those of the target."""
        return self.scale if self.kind == "regression" else 1.0

    def unit_of(self, stream: str) -> float:
        """Return what a loss of 1 of a stream is in the units that people are told; shares and costs have none."""
        return self.unit if stream.startswith(_IN_UNITS) else 1.0

    def decided(self, predictions: object) -> Array:
        """Give the class that each prediction decides for, or the prediction itself of a regression."""
        values = np.asarray(predictions)
        if not self.scores:
            return values
        scores = values.astype(float)
        return np.asarray(np.where(scores >= self.threshold, self._as_object()[-1], self._as_object()[0]))

    def positive(self, y: object) -> Rows:
        """Tell which labels are the positive class of a binary task."""
        return np.asarray(np.asarray(y, dtype=object) == self.classes[-1], dtype=bool)

    def streams(self, y: object, predictions: object) -> tuple[Stream, ...]:
        """Give the losses of labelled rows, stream by stream.

        Parameters
        ----------
        y, predictions : array-like
            Of equal length, without nulls.

        Returns
        -------
        tuple of Stream
            For a binary task the error, the misses among the actual positives, and the false alarms among the
            actual negatives: a model of rare positives that loses recall hardly changes its error. With costs,
            the cost scaled to [0, 1] as well. For a quantile its pinball loss, and of which rows the truth is above
            the forecast, and of which it is not: the loss alone is slow to see that a quantile has become another.
        """
        actual = np.asarray(y)
        everything = np.ones(len(actual), dtype=bool)
        if self.kind == "regression":
            numbers, forecasts = actual.astype(float), np.asarray(predictions).astype(float)
            error = np.minimum(_errors(numbers, forecasts, self.level) / self.scale, 1.0)
            if self.level is None:
                return (Stream("absolute error", error, everything),)
            above = (numbers > forecasts).astype(float)
            return (
                Stream("quantile loss", error, everything),
                Stream("truth above the forecast", above, everything, RARE_STEP),
                Stream("truth not above the forecast", 1 - above, everything, RARE_STEP),
            )
        if self.kind == "ranking":
            return (self.paired(actual, predictions)[0],)
        decided = np.asarray(self.decided(predictions), dtype=object)
        wrong = np.asarray(decided != np.asarray(actual, dtype=object), dtype=bool).astype(float)
        streams = [Stream("error", wrong, everything)]
        if self.kind == "binary":
            positive = self.positive(actual)
            streams.append(Stream("misses", wrong[positive], positive, RARE_STEP))
            streams.append(Stream("false alarms", wrong[~positive], ~positive))
        else:
            for label in self.classes:
                rows = np.asarray(np.asarray(actual, dtype=object) == label, dtype=bool)
                streams.append(Stream(f"misses of {label}", wrong[rows], rows, RARE_STEP))
        if self.cost is not None:
            paid = self.paid(actual, decided)
            low, high = self.cost_range
            streams.append(Stream("cost", (paid - low) / ((high - low) or 1.0), everything))
        return tuple(streams)

    def paired(self, y: object, predictions: object, unpaired: Unpaired = ()) -> tuple[Stream, Unpaired]:
        """Judge disjoint pairs of rows with different targets: a loss of 1 if the higher target has the lower score.

        A row is paired with the latest row of another target that has no partner, and the loss is that of the later
        one. Rows without a partner wait for later ones, at most 1,000.

        Parameters
        ----------
        y, predictions : array-like
            Of equal length, without nulls.
        unpaired : sequence of pairs of float
            Target and score of the rows that wait.

        Returns
        -------
        Stream and list of pairs of float
            The losses, and the rows that wait then.
        """
        actual = np.asarray(y)
        target = actual.astype(float) if self.graded else self.positive(actual).astype(float)
        scores = np.asarray(predictions).astype(float)
        waiting = [tuple(pair) for pair in unpaired]  # all of one target: any other would have been paired
        losses, rows = np.zeros(len(target)), np.zeros(len(target), dtype=bool)
        for row, (wanted, score) in enumerate(zip(target.tolist(), scores.tolist(), strict=True)):
            if not waiting or waiting[-1][0] == wanted:
                waiting.append((wanted, score))
                continue
            other, below = waiting.pop()
            right = (score - below) * (wanted - other)
            losses[row], rows[row] = 0.0 if right > 0 else 0.5 if right == 0 else 1.0, True
        return Stream("misranked pairs", losses[rows], rows), waiting[-_PAIRED:]

    def weights(self, names: Sequence[str]) -> dict[str, float]:
        """Share the budget out over streams: as much to all misses of a multiclass task as to its error."""
        several = [name for name in names if name.startswith("misses of ")]
        groups = len(names) - len(several) + bool(several)
        return {name: 1 / groups / (len(several) if name in several else 1) for name in names}

    def names(self) -> tuple[str, ...]:
        """Name the streams of the task."""
        return tuple(stream.name for stream in self.streams(np.array([]), np.array([])))

    def paid(self, y: object, decided: object) -> Losses:
        """Give what each decision costs, by the cost matrix."""
        if self.cost is None:
            raise InvalidInput("This monitor has no costs: pass cost=[[0, 5], [100, 0]], by actual and predicted.")
        known = {label: index for index, label in enumerate(self.classes)}
        actual = [known.get(label, -1) for label in np.asarray(y, dtype=object).tolist()]
        chosen = [known.get(label, -1) for label in np.asarray(decided, dtype=object).tolist()]
        matrix = np.array(self.cost)
        paid = matrix[actual, chosen]
        unknown = (np.array(actual) < 0) | (np.array(chosen) < 0)
        return np.asarray(np.where(unknown, matrix.max(), paid), dtype=float)

    @property
    def cost_range(self) -> tuple[float, float]:
        """The lowest and the highest cost."""
        flat = [float(value) for row in self.cost or ((0.0,),) for value in row]
        return min(flat), max(flat)

    def plain(self) -> dict[str, Any]:
        """Give the task as plain values."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Task:
        """Read what `plain` gave."""
        cost = state.get("cost")
        rows = None if cost is None else tuple(tuple(row) for row in cost)
        return cls(**{**state, "classes": tuple(state["classes"]), "cost": rows})

    def _as_object(self) -> Array:
        made = np.empty(len(self.classes), dtype=object)
        made[:] = self.classes
        return made


def _are_margins(actual: Array, predicted: Array) -> bool:
    """Check whether two classes are predicted by numbers that are neither classes nor probabilities."""
    if predicted.dtype.kind != "f" or not len(predicted) or len({*actual.tolist()}) > _BINARY or _is_continuous(actual):
        return False
    return _is_continuous(predicted) and bool((predicted < 0).any() or (predicted > 1).any())


def _positive_last(
    classes: tuple[Any, ...], cost: tuple[tuple[float, ...], ...] | None, positive: Any
) -> tuple[tuple[Any, ...], tuple[tuple[float, ...], ...] | None]:
    if len(classes) != _BINARY or positive not in classes:
        raise InvalidInput(
            f"positive={quoted(positive, 100)} is none of two classes; there are {quoted(list(classes), 200)}."
        )
    if classes[-1] == positive:
        return classes, cost
    return classes[::-1], None if cost is None else tuple(row[::-1] for row in cost[::-1])


def _values(given: object) -> Array:
    """Give the values that are there, as an array."""
    import pandas as pd  # noqa: PLC0415 - heavy

    series = pd.Series(given if isinstance(given, pd.Series) else np.asarray(given))
    return np.asarray(series[series.notna()])


def _numbers(values: Any) -> Array:
    """Give numbers, and NaN for what is none."""
    import pandas as pd  # noqa: PLC0415 - heavy

    if getattr(values, "dtype", None) in ("float64", "int64"):
        return np.asarray(values, dtype=float)
    given = pd.Series(np.asarray(values, dtype=object)).map(lambda value: value if isinstance(value, Real) else None)
    return given.astype(float).to_numpy()


def _errors(actual: Losses, predicted: Losses, level: float | None) -> Losses:
    """Return absolute errors, or the pinball losses of a quantile; an infinity that was predicted is no error."""
    with np.errstate(invalid="ignore"):
        short = np.where(actual == predicted, 0.0, actual - predicted)
    return np.abs(short) if level is None else np.maximum(level * short, (level - 1) * short)


def _is_continuous(values: Array) -> bool:
    if values.dtype.kind != "f":
        return False
    return bool(len(values)) and not np.array_equal(values, np.rint(values))


def _are_scores(values: Array) -> bool:
    """Tell probabilities from classes: numbers in [0, 1], and not only its ends."""
    if values.dtype.kind != "f" or not len(values):
        return False
    inside = bool(((values >= 0) & (values <= 1)).all())
    return inside and bool(((values > 0) & (values < 1)).any())


def _label_like(predicted: Array) -> set[Any]:
    return set() if predicted.dtype.kind == "f" and _is_continuous(predicted) else set(predicted.tolist())


def _sorted(labels: set[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=lambda label: (type(label).__name__, repr(label)))


def _classes_kind(classes: tuple[Any, ...]) -> str:
    return "binary" if len(classes) <= _BINARY else "multiclass"


def _filled(classes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Make two classes of one or none: 0 and 1, unless the one is another."""
    if not classes or classes[0] in (0, 1):
        return (0, 1)
    return ("", classes[0]) if isinstance(classes[0], str) else (None, classes[0])


def _scale(errors: Losses) -> float:
    finite = errors[np.isfinite(errors)]
    scale = float(np.quantile(finite, _SCALE_QUANTILE)) if len(finite) else 1.0
    return scale if scale > 0 and math.isfinite(scale) else 1.0


def _cost(given: object, n: int) -> tuple[tuple[float, ...], ...] | None:
    if given is None:
        return None
    try:
        matrix = np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"cost={given!r} is not a matrix of numbers: {error}.") from error
    if matrix.shape != (n, n) or not np.isfinite(matrix).all():
        raise InvalidInput(
            f"cost={given!r} does not fit {n} classes: pass a row for each actual class and in it a finite number "
            "for each predicted one, in the order of the sorted classes."
        )
    return tuple(tuple(row) for row in matrix.tolist())
