"""Write the pages of the reference from the public names, so that none is missing and none is left over.

Each public name goes to the page of the subject whose part of the package defines it. What the public names
return, and users never make, has a page of its own.
"""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import TYPE_CHECKING

import mlops_kit

if TYPE_CHECKING:
    from pathlib import Path

SUBJECTS = {
    "tracking": ("Runs", "Record what a function did, find it again, compare it with others."),
    "pipelines": ("Pipelines", "Run only what has changed, and say why it ran."),
    "steps": ("Steps", "The usual road of a model: read, split, train, evaluate, judge, register, promote."),
    "datasets": ("Data", "Keep the data that went in, by content, and compare its versions."),
    "measures": ("Expectations", "What must hold of data: stated, or inferred from a reference."),
    "conditions": ("Conditions", "What must hold of a model before an alias may point to it."),
    "registry": ("Models", "Number models, decide which one counts, and see how each came to be."),
    "monitoring": ("Monitors", "See whether a model and its data are still what they were."),
    "fingerprints": ("Fingerprints", "The identity of content: of tables, arrays, code and values."),
    "store": ("Stores", "Where everything is kept, and how it is checked."),
    "errors": ("Errors", "Everything that is raised on purpose."),
}

RETURNED = (
    ("tracking.listing", "RunTable"),
    ("tracking.diff", "RunDiff"),
    ("views.diff", "Difference"),
    ("records.run", "InputRef"),
    ("records.run", "OutputRef"),
    ("records.run", "ArtifactRef"),
    ("records.run", "StepCall"),
    ("pipelines.step", "Step"),
    ("pipelines.futures", "StepFuture"),
    ("pipelines.pipeline", "Pipeline"),
    ("pipelines.run", "PipelineRun"),
    ("pipelines.plan", "Plan"),
    ("views.plan", "PlannedCall"),
    ("views.why", "Why"),
    ("views.why", "Change"),
    ("pipelines.source", "Source"),
    ("records.profile", "TableProfile"),
    ("records.profile", "ColumnProfile"),
    ("records.profile", "Grid"),
    ("records.quality", "QualityReport"),
    ("records.quality", "QualityResult"),
    ("monitoring.report", "MonitorReport"),
    ("records.alert", "Alert"),
    ("records.monitor", "FeatureReport"),
    ("records.monitor", "Shape"),
    ("records.monitor", "RuleReport"),
    ("records.monitor", "LossReport"),
    ("records.monitor", "Window"),
    ("records.monitor", "Coverage"),
    ("registry.version", "ModelVersion"),
    ("registry.report", "GateReport"),
    ("records.gate", "ConditionResult"),
    ("records.gate", "Contender"),
    ("records.gate", "JudgedOn"),
    ("records.measurement", "Measurement"),
    ("records.measurement", "Comparison"),
    ("registry.signature", "Signature"),
    ("records.signature", "ColumnSpec"),
    ("records.signature", "SignatureProblem"),
    ("registry.card", "ModelCard"),
    ("records.model", "Vote"),
    ("records.model", "Promotion"),
    ("records.versions", "Period"),
    ("records.entry", "Entry"),
    ("registry.lineage", "Lineage"),
    ("records.audit", "AuditReport"),
    ("records.audit", "AuditedJournal"),
    ("records.trust", "Signer"),
    ("records.check", "FsckReport"),
    ("records.check", "SyncReport"),
    ("records.check", "Problem"),
    ("records.check", "GcReport"),
    ("records.check", "DoctorReport"),
    ("records.check", "Finding"),
)
"""The classes of what the public functions return, with their homes below ``mlops_kit``."""


def write_reference_pages(folder: Path) -> None:
    """Write one page per subject that has public names; pages that are current are left untouched."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{subject}.md": page(subject, names) for subject, names in names_by_subject().items()}
    pages["returned.md"] = returned_page()
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for file, text in pages.items():
        path = folder / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def names_by_subject() -> dict[str, list[str]]:
    """Group the public names by the part of the package that defines them."""
    grouped: dict[str, list[str]] = {subject: [] for subject in SUBJECTS}
    for name in getattr(mlops_kit, "__all__", []):
        if name.startswith("__"):
            continue
        value = getattr(mlops_kit, name)
        home = value.__name__ if isinstance(value, ModuleType) else value.__module__
        subject = home.removeprefix("mlops_kit.").split(".")[0]
        if subject not in grouped:
            msg = f"{name} is defined in {home}, and no page covers that: add one to SUBJECTS in {__file__}."
            raise LookupError(msg)
        grouped[subject].append(name)
    return {subject: names for subject, names in grouped.items() if names}


def page(subject: str, names: list[str]) -> str:
    """Lay out one page: what the subject is, a summary, then every name."""
    title, sentence = SUBJECTS[subject]
    summary = "".join(f"   {name}\n" for name in names)
    directives = "\n".join(directive(name) for name in names)
    return (
        f"# {title}\n\n{sentence}\n\n"
        "```{eval-rst}\n.. currentmodule:: mlops_kit\n\n"
        f".. autosummary::\n   :nosignatures:\n\n{summary}\n{directives}```\n"
    )


def returned_page() -> str:
    """Lay out the page of the classes that are returned and never made by users."""
    directives = "\n".join(
        f".. autoclass:: mlops_kit.{home}.{name}\n   :members:\n   :exclude-members: members, encode, decode\n"
        f"   :inherited-members: {_bases(home, name)}\n"
        for home, name in RETURNED
    )
    return (
        "# Returned values\n\nWhat the functions of the other pages return. Read them; do not make them.\n\n"
        f"```{{eval-rst}}\n{directives}```\n"
    )


def _bases(home: str, name: str) -> str:
    """Name the base classes that are not ours, whose members need no page."""
    value = getattr(importlib.import_module(f"mlops_kit.{home}"), name)
    return ", ".join(base.__name__ for base in value.__mro__ if not base.__module__.startswith("mlops_kit"))


def directive(name: str) -> str:
    """Choose the directive that documents a name with all its public members."""
    value = getattr(mlops_kit, name)
    if isinstance(value, ModuleType):
        public = f"mlops_kit.{name}"
        face = "" if value.__name__ == public else f".. module:: {public}\n\n"
        return f"{face}.. automodule:: {value.__name__}\n   :members:\n   :show-inheritance:\n"
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        return f".. {kind}:: {name}\n   :members:\n   :inherited-members:\n"
    return f".. autofunction:: {name}\n"
