"""Segments of metric points: a line a point, each with its own checksum, so that a torn end costs one line."""

from __future__ import annotations

from math import isfinite
from typing import TypeAlias
from zlib import crc32

from mlops_kit.errors import IntegrityError
from mlops_kit.records import codec
from mlops_kit.records.bounds import parse
from mlops_kit.records.shape import reading

_CRC_DIGITS = 8

Point: TypeAlias = tuple[str, float, int | None, float]
"""Name, value, step or None, Unix seconds."""


def write_lines(points: list[Point]) -> bytes:
    r"""Write points as lines.

    Parameters
    ----------
    points : list of tuple
        Name, value, step or None, Unix seconds.

    Returns
    -------
    bytes
        ``[name, value, step, time]``, a tab, the CRC-32 of what precedes it in hex, and a newline, for each.

    Examples
    --------
    >>> read_lines(write_lines([("auc", 0.5, 1, 0.0)]), where="a doctest")
    [('auc', 0.5, 1, 0.0)]
    """
    lines = []
    names: dict[str, str] = {}
    for name, value, step, at in points:
        written = names.get(name) or names.setdefault(name, codec.canonical(codec.plain(name)).decode())
        number = (
            repr(value) if type(value) is float and isfinite(value) else codec.canonical(codec.plain(value)).decode()
        )
        body = f"[{written},{number},{'null' if step is None else step},{at!r}]".encode()
        lines.append(b"%s\t%08x\n" % (body, crc32(body)))
    return b"".join(lines)


def read_lines(data: bytes, *, where: str) -> list[Point]:
    """Read the points of a segment.

    Parameters
    ----------
    data : bytes
        The segment.
    where : str
        Its key.

    Returns
    -------
    list of tuple
        The points; a last line without its newline was torn by a crash and is left out.

    Raises
    ------
    IntegrityError
        Another line is not what was written.
    """
    points = []
    *lines, torn = data.split(b"\n")
    if len(torn.rpartition(b"\t")[2]) > _CRC_DIGITS and b"\t" in torn:
        lines.append(torn)  # no tear leaves more than a whole line: its newline was altered
    for number, line in enumerate(lines, 1):
        body, tab, crc = line.rpartition(b"\t")
        if not tab or crc != b"%08x" % crc32(body):
            raise IntegrityError(
                f"Line {number} of the metrics {where} is damaged: its checksum says {crc.decode('ascii', 'replace')}, "
                f"its bytes give {crc32(body):08x}. Restore the file from a copy of the store."
            )
        points.append(_point(body, f"{where}, line {number}"))
    return points


def _point(body: bytes, where: str) -> Point:
    with reading(where):
        name, value, step, at = codec.unplain(parse(body, where=where))
        if not (
            type(name) is str
            and type(value) in {int, float}
            and type(step) in {int, type(None)}
            and type(at) in {int, float}
        ):
            raise TypeError("a point is a name, a number, a step or null, and a time")
    return name, value, step, at
