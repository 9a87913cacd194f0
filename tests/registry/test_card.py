"""A model card tells all that is known of a version, in four forms, and lets no text act as markup."""

import json
import math
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, VersionNotFound
from mlops_kit.records import codec, versions

HOSTILE = "<script>alert(1)</script>\n# heading\n* [x](javascript:1) | `a` \x1b[31m"
FRAME = pd.DataFrame({"age": [31, 47, 22, 60], "churned": ["no", "yes"] * 2})


@pytest.fixture
def card(models, monkeypatch):
    def train(data, depth=2):
        mk.log_metric("auc", 0.91)
        return DecisionTreeClassifier(max_depth=depth).fit(data[["age"]], data["churned"])

    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    mk.track(train, register="churn", store=models.store)(FRAME)
    models.describe("churn:1", "Predicts churn.", card={"intended_use": "Call lists.", "limits": ["No.", "Minors."]})
    models.tag("churn:1", team="crm")
    monkeypatch.setenv("MLOPS_KIT_USER", "bob")
    models.approve("churn:1", reason="looked")
    models.promote("churn:1", reason="the first")
    return models.card("churn@champion")


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_tells_all_that_is_known(card):
    page = Page(card.to_html())
    text = " ".join(page.texts)
    for told in (
        *("Model card: churn:1", "live as champion", "Predicts churn.", "Call lists.", "Minors.", "0.91", "crm"),
        *("train.data:1", "4 rows", "churned", "bob on", "1 approval by others", "promote by bob: champion, the first"),
        *("age: int64", "depth", "scikit-learn"),
    ):
        assert told in text, told
    assert "svg" in page.tags


def test_the_page_fetches_nothing_and_runs_nothing(card):
    page = Page(card.to_html())
    assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href"}]
    assert "url(" not in card.to_html()
    assert any("default-src 'none'" in (value or "") for _, value in page.attributes)


def test_no_text_of_a_user_acts_as_markup(models, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_USER", HOSTILE.replace("\n", " ").replace("\x1b", ""))
    models.register("m", 1, description=HOSTILE, card={HOSTILE: HOSTILE, "limits": [HOSTILE]}, metrics={HOSTILE: 0.5})
    models.tag("m:1", **{HOSTILE: HOSTILE})
    models.approve("m:1", reason=HOSTILE)
    models.promote("m:1", reason=HOSTILE)
    card = models.card("m:1", monitoring={"status": HOSTILE, "alerts": [{"message": HOSTILE}]})
    assert "script" not in Page(card.to_html()).tags
    assert "\x1b" not in card.to_html() + card.to_markdown() + card.to_bom()
    lines = card.to_markdown().splitlines()
    assert "<" not in card.to_markdown()
    assert not [line for line in lines if re.search(r"(?<!\\)(\[|`|\|)", line)]
    assert not [line for line in lines if line.startswith("# ") and "Model card" not in line]


def test_what_nobody_said_is_asked_for(models):
    models.register("m", 1)
    card = models.card("m:1")
    assert card.to_markdown().count("Not documented.") == 2
    assert "registered outside of a run" in card.to_html()


def test_the_plain_form_is_json_and_keeps_what_json_cannot(models):
    models.register("m", 1, metrics={"auc": math.nan})
    plain = models.card("m:1").to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert math.isnan(codec.unplain(plain["metrics"])["auc"])
    assert [entry["kind"] for entry in plain["history"]] == ["register"]


def test_evidence_of_a_promotion_is_shown_with_numbers_limits_and_intervals(models):
    models.register("m", 1)
    interval = {"low": 0.88, "high": 0.93}
    report = {
        "passed": False,
        "at": "2026-05-01T10:00:00.123456Z",
        "results": [
            {
                "name": "at_least auc",
                "passed": True,
                "value": 0.91,
                "limit": 0.9,
                "evidence": interval,
            },
            {"name": "latency", "passed": False, "value": 22.5 / 3, "limit": 5.0},
            {"name": "recall in each part", "passed": True, "limit": 0.4, "message": "holds in all 4 parts"},
            {"name": "a word", "passed": True},
        ],
    }
    digest = models.store.objects.put(codec.seal("gate-report", codec.plain(report)))
    body = {"alias": "champion", "version": 1, "evidence": digest}
    models.store.journal("models", "m", versions.fold).append(lambda _state: ("promote", body))
    card = mk.ModelStore(mk.Store(models.store.url)).card("m:1")
    assert "at\\_least auc: 0.91 \\[0.88, 0.93\\], limit 0.9" in card.to_markdown()
    assert "**not passed**: 2026-05-01 10:00:00 UTC, champion\n" in card.to_markdown()
    assert ": recall in each part: holds in all 4 parts\n" in card.to_markdown()
    assert ": a word\n" in card.to_markdown()
    assert "✗" in card.to_html()
    (one, other) = bill(card)["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert one["confidenceInterval"] == {"lowerBound": "0.88", "upperBound": "0.93"}
    assert other == {"type": "latency", "value": "7.5"}


def test_the_state_of_a_monitor_is_shown_if_one_is_given(models):
    models.register("m", 1)
    state = {"status": "warning", "alerts": [{"message": "age has shifted"}]}
    assert "age has shifted" in models.card("m:1", monitoring=state).to_html()
    assert "Monitoring" not in models.card("m:1").to_html()
    with pytest.raises(InvalidInput, match="no report of a monitor"):
        models.card("m:1", monitoring="fine")


def test_a_card_can_be_had_as_of_a_moment_and_not_of_a_deleted_version(models):
    models.register("m", 1)
    approved = models.approve("m:1")
    models.delete("m:1", reason="wrong")
    with pytest.raises(VersionNotFound):
        models.card("m:1")
    plain = models.card("m:1", as_of=approved.at).to_dict()
    assert [entry["kind"] for entry in plain["history"]] == ["register", "approve"]


# The bill of materials


def bill(card):
    return json.loads(card.to_bom())


def test_the_bill_names_the_model_its_data_and_its_packages(card):
    document = bill(card)
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    model = document["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "churn", "1")
    assert re.fullmatch("[0-9a-f]{64}", model["hashes"][0]["content"])
    assert model["modelCard"]["considerations"]["technicalLimitations"] == ["No.", "Minors."]
    assert model["modelCard"]["modelParameters"]["approach"] == {"type": "supervised"}
    packages = {item["name"]: item["purl"] for item in document["components"] if item["type"] == "library"}
    assert packages["scikit-learn"].startswith("pkg:pypi/scikit-learn@")
    data = next(item for item in document["components"] if item["type"] == "data")
    assert (data["name"], data["version"]) == ("train.data", "1")


def test_every_reference_of_the_bill_leads_somewhere_and_none_is_given_twice(card):
    document = bill(card)
    refs = [document["metadata"]["component"]["bom-ref"], *(item["bom-ref"] for item in document["components"])]
    assert len(set(refs)) == len(refs)
    used = {item["ref"] for item in document["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]}
    for dependency in document["dependencies"]:
        used |= {dependency["ref"], *dependency["dependsOn"]}
    assert used <= set(refs)


ALLOWED = {
    "": {"$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"},
    "component": {
        *("type", "bom-ref", "name", "version", "description", "authors", "hashes", "modelCard", "properties", "data"),
        "purl",
    },
    "modelCard": {"modelParameters", "quantitativeAnalysis", "considerations"},
    "modelParameters": {"approach", "task", "modelArchitecture", "datasets", "inputs", "outputs"},
    "considerations": {"users", "useCases", "technicalLimitations", "ethicalConsiderations"},
}


def test_the_bill_has_only_members_of_the_standard(card):
    """The names are those of the schema of CycloneDX 1.6, which allows no others."""
    document = bill(card)
    assert set(document) <= ALLOWED[""]
    model = document["metadata"]["component"]
    for component in (model, *document["components"]):
        assert set(component) <= ALLOWED["component"]
    assert set(model["modelCard"]) <= ALLOWED["modelCard"]
    for name in ("modelParameters", "considerations"):
        assert set(model["modelCard"][name]) <= ALLOWED[name]
    for metric in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]:
        assert set(metric) <= {"type", "value", "confidenceInterval"}
        assert all(isinstance(metric[name], str) for name in ("type", "value"))


def test_the_gate_section_is_about_the_promotion_that_stands(models):
    models.register("rule", "a")
    models.register("rule", "b")

    def gates(spec="rule:1"):
        text = models.card(spec).to_markdown()
        return [part.strip() for part in text.split("## Gate")[1:]]

    assert gates() == []
    models.promote("rule:1", gate=mk.Gate(mk.conditions.model_size(mb=1)))
    models.promote("rule:1", gate=mk.Gate(mk.conditions.model_size(mb=2)))
    (standing,) = gates()
    assert "champion" in standing
    assert "2 MB allowed" in standing
    assert "1 MB allowed" not in standing
    models.promote("rule:2")
    assert gates() == []
    assert "without a gate" in gates("rule:2")[0]
    models.rollback("rule")
    assert "2 MB allowed" in gates()[0]
    models.promote("rule:1")
    assert ["without a gate" in part for part in gates()] == [True]
    found = models.card("rule:1").to_dict()["evidence"]
    assert [report["stands"] for report in found] == [None, None, "champion"]
    models.retire("rule", "champion")
    assert gates() == []
