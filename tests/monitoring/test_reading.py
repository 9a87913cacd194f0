"""Segments read as windows and as judged rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import mlops_kit as mk
from mlops_kit.monitoring.log import PredictionLog
from mlops_kit.monitoring.reading import Rest, Windows, mixed, ripe
from mlops_kit.monitoring.segments import Segments

START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def segments(tmp_path):
    return Segments(mk.Store(tmp_path / "store"), "m")


def logged(segments, *batches, ids=None):
    log = PredictionLog(segments, interval=3600)
    given = []
    for batch in batches:
        given.append(log.add(batch, [0.5] * len(next(iter(batch.values()))), ids=ids))
        log.flush()
    return given


def listed(segments, kind="predictions"):
    return [one for one in segments.listed() if one.kind == kind]


def test_windows_go_across_segments_and_the_rest_waits(segments):
    logged(segments, {"x": [1, 2, 3]}, {"x": [4, 5]}, {"x": [6, 7, 8]})
    windows = Windows(segments, [Rest(one, 0) for one in listed(segments)], 3)
    first, second = [window.column("x").to_pylist() for window in windows]
    assert (sorted(first), sorted(second[:2])) == ([1, 2, 3], [4, 5])
    assert windows.waiting == 2
    rest = [Rest.of(one.plain()) for one in windows.rest]
    logged(segments, {"x": [9]})
    again = Windows(segments, [*rest, Rest(next(one for one in listed(segments) if one.rows == 1), 0)], 2)
    values = [value for window in again for value in window.column("x").to_pylist()]
    assert sorted([*second[2:], *values])[:3] == [6, 7, 8]
    assert len(values) + again.waiting == 3


def test_rows_of_one_moment_are_mixed_in_the_same_way_however_they_lie_in_segments():
    at = [START] * 500 + [START + timedelta(days=1)] + [START] * 2
    table = pa.table({"#at": pa.array(at, pa.timestamp("us", "UTC")), "x": range(503)})
    order = mixed(table).column("x").to_pylist()
    assert sorted(order[:500]) == list(range(500))
    assert abs(np.corrcoef(order[:500], range(500))[0, 1]) < 0.15
    assert order[500] == 500
    assert mixed(table.slice(0, 500)).column("x").to_pylist() == order[:500]
    assert mixed(table.slice(0, 0)).num_rows == 0


def test_a_change_of_columns_ends_a_window(segments):
    logged(segments, {"x": [1, 2]}, {"y": [3]}, {"y": ["three"]}, {"y": ["four"]})
    windows = Windows(segments, [Rest(one, 0) for one in listed(segments)], 10)
    assert [sorted(window.to_pydict().popitem()[1]) for window in windows] == [[1, 2], [3]]
    assert windows.waiting == 2


def test_what_is_old_enough_is_judged_in_the_order_of_the_predictions():
    at = pd.to_datetime([START + timedelta(days=day) for day in (3, 1, 2, 9)], utc=True)
    arrived = at + pd.to_timedelta([1, 5, 1, 1], unit="D")
    rows = pd.DataFrame({"id": list("cabd"), "at": at, "label_at": arrived})
    due, late = ripe(rows, after=None, until=START + timedelta(days=4), maturity=timedelta(days=3))
    assert due["id"].tolist() == ["b", "c"]
    assert late == 1
    due, _ = ripe(rows, after=START + timedelta(days=2), until=START + timedelta(days=9), maturity=timedelta(days=3))
    assert due["id"].tolist() == ["c", "d"]
