"""Every row carries the version that made it, and each version is judged by its own rows."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput

START = datetime(2026, 5, 1, tzinfo=UTC)


def rows(n, seed=0, wrong=0.1):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    made = pd.DataFrame({"amount": rng.normal(10, 2, n), "age": rng.integers(18, 90, n).astype(float), "y": y})
    return made.assign(predicted=np.where(rng.random(n) < wrong, 1 - y, y))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def register(store, data):
    """Register one more version of a model, trained on some data."""
    from sklearn.linear_model import LogisticRegression

    @mk.track(register="fraud", store=store)
    def train(data):
        return LogisticRegression().fit(data[["amount", "age"]], data["y"])

    train(data[["amount", "age", "y"]])


def test_rows_carry_the_version_that_was_live_when_the_monitor_was_made(store):
    models, data = mk.ModelStore(store), rows(400)
    register(store, data)
    models.promote("fraud:1")
    first = mk.Monitor("fraud@champion", store=store)
    register(store, data.assign(amount=data["amount"] + 1))
    models.promote("fraud:2")
    second = mk.Monitor("fraud@champion", store=store)
    first.log(data[["amount", "age"]][:2], [0, 1], at=START)
    second.log(data[["amount", "age"]][:1], [0], at=START)
    second.log(data[["amount", "age"]][:1], [0], at=START, version=1)
    first.flush()
    second.flush()
    counted = second.predictions()["version"].value_counts().to_dict()
    assert counted == {"fraud:1": 3, "fraud:2": 1}


def test_rows_with_and_without_a_version_lie_together(store):
    monitor = mk.Monitor(rows(400)[["amount"]], name="m", store=store, window=20)
    ids = [monitor.log({"amount": [1.0]}, [0], at=START)[0]]
    ids += monitor.log({"amount": [1.0, 2.0]}, [0, 1], at=START, version="blue")
    monitor.log_labels(ids, [0, 0, 0], at=START)
    assert monitor.check(now=START).coverage.joined == 3
    shown = monitor.predictions().set_index("id").loc[ids, "version"]
    assert shown.isna().tolist() == [True, False, False]
    assert shown.tolist()[1:] == ["blue", "blue"]


@pytest.mark.parametrize("version", ["fraud@champion", "", 0, True, 1.5, "two\nlines"])
def test_what_is_no_version_is_refused(store, version):
    monitor = mk.Monitor(rows(400)[["amount"]], name="m", store=store)
    with pytest.raises(InvalidInput, match="is no version"):
        monitor.log({"amount": [1.0]}, [0], version=version)
