"""What a model takes and gives: inferred when it is registered, held against data before it predicts."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, SchemaMismatch, UnsupportedData
from mlops_kit.records.signature import ColumnSpec
from mlops_kit.registry.signature import Signature

FRAME = pd.DataFrame(
    {
        "id": range(100, 106),
        "age": [31, 47, 22, 60, 38, 51],
        "income": [1.5, np.nan, 2.0, 3.5, 1.0, 4.0],
        "plan": pd.Categorical(["basic", "pro"] * 3),
        "churned": ["no", "yes"] * 3,
    }
)
TREE = DecisionTreeClassifier(max_depth=2, random_state=0)


class Rule:
    """A model of the user's own, which says nothing of itself."""

    def predict(self, X):
        return np.zeros(len(X))


def tracked(models, fn, *data):
    mk.track(fn, register="m", store=models.store)(*data)
    return models.get("m@latest")


# Boosters


def boosters():
    settings = {"iterations": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    yield "catboost", lambda made: made.CatBoostClassifier(**settings)
    yield "catboost", lambda made: made.CatBoostRegressor(**settings)
    yield "catboost", lambda made: made.CatBoost({**settings, "loss_function": "RMSE"})
    yield "lightgbm", lambda made: made.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)
    yield "lightgbm", lambda made: made.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1)
    yield "xgboost", lambda made: made.XGBClassifier(n_estimators=3, n_jobs=1)
    yield "xgboost", lambda made: made.XGBRegressor(n_estimators=3, n_jobs=1)


@pytest.mark.parametrize(("library", "make"), list(boosters()))
def test_a_booster_names_the_columns_it_was_fitted_on(models, library, make):
    made = pytest.importorskip(library)
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["age", "height", "weight"])
    y = (X["age"] > 0).astype(int).rename("tall")
    fitted = make(made).fit(X, y)

    def train(data):
        return make(made).fit(data.drop(columns="tall"), data["tall"])

    for signature in (
        models.register("m", fitted).signature,
        models.register("m", fitted, signature=(X, y)).signature,
        tracked(models, train, X.assign(tall=y)).signature,
        models.register("m", make_pipeline(fitted)).signature,
    ):
        assert signature.features == ("age", "height", "weight")
        assert [problem.kind for problem in signature.check(X[["weight", "height", "age"]])] == ["reordered"]
    assert models.get("m:3").signature.target == models.get("m:2").signature.target == "tall"
    assert signature.check(X) == ()
    bare = models.register("m", make(made).fit(X.to_numpy(), y)).signature
    assert bare.inputs == (ColumnSpec("", shape=(None, 3)),)


def raw_boosters():
    lightgbm = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}
    for objective, kind, width in (
        ("binary", "binary", None),
        ("multiclass", "multiclass", 3),
        ("quantile", "regression", None),
        ("lambdarank", None, None),
    ):
        yield "lightgbm", {**lightgbm, "objective": objective}, kind, width
    for objective, kind, width in (
        ("binary:logistic", "binary", None),
        ("multi:softprob", "multiclass", 3),
        ("multi:softmax", "multiclass", None),
        ("reg:absoluteerror", "regression", None),
        ("rank:ndcg", None, None),
    ):
        yield "xgboost", {"objective": objective, "nthread": 1}, kind, width
    catboost = {"iterations": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    for loss, kind, width in (
        ("Logloss", "binary", None),
        ("MultiClass", "multiclass", 3),
        ("Quantile:alpha=0.9", "regression", None),
    ):
        yield "catboost", {**catboost, "loss_function": loss}, kind, width


def boosted(library, settings, X, y):
    """Fit a booster by the function of its library that is outside of scikit-learn's conventions."""
    made = pytest.importorskip(library)
    ranks = {"group": [len(X)]} if settings.get("objective") in {"lambdarank", "rank:ndcg"} else {}
    classes = {"num_class": 3} if "multi" in settings.get("objective", "") else {}
    if library == "lightgbm":
        return made.train({**settings, **classes}, made.Dataset(X, y, **ranks), 3)
    if library == "xgboost":
        return made.train({**settings, **classes}, made.DMatrix(X, y), 3)
    return made.CatBoost(settings).fit(X, y)


@pytest.mark.parametrize(("library", "settings", "kind", "width"), list(raw_boosters()))
def test_a_raw_booster_tells_what_it_predicts_by_its_objective(models, library, settings, kind, width):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["age", "height"])
    y = pd.Series(np.arange(60) % (3 if "ulti" in str(settings) else 2), name="tall")
    version = models.register("m", boosted(library, settings, X, y), signature=(X, y))
    assert version.signature.outputs == (
        ColumnSpec("prediction", "float64", shape=None if width is None else (None, width)),
    )
    assert (version.signature.kind, version.signature.classes, version.signature.target) == (kind, None, "tall")
    assert "not known" not in repr(version.signature)


def test_a_raw_booster_of_two_classes_is_judged_by_its_probabilities(models):
    X = pd.DataFrame({"age": np.random.default_rng(0).normal(size=200)})
    y = (X["age"] > 0).astype(int).rename("tall")
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1}
    models.register("m", boosted("lightgbm", settings, X, y), signature=(X, y))
    gate = mk.Gate(mk.conditions.at_least("roc_auc", 0.9), on=X.assign(tall=y))
    assert gate.evaluate("m:1", store=models.store).passed


# Inferred


def test_a_tracked_function_that_takes_the_target_out_of_a_table_tells_features_and_target(models):
    def train(data):
        X = data.drop(columns=["churned", "id", "plan"])
        return TREE.fit(X, data["churned"])

    signature = tracked(models, train, FRAME).signature
    assert signature.inputs == (ColumnSpec("age", "int64"), ColumnSpec("income", "float64", nullable=True))
    assert (signature.target, signature.kind, signature.classes) == ("churned", "binary", ("no", "yes"))
    assert (signature.source, signature.target_source) == ("data", "data")
    assert [column.name for column in signature.outputs] == ["prediction", "probability"]


def test_a_target_popped_in_place_is_still_known(models):
    def train(data):
        y = data.pop("churned")
        return TREE.fit(data[["age"]], y)

    assert tracked(models, train, FRAME.drop(columns=["id", "income", "plan"])).signature.target == "churned"


def test_features_and_target_passed_apart_are_told(models):
    def train(X, y):
        return LinearRegression().fit(X, y)

    signature = tracked(models, train, FRAME[["age"]], FRAME["age"].rename("spent") * 2.0).signature
    assert (signature.features, signature.target, signature.kind) == (("age",), "spent", "regression")
    assert (signature.source, signature.target_source) == ("X", "y")


@pytest.mark.parametrize(
    ("unnamed", "name"),
    [
        (lambda y: y.to_numpy(), "y"),
        (lambda y: y.to_numpy()[:, None], "y"),
        (lambda y: pd.Series(y.to_numpy()), "y"),
        (list, "y"),
        (lambda y: pl.Series(y.to_numpy()), "y"),
        (lambda y: y.to_frame("bought"), "bought"),
        (lambda y: pd.concat([y, y], axis=1), None),
    ],
)
def test_a_target_without_a_name_is_given_one(models, unnamed, name):
    y = (FRAME["age"] > FRAME["age"].median()).astype(int).rename(None)
    fitted = LogisticRegression().fit(FRAME[["age"]], y)
    assert models.register("m", fitted, signature=(FRAME[["age"]], unnamed(y))).signature.target == name


def test_the_name_that_a_target_is_given_is_that_of_no_feature(models):
    X = FRAME[["age"]].rename(columns={"age": "y"})
    fitted = LinearRegression().fit(X, FRAME["age"])
    assert models.register("m", fitted, signature=(X, FRAME["age"].to_numpy())).signature.target == "target"


def test_arrays_are_told_by_shape_and_type(models):
    def train(X, y):
        return LogisticRegression().fit(X, y)

    signature = tracked(models, train, np.ones((4, 3), "float32"), np.array([0, 1, 0, 1])).signature
    assert signature.inputs == (ColumnSpec("", "float32", shape=(None, 3)),)
    assert (signature.target, signature.target_source, signature.classes) == ("y", "y", (0, 1))


@pytest.mark.parametrize(
    "turned",
    [pl.from_pandas, lambda frame: frame, lambda frame: mk.Dataset.snapshot(frame, name="d", store="memory://sig")],
)
def test_tables_of_other_makes_are_told_alike(models, turned):
    def train(data):
        frame = data.to_pandas() if hasattr(data, "to_pandas") else data
        return TREE.fit(frame[["age"]], frame["churned"])

    signature = tracked(models, train, turned(FRAME.drop(columns="plan"))).signature
    assert signature.inputs == (ColumnSpec("age", "int64"),)
    assert signature.target == "churned"


def test_columns_made_inside_the_function_are_named_without_a_type(models):
    def train(data):
        return TREE.fit(data[["age"]].assign(square=data["age"] ** 2), data["churned"])

    signature = tracked(models, train, FRAME).signature
    assert signature.inputs == (ColumnSpec("age"), ColumnSpec("square"))
    assert signature.source is None
    assert signature.check(pd.DataFrame({"age": ["any"], "square": [1.5]})) == ()


def test_a_model_that_says_nothing_of_itself_has_a_signature_only_if_features_and_target_came_apart(models):
    assert tracked(models, lambda data: Rule(), FRAME).signature is None
    signature = tracked(models, lambda X, y: Rule(), FRAME[["age", "plan"]], FRAME["churned"]).signature
    assert signature.features == ("age", "plan")
    assert signature.inputs[1].categories == ("basic", "pro")
    assert tracked(models, lambda seed: Rule(), 7).signature is None


def test_weights_beside_the_target_are_not_taken_for_it(models):
    def train(X, y, weights):
        return TREE.fit(X, y, sample_weight=weights)

    args = FRAME[["age"]], FRAME["churned"], pd.Series([1.0, 2.0] * 3, name="weights")
    assert tracked(models, train, *args).signature.target == "churned"


def test_a_model_registered_inside_a_tracked_function_has_a_signature_too(models):
    def train(data):
        return models.register("inner", TREE.fit(data[["age"]], data["churned"])).spec

    mk.track(train, store=models.store)(FRAME)
    assert models.get("inner:1").signature.target == "churned"


def test_data_that_a_run_was_called_with_is_not_kept_alive(models):
    train = mk.track(lambda data: TREE.fit(data[["age"]], data["churned"]), register="m", store=models.store)
    train(FRAME)
    assert train.last_run.passed == ()


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (StandardScaler(), "transform"),
        (IsolationForest(n_estimators=2), "score"),
        (KMeans(n_clusters=2, n_init=1), None),
        (make_pipeline(StandardScaler(), LinearRegression()), "regression"),
    ],
)
def test_the_kind_of_prediction_is_told(models, model, kind):
    X = FRAME[["age"]]
    version = models.register("m", model.fit(X, FRAME["age"]))
    assert version.signature.kind == kind
    assert version.signature.features == ("age",)


def test_a_model_that_raises_when_it_is_asked_is_registered_all_the_same(models):
    version = models.register("m", Hostile())
    assert version.signature is None


class Hostile:
    @property
    def feature_names_in_(self):
        raise RuntimeError("not fitted")

    n_features_in_ = classes_ = feature_names_in_


# Declared


def test_an_example_tells_types_and_target(models):
    X, y = FRAME[["age", "plan"]], FRAME["churned"]
    signature = models.register("m", Rule(), signature=(X, y)).signature
    assert signature.features == ("age", "plan")
    assert (signature.target, signature.source, signature.target_source) == ("churned", None, None)


@pytest.mark.parametrize("name", ["churned", "y", "target", "X", "id", "age", 0])
def test_the_target_of_an_example_is_what_it_is_called_whatever_that_is(models, name):
    X, y = FRAME[["id", "age"]], pd.Series([0, 1] * 3, name=name)
    version = models.register("m", LogisticRegression().fit(X[["age"]], y), signature=(X, y))
    assert (version.signature.target, version.signature.features) == (str(name), ("age",))
    for given in (y.to_frame(), pl.Series(str(name), [0, 1] * 3)):
        assert models.register("m", TREE.fit(X[["age"]], y), signature=(X, given)).signature.target == str(name)


def test_an_example_of_a_fitted_model_may_hold_the_target_too(models):
    model = TREE.fit(FRAME[["age"]], FRAME["churned"])
    signature = models.register("m", model, signature=FRAME[["churned", "age"]]).signature
    assert (signature.features, signature.target) == (("age",), "churned")


def test_an_example_without_the_columns_of_the_model_is_refused_and_nothing_registered(models):
    model = TREE.fit(FRAME[["age"]], FRAME["churned"])
    with pytest.raises(InvalidInput, match=r"The example has 'income', and the model was fitted on 'age'"):
        models.register("m", model, signature=FRAME[["income"]])
    with pytest.raises(UnsupportedData):
        models.register("m", model, signature=object())
    assert models.names() == []


def test_a_signature_can_be_passed_on(models):
    first = models.register("m", Rule(), signature=FRAME[["age"]])
    again = models.register("m", Rule(), signature=first.signature)
    assert again.signature == first.signature
    assert isinstance(again.signature, Signature)
    assert pickle.loads(pickle.dumps(again)) == again


def test_a_column_that_is_dropped_before_anything_else_need_not_be_there(models):
    parts = ColumnTransformer([("kept", StandardScaler(), ["age"]), ("twice", "drop", ["age", "id"])])
    X, y = FRAME[["id", "age"]], FRAME["churned"]
    for model in (make_pipeline(parts, TREE), GridSearchCV(make_pipeline(parts, TREE), {}, cv=2)):
        fitted = model.fit(X, y)
        signature = models.register("m", fitted, signature=(X, y)).signature
        assert [(column.name, column.optional) for column in signature.inputs] == [("id", True), ("age", False)]
        for suits in (X, X[["age"]]):
            fitted.predict(suits)
            assert signature.check(suits) == ()
        assert [problem.column for problem in signature.check(X[["id"]])] == ["age"]


# Held against data


@pytest.fixture
def signature(models):
    return models.register("m", Rule(), signature=FRAME[["age", "income", "plan"]]).signature


@pytest.mark.parametrize(
    "turned",
    [
        lambda frame: frame,
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda frame: frame.set_index(pd.Index(list("abcdef"), name="key")),
        lambda frame: frame.astype({"age": "int8", "income": "float32"}),
        lambda frame: frame.astype({"age": "Int64", "plan": "str"}),
        lambda frame: frame.astype({"age": "float64"}),
        lambda frame: frame.head(0),
    ],
)
def test_data_of_any_make_whose_values_are_held_exactly_suits(signature, turned):
    assert signature.check(turned(FRAME[["age", "income", "plan"]])) == ()


def test_every_difference_is_found_at_once(signature):
    wrong = pd.DataFrame({"plan": ["gold", "pro"], "income": ["1", "2"], "age": [1.5, 2.0], "x": [0, 0]})
    kinds = [(problem.kind, problem.column) for problem in signature.check(wrong)]
    assert kinds == [("extra", "x"), ("reordered", ""), ("type", "age"), ("type", "income"), ("category", "plan")]


def test_what_was_never_missing_may_not_be(signature):
    (problem,) = signature.check(FRAME[["age", "income", "plan"]].astype({"age": "Int64"}).assign(age=pd.NA))
    assert (problem.kind, problem.column) == ("null", "age")


def test_data_that_does_not_suit_is_refused_with_all_that_is_wrong(signature):
    signature.validate(FRAME[["age", "income", "plan"]])
    with pytest.raises(SchemaMismatch, match=r"(?s)'income' is missing.*'plan' is missing") as refused:
        signature.validate(FRAME[["age"]])
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("X", "kinds"),
    [
        (np.ones((2, 3)), []),
        (np.ones((2, 3), int), []),
        (sp.csr_matrix(np.ones((2, 3))), []),
        ([[1, 2, 3]], []),
        (np.ones((2, 4)), ["shape"]),
        (np.ones(3), ["shape"]),
        (np.array([["a", "b", "c"]]), ["type"]),
        (np.full((1, 3), np.nan), ["null"]),
        (np.full((1, 3), 2**53 + 1), ["type"]),
        (FRAME[["age", "id", "id"]].set_axis(list("abc"), axis=1), []),
    ],
)
def test_arrays_are_held_to_shape_and_type(models, X, kinds):
    signature = models.register("m", Rule(), signature=np.zeros((4, 3))).signature
    assert [problem.kind for problem in signature.check(X)] == kinds


@pytest.mark.parametrize("X", [object(), 3, "text", {"a": object()}])
def test_what_is_no_data_is_refused(signature, X):
    with pytest.raises(UnsupportedData):
        signature.check(X)


def test_a_model_of_another_shape_cannot_stand_in(models):
    champion = models.register("m", TREE.fit(FRAME[["age"]], FRAME["churned"]), signature=FRAME[["age"]]).signature
    wider = models.register("m", TREE.fit(FRAME[["age", "id"]], FRAME["churned"]), signature=FRAME).signature
    assert champion.compatible(champion)
    assert not wider.compatible(champion)
    assert [problem.kind for problem in wider.compare(champion)] == ["missing"]


def test_levels_that_only_the_champion_saw_are_told_and_do_not_make_it_incompatible(models):
    one, other = (
        models.register("m", Rule(), signature=pd.DataFrame({"plan": levels})).signature
        for levels in (["a", "b", "a"], ["a", "c", "a"])
    )
    assert [problem.kind for problem in one.compare(other)] == ["category"]
    assert one.compatible(other)


def test_names_are_no_levels(models):
    names = pd.DataFrame({"name": [f"n{i}" for i in range(50)], "many": [f"n{i % 25}" for i in range(50)]})
    first, second = models.register("m", Rule(), signature=names).signature.inputs
    assert first.categories is None
    assert len(second.categories) == 25


# Lineage


def test_the_lineage_names_the_data_that_holds_features_and_target(models):
    tracked(models, lambda X, y, other: TREE.fit(X, y), FRAME[["age"]], FRAME["churned"], FRAME[["id"]])
    lineage = models.lineage("m:1")
    assert (lineage.training.name, lineage.labels.name) == ("X", "y")
    data = mk.Dataset.load(f"{lineage.training.dataset}:{lineage.training.version}", store=models.store)
    assert data.to_pandas().equals(FRAME[["age"]])


def test_without_a_signature_the_lineage_names_none(models):
    models.register("m", Rule())
    assert (models.lineage("m:1").training, models.lineage("m:1").labels) == (None, None)
