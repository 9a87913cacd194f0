"""What a function that predicts was given, and what it gave: the rows among its arguments, one prediction for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted

_MATRIX = 2
_LONGEST_VERSION = 200


def version_named(version: Any, own: str | None) -> str | None:
    """Return the name of a version as a user passed it: a number is one of the monitor's own model.

    Raises
    ------
    InvalidInput
        It is no version.

    Examples
    --------
    >>> version_named(4, "fraud:3"), version_named("fraud:4", None), version_named(None, "fraud:3")
    ('fraud:4', 'fraud:4', None)
    """
    if version is None:
        return None
    if isinstance(version, int) and not isinstance(version, bool) and version > 0:
        return str(version) if own is None else f"{own.rpartition(':')[0]}:{version}"
    named = getattr(version, "spec", version)
    if not isinstance(named, str) or not 0 < len(named) <= _LONGEST_VERSION or not named.isprintable() or "@" in named:
        raise InvalidInput(
            f"version={quoted(version, 200)} is no version: give its number or its name, such as 'fraud:3'. "
            "An alias is "
            "none, for it moves."
        )
    return named


def rows_among(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Find the rows among the arguments of a function: the first table or array, or else the first dict or list.

    Raises
    ------
    InvalidInput
        There are none.

    Examples
    --------
    >>> rows_among(["fraud", {"amount": [1, 2]}], {})
    {'amount': [1, 2]}
    """
    from mlops_kit.fingerprints.arrow import is_tabular  # noqa: PLC0415 - only those who watch functions need it

    given = [*args, *kwargs.values()]
    found = next((one for one in given if is_tabular(one) or getattr(one, "ndim", 0) == _MATRIX), None)
    if found is None:
        found = next((one for one in given if isinstance(one, dict | list)), None)
    if found is None:
        raise InvalidInput("None of the arguments is a table or a two-dimensional array.")
    return found


def flat(predictions: Any, known: Callable[[], tuple[str | None, Sequence[Any], Any]]) -> Any:
    """Reduce a column of probabilities for each class to what is kept: that of the positive one, or the class.

    Parameters
    ----------
    predictions : array-like
        One for each row, or a row of probabilities for each.
    known : callable
        Gives the task, the classes, and the positive class if it is not the last; asked only for several columns.

    Returns
    -------
    array-like
        One value for each row.

    Raises
    ------
    InvalidInput
        There is more than one value for each row, and it is no probability of a class.

    Examples
    --------
    >>> flat([[0.9, 0.1], [0.2, 0.8]], lambda: ("binary", (0, 1), None)).tolist()
    [0.1, 0.8]
    >>> flat([[0.1, 0.7, 0.2]], lambda: ("multiclass", ["red", "green", "blue"], None)).tolist()
    ['green']
    """
    matrix = _matrix(
        predictions, "predictions", "give a value for each row, or for each the probabilities of all classes"
    )
    if matrix is None:
        return predictions
    if matrix.shape[1] == 1:
        return matrix[:, 0]
    task, classes, positive = known()
    ordered = sorted(classes, key=lambda value: (str(type(value)), value))
    if task in {"regression", "ranking"} or (ordered and len(ordered) != matrix.shape[1]):
        wanted = "one value" if task in {"regression", "ranking"} else f"one value, or {len(ordered)} probabilities,"
        raise InvalidInput(
            f"Predictions of shape {matrix.shape} do not fit a {task or 'model'}: give {wanted} for each row. The "
            "outputs of a model that predicts several targets are watched by a monitor each."
        )
    if matrix.shape[1] == 2:  # noqa: PLR2004 - two classes
        return matrix[:, ordered.index(positive)] if positive in ordered else matrix[:, -1]
    chosen = matrix.argmax(axis=1)
    if not ordered:
        return chosen
    import numpy as np  # noqa: PLC0415 - heavy

    return np.array(ordered, dtype=object)[chosen]


def single(labels: Any) -> Any:
    """Reduce a table of one column to its values.

    Raises
    ------
    InvalidInput
        There is more than one value for each row.

    Examples
    --------
    >>> single([[1], [0]]).tolist(), single([1, 0])
    ([1, 0], [1, 0])
    """
    matrix = _matrix(labels, "labels", "give one label for each id")
    if matrix is None:
        return labels
    if matrix.shape[1] > 1:
        raise InvalidInput(
            f"Labels of shape {matrix.shape} are more than one for each id: give one. The outputs of a model that "
            "predicts several targets are watched by a monitor each."
        )
    return matrix[:, 0]


def _matrix(values: Any, what: str, wanted: str) -> Any:
    """Return what has several columns as an array of them, and None for what is one column already."""
    shape = getattr(values, "shape", None)
    if (shape is None and not _is_nested(values)) or (shape is not None and len(shape) == 1):
        return None
    import numpy as np  # noqa: PLC0415 - heavy

    try:
        matrix = np.asarray(values)
    except ValueError:
        matrix = np.zeros(())  # lists of different lengths
    if matrix.ndim != _MATRIX or not matrix.shape[1]:
        raise InvalidInput(
            f"A {type(values).__name__} of {'lists of different lengths' if shape is None else f'shape {shape}'} "
            f"is no column of {what}: {wanted}."
        )
    return matrix


def _is_nested(values: Any) -> bool:
    """Tell whether a list is one of lists or arrays."""
    if not isinstance(values, list | tuple) or not values:
        return False
    first = values[0]
    return isinstance(first, list | tuple) or getattr(first, "ndim", 0) > 0
