"""`GateReport`: what a gate decided, shown in every form that a reader may want."""

from __future__ import annotations

from typing import Any

from mlops_kit.records.gate import GateRecord
from mlops_kit.views.gate import gate_html, gate_junit, gate_markdown, gate_text


class GateReport(GateRecord):
    """What a gate decided, and on what evidence; see `Gate.evaluate`.

    Attributes
    ----------
    passed : bool
        Whether every condition holds.
    results, failed : tuple of ConditionResult
        ``name``, ``passed``, ``value``, ``limit``, ``message`` and ``evidence`` of each condition, one for each of the
        data; and those that do not hold.
    candidate, champions : Contender, tuple of Contender
        What was judged, and what it was compared with: ``spec``, ``digest``, ``fingerprint``, ``type``, ``alias``.
    data : tuple of JudgedOn
        On what: ``name``, ``fingerprint``, ``rows``, ``target``, ``dataset``.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> gate = mk.Gate(mk.conditions.model_size(mb=1))
    >>> version = mk.ModelStore("memory://gate-report-doc").register("tiny", "x" * 10_000)
    >>> gate.evaluate("tiny:1", store="memory://gate-report-doc")
    GateReport: PASSED: tiny:1
      ok  model size <= 1 MB  0.01 MB; 1 MB allowed
    """

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain values, such as JSON can keep.

        Returns
        -------
        dict
            ``passed``, ``candidate``, ``champions``, ``data`` and ``results``.
        """
        return self.members()

    def to_markdown(self) -> str:
        """Give the report for a comment on a pull request.

        Returns
        -------
        str
            A heading with the verdict and a table of the conditions.
        """
        return gate_markdown(self)

    def to_junit(self) -> str:
        """Give the report as JUnit XML, which CI systems show as tests.

        Returns
        -------
        str
            A test suite with a case for each condition.
        """
        return gate_junit(self)

    def to_html(self) -> str:
        """Give the report as HTML.

        Returns
        -------
        str
            A fragment of at most 30,000 bytes, without script.
        """
        return gate_html(self)

    def __repr__(self) -> str:
        return gate_text(self)

    def _repr_html_(self) -> str:
        return gate_html(self)
