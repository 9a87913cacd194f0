"""Arrow's layouts of the same values: each leads to the others, at any depth, and back."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints.arrow import to_arrow
from mlops_kit.fingerprints.layouts import naming, recast, viewless, without_views

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.none()


@st.composite
def nested(draw, depth=3):
    """Draw a type with views in it, and values of it."""
    how = (
        draw(st.sampled_from(["text", "bytes", "list", "large", "view", "fixed", "struct", "map"])) if depth else "text"
    )
    if how in {"text", "bytes"}:
        values = TEXTS if how == "text" else TEXTS.map(lambda text: None if text is None else text.encode())
        return (pa.string_view() if how == "text" else pa.binary_view()), values
    kind, values = draw(nested(depth=depth - 1))
    if how == "struct":
        other, others = draw(nested(depth=depth - 1))
        return pa.struct({"a": kind, "b": other}), st.fixed_dictionaries({"a": values, "b": others}) | st.none()
    if how == "map":
        keys = TEXTS.filter(lambda text: text is not None)
        return pa.map_(pa.string_view(), kind), st.lists(st.tuples(keys, values), max_size=2) | st.none()
    if how == "fixed":
        return pa.list_(kind, 2), st.lists(values, min_size=2, max_size=2) | st.none()
    of = {"list": pa.list_, "large": pa.large_list, "view": pa.list_view}[how]
    return of(kind), st.lists(values, max_size=3) | st.none()


@settings(max_examples=100, deadline=None)
@given(st.data(), nested())
def test_texts_at_any_depth_go_from_one_layout_to_the_other_and_back(data, drawn):
    kind, values = drawn
    rows = data.draw(st.lists(values, max_size=5))
    start = data.draw(st.integers(0, len(rows)))
    array = pa.array(rows, kind).slice(start)
    plain = recast(array, without_views(kind))
    plain.validate(full=True)
    assert "view" not in str(plain.type).replace("list_view", "")
    assert plain.to_pylist() == array.to_pylist()
    back = recast(plain, kind)
    back.validate(full=True)
    assert back.equals(array)


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_encoded_texts_go_from_one_layout_to_the_other_and_back(start):
    words = pa.array(["x", "long enough not to be inline"], pa.string_view())
    coded = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), words)
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), words)
    for array in (
        coded,
        runs,
        pa.StructArray.from_arrays([coded], ["a"]),
        pa.ListArray.from_arrays([0, 1, 2, 3], coded),
    ):
        piece = array.slice(start)
        plain = recast(piece, without_views(array.type))
        assert plain.to_pylist() == piece.to_pylist()
        assert recast(plain, array.type).to_pylist() == piece.to_pylist()
    assert recast(runs.slice(start), pa.string_view()).to_pylist() == runs.slice(start).to_pylist()


def test_a_table_without_views_is_left_as_it_is():
    table = pa.table({"a": ["x"], "b": [[1]]})
    assert viewless(table) is table
    assert to_arrow(pa.table({"a": pa.array([["x"]], pa.list_(pa.string_view()))})).schema.field("a").type == pa.list_(
        pa.large_string()
    )


def test_an_error_of_arrow_names_the_column():
    with pytest.raises(UnsupportedData, match=r"Column 'when' cannot be kept.*Cast it"), naming("when"):
        pa.array(["x"]).cast(pa.int64())
