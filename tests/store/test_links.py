"""Nothing outside a store's root is read, written or deleted, wherever a link, pipe or device lies in it."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, MlopsKitError, StoreError
from mlops_kit.store import folders, keys
from mlops_kit.store.local import LocalBackend
from mlops_kit.testing import BackendContract

posix = pytest.mark.skipif(os.name == "nt", reason="links, pipes and devices of POSIX")
KEY = "runs/2026-01-01/0123456789abcdef-1.json"
OLD = 1_000_000_000.0
OPERATIONS = {
    "get": lambda backend: backend.get(KEY),
    "put": lambda backend: backend.put(KEY, b"new"),
    "put, not synced": lambda backend: backend.put(KEY, b"new", durable=False),
    "put below": lambda backend: backend.put(f"{KEY}/deeper/file", b"new"),
    "create": lambda backend: backend.create(KEY, b"new"),
    "create another": lambda backend: backend.create(f"{KEY}x", b"new"),
    "stat": lambda backend: backend.stat(KEY),
    "touch": lambda backend: backend.touch(KEY),
    "delete": lambda backend: backend.delete(KEY),
    "walk": lambda backend: [found.key for found in backend.walk("runs/2026-01-01/")],
    "walk everything": lambda backend: [found.key for found in backend.walk("") if found.key != "own"],
    "folders": lambda backend: backend.folders("runs/2026-01-01/"),
}


@pytest.fixture(params=["by descriptor", "by path"], autouse=True)
def means(request, monkeypatch):
    """Go through folders by descriptors, and by paths as on Windows."""
    if request.param == "by path":
        monkeypatch.setattr(folders, "BY_DESCRIPTOR", False)
    return request.param


class TestByPath(BackendContract):
    @pytest.fixture(autouse=True)
    def _means(self, monkeypatch):
        monkeypatch.setattr(folders, "BY_DESCRIPTOR", False)

    def make(self, tmp_path):
        return LocalBackend(tmp_path / "store")


def state(folder):
    """Give all that can be seen of a folder from outside."""
    places = [folder, *sorted(folder.rglob("*"))]
    return [(str(each), each.lstat().st_mtime_ns, each.is_file() and each.read_bytes()) for each in places]


def linked(root, outside, depth):
    """Make a store whose `depth`-th component on the way to KEY is a link to the like of it outside."""
    backend = LocalBackend(root)
    backend.put("own", b"own")
    parts = KEY.split("/")
    inside, target = root.joinpath(*parts[:depth]), outside.joinpath(*parts[:depth])
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.symlink_to(target)
    return backend


@posix
@given(depth=st.integers(1, 3), name=st.sampled_from(sorted(OPERATIONS)))
def test_no_operation_goes_through_a_link(tmp_path_factory, depth, name):
    outside = tmp_path_factory.mktemp("outside")
    (outside / KEY).parent.mkdir(parents=True)
    (outside / KEY).write_bytes(b"precious")
    backend = linked(tmp_path_factory.mktemp("place") / "store", outside, depth)
    before = state(outside)
    with contextlib.suppress(Refused):
        with naming("/".join(KEY.split("/")[:depth])):
            answer = OPERATIONS[name](backend)
        assert answer == [] or name not in {"get", "stat", "walk", "walk everything", "folders"}
    assert state(outside) == before


class Refused(Exception):
    """An operation was refused with a message that names the link."""


@contextlib.contextmanager
def naming(place):
    try:
        yield
    except StoreError as error:
        if place in str(error):
            raise Refused from error
        raise


@posix
@pytest.mark.parametrize("name", ["objects", "runs", "journals", "journals/models", "journals/models/rich", "monitors"])
def test_a_folder_that_was_linked_to_a_bigger_disk_is_told_the_remedy(rich_store, tmp_path, name):
    disk = tmp_path / "bigger-disk"
    shutil.move(rich_store / name, disk)
    (rich_store / name).symlink_to(disk)
    before, store = state(disk), mk.Store(rich_store)
    problems = {problem.key: problem for problem in store.fsck(repair=True).problems}
    assert problems[name].kind == "foreign-file"
    assert "Move the whole store and name its root, or a link to it" in problems[name].message
    with pytest.raises(IntegrityError, match="is a symbolic link"):
        store.gc(grace=0, dry_run=False, exclusive=True)
    for act in (
        lambda: mk.ModelStore(store).register("rich", [1]),
        lambda: mk.ModelStore(store).load("rich:1"),
        lambda: mk.list_runs(store=store),
        lambda: mk.Dataset.load("customers@latest", store=store),
    ):
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("MLOPS_KIT_SPOOL", str(tmp_path / "spool"))
            with contextlib.suppress(MlopsKitError):
                act()
    assert state(disk) == before


@posix
def test_repair_and_gc_delete_nothing_behind_a_link_at_tmp(rich_store, tmp_path):
    documents = tmp_path / "documents"
    documents.mkdir()
    for name in ("thesis.txt", "1a2b3c4d5e6f7a8b-7"):
        (documents / name).write_text("precious")
        os.utime(documents / name, (OLD, OLD))
    shutil.rmtree(rich_store / "tmp", ignore_errors=True)
    (rich_store / "tmp").symlink_to(documents)
    store = mk.Store(rich_store)
    report = store.fsck(repair=True)
    assert [(problem.kind, problem.key) for problem in report.problems] == [("foreign-file", "tmp")]
    with pytest.raises(IntegrityError, match="tmp is a symbolic link"):
        store.gc(grace=0, dry_run=False, exclusive=True)
    assert sorted(os.listdir(documents)) == ["1a2b3c4d5e6f7a8b-7", "thesis.txt"]


@pytest.mark.parametrize("key", ["tmp/thesis.txt", "tmp/deeper/1a2b3c4d5e6f7a8b-7", "gc/marks/notes/000000000005.json"])
def test_only_files_of_names_that_are_ours_are_deleted(rich_store, key):
    path = rich_store / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("precious")
    os.utime(path, (OLD, OLD))
    store = mk.Store(rich_store)
    assert ("unknown-file", key) in [(problem.kind, problem.key) for problem in store.fsck(repair=True).problems]
    store.gc(grace=0, dry_run=False, exclusive=True)
    assert path.read_text() == "precious"


def pipe(path):
    os.mkfifo(path)


def bound(path):
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def device(path):
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
        path.read_bytes  # noqa: B018 - only its name: reading it would never end
    except PermissionError:
        pytest.skip("only root makes devices")


def endless(path):
    path.symlink_to("/dev/zero")


@posix
@pytest.mark.parametrize("make", [pipe, bound, device, endless])
@pytest.mark.parametrize("place", ["head.json", "000000000001.json", "object", "start", "end"])
def test_what_is_no_regular_file_holds_nobody_up_and_is_named(rich_store, make, place):
    store = mk.Store(rich_store)
    run = next(store.runs.ids())
    key = {
        "object": keys.object_key(mk.ModelStore(store).get("rich:1").digest),
        "start": keys.run_key(run, "start"),
        "end": keys.run_key(run, "end"),
    }.get(place, f"journals/models/rich/{place}")
    (rich_store / key).unlink()
    make(rich_store / key)
    fresh = mk.Store(rich_store)
    with pytest.raises(StoreError, match=key):
        fresh.backend.get(key)
    with pytest.raises(StoreError, match=key):
        fresh.backend.stat(key)
    assert key not in [found.key for found in fresh.backend.walk("")]
    assert ("foreign-file", key) in [(problem.kind, problem.key) for problem in fresh.fsck().problems]
    with pytest.raises(IntegrityError, match=key):
        fresh.gc(grace=0, dry_run=False, exclusive=True)


@posix
def test_the_root_itself_may_be_reached_through_links(rich_store, tmp_path):
    (tmp_path / "disk").symlink_to(rich_store.parent)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / rich_store.name)
    store = mk.Store(tmp_path / "link")
    assert store.url == str(rich_store)
    assert store.fsck().ok
    assert LocalBackend(tmp_path / "link").url == str(rich_store)


@posix
def test_a_root_that_became_a_link_is_not_followed_by_who_opened_it_before(rich_store, tmp_path):
    store = mk.Store(rich_store)
    shutil.move(rich_store, tmp_path / "moved")
    rich_store.symlink_to(tmp_path / "moved")
    before = state(tmp_path / "moved")
    with pytest.raises(StoreError, match="name it anew"):
        store.backend.put("runs/x", b"1")
    assert state(tmp_path / "moved") == before
    assert mk.Store(rich_store).fsck().ok


def test_a_walk_of_folders_without_end_ends(tmp_path):
    backend = LocalBackend(tmp_path / "store")
    backend.put("a/" * 31 + "file", b"1")
    deep = tmp_path / "store" / ("a/" * 40)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"2")
    assert [found.key for found in backend.walk("")] == ["a/" * 31 + "file"]
    assert [foreign.kind for foreign in backend.foreign()] == ["a folder below too many others"]


EXCHANGE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
inside, link = map(os.fsencode, sys.argv[1:])
print(flush=True)
while libc.renameat2(-100, inside, -100, link, 2) == 0: pass
"""


@contextlib.contextmanager
def exchanged(inside, link):
    """Exchange a folder and a link for each other, again and again, in another process."""
    command = [sys.executable, "-c", EXCHANGE, str(inside), str(link)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            yield
        finally:
            other.kill()


def attempts(store, name):
    """Give everything that might write to a folder or delete from it."""
    backend = store.backend
    for number in range(60):
        yield partial(backend.put, f"{name}/{number}", b"new", durable=False)
        yield partial(backend.create, f"{name}/deep/{number}", b"new")
        yield partial(backend.delete, f"{name}/1a2b3c4d5e6f7a8b-7")
        yield lambda: [backend.delete(found.key) for found in backend.walk(f"{name}/")]
    for _ in range(3):
        yield partial(store.fsck, repair=True)
        yield partial(store.gc, 0, dry_run=False, exclusive=True)


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(ctypes.CDLL(None), "renameat2"), reason="renameat2 exchanges two names in one step"
)
@pytest.mark.parametrize("name", ["objects", "runs", "tmp", "journals/models"])
def test_folders_that_are_exchanged_for_links_all_the_time_lead_nowhere(means, rich_store, tmp_path, name):
    if means == "by path":
        pytest.skip("by paths alone nobody can promise that")
    outside, link = tmp_path / "outside", tmp_path / "link"
    (rich_store / name).mkdir(exist_ok=True)
    shutil.copytree(rich_store / name, outside)
    for where in ("1a2b3c4d5e6f7a8b-7", "aa/" + "a" * 64):
        (outside / where).parent.mkdir(exist_ok=True)
        (outside / where).write_text("precious")
    for path in outside.rglob("*"):
        os.utime(path, (OLD, OLD))
    link.symlink_to(outside)
    before = state(outside)
    with exchanged(rich_store / name, link):
        for act in attempts(mk.Store(rich_store), name):
            with contextlib.suppress(MlopsKitError):
                act()
    assert state(outside) == before


@posix
@pytest.mark.parametrize("kind", ["a pipe", "a link"])
def test_fsck_names_what_lies_in_place_of_any_file_or_folder_and_goes_on(rich_store, tmp_path, kind):
    places = sorted(path.relative_to(rich_store) for path in rich_store.rglob("*"))
    for place in places[:: max(1, len(places) // 12)]:
        root = tmp_path / "copy"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(rich_store, root)
        found = root / place
        shutil.rmtree(found) if found.is_dir() else found.unlink()
        os.mkfifo(found) if kind == "a pipe" else found.symlink_to(tmp_path)
        report = mk.Store(root).fsck()
        assert place.as_posix() in {problem.key for problem in report.problems}, place
