"""A gate decides on evidence, keeps it, and refuses what it cannot establish."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit import conditions as c
from mlops_kit.errors import (
    AliasNotFound,
    Conflict,
    DatasetNotFound,
    GateFailed,
    IntegrityError,
    InvalidInput,
    StoreError,
    UntrustedArtifact,
    VersionNotFound,
)
from mlops_kit.records.gate import ConditionResult
from mlops_kit.store import serializers


def table(seed=0, n=300):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": random.normal(size=n), "z": random.normal(size=n), "shop": random.choice(["a", "b"], n)})
    return frame.assign(label=(frame["x"] + 0.3 * random.normal(size=n) > 0).astype(int))


HOLDOUT = table(1)


@pytest.fixture
def trained(models):
    """Give a store with a bad model, version 1, and a good one, version 2."""
    train = table(0)
    features, label = train[["x", "z"]], train["label"]
    for columns in (["z"], ["x", "z"]):
        fitted = LogisticRegression().fit(features[columns], label)
        models.register("risk", fitted, signature=(features[columns], label))
    return models


def gate(*conditions, on=HOLDOUT, **options):
    return mk.Gate(*conditions, on=on, **options)


BETTER = c.better_than("champion", "auc")


# Deciding


def test_a_better_model_passes_and_a_worse_one_is_refused(trained):
    trained.promote("risk:1")
    report = gate(c.at_least("auc", 0.9), BETTER).evaluate("risk:2", store=trained.store)
    assert report.passed
    assert [result.name for result in report.results] == [
        "roc_auc >= 0.9 on holdout",
        "roc_auc better than champion with 95 % confidence on holdout",
    ]
    assert report.candidate.spec == "risk:2"
    assert [(other.spec, other.alias) for other in report.champions] == [("risk:1", "champion")]
    trained.promote("risk:2")
    refused = gate(c.at_least("auc", 0.9), BETTER).evaluate("risk:1", store=trained.store)
    assert [result.passed for result in refused.results] == [False, False]
    assert refused.failed == refused.results


def test_the_same_models_and_data_give_the_same_report(trained):
    trained.promote("risk:1")
    asked = gate(BETTER, c.not_worse_than("champion", "f1", margin=0.01), c.on_slices("shop", BETTER))
    one, other = (asked.evaluate("risk:2", store=trained.store) for _ in range(2))
    assert one == other
    assert one.encode() == other.encode()


def test_each_model_predicts_the_data_once(trained):
    calls = []

    class Counting(LogisticRegression):
        def predict_proba(self, X):
            calls.append(len(X))
            return super().predict_proba(X)

    train = table(0)
    fitted = [Counting(C=strength).fit(train[["x", "z"]], train["label"]) for strength in (1, 2)]
    asked = gate(BETTER, c.at_least("auc", 0.5), c.at_most("brier", 0.5), c.on_slices("shop", BETTER), target="label")
    asked.evaluate(fitted[0], champion=fitted[1], store=trained.store)
    assert calls == [300, 300]


def test_every_data_is_judged_or_only_the_one_that_a_condition_names(trained):
    data = {"spring": table(2), "autumn": table(3)}
    report = gate(c.at_least("auc", 0.9), c.at_least("recall", 0.1, on="spring"), on=data).evaluate(
        "risk:2", store=trained.store
    )
    assert [result.name for result in report.results] == [
        "roc_auc >= 0.9 on spring",
        "roc_auc >= 0.9 on autumn",
        "recall >= 0.1 on spring",
    ]
    assert [(part.name, part.rows, part.target) for part in report.data] == [
        ("spring", 300, "label"),
        ("autumn", 300, "label"),
    ]


def test_data_comes_as_dataset_spec_frame_arrow_polars_or_arrays(trained):
    import polars as pl
    import pyarrow as pa

    kept = mk.Dataset.snapshot(HOLDOUT, name="holdout", store=trained.store)
    forms = [
        kept,
        "holdout@latest",
        HOLDOUT,
        pa.Table.from_pandas(HOLDOUT),
        pl.from_pandas(HOLDOUT),
        (HOLDOUT[["x", "z"]], HOLDOUT["label"]),
        (HOLDOUT[["x", "z"]], HOLDOUT["label"].to_numpy()),
    ]
    reports = [gate(c.at_least("auc", 0.9), on=form).evaluate("risk:2", store=trained.store) for form in forms]
    assert len({report.results[0].value for report in reports}) == 1
    assert [report.data[0].dataset for report in reports[:3]] == ["holdout:1", "holdout:1", None]
    assert len({report.data[0].fingerprint for report in reports[:5]}) == 1


def test_the_target_is_that_of_the_signature_unless_another_is_named(trained):
    asked = gate(c.at_least("accuracy", 0.8), on=HOLDOUT.rename(columns={"label": "other"}))
    with pytest.raises(InvalidInput, match=r"'holdout' has no column 'label'\. Columns: x, z, shop, other"):
        asked.evaluate("risk:2", store=trained.store)
    asked.target = "other"
    assert asked.evaluate("risk:2", store=trained.store).passed


def test_a_model_outside_of_any_store_can_be_judged(models):
    train = table(0)
    good = LogisticRegression().fit(train[["x", "z"]], train["label"])
    poor = DummyClassifier().fit(train[["x", "z"]], train["label"])
    report = gate(BETTER, target="label").evaluate(good, champion=poor, store=models.store)
    assert report.passed
    assert str(report.candidate) == "a LogisticRegression that is in no store"
    with pytest.raises(InvalidInput, match="nothing is its 'champion': give champion="):
        gate(BETTER, target="label").evaluate(good, store=models.store)


def test_regressions_multiclass_and_functions_are_judged(models):
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
    y = X["a"] * 2 + random.normal(size=200) * 0.1
    assert gate(c.at_most("mae", 0.2), c.at_least("r2", 0.9), on=(X, y)).evaluate(LinearRegression().fit(X, y)).passed
    kinds = pd.cut(y, 3, labels=["low", "mid", "high"]).astype(str)
    tree = DecisionTreeClassifier(max_depth=4).fit(X, kinds)
    assert gate(c.at_least("balanced_accuracy", 0.8), c.at_least("auc", 0.8), on=(X, kinds)).evaluate(tree).passed
    rule = gate(c.at_least("accuracy", 1.0), on=(X, X["a"] > 0)).evaluate(lambda rows: rows["a"] > 0)
    assert rule.passed


def test_a_model_fitted_on_arrays_is_given_arrays(models):
    train = table(0)
    fitted = LogisticRegression().fit(train[["x", "z"]].to_numpy(), train["label"])
    models.register("plain", fitted, signature=(train[["x", "z"]], train["label"]))
    assert gate(c.at_least("auc", 0.9)).evaluate("plain:1", store=models.store).passed


def test_the_positive_class_and_weights_can_be_named(trained):
    report = gate(c.at_least("recall", 0.0), positive=0).evaluate("risk:2", store=trained.store)
    assert report.results[0].evidence["n"] == int((HOLDOUT["label"] == 0).sum())
    weighted = gate(c.at_least("accuracy", 0.0), on=HOLDOUT.assign(w=HOLDOUT["label"] + 1.0), weights="w")
    assert weighted.evaluate("risk:2", store=trained.store).results[0].evidence["method"] == "bootstrap"


# What cannot be established


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (HOLDOUT.head(0), "there are no rows"),
        (HOLDOUT[HOLDOUT["label"] == 1], "all rows are of one class"),
        (HOLDOUT.assign(label=[None, *HOLDOUT["label"][1:]]), "1 of 300 rows have no label"),
        (HOLDOUT.drop(columns="x"), "the data lacks the columns 'x'"),
        (HOLDOUT.assign(x=np.nan), "ValueError: Input X contains NaN"),
    ],
    ids=["empty", "one class", "no label", "no column", "model fails"],
)
def test_what_cannot_be_judged_does_not_pass(trained, data, reason):
    trained.promote("risk:1")
    for condition in (c.at_least("auc", 0.0), BETTER, c.not_worse_than("champion", "auc", margin=0.9)):
        report = gate(condition, on=data).evaluate("risk:2", store=trained.store)
        assert not report.passed
        assert reason in report.results[0].message


def test_predictions_that_are_nan_do_not_pass(models):
    class Broken:
        def predict(self, X):
            return np.where(np.arange(len(X)) == 3, np.nan, 1.0)

    report = gate(c.at_most("mae", 1e9), on=(HOLDOUT[["x"]], HOLDOUT["x"])).evaluate(Broken(), store=models.store)
    assert report.results[0].message == "undefined: 1 of 300 rows have no prediction"


def test_without_a_champion_a_comparison_passes_or_fails_as_stated(trained):
    first = gate(BETTER).evaluate("risk:1", store=trained.store)
    assert first.passed
    assert first.results[0].message == "no model is champion: there is nothing to compare with"
    assert not gate(c.better_than("champion", "auc", absent="fail")).evaluate("risk:1", store=trained.store).passed


@pytest.mark.parametrize(
    "make",
    [
        lambda alias, **options: c.better_than(alias, "auc", **options),
        lambda alias, **options: c.not_worse_than(alias, "auc", margin=0.1, **options),
        lambda alias, **options: c.on_slices("shop", c.better_than(alias, "auc", **options)),
        c.signature_compatible,
    ],
    ids=["better", "not worse", "slices", "signature"],
)
def test_an_alias_that_never_was_beside_others_is_a_slip_and_does_not_pass(trained, make):
    assert gate(make("chmapion")).evaluate("risk:2", store=trained.store).passed  # nothing is promoted yet at all
    trained.promote("risk:1")
    result = gate(make("chmapion")).evaluate("risk:2", store=trained.store).results[0]
    assert not result.passed
    assert "no model is or ever was 'chmapion', while there is champion → 1: is it misspelt?" in result.message
    with pytest.raises(GateFailed, match="ever was 'chmapion'"):
        trained.promote("risk:2", gate=gate(make("chmapion")))
    assert trained.aliases("risk") == {"champion": 1}
    assert gate(make("chmapion", absent="pass")).evaluate("risk:2", store=trained.store).passed
    assert not gate(make("chmapion", absent="fail")).evaluate("risk:2", store=trained.store).passed


def test_the_first_promotion_to_an_alias_passes_beside_other_aliases(trained):
    trained.promote("risk:1", "staging")
    assert trained.promote("risk:2", gate=gate(BETTER, c.signature_compatible())).version == 2
    assert trained.aliases("risk") == {"champion": 2, "staging": 1}


def test_a_champion_that_cannot_predict_the_data_cannot_be_beaten(trained):
    trained.promote("risk:1")
    report = gate(BETTER).evaluate("risk:2", champion=DummyClassifier(), store=trained.store)
    assert not report.passed
    assert "NotFittedError" in report.results[0].message


@pytest.mark.parametrize(("told", "truth"), [("xyz", "abc"), ("xyz", "ab"), ("012", (0, 1, 2)), ((0, 1, 2), "abc")])
def test_a_champion_that_knows_none_of_the_classes_is_not_beaten_by_that(trained, told, truth):
    def named(classes):
        return np.array(list(classes))[np.arange(300) % len(classes)]

    features = HOLDOUT[["x", "z"]]
    candidate = LogisticRegression().fit(features, named("abc" if truth == "ab" else truth))
    champion = LogisticRegression().fit(features, named(told))
    asked = c.better_than("champion", "log_loss"), c.not_worse_than("champion", "accuracy", margin=0.1)
    report = gate(*asked, on=(features, named(truth))).evaluate(candidate, champion=champion, store=trained.store)
    assert [result.passed for result in report.results] == [False, False]
    assert "it knows none of the classes of the data: it gives" in report.results[0].message
    turned = gate(*asked, on=(features, named(truth))).evaluate(champion, champion=candidate, store=trained.store)
    assert not turned.passed


def test_models_that_share_classes_are_compared_by_the_names_of_the_classes(trained):
    order, truth = HOLDOUT["x"].rank().to_numpy(), np.array(list("abc"))
    features, truth = HOLDOUT[["x"]], truth[np.minimum((order - 1) // 100, 2).astype(int)]
    knows_all = LogisticRegression().fit(features, truth)
    other = LogisticRegression().fit(features[truth != "c"], truth[truth != "c"].astype("<U1"))
    wider = LogisticRegression().fit(features, np.where(truth == "c", "z", truth))
    for champion in (wider, other):
        report = gate(c.better_than("champion", "accuracy"), on=(features, truth)).evaluate(
            knows_all, champion=champion, store=trained.store
        )
        result = report.results[0]
        assert result.passed == (champion is wider), result.message
    assert "same rows" in result.message or "two classes" in result.message


def test_missing_data_and_models_are_typed_errors(trained):
    with pytest.raises(InvalidInput, match=r"needs data, and it has none: Gate\(…, on="):
        mk.Gate(c.at_least("auc", 0.9))
    with pytest.raises(InvalidInput, match="needs the data 'test', and it has 'holdout'"):
        gate(c.at_least("auc", 0.9, on="test"))
    with pytest.raises(DatasetNotFound, match="no dataset 'gone'"):
        gate(c.at_least("auc", 0.9), on="gone@latest").evaluate("risk:2", store=trained.store)
    with pytest.raises(VersionNotFound):
        gate(c.at_least("auc", 0.9)).evaluate("risk:9", store=trained.store)
    with pytest.raises(AliasNotFound):
        gate(BETTER).evaluate("risk:2", champion="risk@gone", store=trained.store)
    with pytest.raises(InvalidInput, match="no candidate"):
        gate(BETTER).evaluate(None, store=trained.store)


def test_a_gate_without_conditions_is_refused():
    with pytest.raises(InvalidInput, match="would let everything pass"):
        mk.Gate()
    with pytest.raises(InvalidInput, match="is no condition"):
        mk.Gate("auc > 0.9")


# Promoting


def test_a_promotion_carries_its_evidence(trained):
    trained.promote("risk:1")
    made = trained.promote("risk:2", gate=gate(BETTER), reason="better")
    assert str(made) == "risk@champion: 1 → 2"
    report = trained.evidence(made.evidence)
    assert report.passed
    assert report == gate(BETTER).evaluate("risk:2", champion="risk:1", store=trained.store)
    assert trained.history("risk")[-1].body["evidence"] == made.evidence
    assert trained.promote("risk:1").evidence is None


@pytest.mark.parametrize("wrong", ["churn", "", None, 7, "sha256:0"])
def test_evidence_is_asked_for_by_its_digest(trained, wrong):
    with pytest.raises(InvalidInput, match="no digest of evidence"):
        trained.evidence(wrong)


def test_a_refused_promotion_changes_no_alias_and_keeps_its_evidence(trained):
    trained.promote("risk:2")
    with pytest.raises(GateFailed, match=r"risk:1 was not promoted to champion: 1 of 1 conditions fails\.") as refused:
        trained.promote("risk:1", gate=gate(BETTER))
    assert trained.aliases("risk") == {"champion": 2}
    assert not refused.value.report.passed
    assert trained.evidence(refused.value.evidence) == refused.value.report
    assert trained.get("risk:1").tags == {"refused@champion": refused.value.evidence}
    again = pickle.loads(pickle.dumps(refused.value))
    assert (str(again), again.report, again.evidence) == (str(refused.value), refused.value.report, again.evidence)


def test_evidence_survives_the_collection_of_garbage_and_is_missed_by_fsck(trained, strangers):
    passed = trained.promote("risk:2", gate=gate(c.at_least("auc", 0.5))).evidence
    with pytest.raises(GateFailed) as refused:
        trained.promote("risk:1", gate=gate(BETTER))
    trained.store.objects.put(b"nothing names this")
    for _ in range(2):
        collected = trained.store.gc(0, dry_run=False, exclusive=True)
    assert len(collected.deleted) <= 1
    assert trained.evidence(passed).passed
    assert not trained.evidence(refused.value.evidence).passed
    assert trained.store.fsck().ok
    for digest in (passed, refused.value.evidence):
        hexes = digest.removeprefix("sha256:")
        trained.store.backend.delete(f"objects/{hexes[:2]}/{hexes}")
    assert [problem.kind for problem in trained.store.fsck().problems] == ["missing", "missing"]


def test_evidence_that_was_changed_is_refused(trained):
    digest = trained.promote("risk:2", gate=gate(c.at_least("auc", 0.5))).evidence
    key = f"objects/{digest[7:9]}/{digest[7:]}"
    trained.store.backend.put(key, trained.store.backend.get(key).replace(b'"passed":true', b'"passed":1   '))
    with pytest.raises(IntegrityError):
        trained.evidence(digest)


def test_a_champion_that_changes_while_the_gate_judges_is_a_conflict(trained):
    trained.register("risk", trained.load("risk:1"))
    trained.promote("risk:1")

    def meddle(case):
        trained.promote("risk:3")
        return True

    with pytest.raises(Conflict, match="risk@champion moved from version 1 to version 3"):
        trained.promote("risk:2", gate=gate(BETTER, meddle))
    assert trained.aliases("risk") == {"champion": 3}


def test_a_rollback_while_the_gate_judges_is_a_conflict(trained):
    trained.register("risk", trained.load("risk:1"))
    trained.promote("risk:3")
    trained.promote("risk:1")

    def meddle(case):
        trained.rollback("risk")
        return True

    with pytest.raises(Conflict, match="moved from version 1 to version 3"):
        trained.promote("risk:2", gate=gate(BETTER, meddle))


def test_of_two_promotions_at_once_one_is_judged_again_or_refused(trained):
    trained.register("risk", trained.load("risk:2"))
    trained.promote("risk:1")
    outcomes, barrier = [], threading.Barrier(2)

    def wait(case):
        barrier.wait(20)
        return True

    def promote(spec):
        try:
            outcomes.append(trained.promote(spec, gate=gate(BETTER, wait, target="label")).version)
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=promote, args=(f"risk:{number}",)) for number in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("conflict") == 1
    winner = next(outcome for outcome in outcomes if outcome != "conflict")
    assert trained.aliases("risk") == {"champion": winner}


def test_an_archived_version_is_not_judged(trained):
    trained.archive("risk:1")
    for act in (
        lambda: gate(BETTER).evaluate("risk:1", store=trained.store),
        lambda: trained.promote("risk:1", gate=gate(BETTER)),
    ):
        with pytest.raises(VersionNotFound, match="risk:1 was archived or deleted"):
            act()


def test_a_refusal_that_cannot_be_written_down_is_still_a_refusal(trained, monkeypatch):
    def full(*_arguments, **_options):
        raise StoreError("the disk is full")

    monkeypatch.setattr(type(trained.store.objects), "put", full)
    with pytest.raises(GateFailed, match="The evidence could not be kept") as refused:
        trained.promote("risk:1", gate=gate(c.at_least("auc", 0.99)))
    assert refused.value.evidence is None
    assert not refused.value.report.passed


def test_a_model_that_may_not_be_loaded_is_an_error_and_no_verdict(local, strangers):
    local.register("risk", DummyClassifier().fit([[0]], [0]))
    serializers.pickled.clear()
    Path(local.store.url).chmod(0o777)
    with pytest.raises(UntrustedArtifact):
        gate(c.at_least("auc", 0.5), target="label").evaluate("risk:1", store=local.store)


def test_what_is_no_gate_is_refused(trained):
    with pytest.raises(InvalidInput, match="is no gate"):
        trained.promote("risk:2", gate=0.9)


# Showing


def test_a_report_shows_itself_in_every_form(trained):
    trained.promote("risk:2")
    report = gate(c.at_least("auc", 0.5), BETTER).evaluate("risk:1", store=trained.store)
    for text in (repr(report), report.to_markdown(), report.to_html(), report._repr_html_()):
        assert "REFUSED" in text
        assert "risk:1" in text
        assert "better than champion" in text
    document = ET.fromstring(report.to_junit())  # noqa: S314 - written by this very test
    assert document.attrib == {"tests": "2", "failures": str(len(report.failed))}
    assert report.to_dict()["passed"] is False
    assert report.to_dict()["results"][0]["evidence"]["metric"] == "roc_auc"
    assert repr(gate(BETTER)) == "Gate(roc_auc better than champion with 95 % confidence)"


# Found by attack


class Rule:
    """A model that is a function."""

    def __init__(self, function):
        self.predict = function


def by_sign(rows):
    return (rows["x"] > 0).astype(int).to_numpy()


def test_a_model_that_changes_its_input_changes_nothing_for_others(models):
    def sabotage(rows):
        told = by_sign(rows)
        rows.loc[:, "x"] = -rows["x"]
        rows["more"] = 1
        return told

    features = HOLDOUT[["x", "z"]].copy()
    on = (features, HOLDOUT["label"])
    report = gate(c.better_than("champion", "accuracy"), on=on).evaluate(
        Rule(sabotage), champion=Rule(by_sign), store=models.store
    )
    assert not report.passed
    assert report.results[0].value == 0
    pd.testing.assert_frame_equal(features, HOLDOUT[["x", "z"]])


def test_an_array_that_a_model_changes_is_its_own(models):
    class Scaling(LogisticRegression):
        def predict(self, X):
            X *= -1
            return super().predict(-X)

    train = table(0)
    fitted = Scaling().fit(train[["x", "z"]].to_numpy(), train["label"])
    on = (HOLDOUT[["x", "z"]], HOLDOUT["label"])
    report = gate(c.at_least("auc", 0.9), c.at_least("accuracy", 0.8), on=on).evaluate(fitted, store=models.store)
    assert report.passed


def test_no_model_is_shown_the_truth_in_the_index(models):
    on = HOLDOUT.set_index("label", drop=False)
    cheat = Rule(lambda rows: rows.index.to_numpy())
    assert not gate(c.at_least("accuracy", 0.9), on=on, target="label").evaluate(cheat, store=models.store).passed


@pytest.mark.parametrize("data", [pd.DataFrame, np.asarray])
def test_the_truth_may_be_a_table_of_one_column(models, data):
    on = (HOLDOUT[["x"]], data(HOLDOUT[["label"]]))
    assert gate(c.at_least("accuracy", 0.8), on=on).evaluate(Rule(by_sign), store=models.store).passed


@pytest.mark.parametrize(
    ("on", "reason"),
    [
        (pd.concat([HOLDOUT, HOLDOUT[["label"]]], axis=1), "has 2 columns 'label'"),
        ((HOLDOUT[["x"]], HOLDOUT[["x", "z"]]), "must be one column"),
        ({1: HOLDOUT, "1": HOLDOUT}, "same name as text"),
    ],
)
def test_data_that_can_be_read_in_two_ways_is_refused(models, on, reason):
    with pytest.raises(InvalidInput, match=reason):
        gate(c.at_least("accuracy", 0.5), on=on, target="label").evaluate(Rule(by_sign), store=models.store)


def test_weights_count_for_scores_of_outliers_too(models):
    fitted = IsolationForest(n_estimators=5, random_state=0).fit(HOLDOUT[["x", "z"]])
    on = HOLDOUT.assign(w=(HOLDOUT["x"] > 0) + 1.0)
    found = [
        gate(c.at_least("auc", 0.0), on=on, target="label", weights=weights).evaluate(fitted, store=models.store)
        for weights in (None, "w")
    ]
    assert found[0].results[0].value != found[1].results[0].value


def test_a_model_or_a_function_that_ends_the_program_does_not_pass(models):
    def leave(_rows):
        raise SystemExit(0)

    def own(_case):
        raise SystemExit(0)

    report = gate(c.at_least("accuracy", 0.0), c.predict_latency(p99_ms=1e9), own, target="label").evaluate(
        Rule(leave), store=models.store
    )
    assert [result.passed for result in report.results] == [False, False, False]


@pytest.mark.parametrize("verdict", ["no", None, 1, 0.0])
def test_a_verdict_that_is_neither_true_nor_false_does_not_pass(models, verdict):
    report = mk.Gate(lambda case: ConditionResult("mine", verdict, 1.0)).evaluate(Rule(by_sign), store=models.store)
    assert [result.passed for result in report.results] == [False]


def test_a_condition_that_judges_nothing_does_not_pass(models):
    silent = mk.conditions.at_least("accuracy", 0.5)
    asked = gate(silent, target="label")
    asked.on = {}
    report = asked.evaluate(Rule(by_sign), store=models.store)
    assert not report.passed
    assert "nothing was judged" in report.results[0].message


@pytest.mark.filterwarnings("ignore")
def test_complex_predictions_are_no_numbers(models):
    on = (HOLDOUT[["x"]], HOLDOUT["x"])
    report = gate(c.at_most("mae", 1e9), on=on).evaluate(Rule(lambda rows: rows["x"] * 1j), store=models.store)
    assert "complex" in report.results[0].message


def test_a_column_without_comparable_values_makes_no_slices(models):
    on = HOLDOUT.assign(lists=[[1]] * len(HOLDOUT))
    with pytest.raises(InvalidInput, match="cannot be split"):
        gate(c.on_slices("lists", c.at_least("accuracy", 0.5)), on=on, target="label").evaluate(
            Rule(by_sign), store=models.store
        )
