"""Verdicts: whether, which, how large, since when; and that a batch can be compared on its own."""

import math

import numpy as np
import pyarrow as pa
import pytest

from mlops_kit.measures.profile import encode_table, profile_table
from mlops_kit.monitoring.drift import compare, e_bh, judge, mean_evidence, needed_rows
from mlops_kit.monitoring.evidence import Plan, advance, begin, whole_steps


def draw(rng, rows, *, shift=0.0, scale=1.0, mix=(0.6, 0.3, 0.1), missing=0.02, tiny=0.0):
    holes = rng.normal(size=rows)
    holes[rng.random(rows) < missing] = np.nan
    return pa.table(
        {
            "x": rng.normal(size=rows) * scale + shift,
            "y": rng.normal(size=rows) + tiny,
            "plan": rng.choice(["a", "b", "c"], rows, p=mix),
            "holes": holes,
        }
    )


@pytest.fixture(scope="module")
def reference():
    return profile_table(draw(np.random.default_rng(0), 10_000))


def verdicts(reference, *parts, min_effect=0.015):
    plan = Plan.of(reference, monitor="m", min_effect=min_effect)
    codes = encode_table(pa.concat_tables(parts), reference)
    used = whole_steps(plan, begin(plan), len(codes["x"]))
    state = advance(plan, begin(plan), {name: values[:used] for name, values in codes.items()})
    return {verdict.name: verdict for verdict in judge(plan, state)}


def test_healthy_data_is_ok(reference):
    found = verdicts(reference, draw(np.random.default_rng(1), 20_000))
    assert {verdict.status for verdict in found.values()} == {"ok"}
    columns = {"x", "y", "plan", "holes"}
    assert found.keys() == columns | {f"{name} (missing)" for name in columns}
    assert all(verdict.effect < 0.025 for verdict in found.values())
    assert all(verdict.since is verdict.found is None for verdict in found.values())


def test_a_shift_is_found_named_measured_and_dated(reference):
    rng = np.random.default_rng(2)
    found = verdicts(reference, draw(rng, 20_000), draw(rng, 5000, shift=0.3))
    verdict = found["x"]
    assert next(iter(found)) == "x"
    assert (verdict.status, verdict.drifted, verdict.effect_name) == ("alert", True, "tv")
    assert verdict.effect == pytest.approx(0.119, abs=0.02)  # 2Φ(0.15) − 1
    assert verdict.lately == pytest.approx(0.119, abs=0.04)
    assert verdict.since == pytest.approx(20_000, abs=400)
    assert 20_000 < verdict.found < 21_500
    assert not any(other.drifted for other in found.values() if other.name != "x")


def test_a_mix_is_measured_by_total_variation(reference):
    rng = np.random.default_rng(3)
    verdict = verdicts(reference, draw(rng, 10_000), draw(rng, 4000, mix=(0.5, 0.3, 0.2)))["plan"]
    assert (verdict.status, verdict.effect_name) == ("alert", "tv")
    assert verdict.effect == pytest.approx(0.1, abs=0.03)


def test_missing_values_have_a_verdict_of_their_own(reference):
    rng = np.random.default_rng(4)
    found = verdicts(reference, draw(rng, 5000), draw(rng, 4000, missing=0.08))
    assert found["holes (missing)"].status == "alert"
    assert found["holes (missing)"].effect == pytest.approx(0.06, abs=0.02)
    assert found["holes"].status == "ok"


def test_a_change_too_small_to_matter_is_a_warning_and_an_alert_on_request(reference):
    rng = np.random.default_rng(5)
    parts = draw(rng, 5000), draw(rng, 80_000, tiny=0.07)
    assert verdicts(reference, *parts, min_effect=0.05)["y"].status == "warning"
    assert verdicts(reference, *parts)["y"].status == "alert"


NINE = {
    "spread x 1.15": lambda rng, n: 1.15 * rng.normal(size=n),
    "spread x 2": lambda rng, n: 2 * rng.normal(size=n),
    "spread / 10": lambda rng, n: rng.normal(size=n) / 10,
    "2 % outliers": lambda rng, n: rng.normal(size=n) + 5 * (rng.random(n) < 0.02),
    "3 % at one value": lambda rng, n: np.where(rng.random(n) < 0.03, 0.7, rng.normal(size=n)),
    "half at the median": lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n)),
    "rounded": lambda rng, n: np.round(rng.normal(size=n)),
    "two humps": lambda rng, n: (np.abs(rng.normal(size=n)) + 0.5) * rng.choice([-1, 1], n),
}


@pytest.mark.parametrize("change", NINE)
def test_changes_that_keep_the_median_alert_within_two_thousand_rows(reference, change):
    rng = np.random.default_rng(20)
    changed = draw(rng, 2000).set_column(0, "x", pa.array(NINE[change](rng, 2000)))
    found = verdicts(reference, draw(rng, 10_000), changed)
    assert found["x"].status == "alert", found["x"]
    assert not any(verdict.drifted for name, verdict in found.items() if name != "x")


def test_sharpened_probabilities_alert():
    rng = np.random.default_rng(21)
    scores = lambda n: rng.beta(2, 2, n)
    profile = profile_table(pa.table({"x": scores(10_000)}))
    sharp = scores(2000)
    sharp = sharp**1.6 / (sharp**1.6 + (1 - sharp) ** 1.6)
    assert verdicts(profile, pa.table({"x": scores(5000)}), pa.table({"x": sharp}))["x"].status == "alert"


def test_codes_that_swap_their_shares_alert():
    rng = np.random.default_rng(22)
    codes = lambda n, p: pa.table({"x": rng.choice([1, 2, 3, 4], n, p=p)})
    profile = profile_table(codes(10_000, [0.3, 0.2, 0.2, 0.3]))
    found = verdicts(profile, codes(5000, [0.3, 0.2, 0.2, 0.3]), codes(2000, [0.2, 0.3, 0.3, 0.2]))
    assert found["x"].status == "alert"


def test_an_alert_stands_after_a_bad_batch_that_is_followed_by_healthy_rows(reference):
    rng = np.random.default_rng(23)
    bad = draw(rng, 5000), draw(rng, 1000, scale=1.5)
    then = [draw(rng, 10_000) for _ in range(6)]
    at_once, later = verdicts(reference, *bad)["x"], verdicts(reference, *bad, *then)["x"]
    assert (at_once.status, later.status) == ("alert", "alert")
    assert later.effect == pytest.approx(at_once.effect, abs=0.02)
    assert later.lately < 0.04


@pytest.mark.parametrize("rows", [0, 1, 80])
def test_too_few_rows_are_never_ok(reference, rows):
    found = verdicts(reference, draw(np.random.default_rng(6), rows))
    assert {verdict.status for verdict in found.values()} == {"insufficient data"}


def test_too_small_a_reference_is_never_ok():
    rng = np.random.default_rng(7)
    found = verdicts(profile_table(draw(rng, 100)), draw(rng, 3000))
    assert {verdict.status for verdict in found.values()} == {"insufficient data"}


def test_the_rows_that_are_needed_see_half_a_standard_deviation():
    rng = np.random.default_rng(8)
    profile = profile_table(draw(rng, 50_000))
    rows = needed_rows(5, 0.05)
    found = 0
    for _ in range(40):
        batch = profile_table(draw(rng, rows, shift=0.5), like=profile)
        found += next(v for v in compare(profile, batch) if v.name == "x").drifted
    assert found >= 26


def test_healthy_batches_are_rarely_found_to_have_drifted(reference):
    rng = np.random.default_rng(9)
    batches = [compare(reference, profile_table(draw(rng, 800), like=reference)) for _ in range(100)]
    assert sum(any(verdict.drifted for verdict in batch) for batch in batches) <= 5


@pytest.mark.parametrize("rows", [1000, 30_000])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("x", {"shift": 0.3}),
        ("x", {"scale": 1.4}),
        ("plan", {"mix": (0.45, 0.3, 0.25)}),
        ("holes (missing)", {"missing": 0.1}),
    ],
)
def test_a_batch_is_compared_on_its_own_whether_smaller_or_larger_than_the_reference(reference, name, change, rows):
    batch = draw(np.random.default_rng(10), rows, **change)
    worst, *others = compare(reference, profile_table(batch, like=reference))
    assert (worst.name, worst.drifted) == (name, True)
    assert not any(verdict.drifted for verdict in others)


def test_a_batch_of_other_columns_is_no_evidence(reference):
    batch = profile_table(pa.table({"plan": [1, 2, 3]}), like=reference)
    assert {verdict.status for verdict in compare(reference, batch)} == {"insufficient data"}


def test_secondary_figures():
    assert e_bh([math.log(59), math.log(25), 0.0], 0.05) == ()
    assert e_bh([math.log(61), math.log(31), 0.0], 0.05) == (0, 1)
    profile = profile_table(draw(np.random.default_rng(0), 1000))
    assert mean_evidence(begin(Plan.of(profile, monitor="m"))) == pytest.approx(0)
