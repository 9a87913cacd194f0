"""What the terminal says after a tracked run: on standard error, never on standard output."""

from __future__ import annotations

import os
import sys

from mlops_kit.errors import MlopsKitError
from mlops_kit.registry.store import ModelStore
from mlops_kit.registry.version import ModelVersion
from mlops_kit.store.store import open_store
from mlops_kit.tracking.run import Run
from mlops_kit.views.run import input_text, step_counts
from mlops_kit.views.summary import Summary, summary_text

VARIABLE = "MLOPS_KIT_SUMMARY"


def show(run: Run, *, register: str | None) -> None:
    """Print the summary of a run that is over, unless ``MLOPS_KIT_SUMMARY`` is ``0``.

    Parameters
    ----------
    run : Run
        The run.
    register : str, optional
        The model it may have made a version of, whose champion its metrics are compared with.
    """
    if os.environ.get(VARIABLE, "1").lower() in {"0", "false", "off", "no"}:
        return
    try:
        text = summary_text(summary_of(run, register))
        encoding = getattr(sys.stderr, "encoding", None) or "ascii"
        sys.stderr.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - a closed stream or a store that went away must not reach the user's code
        return


def summary_of(run: Run, register: str | None) -> Summary:
    """Gather what the summary says."""
    champion = _champion(run, register)
    models = run.models
    return Summary(
        run_id=run.id,
        run_name=run.name,
        status=run.status,
        seconds=run.resources.get("seconds"),
        data=tuple(input_text(ref, fingerprint=False) for ref in run.inputs.values()),
        metrics=run.metrics,
        champion=None if champion is None or champion.spec in models else champion.spec,
        champion_metrics={} if champion is None else champion.metrics,
        model=models[0] if models else None,
        problems=run.problems,
        error=None if run.error is None else f"{run.error['type'].removeprefix('builtins.')}: {run.error['message']}",
        next=_next(run, models) + _elsewhere(run),
        steps=step_counts(run.steps),
    )


def _next(run: Run, models: list[str]) -> str:
    if run.store.failure is not None:
        return "mlops-kit sync"
    return f"mlops-kit promote {models[0]}" if models and not _is_live(run, models[0]) else f"mlops-kit show {run.id}"


def _is_live(run: Run, spec: str) -> bool:
    """Check whether an alias points to a version, such as one that the run itself promoted."""
    name, _, version = spec.partition(":")
    try:
        return int(version) in ModelStore(run.store).aliases(name).values()
    except MlopsKitError:
        return False


def _elsewhere(run: Run) -> str:
    """Name the store for the command line where it would not find it by itself."""
    try:
        return "" if open_store() == run.store else f" --store {run.store.url}"
    except MlopsKitError:
        return f" --store {run.store.url}"


def _champion(run: Run, register: str | None) -> ModelVersion | None:
    if register is None:
        return None
    try:
        return ModelStore(run.store).get(f"{register}@champion")
    except MlopsKitError:
        return None
