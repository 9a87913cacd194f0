"""The JSON Schemas of the format: every record of a rich store fits its own, and the page names every member."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

import mlops_kit as mk
from mlops_kit.store import head

DOCS = Path(__file__).parents[1] / "docs"
SCHEMAS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (DOCS / "schemas").glob("*.json")}
VALIDATORS = {name: jsonschema.Draft202012Validator(schema) for name, schema in SCHEMAS.items()}
RECORDS = sorted(set(SCHEMAS) - {"metric-line"})


@pytest.fixture
def rich_store(rich_store, monkeypatch):
    """Give a rich store with a history that counts as long, and with garbage collected and marked for the next time."""
    store = mk.Store(rich_store)
    monkeypatch.setattr(head, "WHOLE", 2)
    for _ in range(4):
        mk.ModelStore(store).promote("rich:1")
    for grace in (0, None):
        store.objects.put(b"left behind %r" % grace)
        store.gc(grace, dry_run=False, exclusive=True)
    return rich_store


def records(root):
    """Yield every record of a store, with the name of its file."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix != ".jsonl":
            data = path.read_bytes()
            if data.startswith(b"{") and b'"record":"' in data:
                yield path.name, json.loads(data)


def members(schema):
    """Yield the name of every member that a schema allows, at any depth."""
    for name, part in schema.get("properties", {}).items():
        yield name
        yield from members(part)
    for key in ("items", "additionalProperties", "then"):
        if isinstance(schema.get(key), dict):
            yield from members(schema[key])
    for key in ("allOf", "anyOf", "prefixItems"):
        for part in schema.get(key, ()):
            yield from members(part)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_itself_valid(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_record_of_a_rich_store_fits_the_schema_of_its_kind_and_every_kind_occurs(rich_store):
    seen = set()
    for name, record in records(rich_store):
        problems = [f"{error.json_path}: {error.message}" for error in VALIDATORS[record["record"]].iter_errors(record)]
        assert not problems, name
        seen.add(record["record"])
    assert seen == set(RECORDS)


def test_every_metric_line_of_a_rich_store_fits(rich_store):
    lines = [line for path in rich_store.rglob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) > 1000
    for line in lines:
        VALIDATORS["metric-line"].validate(json.loads(line.partition("\t")[0]))


def test_the_vectors_of_the_format_fit():
    text = (Path(__file__).parent / "vectors" / "fp1.json").read_text(encoding="utf-8")
    signed = (Path(__file__).parent / "vectors" / "signed1.json").read_text(encoding="utf-8")
    for record in [*json.loads(text)["records"].values(), *json.loads(signed)["entries"]]:
        VALIDATORS["entry"].validate(json.loads(record))


@pytest.mark.parametrize("kind", RECORDS)
def test_a_member_that_the_format_does_not_have_is_refused(rich_store, kind):
    record = next(record for _, record in records(rich_store) if record["record"] == kind)
    assert VALIDATORS[kind].is_valid(record)
    assert not VALIDATORS[kind].is_valid({**record, "surprise": 1})
    assert not VALIDATORS[kind].is_valid({**record, "format": 2})


@pytest.mark.parametrize("kind", RECORDS)
def test_a_member_that_the_format_requires_may_not_be_missing(rich_store, kind):
    record = next(record for _, record in records(rich_store) if record["record"] == kind)
    for name in SCHEMAS[kind]["required"]:
        assert not VALIDATORS[kind].is_valid({key: value for key, value in record.items() if key != name}), name


@pytest.mark.parametrize(
    "kind",
    [
        *("create", "register", "promote", "rollback", "snapshot", "approve", "reject", "tag", "describe", "archive"),
        *("delete", "freeze", "retire", "require"),
    ],
)
def test_the_body_of_an_entry_is_held_to_its_kind(rich_store, kind):
    entries = (record for _, record in records(rich_store) if record["record"] == "entry")
    record = next(record for record in entries if record["kind"] == kind)
    assert VALIDATORS["entry"].is_valid(record)
    assert not VALIDATORS["entry"].is_valid({**record, "body": {**record["body"], "surprise": 1}})
    for name in record["body"]:
        body = {key: value for key, value in record["body"].items() if key != name}
        optional = {
            "previous",
            "reason",
            "run",
            "fingerprint",
            "description",
            "evidence",
            "signature",
            "source",
            "python",
            "anchors",
            "card",
            "gate",
            "owners",
        } - ({"previous"} if kind == "retire" else {"fingerprint"} if kind == "snapshot" else set())
        assert VALIDATORS["entry"].is_valid({**record, "body": body}) is (name in optional), name


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_page_names_the_record_and_each_of_its_members(name):
    page = (DOCS / "format.md").read_text(encoding="utf-8")
    assert f"schemas/{name}.json" in page
    words = set(re.findall(r"`([^`]+)`", page))
    named = {word for text in words for word in re.findall(r"[a-z_]+", text)}
    assert set(members(SCHEMAS[name])) <= named
