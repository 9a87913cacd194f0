"""Whatever operation a write dies at, the store is whole and the decision was taken or was not."""

import contextlib
import errno
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import ReadOnlyStore, RecordingWarning, StoreError
from mlops_kit.store.local import LocalBackend
from mlops_kit.testing import FaultyBackend

NOBODY = 65534
WRITING = ("open", "write", "fsync", "link", "replace", "rename", "unlink", "mkdir")

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

SOURCE = """
import mlops_kit as mk

def train(depth):
    for step in range(3):
        mk.log_metric("loss", 1 / (step + 1), step=step)
    mk.log_artifact(b"report", "report.txt")
    return {"depth": [depth] * 3000}
"""


FAILURES = pytest.mark.parametrize(
    ("error", "lasting"),
    [(errno.EIO, False), (errno.ENOSPC, True), (errno.EROFS, True)],
    ids=["an error once", "full from then on", "read-only from then on"],
)


@pytest.fixture(autouse=True)
def train(tmp_path, monkeypatch):
    """Give a function to track whose source is in no repository."""
    path = tmp_path / "crash_training.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("crash_training", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "crash_training", module)
    spec.loader.exec_module(module)
    return module.train


@contextlib.contextmanager
def patched(at):
    """Call `at(name)` before every system call that writes; what it raises, the call raises."""
    originals = {name: getattr(os, name) for name in WRITING}

    def counting(name):
        def call(*args, **kwargs):
            writes = name != "open" or args[1] & os.O_CREAT
            if writes and not (name == "write" and args[0] in {1, 2}):
                at(name, args)
            return originals[name](*args, **kwargs)

        return call

    try:
        for name in WRITING:
            setattr(os, name, counting(name))
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def killed_at(number, act, *, torn=False):
    """Run an act in a fork that dies by SIGKILL at its writing call of a number; tell whether it died."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the act failed by itself"
        return os.WIFSIGNALED(status)
    calls = 0

    def at(name, args):
        nonlocal calls
        calls += 1
        if calls == number:
            if torn and name == "write":
                os.pwrite(args[0], bytes(args[1])[: len(args[1]) // 2], 0)
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with patched(at):
            act()
        os._exit(0)
    except BaseException:  # nothing of the fork may go on in the test
        os._exit(1)


def deaths(act, prepare, *, torn=False):
    """Yield after the death at each operation, until one act lives to its end."""
    for number in range(1, 500):
        prepare()
        died = killed_at(number, act, torn=torn)
        yield number, died
        if not died:
            assert number > 5
            return
    pytest.fail("the act never ends")


def whole(root):
    """Open the store anew and check it."""
    store = mk.Store(root)
    report = store.fsck()
    assert report.ok, report
    return store


@pytest.fixture(params=["new", "used"])
def prepare(request, tmp_path, monkeypatch):
    """Return what lays out the store as it was before: nothing, or a trusted copy of one with a live version."""
    root, base = tmp_path / "store", tmp_path / "base"
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(root))
    if request.param == "used":
        models = mk.ModelStore(base)
        models.register("m", [0])
        models.promote("m:1")

    def lay_out():
        shutil.rmtree(root, ignore_errors=True)
        if base.exists():
            shutil.copytree(base, root)

    lay_out.root, lay_out.before = root, int(base.exists())
    return lay_out


@pytest.mark.parametrize("torn", [False, True], ids=["before the call", "in the middle of writing"])
def test_a_register_killed_anywhere_is_there_completely_or_not_at_all(prepare, torn):
    register = lambda: mk.ModelStore(mk.Store(prepare.root)).register("m", [1, 2, 3])
    made = []
    for _, died in deaths(register, prepare, torn=torn):
        models = mk.ModelStore(whole(prepare.root))
        versions = models.versions("m") if "m" in models.names() else []
        assert len(versions) in {prepare.before, prepare.before + 1}
        made.append(len(versions) - prepare.before)
        if made[-1]:
            assert models.load(versions[-1].spec) == [1, 2, 3]
        if prepare.before:
            assert models.load("m@champion") == [0]
        again = models.register("m", [4])
        assert again.version == len(versions) + 1
        assert mk.ModelStore(whole(prepare.root)).load("m@latest") == [4]
        assert died or made[-1]
    assert made == sorted(made), "once it was there, dying later cannot undo it"
    assert 0 in made


def test_a_promotion_killed_anywhere_was_taken_or_was_not(tmp_path):
    base, root = tmp_path / "base", tmp_path / "store"
    models = mk.ModelStore(base)
    for value in (1, 2):
        models.register("m", [value])
    models.promote("m:1")

    def lay_out():
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(base, root)

    live = []
    for _ in deaths(lambda: mk.ModelStore(mk.Store(root)).promote("m:2"), lay_out):
        models = mk.ModelStore(whole(root))
        live.append(models.get("m@champion").version)
        assert models.promote("m:1").previous == live[-1]
    assert live == sorted(live)
    assert set(live) == {1, 2}


@pytest.mark.slow
def test_a_tracked_run_killed_anywhere_is_interrupted_at_once_or_has_ended(prepare, train):
    def run():
        warnings.simplefilter("error")
        mk.track(train, register="m", store=mk.Store(prepare.root), strict=True)(3)

    seen = set()
    for _, died in deaths(run, prepare):
        store = whole(prepare.root)
        ids = list(store.runs.ids())
        assert len(ids) <= 1
        for run_id in ids:
            found = mk.get_run(run_id, store=store)
            seen.add(found.status)
            assert found.status in {"interrupted", "finished"}
            if found.status == "finished":
                assert found.metrics == {"loss": 1 / 3}
                assert found.models == [f"m:{prepare.before + 1}"]
                assert found.load() == {"depth": [3] * 3000}
                assert found.load("report.txt") == b"report"
        versions = mk.ModelStore(store).versions("m") if "m" in mk.ModelStore(store).names() else []
        for version in versions[prepare.before :]:
            assert version.run_id == ids[0]
            assert mk.ModelStore(store).load(version.spec) == {"depth": [3] * 3000}
        assert mk.ModelStore(store).register("m", [4]).version == len(versions) + 1
        assert died or seen >= {"finished"}
    assert seen == {"interrupted", "finished"}


def failing(number, error, *, lasting):
    """Make what raises an OSError at the writing call of a number, and at all later ones if it lasts."""
    state = {"calls": 0, "failed": False}

    def at(_name, _args):
        state["calls"] += 1
        if state["calls"] == number or (lasting and state["calls"] > number):
            state["failed"] = True
            raise OSError(error, os.strerror(error))

    return at, state


@FAILURES
def test_a_register_that_meets_an_error_anywhere_is_refused_or_done(prepare, error, lasting):
    for number in range(1, 500):
        prepare()
        at, state = failing(number, error, lasting=lasting)
        refusal = None
        with patched(at):
            try:
                mk.ModelStore(mk.Store(prepare.root)).register("m", [1, 2, 3])
            except StoreError as failure:
                refusal = str(failure)
        assert refusal is None or str(prepare.root) in refusal
        models = mk.ModelStore(whole(prepare.root))
        versions = models.versions("m") if "m" in models.names() else []
        assert len(versions) in {prepare.before, prepare.before + 1}
        assert refusal or len(versions) == prepare.before + 1
        if len(versions) > prepare.before:
            assert models.load(versions[-1].spec) == [1, 2, 3]
        assert models.register("m", [4]).version == len(versions) + 1
        if not state["failed"]:
            return
    pytest.fail("the act never ends")


@pytest.mark.slow
@FAILURES
def test_a_tracked_function_returns_its_result_whatever_the_store_does(prepare, train, error, lasting):
    for number in range(1, 500):
        prepare()
        at, state = failing(number, error, lasting=lasting)
        with patched(at), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = mk.track(train, register="m", store=mk.Store(prepare.root))(3)
        assert result == {"depth": [3] * 3000}
        assert {warning.category for warning in caught} <= {RecordingWarning}
        store = whole(prepare.root)
        for run_id in store.runs.ids():
            found = mk.get_run(run_id, store=store)
            assert found.status == "finished" or caught  # without its end it runs as long as this process does
        if not state["failed"]:
            assert not [str(warning.message) for warning in caught]
            return
    pytest.fail("the act never ends")


def attempts(root, train):
    """Try the three ways of writing; tell what came of each."""
    import pandas as pd

    told = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert mk.track(train, store=mk.Store(root))(3) == {"depth": [3] * 3000}
        told.append(any(warning.category is RecordingWarning for warning in caught))
    frame = pd.DataFrame({"x": range(100_000)})
    for act in (
        lambda: mk.ModelStore(mk.Store(root)).register("m", os.urandom(2_000_000)),
        lambda: mk.Dataset.snapshot(frame, name="d", store=mk.Store(root)),
    ):
        try:
            act()
        except StoreError as failure:
            told.append(type(failure))
        else:
            told.append(None)
    return told


@pytest.fixture
def mounted(tmp_path):
    """Mount a file system of 256 kB, and give its folder and what makes it read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_a_typed_error_and_never_costs_a_result(mounted, train):
    root = mounted / "store"
    mk.ModelStore(root).register("m", [0])
    filler = mounted / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 1024)
    assert attempts(root, train) == [True, StoreError, StoreError]
    assert mk.ModelStore(whole(root)).load("m:1") == [0]
    filler.unlink()
    assert mk.ModelStore(root).register("m", [1]).version == 2
    whole(root)


def test_a_read_only_disk_is_a_typed_error_that_says_so_and_never_costs_a_result(mounted, train):
    root = mounted / "store"
    mk.ModelStore(root).register("m", [0])
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    assert attempts(root, train) == [True, ReadOnlyStore, ReadOnlyStore]
    assert mk.ModelStore(whole(root)).load("m@latest") == [0]


def test_a_disk_that_becomes_read_only_in_the_middle_of_a_run_costs_nothing(mounted):
    root = mounted / "store"

    @mk.track(register="m", store=root)
    def train():
        mk.log_artifact(b"report", "report.txt")
        subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
        mk.log_artifact(b"second", "second.txt")
        return [4, 2]

    with pytest.warns(RecordingWarning, match=r"May not write.*Read-only file system.*delivers it"):
        assert train() == [4, 2]
    subprocess.run(["mount", "-o", "remount,rw", mounted], check=True)
    report = mk.Store(root).sync()
    assert (report.runs, report.versions, report.problems) == ((train.last_run.id,), ("m:1",), ())
    run = mk.get_run(train.last_run.id, store=whole(root))
    assert (run.load("report.txt"), run.load("second.txt"), run.models) == (b"report", b"second", ["m:1"])
    assert mk.Store(root).sync().runs == ()


def test_a_full_disk_under_the_spool_costs_a_warning_and_what_is_delivered_later_is_whole(
    mounted, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLOPS_KIT_SPOOL", str(mounted / "spool"))
    filler, root = mounted / "filler", tmp_path / "store"
    for left in (0, 2, 6, 12, 40, 120):
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 1024)
        filler.write_bytes(b"\0" * max(0, filler.stat().st_size - 1024 * left))
        cut = mk.Store.on(FaultyBackend(LocalBackend(root), at=1, lasting=True))
        with pytest.warns(RecordingWarning):
            assert mk.track(lambda: os.urandom(4000), store=cut)()
        filler.unlink()
        report = mk.Store(root).sync()
        assert report.ok, report
        for run_id in report.runs:
            run = mk.get_run(run_id, store=whole(root))
            assert "return" not in run.outputs or len(run.load()) == 4000
        whole(root)
    assert report.runs
    assert run.status == "finished"


def test_a_folder_of_somebody_else_is_a_typed_error_and_never_costs_a_result(tmp_path, train):
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    root = tmp_path / "store"
    mk.ModelStore(root).register("m", [0])
    top = Path(tempfile.gettempdir()).resolve()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to(top) and folder != top:
            folder.chmod(folder.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    assert attempts(tmp_path / "other", train) == [False, None, None]  # all that it imports is imported now
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        told = "nothing"
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.environ["MLOPS_KIT_CONFIG"] = str(tmp_path / "settings")  # those of the superuser are not for others
            told = repr([kind if isinstance(kind, bool) else kind.__name__ for kind in attempts(root, train)])
        except BaseException as failure:
            told = repr(failure)
        finally:
            os.write(write, told.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    assert told == "[True, 'ReadOnlyStore', 'ReadOnlyStore']"
    assert [version.version for version in mk.ModelStore(whole(root)).versions("m")] == [1]
