"""A thousand bits flipped over every kind of stored file: the check names each, and no read tells another story."""

import json
import os
import random
import secrets
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError
from mlops_kit.monitoring.listing import open_monitor
from mlops_kit.records.references import references
from mlops_kit.store import sweeps
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.spool import spool_of

SEED, FLIPS = 20261122, 1000
_BEGIN = b'"kind":"begin"'
NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
SOUND = Path(__file__).parents[1] / "compat" / "v1"
HINTS = {"head", "mark", "sweep", "lease", "resume", "object: of an epoch that is over"}
"""What is no content, or none any more: with it damaged, every read gives the right answer all the same."""
SPARES = {"start", "object: environment"}
"""What reads may do without: another record repeats it, or only a warning about another Python rests on it."""

TORN = {"step", "object: of a result"}
"""What a power cut may tear: fsck names it, its step runs again, and for gc it names nothing."""


class Noting(MemoryBackend):
    """Memory that notes which values were read."""

    def __init__(self, values):
        super().__init__(secrets.token_hex(8))
        self._values.update(values)
        self.read = set()

    def get(self, key):
        self.read.add(key)
        return super().get(key)


def values():
    """Read the committed store, as files written long ago."""
    paths = (path for path in sorted((SOUND / "store").rglob("*")) if path.is_file())
    return {path.relative_to(SOUND / "store").as_posix(): (path.read_bytes(), 1_700_000_000.0) for path in paths}


def kinds(files):
    """Say what each file is: the objects by what the records that name them call them."""
    named = {}
    for data, _ in files.values():
        if data.startswith(b'{"'):
            named.update((digest, what.partition(" ")[0]) for what, digest in references(json.loads(data)))
    begins = [json.loads(data) for key, (data, _) in sorted(files.items()) if "/monitors/" in key and _BEGIN in data]
    old, present = (
        {digest for begin in some for _, digest in references(begin)} for some in (begins[:-1], begins[-1:])
    )
    named.update(dict.fromkeys(old - present, "of an epoch that is over"))
    named.update(dict.fromkeys(_named_by_results_only(files), "of a result"))
    found = {}
    for key in files:
        folder, _, name = key.rpartition("/")
        if folder.startswith("objects/"):
            found[key] = f"object: {named.get(f'sha256:{name}', 'named by nothing')}"
        elif folder.startswith("journals/"):
            found[key] = "head" if name == "head.json" else "entry"
        elif folder.startswith("monitors/"):
            found[key] = f"monitor: {name.split('.')[1]}"
        elif folder.startswith("runs/"):
            found[key] = "metrics" if name.endswith(".jsonl") else name.split(".")[1].partition("-")[0]
        else:
            found[key] = folder.removeprefix("gc/").rstrip("s") or "store"
    return found


def _named_by_results_only(files):
    """Find the objects that the results of steps need, and nothing else: their steps run again if they are lost."""
    names = {
        key: {digest for _, digest in references(json.loads(data))}
        for key, (data, _) in files.items()
        if data.startswith(b'{"')
    }

    def needed(keys):
        found, new = set(), set().union(*(names[key] for key in keys))
        while new:
            found |= new
            inner = (names.get(f"objects/{digest[7:9]}/{digest[7:]}", set()) for digest in new)
            new = set().union(*inner) - found
        return found

    results = {key for key in names if key.startswith("steps/")}
    return needed(results) - needed(key for key in names if key not in results and not key.startswith("objects/"))


def shown(value):
    return mk.fingerprint(value) if hasattr(value, "columns") else repr(value)


def _told(run):
    parts = [run.name, run.status, run.params, run.metrics, run.inputs, run.tags, run.error, run.models, run.rng]
    parts += [run.code, run.environment, [run.metric_history(name) for name in run.metrics]]
    return parts + [shown(run.load(name)) for name in (*run.outputs, *run.artifacts)]


def whole(found):
    """Refuse a listing that had to pass over something."""
    if found.problems:
        raise IntegrityError(str(found.problems[0]))
    return found


def reads(store):
    """Give every read that the public API offers, each for itself, so that one damage spoils few of them."""
    models = mk.ModelStore(store)
    acts = [lambda store: store.describe(), _garbage, _read_garbage]
    for name in models.names():
        acts.append(
            lambda store, name=name: [whole(mk.ModelStore(store).history(name)), mk.ModelStore(store).aliases(name)]
        )
        digests = _evidence(models.history(name))
        acts += [lambda store, digest=digest: mk.ModelStore(store).evidence(digest) for digest in digests]
        for version in models.versions(name):
            acts.append(lambda store, spec=version.spec: mk.ModelStore(store).load(spec))
            acts.append(lambda store, spec=version.spec: repr(mk.ModelStore(store).lineage(spec)))
    for name in mk.Dataset.names(store=store):
        for dataset in mk.Dataset.versions(name, store=store):
            acts.append(lambda store, spec=dataset.spec: shown(mk.Dataset.load(spec, store=store).to_pandas()))
            acts.append(lambda store, spec=dataset.spec: mk.Dataset.load(spec, store=store).profile)
    acts += [lambda store: open_monitor("scores", store).alerts(), _predicted, _judged_again]
    return acts + [lambda store, run_id=run_id: _told(mk.get_run(run_id, store=store)) for run_id in store.runs.ids()]


def _evidence(history):
    for entry in history:
        tags = entry.body.get("tags") or {}
        yield from filter(None, (entry.body.get("evidence"), tags.get("refused@champion")))


def _predicted(store):
    return shown(open_monitor("scores", store).predictions())


def _judged_again(store):
    """Let labels come whose truth was known already, from the first and the last of those that were."""
    monitor = open_monitor("scores", store)
    known = monitor.predictions().dropna(subset="label")["id"]
    monitor.log_labels(known.iloc[[0, -1]], [7, 7])
    report = monitor.check(now=NOON)
    return report.performance, report.coverage, report.alerts, report.features


def _garbage(store):
    """Ask what is needed and what is not; when it goes is another matter."""
    report = store.gc()
    return report.kept, sorted([*report.marked, *report.deleted])


def _read_garbage(store):
    return [store.objects.get(f"sha256:{key[-64:]}") for key in _garbage(store)[1]]


def asked(act, files):
    """Ask a store in a fresh process, as it were; give the answer and what was read for it."""
    backend = Noting(files)
    return repr(act(mk.Store.on(backend))).replace(backend.url, "memory://x"), backend.read


def flipped(data, number):
    changed = bytearray(data)
    changed[number // 8] ^= 1 << number % 8
    return bytes(changed)


@pytest.mark.slow
def test_each_of_a_thousand_flipped_bits_is_found_by_the_check_and_by_the_read_that_meets_it(monkeypatch, figure):
    monkeypatch.setattr(sweeps, "PATIENCE_SECONDS", 0.0)
    files = values()
    kind_of = kinds(files)
    acts = reads(mk.Store.on(Noting(files)))
    sound = [asked(act, files) for act in acts]
    readers = {key: [number for number, (_, read) in enumerate(sound) if key in read] for key in files}
    for key, kind in kind_of.items():
        assert readers[key] or kind in HINTS | TORN, f"nothing reads {key}, a {kind}"
    chance = random.Random(SEED)
    by_kind = {kind: [key for key in files if kind_of[key] == kind] for kind in sorted(set(kind_of.values()))}
    counts = Counter()
    for turn in range(FLIPS):
        kind = list(by_kind)[turn % len(by_kind)]
        key = chance.choice(by_kind[kind])
        data, at = files[key]
        place = chance.randrange(8 * len(data))
        damaged = {**files, key: (flipped(data, place), at)}
        where = f"bit {place} of {key}, a {kind}"
        report = mk.Store.on(Noting(damaged)).fsck()
        damage = "stale-result" if kind == "step" else "damaged"
        assert [(problem.kind, problem.key) for problem in report.problems] == [(damage, key)], where
        meeting = [] if kind in TORN else readers[key]
        for number in chance.sample(meeting, min(2, len(meeting))):
            try:
                answer, _ = asked(acts[number], damaged)
            except IntegrityError:
                assert kind not in HINTS, where
            else:
                assert answer == sound[number][0], where
                assert kind in HINTS | SPARES, where
            counts["reads", kind] += 1
        counts[kind] += 1
    for kind in by_kind:
        figure(
            f"bit flips, {kind}: {counts[kind]} found by fsck, {counts['reads', kind]} reads, none told another story"
        )
    assert sum(counts[kind] for kind in by_kind) == FLIPS


def test_a_bit_flipped_in_a_spool_is_found_by_the_delivery(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SPOOL", str(tmp_path / "spool"))
    url = "memory://compat-v1"
    chance, spool = random.Random(SEED), spool_of(url).root
    names = sorted(path.relative_to(SOUND / "spool") for path in (SOUND / "spool").rglob("*") if path.is_file())
    for name in names:
        shutil.rmtree(tmp_path / "spool", ignore_errors=True)
        shutil.copytree(SOUND / "spool", tmp_path / "spool")
        path = tmp_path / "spool" / name
        path.write_bytes(flipped(path.read_bytes(), chance.randrange(8 * path.stat().st_size)))
        backend = MemoryBackend("compat-v1")
        backend._values.clear()
        store = mk.Store.on(backend)
        if name.name == "spool.json":  # it says to people whose spool it is; nothing else reads it
            assert store.sync().ok
        else:
            with pytest.raises(IntegrityError):
                store.sync()
            assert spool.exists()
            assert os.path.exists(path)
        assert store.fsck().ok
