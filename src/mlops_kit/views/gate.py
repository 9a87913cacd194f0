"""Reports of gates shown: text, HTML, Markdown for a pull request, JUnit XML for a CI system."""

from __future__ import annotations

import re
from html import escape

from mlops_kit.records.gate import ConditionResult, GateRecord
from mlops_kit.views import html
from mlops_kit.views.text import aligned
from mlops_kit.views.values import clip, markdown, plural, short

_LINE = 200
_CELL = 600
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def gate_text(record: GateRecord) -> str:
    """Show a report as text.

    Parameters
    ----------
    record : GateRecord
        The report.

    Returns
    -------
    str
        The verdict, the data, and a line for each condition.

    Examples
    --------
    >>> from mlops_kit.records.gate import Contender
    >>> results = (ConditionResult("auc >= 0.9 on holdout", False, 0.8, 0.9, "0.8, 100 rows"),)
    >>> print(gate_text(GateRecord(Contender("fraud:2", None, None, "pkg.Forest"), (), (), results)))
    GateReport: REFUSED, 1 of 1 condition fails: fraud:2
      FAIL  auc >= 0.9 on holdout  0.8, 100 rows
    """
    rows = [(_verdict(result), clip(result.name, _LINE), clip(result.message, _LINE)) for result in record.results]
    about = (clip(line, _LINE) for line in _about(record))
    lines = [f"GateReport: {clip(_headline(record), _LINE)}", *about, *(aligned(rows) if rows else [])]
    return "\n  ".join(lines)


def gate_html(record: GateRecord) -> str:
    """Show a report in a notebook.

    Parameters
    ----------
    record : GateRecord
        The report.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> from mlops_kit.records.gate import Contender
    >>> results = (ConditionResult("auc >= 0.9 on holdout", True, 0.95, 0.9, "0.95, 100 rows"),)
    >>> "PASSED" in gate_html(GateRecord(Contender("fraud:2", None, None, "pkg.Forest"), (), (), results))
    True
    """
    ordered = [*record.failed, *(result for result in record.results if result.passed)]
    rows = [[_verdict(result), result.name, result.message] for result in ordered]

    def body(room: html.Room) -> str:
        title = f'<div class="t">{html.text("Gate: " + _headline(record), room)}</div>'
        about = "".join(html.note(line, room) for line in _about(record))
        return title + about + html.table(["", "condition", "finding"], rows, room)

    return html.fragment(body)


def gate_markdown(record: GateRecord) -> str:
    """Write a report as Markdown, as pull requests show it.

    Parameters
    ----------
    record : GateRecord
        The report.

    Returns
    -------
    str
        A heading, what was judged on what, and a table with the failing conditions first.

    Examples
    --------
    >>> from mlops_kit.records.gate import Contender
    >>> results = (ConditionResult("auc >= 0.9 on holdout", False, 0.8, 0.9, "0.8, 100 rows"),)
    >>> print(gate_markdown(GateRecord(Contender("fraud:2", None, None, "pkg.Forest"), (), (), results)))
    ### ❌ Gate: REFUSED, 1 of 1 condition fails: fraud:2
    <BLANKLINE>
    |  | condition | finding |
    |---|---|---|
    | ❌ | auc &gt;= 0.9 on holdout | 0.8, 100 rows |
    <BLANKLINE>
    """
    ordered = [*record.failed, *(result for result in record.results if result.passed)]
    lines = [f"### {_mark(record.passed)} Gate: {_cell(_headline(record))}", ""]
    lines += [f"- {_cell(line)}" for line in _about(record)]
    lines += [""] if _about(record) else []
    lines += ["|  | condition | finding |", "|---|---|---|"]
    lines += [f"| {_mark(result.passed)} | {_cell(result.name)} | {_cell(result.message)} |" for result in ordered]
    return "\n".join(lines) + "\n"


def gate_junit(record: GateRecord) -> str:
    """Write a report as JUnit XML: a test case for each condition.

    Parameters
    ----------
    record : GateRecord
        The report.

    Returns
    -------
    str
        An XML document.

    Examples
    --------
    >>> from mlops_kit.records.gate import Contender
    >>> results = (ConditionResult("auc >= 0.9", False, 0.8, 0.9, "0.8, 100 rows"),)
    >>> print(gate_junit(GateRecord(Contender("fraud:2", None, None, "pkg.Forest"), (), (), results)))
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites tests="1" failures="1">
      <testsuite name="mlops-kit gate fraud:2" tests="1" failures="1" errors="0" skipped="0">
        <testcase classname="gate.fraud:2" name="auc &gt;= 0.9">
          <failure message="0.8, 100 rows" type="condition">value 0.8, limit 0.9</failure>
        </testcase>
      </testsuite>
    </testsuites>
    <BLANKLINE>
    """
    counts = f'tests="{len(record.results)}" failures="{len(record.failed)}"'
    name = _xml(str(record.candidate))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>"]
    lines.append(f'  <testsuite name="mlops-kit gate {name}" {counts} errors="0" skipped="0">')
    for result in record.results:
        case = f'    <testcase classname="gate.{name}" name="{_xml(result.name)}"'
        if result.passed:
            lines.append(f"{case}><system-out>{_xml(result.message)}</system-out></testcase>")
            continue
        failure = f'<failure message="{_xml(result.message)}" type="condition">{_xml(_numbers(result))}</failure>'
        lines += [f"{case}>", f"      {failure}", "    </testcase>"]
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _verdict(result: ConditionResult) -> str:
    return "ok" if result.passed else "FAIL"


def _mark(passed: bool) -> str:  # noqa: FBT001 - a verdict is what it is about
    return "✅" if passed else "❌"


def _headline(record: GateRecord) -> str:
    failing = len(record.failed)
    verdict = "PASSED"
    if failing:
        verdict = f"REFUSED, {failing} of {plural(len(record.results), 'condition')} fail{'s' if failing == 1 else ''}"
    against = ", ".join(f"{other} ({other.alias})" if other.alias else str(other) for other in record.champions)
    return f"{verdict}: {record.candidate}{f' against {against}' if against else ''}"


def _about(record: GateRecord) -> list[str]:
    return [
        f"{judged.name}: {judged.dataset or 'data'}, {plural(judged.rows, 'row')}, {short(judged.fingerprint)}"
        + (f", target {judged.target}" if judged.target else "")
        + (f", {plural(judged.groups, 'group')}" if judged.groups is not None else "")
        + (
            f"; {plural(judged.repeated, 'row')} repeat{'s' if judged.repeated == 1 else ''} others"
            if judged.repeated
            else ""
        )
        for judged in record.data
    ]


def _numbers(result: ConditionResult) -> str:
    told = (("value", result.value), ("limit", result.limit))
    return ", ".join(f"{name} {value:.6g}" for name, value in told if value is not None)


def _cell(text: str) -> str:
    return markdown(clip(text, _CELL))


def _xml(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", clip(text, _CELL)))
