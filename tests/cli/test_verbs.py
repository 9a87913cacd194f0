"""Errors on the command line advise verbs, not calls."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli import verbs
from mlops_kit.cli.main import main

CALL = re.compile(r"\b(models|mk|ModelStore\(\)|Dataset|Store)\.\w+\(|gate=")


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "store"))
    mk.Dataset.snapshot(pd.DataFrame({"x": [1.0]}), name="rows")
    models = mk.ModelStore()
    for number in range(3):
        models.register("fraud", number)
    models.promote("fraud:1")
    models.register("frozen", 1)
    models.freeze("frozen", reason="audit")
    models.require("fraud", "champion", mk.Gate(mk.conditions.approvals(1)))
    return models


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("promote fraud:2", "`mlops-kit gate --promote`"),
        ("promote fraud:2", "`mlops-kit require fraud --against champion --lift --reason WHY`"),
        ("promote frozen:1", "`mlops-kit models frozen --unfreeze`"),
        ("models fraud:9", "`mlops-kit models fraud`"),
        ("evidence fraud:2", "`mlops-kit show fraud`"),
        ("models fraud:1 --archive", "`mlops-kit retire fraud --alias champion`"),
        ("data rows:7", "`mlops-kit data rows`"),
    ],
)
def test_an_error_advises_the_verb(models, words, advice):
    done = CliRunner().invoke(main, words.split())
    assert done.exit_code in {1, 2}
    assert advice in done.output
    assert not CALL.search(done.output)


def test_every_verb_that_is_advised_exists():
    for form in {**verbs._VERBS, **verbs._OF_DATASETS}.values():
        words = form.split()
        verb = main.commands[words[1]]
        known = {option for parameter in verb.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, form
        assert words[0] == "mlops-kit"
