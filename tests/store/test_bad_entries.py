"""One entry or hint that is broken or hostile hides no other, whatever stands in its place."""

import json
import os
import shutil
from functools import partial

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, MlopsKitError, ModelNotFound
from mlops_kit.records import codec
from mlops_kit.store import made, serializers
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.store import Store

posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
FOLDER = "journals/models/m"
ENTRIES = ("create", "register", "promote", "register", "tag", "promote")


def resealed(path, **members):
    record = codec.unseal(path.read_bytes(), where="")
    path.write_bytes(codec.seal(record["record"], {**record, **members}))


def replaced(path, make):
    path.unlink()
    make(path)


BROKEN = {
    "not JSON": lambda path: path.write_bytes(b"?"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "another number": partial(resealed, seq=77),
    "odd members": partial(resealed, body={"version": "x", "alias": 5, "name": []}),
    "odd time": partial(resealed, at="9999-12-31T23:59:59.999999Z"),
    "nested": lambda path: path.write_bytes(b'{"body":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    "a huge number": lambda path: path.write_bytes(b'{"seq":' + b"9" * 10_000 + b"}"),
    "newer": lambda path: path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":9')),
    "gone": os.unlink,
    "a folder": lambda path: replaced(path, os.mkdir),
}
if os.name != "nt":
    BROKEN |= {
        "a pipe": lambda path: replaced(path, os.mkfifo),
        "a link": lambda path: replaced(path, partial(os.symlink, __file__)),
        "a device": lambda path: replaced(path, partial(os.symlink, "/dev/zero")),
        "sparse": lambda path: os.truncate(path, 2**35),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store with a journal of each kind of entry."""
    root = tmp_path_factory.mktemp("whole") / "store"
    models = mk.ModelStore(root)
    models.register("m", [1])
    models.promote("m:1")
    models.register("m", [2])
    models.tag("m:1", team="a")
    models.promote("m:2")
    models.register("other", [3])
    for rows in (3, 4):
        mk.Dataset.snapshot({"x": list(range(rows))}, name="d", store=root)
    return root


@pytest.fixture
def copied(whole, tmp_path, monkeypatch):
    """Give a function that makes a fresh copy which may be spoiled, noted as made here, by another process."""
    monkeypatch.setattr(serializers, "pickled", set())
    made.note(json.loads((whole / "store.json").read_bytes())["id"], str(tmp_path / "store"))

    def copy():
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        shutil.copytree(whole, tmp_path / "store")
        return tmp_path / "store"

    return copy


@pytest.fixture
def root(copied):
    return copied()


def fresh(root):
    return Store.on(LocalBackend(root))


@pytest.mark.parametrize("hint", ["kept", "lost"])
@pytest.mark.parametrize("number", [1, 2, 4, 5, 6])
def test_a_broken_entry_hides_no_version_but_its_own(copied, number, hint):
    for how in BROKEN:
        check_broken_entry(copied(), how, number, hint)


def check_broken_entry(root, how, number, hint):
    folder = root / FOLDER
    BROKEN[how](folder / f"{number:012d}.json")
    if hint == "lost":
        (folder / "head.json").unlink()
    models = mk.ModelStore(fresh(root))
    assert models.names() == ["m", "other"]
    cut = how == "gone" and number == 6  # nothing is left that tells of it, but the hint
    versions = models.versions("m")
    assert [version.version for version in versions] == [one for one in (1, 2) if one != {2: 1, 4: 2}.get(number)]
    assert cut or versions.problems or hint == "kept", how
    history = models.history("m")
    assert [entry.seq for entry in history] == list(range(1, 6 if cut else 7))
    assert cut or history[number - 1].kind == "unreadable"
    assert cut or f"{FOLDER}/{number:012d}.json" in {problem.key for problem in history.problems}
    assert {period.version for period in models.timeline("m")} <= {1, 2}
    assert cut or models.timeline("m").problems
    assert models.load("other:1") == [3]
    report = fresh(root).fsck()
    assert any(f"{number:012d}.json" in problem.key for problem in report.problems) or cut
    assert cut or not models.audit("m").ok


@pytest.mark.parametrize("number", [1, 3, 6])
def test_gc_deletes_nothing_while_an_entry_cannot_be_read(copied, number):
    for how in sorted(BROKEN.keys() - {"gone"}):
        root = copied()
        kept = fresh(root).objects.put(b"named by nothing").removeprefix("sha256:")
        BROKEN[how](root / FOLDER / f"{number:012d}.json")
        with pytest.raises(MlopsKitError, match=f"{number:012d}.json"):
            fresh(root).gc(grace=0, dry_run=False, exclusive=True)
        assert (root / "objects" / kept[:2] / kept).exists()


@pytest.mark.parametrize("number", [2, 5])
def test_gc_deletes_nothing_where_an_entry_was_replaced_by_a_sound_one(root, number):
    path = root / FOLDER / f"{number:012d}.json"
    resealed(path, body={"version": 1, "tags": {}}, kind="tag")
    with pytest.raises(IntegrityError, match="Nothing was collected") as caught:
        fresh(root).gc(grace=0, dry_run=False, exclusive=True)
    assert any(problem.key.startswith(FOLDER) for problem in caught.value.problems)


@pytest.mark.parametrize("hint", ["head.json", "fold.json"])
def test_a_broken_hint_stands_in_nobodys_way(copied, hint):
    for how in BROKEN:
        check_broken_hint(copied(), how, hint)


def check_broken_hint(root, how, hint):
    path = root / FOLDER / hint
    if hint == "fold.json":
        shutil.copy(root / FOLDER / "head.json", path)
    BROKEN[how](path)
    assert [version.version for version in mk.ModelStore(fresh(root)).versions("m")] == [1, 2]
    assert [entry.kind for entry in mk.ModelStore(fresh(root)).history("m")] == list(ENTRIES)
    assert mk.ModelStore(fresh(root)).load("m@champion") == [2]
    assert mk.ModelStore(fresh(root)).aliases("m") == {"champion": 2}
    assert mk.ModelStore(fresh(root)).audit("m").journals[0].name == "m"
    problems = {problem.key for problem in fresh(root).fsck().problems}
    assert f"{FOLDER}/{hint}" in problems or how in {"gone", "odd members", "odd time", "another number"}
    models = mk.ModelStore(fresh(root))
    models.promote("m:1")
    assert mk.ModelStore(fresh(root)).load("m@champion") == [1]
    assert mk.ModelStore(fresh(root)).register("m", [3]).version == 3


def test_a_hint_that_names_other_entries_as_versions_is_passed_over(root):
    path = root / FOLDER / "head.json"
    fold = json.loads(path.read_bytes())["fold"]
    resealed(path, fold={**fold, "versions": [3, 5]})
    assert [version.version for version in mk.ModelStore(fresh(root)).versions("m")] == [1, 2]
    assert mk.ModelStore(fresh(root)).load("m:1") == [1]


@pytest.mark.parametrize("number", [1, 2])
def test_a_broken_entry_of_a_dataset_hides_no_other_version(copied, number):
    for how in BROKEN:
        root = copied()
        folder = root / "journals/datasets/d"
        BROKEN[how](folder / f"{number:012d}.json")
        (folder / "head.json").unlink()
        store = fresh(root)
        assert mk.Dataset.names(store=store) == ["d"], how
        versions = mk.Dataset.versions("d", store=store)
        assert [version.version for version in versions] == ([1, 2] if number == 1 else [2]), how
        assert versions.problems, how


def test_a_name_that_is_not_there_or_spelled_otherwise_is_still_told(root):
    for name in ("none", "M"):
        for ask in (mk.ModelStore(fresh(root)).versions, mk.ModelStore(fresh(root)).timeline):
            with pytest.raises(ModelNotFound):
                ask(name)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_nothing_is_written_into_a_gap_and_what_is_behind_it_is_not_called_missing(root, number):
    gap = root / FOLDER / f"{number:012d}.json"
    gap.unlink()
    (root / FOLDER / "head.json").unlink()
    for act in (lambda models: models.load("m@champion"), lambda models: models.register("m", [3])):
        with pytest.raises(IntegrityError, match=f"Entry {number} of the journal journals/models/m/ .* is missing"):
            act(mk.ModelStore(fresh(root)))
    assert not gap.exists()


def test_the_command_line_lists_what_can_be_read(root, capsys):
    from click.testing import CliRunner

    from mlops_kit.cli.main import main

    BROKEN["cut"](root / FOLDER / "000000000003.json")
    (root / FOLDER / "head.json").unlink()
    done = CliRunner().invoke(main, ["models", "m", "--store", str(root)])
    assert (done.exit_code, "000000000003.json" in done.output) == (0, True), done.output
    assert "m:1" in done.output or " 1 " in done.output
