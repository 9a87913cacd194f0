"""Models are registered, found, promoted, rolled back and loaded."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC
from decimal import Decimal
from fractions import Fraction

import pytest

import mlops_kit as mk
from mlops_kit.errors import (
    Conflict,
    InvalidInput,
    InvalidName,
    NothingToRollBack,
)

# Registering and finding


def test_versions_are_numbered_from_one_in_the_order_of_registration(models):
    specs = [models.register("fraud", value).spec for value in ("a", "b", "c")]
    assert specs == ["fraud:1", "fraud:2", "fraud:3"]
    assert [version.version for version in models.versions("fraud")] == [1, 2, 3]
    assert [models.load(spec) for spec in specs] == ["a", "b", "c"]
    assert models.load("fraud@latest") == "c"


def test_a_version_carries_what_is_known_without_loading_it(models):
    made = models.register("fraud", {"w": 1}, metrics={"auc": 0.5, "n": 3}, description="the first")
    found = models.get("fraud:1")
    assert found == made
    assert (found.name, found.type, found.format) == ("fraud", "builtins.dict", "cloudpickle")
    assert found.metrics == {"auc": 0.5, "n": 3}
    assert type(found.metrics["n"]) is int
    assert found.description == "the first"
    assert found.run_id is None
    assert found.fingerprint == mk.fingerprint({"w": 1})
    assert found.by == {"actor": found.by["actor"], "source": found.by["source"]}
    assert found.created.tzinfo is UTC


def test_equal_models_are_two_versions_of_one_object(models):
    one, two = models.register("fraud", [1]), models.register("fraud", [1])
    assert (one.version, two.version) == (1, 2)
    assert one.digest == two.digest


def test_names_are_listed_sorted_as_first_spelled(models):
    assert models.names() == []
    for name in ("Zebra", "ant", "Kühlung", "v1.2_b-c"):
        models.register(name, name)
    assert models.names() == sorted(["Zebra", "ant", "Kühlung", "v1.2_b-c"])


def test_another_opening_of_the_store_finds_everything(local):
    local.register("fraud", 1)
    local.promote("fraud:1")
    again = mk.ModelStore(mk.Store(local.store.url))
    assert (again.names(), again.load("fraud@champion"), again.aliases("fraud")) == (["fraud"], 1, {"champion": 1})


def test_a_model_store_and_a_version_pickle(local):
    version = local.register("fraud", 1)
    assert pickle.loads(pickle.dumps(local)).load("fraud:1") == 1
    assert pickle.loads(pickle.dumps(version)) == copy.copy(version) == version


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0, 2**60 + 1, 10**400, 0.1 + 0.2, True])
def test_a_metric_comes_back_as_the_number_it_was(models, value):
    models.register("fraud", 1, metrics={"m": value})
    found = mk.ModelStore(mk.Store(models.store.url)).get("fraud:1").metrics["m"]
    assert repr(found) == repr(float(value) if isinstance(value, bool) else value)


@pytest.mark.parametrize("value", ["high", None, [1, 2], 1j, {}, Decimal("sNaN"), Fraction(10**400)])
def test_a_metric_that_is_no_number_is_refused_and_nothing_registered(models, value):
    with pytest.raises(InvalidInput, match="'m' is not a number"):
        models.register("fraud", 1, metrics={"m": value})
    assert models.names() == []


def test_an_unknown_format_is_refused_with_those_there_are(models):
    with pytest.raises(InvalidInput, match=r"no format 'joblib'. Formats: cloudpickle"):
        models.register("fraud", 1, format="joblib")
    assert models.names() == []


# Aliases


def test_an_alias_points_where_it_was_promoted_to_last(models):
    for value in "abc":
        models.register("fraud", value)
    assert str(models.promote("fraud:1")) == "fraud@champion: nothing → 1"
    assert str(models.promote("fraud:3", reason="better")) == "fraud@champion: 1 → 3"
    assert models.promote("fraud@champion", "shadow").version == 3
    assert models.aliases("fraud") == {"champion": 3, "shadow": 3}
    assert models.load("fraud@champion") == "c"


def test_rolling_back_again_goes_further_back(models):
    for value in "abc":
        models.register("fraud", value)
        models.promote("fraud@latest")
    assert [models.rollback("fraud").version, models.rollback("fraud").version] == [2, 1]
    with pytest.raises(NothingToRollBack, match="points to version 1, its first"):
        models.rollback("fraud")
    assert models.aliases("fraud") == {"champion": 1}


def test_an_alias_never_promoted_cannot_be_rolled_back(models):
    models.register("fraud", 1)
    with pytest.raises(NothingToRollBack, match=r"'champion' of 'fraud'.*never promoted"):
        models.rollback("fraud")


def test_a_promotion_to_the_version_already_there_is_in_the_history_and_needs_no_rolling_back(models):
    for value in "ab":
        models.register("fraud", value)
    for spec in ("fraud:1", "fraud:2", "fraud:2"):
        models.promote(spec)
    assert [entry.kind for entry in models.history("fraud")].count("promote") == 3
    assert models.rollback("fraud").version == 1


def test_a_promotion_after_a_rollback_forgets_what_was_rolled_back(models):
    for value in "abc":
        models.register("fraud", value)
    for spec in ("fraud:1", "fraud:2"):
        models.promote(spec)
    models.rollback("fraud")
    models.promote("fraud:3")
    assert models.rollback("fraud").version == 1


def test_aliases_are_moved_each_by_itself(models):
    for value in "ab":
        models.register("fraud", value)
    for alias in ("champion", "shadow"):
        models.promote("fraud:1", alias)
        models.promote("fraud:2", alias)
    models.rollback("fraud", "shadow")
    assert models.aliases("fraud") == {"champion": 2, "shadow": 1}


@pytest.mark.parametrize("move", [lambda m: m.promote("fraud:1", "latest"), lambda m: m.rollback("fraud", "latest")])
def test_latest_cannot_be_moved(models, move):
    models.register("fraud", 1)
    with pytest.raises(InvalidInput, match="'latest' always points to the newest version and cannot be moved"):
        move(models)


@pytest.mark.parametrize("alias", ["", "a b", "../x", "a@b", "a:1", "con", None, 3])
def test_an_alias_has_the_rules_of_a_name(models, alias):
    models.register("fraud", 1)
    with pytest.raises(InvalidName, match="cannot name an alias"):
        models.promote("fraud:1", alias)


def test_a_promotion_that_expects_another_champion_is_refused_and_told_who_moved_it_and_when(models, monkeypatch):
    for value in "ab":
        models.register("fraud", value)
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    moved = models.promote("fraud:2", expect=0)
    monkeypatch.setenv("MLOPS_KIT_USER", "bob")
    with pytest.raises(Conflict, match="points to version 2, moved there by ann at") as refused:
        models.promote("fraud:1", expect=1)
    assert moved.at.strftime("%Y-%m-%dT%H:%M:%S.%f") in str(refused.value)
    assert "where version 1 was expected" in str(refused.value)
    with pytest.raises(Conflict, match="where nothing was expected"):
        models.promote("fraud:1", expect=0)
    assert models.aliases("fraud") == {"champion": 2}
    assert models.promote("fraud:1", expect=2).previous == 2


def test_a_promotion_that_expects_a_champion_where_there_is_none_is_refused(models):
    models.register("fraud", 1)
    with pytest.raises(Conflict, match="points to nothing, where version 1 was expected"):
        models.promote("fraud:1", expect=1)


def test_to_expect_nothing_is_another_thing_than_to_have_no_expectation(models):
    models.register("fraud", [1])
    models.register("fraud", [2])
    assert models.promote("fraud:1", expect=None).version == 1
    with pytest.raises(Conflict, match=r"points to version 1.*where nothing was expected"):
        models.promote("fraud:2", expect=None)
    assert models.promote("fraud:2").previous == 1
    assert models.promote("fraud:1", expect="any").previous == 2
    for wrong in ("1", True, 1.0, "x" * 1000):
        with pytest.raises(InvalidInput, match=r"^.{,200}$"):
            models.promote("fraud:2", expect=wrong)


def test_of_two_promotions_that_expect_the_same_champion_one_wins(models):
    for value in "abc":
        models.register("fraud", value)
    models.promote("fraud:1")
    places = [models, mk.ModelStore(mk.Store(models.store.url))]
    gate, outcomes = threading.Barrier(2), {}

    def promote(place, spec):
        gate.wait()
        try:
            outcomes[spec] = place.promote(spec, expect=1).version
        except Conflict as refused:
            outcomes[spec] = refused

    threads = [threading.Thread(target=promote, args=pair) for pair in zip(places, ("fraud:2", "fraud:3"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes.values()) == ["Conflict", "int"]
    winner = next(outcome for outcome in outcomes.values() if isinstance(outcome, int))
    assert models.aliases("fraud") == {"champion": winner}


def test_the_history_is_every_decision_with_who_when_and_why(models, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_USER", "ann")
    models.register("fraud", 1)
    models.register("fraud", 2)
    models.promote("fraud:1", reason="the first")
    models.promote("fraud:2")
    models.rollback("fraud", reason="worse on Mondays")
    entries = models.history("fraud")
    assert [entry.kind for entry in entries] == ["create", "register", "register", "promote", "promote", "rollback"]
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert {entry.by["actor"] for entry in entries} == {"ann"}
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert entries[-1].body == {"alias": "champion", "version": 1, "previous": 2, "reason": "worse on Mondays"}


# Runs


def test_a_model_registered_in_a_run_carries_its_id_and_metrics(models):
    with mk.start_run("training", store=models.store) as run:
        mk.log_metric("auc", 0.75)
        version = models.register("fraud", 1)
    assert (version.run_id, version.metrics) == (run.id, {"auc": 0.75})


def test_a_model_registered_beside_a_run_of_another_store_is_not_of_that_run(models, tmp_path):
    with mk.start_run("training", store=f"memory://beside-{tmp_path}"):
        mk.log_metric("auc", 0.75)
        version = models.register("fraud", 1)
    assert (version.run_id, version.metrics) == (None, {})


def test_metrics_and_run_may_be_given(models):
    with mk.start_run("training", store=models.store) as run:
        pass
    version = models.register("fraud", 1, run=run.id, metrics={"auc": 1})
    assert (version.run_id, version.metrics) == (run.id, {"auc": 1})


@pytest.mark.parametrize("run", ["../../x", "no-such-run", "", 7])
def test_a_run_that_is_no_id_is_refused(models, run):
    with pytest.raises(InvalidInput, match="run"):
        models.register("fraud", 1, run=run)
    assert models.names() == []


# Several at once


def test_threads_that_register_at_once_leave_no_gap(models):
    made, gate = [], threading.Barrier(4)

    def register(who):
        gate.wait()
        made.extend((models.register("fraud", (who, turn)).version, (who, turn)) for turn in range(6))

    threads = [threading.Thread(target=register, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(version for version, _ in made) == list(range(1, 25))
    assert all(models.load(f"fraud:{version}") == value for version, value in made)


def test_two_processes_that_register_and_promote_at_once_leave_no_gap_and_lose_nothing(local):
    script = textwrap.dedent("""
        import sys, time
        import mlops_kit as mk
        _, url, who, start = sys.argv
        models = mk.ModelStore(url)
        time.sleep(max(0, float(start) - time.time()))
        for turn in range(12):
            version = models.register("fraud", (who, turn))
            models.promote(version.spec)
            print(version.version)
    """)
    start = time.time() + 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, local.store.url, who, str(start)], stdout=subprocess.PIPE, text=True
        )
        for who in ("ann", "bob")
    ]
    numbers = [[int(line) for line in process.communicate(timeout=60)[0].split()] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(numbers[0] + numbers[1]) == list(range(1, 25))
    assert numbers[0] == sorted(numbers[0])
    loaded = {local.load(version.spec) for version in local.versions("fraud")}
    assert loaded == {(who, turn) for who in ("ann", "bob") for turn in range(12)}
    for mine, who in zip(numbers, ("ann", "bob"), strict=True):
        assert [local.load(f"fraud:{number}") for number in mine] == [(who, turn) for turn in range(12)]
    moves = [entry.body for entry in local.history("fraud") if entry.kind == "promote"]
    assert len(moves) == 24
    assert [move.get("previous") for move in moves] == [None, *(move["version"] for move in moves[:-1])]
    assert local.store.fsck().problems == ()


# Shown


def test_everything_shows_itself(models):
    hostile = "<script>alert(1)</script> \x1b[31mred\x07"
    models.register("fraud", {"a": 1}, description=hostile, metrics={hostile: 0.5})
    version = models.get("fraud:1")
    assert models.store.url in repr(models)
    assert "<script>alert(1)</script>" in repr(version)
    assert "&lt;script&gt;" in version._repr_html_()
    for shown in (repr(version), version._repr_html_()):
        assert "\x1b" not in shown
        assert "\x07" not in shown
    assert "<script>" not in version._repr_html_()


# What it costs


def test_promoting_costs_one_conditional_write_and_at_most_two_reads_and_finding_two_reads(tmp_path, monkeypatch):
    models = mk.ModelStore(mk.Store(f"memory://{tmp_path}"))
    for value in "abc":
        models.register("fraud", value)
    asked, backend = [], models.store.backend

    def counting(act):
        def counted(key, *rest, **options):
            asked.append(f"{act.__name__} head" if key.endswith("head.json") else act.__name__)
            return act(key, *rest, **options)

        return counted

    for name in ("get", "create", "put"):
        monkeypatch.setattr(backend, name, counting(getattr(backend, name)))
    models.promote("fraud:2")
    assert asked.count("get") <= 2
    assert [act for act in asked if act != "get"] == ["create", "put head"]
    asked.clear()
    models.get("fraud@champion")
    assert set(asked) == {"get"}
    assert len(asked) <= 2


def test_a_promotion_that_expects_is_refused_where_two_writers_could_overwrite_each_other(tmp_path):
    store = mk.Store(tmp_path / "store")
    store.ensure()
    store.backend.choose({"create": "single-writer"})
    models = mk.ModelStore(store)
    models.register("m", 1)
    with pytest.raises(mk.errors.StoreError, match="put-if-absent"):
        models.promote("m:1", expect=0)
    assert models.promote("m:1").version == 1


def test_what_is_changed_in_an_answer_stays_the_callers():
    models = mk.ModelStore()
    models.register("m", [1], metrics={"auc": 0.5})
    models.promote("m:1", reason="because")
    models.history("m")[1].body["metrics"]["auc"] = 1.0
    models.history("m")[2].body["reason"] = "another"
    models.history("m")[2].by["actor"] = "another"
    version = models.get("m:1")
    version.metrics["auc"] = 1.0
    version.by["actor"] = "another"
    assert models.get("m:1").metrics == {"auc": 0.5}
    assert models.get("m:1").by["actor"] != "another"
    told = models.history("m")[2]
    assert (told.body["reason"], told.by["actor"]) == ("because", models.get("m:1").by["actor"])


def test_what_a_run_returned_is_registered_with_its_link_and_its_metrics():
    @mk.track
    def train():
        mk.log_metric("auc", 0.75)
        return [1, 2, 3]

    train()
    run = train.last_run
    version = mk.ModelStore().register("m", run.load(), run=run)
    assert (version.run_id, version.metrics) == (run.id, {"auc": 0.75})
    assert mk.ModelStore().lineage("m:1").run["name"] == "train"
    assert mk.ModelStore().register("m", run.load(), run=run.id).metrics == {}
