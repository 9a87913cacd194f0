"""The recorded states give the numbers of the run again."""

from __future__ import annotations

import base64
import random
import struct

import numpy as np

import mlops_kit as mk
from mlops_kit.tracking.rng import rng_members, rng_state


def restore(members):
    python, numpy = members["python"], members["numpy"]
    words = base64.b64decode(python["words"])
    random.setstate((python["version"], struct.unpack(f"<{len(words) // 4}I", words), python["gauss"]))
    keys = np.frombuffer(base64.b64decode(numpy["words"]), "<u4")
    np.random.set_state((numpy["generator"], keys, numpy["position"], numpy["has_gauss"], numpy["gauss"]))


def draw():
    return [random.random(), random.gauss(0, 1), *np.random.rand(3), *np.random.normal(size=3)]


def test_the_recorded_states_give_the_numbers_of_the_run_again():
    random.gauss(0, 1)
    np.random.normal()
    tracked = mk.track(draw, name="draw")
    drawn = tracked()
    draw()
    restore(mk.get_run(tracked.last_run.id).rng)
    assert draw() == drawn


def test_reading_the_state_changes_nothing_and_equal_states_are_equal():
    first = rng_state()
    assert rng_state() == first
    assert hash(first) == hash(rng_state())
    random.random()
    assert rng_state() != first


def test_a_generator_that_the_user_put_in_the_place_of_numpys_is_left_alone(monkeypatch):
    monkeypatch.setattr(np.random, "get_state", lambda: {"bit_generator": "PCG64"})
    assert "numpy" not in rng_members(rng_state())
