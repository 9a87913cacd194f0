"""Floats are hashed where they lie, and every NaN among them as the same one."""

import hashlib

import numpy as np
import pytest

from mlops_kit.fingerprints.hashing import canonical_floats, hashed

PAYLOADS = {
    2: np.array(0xFE01, np.uint16),
    4: np.array(0xFFC00001, np.uint32),
    8: np.array(0xFFF8000000000001, np.uint64),
}


def digest(*parts):
    return hashed(hashlib.sha256(), parts).hexdigest()


def test_without_a_nan_the_bytes_are_hashed_as_they_are():
    values = np.random.default_rng(0).normal(size=300_000)
    assert digest(b"head", values) == hashlib.sha256(b"head" + values.tobytes()).hexdigest()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("place", [0, 7, 8191, 8192, 65_535, 100_000, 299_999])
def test_wherever_a_nan_stands_it_is_the_canonical_one(dtype, place):
    values = (np.arange(300_000) % 7).astype(dtype)
    values[place] = PAYLOADS[values.itemsize].view(dtype)
    before = values.tobytes()
    canonical = np.where(np.isnan(values), np.array(np.nan, dtype), values)
    assert digest(values) == hashlib.sha256(canonical.tobytes()).hexdigest()
    assert digest(values) != digest(np.where(np.isnan(values), 0, values).astype(dtype))
    assert values.tobytes() == before


def test_what_is_hashed_before_and_after_a_nan_counts():
    values = np.array([1.0, np.nan, 2.0])
    assert len({digest(b"a", values, b"b"), digest(b"b", values, b"b"), digest(b"a", values, b"a")}) == 3


def test_floats_without_a_nan_are_not_copied():
    values = np.zeros(9)
    assert canonical_floats(values) is values
    assert np.isnan(canonical_floats(values, np.eye(9, dtype=bool)[3])[3])
