"""``mlops-kit gate`` tells the verdict by its exit status, and writes it down."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import mlops_kit as mk
from mlops_kit.cli.main import main


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "store"))
    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": random.normal(size=400), "z": random.normal(size=400)})
    table = table.assign(label=(table["x"] + 0.3 * random.normal(size=400) > 0).astype(int), shop=["a", "b"] * 200)
    mk.Dataset.snapshot(table.tail(200), name="holdout")
    models = mk.ModelStore()
    for columns in (["z"], ["x"]):
        train = table.head(200)
        fitted = LogisticRegression().fit(train[columns], train["label"])
        models.register("risk", fitted, signature=(train[columns], train["label"]))
    models.promote("risk:1")
    return models


def run(*arguments, code=0):
    done = CliRunner().invoke(main, ["gate", *arguments])
    assert done.exit_code == code, done.output
    return done.output


BETTER = ("--against", "champion", "--data", "holdout@latest", "--target", "label", "--metric", "auc")


def test_a_better_version_passes_and_the_report_is_written(models, tmp_path):
    shown = run("risk:2", *BETTER, "--markdown", "out.md", "--junit", "out.xml")
    assert "PASSED: risk:2 against risk:1 (champion)" in shown
    assert "✅" in (tmp_path / "out.md").read_text(encoding="utf-8")
    assert ET.parse(tmp_path / "out.xml").getroot().attrib == {"tests": "1", "failures": "0"}  # noqa: S314 - our own
    assert models.aliases("risk") == {"champion": 1}


def test_a_refused_version_ends_with_1(models, tmp_path):
    models.promote("risk:2")
    shown = run("risk:1", *BETTER, "--markdown", "out.md", code=1)
    assert "FAIL  roc_auc better than champion" in shown
    assert "❌" in (tmp_path / "out.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("risk:9", *BETTER), "VersionNotFound"),
        (("risk", *BETTER), "InvalidSpec"),
        (("risk:2", "--data", "gone@latest", "--metric", "auc"), "DatasetNotFound"),
        (("risk:2", "--metric", "auc"), "needs data: give --data"),
        (("risk:2", "--data", "holdout@latest", "--metric", "gini"), "no metric 'gini'"),
        (("risk:2", "--data", "holdout@latest", "--at-least", "auc"), "is not METRIC=NUMBER"),
        (("risk:2", "--data", "holdout@latest"), "nothing to ask"),
        (("risk:2", *BETTER, "--target", "gone"), "no column 'gone'"),
        (("risk:2", *BETTER, "--confidence", "2"), "must be at least 0.5"),
        (("risk:2", *BETTER, "--reason", "why"), "--reason is for --promote"),
        (("risk:2", *BETTER, "--store", "elsewhere"), "there is no store"),
        (("risk:2", *BETTER, "--markdown", "no/such/folder.md"), "folder.md"),
        (("risk:2", "--data", "holdout@latest", "--slices", "shop"), "--slices needs a metric"),
    ],
)
def test_anything_else_that_is_wrong_ends_with_2(models, arguments, message):
    assert message in run(*arguments, code=2)


@pytest.mark.parametrize("option", ["--markdown", "--junit"])
def test_nothing_goes_live_if_the_report_has_no_place(models, option):
    shown = run("risk:2", *BETTER, "--promote", option, "no/such/report", code=2)
    assert "make the folder 'no/such' first" in shown
    assert "Traceback" not in shown
    assert models.aliases("risk") == {"champion": 1}


def test_what_nobody_expected_ends_with_2(models, monkeypatch):
    monkeypatch.setattr(mk.Gate, "evaluate", lambda *_arguments, **_options: 1 / 0)
    assert "ZeroDivisionError" in run("risk:2", *BETTER, code=2)


def test_promoting_is_one_step_with_the_decision(models):
    shown = run("risk:2", *BETTER, "--promote", "--reason", "better")
    assert "risk@champion: 1 → 2" in shown
    entry = models.history("risk")[-1]
    assert (entry.kind, entry.body["reason"]) == ("promote", "better")
    assert models.evidence(entry.body["evidence"]).passed
    refused = run("risk:1", *BETTER, "--promote", code=1)
    assert "REFUSED" in refused
    assert models.aliases("risk") == {"champion": 2}


def test_every_common_condition_can_be_asked(models):
    shown = run(
        *("risk:2", "--data", "spring=holdout@latest", "--data", "holdout:1", "--positive", "0"),
        *("--at-least", "auc=0.9", "--at-most", "log_loss=0.5", "--not-worse", "recall=0.05", "--metric", "accuracy"),
        *("--slices", "shop", "--calibration", "0.5", "--p99-ms", "10000", "--max-mb", "5", "--approvals", "1"),
        *("--same-environment", "--signature", "--no-leak"),
        code=1,
    )
    for asked in (
        *("roc_auc >= 0.9 on spring", "log_loss <= 0.5 on holdout", "recall not worse than champion by 0.05"),
        *("accuracy better than champion", "in each part by shop on spring", "calibration_error <= 0.5", "p99 of"),
        *("model size <= 5 MB", "1 approval", "made with the Python", "signature compatible", "no row of the training"),
    ):
        assert asked in shown


def test_the_report_alone_goes_to_standard_output_if_it_is_asked_for_there(models):
    done = CliRunner().invoke(main, ["gate", "risk:2", *BETTER, "--markdown", "-"])
    assert done.stdout.startswith("### ✅ Gate")
    assert "GateReport" in done.stderr


def test_two_data_of_one_name_are_refused_and_not_one_of_them_dropped(models):
    shown = run("risk:2", "--data", "holdout:1", "--data", "holdout@latest", "--at-least", "auc=0.5", code=2)
    assert "Two of --data have the same name" in shown


def test_evidence_of_promotions_and_refusals_is_printed(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "store"))
    models = mk.ModelStore()
    for value in ("a", "b" * 100_000):
        models.register("fraud", value)
    models.promote("fraud:1", gate=mk.Gate(mk.conditions.model_size(mb=0.01)))
    with pytest.raises(mk.errors.GateFailed):
        models.promote("fraud:2", gate=mk.Gate(mk.conditions.model_size(mb=0.01)))
    refusal = models.get("fraud:2").tags["refused@champion"]

    def shown(*arguments, code=0):
        done = CliRunner().invoke(main, ["evidence", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    assert shown("fraud@champion").startswith("GateReport: PASSED: fraud:1")
    assert shown("fraud:2") == shown(refusal)
    assert shown("fraud:2").startswith("GateReport: REFUSED")
    assert json.loads(shown("fraud:2", "--json"))["passed"] is False
    assert shown("fraud:2", "--format", "markdown").startswith("### ")
    models.promote("fraud:2")
    assert "No gate judged fraud:2 when it was promoted to 'champion'" in shown("fraud@champion", code=1)
    assert shown("fraud@latest").startswith("GateReport: REFUSED")
    assert "VersionNotFound" in shown("fraud:9", code=1)
