"""Which objects a record names."""

from datetime import UTC, datetime

from mlops_kit.records import codec
from mlops_kit.records.entry import FIRST_PREV, Entry
from mlops_kit.records.references import references
from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef, RunEnd, RunStart

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def digest(number):
    return f"sha256:{number:064x}"


def named(record):
    return sorted(references(codec.unseal(record.encode(), where="here")))


def test_a_start_names_its_environment_sources_generators_parts_diff_and_profiles():
    start = RunStart(
        id="00000000-000000000000",
        name="x",
        experiment="y",
        at=AT,
        user={},
        host="h",
        pid=1,
        function={"module": "m", "qualname": "f", "code": "fp1:0", "parts": digest(4)},
        inputs=(InputRef("X", "table", "fp1:0", profile=digest(6)),),
        environment=digest(1),
        sources=digest(2),
        rng=digest(3),
        git={"commit": "c", "diff": digest(5)},
    )
    assert {what for _, what in named(start)} == {digest(number) for number in range(1, 7)}


def test_an_end_names_its_outputs_and_artifacts():
    outputs = (OutputRef("return", "model", "cloudpickle", digest(1)), OutputRef("loss", "value", "json", value=1))
    end = RunEnd(AT, "finished", outputs=outputs, artifacts=(ArtifactRef("a.txt", digest(2), 1),))
    assert named(end) == [("a.txt", digest(2)), ("return", digest(1))]


def test_entries_name_the_object_manifest_and_environment():
    body = {"object": digest(1), "environment": digest(2), "version": 1}
    assert named(Entry(1, FIRST_PREV, AT, {}, "", "register", body)) == [
        ("environment", digest(2)),
        ("object", digest(1)),
    ]
    assert named(Entry(1, FIRST_PREV, AT, {}, "", "snapshot", {"manifest": digest(3)})) == [("manifest", digest(3))]


def test_a_manifest_names_its_parts():
    record = {"record": "manifest", "parts": [{"kind": "parquet", "object": digest(1)}, {"object": digest(2)}]}
    assert list(references(record)) == [("part", digest(1)), ("part", digest(2))]


def test_other_records_name_nothing():
    assert not list(references({"record": "store", "id": digest(1)}))
    assert not list(references({"record": "run-start"}))
