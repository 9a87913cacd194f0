"""Versions of models shown, and what made them."""

from __future__ import annotations

from functools import partial
from typing import Any

from mlops_kit.records.model import LineageRecord, ModelRecord
from mlops_kit.views import html
from mlops_kit.views.run import by_text, commit_text, input_text, numbers, values
from mlops_kit.views.sheet import Row, Sheet
from mlops_kit.views.signature import signature_line
from mlops_kit.views.text import row_lines, sheet_text
from mlops_kit.views.values import clip, plural, short, size, when

_KEY_PACKAGES = (
    *("scikit-learn", "numpy", "pandas", "scipy", "polars", "pyarrow"),
    *("xgboost", "lightgbm", "catboost", "torch", "tensorflow", "jax", "transformers"),
)
_UNKNOWN = 10


def version_text(record: ModelRecord) -> str:
    """Show a version of a model as text.

    Parameters
    ----------
    record : ModelRecord
        The version.

    Returns
    -------
    str
        Its identity in one line, then the details.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> made = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> print(version_text(ModelRecord("fraud", 3, "sha256:00", "fp1:11", "cloudpickle", 1234, "pkg.Forest", made,
    ...                                {"actor": "ann"}, metrics={"auc": 0.9931})))
    ModelVersion fraud:3: Forest, 1.2 kB
      metrics      auc=0.9931
      registered   2026-11-22 10:00:00 UTC by ann
      run          none: registered outside of a run
      type         pkg.Forest
      format       cloudpickle
      digest       sha256:00
      fingerprint  fp1:11
    """
    return sheet_text(_version(record))


def version_html(record: ModelRecord) -> str:
    """Show a version of a model in a notebook.

    Parameters
    ----------
    record : ModelRecord
        The version.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> record = ModelRecord("fraud", 3, "sha256:00", None, "cloudpickle", 1234, "pkg.Forest", datetime.now(UTC), {})
    >>> "ModelVersion fraud:3: Forest" in version_html(record)
    True
    """
    return html.fragment(partial(html.sheet, _version(record)))


def lineage_text(record: LineageRecord) -> str:
    """Show what made a version of a model as a small tree: data, the run they went into, the model it made.

    Parameters
    ----------
    record : LineageRecord
        The version and what made it.

    Returns
    -------
    str
        The tree, then what is not known.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> made = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> model = ModelRecord("fraud", 3, "sha256:00", "fp1:11", "cloudpickle", 1234, "pkg.Forest", made, {})
    >>> print(lineage_text(LineageRecord(model, None, (), {}, {"python": "3.14.0"}, ("Its data was not recorded.",))))
    Lineage of fraud:3
      data  not known
      └─ run not known
         │  environment  Python 3.14.0
         └─ model fraud:3: Forest, 1.2 kB
              registered  2026-11-22 10:00:00 UTC
              digest      sha256:00
      unknown
        Its data was not recorded.
    """
    made_by, made = _run(record), _made(record.model)
    lines = [f"Lineage of {clip(record.model.spec, 150)}", *row_lines([Row("data", _data(record), flowing=False)])]
    lines += [f"└─ {clip(made_by.title, 110)}", *(f"   │  {line}" for line in row_lines(made_by.filled))]
    lines += [f"   └─ {clip(made.title, 110)}", *(f"        {line}" for line in row_lines(made.filled))]
    if record.unknown:
        hidden = html.more(len(record.unknown) - _UNKNOWN)
        lines += ["unknown", *(f"  {clip(line, 160)}" for line in (*record.unknown[:_UNKNOWN], hidden) if line)]
    return "\n  ".join(lines)


def lineage_html(record: LineageRecord) -> str:
    """Show what made a version of a model in a notebook: data, run and model, from left to right.

    Parameters
    ----------
    record : LineageRecord
        The version and what made it.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> model = ModelRecord("fraud", 3, "sha256:00", None, "cloudpickle", 1234, "pkg.Forest", datetime.now(UTC), {})
    >>> "run not known" in lineage_html(LineageRecord(model, None, (), {}, {}, ()))
    True
    """
    data = Sheet("data", (Row("", _data(record), flowing=False),))
    boxes = (data, _run(record), _made(record.model))
    unknown = Sheet("", (Row("unknown", record.unknown, flowing=False),))

    def body(room: html.Room) -> str:
        arrow = '<div class="a">→</div>'
        flow = arrow.join(f'<div class="b">{html.sheet(box, room)}</div>' for box in boxes)
        title = f'<div class="t">Lineage of {html.text(record.model.spec, room)}</div>'
        return f'{title}<div class="f">{flow}</div>{html.sheet(unknown, room)}'

    return html.fragment(body)


def _version(record: ModelRecord) -> Sheet:
    rows = (
        Row("description", (record.description,) if record.description else ()),
        Row("metrics", numbers(record.metrics)),
        Row("registered", (f"{when(record.created)}{by_text(record.by)}",)),
        Row("copy of", (record.source,) if record.source else ()),
        Row("run", (record.run_id or "none: registered outside of a run",)),
        Row("archived", ("yes: neither listed nor promoted",) if record.archived else ()),
        Row("approved", tuple(map(str, record.approvals)), flowing=False),
        Row("rejected", tuple(map(str, record.rejections)), flowing=False),
        Row("tags", tuple((name, value) for name, value in record.tags.items())),
        Row("signature", (signature_line(record.signature),) if record.signature is not None else ()),
        Row("type", (record.type,)),
        Row("format", (record.format,)),
        Row("digest", (record.digest,)),
        Row("fingerprint", (record.fingerprint,) if record.fingerprint else ()),
    )
    return Sheet(f"ModelVersion {_identity(record)}", rows)


def _identity(record: ModelRecord) -> str:
    return f"{record.spec}: {record.type.rpartition('.')[2]}, {size(record.size)}"


def _data(record: LineageRecord) -> tuple[str, ...]:
    return tuple(input_text(ref) for ref in record.data) or ("not known" if record.run is None else "none recorded",)


def _run(record: LineageRecord) -> Sheet:
    run, code, environment = record.run, record.code, record.environment
    rows: tuple[Row, ...] = ()
    if run is not None:
        rows = (
            Row("started", (f"{when(run.get('started'))}{by_text(run.get('by') or {})}",)),
            Row("params", values(run.get("params") or {})),
            Row("metrics", numbers(run.get("metrics") or {})),
            Row("code", _function(code)),
            Row("commit", (commit_text(code),) if code.get("commit") else ()),
        )
    title = f"run {run.get('id')} {run.get('name')}: {run.get('status')}" if run else "run not known"
    return Sheet(
        title, (*rows, Row("environment", _environment(environment)), Row("packages", packages_text(environment)))
    )


def _made(record: ModelRecord) -> Sheet:
    rows = (
        Row("registered", (f"{when(record.created)}{by_text(record.by)}",)),
        Row("copy of", (record.source,) if record.source else ()),
        Row("metrics", numbers(record.metrics)),
        Row("digest", (short(record.digest),)),
    )
    return Sheet(f"model {_identity(record)}", rows)


def _function(code: dict[str, Any]) -> tuple[str, ...]:
    if not code.get("function"):
        return ()
    parts = plural(len(code["parts"]), "function") if code.get("parts") else ""
    return tuple(part for part in (str(code["function"]), short(code.get("fingerprint")), parts) if part)


def _environment(environment: dict[str, Any]) -> tuple[str, ...]:
    platform = " ".join(str(environment[key]) for key in ("platform", "machine") if environment.get(key))
    python = f"Python {environment['python']}" if environment.get("python") else ""
    return tuple(part for part in (python, platform) if part)


def packages_text(environment: dict[str, Any]) -> tuple[str, ...]:
    """Name the packages of an environment that matter most for a model, and count the rest.

    Examples
    --------
    >>> packages_text({"packages": {"numpy": "2.4", "six": "1.17"}})
    ('numpy 2.4', '1 others')
    """
    packages = environment.get("packages") or {}
    named = [f"{name} {packages[name]}" for name in _KEY_PACKAGES if name in packages]
    others = len(packages) - len(named)
    return (*named, f"{others:,} others") if others else tuple(named)
