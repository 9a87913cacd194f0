"""What was acknowledged survives a power cut, whoever wrote a part of it before and however far that writer came."""

import errno
import gc
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import NotDurable, StoreError
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.spool import spool_of
from mlops_kit.testing import FaultyBackend

pytestmark = [
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no /proc here"),
    # the git that a killed writer has asked is its orphan
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

UNSYNCED = ("head.json", "start.json", "lease.json")
"""Hints, and what the killed writer began: that is not promised to be durable."""

FRAME = pd.DataFrame({"x": [1, 2, 3], "plan": ["a", "b", "a"]})


class Killed(BaseException):
    """The writer was killed."""


class Disk:
    """The system calls of a writer, and which of their effects a power cut would take.

    `die_at` and `fail_at` choose one by its number, from 1: the writer is killed before it, or it fails once.
    """

    NAMING = ("link", "replace", "rename", "mkdir")

    def __init__(self, monkeypatch):
        self._names, self._contents, self._patch = set(), set(), monkeypatch
        self.restart()

    def restart(self, *, die_at=None, fail_at=None, fails=("link", "replace", "rename", "mkdir", "fsync", "unlink")):
        """Let another process begin."""
        self.calls, self.die_at, self.fail_at, self._fails = 0, die_at, fail_at, fails
        self._patch.undo()
        for name in (*self.NAMING, "fsync", "unlink", "write"):
            self._patch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name, act):
        def call(*args, **kwargs):
            if name == "write" and not stat.S_ISREG(os.fstat(args[0]).st_mode):
                return act(*args, **kwargs)
            self.calls += name in self._fails or self.fail_at is None
            if self.die_at is not None and self.calls >= self.die_at:
                raise Killed
            if name in self._fails and self.calls == self.fail_at:
                self.fail_at = -1
                raise OSError(errno.EIO, "Input/output error", args[0])
            answer = act(*args, **kwargs) if name != "fsync" else None  # the power cuts here are not real
            if name in self.NAMING:
                self._names.add(_place(args[-1] if name != "mkdir" else args[0], **kwargs))
            elif name == "write":
                self._contents.add(os.fstat(args[0]).st_ino)
            elif name == "fsync":
                self._synced(args[0])
            return answer

        return call

    def _synced(self, fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            folder = os.readlink(f"/proc/self/fd/{fd}")
            self._names = {name for name in self._names if os.path.dirname(name) != folder}
        else:
            self._contents.discard(os.fstat(fd).st_ino)

    def cut(self):
        """Take all that was not synced."""
        self._patch.undo()
        for name in sorted(self._names):
            path = Path(name)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for path in (place for name in self._roots for place in Path(name).rglob("*")):
            if path.is_file() and path.stat().st_ino in self._contents:
                path.write_bytes(b"")

    def watch(self, *roots):
        """Begin anew, with other folders."""
        self._names, self._contents, self._roots = set(), set(), [str(root) for root in roots]


def _place(path, *, dir_fd=None, dst_dir_fd=None, **_):
    """Give the whole path of what a call made."""
    fd = dir_fd if dst_dir_fd is None else dst_dir_fd
    return os.fspath(path) if fd is None else os.path.join(os.readlink(f"/proc/self/fd/{fd}"), path)


@pytest.fixture
def disk():
    with pytest.MonkeyPatch.context() as patched:
        yield Disk(patched)
    gc.collect()  # orphans are found here, where that is no fault


def opened(root):
    """Open a store as another process would: knowing nothing."""
    return mk.Store.on(LocalBackend(root))


def register(store):
    return mk.ModelStore(store).register("m", [1, 2, 3])


def registered(store, version):
    assert mk.ModelStore(store).load(version.spec) == [1, 2, 3]


def snapshot(store):
    return mk.Dataset.snapshot(FRAME, name="d", store=store)


def kept(store, version):
    assert mk.Dataset.load(f"d:{version.version}", store=store).to_pandas().equals(FRAME)


def run(store):
    with mk.start_run("r", store=store) as made:
        made.log_artifact(b"report", "report.txt")
        made.log_metric("auc", 0.5)
    return made


def recorded(store, made):
    store.sync()  # what the store did not take is in the spool
    found = mk.get_run(made.id, store=store)
    assert (found.status, found.metrics, found.load("report.txt")) == ("finished", {"auc": 0.5}, b"report")


ACTS = {"register": (register, registered), "snapshot": (snapshot, kept), "run": (run, recorded)}


@pytest.fixture(params=ACTS)
def act(request, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")
    return ACTS[request.param]


def test_what_follows_a_killed_writer_is_durable_when_told(disk, act, tmp_path, figure):
    act, check = act
    number, finished = 0, False
    while not finished:
        number += 1
        root = tmp_path / str(number)
        disk.watch(root)
        disk.restart(die_at=number)
        try:
            act(opened(root))
            finished = True
        except Killed:
            pass
        disk.restart()
        acknowledged = act(opened(root))
        disk.cut()
        store = opened(root)
        check(store, acknowledged)
        assert all(problem.key.endswith(UNSYNCED) for problem in store.fsck().problems)
    figure(f"power cuts after a writer killed at each of {number - 1} calls of the system")
    assert number > 15


@pytest.mark.filterwarnings("ignore::mlops_kit.errors.RecordingWarning")
def test_a_second_try_after_a_call_that_failed_is_durable_when_told(disk, act, tmp_path, monkeypatch):
    act, check = act
    number, finished = 0, False
    while not finished:
        number += 1
        root = tmp_path / str(number) / "store"
        monkeypatch.setenv("MLOPS_KIT_SPOOL", str(tmp_path / str(number) / "spool"))
        store = opened(root)
        disk.watch(root.parent)
        disk.restart(fail_at=number)
        try:
            acknowledged = act(store)
        except StoreError:
            acknowledged = act(store)
        finished = disk.fail_at == number
        disk.cut()
        check(opened(root), acknowledged)
    assert number > 8


def test_a_temporary_file_that_cannot_be_removed_fails_nothing(disk, tmp_path):
    left = []
    for number in range(1, 8):
        root = tmp_path / str(number)
        disk.watch(root)
        disk.restart(fail_at=number, fails=("unlink",))
        version = register(opened(root))
        left.append(bool(list(opened(root).backend.walk("tmp/"))))
        assert not left[-1] or disk.fail_at == -1
        disk.cut()
        registered(opened(root), version)
        assert opened(root).fsck().ok
    assert sum(left) > len(left) / 2, "the others were drafts of the user's settings"


def test_an_entry_that_stands_unsynced_is_told_to_be_there(disk, tmp_path):
    models = mk.ModelStore(opened(tmp_path / "store"))
    models.register("m", [1])
    standing = []
    disk.watch(tmp_path)
    for number in range(1, 30):
        before = len(models.versions("m"))
        disk.restart(fail_at=number, fails=("fsync",))
        try:
            models.register("m", [number])
        except StoreError as error:
            standing.append((len(models.versions("m")) > before, "is there" in str(error), error))
    assert all(is_there == told for is_there, told, _ in standing)
    assert all(isinstance(error, NotDurable) for is_there, _, error in standing if is_there)
    assert any("version 2 is there, as number 3 of models/m" in str(error) for _, _, error in standing)


def test_what_the_store_has_already_is_durable_before_it_leaves_the_spool(disk, tmp_path, monkeypatch):
    """A delivery that is killed at any call is followed by one that finds much of it there."""
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")
    number, finished = 0, False
    while not finished:
        number += 1
        root = tmp_path / str(number) / "store"
        monkeypatch.setenv("MLOPS_KIT_SPOOL", str(tmp_path / str(number) / "spool"))
        store = opened(root)
        disk.restart()
        disk.watch(tmp_path / str(number))
        with pytest.warns(mk.errors.RecordingWarning, match="spool"):
            made = run(mk.Store.on(FaultyBackend(store.backend, at=1, lasting=True)))
        disk.restart(die_at=number)
        try:
            opened(root).sync()
            finished = True
        except Killed:
            pass
        disk.restart()
        opened(root).sync()
        assert not list(spool_of(str(root)).walk("runs/"))
        disk.cut()
        recorded(opened(root), made)
    assert number > 20


class NoNotes(LocalBackend):
    """A folder in which a file of no importance cannot be written."""

    def put(self, key, data, *, durable=True):
        if key == ".gitignore":
            raise StoreError("There is no room for it.")
        super().put(key, data, durable=durable)


def test_what_fails_after_the_store_was_made_or_the_check_was_recorded_fails_nothing(tmp_path, monkeypatch):
    store = mk.Store.on(NoNotes(tmp_path / "store"))
    assert register(store).spec == "m:1"
    frame = pd.DataFrame({"x": np.random.default_rng(3).normal(size=300)})
    deletes = FaultyBackend(store.backend, at=1, lasting=True, operations={"delete"})
    monitor = mk.Monitor(frame, name="w", window=50, store=mk.Store.on(deletes))
    for _ in range(2):
        monitor.log(frame, np.zeros(300))
        monitor.check()
    assert deletes.failed
    assert store.fsck().ok


def test_what_leads_to_a_file_is_synced_once_in_a_process_and_not_with_each_folder_that_is_new(disk, tmp_path):
    store = opened(tmp_path / "store")
    models = mk.ModelStore(store)
    disk.watch(tmp_path)
    models.register("m", [0])
    syncs = []

    def counting(fd, real=os.fsync):
        syncs.append(fd)
        real(fd)

    disk._patch.setattr(os, "fsync", counting)
    for number in range(20):
        models.register("m", [number])
    assert len(syncs) <= 20 * 5  # the object and its folder, a new folder's name, the entry and its folder
    syncs.clear()
    for _ in range(20):
        models.register("m", [0])
    assert len(syncs) <= 20 * 2
