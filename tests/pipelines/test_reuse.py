"""Whether an earlier result may stand for a call: verified, fresh, trusted, and what it had read not moved."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

import mlops_kit as mk
from mlops_kit.errors import RecordingWarning


@mk.step
def pair(x):
    return x, {"x": x}


@mk.step
def held(x):
    return Held(x)


class Held:
    def __init__(self, x):
        self.x = x


def pipeline_of(step, store):
    @mk.pipeline(store=store)
    def run(*args):
        return step(*args)

    return run


def rewritten(store, **members):
    """Write the only result of a store again, with other members."""
    (found,) = store.backend.walk("steps/")
    record = store.results.read(found.key.removeprefix("steps/").removesuffix(".json"))
    store.results.write(replace(record, **{name: change(record) for name, change in members.items()}))


@pytest.mark.parametrize("step", [pair, held], ids=["plain", "pickled"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"torn"], ids=repr)
def test_a_damaged_result_is_computed_again_and_told(store, outcomes, step, damage):
    run = pipeline_of(step, store)
    run(1)
    (found,) = store.backend.walk("steps/")
    store.backend.put(found.key, damage)
    with pytest.warns(RecordingWarning, match="damaged"):
        run(1)
    assert outcomes(run)[0][1] == "finished"
    assert run.last_run.steps[0].why == "its result is damaged or lost"
    run(1)
    assert outcomes(run)[0][1] == "reused"


def test_a_result_that_was_moved_to_another_key_is_not_taken(store, outcomes):
    run = pipeline_of(pair, store)
    run(1)
    (one,) = store.backend.walk("steps/")
    run(2)
    (other,) = [found for found in store.backend.walk("steps/") if found.key != one.key]
    store.backend.put(other.key, store.backend.get(one.key))
    assert [problem.kind for problem in store.fsck().problems] == ["stale-result"]
    with pytest.warns(RecordingWarning, match="another key"):
        assert run(2) == (2, {"x": 2})


@pytest.mark.parametrize("kind", ["table", "pickle"])
def test_a_large_result_whose_bytes_are_lost_or_torn_is_computed_again(store, outcomes, kind):
    make = {"table": table, "pickle": blob}[kind]
    run = pipeline_of(make, store)
    first = run(100_000)
    before = {found.key for found in store.backend.walk("objects/")}
    assert len(run(100_000)) == len(first)
    assert outcomes(run)[0][1] == "reused"
    for key in before:
        if len(store.backend.get(key)) > 100_000:
            store.backend.put(key, b"torn")
    with pytest.warns(RecordingWarning, match="damaged"):
        run(100_000)
    assert outcomes(run)[0][1] == "finished"
    run(100_000)
    assert outcomes(run)[0][1] == "reused"


@mk.step
def table(n):
    import numpy as np
    import pandas as pd

    return pd.DataFrame({"x": np.random.default_rng(0).normal(size=n)})


@mk.step
def blob(n):
    return Blob(n)


class Blob:
    def __init__(self, n):
        self.bytes = os.urandom(n) * 2

    def __len__(self):
        return len(self.bytes)


def test_a_result_is_fresh_from_start_to_start_less_a_tenth(store, outcomes):
    run = pipeline_of(pair.with_options(fresh_for="1d"), store)
    run(1)
    rewritten(store, at=lambda record: record.at - timedelta(hours=21))
    run(1)
    assert outcomes(run)[0][1] == "reused"
    rewritten(store, at=lambda record: record.at - timedelta(hours=1))
    run(1)
    assert outcomes(run)[0][1] == "finished"
    assert "is no longer fresh" in run.last_run.steps[0].why


def test_what_was_taken_from_a_step_that_is_no_longer_fresh_is_not_either(store, outcomes):
    @mk.step(fresh_for="1d")
    def fetch():
        return 1

    @mk.step
    def around():
        return fetch()

    run = pipeline_of(around, store)
    run()
    (key,) = [call.key for call in run.last_run.steps if call.name.endswith("around")]
    record = store.results.read(key)
    assert record.expires - record.at < timedelta(hours=21, minutes=37)
    store.results.write(replace(record, expires=record.at))
    run()
    assert run.last_run.steps[-1].why == "a result that it took from another step is no longer fresh"


def test_a_movable_name_that_was_read_is_resolved_again(store, outcomes):
    models = mk.ModelStore(store)
    models.register("fraud", [1])
    models.register("fraud", [2])
    models.promote("fraud:1")
    score = scoring(store)
    run = pipeline_of(score, store)
    assert (run(10), run(10)) == (11, 11)
    assert outcomes(run)[0][1] == "reused"
    models.promote("fraud:2")
    assert run(10) == 12
    assert run.last_run.steps[0].why == "fraud@champion was 1 and is 2"
    models.rollback("fraud")
    assert run(10) == 11
    models.retire("fraud", "champion", reason="replaced by rules")
    with pytest.raises(mk.errors.AliasNotFound):
        run(10)


def scoring(store):
    url = store.url

    @mk.step
    def score(x):
        (weight,) = mk.ModelStore(url).load("fraud@champion")
        return x + weight

    return score


def test_a_version_by_its_number_does_not_move(store, outcomes):
    models = mk.ModelStore(store)
    models.register("fraud", [1])
    url = store.url

    @mk.step
    def score():
        return mk.ModelStore(url).load("fraud:1")

    run = pipeline_of(score, store)
    run()
    models.register("fraud", [2])
    models.promote("fraud:2")
    run()
    assert outcomes(run)[0][1] == "reused"


def test_the_latest_version_of_a_dataset_is_resolved_again(store, outcomes):
    import pandas as pd

    url = store.url
    mk.Dataset.snapshot(pd.DataFrame({"a": [1]}), name="d", store=store)

    @mk.step
    def rows():
        return mk.Dataset.load("d@latest", store=url).n_rows

    run = pipeline_of(rows, store)
    assert (run(), run()) == (1, 1)
    mk.Dataset.snapshot(pd.DataFrame({"a": [1, 2]}), name="d", store=store)
    assert run() == 2
    assert run.last_run.steps[0].why == "d@latest was 1 and is 2"


def test_a_record_sends_nobody_to_a_store_of_its_choice(store, outcomes):
    run = pipeline_of(pair, store)
    run(1)
    read = {"kind": "models", "name": "m@champion", "state": "1", "store": "s3://somebody/elses"}
    rewritten(store, reads=lambda _: [read])
    run(1)
    assert "s3://somebody/elses, which is not asked" in run.last_run.steps[0].why


def test_a_record_has_nobody_read_a_whole_disk(store, monkeypatch, tmp_path):
    run = pipeline_of(pair, store)
    run(1)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text("x" * 100, encoding="utf-8")
    rewritten(store, reads=lambda _: [{"kind": "file", "name": str(folder), "state": "sha256:" + "0" * 64}])
    for limit, why in (("_MOST_FILES", 3), ("_MOST_BYTES", 400)):
        with monkeypatch.context() as patched:
            patched.setattr(f"mlops_kit.pipelines.dependencies.{limit}", why)
            patched.setattr("mlops_kit.pipelines.dependencies._file", None)
            run(1)
        assert run.last_run.steps[0].why == f"whether {folder} changed cannot be seen from here"
        rewritten(store, reads=lambda _: [{"kind": "file", "name": str(folder), "state": "sha256:" + "0" * 64}])
    run(1)
    assert run.last_run.steps[0].why == f"the file {folder} changed"


PROGRAM = """
import sys
import mlops_kit as mk

class Held:
    def __init__(self, x):
        self.x = x

@mk.step
def held(x):
    return Held(x)

@mk.step
def plain(x):
    return x

@mk.pipeline(store=sys.argv[1])
def run():
    found = held(1)
    assert type(found) is Held
    return plain(found.x)

run()
print(*("reused" if call.reused else call.why for call in run.last_run.steps), sep="\\n")
"""


def program(tmp_path, store, **variables):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py", str(store)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MLOPS_KIT_SUMMARY": "0", **variables},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def test_results_of_a_store_that_this_user_made_load_in_another_process(tmp_path):
    program(tmp_path, tmp_path / "own")
    assert program(tmp_path, tmp_path / "own") == (["reused", "reused"], "")


def test_a_result_of_a_store_that_is_not_trusted_is_a_miss_and_told_with_the_line_to_run(tmp_path):
    program(tmp_path, tmp_path / "own")
    os.rename(tmp_path / "own", tmp_path / "moved")
    lines, told = program(tmp_path, tmp_path / "moved")
    assert lines == ["the store is not trusted, so its result is not loaded", "reused"]  # plain values run nothing
    assert told.count("mlops-kit trust add") == 1
    os.rename(tmp_path / "moved", tmp_path / "again")
    assert program(tmp_path, tmp_path / "again", MLOPS_KIT_TRUST=str(tmp_path / "again")) == (["reused", "reused"], "")
