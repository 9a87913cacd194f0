"""Many processes in one store: all that was acknowledged is there, in one order, whoever was killed meanwhile."""

import json
import os
import secrets
import signal
import subprocess
import sys

import crowd
import pytest

import mlops_kit as mk
from mlops_kit.store.memory import MemoryBackend

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """Give the address of a place where nothing is yet."""
    return str(tmp_path / "store") if request.param == "local" else request.getfixturevalue("s3")


def place(url):
    return "s3" if url.startswith("s3:") else "local"


def crowded(act, url, *, processes=8, count, victims=0):
    """Let processes act at once, and give what each told and how it ended."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", crowd.__file__, act, url]
    done = subprocess.run(
        [*command, str(processes), str(count), str(victims)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert sorted(set(answer["codes"]) - {0}) == ([-signal.SIGKILL] if victims else []), done.stderr
    return answer


def test_eight_processes_of_25_runs_in_a_fresh_store_finish_200_runs(url, figure):
    answer = crowded("runs", url, count=25)
    store = copied(url)
    report = store.fsck()
    assert report.ok, report
    runs = mk.list_runs(limit=1000, store=store)
    assert [run.status for run in runs] == ["finished"] * 200
    assert sorted(run.params["depth"] for run in runs) == sorted(list(range(25)) * 8)
    assert all(run.metrics == {"auc": 0.9, "loss": 1 / (run.params["depth"] + 1)} for run in runs)
    assert repr(mk.Store(url).sync()) == f"SyncReport({url}: nothing to deliver)"
    figure(f"8 writers, {place(url)}: 200 of 200 runs finished in {answer['seconds']:.2f} s")


def copied(url):
    """Read every file of a store once, and give a copy of it in memory."""
    copy = MemoryBackend(secrets.token_hex(8))
    backend = mk.Store(url).backend
    for found in backend.walk(""):
        copy.put(found.key, backend.get(found.key))
    return mk.Store.on(copy)


def eight_versions(url):
    models = mk.ModelStore(mk.Store(url))
    for version in range(1, 9):
        models.register("m", [version])
    models.promote("m:1")


def promoted(url):
    """Read the journal from its files alone, and give its entries and, in order, the promotions over others."""
    store = copied(url)
    report = store.fsck()
    assert report.ok, report
    keys = [found.key for found in store.backend.walk("journals/models/m/") if not found.key.endswith("head.json")]
    assert keys == [f"journals/models/m/{number:012d}.json" for number in range(1, len(keys) + 1)], "there is a gap"
    entries = [json.loads(store.backend.get(key)) for key in keys]
    assert sorted(entry["at"] for entry in entries) == [entry["at"] for entry in entries]
    live, order = 1, []
    for entry in entries[10:]:  # the creation, eight versions and the first promotion are before
        body = entry["body"]
        assert (entry["kind"], body["previous"]) == ("promote", live), "a promotion overruled one it did not expect"
        live = body["version"]
        order.append({"seq": entry["seq"], "previous": body["previous"], "version": live})
    models = mk.ModelStore(store)
    assert models.get("m@champion").version == live
    assert all(models.get(f"m:{version}").version == version for version in range(1, 9))
    assert len({(entry["by"]["actor"], entry["body"]["reason"]) for entry in entries[10:]}) == len(order)
    return entries, order


@pytest.mark.parametrize("victims", [0, 3], ids=["all live", "three of them are killed"])
def test_eight_writers_of_one_alias_are_in_one_order_and_each_loser_is_told_by_whom(url, victims, figure):
    eight_versions(url)
    count = 4 if place(url) == "s3" else 25
    answer = crowded("promotions", url, count=count, victims=victims)
    entries, order = promoted(url)
    told = [line for lines in answer["told"] for line in lines]
    won = [line for line in told if "seq" in line]
    lost = [line for line in told if "lost" in line]
    assert all(line in order for line in won), "an acknowledged promotion was lost"
    unknown = len(order) - len(won)  # of those who were killed between the commit and the telling
    assert 0 <= unknown <= victims
    assert len(won) >= (8 - victims) * count
    actors = {(entry["by"]["actor"], entry["at"]) for entry in entries}
    for line in lost:
        named = [(actor, at) for actor, at in actors if f"moved there by {actor} at {at}" in line["lost"]]
        assert len(named) == 1, line
        assert f"where version {line['expected']} was expected" in line["lost"]
    assert lost
    what = f"{len(won)} promotions acknowledged, {len(lost)} refused, {unknown} unknown, {victims} writers killed"
    figure(f"8 writers, {place(url)}: {what}")
