"""What a block reads by movable names, and which journals it adds to."""

import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import AliasNotFound
from mlops_kit.store.observed import Observed, observing


@pytest.fixture
def models():
    models = mk.ModelStore("memory://observed")
    if not models.names():
        models.register("m", [1])
        models.promote("m:1")
        mk.Dataset.snapshot(pd.DataFrame({"a": [1]}), name="d", store=models.store)
    return models


def test_movable_names_are_noted_with_what_they_meant_once_each(models):
    outer, inner = Observed(), Observed()
    with observing(outer):
        with observing(inner):
            models.load("m@champion")
            models.get("m@champion")
            models.load("m:1")
        mk.Dataset.load("d@latest", store=models.store)
    champion = {"kind": "models", "name": "m@champion", "state": "1", "store": models.store.url}
    latest = {"kind": "datasets", "name": "d@latest", "state": "1", "store": models.store.url}
    assert (inner.reads, outer.reads) == ([champion], [champion, latest])
    models.load("m@champion")
    assert inner.reads == [champion]


def test_a_name_that_meant_nothing_is_noted_too(models):
    observed = Observed()
    with observing(observed), pytest.raises(AliasNotFound):
        models.load("m@shadow")
    assert [(read["name"], read.get("state")) for read in observed.reads] == [("m@shadow", None)]


def test_a_moment_in_the_past_is_noted_with_the_name(models):
    observed = Observed()
    with observing(observed):
        models.get("m@champion", as_of="2126-05-01")
    assert observed.reads[0]["as_of"] == "2126-05-01T23:59:59.999999Z"


def test_journals_that_are_added_to_are_noted(models):
    observed = Observed()
    with observing(observed):
        models.tag("m:1", team="risk")
        models.promote("m:1", "staging")
        mk.Dataset.snapshot(pd.DataFrame({"a": [1]}), name="d", store=models.store)
    assert observed.changes == ["models/m", "datasets/d"]
