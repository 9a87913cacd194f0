"""The steps that look at what is live, or change it."""

import pytest
from sklearn.linear_model import LogisticRegression

import mlops_kit as mk
from mlops_kit import steps
from mlops_kit.errors import GateFailed, InvalidInput
from mlops_kit.tracking.summary import summary_of


@pytest.fixture
def road(people, store):
    """Give the usual road, whose gate may ask for more than any model reaches."""
    frame = people[["id", "x", "late"]]

    @mk.pipeline(store=store)
    def run(C=1.0, *, least=0.6):
        train, test = steps.split(frame, "id")
        model = steps.train(LogisticRegression(), train, "late", C=C)
        steps.evaluate(model, test, "late", metrics=["auc", "accuracy"])
        gate = mk.Gate(
            mk.conditions.at_least("accuracy", least),
            mk.conditions.not_worse_than("champion", "auc", margin=0.1),
            on=test,
            target="late",
        )
        report = steps.gate(model, gate, name="late")
        if not report.passed:
            return None
        promoted = steps.promote(steps.register(model, "late"), gate=gate)
        return None if promoted is None else str(promoted)

    return run


def aliases(store):
    return mk.ModelStore(store).aliases("late")


def ran(road):
    return [call.name.rpartition(":")[2] for call in road.last_run.steps if not call.reused]


def test_the_first_run_promotes_and_the_next_one_has_nothing_to_do(road, store):
    assert road() == "late@champion: nothing → 1"
    assert road.last_run.models == ["late:1"]
    version = mk.ModelStore(store).get("late:1")
    assert version.run_id == road.last_run.id
    assert version.metrics == road.last_run.metrics
    first = len(mk.ModelStore(store).history("late"))
    assert road() is None
    assert ran(road) == ["gate", "register", "promote"]
    assert road.last_run.models == ["late:1"]
    assert len(mk.ModelStore(store).history("late")) == first


def test_what_is_returned_of_ours_is_one_output_and_its_numbers_no_metrics(people, store):
    model = LogisticRegression().fit(people[["x"]], people["late"])

    @mk.pipeline(store=store)
    def run(kind):
        found = steps.evaluate(model, people, "late", metrics=["auc"])
        return found if kind == "Evaluation" else steps.promote(steps.register(model, "late"))

    for kind in ("Evaluation", "Promotion"):
        run(kind)
        assert set(run.last_run.metrics) == {"roc_auc"}
        assert type(run.last_run.load()).__name__ == kind


def test_the_summary_of_a_run_that_promoted_advises_no_promotion(road, store):
    road()
    assert summary_of(road.last_run, None).next.startswith(f"mlops-kit show {road.last_run.id}")
    mk.ModelStore(store).retire("late", "champion")
    assert summary_of(road.last_run, None).next.startswith("mlops-kit promote late:1")


def test_promoted_then_rolled_back_by_hand_the_next_run_promotes_again(road, store):
    road()
    road(0.5)
    assert aliases(store) == {"champion": 2}
    mk.ModelStore(store).rollback("late", reason="by hand")
    assert aliases(store) == {"champion": 1}
    assert road(0.5) == "late@champion: 1 → 2"
    assert ran(road) == ["gate", "register", "promote"]
    assert len(mk.ModelStore(store).versions("late")) == 2


def test_a_model_that_the_gate_refuses_is_not_registered(road, store):
    assert road(least=0.999) is None
    assert mk.ModelStore(store).names() == []
    assert ran(road) == ["split", "train", "evaluate", "gate"]


def test_the_gate_compares_with_what_is_live_under_the_name(people, store):
    good = LogisticRegression().fit(people[["x"]], people["late"])
    bad = LogisticRegression().fit(people[["x"]], 1 - people["late"])
    gate = mk.Gate(
        mk.conditions.not_worse_than("champion", "auc", margin=0.05), on=people[["x", "late"]], target="late"
    )

    @mk.pipeline(store=store)
    def judged(model, name):
        return steps.gate(model, gate, name=name)

    assert judged(bad, "late").passed  # there is nothing yet that it could be worse than
    steps_of(store, good)
    assert judged(good, "late").passed
    report = judged(bad, "late")
    assert not report.passed
    assert [contender.spec for contender in report.champions] == ["late:1"]
    with pytest.raises(InvalidInput, match="give champion= or name="):
        judged(bad, None)


def steps_of(store, model):
    @mk.pipeline(store=store)
    def release():
        return steps.promote(steps.register(model, "late"))

    return release()


def test_a_promotion_that_the_gate_refuses_fails_the_run_and_leaves_evidence(people, store):
    model = LogisticRegression().fit(people[["x"]], people["late"])
    gate = mk.Gate(mk.conditions.at_least("accuracy", 0.999), on=people[["x", "late"]], target="late")

    @mk.pipeline(store=store)
    def run():
        return steps.promote(steps.register(model, "late"), gate=gate)

    with pytest.raises(GateFailed):
        run()
    assert run.last_run.status == "failed"
    assert aliases(store) == {}
    assert not mk.ModelStore(store).evidence("late:1").passed


def test_an_older_model_that_comes_again_is_a_new_version(store):
    @mk.pipeline(store=store)
    def run(threshold):
        return steps.register({"threshold": threshold}, "rule").spec

    assert [run(1), run(1), run(2), run(1)] == ["rule:1", "rule:1", "rule:2", "rule:3"]


def test_another_format_is_another_version(people, store):
    model = LogisticRegression().fit(people[["x"]], people["late"])

    @mk.pipeline(store=store)
    def run(kind):
        return steps.register(model, "late", format=kind, description="of people").spec

    assert [run("cloudpickle"), run("skops"), run("skops")] == ["late:1", "late:2", "late:2"]
    assert mk.ModelStore(store).get("late:2").description == "of people"


def test_outside_of_a_pipeline_the_store_of_the_project_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "project"))
    promoted = steps.promote(steps.register({"threshold": 1}, "rule"), "challenger")
    assert str(promoted) == "rule@challenger: nothing → 1"
    assert steps.promote("rule:1", "challenger") is None
    assert mk.ModelStore(tmp_path / "project").aliases("rule") == {"challenger": 1}
