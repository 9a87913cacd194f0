"""Metric points arrive all, in order, whatever the number; memory stays bounded."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.records.metrics import read_lines
from mlops_kit.tracking import metrics
from mlops_kit.tracking.metrics import MetricLog, grouped

POINTS = st.tuples(
    st.sampled_from(["loss", "auc", "ż"]), st.floats() | st.integers(), st.none() | st.integers(0, 9), st.just(1.5)
)


def read(segments):
    return [point for data in segments for point in read_lines(data, where="a test")]


@settings(max_examples=60)
@given(st.lists(st.lists(POINTS, max_size=9)), st.integers(1, 8), st.integers(0, 8), st.booleans())
def test_points_come_back_all_and_in_order(calls, segment, inline, eager):
    everything = [point for points in calls for point in points]
    segments = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "SEGMENT_POINTS", segment)
        patch.setattr(metrics, "INLINE_POINTS", inline)
        log = MetricLog(segments.append, eager=eager)
        for points in calls:
            log.add(points)
        held = log.close()
    kept = grouped(read(segments))
    for name, points in held.items():
        kept.setdefault(name, []).extend(points)
    assert repr(kept) == repr(_oracle(everything))
    assert repr(log.last) == repr({name: points[-1][0] for name, points in _oracle(everything).items()})
    assert sum(map(len, held.values())) <= inline


def _oracle(everything):
    plain = {}
    for name, value, step, at in everything:
        plain.setdefault(name, []).append((value, step, at))
    return plain


def test_more_than_a_segment_is_not_held_in_memory():
    segments = []
    log = MetricLog(segments.append)
    for step in range(25_000):
        log.add([("loss", 1.0, step, 0.0)])
        assert step % 500 or sum(map(len, log.held.values())) <= metrics.SEGMENT_POINTS
    log.close()
    assert len(read(segments)) == 25_000


def test_points_are_kept_while_they_cannot_be_written_and_the_store_is_not_asked_each_time():
    asked, broken = [], True

    def write(data):
        asked.append(data)
        if broken:
            raise OSError("full")

    log = MetricLog(write)
    many = [("loss", float(step), step, 0.0) for step in range(metrics.SEGMENT_POINTS)]
    with pytest.raises(OSError, match="full"):
        log.add(many)
    for step in range(50):
        log.add([("auc", 0.5, step, 0.0)])
    assert len(asked) == 1
    broken = False
    log.close()
    assert len(read(asked[1:])) == metrics.SEGMENT_POINTS + 50


def test_points_held_for_long_are_written(monkeypatch):
    segments = []
    log = MetricLog(segments.append)
    log.add([("loss", math.nan, None, 0.0)])
    assert segments == []
    monkeypatch.setattr(metrics, "FLUSH_SECONDS", -1.0)
    log.add([("loss", math.inf, None, 0.0)])
    assert [repr(value) for _, value, _, _ in read(segments)] == ["nan", "inf"]
