"""One question, one answer: what is the content of this object, whatever it is.

Importing this module loads nothing heavy; the library of the data at hand is loaded already.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from mlops_kit.fingerprints.data import data_fingerprint
from mlops_kit.fingerprints.encoding import ATOMS
from mlops_kit.fingerprints.origin import is_user_module
from mlops_kit.fingerprints.values import value_and_code, value_fingerprint


def fingerprint(obj: object) -> str:
    """Fingerprint anything by its content: the same for equal content, another after any change.

    Tables of pandas, polars, Arrow, and whatever offers ``__arrow_c_stream__``, agree when their columns and
    values do; so do a pandas or polars Series and the table that holds only that column (an unnamed one is
    called ``0``). Arrays and sparse matrices go by dtype, shape and values; the user's functions and classes by
    the code that would run; estimators and all other objects by their structure. Nothing is sampled.

    Parameters
    ----------
    obj : object
        A table, a column, an array, a sparse matrix, a function, a class, an estimator, or any other value that
        can be pickled.

    Returns
    -------
    str
        ``"fp1:"`` and 64 hex digits for data and plain values; for code and objects, whose rules may change with a
        release, ``"fp2:"``. Fingerprints with different numbers cannot be compared.

    Raises
    ------
    UnsupportedData
        The content cannot be known without using it up (an iterator, a generator, a ``RecordBatchReader``),
        cannot be kept exactly (the column is named), or cannot be seen (a lock, an open file).
    InvalidInput
        The value is nested too deeply.

    Examples
    --------
    >>> import pandas as pd
    >>> import pyarrow as pa
    >>> from mlops_kit.fingerprints import fingerprint
    >>> fingerprint(pd.DataFrame({"x": [1, 2]})) == fingerprint(pa.table({"x": [1, 2]}))
    True
    >>> fingerprint({"depth": 3})[:4]
    'fp1:'
    """
    return fingerprint_and_code(obj)[0]


def fingerprint_and_code(obj: object) -> tuple[str, list[Any]]:
    """Fingerprint anything, and collect the functions and classes of the user's that are in it.

    Parameters
    ----------
    obj : object
        As for `fingerprint`.

    Returns
    -------
    tuple
        The fingerprint and the functions and classes.

    Raises
    ------
    UnsupportedData, InvalidInput
        As `fingerprint` does.
    """
    if type(obj) in ATOMS:
        return value_fingerprint(obj), []
    if isinstance(obj, FunctionType | type) and is_user_module(obj.__module__ or "__main__"):
        from mlops_kit.fingerprints.code import code_fingerprint  # noqa: PLC0415 - reads source, bytecode, metadata

        return code_fingerprint(obj).value, [obj]
    data = data_fingerprint(obj)
    return (data[1], []) if data is not None else value_and_code(obj)
