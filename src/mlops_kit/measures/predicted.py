"""What a model predicted for rows whose truth is known: the input of every metric.

Imported only once predictions are at hand, so numpy and pandas may be imported at the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_kit.errors import InvalidInput
from mlops_kit.records.measurement import BINARY, MULTICLASS, RANKING, REGRESSION, TASKS
from mlops_kit.records.signature import listed

__all__ = ["BINARY", "MULTICLASS", "RANKING", "REGRESSION", "TASKS", "Floats", "Predicted"]


_FEW_CLASSES = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Predictions beside the truth, row by row; made by `Predicted.of`.

    Attributes
    ----------
    task : str
        ``"binary"``, ``"multiclass"``, ``"regression"`` or ``"ranking"``.
    truth, labels : numpy.ndarray
        Numbers of classes, ``-1`` for a missing one, or values of a regression; of a ranking, how relevant each row
        is. `labels` is None for a model that gives only scores.
    scores : numpy.ndarray or None
        Binary: one score a row, higher for the positive class. Multiclass: a column for each class.
    calibrated : bool
        Whether the scores are probabilities.
    classes : tuple
        What the numbers stand for; of a binary task, negative and positive.
    weights : numpy.ndarray or None
        How much each row counts.
    groups : numpy.ndarray or None
        The number of the subject that each row belongs to, if rows of one subject are not independent; of a
        ranking, that of its list.

    Examples
    --------
    >>> given = Predicted.of(["ok", "fraud", "ok"], probabilities=[0.1, 0.8, 0.6], classes=["ok", "fraud"])
    >>> given.task, given.classes, given.truth.tolist(), given.labels.tolist()
    ('binary', ('ok', 'fraud'), [0, 1, 0], [0, 1, 1])
    """

    task: str
    truth: NDArray[Any]
    labels: NDArray[Any] | None
    scores: Floats | None
    calibrated: bool
    classes: tuple[Any, ...]
    weights: Floats | None
    groups: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        truth: Any,
        labels: Any = None,
        *,
        probabilities: Any = None,
        scores: Any = None,
        task: str | None = None,
        classes: Sequence[Any] | None = None,
        positive: Any = None,
        weights: Any = None,
        groups: Any = None,
    ) -> Self:
        """Put predictions beside the truth.

        Parameters
        ----------
        truth : array-like
            What was true: a class or a number for each row. Missing values are kept, and make metrics undefined.
        labels : array-like, optional
            What was predicted; by default the most probable class, of two classes the one of at least 0.5.
        probabilities : array-like, optional
            Of the positive class, or a column for each class in the order of `classes`.
        scores : array-like, optional
            Likewise, but not probabilities: higher is more likely.
        task : str, optional
            ``"binary"``, ``"multiclass"``, ``"regression"`` or ``"ranking"``, which is never guessed. By default a
            regression if the truth holds fractions, or more than 20 different numbers and there are no classes,
            probabilities or scores.
        classes : sequence, optional
            All classes the model knows, in the order of the columns. By default those that occur, sorted.
        positive : object, optional
            The class that is looked for; by default the last of two.
        weights : array-like, optional
            How much each row counts, at least 0.
        groups : array-like, optional
            Whose each row is: rows of equal values belong together.

        Returns
        -------
        Predicted
            Arrays of equal length.

        Raises
        ------
        InvalidInput
            Lengths or numbers of columns do not match, or the task is none of the four.
        """
        given = pd.Series(_flat(truth, "truth")).reset_index(drop=True)
        columns = probabilities if probabilities is not None else scores
        if task is None:
            task = _task(given, classes, columns)
        if task not in TASKS:
            raise InvalidInput(f"There is no task {task!r}. Tasks: {', '.join(TASKS)}.")
        told = None if labels is None else pd.Series(_flat(labels, "labels")).reset_index(drop=True)
        if told is not None and len(told) != len(given):
            raise InvalidInput(f"There are {len(told)} predictions for {len(given)} rows of truth.")
        beside = _weights(weights, len(given)), _groups(groups, len(given))
        if task == REGRESSION:
            if told is None:
                raise InvalidInput("A regression is judged by its predicted values: give them as labels.")
            return cls(task, _numbers(given, "truth"), _numbers(told, "labels"), None, False, (), *beside)
        if task == RANKING:
            ranks = _matrix(columns, len(given)) if told is None else _numbers(told, "scores")
            if ranks is None or ranks.ndim != 1:
                raise InvalidInput("A ranking is judged by one score for each row: give it as scores.")
            return cls(task, _numbers(given, "truth"), None, ranks, False, (), *beside)
        known, matrix = _classes(given, told, classes, positive, task), _matrix(columns, len(given))
        if matrix is not None:
            matrix = _ordered(matrix, classes, known, binary=task == BINARY, calibrated=probabilities is not None)
        codes = None if told is None else _codes(told, known)
        made = cls(task, _codes(given, known), codes, matrix, probabilities is not None, known, *beside)
        return made if codes is not None else replace(made, labels=made._most_probable())

    @property
    def n(self) -> int:
        """How many rows there are."""
        return len(self.truth)

    @property
    def flaw(self) -> str | None:
        """What makes every metric undefined: no rows, rows without truth, or predictions that are missing or NaN."""
        if not self.n:
            return "there are no rows"
        for what, values in (("label", self.truth), ("prediction", self.labels), ("score", self.scores)):
            missing = 0 if values is None else int(_missing(values).sum())
            if missing:
                return f"{missing} of {self.n} rows have no {what}"
        return None

    def named(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the classes that numbers stand for, as the data has them; values of a regression stay as they are."""
        if not self.classes:
            return numbers
        kinds = {type(value) for value in self.classes}
        classes = np.array(self.classes, dtype=None if len(kinds) == 1 else object)
        return np.asarray(classes[numbers])

    def take(self, rows: NDArray[Any]) -> Self:
        """Give some of the rows, by a mask or by numbers."""
        beside = (self.labels, self.scores, self.weights, self.groups)
        labels, scores, weights, groups = (None if part is None else part[rows] for part in beside)
        return replace(self, truth=self.truth[rows], labels=labels, scores=scores, weights=weights, groups=groups)

    def _most_probable(self) -> NDArray[Any] | None:
        """Choose classes by the probabilities; scores that are none have no threshold, but a largest one."""
        if self.scores is None or (self.scores.ndim == 1 and not self.calibrated):
            return None
        chosen = self.scores >= 0.5 if self.scores.ndim == 1 else self.scores.argmax(axis=1)  # noqa: PLR2004 - one half
        return np.where(_missing(self.scores), -1, chosen).astype(np.int64)


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which rows have no value: numbers of classes below 0, and NaN or infinity anywhere in a row."""
    if values.dtype.kind == "i":
        return np.asarray(values < 0)
    return np.asarray(~np.isfinite(values if values.ndim == 1 else values.sum(axis=1)))


def _flat(values: Any, what: str) -> Any:
    shape = np.shape(values)
    if len(shape) == 2 and shape[1] == 1:  # noqa: PLR2004 - a table of one column is a column
        return values.iloc[:, 0] if hasattr(values, "iloc") else np.asarray(values)[:, 0]
    if len(shape) != 1:
        raise InvalidInput(f"The {what} must be one column, one value for each row; its shape is {shape}.")
    return values


def _task(truth: pd.Series[Any], classes: Sequence[Any] | None, columns: Any) -> str:
    if classes is not None or columns is not None:
        known = len(classes) if classes is not None else np.shape(columns)[1] if np.ndim(columns) > 1 else 2
        return MULTICLASS if known > 2 else BINARY  # noqa: PLR2004 - two classes
    present = truth.dropna()
    different = present.nunique()
    if pd.api.types.is_numeric_dtype(truth) and not pd.api.types.is_bool_dtype(truth):
        values = present.to_numpy(dtype="float64")
        if different > _FEW_CLASSES or bool(np.any(values != np.floor(values))):
            return REGRESSION
    return MULTICLASS if different > 2 else BINARY  # noqa: PLR2004 - two classes


def _numbers(values: pd.Series[Any], what: str) -> Floats:
    if pd.api.types.is_complex_dtype(values):
        raise InvalidInput(f"The {what} of a regression must be real numbers, and these are complex.")
    try:
        return values.to_numpy(dtype="float64", na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The {what} of a regression must be numbers: {error}.") from error


def _weights(weights: Any, rows: int) -> Floats | None:
    if weights is None:
        return None
    given = _numbers(pd.Series(_flat(weights, "weights")), "weights")
    if len(given) != rows:
        raise InvalidInput(f"There are {len(given)} weights for {rows} rows.")
    if not np.all(np.isfinite(given)) or np.any(given < 0) or (rows and not given.any()):
        raise InvalidInput("Weights must be finite and at least 0, and some above 0.")
    return given


def _groups(groups: Any, rows: int) -> NDArray[np.int64] | None:
    if groups is None:
        return None
    given = pd.Series(_flat(groups, "groups")).reset_index(drop=True)
    if len(given) != rows:
        raise InvalidInput(f"There are {len(given)} groups for {rows} rows.")
    try:
        codes, _ = pd.factorize(given)
    except TypeError as error:
        raise InvalidInput(f"The groups cannot be told apart by their values: {error}.") from error
    if missing := int((codes < 0).sum()):
        raise InvalidInput(f"{missing} of {rows} rows have no group: drop them, or give each a value of its own.")
    return np.asarray(codes, dtype=np.int64)


def _classes(
    truth: pd.Series[Any], labels: pd.Series[Any] | None, classes: Sequence[Any] | None, positive: Any, task: str
) -> tuple[Any, ...]:
    """List the classes: those of the model first, then what else occurs; of two, the positive one last."""
    occur = {
        *map(_item, truth.dropna().unique()),
        *(map(_item, labels.dropna().unique()) if labels is not None else ()),
    }
    known = [] if classes is None else [_item(value) for value in classes]
    known += _sorted(occur - set(known))
    if task == MULTICLASS:
        return tuple(known)
    if len(known) > 2:  # noqa: PLR2004 - two classes
        raise InvalidInput(f"A binary task has two classes; these occur: {listed(known)}.")
    if len(known) < 2 and set(known) <= {0, 1}:  # noqa: PLR2004 - two classes
        known = [False, True] if bool in map(type, known) else [0, 1]
    elif len(known) < 2:  # noqa: PLR2004 - two classes
        known = [None, *known]
    if positive is not None:
        if _item(positive) not in known:
            raise InvalidInput(
                f"There is no class {positive!r} to be positive; there are {known[0]!r} and {known[1]!r}."
            )
        known.sort(key=lambda value: bool(value == _item(positive)))
    return tuple(known)


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _sorted(values: set[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def _codes(values: pd.Series[Any], classes: tuple[Any, ...]) -> NDArray[np.int64]:
    numbers = {value: number for number, value in enumerate(classes)}
    codes, uniques = pd.factorize(values)
    table = np.array([*(numbers[_item(value)] for value in uniques), -1], dtype=np.int64)
    return table[codes]


def _matrix(columns: Any, rows: int) -> Floats | None:
    if columns is None:
        return None
    try:
        matrix = np.asarray(columns, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"Probabilities and scores must be numbers: {error}.") from error
    if matrix.ndim not in {1, 2} or len(matrix) != rows:
        raise InvalidInput(f"The probabilities or scores have the shape {matrix.shape}, for {rows} rows of truth.")
    return matrix


def _ordered(
    matrix: Floats, given: Sequence[Any] | None, classes: tuple[Any, ...], *, binary: bool, calibrated: bool
) -> Floats:
    """Give a column for each class, or for two classes that of the positive one."""
    named = list(classes) if given is None else [_item(value) for value in given]
    if matrix.ndim == 1:
        if not binary:
            raise InvalidInput(f"{len(classes)} classes need a column of probabilities or scores each; there is one.")
        if named[-1] == classes[1]:
            return matrix
        return 1 - matrix if calibrated else -matrix  # it is that of the last class as the model lists them
    if matrix.shape[1] != len(named):
        raise InvalidInput(
            f"There are {matrix.shape[1]} columns of scores for {len(named)} classes: name them in classes=."
        )
    full = np.where(_missing(matrix)[:, None], np.nan, np.zeros(len(classes)))
    full[:, [classes.index(value) for value in named]] += matrix
    return full[:, 1] if binary else full
