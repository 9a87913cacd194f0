"""`train` and `evaluate`: a model from some rows, and how well it does on others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted
from mlops_kit.pipelines.step import step
from mlops_kit.records.gate import Contender
from mlops_kit.records.measurement import Measurement, Slice
from mlops_kit.steps.tables import column_of, frame_of, release
from mlops_kit.tracking.current import current_run
from mlops_kit.tracking.params import type_name

_USUAL = {
    "binary": ("accuracy", "roc_auc", "log_loss"),
    "multiclass": ("accuracy", "balanced_accuracy", "log_loss"),
    "regression": ("mae", "rmse", "r2"),
    "ranking": ("ndcg",),
}


@step(version=release("scikit-learn"))
def train(model: Any, data: Any, target: str, *, name: str = "model", **params: Any) -> Any:
    """Fit a model, and keep it with the run together with the data that it was fitted on.

    Parameters
    ----------
    model : estimator, class of such, or function
        An estimator is cloned, a class called with the parameters; a function is called with ``X``, ``y`` and the
        parameters, and returns the model.
    data : table
        The rows to fit it on.
    target : str
        The column of the truth; all others are features.
    name : str
        What the run calls the model.
    **params
        Of the estimator, as ``set_params`` takes them, or of the function.

    Returns
    -------
    object
        The fitted model; what was passed is left as it is.

    Raises
    ------
    InvalidInput
        There is no such column, or nothing that can be fitted.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlops_kit import steps
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "late": [0, 0, 1, 1]})
    >>> steps.train(LogisticRegression(), data, "late", C=10.0)
    LogisticRegression(C=10.0)
    """
    frame = frame_of(data)
    truth = column_of(frame, target)
    features = frame.drop(columns=target)
    fitted = _fitted(model, features, truth, params)
    run = current_run()
    if run is not None:
        run.log_model(fitted, name, signature=(features, truth))
    return fitted


def _fitted(model: Any, features: Any, truth: Any, params: dict[str, Any]) -> Any:
    if isinstance(model, type) and callable(getattr(model, "fit", None)):
        made = model(**params)
    elif callable(getattr(model, "fit", None)):
        from sklearn.base import clone  # noqa: PLC0415 - importing the steps loads no scikit-learn

        made = clone(model)
        if params:
            made.set_params(**params)
    elif callable(model):
        fitted = model(features, truth, **params)
        if fitted is None:
            raise InvalidInput(f"The function {quoted(getattr(model, '__name__', model))} returns no model.")
        return fitted
    else:
        raise InvalidInput(f"A {type(model).__name__} cannot be fitted. Pass an estimator, or a function of X and y.")
    made.fit(features, truth)
    return made


@dataclass(frozen=True)
class Evaluation:
    """How well a model does on some rows; returned by `evaluate`.

    Attributes
    ----------
    measurements : tuple of Measurement
        Each metric with its value and interval.
    segments : tuple of Slice
        Each metric on each part of the rows, the worst part first.

    Examples
    --------
    >>> Evaluation((Measurement("accuracy", 0.9, 0.83, 0.944, 0.95, 100, "wilson"),))["accuracy"]
    0.9
    """

    measurements: tuple[Measurement, ...]
    segments: tuple[Slice, ...] = ()

    def __getitem__(self, metric: str) -> float:
        """Return the value of a metric by its name."""
        found = [one.value for one in self.measurements if one.metric == metric]
        if not found:
            names = ", ".join(one.metric for one in self.measurements)
            raise InvalidInput(f"There is no metric {quoted(metric)} here. There are: {names}.")
        return found[0]

    def __repr__(self) -> str:
        parts = [f"{part.column}={part.label}: {part.measurement}" for part in self.segments]
        return "\n  ".join(["Evaluation", *map(str, self.measurements), *parts])


@step(version=release("numpy", "scikit-learn"))
def evaluate(
    model: Any,
    data: Any,
    target: str,
    *,
    metrics: Iterable[str | Callable[..., Any]] = (),
    segments: str | Iterable[str] = (),
    positive: Any = None,
    task: str | None = None,
    weights: str | None = None,
    groups: str | None = None,
    confidence: float = 0.95,
) -> Evaluation:
    """Measure a model on rows that it was not fitted on, with confidence intervals, and log the metrics.

    Parameters
    ----------
    model : object
        An estimator, or anything with ``predict``, or a function of the features.
    data : table
        The rows, with the truth.
    target : str
        The column of the truth.
    metrics : iterable of str or callable
        Names such as ``"auc"``, ``"f1"``, ``"rmse"``, scorers of scikit-learn, or functions of truth and prediction; by
        default the usual ones of the task.
    segments : str or iterable of str
        Columns by whose values, or ranges of values, each metric is measured too.
    positive : object, optional
        The class that is looked for, of two; by default the last one.
    task : str, optional
        ``"binary"``, ``"multiclass"``, ``"regression"`` or ``"ranking"``; by default as the model says.
    weights, groups : str, optional
        The columns that say how much each row counts, and whose each row is; intervals then count subjects.
    confidence : float
        Of the intervals.

    Returns
    -------
    Evaluation
        Values, intervals and segments; ``evaluation["roc_auc"]`` is the value of one metric.

    Raises
    ------
    InvalidInput
        The model cannot predict these rows, or there is no such column or metric.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlops_kit import steps
    >>> data = pd.DataFrame({"x": [0, 1, 2, 3] * 5, "shop": ["a", "b"] * 10, "late": [0, 0, 0, 1] * 5})
    >>> steps.evaluate(lambda X: (X["x"] > 1).astype(int), data, "late", metrics=["accuracy"], segments="shop")
    Evaluation
      accuracy 0.75 [0.5313, 0.8881], n=20
      shop=a: accuracy 0.5 [0.2366, 0.7634], n=10
      shop=b: accuracy 1 [0.7225, 1], n=10
    """
    from mlops_kit.measures import metrics as by_name  # noqa: PLC0415 - loads numpy
    from mlops_kit.measures.predicted import Predicted  # noqa: PLC0415 - loads pandas
    from mlops_kit.measures.slices import measure_slices  # noqa: PLC0415 - loads numpy
    from mlops_kit.registry.case import Case, Judged, holdouts  # noqa: PLC0415 - loads pandas
    from mlops_kit.registry.limits import task as checked  # noqa: PLC0415 - with them
    from mlops_kit.store.store import open_store  # noqa: PLC0415 - with them

    frame = frame_of(data)
    split_by = {name: column_of(frame, name) for name in ([segments] if isinstance(segments, str) else segments)}
    run = current_run()
    store = open_store() if run is None else run.store
    (holdout,) = holdouts({"data": frame}, target, weights, store, groups).values()
    judged = Judged(Contender(None, None, None, type_name(model)), lambda: model)
    case = Case(judged, {holdout.name: holdout}, store, lambda _alias: None, positive, task=checked(task))

    def predicted(**about: Any) -> Predicted:
        found = case.predicted(holdout, **about)
        if isinstance(found, str):
            raise InvalidInput(f"The model cannot be evaluated: {found}.")
        return found

    chosen = by_name.metrics(tuple(metrics) or _USUAL[predicted().task])
    made = [by_name.measure(one, predicted(tasks=one.tasks), confidence=confidence) for one in chosen]
    parts = [
        part
        for one in chosen
        for name, values in split_by.items()
        for part in measure_slices(one, predicted(tasks=one.tasks), values, column=name, confidence=confidence)
    ]
    if run is not None:
        run.log_metrics({one.metric: one.value for one in made if one.undefined is None})
    return Evaluation(tuple(made), tuple(parts))
