"""doctor: a good place is told from a bad one, and nothing is left behind."""

import os
import time

import pytest

import mlops_kit as mk
from mlops_kit.errors import StoreError
from mlops_kit.store.memory import MemoryBackend


def failed(backend):
    report = mk.Store.on(backend).doctor()
    assert report.ok is (not report.problems)
    return {finding.probe for finding in report.problems}


class Racy(MemoryBackend):
    def create(self, key, data):
        if self.get(key) is not None:
            return False
        time.sleep(0.005)
        self.put(key, data)
        return True


class Stale(MemoryBackend):
    """Deleted values are still seen, as from a cache."""

    def get(self, key):
        found = super().get(key)
        self.cache = {**getattr(self, "cache", {}), **({key: found} if found else {})}
        return self.cache.get(key)


class Lagging(MemoryBackend):
    def walk(self, prefix):
        return iter(())


class Keeping(MemoryBackend):
    def put(self, key, data, *, durable=True):
        if self.stat(key) is None:
            super().put(key, data)


class Torn(MemoryBackend):
    def put(self, key, data, *, durable=True):
        if len(data) > 100:
            super().put(key, data[:100])
            time.sleep(0.005)
        super().put(key, data)


class Late(MemoryBackend):
    def now(self):
        return super().now() - 3600


class Refusing(MemoryBackend):
    def put(self, key, data, *, durable=True):
        raise StoreError("May not write here.")

    create = put


@pytest.mark.parametrize(
    ("backend", "probes"),
    [
        (MemoryBackend, set()),
        (Racy, {"create race"}),
        (Stale, {"read after write"}),
        (Lagging, {"listing"}),
        (Keeping, {"overwrite"}),
        (Torn, {"whole values"}),
        (Late, {"clock"}),
    ],
)
def test_what_a_place_does_not_do_is_named(backend, probes, tmp_path):
    assert failed(backend(str(tmp_path))) == probes


def test_a_place_that_cannot_be_written_is_told_and_does_not_raise(tmp_path):
    report = mk.Store.on(Refusing(str(tmp_path))).doctor()
    assert not report.ok
    assert "May not write here." in repr(report)
    assert report.promises[0].startswith("Do not keep a store here: ")


def test_a_store_for_one_writer_says_so_and_is_ok(tmp_path):
    class Alone(Racy):
        def capabilities(self):
            return {"create": "single-writer"}

    store = mk.Store.on(Alone(str(tmp_path)))
    store.ensure()
    report = store.doctor()
    assert report.ok
    assert "One writer at a time may use this store." in report.promises
    assert "create: single-writer" in repr(report)


def test_a_folder_is_found_good_and_left_as_it_was(rich_store, monkeypatch):
    before = sorted(path for path in rich_store.rglob("*") if path.is_file())
    report = mk.Store(rich_store).doctor()
    assert report.ok, report
    assert report.promises[0] == "Many writers at once may use this store."
    assert "you trust everybody" in report.promises[1]
    monkeypatch.delenv("MLOPS_KIT_TRUST")
    assert "it is not noted that you made the store here" in mk.Store(rich_store).doctor().promises[1]
    mine = mk.Store("mine")
    mine.ensure()
    assert "nobody else may write here" in mine.doctor().promises[1]
    assert sorted(path for path in rich_store.rglob("*") if path.is_file()) == before


def test_a_folder_that_does_not_exist_is_tried_out_and_does_not_exist_afterwards(tmp_path):
    report = mk.Store(tmp_path / "deep" / "store").doctor()
    assert report.ok, report
    assert "there is no store here yet" in repr(report)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no mode bits")
def test_a_folder_that_others_may_write_to_is_told(tmp_path):
    tmp_path.chmod(0o777)
    told = mk.Store(tmp_path).doctor().promises[1]
    assert told.startswith(f"Pickles from here are not loaded, for others may write to {tmp_path} (mode 777)")
    assert f"`mlops-kit trust add {tmp_path}`" in told


@pytest.mark.skipif(os.name == "nt", reason="no mode bits")
def test_a_folder_that_is_trusted_already_is_not_told_to_be_trusted(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    mk.Trust(str(tmp_path)).add()
    assert "you trust everybody" in mk.Store(tmp_path).doctor().promises[1]
    mk.Trust(str(tmp_path)).remove()
    assert "you trust everybody" not in mk.Store(tmp_path).doctor().promises[1]
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(tmp_path))
    assert "you trust everybody" in mk.Store(tmp_path).doctor().promises[1]


def test_a_damaged_record_of_the_store_is_a_problem(rich_store):
    (rich_store / "store.json").write_bytes(b"?")
    assert [finding.probe for finding in mk.Store(rich_store).doctor().problems] == ["store.json"]
