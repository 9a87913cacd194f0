"""The manifest of a dataset version: it reads back whole."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import IntegrityError
from mlops_kit.records.dataset import ColumnRecord, Manifest, Part

HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)

MANIFESTS = st.builds(
    Manifest,
    fingerprint=HEX.map("fp1:{}".format),
    identity=HEX,
    rows=st.integers(0, 2**50),
    columns=st.lists(st.builds(ColumnRecord, TEXT, TEXT, HEX, st.lists(HEX, max_size=3).map(tuple))).map(tuple),
    header=st.dictionaries(TEXT, st.none() | st.integers(-9, 9) | TEXT | st.lists(TEXT), max_size=3),
    parts=st.lists(
        st.builds(Part, st.just("parquet"), HEX.map("sha256:{}".format), st.integers(0, 9), st.integers(0, 9)),
        max_size=2,
    ).map(tuple),
)


@given(MANIFESTS)
def test_a_manifest_reads_back_equal(manifest):
    assert Manifest.decode(manifest.encode(), where="here") == manifest


@given(MANIFESTS)
def test_equal_manifests_are_one_object(manifest):
    again = Manifest.decode(manifest.encode(), where="here")
    assert hashlib.sha256(again.encode()).digest() == hashlib.sha256(manifest.encode()).digest()


def test_a_damaged_manifest_is_refused():
    data = Manifest("fp1:0", "0", 0, (), {}, ()).encode()
    with pytest.raises(IntegrityError):
        Manifest.decode(data.replace(b'"rows":0', b'"rows":1'), where="here")
