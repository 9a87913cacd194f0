"""Objects: kept once, verified at every read, refreshed when they are old."""

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, ObjectNotFound
from mlops_kit.records import versions
from mlops_kit.store import keys
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.objects import Objects, digest_of


class Clocked(MemoryBackend):
    """Memory with a clock of its own, counting what is written."""

    def __init__(self, name):
        super().__init__(name)
        self.time, self.puts, self.touches = 1_000_000.0, 0, 0

    def now(self):
        return self.time

    def put(self, key, data, *, durable=True):
        self.puts += 1
        self._values[key] = (bytes(data), self.time)

    def touch(self, key):
        self.touches += 1
        self._values[key] = (self._values[key][0], self.time)


@pytest.fixture
def backend(tmp_path):
    return Clocked(str(tmp_path))


@given(st.binary())
def test_bytes_come_back_under_their_own_digest(data):
    objects = Objects(MemoryBackend("objects-test"), 100)
    digest = objects.put(data)
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}" == digest_of(data)
    assert objects.get(digest) == data


def test_the_same_bytes_are_written_once(backend):
    for objects in (Objects(backend, 100), Objects(backend, 100)):
        for data in (b"same", bytearray(b"same"), memoryview(b"same")):
            objects.put(data)
    assert backend.puts == 1


def test_an_old_object_is_refreshed_when_it_is_used_again(backend):
    objects = Objects(backend, 100)
    objects.put(b"x")
    backend.time += 50
    objects.put(b"x")
    assert backend.touches == 0
    backend.time += 51
    objects.put(b"x")
    Objects(backend, 100).put(b"x")
    assert (backend.touches, backend.puts) == (1, 1)


def test_an_object_that_was_cut_short_is_written_again(backend):
    digest = Objects(backend, 100).put(b"whole")
    backend.put(f"objects/{digest[7:9]}/{digest[7:]}", b"who")
    objects = Objects(backend, 100)
    assert objects.put(b"whole") == digest
    assert objects.get(digest) == b"whole"


def test_a_missing_object_is_named(backend):
    with pytest.raises(ObjectNotFound, match=r"The model sha256:0+ is not in the store memory://.*fsck"):
        Objects(backend, 100).get("sha256:" + "0" * 64, what="model")


def test_a_damaged_object_is_refused_with_both_digests(backend):
    digest = Objects(backend, 100).put(b"right")
    backend.put(f"objects/{digest[7:9]}/{digest[7:]}", b"wrong")
    with pytest.raises(IntegrityError, match=f"expected {digest}, found {digest_of(b'wrong')}"):
        Objects(backend, 100).get(digest)


def test_content_is_uncompressed_only_where_the_record_says_so(backend):
    objects = Objects(backend, 100)
    packed = pa.compress(b"content" * 100, codec="zstd", asbytes=True)
    stored = objects.put(packed)
    assert objects.get(stored, codec="zstd") == b"content" * 100
    assert objects.get(stored) == packed
    assert objects.get(objects.put(b"plain"), codec="zstd") == b"plain"


def test_what_is_costly_to_make_is_made_when_its_key_changes_or_it_grows_old(backend):
    objects, made = Objects(backend, 100), []

    def make():
        made.append(1)
        return b"environment"

    for key in ("a", "a", "b", "b"):
        objects.put_once("slot", key, make)
    assert len(made) == 2
    backend.time += 101
    objects.put_once("slot", "b", make)
    assert len(made) == 3
    assert backend.touches == 1


def test_putting_the_same_bytes_again_mends_a_damaged_object(tmp_path):
    digest = mk.Store(tmp_path).objects.put(b"whole")
    stored = tmp_path / keys.object_key(digest)
    stored.write_bytes(b"whale")
    again = mk.Store(tmp_path)
    assert again.objects.put(b"whole") == digest
    assert again.objects.get(digest) == b"whole"


class Cut(MemoryBackend):
    """Memory whose next answers are cut in their middle, as a proxy may do it."""

    cut = 0

    def get(self, key):
        data = super().get(key)
        if data is not None and self.cut:
            self.cut -= 1
            return data[: len(data) // 2]
        return data


@pytest.mark.parametrize("kind", ["object", "entry", "run", "store"])
def test_bytes_that_do_not_fit_are_read_once_more_before_the_store_is_called_damaged(kind, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")
    backend = Cut(f"cut-{kind}")
    store = mk.Store.on(backend)
    digest = store.objects.put(b"some bytes")
    with mk.start_run("r", store=store) as run:
        pass
    mk.ModelStore(store).register("m", [1])
    reads = {
        "object": lambda place: place.objects.get(digest),
        "entry": lambda place: place.journal("models", "m", versions.fold).entry(1).kind,
        "run": lambda place: place.runs.end(run.id).status,
        "store": lambda place: place.describe()["id"],
    }
    expected = reads[kind](store)
    backend.cut = 1
    assert reads[kind](mk.Store.on(backend)) == expected
    backend.cut = 2
    with pytest.raises(IntegrityError):
        reads[kind](mk.Store.on(backend))
