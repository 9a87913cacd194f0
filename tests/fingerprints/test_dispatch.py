"""The one public question: what is the content of this object."""

import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints import fingerprint
from mlops_kit.fingerprints.arrays import array_fingerprint, sparse_fingerprint
from mlops_kit.fingerprints.code import code_fingerprint
from mlops_kit.fingerprints.tables import table_fingerprint
from mlops_kit.fingerprints.values import value_fingerprint

TABLE = pa.table({"x": [1, 2], "s": ["a", None]})


class Stream:
    """A table of no library that we know."""

    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    "table",
    [TABLE, TABLE.to_batches()[0], TABLE.to_pandas(), pl.from_arrow(TABLE), Stream()],
    ids=lambda table: type(table).__name__,
)
def test_tables_of_every_make_agree(table):
    assert fingerprint(table) == table_fingerprint(TABLE).value


@pytest.mark.parametrize("column", [pd.Series([1, 2], name="x"), pl.Series("x", [1, 2])], ids=["pandas", "polars"])
def test_a_column_is_the_table_that_holds_only_it(column):
    assert fingerprint(column) == fingerprint(TABLE.select(["x"]))


def test_an_unnamed_column_is_called_zero():
    columns = [pd.Series([1, 2]), pa.array([1, 2]), pa.chunked_array([[1], [2]]), pd.DataFrame([1, 2])]
    assert len({fingerprint(column) for column in columns}) == 1


def test_an_index_with_a_name_is_content():
    series = pd.Series([1, 2], name="x")
    assert fingerprint(series) == fingerprint(series.set_axis([5, 6]))
    assert fingerprint(series) != fingerprint(series.set_axis(pd.Index([5, 6], name="key")))


def test_each_kind_of_object_has_the_fingerprint_of_its_kind():
    array = np.arange(4.0).reshape(2, 2)
    assert fingerprint(array) == array_fingerprint(array)
    assert fingerprint(sparse.coo_array(array)) == sparse_fingerprint(sparse.csr_matrix(array))
    assert fingerprint(double) == code_fingerprint(double).value
    assert fingerprint(Stream) == code_fingerprint(Stream).value
    for value in (1, "a", {"a": 1}, np.float64(1), np.array(["a", 1], object), LinearRegression(), np.mean, len, None):
        assert fingerprint(value) == value_fingerprint(value)


@pytest.mark.parametrize(
    "stream", [iter([1]), (i for i in [1]), map(str, [1]), TABLE.to_reader()], ids=lambda stream: type(stream).__name__
)
def test_what_can_be_read_once_is_refused_and_not_consumed(stream):
    with pytest.raises(UnsupportedData, match="once"):
        fingerprint(stream)
    with pytest.raises(UnsupportedData, match="once"):
        fingerprint({"data": stream})
    assert len(list(stream)) == 1


def test_a_column_that_cannot_be_typed_is_refused_by_name():
    with pytest.raises(UnsupportedData, match="mixed"):
        fingerprint(pd.DataFrame({"fine": [1, 2], "mixed": [object(), 1]}))


def test_plain_values_load_no_library_of_data():
    code = """
        import datetime, sys
        import mlops_kit.fingerprints
        value = {"a": [1, 2.5, None, ("x", b"y")], "b": {1, 2}, "c": datetime.date(2026, 1, 1)}
        mlops_kit.fingerprints.fingerprint(value)
        class Params:
            depth = 3
        mlops_kit.fingerprints.fingerprint([Params(), len, lambda x: x])
        heavy = {"numpy", "pandas", "pyarrow", "polars", "scipy", "sklearn", "cloudpickle"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
