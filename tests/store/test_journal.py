"""Journals: one order for everybody, hints that are only hints, chains that show when they are broken."""

import copy
import itertools
import json
import multiprocessing
import threading
from datetime import UTC, datetime, timedelta

import pytest

from mlops_kit.errors import Conflict, IntegrityError
from mlops_kit.records import codec
from mlops_kit.records.entry import Entry
from mlops_kit.store import journal as journal_module
from mlops_kit.store.journal import Journal
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.memory import MemoryBackend

PREFIX = "journals/models/x/"
HEAD = f"{PREFIX}head.json"


def count(state, entry):
    state["n"] = state.get("n", 0) + 1
    state["last"] = entry.body.get("value")


def opened(backend):
    return Journal(backend, "models", "x", count, lambda: {"actor": "ann", "source": "config"})


def add(journal, value=None):
    return journal.append(lambda _state: ("add", {"value": value}))


def number(journal):
    return journal.read(lambda state: state.get("n", 0))


def key(seq):
    return f"{PREFIX}{seq:012d}.json"


@pytest.fixture
def backend(tmp_path):
    return MemoryBackend(str(tmp_path))


class Wrapped:
    """A backend whose operations a test may bend."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


def test_a_new_journal_says_nothing(backend):
    assert number(opened(backend)) == 0
    assert opened(backend).last == 0
    assert opened(backend).entries() == []


def test_entries_are_numbered_chained_and_read_back(backend):
    written = [add(opened(backend), value) for value in "abc"]
    assert [entry.seq for entry in written] == [1, 2, 3]
    assert opened(backend).entries() == written
    assert opened(backend).read(copy.copy) == {"n": 3, "last": "c"}


def test_deciding_to_write_nothing_writes_nothing(backend):
    journal = opened(backend)
    assert journal.append(lambda _state: None) is None
    assert not list(backend.walk(""))


def test_a_lost_race_is_decided_again_on_what_the_winner_wrote(backend):
    first, second = opened(backend), opened(backend)
    add(first, 1)
    number(second)
    seen = []

    def decide(state):
        seen.append(state.get("n", 0))
        if len(seen) == 1:
            add(first, 2)
        return "add", {"value": 3}

    assert second.append(decide).seq == 3
    assert seen == [1, 2]


def test_a_refusal_rests_on_the_newest_state(backend):
    first, second = opened(backend), opened(backend)
    add(first, 1)
    number(second)
    add(first, 2)

    def decide(state):
        if state["n"] != 2:
            raise Conflict("stale")
        return "add", {}

    assert second.append(decide).seq == 3
    with pytest.raises(Conflict):
        second.append(decide)


def test_eight_threads_write_one_order_without_a_gap(backend):
    journals = [opened(backend) for _ in range(8)]
    threads = [threading.Thread(target=lambda j=j: [add(j) for _ in range(10)]) for j in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.seq for entry in opened(backend).entries()] == list(range(1, 81))
    assert {number(journal) for journal in journals} == {80}


def _writer(root, index, gate):
    journal = opened(LocalBackend(root))
    gate.wait(30)
    for turn in range(10):
        add(journal, [index, turn])


def test_eight_processes_write_one_order_without_a_gap(tmp_path):
    context = multiprocessing.get_context("spawn" if not hasattr(__import__("os"), "fork") else "fork")
    gate = context.Barrier(8)
    writers = [context.Process(target=_writer, args=(tmp_path, index, gate)) for index in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 8
    entries = opened(LocalBackend(tmp_path)).entries()
    assert [entry.seq for entry in entries] == list(range(1, 81))
    for index in range(8):
        assert [entry.body["value"][1] for entry in entries if entry.body["value"][0] == index] == list(range(10))
    assert all(before.at <= after.at for before, after in itertools.pairwise(entries))


def test_a_lost_acknowledgement_is_recognised_by_the_nonce(backend):
    class Deaf(Wrapped):
        def create(self, where, data):
            self.inner.create(where, data)
            return False

    journal = opened(Deaf(backend))
    assert [add(journal, value).seq for value in "ab"] == [1, 2]
    assert [entry.body["value"] for entry in opened(backend).entries()] == ["a", "b"]


def test_time_never_runs_back_within_a_journal(backend, monkeypatch):
    add(opened(backend))
    now = datetime.now(UTC)

    class Early(datetime):
        @classmethod
        def now(cls, tz=None):
            return now - timedelta(minutes=3)  # further off, the store would date the entries

    monkeypatch.setattr(journal_module, "datetime", Early)
    journal = opened(backend)
    entries = [add(journal), add(journal)]
    assert entries[0].at == entries[1].at == opened(backend).entry(1).at
    hinted = opened(backend)
    assert add(hinted).at == entries[0].at


def test_the_newest_entry_at_a_moment_is_found_by_binary_search(backend, monkeypatch):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([start + timedelta(hours=hour) for hour in (0, 1, 1, 2, 5)])

    monkeypatch.setattr(journal_module.clocks, "corrected", lambda _now, _backend: next(times))
    journal = opened(backend)
    for _ in range(5):
        add(journal)
    at = lambda hours: journal.last_at(start + timedelta(hours=hours))
    assert [at(-1), at(0), at(0.5), at(1), at(1.5), at(2), at(4.9), at(5), at(99)] == [0, 1, 1, 3, 3, 4, 4, 5, 5]


def test_the_search_reads_few_entries(backend):
    writer = opened(backend)
    for _ in range(200):
        add(writer)
    reads = []

    class Counting(Wrapped):
        def get(self, where):
            reads.append(where)
            return self.inner.get(where)

    opened(Counting(backend)).last_at(writer.entry(100).at)
    assert len(reads) <= 2 + 8


@pytest.mark.parametrize("damage", ["missing", "garbage", "flipped", "empty", "another record", "no members"])
def test_a_hint_that_is_damaged_or_missing_costs_reads_and_nothing_else(backend, damage):
    for value in range(5):
        add(opened(backend), value)
    hint = backend.get(HEAD)
    match damage:
        case "missing":
            backend.delete(HEAD)
        case "garbage":
            backend.put(HEAD, b"\0" * 100)
        case "flipped":
            backend.put(HEAD, hint.replace(b'"n":5', b'"n":4'))
        case "empty":
            backend.put(HEAD, b"")
        case "another record":
            backend.put(HEAD, backend.get(key(1)))
        case "no members":
            backend.put(HEAD, codec.seal("head", {}))
    assert number(opened(backend)) == 5
    assert add(opened(backend)).seq == 6
    assert number(opened(backend)) == 6


def test_a_stale_hint_is_read_on_from(backend):
    add(opened(backend), 1)
    stale = backend.get(HEAD)
    for value in range(4):
        add(opened(backend), value)
    backend.put(HEAD, stale)
    assert number(opened(backend)) == 5


def test_a_hint_ahead_of_the_truth_is_forgotten_by_who_writes(backend):
    for value in range(5):
        add(opened(backend), value)
    for seq in (4, 5):
        backend.delete(key(seq))
    assert add(opened(backend)).seq == 4
    assert number(opened(backend)) == 4


def test_a_hint_ahead_of_the_truth_is_not_believed_by_who_reads(backend):
    for value in range(5):
        add(opened(backend), value)
    for seq in (4, 5):
        backend.delete(key(seq))
    journal = opened(backend)
    assert [entry.seq for entry in journal.entries()] == [1, 2, 3]
    assert number(journal) == journal.last == 3


def test_an_entry_that_is_missing_before_others_is_named_and_not_written_anew(backend):
    for value in range(5):
        add(opened(backend), value)
    backend.delete(key(4))
    with pytest.raises(IntegrityError, match=r"Entry 4 of the journal journals/models/x/.* is missing"):
        opened(backend).entries()
    other = MemoryBackend(f"{backend.url}-other")
    for value in range(5):
        add(opened(other), value)
    backend.put(HEAD, other.get(HEAD))
    for use in (add, number):
        with pytest.raises(IntegrityError, match=r"Entry 4 of the journal journals/models/x/.* is missing"):
            use(opened(backend))
    assert backend.get(key(4)) is None


def diverged(backend):
    """Give a copy of a journal that went its own way with as many entries."""
    add(opened(backend), "common")
    copied = MemoryBackend(f"{backend.url}-copy")
    for found in backend.walk(""):
        copied.put(found.key, backend.get(found.key))
    add(opened(backend), "here")
    add(opened(copied), "there")
    return copied


def test_the_hint_of_a_diverged_copy_is_not_believed(backend):
    backend.put(HEAD, diverged(backend).get(HEAD))
    assert opened(backend).read(copy.copy) == {"n": 2, "last": "here"}
    journal = opened(backend)
    assert journal.read(copy.copy, on_trust=True) == {"n": 2, "last": "there"}  # what two reads cannot tell
    assert journal.read(copy.copy) == {"n": 2, "last": "here"}
    assert journal.read(copy.copy, on_trust=True) == {"n": 2, "last": "here"}


def remade(backend, *values):
    """Replace a journal as a process does that removes the store and begins again."""
    for found in list(backend.walk("")):
        backend.delete(found.key)
    for value in values:
        add(opened(backend), value)


@pytest.mark.parametrize("values", [[], ["x"], ["x", "y"], ["x", "y", "z"]])
def test_nothing_is_appended_to_what_another_process_has_removed_or_replaced(backend, values):
    journal = opened(backend)
    add(journal, "a"), add(journal, "b")
    remade(backend, *values)
    seen = []

    def decide(state):
        seen.append(state.get("n", 0))
        return "add", {"value": "new"}

    assert journal.append(decide).seq == len(values) + 1
    assert seen[-1] == len(values)
    assert [entry.body["value"] for entry in opened(backend).entries()] == [*values, "new"]
    assert journal.entries() == opened(backend).entries()


@pytest.mark.parametrize("values", [[], ["x"], ["x", "y"], ["x", "y", "z"]])
def test_a_refusal_never_rests_on_what_another_process_has_removed_or_replaced(backend, values):
    journal = opened(backend)
    add(journal, "a"), add(journal, "b")
    remade(backend, *values)

    def decide(state):
        if state.get("last") == "b":
            raise Conflict("stale")
        return "add", {}

    assert journal.append(decide).seq == len(values) + 1


def test_a_longer_history_in_the_place_of_the_old_is_noticed_by_the_next_look(backend):
    journal = opened(backend)
    add(journal, "a")
    remade(backend, "x", "y")
    assert journal.read(copy.copy) == {"n": 2, "last": "y"}


@pytest.mark.parametrize("values", [[], ["x"]])
def test_another_history_of_the_same_length_is_noticed_within_a_minute(backend, values, monkeypatch):
    journal = opened(backend)
    add(journal, "a")
    remade(backend, *values)
    assert number(journal) == 1
    later = journal_module.time.monotonic() + 61
    monkeypatch.setattr(journal_module.time, "monotonic", lambda: later)
    assert journal.read(copy.copy) == ({"n": 1, "last": "x"} if values else {})


def test_a_hint_of_another_history_is_forgotten(backend, tmp_path):
    other = MemoryBackend(f"{tmp_path}-other")
    for value in range(3):
        add(opened(other), f"other {value}")
    for value in range(5):
        add(opened(backend), value)
    backend.put(HEAD, other.get(HEAD))
    assert opened(backend).read(copy.copy) == {"n": 5, "last": 4}
    backend.put(HEAD, other.get(HEAD))
    assert add(opened(backend), "new").seq == 6


def test_a_hint_that_cannot_be_written_costs_nothing(backend):
    from mlops_kit.errors import StoreError

    class Stingy(Wrapped):
        def put(self, where, data, *, durable=True):
            raise StoreError("full")

    journal = opened(Stingy(backend))
    assert [add(journal).seq for _ in range(3)] == [1, 2, 3]


def forged(backend, seq, **members):
    """Replace an entry by another that is sound in itself."""
    entry = Entry.decode(backend.get(key(seq)), where="")
    parts = {name: getattr(entry, name) for name in ("seq", "prev", "at", "by", "nonce", "kind", "body")}
    backend.put(key(seq), Entry(**{**parts, **members}).encode())


def test_an_altered_entry_breaks_the_chain(backend):
    for value in range(4):
        add(opened(backend), value)
    forged(backend, 2, body={"value": "forged"})
    backend.delete(HEAD)
    with pytest.raises(IntegrityError, match="broken at entry 3"):
        number(opened(backend))


def test_an_entry_moved_to_another_number_is_noticed(backend):
    for value in range(3):
        add(opened(backend), value)
    backend.put(key(4), backend.get(key(2)))
    with pytest.raises(IntegrityError, match="carries the number 2: it was moved"):
        number(opened(backend))


def test_a_damaged_entry_is_never_overwritten(backend):
    for value in range(3):
        add(opened(backend), value)
    damaged = backend.get(key(3)).replace(b'"value":2', b'"value":7')
    backend.put(key(3), damaged)
    backend.delete(HEAD)
    with pytest.raises(IntegrityError):
        add(opened(backend))
    assert backend.get(key(3)) == damaged
    assert backend.get(key(4)) is None


def test_the_answer_never_shows_a_state_half_changed(backend):
    writer, reader = opened(backend), opened(backend)
    kept = []
    for value in range(3):
        add(writer, value)
        kept.append(reader.read(copy.copy))
    assert [state["n"] for state in kept] == [1, 2, 3]


def test_the_bytes_are_those_of_the_format(backend):
    add(opened(backend), "żółć")
    record = json.loads(backend.get(key(1)))
    assert sorted(record) == ["at", "body", "by", "format", "kind", "nonce", "prev", "record", "seq", "sum"]
    hint = json.loads(backend.get(HEAD))
    assert sorted(hint) == ["fold", "format", "record", "seq", "sum", "tip"]
