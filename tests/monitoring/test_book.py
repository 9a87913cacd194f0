"""Whom to tell is kept until everybody was told."""

import threading
import time

import numpy as np
import pandas as pd

import mlops_kit as mk
from mlops_kit.monitoring import sinks
from mlops_kit.monitoring.book import open_book


def shifted(n, columns, shift=0.0):
    rng = np.random.default_rng(7)
    return pd.DataFrame(rng.normal(shift, 1, (n, columns)), columns=[f"c{i}" for i in range(columns)])


def test_no_alert_is_lost_however_many_there_are_at_once(tmp_path):
    told = []
    monitor = mk.Monitor(shifted(1000, 150), name="wide", store=tmp_path / "store", window=200, sinks=told.extend)
    monitor.log(shifted(600, 150, shift=2.0), np.zeros(600))
    monitor.check()
    assert {alert.subject for alert in told if alert.kind == "drift"} == {f"c{i}" for i in range(150)}


def test_what_nobody_takes_is_kept_once_and_does_not_grow(tmp_path):
    monitor = mk.Monitor(shifted(1000, 2), name="wide", store=tmp_path / "store", window=200)
    monitor.log(shifted(600, 2, shift=2.0), np.zeros(600))
    for day in range(1, 5):
        monitor.check(now=pd.Timestamp("2030-01-01", tz="UTC") + pd.Timedelta(days=2 * day))
    waiting = open_book(monitor.store, "wide").read(lambda state: state["waiting"])
    subjects = [item["alert"]["subject"] for item in waiting if item["alert"]["kind"] == "drift"]
    assert sorted(subjects) == ["c0", "c1"]
    assert {item["alert"]["told"][:10] for item in waiting if item["alert"]["kind"] == "drift"} == {"2030-01-09"}


def test_an_alert_that_comes_and_ends_within_one_check_is_told_as_both_in_order(tmp_path):
    told, rule = [], mk.expectations.in_range("c0", -50, 50)
    monitor = mk.Monitor(
        shifted(1000, 1), name="m", store=tmp_path / "store", window=100, expectations=rule, sinks=told.extend
    )
    for rows in (pd.DataFrame({"c0": np.full(300, 99.0)}), shifted(700, 1)):
        monitor.log(rows, np.zeros(len(rows)))
        monitor.flush()  # the rows of one write come in an order of their own
    monitor.check()
    mine = [alert for alert in told if alert.subject == "range of c0"]
    assert [alert.state for alert in mine] == ["firing", "resolved"]
    assert "farthest 99" in mine[0].message
    assert [alert.state for alert in monitor.alerts() if alert.subject == "range of c0"] == ["resolved"]


def test_two_sinks_of_one_name_are_told_apart(tmp_path):
    told, failing = [], [True]

    def sink(fails):
        def take(alerts):
            if fails and failing[0]:
                raise OSError("down")
            told.append((fails, [alert.subject for alert in alerts]))

        return take

    sinks = [sink(True), sink(False)]
    monitor = mk.Monitor(shifted(1000, 1), name="m", store=tmp_path / "store", window=200, sinks=sinks)
    monitor.log(shifted(600, 1, shift=2.0), np.zeros(600))
    monitor.check()
    failing[0] = False
    monitor.check()
    assert sorted((fails, subjects[0]) for fails, subjects in told) == [(False, "c0"), (True, "c0")]


def test_a_sink_that_hangs_holds_up_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks, "_PATIENCE", 0.5)
    told, answer = [], threading.Event()
    monitor = mk.Monitor(
        shifted(1000, 1), name="m", store=tmp_path / "store", window=200,
        sinks=[lambda _: answer.wait(20), lambda _: answer.wait(20), lambda _: told.append(time.monotonic())],
    )  # fmt: skip
    monitor.log(shifted(600, 1, shift=2.0), np.zeros(600))
    monitor.check()
    ended = time.monotonic()
    answer.set()
    assert ended - told[0] > 0.4
