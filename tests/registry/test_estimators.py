"""Every estimator of scikit-learn that can be fitted comes back from a store, and answers as before."""

from __future__ import annotations

import copy
import inspect
import itertools
import os
import pickle
import shlex
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators

import mlops_kit as mk
from mlops_kit.cli.main import main
from mlops_kit.errors import NotSerializable, UntrustedArtifact
from mlops_kit.store import serializers
from mlops_kit.store.skops_types import VERSION

X, y = make_classification(40, 4, n_informative=3, n_redundant=0, random_state=0)
COUNTS = np.abs(np.round(X))
FRAME = pd.DataFrame({"size": X[:, 0], "age": X[:, 1], "plan": np.where(y == 1, "pro", "basic")})
# What an estimator may want to be fitted on, most usual first; the first on which it has something to say is taken.
DATA = {
    "rows and labels": (X, y),
    "counts and labels": (COUNTS, y + 1),
    "rows and two targets": (X, np.column_stack([y, 1 - y])),
    "one column and a target": (X[:, 0], X[:, 1]),
    "similarities": (X @ X.T, None),
    "labels": (y, None),
    "sets of labels": ([{"a"}, {"a", "b"}] * 10, None),
    "texts": (["the cat sat", "a dog ran", "the dog sat"] * 10, None),
    "dicts": ([{"plan": "pro", "age": 3.0}, {"plan": "basic", "age": 4.0}] * 10, None),
    "pictures": (np.random.default_rng(0).random((3, 10, 10)), None),
}
# What some estimators cannot do without.
NEEDED = {
    "estimator": LogisticRegression(),
    "estimators": [("one", LogisticRegression()), ("two", LogisticRegression(C=0.1))],
    "transformers": [("scale", StandardScaler(), [0, 1])],
    "transformer_list": [("scale", StandardScaler())],
    "steps": [("scale", StandardScaler()), ("model", LogisticRegression())],
    "param_grid": {"C": [0.1, 1.0]},
    "param_distributions": {"C": [0.1, 1.0]},
    "dictionary": np.eye(4),
}
REGRESSION = {"estimator": Ridge(), "estimators": [("one", Ridge()), ("two", Ridge(0.1))]}
PARTICULAR = {
    "FrozenEstimator": {"estimator": LogisticRegression().fit(X, y)},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
}
# What keeps them quick, and the same each time.
SMALL = {"random_state": 0, "n_estimators": 3, "max_iter": 20, "n_iter": 2, "n_components": 2, "n_neighbors": 3}
SMALL |= {"n_clusters": 2, "perplexity": 3, "patch_size": (3, 3), "cv": 3}
SEEDED = {"random_state": 0, "perplexity": 3}
ASKED = ("predict", "predict_proba", "decision_function", "score_samples", "transform", "inverse_transform")
ASKED += ("kneighbors",)
LEARNED = ("labels_", "row_labels_", "embedding_", "covariance_", "negative_outlier_factor_")


def builds(cls):
    """Build an estimator in some ways: small or as by default, for classes or for numbers."""
    taken = inspect.signature(cls).parameters
    needed = {name for name, parameter in taken.items() if parameter.default is inspect.Parameter.empty}
    for purpose, size in itertools.product((NEEDED, NEEDED | REGRESSION), (SMALL, SEEDED)):
        given = {name: purpose[name] for name in needed if name in purpose}
        given |= {name: value for name, value in size.items() if name in taken}
        yield cls(**given | PARTICULAR.get(cls.__name__, {}))


def fit(cls):
    """Fit an estimator on the first data of which it has something to say, and name the data."""
    refusals = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator, (kind, (rows, target)) in itertools.product(builds(cls), DATA.items()):
            try:
                own = copy.deepcopy(rows)  # some remember the very array, and are asked about it by identity
                estimator.fit(*((own,) if target is None else (own, target)))
            except Exception as refusal:
                refusals.append(f"{kind}: {refusal!r}"[:300])
                continue
            if observe(estimator, rows):
                return kind, estimator
    raise AssertionError(f"{cls.__name__} could not be fitted on any data: {refusals}")


def observe(estimator, rows):
    """Collect all that an estimator says of some rows, and what it learned of those it has seen."""
    seen = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for act in ASKED:
            given = seen.get("transform", rows) if act == "inverse_transform" else rows
            try:
                seen[act] = getattr(estimator, act)(given)
            except (AttributeError, NotImplementedError, ValueError, TypeError):
                continue  # this one does not answer that
    return seen | {name: getattr(estimator, name) for name in LEARNED if hasattr(estimator, name)}


def same(one, other, tolerance=0.0):
    """Say whether two answers are equal, bit for bit unless told otherwise; missing values equal each other."""
    if isinstance(one, list | tuple) and any(np.ndim(part) for part in one):
        return len(one) == len(other) and all(same(*parts, tolerance) for parts in zip(one, other, strict=True))
    if sparse.issparse(one):
        return same(one.toarray(), other.toarray(), tolerance)
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype != other.dtype or one.dtype.kind not in "fc":
        return one.dtype == other.dtype and np.array_equal(one, other)
    return np.allclose(one, other, tolerance, tolerance, equal_nan=True)


def differing(before, after, tolerance=0.0):
    """Name the questions to which two estimators give different answers."""
    if before.keys() != after.keys():
        return sorted(before.keys() ^ after.keys())
    return [act for act in before if not same(before[act], after[act], tolerance)]


def keeps_a_view(estimator):
    """Say whether it holds a part of a larger array: pickle straightens those, and sums then round otherwise."""
    arrays = (value for value in vars(estimator).values() if isinstance(value, np.ndarray))
    return any(not (array.flags.c_contiguous or array.flags.f_contiguous) for array in arrays)


def in_a_new_process(script, *arguments):
    """Run a script in a Python that has seen nothing of this one."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Every estimator fitted and registered: the store, and for each its data, answers, and how near they can be."""
    url = tmp_path_factory.mktemp("zoo") / "store"
    models, known = mk.ModelStore(url), {}
    for name, cls in all_estimators():
        kind, estimator = fit(cls)
        models.register(name, estimator)
        known[name] = kind, observe(estimator, DATA[kind][0]), 1e-13 if keeps_a_view(estimator) else 0.0
    exact = sum(not tolerance for *_, tolerance in known.values())
    answers = sum(len(seen) for _, seen, _ in known.values())
    print(f"{len(known)} of {len(all_estimators())} estimators, {answers} answers; {exact} to be equal bit for bit")
    assert exact > len(known) - 8
    return url, known


def test_every_estimator_that_can_be_fitted_comes_back_with_equal_answers(zoo):
    url, known = zoo
    models = mk.ModelStore(url)
    assert models.names() == sorted(name for name, _ in all_estimators())
    wrong = {}
    for name, (kind, seen, tolerance) in known.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of classes that are on their way out
            loaded = models.load(f"{name}:1")
        wrong[name] = differing(seen, observe(loaded, DATA[kind][0]), tolerance)
    assert {name: acts for name, acts in wrong.items() if acts} == {}


def test_every_estimator_gives_equal_answers_in_a_process_that_has_not_seen_it(zoo, tmp_path, monkeypatch):
    url, known = zoo
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(url))  # the store was made with another home
    (tmp_path / "kinds").write_bytes(pickle.dumps({name: kind for name, (kind, _, _) in known.items()}))
    script = """
        import pickle, runpy, sys
        import mlops_kit as mk
        _, url, here, file = sys.argv
        exam, models = runpy.run_path(file), mk.ModelStore(url)
        with open(f"{here}/kinds", "rb") as source:
            kinds = pickle.load(source)
        seen = {name: exam["observe"](models.load(f"{name}@latest"), exam["DATA"][kind][0])
                for name, kind in kinds.items()}
        with open(f"{here}/seen", "wb") as target:
            pickle.dump(seen, target)
    """
    in_a_new_process(script, url, tmp_path, __file__)
    after = pickle.loads((tmp_path / "seen").read_bytes())
    wrong = {name: differing(seen, after[name], tolerance) for name, (_, seen, tolerance) in known.items()}
    assert {name: acts for name, acts in wrong.items() if acts} == {}


def test_a_changed_answer_would_be_seen():
    before = observe(LogisticRegression().fit(X, y), X)
    assert differing(before, observe(LogisticRegression(C=0.999999).fit(X, y), X)) == [
        "predict_proba",
        "decision_function",
    ]
    assert differing({"transform": sparse.csr_array(X)}, {"transform": sparse.csr_array(-X)}) == ["transform"]
    assert differing({"kneighbors": (X, y)}, {"kneighbors": (X, 1 - y)}) == ["kneighbors"]
    assert differing({"predict": y}, {"predict": y.astype("int8")}) == ["predict"]


COMPOSED = {
    "pipeline": (lambda: make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)), X),
    "union": (lambda: make_pipeline(FeatureUnion([("scale", StandardScaler())]), LogisticRegression()), X),
    "columns": (
        lambda: make_pipeline(
            ColumnTransformer([("plan", OneHotEncoder(), ["plan"])], remainder="passthrough"), LogisticRegression()
        ),
        FRAME,
    ),
    "search": (lambda: GridSearchCV(Pipeline([("model", LogisticRegression())]), {"model__C": [0.1, 1.0]}), X),
    "lambda": (lambda: make_pipeline(FunctionTransformer(lambda table: table * 2), LogisticRegression()), X),
    "closure": (lambda factor=3: make_pipeline(FunctionTransformer(lambda t: t * factor), LogisticRegression()), X),
    "frames out": (lambda: make_pipeline(StandardScaler().set_output(transform="pandas"), LogisticRegression()), X),
}


def test_composed_estimators_give_equal_answers_here_and_in_a_new_process(tmp_path):
    models, before = mk.ModelStore(tmp_path / "store"), {}
    for name, (make, rows) in COMPOSED.items():
        model = make().fit(rows, y)
        models.register(name.replace(" ", "-"), model)
        before[name] = observe(model, rows)
        assert differing(before[name], observe(models.load(f"{name.replace(' ', '-')}:1"), rows)) == [], name
    rows = {name.replace(" ", "-"): rows for name, (_, rows) in COMPOSED.items()}
    (tmp_path / "rows").write_bytes(pickle.dumps(rows))
    script = """
        import pickle, sys
        import mlops_kit as mk
        _, here = sys.argv
        models = mk.ModelStore(f"{here}/store")
        with open(f"{here}/rows", "rb") as source:
            rows = pickle.load(source)
        with open(f"{here}/seen", "wb") as target:
            pickle.dump([models.load(f"{name}@latest").predict_proba(rows[name]) for name in rows], target)
    """
    in_a_new_process(script, tmp_path)
    after = pickle.loads((tmp_path / "seen").read_bytes())
    assert [same(seen["predict_proba"], there) for seen, there in zip(before.values(), after, strict=True)] == [
        True for _ in COMPOSED
    ]


def test_a_class_of_a_script_is_loaded_by_another_script(tmp_path):
    script = """
        import sys
        import numpy as np
        from sklearn.base import BaseEstimator, ClassifierMixin
        import mlops_kit as mk

        SHIFT = 7

        def helper(rows):
            return rows.sum(axis=1) + SHIFT

        class Majority(ClassifierMixin, BaseEstimator):
            def __init__(self, bias=0):
                self.bias = bias

            def fit(self, X, y):
                self.classes_, counts = np.unique(y, return_counts=True)
                self.winner_ = self.classes_[counts.argmax()]
                return self

            def predict(self, X):
                return np.full(len(X), self.winner_) * 1.0 + self.bias + helper(np.asarray(X))

        model = Majority(bias=2).fit([[0], [1], [2]], [0, 5, 5])
        print(mk.ModelStore(sys.argv[1]).register("majority", model).type, model.predict([[1], [2]]))
    """
    assert in_a_new_process(script, tmp_path / "store") == "__main__.Majority [15. 16.]\n"
    loading = """
        import sys
        import mlops_kit as mk
        model = mk.ModelStore(sys.argv[1]).load("majority@latest")
        print(type(model).__name__, model.get_params(), model.predict([[1], [2]]))
    """
    assert in_a_new_process(loading, tmp_path / "store") == "Majority {'bias': 2} [15. 16.]\n"


# What follows numbers of its file as addresses when it predicts, and so needs trust in who wrote them.
NATIVE = {"Tree", "TreePredictor", "KDTree", "EuclideanDistance64", "csr_matrix", "BSpline", "asarray"}
NATIVE |= {"NuSVC", "NuSVR", "OneClassSVM", "SVC", "SVR"}


def refused_as_data(models, name, estimator):
    """Register an estimator as data, or give the refusal."""
    try:
        models.register(name, estimator, format="skops")
    except NotSerializable as refused:
        return str(refused)
    return ""


@pytest.mark.skipif(os.name == "nt", reason="a store is made a stranger's by its mode bits")
def test_most_estimators_need_no_trust_as_data_and_the_rest_say_what_would_help(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    models.store.ensure()
    (tmp_path / "store").chmod(0o777)
    free, helped, never, native = [], [], [], set()
    for name, cls in all_estimators():
        kind, estimator = fit(cls)
        before = observe(estimator, DATA[kind][0])
        refusal = refused_as_data(models, name, estimator)
        words = shlex.split(refusal.partition("will be loaded: ")[2])
        if not refusal:
            free.append(name)
        elif not words:
            never.append(name)
            continue
        else:
            assert words[:4] == ["mlops-kit", "trust", "add", models.store.url]
            assert CliRunner().invoke(main, words[1:]).exit_code == 0
            assert not refused_as_data(models, name, estimator)
            mk.Trust(models.store).remove()
            serializers.pickled.clear()
            with pytest.raises(UntrustedArtifact) as untrusted:
                models.load(f"{name}:1")
            assert shlex.join(words) in str(untrusted.value)
            native |= {word.rpartition(".")[2] for word in words[5::2]}
            mk.Trust(models.store).allow_types(*words[5::2])
            helped.append(name)
        serializers.pickled.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            after = observe(models.load(f"{name}:1"), DATA[kind][0])
        assert differing(before, after, 1e-13) == [], name
        mk.Trust(models.store).remove()
    print(
        f"skops, list {VERSION}: {len(free)} of {len(all_estimators())} load without trust; {len(helped)} need a type"
    )
    print(f"allowed first: {helped}; cannot be written: {never}")
    assert never == ["Birch"]
    assert native <= NATIVE
    assert len(free) >= 165


class Booster:
    """What a model of another library looks like: no base class, and bytes of its own as its state."""

    def __init__(self, weights):
        self.weights = np.asarray(weights)

    def predict(self, rows):
        return rows @ self.weights

    def __getstate__(self):
        return {"raw": self.weights.tobytes()}

    def __setstate__(self, state):
        self.weights = np.frombuffer(state["raw"])


def test_a_model_of_no_known_library_comes_back_by_its_own_state():
    models = mk.ModelStore("memory://booster")
    booster = Booster([0.1, 0.2, 0.3, 0.4])
    assert models.register("booster", booster).type.endswith("Booster")
    assert same(models.load("booster:1").predict(X), booster.predict(X))
