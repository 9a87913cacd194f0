"""Why a step ran: which function, argument, package or file had changed, with the diff of the source."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, RunNotFound
from mlops_kit.fingerprints import requirements
from mlops_kit.views.why import Change

SOURCE = """
import mlops_kit as mk

def helper(x):
    return x + 1

@mk.step
def clean(x, drop=0):
    return helper(x) - drop

@mk.step(depends_on="limits.txt")
def limit(x):
    return x

@mk.step
def total(rows):
    return sum(rows)

@mk.pipeline(store=STORE)
def run(x, drop=0):
    return total([limit(clean(x, drop)), 1])
"""


@pytest.fixture
def module(load_module, store, tmp_path):
    (tmp_path / "limits.txt").write_text("1", encoding="utf-8")

    def load(*edit):
        text = SOURCE.replace(*edit) if edit else SOURCE
        return load_module("explained", f"STORE = {str(store.url)!r}\n{text}")

    return load


def whys(module):
    return [call.why for call in module.run.last_run.steps]


def test_each_call_says_what_had_changed_since_the_run_before(module, tmp_path, monkeypatch):
    new = "no result for this code, these arguments and packages"
    same = "the same code, arguments and packages"
    first = module()
    first.run(1)
    assert whys(first) == [new] * 3
    first.run(1, drop=5)
    assert whys(first) == ["argument drop: 0 → 5", "argument x: 2 → -3", "argument rows changed"]
    edited = module("return x + 1", "return 1 + x + 0")
    edited.run(1, drop=5)
    assert whys(edited) == ["code of explained:helper changed", same, same]
    (tmp_path / "limits.txt").write_text("2", encoding="utf-8")
    edited.run(1, drop=5)
    assert whys(edited) == [same, "dependency file limits.txt changed", same]


def test_the_code_that_changed_is_shown_as_a_diff(module):
    module().run(1)
    edited = module("return x + 1", "return x + 2")
    edited.run(1)
    why = edited.run.why(edited.clean)
    assert why.changes == (Change("code", "explained:helper", "there", "there"),)
    assert why.diff.splitlines()[-2:] == ["-    return x + 1", "+    return x + 2"]
    assert (why.reused, why.run) == (False, edited.run.last_run.id)
    assert "-    return x + 1" in repr(why)
    assert repr(why).startswith("Step explained:clean ran: code of explained:helper changed")


def test_a_function_that_is_reached_for_the_first_time_is_new(module):
    module().run(1)
    edited = module("return helper(x) - drop", "return helper(x) - abs_(drop)\n\ndef abs_(x):\n    return abs(x)")
    edited.run(1)
    assert Change("code", "explained:abs_", None, "there") in edited.run.why("clean").changes


def test_packages_are_named_with_their_versions(store, monkeypatch):
    import pandas as pd

    @mk.step
    def count(frame):
        return len(frame)

    @mk.pipeline(store=store)
    def run():
        return count(pd.DataFrame({"a": [1]}))

    run()
    installed, _ = requirements.packages_and_stamp()
    before = installed["numpy"]
    monkeypatch.setattr(requirements, "packages_and_stamp", lambda: ({**installed, "numpy": "99.0"}, "another"))
    run()
    assert run.why(count).changes == (Change("package", "numpy", before, "99.0"),)
    assert run.last_run.steps[0].why == f"package numpy: {before} → 99.0"


def test_what_the_fingerprint_could_not_see_is_listed(store):
    import threading

    lock = threading.Lock()

    @mk.step
    def guarded():
        with lock:
            return 1

    @mk.pipeline(store=store)
    def run():
        return guarded()

    run()
    assert run.why("guarded").opaque == (f"{__name__}:lock",)


def test_a_reused_call_names_the_run_that_made_its_result(module):
    first = module()
    first.run(1)
    made = first.run.last_run.id
    first.run(1)
    why = first.run.why("clean")
    assert (why.reused, why.before) == (True, made)
    assert f"made in  {made}" in repr(why)


def test_a_step_that_was_not_called_is_refused_with_those_that_were(module):
    first = module()
    with pytest.raises(RunNotFound, match="has no run"):
        first.run.why("clean")
    first.run(1)
    with pytest.raises(InvalidInput, match=r"called no step 'gone'\. It called clean, limit, total"):
        first.run.why("gone")


def test_it_is_explained_in_another_process_from_the_store_alone(module, store):
    first = module()
    first.run(1)
    first.run(1, drop=2)
    again = module()
    assert again.run.why("clean").changes == (Change("argument", "drop", 0, 2),)
    run = first.run.last_run.id
    command = [str(Path(sysconfig.get_path("scripts"), "mlops-kit")), "why", run, "clean", "--store", store.url]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Step explained:clean ran: argument drop: 0 → 2\n")
    done = subprocess.run([sys.executable, *command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["changes"] == [{"section": "argument", "name": "drop", "left": 0, "right": 2}]
    done = subprocess.run(
        [sys.executable, *command[:-3], "--store", store.url], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "clean ran: argument drop: 0 → 2"
