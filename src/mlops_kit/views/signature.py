"""What a model takes and gives, shown."""

from __future__ import annotations

from functools import partial

from mlops_kit.records.signature import ColumnSpec, SignatureRecord
from mlops_kit.views import html
from mlops_kit.views.sheet import Row, Sheet
from mlops_kit.views.text import sheet_text
from mlops_kit.views.values import clip, plural

_LEVELS = 5


def signature_text(record: SignatureRecord) -> str:
    """Show a signature as text.

    Parameters
    ----------
    record : SignatureRecord
        The signature.

    Returns
    -------
    str
        What is predicted from what in one line, then the columns.

    Examples
    --------
    >>> print(signature_text(SignatureRecord((ColumnSpec("age", "int64", nullable=True),), target="bought")))
    Signature(bought from 1 column)
      inputs  age: int64 or missing
    """
    return sheet_text(_sheet(record, f"Signature({signature_line(record)})"))


def signature_html(record: SignatureRecord) -> str:
    """Show a signature in a notebook.

    Parameters
    ----------
    record : SignatureRecord
        The signature.

    Returns
    -------
    str
        A fragment of HTML of at most 30,000 bytes.

    Examples
    --------
    >>> "Signature(&lt;b&gt; from 0 columns)" in signature_html(SignatureRecord((), target="<b>"))
    True
    """
    return html.fragment(partial(html.sheet, _sheet(record, f"Signature({signature_line(record)})")))


def signature_line(record: SignatureRecord) -> str:
    """Say in one line what is predicted from what.

    Examples
    --------
    >>> signature_line(SignatureRecord((ColumnSpec("", "float64", shape=(None, 4)),), kind="regression"))
    'regression: from an array of shape (any, 4)'
    """
    array = next((column for column in record.inputs if column.shape is not None), None)
    taken = f"an array of shape {_shape(array)}" if array else plural(len(record.inputs), "column")
    what = f"{clip(record.target, 80)} from {taken}" if record.target is not None else f"from {taken}"
    return f"{clip(record.kind, 40)}: {what}" if record.kind else what


def column_text(column: ColumnSpec) -> str:
    """Say what a column is.

    Examples
    --------
    >>> column_text(ColumnSpec("plan", "utf8", categories=("basic", "pro")))
    'plan: utf8 (basic, pro)'
    """
    text = f"{column.name}: {column.type or 'not known'}" if column.name else column.type or "not known"
    if column.categories is not None:
        levels = [str(level) for level in column.categories[:_LEVELS]]
        text += f" ({', '.join(levels)}{html.more(len(column.categories) - _LEVELS)})"
    if column.shape is not None:
        text += f" {_shape(column)}"
    return f"{text} or missing" if column.nullable else text


def _sheet(record: SignatureRecord, title: str) -> Sheet:
    return Sheet(
        title,
        (
            Row("inputs", _flowing(record.inputs)),
            Row("outputs", _flowing(record.outputs)),
        ),
    )


def _flowing(columns: tuple[ColumnSpec, ...]) -> tuple[str, ...]:
    return tuple(map(column_text, columns))


def _shape(column: ColumnSpec) -> str:
    return f"({', '.join('any' if length is None else str(length) for length in column.shape or ())})"
