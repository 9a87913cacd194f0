"""Every row carries the version that made it, and each version is judged by its own rows."""

from datetime import UTC, datetime, timedelta

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


def deployed(store, weeks, *, name="fraud", check_every=True, **settings):
    """Log with two monitors at a time, as the processes of a rolling deployment do."""
    reference = rows(5000)
    opened = {"prediction": "predicted", "target": "y", "name": name, "store": store, "window": 200, **settings}
    processes = [mk.Monitor(reference, **opened) for _ in range(2)]
    report = None
    for week, served in enumerate(weeks):
        at = START + timedelta(weeks=week)
        for place, (version, wrong) in enumerate(served.items()):
            seen, process = rows(600, seed=100 + 10 * week + place, wrong=wrong), processes[place % 2]
            ids = process.log(seen[["amount", "age"]], seen["predicted"], at=at, version=version)
            process.log_labels(ids, seen["y"], at=at + timedelta(days=1))
        for process in processes:
            process.flush()
        if check_every or week == len(weeks) - 1:
            report = processes[0].check(now=at + timedelta(days=2))
    return report


def test_in_a_rolling_deployment_only_the_bad_version_is_alerted(store):
    weeks = [{"fraud:3": 0.1}] * 3 + [{"fraud:3": 0.1, "fraud:4": 0.3}] * 4
    report = deployed(store, weeks)
    assert report.status == "alert"
    subjects = {alert.subject for alert in report.alerts if alert.kind == "performance"}
    assert "error, fraud:4" in subjects
    assert not [subject for subject in subjects if subject.endswith("fraud:3")]
    assert [(one.name, one.number, one.labelled) for one in report.versions] == [
        ("fraud:3", 1, 4200),
        ("fraud:4", 2, 2400),
    ]
    worst = report.performance[0]
    assert (worst.version, worst.stream) == ("fraud:4", worst.name.removesuffix(", fraud:4"))
    assert {window.version for window in report.windows} == {"fraud:3", "fraud:4"}
    assert "fraud:4: 2,400 predictions, 2,400 with their truth" in repr(report)
    assert "measured, fraud:4" in report._repr_html_().replace("<b>", "").replace("</b>", "")


def test_predictions_are_compared_by_version(store):
    monitor = mk.Monitor(rows(5000), prediction="predicted", target="y", name="m", store=store, window=200)
    rng = np.random.default_rng(1)
    for week in range(4):
        at = START + timedelta(weeks=week)
        for version, share in (("fraud:3", 0.42), ("fraud:4", 0.8)):
            seen = rows(600, seed=7 * week + len(version))
            monitor.log(seen[["amount", "age"]], (rng.random(600) < share).astype(int), at=at, version=version)
    report = monitor.check(now=START + timedelta(weeks=4))
    firing = {alert.subject for alert in report.alerts if alert.kind == "prediction"}
    assert firing == {"prediction, fraud:4"}
    assert {feature.version for feature in report.features if feature.kind == "prediction"} == {"fraud:3", "fraud:4"}
