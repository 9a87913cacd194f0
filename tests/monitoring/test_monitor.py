"""A monitor in use: what is logged is judged once, what is wrong is told, what is not known is said."""

import http.server
import json
import multiprocessing
import pickle
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mlops_kit as mk
from mlops_kit.errors import AlertRaised, Conflict, InvalidInput, InvalidName, MlopsKitError, ModelNotFound, NotFound
from mlops_kit.monitoring import opening, reading
from mlops_kit.monitoring.epoch import Epoch

START = datetime(2026, 5, 1, tzinfo=UTC)
"""The rows of a moment are mixed by it: at another each time, a healthy life would alarm once in 2,000 runs."""


def frame(n, seed=0, shift=0.0, **changed):
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "amount": rng.normal(10 + shift, 2, n),
            "age": rng.integers(18, 90, n).astype(float),
            "plan": rng.choice(["basic", "pro", "gold"], n, p=[0.6, 0.3, 0.1]),
        }
    )
    return made.assign(**changed)


def judged(n, seed=0, wrong=0.1, prevalence=0.3):
    """Give rows with what was predicted and what was true."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < prevalence).astype(int)
    predicted = np.where(rng.random(n) < wrong, 1 - y, y)
    return frame(n, seed).assign(predicted=predicted, y=y)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def monitor(store):
    return mk.Monitor(frame(5000), name="payments", store=store, window=200)


def test_healthy_data_is_ok_and_a_drift_is_named_with_its_effect_and_its_time(monitor):
    for day in range(5):
        monitor.log(frame(400, seed=10 + day), [0.1] * 400, at=START + timedelta(days=day))
    healthy = monitor.check(now=START + timedelta(days=5))
    assert healthy.status == "ok"
    assert not healthy.alerts
    for day in range(5, 8):
        monitor.log(frame(400, seed=10 + day, shift=1.0), [0.1] * 400, at=START + timedelta(days=day))
    report = monitor.check(now=START + timedelta(days=8))
    assert report.status == "alert"
    assert [(alert.kind, alert.subject) for alert in report.alerts] == [("drift", "amount")]
    worst = report.to_frame().iloc[0]
    assert (worst["name"], bool(worst["drifted"])) == ("amount", True)
    assert 0.1 < worst["effect"] < 0.25
    assert abs(worst["since"] - (START + timedelta(days=5))) <= timedelta(days=1)
    with pytest.raises(AlertRaised, match="drift of amount"):
        report.raise_if_alert()
    assert json.loads(json.dumps(report.to_dict()))["alerts"][0]["subject"] == "amount"


def test_checking_the_same_data_again_changes_nothing(monitor, store):
    monitor.log(frame(1000, seed=1, shift=2), [0.1] * 1000)
    first = monitor.check(now=START)
    entries = sorted((store / "journals" / "monitors").rglob("0*.json"))
    again = mk.Monitor(frame(5000), name="payments", store=store, window=200).check(now=START)
    assert sorted((store / "journals" / "monitors").rglob("0*.json")) == entries
    assert again.to_dict() == first.to_dict()


def test_what_is_logged_in_parts_is_judged_as_if_logged_at_once(store, tmp_path):
    whole = mk.Monitor(frame(3000), name="m", store=store, window=100)
    parts = mk.Monitor(frame(3000), name="m", store=tmp_path / "other", window=100)
    rows = frame(1000, seed=3, shift=0.5)
    for low in range(0, 1000, 130):
        for monitor in (whole, parts):
            monitor.log(rows[low : low + 130], [0.5] * len(rows[low : low + 130]), at=START + timedelta(hours=low))
        parts.check(now=START)
    one, other = whole.check(now=START).to_frame(), parts.check(now=START).to_frame()
    pd.testing.assert_frame_equal(one, other)


def test_a_table_that_is_sorted_by_its_values_is_no_drift(monitor):
    for seed in range(3):
        monitor.log(frame(400, seed=seed).sort_values(["plan", "amount"]), [0.5] * 400, at=START)
    assert monitor.check().status == "ok"


def test_a_model_in_the_store_needs_no_configuration(store):
    from sklearn.linear_model import LogisticRegression

    @mk.track(register="fraud", store=store)
    def train(data):
        mk.log_metrics({"accuracy": 0.71, "mcc": 0.2, "seconds": 3.0})
        return LogisticRegression().fit(data[["amount", "age"]], data["y"])

    data = judged(3000)[["amount", "age", "y"]]
    train(data)
    mk.ModelStore(store).promote("fraud:1")
    live = mk.Monitor("fraud@champion", store=store, window=200)
    assert live.name == "fraud.champion"
    ids = live.log(data[["amount", "age"]][:600], [0.3] * 600, at=START)
    live.log_labels(ids[:300], data["y"][:300])
    report = live.check()
    assert report.status == "ok"
    assert {feature.name for feature in report.features} >= {"amount", "age"}
    assert "y" not in {feature.name for feature in report.features}
    assert report.coverage.joined == 300
    assert report.levels == {"accuracy": 0.71, "mcc": 0.2}  # what the training measured is measured again
    assert {"accuracy", "mcc", "recall"} <= set(report.windows[0].metrics)
    train(data.assign(amount=data["amount"] * 2))
    mk.ModelStore(store).promote("fraud:2")
    assert live.check().epoch == 2


def test_labels_that_come_late_are_joined_and_a_worse_model_is_found(store):
    reference = judged(4000)
    settings = dict(prediction="predicted", target="y", name="m", store=store, window=200)
    monitor = mk.Monitor(reference, **settings)
    features = ["amount", "age", "plan"]
    for week, wrong in enumerate([0.1, 0.1, 0.3, 0.3]):
        rows = judged(600, seed=20 + week, wrong=wrong)
        ids = monitor.log(rows[features], rows["predicted"], at=START + timedelta(weeks=week))
        monitor.log_labels(ids, rows["y"], at=START + timedelta(weeks=week + 1))
        report = mk.Monitor(reference, **settings).check(now=START + timedelta(weeks=week + 1)) if week == 1 else None
        if week == 1:
            monitor.flush()
            report = mk.Monitor(reference, **settings).check(now=START + timedelta(weeks=2))
            assert report.status == "ok"
    report = monitor.check(now=START + timedelta(weeks=5))
    assert ("performance", "error") in {(alert.kind, alert.subject) for alert in report.alerts}
    error = next(loss for loss in report.performance if loss.name == "error")
    assert error.reference == pytest.approx(0.1, abs=0.02)
    assert START + timedelta(weeks=1) <= error.since <= START + timedelta(weeks=3)
    accuracy = [window.metrics["accuracy"][0] for window in report.windows]
    assert min(accuracy[:6]) > max(accuracy[6:])
    assert all(low <= value <= high for value, low, high in (window.metrics["accuracy"] for window in report.windows))


def test_with_a_maturity_predictions_are_judged_at_their_age_and_late_labels_are_counted(store):
    monitor = mk.Monitor(
        judged(4000), prediction="predicted", target="y", name="m", store=store, window=100, maturity="7d"
    )
    rows = judged(300, seed=1)
    ids = monitor.log(rows[["amount", "age", "plan"]], rows["predicted"], at=START)
    monitor.log_labels(ids[:200], rows["y"][:200], at=START + timedelta(days=2))
    assert not monitor.check(now=START + timedelta(days=3)).windows
    assert sum(window.rows for window in monitor.check(now=START + timedelta(days=8)).windows) == 200
    monitor.log_labels(ids[200:], rows["y"][200:], at=START + timedelta(days=9))
    report = monitor.check(now=START + timedelta(days=10))
    assert sum(window.rows for window in report.windows) == 200
    assert report.coverage.late == 100


def test_a_fall_is_dated_in_the_midst_of_one_check_and_told_with_its_size_and_the_share_of_labels(store):
    monitor = mk.Monitor(judged(4000), name="m", store=store, prediction="predicted", target="y", window=200)
    for day in range(20):
        rows = judged(200, seed=100 + day, wrong=0.1 if day < 12 else 0.4)
        at = START + timedelta(days=day)
        ids = monitor.log(rows[["amount", "age"]], rows["predicted"], at=at)
        monitor.log_labels(ids[:150], rows["y"][:150], at=at)
    report = monitor.check()
    worst = next(loss for loss in report.performance if loss.name == "error")
    assert abs(worst.since - (START + timedelta(days=12))) <= timedelta(days=1)
    assert worst.lately == pytest.approx(0.4, abs=0.08)
    message = next(alert.message for alert in report.alerts if alert.subject == "error")
    assert f"since {worst.since:%Y-%m-%d}" in message
    assert "labels of 75.0% of the predictions" in message


def test_what_is_usual_is_told_beside_what_is_measured_and_worse_windows_are_marked(store):
    settings = {"prediction": "predicted", "target": "y", "window": 200}
    monitor = mk.Monitor(judged(4000), name="m", store=store, segments="plan", metrics=["accuracy"], **settings)
    rows = judged(400, seed=1, wrong=0.4)
    ids = monitor.log(rows.drop(columns=["y", "predicted"]), rows["predicted"])
    monitor.log_labels(ids, rows["y"])
    report = monitor.check()
    low, high = report.bands["accuracy"]
    assert low < report.levels["accuracy"] < high
    assert [window.unusual for window in report.windows] == [("accuracy",)] * 2
    assert {name.partition(", ")[0] for name in report.windows[0].metrics} == {"accuracy"}  # of segments, too


def test_a_segment_that_fails_alone_is_found(store):
    def rows(n, seed, wrong):
        rng = np.random.default_rng(seed)
        made = judged(n, seed).assign(region=rng.choice(["north", "south"], n))
        bad = (made["region"] == "north") & (rng.random(n) < wrong)
        return made.assign(predicted=np.where(bad, 1 - made["y"], made["predicted"]))

    monitor = mk.Monitor(
        rows(4000, 0, 0.0), prediction="predicted", target="y", segments="region", name="m", store=store, window=500
    )
    now = rows(3000, 1, 0.3)
    ids = monitor.log(now.drop(columns=["predicted", "y"]), now["predicted"])
    monitor.log_labels(ids, now["y"])
    report = monitor.check()
    found = {alert.subject for alert in report.alerts if alert.kind == "performance"}
    assert "error, region=north" in found
    assert not {subject for subject in found if subject.endswith("region=south")}
    last = report.windows[-1].metrics
    assert last["accuracy, region=north"][0] < last["accuracy, region=south"][0]


def test_a_broken_column_is_told_as_that_and_not_as_drift(monitor):
    monitor.log(frame(400, seed=1).drop(columns="amount"), [0.5] * 400)
    report = monitor.check()
    assert report.status == "alert"
    assert [(alert.kind, alert.subject) for alert in report.alerts] == [("quality", "schema")]
    monitor.log(frame(400, seed=2).assign(amount="much"), [0.5] * 400)
    assert {alert.kind for alert in monitor.check().alerts} == {"quality"}


def test_a_statement_about_the_data_alerts_and_an_inferred_one_only_warns(store):
    from mlops_kit.measures.expectations import in_range

    monitor = mk.Monitor(frame(2000), name="m", store=store, window=100, expectations=[in_range("age", 18, 95)])
    monitor.log(frame(100, seed=1).assign(plan=["platinum", *frame(99, seed=4)["plan"]]), [0.5] * 100)
    report = monitor.check()
    assert {(alert.subject, alert.state) for alert in report.alerts} == {("categories of plan", "pending")}
    assert report.status not in {"warning", "alert"}  # one window is too few for a rule to fire
    rows = frame(300, seed=2)
    rows.loc[:, "age"] = np.where(np.arange(300) % 50 == 0, 96.0, rows["age"])
    monitor.log(rows, [0.5] * 300)
    report = monitor.check()
    assert ("quality", "range of age", "firing", "alert") in {
        (alert.kind, alert.subject, alert.state, alert.severity) for alert in report.alerts
    }


def test_one_batch_is_checked_in_one_call(store):
    reference = judged(4000)
    monitor = mk.Monitor(reference, prediction="predicted", target="y")
    good, bad = monitor.check(judged(1000, seed=5)), monitor.check(judged(1000, seed=6, wrong=0.3).assign(amount=3.0))
    assert good.status == "ok"
    assert bad.status == "alert"
    assert {("drift", "amount"), ("performance", "error")} <= {(alert.kind, alert.subject) for alert in bad.alerts}
    assert monitor.check(judged(1000, seed=5).sort_values("amount")).status == "ok"
    assert monitor.check(judged(30, seed=5)).status == "insufficient data"


def test_a_monitor_goes_on_with_every_setting_as_it_was_stated(store):
    stated = dict(
        prediction="predicted", target="y", task="binary", metrics=["recall"], segments=["plan"], cost=[[0, 1], [5, 0]],
        matched_on=[], maturity="7d", tolerance=0.01, alpha=0.1, budget=50, window=200, min_effect=0.1, retention="30d",
    )  # fmt: skip
    mk.Monitor(judged(2000), name="cards", store=store, **stated).check()
    again = mk.Monitor(judged(2000), name="cards", store=mk.Store(store), **stated)  # as another process reads it
    assert again.check().epoch == 1


def test_a_rule_that_a_batch_breaks_fires_at_once_for_there_is_no_second_window():
    from mlops_kit.measures.expectations import in_range

    checked = mk.Monitor(frame(2000), expectations=[in_range("age", 18, 95)]).check(
        frame(500, seed=1).assign(age=150.0)
    )
    assert ("quality", "range of age", "firing") in {(one.kind, one.subject, one.state) for one in checked.alerts}
    with pytest.raises(AlertRaised, match="range of age"):
        checked.raise_if_alert()


def test_a_column_of_which_too_little_is_known_is_never_ok():
    report = mk.Monitor(frame(2000)).check(frame(500, seed=1).assign(amount=None))
    table = report.to_frame().set_index("name")
    assert table.loc["amount", "status"] == "insufficient data"
    assert table.loc["age", "status"] == "ok"
    assert any("amount" in note for note in report.notes)
    assert {one["name"]: one["drifted"] for one in report.to_dict()["features"]}["age"] is False


def test_a_batch_is_compared_within_its_contexts_and_by_what_it_predicts():
    rng = np.random.default_rng(4)

    def week(n, up=0.0):
        day = rng.choice(["work", "free"], n)
        return pd.DataFrame({"day": day, "x": rng.normal(np.where(day == "free", 5, 0)), "p": rng.normal(up, 1, n)})

    monitor = mk.Monitor(week(6000), matched_on="day", prediction="p")
    report = monitor.check(week(2000, up=1.0))
    assert {(one.kind, one.name) for one in report.features if "missing" not in one.name} == {
        ("drift", "x, day=work"),
        ("drift", "x, day=free"),
        ("prediction", "prediction"),
    }
    assert [(alert.kind, alert.subject) for alert in report.alerts] == [("prediction", "prediction")]


def test_a_broken_column_mutes_what_is_said_of_its_missing_values_and_contexts():
    from mlops_kit.monitoring.signals import of_features
    from mlops_kit.records.monitor import FeatureReport

    told = [
        FeatureReport(name, "drift", "alert", 9.0, 0.9, "tv", 500, column="x") for name in ("x (missing)", "x, day=a")
    ]
    assert {signal.columns for signal in of_features(told)} == {("x",)}


def test_the_same_name_with_another_reference_is_refused_until_it_begins_again(monitor, store):
    monitor.log(frame(400, shift=3), [0.5] * 400)
    assert monitor.check().status == "alert"
    other = mk.Monitor(frame(5000, seed=9, shift=3), name="payments", store=store)
    with pytest.raises(Conflict, match="another name, or begin again"):
        other.check()
    with pytest.raises(Conflict):
        other.log(frame(1), [1])
    with pytest.raises(InvalidInput, match="reason"):
        other.reset("")
    other.reset("prices were raised")
    report = other.check()
    assert (report.epoch, report.status, report.alerts) == (2, "insufficient data", ())
    assert report.alpha < monitor._stated.alpha / 4
    assert {alert.state for alert in other.alerts()} == {"resolved"}
    with pytest.raises(Conflict, match="other settings"):
        mk.Monitor(frame(5000, seed=9, shift=3), name="payments", store=store, window=300).check()


def test_predictions_stay_in_the_order_of_their_time_with_what_is_known_of_them(monitor):
    ids = monitor.log(frame(3), [0.1, 0.2, 0.3], at=START)
    monitor.log(frame(1), [0.9], ids=["later"], at=START + timedelta(days=1))
    monitor.log_labels([ids[1]], [1], at=START)
    rows = monitor.predictions()
    assert rows["id"].tolist() == [*ids, "later"]
    assert rows["prediction"].tolist() == [0.1, 0.2, 0.3, 0.9]
    assert rows["label"].isna().tolist() == [True, False, True, True]
    assert list(rows.columns[-3:]) == ["amount", "age", "plan"]
    assert monitor.predictions(since=START + timedelta(hours=1))["id"].tolist() == ["later"]
    assert len(monitor.predictions(since="1d")) == 0
    assert len(monitor.predictions(since=str(START.date()))) == len(monitor.predictions(since=START.date())) == 4
    with pytest.raises(InvalidInput, match="since='soon'"):
        monitor.predictions(since="soon")


def test_a_function_that_predicts_is_watched_and_stays_as_it_is(monitor, caplog):
    @monitor.watch
    def predict(X, scale=1):
        """Predict."""
        return np.full(len(X), 0.5 * scale)

    assert predict.__name__ == "predict"
    assert predict(frame(5), scale=2).tolist() == [1.0] * 5
    assert monitor.predictions()["prediction"].tolist() == [1.0] * 5
    assert predict("text").tolist() == [0.5] * 4
    assert "was not logged" in caplog.text


def test_probabilities_of_each_class_are_reduced_to_what_is_kept(store):
    binary = mk.Monitor(frame(500), name="b", store=store)
    binary.log(frame(2), np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert binary.predictions()["prediction"].tolist() == [0.1, 0.8]
    three = mk.Monitor(frame(500).assign(y=np.arange(500) % 3), target="y", name="t", store=store)
    three.log(frame(2), np.array([[0.9, 0.1, 0], [0.2, 0.0, 0.8]]))
    assert three.predictions()["prediction"].tolist() == [0, 2]


def test_alerts_reach_every_sink_once_also_one_that_failed_at_first(store):
    received, attempts = [], []

    def flaky(alerts):
        attempts.append(len(alerts))
        if len(attempts) == 1:
            raise OSError("down")
        received.extend(alerts)

    good = []
    monitor = mk.Monitor(frame(3000), name="m", store=store, window=200, sinks=[flaky, good.extend])
    monitor.log(frame(600, shift=3), [0.5] * 600)
    monitor.check()
    assert [alert.subject for alert in good] == ["amount"]
    assert received == []
    monitor.check()
    monitor.check()
    assert [alert.subject for alert in received] == ["amount"]
    assert len(good) == 1
    assert len(attempts) == 2


def test_an_alert_that_is_in_hand_says_by_whom(monitor):
    monitor.log(frame(600, shift=3), [0.5] * 600)
    [alert] = monitor.check().alerts
    assert monitor.acknowledge(alert).acknowledged
    assert monitor.alerts()[0].acknowledged
    assert monitor.check().alerts[0].acknowledged
    with pytest.raises(NotFound, match="no alert"):
        monitor.acknowledge("0000")


def test_what_is_older_than_the_retention_goes(store, monkeypatch):
    from mlops_kit.store.local import LocalBackend

    monitor = mk.Monitor(frame(1000), name="m", store=store, window=100, retention="30d")
    now = datetime.now(UTC)
    monkeypatch.setattr(LocalBackend, "now", lambda self: (now - timedelta(days=60)).timestamp())
    monitor.log(frame(200), [0.1] * 200, at=now - timedelta(days=60))
    monitor.check(now=now - timedelta(days=60))
    assert len(monitor.predictions()) == 200
    monkeypatch.undo()
    monitor.log(frame(200, seed=1), [0.1] * 200)
    monitor.check()
    assert len(monitor.predictions()) == 200
    assert monitor.check().rows == 400
    assert mk.Store(store).fsck().ok


def _log_and_check(store, seed, out):
    monitor = mk.Monitor(frame(5000), name="payments", store=store, window=200)
    for part in range(3):
        monitor.log(frame(200, seed=100 * seed + part), [0.1] * 200)
        monitor.check()
    out.put(monitor.check().rows)


def test_many_processes_log_and_check_at_once_and_every_row_is_judged_once(monitor, store):
    monitor.check()
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    workers = [context.Process(target=_log_and_check, args=(store, seed, out)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
        assert worker.exitcode == 0
    report = monitor.check()
    assert report.rows == 1800
    assert report.status == "ok"
    assert mk.Store(store).fsck().ok
    assert len(monitor.predictions()) == 1800


def test_collecting_garbage_keeps_what_a_monitor_needs(monitor, store):
    monitor.log(frame(400), [0.1] * 400)
    monitor.check()
    opened = mk.Store(store)
    opened.gc(0, dry_run=False, exclusive=True)
    assert opened.fsck().ok
    assert mk.Monitor(frame(5000), name="payments", store=store, window=200).check().rows == 400


def test_a_monitor_of_a_frame_without_a_name_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monitor = mk.Monitor(frame(500))
    monitor.log(frame(600), [0.1] * 600)
    assert monitor.check().rows == 500
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(monitor)


def test_rows_are_compared_with_those_of_the_same_context(store):
    def week(n, seed):
        rng = np.random.default_rng(seed)
        day = rng.choice(["weekday", "weekend"], n)
        return pd.DataFrame({"day": day, "amount": rng.normal(0, 1, n) + 4 * (day == "weekend")})

    weekend = week(8000, 2).query("day == 'weekend'")[:1500]
    plain = mk.Monitor(week(8000, 0), name="plain", store=store, window=250)
    matched = mk.Monitor(week(8000, 0), name="matched", store=store, window=250, matched_on="day")
    for monitor in (plain, matched):
        monitor.log(weekend, [0.1] * len(weekend), at=START)
    assert "amount" in {alert.subject for alert in plain.check().alerts}
    assert matched.check().status == "ok"
    matched.log(weekend.assign(amount=weekend["amount"] + 1), [0.1] * len(weekend))
    assert "amount, day=weekend" in {alert.subject for alert in matched.check().alerts}


def test_rows_of_a_context_that_the_reference_lacks_are_counted_and_not_passed_over_in_silence(store):
    days = pd.Series(["mon", "tue"] * 1000)
    monitor = mk.Monitor(frame(2000).assign(day=days), name="m", store=store, matched_on="day", window=200)
    monitor.log(frame(400, seed=1).assign(day=["mon", "sun"] * 200), [0.5] * 400)
    assert any(note.startswith("200 rows have values of matched_on=") for note in monitor.check().notes)


def test_a_little_of_everything_is_seen_in_all_columns_together(store):
    rng = np.random.default_rng(5)
    names = [f"f{place}" for place in range(30)]
    monitor = mk.Monitor(pd.DataFrame(rng.normal(size=(5000, 30)), columns=names), name="m", store=store)
    monitor.log(rng.normal(size=(1000, 30)), np.full(1000, 0.5))
    assert monitor.check().joint < 1
    monitor.log(rng.normal(0.12, 1, size=(2000, 30)), np.full(2000, 0.5))
    report = monitor.check()
    assert report.joint > 1  # each column's own evidence is the highest there ever was, and may exceed it


def test_a_rise_of_losses_that_ended_keeps_its_date_and_tells_what_the_loss_is_below(store):
    monitor = mk.Monitor(judged(4000), name="m", prediction="predicted", target="y", store=store)
    told = {}
    for day in (*range(12), *range(80, 90)):
        rows = judged(200, seed=day, wrong=0.5 if 5 <= day < 10 else 0.1)
        at = START + timedelta(days=day)
        ids = monitor.log(rows[["amount", "age", "plan"]], rows["predicted"], at=at)
        monitor.log_labels(ids, rows["y"], at=at)
        (told[day],) = [loss for loss in monitor.check(now=at).performance if loss.name == "error"]
    assert told[10].harmed
    assert abs((told[10].since - START).days - 5) <= 1
    assert told[10].lately > 0.4
    assert (told[89].since, told[89].lately, told[89].harmed) == (told[10].since, told[10].lately, False)
    assert told[89].now < told[89].below < told[10].lately


def test_the_truth_of_rows_that_wait_for_a_window_is_that_of_predictions_too(store):
    monitor = mk.Monitor(judged(2000), name="m", prediction="predicted", target="y", store=store, window=200)
    rows = judged(450, seed=1)
    monitor.log_labels(monitor.log(rows[["amount", "age", "plan"]], rows["predicted"]), rows["y"])
    coverage = monitor.check().coverage
    assert (coverage.joined, coverage.share) == (450, 1.0)


def test_a_small_batch_with_an_empty_column_is_not_ok():
    found = mk.Monitor(frame(5000)).check(frame(150, seed=1, age=np.nan))
    assert found.status == "alert"
    assert "age (missing)" in [alert.subject for alert in found.alerts]
    assert [problem.column for problem in found.quality] == ["age"]


def test_a_budget_per_windows_may_be_asked_for_by_name(store):
    monitor = mk.Monitor(frame(2000), name="m", store=store, budget="per_windows", window=200)
    monitor.log(frame(400, seed=1, shift=3), [0.5] * 400)
    assert monitor.check().status == "alert"
    assert monitor._stated.budget == 100


def test_predictions_that_change_are_told_also_where_the_reference_holds_none(monitor):
    rng = np.random.default_rng(0)
    for seed in range(10):
        monitor.log(frame(200, seed=seed + 50), rng.beta(2, 5, 200))
    assert not monitor.check().alerts
    for seed in range(8):
        monitor.log(frame(200, seed=seed + 70), rng.beta(5, 2, 200))
    assert ("prediction", "prediction") in {(alert.kind, alert.subject) for alert in monitor.check().alerts}


def test_estimates_warn_without_labels_and_say_that_they_are_blind(store):
    def rows(n, seed, spread):
        rng = np.random.default_rng(seed)
        scores = 0.5 + (rng.beta(2, 2, n) - 0.5) * spread
        return pd.DataFrame({"x": rng.normal(size=n), "score": scores, "y": (rng.random(n) < scores).astype(int)})

    monitor = mk.Monitor(rows(10_000, 0, 1.0), prediction="score", target="y", name="m", store=store, window=500)
    now = rows(2000, 1, 0.3)
    monitor.log(now[["x"]], now["score"])
    report = monitor.check()
    warned = [alert for alert in report.alerts if alert.kind == "estimate"]
    assert {alert.severity for alert in warned} == {"warning"}
    assert "roc_auc" in {alert.subject for alert in warned}
    assert any("blind to concept drift" in note for note in report.notes)
    assert report.estimate[-1].metrics["roc_auc"][0] < report.bands["roc_auc"][0]


def test_costs_and_own_metrics_are_measured(store):
    def share_flagged(y, predicted):
        return predicted.mean()

    monitor = mk.Monitor(
        judged(2000), prediction="predicted", target="y", name="m", store=store, window=200,
        cost=[[0, 1], [10, 0]], metrics=["accuracy", "recall", share_flagged],
    )  # fmt: skip
    rows = judged(400, seed=1)
    ids = monitor.log(rows[["amount", "age", "plan"]], rows["predicted"])
    monitor.log_labels(ids, rows["y"])
    report = monitor.check()
    assert set(report.windows[0].metrics) == {"accuracy", "recall", "share_flagged", "cost"}
    assert "cost" in {loss.name for loss in report.performance}


BAD = {
    "all null": frame(300).assign(amount=None),
    "infinite": frame(300).assign(amount=np.inf),
    "constant": frame(300).assign(amount=1.0),
    "unseen": frame(300).assign(plan="unseen"),
    "one row": frame(1),
    "empty": frame(0),
    "other types": frame(300).assign(amount="text", plan=1.5),
    "no columns": pd.DataFrame(index=range(300)),
    "nested": pd.DataFrame({"amount": [[1, 2]] * 300, "age": [{"a": 1}] * 300, "plan": ["x"] * 300}),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_data_is_never_a_crash_and_never_ok_in_silence(monitor, data):
    batch = mk.Monitor(frame(2000)).check(data)
    assert batch.status != "ok"
    monitor.log(data, [0.5] * len(data))
    assert monitor.check().status != "ok"
    assert repr(batch)
    assert len(batch._repr_html_().encode()) <= 30_000


def test_a_reference_of_thirty_rows_is_too_small_to_say_ok(store):
    monitor = mk.Monitor(frame(30), name="small", store=store, window=100)
    monitor.log(frame(500, seed=1), [0.5] * 500)
    report = monitor.check()
    assert report.status in {"insufficient data", "warning"}
    assert any("30 rows" in note for note in report.notes)
    with pytest.raises(InvalidInput, match="no rows"):
        mk.Monitor(frame(0)).check(frame(5))


def test_labels_before_their_predictions_unknown_ones_and_a_clock_that_runs_back(store):
    monitor = mk.Monitor(judged(2000), prediction="predicted", target="y", name="m", store=store, window=100)
    rows = judged(200, seed=1)
    names = [f"order-{number}" for number in range(200)]
    monitor.log_labels(names, rows["y"])
    monitor.log_labels([*names[:2], "nobody"], [rows["y"][0], 1 - rows["y"][1], 1])
    report = monitor.check(now=START)
    assert (report.coverage.unknown, report.coverage.joined) == (201, 0)
    assert (report.coverage.duplicate, report.coverage.conflicting) == (1, 1)
    monitor.log(rows[["amount", "age", "plan"]], rows["predicted"], ids=names)
    monitor.log(rows[["amount", "age", "plan"]], rows["predicted"], ids=names)
    report = monitor.check(now=START - timedelta(days=3))
    assert (report.coverage.joined, report.coverage.unknown) == (200, 1)
    monitor.log_labels(names[:1], [None])
    assert monitor.check(now=START).coverage.empty == 1


def test_one_class_is_no_crash(store):
    monitor = mk.Monitor(judged(2000), prediction="predicted", target="y", name="m", store=store, window=100)
    ids = monitor.log(frame(200), [0] * 200)
    monitor.log_labels(ids, [0] * 200)
    assert monitor.check().windows[0].metrics["recall"][0] is None


@pytest.mark.parametrize("labels", [["yes", "no"] * 100, [np.inf] * 200, [None, 1.5] * 100])
def test_labels_that_are_no_numbers_are_counted_and_do_not_stop_a_regression(store, labels):
    monitor = mk.Monitor(frame(2000), name="m", store=store, window=100, task="regression")
    ids = monitor.log(frame(200, seed=1), np.linspace(0, 1, 200))
    monitor.log_labels(ids, labels)
    usable = sum(isinstance(label, float) for label in labels)
    for _ in range(2):
        coverage = monitor.check().coverage
        assert (coverage.joined, coverage.empty) == (usable, 200 - usable)


def test_a_stated_rule_that_a_batch_breaks_is_an_alert_at_once():
    rule = mk.expectations.in_range("age", 0, 130)
    report = mk.Monitor(frame(2000), expectations=[rule]).check(frame(300, age=150.0))
    assert ("quality", "range of age", "firing", "alert") in {
        (alert.kind, alert.subject, alert.state, alert.severity) for alert in report.alerts
    }


def test_an_array_that_is_checked_has_the_columns_of_the_reference():
    reference = frame(2000)[["amount", "age"]]
    assert mk.Monitor(reference).check(frame(500, seed=1)[["amount", "age"]].to_numpy()).status == "ok"


def test_names_that_differ_in_case_only_are_not_two_monitors(monitor, store):
    monitor.log(frame(10), [0] * 10)
    with pytest.raises(InvalidName, match="differs only in case"):
        mk.Monitor(frame(5000), name="Payments", store=store, window=200).log(frame(10), [0] * 10)


def test_control_characters_reach_no_terminal_by_way_of_an_alert(store, caplog):
    odd = pd.DataFrame({"a\x1b[31m": np.random.default_rng(0).normal(size=2000)})
    monitor = mk.Monitor(odd, name="m", store=store, window=100, sinks="log")
    monitor.log(odd + 5000, np.zeros(2000))
    report = monitor.check()
    with pytest.raises(AlertRaised) as raised:
        report.raise_if_alert()
    assert "\x1b" not in caplog.text + str(raised.value) + repr(report) + report._repr_html_()


@pytest.mark.parametrize(("since", "rows"), [("99999999d", 10), ("7d", 10), ("2020-01-01", 10), (None, 10)])
def test_predictions_are_read_since_any_time(monitor, since, rows):
    monitor.log(frame(10), [0] * 10)
    assert len(monitor.predictions(since)) == rows
    with pytest.raises(InvalidInput):
        monitor.predictions(pd.NaT)


@pytest.mark.parametrize("now", ["2026-05-01", 5, START.date(), pd.NaT, datetime.min.replace(tzinfo=UTC)])
def test_a_check_at_no_time_is_refused(monitor, now):
    with pytest.raises(InvalidInput, match="now="):
        monitor.check(now=now)


@pytest.mark.parametrize("alert", [5, None, ["x"]])
def test_only_an_alert_is_acknowledged(monitor, alert):
    with pytest.raises(InvalidInput, match="neither an alert"):
        monitor.acknowledge(alert)


def test_rows_of_polars_and_of_arrow_are_rows_like_any_other(store):
    for number, rows in enumerate([frame(400, seed=1), pl.from_pandas(frame(400, seed=1))]):
        monitor = mk.Monitor(pl.from_pandas(frame(3000)), name=f"m{number}", store=store, window=200)
        monitor.log(rows, pl.Series([0.1] * 400), at=START)
        assert monitor.check().status == "ok"
        assert monitor.check(rows).status == "ok"


@pytest.mark.parametrize("maturity", [None, "1d"])
def test_many_labels_are_judged_in_portions_as_all_at_once(store, monkeypatch, maturity):
    seen = []
    for number, portion in enumerate((100_000, 30)):
        monkeypatch.setattr(reading, "_PORTION", portion)
        monitor = mk.Monitor(judged(2000), prediction="predicted", target="y", name=f"m{number}", store=store,
                             window=100, maturity=maturity)  # fmt: skip
        for day in range(8):
            rows = judged(40, seed=day)
            at = START + timedelta(days=day)
            ids = [f"{day}-{place}" for place in range(40)]
            monitor.log(rows[["amount", "age", "plan"]], rows["predicted"], ids=ids, at=at)
            monitor.log_labels(ids, rows["y"], at=at)
            monitor.log_labels([*ids[:5], "nobody"], [*rows["y"][:4], 1 - rows["y"][4], 1], at=at)
            monitor.flush()
        report = monitor.check(now=START + timedelta(days=20))
        # The steps of the bets by day end with each portion, so that their evidence differs a little.
        losses = {(loss.name, loss.harmed, loss.n, loss.current) for loss in report.performance}
        seen.append((losses, report.windows, report.coverage))
    assert seen[0] == seen[1]
    assert seen[0][2].joined == 320


@pytest.mark.parametrize("maturity", [None, "1d"])
def test_labels_of_an_epoch_before_are_not_those_of_the_present_model(store, maturity):
    monitor = mk.Monitor(frame(2000), name="m", store=store, window=100, maturity=maturity)
    old = monitor.log(frame(300), [0] * 300, at=START)
    monitor.check(now=START)
    monitor.reset("another model")
    new = monitor.log(frame(200, seed=1), [0] * 200, at=START)
    monitor.log_labels([*old, "nobody"], [1] * 301, at=START)
    monitor.log_labels(new, [0] * 200, at=START)
    for _ in range(2):
        report = monitor.check(now=START + timedelta(days=2))
        assert report.epoch == 2
        assert {loss.name: (loss.n, loss.current) for loss in report.performance}["error"] == (200, 0)
        assert (report.coverage.joined, report.coverage.late, report.coverage.unknown) == (200, 300, 1)
        assert report.coverage.share == 1
    monitor.log_labels(old, [1] * 300, at=START)
    assert monitor.check(now=START + timedelta(days=2)).coverage.duplicate == 300


def test_two_that_begin_at_once_begin_one_epoch(store, monkeypatch):
    first, second = (mk.Monitor(frame(1000), name="m", store=store, window=100) for _ in range(2))
    read = opening.read_reference

    def read_meanwhile(*given, **told):
        monkeypatch.setattr(opening, "read_reference", read)
        second.check()
        return read(*given, **told)

    monkeypatch.setattr(opening, "read_reference", read_meanwhile)
    assert first.check().epoch == second.check().epoch == 1


def test_labels_of_a_check_that_was_killed_are_judged_by_the_next(monitor, store, monkeypatch):
    ids = monitor.log(frame(200, seed=1), [0] * 200)
    monitor.log_labels(ids, [0] * 200)
    with monkeypatch.context() as patched:
        patched.setattr(Epoch, "commit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            monitor.check()
    again = mk.Monitor(frame(5000), name="payments", store=store, window=200)
    for _ in range(2):
        report = again.check()
        assert (report.coverage.joined, report.coverage.duplicate) == (200, 0)
        assert {loss.name: loss.n for loss in report.performance}["error"] == 200
    again.log_labels(ids, [1] * 200)
    assert again.check().coverage.conflicting == 200
    again.reset("to begin again")
    again.log_labels(ids, [1] * 200)
    assert again.check().coverage.conflicting == 200
    assert mk.Store(store).fsck().ok


def test_segments_are_judged_apart_though_the_reference_holds_no_predictions(store):
    plans = ["basic, or less", "pro=2"]
    monitor = mk.Monitor(frame(2000, plan=plans * 1000), segments="plan", name="m", store=store, window=100)
    ids = monitor.log(frame(200, seed=1, plan=plans * 100), [0] * 200)
    monitor.log_labels(ids, [0, 1] * 100)
    for _ in range(2):
        report = monitor.check()
        means = {loss.name: loss.current for loss in report.performance}
        assert (means["error, plan=basic, or less"], means["error, plan=pro=2"]) == (0, 1)
        assert report.windows[0].metrics["accuracy, plan=pro=2"][0] == 0


@pytest.mark.parametrize("told", [dict(segments="nowhere"), dict(matched_on=["plan", "nowhere"])])
def test_a_column_that_the_reference_lacks_tells_nothing_apart_and_is_refused(told):
    with pytest.raises(InvalidInput, match="no feature 'nowhere'"):
        mk.Monitor(frame(200), **told).check(frame(200))


def test_many_missing_values_are_noticed_in_small_windows_too(store):
    monitor = mk.Monitor(frame(2000), name="m", store=store, window=50)
    monitor.log(frame(200, seed=1), [0.1] * 200)
    assert not [alert for alert in monitor.check().alerts if alert.kind == "quality"]
    gone = frame(200, seed=1)
    gone.loc[::2, "age"] = np.nan
    monitor.log(gone, [0.1] * 200)
    assert "nulls of age" in {alert.subject for alert in monitor.check().alerts}


@pytest.mark.slow
def test_ten_thousand_columns_are_watched(store):
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(200, 10_000)), columns=[f"c{i}" for i in range(10_000)])
    report = mk.Monitor(wide).check(wide.assign(c7=1e6))
    assert any(alert.subject.endswith("c7") for alert in report.alerts)
    assert len(report._repr_html_().encode()) <= 30_000


@pytest.mark.parametrize(
    "wrong",
    [
        dict(alpha=0), dict(alpha=1.5), dict(window=3), dict(budget="daily"), dict(budget=0), dict(maturity="soon"),
        dict(tolerance=-1), dict(retention="1d", maturity="2d"), dict(sinks=["nowhere"]), dict(name="../x"),
    ],
)  # fmt: skip
def test_settings_that_cannot_mean_anything_are_refused(wrong):
    with pytest.raises(InvalidInput):
        mk.Monitor(frame(10), **wrong)


@pytest.mark.parametrize("reference", ["nobody@champion", "nobody:3", 5, [1, 2]])
def test_a_reference_that_is_not_there_is_told(reference, store):
    with pytest.raises(MlopsKitError):
        mk.Monitor(reference, name="m", store=store).check()


def test_who_opens_a_monitor_of_a_frame_by_its_name_alone_is_told_what_else_it_takes(monitor, store):
    monitor.check()
    with pytest.raises(ModelNotFound, match=r"Monitor\(reference, name='payments'\)"):
        mk.Monitor("payments", store=store).check()


def test_the_picture_of_a_column_of_zeros_and_ones_begins_at_zero():
    flags = pd.DataFrame({"flag": np.random.default_rng(0).integers(0, 2, 500)})
    shape = mk.Monitor(flags).check(flags.head(300)).features[0].shape
    assert shape.labels[0] == "0"


def test_a_webhook_is_told_of_a_drift(store):
    posted = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        monitor = mk.Monitor(frame(3000), name="m", store=store, window=200, sinks=[url])
        monitor.log(frame(600, shift=3), [0.5] * 600)
        monitor.check()
        server.shutdown()
    assert [alert["subject"] for alert in posted[0]["alerts"]] == ["amount"]


# Performance, as people are told of it


def regression(n, noise, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "guess": 1000 * x, "price": 1000 * x + rng.normal(0, noise, n)})


def test_losses_of_a_regression_are_in_the_units_of_the_target():
    monitor = mk.Monitor(regression(4000, 100, 0), prediction="guess", target="price")
    report = monitor.check(regression(2000, 160, 1))
    (loss,) = report.performance
    assert loss.reference == pytest.approx(80, abs=3)
    assert loss.current == pytest.approx(127, abs=8)
    message = next(alert.message for alert in report.alerts if alert.kind == "performance")
    assert float(message.split()[0]) == pytest.approx(127, abs=8)


def test_a_tolerance_is_in_the_units_of_the_target_too():
    options = dict(prediction="guess", target="price")
    told = {
        tolerance: [alert.kind for alert in mk.Monitor(regression(4000, 100, 0), tolerance=tolerance, **options)
                    .check(regression(2000, 130, 1)).alerts]
        for tolerance in (5.0, 60.0)
    }  # fmt: skip
    assert "performance" in told[5.0]
    assert "performance" not in told[60.0]


def test_the_outputs_of_several_targets_are_refused(store):
    monitor = mk.Monitor(regression(1000, 1, 0), name="m", prediction="guess", target="price", store=store)
    monitor.log(regression(5, 1, 1)[["x"]], np.zeros((5, 1)))
    with pytest.raises(InvalidInput, match=r"shape \(5, 2\) do not fit a regression"):
        monitor.log(regression(5, 1, 1)[["x"]], np.zeros((5, 2)))


def test_an_alert_tells_what_was_worst_and_how_it_is_now(store):
    def day(error, seed):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 500)
        return pd.DataFrame({"x": rng.normal(size=500), "p": np.where(rng.random(500) < error, 1 - y, y), "y": y})

    reference = pd.concat([day(0.2, seed) for seed in range(8)])
    monitor = mk.Monitor(reference, name="m", prediction="p", target="y", store=store)
    start = pd.Timestamp("2026-05-01", tz="UTC")
    for number, error in enumerate([0.2, 0.6, 0.1, 0.1]):
        rows, at = day(error, 100 + number), start + pd.Timedelta(days=number)
        monitor.log_labels(monitor.log(rows[["x"]], rows.p, at=at), rows.y, at=at)
    monitor.check(now=(start + pd.Timedelta(days=5)).to_pydatetime())
    alert = next(one for one in monitor.alerts() if one.subject == "error")
    worst, last = float(alert.message.split()[0]), float(alert.message.split("since then ")[1].split(",")[0])
    assert alert.state == "resolved"
    assert worst == pytest.approx(0.6, abs=0.1)
    assert last == pytest.approx(0.1, abs=0.04)
    assert "until 2026-05-02" in alert.message


def test_threads_that_log_first_together_share_one_log(store):
    monitor = mk.Monitor(frame(500), name="m", store=store)
    barrier, ids = threading.Barrier(6), []

    def work():
        barrier.wait()
        ids.extend(monitor.log(frame(5), np.zeros(5)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.flush()
    assert set(monitor.predictions()["id"]) == set(ids)
    assert len(ids) == 30


def test_scores_that_rank_worse_than_chance_are_named(store):
    rng = np.random.default_rng(0)
    fraud = rng.random(3000) < 0.2
    rows = pd.DataFrame({"x": rng.normal(size=3000), "s": np.where(fraud, rng.beta(5, 2, 3000), rng.beta(2, 5, 3000))})
    rows["y"] = np.where(fraud, "fraud", "ok")
    options = dict(prediction="s", target="y")
    (note,) = [note for note in mk.Monitor(rows, **options).check(rows).notes if "chance" in note]
    assert "'ok'" in note
    report = mk.Monitor(rows, positive="fraud", **options).check(rows)
    assert not any("chance" in note for note in report.notes)
    assert report.levels["roc_auc"] > 0.9


def test_metrics_of_ones_own_that_fail_or_share_a_name_are_told():
    rows = regression(1500, 1, 0)

    def broken(truth, told):
        raise RuntimeError("no price list")

    def refused(truth, told):
        raise InvalidInput("no such price")

    def worded(truth, told):
        return "cheap"

    def whole(truth, told):
        return np.int64(3)

    metrics = [broken, refused, worded, whole]
    report = mk.Monitor(rows, prediction="guess", target="price", metrics=metrics).check(rows)
    assert [note for note in report.notes if note.startswith("The metric")] == [
        "The metric broken failed: RuntimeError: no price list",
        "The metric refused failed: InvalidInput: no such price",
        "The metric worded failed: it gave 'cheap', which is no number",
    ]
    assert report.windows[0].metrics["whole"][0] == 3
    with pytest.raises(InvalidInput, match="one name"):
        mk.Monitor(rows, prediction="guess", target="price", metrics=[lambda a, b: 1.0, lambda a, b: 2.0])
