"""A store is one's own where one made it; wherever else it lies, it is trusted by name."""

import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

import mlops_kit as mk
from mlops_kit.errors import ExposedFile, RecordingWarning, UntrustedArtifact
from mlops_kit.store import local, made, serializers, settings
from mlops_kit.store.backend import read_judged
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.verdict import User
from mlops_kit.testing import FaultyBackend

posix = pytest.mark.skipif(os.name == "nt", reason="owners, modes and links")
MODEL = {"a": 1}


@pytest.fixture(autouse=True)
def another_process(monkeypatch):
    """Remember nothing that this process made or pickled, as the next process would not."""
    monkeypatch.setattr(made, "_here", set())
    monkeypatch.setattr(made, "_failures", {})
    monkeypatch.setattr(serializers, "pickled", set())


def forget():
    made._here.clear()
    serializers.pickled.clear()


def make(root):
    """Make a store with a model, and be another process."""
    mk.ModelStore(mk.Store(root)).register("m", MODEL)
    forget()
    return root


def load(root):
    return mk.ModelStore(mk.Store(root)).load("m:1")


def refusal(root):
    with pytest.raises(UntrustedArtifact) as refused:
        load(root)
    assert f"mlops-kit trust add {os.path.realpath(root)}" in str(refused.value)
    return str(refused.value)


def noted():
    return json.loads(settings.path_of("stores.json").read_bytes())["stores"]


def test_a_store_that_one_made_loads_in_another_process(tmp_path):
    root = make(tmp_path / "store")
    assert noted() == {mk.Store(root).describe()["id"]: [str(root)]}
    assert load(root) == MODEL


def test_a_store_is_noted_before_it_is_made(tmp_path, monkeypatch):
    seen = []
    create = local.LocalBackend.create
    monkeypatch.setattr(
        local.LocalBackend, "create", lambda self, key, data: seen.append((key, noted())) or create(self, key, data)
    )
    make(tmp_path / "store")
    assert seen[0][0] == "store.json"
    assert list(seen[0][1].values()) == [[str(tmp_path / "store")]]


def unpacked(root, target):
    with tarfile.open(target.with_suffix(".tar"), "w") as tar:
        tar.add(root, target.name)
    with tarfile.open(target.with_suffix(".tar")) as tar:
        tar.extractall(target.parent, filter="data")


def rebuilt(root, target):
    """Copy file by file, as rsync or git would, without store.json's time and all else."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


@posix
@pytest.mark.parametrize("bring", [unpacked, rebuilt, shutil.copytree, shutil.move])
@pytest.mark.parametrize("known", [True, False], ids=["of one's own", "of a stranger"])
def test_a_store_that_was_brought_here_is_refused_until_it_is_trusted_by_name(tmp_path, monkeypatch, bring, known):
    root, target = make(tmp_path / "store"), tmp_path / "brought"
    bring(root, target)
    if known:
        assert f"the store was made here as {root}" in refusal(target)
    else:
        monkeypatch.setenv("MLOPS_KIT_CONFIG", str(tmp_path / "another-user"))
        assert "it came from elsewhere" in refusal(target)
    mk.Trust(target).add()
    assert load(target) == MODEL


@posix
def test_a_store_without_a_record_of_its_own_is_not_made_by_who_writes_to_it(tmp_path):
    """It would be, if making what is missing were taken for making the store."""
    root = make(tmp_path / "store")
    shutil.move(root, tmp_path / "brought")
    (tmp_path / "brought" / "store.json").unlink()
    mk.ModelStore(mk.Store(tmp_path / "brought")).register("mine", 1)
    forget()
    refusal(tmp_path / "brought")
    (tmp_path / "brought" / "store.json").unlink()
    mk.Store(tmp_path / "brought").fsck(repair=True)
    forget()
    refusal(tmp_path / "brought")


@posix
def test_a_store_in_place_of_ones_own_is_not_ones_own(tmp_path, monkeypatch):
    root = make(tmp_path / "store")
    with monkeypatch.context() as patched:
        patched.setenv("MLOPS_KIT_CONFIG", str(tmp_path / "another-user"))
        theirs = make(tmp_path / "theirs")
    shutil.rmtree(root)
    shutil.move(theirs, root)
    assert "it came from elsewhere" in refusal(root)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_settings_copied_from_somebody_else_vouch_for_nothing_of_theirs(tmp_path):
    root = make(tmp_path / "store")
    os.chown(root, 12345, -1)
    assert "belongs to user 12345" in refusal(root)


@posix
@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_folder_above_the_store_that_others_may_write_is_named(tmp_path, mode):
    root = make(tmp_path / "team" / "deeper" / "store")
    (tmp_path / "team").chmod(mode)
    assert f"others may write to {tmp_path / 'team'} (mode {mode:o})" in refusal(root)
    (tmp_path / "team").chmod(mode | 0o1000)  # sticky, as /tmp is
    assert load(root) == MODEL


@posix
def test_a_group_may_write_above_the_store_if_it_is_the_users_own(tmp_path, monkeypatch):
    root = make(tmp_path / "team" / "store")
    (tmp_path / "team").chmod(0o775)
    group = (tmp_path / "team").stat().st_gid
    monkeypatch.setattr(local, "present_user", lambda: User(os.geteuid(), group))
    assert load(root) == MODEL
    monkeypatch.setattr(local, "present_user", lambda: User(os.geteuid(), None))
    assert f"group {group} may write to {tmp_path / 'team'} (mode 775)" in refusal(root)


@posix
def test_what_is_judged_is_the_file_that_was_read(tmp_path, monkeypatch):
    """Whoever exchanges the store between two looks gains nothing, for there is only one."""
    root = make(tmp_path / "store")
    shutil.copytree(root, tmp_path / "other")
    (tmp_path / "other").chmod(0o777)
    read = local.open_judged
    turns = []

    def exchanging(path):
        (tmp_path / "store").rename(tmp_path / "aside")
        (tmp_path / "other").rename(tmp_path / "store")
        try:
            return read(path)
        finally:
            turns.append(path)
            (tmp_path / "store").rename(tmp_path / "other")
            (tmp_path / "aside").rename(tmp_path / "store")

    monkeypatch.setattr(local, "open_judged", exchanging)
    assert "others may write to" in refusal(root)
    assert turns


@posix
def test_a_home_that_cannot_be_written_fails_no_store_and_is_named_at_the_refusal(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MLOPS_KIT_CONFIG", str(tmp_path / "file" / "settings"))
    root = tmp_path / "store"
    models = mk.ModelStore(mk.Store(root))
    models.register("m", MODEL)
    serializers.pickled.clear()
    assert mk.ModelStore(mk.Store(root)).load("m:1") == MODEL  # this very process knows that it made the store
    made._here.clear()
    assert "Cannot write the settings" in refusal(root)
    made._failures.clear()
    assert "your settings cannot be written" in refusal(root)


@posix
def test_a_list_that_others_may_write_counts_for_nothing_and_fails_no_store(tmp_path):
    root = make(tmp_path / "store")
    settings.path_of("stores.json").chmod(0o666)
    assert "chmod 600" in refusal(root)
    make(tmp_path / "second")
    assert "chmod 600" in refusal(tmp_path / "second")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1, "stores": {"x": 1}}', '{"format": 2, "stores": {}}', "[" * 9999]
)
def test_a_list_that_cannot_be_read_fails_no_store_and_is_named_at_the_refusal(tmp_path, text):
    root = make(tmp_path / "store")
    settings.path_of("stores.json").write_text(text)
    make(tmp_path / "second")
    assert "stores.json" in refusal(root)


def test_stores_that_are_gone_leave_the_list_at_the_next_write(tmp_path):
    shutil.rmtree(make(tmp_path / "gone"))
    make(tmp_path / "stays")
    make(tmp_path / "next")
    assert sorted(path for paths in noted().values() for path in paths) == [
        str(tmp_path / "next"),
        str(tmp_path / "stays"),
    ]


MAKE = """
import sys, mlops_kit as mk
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 5):
    mk.ModelStore(f"{sys.argv[1]}/{number}").register("m", {"a": 1})
mk.ModelStore(f"{sys.argv[1]}/same").register("m", {"a": 1})
"""


def test_many_processes_that_make_stores_at_once_are_all_noted(tmp_path):
    """Also those that make the same one: whoever loses has noted an id that nobody has."""
    commands = [[sys.executable, "-c", MAKE, str(tmp_path), str(number)] for number in (0, 5, 10)]
    children = [subprocess.Popen(command) for command in commands]
    assert [child.wait() for child in children] == [0, 0, 0]
    for name in [*range(15), "same"]:
        assert load(tmp_path / str(name)) == MODEL


def test_a_process_without_another_word_loads_what_another_made(tmp_path):
    root = make(tmp_path / "store")
    code = f"import mlops_kit as mk; assert mk.ModelStore({str(root)!r}).load('m:1') == {MODEL!r}"
    subprocess.run([sys.executable, "-c", code], check=True)


@posix
def test_what_another_process_pickled_into_a_store_of_this_one_is_loaded_even_without_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_CONFIG", "/dev/null/settings")
    store = mk.Store(tmp_path / "store")
    store.ensure()
    code = f"import mlops_kit as mk; mk.ModelStore({store.url!r}).register('m', {MODEL!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert mk.ModelStore(store).load("m:1") == MODEL


def test_a_store_in_memory_is_its_process_own():
    assert load(make("memory://made")) == MODEL
    assert noted_nothing()


def noted_nothing():
    return not settings.path_of("stores.json").exists()


class Plain:
    """A backend of somebody else's, which cannot tell who may write to it."""

    def __init__(self, name):
        inner = MemoryBackend(name)
        for operation in (
            "url",
            "get",
            "put",
            "create",
            "delete",
            "stat",
            "touch",
            "walk",
            "folders",
            "now",
            "capabilities",
        ):
            setattr(self, operation, getattr(inner, operation))


def test_a_backend_that_cannot_tell_who_may_write_is_not_private():
    models = mk.ModelStore(mk.Store.on(Plain("plain")))
    models.register("m", MODEL)
    serializers.pickled.clear()
    with pytest.raises(UntrustedArtifact, match="who may write to it cannot be seen from here"):
        models.load("m:1")
    assert read_judged(models.store.backend, "no/such") is None


@posix
def test_nothing_that_others_may_have_put_into_a_spool_is_delivered(tmp_path, monkeypatch):
    """In a store of one's own it would be trusted."""
    monkeypatch.setenv("MLOPS_KIT_SPOOL", str(tmp_path / "spool"))
    away = mk.Store.on(FaultyBackend(LocalBackend(tmp_path / "store"), at=1, lasting=True))
    with pytest.warns(RecordingWarning, match="is in the spool"), mk.start_run(store=away) as run:
        run.log_metric("auc", 0.5)
    (tmp_path / "spool").chmod(0o777)
    store = mk.Store(tmp_path / "store")
    with pytest.raises(ExposedFile, match=r"others may write to .*spool \(mode 777\)"):
        store.sync()
    assert not (tmp_path / "store").exists()
    mk.Trust(tmp_path / "spool").add()
    assert store.sync().runs == (run.id,)
