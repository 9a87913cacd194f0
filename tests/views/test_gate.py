"""Reports of gates are shown whole, in every form, whatever names and messages hold."""

from xml.etree import ElementTree as ET

import pytest

from mlops_kit.records.gate import ConditionResult, Contender, GateRecord, JudgedOn
from mlops_kit.views.gate import gate_html, gate_junit, gate_markdown, gate_text

HOSTILE = '<script>alert(1)</script> | `x` **b** [l](http://e) \x1b[31m\nnew\x00\ud800 ]]> & "q" @team'


def report(results, name="fraud:2"):
    champion = Contender("fraud:1", None, None, "pkg.Tree", "champion")
    data = (JudgedOn("holdout", "fp1:" + "ab" * 32, 1200, "label", "holdout:3"),)
    return GateRecord(Contender(name, None, None, "pkg.Forest"), (champion,), data, tuple(results))


MIXED = report(
    [
        ConditionResult(
            "auc >= 0.9 on holdout", passed=True, value=0.95, limit=0.9, message="0.95 [0.93, 0.97], 1,200 rows"
        ),
        ConditionResult("size <= 1 MB", passed=False, value=2.0, limit=1.0, message="2 MB; 1 MB allowed"),
    ]
)


def test_text_gives_the_verdict_the_data_and_each_condition():
    assert gate_text(MIXED).splitlines() == [
        "GateReport: REFUSED, 1 of 2 conditions fails: fraud:2 against fraud:1 (champion)",
        "  holdout: holdout:3, 1,200 rows, fp1:abababab…, target label",
        "  ok    auc >= 0.9 on holdout  0.95 [0.93, 0.97], 1,200 rows",
        "  FAIL  size <= 1 MB           2 MB; 1 MB allowed",
    ]


def test_markdown_and_html_list_what_fails_first(read_html):
    for shown in (gate_markdown(MIXED), read_html(gate_html(MIXED))):
        assert shown.index("2 MB; 1 MB allowed") < shown.index("0.95")


def test_junit_has_a_case_for_each_condition():
    suite = ET.fromstring(gate_junit(MIXED))[0]  # noqa: S314 - our own
    assert suite.attrib["name"] == "mlops-kit gate fraud:2"
    assert [case.attrib["name"] for case in suite] == ["auc >= 0.9 on holdout", "size <= 1 MB"]
    assert suite[0].find("failure") is None
    failure = suite[1].find("failure")
    assert (failure.attrib["message"], failure.text) == ("2 MB; 1 MB allowed", "value 2, limit 1")


def test_hostile_names_and_messages_are_only_text(read_html):
    shown = report([ConditionResult(HOSTILE, passed=False, message=HOSTILE)], name=HOSTILE)
    assert "<script>" not in gate_html(shown)
    assert "alert(1)" in read_html(gate_html(shown))
    markdown = gate_markdown(shown)
    assert "<script>" not in markdown
    assert r"\*\*b\*\*" in markdown
    assert r"\[l\]" in markdown
    assert r"\@team" in markdown
    row = next(line for line in markdown.splitlines() if line.startswith("| ❌"))
    assert row.replace(r"\|", "").count("|") == 4
    case = ET.fromstring(gate_junit(shown))[0][0]  # noqa: S314 - our own
    assert "<script>" in case.attrib["name"]
    assert "\x1b" not in gate_text(shown)


@pytest.mark.parametrize("count", [1, 1000])
def test_html_is_bounded_and_markdown_whole(count, read_html):
    shown = report(ConditionResult(f"condition {n}", passed=False, message="x" * 900) for n in range(count))
    assert read_html(gate_html(shown))
    assert gate_markdown(shown).count("| ❌ |") == count
