"""Evidence: bets are fair while nothing changes, find what does, and the same rows give the same bits."""

import base64
import json
import math
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import kstest

from mlops_kit.errors import InvalidInput
from mlops_kit.measures.profile import encode_table, profile_table
from mlops_kit.monitoring import bets
from mlops_kit.monitoring.evidence import Plan, State, advance, begin, epoch_alpha, steps_between, whole_steps
from mlops_kit.monitoring.ranks import draw_ranks, stream_key, uniforms
from mlops_kit.monitoring.starts import prior


def draw(rng, rows, *, shift=0.0, rounded=0.2, mix=(0.6, 0.3, 0.1), missing=0.02):
    holes = rng.normal(size=rows)
    holes[rng.random(rows) < missing] = np.nan
    return pa.table(
        {
            "x": rng.normal(size=rows) + shift,
            "rounded": np.round(rng.normal(size=rows), 1) + (rounded - 0.2),
            "plan": rng.choice(["a", "b", "c"], rows, p=mix),
            "holes": holes,
        }
    )


def run(plan, codes, cuts, *, through_json=False):
    state, done = begin(plan), 0
    for cut in cuts:
        used = whole_steps(plan, state, cut - done)
        state = advance(plan, state, {name: values[done : done + used] for name, values in codes.items()})
        done += used
        if through_json:
            state = State.from_members(plan, json.loads(json.dumps(state.members(plan))))
    return state


@pytest.fixture(scope="module")
def reference():
    return profile_table(draw(np.random.default_rng(0), 3000))


@pytest.fixture(scope="module")
def codes(reference):
    return encode_table(draw(np.random.default_rng(1), 6000, shift=0.1), reference)


# The same rows, the same bits


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 6000), max_size=6))
def test_rows_give_the_same_state_however_they_are_cut(reference, codes, cuts):
    plan = Plan.of(reference, monitor="m")
    whole = run(plan, codes, [6000]).members(plan)
    assert run(plan, codes, [*sorted(cuts), 6000], through_json=True).members(plan) == whole


def test_another_monitor_and_another_epoch_draw_other_ranks(reference, codes):
    states = [
        run(Plan.of(reference, monitor=name, epoch=epoch), codes, [1000]).blocks[0].evidence.tolist()
        for name, epoch in (("m", 1), ("n", 1), ("m", 2), ("m", 1))
    ]
    assert states[0] == states[3]
    assert states[0] != states[1] != states[2] != states[0]


def test_a_stream_does_not_depend_on_which_others_are_watched(reference, codes):
    both = run(Plan.of(reference, monitor="m"), codes, [3000]).blocks[0]
    alone = run(Plan.of(reference, monitor="m", columns=("rounded",)), codes, [3000]).blocks[0]
    assert np.array_equal(both.won[1], alone.won[0])


def test_the_state_that_was_given_is_left_as_it_was(reference, codes):
    plan = Plan.of(reference, monitor="m")
    state = run(plan, codes, [1000])
    before = json.dumps(state.members(plan))
    advance(plan, state, {name: values[: whole_steps(plan, state, 500)] for name, values in codes.items()})
    assert json.dumps(state.members(plan)) == before


def test_rows_that_are_not_whole_steps_are_refused(reference, codes):
    plan = Plan.of(reference, monitor="m")
    with pytest.raises(InvalidInput, match="whole steps: pass the first 120"):
        advance(plan, begin(plan), {name: values[:130] for name, values in codes.items()})


def test_steps_are_a_hundredth_of_the_pool_up_to_a_hundred_rows():
    for rows, first in ((30, 1), (3000, 24), (10_000, 80), (50_000, 100)):
        plan = Plan("m", 1, 0.05, (), rows - rows // 5)
        assert whole_steps(plan, begin(plan), first) == first
        assert whole_steps(plan, begin(plan), first - 1) == 0
        assert 0 <= 1000 - whole_steps(plan, begin(plan), 1000) < 100


# Ranks


@settings(max_examples=60, deadline=None)
@given(
    new=st.lists(st.integers(0, 5), min_size=1, max_size=100),
    old=st.lists(st.integers(0, 40), min_size=6, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_each_row_has_a_rank_of_its_own_in_its_bin(new, old, seed):
    counts = np.bincount(new, minlength=6)[None, None]
    pooled = counts + np.array(old)
    padded = np.full((1, 1, 104), 65_535, np.uint16)
    padded[0, 0, : len(new)] = new
    draws = draw_ranks(padded, counts, pooled, np.array([seed], np.uint64), 7)[0, 0]
    ranks = np.floor(draws[: len(new)] * pooled.sum()).astype(int)
    assert len(set(ranks.tolist())) == len(new)
    edges = np.cumsum(pooled[0, 0])
    assert np.array_equal(np.bincount(np.searchsorted(edges, ranks, side="right"), minlength=6), counts[0, 0])
    assert (draws[len(new) :] == 0.5).all()


def test_ranks_are_uniform_also_where_all_values_are_tied():
    counts, pooled = np.full((1, 300, 1), 100), 2000 + 100 * np.arange(1, 301).reshape(1, 300, 1)
    draws = draw_ranks(np.zeros((1, 300, 100), np.uint16), counts, pooled, np.array([5], np.uint64), 0)
    assert kstest(draws.ravel(), "uniform").pvalue > 0.01
    assert kstest(uniforms(np.array([1], np.uint64), np.arange(50_000, dtype=np.uint64)), "uniform").pvalue > 0.01


def test_missing_values_leave_the_ranks_uniform_also_at_the_ends():
    counts = np.tile([0, 50], (1, 400, 1))
    codes = np.where(np.arange(100) % 2, 65_535, 1).astype(np.uint16)
    draws = draw_ranks(np.tile(codes, (1, 400, 1)), counts, counts, np.array([5], np.uint64), 0)[0, :, :50]
    within = draws * 50 - np.arange(50)
    assert kstest(within.ravel(), "uniform").pvalue > 0.01
    assert draws.max() < 1 - 1e-7


def test_seeds_differ_by_each_part():
    assert len({stream_key(m, e, s) for m in ("a", "b") for e in (1, 2) for s in ("x", "y")}) == 8


# Bets


def test_bets_are_their_closed_forms():
    z, n = np.array([0.3, -1.2, 2.5]), np.array(3)
    normal = lambda x, mu, sigma: -(((x - mu) / sigma) ** 2) / 2 - math.log(sigma)
    for mu, won in zip(bets.LOCATIONS, bets.location(z.sum(), n), strict=True):
        assert won == pytest.approx(sum(normal(z, mu, 1) - normal(z, 0, 1)))
    for sigma, won in zip(bets.SCALES, bets.scale((z**2).sum(), n), strict=True):
        assert won == pytest.approx(sum(normal(z, 0, sigma) - normal(z, 0, 1)))
    won = bets.tail(np.array([1, 3, 0, 1]), n).reshape(4, 2)
    assert won[1, 1] == pytest.approx(3 * math.log(4) - 3 * math.log(1 + 0.05 * 3))
    counts, pooled = np.array([3, 0, 7]), np.array([30, 50, 20])
    won = bets.level_bets(counts, pooled)
    assert won[5] == pytest.approx(3 * math.log(4) - 10 * math.log(1 + 0.3 * 3))
    c, p = 200, pooled / 100
    closed = gammaln(c) - gammaln(c + 10) + sum(gammaln(c * p + counts) - gammaln(c * p) - counts * np.log(p))
    assert won[-2] == pytest.approx(closed)
    assert bets.spike(np.array([3]), np.array([3]), np.array([1 / 256]))[1, 0] == pytest.approx(
        3 * math.log(16) - 3 * math.log(1 + 15 / 256)
    )
    for weights in (bets.fixed_weights(40), bets.level_weights(2), bets.level_weights(7)):
        assert weights.sum() == pytest.approx(1)
    assert bets.NUMBER_WEIGHTS.sum() + bets.SPIKE_WEIGHT == pytest.approx(1)
    assert len(bets.NUMBER_BETS) == len(bets.NUMBER_WEIGHTS)


@pytest.mark.parametrize("level", [2, 5])
def test_bets_on_levels_win_nothing_in_the_mean(level):
    rng = np.random.default_rng(level)
    pool = rng.integers(5, 60, level)
    values = np.repeat(np.arange(level), pool)
    counts = np.array([np.bincount(rng.permutation(values)[:30], minlength=level) for _ in range(4000)])
    won = np.exp(bets.level_bets(counts, np.tile(pool, (4000, 1))))
    assert (won.mean(axis=0) < 1 + 4 * won.std(axis=0) / math.sqrt(4000)).all()


def test_bets_on_one_step_win_nothing_in_the_mean():
    rng = np.random.default_rng(2)
    pool = rng.integers(0, 30, 40)
    values = np.repeat(np.arange(40), pool)
    won = np.exp([bets.fixed_bets(np.bincount(rng.permutation(values)[:25], minlength=40), pool) for _ in range(3000)])
    assert (won.mean(axis=0) < 1 + 4 * won.std(axis=0) / math.sqrt(3000)).all()


def test_a_bet_on_a_spike_wins_nothing_in_the_mean():
    rng = np.random.default_rng(9)
    pool = rng.integers(1, 8, 30)
    values = np.repeat(np.arange(30), pool)
    counts = np.array([np.bincount(rng.permutation(values)[:20], minlength=30) for _ in range(4000)])
    won = np.exp(bets.spike(counts, np.full((4000, 1), 20), pool / pool.sum()))
    assert (won.mean(axis=0) < 1 + 4 * won.std(axis=0) / math.sqrt(4000)).all()


# Evidence


def test_the_mean_of_the_evidence_at_a_fixed_time_is_at_most_one():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(150):
        profile = profile_table(draw(rng, 500))
        plan = Plan.of(profile, monitor=str(rng.random()))
        state = run(plan, encode_table(draw(rng, 300), profile), [300])
        found.append(np.exp(np.concatenate([block.evidence for block in state.blocks])))
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(150)
    assert (means < 1 + 1e-9 + 4 * errors).all()
    assert (means > 0.3).all()


def test_the_weights_of_the_starts_and_of_the_epochs_add_up():
    assert 1 - prior(10**6) == pytest.approx(sum(prior(t - 1) - prior(t) for t in range(1, 10**6 + 1)))
    assert prior(0) == prior(0, 1) == 1
    assert sum(epoch_alpha(0.05, k) for k in range(1, 10**5)) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("x", {"shift": 0.5}),
        ("rounded", {"rounded": 0.5}),
        ("plan", {"mix": (0.4, 0.3, 0.3)}),
        ("holes (missing)", {"missing": 0.1}),
    ],
)
def test_a_change_raises_the_evidence_of_its_stream_alone(reference, name, change):
    rng = np.random.default_rng(5)
    plan = Plan.of(reference, monitor="m")
    data = pa.concat_tables([draw(rng, 4000), draw(rng, 2000, **change)])
    state = run(plan, encode_table(data, reference), [6000])
    crossed = {
        plan.streams[place].name: int(rows)
        for block, known in zip(plan.blocks, state.blocks, strict=True)
        for place, rows in zip(block.places, known.crossed, strict=True)
        if rows >= 0
    }
    assert crossed.keys() == {name}
    assert 4000 < crossed[name] < 5000


@pytest.mark.parametrize("value", [0.0, 0.7, -1.3])
def test_a_few_rows_at_one_value_inside_the_bulk_are_found(value):
    rng = np.random.default_rng(int(100 + 10 * value))
    profile = profile_table(pa.table({"x": rng.normal(size=10_000)}))
    plan = Plan.of(profile, monitor="m", alpha=0.025 / 20)
    x = np.r_[rng.normal(size=10_000), np.where(rng.random(1600) < 0.03, value, rng.normal(size=1600))]
    (block, _) = run(plan, encode_table(pa.table({"x": x}), profile), [len(x)]).blocks
    assert 10_000 < block.crossed[0] <= 11_600
    assert 9000 <= block.onset[0] < 11_000


def test_a_state_goes_on_with_the_weights_of_starts_that_it_began_with(reference, codes):
    plan = Plan.of(reference, monitor="m", columns=("x",))
    members = run(plan, codes, [3000]).members(plan)
    assert members.pop("pace") == 30
    old = State.from_members(plan, members)
    assert old.pace == 1
    used = whole_steps(plan, old, 3000)
    assert advance(plan, old, {"x": codes["x"][:used]}).pace == 1


def test_bets_on_spikes_of_another_kind_begin_again(reference, codes):
    plan = Plan.of(reference, monitor="m")
    state = run(plan, codes, [3000])
    members = state.members(plan)
    members["bets"].remove(bets.SPIKE_BET)
    members["blocks"][0] |= dict.fromkeys(("spikes", "spike_climb", "spike_counts"), members["blocks"][0]["frozen"])
    read = State.from_members(plan, members).blocks[0]
    assert not read.spikes.any()
    assert read.spike_from.tolist() == [state.steps, state.rows]
    assert np.array_equal(read.won, state.blocks[0].won)
    assert np.array_equal(State.from_members(plan, state.members(plan)).blocks[0].spikes, state.blocks[0].spikes)


def test_cells_that_a_stream_does_not_have_win_nothing(reference, codes):
    plan = Plan.of(reference, monitor="m")
    state = run(plan, codes, [3000])
    members = state.members(plan)
    numbers, known = plan.blocks[0], state.blocks[0]
    assert numbers.padding.any()
    assert not known.spikes.transpose(0, 2, 1)[numbers.padding].any()
    filled = np.where(numbers.padding[:, None], np.float32(5), known.spikes)
    members["blocks"][0]["spikes"] = base64.b64encode(zlib.compress(filled.tobytes())).decode()
    assert State.from_members(plan, members).members(plan) == state.members(plan)


def test_totals_are_the_pool_in_the_bins_of_effects(reference):
    odd = draw(np.random.default_rng(6), 3000, shift=3.0, missing=0.2, mix=(0.5, 0.0, 0.5))
    unseen = odd.set_column(2, "plan", pa.array(["new", *odd["plan"].to_pylist()[1:]]))
    plan = Plan.of(reference, monitor="m")
    state = run(plan, encode_table(unseen, reference), [1000, 3000])
    for block, known in zip(plan.blocks, state.blocks, strict=True):
        for row, (pool, totals) in enumerate(zip(known.pool, known.totals[-1], strict=True)):
            below = np.cumsum(np.where(block.seen[row], pool, 0))
            inside = np.diff(below[block.ends[row] - 1], prepend=0)
            assert totals.tolist() == [*inside.tolist(), int(pool[~block.seen[row]].sum())]


def test_a_column_that_is_not_there_leaves_its_evidence_as_it_is(reference, codes):
    plan = Plan.of(reference, monitor="m")
    state = run(plan, {"x": codes["x"]}, [3000])
    seen = [
        plan.streams[place].name
        for block, known in zip(plan.blocks, state.blocks, strict=True)
        for place, before, now, evidence in zip(block.places, block.reference, known.pool, known.evidence, strict=True)
        if (before != now).any() or abs(evidence) > 0.01
    ]
    assert seen == ["x", "x (missing)"]


def test_totals_are_remembered_ever_more_rarely(reference):
    plan = Plan.of(reference, monitor="m", columns=("plan",))
    data = encode_table(draw(np.random.default_rng(3), 60_000), reference)
    state = run(plan, data, range(500, 60_001, 500))
    steps = [step for step, _ in state.trail]
    assert steps[0] == 0
    assert steps[-8:] == list(range(state.steps - 7, state.steps + 1))
    assert len(steps) < 60
    assert len(json.dumps(state.members(plan))) < 25_000


def test_a_state_of_other_bets_and_streams_goes_on(reference, codes):
    plan = Plan.of(reference, monitor="m")
    state = run(plan, codes, [3000])
    members = state.members(plan)
    block = members["blocks"][0]
    members["bets"] = ["shape", "long gone", *bets.NUMBER_BETS[:6]]
    old = [bets.NUMBER_BETS.index(name) if name in bets.NUMBER_BETS else 0 for name in members["bets"]]
    for name in ("won", "climb", "start"):
        block[name] = [[row[place] for place in old] for row in block[name]]
    members["streams"][0][0] = "unknown"
    read = State.from_members(plan, members)
    shape = bets.NUMBER_BETS.index("shape")
    assert np.array_equal(read.blocks[0].won[1:, shape], state.blocks[0].won[1:, shape])
    assert np.isneginf(read.blocks[0].won[1:, 7]).all()
    assert np.array_equal(read.blocks[0].pool[0], plan.blocks[0].reference[0])
    own = np.isfinite(plan.blocks[1].weights)
    assert np.array_equal(read.blocks[1].won[own], state.blocks[1].won[own])
    used = whole_steps(plan, read, 500)
    assert advance(plan, read, {name: values[:used] for name, values in codes.items()}).rows == state.rows + used


def test_a_promise_per_windows_is_kept_in_the_mean():
    rng = np.random.default_rng(6)
    profile = profile_table(draw(rng, 5000))
    between = steps_between(10, 200, profile)
    assert between == 50
    plan = Plan.of(profile, monitor="m", steps_between=between)
    state = run(plan, encode_table(draw(rng, 60_000), profile), [60_000])
    assert len(state.alarms) <= 60_000 / (10 * 200)
    crossed = {int(rows) for block in state.blocks for rows in block.crossed if rows >= 0}
    assert crossed <= set(state.alarms)
    shifted = run(plan, encode_table(draw(rng, 2000, shift=1.0), profile), [2000])
    assert shifted.alarms
    assert shifted.alarms[0] <= 300


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 30])
def test_a_tiny_or_empty_reference_is_watched_all_the_same(rows):
    rng = np.random.default_rng(8)
    profile = profile_table(draw(rng, rows))
    plan = Plan.of(profile, monitor="m")
    state = run(plan, encode_table(draw(rng, 400), profile), [400])
    assert all(np.isfinite(block.evidence).all() for block in state.blocks)
    assert all((block.crossed < 0).all() for block in state.blocks)
