"""Every column is watched, or named as not watched: text by its parts, moments if asked, ids and lists by name."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

import mlops_kit as mk
from mlops_kit.errors import InvalidInput
from mlops_kit.monitoring.derived import View, codes_as_text, half_of, view_of


def table(rng, n=3000):
    return pa.table(
        {
            "text": [f"row {i} said {j}" for i, j in rng.integers(0, 10**6, (n, 2))],
            "plan": rng.choice(["a", "b"], n),
            "row_id": np.arange(n),
            "shuffled": rng.permutation(np.arange(n)),
            "uuid": [f"{i:032x}" for i in rng.permutation(n)],
            "when": pa.array(rng.integers(0, 10**9, n), pa.timestamp("s")),
            "list": [[1.0]] * n,
            "amount": rng.normal(size=n),
            "cents": rng.integers(0, 10**9, n),
        }
    )


def test_what_is_not_compared_is_named_with_the_reason():
    view = view_of(table(np.random.default_rng(0)))
    assert view.unwatched.keys() == {"row_id", "shuffled", "uuid", "when", "list"}
    assert "grows" in view.unwatched["row_id"]
    assert "id" in view.unwatched["shuffled"]
    assert "moments=" in view.unwatched["when"]
    assert view.unwatched["list"] == "values of type list<item: double> are not compared"


def test_columns_that_the_user_names_are_watched_also_if_they_look_like_ids():
    view = view_of(table(np.random.default_rng(0)), columns=["row_id", "plan"])
    assert view.watched(["row_id", "plan", "amount"]) == ["row_id", "plan"]
    assert "amount" in view.left_out
    assert view_of(table(np.random.default_rng(0)), exclude=["plan"]).left_out == ("plan",)


def test_text_has_parts_that_say_nothing_of_the_rows_they_were_chosen_from():
    rows = table(np.random.default_rng(0))
    view = view_of(rows)
    assert set(view.parts.values()) == {"text"}
    half = half_of(len(rows))
    made = view.of(rows, spent=half)
    for name in ("text (never seen)", "text (unknown characters)"):
        assert made.column(name).is_null().to_numpy().tolist() == half.tolist()
    now = view.of(pa.table({"text": ["", "row 1 said é", None]}))
    assert now.column("text (empty)").to_pylist() == [True, False, None]
    assert now.column("text (length)").to_pylist() == [0, 12, None]
    assert now.column("text (unknown characters)").to_pylist() == [False, True, None]
    assert now.column("text (never seen)").to_pylist() == [True, True, None]


def test_a_view_reads_back_as_it_was():
    rows = table(np.random.default_rng(0))
    view = view_of(rows, moments=["when"])
    back = View.read(view.plain())
    assert back.plain() == view.plain()
    assert back.of(rows).equals(view.of(rows))


def test_values_that_come_in_groups_are_not_told_from_chance():
    names = [f"customer {i // 20}" for i in range(8000)]
    view = view_of(pa.table({"customer": names}))
    assert "customer (never seen)" not in view.parts
    assert ["groups" in note for note in view.notes] == [True]
    mixed = np.random.default_rng(0).permutation(names)
    assert "customer (never seen)" in view_of(pa.table({"customer": mixed})).parts


def test_moments_are_compared_by_hour_and_weekday_if_asked():
    def frame(n, hours, seed):
        rng = np.random.default_rng(seed)
        days, hour = rng.integers(0, 700, n), rng.integers(0, hours, n)
        at = pd.Timestamp("2024-01-01") + pd.to_timedelta(days * 24 + hour, unit="h")
        return pd.DataFrame({"at": at, "x": rng.normal(size=n)})

    monitor = mk.Monitor(frame(4000, 24, 0), moments="at")
    assert monitor.check(frame(2000, 24, 1)).status == "ok"
    report = monitor.check(frame(2000, 12, 2))
    assert [alert.subject for alert in report.alerts] == ["at (hour)"]


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (lambda text: [""] * len(text), "text (empty)"),
        (lambda text: [value[:6] for value in text], "text (length)"),
        (lambda text: [value.replace("said", "ßaid") for value in text], "text (unknown characters)"),
    ],
)
def test_a_change_of_text_alerts_and_healthy_text_does_not(change, subject):
    monitor = mk.Monitor(table(np.random.default_rng(0)).select(["text", "plan"]))
    now = table(np.random.default_rng(1), 1500).select(["text", "plan"])
    assert monitor.check(now).status == "ok"
    report = monitor.check(now.set_column(0, "text", [change(now.column("text").to_pylist())]))
    assert report.status == "alert"
    assert subject in [alert.subject for alert in report.alerts]
    assert {alert.subject.split()[0] for alert in report.alerts} <= {"text", "text,", "categories", "constant"}


def test_new_values_among_ten_thousand_categories_alert_and_healthy_ones_do_not():
    rng = np.random.default_rng(3)
    codes = lambda n, prefix: pd.DataFrame({"zip": [f"{prefix}{k % 10_000}" for k in rng.zipf(1.3, n)]})
    monitor = mk.Monitor(codes(10_000, "a"))
    for _ in range(5):
        assert not any("zip" in alert.subject for alert in monitor.check(codes(3000, "a")).alerts)
    mixed = pd.concat([codes(2700, "a"), codes(300, "b")])
    assert "zip (never seen)" in [alert.subject for alert in monitor.check(mixed).alerts]


def test_a_code_is_the_same_whether_it_came_as_a_number_or_as_text():
    for values in ([7, None], [7.0, None], ["7", None]):
        assert codes_as_text(pa.array(values)).to_pylist() == ["7", None]
    assert codes_as_text(pa.array([7.5, np.nan])).to_pylist() == ["7.5", None]


def test_a_column_that_is_not_watched_is_in_the_table_and_in_the_notes():
    report = mk.Monitor(table(np.random.default_rng(0))).check(table(np.random.default_rng(1), 500))
    told = report.to_frame().set_index("name")
    assert told.loc["list", "status"] == "not watched"
    assert told.loc["list", "measure"] == "values of type list<item: double> are not compared"
    assert any(note.startswith("Not watched: ") and "row_id" in note for note in report.notes)


def test_a_live_monitor_compares_parts_and_declared_categories_as_a_batch_does(tmp_path):
    def frame(n, codes, seed):
        rng = np.random.default_rng(seed)
        made = table(rng, n).select(["text", "when", "list"]).to_pandas()
        return made.assign(shop=pd.Categorical(rng.choice(codes, n)))

    monitor = mk.Monitor(frame(3000, [1, 2, 5], 0), name="live", store=tmp_path, window=200)
    at = pd.Timestamp("2026-05-01", tz="UTC")
    monitor.log(frame(1000, [1, 2, 5], 1), np.zeros(1000), at=at)
    report = monitor.check(now=at.to_pydatetime())
    assert report.status == "ok", report
    monitor.log(frame(1000, [1, 2, 3, 5], 2).assign(text="x"), np.zeros(1000), at=at + pd.Timedelta("1h"))
    subjects = {alert.subject for alert in monitor.check(now=(at + pd.Timedelta("2h")).to_pydatetime()).alerts}
    assert {"shop", "text (length)"} <= subjects


@pytest.mark.parametrize("live", [False, True])
def test_columns_may_have_the_names_of_the_log_and_other_odd_ones(live, tmp_path):
    names = ["#at", "#at'", "#prediction", "#id", "x (missing)"]
    frame = lambda n, seed, up=0.0: pd.DataFrame(np.random.default_rng(seed).normal(size=(n, 5)), columns=names).assign(
        **{"#at": lambda rows: rows["#at"] + up}
    )
    monitor = mk.Monitor(frame(3000, 0), name="odd", store=tmp_path, window=200)
    found = []
    for seed, up in ((1, 0.0), (2, 2.0)):
        if live:
            monitor.log(frame(1000, seed, up), np.zeros(1000), at=pd.Timestamp("2026-05-01", tz="UTC"))
        found.append(monitor.check(None if live else frame(1000, seed, up)))
    assert found[0].status == "ok", found[0]
    assert [alert.subject for alert in found[1].alerts if alert.kind == "drift"] == ["#at"]
    if live:
        assert [name for name in monitor.predictions() if name.startswith("#")] == names[:4]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("part", ["missing", "length", "never seen", "hour"])
def test_a_column_that_has_the_name_of_a_part_of_another_is_watched_beside_it(part, live, tmp_path):
    column = "when" if part == "hour" else "text"
    taken = f"{column} ({part})"

    def frame(n, seed, up=0.0):
        rng = np.random.default_rng(seed)
        made = table(rng, n).select(["text", "when"]).to_pandas()
        return made.assign(**{taken: rng.normal(up, 1, n), f"{taken}'": rng.normal(size=n)})

    monitor = mk.Monitor(frame(3000, 0), name="odd", store=tmp_path, window=200, moments="when")
    found = []
    for seed, up in ((1, 0.0), (2, 2.0)):
        if live:
            monitor.log(frame(1000, seed, up), np.zeros(1000), at=pd.Timestamp("2026-05-01", tz="UTC"))
        found.append(monitor.check(None if live else frame(1000, seed, up)))
    assert found[0].status == "ok", found[0]
    assert [alert.subject for alert in found[1].alerts] == [taken]
    assert found[1].to_frame()["name"].is_unique
    assert f"{taken}''" in {one.name for one in found[1].features}


@pytest.mark.parametrize("live", [False, True])
def test_a_category_of_what_arrow_cannot_take_out_of_its_codes_is_one_of_texts(live, tmp_path):
    def frame(n, seed, mean=0.0):
        return pd.DataFrame({"band": pd.cut(np.random.default_rng(seed).normal(mean, 1, n), [-10, -1, 0, 1, 10])})

    monitor = mk.Monitor(frame(3000, 0), name="bands", store=tmp_path, window=200)
    found = []
    for seed, mean in ((1, 0.0), (2, 1.0)):
        if live:
            monitor.log(frame(1000, seed, mean), np.zeros(1000), at=pd.Timestamp("2026-05-01", tz="UTC"))
        found.append(monitor.check(None if live else frame(1000, seed, mean)))
    assert found[0].status == "ok", found[0]
    assert [alert.subject for alert in found[1].alerts if alert.kind == "drift"] == ["band"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_spans_and_times_are_what_they_are_in_each_unit(unit, tmp_path):
    def frame(n, seed):
        rng = np.random.default_rng(seed)
        when = np.datetime64("2026-01-01", unit) + rng.integers(0, 10**7, n).astype("timedelta64[s]")
        span = rng.integers(0, 1000, n).astype("timedelta64[s]")
        columns = {"when": pa.array(when, pa.timestamp(unit)), "there": pa.array(when, pa.timestamp(unit, "UTC"))}
        daily = pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit)
        clock = pa.array(rng.integers(0, 86_400, n), pa.int32()).cast(pa.time32("s")).cast(daily)
        return pa.table({**columns, "span": pa.array(span, pa.duration("s")).cast(pa.duration(unit)), "clock": clock})

    monitor = mk.Monitor(frame(3000, 0), name="units", store=tmp_path, window=200, moments="when")
    monitor.log(frame(1000, 1), np.zeros(1000), at=pd.Timestamp("2026-05-01", tz="UTC"))
    for report in (monitor.check(), monitor.check(frame(1000, 1))):
        assert report.status == "ok", report
        said = report.to_frame().set_index("name")["status"]
        assert said[["when (hour)", "when (weekday)", "span", "clock", "there"]].tolist() == ["ok"] * 4 + [
            "not watched"
        ]


def test_columns_of_one_name_are_refused_wherever_rows_come_in(tmp_path):
    twice = pd.DataFrame(np.ones((300, 2)), columns=["a", "a"])
    with pytest.raises(InvalidInput, match=r"one name.*'a'"):
        mk.Monitor(twice).check(twice)
    monitor = mk.Monitor(pd.DataFrame({"a": np.arange(300.0)}), name="m", store=tmp_path)
    with pytest.raises(InvalidInput, match=r"one name.*'a'"):
        monitor.log(twice, np.zeros(300))


def test_inputs_of_a_model_that_its_recorded_data_lacks_are_named(tmp_path):
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"a": rng.normal(size=1000), "b": rng.normal(size=1000)})
    data["y"] = (data.a + data.b > 0).astype(int)

    @mk.track(register="made", store=tmp_path)
    def train(data):
        inputs = data[["a"]].assign(ratio=data.a / (1 + data.b.abs()))
        return LogisticRegression().fit(inputs, data["y"])

    train(data)
    report = mk.Monitor("made:1", store=tmp_path).check(data)
    assert report.to_frame().set_index("name").loc["ratio", "status"] == "not watched"
    assert any("ratio (an input of the model that the recorded training data lacks)" in note for note in report.notes)
