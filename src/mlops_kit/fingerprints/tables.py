"""Fingerprints of tables: every column hashed in blocks of 65,536 rows, whatever the chunking.

A leaf is the digest of one block of one column, a column's root the digest of its leaves, the fingerprint the
digest of the roots with names and types; so an append hashes only new blocks, and two tables are compared from
digests alone. The bytes are defined in ``docs/format.md``; `mlops_kit.fingerprints.leaves` writes them.

Imported only once a table is at hand.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mlops_kit.fingerprints.layouts import naming
from mlops_kit.fingerprints.leaves import leaf_digest, type_name
from mlops_kit.records.codec import canonical

BLOCK_ROWS = 65_536

_DOMAIN = b"mlk-fp1"
_CELLS_WORTH_THREADS = 1 << 20
_SHARES_PER_WORKER = 4


@dataclass(frozen=True, slots=True)
class ColumnFingerprint:
    """The digests of one column.

    Attributes
    ----------
    name : str
        The column's label.
    type : str
        Its logical type, such as ``"utf8"`` or ``"list<int32>"``.
    root : str
        SHA-256 of the leaves, in hex.
    leaves : tuple of str
        One digest, in hex, for every block of 65,536 rows.
    """

    name: str
    type: str
    root: str
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableFingerprint:
    """The fingerprint of a table and the digests it is made of.

    Attributes
    ----------
    value : str
        ``"fp1:"`` and 64 hex digits.
    n_rows : int
        Rows in the table.
    columns : tuple of ColumnFingerprint
        In column order.
    """

    value: str
    n_rows: int
    columns: tuple[ColumnFingerprint, ...]


def table_fingerprint(table: pa.Table, *, max_workers: int | None = None) -> TableFingerprint:
    """Fingerprint an Arrow table by its column names, logical types and values.

    Chunking, slicing, dictionary and run-end encoding, the unit of timestamps, offset widths, schema metadata
    and whatever lies beneath a null do not count. Row and column order do.

    Parameters
    ----------
    table : pyarrow.Table
        Any table; its buffers are hashed where they lie.
    max_workers : int, optional
        Threads that hash blocks; by default one for each processor, or none for a small table.

    Returns
    -------
    TableFingerprint
        With the digest of every block of every column.

    Raises
    ------
    UnsupportedData
        A column, which is named, has a type or a value that the format cannot hold exactly.

    Examples
    --------
    >>> whole = pa.table({"x": [1, 2, 3], "s": ["a", None, ""]})
    >>> parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    >>> table_fingerprint(whole).value == table_fingerprint(parts).value
    True
    """
    types = [type_name(field) for field in table.schema]
    names = table.column_names
    blocks = [list(column_blocks(column)) for column in table.columns]
    leaves = [(block, name) for name, column in zip(names, blocks, strict=True) for block in column]
    digests = iter(_leaf_digests(leaves, max_workers if max_workers is not None else _workers(table)))
    return combine(
        table.num_rows,
        [
            column_fingerprint(name, kind, [next(digests) for _ in column])
            for name, kind, column in zip(names, types, blocks, strict=True)
        ],
    )


def column_blocks(column: pa.ChunkedArray[Any]) -> Iterator[list[pa.Array[Any]]]:
    """Cut a column into blocks of 65,536 rows without copying.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        A column in any chunks.

    Yields
    ------
    list of pyarrow.Array
        The slices that together make the next block, to be given to `leaf_digest`.

    Examples
    --------
    >>> column = pa.chunked_array([pa.nulls(65_530), pa.nulls(10)])
    >>> [[len(piece) for piece in block] for block in column_blocks(column)]
    [[65530, 6], [4]]
    """
    block: list[pa.Array[Any]] = []
    room = BLOCK_ROWS
    for chunk in column.chunks:
        start = 0
        while start < len(chunk):
            piece = chunk.slice(start, room)
            block.append(piece)
            start += len(piece)
            room -= len(piece)
            if room == 0:
                yield block
                block, room = [], BLOCK_ROWS
    if block:
        yield block


def column_fingerprint(name: str, kind: str, leaves: Sequence[bytes]) -> ColumnFingerprint:
    """Make a column's root from the digests of its blocks.

    Parameters
    ----------
    name, kind : str
        The column's label and its logical type, as `type_name` writes it.
    leaves : sequence of bytes
        The results of `leaf_digest`, in order.

    Returns
    -------
    ColumnFingerprint
        Ready for `combine`.
    """
    root = hashlib.sha256(b"".join(leaves)).hexdigest()
    return ColumnFingerprint(name, kind, root, tuple(leaf.hex() for leaf in leaves))


def combine(n_rows: int, columns: Sequence[ColumnFingerprint]) -> TableFingerprint:
    """Make a table's fingerprint from those of its columns.

    Parameters
    ----------
    n_rows : int
        Rows in the table.
    columns : sequence of ColumnFingerprint
        In column order.

    Returns
    -------
    TableFingerprint
        The same that `table_fingerprint` gives for the whole table.

    Examples
    --------
    >>> block = pa.array([1, 2])
    >>> column = column_fingerprint("x", "int64", [leaf_digest(block)])
    >>> combine(2, [column]) == table_fingerprint(pa.table({"x": block}))
    True
    """
    content = canonical([n_rows, BLOCK_ROWS, [[column.name, column.type, column.root] for column in columns]])
    return TableFingerprint(f"fp1:{hashlib.sha256(_DOMAIN + content).hexdigest()}", n_rows, tuple(columns))


def _workers(table: pa.Table) -> int:
    if table.num_rows * table.num_columns < _CELLS_WORTH_THREADS:
        return 1
    return os.cpu_count() or 1


def _leaf_digests(leaves: list[tuple[list[pa.Array[Any]], str]], workers: int) -> list[bytes]:
    def share_of(first: int, step: int) -> list[bytes]:
        digests = []
        for block, name in leaves[first::step]:
            with naming(name):
                digests.append(leaf_digest(*block, column=name))
        return digests

    if workers <= 1 or len(leaves) <= 1:
        return share_of(0, 1)
    shares = min(len(leaves), workers * _SHARES_PER_WORKER)
    digests = [b""] * len(leaves)
    with ThreadPoolExecutor(workers, thread_name_prefix="mlops-kit-fingerprint") as pool:
        for first, share in enumerate(pool.map(share_of, range(shares), [shares] * shares)):
            digests[first::shares] = share
    return digests
