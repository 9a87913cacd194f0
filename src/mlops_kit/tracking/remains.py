"""What remains of a run whose store was removed, or replaced by another, before the run ended."""

from __future__ import annotations

from dataclasses import replace

from mlops_kit.errors import NotFound
from mlops_kit.records import versions
from mlops_kit.records.run import InputRef, OutputRef, RunEnd, RunStart
from mlops_kit.store import keys
from mlops_kit.store.catalog import Catalog
from mlops_kit.store.store import Store


def without_gone(end: RunEnd, run_id: str, store: Store) -> tuple[RunEnd, list[str]]:
    """Leave out of the end of a run what its store does not hold any more.

    Parameters
    ----------
    end : RunEnd
        The end as it would have been written.
    run_id : str
        The run.
    store : Store
        The store as it is now.

    Returns
    -------
    RunEnd and list of str
        The end that names only what is there, and what it had to leave out.
    """
    remains = _Remains(store, run_id)
    start = end.start and remains.of_start(end.start)
    kept = replace(
        end,
        start=start,
        inputs=tuple(map(remains.of_input, end.inputs)),
        outputs=tuple(map(remains.of_output, end.outputs)),
        artifacts=tuple(ref for ref in end.artifacts if remains.has(ref.object, ref.name)),
        models=tuple(filter(remains.has_model, end.models)),
        segments={number: lines for number, lines in end.segments.items() if remains.has_segment(number)},
    )
    return kept, remains.gone


class _Remains:
    """Asks for each thing whether it is there, and notes what is not."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self.gone: list[str] = []

    def has(self, digest: str | None, what: str) -> bool:
        there = digest is None or self._store.backend.stat(keys.object_key(digest)) is not None
        return self._noted(what, there=there)

    def of_start(self, start: RunStart) -> RunStart:
        members = {name: getattr(start, name) for name in ("environment", "sources", "rng")}
        members = {name: digest if self.has(digest, name) else None for name, digest in members.items()}
        function, git = start.function, start.git
        if function is not None and not self.has(function.get("parts"), "parts of the code"):
            function = {name: value for name, value in function.items() if name != "parts"}
        if git is not None and not self.has(git.get("diff"), "uncommitted changes"):
            git = {name: value for name, value in git.items() if name not in {"diff", "diff_truncated"}}
        return replace(start, **members, function=function, git=git, inputs=tuple(map(self.of_input, start.inputs)))

    def of_input(self, ref: InputRef) -> InputRef:
        if not self.has(ref.profile, f"profile of {ref.name}"):
            ref = replace(ref, profile=None)
        if ref.dataset is None or self._has_version("datasets", ref.dataset, ref.version, fingerprint=ref.fingerprint):
            return ref
        return replace(ref, dataset=None, version=None)

    def of_output(self, ref: OutputRef) -> OutputRef:
        if self.has(ref.object, f"output {ref.name!r}"):
            return ref
        return OutputRef(ref.name, "none", "none", type=ref.type)

    def has_model(self, model: dict[str, object]) -> bool:
        return self._has_version("models", str(model["name"]), model["version"], run=self._run_id)

    def has_segment(self, number: int) -> bool:
        there = self._store.runs.metrics(self._run_id, number) is not None
        return self._noted(f"metrics, part {number}", there=there)

    def _has_version(self, kind: str, name: str, version: object, **told: str) -> bool:
        """Tell whether a version is there, and is the one that was made, not another of the same number."""
        what = kind.removesuffix("s")
        try:
            entry = Catalog(self._store, kind, what, NotFound, "{}").resolve(f"{name}:{version}")
        except NotFound:
            return self._noted(f"{what} {name}:{version}", there=False)
        made = versions.makes(entry, int(str(version)))
        return self._noted(
            f"{what} {name}:{version}", there=made and all(entry.body.get(key) == value for key, value in told.items())
        )

    def _noted(self, what: str, *, there: bool) -> bool:
        if not there:
            self.gone.append(what)
        return there
