"""fsck(repair=True): what follows from the rest is put right, what was recorded is never touched."""

import os
import time

import pytest

import mlops_kit as mk

HEAD = "journals/models/rich/head.json"
LAST = "journals/models/rich/000000000006.json"


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def repaired(root):
    return mk.Store(root).fsck(repair=True)


def test_a_sound_store_is_left_as_it_is(rich_store):
    before = contents(rich_store)
    report = repaired(rich_store)
    assert report.ok
    assert report.repaired == ()
    assert contents(rich_store) == before


@pytest.mark.parametrize("damage", [b"", b"?", b"flipped"])
def test_a_damaged_hint_is_written_again_as_it_was(rich_store, damage):
    head = rich_store / HEAD
    before = contents(rich_store)
    head.write_bytes(before[HEAD].replace(b"champion", b"chanpion") if damage == b"flipped" else damage)
    report = repaired(rich_store)
    assert report.ok
    assert report.repaired == (f"{HEAD}: written again from the entries of the journal",)
    assert contents(rich_store) == before
    assert "repaired: journals" in repr(report)


def test_a_hint_of_an_entry_that_is_gone_is_written_again_for_those_that_are_there(rich_store):
    (rich_store / LAST).unlink()
    report = repaired(rich_store)
    assert report.ok
    assert len(report.repaired) == 1
    assert mk.Store(rich_store).fsck().ok
    assert mk.ModelStore(rich_store).aliases("rich")


@pytest.mark.parametrize("broken", [b"?", None], ids=["damaged", "missing"])
def test_a_damaged_hint_of_a_broken_journal_is_removed_and_the_journal_left(rich_store, broken):
    entry = rich_store / "journals/models/rich/000000000003.json"
    (rich_store / HEAD).write_bytes(b"?")
    if broken is None:
        entry.unlink()
    else:
        entry.write_bytes(broken)
    before = contents(rich_store)
    report = repaired(rich_store)
    assert not report.ok
    assert {problem.key for problem in report.problems} == {"journals/models/rich/000000000003.json"}
    assert report.repaired == (f"{HEAD}: removed; it was only a hint",)
    del before[HEAD]
    assert contents(rich_store) == before


def test_a_sound_hint_of_a_broken_journal_stays(rich_store):
    (rich_store / "journals/models/rich/000000000003.json").write_bytes(b"?")
    before = contents(rich_store)
    assert repaired(rich_store).repaired == ()
    assert contents(rich_store) == before


def test_damaged_objects_entries_and_records_are_told_and_not_touched(rich_store):
    for path in sorted(rich_store.rglob("*")):
        if path.is_file() and path.name not in {"head.json", ".gitignore"}:
            path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    before = contents(rich_store)
    report = repaired(rich_store)
    told = {problem.key for problem in report.problems}
    kept = {key for key in before if not key.startswith("steps/")}  # results, which can be computed again, are removed
    assert told >= {key for key in kept if not key.endswith(("head.json", ".gitignore", ".jsonl"))}
    heads = {line.partition(":")[0] for line in report.repaired}
    assert all(key.endswith("head.json") or key.startswith("steps/") for key in heads)
    after = contents(rich_store)
    assert {key: data for key, data in before.items() if key not in heads} == after


def test_a_missing_record_of_the_store_is_made_anew(rich_store):
    (rich_store / "store.json").unlink()
    store = mk.Store(rich_store)
    report = store.fsck(repair=True)
    assert report.ok
    assert report.repaired == ("store.json: made anew, with another id",)
    assert store.describe()["grace_seconds"] == 1_209_600


def test_an_empty_place_is_not_made_a_store(tmp_path):
    assert repaired(tmp_path / "none").repaired == ()
    assert not (tmp_path / "none").exists()


def test_what_dead_writers_left_is_removed_and_what_is_being_written_is_not(rich_store):
    (rich_store / "tmp").mkdir(exist_ok=True)
    for name, age in {"0123456789abcdef-1": 100_000, "0123456789abcdef-2": 10}.items():
        path = rich_store / "tmp" / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    assert repaired(rich_store).repaired == ("tmp/0123456789abcdef-1: removed; a writer that is gone left it behind",)
    assert (rich_store / "tmp" / "0123456789abcdef-2").exists()


def test_records_of_collections_are_checked_and_a_damaged_mark_is_cleared_away(rich_store):
    store = mk.Store(rich_store)
    for grace in (0, None):
        store.objects.put(b"left behind %r" % grace)
        store.gc(grace, dry_run=False, exclusive=True)
    assert store.fsck().ok
    marks, swept = (list((rich_store / "gc" / kind).iterdir()) for kind in ("marks", "sweeps"))
    for path in (*marks, *swept):
        path.write_bytes(path.read_bytes().replace(b"seq", b"sep"))
    assert {(p.kind, p.key.split("/")[1]) for p in store.fsck().problems} == {
        ("damaged", "marks"),
        ("damaged", "sweeps"),
    }
    report = store.fsck(repair=True)
    assert [line.split("/")[1] for line in report.repaired] == ["marks"]
