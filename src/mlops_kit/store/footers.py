"""What a parquet file says of itself in its footer, read without its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_kit.errors import IntegrityError
from mlops_kit.masking import excerpt
from mlops_kit.records import bounds

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_TAIL = 2**16
_END = 8


@dataclass(frozen=True, slots=True)
class Footer:
    """What is kept of a footer.

    Parameters
    ----------
    rows : int
        How many rows the file says it has.
    unpacked, values : int
        The bytes of its pages before compression, and its values at any depth.
    """

    rows: int
    unpacked: int
    values: int

    @classmethod
    def of(cls, metadata: pq.FileMetaData) -> Footer:
        """Sum up what the groups of rows say."""
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        columns = [group.column(i) for group in groups for i in range(group.num_columns)]
        return cls(
            metadata.num_rows,
            sum(column.total_uncompressed_size for column in columns),
            sum(column.num_values for column in columns),
        )


def read_footer(read: Callable[[int, int], bytes], size: int) -> Footer:
    """Read the footer of a parquet file from its end.

    Parameters
    ----------
    read : callable
        Takes two places in the file, and gives the bytes from the first to before the second.
    size : int
        Of the file, in bytes.

    Raises
    ------
    IntegrityError
        It is no parquet file.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only datasets need it
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    tail = read(max(0, size - _TAIL), size)
    length = int.from_bytes(tail[-_END:-4], "little") + _END
    if len(tail) < length <= min(size, bounds.MAX_BYTES):
        tail = read(size - length, size)
    try:
        return Footer.of(pq.read_metadata(pa.BufferReader(tail)))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise IntegrityError(f"Its part is no parquet file: {excerpt(error)}") from error
