"""A model card as a bill of materials for machine learning (CycloneDX 1.6, ECMA-424).

The members are those of https://cyclonedx.org/docs/1.6/json/ under ``component`` and ``modelCard``.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from mlops_kit.records.card import CardRecord
from mlops_kit.safe_text import clean

_SPACE = uuid.UUID("6f0b7a5e-2f0c-5b0a-9a55-7b3f1a2c4d5e")
_SUPERVISED = frozenset({"binary", "multiclass", "regression"})
_TASKS = {
    "binary": "classification",
    "multiclass": "classification",
    "regression": "regression",
    "score": "anomaly detection",
    "transform": "transformation",
}
_CONSIDERATIONS = {"users": "users", "intended_use": "useCases", "limits": "technicalLimitations"}


def card_bom(record: CardRecord, *, tool: str) -> str:
    """Write a model card as a CycloneDX bill of materials.

    Parameters
    ----------
    record : CardRecord
        What it tells.
    tool : str
        The version of this library.

    Returns
    -------
    str
        JSON: the model with its card, the data and the packages it was made with.
    """
    data, packages = list(_data(record)), list(_packages(record))
    identity = f"{record.model.spec} {record.model.digest} {record.made}"
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, clean(identity))}",
        "version": 1,
        "metadata": {
            "timestamp": record.made.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "tools": {"components": [{"type": "application", "name": "mlops-kit", "version": tool}]},
            "component": _model(record, data),
        },
        "components": [*data, *packages],
        "dependencies": [{"ref": "model", "dependsOn": [item["bom-ref"] for item in (*data, *packages)]}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _model(record: CardRecord, data: list[dict[str, Any]]) -> dict[str, Any]:
    model = record.model
    return _filled(
        {
            "type": "machine-learning-model",
            "bom-ref": "model",
            "name": clean(model.name),
            "version": str(model.version),
            "description": clean(model.description) if model.description else None,
            "authors": [{"name": clean(model.by.get("actor", "unknown"))}],
            "hashes": [{"alg": "SHA-256", "content": clean(model.digest.removeprefix("sha256:"))}],
            "modelCard": {
                "modelParameters": _parameters(record, data),
                "quantitativeAnalysis": {"performanceMetrics": [*_metrics(model.metrics), *_measured(record)]},
                "considerations": _considerations(model.card),
            },
            "properties": _properties(record),
        }
    )


def _parameters(record: CardRecord, data: list[dict[str, Any]]) -> dict[str, Any]:
    model, signature = record.model, record.model.signature
    kind = None if signature is None else signature.kind
    formats = (
        {"inputs": (), "outputs": ()}
        if signature is None
        else {
            "inputs": signature.inputs,
            "outputs": signature.outputs,
        }
    )
    return _filled(
        {
            "approach": {"type": "supervised"} if kind in _SUPERVISED else None,
            "task": None if kind is None else _TASKS.get(kind, clean(kind)),
            "modelArchitecture": clean(model.type),
            "datasets": [{"ref": item["bom-ref"]} for item in data],
            **{
                name: [{"format": clean(f"{column.name}: {column.type or 'unknown'}")} for column in columns]
                for name, columns in formats.items()
            },
        }
    )


def _metrics(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"type": clean(name), "value": repr(value)} for name, value in metrics.items()]


def _measured(record: CardRecord) -> Iterable[dict[str, Any]]:
    """Give what gates measured, with its interval."""
    for report in record.evidence:
        found = report.get("results")
        for result in found if isinstance(found, list | tuple) else ():
            if isinstance(result, Mapping) and isinstance(result.get("value"), int | float):
                evidence = result.get("evidence")
                inner = evidence if isinstance(evidence, Mapping) else {}
                bounds = {"lowerBound": inner.get("low"), "upperBound": inner.get("high")}
                interval = None if None in bounds.values() else {name: clean(bound) for name, bound in bounds.items()}
                said = {"type": clean(str(result.get("name"))), "value": repr(result["value"])}
                yield _filled({**said, "confidenceInterval": interval})


def _considerations(card: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: _texts(card.get(heading)) for heading, name in _CONSIDERATIONS.items()}
    ethics = [{"name": text} for text in _texts(card.get("ethics"))]
    return _filled({**made, "ethicalConsiderations": ethics})


def _properties(record: CardRecord) -> list[dict[str, str]]:
    model, known = record.model, {*_CONSIDERATIONS, "ethics"}
    said = {f"card:{name}": "; ".join(_texts(text)) for name, text in model.card.items() if name not in known}
    said |= {f"tag:{name}": value for name, value in model.tags.items()}
    said |= {"format": model.format, "fingerprint": model.fingerprint or "", "run": model.run_id or ""}
    said |= {"aliases": ", ".join(record.aliases), "approved-by": ", ".join(model.approved_by)}
    return [{"name": f"mlops-kit:{clean(name)}", "value": clean(value)} for name, value in said.items() if value]


def _data(record: CardRecord) -> Iterable[dict[str, Any]]:
    for number, ref in enumerate(record.lineage.data, 1):
        name = ref.name if ref.dataset is None else ref.dataset
        said = {"fingerprint": ref.fingerprint, "rows": None if ref.rows is None else str(ref.rows), "input": ref.name}
        properties = [{"name": f"mlops-kit:{key}", "value": clean(value)} for key, value in said.items() if value]
        version = None if ref.version is None else str(ref.version)
        named = {"type": "data", "bom-ref": f"data-{number}", "name": clean(name) or "data", "version": version}
        yield _filled({**named, "data": [{"type": "dataset", "name": clean(ref.name)}], "properties": properties})


def _packages(record: CardRecord) -> Iterable[dict[str, Any]]:
    for package, number in sorted((record.lineage.environment.get("packages") or {}).items()):
        name, version = clean(package), clean(number)
        url = f"pkg:pypi/{quote(re.sub(r'[-_.]+', '-', name).lower(), safe='')}@{quote(version, safe='')}"
        yield {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def _texts(said: object) -> list[str]:
    if said is None:
        return []
    return [clean(str(item)) for item in (said if isinstance(said, list | tuple) else [said])]


def _filled(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None and value not in ([], {}, "")}
