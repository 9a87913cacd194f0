"""The versions of a model or dataset side by side, and the history of a name, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mlops_kit.records.entry import UNREADABLE, Entry
from mlops_kit.records.model import ModelRecord
from mlops_kit.views.text import aligned
from mlops_kit.views.values import clip, number, plural, when


class DatasetVersion(Protocol):
    """What is shown of one version of a dataset among others."""

    @property
    def spec(self) -> str:
        """``name:version``."""

    @property
    def created(self) -> datetime:
        """When it was kept."""

    @property
    def by(self) -> dict[str, str]:
        """Who kept it."""

    @property
    def n_rows(self) -> int:
        """Its number of rows."""

    @property
    def columns(self) -> dict[str, str]:
        """Its columns, with their types."""

    @property
    def fingerprint(self) -> str:
        """Of its content."""

    @property
    def source(self) -> str | None:
        """Where it came from."""


_METRICS = 4
_CELL = 24
_REASON = 60
_NONE = "–"


def models_text(records: Sequence[ModelRecord], aliases: Mapping[str, int]) -> str:
    """Show versions of a model as a table for a terminal.

    Parameters
    ----------
    records : sequence of ModelRecord
        In the order to be shown.
    aliases : mapping of str to int
        Where each alias points.

    Returns
    -------
    str
        A head, and a line for each version.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> made = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> record = ModelRecord("fraud", 3, "sha256:00", "fp1:11", "cloudpickle", 1234, "pkg.Forest", made,
    ...                      {"actor": "ann"}, metrics={"auc": 0.9931})
    >>> print(models_text([record], {"champion": 3}))
    version  registered        by      auc  type    alias
    fraud:3  2026-11-22 10:00  ann  0.9931  Forest  champion
    """
    names = list(dict.fromkeys(name for record in records for name in record.metrics))
    shown = names[:_METRICS]
    head = ("version", "registered", "by", *(clip(name, _CELL) for name in shown), "type", "alias")
    rows = [
        (
            record.spec,
            when(record.created, seconds=False),
            clip(record.by.get("actor", _NONE), _CELL),
            *(number(record.metrics[name]) if name in record.metrics else _NONE for name in shown),
            clip(record.type.rpartition(".")[2], _CELL),
            ", ".join(sorted(alias for alias, version in aliases.items() if version == record.version)),
        )
        for record in records
    ]
    lines = aligned([head, *rows], right=frozenset(range(3, 3 + len(shown))))
    hidden = len(names) - len(shown)
    return "\n".join([*lines, *([f"… and {plural(hidden, 'more metric')}"] if hidden else [])])


def datasets_text(records: Sequence[DatasetVersion]) -> str:
    """Show versions of a dataset as a table for a terminal.

    Parameters
    ----------
    records : sequence of Dataset
        In the order to be shown.

    Returns
    -------
    str
        A head, and a line for each version.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from types import SimpleNamespace
    >>> made = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> version = SimpleNamespace(spec="customers:1", created=made, by={"actor": "ann"}, n_rows=569, source="select 1",
    ...                           columns={"x": "int64"}, fingerprint="fp1:" + "ab" * 32)
    >>> print(datasets_text([version]))
    version      kept              by   rows  columns  fingerprint   source
    customers:1  2026-11-22 10:00  ann   569        1  fp1:abababab  select 1
    """
    head = ("version", "kept", "by", "rows", "columns", "fingerprint", "source")
    rows = [
        (
            record.spec,
            when(record.created, seconds=False),
            clip(record.by.get("actor", _NONE), _CELL),
            f"{record.n_rows:,}",
            f"{len(record.columns):,}",
            record.fingerprint[:12],
            clip(record.source or "", _REASON),
        )
        for record in records
    ]
    return "\n".join(aligned([head, *rows], right=frozenset({3, 4})))


def history_text(entries: Sequence[Entry]) -> str:
    """Show the journal of a name as a table for a terminal: who decided what, when and why.

    Parameters
    ----------
    entries : sequence of Entry
        In the order to be shown.

    Returns
    -------
    str
        A head, and a line for each entry.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> made = datetime(2026, 11, 22, 10, tzinfo=UTC)
    >>> body = {"alias": "champion", "version": 3, "previous": 2, "reason": "better"}
    >>> print(history_text([Entry(5, "", made, {"actor": "ann"}, "", "promote", body)]))
    #  when                     by   what     subject       why
    5  2026-11-22 10:00:00 UTC  ann  promote  champion → 3  better
    """
    rows = [
        (
            str(entry.seq),
            when(entry.at),
            clip(entry.by.get("actor", _NONE), _CELL),
            entry.kind,
            clip(_subject(entry), _REASON),
            clip(entry.body.get("reason") or "", _REASON),
        )
        for entry in entries
    ]
    return "\n".join(aligned([("#", "when", "by", "what", "subject", "why"), *rows], right=frozenset({0})))


def _subject(entry: Entry) -> str:
    if entry.kind == UNREADABLE:
        return str(entry.body["problem"])
    alias, version = entry.body.get("alias"), entry.body.get("version")
    if alias is not None and version is not None:
        return f"{alias} → {version}"
    if entry.kind == "require":
        number = len(entry.body.get("gate", {}).get("conditions", ()))
        return f"{alias}: {plural(number, 'condition')}" if number else f"{alias}: no gate"
    if entry.kind == "retire":
        return f"{alias} → nothing"
    return str(version if version is not None else entry.body.get("name", alias or ""))
