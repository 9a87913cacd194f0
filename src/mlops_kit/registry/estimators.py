"""What a fitted model says of itself, through the public attributes that scikit-learn's conventions give it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from mlops_kit.records.signature import ColumnSpec

_MAX_CLASSES = 1000
_MAX_NAMES = 1000
_BINARY = 2
_PLAIN = {bool: "bool", int: "int64", float: "float64", str: "utf8"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a fitted model says of itself.

    Parameters
    ----------
    names : tuple of str or None
        ``feature_names_in_``: the columns it was fitted on, if they had names.
    width : int or None
        ``n_features_in_``: how many they were.
    kind : str or None
        As in a signature.
    classes : tuple or None
        ``classes_``, if it is one list of plain values.
    outputs : tuple of ColumnSpec
        What it gives.
    """

    names: tuple[str, ...] | None
    width: int | None
    kind: str | None
    classes: tuple[Any, ...] | None
    outputs: tuple[ColumnSpec, ...]


def facts_of(model: Any) -> Facts:
    """Ask a model for its features, its classes and what it gives.

    Parameters
    ----------
    model : object
        Any object; of one that does not follow scikit-learn's conventions nothing is known.

    Returns
    -------
    Facts
        What it says.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> facts = facts_of(LogisticRegression().fit([[0.0], [1.0]], ["no", "yes"]))
    >>> facts.width, facts.kind, facts.classes, [column.name for column in facts.outputs]
    (1, 'binary', ('no', 'yes'), ['prediction', 'probability'])
    """
    names, width = _asked(model, "feature_names_in_"), _asked(model, "n_features_in_")
    classes = _classes(_asked(model, "classes_"))
    kind = _kind(model, classes)
    return Facts(
        names=None if names is None else tuple(str(name) for name in names),
        width=int(width) if isinstance(width, int) and width > 0 else None,
        kind=kind,
        classes=classes,
        outputs=_outputs(model, kind, classes),
    )


def _asked(model: Any, name: str) -> Any:
    try:
        return getattr(model, name, None)
    except Exception:  # noqa: BLE001 - an attribute of a user's model may be a property that raises anything
        return None


def _classes(found: Any) -> tuple[Any, ...] | None:
    values = found.tolist() if hasattr(found, "tolist") else found
    if not isinstance(values, list) or len(values) > _MAX_CLASSES or not all(type(value) in _PLAIN for value in values):
        return None
    return tuple(values) or None


def _kind(model: Any, classes: tuple[Any, ...] | None) -> str | None:
    is_a = _told(model)
    if is_a == "classifier" or (is_a is None and classes is not None):
        return None if classes is None else "binary" if len(classes) <= _BINARY else "multiclass"
    if is_a is not None:
        return {"regressor": "regression", "outlier_detector": "score"}.get(is_a)
    only_transforms = callable(_asked(model, "transform")) and not callable(_asked(model, "predict"))
    return "transform" if only_transforms else None


def _told(model: Any) -> str | None:
    """Ask scikit-learn what an estimator is, if it is one; nothing is imported for it."""
    if "sklearn.base" not in sys.modules or not hasattr(type(model), "__sklearn_tags__"):
        return None
    from sklearn import base  # noqa: PLC0415 - loaded already, since the model is its

    asks = {"classifier": base.is_classifier, "regressor": base.is_regressor}
    asks["outlier_detector"] = base.is_outlier_detector
    try:
        return next((name for name, ask in asks.items() if ask(model)), None)
    except Exception:  # noqa: BLE001 - tags are computed by the user's own class
        return None


def _outputs(model: Any, kind: str | None, classes: tuple[Any, ...] | None) -> tuple[ColumnSpec, ...]:
    if kind == "transform":
        return _transformed(model)
    if not callable(_asked(model, "predict")):
        return ()
    of_class = {_PLAIN[type(value)] for value in classes or ()}
    name = of_class.pop() if len(of_class) == 1 else "float64" if kind == "regression" else None
    prediction = ColumnSpec("prediction", name, categories=classes)
    if classes is None or not callable(_asked(model, "predict_proba")):
        return (prediction,)
    return prediction, ColumnSpec("probability", "float64", shape=(None, len(classes)))


def _transformed(model: Any) -> tuple[ColumnSpec, ...]:
    try:
        names = [str(name) for name in model.get_feature_names_out()]
    except Exception:  # noqa: BLE001 - not every transformer can say, and each refuses in its own way
        return ()
    return tuple(map(ColumnSpec, names)) if len(names) <= _MAX_NAMES else ()
