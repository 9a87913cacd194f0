"""The results of steps, by their keys: written without sync, since what is lost of them can be computed again."""

from __future__ import annotations

from mlops_kit.errors import IntegrityError
from mlops_kit.records.step import StepRecord
from mlops_kit.store import keys
from mlops_kit.store.backend import Backend, Judged, read_judged, read_verified


class Results:
    """The results of one store.

    Parameters
    ----------
    backend : Backend
        Where the records are.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def write(self, record: StepRecord) -> None:
        """Keep a result; a later one of the same key replaces it."""
        self._backend.put(keys.step_key(record.key), record.encode(), durable=False)

    def read(self, key: str) -> StepRecord | None:
        """Read a result, or None if there is none.

        Raises
        ------
        IntegrityError
            It is damaged, or another that was moved there.
        """
        where = keys.step_key(key)

        def verified(data: bytes) -> StepRecord:
            record = StepRecord.decode(data, where=where)
            if record.key != key:
                raise IntegrityError(
                    f"The record at {where} in {self._backend.url} has another key: it was moved here."
                )
            return record

        return read_verified(self._backend, where, verified)

    def judged(self, key: str) -> Judged | None:
        """Read the bytes of a record with who else may have written them."""
        return read_judged(self._backend, keys.step_key(key))

    def remove(self, key: str) -> None:
        """Forget a result."""
        self._backend.delete(keys.step_key(key))
