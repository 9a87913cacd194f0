"""The hints of a long journal: small, true, and never needed."""

import contextlib
import itertools
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import StillLive, VersionNotFound
from mlops_kit.records import codec, versions
from mlops_kit.records.entry import Entry, tip
from mlops_kit.store import head as head_module
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


@contextmanager
def small_pages():
    """Let heads be whole for six entries only, and let pages have three versions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "PAGE", 3)
        patch.setattr(head_module, "WHOLE", 6)
        yield


def page_key(number):
    return f"index/models/m/{number:06d}.json"


def place_of(backend, version):
    """Ask a reader that has never looked where a version stands."""
    journal = mk.Store.on(backend).journal("models", "m", versions.fold)
    return journal.glance_at(version, lambda brief: brief.get("place"))


def places(backend):
    """Return where each version stands by the entries alone."""
    state, seq = {}, 0
    while data := backend.get(f"{FOLDER}{seq + 1:012d}.json"):
        versions.fold(state, Entry.decode(data, where=""))
        seq += 1
    return [versions.place(state, version) for version in range(1, len(state["versions"]) + 1)]


@pytest.fixture
def paged(tmp_path):
    """A model of forty versions, one of them deleted and one approved, in small pages."""
    with small_pages():
        backend = Watched(str(tmp_path))
        models = opened(backend)
        for number in range(40):
            models.register("m", [number])
        models.delete("m:5", reason="leak")
        models.approve("m:11")
        for number in range(8):
            models.register("m", [number])
        backend.reads.clear()
        yield backend


def test_a_version_of_a_long_history_is_read_from_its_page_without_the_whole_fold(paged):
    for version in (1, 11, 40, 48):
        paged.reads.clear()
        found = opened(paged).get(f"m:{version}")
        assert found.version == version
        assert FOLD not in paged.reads
        assert len([key for key in paged.reads if key.startswith(("journals/", "index/"))]) <= 4 + (version == 11)
    assert opened(paged).get("m:11").approved_by == ()  # by its author only
    with pytest.raises(VersionNotFound, match="deleted by"):
        opened(paged).load("m:5")
    with pytest.raises(VersionNotFound, match="no version 49"):
        opened(paged).get("m:49")


def test_an_append_writes_the_pages_only_that_have_changed(paged):
    paged.written.clear()
    models = opened(paged)
    for _ in range(8):
        models.tag("m:2", team="risk")
    assert {key for key in paged.written if key.startswith("index/")} <= {page_key(0), page_key(15)}
    assert [place_of(paged, version) for version in range(1, 49)] == places(paged)


@pytest.mark.parametrize("page", ["missing", "garbage", "no members", "older", "of another"])
def test_a_page_that_is_not_the_one_that_the_head_names_is_not_believed(paged, page):
    key, right = page_key(1), places(paged)
    match page:
        case "missing":
            paged.delete(key)
        case "older":
            paged.put(key, paged.written[key][0])
        case "of another":
            paged.put(key, paged.get(page_key(2)))
        case _:
            paged.put(key, spoiled(page, b""))
    assert [place_of(paged, version) for version in range(1, 49)] == right
    assert mk.Store.on(paged).fsck().ok
    assert opened(paged).audit().ok


def test_a_page_that_hides_a_deletion_is_told_by_an_audit(paged):
    page = codec.unseal(paged.get(page_key(1)), where="")
    paged.put(page_key(1), codec.seal("places", {**page, "deleted": []}))
    (problem,) = opened(paged).audit().problems
    assert (problem.kind, problem.key) == ("forged-hint", page_key(1))


def test_a_head_of_an_earlier_release_names_no_pages_and_they_are_written_anew(paged):
    hint = codec.unseal(paged.get(HEAD), where="")
    del hint["pages"]
    paged.put(HEAD, codec.seal("head", hint))
    assert [place_of(paged, version) for version in range(1, 49)] == places(paged)
    assert FOLD in paged.reads
    paged.written.clear()
    for _ in range(8):
        opened(paged).promote("m:1")
    assert {key for key in paged.written if key.startswith("index/")} == {page_key(number) for number in range(16)}
    paged.reads.clear()
    assert [place_of(paged, version) for version in range(1, 49)] == places(paged)
    assert FOLD not in paged.reads


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["register", "register", "promote", "tag", "approve", "archive", "delete"]),
        st.integers(1, 9),
        st.integers(0, 2),
    ),
    min_size=8,
    max_size=40,
)
_names = itertools.count()


@settings(max_examples=25)
@given(ACTS, st.integers(0, 3), st.booleans())
def test_each_version_stands_where_the_entries_say_whoever_wrote_and_whichever_page_is_lost(acts, lost, older):
    backend = Watched(f"pages {next(_names)}")
    with small_pages():
        writers = [opened(backend), opened(backend)]
        writers[0].register("m", [0])
        for act, version, who in acts:
            models = [*writers, opened(backend)][who]
            with contextlib.suppress(StillLive, VersionNotFound):
                match act:
                    case "register":
                        models.register("m", [version])
                    case "tag":
                        models.tag(f"m:{version}", team="risk")
                    case "delete":
                        models.delete(f"m:{version}", reason="leak")
                    case _:
                        getattr(models, act)(f"m:{version}")
        right = places(backend)
        assert [place_of(backend, version) for version in range(1, len(right) + 1)] == right
        written = backend.written.get(page_key(lost))
        if written:
            backend.put(page_key(lost), written[0]) if older else backend.delete(page_key(lost))
        assert [place_of(backend, version) for version in range(1, len(right) + 1)] == right
        assert place_of(backend, len(right) + 1) is None
