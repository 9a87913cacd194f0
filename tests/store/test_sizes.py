"""What is longer than its record says, or than anything of its kind, is named by its size and not read."""

import hashlib
import os
import tracemalloc

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError
from mlops_kit.records import bounds, codec
from mlops_kit.store import backend as backends
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.locate import backend_for
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.objects import digest_at
from mlops_kit.store.store import Store

HUGE = 20 * 2**30
MODEST = 2 * bounds.MAX_BYTES


def fresh(root):
    return Store.on(LocalBackend(root))


def object_file(root, digest):
    hexes = digest.removeprefix("sha256:")
    return root / "objects" / hexes[:2] / hexes


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "store"
    mk.ModelStore(root).register("m", [1])
    with mk.start_run(store=root):
        mk.log_artifact(b"report", "report.txt")
    mk.Dataset.snapshot({"x": [1, 2, 3]}, name="d", store=root)
    return root


def peak(act):
    """Return how many bytes were held at once by what is done."""
    tracemalloc.start()
    try:
        act()
    finally:
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return held


def named(root):
    """List the objects that records name, with a reader of each."""
    store = fresh(root)
    (run,) = mk.list_runs(store=store)
    data = mk.Dataset.load("d:1", store=store)
    manifest = store.journal("datasets", "d", lambda _state, _entry: None).entry(2).body["manifest"]
    return {
        mk.ModelStore(store).get("m:1").digest: lambda: mk.ModelStore(fresh(root)).load("m:1"),
        run.artifacts["report.txt"].object: lambda: mk.get_run(run.id, store=fresh(root)).load("report.txt"),
        data._record.manifest.parts[0].object: lambda: mk.Dataset.load("d:1", store=fresh(root)).to_pandas(),
        manifest: lambda: mk.Dataset.load("d:1", store=fresh(root)),
    }


@pytest.mark.skipif(os.name == "nt", reason="files with holes")
def test_an_object_that_is_longer_than_stated_is_named_and_never_read(root):
    readers = named(root)
    before = {digest: object_file(root, digest).read_bytes() for digest in readers}
    for digest, read in readers.items():
        os.truncate(object_file(root, digest), HUGE)

        def refused(read=read):
            with pytest.raises(IntegrityError, match="is longer than the"):
                read()

        assert peak(refused) < MODEST
        report = []
        assert peak(lambda report=report: report.append(fresh(root).fsck())) < MODEST
        assert f"objects/{digest[7:9]}/{digest[7:]}" in {problem.key for problem in report[0].problems}
        assert peak(lambda: mk.ModelStore(fresh(root)).audit()) < MODEST
        object_file(root, digest).write_bytes(before[digest])
        read()
    assert fresh(root).fsck().ok


@pytest.mark.skipif(os.name == "nt", reason="files with holes")
def test_what_is_written_again_mends_an_object_of_another_size(root):
    digest = mk.ModelStore(root).get("m:1").digest
    os.truncate(object_file(root, digest), HUGE)
    assert peak(lambda: mk.ModelStore(fresh(root)).register("m", [1])) < MODEST
    assert fresh(root).fsck().ok


@pytest.mark.skipif(os.name == "nt", reason="files with holes")
def test_an_object_that_nothing_names_is_digested_in_pieces(root, monkeypatch):
    monkeypatch.setattr(bounds, "MAX_BYTES", 2**20)
    monkeypatch.setattr(backends, "PIECE", 2**18)
    content = bytes(3 * 2**20)
    digest = hashlib.sha256(content).hexdigest()
    for hexes in (digest, "ab" * 32):
        place = object_file(root, hexes)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    (problem,) = fresh(root).fsck().problems
    assert (problem.kind, problem.key) == ("damaged", f"objects/ab/{'ab' * 32}")
    assert digest in problem.message
    assert peak(lambda: digest_at(LocalBackend(root), f"objects/{digest[:2]}/{digest}")) < 2**20
    os.truncate(object_file(root, digest), bounds.MAX_OBJECT + 1)
    assert "it was not read" in " ".join(str(problem) for problem in fresh(root).fsck().problems)


@pytest.mark.skipif(os.name == "nt", reason="files with holes")
def test_gc_finds_what_an_unknown_file_of_any_length_names(root, monkeypatch):
    monkeypatch.setattr(backends, "PIECE", 100)
    kept = fresh(root).objects.put(b"named far behind")
    (root / "later.bin").write_bytes(b"x" * 970 + kept.encode() + b"y" * 500)
    os.truncate(root / "later.bin", 20_000)
    fresh(root).gc(grace=0, dry_run=False, exclusive=True)
    assert object_file(root, kept).exists()


@pytest.mark.parametrize("change", [{"rows": 9}, {"size": 9}, {"unpacked": 9}, {"values": 9}, {"all rows": 9}])
def test_fsck_names_a_manifest_that_says_other_than_its_part_is(change):
    backend = MemoryBackend(f"parts {change}")
    store = Store.on(backend)
    mk.Dataset.snapshot({"x": [1, 2, 3]}, name="d", store=store)
    entry = codec.unseal(backend.get("journals/datasets/d/000000000002.json"), where="")
    digest = entry["body"]["manifest"].removeprefix("sha256:")
    manifest = codec.unseal(backend.get(f"objects/{digest[:2]}/{digest}"), where="")
    (part,) = manifest["parts"]
    changed = {**manifest, "rows": 9} if "all rows" in change else {**manifest, "parts": [{**part, **change}]}
    data = codec.seal("manifest", changed)
    hexes = hashlib.sha256(data).hexdigest()
    backend.put(f"objects/{hexes[:2]}/{hexes}", data)
    assert [problem.key for problem in Store.on(backend).fsck().problems] == [f"objects/{hexes[:2]}/{hexes}"]


def test_a_segment_of_a_monitor_that_has_other_rows_than_its_name_says_is_not_read(tmp_path):
    import pyarrow as pa

    from mlops_kit.monitoring.segments import Segments

    store = mk.Store(tmp_path / "store")
    segments = Segments(store, "m")
    segment = segments.write(pa.table({"x": list(range(1000))}), kind="labels", writer="0123456789ab", seq=1, first=0)
    assert segments.read(segment).num_rows == 1000
    path = tmp_path / "store" / segment.key("m")
    lying = path.with_name(path.name.replace(".0-1000.", ".0-5."))
    path.rename(lying)
    (found,) = segments.listed()
    with pytest.raises(IntegrityError, match="has 1,000 rows, and its name says 5"):
        segments.read(found)


@pytest.mark.parametrize("provider", ["s3", "gcs", "azure", "sftp", "generic"])
def test_no_more_comes_from_a_drive_than_a_value_may_have(request, monkeypatch, provider):
    url = request.getfixturevalue(provider)
    mk.ModelStore(url).register("m", [1])
    monkeypatch.setattr(bounds, "_LONGEST", {".json": 2**16})
    digest = mk.ModelStore(url).get("m:1").digest
    key = f"objects/{digest[7:9]}/{digest[7:]}"
    lengths = []
    store = Store.on(backend_for(url))
    drive = store.backend._drive()
    read = drive.read

    def counted(*args):
        data = read(*args)
        lengths.append(len(data))
        return data

    monkeypatch.setattr(drive, "read", counted)
    sound = store.backend.get(key)
    store.backend.put(key, bytes(2**20))
    with pytest.raises(IntegrityError, match="is longer than the"):
        mk.ModelStore(store).load("m:1")
    assert key in {problem.key for problem in store.fsck().problems}
    store.backend.put(key, sound)
    lengths.clear()
    store.backend.put("journals/models/m/000000000002.json", bytes(2**20))
    with pytest.raises(IntegrityError, match="bytes; none has more than"):
        mk.ModelStore(Store.on(store.backend)).history("m").append(mk.ModelStore(Store.on(store.backend)).load("m:1"))
    assert max(lengths) <= 2**16 + 1
