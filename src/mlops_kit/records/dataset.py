"""A version of a dataset, and the manifest of what it holds, as recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlops_kit.records import codec
from mlops_kit.records.entry import Entry
from mlops_kit.records.shape import Count, checked, reading


@dataclass(frozen=True, slots=True)
class ColumnRecord:
    """A column of a dataset.

    Parameters
    ----------
    name : str
        Its label as text.
    type : str
        Its type in a fingerprint, such as ``"utf8"``.
    root : str
        SHA-256 of the digests of its blocks, in hex.
    leaves : tuple of str
        The digest of each block of 65,536 rows, in hex.
    """

    name: str
    type: str
    root: str
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Stored bytes that hold some rows of a dataset.

    Parameters
    ----------
    kind : str
        ``"parquet"``: an object that is a parquet file.
    object : str
        Its digest.
    size : int
        In bytes.
    rows : int
        How many rows it holds, after those of the parts before it.
    unpacked, values : int, optional
        The bytes of its pages before compression, and how many values they hold at any depth, as its footer says.
    """

    kind: str
    object: str
    size: Count
    rows: Count
    unpacked: Count | None = None
    values: Count | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a version of a dataset holds.

    Parameters
    ----------
    fingerprint : str
        ``fp1:<hex>`` of the content.
    identity : str
        SHA-256 in hex of the fingerprint and of what the fingerprint leaves out: dtypes, categories, index.
    rows : int
        Its number of rows.
    columns : tuple of ColumnRecord
        The columns that are content, in order.
    header : dict
        What makes the stored table the frame that was given.
    parts : tuple of Part
        The stored rows, in order.
    profile : str, optional
        Digest of the profile of the columns.
    """

    fingerprint: str
    identity: str
    rows: Count
    columns: tuple[ColumnRecord, ...]
    header: dict[str, Any]
    parts: tuple[Part, ...]
    profile: str | None = None

    def encode(self) -> bytes:
        """Write the record."""
        columns = [[column.name, column.type, column.root, "".join(column.leaves)] for column in self.columns]
        parts = [{k: v for k in Part.__slots__ if (v := getattr(p, k)) is not None} for p in self.parts]
        members: dict[str, Any] = {"fingerprint": self.fingerprint, "identity": self.identity, "rows": self.rows}
        members |= {"columns": columns, "header": self.header, "parts": parts}
        return codec.seal("manifest", members | ({} if self.profile is None else {"profile": self.profile}))

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Manifest:
        """Read and verify the record."""
        members = codec.unseal(data, where=where, kind="manifest")
        with reading(where):
            return cls.of(members)

    @classmethod
    def of(cls, members: dict[str, Any]) -> Manifest:
        """Read it from plain JSON members."""
        columns = tuple(
            ColumnRecord(name, kind, root, tuple(leaves[i : i + 64] for i in range(0, len(leaves), 64)))
            for name, kind, root, leaves in members["columns"]
        )
        parts = tuple(
            Part(p["kind"], p["object"], p["size"], p["rows"], p.get("unpacked"), p.get("values"))
            for p in members["parts"]
        )
        identity, header, profile = members["identity"], members["header"], members.get("profile")
        return checked(cls(members["fingerprint"], identity, members["rows"], columns, header, parts, profile))


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """What is known of a version of a dataset without reading its rows.

    Parameters
    ----------
    name : str
        The dataset.
    version : int
        From 1, in the order of the snapshots.
    manifest : Manifest
        What it holds.
    created : datetime
        When it was kept.
    by : dict
        ``actor`` and ``source``: who kept it.
    source : str or None
        Where the data came from, in the user's words.
    run_id : str or None
        The run that was active.
    """

    name: str
    version: int
    manifest: Manifest
    created: datetime
    by: dict[str, str]
    source: str | None = None
    run_id: str | None = None

    @classmethod
    def of(cls, name: str, entry: Entry, manifest: Manifest) -> DatasetRecord:
        """Put together a ``snapshot`` entry and the manifest it names."""
        body = entry.body
        return cls(name, body["version"], manifest, entry.at, dict(entry.by), body.get("source"), body.get("run"))
