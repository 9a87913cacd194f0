"""A file that is longer than any of its kind is refused by its size, before it is read, and hides no other."""

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, StoreError
from mlops_kit.records.bounds import MAX_BYTES
from mlops_kit.store import local

RECORDS = ["runs/*/*.end.json", "journals/models/a/000000000001.json", "journals/models/a/head.json", "store.json"]


@pytest.fixture
def store(tmp_path):
    for name in ("first", "second"):
        with mk.start_run(name, store=tmp_path / "store"):
            mk.log_metric("loss", 0.5)
    models = mk.ModelStore(tmp_path / "store")
    models.register("a", [1])
    models.register("b", [2])
    return mk.Store(tmp_path / "store")


def lengthen(store, pattern):
    """Make the first file of a pattern too long, which costs no disk, and give its key."""
    root = local.Path(store.url)
    path = min(root.glob(pattern))
    with path.open("r+b") as file:
        file.truncate(8 * MAX_BYTES + 1)
    return path.relative_to(root).as_posix()


@pytest.fixture
def read(monkeypatch):
    """List the sizes of the files that are read."""
    sizes = []
    whole = local._read
    monkeypatch.setattr(local, "_read", lambda fd, found: sizes.append(found.st_size) or whole(fd, found))
    return sizes


@pytest.mark.parametrize("pattern", RECORDS)
def test_fsck_calls_it_damaged_without_reading_it(store, read, pattern):
    key = lengthen(store, pattern)
    assert [(problem.kind, problem.key) for problem in store.fsck().problems] == [("damaged", key)]
    assert max(read) <= MAX_BYTES


def test_listings_pass_over_it(store, read):
    lengthen(store, "runs/*/*.end.json")
    lengthen(store, "journals/models/a/000000000001.json")
    runs, names = mk.list_runs(store=store), mk.ModelStore(store).names()
    assert (len(runs), len(runs.problems), list(names), len(names.problems)) == (1, 1, ["a", "b"], 1)
    assert max(read) <= MAX_BYTES


@pytest.mark.parametrize("pattern", RECORDS[:2])
def test_gc_names_it_and_deletes_nothing(store, read, pattern):
    key = lengthen(store, pattern)
    with pytest.raises(IntegrityError) as caught:
        store.gc()
    assert [problem.key for problem in caught.value.problems] == [key]
    assert max(read) <= MAX_BYTES


def test_a_hint_is_read_past_and_mended(store, read):
    key = lengthen(store, "journals/models/a/head.json")
    assert [version.version for version in mk.ModelStore(mk.Store(store.url)).versions("a")] == [1]
    assert mk.ModelStore(mk.Store(store.url)).audit().ok is False
    assert max(read) <= MAX_BYTES
    assert store.fsck(repair=True).repaired == (f"{key}: written again from the entries of the journal",)


def test_points_too_are_of_a_bounded_length(store, tmp_path):
    key = "runs/2026-01-01/0123abcd-0123456789ab.metrics-000001.jsonl"
    store.backend.put(key, b"")
    lengthen(store, key)
    with pytest.raises(IntegrityError, match="none has more than"):
        store.backend.get(key)


def test_an_object_that_does_not_fit_into_memory_is_named(store, monkeypatch):
    def no_room(fd, found):
        local.os.close(fd)
        raise MemoryError

    key = next(found.key for found in store.backend.walk("objects/"))
    monkeypatch.setattr(local, "_read", no_room)
    with pytest.raises(StoreError, match=rf"'{key}' in the store .* do not fit into memory"):
        store.backend.get(key)
