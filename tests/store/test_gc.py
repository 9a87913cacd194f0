"""gc: what nothing names goes, after a grace and a second look; everything else stays."""

import contextlib
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, InvalidInput, NewerFormat
from mlops_kit.records import codec
from mlops_kit.records.dataset import Manifest, Part
from mlops_kit.records.garbage import Sweep
from mlops_kit.records.run import RunStart
from mlops_kit.store import gc, keys, sweeps
from mlops_kit.store.backend import Found
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.trace import Live, digest_in

DAY = 86_400.0
GRACE = 14 * DAY


class Clocked(MemoryBackend):
    """Memory with a clock of its own."""

    def __init__(self, name):
        super().__init__(name)
        self.time = 1_700_000_000.0

    def now(self):
        return self.time

    def put(self, key, data, *, durable=True):
        self._values[key] = (bytes(data), self.time)

    def create(self, key, data):
        value = (bytes(data), self.time)
        return self._values.setdefault(key, value) is value

    def touch(self, key):
        self._values[key] = (self._values[key][0], self.time)


@pytest.fixture
def store(tmp_path):
    store = mk.Store.on(Clocked(str(tmp_path)))
    store.ensure()
    return store


@pytest.fixture(autouse=True)
def steady(monkeypatch):
    """Let sleeping take no time."""
    clock = SimpleNamespace(seconds=0.0)

    def sleep(seconds):
        clock.seconds += seconds

    fake = SimpleNamespace(monotonic=lambda: clock.seconds, time=lambda: clock.seconds, sleep=sleep)
    monkeypatch.setattr(sweeps, "time", fake)
    return clock


def later(store, seconds):
    store.backend.time += seconds


def act(store, **options):
    return store.gc(dry_run=False, **options)


def place(store, digest):
    return store.backend.stat(keys.object_key(digest))


def everything(store):
    return {found.key: store.backend.get(found.key) for found in store.backend.walk("")}


def test_what_nothing_names_is_marked_and_goes_a_grace_later(store):
    digest = store.objects.put(b"left behind")
    first = act(store)
    assert (first.marked, first.deleted, first.kept) == ((keys.object_key(digest),), (), 0)
    later(store, GRACE - 1)
    assert act(store).deleted == ()
    later(store, 1)
    last = act(store)
    assert (last.deleted, last.freed_bytes, last.marked) == ((keys.object_key(digest),), 11, ())
    assert place(store, digest) is None
    assert not list(store.backend.walk(keys.MARKS))


def test_age_alone_is_no_reason_to_go(store):
    digest = store.objects.put(b"old")
    later(store, 10 * GRACE)
    assert act(store).deleted == ()
    assert place(store, digest)


def test_what_was_used_since_the_mark_stays_for_another_grace(store):
    digest = store.objects.put(b"used again")
    act(store)
    later(store, GRACE / 2)
    mk.Store.on(store.backend).objects.put(b"used again")
    later(store, GRACE / 2)
    assert act(store).deleted == ()
    later(store, GRACE)
    assert act(store).deleted == (keys.object_key(digest),)


def test_a_dry_run_changes_nothing_and_tells_the_same(store):
    store.objects.put(b"left behind")
    store.backend.put("tmp/0123456789abcdef-3", b"x")
    assert store.gc().dry_run
    act(store)
    later(store, GRACE)
    before = everything(store)
    told = store.gc()
    assert everything(store) == before
    done = act(store)
    assert (told.deleted, told.freed_bytes, told.kept) == (done.deleted, done.freed_bytes, done.kept)
    assert len(done.deleted) == 2


def test_nothing_of_a_rich_store_is_needed_less_for_being_old(rich_store):
    store = mk.Store(rich_store)
    before = set(rich_store.rglob("*/*"))
    report = act(store, grace=0, exclusive=True)
    assert report.deleted == report.marked == ()
    assert report.kept == len(list((rich_store / "objects").glob("*/*")))
    assert before == set(rich_store.rglob("*/*"))


def test_in_a_rich_store_only_what_was_left_behind_goes(rich_store):
    store = mk.Store(rich_store)
    digest = store.objects.put(b"left behind")
    assert act(store, grace=0, exclusive=True).deleted == (keys.object_key(digest),)
    assert store.fsck().ok
    assert mk.ModelStore(store).load("rich:1")["trees"] == 2
    assert len(mk.Dataset.load("customers@latest", store=store).to_pandas()) == 2


def test_a_pack_lives_while_a_manifest_names_it(store):
    packs = [f"packs/{letter * 64}" for letter in "ab"]
    for key in packs:
        store.backend.put(key, b"chunks")
    part = Part("pack", f"sha256:{'a' * 64}", 6, 1)
    manifest = store.objects.put(Manifest("fp1:0", "0", 1, (), {}, (part,)).encode())
    snapshot = {"version": 1, "manifest": manifest}
    store.journal("datasets", "d", lambda *_: None).append(lambda _: ("snapshot", snapshot))
    assert act(store, grace=0, exclusive=True).deleted == (packs[1],)
    assert store.backend.get(packs[0])


def test_a_run_that_goes_on_keeps_what_it_has_not_named_yet(store):
    run_id = "00000001-000000000001"
    store.runs.write_start(
        RunStart(run_id, "train", "default", datetime(2030, 1, 1, tzinfo=UTC), {"actor": "ann"}, "host", 1)
    )
    digest = store.objects.put(b"its artifact")
    for _ in range(3):
        later(store, GRACE)
        store.runs.renew_lease(run_id)
        assert act(store).marked == ()
    later(store, GRACE)
    assert act(store).marked == (keys.object_key(digest),)  # its last sign of life is a grace old


def test_what_was_there_long_before_a_run_is_not_kept_by_it(store):
    digest = store.objects.put(b"old")
    later(store, GRACE)
    run_id = "00000001-000000000001"
    store.runs.write_start(
        RunStart(run_id, "train", "default", datetime(2030, 1, 1, tzinfo=UTC), {"actor": "ann"}, "host", 1)
    )
    assert act(store).marked == (keys.object_key(digest),)


def test_leftovers_of_writers_go_after_a_day(store):
    store.backend.put("tmp/0123456789abcdef-1", b"half")
    later(store, DAY)
    store.backend.put("tmp/0123456789abcdef-2", b"half")
    assert act(store).deleted == ("tmp/0123456789abcdef-1",)
    assert store.backend.get("tmp/0123456789abcdef-2") == b"half"


def test_the_grace_of_the_store_may_be_lengthened_and_shortened_only_by_one_who_is_alone(store):
    for grace in (0, GRACE - 1, "13d", timedelta(days=13)):
        with pytest.raises(InvalidInput, match="exclusive=True"):
            store.gc(grace)
        assert store.gc(grace, exclusive=True).grace < GRACE
    for grace in (GRACE, "15d", timedelta(weeks=3)):
        assert store.gc(grace).grace >= GRACE
    for nonsense in ("soon", -1, float("nan"), True, []):
        with pytest.raises(InvalidInput, match="not a span of time"):
            store.gc(nonsense)


def test_a_longer_grace_is_waited_for(store):
    store.objects.put(b"x")
    act(store)
    later(store, GRACE)
    assert act(store, grace="20d").deleted == ()
    later(store, 6 * DAY)
    assert len(act(store, grace="20d").deleted) == 1


def test_a_store_with_a_shorter_grace_refreshes_sooner(tmp_path):
    backend = Clocked(str(tmp_path))
    record = {"id": "0" * 32, "created": "2026-01-01T00:00:00.000000Z", "grace_seconds": 400, "capabilities": {}}
    backend.put(keys.STORE, codec.seal("store", record))
    store = mk.Store.on(backend)
    store.ensure()
    digest = store.objects.put(b"x")
    backend.time += 101
    store.objects.put(b"x")
    assert place(store, digest).modified == backend.time
    assert store.gc().grace == 400


@pytest.mark.parametrize("kind", ["entry", "end", "manifest"])
def test_while_a_record_cannot_be_read_nothing_goes(rich_store, kind):
    store = mk.Store(rich_store)
    store.objects.put(b"left behind")
    path = {
        "entry": rich_store / "journals/models/rich/000000000002.json",
        "end": next(rich_store.rglob("*.end.json")),
        "manifest": next(p for p in (rich_store / "objects").rglob("*/*") if b'"record":"manifest"' in p.read_bytes()),
    }[kind]
    data = path.read_bytes()
    path.write_bytes(data[:-5] + b"?" + data[-4:])
    for _ in range(2):
        with pytest.raises(IntegrityError, match=r"Nothing was collected.*fsck"):
            store.gc(0, dry_run=False, exclusive=True)
        if kind != "end":
            path.unlink(missing_ok=True)  # a missing entry or manifest is no better
    path.write_bytes(data)
    assert len(act(store, grace=0, exclusive=True).deleted) == 1


def test_every_record_that_cannot_be_read_is_named_at_once(rich_store):
    broken = {
        next(path for path in rich_store.rglob(pattern))
        for pattern in ("journals/models/rich/000000000002.json", "journals/datasets/*/000000000001.json", "*.end.json")
    }
    for path in broken:
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(IntegrityError) as refused:
        mk.Store(rich_store).gc()
    named = {problem.key for problem in refused.value.problems}
    assert named == {path.relative_to(rich_store).as_posix() for path in broken}
    assert all(key in str(refused.value) for key in named)


def test_a_record_of_a_newer_release_is_not_guessed_at(rich_store, monkeypatch):
    path = rich_store / "journals/models/rich/000000000002.json"
    record = codec.unseal(path.read_bytes(), where="")
    with monkeypatch.context() as patch:
        patch.setattr(codec, "FORMAT", 2)
        path.write_bytes(codec.seal("entry", record))
    with pytest.raises(NewerFormat):
        mk.Store(rich_store).gc()


def test_a_start_that_a_power_cut_emptied_names_nothing(rich_store):
    for path in rich_store.rglob("*.start.json"):
        path.write_bytes(b"")
    assert mk.Store(rich_store).gc(0, exclusive=True).deleted == ()


def test_files_that_are_no_objects_are_left_alone(rich_store):
    for name in ("objects/ab/notes.txt", f"objects/ab/{'c' * 64}", "packs/short"):
        (rich_store / name).parent.mkdir(exist_ok=True)
        (rich_store / name).write_text("?")
    assert act(mk.Store(rich_store), grace=0, exclusive=True).deleted == ()


def test_an_empty_store_has_nothing_to_collect_and_stays_empty(tmp_path):
    report = act(mk.Store(tmp_path / "none"))
    assert (report.marked, report.deleted, report.kept) == ((), (), 0)
    assert not (tmp_path / "none").exists()


def test_a_damaged_mark_marks_nothing_and_is_cleared_away(store):
    store.objects.put(b"x")
    act(store)
    later(store, GRACE)
    (mark,) = store.backend.walk(keys.MARKS)
    store.backend.put(mark.key, b"?")
    assert act(store).deleted == ()
    assert len(list(store.backend.walk(keys.MARKS))) == 1
    later(store, GRACE)
    assert len(act(store).deleted) == 1


def test_marks_are_made_once_for_each_object(store):
    for content in (b"1", b"2"):
        store.objects.put(content)
        act(store)
        later(store, DAY)
    act(store)
    assert [found.key for found in store.backend.walk(keys.MARKS)] == [keys.mark_key(1), keys.mark_key(2)]
    later(store, GRACE - 2 * DAY)
    assert len(act(store).deleted) == 1


def test_many_objects_go_in_several_sweeps(store, monkeypatch):
    monkeypatch.setattr(gc, "_BATCH", 3)
    for number in range(8):
        store.objects.put(b"%d" % number)
    assert len(act(store, grace=0, exclusive=True).deleted) == 8
    swept = [Sweep.decode(store.backend.get(found.key), where="") for found in store.backend.walk(keys.SWEEPS)]
    assert [(sweep.seq, sweep.keys, sweep.ended) for sweep in swept] == [(n, (), True) for n in (1, 2, 3)]


def test_a_sweeper_that_is_too_slow_gives_up_and_the_rest_goes_next_time(store, steady, monkeypatch):
    for number in range(4):
        store.objects.put(b"%d" % number)
    delete = store.backend.delete

    def slow(key):
        steady.seconds += 40 if key.startswith("objects/") else 0
        delete(key)

    monkeypatch.setattr(store.backend, "delete", slow)
    begun = []
    monkeypatch.setattr(sweeps.Sweeps, "begin", _counting(sweeps.Sweeps.begin, begun))
    assert len(act(store, grace=0, exclusive=True).deleted) == 4
    assert len(begun) == 2


def _counting(call, calls):
    def counted(*args):
        calls.append(args)
        return call(*args)

    return counted


@pytest.mark.parametrize("left", ["open", "damaged"])
def test_a_writer_waits_for_a_sweep_that_lists_its_object_and_closes_it_when_nobody_else_does(store, steady, left):
    digest = store.objects.put(b"x")
    key = keys.object_key(digest)
    store.backend.put(keys.sweep_key(1), Sweep(1, "00", (key,)).encode() if left == "open" else b"?")
    later(store, GRACE)
    writer = mk.Store.on(store.backend)
    writer.objects.put(b"x")
    assert steady.seconds > sweeps.PATIENCE_SECONDS > sweeps.SWEEP_SECONDS
    assert place(store, digest).modified == store.backend.time
    assert Sweep.decode(store.backend.get(keys.sweep_key(1)), where="").ended
    waited = steady.seconds
    writer.objects.put(b"another")
    assert steady.seconds == waited


def test_a_writer_does_not_wait_for_a_sweep_of_other_objects(store, steady):
    store.backend.put(keys.sweep_key(1), Sweep(1, "00", ("objects/other",)).encode())
    mk.Store.on(store.backend).objects.put(b"x")
    assert steady.seconds == 0


def test_the_next_sweeper_waits_for_the_last_one(store, steady):
    store.objects.put(b"x")
    store.backend.put(keys.sweep_key(4), Sweep(4, "00", ()).encode())
    assert len(act(store, grace=0, exclusive=True).deleted) == 1
    assert steady.seconds > sweeps.PATIENCE_SECONDS
    assert Sweep.decode(store.backend.get(keys.sweep_key(5)), where="").ended


@pytest.mark.parametrize("span", ["steady", "wall", "backwards"])
def test_a_deadline_is_over_when_either_clock_says_so_or_one_runs_backwards(monkeypatch, span):
    clock = SimpleNamespace(monotonic=lambda: 100.0, time=lambda: 1000.0)
    monkeypatch.setattr(sweeps, "time", clock)
    deadline = sweeps.Deadline(60)
    assert not deadline.passed
    if span == "steady":
        clock.monotonic = lambda: 160.0
    else:
        clock.time = lambda: 1060.0 if span == "wall" else 990.0
    assert deadline.passed


def test_a_new_object_asks_about_sweeps_once_and_a_known_one_never(store):
    asked = []
    get = store.backend.get
    store.backend.get = lambda key: asked.append(key) or get(key)
    store.objects.put(b"new")
    assert len([key for key in asked if key.startswith("gc/")]) == 1
    asked.clear()
    mk.Store.on(store.backend).objects.put(b"new")
    assert not [key for key in asked if key.startswith("gc/")]


def test_ripe_is_what_was_marked_and_unused_for_the_grace():
    found = [Found(key, 1, modified) for key, modified in {"ok": 0, "young": 95, "new": 0}.items()]
    marked = {"ok": 10, "young": 10, "new": 95}
    assert [one.key for one in gc.ripe(found, marked, now=100, grace=50)] == ["ok"]


def test_live_is_what_is_named_or_pinned():
    key = f"packs/{'a' * 64}"
    assert Live(frozenset({"a" * 64})).holds(Found(key, 1, 0))
    assert not Live(frozenset()).holds(Found(key, 1, 0))
    assert Live(frozenset(), 10.0).holds(Found(key, 1, 10.0))
    assert not Live(frozenset(), 10.0).holds(Found(key, 1, 9.0))
    assert digest_in(f"objects/ab/{'c' * 64}") is None


class Dies(Exception):
    """The process ends here."""


def test_a_collection_that_dies_at_any_operation_leaves_a_whole_store_that_can_be_collected(rich_store, tmp_path):
    """Every write is tried; the next collection ends what was begun, and loses nothing."""
    base = mk.Store(rich_store)
    digest = base.objects.put(b"left behind")
    copy = tmp_path / "copy"
    for number in range(1, 50):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(rich_store, copy)
        store = mk.Store(copy)
        calls = []

        def dying(name, store=store, calls=calls, number=number):
            real = getattr(store.backend, name)

            def call(*args, **kwargs):
                calls.append(name)
                if len(calls) == number:
                    raise Dies
                return real(*args, **kwargs)

            return call

        for name in ("put", "create", "delete"):
            setattr(store.backend, name, dying(name))
        died = False
        with contextlib.suppress(Dies):
            died = True
            act(store, grace=0, exclusive=True)
            died = False
        again = mk.Store(copy)
        assert again.fsck().ok
        act(again, grace=0, exclusive=True)
        assert not (copy / keys.object_key(digest)).exists()
        assert again.fsck().ok
        if not died:
            assert number > 4
            return
    pytest.fail("the collection never ends")


def test_the_report_says_what_was_done_and_what_comes_next(store):
    store.objects.put(b"left behind")
    assert "nothing changed: 0 files would go" in repr(store.gc())
    assert "1 object is named by nothing; gc(dry_run=False) marks it" in repr(store.gc())
    assert "it is marked, and after 14 days of grace a second one deletes it" in repr(act(store))
    later(store, GRACE)
    assert "1 file would go, 11 bytes" in repr(store.gc())
    assert "1 file went, 11 bytes; 0 objects are needed" in repr(act(store))


@pytest.mark.parametrize(
    "key",
    ["journals/pipelines/daily/000000000001.json", "steps/2030-01-01/a.json", "runs/2030-01-01/x.plan.json"],
)
def test_what_a_record_of_an_unknown_kind_names_is_kept(key):
    store = mk.Store(f"memory://gc-unknown-{key}")
    store.ensure()
    digest, other = store.objects.put(b"needed by a later release"), store.objects.put(b"needed by nobody")
    if key.startswith("journals/"):
        journal = store.journal("pipelines", "daily", lambda state, entry: None)
        journal.append(lambda _state: ("create", {"name": "daily", "plan": digest}))
    else:
        store.backend.put(key, b'{"plan":"' + digest.encode() + b'"}')
    report = store.gc(grace=0, dry_run=False, exclusive=True)
    assert store.objects.get(digest) == b"needed by a later release"
    assert report.deleted == (f"objects/{other[7:9]}/{other[7:]}",)
    assert store.backend.stat(key) is not None
