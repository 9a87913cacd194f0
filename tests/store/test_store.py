"""Which store is meant, and what a store survives."""

import os
import pickle
import shutil
import subprocess
import sys
import threading

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, NewerFormat, StoreError, VersionNotFound
from mlops_kit.records import codec
from mlops_kit.store import store as store_module
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.store import open_store


def project(folder, text='[project]\nname = "x"\n'):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_an_argument_comes_before_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "env"))
    assert mk.Store(tmp_path / "argument").url == str(tmp_path / "argument")


def test_the_environment_comes_before_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path / "p", '[tool.mlops_kit]\nstore = "runs"\n'))
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "env"))
    assert mk.Store().url == str(tmp_path / "env")


@pytest.mark.parametrize("below", ["", "src/deep"])
def test_a_relative_store_of_the_project_is_relative_to_its_file(tmp_path, monkeypatch, below):
    root = project(tmp_path / "p", '[tool.mlops_kit]\nstore = "../shared/runs"\n')
    (root / below).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(root / below)
    assert mk.Store().url == str(tmp_path / "shared" / "runs")


def test_a_project_may_name_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path / "p", '[tool.mlops_kit]\nstore = "memory://team"\n'))
    assert mk.Store().url == "memory://team"


@pytest.mark.parametrize("marker", ["pyproject.toml", ".git"])
def test_else_it_is_in_the_root_of_the_project(tmp_path, monkeypatch, marker):
    root = tmp_path / "p"
    (root / "a" / "b").mkdir(parents=True)
    (root / marker).touch()
    monkeypatch.chdir(root / "a" / "b")
    assert mk.Store().url == str(root / ".mlops")


def test_else_it_is_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "loose").mkdir()
    monkeypatch.chdir(tmp_path / "loose")
    assert mk.Store().url == str(tmp_path / "loose" / ".mlops")


def test_a_broken_project_file_is_not_ours_to_report(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path / "p", "[tool.mlops_kit\n"))
    assert mk.Store().url == str(tmp_path / "p" / ".mlops")


@pytest.mark.parametrize("setting", ["3", '""', "[1]"])
def test_a_project_that_names_no_address_is_told_so(tmp_path, monkeypatch, setting):
    monkeypatch.chdir(project(tmp_path / "p", f"[tool.mlops_kit]\nstore = {setting}\n"))
    with pytest.raises(InvalidInput, match=r"\[tool.mlops_kit\] store in .*pyproject.toml must be a path"):
        mk.Store()


@pytest.mark.parametrize("url", ["nonsense://x", "", " ", "a\0b", "file://host/x"])
def test_an_address_that_cannot_be_opened_is_refused(url):
    with pytest.raises(InvalidInput, match=r"address|scheme"):
        mk.Store(url)


def test_one_store_has_one_address(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    real = str(tmp_path / "real")
    assert {mk.Store(url).url for url in ("real", "./link", tmp_path / "link", f"file://{real}", "real/")} == {real}
    assert open_store("link") is open_store(real)


def test_a_current_folder_that_is_gone_is_an_error_that_says_so(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StoreError, match=r"current folder no longer exists"):
        mk.Store()
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "set"))
    assert mk.Store().url == str(tmp_path / "set")


def test_opening_and_asking_writes_nothing(tmp_path):
    store = mk.Store(tmp_path / "store")
    assert store.describe() is None
    assert store.fsck().ok
    assert mk.ModelStore(store).names() == []
    assert not (tmp_path / "store").exists()


def test_the_first_writer_makes_the_store_and_keeps_it_out_of_the_repository(tmp_path):
    store = mk.Store(tmp_path / "store")
    store.ensure()
    record = store.describe()
    assert len(record["id"]) == 32
    assert record["grace_seconds"] == 1_209_600
    assert (tmp_path / "store" / ".gitignore").read_text() == "*\n"
    mk.Store(tmp_path / "store").ensure()
    assert mk.Store(tmp_path / "store").describe() == record


def test_many_makers_at_once_make_one_store(tmp_path):
    stores = [mk.Store(tmp_path / "store") for _ in range(8)]
    threads = [threading.Thread(target=store.ensure) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({store.describe()["id"] for store in stores}) == 1


def test_a_folder_that_was_removed_under_us_is_made_anew(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", [1])
    shutil.rmtree(tmp_path / "store")
    assert models.register("m", [1]).version == 1
    assert models.load("m:1") == [1]
    assert models.store.fsck().ok


def test_a_store_that_another_process_removed_and_made_anew_is_noticed(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    for number in (1, 2):
        models.register("m", [number])
    models.promote("m:2")
    shutil.rmtree(tmp_path / "store")
    others = mk.ModelStore(mk.Store(tmp_path / "store"))
    others.register("m", [3])
    assert [version.version for version in models.versions("m")] == [1]
    assert models.load("m:1") == [3]
    with pytest.raises(VersionNotFound):
        models.promote("m:2")
    assert models.register("m", [1]).version == 2
    assert others.load("m:2") == [1]
    assert models.store.fsck().ok


def test_an_object_that_went_with_the_old_store_is_written_again(tmp_path):
    store = mk.Store(tmp_path / "store")
    store.ensure()
    digest = store.objects.put(b"kept")
    shutil.rmtree(tmp_path / "store")
    mk.Store(tmp_path / "store").ensure()
    store.ensure()
    assert store.objects.put(b"kept") == digest
    assert store.objects.get(digest) == b"kept"


def test_a_store_elsewhere_is_looked_at_once_a_minute(tmp_path, monkeypatch):
    backend = MemoryBackend(str(tmp_path))
    store = mk.Store.on(backend)
    store.ensure()
    store.objects.put(b"kept")
    for found in list(backend.walk("")):
        backend.delete(found.key)
    mk.Store.on(MemoryBackend(str(tmp_path))).ensure()
    store.ensure()
    assert store.lives == 0
    later = store_module.time.monotonic() + 61
    monkeypatch.setattr(store_module.time, "monotonic", lambda: later)
    store.ensure()
    assert store.lives == 1
    assert store.objects.get(store.objects.put(b"kept")) == b"kept"


def test_a_promotion_decided_in_a_store_that_is_gone_is_refused(tmp_path):
    backend = MemoryBackend(str(tmp_path))
    models, others = (mk.ModelStore(mk.Store.on(backend)) for _ in range(2))
    for number in (1, 2):
        models.register("m", [number])
    for found in list(backend.walk("")):
        backend.delete(found.key)
    with pytest.raises(VersionNotFound, match=r"not in .* any more"):
        models.promote("m:1")
    others.register("m", [3])
    with pytest.raises(VersionNotFound):
        models.promote("m:2")
    assert [entry.kind for entry in others.history("m")] == ["create", "register"]
    assert models.register("m", [4]).version == 2


def test_a_store_of_a_newer_release_is_neither_read_nor_written(tmp_path, monkeypatch):
    monkeypatch.setattr(codec, "FORMAT", 2)
    mk.Store(tmp_path / "store").ensure()
    monkeypatch.setattr(codec, "FORMAT", 1)
    before = sorted((tmp_path / "store").rglob("*"))
    with pytest.raises(NewerFormat, match="pip install -U"):
        mk.ModelStore(mk.Store(tmp_path / "store")).register("m", [1])
    assert {problem.kind for problem in mk.Store(tmp_path / "store").fsck().problems} == {"newer-format"}
    assert sorted(path for path in (tmp_path / "store").rglob("*") if path.name != "tmp") == [
        path for path in before if path.name != "tmp"
    ]


def test_a_pickled_store_is_its_address(tmp_path):
    store = mk.Store(tmp_path / "store")
    store.ensure()
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.describe() == store.describe()
    assert len(pickle.dumps(store)) < 500


def test_a_store_crosses_to_another_process(tmp_path):
    mk.ModelStore(tmp_path / "store").register("m", {"a": 1})
    code = (
        "import pickle, sys; import mlops_kit as mk\n"
        "store = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "print(mk.ModelStore(store).load('m:1'))\n"
    )
    text = pickle.dumps(mk.Store(tmp_path / "store")).hex()
    done = subprocess.run([sys.executable, "-c", code, text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'a': 1}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_goes_on_with_the_store_on_its_own(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", "parent")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            models.register("m", "child")
            status = 0 if open_store(models.store.url).url == models.store.url else 1
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert models.load("m:2") == "child"
    assert models.register("m", "parent").version == 3


def test_a_backend_of_ones_own_holds_a_store():
    store = mk.Store.on(MemoryBackend("own"))
    assert mk.ModelStore(store).register("m", 1).version == 1
    assert store.fsck().ok


def test_a_store_can_be_moved_and_copied_as_files(rich_store, tmp_path, monkeypatch):
    moved = shutil.move(rich_store, tmp_path / "elsewhere")
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(moved))
    assert mk.Store(moved).fsck().ok
    assert mk.ModelStore(moved).load("rich@champion")["trees"] == 2
    assert mk.Dataset.load("customers:1", store=moved).n_rows == 3
