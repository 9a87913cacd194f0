"""A reader written from the page alone agrees with the library, on the vectors and on a store."""

import ast
import base64
import importlib.util
import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.fingerprints.code import code_fingerprint
from mlops_kit.records import codec, versions
from mlops_kit.records.entry import Entry, statement, tip
from mlops_kit.records.names import folder
from mlops_kit.records.step import StepRecord
from mlops_kit.store.journal import Journal
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.signing import verified

HERE = Path(__file__).parent
VECTORS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (HERE / "vectors").glob("*.json")}
TABLES = VECTORS["fp1"]["tables"]
CHAIN = VECTORS["journal1"]
SIGNED = VECTORS["signed1"]
UNREAD = {"binary", "date32", "decimal(10,2)", "duration ms", "list<int32>", "struct with null", "time64 us"}


def _reader():
    spec = importlib.util.spec_from_file_location("independent_reader", HERE / "independent_reader.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = _reader()


def streamed(name):
    if name == "two blocks":
        numbers = range(65537)
        return pa.table({"i": pa.array(numbers, pa.int64()), "s": [str(number % 7) for number in numbers]})
    return pa.ipc.open_stream(base64.b64decode(TABLES[name]["arrow_stream_base64"])).read_all()


def test_it_shares_no_code_with_the_library():
    tree = ast.parse((HERE / "independent_reader.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", sorted(set(TABLES) - UNREAD))
def test_it_finds_the_fingerprints_of_the_tables(name):
    assert reader.table_fingerprint(streamed(name)) == TABLES[name]["fingerprint"] == mk.fingerprint(streamed(name))


@pytest.mark.parametrize("name", VECTORS["fp1"]["arrays"])
def test_it_finds_the_fingerprints_of_the_arrays(name):
    vector = VECTORS["fp1"]["arrays"][name]
    array = np.array(eval(vector["values"], {"nan": np.nan}), vector["dtype"])  # noqa: S307 - our own file
    flat = array.reshape(-1).tolist()
    assert reader.array_fingerprint(vector["dtype"], list(array.shape), flat) == vector["fingerprint"]


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.binary(max_size=5).map(bytearray)
    | st.just(...)
    | st.decimals()
    | st.fractions()
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(timezone(timedelta(hours=1), "one")))
    | st.times()
    | st.timedeltas()
    | st.builds(range, st.integers(), st.integers())
    | st.builds(slice, st.integers(), st.none()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.sets(st.integers(), max_size=3)
        | st.frozensets(st.text(max_size=3), max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_it_and_the_library_write_every_plain_value_alike(value):
    assert reader.value_fingerprint(value) == mk.fingerprint(value)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_it_finds_the_fingerprints_of_tensors_whose_dtype_numpy_lacks(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([[1.0, -0.0], [2.0, 4.0]]).to(getattr(torch, dtype))
    width = {1: torch.uint8, 2: torch.uint16}[tensor.element_size()]
    octets = tensor.view(width).numpy().tobytes()
    assert reader.small_float_fingerprint(dtype, [2, 2], octets) == mk.fingerprint(tensor)


def test_it_finds_the_identity_of_a_dataset_version():
    dataset = mk.Dataset.snapshot(pa.table({"x": [1, 2], "s": ["a", None]}), name="d")
    root = dataset.store.backend.root
    body = reader.journal(root, "datasets", "d")[1]["body"]
    manifest = reader.read_record(reader.read_object(root, body["manifest"]))
    assert reader.dataset_identity(manifest) == body["identity"] == dataset.identity


def test_it_finds_what_a_record_says_of_the_code_that_a_pickle_names(tmp_path, monkeypatch):
    (tmp_path / "reader_steps.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    double = importlib.import_module("reader_steps").double
    version = mk.ModelStore().register("m", {"f": double})
    assert version.code == {"reader_steps:double": reader.code_digest(code_fingerprint(double).parts)}


@pytest.mark.parametrize("name", VECTORS["values1"])
def test_it_finds_the_fingerprints_of_the_values_and_so_does_the_library(name):
    vector = VECTORS["values1"][name]
    assert reader.value_fingerprint(reader.plain_value(vector["value"])) == vector["fingerprint"]
    assert mk.fingerprint(codec.unplain(vector["value"])) == vector["fingerprint"]


def test_it_walks_the_chain_of_the_vectors():
    records = reader.read_chain([entry.encode() for entry in CHAIN["entries"]])
    assert {alias: reader.alias(records, alias) for alias in CHAIN["aliases"]} == CHAIN["aliases"]
    for seq, live in enumerate(CHAIN["champion as of each entry"], 1):
        assert reader.alias(records[:seq], "champion") == live


def test_the_library_reads_the_chain_of_the_vectors_alike(tmp_path):
    backend = MemoryBackend(str(tmp_path))
    for seq, entry in enumerate(CHAIN["entries"], 1):
        backend.put(f"journals/models/fraud/{seq:012d}.json", entry.encode())
    journal = Journal(backend, "models", "fraud", versions.fold, dict)
    assert journal.read(lambda state: versions.target(state, "champion")) == CHAIN["aliases"]["champion"]
    assert journal.read(versions.latest) == CHAIN["aliases"]["latest"]
    assert tip(CHAIN["entries"][-1].encode()) == CHAIN["tip"]
    for seq, live in enumerate(CHAIN["champion as of each entry"], 1):
        assert versions.alias_in(journal.backwards(seq), "champion") == live
    assert [Entry.decode(entry.encode(), where="").encode().decode() for entry in CHAIN["entries"]] == CHAIN["entries"]


@pytest.mark.parametrize("vector", SIGNED["rfc8032"])
def test_it_verifies_the_signatures_of_the_standard(vector):
    message = bytes.fromhex(vector["message"])
    assert reader.ed25519(vector["key"], vector["value"], message)
    assert not reader.ed25519(vector["key"], vector["value"], message + b"x")


def test_it_and_the_library_verify_the_signed_entries_of_the_vectors_alike():
    place, key = SIGNED["journal"], SIGNED["key"]
    records = reader.read_chain([text.encode() for text in SIGNED["entries"]])
    for record, text in zip(records, SIGNED["entries"], strict=True):
        data = text.encode()
        assert reader.is_signed(data, place, key)
        assert verified(**record["signature"], statement=statement(data, place))
        assert Entry.decode(data, where="").encode() == data
        assert not reader.is_signed(data, "models/other", key)
        entry = replace(Entry.decode(data, where=""), nonce="f" * 32).encode()
        assert not reader.is_signed(entry, place, key)
        assert not verified(**record["signature"], statement=statement(entry, place))
    assert statement(SIGNED["entries"][0].encode(), place).decode() == SIGNED["statement of entry 1"]


@pytest.mark.parametrize("place", [10, 200, -10, -1])
def test_it_sees_damage_where_the_library_does(place):
    data = bytearray(CHAIN["entries"][0].encode())
    data[place] ^= 1
    with pytest.raises(reader.Damaged):
        reader.read_record(bytes(data))


def test_it_verifies_every_record_and_object_of_a_store(rich_store):
    seen = 0
    for path in rich_store.rglob("*.json"):
        reader.read_record(path.read_bytes())
        seen += 1
    for path in (rich_store / "objects").rglob("*"):
        if path.is_file():
            data = reader.read_object(rich_store, f"sha256:{path.name}")
            assert path.parent.name == path.name[:2]
            if b'"record":"' in data[-200:] or data.startswith(b"{"):
                reader.read_record(data)
            seen += 1
    for path in rich_store.rglob("*.jsonl"):
        assert len(reader.metric_points(path.read_bytes())) > 1000
    assert seen > 40


def test_it_finds_the_keys_of_results(rich_store):
    files = list((rich_store / "steps").iterdir())
    assert files
    for data in [*(path.read_bytes() for path in files), VECTORS["step1"]["record"].encode()]:
        record = reader.read_record(data)
        assert reader.step_key(record) == record["key"]
        assert StepRecord.decode(data, where="vector").encode() == data


def test_it_resolves_names_and_aliases_as_the_library_does(rich_store):
    models = mk.ModelStore(rich_store)
    for name in models.names():
        records = reader.journal(rich_store, "models", name)
        assert records[0]["body"]["name"] == name
        assert reader.alias(records, "latest") == models.get(f"{name}@latest").version
        for alias, version in models.aliases(name).items():
            assert reader.alias(records, alias) == version
    for name in mk.Dataset.names(store=rich_store):
        records = reader.journal(rich_store, "datasets", name)
        assert reader.alias(records, "latest") == mk.Dataset.load(f"{name}@latest", store=rich_store).version


def test_it_reads_what_a_model_takes(rich_store):
    record = reader.journal(rich_store, "models", "żółw")[1]
    signature = mk.ModelStore(rich_store).get("żółw:1").signature
    assert reader.features(record) == [
        (column.name, column.type, column.nullable, list(column.categories or ())) for column in signature.inputs
    ]
    assert reader.features(record)[1] == ("plan", "utf8", False, ["a", "b"])


def test_it_reads_what_people_said_of_a_model_as_the_library_does(rich_store):
    models = mk.ModelStore(rich_store)
    records, version = reader.journal(rich_store, "models", "governed"), models.get("governed:1")
    said = {vote.actor: "approve" for vote in version.approvals} | {vote.actor: "reject" for vote in version.rejections}
    assert reader.votes(records, 1) == said == {"ann": "approve", "bob": "reject"}
    assert reader.tags(records, 1) == version.tags == {"team": "risk"}
    assert reader.alias(records, "latest") == models.get("governed@latest").version == 1
    assert reader.frozen(records)
    assert models.frozen("governed")["reason"] == "the end of the quarter"
    assert not reader.frozen(reader.journal(rich_store, "models", "rich"))


def test_it_recomputes_the_fingerprint_of_a_dataset_from_its_rows(rich_store):
    for record in reader.journal(rich_store, "datasets", "holdout")[1:]:
        manifest = reader.read_record(reader.read_object(rich_store, record["body"]["manifest"]))
        version = mk.Dataset.load(f"holdout:{record['body']['version']}", store=rich_store)
        assert manifest["fingerprint"] == record["body"]["fingerprint"] == version.fingerprint
        table = version.to_arrow().select([name for name, *_ in manifest["columns"]])
        plain = pa.table(
            {
                n: c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c
                for n, c in zip(table.column_names, table.columns, strict=True)
            }
        )
        assert reader.table_fingerprint(plain) == version.fingerprint


def test_it_reads_the_parameters_and_metrics_of_a_run(rich_store):
    run = next(run for run in map(_run(rich_store), mk.Store(rich_store).runs.ids()) if "extra" in run.params)
    (path,) = rich_store.rglob(f"{run.id}.end.json")
    end = reader.read_record(path.read_bytes())
    start = reader.read_record(path.with_name(f"{run.id}.start.json").read_bytes())
    assert repr({**reader.plain_value(start["params"]), **reader.plain_value(end["params"])}) == repr(
        {**reader.plain_value(start["params"]), "extra": run.params["extra"]}
    )
    assert reader.plain_value(end["metrics"]) == run.metrics
    assert {key: start[key] for key in end["start"]} == end["start"]
    told = [[value, step] for name, value, step, _ in reader.metric_history(rich_store, run.id) if name == "loss"]
    assert told == [list(point[:2]) for point in run.metric_history("loss")]
    assert datetime.fromisoformat(end["at"]) - datetime.fromisoformat(start["at"]) >= timedelta(0)


def _run(root):
    return lambda run_id: mk.get_run(run_id, store=root)


@pytest.mark.parametrize("name", ["fraud", "Fraud", "Kühlung", "ż" * 60, "ẞtraße", "a.b_c-d", "İ"])
def test_it_finds_the_folder_of_a_name(name):
    assert reader.folder(name) == folder(name)
