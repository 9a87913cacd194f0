"""What a gate decided is written and read back as it was."""

import numpy as np
import pytest

from mlops_kit.errors import IntegrityError
from mlops_kit.records import codec
from mlops_kit.records.gate import ConditionResult, Contender, GateRecord, JudgedOn

RECORD = GateRecord(
    Contender("fraud:2", "sha256:" + "0" * 64, "fp1:" + "1" * 64, "pkg.Forest"),
    (Contender(None, None, None, "pkg.Tree", "champion"),),
    (JudgedOn("holdout", "fp1:" + "2" * 64, 300, "label", "holdout:1"),),
    (
        ConditionResult("auc >= 0.9", passed=True, value=0.95, limit=0.9, message="ż\n\ud800", evidence={"n": (1, 2)}),
        ConditionResult("odd", passed=False, value=float("nan"), limit=float("inf")),
    ),
)

FAILED = ConditionResult("odd", passed=False).members()


def test_a_report_comes_back_as_it_was():
    found = GateRecord.decode(RECORD.encode(), where="here")
    assert repr(found) == repr(RECORD)
    assert found.results[0].evidence == {"n": (1, 2)}
    assert not found.passed
    assert [result.name for result in found.failed] == ["odd"]


def test_numbers_of_numpy_are_numbers():
    result = ConditionResult("mine", passed=np.bool_(True), value=np.float32(0.5), limit=np.int64(1))
    assert (result.members()["passed"], result.members()["value"], result.members()["limit"]) == (True, 0.5, 1.0)


def test_a_changed_report_is_refused():
    with pytest.raises(IntegrityError):
        GateRecord.decode(RECORD.encode().replace(b'"passed":false', b'"passed":true '), where="here")


@pytest.mark.parametrize(
    "changes",
    [
        {"passed": True},
        {"results": [], "passed": True},
        {"results": [{"name": "n"}]},
        {"results": 5},
        {"candidate": None},
        {"data": [1]},
        {"results": [{**FAILED, "passed": "no"}], "passed": True},
    ],
)
def test_a_report_whose_verdict_is_not_that_of_its_results_is_refused(changes):
    record = GateRecord(Contender("fraud:2", None, None, "pkg.Forest"), (), (), (ConditionResult.decode(FAILED),))
    assert not GateRecord.decode(record.encode(), where="test").passed
    with pytest.raises(IntegrityError):
        GateRecord.decode(codec.seal("gate-report", {**record.members(), **changes}), where="test")
