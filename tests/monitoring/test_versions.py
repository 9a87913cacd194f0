"""Every row carries the version that made it, and each version is judged by its own rows."""

import shutil
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


def deployed(store, weeks, *, checks=True):
    """Log with two monitors at a time, as the processes of a rolling deployment do."""
    reference = rows(5000)
    opened = {"prediction": "predicted", "target": "y", "name": "fraud", "store": store, "window": 200}
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
        if checks:
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


def promoted(store, data):
    register(store, data)
    models = mk.ModelStore(store)
    models.promote(f"fraud:{models.versions('fraud')[-1].version}")


def asked(monitor, week, wrong, labelled=True):
    seen = rows(600, seed=200 + week, wrong=wrong)
    at = START + timedelta(weeks=week)
    ids = monitor.log(seen[["amount", "age"]], seen["predicted"], at=at)
    if labelled:
        monitor.log_labels(ids, seen["y"], at=at + timedelta(days=1))
    monitor.flush()
    return ids, seen["y"]


@pytest.mark.parametrize("other_data", [False, True])
def test_a_promotion_changes_neither_the_number_nor_the_evidence_of_a_version(store, other_data):
    data = rows(3000)
    promoted(store, data)
    settings = {"store": store, "window": 200}
    first = mk.Monitor("fraud@champion", **settings)
    for week in range(4):
        asked(first, week, 0.1)
    late, truth = asked(first, 4, 0.1, labelled=False)
    before = first.check(now=START + timedelta(weeks=5))
    promoted(store, rows(3000, seed=1) if other_data else data)
    second = mk.Monitor("fraud@champion", **settings)
    asked(second, 6, 0.1)
    first.log_labels(late, truth, at=START + timedelta(weeks=6))
    first.flush()
    after = second.check(now=START + timedelta(weeks=7))
    assert (after.reference, after.epoch) == ("fraud:2", 2 if other_data else 1)
    assert after.rows == (600 if other_data else 3600)
    assert [(one.name, one.number, one.labelled) for one in after.versions] == [
        ("fraud:1", 1, 3000),
        ("fraud:2", 2, 600),
    ]
    assert (after.coverage.joined, after.coverage.late, after.coverage.predictions) == (3600, 0, 3600)
    old, new = ({loss.name: loss for loss in report.performance} for report in (before, after))
    assert new["error, fraud:1"].n == old["error, fraud:1"].n + 600
    assert first.check(now=START + timedelta(weeks=7)).to_dict() == after.to_dict()


def test_an_alert_of_a_version_outlives_the_promotion_of_another_and_ends_with_a_reset(store):
    promoted(store, rows(3000))
    monitor = mk.Monitor("fraud@champion", store=store, window=200)
    for week in range(6):
        asked(monitor, week, 0.1 if week < 3 else 0.5)
    now = START + timedelta(weeks=7)
    assert "error, fraud:1" in {alert.subject for alert in monitor.check(now=now).alerts}
    promoted(store, rows(3000, seed=1))
    report = monitor.check(now=now)
    assert report.epoch == 2
    assert "error, fraud:1" in {alert.subject for alert in report.alerts}
    monitor.reset("retrained")
    report = monitor.check(now=now)
    assert (report.epoch, report.alerts) == (3, ())
    assert [(one.name, one.number) for one in report.versions] == [("fraud:1", 1)]


@pytest.mark.parametrize("seed", range(2))
def test_three_healthy_versions_side_by_side_raise_no_alert(store, seed):
    monitor = mk.Monitor(rows(4000), prediction="predicted", target="y", name="m", store=store, window=200)
    for week in range(8):
        for place in range(min(3, 1 + week // 2)):
            seen, at = rows(300, seed=1000 * seed + 10 * week + place), START + timedelta(weeks=week)
            ids = monitor.log(seen[["amount", "age"]], seen["predicted"], at=at, version=f"fraud:{place + 3}")
            monitor.log_labels(ids, seen["y"], at=at + timedelta(days=1))
        report = monitor.check(now=START + timedelta(weeks=week, days=2)) if week % 4 == 3 else None
    assert (report.status, report.alerts) == ("ok", ())
    assert [(one.name, one.number) for one in report.versions] == [("fraud:3", 1), ("fraud:4", 2), ("fraud:5", 3)]


def test_checking_the_same_log_again_elsewhere_finds_the_same(tmp_path):
    weeks = [{"fraud:4": 0.1}, {"fraud:3": 0.1, "fraud:4": 0.1}, {"fraud:3": 0.4, "fraud:4": 0.1}]
    deployed(tmp_path / "one", weeks, checks=False)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    found = []
    for name in ("one", "two"):
        monitor = mk.Monitor(
            rows(5000), prediction="predicted", target="y", name="fraud", store=tmp_path / name, window=200
        )
        found.append(monitor.check(now=START + timedelta(weeks=4)).to_dict())
    assert found[0] == found[1]
    assert [(one["name"], one["number"]) for one in found[0]["versions"]] == [("fraud:4", 1), ("fraud:3", 2)]


def test_each_version_spends_its_part_of_the_budget(store):
    report = deployed(store, [{"fraud:3": 0.1}, {"fraud:4": 0.1, "fraud:5": 0.1}])
    assert [round(one.fraction, 4) for one in report.versions] == [0.6079, 0.152, 0.0675]


def test_a_day_of_a_version_counts_for_the_end_of_its_alert_once_nearly_all_of_it_is_labelled(store):
    monitor = mk.Monitor(rows(4000), prediction="predicted", target="y", name="m", store=store, window=200)

    def served(day, version, wrong, share):
        seen, at = rows(500, seed=10 * day + len(version), wrong=wrong), START + timedelta(days=day)
        ids = monitor.log(seen[["amount", "age"]], seen["predicted"], at=at, version=version)
        told = int(share * len(seen))
        monitor.log_labels(list(ids)[:told], seen["y"][:told], at=at + timedelta(hours=1))

    def firing(day):
        report = monitor.check(now=START + timedelta(days=day, hours=2))
        return {alert.subject for alert in report.alerts if alert.kind == "performance"}

    for day in range(4):
        served(day, "fraud:3", 0.5, 1)
        served(day, "other", 0.1, 1)
    assert "error, fraud:3" in firing(4)
    for day in range(5, 12):  # all of the other version is labelled, and not enough of this one
        served(day, "fraud:3", 0.1, 0.9)
        served(day, "other", 0.1, 1)
    assert "error, fraud:3" in firing(12)
    for day in range(13, 20):
        served(day, "fraud:3", 0.1, 1)
    assert "error, fraud:3" not in firing(20)
