"""Fingerprints of arrays and sparse matrices."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.arrays import array_fingerprint, sparse_fingerprint

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fp1.json").read_text(encoding="utf-8"))["arrays"]
DTYPES = st.one_of(
    hnp.floating_dtypes(endianness="?"),
    hnp.integer_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.unicode_string_dtypes(endianness="?", max_len=4),
    hnp.byte_string_dtypes(max_len=4),
    hnp.boolean_dtypes(),
    hnp.array_dtypes(max_size=3),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_format_are_met(name):
    values = VECTORS[name]["values"]
    if isinstance(values, str):  # written as Python writes them
        values = json.loads(values.replace("nan", "NaN").replace("True", "true").replace("False", "false"))
    assert array_fingerprint(np.array(values, VECTORS[name]["dtype"])) == VECTORS[name]["fingerprint"]


@settings(max_examples=80, deadline=None)
@given(ARRAYS)
def test_memory_layout_does_not_count(array):
    expected = array_fingerprint(array)
    assert array_fingerprint(np.array(array, order="F")) == expected
    assert array_fingerprint(array.astype(array.dtype.newbyteorder())) == expected
    if array.ndim:
        wide = np.repeat(array, 2, axis=-1)
        assert array_fingerprint(wide[..., ::2]) == expected
        assert array_fingerprint(array[::-1][::-1]) == expected


@settings(max_examples=80, deadline=None)
@given(hnp.arrays(hnp.integer_dtypes() | hnp.floating_dtypes(), hnp.array_shapes(max_side=4)), st.data())
def test_one_changed_value_differs(array, data):
    changed = array.copy()
    place = data.draw(st.integers(0, array.size - 1))
    changed.reshape(-1)[place] = 3 if array.reshape(-1)[place] != 3 else 4
    assert array_fingerprint(changed) != array_fingerprint(array)


def test_shape_and_dtype_count():
    array = np.arange(6, dtype=np.int32)
    others = [array, array.reshape(2, 3), array.reshape(3, 2), array.astype(np.int64), array.view(np.uint32), array[:0]]
    others += [np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(0)]
    assert len({array_fingerprint(other) for other in others}) == len(others)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.clongdouble])
def test_all_nan_are_one_and_the_sign_of_zero_counts(kind):
    nans = [np.array([sign * np.nan, 1], kind) for sign in (1, -1)]
    assert array_fingerprint(nans[0]) == array_fingerprint(nans[1])
    assert array_fingerprint(np.zeros(1, kind)) != array_fingerprint(np.array([-0.0], kind))


def test_padding_between_fields_is_no_content():
    kind = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    twins = [np.frombuffer(bytearray([filling]) * (kind.itemsize * 3), kind) for filling in (0, 255)]
    for twin in twins:
        twin["a"], twin["b"] = 1, 1
    assert twins[0].tobytes() != twins[1].tobytes()
    assert array_fingerprint(twins[0]) == array_fingerprint(twins[1])


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="long doubles have no padding here")
@pytest.mark.parametrize("kind", [np.longdouble, np.clongdouble])
def test_padding_of_extended_precision_is_no_content(kind):
    twins = [np.ones(3, kind), np.ones(3, kind)]
    for twin, filling in zip(twins, (0, 255), strict=True):
        twin.view(np.uint8).reshape(-1, 16)[:, 10:] = filling
    assert array_fingerprint(twins[0]) == array_fingerprint(twins[1])


def test_arrays_larger_than_one_stretch_are_hashed_whole():
    array = np.zeros((3, 400_000))
    expected = array_fingerprint(array)
    assert array_fingerprint(np.asfortranarray(array)) == expected
    array[2, -1] = 1
    assert array_fingerprint(array) != expected


def test_names_of_fields_count():
    pair = np.zeros(2, [("a", "i4"), ("b", "f4", (2,))])
    assert array_fingerprint(pair) != array_fingerprint(pair.astype([("a", "i4"), ("c", "f4", (2,))]))


def test_arrays_of_objects_are_left_to_the_values():
    with pytest.raises(UnsupportedData, match="Python objects"):
        array_fingerprint(np.array([object()]))


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.sampled_from([0.0, 1.5, -2.0, np.nan]))
)
def test_sparse_matrices_agree_in_every_format(dense):
    expected = sparse_fingerprint(sparse.csr_array(dense))
    for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia"):
        assert sparse_fingerprint(sparse.coo_matrix(dense).asformat(kind)) == expected
    wide = sparse.csr_array(dense)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert sparse_fingerprint(wide) == expected
    dense[-1, -1] = 7.0
    assert sparse_fingerprint(sparse.csr_array(dense)) != expected


def test_a_sparse_matrix_is_made_canonical_without_being_touched():
    data, indices, indptr = np.array([1.0, 2.0, 0.0, 4.0]), np.array([2, 2, 1, 0]), np.array([0, 4])
    messy = sparse.csr_array((data, indices, indptr), shape=(1, 3))
    assert sparse_fingerprint(messy) == sparse_fingerprint(sparse.csr_array([[4.0, 0.0, 3.0]]))
    assert (messy.nnz, messy.data.tolist(), messy.indices.tolist()) == (4, [1.0, 2.0, 0.0, 4.0], [2, 2, 1, 0])


def test_a_stale_mark_of_canonical_form_is_not_believed():
    matrix = sparse.csr_array([[1.0, 2.0]])
    assert matrix.has_canonical_format
    matrix.indices[:], matrix.data[:] = [1, 0], [2.0, 1.0]
    assert sparse_fingerprint(matrix) == sparse_fingerprint(sparse.csr_array([[1.0, 2.0]]))


def test_shape_dtype_and_density_of_sparse_matrices_count():
    matrix = sparse.csr_array([[1.0, 0.0]])
    others = [sparse.csr_array([[1.0, 0.0, 0.0]]), sparse.csr_array([[1.0], [0.0]]), matrix.astype(np.float32)]
    others += [sparse.coo_array([1.0, 0.0]), sparse.coo_array(np.array([[[1.0, 0.0]]]))]
    found = {sparse_fingerprint(other) for other in [matrix, *others]} | {array_fingerprint(matrix.toarray())}
    assert len(found) == len(others) + 2
