"""Whatever was recorded, it is shown: no view raises, grows without bound, or lets text act as markup."""

import json
import string
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit
from mlops_kit.records.card import CardRecord
from mlops_kit.records.codec import Repr
from mlops_kit.records.dataset import ColumnRecord, DatasetRecord, Manifest, Part
from mlops_kit.records.entry import Entry
from mlops_kit.records.model import LineageRecord, ModelRecord, Vote
from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef
from mlops_kit.records.signature import ColumnSpec, SignatureRecord
from mlops_kit.views.bom import card_bom
from mlops_kit.views.card import card_dict, card_html, card_markdown
from mlops_kit.views.dataset import dataset_html, dataset_text
from mlops_kit.views.diff import MISSING, Difference, diff_html, diff_text
from mlops_kit.views.model import lineage_html, lineage_text, version_html, version_text
from mlops_kit.views.run import RunFacts, run_html, run_text
from mlops_kit.views.signature import signature_html, signature_text
from mlops_kit.views.summary import Summary, summary_text
from mlops_kit.views.table import RunRow, runs_html, runs_text

texts = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    ["<script>", "&amp;", "\x1b[2J", "\ud800"]
)
moments = st.datetimes(timezones=st.none() | st.just(UTC))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=9) | moments
hashables = scalars | st.builds(Repr, texts, texts)
values = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashables, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3)
    ),
    max_leaves=8,
)
params = st.dictionaries(texts, values, max_size=4)
metrics = st.dictionaries(texts, st.floats() | st.integers(), max_size=4)
optional = st.none() | texts
who = st.dictionaries(st.sampled_from(["actor", "source"]), texts)
git = st.dictionaries(st.sampled_from(["commit", "branch", "dirty"]), optional)
inputs = st.lists(
    st.builds(InputRef, texts, texts, texts, st.none() | st.integers(0), optional, st.none() | st.integers(1)),
    max_size=3,
).map(tuple)
outputs = st.lists(
    st.builds(OutputRef, texts, texts, st.sampled_from(["json", "cloudpickle", "none"]), value=values), max_size=3
).map(tuple)
several = st.lists(texts, max_size=3).map(tuple)
seconds = st.none() | st.floats()

runs = st.builds(
    RunFacts,
    *(texts, texts, texts, texts, moments, seconds, who, params, metrics, inputs, outputs),
    *(st.just((ArtifactRef("a", "sha256:0", 1),)), several, st.none() | git, optional),
    *(st.none() | st.dictionaries(st.sampled_from(["type", "message"]), texts), several),
)
columns = st.builds(
    ColumnSpec,
    *(texts, optional, st.booleans(), st.none() | st.lists(scalars, max_size=9).map(tuple)),
    st.none() | st.lists(st.none() | st.integers(0), max_size=3).map(tuple),
)
several_columns = st.lists(columns, max_size=4).map(tuple)
signatures = st.builds(SignatureRecord, several_columns, several_columns, optional, optional)
votes = st.lists(st.builds(Vote, texts, texts, moments, optional), max_size=3).map(tuple)
models = st.builds(
    ModelRecord,
    *(texts, st.integers(1), texts, optional, texts, st.integers(0), texts, moments, who, optional, metrics),
    description=optional,
    signature=st.none() | signatures,
    tags=st.dictionaries(texts, texts, max_size=3),
    approvals=votes,
    rejections=votes,
    archived=st.booleans(),
)
lineages = st.builds(
    LineageRecord,
    models,
    st.none()
    | st.fixed_dictionaries(
        {}, optional={"id": texts, "params": params, "metrics": metrics, "started": moments, "by": who}
    ),
    inputs,
    st.dictionaries(st.sampled_from(["function", "fingerprint", "commit", "branch", "dirty"]), optional),
    st.fixed_dictionaries({}, optional={"python": texts, "platform": texts, "packages": st.dictionaries(texts, texts)}),
    several,
)
entries = st.builds(
    Entry,
    *(st.integers(1), st.just(""), moments, who, st.just(""), texts),
    st.dictionaries(st.sampled_from(["alias", "reason", "version"]), texts | st.integers()),
)
reports = st.dictionaries(
    st.sampled_from(["passed", "results", "at"]),
    values
    | st.lists(st.dictionaries(st.sampled_from(["name", "passed", "value", "limit", "evidence", "message"]), values)),
)
states = st.none() | st.dictionaries(st.sampled_from(["status", "alerts"]), values)
cards = st.builds(
    CardRecord,
    *(models, lineages, several, st.lists(entries, max_size=3).map(tuple), st.lists(reports, max_size=2).map(tuple)),
    *(states, moments),
)
manifests = st.builds(
    Manifest,
    *(texts, texts, st.integers(0)),
    st.lists(st.builds(ColumnRecord, texts, texts, texts, st.just(())), max_size=3).map(tuple),
    st.just({}),
    st.lists(st.builds(Part, texts, texts, st.integers(0), st.integers(0)), max_size=3).map(tuple),
)
datasets = st.builds(DatasetRecord, texts, st.integers(1), manifests, moments, who, optional, optional)
tables = st.lists(
    st.builds(RunRow, texts, texts, texts, texts, moments, seconds, params, metrics, several, texts), max_size=4
)
differences = st.lists(
    st.builds(Difference, texts | st.just("metrics"), texts, values | st.just(MISSING), values | st.just(MISSING)),
    max_size=5,
)
summaries = st.builds(
    Summary,
    *(texts, texts, texts, seconds, several, metrics, optional, metrics, optional, several, optional, texts),
)


def assert_printable(text):
    assert all(line.isprintable() for line in text.replace("\u200c", "").replace("\u200d", "").split("\n"))
    assert not text.endswith("\n")
    assert text.encode()


@given(runs)
def test_any_run_is_shown(read_html, facts):
    assert_printable(run_text(facts))
    read_html(run_html(facts))


@given(models)
def test_any_version_is_shown(read_html, record):
    assert_printable(version_text(record))
    read_html(version_html(record))


@given(signatures)
def test_any_signature_is_shown(read_html, record):
    assert_printable(signature_text(record))
    read_html(signature_html(record))


@given(lineages)
def test_any_lineage_is_shown(read_html, record):
    assert_printable(lineage_text(record))
    read_html(lineage_html(record))


@given(cards)
def test_any_card_is_shown(record):
    assert_printable(card_markdown(record).removesuffix("\n"))
    assert "<" not in card_markdown(record)
    page = card_html(record)
    assert page.encode()
    assert "<script" not in page
    json.dumps(card_dict(record), allow_nan=False)
    assert json.loads(card_bom(record, tool="1").encode())["bomFormat"] == "CycloneDX"


@given(datasets)
def test_any_dataset_is_shown(read_html, record):
    assert_printable(dataset_text(record))
    read_html(dataset_html(record))


@given(tables, st.integers(0, 200))
def test_any_table_of_runs_is_shown(read_html, rows, terminal):
    assert_printable(runs_text(rows, terminal=terminal))
    read_html(runs_html(rows))


@given(texts, texts, differences)
def test_any_differences_are_shown(read_html, left, right, found):
    assert_printable(diff_text(left, right, found))
    read_html(diff_html(left, right, found))


@given(summaries)
def test_any_summary_is_shown(summary):
    assert_printable(summary_text(summary))


NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOSTILE = "<script>alert('&')</script>\x1b[31m\ud800\n\u202e"
LONG = HOSTILE * 500
MANY = {f"{i} {LONG}": LONG for i in range(300)}
NUMBERS = {f"{i} {LONG}": 0.1 for i in range(300)}
INPUTS = tuple(InputRef(LONG, "table", LONG, 10**400, LONG, 1) for _ in range(1000))
MODEL = ModelRecord(LONG, 1, LONG, LONG, LONG, 1, LONG, NOW, {"actor": LONG}, LONG, NUMBERS, LONG, LONG)
ROW = RunRow(LONG, LONG, LONG, LONG, NOW, 1.0, MANY, NUMBERS, (LONG,) * 50, LONG)


@pytest.fixture(scope="module")
def hostile():
    parts = (Part("parquet", LONG, 10**400, 1),) * 5000
    wide = Manifest(LONG, LONG, 10**9, tuple(ColumnRecord(LONG, LONG, "", ()) for _ in range(10_000)), {}, parts)
    facts = RunFacts(
        *(LONG, LONG, LONG, LONG, NOW, 1.0, {"actor": LONG}, MANY, NUMBERS, INPUTS),
        tuple(OutputRef(LONG, LONG, LONG, LONG, LONG, 1, LONG) for _ in range(1000)),
        tuple(ArtifactRef(LONG, LONG, 1) for _ in range(1000)),
        *((LONG,) * 1000, {"commit": LONG, "branch": LONG, "dirty": True}, LONG),
        *({"type": LONG, "message": LONG}, (LONG,) * 1000),
    )
    run = {"id": LONG, "name": LONG, "status": LONG, "params": MANY, "metrics": NUMBERS, "started": NOW, "by": {}}
    code = {"function": LONG, "fingerprint": LONG, "parts": MANY, "commit": LONG}
    environment = {"python": LONG, "platform": LONG, "packages": {"numpy": LONG, **MANY}}
    found = [Difference(f"{i % 300} {LONG}", LONG, LONG, LONG) for i in range(1000)]
    lineage = LineageRecord(MODEL, run, INPUTS, code, environment, (LONG,) * 1000)
    return {
        "run": (run_text(facts), run_html(facts)),
        "version": (version_text(MODEL), version_html(MODEL)),
        "lineage": (lineage_text(lineage), lineage_html(lineage)),
        "dataset": (
            dataset_text(DatasetRecord(LONG, 1, wide, NOW, {"actor": LONG}, LONG, LONG)),
            dataset_html(DatasetRecord(LONG, 1, wide, NOW, {"actor": LONG}, LONG, LONG)),
        ),
        "runs": (runs_text([ROW] * 200), runs_html([ROW] * 200)),
        "diff": (diff_text(LONG, LONG, found), diff_html(LONG, LONG, found)),
        "summary": (
            summary_text(Summary(*(LONG,) * 3, None, (LONG,) * 9, NUMBERS, LONG, NUMBERS, LONG, (LONG,) * 9)),
            "",
        ),
    }


VIEWS = ["run", "version", "lineage", "dataset", "runs", "diff", "summary"]


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_text_can_neither_move_the_cursor_nor_flood_the_terminal(hostile, view):
    text, _ = hostile[view]
    assert_printable(text)
    assert len(text) < 150_000 if view in {"runs", "diff"} else len(text) < 12_000


@pytest.mark.parametrize("view", VIEWS[:-1])
def test_hostile_text_in_a_notebook_stays_text_of_bounded_size(hostile, read_html, view):
    _, source = hostile[view]
    assert "<script>"[: 5 if view == "runs" else 8] in read_html(source)
    assert "<script" not in source


@pytest.mark.parametrize("view", ["run", "lineage", "dataset", "runs"])
def test_what_is_left_out_is_counted(hostile, read_html, view):
    text, source = hostile[view]
    assert "more" in text.split("… and ")[-1]
    assert "more" in read_html(source).split("… and ")[-1]


def test_importing_the_views_loads_nothing_heavy():
    modules = sorted(path.stem for path in Path(mlops_kit.__file__).with_name("views").glob("*.py"))
    names = [f"mlops_kit.views.{name}" for name in modules if name != "__init__"]
    script = f"import sys, {', '.join(names)}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"jinja2", "markupsafe", "numpy", "pandas", "pyarrow", "sklearn", "asyncio", "fsspec"}


@given(st.text(string.printable))
def test_a_user_cannot_close_an_element(read_html, name):
    facts = Summary(name, name, name)
    row = RunRow(facts.run_id, name, name, name, NOW, None, {name: name}, {}, (), name)
    read_html(runs_html([row, row]))
