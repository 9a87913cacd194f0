"""A gate that an alias needs is known by what it asks, and nothing gets there without it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.metrics import fbeta_score, make_scorer

import mlops_kit as mk
from mlops_kit import conditions as c
from mlops_kit import expectations as e
from mlops_kit.cli.main import main
from mlops_kit.errors import GateFailed, GateRequired, InvalidInput, InvalidName, ModelNotFound
from mlops_kit.records.gate import digest_of_gate
from mlops_kit.registry.policy import content_of

DATA = pd.DataFrame({"x": np.arange(20.0), "y": [0, 1] * 10})


def ready(case):
    return True


def other(case):
    return False


def profit(truth, predicted):
    return float(np.mean(truth == predicted))


def small(mb=1.0, **options):
    return mk.Gate(c.model_size(mb=mb), **options)


@pytest.fixture
def fraud(models, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    for value in "abc":
        models.register("fraud", value)
    return models


def test_without_the_gate_nothing_gets_there_and_with_it_everything_that_passes(fraud):
    fraud.promote("fraud:1")
    fraud.require("fraud", "champion", small(), reason="finding 12")
    message = r"needs the gate that ann required at 20.*: finding 12. It asks: model size <= 1 MB"
    with pytest.raises(GateRequired, match=message):
        fraud.promote("fraud:2")
    with pytest.raises(GateRequired, match=r"does not ask: model size <= 1 MB"):
        fraud.promote("fraud:2", gate=small(mb=2))
    assert "refused@champion" not in fraud.get("fraud:2").tags
    made = fraud.promote("fraud:2", gate=small())
    assert (made.previous, made.version) == (1, 2)
    assert fraud.history("fraud")[-1].body["gate"] == digest_of_gate(content_of(small()))
    assert fraud.promote("fraud:3", "staging").version == 3
    assert fraud.rollback("fraud").version == 1
    fraud.retire("fraud", "champion")
    with pytest.raises(GateRequired):
        fraud.promote("fraud:1")
    assert fraud.audit("fraud").ok
    assert fraud.store.fsck().ok


def test_a_required_gate_still_judges(fraud):
    never = mk.Gate(c.approvals(5))
    fraud.require("fraud", "champion", never)
    with pytest.raises(GateFailed):
        fraud.promote("fraud:1", gate=mk.Gate(c.approvals(5)))


def test_another_opening_of_the_store_knows_what_is_required(local):
    local.register("fraud", "a")
    local.require("fraud", "champion", small())
    again = mk.ModelStore(local.store.url)
    assert again.required("fraud")["champion"]["gate"]["conditions"][0]["name"] == "model size <= 1 MB"
    with pytest.raises(GateRequired):
        again.promote("fraud:1")
    assert again.promote("fraud:1", gate=small()).version == 1


def test_a_requirement_is_lifted_for_a_reason_by_its_owners(fraud, monkeypatch):
    with pytest.raises(InvalidInput, match="nothing to lift"):
        fraud.require("fraud", "champion", None, reason="x")
    fraud.require("fraud", "champion", small(), owners="Ann")
    with pytest.raises(InvalidInput, match="for a reason"):
        fraud.require("fraud", "champion", None)
    monkeypatch.setenv("MLOPS_KIT_USER", "bob")
    for gate in (None, small(mb=5)):
        with pytest.raises(GateRequired, match="may be changed by Ann, and you are bob"):
            fraud.require("fraud", "champion", gate, reason="in a hurry")
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    fraud.require("fraud", "champion", small(mb=5))
    assert fraud.required("fraud")["champion"]["owners"] == ["Ann"]
    fraud.require("fraud", "champion", None, reason="no longer")
    assert fraud.required("fraud") == {}
    assert fraud.promote("fraud:1").version == 1
    assert [entry.body.get("reason") for entry in fraud.history("fraud") if entry.kind == "require"][-1] == "no longer"


def test_a_promotion_that_went_around_the_gate_is_named_by_the_audit(fraud):
    fraud.require("fraud", "champion", small())
    journal = fraud._catalog.journal("fraud")
    journal.append(lambda state: ("promote", {"alias": "champion", "version": 1}))
    (problem,) = fraud.audit("fraud").problems
    assert problem.kind == "without-gate"
    assert "was promoted to champion without evidence, which needed a gate then" in problem.message


class Lenient(mk.Gate):
    """A gate that judges by something else than it says."""

    def evaluate(self, candidate, **options):
        return mk.Gate(c.model_size(mb=5)).evaluate(candidate, **options)


def test_a_gate_of_a_derived_class_is_another(fraud):
    fraud.require("fraud", "champion", mk.Gate(c.approvals(2)))
    with pytest.raises(GateRequired, match="differs in class"):
        fraud.promote("fraud:1", gate=Lenient(c.approvals(2)))
    report = mk.Gate(c.model_size(mb=5)).evaluate("fraud:1", store=fraud.store)
    body = {
        "evidence": fraud.store.objects.put(report.encode()),
        "gate": digest_of_gate(content_of(mk.Gate(c.approvals(2)))),
    }
    fraud._catalog.journal("fraud").append(lambda state: ("promote", {"alias": "champion", "version": 1, **body}))
    assert [problem.kind for problem in fraud.audit("fraud").problems] == ["without-gate"]


SAME = {
    "a metric by another name": (
        mk.Gate(c.at_least("auc", 0.5), on="h:1"),
        mk.Gate(c.at_least("roc_auc", 0.5), on="h:1"),
    ),
    "defaults that are written": (mk.Gate(c.approvals()), mk.Gate(c.approvals(n=1))),
    "data of equal content": (mk.Gate(c.no_leak(), on=DATA), mk.Gate(c.no_leak(), on={"holdout": DATA.copy()})),
    "a function": (mk.Gate(ready), mk.Gate(ready)),
    "a metric of a function": (
        mk.Gate(c.at_least(profit, 0.5), on="h:1"),
        mk.Gate(c.at_least(c.metric(profit), 0.5), on="h:1"),
    ),
    "rules": (
        mk.Gate(c.data_quality(e.in_range("x", 0, 1)), on="h:1"),
        mk.Gate(c.data_quality(e.in_range("x", 0, 1)), on="h:1"),
    ),
    "scorers": (
        mk.Gate(c.at_least(make_scorer(fbeta_score, beta=2), 0.5), on="h:1"),
        mk.Gate(c.at_least(make_scorer(fbeta_score, beta=2), 0.5), on="h:1"),
    ),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_gates_that_ask_the_same_are_the_same(pair):
    one, two = map(content_of, pair)
    assert digest_of_gate(one) == digest_of_gate(two)


DIFFERENT = {
    "a margin": (c.better_than("champion", "auc"), c.better_than("champion", "auc", margin=0.01)),
    "what holds of an absent alias": (
        c.better_than("champion", "auc"),
        c.better_than("champion", "auc", absent="fail"),
    ),
    "the rows of a part": (
        c.on_slices("x", c.at_least("auc", 0.5)),
        c.on_slices("x", c.at_least("auc", 0.5), min_rows=5),
    ),
    "repeats": (c.predict_latency(p99_ms=5), c.predict_latency(p99_ms=5, repeats=10)),
    "values": (
        c.at_least(c.business_value({(0, 0): 1}), 0.5),
        c.at_least(c.business_value({(0, 0): 1, (1, 1): 1}), 0.5),
    ),
    "rules": (c.data_quality(e.in_range("x", 0, 1)), c.data_quality(e.in_range("x", 0, 2))),
    "functions": (ready, other),
    "functions of one name": (c.at_least(lambda y, p: 1.0, 0.5), c.at_least(lambda y, p: 0.9, 0.5)),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_conditions_that_ask_otherwise_are_different(pair):
    one, two = (digest_of_gate(content_of(mk.Gate(condition, on="h:1"))) for condition in pair)
    assert one != two


@pytest.mark.parametrize(
    "options", [{"on": "h:2"}, {"on": DATA}, {"target": "y"}, {"positive": 1}, {"task": "binary"}, {"groups": "x"}]
)
def test_other_data_or_another_question_of_it_is_different(options):
    condition = c.at_least("auc", 0.5)
    told = {"on": "h:1"}
    assert digest_of_gate(content_of(mk.Gate(condition, **told))) != digest_of_gate(
        content_of(mk.Gate(condition, **{**told, **options}))
    )


def test_what_cannot_be_required_is_refused(fraud):
    for gate in ("no gate", 3):
        with pytest.raises(InvalidInput, match="is no gate"):
            fraud.require("fraud", "champion", gate)
    with pytest.raises(ModelNotFound):
        fraud.require("other", "champion", small())
    with pytest.raises(InvalidInput):
        fraud.require("fraud", "latest", small())
    with pytest.raises(InvalidName):
        fraud.require("fraud@champion", "champion", small())
    with pytest.raises(InvalidInput, match="owners"):
        fraud.require("fraud", "champion", small(), owners=[3])


def test_the_command_line_requires_shows_and_lifts(fraud, monkeypatch, tmp_path):
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "store"))
    models = mk.ModelStore()
    models.register("fraud", "a")

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == code, done.output
        return done.output

    assert "require alias='champion'" in run(
        "require", "fraud", "--max-mb", "1", "--reason", "finding 12", "--owner", "ann"
    )
    shown = run("models", "fraud")
    assert "champion needs a gate, by ann since" in shown
    assert "  model size <= 1 MB" in shown
    assert "GateRequired: " in run("promote", "fraud:1", code=1)
    run("gate", "fraud:1", "--max-mb", "1", "--promote")
    assert models.aliases("fraud") == {"champion": 1}
    assert "reason" in run("require", "fraud", "--lift", code=1)
    run("require", "fraud", "--lift", "--reason", "no longer")
    assert models.required("fraud") == {}
    assert "champion: no gate" in run("show", "fraud")
