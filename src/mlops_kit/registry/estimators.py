"""What a fitted model says of itself, by the public attributes of scikit-learn's conventions and of boosters."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from mlops_kit.records.signature import ColumnSpec

_MAX_CLASSES = 1000
_MAX_NAMES = 1000
_BINARY = 2
_NAMES = ("feature_names_in_", "feature_names_", "feature_name_", "feature_names", "feature_name")
_WIDTHS = ("n_features_in_", "num_features", "num_feature")
_BOOSTERS = frozenset({"catboost", "lightgbm", "xgboost"})
_PLACES = {"catboost": "", "lightgbm": "Column_"}
"""What stands before the place of a column where a booster makes up names, as it was fitted on an array."""
_INSIDE = ("best_estimator_", "estimator_", "regressor_")
_DEEPEST = 5
_OBJECTIVES = {
    "binary": ("binary", "cross_entropy", "cross_entropy_lambda", "Logloss", "CrossEntropy"),
    "multiclass": ("multi", "multiclass", "multiclassova", "MultiClass", "MultiClassOneVsAll"),
    "regression": (
        *("reg", "count", "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma"),
        *("tweedie", "RMSE", "MAE", "MAPE", "MSLE", "Quantile", "Poisson", "Huber", "Expectile", "Tweedie", "Lq"),
    ),
}
"""What boosters call the objectives of each kind, without what follows a colon; others, such as rankings, have none."""
_PLAIN = {bool: "bool", int: "int64", float: "float64", str: "utf8"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a fitted model says of itself.

    Parameters
    ----------
    names : tuple of str or None
        ``feature_names_in_``, or what a booster calls so: the columns it was fitted on, if they had names.
    width : int or None
        ``n_features_in_``, likewise: how many they were.
    kind : str or None
        As in a signature.
    classes : tuple or None
        ``classes_``, if it is one list of plain values.
    outputs : tuple of ColumnSpec
        What it gives.
    optional : frozenset of str
        The columns that it was fitted on and drops before anything else, so that it predicts without them.
    """

    names: tuple[str, ...] | None
    width: int | None
    kind: str | None
    classes: tuple[Any, ...] | None
    outputs: tuple[ColumnSpec, ...]
    optional: frozenset[str] = frozenset()


def facts_of(model: Any) -> Facts:
    """Ask a model for its features, its classes and what it gives.

    Parameters
    ----------
    model : object
        Any object; of one that neither follows scikit-learn's conventions nor is a booster nothing is known.

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
    names, width = _columns(model)
    classes = _classes(_asked(model, "classes_"))
    kind = _kind(model, classes)
    outputs = _outputs(model, kind, classes)
    raw = _raw_booster(model)
    if raw is not None:  # its predict gives scores or probabilities, and no classes
        (kind, outputs), classes = raw, None
    return Facts(
        names=names,
        width=width,
        kind=kind,
        classes=classes,
        outputs=outputs,
        optional=frozenset() if names is None else _dropped(model) & frozenset(names),
    )


def _columns(model: Any, deep: int = 0) -> tuple[tuple[str, ...] | None, int | None]:
    """Return the names and the number of the columns that a model, or the first that is inside of it, was fitted on."""
    library = type(model).__module__.partition(".")[0]
    tried = None if library in _BOOSTERS else 1
    names = next((found for name in _NAMES[:tried] if (found := _listed(model, name))), None)
    wide = (_number(_asked(model, name), booster=tried is None) for name in _WIDTHS[:tried])
    width = next((number for number in wide if number), None)
    if names is not None and library in _PLACES:
        made_up = tuple(f"{_PLACES[library]}{place}" for place in range(len(names)))
        width = width or len(made_up)
        names = None if names == made_up else names
    inner = _first_inside(model) if names is None and deep < _DEEPEST else None
    if inner is None:
        return names, width
    below = _columns(inner, deep + 1)
    same = width is None or width == below[1]  # a selection of columns is not what the whole takes
    return below[0] if same else None, width or below[1]


def _listed(model: Any, name: str) -> tuple[str, ...] | None:
    found = _asked(model, name)
    try:
        return tuple(str(label) for label in (found() if callable(found) else found or ()))
    except Exception:  # noqa: BLE001 - what a foreign model calls so may be anything
        return tuple(map(str, found)) if hasattr(found, "tolist") else None


def _number(found: Any, *, booster: bool) -> int | None:
    try:
        value = found() if booster and callable(found) else found
    except Exception:  # noqa: BLE001 - a booster that is not fitted refuses in its own way
        return None
    return int(value) if isinstance(value, int) and value > 0 else None


def _first_inside(model: Any) -> Any:
    """Return the first step of a pipeline, or the estimator that a search or another wrapper fitted."""
    steps = _asked(model, "steps")
    if isinstance(steps, list) and steps and isinstance(steps[0], tuple):
        return steps[0][-1]
    return next((inner for name in _INSIDE if (inner := _asked(model, name)) is not None), None)


def _raw_booster(model: Any) -> tuple[str | None, tuple[ColumnSpec, ...]] | None:
    """Read from the objective of a booster outside of scikit-learn's conventions what it predicts; None of others."""
    library = type(model).__module__.partition(".")[0]
    ask = _ASKED.get((library, type(model).__name__))
    if ask is None:
        return None
    try:
        objective, width = ask(model)
    except Exception:  # noqa: BLE001 - a booster that is not fitted refuses in its own way
        return None
    family = objective.partition(":")[0]
    kind = next((kind for kind, names in _OBJECTIVES.items() if family in names), None)
    shape = (None, width) if width > 1 else None
    return kind, (ColumnSpec("prediction", "float64", shape=shape),)


def _lightgbm(booster: Any) -> tuple[str, int]:
    """Return the objective and the number of predictions for each row; a custom objective has no name."""
    told = booster.dump_model(num_iteration=1)
    return str(told.get("objective", "")).partition(" ")[0], int(told["num_tree_per_iteration"])


def _xgboost(booster: Any) -> tuple[str, int]:
    learner = json.loads(booster.save_config())["learner"]
    objective, told = learner["objective"]["name"], learner["learner_model_param"]
    classes = 0 if objective == "multi:softmax" else int(told["num_class"])  # which gives the class itself
    return objective, max(classes, int(told.get("num_target", 1)))


def _catboost(model: Any) -> tuple[str, int]:
    loss = str(model.get_all_params()["loss_function"])
    return loss, len(model.classes_) if loss.startswith("MultiClass") else 1


_ASKED = {("lightgbm", "Booster"): _lightgbm, ("xgboost", "Booster"): _xgboost, ("catboost", "CatBoost"): _catboost}


def _dropped(model: Any) -> frozenset[str]:
    """Name the columns that a model hands to no transformer at all."""
    for _ in range(_DEEPEST):
        parts = _asked(model, "transformers_")
        if isinstance(parts, list):
            handed = [(act, columns) for _name, act, columns in parts if isinstance(columns, list)]
            whole = all(isinstance(name, str) for _act, columns in handed for name in columns)
            if len(handed) < len(parts) or not whole:
                return frozenset()  # places, masks or functions: it is not sure which columns they mean
            used = {name for act, columns in handed if act != "drop" for name in columns}
            return frozenset(name for act, columns in handed if act == "drop" for name in columns) - used
        model = _first_inside(model)
        if model is None:
            break
    return frozenset()


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
