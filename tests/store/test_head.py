"""The hints of a long journal: small, true, and never needed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import VersionNotFound
from mlops_kit.records import codec, versions
from mlops_kit.records.entry import Entry, tip
from mlops_kit.store.head import WHOLE, Head
from mlops_kit.store.memory import MemoryBackend

FOLDER = "journals/models/m/"
HEAD, FOLD = f"{FOLDER}head.json", f"{FOLDER}fold.json"
LONG = 2 * WHOLE + 40


class Watched(MemoryBackend):
    """Memory that keeps what was read and what was written."""

    def __init__(self, name):
        super().__init__(name)
        self.reads, self.written = [], {}

    def get(self, key):
        self.reads.append(key)
        return super().get(key)

    def put(self, key, data, *, durable=True):
        self.written.setdefault(key, []).append(bytes(data))
        super().put(key, data, durable=durable)


def opened(backend):
    return mk.ModelStore(mk.Store.on(backend))


@pytest.fixture(scope="module")
def long():
    """A model with a long history, written by the library itself."""
    backend = Watched("a long history")
    models = opened(backend)
    for number in range(4):
        models.register("m", [number])
    for turn in range(LONG):
        models.promote(f"m:{turn % 3 + 1}", "champion" if turn % 2 else "canary")
    return backend


@pytest.fixture
def copied(long, tmp_path):
    """A copy that a test may spoil."""
    backend = Watched(str(tmp_path))
    for found in long.walk(""):
        backend.put(found.key, long.get(found.key))
    backend.written.clear()
    backend.reads.clear()
    return backend


def answers(backend):
    """Ask a new reader what a model says: by alias, by version, whole."""
    models = opened(backend)
    by_alias = {alias: models.get(f"m@{alias}").version for alias in ("champion", "canary", "latest")}
    models = opened(backend)
    return (
        by_alias,
        [version.version for version in models.versions("m")],
        models.aliases("m"),
        len(models.history("m")),
    )


def test_a_head_is_bounded_and_the_whole_fold_is_written_seldom(long):
    sizes = [len(data) for data in long.written[HEAD]]
    assert max(sizes[WHOLE:]) < 40_000
    assert len(long.written[FOLD]) == 2
    assert "fold" in codec.unseal(long.written[HEAD][0], where="")
    assert "fold" not in codec.unseal(long.written[HEAD][-1], where="")


def test_an_alias_of_a_long_history_is_read_without_the_whole_fold(copied):
    opened(copied).get("m@champion")
    assert FOLD not in copied.reads
    assert len([key for key in copied.reads if key.startswith(FOLDER)]) <= 4


def test_a_promotion_after_a_long_history_reads_the_fold_and_not_the_entries(copied):
    opened(copied).promote("m:2")
    assert copied.reads.count(FOLD) == 1
    assert len([key for key in copied.reads if key.startswith(FOLDER)]) <= 6


def spoiled(kind, data):
    match kind:
        case "missing":
            return None
        case "garbage":
            return b"\0"
        case "no members":
            return codec.seal("head", {})
        case "odd members":
            return codec.seal(
                "head", {**codec.unseal(data, where=""), "brief": {"aliases": 5}, "fold": {"versions": "x"}}
            )
    return data


@pytest.mark.parametrize("fold", ["sound", "missing", "garbage", "no members", "odd members", "older", "newer"])
@pytest.mark.parametrize("head", ["sound", "missing", "garbage", "no members", "odd members"])
def test_hints_that_are_damaged_or_missing_cost_reads_and_nothing_else(copied, long, head, fold):
    right = answers(copied)
    for key, kind in ((HEAD, head), (FOLD, fold)):
        data = spoiled(kind, copied.get(key))
        if kind == "older":
            data = long.written[FOLD][0]
        if kind == "newer":
            models = opened(copied)
            models.promote("m:1", "canary")
            models.promote("m:3", "canary")
            right = answers(copied)
            data = fold_of(copied)
        copied.delete(key) if data is None else copied.put(key, data)
    assert answers(copied) == right
    opened(copied).promote("m:2", "canary")
    assert opened(copied).aliases("m")["canary"] == 2
    assert mk.Store.on(copied).fsck(repair=True).ok


def fold_of(backend):
    """Fold the whole journal, as a writer does who was the last."""
    state, data = {}, b""
    for seq in range(1, codec.unseal(backend.get(HEAD), where="")["seq"] + 1):
        data = backend.get(f"{FOLDER}{seq:012d}.json")
        versions.fold(state, Entry.decode(data, where=""))
    return Head(seq, tip(data), None, state).whole_hint()


def test_a_fold_of_another_history_is_not_believed(copied, long):
    other = Watched("another history")
    models = opened(other)
    for number in range(9):
        models.register("m", [number])
    for turn in range(LONG):
        models.promote(f"m:{9 - turn % 2}")
    copied.put(FOLD, other.get(FOLD))
    assert opened(copied).get("m:4").version == 4
    with pytest.raises(VersionNotFound):
        opened(copied).get("m:9")
    assert {problem.kind for problem in mk.Store.on(copied).fsck().problems} == {"stale-hint"}
    assert {problem.kind for problem in opened(copied).audit().problems} == {"stale-hint"}


@pytest.mark.parametrize("member", ["brief", "steps", "base"])
def test_a_hint_that_lies_is_told_by_fsck_and_audit(copied, member):
    hint = codec.unseal(copied.get(HEAD), where="")
    match member:
        case "brief":
            hint["brief"]["aliases"]["champion"][0] = 4
        case "steps":
            hint["steps"][-1][2]["version"] = 4
        case "base":
            hint["base"][1] = "0" * 64
    copied.put(HEAD, codec.seal("head", hint))
    (problem,) = mk.Store.on(copied).fsck().problems
    assert (problem.kind, problem.key) == ("stale-hint", HEAD)
    (problem,) = opened(copied).audit().problems
    assert (problem.kind, problem.key) == ("forged-hint", HEAD)
    assert mk.Store.on(copied).fsck(repair=True).ok


def test_a_hint_of_an_earlier_release_that_holds_a_long_fold_is_read_and_written_anew(copied):
    right = answers(copied)
    copied.delete(FOLD)
    seq = codec.unseal(copied.get(HEAD), where="")["seq"]
    copied.put(HEAD, fold_of(copied))
    copied.reads.clear()
    assert answers(copied) == right
    opened(copied).promote("m:1", "canary")
    assert codec.unseal(copied.get(HEAD), where="")["base"][0] == seq + 1
    assert mk.Store.on(copied).fsck().ok


MOVES = st.lists(
    st.tuples(st.sampled_from(["register", "promote", "rollback", "archive", "tag", "unknown"]), st.integers(1, 6)),
    max_size=40,
)


@settings(max_examples=60)
@given(MOVES, st.integers(0, 40))
def test_a_fold_and_the_steps_after_it_are_the_fold_of_all(moves, cut):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    state, head = {}, Head()
    bodies = [("create", {"name": "m"}), ("register", {"version": 1})]
    made = 1
    for kind, number in moves:
        if kind == "register":
            made += 1
        bodies.append((kind, {"version": made if kind == "register" else min(number, made), "alias": "a", "tags": {}}))
    base = Head()
    for seq, (kind, body) in enumerate(bodies, 1):
        entry = Entry(seq, "", at, {}, "", kind, body)
        try:
            versions.fold(state, entry)
        except LookupError:
            continue
        versions.fold(head.state, entry)
        head = head.followed(seq, f"{seq:064x}", at, versions.step_of(entry))
        if seq == cut:
            base = Head.hinted(head.whole_hint())
            head.base, head.steps = (seq, head.tip), []
    partial = Head(head.seq, head.tip, None, None, None, {}, head.base, head.steps)
    found = partial.whole(lambda: base.whole_hint() if base.seq else None)
    if head.base[0]:
        assert codec.canonical(found.state) == codec.canonical(state)
        assert found.seq == head.seq
    removed = set(state["removed"])
    assert versions.latest(state) == max((v for v in range(1, made + 1) if v not in removed), default=None)
