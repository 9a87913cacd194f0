"""Reports of monitors shown: bounded, escaped, without script."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlops_kit.records.alert import Alert
from mlops_kit.records.monitor import Coverage, FeatureReport, LossReport, MonitorRecord, RuleReport, Shape, Window
from mlops_kit.records.quality import NO_SUCH_COLUMN
from mlops_kit.views import charts
from mlops_kit.views.monitor import alerts_text, monitor_html, monitor_text

AT = datetime(2026, 5, 1, tzinfo=UTC)
EVIL = '<script>alert("x")</script>'


def record(columns=3, windows=5, name="amount"):
    shape = Shape((name, "b", "c"), (0.5, 0.3, 0.2), (0.1, 0.2, 0.7))
    features = tuple(
        FeatureReport(
            f"{name} {place}",
            "drift",
            "alert" if place == 0 else "ok",
            10.0 ** (2 - place),
            0.1,
            "total variation",
            500,
            AT,
            0.01,
            shape,
        )
        for place in range(columns)
    )
    alert = Alert("drift", name, "firing", AT, 12.0, 0.1, f"{name} shifted", "alert", "m", "00", AT, acknowledged="ann")
    made = tuple(
        Window(
            AT + timedelta(days=day),
            AT + timedelta(days=day + 1),
            500,
            {"accuracy": (0.9 - day / 20, 0.8, 0.95), "auc": (None, None, None)},
            unusual=("accuracy",) if day > 2 else (),
        )
        for day in range(windows)
    )
    return MonitorRecord(
        monitor="m", reference=name, epoch=1, at=AT, status="alert", rows=1000, reference_rows=5000, alpha=0.03,
        alerts=(alert,), features=features, quality=(RuleReport("range", name, "too high", True),),
        performance=(LossReport("error", True, 5.0, 0.1, 0.2, 0.12, 900, AT),), windows=made, estimate=made,
        bands={"accuracy": (0.8, 0.95)}, coverage=Coverage(1000, 900, late=3), notes=("A note.",),
    )  # fmt: skip


def test_a_report_shows_the_verdict_first_and_what_it_rests_on():
    text = monitor_text(record())
    assert text.startswith("MonitorReport m: alert\n")
    for shown in ("drift of amount", "900 of 1,000 predictions (90.0%); 3 late", "range of amount", "A note.", "error"):
        assert shown in text


def test_a_page_shows_distributions_metrics_bands_marks_and_evidence():
    page = monitor_html(record())
    assert page.count("<svg") >= 3 + 3 + 2
    assert "<circle" in page
    assert "stroke-dasharray" in page
    assert "estimated (blind to concept drift)</b>: 5 windows" in page
    assert "#d03b3b" in page  # an alert is red at the first sight


def test_a_course_shows_the_reference_left_of_the_divider_its_level_its_band_and_where_an_alert_began():
    drawn = charts.course(
        [(0.9, 0.8, 1.0), (0.5, None, None)], band=(0.8, 1.0), level=0.9, alarms=[False, True], begins=1
    )
    assert drawn.count("<circle") == 1
    assert drawn.count("stroke-dasharray") == 3
    assert drawn.count("<text") == 2
    assert "<circle" not in charts.course([(0.9, None, None)], band=(0.8, 1.0))


def test_bars_are_named_where_there_is_room_and_else_at_their_ends():
    assert charts.histogram(["north", "south"], [0.5, 0.5], [0.4, 0.6]).count("<text") == 2
    assert charts.histogram([f"{place}" * 9 for place in range(20)], [0.05] * 20, [0.05] * 20).count("<text") == 3


@pytest.mark.parametrize(
    ("columns", "windows", "name"), [(5000, 200, "amount"), (50, 200, "x" * 5000), (20, 5, EVIL), (0, 0, "")]
)
def test_a_page_is_bounded_and_holds_no_script(columns, windows, name):
    page = monitor_html(record(columns, windows, name))
    assert len(page.encode()) <= 30_000
    assert "<script" not in page
    assert len(monitor_text(record(columns, windows, name))) < 10_000


def test_what_only_all_columns_together_show_is_said():
    calm = [replace(feature, evidence=0.5, status="ok") for feature in record().features]
    assert "of none by itself" in monitor_text(replace(record(), features=tuple(calm), joint=3.0))
    assert "of none by itself" not in monitor_text(replace(record(), joint=3.0))


def test_an_alert_and_a_note_are_told_to_their_end_over_several_lines():
    alert = replace(record().alerts[0], message="no longer as in the reference " * 4 + "(2,000 rows)")
    text = monitor_text(replace(record(), alerts=(alert,), notes=("word " * 30 + "end.",)))
    assert "(2,000 rows)" in text
    assert "end." in text
    assert max(map(len, text.splitlines())) <= 90
    assert len(monitor_text(replace(record(), notes=("word " * 5000,))).splitlines()) < 30


def test_the_rows_of_a_reference_are_told_once():
    assert "with a frame of 5,000 rows, epoch 1" in monitor_text(replace(record(), reference="a frame of 5,000 rows"))
    assert "with fraud:3 (5,000 rows), epoch 1" in monitor_text(replace(record(), reference="fraud:3"))


def test_that_a_column_is_missing_is_said_once_unless_somebody_asked_for_it():
    gone = [RuleReport(kind, "age", f"{NO_SUCH_COLUMN}; there are 'a'", True) for kind in ("nulls", "range")]
    schema = RuleReport("schema", None, "missing: 'age'", True)
    text = monitor_text(replace(record(), quality=(schema, *gone)))
    assert "schema: missing: 'age'" in text
    assert NO_SUCH_COLUMN not in text
    assert NO_SUCH_COLUMN in monitor_text(replace(record(), quality=(schema, replace(gone[0], inferred=False))))


def test_a_metric_that_nothing_defines_has_no_panel_and_a_legend_names_only_what_is_drawn():
    page = monitor_html(record())
    assert "accuracy <b>" in page
    assert "auc <b>" not in page
    assert "grey: usual on the reference" in page
    assert "grey: usual on the reference" not in monitor_html(replace(record(), bands=None))


def test_the_scale_of_a_course_has_its_own_ends():
    drawn = charts.course([(0.0, None, None), (1.0, None, None)])
    assert ">1</text>" in drawn
    assert ">0</text>" in drawn


def test_pictures_of_nothing_are_nothing():
    assert charts.course([(None, None, None)]) == ""
    assert "nan" not in charts.course([(0.5, None, None)], level=0.5)
    assert "nan" not in charts.histogram([], [], [])
    for share in (0.0, 1e-300, 1.0, 1e300):
        assert "<rect" in charts.bars(share, over=share > 1)


def test_alerts_are_listed_a_line_each():
    assert alerts_text([]) == "There are no alerts."
    assert "firing (acknowledged)" in alerts_text(record().alerts)
