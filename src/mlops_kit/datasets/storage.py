"""A table on its way into a store and back: taken apart, fingerprinted, written, read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import IntegrityError, InvalidInput
from mlops_kit.fingerprints.arrow import to_arrow
from mlops_kit.records.dataset import ColumnRecord, Manifest, Part
from mlops_kit.records.profile import encode_profile
from mlops_kit.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Prepared:
    """A table on its way into a store: taken apart and fingerprinted, nothing written.

    Parameters
    ----------
    table : pyarrow.Table
        As it will be stored.
    header : dict
        What makes it the frame that was given.
    fingerprint, identity : str
        Of the content, and of all that a version keeps.
    columns : tuple of ColumnRecord
        The columns that are content.
    content : pyarrow.Table
        These columns.
    """

    table: pa.Table
    header: dict[str, Any]
    fingerprint: str
    identity: str
    columns: tuple[ColumnRecord, ...]
    content: pa.Table

    @property
    def rows(self) -> int:
        """How many rows it has; a stored table without columns does not know."""
        return int(self.header["rows"])


def prepare(data: Any) -> Prepared:
    """Take a table apart and fingerprint it; see `Dataset.snapshot` for what is accepted and refused."""
    from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow
    from mlops_kit.fingerprints.tables import table_fingerprint  # noqa: PLC0415 - likewise

    packed = frames.pack(data)
    printed = table_fingerprint(packed.content)
    rest = frames.identity(packed.header, packed.table)
    identity = hashlib.sha256(f"{printed.value}\n{rest}".encode()).hexdigest()
    columns = tuple(ColumnRecord(column.name, column.type, column.root, column.leaves) for column in printed.columns)
    return Prepared(packed.table, packed.header, printed.value, identity, columns, packed.content)


def write_manifest(prepared: Prepared, store: Store, *, profiled: bool = False) -> tuple[str, int]:
    """Write a table's bytes and the manifest that names them; give the manifest's digest and the bytes' size."""
    store.ensure()
    part = _write_part(prepared, store)
    profile = describe(prepared.content) if profiled else None
    digest = None if profile is None else store.objects.put(profile)
    manifest = Manifest(
        prepared.fingerprint, prepared.identity, prepared.rows, prepared.columns, prepared.header, (part,), digest
    )
    return store.objects.put(manifest.encode()), part.size


def _write_part(prepared: Prepared, store: Store) -> Part:
    from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow

    data = frames.write_parquet(prepared.table)
    return Part("parquet", store.objects.put(data), len(data), prepared.rows, *frames.measure(data))


def describe(data: Any) -> bytes | None:
    """Write the profile of a table, or give None where that fails: nothing is lost for want of a profile."""
    from mlops_kit.datasets.natives import noted  # noqa: PLC0415 - loads pyarrow
    from mlops_kit.measures.profile import profile_columns  # noqa: PLC0415 - likewise

    try:
        table = to_arrow(noted(data)[0])
        return encode_profile(table.num_rows, profile_columns(table))
    except Exception:  # noqa: BLE001 - data of any type may fail in any way here, and is to be kept all the same
        return None


def read_table(manifest: Manifest, store: Store, *, what: str, columns: list[object] | None = None) -> pa.Table:
    """Read the stored table of a manifest, verified."""
    from mlops_kit.datasets import frames  # noqa: PLC0415 - loads pyarrow

    wanted = frames.stored_columns(manifest.header, columns)
    unknown = {part.kind for part in manifest.parts} - {"parquet"}
    if unknown or len(manifest.parts) != 1:
        raise InvalidInput(
            f"The {what} is stored as {sorted(unknown) or 'several parts'}, which this release cannot read. "
            "Upgrade with `pip install -U mlops-kit`."
        )
    part = manifest.parts[0]
    if (part.rows, manifest.header["rows"]) != (manifest.rows, manifest.rows):
        raise IntegrityError(
            f"The {what} cannot be read. Its manifest names {part.rows:,} rows as all of {manifest.rows:,}. Restore it "
            "from a copy of the store."
        )
    data = store.objects.get(part.object, size=part.size, what=what)
    content = None if part.unpacked is None or part.values is None else (part.unpacked, part.values)
    try:
        return frames.read_parquet(data, wanted, frames.promise(manifest.header, part.rows, content))
    except IntegrityError as error:
        raise IntegrityError(f"The {what} cannot be read. {error}") from error
