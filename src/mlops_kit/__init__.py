"""Every model you ship remembers exactly how it was made.

``import mlops_kit as mk``, put ``@mk.track`` on your training function, and call it as before. The names below
are the whole public API; importing the package does nothing but make them reachable.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_kit import conditions, errors, steps
    from mlops_kit.datasets.dataset import Dataset
    from mlops_kit.fingerprints.dispatch import fingerprint
    from mlops_kit.measures import expectations
    from mlops_kit.monitoring.monitor import Monitor
    from mlops_kit.pipelines.pipeline import pipeline
    from mlops_kit.pipelines.source import source
    from mlops_kit.pipelines.step import step
    from mlops_kit.registry.gate import Gate
    from mlops_kit.registry.store import ModelStore
    from mlops_kit.store.signing import SigningKey
    from mlops_kit.store.store import Store
    from mlops_kit.store.user_trust import Trust
    from mlops_kit.tracking.current import (
        current_run,
        log_artifact,
        log_dataset,
        log_figure,
        log_metric,
        log_metrics,
        log_model,
        log_param,
        log_params,
        set_tag,
        set_tags,
        start_run,
    )
    from mlops_kit.tracking.decorator import track
    from mlops_kit.tracking.listing import get_run, last_run, list_runs
    from mlops_kit.tracking.run import Run

__version__ = "0.1.0.dev0"

_HOMES = {
    "Dataset": "mlops_kit.datasets.dataset",
    "Gate": "mlops_kit.registry.gate",
    "ModelStore": "mlops_kit.registry.store",
    "Monitor": "mlops_kit.monitoring.monitor",
    "Run": "mlops_kit.tracking.run",
    "SigningKey": "mlops_kit.store.signing",
    "Store": "mlops_kit.store.store",
    "Trust": "mlops_kit.store.user_trust",
    "current_run": "mlops_kit.tracking.current",
    "fingerprint": "mlops_kit.fingerprints.dispatch",
    "get_run": "mlops_kit.tracking.listing",
    "last_run": "mlops_kit.tracking.listing",
    "list_runs": "mlops_kit.tracking.listing",
    "log_artifact": "mlops_kit.tracking.current",
    "log_dataset": "mlops_kit.tracking.current",
    "log_figure": "mlops_kit.tracking.current",
    "log_metric": "mlops_kit.tracking.current",
    "log_metrics": "mlops_kit.tracking.current",
    "log_model": "mlops_kit.tracking.current",
    "log_param": "mlops_kit.tracking.current",
    "log_params": "mlops_kit.tracking.current",
    "pipeline": "mlops_kit.pipelines.pipeline",
    "set_tag": "mlops_kit.tracking.current",
    "set_tags": "mlops_kit.tracking.current",
    "source": "mlops_kit.pipelines.source",
    "start_run": "mlops_kit.tracking.current",
    "step": "mlops_kit.pipelines.step",
    "track": "mlops_kit.tracking.decorator",
}

_MODULES = {
    "conditions": "mlops_kit.conditions",
    "errors": "mlops_kit.errors",
    "expectations": "mlops_kit.measures.expectations",
    "steps": "mlops_kit.steps",
}

__all__ = [
    "Dataset",
    "Gate",
    "ModelStore",
    "Monitor",
    "Run",
    "SigningKey",
    "Store",
    "Trust",
    "conditions",
    "current_run",
    "errors",
    "expectations",
    "fingerprint",
    "get_run",
    "last_run",
    "list_runs",
    "log_artifact",
    "log_dataset",
    "log_figure",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "pipeline",
    "set_tag",
    "set_tags",
    "source",
    "start_run",
    "step",
    "steps",
    "track",
]


def __getattr__(name: str) -> Any:
    """Import the home of a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mlops_kit' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
