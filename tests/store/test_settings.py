"""The user's settings: changed in one step, by one at a time, and believed only if nobody else may write them."""

import contextlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import ExposedFile, InvalidInput, MlopsKitError, RecordingWarning, StoreError
from mlops_kit.store import settings
from mlops_kit.store.local import LocalBackend
from mlops_kit.testing import FaultyBackend

posix = pytest.mark.skipif(os.name == "nt", reason="mode bits")


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_CONFIG", str(tmp_path / "mine"))
    return settings.path_of("trust.json")


@pytest.fixture
def open_folder():
    """Return a folder that everybody may enter; those of pytest are closed to other users, also while a test runs."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_they_are_where_the_variable_says(path, tmp_path):
    assert path == tmp_path / "mine" / "trust.json"


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="the folder of other platforms")
def test_they_are_where_the_platform_has_settings(monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert settings.path_of("trust.json") == Path("/somewhere/mlops_kit/trust.json")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert settings.path_of("trust.json") == Path.home() / ".config/mlops_kit/trust.json"


def test_what_is_not_there_is_none(path):
    assert settings.read(path) is None


@posix
def test_they_are_made_for_the_user_alone_whatever_the_umask(path):
    before = os.umask(0)
    try:
        settings.change(path, lambda _: b"1")
    finally:
        os.umask(before)
    assert settings.read(path, secret=True) == b"1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("bit", [0o020, 0o002])
@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_others_may_write_is_not_believed_and_not_changed(path, bit, place):
    settings.change(path, lambda _: b"1")
    exposed = path if place == "file" else path.parent
    exposed.chmod(exposed.stat().st_mode | bit)
    with pytest.raises(ExposedFile, match=f"chmod {'600' if place == 'file' else '700'} '{exposed}'"):
        settings.read(path)
    with pytest.raises(ExposedFile):
        settings.change(path, lambda _: b"2")
    assert path.read_bytes() == b"1"
    assert sorted(found.name for found in path.parent.iterdir()) == ["trust.json", "trust.json.lock"]


@posix
def test_a_secret_that_others_may_read_is_not_used(path):
    settings.change(path, lambda _: b"1")
    path.chmod(0o640)
    assert settings.read(path) == b"1"
    with pytest.raises(ExposedFile, match="may read"):
        settings.read(path, secret=True)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_somebody_else_is_not_believed(path):
    settings.change(path, lambda _: b"1")
    os.chown(path, 12345, -1)
    with pytest.raises(ExposedFile, match="belongs to user 12345"):
        settings.read(path)


def test_changes_at_once_are_all_kept(path):
    def add():
        for _ in range(20):
            settings.change(path, lambda data: (data or b"") + b"x")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert settings.read(path) == b"x" * 80


def test_a_change_that_fails_leaves_all_as_it_was(path):
    settings.change(path, lambda _: b"1")
    with pytest.raises(ZeroDivisionError):
        settings.change(path, lambda _: 1 / 0)
    assert settings.read(path) == b"1"
    settings.change(path, lambda _: b"2")
    assert settings.read(path) == b"2"


HOLDER = """
import sys
from pathlib import Path
from mlops_kit.store import settings

def hold(data):
    print("held", flush=True)
    sys.stdin.read()
    return b"never"

settings.change(Path(sys.argv[1]), hold)
"""


def test_a_process_that_holds_the_lock_is_waited_for_and_one_that_was_killed_is_not(path, monkeypatch):
    settings.change(path, lambda _: b"1")
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        monkeypatch.setattr(settings, "_BUSY_SECONDS", 0.1)
        with pytest.raises(StoreError, match=re.escape(str(path.with_name("trust.json.lock")))):
            settings.change(path, lambda _: b"2")
        assert settings.read(path) == b"1"
        holder.kill()
    settings.change(path, lambda data: data + b"3")
    assert settings.read(path) == b"13"


def test_a_lock_and_a_draft_that_somebody_left_are_no_hindrance(path):
    path.parent.mkdir(mode=0o700)
    for end in (".lock", ".new"):
        path.with_name(path.name + end).write_bytes(b"left")
    settings.change(path, lambda _: b"2")
    assert settings.read(path) == b"2"


@posix
def test_a_child_that_is_forked_while_a_thread_changes_settings_may_change_them_too(path):
    script = """
import os, sys, threading
from pathlib import Path
from mlops_kit.store import settings
path = Path(sys.argv[1])
settings._BUSY_SECONDS = 600
inside, go = threading.Event(), threading.Event()

def slow(data):
    inside.set()
    go.wait()
    return b"parent"

thread = threading.Thread(target=settings.change, args=(path, slow))
thread.start()
inside.wait()
child = os.fork()
if not child:
    settings.change(path, lambda data: data + b" child")
    os._exit(0)
go.set()
thread.join()
os.waitpid(child, 0)
print(path.read_text())
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(path)], capture_output=True, check=True)
    assert done.stdout == b"parent child\n"


def test_a_folder_that_cannot_be_made_is_a_store_error(path):
    path.parent.write_text("a file")
    with pytest.raises(StoreError, match="MLOPS_KIT_CONFIG"):
        settings.change(path, lambda _: b"1")
    assert settings.read(path) is None


@pytest.fixture
def homeless(monkeypatch):
    """Be a user that no list of users knows, in a process without HOME."""
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)


def test_a_user_without_a_home_has_no_settings_and_no_folder_of_that_name(homeless, tmp_path):
    assert settings.path_of("trust.json") is None
    assert settings.read(None) is None
    assert mk.Trust.list() == []
    assert mk.SigningKey.current() is None
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", 1)
    assert models.load("m:1") == 1
    with pytest.raises(StoreError, match="MLOPS_KIT_CONFIG names one"):
        mk.Trust(tmp_path / "store").add()
    with pytest.raises(StoreError, match="MLOPS_KIT_SPOOL names one"):
        mk.Store(tmp_path / "store").sync()
    with pytest.raises(InvalidInput, match="Give an absolute path"):
        mk.Store("~/store")
    assert sorted(os.listdir()) == ["store"]


def test_a_run_whose_store_fails_returns_its_result_even_where_there_is_no_home_for_a_spool(homeless, tmp_path):
    store = mk.Store.on(FaultyBackend(LocalBackend(tmp_path / "store"), at=1, lasting=True))
    with pytest.warns(RecordingWarning, match="MLOPS_KIT_SPOOL names one"):
        assert mk.track(lambda: 1, name="train", store=store)() == 1
    assert os.listdir() == []


@posix
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can be somebody else for a moment")
@pytest.mark.parametrize(("owner", "readable"), [(0, True), (54321, False)])
def test_a_folder_that_another_user_has_closed_is_not_where_ones_own_settings_are(
    open_folder, monkeypatch, owner, readable
):
    monkeypatch.setenv("MLOPS_KIT_CONFIG", str(open_folder / "mine"))
    path = settings.path_of("trust.json")
    settings.change(path, lambda _: b"1")
    os.chown(path.parent, owner, owner)
    path.parent.chmod(0o000 if owner else 0o700)
    os.seteuid(54321)
    try:
        if readable:
            assert settings.read(path) is None
            with pytest.raises(StoreError, match="Cannot write the settings"):
                settings.change(path, lambda _: b"2")
        else:
            with pytest.raises((StoreError, ExposedFile)):
                settings.read(path)
    finally:
        os.seteuid(0)


@posix
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "too long"])
@pytest.mark.parametrize("name", ["trust.json", "stores.json"])
def test_what_is_no_file_of_settings_is_an_error_and_keeps_nobody_waiting(path, tmp_path, kind, name):
    path = settings.path_of(name)
    path.parent.mkdir(mode=0o700)
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(mode=0o700)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with open(path, "wb") as file:
            file.truncate(2**32)
        path.chmod(0o600)
    with pytest.raises(MlopsKitError, match=name):
        settings.read(path)
    with pytest.raises(MlopsKitError, match=name):
        settings.change(path, lambda _: b"1")
    models = mk.ModelStore(tmp_path / "store")
    if name == "stores.json":
        models.register("m", 1)
        assert models.load("m:1") == 1
    else:
        with pytest.raises(MlopsKitError, match=name):
            models.register("m", 1)


@posix
def test_a_pipe_in_the_place_of_a_draft_or_lock_keeps_nobody_waiting(path):
    path.parent.mkdir(mode=0o700)
    for end in (".lock", ".new"):
        os.mkfifo(path.with_name(path.name + end))
    with contextlib.suppress(StoreError):
        settings.change(path, lambda _: b"1")
    assert settings.read(path) in {None, b"1"}


@posix
@pytest.mark.parametrize("place", ["above", "above a link"])
def test_a_folder_above_that_others_may_write_to_makes_settings_unsafe(tmp_path, monkeypatch, place):
    open_to_all, mine = tmp_path / "open", tmp_path / "mine"
    open_to_all.mkdir()
    mine.mkdir(mode=0o700)
    real = (open_to_all if place == "above" else mine) / "config"
    real.mkdir(mode=0o700)
    (open_to_all / "link").symlink_to(real)
    monkeypatch.setenv("MLOPS_KIT_CONFIG", str(real if place == "above" else open_to_all / "link"))
    path = settings.path_of("trust.json")
    settings.change(path, lambda _: b"1")
    open_to_all.chmod(0o777)
    for act in (lambda: settings.read(path), lambda: settings.change(path, lambda _: b"2")):
        with pytest.raises(ExposedFile, match=f"others may write to {open_to_all}"):
            act()
    open_to_all.chmod(0o1777)
    if place == "above":
        assert settings.read(path) == b"1"


@pytest.mark.parametrize(
    "text", ['{"format": 1, "stores": {"x": 5}}', "[" * 100_000, "9" * 10_000, "[]", '{"format": []}']
)
@pytest.mark.parametrize("name", ["trust.json", "stores.json"])
def test_a_hostile_file_of_settings_is_a_typed_error_or_a_note(path, tmp_path, name, text):
    settings.change(settings.path_of(name), lambda _: text.encode())
    models = mk.ModelStore(tmp_path / "store")
    if name == "stores.json":  # the store is made all the same
        models.register("m", 1)
        assert models.load("m:1") == 1
    else:
        with pytest.raises(MlopsKitError, match=name):
            models.register("m", 1)
