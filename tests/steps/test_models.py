"""Models from some rows, and how well they do on others."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlops_kit as mk
from mlops_kit import steps
from mlops_kit.errors import InvalidInput
from mlops_kit.measures.metrics import measure
from mlops_kit.measures.predicted import Predicted
from mlops_kit.measures.slices import measure_slices


def numeric(people):
    return people.drop(columns="shop")


def test_an_estimator_is_cloned_and_takes_parameters(people):
    given = make_pipeline(StandardScaler(), LogisticRegression())
    fitted = steps.train(given, numeric(people), "late", logisticregression__C=0.5)
    assert fitted[-1].C == 0.5
    assert given[-1].C == 1.0
    assert not hasattr(given[-1], "coef_")
    assert list(fitted.feature_names_in_) == ["id", "x", "age"]


def test_a_class_or_a_function_makes_the_model(people):
    def fit(X, y, C):
        return LogisticRegression(C=C).fit(X, y)

    made = [steps.train(how, numeric(people), "late", C=0.3) for how in (LogisticRegression, fit)]
    assert [model.C for model in made] == [0.3, 0.3]
    np.testing.assert_array_equal(made[0].coef_, made[1].coef_)


def test_other_tables_than_those_of_pandas_are_taken(people):
    model = steps.train(LogisticRegression(), pl.from_pandas(numeric(people)), "late")
    assert steps.evaluate(model, pl.from_pandas(numeric(people)), "late")["accuracy"] > 0.6


@pytest.mark.parametrize(
    ("model", "target", "said"),
    [
        (LogisticRegression(), "early", r"no columns 'early'. Columns: id, x, age, late"),
        (3, "late", "A int cannot be fitted"),
        (lambda X, y: None, "late", "returns no model"),
    ],
)
def test_what_cannot_be_trained_is_refused(people, model, target, said):
    with pytest.raises(InvalidInput, match=said):
        steps.train(model, numeric(people), target)


def test_the_version_knows_the_data_that_the_model_was_fitted_on(people, store):
    @mk.pipeline(store=store)
    def run():
        return steps.register(steps.train(LogisticRegression(), numeric(people), "late"), "late").spec

    for _ in range(2):  # run, and reused
        signature = mk.ModelStore(store).get(run()).signature
        assert signature.target == "late"
        assert signature.features == ("id", "x", "age")
        assert "model.data" in run.last_run.inputs


def test_metrics_have_the_intervals_of_the_measures_and_segments(people):
    frame = numeric(people)
    model = LogisticRegression().fit(frame.drop(columns="late"), frame["late"])
    found = steps.evaluate(model, people, "late", metrics=["auc", "f1"], segments=["shop", "age"])
    scores = model.predict_proba(frame.drop(columns="late"))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(frame["late"], scores[:, 1]))
    predicted = Predicted.of(frame["late"], probabilities=scores, classes=[0, 1])
    assert found.measurements == tuple(measure(name, predicted) for name in ("roc_auc", "f1"))
    of_shop = tuple(part for part in found.segments if part.column == "shop" and part.measurement.metric == "f1")
    assert of_shop == measure_slices("f1", predicted, people["shop"], column="shop")
    assert {part.column for part in found.segments} == {"shop", "age"}
    with pytest.raises(InvalidInput, match="There are: roc_auc, f1"):
        found["accuracy"]


@pytest.mark.parametrize(
    ("model", "target", "names"),
    [
        (LogisticRegression(), "late", ["accuracy", "roc_auc", "log_loss"]),
        (LinearRegression(), "x", ["mae", "rmse", "r2"]),
        (make_pipeline(StandardScaler(), LogisticRegression()), "kind", ["accuracy", "balanced_accuracy", "log_loss"]),
    ],
)
def test_each_task_has_its_usual_metrics(people, model, target, names):
    frame = numeric(people).assign(kind=people["id"] % 3)
    found = steps.evaluate(steps.train(model, frame, target), frame, target)
    assert [one.metric for one in found.measurements] == names


def test_metrics_are_logged_and_shown_where_the_result_is_reused(people, store):
    @mk.pipeline(store=store)
    def run():
        model = steps.train(LogisticRegression(), numeric(people), "late")
        return steps.evaluate(model, people, "late", metrics=["auc"], segments="shop")

    first, second = run(), run()
    assert first == second
    assert [call.reused for call in run.last_run.steps] == [True, True]
    assert run.last_run.metrics == {"roc_auc": first["roc_auc"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "early"}, "early"),
        ({"metrics": ["acuracy"]}, "acuracy"),
        ({"segments": "region"}, r"no columns 'region'. Columns: id"),
        ({"task": "guessing"}, "guessing"),
        ({"model": LogisticRegression()}, "cannot be evaluated.*not fitted"),
        ({"model": LogisticRegression().fit(pd.DataFrame({"z": [0, 1]}), [0, 1])}, "lacks the columns 'z'"),
    ],
)
def test_what_cannot_be_evaluated_is_named(people, options, said):
    model = LogisticRegression().fit(people[["x"]], people["late"])
    with pytest.raises(InvalidInput, match=said):
        steps.evaluate(**{"model": model, "data": people, "target": "late", **options})
