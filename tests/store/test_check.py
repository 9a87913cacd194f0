"""fsck: whatever happens to a file of a store, the check names it, and nobody loads what it was not."""

import contextlib
import re

import pytest

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, MlopsKitError
from mlops_kit.monitoring.book import open_book
from mlops_kit.monitoring.listing import monitor_names, open_monitor
from mlops_kit.monitoring.segments import Segments
from mlops_kit.records import codec
from mlops_kit.records.entry import Entry
from mlops_kit.store import serializers
from mlops_kit.tracking.metrics import SEGMENT_POINTS

PLACES = (0, 0.6, 1)


def files(root):
    """List all that a check reads."""
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".gitignore")


def key(root, path):
    return path.relative_to(root).as_posix()


def is_result(path):
    """Return whether a file is the result of a step: it is computed again if it is lost."""
    return path.parent.name == "steps"


def damage(root, path):
    """Return the problem of a file that is damaged."""
    return "stale-result" if is_result(path) else "damaged", key(root, path)


def named_in(root, path):
    """Return the files that hold the name of a file."""
    return {each for each in files(root) if path.name.encode() in each.read_bytes()}


def problems(root):
    return {(problem.kind, problem.key) for problem in mk.Store(root).fsck().problems}


def monitors(store):
    for name in whole(monitor_names(store)):
        open_monitor(name, store).check()
        open_book(store, name).entries()
        logged = Segments(store, name)
        assert all(logged.read_bytes(segment) for segment in logged.listed())


def whole(found):
    """Refuse a listing that had to pass over something."""
    if found.problems:
        raise IntegrityError(str(found.problems[0]))
    return found


def everything(root):
    """Read all that the public API can tell of a store."""
    from mlops_kit.datasets.dataset import Dataset

    store = mk.Store(root)
    store.describe()
    models = mk.ModelStore(store)
    for name in whole(models.names()):
        for entry in whole(models.history(name)):
            if "evidence" in entry.body:
                models.evidence(entry.body["evidence"])
        for version in whole(models.versions(name)):
            models.load(version.spec)
            models.lineage(version.spec)
    for name in whole(Dataset.names(store=store)):
        for dataset in whole(Dataset.versions(name, store=store)):
            dataset.to_pandas()
            assert dataset.profile
    monitors(store)
    for run_id in list(store.runs.ids()):
        run = mk.get_run(run_id, store=store)
        parts = (run.status, run.params, run.metrics, run.inputs, run.code, run.environment, run.rng, run.error)
        assert parts
        for metric in run.metrics:
            run.metric_history(metric)
        for name in (*run.outputs, *run.artifacts):
            run.load(name)


@pytest.fixture(autouse=True)
def _trusting(monkeypatch, tmp_path):
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(tmp_path))
    monkeypatch.setattr(serializers, "pickled", set())


def test_a_sound_store_is_ok_and_every_file_was_read(rich_store):
    report = mk.Store(rich_store).fsck()
    assert report.ok
    assert report.files == len(files(rich_store))
    everything(rich_store)


def test_a_bit_flipped_anywhere_is_named_and_named_alone(rich_store):
    for path in files(rich_store):
        data = path.read_bytes()
        for place in PLACES:
            damaged = bytearray(data)
            damaged[int(place * (len(data) - 1))] ^= 1 << (3 if place else 0)
            path.write_bytes(damaged)
            assert problems(rich_store) == {damage(rich_store, path)}, place
        path.write_bytes(data)
    assert mk.Store(rich_store).fsck().ok


def test_what_has_a_bit_flipped_is_not_loaded(rich_store):
    """Hints and leases are no content: with those damaged, everything loads as before."""
    for path in files(rich_store):
        hint = path.name == "head.json" or path.name.endswith(".lease.json") or is_result(path)
        spare = path.name.endswith(".start.json")  # what the end of the run repeats
        naming = named_in(rich_store, path)
        spare |= bool(naming) and all(map(is_result, naming))  # a result that is lost is computed again
        data = path.read_bytes()
        for place in PLACES[1:]:
            damaged = bytearray(data)
            damaged[int(place * (len(data) - 1))] ^= 4
            path.write_bytes(damaged)
            refused = contextlib.nullcontext() if hint else pytest.raises(IntegrityError)
            if spare:
                refused = contextlib.suppress(IntegrityError)
            with refused:
                everything(rich_store)
        path.write_bytes(data)


@pytest.mark.parametrize("length", [0, 1, 0.5])
def test_a_file_cut_short_is_named(rich_store, length):
    for path in files(rich_store):
        data = path.read_bytes()
        path.write_bytes(data[: int(length * len(data)) if isinstance(length, float) else length])
        assert problems(rich_store) == {damage(rich_store, path)}
        path.write_bytes(data)


def segments(root):
    """Make a run of three segments, and give it and their paths."""
    store = mk.Store(root)
    with mk.start_run(store=store) as run:
        for step in range(3 * SEGMENT_POINTS):
            run.log_metric("loss", step)
    return run, sorted(root.glob(f"runs/*/{run.id}.metrics-*"))


def test_a_deleted_segment_of_metrics_is_named_by_the_check_and_by_who_reads_it(tmp_path):
    run, paths = segments(tmp_path / "store")
    for number, path in enumerate(paths, 1):
        data = path.read_bytes()
        path.unlink()
        assert problems(tmp_path / "store") == {("missing", key(tmp_path / "store", path))}
        with pytest.raises(IntegrityError, match=f"Segment {number} of the metrics .* holds 0 points"):
            mk.get_run(run.id, store=tmp_path / "store").metric_history("loss")
        path.write_bytes(data)
    assert problems(tmp_path / "store") == set()


def test_a_segment_of_metrics_cut_at_the_end_of_a_line_is_named(tmp_path):
    run, paths = segments(tmp_path / "store")
    data = paths[1].read_bytes()
    paths[1].write_bytes(data[: data.index(b"\n", 1000) + 1])
    assert problems(tmp_path / "store") == {("damaged", key(tmp_path / "store", paths[1]))}
    with pytest.raises(IntegrityError, match="and its end counted 10000"):
        mk.get_run(run.id, store=tmp_path / "store").metric_history("loss")


def test_a_gap_between_the_segments_of_a_run_without_an_end_is_named(tmp_path):
    _, paths = segments(tmp_path / "store")
    next(tmp_path.glob("store/runs/*/*.end.json")).unlink()
    paths[1].unlink()
    assert problems(tmp_path / "store") == {("missing", key(tmp_path / "store", paths[1]))}


def test_a_missing_file_that_something_needs_is_named(rich_store):
    expendable = re.compile(r"head\.json|.*\.lease\.json|.*\.end\.json|(?!store).*\.start\.json|.*\.parquet")
    last = {
        max(path for path in files(rich_store) if path.parent == folder and path.stem.isdigit())
        for folder in {path.parent for path in files(rich_store) if "journals" in path.parts}
    }
    for path in files(rich_store):
        data = path.read_bytes()
        path.unlink()
        found = problems(rich_store)
        if path in last:  # a chain alone cannot show that its end is missing; the hint says that there was more
            assert found == {("stale-hint", key(rich_store, path.with_name("head.json")))}
        elif is_result(path):
            assert found == set()
        elif not expendable.fullmatch(path.name):
            naming = named_in(rich_store, path)
            stale = {("stale-result", key(rich_store, each)) for each in naming if is_result(each)}
            missing = {("missing", key(rich_store, path))}
            assert found <= missing | stale
            assert missing <= found or found == stale == {damage(rich_store, each) for each in naming}
        path.write_bytes(data)


def test_a_lost_start_of_a_run_that_ended_is_no_loss_for_the_end_repeats_it(rich_store):
    """The start is not synced, so a power cut may take it and leave the end."""
    path = next(path for path in files(rich_store) if path.name.endswith(".start.json"))
    run_id = path.name.removesuffix(".start.json")
    before = mk.get_run(run_id, store=rich_store)
    told = repr((before.name, before.params, before.status, before.inputs))
    path.unlink()
    assert problems(rich_store) == set()
    after = mk.get_run(run_id, store=mk.Store(rich_store))
    assert repr((after.name, after.params, after.status, after.inputs)) == told


def test_a_missing_object_says_who_names_it_and_as_what(rich_store):
    digest = mk.ModelStore(rich_store).get("rich:1").digest[7:]
    (rich_store / "objects" / digest[:2] / digest).unlink()
    (problem,) = mk.Store(rich_store).fsck().problems
    assert problem.kind == "missing"
    assert re.search(r"names it as its (object|return)", problem.message)
    assert problem.key in str(problem)


def test_an_entry_moved_to_another_number_is_named(rich_store):
    journal = rich_store / "journals" / "models" / "rich"
    (journal / "000000000007.json").write_bytes((journal / "000000000003.json").read_bytes())
    assert ("damaged", "journals/models/rich/000000000007.json") in problems(rich_store)


def test_an_entry_replaced_by_a_sound_one_breaks_the_chain(rich_store):
    path = rich_store / "journals" / "models" / "rich" / "000000000004.json"
    entry = Entry.decode(path.read_bytes(), where="")
    forged = Entry(
        entry.seq, entry.prev, entry.at, {"actor": "eve", "source": "git"}, entry.nonce, entry.kind, entry.body
    )
    path.write_bytes(forged.encode())
    assert problems(rich_store) == {("broken-chain", "journals/models/rich/000000000005.json")}
    with pytest.raises(IntegrityError):
        mk.Store(rich_store).journal("models", "rich", lambda *_: None).forget_hint()


def test_a_journal_under_another_name_is_named(rich_store):
    (rich_store / "journals" / "models" / "rich").rename(rich_store / "journals" / "models" / "poor")
    assert ("damaged", "journals/models/poor/000000000001.json") in problems(rich_store)


def test_a_record_of_a_run_under_another_id_is_named(rich_store):
    first, second = [path for path in files(rich_store) if path.name.endswith(".start.json")][:2]
    second.write_bytes(first.read_bytes())
    assert ("damaged", key(rich_store, second)) in problems(rich_store)


def test_a_run_in_the_folder_of_another_day_is_named(rich_store):
    (day,) = (rich_store / "runs").iterdir()
    day.rename(rich_store / "runs" / "2020-02-02")
    found = problems(rich_store)
    assert {kind for kind, _ in found} <= {"damaged", "missing"}
    assert any("2020-02-02" in where for _, where in found)


def test_an_object_under_another_name_is_named(rich_store):
    path = next((rich_store / "objects").rglob("*/*"))
    wrong = rich_store / "objects" / "00" / ("00" * 32)
    wrong.parent.mkdir(exist_ok=True)
    wrong.write_bytes(path.read_bytes())
    assert problems(rich_store) == {("damaged", key(rich_store, wrong))}


def test_a_hint_of_entries_that_are_not_there_is_told_and_is_only_a_hint(rich_store):
    journal = rich_store / "journals" / "models" / "rich"
    (journal / "000000000006.json").unlink()
    report = mk.Store(rich_store).fsck()
    assert [(problem.kind, problem.key) for problem in report.problems] == [
        ("stale-hint", "journals/models/rich/head.json")
    ]
    assert "only a hint" in report.problems[0].message


def test_a_hint_that_says_other_than_the_entries_is_told_and_repaired(rich_store):
    path = rich_store / "journals" / "models" / "rich" / "head.json"
    sound = path.read_bytes()
    hint = codec.unseal(sound, where="", kind="head")
    hint["fold"]["aliases"]["champion"] = [2]
    path.write_bytes(codec.seal("head", {name: hint[name] for name in ("seq", "tip", "fold")}))
    assert mk.ModelStore(rich_store).aliases("rich") == {"champion": 2}  # who may write the hint, may lie
    assert problems(rich_store) == {("stale-hint", key(rich_store, path))}
    assert mk.Store(rich_store).fsck(repair=True).ok
    assert path.read_bytes() == sound


def test_a_hint_behind_the_truth_is_sound(rich_store):
    head = rich_store / "journals" / "models" / "rich" / "head.json"
    old = head.read_bytes()
    mk.ModelStore(rich_store).promote("rich:2")
    head.write_bytes(old)
    assert problems(rich_store) == set()


@pytest.mark.parametrize("where", ["notes.txt", "journals/models/rich/extra.json", "objects/ab/short", "runs/x.json"])
def test_a_file_that_no_store_has_is_named(rich_store, where):
    (rich_store / where).parent.mkdir(parents=True, exist_ok=True)
    (rich_store / where).write_text("?")
    assert problems(rich_store) == {("unknown-file", where)}


def test_what_writers_leave_behind_is_no_problem(rich_store):
    (rich_store / "tmp").mkdir(exist_ok=True)
    (rich_store / "tmp" / "1a2b3c4d5e6f7a8b-7").write_text("half")
    assert problems(rich_store) == set()


def test_a_record_of_a_newer_release_is_told_apart_from_damage(rich_store, monkeypatch):
    path = rich_store / "journals" / "models" / "rich" / "000000000006.json"
    entry = Entry.decode(path.read_bytes(), where="")
    with monkeypatch.context() as patch:
        patch.setattr(codec, "FORMAT", 2)
        path.write_bytes(entry.encode())
    assert problems(rich_store) == {("newer-format", "journals/models/rich/000000000006.json")}


def test_a_sealed_record_without_the_members_it_needs_is_damage_and_not_a_crash(rich_store):
    path = rich_store / "journals" / "models" / "rich" / "000000000006.json"
    path.write_bytes(codec.seal("entry", {"kind": "promote"}))
    assert problems(rich_store) == {("damaged", "journals/models/rich/000000000006.json")}


def test_checking_changes_nothing(rich_store):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files(rich_store)}
    mk.Store(rich_store).fsck()
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files(rich_store)}


def test_a_damaged_model_does_not_stand_in_the_way_of_the_others(rich_store):
    models = mk.ModelStore(rich_store)
    digest = models.get("rich:1").digest[7:]
    (rich_store / "objects" / digest[:2] / digest).write_bytes(b"gone")
    with pytest.raises(MlopsKitError):
        models.load("rich:1")
    assert models.load("rich:2")["trees"] == 3
