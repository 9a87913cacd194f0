"""Records that are sealed correctly and say what no writer says: every reader answers, or fails with a typed error."""

import copy
import json
import random
import warnings
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import MlopsKitError
from mlops_kit.monitoring.listing import monitor_names, open_monitor
from mlops_kit.records import codec
from mlops_kit.records.dataset import Manifest
from mlops_kit.records.gate import GateRecord
from mlops_kit.records.profile import TableProfile
from mlops_kit.store.memory import MemoryBackend

STORE = Path(__file__).parents[1] / "compat" / "v1" / "store"
WHOLE = {path.relative_to(STORE).as_posix(): path.read_bytes() for path in STORE.rglob("*") if path.is_file()}
KEYS = sorted(path.relative_to(STORE).as_posix() for path in STORE.rglob("*.json") if path.name != "store.json")
OBJECTS = sorted(path for path in (STORE / "objects").rglob("*/*") if path.read_bytes().startswith(b'{"'))
DECODED = {"manifest": Manifest.decode, "profile": TableProfile.decode, "gate-report": GateRecord.decode}

HOSTILE = [
    None,
    True,
    -1,
    0,
    2**53,
    -0.5,
    1e308,
    "",
    "\x1b[31m\u202e",
    "../../etc/passwd",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00.000000Z",
    "sha256:" + "0" * 64,
    [],
    {},
    [[]],
    [None],
    {"$": "no such tag"},
    {"$": []},
    {"$": "int", "v": "9" * 200_000},
    {"$": "datetime", "v": "no"},
    {"$": "float", "v": "nan"},
    {"$": "set", "v": [[]]},
    {"$": "repr", "type": 5, "v": None},
    {"$": "bytes", "v": "?"},
    {str(number): number for number in range(3000)},
    json.loads("[" * 300 + "]" * 300),
]


def places(value, path=()):
    """List the paths of all members of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(*path, name) for name, _ in items]
    return found + [place for name, item in items for place in places(item, (*path, name))]


def spoiled(data, chance):
    """Change a random member of a record to something hostile, or remove it, and seal it again."""
    record = codec.unseal(data, where="")
    kind = record.pop("record")
    record.pop("format")
    *way, last = chance.choice(places(record))
    inner = record
    for step in way:
        inner = inner[step]
    if chance.random() < 0.7 or not isinstance(inner, dict):
        inner[last] = copy.deepcopy(chance.choice(HOSTILE))
    else:
        del inner[last]
    return codec.seal(kind, record)


def shown(found):
    """Show something in every way it has."""
    return [str(found), repr(found), getattr(found, "_repr_html_", str)()]


def of_run(run):
    members = (
        "name",
        "status",
        "started",
        "ended",
        "by",
        "params",
        "tags",
        "metrics",
        "inputs",
        "outputs",
        "artifacts",
    )
    more = ("models", "code", "environment", "rng", "resources", "error", "problems", "parent", "children")
    return [shown(getattr(run, member)) for member in (*members, *more)] + [shown(run)]


def readers(store, key):
    """List what the public API reads of a record, and of all records."""
    models = mk.ModelStore(store)
    kind, _, rest = key.partition("/")
    if kind == "runs":
        yield lambda: [shown(mk.list_runs(store=store)), mk.list_runs(store=store).to_pandas()]
        yield lambda: of_run(mk.get_run(rest.partition("/")[2][:21], store=store))
    if key.startswith("journals/models/"):
        name = rest.split("/")[1].replace("%C5%BC%C3%B3%C5%82w", "żółw")
        yield lambda: [shown(models.names()), shown(models.history(name)), shown(models.versions(name))]
        yield lambda: [models.aliases(name), models.frozen(name), shown(models.timeline(name))]
        yield lambda: shown(models.lineage(f"{name}@latest"))
        yield lambda: models.card(f"{name}@latest").to_html()
        yield lambda: shown(models.get(f"{name}:1", as_of="2027-01-01"))
        yield lambda: models.load(f"{name}:1")
        yield lambda: models.promote(f"{name}:1")
        yield lambda: shown(models.audit())
    if key.startswith("journals/datasets/"):
        name = rest.split("/")[1]
        yield lambda: [shown(mk.Dataset.names(store=store)), shown(mk.Dataset.versions(name, store=store))]
        yield lambda: mk.Dataset.load(f"{name}@latest", store=store).to_pandas()
    if key.startswith("journals/monitors/"):
        yield lambda: [shown(monitor_names(store)), shown(open_monitor("scores", store).alerts())]
        yield lambda: shown(open_monitor("scores", store).check(now=datetime(2026, 12, 1, tzinfo=UTC)))
    yield lambda: shown(store.fsck())
    yield lambda: shown(store.gc())


@settings(max_examples=30, derandomize=True, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 2**32))
def test_every_reader_answers_or_fails_with_a_typed_error(seed):
    chance = random.Random(seed)
    key = chance.choice(KEYS)
    changed = spoiled(WHOLE[key], chance)
    backend = MemoryBackend("hostile")
    for name, content in WHOLE.items():
        backend.put(name, changed if name == key else content)
    for read in readers(mk.Store.on(backend), key):
        try:
            with warnings.catch_warnings(
                action="ignore"
            ):  # what code changed, what overflows: none of it is a reader's
                told = str(read())
        except MlopsKitError as error:
            told = str(error)
        assert "\x1b" not in told
    for found in list(backend.walk("")):
        backend.delete(found.key)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(0, 2**32))
def test_a_record_kept_as_an_object_is_read_or_is_a_typed_error(seed):
    chance = random.Random(seed)
    changed = spoiled(chance.choice(OBJECTS).read_bytes(), chance)
    decode = DECODED.get(codec.unseal(changed, where="").get("record"))
    if decode is not None:
        try:
            repr(decode(changed, where="here"))
        except MlopsKitError:
            return


def test_a_number_of_thousands_of_digits_is_not_shown_whole():
    backend = MemoryBackend("digits")
    store = mk.Store.on(backend)
    mk.ModelStore(store).register("m", 1)
    key = "journals/models/m/000000000002.json"
    record = codec.unseal(backend.get(key), where=key)
    backend.put(key, codec.seal("entry", {**record, "seq": 10**4000}))
    backend.delete("journals/models/m/head.json")
    fresh = mk.Store.on(backend)
    history = mk.ModelStore(fresh).history("m")
    assert "carries the number 1000000000000000000…:" in history.problems[0].message
    assert len(repr(fresh.fsck())) + len(repr(mk.ModelStore(fresh).audit())) + len(history.problems[0].message) < 2000
