"""A column has one fingerprint however it is cut, also where extension types stand inside of others."""

import itertools

import pyarrow as pa
import pytest

from mlops_kit.fingerprints import fingerprint
from mlops_kit.fingerprints.leaves import leaf_digest

UUIDS = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"1" * 16, None], pa.binary(16)))
PLAIN = UUIDS.storage
TENSORS = pa.ExtensionArray.from_storage(
    pa.fixed_shape_tensor(pa.int32(), [2]), pa.array([[1, 2], None], pa.list_(pa.int32(), 2))
)
NESTED = {
    "a map": lambda items: pa.MapArray.from_arrays(pa.array([0, None, 1], pa.int32()), pa.array(["a"]), items[:1]),
    "keys of a map": lambda items: pa.MapArray.from_arrays(pa.array([0, 0, 1], pa.int32()), items[:1], pa.array(["a"])),
    "a map of maps": lambda items: pa.MapArray.from_arrays(
        pa.array([0, None, 1], pa.int32()),
        pa.array(["a"]),
        pa.MapArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["x"]), items[:1]),
    ),
    "a list": lambda items: pa.ListArray.from_arrays(pa.array([0, None, 0, 2], pa.int32()), items),
    "a large list": lambda items: pa.LargeListArray.from_arrays(pa.array([0, None, 0, 2], pa.int64()), items),
    "a list of a fixed size": lambda items: pa.FixedSizeListArray.from_arrays(
        pa.concat_arrays([items, items]), 2, mask=pa.array([True, False])
    ),
    "a list view": lambda items: pa.ListViewArray.from_arrays(
        pa.array([0, 0, 0], pa.int32()), pa.array([0, 2, 1], pa.int32()), items, mask=pa.array([True, False, False])
    ),
    "a struct": lambda items: pa.StructArray.from_arrays([items], ["a"], mask=pa.array([True, False])),
    "a list of structs": lambda items: pa.ListArray.from_arrays(
        pa.array([0, None, 0, 2], pa.int32()), pa.StructArray.from_arrays([items, pa.array([1, None])], ["a", "b"])
    ),
    "a struct of lists": lambda items: pa.StructArray.from_arrays(
        [pa.ListArray.from_arrays(pa.array([0, None, 2], pa.int32()), items)], ["l"], mask=pa.array([False, True])
    ),
    "a dictionary": lambda items: pa.DictionaryArray.from_arrays(pa.array([0, None, 0]), items[:1]),
}


def of(chunks):
    return fingerprint(pa.table({"x": chunks}))


@pytest.mark.parametrize("items", [UUIDS, TENSORS, PLAIN], ids=["uuids", "tensors", "plain"])
@pytest.mark.parametrize("inside", NESTED)
def test_chunks_of_nested_columns_do_not_count(inside, items):
    array = NESTED[inside](items)
    whole = of(array)
    for first, last in itertools.combinations_with_replacement(range(len(array) + 1), 2):
        pieces = [array[:first], array[first:last], array[last:]]
        assert of(pa.chunked_array(pieces)) == whole
        assert of(pa.chunked_array([*pieces, array[:0]])) == whole


@pytest.mark.parametrize("inside", NESTED)
def test_a_leaf_of_an_extension_type_is_that_of_its_storage(inside):
    assert leaf_digest(NESTED[inside](UUIDS)) == leaf_digest(NESTED[inside](PLAIN))
