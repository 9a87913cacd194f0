"""The life of alerts: one for each subject, told once, muted where something else explains it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mlops_kit.monitoring.alerts import (
    FIRING,
    PENDING,
    RESOLVED,
    Held,
    Policy,
    Signal,
    acknowledge,
    advance,
    fingerprint,
    remind,
    settle,
)

START = datetime(2026, 5, 1, tzinfo=UTC)
KEY = ("quality", "amount")
PLAIN = Policy()


def rule_broken(active, **members):
    return Signal("quality", "amount", active, "too many nulls", needed=2, among=3, **members)


def drifted(active, **members):
    return Signal("drift", "amount", active, "shifted", columns=("amount",), **members)


def schema_broken(active):
    return Signal("quality", "schema", active, "amount is missing", mutes=("amount",))


def live(looks, *, policy=PLAIN, every=timedelta(minutes=10), alerts=None, start=START):
    """Go through looks, each a list of signals; give the alerts at the end and all changes."""
    alerts, changes = dict(alerts or {}), []
    for number, look in enumerate(looks):
        alerts, more = advance(alerts, look if isinstance(look, list) else [look], start + number * every, policy)
        changes += more
    return alerts, changes


def steps(changes):
    return [(change.before, change.after) for change in changes]


def test_evidence_that_holds_for_life_fires_at_one_crossing():
    alerts, changes = live([drifted(True)])
    assert steps(changes) == [(None, FIRING)]
    assert changes[0].tell
    assert alerts["drift", "amount"].since == START


def test_a_rule_fires_only_after_enough_windows_and_tells_since_when():
    alerts, changes = live([rule_broken(True), rule_broken(False), rule_broken(True)])
    assert steps(changes) == [(None, PENDING), (PENDING, FIRING)]
    assert [change.tell for change in changes] == [False, True]
    assert alerts[KEY].since == START


def test_a_rule_that_failed_once_is_forgotten():
    alerts, changes = live([rule_broken(True)] + [rule_broken(False)] * 3)
    assert steps(changes) == [(None, PENDING), (PENDING, RESOLVED)]
    assert not any(change.tell for change in changes)
    assert alerts[KEY].state == RESOLVED


def test_an_alert_ends_only_after_several_quiet_windows():
    _, changes = live([drifted(True), drifted(False), drifted(True), drifted(False), drifted(False)])
    assert steps(changes) == [(None, FIRING), (FIRING, RESOLVED)]
    assert changes[1].tell


def test_a_return_within_the_cooldown_is_no_news():
    off = [drifted(False)] * 2
    _, changes = live([drifted(True), *off, drifted(True)])
    assert [(change.after, change.tell) for change in changes] == [(FIRING, True), (RESOLVED, True), (FIRING, False)]
    _, changes = live([drifted(True), *off, drifted(True)], every=timedelta(hours=2))
    assert changes[-1].tell


def test_what_fires_for_long_is_told_again_unless_somebody_has_it_in_hand():
    alerts, _ = live([drifted(True)])
    assert remind(alerts, START + timedelta(hours=23), Policy())[1] == []
    again, changes = remind(alerts, START + timedelta(hours=25), Policy())
    assert [change.tell for change in changes] == [True]
    assert remind(again, START + timedelta(hours=26), Policy())[1] == []
    taken = acknowledge(alerts, ("drift", "amount"), "ann")
    assert remind(taken, START + timedelta(hours=25), Policy())[1] == []
    back, _ = live([drifted(False)] * 2 + [drifted(True)], alerts=taken, start=START + timedelta(hours=3))
    assert back["drift", "amount"].acknowledged is None


def test_a_broken_schema_mutes_the_drift_that_it_explains_and_no_other():
    other = Signal("drift", "age", True, "shifted", columns=("age",))
    alerts, changes = live([[schema_broken(True), drifted(True), other]])
    assert {key for key, held in alerts.items() if held.state == FIRING} == {("quality", "schema"), ("drift", "age")}
    assert alerts["drift", "amount"].muted
    assert alerts["drift", "amount"].state == PENDING
    alerts, changes = live([[schema_broken(False), drifted(True)]], alerts=alerts)
    assert ("drift", "amount") in {change.key for change in changes if change.after == FIRING}
    assert not alerts["drift", "amount"].muted


def test_what_was_not_looked_at_stays_as_it_is():
    alerts, _ = live([drifted(True)])
    assert live([[]] * 5, alerts=alerts) == (alerts, [])


def test_a_clock_that_runs_back_does_not_turn_time_round():
    alerts, _ = live([drifted(True)])
    alerts, _ = live([drifted(False)] * 2, alerts=alerts, start=START - timedelta(days=1))
    assert alerts["drift", "amount"].changed == START


def test_a_new_reference_ends_all_alerts():
    alerts, _ = live([[drifted(True), rule_broken(True)]])
    after, changes = settle(alerts, START + timedelta(hours=1))
    assert {held.state for held in after.values()} == {RESOLVED}
    assert {change.key: change.tell for change in changes} == {("drift", "amount"): True, KEY: False}
    assert settle(after, START)[1] == []


def test_an_alert_keeps_its_fingerprint_and_no_two_share_one():
    assert fingerprint("a", "drift", "x") == fingerprint("a", "drift", "x")
    names = {fingerprint(*parts) for parts in [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("a", "c", "b")]}
    assert len(names) == 4


class Life(RuleBasedStateMachine):
    """Any looks in any order, beside what people should have been told."""

    def __init__(self):
        super().__init__()
        self.alerts = {}
        self.now = self.earliest = self.latest = START
        self.policy = Policy(clear=2, cooldown=900, repeat=3600)
        self.told = {}
        self.looks = set()

    def take(self, changes):
        self.looks.add(self.now)
        for change in changes:
            assert change.before != change.after or change.tell
            if change.tell and change.after == FIRING and change.before != FIRING:
                assert self.told.get(change.key) != FIRING or self.alerts[change.key].ended is not None
            if change.tell:
                self.told[change.key] = change.after

    @rule(
        active=st.dictionaries(st.sampled_from("abc"), st.booleans(), max_size=3),
        broken=st.sets(st.sampled_from("abc")),
        looked=st.booleans(),
        seconds=st.integers(-60, 4000),
        needed=st.integers(1, 2),
    )
    def look(self, active, broken, looked, seconds, needed):
        self.now += timedelta(seconds=seconds)
        self.earliest, self.latest = min(self.earliest, self.now), max(self.latest, self.now)
        signals = [Signal("drift", c, on, needed=needed, among=3, columns=(c,)) for c, on in active.items()]
        if looked:
            signals += [Signal("quality", c, c in broken, mutes=(c,)) for c in "abc"]
        before = self.alerts
        self.alerts, changes = advance(self.alerts, signals, self.now, self.policy)
        for column in broken if looked else ():
            old = before.get(("drift", column))
            new = self.alerts.get(("drift", column))
            if new is not None and (old is None or old.state != FIRING):
                assert new.state != FIRING or not active.get(column)
        assert set(before) <= set(self.alerts)
        self.take(changes)

    @rule()
    def wait(self):
        self.now += timedelta(hours=2)
        self.latest = max(self.latest, self.now)
        self.alerts, changes = remind(self.alerts, self.now, self.policy)
        self.take(changes)

    @rule(data=st.data())
    def take_in_hand(self, data):
        if self.alerts:
            self.alerts = acknowledge(self.alerts, data.draw(st.sampled_from(sorted(self.alerts))), "ann")

    @rule()
    def begin_again(self):
        self.alerts, changes = settle(self.alerts, self.now)
        self.take(changes)

    @invariant()
    def it_is_consistent_and_reads_back(self):
        for key, held in self.alerts.items():
            assert (held.kind, held.subject) == key
            assert held.since <= held.changed
            assert Held.of(held.plain()) == held
            assert held.state in {PENDING, FIRING, RESOLVED}
            if held.state == RESOLVED:
                assert not held.muted
            if held.state == FIRING:
                assert held.told in self.looks
            if self.told.get(key) == RESOLVED:
                assert held.state != FIRING or held.ended is not None


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("state", [PENDING, FIRING, RESOLVED])
def test_an_alert_is_shown_with_all_that_is_known(state):
    held = Held("drift", "amount", state, START, START, "shifted", evidence=3.0, effect=0.1)
    alert = held.alert("fraud")
    assert (alert.state, alert.monitor, alert.evidence, alert.effect) == (state, "fraud", 3.0, 0.1)
    assert alert.to_dict()["since"] == "2026-05-01T00:00:00.000000Z"
