"""What a pipeline would do: the calls of its last run looked up again, and nothing run."""

import pytest

import mlops_kit as mk
from mlops_kit.errors import RunNotFound

SOURCE = """
import mlops_kit as mk

CALLED = []

def helper(x):
    return x + 1

@mk.step(ignore="CALLED")
def clean(x):
    CALLED.append(x)
    return helper(x)

@mk.step(fresh_for="1d", ignore="CALLED")
def total(x):
    CALLED.append(x)
    return x

@mk.step(cache=False)
def send(x):
    return x

@mk.pipeline(store=STORE)
def run(x, frame=None):
    return send(total(clean(x)))
"""


@pytest.fixture
def module(load_module, store):
    def load(*edit):
        return load_module("planned", f"STORE = {str(store.url)!r}\n{SOURCE.replace(*edit) if edit else SOURCE}")

    return load


def outcomes(plan):
    return [(call.name.rpartition(":")[2], call.outcome) for call in plan.calls]


def test_where_nothing_changed_what_can_be_reused_is_and_nothing_runs(module):
    first = module()
    first.run(1)
    again = module()
    plan = again.run.plan()
    assert outcomes(plan) == [("clean", "reused"), ("total", "reused"), ("send", "runs")]
    assert plan.calls[-1].why == "cache=False"
    assert again.CALLED == []
    assert outcomes(again.run.plan(1)) == outcomes(plan)
    assert repr(plan).startswith(f"Plan after the run {first.run.last_run.id}: 2 of 3 calls reused")


def test_behind_the_first_call_that_runs_the_others_may_run(module):
    module().run(1)
    edited = module("return x + 1", "return x + 2")
    plan = edited.run.plan()
    assert outcomes(plan) == [("clean", "runs"), ("total", "may run"), ("send", "may run")]
    assert plan.calls[0].why == "its code changed"
    assert edited.CALLED == []


def test_other_arguments_or_another_body_may_lead_anywhere(module):
    import pandas as pd

    frame = pd.DataFrame({"a": [1]})
    first = module()
    first.run(1, frame)
    assert {outcome for _, outcome in outcomes(first.run.plan(2, frame))} == {"may run"}
    assert {outcome for _, outcome in outcomes(first.run.plan(1, frame + 1))} == {"may run"}
    assert outcomes(first.run.plan(1, frame.copy()))[0] == ("clean", "reused")
    edited = module("return send(total(clean(x)))", "return send(total(clean(x) + 1))")
    assert edited.run.plan().calls[0].why == "the code of the pipeline itself changed"


def test_a_result_that_is_gone_or_damaged_is_seen(module, store):
    first = module()
    first.run(1)
    key = first.run.last_run.steps[0].key
    store.backend.put(f"steps/{key}.json", b"torn")
    assert first.run.plan().calls[0].why == "its result is damaged or lost"
    store.results.remove(key)
    assert first.run.plan().calls[0].why == "its result is gone"


def test_steps_inside_of_functions_are_found_where_the_pipeline_reads_them(store):
    @mk.step
    def local(x):
        return x

    @mk.pipeline(store=store)
    def run():
        return local(1)

    run()
    assert outcomes(run.plan()) == [
        ("test_steps_inside_of_functions_are_found_where_the_pipeline_reads_them.<locals>.local", "reused")
    ]


def test_a_pipeline_without_a_run_has_no_plan(module):
    with pytest.raises(RunNotFound, match="Call it first"):
        module().run.plan()
