"""Damaged stores, each diagnosed exactly; a repair mends what follows from the rest and touches nothing that is good.

Every case is the store of ``tests/compat/v1`` with the damage that its patch describes.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.records import codec

SOUND = Path(__file__).parents[1] / "compat" / "v1" / "store"
JOURNAL = "journals/models/scorer"
HEAD = f"{JOURNAL}/head.json"
REMADE = f"{HEAD}: written again from the entries of the journal"
REMOVED = f"{HEAD}: removed; it was only a hint"


def entry(number):
    return f"{JOURNAL}/{number:012d}.json"


class Place:
    """A copy of the sound store, where files are named by what they are to it."""

    def __init__(self, root):
        self.root = root

    def __call__(self, what):
        """Give the key of an entry's object (``"2 object"``), of a run's file (``"inner end.json"``), or as it is."""
        first, _, part = what.partition(" ")
        if not part:
            return what
        if first.isdigit():
            return self._object(json.loads(self.read(entry(int(first))))["body"][part])
        if "/" in first:
            return self._object(json.loads(self.read(first))["body"][part])
        starts = (path for path in sorted(self.root.glob("runs/*/*.start.json")) if self._is(path, first))
        start = next(iter(starts)).relative_to(self.root).as_posix()
        return start.replace(".start.json", f".{part}")

    def read(self, what):
        return (self.root / self(what)).read_bytes()

    def write(self, what, data):
        path = self.root / self(what)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    @staticmethod
    def _object(digest):
        hexes = digest.removeprefix("sha256:")
        return f"objects/{hexes[:2]}/{hexes}"

    def _is(self, path, name):
        record = json.loads(path.read_bytes())
        segments = path.with_name(path.name.replace(".start.json", ".metrics-000001.jsonl")).exists()
        return record["name"] == name if name != "long" else record["name"] == "train" and segments


# Patches: what is done to a store


def flipped(what, at=0.5, bit=3):
    def patch(place):
        data = bytearray(place.read(what))
        data[int(at * (len(data) - 1))] ^= 1 << bit
        place.write(what, data)

    return patch


def cut(what, length=0.5):
    def patch(place):
        data = place.read(what)
        place.write(what, data[: int(length * len(data))] if length < 1 else data[:-length])

    return patch


def removed(*whats):
    def patch(place):
        for key in [place(what) for what in whats]:
            (place.root / key).unlink()

    return patch


def swapped(one, other):
    def patch(place):
        first, second = place.read(one), place.read(other)
        place.write(one, second)
        place.write(other, first)

    return patch


def copied(source, target):
    return lambda place: place.write(target, place.read(source))


def added(key, data=b"?"):
    return lambda place: place.write(key, data)


def resealed(what, *, number=None, **members):
    """Change members of a record and seal it again, as a forger would, or another release."""

    def patch(place):
        key = place(what)
        record = json.loads(place.read(key))
        del record["sum"], record["format"]
        data = codec.seal(record.pop("record"), {**record, **members})
        if number is not None:
            body = data[: -len(b',"sum":""}') - 64].replace(b'"format":1', b'"format":%d' % number) + b"}"
            data = _summed(body)
        place.write(key, data)

    return patch


def _summed(body):
    import hashlib

    return b'%s,"sum":"%s"}' % (body[:-1], hashlib.sha256(body[:-1]).hexdigest().encode())


def leftover(place):
    place.write("tmp/4711471147114711-4", b"half")
    os.utime(place.root / "tmp" / "4711471147114711-4", (1_700_000_000, 1_700_000_000))


def both(*patches):
    def patch(place):
        for one in patches:
            one(place)

    return patch


@dataclass
class Case:
    """A damage, what a check says of it, what a repair says that it did, and what is wrong after that."""

    patch: object
    diagnosis: list
    repaired: tuple = ()
    left: list | None = None


DAMAGED_3 = [("damaged", entry(3))]
CASES = {
    "nothing": Case(lambda place: None, []),
    # bytes that are not what was written
    "an object with a flipped bit": Case(flipped("2 object"), [("damaged", "2 object")]),
    "an object cut short": Case(cut("3 object"), [("damaged", "3 object")]),
    "an empty object": Case(cut("2 environment", 0), [("damaged", "2 environment")]),
    "two objects swapped": Case(
        swapped("2 object", "3 object"), [("damaged", "2 object"), ("damaged", "3 object")]
    ),
    "a manifest with a flipped bit": Case(
        flipped("journals/datasets/hard/000000000002.json manifest"),
        [("damaged", "journals/datasets/hard/000000000002.json manifest")],
    ),
    "an object under another name": Case(
        copied("2 object", f"objects/00/{'00' * 32}"), [("damaged", f"objects/00/{'00' * 32}")]
    ),
    "an entry with a flipped bit": Case(flipped(entry(3)), DAMAGED_3),
    "an entry cut short": Case(cut(entry(3)), DAMAGED_3),
    "the last entry cut short": Case(cut(entry(7)), [("damaged", entry(7))]),
    "an empty entry": Case(cut(entry(3), 0), DAMAGED_3),
    "an entry without its last byte": Case(cut(entry(3), 1), DAMAGED_3),
    "an entry with a byte too many": Case(
        lambda place: place.write(entry(3), place.read(entry(3)) + b"\n"), DAMAGED_3
    ),
    "a start with a flipped bit": Case(flipped("train start.json"), [("damaged", "train start.json")]),
    "an end with a flipped bit": Case(flipped("fail end.json"), [("damaged", "fail end.json")]),
    "a lease with a flipped bit": Case(
        flipped("interrupted lease.json"), [("damaged", "interrupted lease.json")]
    ),
    "a point of a metric altered": Case(
        flipped("long metrics-000001.jsonl", 0.1), [("damaged", "long metrics-000001.jsonl")]
    ),
    "a record of the store with a flipped bit": Case(flipped("store.json"), [("damaged", "store.json")]),
    # files that are not there, or not where they belong
    "an object missing": Case(removed("2 object"), [("missing", "2 object")]),
    "an entry missing in the middle": Case(removed(entry(3)), [("missing", entry(3))]),
    "the first entry missing": Case(removed(entry(1)), [("missing", entry(1))]),
    "several entries missing": Case(
        removed(entry(2), entry(5)), [("missing", entry(2)), ("missing", entry(5))]
    ),
    "two entries swapped": Case(swapped(entry(4), entry(6)), [("damaged", entry(4)), ("damaged", entry(6))]),
    "an entry of another journal": Case(
        copied("journals/datasets/hard/000000000003.json", entry(3)),
        [("broken-chain", entry(3)), ("broken-chain", entry(4))],
    ),
    "a start missing of a run that ended": Case(removed("train start.json"), []),
    "an end under another run": Case(
        copied("fail end.json", "interrupted end.json"), [("damaged", "interrupted end.json")]
    ),
    "the record of the store missing": Case(
        removed("store.json"), [("missing", "store.json")], ("store.json: made anew, with another id",), []
    ),
    # records that somebody sealed again
    "an entry forged": Case(
        resealed(entry(4), by={"actor": "eve@example.com", "source": "git"}), [("broken-chain", entry(5))]
    ),
    "the last entry forged": Case(resealed(entry(7), prev="0" * 64), [("broken-chain", entry(7))]),
    "a run without its members": Case(
        lambda place: place.write("fail end.json", codec.seal("run-end", {})), [("damaged", "fail end.json")]
    ),
    "an entry of a newer format": Case(resealed(entry(7), number=2), [("newer-format", entry(7))]),
    "a run of a newer format": Case(resealed("fail end.json", number=9), [("newer-format", "fail end.json")]),
    "a record of the store of a newer format": Case(
        resealed("store.json", number=2), [("newer-format", "store.json")]
    ),
    "a newer format that says it is compatible": Case(
        resealed("fail end.json", number=2, compatible=1), []
    ),
    # hints
    "a hint with a flipped bit": Case(flipped(HEAD), [("damaged", HEAD)], (REMADE,), []),
    "an empty hint": Case(cut(HEAD, 0), [("damaged", HEAD)], (REMADE,), []),
    "a hint missing": Case(removed(HEAD), []),
    "a hint of an entry that is not there": Case(
        removed(entry(7)), [("stale-hint", HEAD)], (REMADE,), []
    ),
    "a hint of another tip": Case(resealed(HEAD, tip="0" * 64), [("stale-hint", HEAD)], (REMADE,), []),
    "a hint damaged and an entry too": Case(
        both(flipped(HEAD), flipped(entry(3))), [*DAMAGED_3, ("damaged", HEAD)], (REMOVED,), DAMAGED_3
    ),
    "a hint damaged and an entry missing": Case(
        both(flipped(HEAD), removed(entry(3))),
        [("missing", entry(3)), ("damaged", HEAD)],
        (REMOVED,),
        [("missing", entry(3))],
    ),
    "a mark of garbage with a flipped bit": Case(
        flipped("gc/marks/000000000001.json"),
        [("damaged", "gc/marks/000000000001.json")],
        ("gc/marks/000000000001.json: removed; the next gc marks again",),
        [],
    ),
    "a sweep of garbage with a flipped bit": Case(
        flipped("gc/sweeps/000000000001.json"), [("damaged", "gc/sweeps/000000000001.json")]
    ),
    # what is no damage, and what does not belong here
    "metrics torn at their end, of a run that died": Case(cut("interrupted metrics-000002.jsonl", 5), []),
    "metrics torn at their end, of a run that ended": Case(
        cut("long metrics-000001.jsonl", 5), [("damaged", "long metrics-000001.jsonl")]
    ),
    "a foreign file": Case(added("notes.txt"), [("unknown-file", "notes.txt")]),
    "a foreign file among the entries": Case(
        added(f"{JOURNAL}/000000000003.json.bak"), [("unknown-file", f"{JOURNAL}/000000000003.json.bak")]
    ),
    "a foreign journal": Case(
        added("journals/other/x/000000000001.json"), [("damaged", "journals/other/x/000000000001.json")]
    ),
    "what a dead writer left": Case(
        leftover, [], ("tmp/4711471147114711-4: removed; a writer that is gone left it behind",), []
    ),
}  # fmt: skip


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def problems(report):
    return sorted((problem.kind, problem.key) for problem in report.problems)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_damaged_store_is_diagnosed_exactly_and_a_repair_touches_nothing_that_is_good(case, tmp_path):
    place = Place(shutil.copytree(SOUND, tmp_path / "store", copy_function=shutil.copyfile))
    named = {what: place(what) for _, what in [*case.diagnosis, *(case.left or [])]}
    expected = sorted((kind, named[what]) for kind, what in case.diagnosis)
    left = expected if case.left is None else sorted((kind, named[what]) for kind, what in case.left)
    case.patch(place)
    before = contents(place.root)

    assert problems(mk.Store(place.root).fsck()) == expected
    assert contents(place.root) == before, "a check has changed something"

    report = mk.Store(place.root).fsck(repair=True)
    assert report.repaired == case.repaired
    assert problems(report) == left
    after = contents(place.root)
    mended = {line.partition(":")[0] for line in case.repaired} | {".gitignore"}
    assert {key: data for key, data in after.items() if key not in mended} == {
        key: data for key, data in before.items() if key not in mended
    }
    assert problems(mk.Store(place.root).fsck()) == left


def test_the_store_that_all_are_made_of_is_untouched():
    assert mk.Store(SOUND).fsck().ok
