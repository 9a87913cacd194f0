"""A model card as a page, as Markdown and as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from mlops_kit.records import codec
from mlops_kit.records.card import CardRecord
from mlops_kit.records.entry import Entry
from mlops_kit.records.run import InputRef
from mlops_kit.views import html
from mlops_kit.views.lineage_svg import lineage_svg
from mlops_kit.views.model import packages_text
from mlops_kit.views.run import commit_text, input_text, numbers, values
from mlops_kit.views.sheet import Item, Row, Sheet
from mlops_kit.views.signature import column_text, signature_line
from mlops_kit.views.values import clip, markdown, number, plural, size, when

_ROOM = html.Room(500, 4000)
_NOT_SAID = "Not documented. Add it with models.describe(spec, card={…})."
_LEADING = ("intended_use", "users", "out_of_scope", "limits", "ethics")
_CSS = """\
body{font:15px/1.55 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#1f2328;background:#fff}
h1{font-size:1.6em;margin:0}h2{font-size:1.15em;margin:1.8em 0 .4em;border-bottom:1px solid #8884;padding-bottom:.2em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:3px 14px 3px 0;\
overflow-wrap:anywhere}th{font-weight:500;color:#59636e;white-space:nowrap;width:1%}
.g th{border-bottom:1px solid #8884;width:auto}.p{display:inline-block;margin-right:14px}.k,.n,.s{color:#59636e}
.v{font-family:ui-monospace,monospace;font-size:13px}svg{max-width:100%;height:auto}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,.k,.n,.s{color:#9198a1}}"""


def card_html(record: CardRecord) -> str:
    """Show a model card as a page of its own, with nothing to fetch and no script.

    Parameters
    ----------
    record : CardRecord
        What it tells.

    Returns
    -------
    str
        A whole HTML document; every text of a user's is escaped.
    """
    title = html.text(_title(record), _ROOM)
    body = "".join(f"<h2>{html.text(part.title, _ROOM)}</h2>{_part_html(part, record)}" for part in _parts(record))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_CSS}</style></head>'
        f'<body><h1>{title}</h1><div class="s">{html.text(_subtitle(record), _ROOM)}</div>{body}</body></html>\n'
    )


def card_markdown(record: CardRecord) -> str:
    """Write a model card as Markdown.

    Parameters
    ----------
    record : CardRecord
        What it tells.

    Returns
    -------
    str
        The text; what users wrote cannot act as markup.
    """
    lines = [f"# {markdown(_title(record))}", "", markdown(_subtitle(record))]
    for part in _parts(record):
        lines += ["", f"## {markdown(part.title)}", ""]
        for row in part.filled:
            items = [_item_text(item) for item in row.items]
            if row.flowing or len(items) == 1:
                said = markdown(", ".join(items))
                lines.append(f"- **{markdown(row.label)}**: {said}" if row.label else f"- {said}")
            else:
                lines += [f"- **{markdown(row.label)}**:"] if row.label else []
                lines += [f"{'  ' if row.label else ''}- {markdown(item)}" for item in items]
    return "\n".join(lines).rstrip("\n") + "\n"


def card_dict(record: CardRecord) -> dict[str, Any]:
    """Give a model card as plain JSON values.

    Parameters
    ----------
    record : CardRecord
        What it tells.

    Returns
    -------
    dict
        Times as RFC 3339 text, what JSON has no value for as in a record.
    """
    model, lineage = record.model, record.lineage
    made: dict[str, Any] = codec.plain(
        {
            "name": model.name,
            "version": model.version,
            "aliases": list(record.aliases),
            "made": _at(record.made),
            "description": model.description,
            "card": model.card,
            "tags": model.tags,
            "type": model.type,
            "format": model.format,
            "size": model.size,
            "digest": model.digest,
            "fingerprint": model.fingerprint,
            "registered": {"at": _at(model.created), "by": model.by},
            "archived": model.archived,
            **({} if model.source is None else {"source": model.source}),
            "metrics": model.metrics,
            "signature": None if model.signature is None else model.signature.members(),
            "approvals": [_vote(vote) for vote in model.approvals],
            "rejections": [_vote(vote) for vote in model.rejections],
            "run": None if lineage.run is None else {**lineage.run, "started": _at(lineage.run.get("started"))},
            "data": [_input(ref) for ref in lineage.data],
            "code": lineage.code,
            "environment": lineage.environment,
            "unknown": list(lineage.unknown),
            "evidence": list(record.evidence),
            "monitoring": record.monitoring,
            "history": [_entry(entry) for entry in record.history],
        }
    )
    return made


def _title(record: CardRecord) -> str:
    return f"Model card: {record.model.spec}"


def _subtitle(record: CardRecord) -> str:
    live = f"live as {', '.join(record.aliases)}" if record.aliases else "not live"
    return f"{record.model.type.rpartition('.')[2]}, {live}, as of {when(record.made)}"


def _part_html(part: Sheet, record: CardRecord) -> str:
    svg = lineage_svg(record.lineage, record.aliases) if part.title == "Lineage" else ""
    return svg + html.sheet(Sheet("", part.rows), _ROOM)


def _parts(record: CardRecord) -> list[Sheet]:
    """Lay out the card, part by part; parts with nothing to tell are left out."""
    made = (
        _about(record),
        _use(record),
        _metrics(record),
        *_evidence(record),
        _monitoring(record),
        _schema(record),
        _data(record),
        Sheet("Lineage", (Row("not known", record.lineage.unknown, flowing=False), *_how(record))),
        _approvals(record),
        Sheet("History", (Row("", tuple(map(_line, record.history)), flowing=False),)),
    )
    return [part for part in made if part.filled or part.title == "Lineage"]


def _about(record: CardRecord) -> Sheet:
    model = record.model
    rows = (
        Row("description", (model.description,) if model.description else ()),
        Row("kind", (signature_line(model.signature),) if model.signature else ()),
        Row("type", (model.type,)),
        Row("registered", (f"{when(model.created)} by {model.by.get('actor')}",)),
        Row("copy of", (model.source,) if model.source else ()),
        Row("tags", tuple(model.tags.items())),
        Row("size", (size(model.size),)),
        Row("digest", (model.digest,)),
        Row("fingerprint", (model.fingerprint,) if model.fingerprint else ()),
        Row("archived", ("yes",) if model.archived else ()),
    )
    return Sheet("About", rows)


def _use(record: CardRecord) -> Sheet:
    card = record.model.card
    headings = [*_LEADING, *(heading for heading in card if heading not in _LEADING)]
    always = ("intended_use", "limits")
    said = [(heading, _texts(card.get(heading)) or ((_NOT_SAID,) if heading in always else ())) for heading in headings]
    return Sheet("Intended use and limits", tuple(Row(h.replace("_", " "), texts, flowing=False) for h, texts in said))


def _metrics(record: CardRecord) -> Sheet:
    return Sheet("Metrics", (Row("at registration", numbers(record.model.metrics)),))


def _evidence(record: CardRecord) -> Iterator[Sheet]:
    """Show what the promotions that stand rested on, however much of it this release knows."""
    for report in record.evidence:
        if "stands" in report and report["stands"] is None:
            continue  # the history has it
        found = "promoted" if "passed" not in report else "passed" if report["passed"] else "not passed"
        told = (_moment(report.get("at")), report.get("stands"), None if "passed" in report else report.get("record"))
        texts = [str(text) for text in told if text]
        rows = [Row(found, (", ".join(texts),))]
        rows += [Row(_mark(result), (result_text(result),)) for result in _dicts(report.get("results"))]
        yield Sheet("Gate", tuple(rows))


def result_text(result: Mapping[str, Any]) -> str:
    """Say in a line what a condition found.

    Examples
    --------
    >>> result_text({"name": "at_least auc", "value": 0.91, "limit": 0.9, "evidence": {"low": 0.88, "high": 0.93}})
    'at_least auc: 0.91 [0.88, 0.93], limit 0.9'
    >>> result_text({"name": "2 approvals", "value": 2.0, "limit": 2.0, "message": "approved by bob, eve; 2 needed"})
    '2 approvals: approved by bob, eve; 2 needed'
    """
    if result.get("message"):
        return f"{result.get('name')}: {result['message']}"
    evidence = result.get("evidence")
    inner = evidence if isinstance(evidence, Mapping) else {}
    low, high = inner.get("low"), inner.get("high")
    interval = f" [{number(low)}, {number(high)}]" if low is not None and high is not None else ""
    value = f"{number(result['value'])}{interval}" if result.get("value") is not None else ""
    limit = f"limit {number(result['limit'])}" if result.get("limit") is not None else ""
    return ": ".join(filter(None, (str(result.get("name")), ", ".join(filter(None, (value, limit))))))


def _moment(text: object) -> str:
    """Write a moment of a report for people; whatever else stands there, as it is."""
    try:
        return when(codec.moment(str(text))) if text else ""
    except ValueError:
        return str(text)


def _monitoring(record: CardRecord) -> Sheet:
    state = record.monitoring or {}
    alerts = tuple(str(alert.get("message") or alert.get("subject")) for alert in _dicts(state.get("alerts")))
    rows = (Row("status", (str(state["status"]),) if "status" in state else ()), Row("alerts", alerts, flowing=False))
    return Sheet("Monitoring", rows)


def _schema(record: CardRecord) -> Sheet:
    signature = record.model.signature
    if signature is None:
        return Sheet("Inputs and outputs", ())
    rows = (
        Row("target", (signature.target,) if signature.target else ()),
        Row("inputs", tuple(map(column_text, signature.inputs)), flowing=False),
        Row("outputs", tuple(map(column_text, signature.outputs)), flowing=False),
    )
    return Sheet("Inputs and outputs", rows)


def _data(record: CardRecord) -> Sheet:
    return Sheet("Data", (Row("", tuple(map(input_text, record.lineage.data)), flowing=False),))


def _how(record: CardRecord) -> tuple[Row, ...]:
    run, code, environment = record.lineage.run or {}, record.lineage.code, record.lineage.environment
    places = [str(environment[key]) for key in ("python", "platform", "machine") if environment.get(key)]
    return (
        Row("run", (f"{run.get('id')} {run.get('name')}: {run.get('status')}",) if run else ()),
        Row("params", values(run.get("params") or {})),
        Row("code", (str(code["function"]),) if code.get("function") else ()),
        Row("commit", (commit_text(code),) if code.get("commit") else ()),
        Row("environment", (f"Python {', '.join(places)}",) if environment.get("python") else ()),
        Row("packages", packages_text(environment)),
    )


def _approvals(record: CardRecord) -> Sheet:
    model = record.model
    rows = (
        Row("approved by", tuple(map(str, model.approvals)), flowing=False),
        Row("rejected by", tuple(map(str, model.rejections)), flowing=False),
    )
    counted = plural(len(model.approved_by), "approval")
    others = Row("", (f"{counted} by others than whoever registered it",))
    return Sheet("Approvals", (*rows, others) if any(row.items for row in rows) else ())


def _line(entry: Entry) -> str:
    body = entry.body
    about = [str(body[name]) for name in ("alias", "reason") if body.get(name) is not None]
    return f"{when(entry.at)} {entry.kind} by {entry.by.get('actor')}" + (f": {', '.join(about)}" if about else "")


def _texts(said: object) -> tuple[str, ...]:
    if said is None:
        return ()
    return tuple(map(str, said)) if isinstance(said, list | tuple) else (str(said),)


def _dicts(found: object) -> list[Mapping[str, Any]]:
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list | tuple) else []


def _mark(result: Mapping[str, Any]) -> str:
    return "✓" if result.get("passed") else "✗"


def _item_text(item: Item) -> str:
    return clip(item, 4000) if isinstance(item, str) else f"{item[0]}={clip(item[1], 4000)}"


def _at(moment: Any) -> str | None:
    """Write a moment as records do; a view never fails, whatever it is given."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z") if isinstance(moment, datetime) else None


def _vote(vote: Any) -> dict[str, Any]:
    return {"actor": vote.actor, "source": vote.source, "at": _at(vote.at), "reason": vote.reason}


def _input(ref: InputRef) -> dict[str, Any]:
    names = ("name", "kind", "fingerprint", "rows", "dataset", "version")
    return {name: getattr(ref, name) for name in names}


def _entry(entry: Entry) -> dict[str, Any]:
    return {"seq": entry.seq, "at": _at(entry.at), "by": entry.by, "kind": entry.kind, "body": entry.body}
