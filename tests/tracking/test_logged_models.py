"""A model that is logged with the data it was really fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlops_kit as mk
from mlops_kit.errors import RecordingWarning

RAW = pd.DataFrame({"amount": np.random.default_rng(0).normal(size=400), "day": np.arange(400) % 7})
RAW["fraud"] = (RAW["amount"] > 0).astype(int)


def features(data):
    return data[["amount"]].assign(square=data["amount"] ** 2, weekend=data["day"] > 4)


def train(data, wrap=lambda model: model):
    X, y = features(data), data["fraud"]
    model = LogisticRegression().fit(X, y)
    mk.log_model(model, "fitted", signature=(X, y))
    return wrap(model)


def test_the_registered_version_takes_the_signature_logged_in_its_run():
    run = mk.track(train, register="fraud")
    run(RAW)
    version = mk.ModelStore().get("fraud:1")
    assert version.signature.features == ("amount", "square", "weekend")
    assert (version.signature.target, version.signature.source) == ("fraud", "fitted.data")
    fitted = run.last_run.dataset("fitted.data").to_pandas()
    pd.testing.assert_frame_equal(fitted, features(RAW).assign(fraud=RAW["fraud"]))
    lineage = mk.ModelStore().lineage("fraud:1")
    assert lineage.training == lineage.labels == run.last_run.inputs["fitted.data"]
    assert run.last_run.outputs["fitted"].signature == mk.get_run(run.last_run.id).outputs["fitted"].signature


def test_a_monitor_of_it_watches_the_table_that_was_fitted():
    mk.track(train, register="fraud")(RAW)
    monitor = mk.Monitor("fraud:1", name="live")
    calm = monitor.check(features(RAW))
    assert calm.status != "alert"
    assert {"square", "weekend", "amount"} <= {one.column for one in calm.features}
    assert not any("not watched" in note.lower() for note in calm.notes)
    moved = features(pd.concat([RAW] * 10).assign(amount=lambda data: data["amount"] * 3))
    assert mk.Monitor("fraud:1", name="moved").check(moved).status == "alert"


def test_the_signature_of_another_model_is_not_taken():
    def other(data):
        mk.log_model(LinearRegression().fit(data[["day"]], data["amount"]), "helper", signature=(data[["day"]], None))
        return LogisticRegression().fit(data[["amount"]], data["fraud"])

    mk.track(other, register="m")(RAW)
    assert mk.ModelStore().get("m:1").signature.features == ("amount",)


def test_the_only_signature_is_taken_for_a_model_that_holds_the_logged_one_and_takes_the_same_columns():
    mk.track(lambda data: train(data, wrap=make_pipeline), register="m")(RAW)
    assert mk.ModelStore().get("m:1").signature.source == "fitted.data"


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (lambda X, y: (X.to_numpy(), y.to_numpy()), {"fitted.X", "fitted.y"}),
        (lambda X, y: (pl.from_pandas(X), pl.from_pandas(y)), {"fitted.data"}),
        (lambda X, y: (X.assign(fraud=1), y), {"fitted.X", "fitted.y"}),
        (lambda X, y: X, {"fitted.data"}),
    ],
)
def test_the_data_of_a_signature_is_kept_in_as_few_parts_as_can_be(given, parts):
    def fit(data):
        pair = given(features(data).astype(float), data["fraud"])
        X = pair[0] if isinstance(pair, tuple) else pair
        X = X.to_pandas() if isinstance(X, pl.DataFrame) else X
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, data["fraud"])
        mk.log_model(model, "fitted", signature=pair)
        return model

    tracked = mk.track(fit, register="m")
    tracked(RAW)
    assert set(tracked.last_run.inputs) == {"data", *parts}
    assert tracked.last_run.problems == ()
    signature = mk.ModelStore().get("m:1").signature
    assert signature.source in parts
    assert (signature.target_source is None) == (parts == {"fitted.data"} and not signature.target)


def test_where_no_rows_are_kept_those_of_a_signature_are_not_either():
    tracked = mk.track(train, snapshot=False)
    tracked(RAW)
    assert [ref.spec for ref in tracked.last_run.inputs.values()] == [None, None]
    assert mk.Dataset.names() == []


def test_data_that_a_model_was_not_fitted_on_is_a_problem_of_the_run_and_the_model_is_kept():
    with mk.start_run() as run, pytest.warns(RecordingWarning, match="was fitted on"):
        run.log_model(LinearRegression().fit(RAW[["day"]], RAW["amount"]), "m", signature=RAW[["amount"]])
    assert run.outputs["m"].signature is None
    assert run.load("m").n_features_in_ == 1
