"""The backends we ship pass the exam we ship, by every means of putting if absent."""

import os
import stat

import pytest

from mlops_kit.errors import ReadOnlyStore, StoreError
from mlops_kit.store import local
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.testing import BackendContract


class TestMemory(BackendContract):
    def make(self, tmp_path):
        return MemoryBackend(str(tmp_path))


class TestLocal(BackendContract):
    def make(self, tmp_path):
        return LocalBackend(tmp_path / "store")


class TestLocalWithoutLinks(TestLocal):
    """A file system without hard links, where a rename that refuses to replace takes their place."""

    @pytest.fixture(autouse=True)
    def _no_links(self, monkeypatch):
        def link(*_args, **_kwargs):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)

    def make(self, tmp_path):
        backend = LocalBackend(tmp_path / "store")
        if backend.capabilities() != {"create": "rename-noreplace"}:
            pytest.skip("this file system has no renameat2")
        return backend


class TestLocalSingleWriter(TestLocal):
    """A file system with neither: one writer at a time is served well, and the store says so."""

    @pytest.fixture(autouse=True)
    def _neither(self, monkeypatch):
        def refused(*_args, **_kwargs):
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(os, "link", refused)
        monkeypatch.setattr(local, "_rename_exclusive", refused)

    def make(self, tmp_path):
        backend = LocalBackend(tmp_path / "store")
        assert backend.capabilities() == {"create": "single-writer"}
        return backend

    def test_of_many_creators_at_once_exactly_one_wins(self, tmp_path):
        pytest.skip("it is what single-writer stores do not promise")


def test_the_means_is_written_down_and_the_next_opening_keeps_to_it(tmp_path, monkeypatch):
    from mlops_kit import Store

    def link(*_args, **_kwargs):
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link)
        store = Store(tmp_path / "store")
        store.ensure()
    assert store.describe()["capabilities"]["create"] != "link"
    monkeypatch.setattr(os, "link", lambda *_args: pytest.fail("the next opening used links"))
    again = Store(tmp_path / "store")
    again.describe()
    assert again.backend.create("a", b"1")


@pytest.mark.skipif(os.name == "nt", reason="mode bits")
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_nothing_is_writable_by_others_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        backend = LocalBackend(tmp_path / "store")
        backend.create("journals/models/x/000000000001.json", b"1")
        backend.put("objects/ab/abc", b"2")
    finally:
        os.umask(before)
    places = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    assert len(places) > 6
    for place in places:
        assert not place.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), place
    assert backend.read_judged("objects/ab/abc").exposed is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permission bits bind ordinary users on POSIX")
def test_a_folder_that_may_not_be_written_says_so(tmp_path):
    root = tmp_path / "store"
    root.mkdir(mode=0o555)
    with pytest.raises(ReadOnlyStore, match="Check the owner and mode"):
        LocalBackend(root).put("a", b"1")


def test_a_file_where_the_store_should_be_is_an_error_that_names_it(tmp_path):
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(StoreError, match="store"):
        LocalBackend(tmp_path / "store").put("a", b"1")


def test_an_unreadable_value_is_an_error_and_not_absence(tmp_path):
    backend = LocalBackend(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="folder"):
        backend.get("folder")


def test_a_failed_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    backend = LocalBackend(tmp_path)
    backend.put("a", b"1")

    def fsync(_fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    for write in (backend.put, backend.create):
        with pytest.raises(StoreError, match="Input/output"):
            write("b", b"2")
    assert not list((tmp_path / "tmp").iterdir())
